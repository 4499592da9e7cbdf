//! What is kept of one value, in few bytes.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Days, Seen};

/// Seconds of a day.
const DAY: u32 = 86_400;

/// A [`Seen`] in 28 bytes. Times are whole seconds from 1970 to 2106, as CloudTrail writes them,
/// and what lies outside is taken for the nearest of them; counts end at four billion. The last
/// of the days is that of the last call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Packed {
    count: u32,
    first: u32,
    last: u32,
    /// Bits of the days, as in [`Days`]; bytes, so that nothing is spent on alignment.
    days: [u8; 16],
}

impl Packed {
    pub(super) fn once(time: Timestamp) -> Self {
        let time = seconds(time);
        Self { count: 1, first: time, last: time, days: 1_u128.to_le_bytes() }
    }

    /// One more call: the same as [`Seen::again`], and all that most calls change.
    pub(super) fn again(&mut self, time: Timestamp) {
        let time = seconds(time);
        let (day, last_day) = (time / DAY, self.last / DAY);
        if day != last_day {
            let bits = u128::from_le_bytes(self.days);
            let bits = match day.checked_sub(last_day) {
                Some(later) => bits.checked_shl(later).unwrap_or(0) | 1,
                None => bits | 1_u128.checked_shl(last_day - day).unwrap_or(0),
            };
            self.days = bits.to_le_bytes();
        }
        self.count = self.count.saturating_add(1);
        self.first = self.first.min(time);
        self.last = self.last.max(time);
    }

    pub(super) fn days(self) -> u32 {
        let days = u128::from_le_bytes(self.days);
        // Most were seen in the later half of the window alone, and not every processor counts
        // the bits of a number in one step.
        let (late, early) = (days as u64, (days >> u64::BITS) as u64);
        late.count_ones() + if early == 0 { 0 } else { early.count_ones() }
    }

    pub(super) fn count(self) -> u32 {
        self.count
    }

    /// Of several values the one with the least of these was not seen for longest.
    pub(super) fn age(self) -> u32 {
        self.last
    }

    pub(super) fn of(seen: Seen) -> Self {
        let (_, bits) = seen.days.parts();
        Self {
            count: u32::try_from(seen.count).unwrap_or(u32::MAX),
            first: seconds(seen.first),
            last: seconds(seen.last),
            days: bits.to_le_bytes(),
        }
    }

    pub(super) fn seen(self) -> Seen {
        let day = i32::try_from(self.last / DAY).unwrap_or_default();
        Seen {
            count: u64::from(self.count),
            days: Days::of_parts(day, u128::from_le_bytes(self.days)),
            first: time(self.first),
            last: time(self.last),
        }
    }
}

/// A time in four bytes: a whole second from 1970 to 2106.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Second(u32);

impl Second {
    /// The second that a time is in, or the nearest that can be kept.
    pub(super) fn of(time: Timestamp) -> Self {
        Self(seconds(time))
    }

    pub(super) fn time(self) -> Timestamp {
        time(self.0)
    }
}

impl Serialize for Second {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.time().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Second {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Timestamp::deserialize(deserializer).map(Self::of)
    }
}

fn seconds(time: Timestamp) -> u32 {
    u32::try_from(time.as_second().max(0)).unwrap_or(u32::MAX)
}

fn time(seconds: u32) -> Timestamp {
    Timestamp::from_second(i64::from(seconds)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn it_counts_as_the_whole_does(times in proptest::collection::vec(0_i64..30_000_000, 1..20)) {
            let mut times = times.into_iter().map(at);
            let first = times.next().unwrap();
            let (mut packed, mut whole) = (Packed::once(first), Seen::once(first));
            for time in times {
                packed.again(time);
                whole.again(time);
                prop_assert_eq!(packed.seen(), whole);
                prop_assert_eq!(Packed::of(whole), packed);
                prop_assert_eq!(packed.days(), whole.days.count());
            }
        }
    }

    #[test]
    fn what_lies_outside_is_the_nearest_that_can_be_kept() {
        assert_eq!(Packed::once(at(-5)).seen().first, at(0));
        assert_eq!(Packed::once(at(9_000_000_000)).seen().last, at(i64::from(u32::MAX)));
        let many = Seen { count: u64::MAX, ..Seen::once(at(0)) };
        assert_eq!(Packed::of(many).seen().count, u64::from(u32::MAX));
    }
}
