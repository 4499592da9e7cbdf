//! Log files → events in the one order of judging.

use std::io;
use std::path::PathBuf;

use super::sort::{Sorted, Sorter};
use super::{Faults, Files, Progress};
use crate::cloudtrail;
use crate::decode::{Limits, decode_each};
use crate::event::Event;
use crate::report::Report;

/// What all inputs held together.
#[derive(Debug)]
pub struct Inputs {
    /// Events, in the order in which they are to be judged.
    pub events: Sorted,
    /// The files they are from.
    pub files: Files,
}

/// Events handed over at once: enough to be worth it, few enough to be no weight.
const PART: usize = 256;

/// A part of what one file held.
#[derive(Default)]
struct Part {
    events: Vec<Event>,
    other: u64,
    undecodable: u64,
}

/// Reads every path: a file, a folder to any depth, or `-` for standard input. Records that are
/// no events are counted in `report`.
///
/// # Errors
/// There was no room to set events aside that do not fit into memory.
pub fn read(paths: &[PathBuf], progress: &Progress, report: &mut Report) -> io::Result<Inputs> {
    let mut sorter = Sorter::default();
    let files = Files::read_side_by_side(paths, progress, take, |part| {
        report.other += part.other;
        report.undecodable += part.undecodable;
        sorter.push(part.events)
    })?;
    Ok(Inputs { events: sorter.finish()?, files })
}

fn take(bytes: &[u8], give: &mut dyn FnMut(Part)) -> Faults {
    let mut faults = Faults::default();
    let mut part = Part::default();
    let decoded = decode_each(bytes, Limits::default(), &mut |place, record| {
        match cloudtrail::read_in_place(record) {
            Ok(Some(event)) => part.events.push(event),
            Ok(None) => part.other += 1,
            Err(error) => faults.record(place, &error),
        }
        if part.events.len() == PART {
            give(std::mem::take(&mut part));
        }
    });
    part.other += decoded.other;
    faults.add(decoded);
    part.undecodable = faults.records();
    give(part);
    faults
}
