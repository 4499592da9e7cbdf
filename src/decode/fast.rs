//! Passing over the records that are not ours, without reading them.
//!
//! Of a trail one record in twenty is ours, and inflating it is what takes the time. So most
//! records are only walked over, from brace to brace and to the name ([`Marks`] tells where these
//! stand), and only a record whose name is one of ours is read. Everything else about the
//! input is left to [`envelope`](super::envelope), which hands a run of records over and goes on
//! where the run ends. It is the specification: whatever is unlike what CloudTrail writes ends
//! the run, is read there, and costs time instead of truth.
//!
//! # What has to hold for a record to be passed over
//!
//! 1. A checksum vouches for the bytes: only gzip data that is whole comes here. Damage to plain
//!    text is looked for by reading all of it.
//! 2. It begins where the one before ended, with `{"eventVersion":"`, and so does the next one.
//! 3. Between both stands one `"eventName":"`, no more and no less. So every place in the input
//!    where that is written is looked at as the name of one record, or its record is read.
//! 4. The name is the record's own: more braces than were closed again before it, by one. What
//!    stands there (`userIdentity`, time and source) is written by AWS, not by the caller.
//! 5. The next beginning is that of the next element of the same array. A caller shapes what
//!    follows the name, as far as that a record may hold an array of things that look like
//!    records. But inside of JSON such a beginning cannot stand in a string, and in another array
//!    only if a `[` was opened since the name and not closed. So brackets are counted, those that
//!    can be told from brackets inside strings; one that cannot ends the run. And nothing else
//!    may have begun in between: a `}` outside of such arrays is followed by a key or a bracket.
//! 6. The name is none of ours, in plain letters.
//!
//! In a subscription message each record is a JSON string, in which a quote is escaped. So what
//! stands between two events (`},{"`) cannot be inside of one, and the first such place after the
//! beginning of a record is its end, if it looks like one.
//!
//! A record with a name of ours is read as a whole, has to end where the next one begins, and has
//! to have that name at its top. Then it is ours, or of another service and counted as other;
//! anything else ends the run before it.
//!
//! # What is given up
//!
//! A record that is not ours and not JSON inside, in spite of its checksum, is counted as other
//! and not as undecodable. CloudTrail would have to write such a one.

use memchr::{memchr, memchr2};

use super::envelope::{MAX_DEPTH, Walk};
use super::resync::Elements;
use super::{Place, Reading};
use crate::cloudtrail;
use crate::json::{BracketsAndN, Json, Marks};

/// How records follow one another.
struct Shape {
    /// What stands before a record, up to its first value.
    head: &'static [u8],
    /// What stands before its name.
    name: &'static [u8],
    /// What stands between two elements, behind the brace that ends the first. The second begins
    /// with the second byte.
    between: &'static [u8],
    /// How a quote is written inside a record.
    quote: &'static [u8],
    /// Whether a record is a text inside an element.
    is_text: bool,
}

/// `[{…},{…}]`
const ELEMENTS: Shape = Shape::of_records(b",{\"eventVersion\":\"");

/// A record a line.
const LINES: Shape = Shape::of_records(b"\n{\"eventVersion\":\"");

/// `[{"id":"…","timestamp":…,"message":"{…}"},{"id":…}]`
const MESSAGES: Shape = Shape {
    head: b"{\\\"eventVersion\\\":\\\"",
    name: b"\\\"eventName\\\":\\\"",
    between: b",{\"",
    quote: b"\\\"",
    is_text: true,
};

impl Shape {
    const fn of_records(between: &'static [u8]) -> Self {
        Self {
            head: b"{\"eventVersion\":\"",
            name: b"\"eventName\":\"",
            between,
            quote: b"\"",
            is_text: false,
        }
    }

    /// Where a name begins whose `N` stands at `at`, if it is a name's.
    fn name(&self, bytes: &[u8], at: usize) -> Option<usize> {
        if !bytes.get(at + 1..)?.starts_with(b"ame") {
            return None;
        }
        let text = at + self.name.len() - self.quote.len() - b"event".len();
        let from = text.checked_sub(self.name.len())?;
        bytes.get(from..)?.starts_with(self.name).then_some(text)
    }

    /// Whether the brace before these bytes is the last of a record.
    fn ends(&self, behind: &[u8]) -> bool {
        // Few others are followed by one, and to compare all costs most of what looking at a
        // brace costs.
        matches!(behind, [_, b'{', ..]) && behind.starts_with(self.between)
    }

    /// The end of the record before a boundary.
    fn end(&self, bytes: &[u8], boundary: usize) -> Option<usize> {
        if !self.is_text {
            return Some(boundary + 1);
        }
        let around = bytes.get(boundary.checked_sub(2)?..)?;
        around.starts_with(b"}\"},{\"id\":\"").then_some(boundary - 1)
    }
}

/// How far a text was looked at. Where a run could not go on there begins no other before the
/// place where that was seen, so that nothing is looked at again and again.
#[derive(Default)]
pub(super) struct Ahead(usize);

