//! The habits of one class of callers at a role, or of one caller.

use std::cmp::Ordering;
use std::ops::Range;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::packed::Packed;
use super::sizes::Sizes;
use super::small_map::SmallMap;
use super::table::{Evicted, Loose, Table};
use super::{Dimension, Seen, Turnover, Value};

/// The tables of one role for one class of callers, or of one caller.
///
/// All of them lie in one list, by dimension and value, and all texts in another: a batch copies
/// the habits of every role and caller that it touches, and two lists are copied as they are,
/// where a table, a text and a share of each would be an allocation apiece.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Habits {
    /// How many values each dimension has.
    sizes: Sizes,
    kept: Vec<Kept>,
    /// The texts of the values, one behind the other, in their order.
    text: Box<str>,
    /// Few tables ever have to evict.
    evicted: Option<Box<SmallMap<Dimension, Evicted>>>,
}

/// One value, in 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Kept {
    /// Where its text ends, and that of the next one begins.
    end: u32,
    pub(super) seen: Packed,
}

impl Habits {
    /// Bytes of text at most: several times what a log can teach, and less than a file that was
    /// made by hand may hold.
    const MOST_TEXT: u32 = 0xff_ffff;

    /// The values of one dimension.
    #[must_use]
    pub fn table(&self, dimension: Dimension) -> Option<Table<'_>> {
        let evicted = self.evicted_of(dimension);
        let range = self.sizes.range(dimension);
        (!range.is_empty() || evicted.is_some()).then(|| self.view(range, evicted))
    }

    /// All tables, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Dimension, Table<'_>)> {
        Dimension::ALL.into_iter().filter_map(|it| Some((it, self.table(it)?)))
    }

    /// What is known of one value.
    #[must_use]
    pub fn seen(&self, dimension: Dimension, value: &str) -> Option<Seen> {
        let at = self.place(dimension, value).ok()?;
        self.kept.get(at).map(|it| it.seen.seen())
    }

    /// Whether one value was ever seen, as far as is known.
    #[must_use]
    pub fn has_seen(&self, dimension: Dimension, value: &str) -> bool {
        self.place(dimension, value).is_ok()
    }

    /// Days on which one value was seen.
    #[must_use]
    pub fn days(&self, dimension: Dimension, value: &str) -> u32 {
        self.seen(dimension, value).map_or(0, |seen| seen.days.count())
    }

    /// How new values of one dimension come.
    #[must_use]
    pub fn turnover(&self, dimension: Dimension) -> Turnover {
        self.table(dimension).map_or_else(Turnover::default, Table::turnover)
    }

    /// Values kept, over all tables: what the habits weigh in memory.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.kept.len()
    }

    /// Values that had to go for want of room, over all tables.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        let tables = self.evicted.iter().flat_map(|it| it.values());
        tables.map(|it| it.total).sum()
    }

    /// When any value was last seen.
    pub(super) fn last_active(&self) -> Option<Timestamp> {
        self.kept.iter().max_by_key(|it| it.seen.age()).map(|it| it.seen.seen().last)
    }

    pub(super) fn learn(&mut self, values: &[Value], time: Timestamp) {
        let length = values.iter().map(|(_, value)| value.len()).sum();
        let has_room = values.len() <= Table::CAPACITY && Self::has_room("", length);
        if self.kept.is_empty() && self.evicted.is_none() && has_room {
            self.begin(values, length, time);
        } else {
            values.iter().for_each(|(dimension, value)| self.learn_one(*dimension, value, time));
        }
    }

    /// Learns from the first call, whose values find room behind one another.
    fn begin(&mut self, values: &[Value], length: usize, time: Timestamp) {
        let mut values: Vec<(Dimension, &str)> =
            values.iter().map(|(dimension, value)| (*dimension, &**value)).collect();
        values.sort_unstable();
        self.kept.reserve_exact(values.len());
        let mut text = String::with_capacity(length);
        let mut before = None;
        for value in values {
            match self.kept.last_mut() {
                Some(kept) if before == Some(value) => kept.seen.again(time),
                _ => self.push(&mut text, value.0, value.1, Packed::once(time)),
            }
            before = Some(value);
        }
        self.text = text.into();
    }

    fn learn_one(&mut self, dimension: Dimension, value: &str, time: Timestamp) {
        match self.place(dimension, value) {
            Ok(at) => {
                if let Some(kept) = self.kept.get_mut(at) {
                    kept.seen.again(time);
                }
            }
            Err(at) if Self::has_room(&self.text, value.len()) => {
                self.insert(at, dimension, value, Packed::once(time));
                if self.sizes.range(dimension).len() > Table::CAPACITY {
                    self.evict(dimension, time);
                }
            }
            Err(_) => {}
        }
    }

    fn has_room(text: &str, more: usize) -> bool {
        text.len() + more <= Self::MOST_TEXT as usize
    }

    /// The texts, to be changed and put back: a text that can grow takes more room by itself.
    fn take_text(&mut self) -> String {
        std::mem::take(&mut self.text).into()
    }

    /// Drops the value that was not seen for longest, and counts it.
    fn evict(&mut self, dimension: Dimension, time: Timestamp) {
        let range = self.sizes.range(dimension);
        let values = self.kept.get(range.clone()).unwrap_or_default();
        let stalest = values.iter().enumerate().min_by_key(|(at, it)| (it.seen.age(), *at));
        let Some((at, kept)) = stalest.map(|(at, kept)| (range.start + at, *kept)) else { return };
        self.remove(at, dimension);
        let evicted = self.evicted.get_or_insert_default();
        let before = evicted.get(&dimension).copied().unwrap_or(Evicted::nothing(time));
        evicted.insert(dimension, before.plus(kept.seen.days(), time));
    }

    fn insert(&mut self, at: usize, dimension: Dimension, value: &str, seen: Packed) {
        let (start, more) = (self.start(at), text_length(value));
        // A list grows to twice its size; most of these seldom have one more.
        self.kept.reserve_exact(1);
        let mut text = self.take_text();
        text.reserve_exact(value.len());
        text.insert_str(start as usize, value);
        self.text = text.into();
        self.kept.insert(at, Kept { end: start, seen });
        self.kept.iter_mut().skip(at).for_each(|kept| kept.end += more);
        self.sizes.add(dimension);
    }

    /// Keeps a value that stands behind all others, whose texts are in `text`.
    fn push(&mut self, text: &mut String, dimension: Dimension, value: &str, seen: Packed) {
        text.push_str(value);
        self.kept.push(Kept { end: text_length(text), seen });
        self.sizes.add(dimension);
    }

    fn remove(&mut self, at: usize, dimension: Dimension) {
        let (start, end) = (self.start(at), self.start(at + 1));
        let mut text = self.take_text();
        text.replace_range(start as usize..end as usize, "");
        self.text = text.into();
        self.kept.remove(at);
        self.kept.iter_mut().skip(at).for_each(|kept| kept.end -= end - start);
        self.sizes.take(dimension);
    }

    /// Where the text of a value begins.
    fn start(&self, at: usize) -> u32 {
        start(&self.kept, at)
    }

    /// Where a value stands, or where it would.
    fn place(&self, dimension: Dimension, value: &str) -> Result<usize, usize> {
        place(&self.kept, &self.text, self.sizes.range(dimension), value)
    }

    fn evicted_of(&self, dimension: Dimension) -> Option<&Evicted> {
        self.evicted.as_ref()?.get(&dimension)
    }

    fn view<'a>(&'a self, range: Range<usize>, evicted: Option<&'a Evicted>) -> Table<'a> {
        Table { kept: &self.kept, text: &self.text, from: range.start, to: range.end, evicted }
    }

    /// The tables one by one, for merging.
    pub(super) fn loose(&self) -> SmallMap<Dimension, Loose> {
        let mut tables = SmallMap::default();
        self.iter().for_each(|(dimension, table)| tables.insert(dimension, Loose::of(table)));
        tables
    }

    pub(super) fn join(&mut self, other: &Self) {
        let mut tables = self.loose();
        for (dimension, table) in other.iter() {
            if let Some(mine) = tables.get_or_default(dimension) {
                mine.join(&Loose::of(table));
            }
        }
        *self = Self::of(tables);
    }

    /// Habits of tables that were apart.
    pub(super) fn of(tables: SmallMap<Dimension, Loose>) -> Self {
        let mut habits = Self::default();
        let count = tables.values().map(|it| it.values().count()).sum();
        habits.kept.reserve_exact(count);
        let mut text = String::new();
        for (dimension, mut table) in tables.into_iter() {
            // A file that was made by hand may hold more.
            table.shrink(Table::CAPACITY);
            for (value, seen) in table.values() {
                if Self::has_room(&text, value.len()) {
                    habits.push(&mut text, dimension, value, Packed::of(*seen));
                }
            }
            if let Some(evicted) = table.evicted {
                habits.evicted.get_or_insert_default().insert(dimension, evicted);
            }
        }
        habits.text = text.into();
        habits
    }
}

