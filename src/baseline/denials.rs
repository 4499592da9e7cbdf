//! The roles that a caller was refused of late.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::id::RoleArn;

/// Refused calls of one caller, by role: the [`Denials::ROLES`] roles refused last, and of each
/// the seconds with a refusal, the latest [`Denials::SECONDS`], with their number. Repeating one
/// role pushes no other out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Denials(BTreeMap<RoleArn, BTreeMap<Timestamp, u32>>);

impl Denials {
    /// Roles remembered: several times what makes an enumeration.
    pub const ROLES: usize = 64;
    /// Seconds with refusals that are remembered of one role.
    pub const SECONDS: usize = 8;

    /// Takes in one refusal.
    pub fn record(&mut self, role: &RoleArn, time: Timestamp) {
        let count = self.0.entry(role.clone()).or_default().entry(time).or_default();
        *count = count.saturating_add(1);
        self.cut();
    }

    /// The roles refused within `window` before `time`.
    #[must_use]
    pub fn roles(&self, time: Timestamp, window: SignedDuration) -> BTreeSet<&RoleArn> {
        let refused = |seconds: &BTreeMap<_, _>| within(seconds, time, window).next().is_some();
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
            for (time, count) in theirs {
                let known = mine.entry(*time).or_default();
                *known = (*known).max(*count);
            }
        }
        self.cut();
    }

    /// What this copy has recorded since `base`, on top of what others have recorded meanwhile.
    #[must_use]
    pub fn rebase(&self, base: &Self, onto: &Self) -> Self {
        let count = |it: &Self, role: &RoleArn, time: &Timestamp| {
            it.0.get(role).and_then(|seconds| seconds.get(time)).copied().unwrap_or(0)
        };
        let mut merged = onto.clone();
        for (role, seconds) in &self.0 {
            for (time, mine) in seconds {
                let more = mine.saturating_sub(count(base, role, time));
                let theirs = count(onto, role, time);
                let all = theirs.saturating_add(more);
                merged.0.entry(role.clone()).or_default().insert(*time, all.max(*mine));
            }
        }
        merged.cut();
        merged
    }

    /// Whether a role was refused that `base` does not tell of, or not of late. The same role
    /// again is counted and makes no news.
    #[must_use]
    pub fn has_news_since(&self, base: &Self) -> bool {
        const OF_LATE: SignedDuration = SignedDuration::from_mins(5);
        self.0.iter().any(|(role, mine)| match (last(mine), base.0.get(role).and_then(last)) {
            (Some(mine), Some(known)) => mine.duration_since(known) > OF_LATE,
            (mine, known) => mine != known,
        })
    }

    fn cut(&mut self) {
        for seconds in self.0.values_mut() {
            while seconds.len() > Self::SECONDS {
                seconds.pop_first();
            }
        }
        while self.0.len() > Self::ROLES {
            let stalest = self.0.iter().min_by_key(|(role, seconds)| (last(seconds), *role));
            let Some(role) = stalest.map(|(role, _)| role.clone()) else { return };
            self.0.remove(&role);
        }
    }
}

fn last(seconds: &BTreeMap<Timestamp, u32>) -> Option<Timestamp> {
    seconds.keys().next_back().copied()
}

/// The counts of the seconds within `window` before `time`.
fn within(
    seconds: &BTreeMap<Timestamp, u32>,
    time: Timestamp,
    window: SignedDuration,
) -> impl Iterator<Item = u32> {
    seconds.iter().filter_map(move |(at, count)| {
        let before = time.duration_since(*at);
        (before >= SignedDuration::ZERO && before <= window).then_some(*count)
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
            denials.record(&role(minute % 3), at(minute));
        }
        assert_eq!(denials.len(), 3 * Denials::SECONDS);
        assert_eq!(denials.roles(at(999), QUARTER).len(), 3);
        assert_eq!(denials.roles(at(2_000), QUARTER).len(), 0);
        assert_eq!(denials.of_role(&role(0), at(999), QUARTER), 6);
    }

    #[test]
    fn refusals_of_one_second_are_counted() {
        let mut denials = Denials::default();
        (0..50).for_each(|_| denials.record(&role(1), at(0)));
        assert_eq!(denials.of_role(&role(1), at(1), QUARTER), 50);
    }

    #[test]
    fn repeating_one_role_pushes_no_other_out_and_many_roles_are_bounded() {
        let mut denials = Denials::default();
        denials.record(&role(1), at(0));
        (0..500)
            .for_each(|second| denials.record(&role(2), Timestamp::from_second(second).unwrap()));
        assert_eq!(denials.roles(at(9), QUARTER).len(), 2);
        (0..1_000).for_each(|n| denials.record(&role(n), at(10)));
        assert_eq!(denials.roles(at(10), QUARTER).len(), Denials::ROLES);
    }
}