/// One record of a run.
struct Passed<'a> {
    /// The record, as it is written.
    span: &'a [u8],
    /// Its name, and where that stands in the record.
    name: &'a [u8],
    name_at: usize,
    /// Where the next element begins.
    next: usize,
}

impl Walk<'_> {
    /// Passes over elements of an array; where the first one stands that has to be read.
    pub(super) fn pass_records(
        &mut self,
        bytes: &[u8],
        at: usize,
        depth: usize,
        of: Elements,
    ) -> usize {
        let shape = match of {
            _ if !self.checked || depth > MAX_DEPTH => return at,
            Elements::Any => &ELEMENTS,
            Elements::LogEvents => &MESSAGES,
            Elements::LookupEvents => return at,
        };
        self.pass(shape, bytes, at)
    }

    /// Passes over lines; where the first one stands that has to be read.
    pub(super) fn pass_lines(&mut self, bytes: &[u8], at: usize) -> usize {
        if self.checked { self.pass(&LINES, bytes, at) } else { at }
    }

    fn pass(&mut self, shape: &Shape, bytes: &[u8], from: usize) -> usize {
        let mut at = from;
        if at < self.ahead.0 || record_start(shape, bytes, at).is_none() {
            return at;
        }
        let mut marks = Marks::new(bytes, at);
        loop {
            let Some(start) = record_start(shape, bytes, at) else { return at };
            let Some(passed) = passed(shape, &mut marks, bytes, start) else {
                self.ahead = Ahead(marks.seen());
                return at;
            };
            if !cloudtrail::may_be_ours(passed.name) {
                self.seen += 1;
                self.decoded.other += 1;
            } else if self.read(shape, &passed, start).is_none() {
                return at;
            }
            at = passed.next;
        }
    }

    /// Reads a record with a name of ours.
    fn read(&mut self, shape: &Shape, passed: &Passed<'_>, start: usize) -> Option<()> {
        let next = self.place(start - usize::from(shape.is_text));
        let place = Place { record: next.record + 1, ..next };
        let Reading { tape, text } = &mut *self.reading;
        let (text, name_at) = match shape.is_text {
            true => {
                let name_at = unescape(passed.span, passed.name_at, text)?;
                (text.as_slice(), name_at)
            }
            false => (passed.span, passed.name_at),
        };
        let record = tape.read(std::str::from_utf8(text).ok()?)?;
        let name = record.only_text("eventName")?;
        let source = record.only_text("eventSource")?.string()?;
        if name.start() != name_at {
            return None;
        }
        self.seen += 1;
        if cloudtrail::is_ours(&source, name.raw()) {
            (self.sink)(place, text, Some(Json::Flat(record)));
            if self.wanted.contains(&self.seen) {
                self.pieces.insert(self.seen, text.to_vec());
            }
        } else {
            self.decoded.other += 1;
        }
        Some(())
    }
}

/// Where the record of the element at `at` begins.
fn record_start(shape: &Shape, bytes: &[u8], at: usize) -> Option<usize> {
    let element = bytes.get(at..)?;
    let record = match shape.is_text {
        false => element,
        true => {
            let rest = element.strip_prefix(b"{\"id\":\"")?;
            let (id, rest) = rest.split_at_checked(memchr(b'"', rest)?)?;
            // All of it, however it begins: so several are looked at together.
            let is_id = |it: &u8| it.is_ascii_alphanumeric() | (*it == b'-');
            if !id.iter().fold(true, |fine, it| fine & is_id(it)) {
                return None;
            }
            let rest = rest.strip_prefix(b"\",\"timestamp\":")?;
            behind(rest, u8::is_ascii_digit).strip_prefix(b",\"message\":\"")?
        }
    };
    record.starts_with(shape.head).then_some(bytes.len() - record.len())
}

/// What follows the first bytes that are such.
fn behind(bytes: &[u8], is_such: impl Fn(&u8) -> bool) -> &[u8] {
    let len = bytes.iter().take_while(|it| is_such(it)).count();
    bytes.get(len..).unwrap_or_default()
}

/// The record that begins at `start`, if all holds that has to (see the module) for passing over
/// it. `marks` are those from its beginning on, and afterwards those behind it.
fn passed<'a>(
    shape: &Shape,
    marks: &mut Marks<'_, BracketsAndN>,
    bytes: &'a [u8],
    start: usize,
) -> Option<Passed<'a>> {
    let text = own_name(shape, marks, bytes, start)?;
    let boundary = boundary(shape, marks, bytes)?;
    Some(Passed {
        span: bytes.get(start..shape.end(bytes, boundary)?)?,
        name: plain_text(bytes.get(text..boundary)?, shape.quote)?,
        name_at: text - start,
        next: boundary + 2,
    })
}