/// Where a value stands among those of a table, or where it would.
pub(super) fn place(
    kept: &[Kept],
    text: &str,
    table: Range<usize>,
    value: &str,
) -> Result<usize, usize> {
    let Range { start: mut low, end: mut high } = table;
    while low < high {
        let middle = low + (high - low) / 2;
        // Of bytes it need not be asked whether a character ends with them.
        let text = text.as_bytes().get(span(kept, middle)).unwrap_or_default();
        match text.cmp(value.as_bytes()) {
            Ordering::Less => low = middle + 1,
            Ordering::Equal => return Ok(middle),
            Ordering::Greater => high = middle,
        }
    }
    Err(low)
}

/// The text of a value.
pub(super) fn text_of<'a>(kept: &[Kept], text: &'a str, at: usize) -> &'a str {
    text.get(span(kept, at)).unwrap_or_default()
}

/// Where the text of a value lies.
fn span(kept: &[Kept], at: usize) -> Range<usize> {
    start(kept, at) as usize..start(kept, at + 1) as usize
}

fn start(kept: &[Kept], at: usize) -> u32 {
    let before = at.checked_sub(1).and_then(|before| kept.get(before));
    before.map_or(0, |before| before.end)
}

/// How long a text is, which is bounded by [`Habits::MOST_TEXT`].
fn text_length(text: &str) -> u32 {
    u32::try_from(text.len()).unwrap_or(Habits::MOST_TEXT)
}

impl Serialize for Habits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Habits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SmallMap::deserialize(deserializer).map(Self::of)
    }
}
