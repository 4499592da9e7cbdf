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
    pub fn learn(&mut self, value: &str, time: Timestamp) {
        if let Some(seen) = self.values.get_mut(value) {
            seen.again(time);
            return;
        }
        self.values.insert(value.into(), Seen::once(time));
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

    fn evict(&mut self, time: Timestamp) {
        let Some(seen) = self.values.remove_least(|seen| seen.last) else { return };
        let nothing = Evicted { total: 0, value_days: 0, once: 0, values: 0, halved: time };
        self.evicted.get_or_insert(nothing).add(&seen, time);
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
            table.learn("always", at(n));
            table.learn(&format!("value {n}"), at(n));
        }
        assert_eq!(table.len(), Table::CAPACITY);
        assert_eq!(table.get("always").unwrap().count, 1_000);
        assert_eq!(table.evicted(), 1_001 - Table::CAPACITY as u64);
        assert!(table.get("value 999").is_some() && table.get("value 0").is_none());
    }

    #[test]
    fn joining_full_tables_is_idempotent_and_commutative() {
        let table = |from: i64| {
            let mut table = Table::default();
            (from..from + 100).for_each(|n| table.learn(&format!("value {n}"), at(n)));
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
            volatile.learn(&format!("address {n}"), at(n));
            stable.learn("office", at(n));
        }
        assert!(volatile.turnover().bits_of_new() < 0.5, "{:?}", volatile.turnover());
        assert!(stable.turnover().bits_of_new() > 6.0, "{:?}", stable.turnover());
    }
}
