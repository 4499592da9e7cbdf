//! What one writing of a trust policy did.

use std::sync::Arc;

use jiff::Timestamp;

use super::compare::Difference;
use super::history::{Content, Moment};
use super::{TrustPolicy, doors};
use crate::text::Text;

/// What was remembered of the policy before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Previous {
    /// It is known.
    Known,
    /// It is known, and a grant has shown that another one was in force.
    Stale,
    /// It is known, and another one that could not be read was written since.
    BeforeUnreadable,
    /// It is known, of a role of that name that was deleted.
    OfDeleted,
    /// There was none: the role is new.
    Nothing,
    /// Nobody remembers it.
    Unknown,
}

impl Previous {
    /// The word that evidence uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::Stale => "stale",
            Self::BeforeUnreadable => "before_unreadable",
            Self::OfDeleted => "of_deleted_role",
            Self::Nothing => "none",
            Self::Unknown => "unknown",
        }
    }
}

/// One writing of a trust policy, beside what was there before.
#[derive(Debug, Clone, PartialEq)]
pub struct Rewrite {
    /// When, and by which record.
    pub moment: Moment,
    /// The new policy, or why there is none to look at.
    pub policy: Result<Arc<TrustPolicy>, String>,
    /// What was remembered of the one before.
    pub previous: Previous,
    /// When the one before was written.
    pub previous_time: Option<Timestamp>,
    /// What in the new policy was not understood, and did not stand in the old one.
    pub unclear: Vec<Text>,
    /// What the new one allows and the old one did not, and the other way round.
    pub differences: Vec<Difference>,
}

impl Rewrite {
    /// What to remember as written.
    #[must_use]
    pub fn content(&self) -> Content {
        match &self.policy {
            Ok(policy) => Content::Policy(Arc::clone(policy)),
            Err(_) => Content::Unreadable,
        }
    }

    /// The doors of the new policy.
    #[must_use]
    pub fn doors(&self) -> Vec<super::Door> {
        self.policy.as_ref().map(|policy| doors(policy)).unwrap_or_default()
    }
}
