//! A bounded table of values.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::small_map::SmallMap;
use super::{Seen, Turnover};

/// The values of one dimension, at most [`Table::CAPACITY`] of them. When a new one has no room,
/// the one that was not seen for longest goes. What it said about the coming of new values
/// stays, or a volatile dimension would look stable because its values are forgotten.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    values: SmallMap<Arc<str>, Seen>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evicted: Option<Evicted>,
}

/// What is left of evicted values: their share of the turnover, fading.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Evicted {
    /// How many went, ever.
    total: u64,
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
    const NOTHING: Self =
        Self { total: 0, value_days: 0, once: 0, values: 0, halved: Timestamp::UNIX_EPOCH };

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
        let base = base.unwrap_or(Self { halved: mine.halved, ..Self::NOTHING }).faded(mine.halved);
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

    fn add(&mut self, seen: &Seen, time: Timestamp) {
        if time.duration_since(self.halved) >= HALF_LIFE {
            (self.value_days, self.once, self.values) =
                (self.value_days / 2, self.once / 2, self.values / 2);
            self.halved = time;
        }
        self.total = self.total.saturating_add(1);
        self.value_days = self.value_days.saturating_add(seen.days.count());
        self.once = self.once.saturating_add(u32::from(seen.days.count() == 1));
        self.values = self.values.saturating_add(1);
    }
}

impl Table {
    /// Most values of one dimension.
    pub const CAPACITY: usize = 64;

    /// What is known of a value.
    #[must_use]
    pub fn get(&self, value: &str) -> Option<&Seen> {
        self.values.get(value)
    }

    /// The values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Seen)> {
        self.values.iter().map(|(value, seen)| (&**value, seen))
    }

    /// How many values are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether nothing was ever seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Values that had to go for want of room.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted.map_or(0, |evicted| evicted.total)
    }

    /// How new values come, over all that is kept and what is left of the evicted.
    #[must_use]
    pub fn turnover(&self) -> Turnover {
        let kept = Turnover::of(self.values.values());
        let Some(gone) = self.evicted else { return kept };
        kept.plus(Turnover { value_days: gone.value_days, once: gone.once, values: gone.values })
    }

    /// Calls seen with any kept value.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.values.values().map(|seen| seen.count).sum()
    }

    /// Takes in one call with the value.
    pub fn learn(&mut self, value: &Arc<str>, time: Timestamp) {
        if let Some(seen) = self.values.get_mut(&**value) {
            seen.again(time);
            return;
        }
        self.values.insert(Arc::clone(value), Seen::once(time));
        if self.values.len() > Self::CAPACITY {
            self.evict(time);
        }
    }

    /// Takes in what another copy of the same history has seen.
    pub fn join(&mut self, other: &Self) {
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
    pub fn rebase(&self, base: Option<&Self>, onto: &Self) -> Self {
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

    /// Whether something is known that `base` does not tell and that may matter to the next
    /// judgement: a value, or a day of one. In a table where new values come all the time one
    /// more says nothing, and not every call is worth telling others about.
    #[must_use]
    pub fn has_news_since(&self, base: Option<&Self>) -> bool {
        let days = |value: &str| Some(base?.get(value)?.days);
        !self.is_volatile() && self.iter().any(|(value, seen)| days(value) != Some(seen.days))
    }

    /// Whether new values come all the time: there is experience, and a new one tells little.
    #[must_use]
    pub fn is_volatile(&self) -> bool {
        const EXPERIENCE: u32 = 16;
        const LITTLE: f64 = 2.0;
        let turnover = self.turnover();
        turnover.value_days >= EXPERIENCE && turnover.bits_of_new() < LITTLE
    }

    /// Drops what was not seen for longest, until at most `most` values are left. What goes is
    /// counted as evicted.
    pub fn shrink(&mut self, most: usize) {
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

    fn evict(&mut self, time: Timestamp) {
        if let Some((_, seen)) = self.values.remove_least(|seen| seen.last) {
            self.count_evicted(&seen, time);
        }
    }

    fn count_evicted(&mut self, seen: &Seen, time: Timestamp) {
        let nothing = Evicted { halved: time, ..Evicted::NOTHING };
        self.evicted.get_or_insert(nothing).add(seen, time);
    }
}

impl Turnover {
    /// How new values came among these.
    #[must_use]
    pub fn of<'a>(values: impl Iterator<Item = &'a Seen>) -> Self {
        values.fold(Self::default(), |sum, seen| Self {
            value_days: sum.value_days.saturating_add(seen.days.count()),
            once: sum.once.saturating_add(u32::from(seen.days.count() == 1)),
            values: sum.values.saturating_add(1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(hours * 3_600).unwrap()
    }

    #[test]
    fn a_full_table_drops_what_was_not_seen_for_longest() {
        let mut table = Table::default();
        for n in 0..1_000_i64 {
            table.learn(&"always".into(), at(n));
            table.learn(&format!("value {n}").into(), at(n));
        }
        assert_eq!(table.len(), Table::CAPACITY);
        assert_eq!(table.get("always").unwrap().count, 1_000);
        assert_eq!(table.evicted(), 1_001 - Table::CAPACITY as u64);
        assert!(table.get("value 999").is_some() && table.get("value 0").is_none());
    }

    #[test]
    fn what_somebody_made_anew_takes_nothing_away() {
        let (mut base, mut theirs) = (Table::default(), Table::default());
        (0..9).for_each(|n| base.learn(&format!("value {n}").into(), at(n)));
        theirs.learn(&"value 3".into(), at(9));
        let merged = base.rebase(Some(&base), &theirs);
        assert_eq!(merged.len(), 9);
        (0..200).for_each(|n| theirs.learn(&format!("other {n}").into(), at(9 + n)));
        assert_eq!(base.rebase(Some(&base), &theirs).get("value 0"), None, "it had no room there");
    }

    #[test]
    fn joining_full_tables_is_idempotent_and_commutative() {
        let table = |from: i64| {
            let mut table = Table::default();
            (from..from + 100).for_each(|n| table.learn(&format!("value {n}").into(), at(n)));
            table
        };
        let joined = |a: &Table, b: &Table| {
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
        let (mut volatile, mut stable) = (Table::default(), Table::default());
        for n in 0..2_000_i64 {
            volatile.learn(&format!("address {n}").into(), at(n));
            stable.learn(&"office".into(), at(n));
        }
        assert!(volatile.turnover().bits_of_new() < 0.5, "{:?}", volatile.turnover());
        assert!(stable.turnover().bits_of_new() > 6.0, "{:?}", stable.turnover());
    }
}
