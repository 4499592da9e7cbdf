//! Log files, folders of them, and standard input → events in the one order of judging.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use crate::cloudtrail;
use crate::decode::{Decoded, Fault, Limits, Place, decode};
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
pub fn read(paths: &[PathBuf], report: &mut Report) -> Inputs {
    let mut inputs = Inputs::default();
    for path in paths {
        if path.as_os_str() == "-" {
            let mut bytes = Vec::new();
            let result = std::io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes);
            inputs.take("standard input", result, report);
        } else if path.is_dir() {
            inputs.take_folder(path, report);
        } else {
            inputs.take_file(path, report);
        }
    }
    // The text decides between records that claim one identity and differ, so that the outcome
    // does not depend on the order of the files.
    inputs.events.sort_by(|a, b| {
        a.order().cmp(&b.order()).then_with(|| {
            if a == b { std::cmp::Ordering::Equal } else { format!("{a:?}").cmp(&format!("{b:?}")) }
        })
    });
    inputs
}

impl Inputs {
    fn take_folder(&mut self, folder: &Path, report: &mut Report) {
        let mut found = false;
        for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name() {
            match entry {
                Ok(entry) if entry.file_type().is_file() && is_log(entry.path()) => {
                    found = true;
                    self.take_file(entry.path(), report);
                }
                Ok(_) => {}
                Err(error) => {
                    found = true;
                    self.unreadable += 1;
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
            self.unreadable += 1;
            let cause =
                "holds no logs: give a folder with .json, .jsonl or .ndjson files, plain or .gz";
            self.problem(&folder.display().to_string(), cause.to_owned());
        }
    }

    fn take_file(&mut self, path: &Path, report: &mut Report) {
        self.take(&path.display().to_string(), std::fs::read(path), report);
    }

    fn take(&mut self, name: &str, bytes: std::io::Result<Vec<u8>>, report: &mut Report) {
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => {
                self.unreadable += 1;
                return self.problem(name, format!("cannot be read: {error}"));
            }
        };
        self.files += 1;
        let Decoded { records, other, faults } = decode(&bytes, Limits::default());
        report.other += other;
        let mut messages = Vec::new();
        for (place, record) in records {
            match cloudtrail::read(&record) {
                Ok(Some(event)) => self.events.push(event),
                Ok(None) => report.other += 1,
                Err(error) => {
                    report.undecodable += 1;
                    messages.push(at(place, &error));
                }
            }
        }
        let damaged = faults.iter().any(|fault| matches!(fault, Fault::Input(_)));
        self.unreadable += u64::from(damaged);
        for fault in faults {
            match fault {
                Fault::Input(fault) => messages.push(fault.to_string()),
                Fault::Record(place, fault) => {
                    report.undecodable += 1;
                    messages.push(at(place, &fault));
                }
            }
        }
        self.name_faults(name, messages);
    }

    fn name_faults(&mut self, name: &str, messages: Vec<String>) {
        let more = messages.len().saturating_sub(NAMED_FAULTS);
        for message in messages.into_iter().take(NAMED_FAULTS) {
            self.problem(name, message);
        }
        if more > 0 {
            self.problem(name, format!("and {more} more records that could not be read"));
        }
    }

    fn problem(&mut self, input: &str, message: String) {
        self.problems.push(Problem { input: input.to_owned(), message });
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
