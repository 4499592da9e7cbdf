//! One record as a list of its values, in the order of the text.
//!
//! The list is used again for the next record, so that reading allocates nothing. A tape takes
//! compact JSON only, and less than all of that: what CloudTrail does not write (white space,
//! fractions, halves of surrogate pairs, deep nesting) it refuses, and the caller asks
//! [`serde_json`]. What it takes, `serde_json` takes too and reads as the same; a test holds it
//! to that.

mod keys;
mod strings;

use std::borrow::Cow;
use std::ops::Range;

use fearless_simd::{Level, Simd, dispatch};

use super::Kind;
use super::marks::{EndsOfStrings, Marks};
use keys::{Keys, Slot, mark, mark_before};
use strings::{Ends, end_of_string, quote};

/// Brackets inside brackets; a record of ours has six.
const MAX_OPEN: usize = 64;

/// Digits of a number: so few fit into an integer.
const MAX_DIGITS: usize = 18;

/// Where the values of one text stand.
#[derive(Debug, Default)]
pub struct Tape {
    entries: Vec<Entry>,
    keys: Keys,
}

/// A text that was read, with the tape of its values.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    tape: &'a Tape,
    text: &'a str,
    /// Whether the text is as it is escaped in a JSON string.
    in_string: bool,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    kind: Kind,
    /// Of a string: whether its text differs from what it says.
    escaped: bool,
    /// The bytes of the value; of a string without its quotes.
    start: u32,
    end: u32,
    /// The entry behind everything inside it; of a key, its object.
    next: u32,
    /// Of a key: [`mark`] of what it says.
    mark: u32,
}

/// A value of a record.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    record: &'a Record<'a>,
    index: usize,
}

impl std::fmt::Debug for Node<'_> {
    /// What stands in a record can be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Node({:?} at {})", self.kind(), self.start())
    }
}

impl Tape {
    /// Reads `text`, if all of it is one value.
    pub fn read<'a>(&'a mut self, text: &'a str) -> Option<Record<'a>> {
        self.clear(text)?;
        dispatch!(Level::new(), simd => self.values::<_, false>(simd, text.as_bytes()))?;
        Some(Record { tape: self, text, in_string: false })
    }

    /// Reads what a JSON string says, if all of it is one value: `text` stands between the quotes
    /// of the string, as it is escaped there.
    pub fn read_in_string<'a>(&'a mut self, text: &'a str) -> Option<Record<'a>> {
        self.clear(text)?;
        dispatch!(Level::new(), simd => self.values::<_, true>(simd, text.as_bytes()))?;
        Some(Record { tape: self, text, in_string: true })
    }

    fn clear(&mut self, text: &str) -> Option<()> {
        self.entries.clear();
        self.keys = Keys::default();
        u32::try_from(text.len()).ok().map(|_| ())
    }

    #[inline(always)]
    fn values<V: Simd, const IN_STRING: bool>(&mut self, simd: V, bytes: &[u8]) -> Option<()> {
        let mut ends = Marks::new(simd, EndsOfStrings, bytes, 0);
        let (mut at, mut open) = (0, Open::NOTHING);
        loop {
            if open.is_object {
                at = self.key::<V, IN_STRING>(bytes, &mut ends, at, open.entry)?;
            }
            // Most are strings, so that is asked first.
            let first = *bytes.get(at)?;
            at = if first == strings::first_of_quote::<IN_STRING>() {
                self.string::<V, IN_STRING>(bytes, &mut ends, at)?
            } else if let b'{' | b'[' = first {
                let close = if first == b'{' { b'}' } else { b']' };
                open = self.opened(open, at, first == b'{')?;
                if bytes.get(at + 1) != Some(&close) {
                    at += 1;
                    continue;
                }
                open = self.closed(open, at + 2)?;
                at + 2
            } else {
                self.scalar(bytes, at)?
            };
            while open.depth > 0 {
                let behind = *bytes.get(at)?;
                if behind == b',' {
                    break;
                }
                if behind != if open.is_object { b'}' } else { b']' } {
                    return None;
                }
                at += 1;
                open = self.closed(open, at)?;
            }
            if open.depth == 0 {
                return (at == bytes.len()).then_some(());
            }
            at += 1;
        }
    }

    /// A key of the object that is the entry `of`, and its colon.
    #[inline(always)]
    fn key<V: Simd, const IN_STRING: bool>(
        &mut self,
        bytes: &[u8],
        ends: &mut Ends<'_, V>,
        at: usize,
        of: u32,
    ) -> Option<usize> {
        let (end, escaped) = end_of_string::<V, IN_STRING>(bytes, ends, at)?;
        let (start, behind) = (at + quote::<IN_STRING>(), end + quote::<IN_STRING>());
        let mark = match escaped {
            false => mark_before(bytes, start, end)?,
            true => mark(unescaped(bytes.get(at..behind)?, IN_STRING)?.as_bytes()),
        };
        self.keys.put(mark, of, position(self.entries.len()));
        let (start, end) = (position(start), position(end));
        self.entries.push(Entry { kind: Kind::String, escaped, start, end, next: of, mark });
        (bytes.get(behind) == Some(&b':')).then_some(behind + 1)
    }

