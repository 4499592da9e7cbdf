//! How surprising a value is that was never seen, in bits.
//!
//! A table of values that are always the same says that a new one is unlikely; a table of
//! values that never come twice says that the next one will be new too. Counted in value-days
//! (distinct pairs of value and day, so that a burst is no evidence), with U of them, q values
//! seen on a single day and K distinct ones, the chance that the next is new is estimated as
//!
//! ```text
//! (q + ½ + d·(K − 1)) / (U + 1)
//! ```
//!
//! q/U is the estimate of Good (1953, *The population frequencies of species and the estimation
//! of population parameters*) and Turing; ½ keeps it above zero (Krichevsky and Trofimov 1981);
//! the discount d, after Pitman and Yor (1997), says that a table that holds many values gets
//! another one sooner than a table that holds one.
//!
//! Few observations give few bits: an empty table gives one.
//!
//! `tests/calibration.rs` draws values by known laws: where the true rate lies between 20/U and ½
//! the estimate is within a factor of two of it, and below it is an upper bound. What comes for
//! some days and then goes for good (an address that a provider changes every week) follows no
//! such law: it is expected up to six times too seldom, which is at most 2.6 bits too many.

use serde::{Deserialize, Serialize};

use super::Seen;

/// The discount d.
const DISCOUNT: f64 = 0.2;

/// What a table knows about the coming of new values.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Turnover {
    /// U: distinct pairs of value and day.
    pub value_days: u32,
    /// q: values seen on a single day.
    pub once: u32,
    /// K: distinct values.
    pub values: u32,
}

impl Turnover {
    /// How new values came among these.
    #[must_use]
    pub fn of(values: impl Iterator<Item = Seen>) -> Self {
        Self::of_days(values.map(|seen| seen.days.count()))
    }

    /// How new values came that were seen on so many days each.
    pub(super) fn of_days(values: impl Iterator<Item = u32>) -> Self {
        values.fold(Self::default(), |sum, days| Self {
            value_days: sum.value_days.saturating_add(days),
            once: sum.once.saturating_add(u32::from(days == 1)),
            values: sum.values.saturating_add(1),
        })
    }

    /// Both tables together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            value_days: self.value_days.saturating_add(other.value_days),
            once: self.once.saturating_add(other.once),
            values: self.values.saturating_add(other.values),
        }
    }

    /// The chance that the next value-day is that of a new value; between 0 and 1.
    #[must_use]
    pub fn chance_of_new(self) -> f64 {
        let others = f64::from(self.values.saturating_sub(1));
        let expected = f64::from(self.once) + 0.5 + DISCOUNT * others;
        (expected / (f64::from(self.value_days) + 1.0)).min(1.0)
    }

    /// The surprise of a new value, in bits; at least 0.
    #[must_use]
    pub fn bits_of_new(self) -> f64 {
        -self.chance_of_new().log2()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(value_days: u32, once: u32, values: u32) -> f64 {
        Turnover { value_days, once, values }.bits_of_new()
    }

    #[test]
    fn stable_is_surprising_and_volatile_is_not() {
        assert!((bits(0, 0, 0) - 1.0).abs() < 1e-9, "nothing known: one bit");
        assert!(bits(40, 0, 1) > 6.0, "one value on forty days");
        assert!(bits(40, 40, 40) < 0.1, "forty values, each on one day");
        assert!(bits(40, 20, 22) < 1.0, "half of them new");
        assert!(bits(300, 0, 18) < bits(300, 0, 2), "many values: another is less surprising");
    }

    #[test]
    fn bits_are_never_negative() {
        for days in 0..50 {
            for once in 0..=days {
                assert!(bits(days, once, once) >= 0.0);
            }
        }
    }
}
