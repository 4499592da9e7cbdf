//! Passing over the records that are not ours, without reading them.
//!
//! Of a trail one record in twenty is ours, and inflating it is what takes the time. So most
//! records are only walked over, from brace to brace and to the name ([`Windows`] tells where these
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
//! 4. The name is the record's own: of the braces that were opened before it all but one are closed
//!    again. One in a string may look as if it ended an object, but behind the last of such ones
//!    stands no key; and a brace of which it is not seen what it begins ends the run.
//! 5. The next beginning is that of the next element of the same array, which lies in no other
//!    one, and no other element began before it. A caller shapes what follows the name, as far as
//!    that a record may hold an array of things that look like records. But inside of JSON such a
//!    beginning cannot stand in a string, and whatever begins an object stands behind a colon,
//!    unless that is an element of an array. So every `{` is looked at. Behind a colon it is a
//!    member of the record. Arrays that begin with an object are counted, and those of them that
//!    end with one, as far as their brackets can be told from brackets inside strings; one that
//!    cannot ends the run. So does an array in which something else stands behind an object, any
//!    other element, and a beginning like that of a record while an array is open.
//! 6. The name is none of ours, in plain letters.
//!
//! In a subscription message each record is a JSON string, in which a quote is escaped. So what
//! stands between two events (`},{"`) cannot be inside of one, and the first such place after the
//! beginning of a record is its end, if it looks like one.
//!
//! A record with a name of ours is read as a whole, has to end where the next one begins, and has
//! to have that name at its top. Then it is ours, or of another service and counted as other;
//! anything else ends the run before it. So is the last record of an input, whatever its name, if
//! what is open around it is closed behind it: there is no next one that would show its end. Of
//! the last few bytes of an input, fewer than a window has, nothing is told: a last record that
//! ends there is read, and any other one is left to the exact way.
//!
//! # What is given up
//!
//! A record that is not ours by its plain name is counted as other, and not as undecodable, even
//! if it is no JSON inside in spite of its checksum, has a source that is no text, or is given
//! another name in other letters (`\u0065ventName`). CloudTrail would have to write such a one.

mod arrays;

use fearless_simd::{Level, Simd, dispatch};

use super::Place;
use super::envelope::Walk;
use super::resync::Elements;
use crate::cloudtrail;
use crate::json::{BracesAndN, Json, Mark, Windows};
use arrays::{Row, begins_with_key, may_open};

/// How records follow one another.
trait Shape {
    /// What stands before a record, up to its first value.
    const HEAD: &'static [u8];
    /// What stands before its name.
    const NAME: &'static [u8];
    /// How a quote is written inside a record.
    const QUOTE: &'static [u8];
    /// What stands behind the last brace of a record, if another one follows, up to a text that
    /// only a record has.
    const BETWEEN: &'static [u8];
    /// How much of that belongs to the element that the record is.
    const CLOSING: usize;
    /// Whether a record is a text inside an element.
    const IS_TEXT: bool;

    /// Whether the brace before these bytes is the last of a record.
    fn ends(behind: &[u8]) -> bool {
        // Few others are followed by this.
        behind.get(Self::CLOSING + 1) == Some(&b'{') && behind.starts_with(Self::BETWEEN)
    }

    /// What is open around the last record, and has to be closed at the end of the input, without
    /// the brace of an envelope.
    const LAST: &'static [u8];
}

/// `[{…},{…}]`
struct InArray;

impl Shape for InArray {
    const HEAD: &'static [u8] = b"{\"eventVersion\":\"";
    const NAME: &'static [u8] = b"\"eventName\":\"";
    const QUOTE: &'static [u8] = b"\"";
    const BETWEEN: &'static [u8] = b",{\"eventVersion\":\"";
    const CLOSING: usize = 0;
    const IS_TEXT: bool = false;
    const LAST: &'static [u8] = b"]";
}

/// A record a line.
struct Lines;

impl Shape for Lines {
    const HEAD: &'static [u8] = InArray::HEAD;
    const NAME: &'static [u8] = InArray::NAME;
    const QUOTE: &'static [u8] = InArray::QUOTE;
    const BETWEEN: &'static [u8] = b"\n{\"eventVersion\":\"";
    const CLOSING: usize = 0;
    const IS_TEXT: bool = false;
    const LAST: &'static [u8] = b"";
}

/// `[{"id":"…","timestamp":…,"message":"{…}"},{"id":…}]`
struct Messages;

