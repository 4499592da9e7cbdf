//! The roles that a caller was refused of late.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::id::RoleArn;

/// Refused calls of one caller, the latest [`Denials::CAPACITY`] of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Denials(BTreeSet<(Timestamp, RoleArn)>);

impl Denials {
    /// Refusals remembered: several times what makes an enumeration.
    pub const CAPACITY: usize = 64;

    /// Takes in one refusal.
    pub fn record(&mut self, role: &RoleArn, time: Timestamp) {
        self.0.insert((time, role.clone()));
        if self.0.len() > Self::CAPACITY {
            self.0.pop_first();
        }
    }

    /// The roles refused within `window` before `time`.
    #[must_use]
    pub fn roles(&self, time: Timestamp, window: SignedDuration) -> BTreeSet<&RoleArn> {
        self.within(time, window).map(|(_, role)| role).collect()
    }

    /// How often `role` was refused within `window` before `time`.
    #[must_use]
    pub fn of_role(&self, role: &RoleArn, time: Timestamp, window: SignedDuration) -> usize {
        self.within(time, window).filter(|(_, refused)| refused == role).count()
    }

    /// How many refusals are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes in what another copy of the same history has seen.
    pub fn join(&mut self, other: &Self) {
        self.0.extend(other.0.iter().cloned());
        while self.0.len() > Self::CAPACITY {
            self.0.pop_first();
        }
    }

    fn within(
        &self,
        time: Timestamp,
        window: SignedDuration,
    ) -> impl Iterator<Item = &(Timestamp, RoleArn)> {
        self.0.iter().filter(move |(at, _)| {
            let before = time.duration_since(*at);
            before >= SignedDuration::ZERO && before <= window
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_count_once_and_within_the_window() {
        let mut denials = Denials::default();
        let role = |n: i64| format!("arn:aws:iam::111122223333:role/r{n}").parse().unwrap();
        let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        for minute in 0..1_000 {
            denials.record(&role(minute % 3), at(minute));
        }
        assert_eq!(denials.len(), Denials::CAPACITY);
        let quarter = SignedDuration::from_mins(15);
        assert_eq!(denials.roles(at(999), quarter).len(), 3);
        assert_eq!(denials.roles(at(2_000), quarter).len(), 0);
        assert_eq!(denials.of_role(&role(0), at(999), quarter), 6);
    }
}
