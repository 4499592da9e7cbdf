//! The shapes a record arrives in, told apart by their keys:
//!
//! - `{"Records": […]}`, as CloudTrail writes to S3
//! - a bare array, a single record, or any number of values after one another (JSON lines)
//! - `{"Events": [{"CloudTrailEvent": "…"}]}`, the answer of LookupEvents
//! - `{"detail-type": …, "detail": {…}}`, an EventBridge event
//! - `{"messageType": …, "logEvents": [{"message": "…"}]}`, a CloudWatch Logs subscription
//!
//! They may be nested: an array of EventBridge events, lines of subscription messages.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::error::Category;

use super::fast::Ahead;
use super::gzip::Opened;
use super::resync::{Elements, Scout};
use super::scan::{skip_space, value_end};
use super::{Decoded, Fault, InputFault, Place, RecordFault, describe};
use crate::cloudtrail;
use crate::json::{Json, Tape};

/// Envelopes inside envelopes: a real one needs three (lines, message, record).
pub(super) const MAX_DEPTH: usize = 5;

/// How CloudWatch Logs begins the text of a message by which it tries a destination.
const CONTROL_TEXT: &str = "CWL CONTROL MESSAGE";

/// Faults kept with their places; the rest is counted, for a file of millions of them would
/// cost gigabytes.
const KEPT_FAULTS: usize = 1_000;

/// Takes the sound records one by one: where each stands, its text, and what it holds if it is
/// one that rolewatch reads. Of a record that is passed over it hears nothing, and the text of one
/// between those is as it was found: in a JSON string it is still escaped.
pub(super) type Sink<'s> = &'s mut dyn FnMut(Place, &[u8], Option<Json<'_>>);

/// Decodes inflated bytes. An input that is not `whole` is known to be cut, so that its last,
/// open record is no fault of its own.
pub(super) fn decode(opened: &Opened<'_>, tape: &mut Tape, sink: Sink<'_>) -> Decoded {
    walk(opened, &BTreeSet::new(), tape, sink).0
}

/// The bytes of the `wanted` records, by their numbers.
pub(super) fn pieces(opened: &Opened<'_>, tape: &mut Tape, wanted: &BTreeSet<u64>) -> Pieces {
    walk(opened, wanted, tape, &mut |_, _, _| {}).1
}

type Pieces = BTreeMap<u64, Vec<u8>>;

fn walk(
    opened: &Opened<'_>,
    wanted: &BTreeSet<u64>,
    tape: &mut Tape,
    sink: Sink<'_>,
) -> (Decoded, Pieces) {
    const BOM: &[u8] = b"\xEF\xBB\xBF";
    let bytes = opened.bytes.strip_prefix(BOM).unwrap_or(&opened.bytes);
    let mut at = skip_space(bytes, 0);
    if at == bytes.len() {
        return (Decoded::of_fault(InputFault::Empty), Pieces::new());
    }
    let mut walk = Walk {
        decoded: Decoded::default(),
        seen: 0,
        base: 0,
        whole: opened.whole,
        checked: opened.checked,
        wanted,
        pieces: Pieces::new(),
        tape,
        sink,
        scout: Scout::default(),
        ahead: Ahead::default(),
        unwinding: false,
        damage: None,
    };
    let mut found_json = false;
    // Whether reading went on in the middle of something, whose closing brackets are then left.
    let mut lost = false;
    while let Some(first) = bytes.get(at) {
        let next = match first {
            b'{' | b'[' => {
                found_json = true;
                match walk.pass_lines(bytes, at) {
                    next if next > at => next,
                    _ => walk.value(bytes, at, 0, Elements::Any),
                }
            }
            b',' if found_json => at + 1,
            b']' | b'}' if lost => at + 1,
            _ => {
                lost = true;
                walk.no_json(bytes, at)
            }
        };
        lost |= std::mem::replace(&mut walk.unwinding, false);
        at = skip_space(bytes, next);
    }
    if !found_json {
        let start = bytes.get(skip_space(bytes, 0)..).unwrap_or_default();
        return (Decoded::of_fault(InputFault::NotJson(describe(start))), Pieces::new());
    }
    let broken = walk.damage.map(|(count, at)| InputFault::Envelopes(count, at));
    walk.decoded.faults.extend(broken.map(Fault::Input));
    (walk.decoded, walk.pieces)
}

/// The two fields that tell whether a record is ours.
#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(borrow, default, rename = "eventSource")]
    source: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "eventName")]
    name: Option<Cow<'a, str>>,
}

