//! Everything that a decision may depend on, as values; and the changes a decision asks for.
//!
//! Judging reads a [`State`] and changes nothing. What it wants remembered it returns as
//! [`Changes`], which are applied only after the alert they belong to was accepted.

use std::collections::{HashMap, HashSet, VecDeque};

use jiff::Timestamp;

use crate::baseline::{Caller, Dimension, FoldKey, RoleBaseline};
use crate::event::{CallerClass, EventKey, PrincipalKey};
use crate::id::{EventId, RoleArn};
use crate::severity::Severity;

/// What is remembered.
#[derive(Debug, Clone, Default)]
pub struct State {
    roles: HashMap<RoleArn, RoleBaseline>,
    callers: HashMap<PrincipalKey, Caller>,
    recent: Recent,
}

/// Whose folds an alert is kept with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An alert on a role.
    Role(RoleArn),
    /// An alert that is about a caller and no role.
    Caller(PrincipalKey),
}

/// One thing to remember.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The record was seen.
    Saw(EventKey),
    /// A call taught a role's baseline a value.
    LearnRole {
        /// The role.
        role: RoleArn,
        /// The class of the caller.
        class: CallerClass,
        /// What about the call.
        dimension: Dimension,
        /// The value.
        value: String,
        /// When the call was made.
        time: Timestamp,
    },
    /// A call taught a caller's baseline a value.
    LearnCaller {
        /// The caller.
        caller: PrincipalKey,
        /// What about the call.
        dimension: Dimension,
        /// The value.
        value: String,
        /// When the call was made.
        time: Timestamp,
    },
    /// An alert was raised, and sent or counted as a repeat.
    Fold {
        /// Whose.
        subject: Subject,
        /// The kind.
        key: FoldKey,
        /// How urgent it was.
        severity: Severity,
        /// When the call was made.
        time: Timestamp,
        /// Which record it was about.
        event_id: Option<EventId>,
        /// Whether it was sent.
        sent: bool,
    },
}

/// What one decision asks to be remembered.
pub type Changes = Vec<Change>;

impl State {
    /// What is normal for a role.
    #[must_use]
    pub fn role(&self, role: &RoleArn) -> Option<&RoleBaseline> {
        self.roles.get(role)
    }

    /// What is normal for a caller.
    #[must_use]
    pub fn caller(&self, caller: &PrincipalKey) -> Option<&Caller> {
        self.callers.get(caller)
    }

    /// Whether a record was judged before.
    #[must_use]
    pub fn has_seen(&self, key: &EventKey) -> bool {
        self.recent.keys.contains(key)
    }

    /// Remembers. Called only after the alerts that belong to `changes` were accepted.
    pub fn apply(&mut self, changes: Changes) {
        changes.into_iter().for_each(|change| self.apply_one(change));
    }

    fn apply_one(&mut self, change: Change) {
        match change {
            Change::Saw(key) => self.recent.insert(key),
            Change::LearnRole { role, class, dimension, value, time } => {
                self.roles.entry(role).or_default().learn(class, dimension, &value, time);
            }
            Change::LearnCaller { caller, dimension, value, time } => {
                self.callers.entry(caller).or_default().learn(dimension, &value, time);
            }
            Change::Fold { subject, key, severity, time, event_id, sent } => {
                let folds = match subject {
                    Subject::Role(role) => &mut self.roles.entry(role).or_default().folds,
                    Subject::Caller(caller) => &mut self.callers.entry(caller).or_default().folds,
                };
                folds.record(&key, severity, time, event_id.as_ref(), sent);
            }
        }
    }
}

/// The records judged last, for dropping duplicates.
#[derive(Debug, Clone, Default)]
struct Recent {
    keys: HashSet<EventKey>,
    order: VecDeque<EventKey>,
}

impl Recent {
    /// Records of ours remembered: at a thousand a minute, more than an hour and a half.
    const CAPACITY: usize = 100_000;

    fn insert(&mut self, key: EventKey) {
        if self.keys.insert(key.clone()) {
            self.order.push_back(key);
        }
        if self.order.len() > Self::CAPACITY
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_remembered_within_a_bound() {
        let mut state = State::default();
        let key = |n: usize| EventKey::Id(None, n.to_string().parse().unwrap());
        for n in 0..=Recent::CAPACITY {
            state.apply(vec![Change::Saw(key(n)), Change::Saw(key(n))]);
        }
        assert!(!state.has_seen(&key(0)));
        assert!(state.has_seen(&key(1)) && state.has_seen(&key(Recent::CAPACITY)));
        assert_eq!(state.recent.order.len(), Recent::CAPACITY);
        assert_eq!(state.recent.keys.len(), Recent::CAPACITY);
    }
}
