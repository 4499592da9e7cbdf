//! The copies of one call that several accounts receive.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::event::{Assumption, PrincipalKey};
use crate::finding::Finding;
use crate::id::{AccessKeyId, AccountId, RoleArn};
use crate::surprise::Surprise;

/// The first copy of a call that came; another one may follow from the other account's trail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FirstCopy {
    /// The call as both copies tell it. Whoever makes a record up may choose its shared id.
    pub call: SharedCall,
    /// Whether it named the caller in full. A later copy can complete only one that did not.
    pub complete: bool,
    /// What was new about the call when it was judged: afterwards it may have been learned.
    pub surprise: Option<Surprise>,
    /// The last revision of the alert that was sent for the call; 0 for none.
    pub revision: u32,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Whether somebody judged another copy at the same time, and both said that theirs is the
    /// first revision.
    #[serde(skip)]
    pub crossed: bool,
}

impl FirstCopy {
    /// What is known of two copies that were judged at one time: of the one that tells more, with
    /// what was found about either.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let rank = |it: &Self| (it.complete, it.revision);
        let (more, less) = if rank(self) > rank(other) { (self, other) } else { (other, self) };
        let revision = more.revision.max(less.revision);
        Self { revision, findings: less.beside(&more.findings), ..more.clone() }
    }

    /// These findings, and what was found beside them before: another environment may have found
    /// what this one did not.
    #[must_use]
    pub fn beside(&self, findings: &[Finding]) -> Vec<Finding> {
        let is_other = |it: &&Finding| findings.iter().all(|known| known.rule != it.rule);
        findings.iter().chain(self.findings.iter().filter(is_other)).cloned().collect()
    }
}

/// What the copies of one call have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SharedCall {
    /// The account that received the copy; another copy is another account's.
    pub account: Option<AccountId>,
    /// When the call was made, as this copy tells it.
    pub time: Timestamp,
    /// The role that was asked for.
    pub role: Option<RoleArn>,
    /// The issued key.
    pub access_key_id: Option<AccessKeyId>,
    /// Who called.
    pub caller: Option<PrincipalKey>,
}

impl SharedCall {
    /// How far the times of two copies lie apart at most. About a minute is seen in real trails.
    const SKEW: SignedDuration = SignedDuration::from_mins(15);

    /// The call, as one copy tells it.
    #[must_use]
    pub fn of(it: &Assumption) -> Self {
        Self {
            account: it.call.account,
            time: it.call.time,
            role: it.role().cloned(),
            access_key_id: it.session.access_key_id.clone(),
            caller: it.call.principal.key().cloned(),
        }
    }

    /// Whether another record can be a copy of the same call.
    #[must_use]
    pub fn is_shared_with(&self, other: &Self) -> bool {
        self.account != other.account
            && self.time.duration_since(other.time).abs() <= Self::SKEW
            && (&self.role, &self.access_key_id, &self.caller)
                == (&other.role, &other.access_key_id, &other.caller)
    }
}