impl Shape for Messages {
    const HEAD: &'static [u8] = b"{\\\"eventVersion\\\":\\\"";
    const NAME: &'static [u8] = b"\\\"eventName\\\":\\\"";
    const QUOTE: &'static [u8] = b"\\\"";
    const BETWEEN: &'static [u8] = b"\"},{\"id\":\"";
    const CLOSING: usize = 2;
    const IS_TEXT: bool = true;
    const LAST: &'static [u8] = b"\"}]";
}

/// How far a text was looked at. Where a run could not go on there begins no other before the
/// place where that was seen, so that nothing is looked at again and again.
#[derive(Default)]
pub(super) struct Ahead(usize);

/// One record of a run.
struct Passed<'a> {
    /// The record, as it is written.
    span: &'a [u8],
    /// Its name, unless it begins like none of ours, and where that stands in the record.
    name: Option<&'a [u8]>,
    name_at: usize,
    /// Where the next element begins, or the array ends.
    next: usize,
    /// Whether it ends where it seems to is known only when it was read.
    is_last: bool,
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
        match of {
            // Behind the end of an array that lies in another one more records may stand.
            _ if !self.checked || depth > 1 => at,
            Elements::Any => self.pass::<InArray>(bytes, at),
            Elements::LogEvents => self.pass::<Messages>(bytes, at),
            Elements::LookupEvents => at,
        }
    }

    /// Passes over lines; where the first one stands that has to be read.
    pub(super) fn pass_lines(&mut self, bytes: &[u8], at: usize) -> usize {
        if self.checked { self.pass::<Lines>(bytes, at) } else { at }
    }

    fn pass<S: Shape>(&mut self, bytes: &[u8], from: usize) -> usize {
        if from < self.ahead.0 {
            return from;
        }
        dispatch!(Level::new(), simd => self.pass_with::<_, S>(simd, bytes, from))
    }

    #[inline(always)]
    fn pass_with<V: Simd, S: Shape>(&mut self, simd: V, bytes: &[u8], from: usize) -> usize {
        let mut at = from;
        let Some(start) = record_start::<S>(bytes, at) else { return at };
        let mut hits = Hits::new(simd, bytes, start + 1);
        while let Some(start) = record_start::<S>(bytes, at) {
            let Some(passed) = passed::<V, S>(&mut hits, start) else {
                self.ahead = Ahead(hits.marks.seen());
                return at;
            };
            if !passed.is_last && !passed.name.is_some_and(cloudtrail::may_be_ours) {
                self.seen += 1;
                self.decoded.other += 1;
            } else if self.read::<S>(&passed, start).is_none() {
                self.ahead = Ahead(hits.marks.seen());
                return at;
            }
            at = passed.next;
        }
        at
    }

    /// Reads a record with a name of ours, or one of which it is not sure where it ends.
    #[inline(never)]
    fn read<S: Shape>(&mut self, passed: &Passed<'_>, start: usize) -> Option<()> {
        let next = self.place(start - usize::from(S::IS_TEXT));
        let place = Place { record: next.record + 1, ..next };
        let text = std::str::from_utf8(passed.span).ok()?;
        let record = match S::IS_TEXT {
            true => self.tape.read_in_string(text)?,
            false => self.tape.read(text)?,
        };
        let record = record.root();
        let name = record.only_text("eventName")?;
        let source = record.only_text("eventSource")?.string()?;
        if name.start() != passed.name_at {
            return None;
        }
        self.seen += 1;
        if cloudtrail::is_ours(&source, name.raw()) {
            (self.sink)(place, passed.span, Some(Json::Flat(record)));
            if self.wanted.contains(&self.seen) {
                self.pieces.insert(self.seen, record.json().as_bytes().to_vec());
            }
        } else {
            self.decoded.other += 1;
        }
        Some(())
    }
}

/// Where the record of the element at `at` begins.
#[inline(always)]
fn record_start<S: Shape>(bytes: &[u8], at: usize) -> Option<usize> {
    let element = bytes.get(at..)?;
    let record = match S::IS_TEXT {
        false => element,
        true => {
            let id = element.strip_prefix(b"{\"id\":\"")?;
            let rest = behind_digits(id).strip_prefix(b"\",\"timestamp\":")?;
            behind_digits(rest).strip_prefix(b",\"message\":\"")?
        }
    };
    record.starts_with(S::HEAD).then_some(bytes.len() - record.len())
}

/// What follows the first digits: an id has 56, a timestamp 13.
#[inline(always)]
fn behind_digits(bytes: &[u8]) -> &[u8] {
    let rest = behind_so_many::<8>(behind_so_many::<32>(bytes));
    behind(behind_so_many::<4>(rest), u8::is_ascii_digit)
}

