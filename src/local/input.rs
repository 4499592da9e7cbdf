//! Log files, folders of them, and standard input → events in the one order of judging.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::Progress;
use crate::cloudtrail;
use crate::decode::{Decoded, Fault, Limits, Place, decode_each};
use crate::event::Event;
use crate::report::Report;
use crate::text::escape_controls;

/// What all inputs held together.
#[derive(Debug, Default)]
pub struct Inputs {
    /// Events, in the order in which they are to be judged.
    pub events: Vec<Event>,
    /// Files that were opened and read, faulty ones too.
    pub files: u64,
    /// Bytes of them, as they are stored.
    pub bytes: u64,
    /// Files, folders or paths of which some or all could not be read.
    pub unreadable: u64,
    /// What could not be read, for the user.
    pub problems: Vec<Problem>,
}

/// Something that could not be read, as a message that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    input: String,
    message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", escape_controls(&self.input), escape_controls(&self.message))
    }
}

/// Faults named for one input; the rest is counted in a last message.
const NAMED_FAULTS: usize = 20;

/// Reads every path: a file, a folder to any depth, or `-` for standard input. Records that are
/// no events are counted in `report`.
#[must_use]
pub fn read(paths: &[PathBuf], progress: &Progress, report: &mut Report) -> Inputs {
    let mut reading = Reading { inputs: Inputs::default(), progress, report };
    for path in paths {
        if path.as_os_str() == "-" {
            let mut bytes = Vec::new();
            let result = std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes);
            reading.take("standard input", result);
        } else if path.is_dir() {
            reading.take_folder(path);
        } else {
            reading.take_file(path);
        }
    }
    let mut inputs = reading.inputs;
    // The text decides between records that claim one identity and differ, so that the outcome
    // does not depend on the order of the files.
    inputs.events.sort_by(|a, b| {
        a.order().cmp(&b.order()).then_with(|| {
            if a == b { std::cmp::Ordering::Equal } else { format!("{a:?}").cmp(&format!("{b:?}")) }
        })
    });
    inputs
}

/// A reading under way.
struct Reading<'a> {
    inputs: Inputs,
    progress: &'a Progress,
    report: &'a mut Report,
}

impl Reading<'_> {
    fn take_folder(&mut self, folder: &Path) {
        let mut found = false;
        for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name() {
            match entry {
                Ok(entry) if entry.file_type().is_file() && is_log(entry.path()) => {
                    found = true;
                    self.take_file(entry.path());
                }
                // Opening a pipe waits for somebody to write into it.
                Ok(entry) if !entry.file_type().is_dir() && is_log(entry.path()) => {
                    found = true;
                    self.inputs.unreadable += 1;
                    let cause = "is neither a file nor a folder and was not opened".to_owned();
                    self.problem(&entry.path().display().to_string(), cause);
                }
                Ok(_) => {}
                Err(error) => {
                    found = true;
                    self.inputs.unreadable += 1;
                    let path = error.path().unwrap_or(folder).display().to_string();
                    let cause = match error.io_error() {
                        Some(cause) => format!("cannot be read: {cause}"),
                        None => "is a link that leads back to itself".to_owned(),
                    };
                    self.problem(&path, cause);
                }
            }
        }
        if !found {
            self.inputs.unreadable += 1;
            let cause =
                "holds no logs: give a folder with .json, .jsonl or .ndjson files, plain or .gz";
            self.problem(&folder.display().to_string(), cause.to_owned());
        }
    }

    fn take_file(&mut self, path: &Path) {
        self.take(&path.display().to_string(), std::fs::read(path));
    }

    fn take(&mut self, name: &str, bytes: std::io::Result<Vec<u8>>) {
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => {
                self.inputs.unreadable += 1;
                return self.problem(name, format!("cannot be read: {error}"));
            }
        };
        self.inputs.files += 1;
        self.inputs.bytes += bytes.len() as u64;
        self.progress.read(self.inputs.files, self.inputs.bytes);
        let mut faults = FaultList::default();
        let decoded =
            decode_each(&bytes, Limits::default(), &mut |place, record| match cloudtrail::read(
                &record,
            ) {
                Ok(Some(event)) => self.inputs.events.push(event),
                Ok(None) => self.report.other += 1,
                Err(error) => faults.record(|| at(place, &error)),
            });
        self.take_faults(name, decoded, faults);
    }

    fn take_faults(&mut self, name: &str, decoded: Decoded, mut list: FaultList) {
        self.report.other += decoded.other;
        let damaged = decoded.faults.iter().any(|fault| matches!(fault, Fault::Input(_)));
        self.inputs.unreadable += u64::from(damaged);
        for fault in decoded.faults {
            match fault {
                Fault::Input(fault) => self.problem(name, fault.to_string()),
                Fault::Record(place, fault) => list.record(|| at(place, &fault)),
            }
        }
        list.records += decoded.more_faults;
        self.report.undecodable += list.records;
        let more = list.records - list.named.len() as u64;
        for message in list.named {
            self.problem(name, message);
        }
        if more > 0 {
            self.problem(name, format!("and {more} more records that could not be read"));
        }
    }

    fn problem(&mut self, input: &str, message: String) {
        self.inputs.problems.push(Problem { input: input.to_owned(), message });
    }
}

/// The faulty records of one input: the first by their messages, all by their number.
#[derive(Default)]
struct FaultList {
    named: Vec<String>,
    records: u64,
}

impl FaultList {
    fn record(&mut self, message: impl FnOnce() -> String) {
        self.records += 1;
        if self.named.len() < NAMED_FAULTS {
            self.named.push(message());
        }
    }
}

fn at(place: Place, fault: &dyn fmt::Display) -> String {
    format!("record {} (byte {}): {fault}", place.record, place.byte)
}

/// Whether a file in a folder is taken for a log.
fn is_log(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let plain = name.strip_suffix(".gz").unwrap_or(&name);
    [".json", ".jsonl", ".ndjson"].iter().any(|ending| plain.ends_with(ending))
}
