//! Bytes → wire records. Never fails whole: it gives the records it found and the faults beside
//! them, and one broken record costs none of its neighbours.
//!
//! The format is recognised by content. See [`envelope`] for the shapes a record arrives in, and
//! [`fast`] for how most records are passed over without being read.

mod envelope;
mod fast;
mod gzip;
mod resync;
mod scan;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::json::{Json, Tape};

/// How far decoding goes before it says that an input is not what it claims to be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most bytes that one compressed input may inflate to. What was inflated up to there is
    /// read; the rest is reported.
    pub inflated_bytes: usize,
}

impl Default for Limits {
    /// 256 MiB: a CloudTrail log file inflates to some tens of MiB at most.
    fn default() -> Self {
        Self { inflated_bytes: 256 << 20 }
    }
}

/// What an input held.
#[derive(Debug, Default)]
pub struct Decoded {
    /// Records that rolewatch reads, as JSON, each with its place.
    pub records: Vec<(Place, Value)>,
    /// Well-formed records that do not concern rolewatch.
    pub other: u64,
    /// What could not be decoded: of the records the first 1,000.
    pub faults: Vec<Fault>,
    /// Further records that could not be decoded, of which nothing else is kept.
    pub more_faults: u64,
}

/// Where in the inflated input something stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The record's number in the input, from 1.
    pub record: u64,
    /// The byte it begins at.
    pub byte: usize,
}

/// Something that could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The input as a whole, or all of it from some point on.
    Input(InputFault),
    /// One record; its neighbours are read.
    Record(Place, RecordFault),
}

/// What can be wrong with a whole input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputFault {
    /// Nothing in it.
    #[error("it is empty")]
    Empty,
    /// No JSON anywhere; what there is instead, in words that show nothing of it.
    #[error("it is not JSON (it begins with {0}): give CloudTrail logs, plain or gzip")]
    NotJson(String),
    /// Some producer aggregated several records into one.
    #[error(
        "it is a KPL-aggregated Kinesis record, which is not supported: \
         turn aggregation off in the producer"
    )]
    KplAggregated,
    /// A compressed input ends too early or is damaged.
    #[error(
        "its gzip data is {0} after {1} inflated bytes: fetch the file again; what came before was read"
    )]
    Gzip(GzipDamage, usize),
    /// More inflated bytes than allowed.
    #[error("it inflates to more than {0} bytes and was read up to there: inflate it and split it")]
    TooLarge(usize),
    /// Something else stands behind compressed data that is whole.
    #[error("{0} bytes behind the gzip data are not gzip and were passed over")]
    BehindGzip(usize),
    /// What stands around records is damaged: so many times, and first at this byte.
    #[error(
        "what stands around its records is damaged in {0} places, first at byte {1}: \
         the records that were found there were read"
    )]
    Envelopes(u64, usize),
}

/// In which way compressed data is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GzipDamage {
    /// The end is missing.
    Truncated,
    /// The bytes do not make sense.
    Corrupt,
}

impl fmt::Display for GzipDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "cut off",
            Self::Corrupt => "corrupt",
        })
    }
}

/// What can be wrong with one record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// The input ends inside the record.
    #[error("the input ends inside it")]
    CutOff,
    /// Not JSON.
    #[error("not valid JSON: {0}")]
    BadJson(String),
    /// JSON without the field that makes it a CloudTrail record.
    #[error("JSON, but no CloudTrail record: it has no `eventName`")]
    NoEventName,
    /// An envelope inside an envelope inside an envelope.
    #[error("envelopes nested too deep")]
    TooDeep,
}

/// Decodes one input: a file, or the data of one Kinesis record.
#[must_use]
pub fn decode(bytes: &[u8], limits: Limits) -> Decoded {
    let mut records = Vec::new();
    let decoded = decode_each(bytes, limits, &mut |place, record| {
        records.push((place, record.to_value()));
    });
    Decoded { records, ..decoded }
}

