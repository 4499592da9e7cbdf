//! Processor time, instructions and memory.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::time::{ClockId, clock_gettime};

/// Rounds of each measurement.
const ROUNDS: usize = 9;

/// Two things measured in turns: nanoseconds of each round.
pub struct Ratio {
    rounds: Vec<(f64, f64)>,
}

/// Nanoseconds of processor time that all threads of the process have used.
pub fn processor_time() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Measures both in turns, after a round that counts for nothing.
pub fn in_turns<T>(mut base: impl FnMut(), mut work: impl FnMut() -> T) -> Ratio {
    let rounds = (0..=ROUNDS).map(|_| (took(&mut base), took(&mut work))).skip(1).collect();
    Ratio { rounds }
}

/// How long something takes, without what is left of it being taken away.
fn took<T>(it: &mut dyn FnMut() -> T) -> f64 {
    let start = processor_time();
    let left = it();
    let took = processor_time() - start;
    drop(std::hint::black_box(left));
    took
}

fn spread(mut all: Vec<f64>) -> (f64, f64, f64) {
    all.sort_by(f64::total_cmp);
    let at = |index: usize| all.get(index).copied().unwrap_or_default();
    (at(all.len() / 2), at(0), at(all.len().saturating_sub(1)))
}

impl Ratio {
    /// The second, for each of so many.
    pub fn each(&self, count: u64) -> String {
        let each = |it: &(f64, f64)| it.1 / count as f64 / 1_000.0;
        let (median, least, most) = spread(self.rounds.iter().map(each).collect());
        format!("{median:.1} µs ({least:.1} to {most:.1})")
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (median, least, most) =
            spread(self.rounds.iter().map(|(base, work)| work / base).collect());
        write!(f, "{median:.2} ({least:.2} to {most:.2})")
    }
}

/// Bytes of memory that the process holds now.
pub fn resident() -> u64 {
    of_status(&std::fs::read_to_string("/proc/self/status").unwrap_or_default(), "VmRSS:")
}

fn of_status(status: &str, key: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() << 10
}

fn itself() -> std::path::PathBuf {
    std::env::current_exe().expect("the path of this program")
}

/// The most memory that one pass holds in a process of its own.
pub fn peak_of(what: &str, folder: &Path) -> u64 {
    let mut child = Command::new(itself());
    let mut child = child.args(["once", what]).arg(folder).arg("1").spawn().expect("a process");
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().expect("a child").is_none() {
        let now = std::fs::read_to_string(&status).unwrap_or_default();
        peak = peak.max(of_status(&now, "VmHWM:"));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    peak
}

/// Instructions of a process that does something so often.
pub fn instructions(what: &str, folder: &Path, passes: usize) -> f64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(itself())
        .args(["once", what])
        .arg(folder)
        .arg(passes.to_string())
        .stdout(Stdio::null())
        .output()
        .expect("valgrind");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let count = told.lines().find_map(|line| line.split_once("Collected :"));
    let (_, count) = count.unwrap_or_else(|| panic!("no count in {told}"));
    count.trim().parse().expect("a count")
}
