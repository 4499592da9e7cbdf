//! A bounded table of values.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Seen;

/// The values of one dimension, at most [`Table::CAPACITY`] of them. When a new one has no room,
/// the one that was not seen for longest goes, and is counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    values: BTreeMap<Arc<str>, Seen>,
    #[serde(default, skip_serializing_if = "is_zero")]
    evicted: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
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

    /// Values that had to go for want of room.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Takes in one call with the value.
    pub fn learn(&mut self, value: &str, time: Timestamp) {
        if let Some(seen) = self.values.get_mut(value) {
            seen.again(time);
            return;
        }
        self.values.insert(value.into(), Seen::once(time));
        if self.values.len() > Self::CAPACITY {
            let stalest = self.values.iter().min_by_key(|(value, seen)| (seen.last, *value));
            if let Some(value) = stalest.map(|(value, _)| Arc::clone(value)) {
                self.values.remove(&value);
                self.evicted += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_table_drops_what_was_not_seen_for_longest() {
        let mut table = Table::default();
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        for n in 0..1_000_i64 {
            table.learn("always", at(n));
            table.learn(&format!("value {n}"), at(n));
        }
        assert_eq!(table.iter().count(), Table::CAPACITY);
        assert_eq!(table.get("always").unwrap().count, 1_000);
        assert_eq!(table.evicted(), 1_001 - Table::CAPACITY as u64);
        assert!(table.get("value 999").is_some() && table.get("value 0").is_none());
    }
}