/// What follows the first digits, as far as so many at a time can be told.
#[inline(always)]
fn behind_so_many<const COUNT: usize>(mut bytes: &[u8]) -> &[u8] {
    while let Some((head, rest)) = bytes.split_first_chunk::<COUNT>()
        && head.iter().fold(true, |all, it| all & it.is_ascii_digit())
    {
        bytes = rest;
    }
    bytes
}

/// What follows the first bytes that are such.
fn behind(bytes: &[u8], is_such: impl Fn(&u8) -> bool) -> &[u8] {
    let len = bytes.iter().take_while(|it| is_such(it)).count();
    bytes.get(len..).unwrap_or_default()
}

/// The places that are looked at: every brace, and every `N`, of which few are no name's.
struct Hits<'a, V> {
    bytes: &'a [u8],
    marks: Windows<'a, V, BracesAndN>,
}

/// What stands at such a place.
enum Hit {
    /// A name begins there.
    Name(usize),
    /// An object that is a member of another one.
    Member,
    /// An element of an array, or a text that looks like one.
    Element(usize),
    /// The end of an object, and what stands behind it.
    Closed(usize, [u8; 4]),
    /// A brace inside a string; or before an object that neither its neighbours tell of.
    Brace,
    /// A letter.
    Text,
}

impl<'a, V: Simd> Hits<'a, V> {
    #[inline(always)]
    fn new(simd: V, bytes: &'a [u8], from: usize) -> Self {
        Self { bytes, marks: Windows::new(simd, BracesAndN, bytes, from) }
    }

    #[inline(always)]
    fn next<S: Shape>(&mut self) -> Option<Hit> {
        let Mark { at, around: [before, here, behind, b, c, d] } = self.marks.next()?;
        Some(match here {
            b'}' => Hit::Closed(at, [behind, b, c, d]),
            // A quote that is not escaped stands outside of the text that a record is.
            b'{' if before == b':' && !(S::IS_TEXT && behind == b'"') => Hit::Member,
            b'{' if is_element::<S>(before, behind) => Hit::Element(at),
            b'{' => Hit::Brace,
            // Most are no name's.
            b'N' if before == b't' => self.name::<S>(at).map_or(Hit::Text, Hit::Name),
            _ => Hit::Text,
        })
    }

    /// Where a name begins whose `N` stands at `at`, if it is a name's.
    #[inline(always)]
    fn name<S: Shape>(&self, at: usize) -> Option<usize> {
        let text = at + S::NAME.len() - S::QUOTE.len() - b"event".len();
        let from = text.checked_sub(S::NAME.len())?;
        self.bytes.get(from..)?.starts_with(S::NAME).then_some(text)
    }
}

/// Whether a brace that stands behind no colon begins an element of an array, or looks like it.
#[inline(always)]
fn is_element<S: Shape>(before: u8, behind: u8) -> bool {
    match S::IS_TEXT {
        true => behind == b'"' || behind.is_ascii_whitespace(),
        // Nothing else stands before an object, and nothing else begins a member of it.
        false => {
            behind.is_ascii_whitespace()
                || before.is_ascii_whitespace()
                || matches!(behind, b'"' | b'}') && matches!(before, b',' | b'[' | b']' | b'}')
        }
    }
}

/// The record that begins at `start`, if all holds that has to (see the module) for passing over
/// it. `hits` are those from its beginning on, and afterwards those behind it.
#[inline(always)]
fn passed<'a, V: Simd, S: Shape>(hits: &mut Hits<'a, V>, start: usize) -> Option<Passed<'a>> {
    let text = own_name::<V, S>(hits)?;
    let end = record_end::<V, S>(hits)?;
    Some(Passed {
        span: hits.bytes.get(start..end.record)?,
        name: name_of(hits.bytes.get(text..end.record)?, S::QUOTE)?,
        name_at: text - start,
        next: end.next,
        is_last: end.is_last,
    })
}

/// The name of the record that begins with these hits, if the first that comes is its own.
#[inline(always)]
fn own_name<V: Simd, S: Shape>(hits: &mut Hits<'_, V>) -> Option<usize> {
    let mut open = 1_usize;
    loop {
        match hits.next::<S>()? {
            Hit::Member => open += 1,
            Hit::Closed(_, behind) if ends_a_member::<S>(behind) => open = open.checked_sub(1)?,
            Hit::Name(text) => return (open == 1).then_some(text),
            Hit::Closed(..) | Hit::Element(_) | Hit::Brace => return None,
            Hit::Text => {}
        }
    }
}

/// Whether a brace ends a member of an object, by what stands behind it: another one, or a key,
/// which begins with a letter. Of several in a string the last is followed by something else, if
/// only by the end of the string.
#[inline(always)]
fn ends_a_member<S: Shape>(behind: [u8; 4]) -> bool {
    match (S::IS_TEXT, behind) {
        (_, [b'}', ..]) => true,
        (false, [b',', b'"', key, _]) | (true, [b',', b'\\', b'"', key]) => {
            key.to_ascii_lowercase().is_ascii_lowercase()
        }
        _ => false,
    }
}

