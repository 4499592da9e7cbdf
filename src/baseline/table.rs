//! A bounded table of values.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize, Serializer};

use super::habits::{Kept, place, text_of};
use super::small_map::SmallMap;
use super::{Seen, Turnover};

/// The values of one dimension, at most [`Table::CAPACITY`] of them, as they lie among the habits.
/// When a new one has no room, the one that was not seen for longest goes. What it said about the
/// coming of new values stays, or a volatile dimension would look stable because its values are
/// forgotten.
#[derive(Debug, Clone, Copy)]
pub struct Table<'a> {
    /// All values of the habits, and their texts.
    pub(super) kept: &'a [Kept],
    pub(super) text: &'a str,
    /// Where the table's own begin and end.
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) evicted: Option<&'a Evicted>,
}

/// A table by itself, for merging with another copy of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Loose {
    values: SmallMap<Arc<str>, Seen>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) evicted: Option<Evicted>,
}

/// What is left of evicted values: their share of the turnover, fading.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Evicted {
    /// How many went, ever.
    pub(super) total: u64,
    value_days: u32,
    once: u32,
    values: u32,
    /// When the counters were last halved.
    halved: Timestamp,
}

/// How long an evicted value weighs in full; then it counts half, and so on. About half of the
/// window in which kept values are remembered.
const HALF_LIFE: SignedDuration = SignedDuration::from_hours(60 * 24);

impl Evicted {
    /// Nothing went before `time`.
    pub(super) fn nothing(time: Timestamp) -> Self {
        Self { total: 0, value_days: 0, once: 0, values: 0, halved: time }
    }

    /// Of two copies of one history, the larger counters stand.
    fn join(self, other: Self) -> Self {
        Self {
            total: self.total.max(other.total),
            value_days: self.value_days.max(other.value_days),
            once: self.once.max(other.once),
            values: self.values.max(other.values),
            halved: self.halved.max(other.halved),
        }
    }

    /// What one copy has counted since `base`, counted on top of `onto`.
    fn rebase(mine: Option<Self>, base: Option<Self>, onto: Option<Self>) -> Option<Self> {
        let (Some(mine), Some(onto)) = (mine, onto) else { return mine.or(onto) };
        let base = base.unwrap_or(Self::nothing(mine.halved)).faded(mine.halved);
        let halved = mine.halved.max(onto.halved);
        let (mine, base, onto) = (mine.faded(halved), base.faded(halved), onto.faded(halved));
        let plus = |onto: u32, mine: u32, base: u32| onto.saturating_add(mine.saturating_sub(base));
        Some(Self {
            total: onto.total.saturating_add(mine.total.saturating_sub(base.total)),
            value_days: plus(onto.value_days, mine.value_days, base.value_days),
            once: plus(onto.once, mine.once, base.once),
            values: plus(onto.values, mine.values, base.values),
            halved: onto.halved,
        })
    }

    /// The counters as they are once they were halved at `halved`, if that is another time than
    /// the last one: tables that began to evict on different days differ by less.
    fn faded(self, halved: Timestamp) -> Self {
        if halved.duration_since(self.halved) < HALF_LIFE {
            return self;
        }
        let (value_days, once, values) = (self.value_days / 2, self.once / 2, self.values / 2);
        Self { value_days, once, values, halved, ..self }
    }

    /// What is left once one more went at `time`, which was seen on so many days.
    pub(super) fn plus(mut self, days: u32, time: Timestamp) -> Self {
        if time.duration_since(self.halved) >= HALF_LIFE {
            (self.value_days, self.once, self.values) =
                (self.value_days / 2, self.once / 2, self.values / 2);
            self.halved = time;
        }
        self.total = self.total.saturating_add(1);
        self.value_days = self.value_days.saturating_add(days);
        self.once = self.once.saturating_add(u32::from(days == 1));
        self.values = self.values.saturating_add(1);
        self
    }
}

impl<'a> Table<'a> {
    /// Most values of one dimension.
    pub const CAPACITY: usize = 64;

    /// What is known of a value.
    #[must_use]
    pub fn get(self, value: &str) -> Option<Seen> {
        let at = place(self.kept, self.text, self.from..self.to, value).ok()?;
        self.kept.get(at).map(|it| it.seen.seen())
    }

