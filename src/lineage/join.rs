//! Which session made a call.

use std::sync::Arc;

use jiff::Timestamp;

use super::{SKEW, Session, Sessions, id};
use crate::event::{Call, Credential};
use crate::id::AccessKeyId;

/// The session that made a call, as far as it is known.
pub(super) enum Joined {
    /// By its own key: no other can be meant.
    ByKey(Arc<Session>),
    /// By its name and the second of its creation: another one of that second may still come.
    ByName(Arc<Session>),
    /// No session that was seen, or several of different descent.
    Nobody,
}

/// Finds the session whose credentials made a call.
pub(super) fn session(sessions: &dyn Sessions, call: &Call) -> Joined {
    let (key, created) = match &call.principal.credential {
        Credential::Temporary { key, created } => (key.as_ref(), *created),
        Credential::LongTerm(_) | Credential::Unseen => (None, None),
    };
    if let Some(by_key) = id::used_by_key(&call.principal) {
        let mut found = sessions.issued_under(&by_key);
        found.retain(|it| is_of_time(it, call.time, created) && id::agrees(it, &call.principal));
        nearest(&mut found, created);
        if !found.is_empty() {
            return one(found).map_or(Joined::Nobody, Joined::ByKey);
        }
    }
    for name in id::used_by_name(&call.principal) {
        let mut found = sessions.issued_under(&name);
        found.retain(|it| is_before(it, call.time) && may_bear(it, key));
        if !found.is_empty() {
            return one(found).map_or(Joined::Nobody, Joined::ByName);
        }
    }
    Joined::Nobody
}

/// Whether the session was there when the call was made.
fn is_before(session: &Session, time: Timestamp) -> bool {
    session.created().is_some_and(|created| created.duration_since(time) <= SKEW)
}

/// Whether a session with the caller's key is the caller's: a key may come again another day.
fn is_of_time(session: &Session, time: Timestamp, created: Option<Timestamp>) -> bool {
    let Some(issued) = session.created() else { return false };
    match created {
        Some(created) => issued.duration_since(created).abs() <= SKEW,
        None => is_before(session, time) && session.expires >= time,
    }
}

/// Of several within the skew of clocks, those that were issued in the very second.
fn nearest(found: &mut Vec<Arc<Session>>, created: Option<Timestamp>) {
    if found.iter().any(|it| it.created() == created) {
        found.retain(|it| it.created() == created);
    }
}

/// Whether a caller with this key may be the session: one that got its credentials by a call of
/// its own uses the key that was issued.
fn may_bear(session: &Session, key: Option<&AccessKeyId>) -> bool {
    match (key, &session.access_key_id) {
        (Some(key), Some(issued)) => key == issued || session.changes_keys,
        _ => true,
    }
}

/// The one session that all of these are, or are as good as: copies of one call, or calls of the
/// same caller in one second.
fn one(mut found: Vec<Arc<Session>>) -> Option<Arc<Session>> {
    let is_copy =
        |a: &Session, b: &Session| a.access_key_id.is_some() && a.access_key_id == b.access_key_id;
    found.sort_by(|a, b| order(a).cmp(&order(b)));
    let (first, others) = found.split_first()?;
    let agree =
        others.iter().all(|it| is_copy(it, first) || it.lineage.has_same_parents(&first.lineage));
    agree.then(|| Arc::clone(first))
}

/// The fullest first; then any order, as long as it does not depend on arrival.
fn order(session: &Session) -> impl Ord + use<'_> {
    let lineage = &session.lineage;
    let event = lineage.last().and_then(|link| link.event_id.as_ref());
    (
        !session.is_full,
        !lineage.complete,
        std::cmp::Reverse(lineage.depth),
        session.created(),
        event,
    )
}