pub(super) struct Walk<'w> {
    pub(super) decoded: Decoded,
    pub(super) seen: u64,
    /// Added to positions: where a nested text stands in the input.
    base: usize,
    whole: bool,
    /// Whether a checksum vouches for the bytes.
    pub(super) checked: bool,
    /// Records whose bytes are asked for, and those found so far.
    pub(super) wanted: &'w BTreeSet<u64>,
    pub(super) pieces: Pieces,
    pub(super) tape: &'w mut Tape,
    pub(super) sink: Sink<'w>,
    scout: Scout,
    /// What the fast way knows of this text.
    pub(super) ahead: Ahead,
    /// Set when the next value belongs to no array or object that is open: they are left.
    unwinding: bool,
    /// How often what stands around records is broken, and where first.
    damage: Option<(u64, usize)>,
}

/// Why a record is none, and whether it is a whole JSON value, so that its end is to be trusted.
struct Refusal {
    fault: RecordFault,
    whole: bool,
}

impl Walk<'_> {
    /// What is no JSON at all, up to where some begins.
    fn no_json(&mut self, bytes: &[u8], at: usize) -> usize {
        let next = self.scout.next(bytes, at, Elements::Any).map_or(bytes.len(), |it| it.at);
        let shown = describe(bytes.get(at..).unwrap_or_default());
        self.fault(bytes, at..next, RecordFault::BadJson(format!("it begins with {shown}")));
        next
    }

    /// Reads the value at `at` and returns where to go on.
    fn value(&mut self, bytes: &[u8], at: usize, depth: usize, of: Elements) -> usize {
        if depth > MAX_DEPTH {
            return match self.scout.end(bytes, at) {
                Some(end) => {
                    self.fault(bytes, at..end, RecordFault::TooDeep);
                    end
                }
                None => self.pass_broken(bytes, at, of, RecordFault::TooDeep),
            };
        }
        match bytes.get(at) {
            Some(b'[') => self.array(bytes, at, depth + 1, of),
            Some(b'{') => self.object(bytes, at, depth, of),
            _ => {
                let end = self.after_scalar(bytes, at, of);
                let fault = RecordFault::BadJson("a record has to be an object".into());
                self.fault(bytes, at..end, fault);
                end
            }
        }
    }

    fn array(&mut self, bytes: &[u8], at: usize, depth: usize, of: Elements) -> usize {
        let mut at = skip_space(bytes, at + 1);
        loop {
            match bytes.get(at) {
                None => {
                    self.cut_off(bytes, at, RecordFault::CutOff);
                    return bytes.len();
                }
                Some(b']') => return at + 1,
                Some(b',') => at += 1,
                Some(b'}') => {
                    self.damaged(at);
                    at += 1;
                }
                Some(_) => {
                    at = match self.pass_records(bytes, at, depth, of) {
                        next if next > at => next,
                        _ => self.value(bytes, at, depth, of),
                    };
                }
            }
            if self.unwinding {
                return at;
            }
            at = skip_space(bytes, at);
        }
    }

    /// An object is an envelope or a record; its keys tell which.
    fn object(&mut self, bytes: &[u8], at: usize, depth: usize, of: Elements) -> usize {
        let mut is_envelope = false;
        let mut member = skip_space(bytes, at + 1);
        while bytes.get(member) == Some(&b'"') {
            let Some(key_end) = value_end(bytes, member) else { break };
            let key = bytes.get(member..key_end).unwrap_or_default();
            let colon = skip_space(bytes, key_end);
            let value = skip_space(bytes, colon + 1);
            if bytes.get(colon) != Some(&b':') || is_key_of_a_record(key) {
                break;
            }
            let end = match self.envelope_member(bytes, key, value, depth) {
                Some(end) => {
                    is_envelope = true;
                    end
                }
                None => match self.scout.end(bytes, value) {
                    Some(end) => end,
                    None => break,
                },
            };
            if self.unwinding {
                return end;
            }
            member = skip_space(bytes, end);
            if bytes.get(member) == Some(&b',') {
                member = skip_space(bytes, member + 1);
            }
        }
        match (is_envelope, bytes.get(member)) {
            (true, Some(b'}')) => member + 1,
            (true, None) => bytes.len(),
            (true, Some(_)) => self.pass_envelope(bytes, at, member),
            (false, _) => self.record(bytes, at, of),
        }
    }

    /// The rest of an envelope that goes on with something else than a member.
    fn pass_envelope(&mut self, bytes: &[u8], at: usize, member: usize) -> usize {
        let next = self.scout.next(bytes, member, Elements::Any);
        let limit = next.map_or(bytes.len(), |it| it.at);
        let end = self.scout.end(bytes, at).filter(|end| *end <= limit);
        // What comes next stands in no array of this envelope any more.
        self.unwinding |= end.is_none();
        self.damaged(member);
        end.unwrap_or(limit)
    }

    /// What stands around records is broken here. That is no record of its own: those inside are
    /// counted as what they are.
    fn damaged(&mut self, at: usize) {
        let (count, _) = self.damage.get_or_insert((0, self.base + at));
        *count += 1;
    }

    /// Reads the member of an envelope that holds records; `None` for any other member.
    fn envelope_member(
        &mut self,
        bytes: &[u8],
        key: &[u8],
        value: usize,
        depth: usize,
    ) -> Option<usize> {
        match (key, bytes.get(value)?) {
            (b"\"Records\"", b'[') => Some(self.array(bytes, value, depth + 1, Elements::Any)),
            (b"\"Events\"", b'[') => {
                Some(self.array(bytes, value, depth + 1, Elements::LookupEvents))
            }
            (b"\"logEvents\"", b'[') => {
                Some(self.array(bytes, value, depth + 1, Elements::LogEvents))
            }
            (b"\"detail\"", b'{') => Some(self.value(bytes, value, depth + 1, Elements::Any)),
            (b"\"message\"" | b"\"CloudTrailEvent\"", b'"') => {
                self.text_member(bytes, value, depth)
            }
            _ => None,
        }
    }

    /// A record inside a JSON string.
    fn text_member(&mut self, bytes: &[u8], value: usize, depth: usize) -> Option<usize> {
        let end = value_end(bytes, value)?;
        let text: String = match serde_json::from_slice(bytes.get(value..end)?) {
            Ok(text) => text,
            Err(error) => {
                self.fault(bytes, value..end, bad_json(&error));
                return Some(end);
            }
        };
        let inner = text.as_bytes();
        let start = skip_space(inner, 0);
        if text.starts_with(CONTROL_TEXT) {
            self.seen += 1;
            self.decoded.other += 1;
        } else if inner.get(start) == Some(&b'{') {
            // The text is an input of its own: what is known of this one does not hold there.
            let known = (std::mem::take(&mut self.scout), std::mem::take(&mut self.ahead));
            let outer = (self.base, self.whole, known);
            (self.base, self.whole) = (self.base + value, true);
            self.value(inner, start, depth + 1, Elements::Any);
            (self.base, self.whole, (self.scout, self.ahead)) = outer;
            self.unwinding = false;
        } else {
            let outer = self.base;
            self.base += value;
            let fault = RecordFault::BadJson(format!("it begins with {}", describe(inner)));
            self.fault(inner, 0..inner.len(), fault);
            self.base = outer;
        }
        Some(end)
    }

    /// A record, whole and valid or not.
    fn record(&mut self, bytes: &[u8], at: usize, of: Elements) -> usize {
        let Some(end) = self.scout.end(bytes, at) else {
            return self.pass_broken(bytes, at, of, RecordFault::CutOff);
        };
        match self.accept(bytes.get(at..end).unwrap_or_default(), at) {
            Ok(()) => end,
            Err(Refusal { fault, whole: true }) => {
                self.fault(bytes, at..end, fault);
                end
            }
            Err(Refusal { fault, whole: false }) => self.pass_broken(bytes, at, of, fault),
        }
    }

    /// Goes on after a record that is no JSON, at whatever comes first: its end, if what follows
    /// looks like one, or the next record. A lost quote or bracket swallows what follows.
    ///
    /// Nothing behind the place where reading goes on is looked at twice, which keeps it linear.
    fn pass_broken(&mut self, bytes: &[u8], at: usize, of: Elements, fault: RecordFault) -> usize {
        let next = self.scout.next(bytes, at + 1, of);
        let limit = next.map_or(bytes.len(), |it| it.at);
        let before = bytes.get(..limit).unwrap_or_default();
        let end = value_end(before, at).filter(|end| next.is_none() || may_end(bytes, *end));
        if end.is_none() && next.is_none() {
            self.cut_off(bytes, at, fault);
            return limit;
        }
        let span = at..end.unwrap_or(limit);
        let fault = match fault {
            RecordFault::CutOff => broken(bytes.get(span.clone()).unwrap_or_default()),
            other => other,
        };
        self.fault(bytes, span.clone(), fault);
        self.unwinding |= end.is_none() && next.is_some_and(|it| it.at_top);
        span.end
    }

    fn accept(&mut self, span: &[u8], at: usize) -> Result<(), Refusal> {
        let peek: Peek<'_> = match serde_json::from_slice(span) {
            Ok(peek) => peek,
            Err(error) => {
                let whole = error.is_data() && serde_json::from_slice::<IgnoredAny>(span).is_ok();
                return Err(Refusal { fault: bad_json(&error), whole });
            }
        };
        let refuse = |error| Refusal { fault: bad_json(&error), whole: false };
        let Some(name) = &peek.name else {
            let value = serde_json::from_slice(span).map_err(refuse)?;
            let accepted = accept_nameless(&value);
            accepted.map_err(|fault| Refusal { fault, whole: true })?;
            self.other(span, at);
            return Ok(());
        };
        if !cloudtrail::is_ours(peek.source.as_deref().unwrap_or_default(), name) {
            self.other(span, at);
            return Ok(());
        }
        let flat = std::str::from_utf8(span).ok().and_then(|text| self.tape.read(text));
        let value = match flat {
            Some(_) => Value::Null,
            None => serde_json::from_slice(span).map_err(refuse)?,
        };
        let record = flat.as_ref().map_or(Json::Tree(&value), |flat| Json::Flat(flat.root()));
        let place = Place { record: self.seen + 1, byte: self.base + at };
        (self.sink)(place, span, Some(record));
        self.seen += 1;
        self.keep(span);
        Ok(())
    }

    /// A sound record that does not concern rolewatch.
    fn other(&mut self, span: &[u8], at: usize) {
        self.seen += 1;
        self.decoded.other += 1;
        let place = self.place(at);
        (self.sink)(place, span, None);
    }

    pub(super) fn place(&self, at: usize) -> Place {
        Place { record: self.seen, byte: self.base + at }
    }

    /// An input ends only once, however many brackets are open there; and one that is known to
    /// be cut has been reported as such.
    fn cut_off(&mut self, bytes: &[u8], at: usize, fault: RecordFault) {
        if std::mem::replace(&mut self.whole, false) {
            self.fault(bytes, at..bytes.len(), fault);
        }
    }

    fn fault(&mut self, bytes: &[u8], span: Range<usize>, fault: RecordFault) {
        self.seen += 1;
        if self.decoded.faults.len() < KEPT_FAULTS {
            let place = self.place(span.start);
            self.decoded.faults.push(Fault::Record(place, fault));
        } else {
            self.decoded.more_faults += 1;
        }
        self.keep(bytes.get(span).unwrap_or_default());
    }

    /// Keeps the bytes of the record that was counted last, if they are asked for.
    pub(super) fn keep(&mut self, piece: &[u8]) {
        if self.wanted.contains(&self.seen) {
            self.pieces.insert(self.seen, piece.to_vec());
        }
    }
    /// Where to go on after something that is no object: behind it where an array goes on there,
    /// else at the next record, for a lost quote turns text and structure round.
    fn after_scalar(&mut self, bytes: &[u8], at: usize, of: Elements) -> usize {
        let end = value_end(bytes, at).unwrap_or(bytes.len());
        if matches!(bytes.get(skip_space(bytes, end)), Some(b',' | b']')) {
            return end;
        }
        let Some(next) = self.scout.next(bytes, at, of) else { return end };
        self.unwinding |= next.at_top;
        next.at
    }
}

