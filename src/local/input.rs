//! Log files → events in the one order of judging.

use std::path::PathBuf;

use super::{Faults, Files, Progress};
use crate::cloudtrail;
use crate::decode::{Limits, decode_each};
use crate::event::Event;
use crate::report::Report;

/// What all inputs held together.
#[derive(Debug, Default)]
pub struct Inputs {
    /// Events, in the order in which they are to be judged.
    pub events: Vec<Event>,
    /// The files they are from.
    pub files: Files,
}

/// Reads every path: a file, a folder to any depth, or `-` for standard input. Records that are
/// no events are counted in `report`.
#[must_use]
pub fn read(paths: &[PathBuf], progress: &Progress, report: &mut Report) -> Inputs {
    let mut events = Vec::new();
    let files = Files::read(paths, progress, |bytes| take(bytes, &mut events, report));
    // The text decides between records that claim one identity and differ, so that the outcome
    // does not depend on the order of the files.
    events.sort_by(|a: &Event, b: &Event| {
        a.order().cmp(&b.order()).then_with(|| {
            if a == b { std::cmp::Ordering::Equal } else { format!("{a:?}").cmp(&format!("{b:?}")) }
        })
    });
    Inputs { events, files }
}

fn take(bytes: &[u8], events: &mut Vec<Event>, report: &mut Report) -> Faults {
    let mut faults = Faults::default();
    let mut take = |place, record| match cloudtrail::read(&record) {
        Ok(Some(event)) => events.push(event),
        Ok(None) => report.other += 1,
        Err(error) => faults.record(place, &error),
    };
    let decoded = decode_each(bytes, Limits::default(), &mut take);
    report.other += decoded.other;
    faults.add(decoded);
    report.undecodable += faults.records();
    faults
}