/// Where a record ends, and where to go on behind it.
struct End {
    record: usize,
    next: usize,
    /// Whether nothing follows that would show that it is the end.
    is_last: bool,
}

/// Where the record ends whose name was the last hit, if no other name and no other element of its
/// array began before that.
#[inline(always)]
fn record_end<V: Simd, S: Shape>(hits: &mut Hits<'_, V>) -> Option<End> {
    let bytes = hits.bytes;
    // Arrays that begin with an object. As long as one is open, anything may begin in it.
    let mut open = 0_usize;
    // The brackets that were asked for last: behind all of a row of them stands the same.
    let mut row = Row { end: 0, closes: None };
    loop {
        match hits.next::<S>() {
            None => return last_end::<S>(bytes),
            Some(Hit::Member | Hit::Brace | Hit::Text) => {}
            // Most end a member, and nothing else.
            Some(Hit::Closed(_, [b'}', ..] | [b',', b'\\', ..])) => {}
            Some(Hit::Closed(_, [b',', b'"', ..])) if open == 0 => {}
            Some(Hit::Closed(at, _)) => {
                let behind = bytes.get(at + 1..)?;
                if S::ends(behind) {
                    let (record, next) = (at + 1, at + 2 + S::CLOSING);
                    // The brace that begins it is known, and in a message that of the record.
                    hits.marks.next_from(next)?;
                    if S::IS_TEXT {
                        hits.marks.next()?;
                    }
                    return (open == 0).then_some(End { record, next, is_last: false });
                }
                match behind {
                    _ if S::IS_TEXT => {}
                    [b']', ..] => {
                        if row.end <= at {
                            row = Row::of(bytes, at + 1, S::BETWEEN);
                        }
                        open = open.checked_sub(usize::from(row.closes?))?;
                    }
                    // An array that ends with something else is one whose end is not seen.
                    [b',', b'"', rest @ ..] if !begins_with_key(rest) => return None,
                    [b',', b'"' | b'{', ..] => {}
                    _ if !ends_a_value(behind) => return None,
                    _ => {}
                }
            }
            Some(Hit::Element(at)) => match bytes.get(at.checked_sub(2)?..)? {
                _ if S::IS_TEXT => return None,
                [_, b'[', ..] if may_open(bytes, at - 1) => open += 1,
                // Behind another object. Of an array in which one stands behind anything else the
                // beginning was not seen.
                [b'}', b',', ..] if open > 0 => {}
                _ => return None,
            },
            Some(Hit::Name(_)) => return None,
        }
    }
}

/// Whether a brace that neither another one nor the next key follows ends a value inside of a
/// record: inside of a string, by its end, or by what stands there; or nothing follows.
fn ends_a_value(behind: &[u8]) -> bool {
    match behind {
        [b'"' | b'\\', ..] | [b',', b'{', b'\\', ..] => true,
        rest => rest.trim_ascii_start().is_empty(),
    }
}

/// Where the last record ends, if nothing but what is open around it stands behind it, and nothing
/// begins in the last bytes, which were not looked at: whoever reads it sees that.
#[cold]
fn last_end<S: Shape>(bytes: &[u8]) -> Option<End> {
    let all = bytes.trim_ascii_end();
    let inner = if S::LAST.is_empty() { all } else { all.strip_suffix(b"}").unwrap_or(all) };
    let record = inner.strip_suffix(S::LAST)?;
    // Where the array ends, or the input.
    let next = inner.len() - usize::from(!S::LAST.is_empty());
    record.ends_with(b"}").then_some(End { record: record.len(), next, is_last: true })
}

/// The name that begins here, if nothing in it is escaped; none if it begins like none of ours.
#[inline(always)]
fn name_of<'a>(bytes: &'a [u8], quote: &[u8]) -> Option<Option<&'a [u8]>> {
    match bytes.first_chunk() {
        Some(head) if !cloudtrail::may_begin_ours(head) => Some(None),
        _ => plain_text(bytes, quote).map(Some),
    }
}

/// The text up to the quote, if nothing in it is escaped.
#[inline(never)]
fn plain_text<'a>(bytes: &'a [u8], quote: &[u8]) -> Option<&'a [u8]> {
    let end = memchr::memchr2(b'"', b'\\', bytes)?;
    let (text, rest) = bytes.split_at_checked(end)?;
    rest.starts_with(quote).then_some(text)
}

#[cfg(test)]
mod tests;
