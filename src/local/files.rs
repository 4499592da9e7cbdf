//! Files named by a user: single ones, folders of them, and standard input.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fmt, fs, thread};

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
    /// `take` the bytes of each file, one after the other.
    pub fn read(
        paths: &[PathBuf],
        progress: &Progress,
        mut take: impl FnMut(&[u8]) -> Faults,
    ) -> Self {
        let mut files = Self::default();
        find(paths, &mut |found| {
            let (name, bytes) = bytes_of(found);
            let outcome = bytes.map(|bytes| (bytes.len() as u64, take(&bytes)));
            let input = Input { name, outcome };
            files.count(&input);
            progress.read(files.files, files.bytes);
            files.tell(input);
            true
        });
        files
    }

    /// Reads every path, and gives `take` the bytes of each file, of as many at a time as there are processors. What it makes
    /// of them goes to `gather`, part by part and in no order. Problems are told in order.
    ///
    /// # Errors
    /// The first of `gather`, which ends the reading.
    pub fn read_side_by_side<T: Send>(
        paths: &[PathBuf],
        progress: &Progress,
        take: impl Fn(&[u8], &mut dyn FnMut(T)) -> Faults + Sync,
        mut gather: impl FnMut(T) -> io::Result<()>,
    ) -> io::Result<Self> {
        let threads = thread::available_parallelism().map_or(1, NonZero::get);
        let (to_readers, found) = mpsc::sync_channel(threads);
        let (to_gatherer, read) = mpsc::sync_channel(2 * threads);
        // Only the readers hold it: when they are gone, nobody looks for further files.
        let found = Arc::new(Mutex::new(found));
        thread::scope(|scope| {
            scope.spawn(move || {
                let mut number = 0;
                find(paths, &mut |it| {
                    number += 1;
                    to_readers.send((number, it)).is_ok()
                });
            });
            for _ in 0..threads {
                let (found, to_gatherer, take) = (found.clone(), to_gatherer.clone(), &take);
                scope.spawn(move || read_files(&found, take, &to_gatherer));
            }
            drop((found, to_gatherer));
            let mut done = BTreeMap::new();
            let mut files = Self::default();
            for part in read {
                match part {
                    Part::Of(part) => gather(part)?,
                    Part::End(number, input) => {
                        files.count(&input);
                        progress.read(files.files, files.bytes);
                        if input.is_worth_telling() {
                            done.insert(number, input);
                        }
                    }
                }
            }
            done.into_values().for_each(|input| files.tell(input));
            Ok(files)
        })
    }

    fn count(&mut self, input: &Input) {
        match &input.outcome {
            Ok((bytes, faults)) => {
                self.files += 1;
                self.bytes += bytes;
                self.unreadable += u64::from(!faults.damage.is_empty());
            }
            Err(_) => self.unreadable += 1,
        }
    }

    fn tell(&mut self, input: Input) {
        match input.outcome {
            Ok((_, faults)) => self.name(&input.name, faults),
            Err(message) => self.problem(&input.name, message),
        }
    }

    fn problem(&mut self, input: &str, message: String) {
        self.problems.push(Problem { input: input.to_owned(), message });
    }

    fn name(&mut self, input: &str, faults: Faults) {
        let more = faults.records - faults.named.len() as u64;
        for message in faults.damage.into_iter().chain(faults.named) {
            self.problem(input, message);
        }
        if more > 0 {
            self.problem(input, format!("and {more} more records that could not be read"));
        }
    }
}

/// An input that was read, or could not be.
struct Input {
    name: String,
    outcome: Result<(u64, Faults), String>,
}

impl Input {
    fn is_worth_telling(&self) -> bool {
        let faults = self.outcome.as_ref().map(|(_, it)| it);
        faults.map_or(true, |it| !it.damage.is_empty() || it.records > 0)
    }
}

/// What comes back from a reader.
enum Part<T> {
    Of(T),
    End(u64, Input),
}

/// What stands under a path.
enum Found {
    StandardInput,
    File(PathBuf),
    Problem(String, String),
}

/// Reads files until there are no more, or nobody wants them.
fn read_files<T>(
    found: &Mutex<Receiver<(u64, Found)>>,
    take: &impl Fn(&[u8], &mut dyn FnMut(T)) -> Faults,
    parts: &SyncSender<Part<T>>,
) {
    let next = || found.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok((number, found)) = next() {
        let (name, bytes) = bytes_of(found);
        let outcome = bytes.map(|bytes| {
            let faults = take(&bytes, &mut |part| {
                // Whoever has stopped listening has told why.
                let _ = parts.send(Part::Of(part));
            });
            (bytes.len() as u64, faults)
        });
        if parts.send(Part::End(number, Input { name, outcome })).is_err() {
            return;
        }
    }
}

/// The name of what was found, and its bytes or why there are none.
fn bytes_of(found: Found) -> (String, Result<Vec<u8>, String>) {
    match found {
        Found::Problem(name, message) => (name, Err(message)),
        Found::File(path) => {
            (path.display().to_string(), fs::read(path).map_err(|error| unread(&error)))
        }
        Found::StandardInput => {
            let mut bytes = Vec::new();
            let read = io::stdin().lock().read_to_end(&mut bytes);
            ("standard input".to_owned(), read.map(|_| bytes).map_err(|error| unread(&error)))
        }
    }
}

fn unread(error: &io::Error) -> String {
    format!("cannot be read: {error}")
}

/// Hands out what stands under the paths, as long as it is wanted.
fn find(paths: &[PathBuf], give: &mut dyn FnMut(Found) -> bool) {
    for path in paths {
        let wanted = if path.as_os_str() == "-" {
            give(Found::StandardInput)
        } else if path.is_dir() {
            find_in_folder(path, give)
        } else {
            give(Found::File(path.clone()))
        };
        if !wanted {
            return;
        }
    }
}

fn find_in_folder(folder: &Path, give: &mut dyn FnMut(Found) -> bool) -> bool {
    let mut is_empty = true;
    for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name() {
        let found = match entry {
            Ok(entry) if entry.file_type().is_dir() || !is_log(entry.path()) => continue,
            Ok(entry) if entry.file_type().is_file() => Found::File(entry.into_path()),
            // Opening a pipe waits for somebody to write into it.
            Ok(entry) => {
                let cause = "is neither a file nor a folder and was not opened".to_owned();
                Found::Problem(entry.path().display().to_string(), cause)
            }
            Err(error) => {
                let path = error.path().unwrap_or(folder).display().to_string();
                let cause = match error.io_error() {
                    Some(cause) => format!("cannot be read: {cause}"),
                    None => "is a link that leads back to itself".to_owned(),
                };
                Found::Problem(path, cause)
            }
        };
        is_empty = false;
        if !give(found) {
            return false;
        }
    }
    let cause = "holds no logs: give a folder with .json, .jsonl or .ndjson files, plain or .gz";
    !is_empty || give(Found::Problem(folder.display().to_string(), cause.to_owned()))
}

/// Whether a file in a folder is taken for a log.
fn is_log(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let plain = name.strip_suffix(".gz").unwrap_or(&name);
    [".json", ".jsonl", ".ndjson"].iter().any(|ending| plain.ends_with(ending))
}
