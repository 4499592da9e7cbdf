//! Following one call back to its origin.

use std::sync::Arc;

use super::join::{self, Joined};
use super::{CredentialKey, Lineage, Link, MOST_LINKS, Place, SKEW, Session, expires, id};
use crate::event::{Assumption, Credential, Mfa, PrincipalKind};
use crate::id::Address;
use crate::text::Text;

/// What is remembered of sessions.
pub trait Sessions {
    /// The sessions that were issued under a key.
    fn issued_under(&self, key: &CredentialKey) -> Vec<Arc<Session>>;
    /// The places that were told under a key.
    fn places_under(&self, key: &CredentialKey) -> Vec<Arc<Place>>;
}

/// Where a call for a role comes from. `None` where no role is asked for.
#[must_use]
pub fn trace(sessions: &dyn Sessions, it: &Assumption) -> Option<Lineage> {
    it.role()?;
    let principal = &it.call.principal;
    let role_session = principal.session_name.is_some()
        || principal.id.as_ref().is_some_and(|id| id.as_str().starts_with("AROA"));
    let mut lineage = match principal.kind {
        PrincipalKind::Role => match join::session(sessions, &it.call) {
            Joined::ByKey(parent) if !is_descendant(&parent, it) => {
                extend(it, &parent, parent.lineage.settled)
            }
            Joined::ByName(parent) if !is_descendant(&parent, it) => extend(it, &parent, false),
            _ => unseen(it),
        },
        PrincipalKind::AwsAccount if role_session => unseen(it),
        // Another account's copy may follow that tells who it was.
        PrincipalKind::AwsAccount => {
            Lineage { settled: false, ..origin(it, principal.id.is_some()) }
        }
        PrincipalKind::Unknown => origin(it, false),
        _ => origin(it, true),
    };
    if let Some(last) = lineage.links.last_mut() {
        match place(sessions, it) {
            Some(place) => Arc::make_mut(last).address = address(&place.address),
            None if !id::place_of(it).is_empty() => lineage.settled = false,
            None => {}
        }
    }
    Some(lineage)
}

/// Where the person was who opened a session from inside AWS, if one place was told.
#[must_use]
pub fn place(sessions: &dyn Sessions, it: &Assumption) -> Option<Arc<Place>> {
    id::place_of(it).into_iter().find_map(|key| {
        let mut places = sessions.places_under(&key);
        let apart = |place: &Place| place.time.duration_since(it.call.time).abs();
        places.retain(|place| apart(place) <= SKEW);
        places.sort_by_key(|place| (apart(place), place.address.clone()));
        let place = places.first().cloned()?;
        // Two people who open the same role within a minute are not told apart.
        places.iter().all(|other| other.address == place.address).then_some(place)
    })
}

fn own_link(it: &Assumption, depth: u32) -> Arc<Link> {
    let call = &it.call;
    Arc::new(Link {
        role: it.role().cloned(),
        role_id: it.role_id().cloned(),
        kind: call.principal.kind,
        principal: Some(Text::clip(&call.principal.display())),
        time: Some(call.time),
        address: address(&call.address),
        event_id: call.event_id().cloned(),
        expires: Some(expires(it, depth)),
    })
}

fn address(address: &Address) -> Option<Text> {
    Some(Text::clip(&address.to_text())).filter(|it| !it.as_str().is_empty())
}

/// The caller is no session of a role: the chain begins here.
fn origin(it: &Assumption, complete: bool) -> Lineage {
    Lineage {
        depth: 1,
        complete,
        links: vec![own_link(it, 1)],
        omitted: 0,
        mfa: it.call.mfa,
        origin: it.call.principal.key(),
        settled: true,
    }
}

/// The caller is a session of a role, and nobody saw it being opened. What it tells of itself is
/// the last hop before this one.
fn unseen(it: &Assumption) -> Lineage {
    let principal = &it.call.principal;
    let created = match principal.credential {
        Credential::Temporary { created, .. } => created,
        Credential::LongTerm(_) | Credential::Unseen => None,
    };
    let hop = Link {
        role: principal.issuer.clone(),
        role_id: principal.id.clone(),
        kind: PrincipalKind::Unknown,
        principal: None,
        time: created,
        address: None,
        event_id: None,
        expires: None,
    };
    let link = own_link(it, 2);
    let depth = if hop.is_same_role(&link) { 1 } else { 2 };
    let links = vec![Arc::new(hop), link];
    let mfa = it.call.mfa;
    Lineage { depth, complete: false, links, omitted: 0, mfa, origin: None, settled: false }
}

/// Whether a session descends from the very call that it would be the parent of. Only a forged
/// log says so.
fn is_descendant(session: &Session, it: &Assumption) -> bool {
    let id = it.call.event_id();
    id.is_some() && session.lineage.links.iter().any(|link| link.event_id.as_ref() == id)
}

/// The caller is a session that is known.
fn extend(it: &Assumption, parent: &Session, settled: bool) -> Lineage {
    let before = &parent.lineage;
    let link = own_link(it, 2);
    let is_itself = before.last().is_some_and(|last| last.is_same_role(&link));
    let mut links = before.links.clone();
    let mut omitted = before.omitted;
    links.push(link);
    if links.len() > MOST_LINKS {
        links.remove(1);
        omitted = omitted.saturating_add(1);
    }
    Lineage {
        depth: before.depth.saturating_add(u32::from(!is_itself)),
        complete: before.complete,
        links,
        omitted,
        mfa: inherited(it.call.mfa, before),
        origin: before.origin.clone(),
        settled,
    }
}

/// MFA of a call by a session: credentials of a role carry none, so what was proved at the first
/// hop holds, and what is known to have been missing there is missing.
fn inherited(own: Mfa, before: &Lineage) -> Mfa {
    match (own, before.mfa) {
        (Mfa::Unknown, Mfa::Present | Mfa::Inherited) => Mfa::Inherited,
        (Mfa::Unknown, Mfa::Absent) if before.complete => Mfa::Absent,
        (Mfa::Unknown, Mfa::NotApplicable) => Mfa::NotApplicable,
        (own, _) => own,
    }
}
