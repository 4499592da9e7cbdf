//! One record as a list of its values, in the order of the text.
//!
//! The list is used again for the next record, so that reading allocates nothing. A tape takes
//! compact JSON only, and less than all of that: what CloudTrail does not write (white space,
//! fractions, halves of surrogate pairs, deep nesting) it refuses, and the caller asks
//! [`serde_json`]. What it takes, `serde_json` takes too and reads as the same; a test holds it
//! to that.

use std::borrow::Cow;
use std::ops::Range;

use fearless_simd::{Level, Simd, dispatch};

use super::Kind;
use super::marks::{EndsOfStrings, Marks};

/// Brackets inside brackets; a record of ours has six.
const MAX_OPEN: usize = 64;

/// Digits of a number: so few fit into an integer.
const MAX_DIGITS: usize = 18;

/// Where the values of one text stand.
#[derive(Debug, Default)]
pub struct Tape {
    entries: Vec<Entry>,
    /// Arrays and objects that are open, by their entries. Empty between two texts.
    open: Vec<usize>,
    keys: Keys,
}

/// A text that was read, with the tape of its values.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    tape: &'a Tape,
    text: &'a str,
}

/// Where the keys stand, by their mark and the object they belong to: else each field that is asked
/// for would be looked for among all of its object.
#[derive(Debug)]
struct Keys([u16; Self::SLOTS]);

/// What stands in a slot.
enum Slot {
    /// No key at all.
    Empty,
    /// This one alone.
    One(usize),
    /// Several, or one that does not fit.
    Crowded,
}

impl Default for Keys {
    fn default() -> Self {
        Self([Self::EMPTY; Self::SLOTS])
    }
}

impl Keys {
    /// A record of ours has some forty keys, and few of them should share a slot.
    const SLOTS: usize = 1 << Self::BITS;
    const BITS: u32 = 9;
    const EMPTY: u16 = u16::MAX;
    const CROWDED: u16 = u16::MAX - 1;

    #[inline(always)]
    fn slot(mark: u32, object: u32) -> usize {
        (mark.wrapping_add(object.wrapping_mul(0x85eb_ca6b)).wrapping_mul(0x9e37_79b1)
            >> (u32::BITS - Self::BITS)) as usize
    }

    #[inline(always)]
    fn put(&mut self, mark: u32, object: u32, key: usize) {
        let key = u16::try_from(key).unwrap_or(Self::CROWDED).min(Self::CROWDED);
        if let Some(slot) = self.0.get_mut(Self::slot(mark, object)) {
            *slot = if *slot == Self::EMPTY { key } else { Self::CROWDED };
        }
    }

    #[inline(always)]
    fn get(&self, mark: u32, object: u32) -> Slot {
        match self.0.get(Self::slot(mark, object)) {
            Some(&Self::EMPTY) => Slot::Empty,
            None | Some(&Self::CROWDED) => Slot::Crowded,
            Some(key) => Slot::One(usize::from(*key)),
        }
    }
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

/// The length of a key and three of its letters: two that differ in it are not the same, and of
/// the keys of one object hardly two agree in it.
#[inline(always)]
fn mark(key: &[u8]) -> u32 {
    let middle = key.get(key.len() / 2 + 1).copied().unwrap_or_default();
    let (first, last) = (key.first(), key.last());
    let [length, ..] = key.len().to_le_bytes();
    let letter = |it: Option<&u8>| it.copied().unwrap_or_default();
    u32::from_le_bytes([length, letter(first), middle, letter(last)])
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
        self.entries.clear();
        self.open.clear();
        self.keys = Keys::default();
        u32::try_from(text.len()).ok()?;
        dispatch!(Level::new(), simd => self.values(simd, text.as_bytes()))?;
        Some(Record { tape: self, text })
    }

    #[inline(always)]
    fn values<V: Simd>(&mut self, simd: V, bytes: &[u8]) -> Option<()> {
        let mut ends = Marks::new(simd, EndsOfStrings, bytes, 0);
        let mut at = 0;
        // Whether what stands next stands in an object, and so begins with a key.
        let mut in_object = false;
        loop {
            if in_object {
                at = self.key(bytes, &mut ends, at)?;
            }
            at = match bytes.get(at)? {
                b'"' => self.string(bytes, &mut ends, at)?,
                open @ (b'{' | b'[') => {
                    let is_object = *open == b'{';
                    match self.opened(bytes, at, is_object)? {
                        Some(end) => end,
                        None => {
                            (at, in_object) = (at + 1, is_object);
                            continue;
                        }
                    }
                }
                _ => self.scalar(bytes, at)?,
            };
            while let Some(opened) = self.open.last().copied() {
                match (bytes.get(at)?, in_object) {
                    (b',', _) => break,
                    (b'}', true) | (b']', false) => in_object = self.closed(opened, at + 1),
                    _ => return None,
                }
                at += 1;
            }
            if self.open.is_empty() {
                return (at == bytes.len()).then_some(());
            }
            at += 1;
        }
    }

