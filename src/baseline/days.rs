//! A set of days within a sliding window.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The days on which something was seen: the last of them, and every other one within
/// [`Days::WINDOW`] days before it. Older days fall out, which is how a baseline forgets.
///
/// Days are UTC days since 1970. Joining is set union cut to the window of the later last day,
/// so it is commutative, associative and idempotent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Days {
    last: i32,
    /// Bit n: seen n days before `last`. Bit 0 is set.
    #[serde(with = "bits_as_hex")]
    bits: u128,
}

impl Days {
    /// How many days back are remembered: a monthly job is seen four times in it.
    pub const WINDOW: u32 = u128::BITS;

    /// The day of `time`, alone.
    #[must_use]
    pub fn of(time: Timestamp) -> Self {
        Self { last: day_number(time), bits: 1 }
    }

    /// How many days are in the set; never zero.
    #[must_use]
    pub fn count(self) -> u32 {
        self.bits.count_ones()
    }

    /// The days of either.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        let last = self.last.max(other.last);
        Self { last, bits: self.bits_before(last) | other.bits_before(last) }
    }

    /// The days as a last one, and bits for those before it.
    pub(super) fn parts(self) -> (i32, u128) {
        (self.last, self.bits)
    }

    /// The days of [`Days::parts`].
    pub(super) fn of_parts(last: i32, bits: u128) -> Self {
        Self { last, bits: bits | 1 }
    }

    fn bits_before(self, last: i32) -> u128 {
        u32::try_from(last - self.last).ok().and_then(|by| self.bits.checked_shl(by)).unwrap_or(0)
    }
}

/// The UTC day of `time`, counted from 1970-01-01.
fn day_number(time: Timestamp) -> i32 {
    const SECONDS_PER_DAY: i64 = 86_400;
    // Timestamp spans the years -9999 to 9999: its days fit.
    i32::try_from(time.as_second().div_euclid(SECONDS_PER_DAY)).unwrap_or_default()
}

/// JSON has no number as wide as the window.
mod bits_as_hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(bits: &u128, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&format!("{bits:x}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u128, D::Error> {
        let digits = String::deserialize(from)?;
        match u128::from_str_radix(&digits, 16) {
            Ok(bits) if bits & 1 == 1 => Ok(bits),
            _ => Err(D::Error::custom(format!("`{digits}` is not a set of days"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    fn days() -> impl Strategy<Value = Days> {
        (-400_i32..400, any::<u128>()).prop_map(|(last, bits)| Days { last, bits: bits | 1 })
    }

    proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn joining_is_a_join(a in days(), b in days(), c in days()) {
            prop_assert_eq!(a.join(b), b.join(a));
            prop_assert_eq!(a.join(b).join(c), a.join(b.join(c)));
            prop_assert_eq!(a.join(a), a);
        }
    }

    #[test]
    fn days_are_counted_once_and_fall_out_of_the_window() {
        let day = |text: &str| Days::of(text.parse().unwrap());
        let two = day("2026-01-01T00:00:00Z")
            .join(day("2026-01-01T23:59:59Z"))
            .join(day("2025-12-31T23:59:59Z"));
        assert_eq!(two.count(), 2);
        assert_eq!(two.join(day("2027-01-01T00:00:00Z")).count(), 1);
        assert_eq!(day("1969-12-31T23:59:59Z").last, -1);
    }

    #[test]
    fn days_are_written_and_read_back() {
        let days = Days { last: 3, bits: u128::MAX };
        let json = serde_json::to_string(&days).unwrap();
        assert_eq!(serde_json::from_str::<Days>(&json).unwrap(), days);
        assert!(serde_json::from_str::<Days>(r#"{"last":3,"bits":"2"}"#).is_err());
    }
}
