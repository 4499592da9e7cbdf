//! One record as a list of its values, in the order of the text.
//!
//! The list is used again for the next record, so that reading allocates nothing. A tape takes
//! compact JSON only, and less than all of that: what CloudTrail does not write (white space,
//! fractions, halves of surrogate pairs, deep nesting) it refuses, and the caller asks
//! [`serde_json`]. What it takes, `serde_json` takes too and reads as the same; a test holds it
//! to that.

use std::borrow::Cow;
use std::ops::Range;

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
    top: Top,
}

/// The keys of the outermost object, by a part of their mark: two of three fields that are asked
/// for are there, and each would be looked for among all of them.
#[derive(Debug)]
struct Top([u32; Self::SLOTS]);

/// What stands in a slot.
enum Slot {
    /// No key at all.
    Empty,
    /// This one alone.
    One(usize),
    /// Several, or none can tell.
    Crowded,
}

impl Default for Top {
    fn default() -> Self {
        Self([Self::EMPTY; Self::SLOTS])
    }
}

impl Top {
    const SLOTS: usize = 64;
    const EMPTY: u32 = u32::MAX;
    const CROWDED: u32 = u32::MAX - 1;

    fn slot(mark: u32) -> usize {
        (mark.wrapping_mul(0x9e37_79b1) >> 26) as usize
    }

    fn put(&mut self, mark: u32, entry: usize) {
        if let Some(slot) = self.0.get_mut(Self::slot(mark)) {
            *slot = if *slot == Self::EMPTY { position(entry) } else { Self::CROWDED };
        }
    }

    fn get(&self, mark: u32) -> Slot {
        match self.0.get(Self::slot(mark)) {
            Some(&Self::EMPTY) => Slot::Empty,
            None | Some(&Self::CROWDED) => Slot::Crowded,
            Some(entry) => Slot::One(*entry as usize),
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
    /// The entry behind everything inside it.
    next: u32,
    /// Of a key: [`mark`] of what it says.
    mark: u32,
}

/// The length of a key and three of its letters: two that differ in it are not the same, and of
/// the keys of one object hardly two agree in it.
fn mark(key: &[u8]) -> u32 {
    let middle = key.get(key.len() / 2 + 1).copied().unwrap_or_default();
    let (first, last) = (key.first(), key.last());
    let [length, ..] = key.len().to_le_bytes();
    let letter = |it: Option<&u8>| it.copied().unwrap_or_default();
    u32::from_le_bytes([length, letter(first), middle, letter(last)])
}

/// A value on a tape.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    tape: &'a Tape,
    text: &'a str,
    entry: Entry,
    index: usize,
}

impl std::fmt::Debug for Node<'_> {
    /// What stands in a record can be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Node({:?} at {})", self.entry.kind, self.entry.start)
    }
}

impl Tape {
    /// Reads `text`, if all of it is one value.
    pub fn read<'a>(&'a mut self, text: &'a str) -> Option<Node<'a>> {
        self.entries.clear();
        self.open.clear();
        self.top = Top::default();
        u32::try_from(text.len()).ok()?;
        self.values(text.as_bytes())?;
        let entry = *self.entries.first()?;
        Some(Node { tape: self, text, entry, index: 0 })
    }

    fn values(&mut self, bytes: &[u8]) -> Option<()> {
        let (mut at, mut next) = (0, Next::Value);
        let mut ends = Marks::new(bytes, 0);
        loop {
            (at, next) = match next {
                Next::Key => self.key(bytes, &mut ends, at)?,
                Next::Value => self.value(bytes, &mut ends, at)?,
                Next::Behind => match self.open.last() {
                    Some(opened) => self.behind(bytes, at, *opened)?,
                    None => return (at == bytes.len()).then_some(()),
                },
            };
        }
    }

    /// A key and its colon.
    fn key(&mut self, bytes: &[u8], ends: &mut Ends<'_>, at: usize) -> Option<(usize, Next)> {
        if bytes.get(at) != Some(&b'"') {
            return None;
        }
        let end = self.string(bytes, ends, at)?;
        let quoted = bytes.get(at..end)?;
        if let Some(key) = self.entries.last_mut() {
            key.mark = match key.escaped {
                false => mark(quoted.get(1..quoted.len() - 1)?),
                true => mark(serde_json::from_slice::<String>(quoted).ok()?.as_bytes()),
            };
            if self.open.len() == 1 {
                self.top.put(key.mark, self.entries.len() - 1);
            }
        }
        (bytes.get(end) == Some(&b':')).then_some((end + 1, Next::Value))
    }

