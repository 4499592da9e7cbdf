//! Log files → events in the one order of judging.

use std::fmt;
use std::path::PathBuf;

use super::{Faults, Files, Progress};
use crate::cloudtrail;
use crate::decode::{Decoded, Fault, Limits, Place, decode};
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

/// Reads every path. Records that are no events are counted in `report`.
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
    let Decoded { records, other, faults } = decode(bytes, Limits::default());
    report.other += other;
    let mut found = Faults::default();
    for (place, record) in records {
        match cloudtrail::read(&record) {
            Ok(Some(event)) => events.push(event),
            Ok(None) => report.other += 1,
            Err(error) => {
                report.undecodable += 1;
                found.messages.push(at(place, &error));
            }
        }
    }
    for fault in faults {
        report.undecodable += u64::from(matches!(fault, Fault::Record(..)));
        found.add(fault);
    }
    found
}

impl Faults {
    /// Takes in what decoding found.
    pub fn add(&mut self, fault: Fault) {
        match fault {
            Fault::Input(fault) => {
                self.is_damaged = true;
                self.messages.push(fault.to_string());
            }
            Fault::Record(place, fault) => self.messages.push(at(place, &fault)),
        }
    }
}

fn at(place: Place, fault: &dyn fmt::Display) -> String {
    format!("record {} (byte {}): {fault}", place.record, place.byte)
}