    /// The values, in order.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, Seen)> {
        let values = self.own().iter().enumerate();
        values.map(move |(at, it)| (text_of(self.kept, self.text, self.from + at), it.seen.seen()))
    }

    /// How many values are kept.
    #[must_use]
    pub fn len(self) -> usize {
        self.to - self.from
    }

    /// Whether nothing was ever seen.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Values that had to go for want of room.
    #[must_use]
    pub fn evicted(self) -> u64 {
        self.evicted.map_or(0, |evicted| evicted.total)
    }

    /// How new values come, over all that is kept and what is left of the evicted.
    #[must_use]
    pub fn turnover(self) -> Turnover {
        let kept = Turnover::of_days(self.own().iter().map(|it| it.seen.days()));
        let Some(gone) = self.evicted else { return kept };
        kept.plus(Turnover { value_days: gone.value_days, once: gone.once, values: gone.values })
    }

    /// Calls seen with any kept value.
    #[must_use]
    pub fn calls(self) -> u64 {
        self.own().iter().map(|it| u64::from(it.seen.count())).sum()
    }

    /// Whether something is known that `base` does not tell and that may matter to the next
    /// judgement: a value, or a day of one. In a table where new values come all the time one
    /// more says nothing, and not every call is worth telling others about.
    #[must_use]
    pub fn has_news_since(self, base: Option<Table<'_>>) -> bool {
        let days = |value: &str| Some(base?.get(value)?.days);
        !self.is_volatile() && self.iter().any(|(value, seen)| days(value) != Some(seen.days))
    }

    /// Whether new values come all the time: there is experience, and a new one tells little.
    #[must_use]
    pub fn is_volatile(self) -> bool {
        const EXPERIENCE: u32 = 16;
        const LITTLE: f64 = 2.0;
        let turnover = self.turnover();
        turnover.value_days >= EXPERIENCE && turnover.bits_of_new() < LITTLE
    }

    fn own(self) -> &'a [Kept] {
        self.kept.get(self.from..self.to).unwrap_or_default()
    }
}

impl Serialize for Table<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Loose::of(*self).serialize(serializer)
    }
}

impl Loose {
    const CAPACITY: usize = Table::CAPACITY;

    pub(super) fn of(table: Table<'_>) -> Self {
        let values = table.iter().map(|(value, seen)| (Arc::from(value), seen)).collect();
        Self { values, evicted: table.evicted.copied() }
    }

    fn get(&self, value: &str) -> Option<&Seen> {
        self.values.get(value)
    }

    /// The values, in order.
    pub(super) fn values(&self) -> impl Iterator<Item = (&Arc<str>, &Seen)> {
        self.values.iter()
    }

    fn len(&self) -> usize {
        self.values.len()
    }

    fn evicted(&self) -> u64 {
        self.evicted.map_or(0, |evicted| evicted.total)
    }

    /// Takes in what another copy of the same history has seen.
    pub(super) fn join(&mut self, other: &Self) {
        for (value, seen) in other.values.iter() {
            let joined = self.values.get(&**value).map_or(*seen, |mine| mine.join(*seen));
            self.values.insert(Arc::clone(value), joined);
        }
        // What has no room was counted, or will be, by the copy that learned it: counting it here
        // would count it again with every join.
        while self.values.len() > Self::CAPACITY {
            self.values.remove_least(|seen| seen.last);
        }
        self.evicted = match (self.evicted, other.evicted) {
            (Some(mine), Some(theirs)) => Some(mine.join(theirs)),
            (mine, theirs) => mine.or(theirs),
        };
    }

    /// What this copy has seen since `base`, on top of what others have made of `base` meanwhile:
    /// facts join, and counts are added.
    #[must_use]
    pub(super) fn rebase(&self, base: Option<&Self>, onto: &Self) -> Self {
        let before = |value: &str| base.and_then(|base| base.get(value)).copied();
        // Else theirs was made anew, for the item was damaged or over, and lacks all of it.
        let had_no_room =
            onto.len() >= Self::CAPACITY || onto.evicted() > base.map_or(0, |base| base.evicted());
        let mut merged = onto.clone();
        for (value, mine) in self.values.iter() {
            let (before, theirs) = (before(value), onto.get(value));
            if had_no_room && theirs.is_none() && before == Some(*mine) {
                // Nothing speaks for it since.
                continue;
            }
            let more = mine.count.saturating_sub(before.map_or(0, |seen| seen.count));
            let joined = theirs.map_or(*mine, |theirs| Seen {
                count: theirs.count.saturating_add(more),
                ..theirs.join(*mine)
            });
            merged.values.insert(Arc::clone(value), joined);
        }
        let of = |table: &Self| table.evicted;
        merged.evicted = Evicted::rebase(self.evicted, base.and_then(of), onto.evicted);
        merged.cut(Self::CAPACITY, |value| {
            // What this copy had no room for it has counted.
            before(value).is_none() || self.get(value).is_some()
        });
        merged
    }