    /// The beginning of an array or object.
    fn opened(&mut self, outer: Open, at: usize, is_object: bool) -> Option<Open> {
        let entry = position(self.entries.len());
        let kind = if is_object { Kind::Object } else { Kind::Array };
        self.push(kind, at..at + 1, false);
        self.entries.last_mut()?.next = outer.entry;
        let depth = outer.depth + 1;
        (depth <= MAX_OPEN).then_some(Open { entry, depth, is_object })
    }

    /// The end of what was opened last; what it stands in.
    fn closed(&mut self, open: Open, end: usize) -> Option<Open> {
        let next = position(self.entries.len());
        let entry = self.entries.get_mut(open.entry as usize)?;
        entry.end = position(end);
        let outer = std::mem::replace(&mut entry.next, next);
        let is_object = self.entries.get(outer as usize).is_some_and(|it| it.kind == Kind::Object);
        Some(Open { entry: outer, depth: open.depth - 1, is_object })
    }

    #[inline(always)]
    fn push(&mut self, kind: Kind, span: Range<usize>, escaped: bool) {
        let next = position(self.entries.len() + 1);
        let (start, end) = (position(span.start), position(span.end));
        self.entries.push(Entry { kind, escaped, start, end, next, mark: 0 });
    }

    fn scalar(&mut self, bytes: &[u8], at: usize) -> Option<usize> {
        let rest = bytes.get(at..)?;
        for (word, kind) in
            [(&b"null"[..], Kind::Null), (b"true", Kind::Bool), (b"false", Kind::Bool)]
        {
            if rest.starts_with(word) {
                let end = at + word.len();
                self.push(kind, at..end, false);
                return Some(end);
            }
        }
        let sign = usize::from(rest.first() == Some(&b'-'));
        let digits = rest.get(sign..)?.iter().take_while(|it| it.is_ascii_digit()).count();
        let zero_first = rest.get(sign) == Some(&b'0');
        if !(1..=MAX_DIGITS).contains(&digits) || zero_first && (digits > 1 || sign == 1) {
            return None;
        }
        let end = at + sign + digits;
        self.push(Kind::Number, at..end, false);
        Some(end)
    }

    #[inline(always)]
    fn string<V: Simd, const IN_STRING: bool>(
        &mut self,
        bytes: &[u8],
        ends: &mut Ends<'_, V>,
        at: usize,
    ) -> Option<usize> {
        let (end, escaped) = end_of_string::<V, IN_STRING>(bytes, ends, at)?;
        self.push(Kind::String, at + quote::<IN_STRING>()..end, escaped);
        Some(end + quote::<IN_STRING>())
    }
}

/// The array or object that was opened last and is not closed yet.
#[derive(Clone, Copy)]
struct Open {
    /// Its entry. The `next` of that is the entry of what it stands in, until it is closed.
    entry: u32,
    /// How many are open, with this one.
    depth: usize,
    is_object: bool,
}

impl Open {
    /// Outside of all.
    const NOTHING: Self = Self { entry: u32::MAX, depth: 0, is_object: false };
}

/// What a string with its quotes says.
#[cold]
fn unescaped(quoted: &[u8], in_string: bool) -> Option<String> {
    let outer;
    let quoted = match in_string {
        true => {
            outer = said_by_string(std::str::from_utf8(quoted).ok()?)?;
            outer.as_bytes()
        }
        false => quoted,
    };
    serde_json::from_slice(quoted).ok()
}

/// What a JSON string says that is given without its quotes.
#[cold]
fn said_by_string(text: &str) -> Option<String> {
    serde_json::from_str(&["\"", text, "\""].concat()).ok()
}

/// Positions fit, for no longer text is taken.
#[allow(clippy::cast_possible_truncation, reason = "the length of the text was looked at")]
const fn position(at: usize) -> u32 {
    at as u32
}

