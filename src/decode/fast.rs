//! Passing over the records that are not ours, without reading them.
//!
//! Of a trail one record in twenty is ours, and inflating it is what takes the time. So most
//! records are only walked over: one search finds where `"eventName":"` stands, another where
//! records end, and only a record whose name is one of ours is read. Everything else about the
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

use std::sync::LazyLock;

use memchr::arch::all::packedpair::HeuristicFrequencyRank;
use memchr::memmem::{Finder, FinderBuilder};
use memchr::{memchr2, memchr3_iter};

use super::envelope::{MAX_DEPTH, Walk};
use super::resync::Elements;
use super::{Place, Reading};
use crate::cloudtrail;
use crate::json::Json;

/// How records follow one another.
struct Shape {
    /// What stands before a record, up to its first value.
    head: &'static [u8],
    name: Finder<'static>,
    /// What stands between two elements, with the last byte of the first. The second begins two
    /// bytes behind its beginning.
    boundary: Finder<'static>,
    /// How a quote is written inside a record.
    quote: &'static [u8],
    /// Whether a record is a text inside an element.
    is_text: bool,
}

/// `[{…},{…}]`
static ELEMENTS: LazyLock<Shape> = LazyLock::new(|| Shape::of_records(b"},{\"eventVersion\":\""));

/// A record a line.
static LINES: LazyLock<Shape> = LazyLock::new(|| Shape::of_records(b"}\n{\"eventVersion\":\""));

/// `[{"id":"…","timestamp":…,"message":"{…}"},{"id":…}]`
static MESSAGES: LazyLock<Shape> = LazyLock::new(|| Shape {
    head: b"{\\\"eventVersion\\\":\\\"",
    name: finder(b"\\\"eventName\\\":\\\""),
    boundary: finder(b"},{\""),
    quote: b"\\\"",
    is_text: true,
});

impl Shape {
    fn of_records(boundary: &'static [u8]) -> Self {
        Self {
            head: b"{\"eventVersion\":\"",
            name: finder(b"\"eventName\":\""),
            boundary: finder(boundary),
            quote: b"\"",
            is_text: false,
        }
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

/// The letters by which a search looks for a place worth a closer look. In a trail these are rare
/// and seldom stand so far apart as in what is searched.
struct Rare;

impl HeuristicFrequencyRank for Rare {
    fn rank(&self, byte: u8) -> u8 {
        match byte {
            b'V' | b'N' => 0,
            b'v' | b'{' => 1,
            b'}' | b'd' => 2,
            _ => 200,
        }
    }
}

fn finder(needle: &'static [u8]) -> Finder<'static> {
    FinderBuilder::new().build_forward_with_ranker(Rare, needle)
}

/// Where the next name and the next boundary of one text stand. Each is looked for once, however
/// often a run begins.
#[derive(Default)]
pub(super) struct Ahead {
    name: Sought,
    boundary: Sought,
}

/// An answer, and the first position for which it holds.
#[derive(Default)]
struct Sought {
    from: usize,
    found: Option<Option<usize>>,
}

impl Sought {
    fn next(&mut self, finder: &Finder<'_>, bytes: &[u8], from: usize) -> Option<usize> {
        match self.found {
            Some(known) if self.from <= from && known.is_none_or(|at| from <= at) => known,
            _ => {
                let found = finder.find(bytes.get(from..)?).map(|at| from + at);
                (self.from, self.found) = (from, Some(found));
                found
            }
        }
    }
}

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
        loop {
            let Some(start) = record_start(shape, bytes, at) else { return at };
            let Some(passed) = passed(shape, &mut self.ahead, bytes, start) else { return at };
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
            let rest = behind(rest, |it| it.is_ascii_alphanumeric() || *it == b'-');
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
/// it.
fn passed<'a>(
    shape: &Shape,
    ahead: &mut Ahead,
    bytes: &'a [u8],
    start: usize,
) -> Option<Passed<'a>> {
    let name = ahead.name.next(&shape.name, bytes, start)?;
    let boundary = ahead.boundary.next(&shape.boundary, bytes, start)?;
    let text = name + shape.name.needle().len();
    let second = ahead.name.next(&shape.name, bytes, text);
    if boundary <= text || second.is_some_and(|second| second < boundary) {
        return None;
    }
    if open_braces(bytes.get(start..name)?) != 1 {
        return None;
    }
    if !shape.is_text && !stays_inside(bytes, text, boundary) {
        return None;
    }
    Some(Passed {
        span: bytes.get(start..shape.end(bytes, boundary)?)?,
        name: plain_text(bytes.get(text..boundary)?, shape.quote)?,
        name_at: text - start,
        next: boundary + 2,
    })
}

/// The text up to the quote, if nothing in it is escaped.
fn plain_text<'a>(bytes: &'a [u8], quote: &[u8]) -> Option<&'a [u8]> {
    let end = bytes.iter().position(|it| matches!(it, b'"' | b'\\'))?;
    let (text, rest) = bytes.split_at_checked(end)?;
    rest.starts_with(quote).then_some(text)
}

/// How many more braces were opened than closed.
fn open_braces(bytes: &[u8]) -> i32 {
    // Few at a time, so that many are counted at once in one byte each.
    let count = |chunk: &[u8]| {
        let change = |it: &u8| i8::from(*it == b'{') - i8::from(*it == b'}');
        chunk.iter().map(change).fold(0_i8, i8::wrapping_add)
    };
    bytes.chunks(64).map(|chunk| i32::from(count(chunk))).sum()
}

/// Whether from one place of a record to another no array was opened and left open, and no other
/// element was begun. `false` also where that cannot be told.
fn stays_inside(bytes: &[u8], from: usize, to: usize) -> bool {
    let mut open = 0_usize;
    for at in memchr3_iter(b'[', b']', b'}', bytes.get(from..to).unwrap_or_default()) {
        let at = from + at;
        let is_fine = match bytes.get(at..) {
            Some([b'[', ..]) => {
                open += usize::from(may_open(bytes, at));
                true
            }
            Some([b']', ..]) => match closes(bytes, at) {
                Some(true) if open > 0 => {
                    open -= 1;
                    true
                }
                Some(is_bracket) => !is_bracket,
                None => false,
            },
            // Behind a brace stands a bracket, the next key or, inside of a string, its end.
            Some([b'}', b'}' | b']' | b'"' | b'\\', ..] | [b'}', b',', b'"' | b'\\', ..]) => true,
            Some([b'}', b',', b'{', b'\\', ..]) => true,
            _ => open > 0,
        };
        if !is_fine {
            return false;
        }
    }
    open == 0
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