    /// A scalar, or the beginning of an array or object.
    fn value(&mut self, bytes: &[u8], ends: &mut Ends<'_>, at: usize) -> Option<(usize, Next)> {
        let (kind, close, inside) = match bytes.get(at)? {
            b'"' => return Some((self.string(bytes, ends, at)?, Next::Behind)),
            b'{' => (Kind::Object, b'}', Next::Key),
            b'[' => (Kind::Array, b']', Next::Value),
            _ => return Some((self.scalar(bytes, at)?, Next::Behind)),
        };
        let index = self.entries.len();
        self.push(kind, at..at + 1, false);
        if bytes.get(at + 1) == Some(&close) {
            self.close(index, at + 2);
            return Some((at + 2, Next::Behind));
        }
        if self.open.len() == MAX_OPEN {
            return None;
        }
        self.open.push(index);
        Some((at + 1, inside))
    }

    /// What stands behind a value inside of `opened`.
    fn behind(&mut self, bytes: &[u8], at: usize, opened: usize) -> Option<(usize, Next)> {
        let kind = self.entries.get(opened)?.kind;
        match (bytes.get(at)?, kind) {
            (b',', Kind::Object) => Some((at + 1, Next::Key)),
            (b',', _) => Some((at + 1, Next::Value)),
            (b'}', Kind::Object) | (b']', Kind::Array) => {
                self.open.pop();
                self.close(opened, at + 1);
                Some((at + 1, Next::Behind))
            }
            _ => None,
        }
    }

    fn close(&mut self, index: usize, end: usize) {
        let next = position(self.entries.len());
        if let Some(entry) = self.entries.get_mut(index) {
            (entry.end, entry.next) = (position(end), next);
        }
    }

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

    fn string(&mut self, bytes: &[u8], ends: &mut Ends<'_>, at: usize) -> Option<usize> {
        let start = at + 1;
        let (mut from, mut escaped) = (start, false);
        loop {
            // Behind the quote that begins it, and behind what was escaped.
            let at = ends.find(|it| *it >= from)?;
            match bytes.get(at)? {
                b'"' => {
                    self.push(Kind::String, start..at, escaped);
                    return Some(at + 1);
                }
                b'\\' => {
                    escaped = true;
                    from = behind_escape(bytes, at + 1)?;
                }
                _ => return None,
            }
        }
    }
}

/// Where the strings of a text may end.
type Ends<'a> = Marks<'a, EndsOfStrings>;

/// Positions fit, for no longer text is taken.
fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
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

/// What comes next in a text.
#[derive(Clone, Copy)]
enum Next {
    Key,
    Value,
    Behind,
}

impl<'a> Node<'a> {
    pub(super) fn kind(self) -> Kind {
        self.entry.kind
    }

