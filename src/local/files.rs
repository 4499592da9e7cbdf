//! Files named by a user: single ones, folders of them, and standard input.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::Progress;
use crate::decode::{Decoded, Fault, Place};
use crate::text::escape_controls;

/// What became of all files together.
#[derive(Debug, Default)]
pub struct Files {
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

/// What was wrong with the contents of one file.
#[derive(Debug, Default)]
pub struct Faults {
    /// What is wrong with the file as a whole, and not with some record of it.
    damage: Vec<String>,
    /// The first of its faulty records.
    named: Vec<String>,
    /// All of them.
    records: u64,
}

/// Faults named for one input; the rest is counted in a last message.
const NAMED_FAULTS: usize = 20;

impl Faults {
    /// Takes in a record that decoded and yet could not be understood.
    pub fn record(&mut self, place: Place, fault: &dyn fmt::Display) {
        self.records += 1;
        if self.named.len() < NAMED_FAULTS {
            self.named.push(format!("record {} (byte {}): {fault}", place.record, place.byte));
        }
    }

    /// Takes in what decoding found.
    pub fn add(&mut self, decoded: Decoded) {
        for fault in decoded.faults {
            match fault {
                Fault::Input(fault) => self.damage.push(fault.to_string()),
                Fault::Record(place, fault) => self.record(place, &fault),
            }
        }
        self.records += decoded.more_faults;
    }

    /// Faulty records.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }
}

impl Files {
    /// Reads every path (a file, a folder to any depth, or `-` for standard input) and gives
    /// `take` the bytes of each file.
    pub fn read(paths: &[PathBuf], progress: &Progress, take: impl FnMut(&[u8]) -> Faults) -> Self {
        let mut reading = Reading { files: Self::default(), progress, take };
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
        reading.files
    }

    fn problem(&mut self, input: &str, message: String) {
        self.problems.push(Problem { input: input.to_owned(), message });
    }

    fn name(&mut self, input: &str, faults: Faults) {
        self.unreadable += u64::from(!faults.damage.is_empty());
        let more = faults.records - faults.named.len() as u64;
        for message in faults.damage.into_iter().chain(faults.named) {
            self.problem(input, message);
        }
        if more > 0 {
            self.problem(input, format!("and {more} more records that could not be read"));
        }
    }
}

/// A reading under way.
struct Reading<'a, F> {
    files: Files,
    progress: &'a Progress,
    take: F,
}

impl<F: FnMut(&[u8]) -> Faults> Reading<'_, F> {
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
                    self.files.unreadable += 1;
                    let cause = "is neither a file nor a folder and was not opened".to_owned();
                    self.files.problem(&entry.path().display().to_string(), cause);
                }
                Ok(_) => {}
                Err(error) => {
                    found = true;
                    self.files.unreadable += 1;
                    let path = error.path().unwrap_or(folder).display().to_string();
                    let cause = match error.io_error() {
                        Some(cause) => format!("cannot be read: {cause}"),
                        None => "is a link that leads back to itself".to_owned(),
                    };
                    self.files.problem(&path, cause);
                }
            }
        }
        if !found {
            self.files.unreadable += 1;
            let cause =
                "holds no logs: give a folder with .json, .jsonl or .ndjson files, plain or .gz";
            self.files.problem(&folder.display().to_string(), cause.to_owned());
        }
    }

    fn take_file(&mut self, path: &Path) {
        self.take(&path.display().to_string(), std::fs::read(path));
    }

    fn take(&mut self, name: &str, bytes: std::io::Result<Vec<u8>>) {
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => {
                self.files.unreadable += 1;
                return self.files.problem(name, format!("cannot be read: {error}"));
            }
        };
        self.files.files += 1;
        self.files.bytes += bytes.len() as u64;
        self.progress.read(self.files.files, self.files.bytes);
        let faults = (self.take)(&bytes);
        self.files.name(name, faults);
    }
}

/// Whether a file in a folder is taken for a log.
fn is_log(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let plain = name.strip_suffix(".gz").unwrap_or(&name);
    [".json", ".jsonl", ".ndjson"].iter().any(|ending| plain.ends_with(ending))
}
