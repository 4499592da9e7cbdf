//! The roles that a caller was refused of late.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::id::RoleArn;

/// Refused calls of one caller, by role: the [`Denials::ROLES`] roles refused last, and of each
/// the seconds with a refusal, the latest [`Denials::SECONDS`], with a mark of each record, the
/// greatest [`Denials::RECORDS`]. Repeating one role pushes no other out. Marks make it a set of
/// facts, which join: a record that is judged again counts no more.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Denials(BTreeMap<RoleArn, Seconds>);

type Seconds = BTreeMap<Timestamp, BTreeSet<u32>>;

impl Denials {
    /// Roles remembered: several times what makes an enumeration.
    pub const ROLES: usize = 64;
    /// Seconds with refusals that are remembered of one role.
    pub const SECONDS: usize = 8;

    /// Records of one second and role that are told apart; beyond that they count as so many.
    pub const RECORDS: usize = 16;
    /// Refusals of one role from which they are more than a mistake.
    pub const PROBING: u32 = 5;

    /// Takes in one refusal, by the mark of its record.
    pub fn record(&mut self, role: &RoleArn, time: Timestamp, mark: u32) {
        self.0.entry(role.clone()).or_default().entry(time).or_default().insert(mark);
        self.cut();
    }

    /// The roles refused within `window` before `time`.
    #[must_use]
    pub fn roles(&self, time: Timestamp, window: SignedDuration) -> BTreeSet<&RoleArn> {
        let refused = |seconds: &Seconds| within(seconds, time, window).next().is_some();
        self.0.iter().filter(|(_, seconds)| refused(seconds)).map(|(role, _)| role).collect()
    }

    /// How often `role` was refused within `window` before `time`.
    #[must_use]
    pub fn of_role(&self, role: &RoleArn, time: Timestamp, window: SignedDuration) -> u32 {
        let seconds = self.0.get(role).into_iter();
        seconds.flat_map(|seconds| within(seconds, time, window)).fold(0, u32::saturating_add)
    }

    /// How many seconds with refusals are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.values().map(BTreeMap::len).sum()
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// When a role was last refused.
    #[must_use]
    pub fn last(&self) -> Option<Timestamp> {
        self.0.values().filter_map(last).max()
    }

    /// Takes in what another copy of the same history has seen.
    pub fn join(&mut self, other: &Self) {
        for (role, theirs) in &other.0 {
            let mine = self.0.entry(role.clone()).or_default();
            for (time, marks) in theirs {
                mine.entry(*time).or_default().extend(marks);
            }
        }
        self.cut();
    }

    /// Whether a refusal is remembered that others have to know of: of a role that `base` does not
    /// tell of, or not of late, or of which it does not tell enough for every rule that counts.
    /// What comes on top of that is counted, and makes no news.
    #[must_use]
    pub fn has_news_since(&self, base: &Self) -> bool {
        const OF_LATE: SignedDuration = SignedDuration::from_mins(1);
        const ENOUGH: SignedDuration = SignedDuration::from_mins(5);
        self.0.iter().any(|(role, mine)| {
            let Some(theirs) = base.0.get(role) else { return true };
            let is_known = |(time, marks): (&Timestamp, &BTreeSet<u32>)| {
                // What had no room there says nothing any more.
                let is_past = theirs.len() >= Self::SECONDS && theirs.keys().next() > Some(time);
                is_past || theirs.get(time).is_some_and(|known| marks.is_subset(known))
            };
            let mut unknown = mine.iter().filter(|it| !is_known(*it)).map(|(time, _)| *time);
            unknown.any(|time| {
                let of_late = |window| {
                    let since = |at: &Timestamp| time.duration_since(*at).abs() <= window;
                    let counts = theirs.iter().filter(move |(at, _)| since(at));
                    counts.map(|(_, marks)| marks.len()).sum::<usize>()
                };
                of_late(OF_LATE) == 0 || of_late(ENOUGH) < Self::PROBING as usize
            })
        })
    }

    fn cut(&mut self) {
        for seconds in self.0.values_mut() {
            while seconds.len() > Self::SECONDS {
                seconds.pop_first();
            }
            for marks in seconds.values_mut() {
                while marks.len() > Self::RECORDS {
                    marks.pop_first();
                }
            }
        }
        while self.0.len() > Self::ROLES {
            let stalest = self.0.iter().min_by_key(|(role, seconds)| (last(seconds), *role));
            let Some(role) = stalest.map(|(role, _)| role.clone()) else { return };
            self.0.remove(&role);
        }
    }
}

fn last(seconds: &Seconds) -> Option<Timestamp> {
    seconds.keys().next_back().copied()
}

/// The counts of the seconds within `window` before `time`.
fn within(seconds: &Seconds, time: Timestamp, window: SignedDuration) -> impl Iterator<Item = u32> {
    seconds.iter().filter_map(move |(at, marks)| {
        let before = time.duration_since(*at);
        let count = u32::try_from(marks.len()).unwrap_or(u32::MAX);
        (before >= SignedDuration::ZERO && before <= window).then_some(count)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUARTER: SignedDuration = SignedDuration::from_mins(15);

    fn role(n: i64) -> RoleArn {
        format!("arn:aws:iam::111122223333:role/r{n}").parse().unwrap()
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    #[test]
    fn roles_count_once_and_within_the_window() {
        let mut denials = Denials::default();
        for minute in 0..1_000 {
            denials.record(&role(minute % 3), at(minute), 1);
        }
        assert_eq!(denials.len(), 3 * Denials::SECONDS);
        assert_eq!(denials.roles(at(999), QUARTER).len(), 3);
        assert_eq!(denials.roles(at(2_000), QUARTER).len(), 0);
        assert_eq!(denials.of_role(&role(0), at(999), QUARTER), 6);
    }

    #[test]
    fn refusals_of_one_second_are_counted() {
        let mut denials = Denials::default();
        (0..50).for_each(|mark| denials.record(&role(1), at(0), mark % 10));
        assert_eq!(denials.of_role(&role(1), at(1), QUARTER), 10, "each record once");
        (0..50).for_each(|mark| denials.record(&role(1), at(0), mark));
        assert_eq!(denials.of_role(&role(1), at(1), QUARTER), Denials::RECORDS as u32);
    }

    #[test]
    fn repeating_one_role_pushes_no_other_out_and_many_roles_are_bounded() {
        let mut denials = Denials::default();
        denials.record(&role(1), at(0), 1);
        (0..500).for_each(|second| {
            denials.record(&role(2), Timestamp::from_second(second).unwrap(), 1)
        });
        assert_eq!(denials.roles(at(9), QUARTER).len(), 2);
        (0..1_000).for_each(|n| denials.record(&role(n), at(10), 1));
        assert_eq!(denials.roles(at(10), QUARTER).len(), Denials::ROLES);
    }

    #[test]
    fn a_refusal_is_news_until_enough_of_one_role_are_known() {
        let (mut mine, base) = (Denials::default(), Denials::default());
        let mut base = base;
        let at = |second| Timestamp::from_second(second).unwrap();
        for second in 0..5 {
            mine.record(&role(1), at(second), 1);
            assert!(mine.has_news_since(&base), "refusal {second} may be the one that counts");
            base = mine.clone();
        }
        mine.record(&role(1), at(6), 1);
        assert!(!mine.has_news_since(&base), "five are known");
        mine.record(&role(1), at(90), 1);
        assert!(mine.has_news_since(&base), "and known for long");
        let mut again = base.clone();
        again.join(&base);
        again.record(&role(1), at(4), 1);
        assert_eq!(again, base, "a record that is judged again counts no more");
    }
}
