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
use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;
use serde_json::Value;

use super::scan::{next_line_of_json, next_object_beginning_with, skip_space, value_end};
use super::{Decoded, Fault, InputFault, Place, RecordFault};
use crate::cloudtrail;

/// Envelopes inside envelopes: a real one needs three (lines, message, record).
const MAX_DEPTH: usize = 5;

/// How CloudWatch Logs begins the text of a message by which it tries a destination.
const CONTROL_TEXT: &str = "CWL CONTROL MESSAGE";

/// The bytes of records, by their numbers.
pub(super) type Pieces = BTreeMap<u64, Vec<u8>>;

/// Decodes inflated bytes, and keeps the bytes of the `wanted` records. An input that is not
/// `whole` is known to be cut, so that its last, open record is no fault of its own.
pub(super) fn decode(bytes: &[u8], whole: bool, wanted: &dyn Fn(u64) -> bool) -> (Decoded, Pieces) {
    const BOM: &[u8] = b"\xEF\xBB\xBF";
    let bytes = bytes.strip_prefix(BOM).unwrap_or(bytes);
    let (decoded, pieces) = (Decoded::default(), Pieces::new());
    let mut walk = Walk { decoded, seen: 0, base: 0, whole, wanted, pieces };
    if bytes.trim_ascii().is_empty() {
        return (Decoded::of_fault(InputFault::Empty), Pieces::new());
    }
    let mut found_json = false;
    let mut at = skip_space(bytes, 0);
    while let Some(first) = bytes.get(at) {
        let next = if matches!(first, b'{' | b'[') {
            found_json = true;
            walk.value(bytes, at, 0, Elements::Any)
        } else {
            let shown = String::from_utf8_lossy(bytes.get(at..).unwrap_or_default().trim_ascii());
            let next = next_line_of_json(bytes, at).unwrap_or(bytes.len());
            walk.fault(bytes, at..next, RecordFault::BadJson(format!("`{}`", head(&shown))));
            next
        };
        at = skip_space(bytes, next);
    }
    if !found_json {
        let shown = String::from_utf8_lossy(bytes.trim_ascii());
        return (Decoded::of_fault(InputFault::NotJson(head(&shown))), Pieces::new());
    }
    (walk.decoded, walk.pieces)
}

fn head(text: &str) -> String {
    crate::text::escape_controls(&crate::text::clip(text.lines().next().unwrap_or_default(), 40))
}

/// What the elements of an array are, which tells how the next one begins when one is broken.
#[derive(Clone, Copy)]
enum Elements {
    Any,
    LogEvents,
    LookupEvents,
}

impl Elements {
    fn first_key(self) -> &'static str {
        match self {
            Self::Any => "\"eventVersion\"",
            Self::LogEvents => "\"id\"",
            Self::LookupEvents => "\"EventId\"",
        }
    }
}

/// The two fields that tell whether a record is ours.
#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(borrow, default, rename = "eventSource")]
    source: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "eventName")]
    name: Option<Cow<'a, str>>,
}

struct Walk<'w> {
    decoded: Decoded,
    seen: u64,
    /// Added to positions: where a nested text stands in the input.
    base: usize,
    whole: bool,
    /// Records whose bytes are asked for, and those found so far.
    wanted: &'w dyn Fn(u64) -> bool,
    pieces: Pieces,
}

