//! What the items of the table say.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::baseline::{Caller, RoleBaseline};
use crate::lineage::{CROWD, CallId, Perishable, Place, Session};
use crate::state::FirstCopy;
use crate::trust::History;

/// How long a role or caller is kept after it was last active: a role that is used once a year
/// is known when its day comes.
const KEPT: SignedDuration = SignedDuration::from_hours(400 * 24);
/// How long the copy of a call is kept: records come within 15 minutes, and a batch that failed
/// comes again for as long as the stream keeps it, a day where nobody pays for more.
const COPY_KEPT: SignedDuration = SignedDuration::from_hours(24);
/// How long a session is kept at least after it was written, whatever its own time says: a
/// stream that is behind brings what is over.
const AT_LEAST: SignedDuration = SignedDuration::from_hours(1);

/// What an item says.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// What is normal for a role.
    Role(Arc<RoleBaseline>),
    /// What is normal for a caller.
    Caller(Arc<Caller>),
    /// What is found under a credential.
    Told(Arc<Told>),
    /// The first copy of a call.
    Copy(Arc<FirstCopy>),
    /// The trust policies of a role.
    Trust(Arc<History>),
    /// That it is known.
    Known,
}

/// What is found under a credential: mostly one session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// Sessions, by the call that opened each.
    #[serde(default)]
    pub sessions: Vec<(CallId, Arc<Session>)>,
    /// Places, by the call that told each.
    #[serde(default)]
    pub places: Vec<(CallId, Arc<Place>)>,
}

impl Told {
    /// Most of each that are kept: of those who use a permission set at one time so many that they
    /// are seen to be a crowd. Only whoever makes records up has more under one credential.
    pub const MOST: usize = CROWD + 4;

    /// What either tells.
    #[must_use]
    pub fn join(&self, onto: &Self) -> Self {
        let mut joined = onto.clone();
        for (id, session) in &self.sessions {
            match joined.sessions.iter_mut().find(|(known, _)| known == id) {
                Some((_, known)) => *known = Arc::new(known.join(session)),
                None => joined.sessions.push((*id, Arc::clone(session))),
            }
        }
        for (id, place) in &self.places {
            if joined.places.iter().all(|(known, _)| known != id) {
                joined.places.push((*id, Arc::clone(place)));
            }
        }
        latest(&mut joined.sessions);
        latest(&mut joined.places);
        joined
    }

    fn until(&self) -> Option<Timestamp> {
        let sessions = self.sessions.iter().map(|(_, it)| it.until());
        sessions.chain(self.places.iter().map(|(_, it)| it.until())).max()
    }
}

/// Keeps those that last longest, in an order that does not depend on arrival.
fn latest<V: Perishable>(all: &mut Vec<(CallId, Arc<V>)>) {
    all.sort_by_key(|(id, it)| (std::cmp::Reverse(it.until()), *id));
    all.truncate(Told::MOST);
}

impl Body {
    /// What this says beyond `base`, on top of what others have made of `base` meanwhile.
    #[must_use]
    pub fn rebase(&self, base: Option<&Self>, onto: &Self) -> Self {
        match (self, onto) {
            (Self::Role(mine), Self::Role(onto)) => {
                let nothing = RoleBaseline::default();
                let base = base.and_then(Self::as_role).unwrap_or(&nothing);
                Self::Role(Arc::new(mine.rebase(base, onto)))
            }
            (Self::Caller(mine), Self::Caller(onto)) => {
                let nothing = Caller::default();
                let base = base.and_then(Self::as_caller).unwrap_or(&nothing);
                Self::Caller(Arc::new(mine.rebase(base, onto)))
            }
            (Self::Told(mine), Self::Told(onto)) => Self::Told(Arc::new(mine.join(onto))),
            (Self::Trust(mine), Self::Trust(onto)) => {
                let mut joined = (**mine).clone();
                joined.join(onto);
                Self::Trust(Arc::new(joined))
            }
            (Self::Copy(mine), Self::Copy(theirs)) => Self::Copy(Arc::new(mine.join(theirs))),
            _ => self.clone(),
        }
    }

    /// Whether it says something that `base` does not and that others have to know.
    #[must_use]
    pub fn has_news_since(&self, base: Option<&Self>) -> bool {
        match (self, base) {
            (_, None) => true,
            (Self::Role(mine), Some(Self::Role(base))) => mine.has_news_since(base),
            (Self::Caller(mine), Some(Self::Caller(base))) => mine.has_news_since(base),
            (mine, Some(base)) => mine != base,
        }
    }

    /// Whether it has counted alerts or refusals that `base` has not: others should know soon.
    #[must_use]
    pub fn has_counted_since(&self, base: Option<&Self>) -> bool {
        match (self, base) {
            (Self::Role(mine), Some(Self::Role(base))) => mine.folds.has_repeats_since(&base.folds),
            (Self::Caller(mine), Some(Self::Caller(base))) => {
                mine.folds.has_repeats_since(&base.folds) || mine.denials != base.denials
            }
            _ => false,
        }
    }

    /// From when on it may be deleted, if it is written `now`; never where nothing is said.
    #[must_use]
    pub fn until(&self, now: Timestamp) -> Option<Timestamp> {
        let least = now.checked_add(AT_LEAST).ok();
        let after = |time: Option<Timestamp>, kept| time.unwrap_or(now).checked_add(kept).ok();
        match self {
            Self::Role(role) => after(role.last_active().max(Some(now)), KEPT),
            Self::Caller(caller) => after(caller.last_active().max(Some(now)), KEPT),
            Self::Told(told) => told.until().max(least),
            Self::Copy(copy) => after(Some(copy.call.time.max(now)), COPY_KEPT),
            // A policy is in force for as long as its role is there, used or not.
            Self::Trust(history) => {
                history.deleted().and_then(|time| after(Some(time.max(now)), KEPT))
            }
            Self::Known => None,
        }
    }

    fn as_role(&self) -> Option<&RoleBaseline> {
        if let Self::Role(role) = self { Some(role) } else { None }
    }

    fn as_caller(&self) -> Option<&Caller> {
        if let Self::Caller(caller) = self { Some(caller) } else { None }
    }

    /// Whether both are the very same value, and not merely equal.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Role(one), Self::Role(other)) => Arc::ptr_eq(one, other),
            (Self::Caller(one), Self::Caller(other)) => Arc::ptr_eq(one, other),
            (Self::Trust(one), Self::Trust(other)) => Arc::ptr_eq(one, other),
            _ => self == other,
        }
    }
}
