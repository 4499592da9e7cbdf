//! The records of a Kinesis batch → what is retried together: events, and what is given up.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::{SignedDuration, Timestamp};

use crate::cloudtrail;
use crate::dead_letter::{DeadLetter, Kind, Lost, Reference};
use crate::decode::{Fault, Limits, decode_each, pieces};
use crate::event::Event;
use crate::pipeline::Unit;

/// Most bytes that one Kinesis record may inflate to. CloudWatch Logs puts at most 1 MB of gzip
/// into one, about 10 MB of text; a bomb of the same size would inflate to a gigabyte.
const LIMITS: Limits = Limits { inflated_bytes: 64 << 20 };

/// Most events of ours in one Kinesis record. A megabyte of gzip holds some thousand records of a
/// real trail; what somebody packs to keep the function busy is buried.
const MOST_EVENTS: usize = 50_000;

/// Most dead letters about one Kinesis record; where there would be more, one carries all of it.
const MOST_PIECES: u64 = 100;

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
    /// Records that can never be judged beyond those in `lost`, one of which stands for them.
    pub more_lost: u64,
    /// Events of the record behind these. Then what is beside events is told with the last ones.
    pub left: usize,
}

impl Unpacked {
    /// What the transaction takes.
    #[must_use]
    pub fn unit(&self) -> Unit<'_> {
        let Self { events, numbers, other, lost, more_lost, left: _ } = self;
        Unit { events, numbers, other: *other, lost, more_lost: *more_lost }
    }
}

/// Decodes one Kinesis record. A failure of decoding itself gives up that record and no other.
#[must_use]
pub fn unpack(arrived: &Arrived<'_>) -> Unpacked {
    unpack_part(arrived, 0, MOST_EVENTS)
}

/// Decodes one Kinesis record for its events from the one at `from` on, `most` of them: all at
/// once may take more memory than a function has. They are numbered as they stand in the record;
/// each part is brought into its own order, as the records of a stream are.
#[must_use]
pub fn unpack_part(arrived: &Arrived<'_>, from: usize, most: usize) -> Unpacked {
    catch_unwind(AssertUnwindSafe(|| unpacked(arrived, from, most))).unwrap_or_else(|_| {
        let reason = "decoding it failed: a bug of rolewatch".to_owned();
        let lost = vec![Lost { record: None, kind: Kind::Bug, reason }];
        Unpacked { lost, ..Unpacked::default() }
    })
}

fn unpacked(arrived: &Arrived<'_>, from: usize, most: usize) -> Unpacked {
    let (mut events, mut other, mut all) = (Vec::new(), 0, 0_usize);
    let wanted = from..from.saturating_add(most).min(MOST_EVENTS);
    let mut losses = Losses::default();
    let decoded = decode_each(arrived.data, LIMITS, &mut |place, record| {
        let record_number = Some(place.record);
        match cloudtrail::read_in_place(record) {
            Ok(Some(event)) => match future(&event, arrived.time) {
                None => {
                    if wanted.contains(&all) {
                        events.push((place.record, event));
                    }
                    all += 1;
                }
                Some(reason) => losses.add(record_number, Kind::FromTheFuture, || reason),
            },
            Ok(None) => other += 1,
            Err(error) => losses.add(record_number, Kind::NotUnderstood, || error.to_string()),
        }
    });
    // What a record issued comes before what uses it, within the same second.
    events.sort_by(|a, b| a.1.order().cmp(&b.1.order()));
    let (numbers, events) = events.into_iter().unzip();
    let left = all.min(MOST_EVENTS).saturating_sub(wanted.end);
    if left > 0 {
        return Unpacked { events, numbers, left, ..Unpacked::default() };
    }
    let beyond = all.saturating_sub(MOST_EVENTS) as u64;
    for fault in decoded.faults {
        match fault {
            Fault::Input(fault) => losses.add(None, Kind::Undecodable, || fault.to_string()),
            Fault::Record(place, fault) => {
                losses.add(Some(place.record), Kind::Undecodable, || fault.to_string());
            }
        }
    }
    let (lost, more_lost) = losses.told(decoded.more_faults + beyond);
    Unpacked { events, numbers, other: other + decoded.other, lost, more_lost, left }
}

/// What of a Kinesis record cannot be judged: so much as gets a letter of its own, and the count.
#[derive(Default)]
struct Losses {
    lost: Vec<Lost>,
    count: u64,
}

impl Losses {
    fn add(&mut self, record: Option<u64>, kind: Kind, reason: impl FnOnce() -> String) {
        self.count += 1;
        if self.count <= MOST_PIECES {
            self.lost.push(Lost { record, kind, reason: reason() });
        }
    }

    /// What is buried, and how many losses beyond that it stands for. Where there are too many,
    /// or `more` of which nothing is known, one letter with all of the Kinesis record goes out in
    /// time; thousands would hold up the shard.
    fn told(self, more: u64) -> (Vec<Lost>, u64) {
        let all = self.count + more;
        if more == 0 && all <= MOST_PIECES {
            return (self.lost, 0);
        }
        (vec![whole(&self.lost, all)], all - 1)
    }
}

/// The loss of all of a Kinesis record, in place of `all` losses in it.
fn whole(lost: &[Lost], all: u64) -> Lost {
    let kind = lost.first().map_or(Kind::Undecodable, |first| first.kind);
    Lost { record: None, kind, reason: format!("{all} records in it cannot be judged") }
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
    // Nothing is decoded again for what goes as a whole. What could not be decoded once may fail
    // again; then all of it goes.
    let found = match wanted.is_empty() {
        true => BTreeMap::new(),
        false => catch_unwind(|| pieces(arrived.data, LIMITS, &wanted)).unwrap_or_default(),
    };
    let letter = |lost: &Lost| {
        let piece = lost.record.and_then(|number| found.get(&number));
        let piece = piece.filter(|piece| !piece.is_empty());
        let record = lost.record.filter(|_| piece.is_some());
        let reference = reference(arrived, record);
        DeadLetter::to_message(reference, lost, piece.map_or(arrived.data, Vec::as_slice))
    };
    lost.iter().map(letter).collect()
}

/// What gets a letter of what was lost: where judging found bugs in it, that may have become more
/// than a shard can wait for.
#[must_use]
pub fn told(lost: &[Lost]) -> Cow<'_, [Lost]> {
    match lost.len() as u64 {
        0..=MOST_PIECES => lost.into(),
        all => vec![whole(lost, all)].into(),
    }
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