/// What lies in a trail's bucket, or in a Kinesis stream, beside records.
fn accept_nameless(value: &Value) -> Result<(), RecordFault> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
    let is_digest = value.get("digestStartTime").is_some() && value.get("logFiles").is_some();
    let is_our_alert = text("schema").starts_with("rolewatch/alert/");
    let is_insight_or_aggregate = text("eventType").starts_with("AwsCloudTrail");
    let is_known = is_digest || is_our_alert || is_insight_or_aggregate;
    if is_known { Ok(()) } else { Err(RecordFault::NoEventName) }
}

/// Whether what follows is what stands behind a value.
fn may_end(bytes: &[u8], end: usize) -> bool {
    let next = skip_space(bytes, end);
    let line_ends = bytes.get(end..next).unwrap_or_default().contains(&b'\n');
    line_ends || matches!(bytes.get(next), None | Some(b',' | b']' | b'}' | b'{'))
}

/// What is wrong with a record that no scan finds the end of.
fn broken(span: &[u8]) -> RecordFault {
    match serde_json::from_slice::<IgnoredAny>(span) {
        Err(error) => bad_json(&error),
        Ok(_) => RecordFault::BadJson("nested too deep".into()),
    }
}

/// The words of the parser, unless they may quote what is in the log: of a value of the wrong
/// kind it shows the value, and that can be a secret.
fn bad_json(error: &serde_json::Error) -> RecordFault {
    RecordFault::BadJson(match error.classify() {
        Category::Data => format!(
            "a field that names the event is no text at line {} column {}",
            error.line(),
            error.column()
        ),
        Category::Io | Category::Syntax | Category::Eof => error.to_string(),
    })
}

/// Keys that stand at the top of a CloudTrail record and of no envelope.
fn is_key_of_a_record(key: &[u8]) -> bool {
    matches!(
        key,
        b"\"eventVersion\""
            | b"\"eventName\""
            | b"\"eventSource\""
            | b"\"eventTime\""
            | b"\"eventID\""
            | b"\"userIdentity\""
    )
}