    /// Drops what was not seen for longest, until at most `most` values are left. What goes is
    /// counted as evicted.
    pub(super) fn shrink(&mut self, most: usize) {
        self.cut(most, |_| true);
    }

    fn cut(&mut self, most: usize, counts: impl Fn(&str) -> bool) {
        let Some(now) = self.values.values().map(|seen| seen.last).max() else { return };
        while self.values.len() > most {
            let Some((value, seen)) = self.values.remove_least(|seen| seen.last) else { return };
            if counts(&value) {
                self.count_evicted(&seen, now);
            }
        }
    }

    fn count_evicted(&mut self, seen: &Seen, time: Timestamp) {
        let before = self.evicted.unwrap_or(Evicted::nothing(time));
        self.evicted = Some(before.plus(seen.days.count(), time));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::{Dimension, Habits};

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(hours * 3_600).unwrap()
    }

    fn learn(habits: &mut Habits, value: &str, hours: i64) {
        habits.learn(&[(Dimension::Network, value.into())], at(hours));
    }

    fn table(habits: &Habits) -> Table<'_> {
        habits.table(Dimension::Network).unwrap()
    }

    fn loose(values: impl Iterator<Item = (String, i64)>) -> Loose {
        let mut habits = Habits::default();
        values.for_each(|(value, hours)| learn(&mut habits, &value, hours));
        Loose::of(table(&habits))
    }

    #[test]
    fn a_full_table_drops_what_was_not_seen_for_longest() {
        let mut habits = Habits::default();
        for n in 0..1_000_i64 {
            learn(&mut habits, "always", n);
            learn(&mut habits, &format!("value {n}"), n);
            habits.learn(&[(Dimension::Principal, "somebody".into())], at(n));
        }
        let table = table(&habits);
        assert_eq!(table.len(), Table::CAPACITY);
        assert_eq!(table.get("always").unwrap().count, 1_000);
        assert_eq!(table.evicted(), 1_001 - Table::CAPACITY as u64);
        assert!(table.get("value 999").is_some() && table.get("value 0").is_none());
        assert_eq!(habits.table(Dimension::Principal).unwrap().calls(), 1_000);
        assert_eq!(habits.weight(), Table::CAPACITY + 1);
    }

    #[test]
    fn what_somebody_made_anew_takes_nothing_away() {
        let value = |n: i64| format!("value {n}");
        let base = loose((0..9).map(|n| (value(n), n)));
        let theirs = loose([(value(3), 9)].into_iter());
        assert_eq!(base.rebase(Some(&base), &theirs).len(), 9);
        let others = (0..200).map(|n| (format!("other {n}"), 9 + n));
        let theirs = loose([(value(3), 9)].into_iter().chain(others));
        assert_eq!(base.rebase(Some(&base), &theirs).get("value 0"), None, "it had no room there");
    }

    #[test]
    fn joining_full_tables_is_idempotent_and_commutative() {
        let table = |from: i64| loose((from..from + 100).map(|n| (format!("value {n}"), n)));
        let joined = |a: &Loose, b: &Loose| {
            let mut both = a.clone();
            both.join(b);
            both
        };
        let (a, b) = (table(0), table(70));
        let both = joined(&a, &b);
        assert_eq!(both, joined(&b, &a));
        assert_eq!(both, joined(&both, &b));
        assert_eq!(both, joined(&both, &a));
        assert_eq!(joined(&a, &a), a);
    }

    #[test]
    fn a_volatile_table_stays_volatile_when_its_values_are_evicted() {
        let (mut volatile, mut stable) = (Habits::default(), Habits::default());
        for n in 0..2_000_i64 {
            learn(&mut volatile, &format!("address {n}"), n);
            learn(&mut stable, "office", n);
        }
        let (volatile, stable) = (table(&volatile).turnover(), table(&stable).turnover());
        assert!(volatile.bits_of_new() < 0.5, "{volatile:?}");
        assert!(stable.bits_of_new() > 6.0, "{stable:?}");
    }
}