/// The name of the record that begins at `start`, if the first that comes is its own.
fn own_name(
    shape: &Shape,
    marks: &mut Marks<'_, BracketsAndN>,
    bytes: &[u8],
    start: usize,
) -> Option<usize> {
    let mut open = 0_usize;
    for at in marks.skip_while(|at| *at < start) {
        match bytes.get(at..)? {
            [b'{', ..] => open += 1,
            [b'}', behind @ ..] if shape.ends(behind) => return None,
            [b'}', ..] => open = open.checked_sub(1)?,
            [b'N', ..] => {
                if let Some(text) = shape.name(bytes, at) {
                    return (open == 1).then_some(text);
                }
            }
            _ => {}
        }
    }
    None
}

/// Where the record ends whose name was the last mark: its last brace, if from the name to there
/// no array was opened and left open, and no other element was begun, and that can be told.
fn boundary(shape: &Shape, marks: &mut Marks<'_, BracketsAndN>, bytes: &[u8]) -> Option<usize> {
    let mut open = 0_usize;
    for at in marks {
        let is_fine = match bytes.get(at..)? {
            [b'}', behind @ ..] if shape.ends(behind) => {
                return (open == 0).then_some(at);
            }
            [b'N', ..] => shape.name(bytes, at).is_none(),
            _ if shape.is_text => true,
            // Inside of an array anything may begin.
            [b'}', behind @ ..] => open > 0 || ends_a_value(behind),
            [b'[', ..] => {
                open += usize::from(may_open(bytes, at));
                true
            }
            [b']', ..] => match closes(bytes, at) {
                Some(true) if open > 0 => {
                    open -= 1;
                    true
                }
                Some(is_bracket) => !is_bracket,
                None => false,
            },
            _ => true,
        };
        if !is_fine {
            return None;
        }
    }
    None
}

/// Whether a brace ends a value inside of a record, by what stands behind it: a bracket, the next
/// key or, inside of a string, its end.
fn ends_a_value(behind: &[u8]) -> bool {
    matches!(
        behind,
        [b'}' | b']' | b'"' | b'\\', ..] | [b',', b'"' | b'\\', ..] | [b',', b'{', b'\\', ..]
    )
}

/// The text up to the quote, if nothing in it is escaped.
fn plain_text<'a>(bytes: &'a [u8], quote: &[u8]) -> Option<&'a [u8]> {
    let end = bytes.iter().position(|it| matches!(it, b'"' | b'\\'))?;
    let (text, rest) = bytes.split_at_checked(end)?;
    rest.starts_with(quote).then_some(text)
}

/// Whether a `[` may begin an array: one between other neighbours is text.
fn may_open(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|it| bytes.get(it));
    let may_begin = match bytes.get(at + 1..).unwrap_or_default() {
        [b'{', key, ..] => matches!(key, b'"' | b'}'),
        [first, ..] => {
            matches!(first, b'"' | b'[' | b']' | b't' | b'f' | b'n' | b'-' | b'0'..=b'9')
        }
        [] => true,
    };
    may_begin && matches!(before, Some(b':' | b'[' | b','))
}

/// Whether a `]` ends an array, or is text; `None` where its neighbours do not tell.
fn closes(bytes: &[u8], at: usize) -> Option<bool> {
    let rest = bytes.get(at..)?;
    let rest = behind(rest, |it| matches!(it, b']' | b'}'));
    match rest {
        // Were this inside a string, the quote would end it, and a key or value could not follow.
        [b',', b'"', key, ..] | [b',', b'{', b'"', key, ..] => {
            (!matches!(key, b',' | b':' | b']' | b'}')).then_some(true)
        }
        [b',', b'{', b'\\', ..] => Some(false),
        [b',', b'{' | b'[' | b't' | b'f' | b'n' | b'-' | b'0'..=b'9', ..] => None,
        _ => Some(false),
    }
}

/// Writes what a JSON string says to `text`, and tells where what stands at `mark` is there.
fn unescape(string: &[u8], mark: usize, text: &mut Vec<u8>) -> Option<usize> {
    text.clear();
    let (mut at, mut marked) = (0, None);
    while let Some(len) = memchr2(b'\\', b'"', string.get(at..)?) {
        if at <= mark {
            marked = Some(text.len() + (mark - at));
        }
        text.extend_from_slice(string.get(at..at + len)?);
        at += len;
        let (byte, behind) = match (string.get(at)?, string.get(at + 1)?) {
            (b'\\', it @ (b'"' | b'\\' | b'/')) => (*it, at + 2),
            (b'\\', b'n') => (b'\n', at + 2),
            (b'\\', b't') => (b'\t', at + 2),
            (b'\\', b'u') => (ascii(string.get(at + 2..at + 6)?)?, at + 6),
            _ => return None,
        };
        text.push(byte);
        at = behind;
    }
    text.extend_from_slice(string.get(at..)?);
    marked
}

/// The ASCII character with that code in hexadecimal digits.
fn ascii(digits: &[u8]) -> Option<u8> {
    let code = u8::from_str_radix(std::str::from_utf8(digits.strip_prefix(b"00")?).ok()?, 16);
    code.ok().filter(u8::is_ascii)
}

#[cfg(test)]
mod tests;