    /// A key and its colon.
    #[inline(always)]
    fn key<V: Simd>(&mut self, bytes: &[u8], ends: &mut Ends<'_, V>, at: usize) -> Option<usize> {
        if bytes.get(at) != Some(&b'"') {
            return None;
        }
        let (end, escaped) = Self::end_of_string(bytes, ends, at)?;
        let mark = match escaped {
            false => mark(bytes.get(at + 1..end)?),
            true => mark_of_escaped(bytes.get(at..=end)?)?,
        };
        let next = position(self.open.last().copied()?);
        self.keys.put(mark, next, self.entries.len());
        let (start, kind) = (position(at + 1), Kind::String);
        self.entries.push(Entry { kind, escaped, start, end: position(end), next, mark });
        (bytes.get(end + 1) == Some(&b':')).then_some(end + 2)
    }

    /// The beginning of an array or object, and its end if there is nothing in it.
    fn opened(&mut self, bytes: &[u8], at: usize, is_object: bool) -> Option<Option<usize>> {
        let index = self.entries.len();
        let (kind, close) = if is_object { (Kind::Object, b'}') } else { (Kind::Array, b']') };
        self.push(kind, at..at + 1, false);
        if bytes.get(at + 1) == Some(&close) {
            self.close(index, at + 2);
            return Some(Some(at + 2));
        }
        if self.open.len() == MAX_OPEN {
            return None;
        }
        self.open.push(index);
        Some(None)
    }

    /// The end of what was opened last; whether what it stands in is an object.
    fn closed(&mut self, opened: usize, end: usize) -> bool {
        self.open.pop();
        self.close(opened, end);
        let outer = self.open.last().and_then(|outer| self.entries.get(*outer));
        outer.is_some_and(|outer| outer.kind == Kind::Object)
    }

    fn close(&mut self, index: usize, end: usize) {
        let next = position(self.entries.len());
        if let Some(entry) = self.entries.get_mut(index) {
            (entry.end, entry.next) = (position(end), next);
        }
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
    fn string<V: Simd>(
        &mut self,
        bytes: &[u8],
        ends: &mut Ends<'_, V>,
        at: usize,
    ) -> Option<usize> {
        let (end, escaped) = Self::end_of_string(bytes, ends, at)?;
        self.push(Kind::String, at + 1..end, escaped);
        Some(end + 1)
    }

    /// Where the string ends whose first quote stands at `at`, and whether anything in it is
    /// escaped.
    #[inline(always)]
    fn end_of_string<V: Simd>(
        bytes: &[u8],
        ends: &mut Ends<'_, V>,
        at: usize,
    ) -> Option<(usize, bool)> {
        // Outside of strings there is no mark but the quotes that begin them.
        ends.next().filter(|quote| *quote == at)?;
        let end = ends.next()?;
        if bytes.get(end) == Some(&b'"') {
            return Some((end, false));
        }
        let (end, behind) = end_of_escaped(bytes, ends.clone(), end)?;
        *ends = behind;
        Some((end, true))
    }
}

/// The end of a string in which something is escaped, or may not stand, first at `at`; and the
/// ends behind it.
#[cold]
fn end_of_escaped<'a, V: Simd>(
    bytes: &[u8],
    mut ends: Ends<'a, V>,
    mut at: usize,
) -> Option<(usize, Ends<'a, V>)> {
    loop {
        let from = match bytes.get(at)? {
            b'"' => return Some((at, ends)),
            b'\\' => behind_escape(bytes, at + 1)?,
            _ => return None,
        };
        // What was escaped is no end.
        at = ends.next_from(from)?;
    }
}

/// The [`mark`] of a key in which something is escaped.
#[cold]
fn mark_of_escaped(quoted: &[u8]) -> Option<u32> {
    Some(mark(serde_json::from_slice::<String>(quoted).ok()?.as_bytes()))
}

/// Where the strings of a text may end.
type Ends<'a, V> = Marks<'a, V, EndsOfStrings>;

/// Positions fit, for no longer text is taken.
#[allow(clippy::cast_possible_truncation, reason = "the length of the text was looked at")]
const fn position(at: usize) -> u32 {
    at as u32
}

/// The end of the escape whose letter stands at `at`.
fn behind_escape(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 1),
        b'u' => {
            let digits = bytes.get(at + 1..at + 5)?;
            // `\uD800` to `\uDFFF` are halves of a pair.
            let is_half =
                matches!(digits, [b'd' | b'D', b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F', ..]);
            (!is_half && digits.iter().all(u8::is_ascii_hexdigit)).then_some(at + 5)
        }
        _ => None,
    }
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
            Slot::One(at) => match self.tape.entries.get(at) {
                Some(key)
                    if key.mark == wanted && key.next == object && self.is_named(key, name) =>
                {
                    (1, Some(at + 1))
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
            true => serde_json::from_str(self.quoted(entry)).ok().map(Cow::Owned),
        }
    }

    fn raw(&self, entry: &Entry) -> &'a str {
        self.text.get(entry.start as usize..entry.end as usize).unwrap_or_default()
    }

    /// The value of an entry as JSON.
    fn quoted(&self, entry: &Entry) -> &'a str {
        let quotes = usize::from(entry.kind == Kind::String);
        let (start, end) = (entry.start as usize - quotes, entry.end as usize + quotes);
        self.text.get(start..end).unwrap_or_default()
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
    pub(super) fn text(self) -> &'a str {
        self.record.quoted(self.entry())
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