/// Decodes one input and hands its records out one by one, for all of them at once may take a
/// thousand times the memory of a compressed input. The `records` of the answer are empty.
///
/// This is the one way in for files, streams and the Lambda.
pub fn decode_each(bytes: &[u8], limits: Limits, sink: &mut dyn FnMut(Place, Json<'_>)) -> Decoded {
    open(bytes, limits, Read::Ours, &mut |place, _, record| {
        if let Some(record) = record {
            sink(place, record);
        }
    })
}

/// Decodes one input and hands out the text of every sound record, whether it concerns rolewatch
/// or not, without the envelopes around it. The `records` of the answer are empty.
pub fn texts(bytes: &[u8], limits: Limits, sink: &mut dyn FnMut(&[u8])) -> Decoded {
    open(bytes, limits, Read::All, &mut |_, text, _| sink(text))
}

/// Which records are read: of the others it is enough to know how many they are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Read {
    Ours,
    All,
}

fn open(bytes: &[u8], limits: Limits, read: Read, sink: envelope::Sink<'_>) -> Decoded {
    const KPL_MAGIC: [u8; 4] = [0xF3, 0x89, 0x9A, 0xC2];
    if bytes.starts_with(&KPL_MAGIC) {
        return Decoded::of_fault(InputFault::KplAggregated);
    }
    Tools::lent(|tools| {
        let mut opened = gzip::open(bytes, limits.inflated_bytes, &mut tools.inflater);
        opened.checked &= read == Read::Ours;
        let mut decoded = match opened.bytes.is_empty() && !opened.whole {
            true => Decoded::default(),
            false => envelope::decode(&opened, &mut tools.tape, sink),
        };
        decoded.faults.extend(opened.faults.into_iter().map(Fault::Input));
        decoded
    })
}

/// What is used again for every input: fresh memory costs more than what is done with it.
#[derive(Default)]
struct Tools {
    inflater: gzip::Inflater,
    tape: Tape,
}

impl Tools {
    /// Lends a thread's tools. A sink that decodes itself gets others.
    fn lent<T>(work: impl FnOnce(&mut Self) -> T) -> T {
        thread_local! {
            static TOOLS: Cell<Option<Box<Tools>>> = const { Cell::new(None) };
        }
        let mut tools = TOOLS.take().unwrap_or_default();
        let done = work(&mut tools);
        tools.inflater.shrink();
        TOOLS.set(Some(tools));
        done
    }
}

/// The bytes of some records of an input, by the numbers that [`decode`] gave them with the same
/// limits: of a faulty one up to where decoding went on, of a record inside a JSON string the
/// unquoted text. One that consists of nothing, because the input ends before it, is empty.
///
/// The input is decoded again, for nearly all inputs are without a fault, and their bytes need
/// not be held.
#[must_use]
pub fn pieces(bytes: &[u8], limits: Limits, wanted: &BTreeSet<u64>) -> BTreeMap<u64, Vec<u8>> {
    Tools::lent(|tools| {
        let opened = gzip::open(bytes, limits.inflated_bytes, &mut tools.inflater);
        envelope::pieces(&opened, &mut tools.tape, wanted)
    })
}

/// What `bytes` begin with, in words that show no more of them than one character: what stands
/// where a record is expected can be a session token as well.
fn describe(bytes: &[u8]) -> String {
    const LONGEST_CHARACTER: usize = 4;
    let bytes = bytes.trim_ascii_start();
    let head = bytes.get(..LONGEST_CHARACTER).unwrap_or(bytes);
    let text = head.utf8_chunks().next().map(|chunk| chunk.valid()).unwrap_or_default();
    match text.chars().next() {
        Some(first) if !first.is_control() => {
            format!("`{}`", crate::text::escape_controls(first.encode_utf8(&mut [0; 4])))
        }
        _ => "binary data".to_owned(),
    }
}

impl Decoded {
    fn of_fault(fault: InputFault) -> Self {
        Self { faults: vec![Fault::Input(fault)], ..Self::default() }
    }
}

#[cfg(test)]
mod tests;
