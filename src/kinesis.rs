//! The records of a Kinesis batch → what is retried together: events, and what is given up.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::{SignedDuration, Timestamp};

use crate::cloudtrail;
use crate::dead_letter::{DeadLetter, Kind, Lost, Reference};
use crate::decode::{Decoded, Fault, Limits, decode, pieces};
use crate::event::Event;
use crate::pipeline::Unit;

/// Most bytes that one Kinesis record may inflate to. CloudWatch Logs puts at most 1 MB of gzip
/// into one, about 10 MB of text; a bomb of the same size would inflate to a gigabyte.
const LIMITS: Limits = Limits { inflated_bytes: 64 << 20 };

/// How far an event may be ahead of its arrival. Whoever can put records can invent times; clocks
/// that differ by more are not believed.
const AHEAD: SignedDuration = SignedDuration::from_mins(15);

/// One Kinesis record, as it arrived.
#[derive(Debug, Clone, Copy)]
pub struct Arrived<'a> {
    /// The stream's ARN or name, where it is known.
    pub stream: Option<&'a str>,
    /// Its shard.
    pub shard: &'a str,
    /// Its place in the shard.
    pub sequence_number: &'a str,
    /// When the stream took it.
    pub time: Timestamp,
    /// What it carries.
    pub data: &'a [u8],
}

/// What one Kinesis record held. The shard is acknowledged up to whole ones of these.
#[derive(Debug, Default)]
pub struct Unpacked {
    /// Events, in the order in which they are to be judged.
    pub events: Vec<Event>,
    /// The numbers of the records they are from.
    pub numbers: Vec<u64>,
    /// Well-formed records that do not concern rolewatch.
    pub other: u64,
    /// What can never be judged.
    pub lost: Vec<Lost>,
}

impl Unpacked {
    /// What the transaction takes.
    #[must_use]
    pub fn unit(&self) -> Unit<'_> {
        let Self { events, numbers, other, lost } = self;
        Unit { events, numbers, other: *other, lost }
    }
}

/// Decodes one Kinesis record. A failure of decoding itself gives up that record and no other.
#[must_use]
pub fn unpack(arrived: &Arrived<'_>) -> Unpacked {
    catch_unwind(AssertUnwindSafe(|| unpacked(arrived))).unwrap_or_else(|_| {
        let reason = "decoding it failed: a bug of rolewatch".to_owned();
        let lost = vec![Lost { record: None, kind: Kind::Bug, reason }];
        Unpacked { lost, ..Unpacked::default() }
    })
}

fn unpacked(arrived: &Arrived<'_>) -> Unpacked {
    let Decoded { records, other, faults } = decode(arrived.data, LIMITS);
    let mut unpacked = Unpacked { other, ..Unpacked::default() };
    let mut events = Vec::with_capacity(records.len());
    let mut lose = |record: Option<u64>, kind: Kind, reason: String| {
        unpacked.lost.push(Lost { record, kind, reason });
    };
    for (place, record) in records {
        let number = Some(place.record);
        match cloudtrail::read(&record) {
            Ok(Some(event)) => match future(&event, arrived.time) {
                None => events.push((place.record, event)),
                Some(reason) => lose(number, Kind::FromTheFuture, reason),
            },
            Ok(None) => unpacked.other += 1,
            Err(error) => lose(number, Kind::NotUnderstood, error.to_string()),
        }
    }
    for fault in faults {
        match fault {
            Fault::Input(fault) => lose(None, Kind::Undecodable, fault.to_string()),
            Fault::Record(place, fault) => {
                lose(Some(place.record), Kind::Undecodable, fault.to_string());
            }
        }
    }
    // What a record issued comes before what uses it, within the same second.
    events.sort_by(|a, b| a.1.order().cmp(&b.1.order()));
    (unpacked.numbers, unpacked.events) = events.into_iter().unzip();
    unpacked
}

/// What is wrong with the time of an event, if it claims to come from the future.
fn future(event: &Event, arrived: Timestamp) -> Option<String> {
    let time = event.call().time;
    (time.duration_since(arrived) > AHEAD)
        .then(|| format!("its time {time} is later than its arrival at {arrived}"))
}

/// The dead letters about what was `lost` of a Kinesis record: the record inside it where there
/// is one, else all of it.
#[must_use]
pub fn letters(arrived: &Arrived<'_>, lost: &[Lost]) -> Vec<String> {
    let wanted: BTreeSet<u64> = lost.iter().filter_map(|it| it.record).collect();
    // What could not be decoded once may fail again; then the whole record goes.
    let found = catch_unwind(|| pieces(arrived.data, LIMITS, &wanted)).unwrap_or_default();
    let letter = |lost: &Lost| {
        let piece = lost.record.and_then(|number| found.get(&number));
        let piece = piece.filter(|piece| !piece.is_empty());
        let record = lost.record.filter(|_| piece.is_some());
        let reference = reference(arrived, record);
        DeadLetter::to_message(reference, lost, piece.map_or(arrived.data, Vec::as_slice))
    };
    lost.iter().map(letter).collect()
}

/// Where a record stands.
#[must_use]
pub fn reference(arrived: &Arrived<'_>, record: Option<u64>) -> Reference {
    Reference {
        stream: arrived.stream.map(str::to_owned),
        shard: arrived.shard.to_owned(),
        sequence_number: arrived.sequence_number.to_owned(),
        record,
    }
}

#[cfg(test)]
mod tests;