    /// The bytes of the value; of a string without its quotes, and as it is written.
    #[must_use]
    pub fn raw(self) -> &'a str {
        self.slice(self.entry)
    }

    /// Where [`Node::raw`] begins in the text.
    #[must_use]
    pub fn start(self) -> usize {
        self.entry.start as usize
    }

    /// The value as JSON.
    pub(super) fn text(self) -> &'a str {
        let (start, end) = (self.entry.start as usize, self.entry.end as usize);
        let quotes = usize::from(self.entry.kind == Kind::String);
        self.text.get(start - quotes..end + quotes).unwrap_or_default()
    }

    /// What a string says.
    #[must_use]
    pub fn string(self) -> Option<Cow<'a, str>> {
        match (self.entry.kind, self.entry.escaped) {
            (Kind::String, false) => Some(Cow::Borrowed(self.raw())),
            (Kind::String, true) => serde_json::from_str(self.text()).ok().map(Cow::Owned),
            _ => None,
        }
    }

    /// The last member of that name.
    pub(super) fn member(self, name: &str) -> Option<Self> {
        self.find(name).1.and_then(|index| self.at(index))
    }

    /// The member of that name, if there is one, and one only, and it is a string.
    #[must_use]
    pub fn only_text(self, name: &str) -> Option<Self> {
        let (count, last) = self.find(name);
        let value = self.at(last?)?;
        (count == 1 && value.kind() == Kind::String).then_some(value)
    }

    /// How many members have that name, and the entry of the last one's value. This is most of
    /// what reading a record takes, so it looks at the marks alone where these are enough.
    fn find(self, name: &str) -> (usize, Option<usize>) {
        let (mut count, mut last) = (0, None);
        if self.entry.kind != Kind::Object {
            return (count, last);
        }
        let wanted = mark(name.as_bytes());
        let (mut index, mut end) = (self.index + 1, self.entry.next as usize);
        if self.index == 0 {
            match self.tape.top.get(wanted) {
                Slot::Empty => return (count, last),
                Slot::One(key) => (index, end) = (key, key + 1),
                Slot::Crowded => {}
            }
        }
        while index < end
            && let Some([key, value]) = self.tape.entries.get(index..index + 2)
        {
            if key.mark == wanted && self.is_named(key, name) {
                count += 1;
                last = Some(index + 1);
            }
            index = value.next as usize;
        }
        (count, last)
    }

    fn is_named(self, key: &Entry, name: &str) -> bool {
        if key.escaped {
            return Self { entry: *key, ..self }.string().as_deref() == Some(name);
        }
        let bytes = self.text.as_bytes().get(key.start as usize..key.end as usize);
        bytes == Some(name.as_bytes())
    }

    pub(super) fn elements(self) -> impl Iterator<Item = Self> {
        let (mut index, end) = match self.entry.kind {
            Kind::Array => (self.index + 1, self.entry.next as usize),
            _ => (0, 0),
        };
        std::iter::from_fn(move || {
            let element = (index < end).then(|| self.at(index)).flatten()?;
            index = element.entry.next as usize;
            Some(element)
        })
    }

    fn at(self, index: usize) -> Option<Self> {
        Some(Self { entry: *self.tape.entries.get(index)?, index, ..self })
    }

    fn slice(self, entry: Entry) -> &'a str {
        self.text.get(entry.start as usize..entry.end as usize).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// The tree of what a tape has taken, built from the tape alone.
    fn tree(node: Node<'_>) -> Value {
        match node.kind() {
            Kind::Null => Value::Null,
            Kind::Bool => Value::Bool(node.raw() == "true"),
            Kind::Number => serde_json::from_str(node.raw()).unwrap(),
            Kind::String => Value::String(node.string().unwrap().into_owned()),
            Kind::Array => node.elements().map(tree).collect(),
            Kind::Object => {
                let mut map = serde_json::Map::new();
                let mut index = node.index + 1;
                while index < node.entry.next as usize {
                    let key = node.at(index).unwrap().string().unwrap().into_owned();
                    let value = node.at(index + 1).unwrap();
                    map.insert(key, tree(value));
                    index = value.entry.next as usize;
                }
                Value::Object(map)
            }
        }
    }

    #[test]
    fn what_it_takes_is_json_and_read_as_the_same() {
        let mut tape = Tape::default();
        for text in [
            r#"{"a":{"b":[1,-20,{"c":null}],"d":[]},"e":{},"f":"","g":true,"h":false}"#,
            r#"{"a\u0062":"\u00e9\n\"\\\/","long enough for a step":"eight by eight, and äöü"}"#,
            "[]",
            r#""text""#,
            "123456789012345678",
            "0",
        ] {
            let node = tape.read(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(tree(node), serde_json::from_str::<Value>(text).unwrap());
        }
    }

    #[test]
    fn of_several_members_the_last_counts() {
        let mut tape = Tape::default();
        let node = tape.read(r#"{"a":1,"b":"x","\u0061":2}"#).unwrap();
        assert_eq!(node.member("a").map(Node::raw), Some("2"));
        assert!(node.only_text("a").is_none() && node.only_text("b").is_some());
        assert!(node.member("c").is_none());
    }

    #[test]
    fn what_is_no_json_or_unusual_is_refused() {
        let deep = "[".repeat(100) + &"]".repeat(100);
        let mut tape = Tape::default();
        for text in [
            "",
            "{",
            "{}}",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "[1 ,2]",
            " 1",
            "01",
            "-0",
            "1.5",
            "1e3",
            "-",
            "1234567890123456789",
            "nul",
            "truex",
            "\"a",
            "\"\n\"",
            "\"\u{1}\"",
            r#""\x""#,
            r#""\u12g4""#,
            r#""\ud800\udc00""#,
            "[}",
            "{]",
            "{\"a\":1]",
            deep.as_str(),
        ] {
            assert!(tape.read(text).is_none(), "{text}");
        }
    }

    /// Whatever one byte is replaced by: a tape never takes what is no JSON, or reads it wrongly.
    #[test]
    fn no_damage_makes_it_more_lenient_than_a_full_parser() {
        let text = r#"{"eventVersion":"1.08","a":[{"b\n":-1},true,"\u00e9 é"],"c":{"d":null}}"#;
        let mut tape = Tape::default();
        for at in 0..text.len() {
            for with in 0..=u8::MAX {
                let mut bytes = text.as_bytes().to_vec();
                bytes[at] = with;
                let Ok(text) = std::str::from_utf8(&bytes) else { continue };
                if let Some(node) = tape.read(text) {
                    assert_eq!(tree(node), serde_json::from_str::<Value>(text).unwrap(), "{text}");
                }
            }
        }
    }
}