impl<'a> Record<'a> {
    /// The value that is the whole text.
    #[must_use]
    pub fn root(&'a self) -> Node<'a> {
        Node { record: self, index: 0 }
    }

    /// How many members of the object at `index` have that name, and the entry of the last one's
    /// value. This is much of what reading a record takes, so it looks at one key where that is
    /// enough.
    #[inline(always)]
    fn members(&self, index: usize, name: &str) -> (usize, Option<usize>) {
        // The mark of a name that is known is known too.
        let (wanted, object) = (mark(name.as_bytes()), position(index));
        match self.tape.keys.get(wanted, object) {
            Slot::Empty => (0, None),
            Slot::One(at) => match self.tape.entries.get(at as usize) {
                Some(key)
                    if key.mark == wanted && key.next == object && self.is_named(key, name) =>
                {
                    (1, Some(at as usize + 1))
                }
                _ => (0, None),
            },
            Slot::Crowded => self.find(index, wanted, name),
        }
    }

    /// The same, of a slot that does not tell.
    fn find(&self, index: usize, wanted: u32, name: &str) -> (usize, Option<usize>) {
        let (mut count, mut last) = (0, None);
        let entries = self.tape.entries.as_slice();
        let Some(object) = entries.get(index).filter(|it| it.kind == Kind::Object) else {
            return (count, last);
        };
        let (mut at, end) = (index + 1, object.next as usize);
        while at < end
            && let Some([key, value]) = entries.get(at..).and_then(<[Entry]>::first_chunk)
        {
            if key.mark == wanted && self.is_named(key, name) {
                count += 1;
                last = Some(at + 1);
            }
            at = value.next as usize;
        }
        (count, last)
    }

    #[inline(always)]
    fn is_named(&self, key: &Entry, name: &str) -> bool {
        if key.escaped {
            return self.string(key).as_deref() == Some(name);
        }
        let bytes = self.text.as_bytes().get(key.start as usize..key.end as usize);
        bytes == Some(name.as_bytes())
    }

    /// What the string of an entry says.
    fn string(&self, entry: &Entry) -> Option<Cow<'a, str>> {
        match entry.escaped {
            false => Some(Cow::Borrowed(self.raw(entry))),
            true => serde_json::from_str(&self.json(entry)).ok().map(Cow::Owned),
        }
    }

    fn raw(&self, entry: &Entry) -> &'a str {
        self.text.get(entry.start as usize..entry.end as usize).unwrap_or_default()
    }

    /// The value of an entry as JSON.
    fn json(&self, entry: &Entry) -> Cow<'a, str> {
        let quote = match entry.kind {
            Kind::String if self.in_string => quote::<true>(),
            Kind::String => quote::<false>(),
            _ => 0,
        };
        let (start, end) = (entry.start as usize - quote, entry.end as usize + quote);
        let text = self.text.get(start..end).unwrap_or_default();
        match self.in_string {
            true => Cow::Owned(said_by_string(text).unwrap_or_default()),
            false => Cow::Borrowed(text),
        }
    }
}

impl<'a> Node<'a> {
    /// Every node was made of an entry that is there.
    fn entry(self) -> &'a Entry {
        const NULL: Entry =
            Entry { kind: Kind::Null, escaped: false, start: 0, end: 0, next: 0, mark: 0 };
        self.record.tape.entries.get(self.index).unwrap_or(&NULL)
    }

    pub(super) fn kind(self) -> Kind {
        self.entry().kind
    }

    /// The bytes of the value; of a string without its quotes, and as it is written.
    #[must_use]
    pub fn raw(self) -> &'a str {
        self.record.raw(self.entry())
    }

    /// Where [`Node::raw`] begins in the text.
    #[must_use]
    pub fn start(self) -> usize {
        self.entry().start as usize
    }

    /// The value as JSON.
    #[must_use]
    pub fn json(self) -> Cow<'a, str> {
        self.record.json(self.entry())
    }

    /// What a string says.
    #[must_use]
    #[inline]
    pub fn string(self) -> Option<Cow<'a, str>> {
        let entry = self.entry();
        if entry.kind == Kind::String { self.record.string(entry) } else { None }
    }

    /// The last member of that name.
    #[inline(always)]
    pub(super) fn member(self, name: &str) -> Option<Self> {
        self.record.members(self.index, name).1.map(|index| Self { index, ..self })
    }

    /// The member of that name, if there is one, and one only, and it is a string.
    #[must_use]
    pub fn only_text(self, name: &str) -> Option<Self> {
        let (count, last) = self.record.members(self.index, name);
        let value = Self { index: last?, ..self };
        (count == 1 && value.kind() == Kind::String).then_some(value)
    }

    pub(super) fn elements(self) -> impl Iterator<Item = Self> {
        let array = self.entry();
        let (mut index, end) = match array.kind {
            Kind::Array => (self.index + 1, array.next as usize),
            _ => (0, 0),
        };
        std::iter::from_fn(move || {
            let element = (index < end).then_some(Self { index, ..self })?;
            index = element.entry().next as usize;
            Some(element)
        })
    }
}

#[cfg(test)]
mod tests;