impl Walk<'_> {
    /// Reads the value at `at` and returns where to go on.
    fn value(&mut self, bytes: &[u8], at: usize, depth: usize, of: Elements) -> usize {
        if depth > MAX_DEPTH {
            let end = value_end(bytes, at).unwrap_or(bytes.len());
            self.fault(bytes, at..end, RecordFault::TooDeep);
            return end;
        }
        match bytes.get(at) {
            Some(b'[') => self.array(bytes, at, depth + 1, of),
            Some(b'{') => self.object(bytes, at, depth, of),
            _ => {
                let end = value_end(bytes, at).unwrap_or(bytes.len());
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
                Some(_) => at = self.value(bytes, at, depth, of),
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
                None => match value_end(bytes, value) {
                    Some(end) => end,
                    None => break,
                },
            };
            member = skip_space(bytes, end);
            if bytes.get(member) == Some(&b',') {
                member = skip_space(bytes, member + 1);
            }
        }
        match (is_envelope, bytes.get(member)) {
            (true, Some(b'}')) => member + 1,
            (true, None) => bytes.len(),
            (true, Some(_)) => {
                let end = value_end(bytes, at)
                    .or_else(|| next_line_of_json(bytes, member))
                    .unwrap_or(bytes.len());
                let fault = RecordFault::BadJson("the envelope goes on with no member".into());
                self.fault(bytes, member..end, fault);
                end
            }
            (false, _) => self.record(bytes, at, of),
        }
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
                self.fault(bytes, value..end, RecordFault::BadJson(error.to_string()));
                return Some(end);
            }
        };
        let inner = text.as_bytes();
        let start = skip_space(inner, 0);
        if text.starts_with(CONTROL_TEXT) {
            self.seen += 1;
            self.decoded.other += 1;
        } else if inner.get(start) == Some(&b'{') {
            let outer = (self.base, self.whole);
            (self.base, self.whole) = (self.base + value, true);
            self.value(inner, start, depth + 1, Elements::Any);
            (self.base, self.whole) = outer;
        } else {
            let outer = self.base;
            self.base += value;
            let fault = RecordFault::BadJson(format!("`{}`", head(&text)));
            self.fault(inner, 0..inner.len(), fault);
            self.base = outer;
        }
        Some(end)
    }

    /// A record, whole and valid or not. After one that is not, the next record is looked for
    /// inside it, for a lost quote or bracket swallows what follows.
    fn record(&mut self, bytes: &[u8], at: usize, of: Elements) -> usize {
        let end = value_end(bytes, at);
        let span = bytes.get(at..end.unwrap_or(bytes.len())).unwrap_or_default();
        let fault = match (end, serde_json::from_slice::<Peek<'_>>(span)) {
            (Some(end), Ok(peek)) => match self.accept(span, at, &peek) {
                Ok(()) => return end,
                Err(fault) => fault,
            },
            (Some(_), Err(error)) => RecordFault::BadJson(error.to_string()),
            (None, _) => RecordFault::CutOff,
        };
        let next = next_object_beginning_with(bytes, at + 1, of.first_key());
        match (next, end) {
            (Some(next), end) if end.is_none_or(|end| next < end) => {
                self.fault(bytes, at..next, fault);
                next
            }
            (_, Some(end)) => {
                self.fault(bytes, at..end, fault);
                end
            }
            (_, None) => {
                self.cut_off(bytes, at, fault);
                bytes.len()
            }
        }
    }

    fn accept(&mut self, span: &[u8], at: usize, peek: &Peek<'_>) -> Result<(), RecordFault> {
        let Some(name) = &peek.name else {
            return self.accept_nameless(span);
        };
        if !cloudtrail::is_ours(peek.source.as_deref().unwrap_or_default(), name) {
            self.other(span);
            return Ok(());
        }
        let value =
            serde_json::from_slice(span).map_err(|e| RecordFault::BadJson(e.to_string()))?;
        self.seen += 1;
        self.keep(span);
        self.decoded.records.push((self.place(at), value));
        Ok(())
    }

    /// What lies in a trail's bucket, or in a Kinesis stream, beside records.
    fn accept_nameless(&mut self, span: &[u8]) -> Result<(), RecordFault> {
        let value: Value =
            serde_json::from_slice(span).map_err(|e| RecordFault::BadJson(e.to_string()))?;
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
        let is_digest = value.get("digestStartTime").is_some() && value.get("logFiles").is_some();
        let is_our_alert = text("schema").starts_with("rolewatch/alert/");
        let is_insight_or_aggregate = text("eventType").starts_with("AwsCloudTrail");
        if is_digest || is_our_alert || is_insight_or_aggregate {
            self.other(span);
            return Ok(());
        }
        Err(RecordFault::NoEventName)
    }

    fn other(&mut self, span: &[u8]) {
        self.seen += 1;
        self.decoded.other += 1;
        self.keep(span);
    }

    fn place(&self, at: usize) -> Place {
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
        let place = self.place(span.start);
        self.decoded.faults.push(Fault::Record(place, fault));
        self.keep(bytes.get(span).unwrap_or_default());
    }

    /// Keeps the bytes of the record that was counted last, if they are asked for.
    fn keep(&mut self, piece: &[u8]) {
        if (self.wanted)(self.seen) {
            self.pieces.insert(self.seen, piece.to_vec());
        }
    }
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
