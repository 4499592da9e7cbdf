//! The habits of one class of callers at a role, or of one caller.

use std::ops::Range;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::packed::Packed;
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
    kept: Vec<Kept>,
    /// The texts of the values, one behind the other, in their order.
    text: Box<str>,
    /// Few tables ever have to evict.
    evicted: Option<Box<SmallMap<Dimension, Evicted>>>,
}

/// One value, in 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Kept {
    /// Where its text ends, and that of the next one begins. Three bytes leave one for the
    /// dimension and are enough for a thousand values of sixteen thousand bytes each.
    end: [u8; 3],
    dimension: Dimension,
    pub(super) seen: Packed,
}

impl Kept {
    fn end(&self) -> usize {
        let [low, middle, high] = self.end;
        usize::from(low) | usize::from(middle) << 8 | usize::from(high) << 16
    }

    fn ending_at(self, end: usize) -> Self {
        let [low, middle, high, ..] = end.to_le_bytes();
        Self { end: [low, middle, high], ..self }
    }
}

impl Habits {
    /// Bytes of text that the ends of values can tell: several times what a log can teach, and
    /// less than a file that was made by hand may hold.
    const MOST_TEXT: usize = 0xff_ffff;

    /// The values of one dimension.
    #[must_use]
    pub fn table(&self, dimension: Dimension) -> Option<Table<'_>> {
        let evicted = self.evicted_of(dimension);
        let range = self.range(dimension);
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
        let has_room = values.len() <= Table::CAPACITY && length <= Self::MOST_TEXT;
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
            Err(at) if Self::has_room(&self.text, value) => {
                self.insert(at, dimension, value, Packed::once(time));
                let range = self.range(dimension);
                if range.len() > Table::CAPACITY {
                    self.evict(range, time);
                }
            }
            Err(_) => {}
        }
    }

    fn has_room(text: &str, value: &str) -> bool {
        text.len() + value.len() <= Self::MOST_TEXT
    }

    /// The texts, to be changed and put back: a text that can grow takes more room by itself.
    fn take_text(&mut self) -> String {
        std::mem::take(&mut self.text).into()
    }

    /// Drops the value that was not seen for longest, and counts it.
    fn evict(&mut self, range: Range<usize>, time: Timestamp) {
        let values = self.kept.get(range.clone()).unwrap_or_default();
        let stalest = values.iter().enumerate().min_by_key(|(at, it)| (it.seen.age(), *at));
        let Some((at, kept)) = stalest.map(|(at, kept)| (range.start + at, *kept)) else { return };
        self.remove(at);
        let evicted = self.evicted.get_or_insert_default();
        let before = evicted.get(&kept.dimension).copied().unwrap_or(Evicted::nothing(time));
        evicted.insert(kept.dimension, before.plus(kept.seen.days(), time));
    }

    fn insert(&mut self, at: usize, dimension: Dimension, value: &str, seen: Packed) {
        let start = self.start(at);
        // A list grows to twice its size; most of these seldom have one more.
        self.kept.reserve_exact(1);
        let mut text = self.take_text();
        text.reserve_exact(value.len());
        text.insert_str(start, value);
        self.text = text.into();
        let kept = Kept { end: [0; 3], dimension, seen };
        self.kept.insert(at, kept.ending_at(start));
        for kept in self.kept.iter_mut().skip(at) {
            *kept = kept.ending_at(kept.end() + value.len());
        }
    }

    /// Keeps a value that stands behind all others, whose texts are in `text`.
    fn push(&mut self, text: &mut String, dimension: Dimension, value: &str, seen: Packed) {
        text.push_str(value);
        let kept = Kept { end: [0; 3], dimension, seen };
        self.kept.push(kept.ending_at(text.len()));
    }

    fn remove(&mut self, at: usize) {
        let (start, end) = (self.start(at), self.start(at + 1));
        let mut text = self.take_text();
        text.replace_range(start..end, "");
        self.text = text.into();
        self.kept.remove(at);
        for kept in self.kept.iter_mut().skip(at) {
            *kept = kept.ending_at(kept.end().saturating_sub(end - start));
        }
    }

    fn range(&self, dimension: Dimension) -> Range<usize> {
        let start = self.kept.partition_point(|it| it.dimension < dimension);
        let rest = self.kept.get(start..).unwrap_or_default();
        start..start + rest.iter().take_while(|it| it.dimension == dimension).count()
    }

    /// Where the text of a value begins.
    fn start(&self, at: usize) -> usize {
        start(&self.kept, at)
    }

    /// Where a value stands, or where it would.
    fn place(&self, dimension: Dimension, value: &str) -> Result<usize, usize> {
        let bytes = self.text.as_bytes();
        let (mut low, mut high) = (0, self.kept.len());
        while low < high {
            let middle = low + (high - low) / 2;
            let order = self.kept.get(middle).map(|it| it.dimension.cmp(&dimension));
            // Of bytes it need not be asked whether a character ends with them.
            let text = || bytes.get(self.start(middle)..self.start(middle + 1));
            let then = || text().unwrap_or_default().cmp(value.as_bytes());
            match order.unwrap_or(std::cmp::Ordering::Greater).then_with(then) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
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
        for (dimension, table) in tables.iter() {
            for (value, seen) in table.values() {
                if !Self::has_room(&text, value) {
                    continue;
                }
                habits.push(&mut text, *dimension, value, Packed::of(*seen));
            }
            if let Some(evicted) = table.evicted {
                habits.evicted.get_or_insert_default().insert(*dimension, evicted);
            }
        }
        habits.text = text.into();
        habits
    }
}

/// The text of a value.
pub(super) fn text_of<'a>(kept: &[Kept], text: &'a str, at: usize) -> &'a str {
    text.get(start(kept, at)..start(kept, at + 1)).unwrap_or_default()
}

fn start(kept: &[Kept], at: usize) -> usize {
    let before = at.checked_sub(1).and_then(|before| kept.get(before));
    before.map_or(0, Kept::end)
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
