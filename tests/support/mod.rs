//! What the tests share: fixtures, golden files, and running the tool as a user does.
#![allow(dead_code, reason = "each test file uses a part of it")]

#[cfg(feature = "aws")]
pub mod deploy;
#[cfg(feature = "aws")]
pub mod emulator;
#[cfg(feature = "aws")]
pub mod tools;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rolewatch::event::Event;
use rolewatch::local;
use rolewatch::report::Report;

/// A path below `fixtures/`.
pub fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(path)
}

/// All events of a file or folder, in the order in which they are judged.
pub fn events_of(path: PathBuf) -> Vec<Event> {
    let inputs = local::read(&[path], &local::Progress::hidden(), &mut Report::default());
    inputs.unwrap().events.take_batch(usize::MAX).unwrap()
}

/// Files of a folder of `fixtures/` with one ending, in order.
pub fn files_in(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(fixture(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == ending))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no .{ending} files in fixtures/{folder}");
    files
}

/// The stories: folders of `fixtures/` that hold `events.jsonl`.
pub fn stories() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(fixture(""))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("events.jsonl").is_file())
        .collect();
    folders.sort();
    folders
}

/// Compares with a golden file, or renews it where `UPDATE_FIXTURES` is set.
pub fn assert_golden(path: &Path, actual: &str) {
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(path, actual).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    if expected != actual {
        let differs = expected.lines().zip(actual.lines()).position(|(a, b)| a != b);
        let at = differs.unwrap_or(expected.lines().count().min(actual.lines().count()));
        panic!(
            "{} is not what it was from line {} on:\n- {}\n+ {}\n(UPDATE_FIXTURES=1 cargo test renews it)",
            path.display(),
            at + 1,
            expected.lines().nth(at).unwrap_or("(end)"),
            actual.lines().nth(at).unwrap_or("(end)"),
        );
    }
}

/// The built tool, with a clean environment.
pub fn rolewatch<A: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rolewatch"));
    command.args(args).stdin(Stdio::null()).env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command
}

/// What a run printed, and how it ended.
pub struct Run {
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
    /// Exit status.
    pub status: i32,
}

/// Runs the tool to its end.
pub fn run<A: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = A>) -> Run {
    finish(rolewatch(args).output().unwrap())
}

/// Reads what a finished run left.
pub fn finish(output: Output) -> Run {
    Run {
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
        status: output.status.code().unwrap(),
    }
}

impl Run {
    /// The figures of the summary line: the total, and the sum of its parts.
    pub fn sum(&self) -> (u64, u64) {
        let line = self.err.lines().find(|line| line.contains(" = ")).expect("a summary line");
        let (total, parts) = line.split_once(" = ").unwrap();
        let number = |text: &str| text.split(' ').next().unwrap().parse::<u64>().unwrap();
        (number(total), parts.split(" + ").map(number).sum())
    }

    /// One figure of the summary line, by the word behind it.
    pub fn figure(&self, word: &str) -> u64 {
        let line = self.err.lines().find(|line| line.contains(" = ")).expect("a summary line");
        let part =
            line.split(" = ").flat_map(|part| part.split(" + ")).find(|part| part.contains(word));
        part.expect(word).split(' ').next().unwrap().parse().unwrap()
    }
}
