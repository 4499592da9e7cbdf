//! What is normal: for a role, by the class of its callers, and for a caller.
//!
//! A baseline is a set of bounded tables of values, one per [`Dimension`]. Each value keeps how
//! often, on which days, and when first and last it was seen. Facts (days, first, last) join:
//! in any order, any number of times, the result is the same.

mod days;
mod fold;
mod seen;
mod table;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::CallerClass;

pub use days::Days;
pub use fold::{Fold, FoldKey, Folds, Repeat};
pub use seen::Seen;
pub use table::Table;

/// What about a call is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Of a role: whether its callers had MFA (`present`, `absent`).
    Mfa,
    /// Of a role: who takes it without MFA.
    WithoutMfa,
    /// Of a caller: the STS and sign-in calls it makes.
    Call,
}

/// The tables of one role for one class of callers, or of one caller.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Habits {
    tables: BTreeMap<Dimension, Table>,
}

impl Habits {
    /// The values of one dimension.
    #[must_use]
    pub fn table(&self, dimension: Dimension) -> Option<&Table> {
        self.tables.get(&dimension)
    }

    /// What is known of one value.
    #[must_use]
    pub fn seen(&self, dimension: Dimension, value: &str) -> Option<&Seen> {
        self.table(dimension)?.get(value)
    }

    /// Days on which one value was seen.
    #[must_use]
    pub fn days(&self, dimension: Dimension, value: &str) -> u32 {
        self.seen(dimension, value).map_or(0, |seen| seen.days.count())
    }

    fn learn(&mut self, dimension: Dimension, value: &str, time: Timestamp) {
        self.tables.entry(dimension).or_default().learn(value, time);
    }
}

/// What is normal for one role.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RoleBaseline {
    habits: BTreeMap<CallerClass, Habits>,
    /// Alerts on this role, for folding and probation.
    pub folds: Folds,
}

impl RoleBaseline {
    /// The habits of one class of callers.
    #[must_use]
    pub fn habits(&self, class: CallerClass) -> Option<&Habits> {
        self.habits.get(&class)
    }

    /// Takes in one value of one call.
    pub fn learn(
        &mut self,
        class: CallerClass,
        dimension: Dimension,
        value: &str,
        time: Timestamp,
    ) {
        self.habits.entry(class).or_default().learn(dimension, value, time);
    }
}

/// What is normal for one caller.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Caller {
    habits: Habits,
    /// Alerts that are about the caller and no role, for folding and probation.
    pub folds: Folds,
}

impl Caller {
    /// The caller's habits.
    #[must_use]
    pub fn habits(&self) -> &Habits {
        &self.habits
    }

    /// Takes in one value of one call.
    pub fn learn(&mut self, dimension: Dimension, value: &str, time: Timestamp) {
        self.habits.learn(dimension, value, time);
    }
}
