//! What is kept of one value.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Days;

/// How often, on which days, and when first and last a value was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Calls with the value.
    pub count: u64,
    /// Days with such a call.
    pub days: Days,
    /// The earliest such call.
    pub first: Timestamp,
    /// The latest such call.
    pub last: Timestamp,
}

impl Seen {
    /// One call.
    #[must_use]
    pub fn once(time: Timestamp) -> Self {
        Self { count: 1, days: Days::of(time), first: time, last: time }
    }

    /// One more call.
    pub fn again(&mut self, time: Timestamp) {
        let count = self.count.saturating_add(1);
        *self = Self { count, ..self.join(Self::once(time)) };
    }

    /// What either has seen. The facts join; of the counts the larger stands, for two copies of
    /// one history have counted the same calls.
    #[must_use]
    pub fn join(self, other: Self) -> Self {
        Self {
            count: self.count.max(other.count),
            days: self.days.join(other.days),
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }
}
