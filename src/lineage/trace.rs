//! Following one call back to its origin.

use std::sync::Arc;

use super::join::{self, Joined};
use super::{CredentialKey, Lineage, Link, MOST_LINKS, Place, SKEW, Session, expires, id};
use crate::event::{Assumption, Call, Credential, Mfa, PrincipalKey, PrincipalKind};
use crate::id::Address;
use crate::text::Text;

/// What is remembered of sessions.
pub trait Sessions {
    /// The sessions that were issued under a key.
    fn issued_under(&self, key: &CredentialKey) -> Vec<Arc<Session>>;
    /// How many sessions were issued under a key.
    fn count_under(&self, key: &CredentialKey) -> usize;
    /// The places that were told under a key.
    fn places_under(&self, key: &CredentialKey) -> Vec<Arc<Place>>;
}

/// What is found of a call for a role.
#[derive(Debug, Clone)]
pub struct Trace {
    /// Where it comes from.
    pub lineage: Lineage,
    /// Where the person was, if the call was made inside AWS for one.
    pub place: Option<Arc<Place>>,
}

/// Where a call for a role comes from. `None` where no role is asked for.
#[must_use]
pub fn trace(sessions: &dyn Sessions, it: &Assumption) -> Option<Trace> {
    it.role()?;
    let mut lineage = descent(sessions, it);
    let found = Found::of(sessions, it);
    lineage.settled &= found.settled;
    if let (Some(place), Some(last)) = (&found.place, lineage.links.last_mut()) {
        Arc::make_mut(last).address = address(&place.address);
    }
    Some(Trace { lineage, place: found.place })
}

/// Who began the chain whose session makes a call, where that is known to its origin.
#[must_use]
pub fn origin_of(sessions: &dyn Sessions, call: &Call) -> Option<PrincipalKey> {
    match join::session(sessions, call) {
        Joined::ByKey(parent) | Joined::ByName(parent) if parent.lineage.complete => {
            parent.lineage.origin.clone()
        }
        _ => None,
    }
}

fn descent(sessions: &dyn Sessions, it: &Assumption) -> Lineage {
    let principal = &it.call.principal;
    let role_session = principal.session_name.is_some()
        || principal.id.as_ref().is_some_and(|id| id.as_str().starts_with("AROA"));
    match principal.kind {
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
    }
}

/// Most sessions of one permission set at about one time among which a place is looked for. Where
/// there are more, it is nobody's.
pub const CROWD: usize = 8;

/// The place of a person who acts from inside AWS.
struct Found {
    place: Option<Arc<Place>>,
    /// Whether no record that may still come can change it.
    settled: bool,
}

impl Found {
    fn of(sessions: &dyn Sessions, it: &Assumption) -> Self {
        let keys = id::PlaceKeys::of(it);
        if keys.is_empty() {
            return Self { place: None, settled: true };
        }
        if let Some(place) = told(sessions, it, &keys.own) {
            return Self { place: Some(place), settled: true };
        }
        let crowd = keys.shared.iter().map(|key| sessions.count_under(key)).sum::<usize>();
        if crowd > CROWD {
            return Self { place: None, settled: keys.own.is_empty() };
        }
        let me = it.call.principal.key();
        let is_shared = keys.shared.iter().any(|key| {
            let others = sessions.issued_under(key).into_iter();
            others
                .filter(|other| is_about(other.created(), it))
                .any(|it| it.lineage.origin.as_ref() != me)
        });
        let place = told(sessions, it, &keys.shared).filter(|_| !is_shared);
        Self { place, settled: false }
    }
}

/// The place that was told under one of the keys, if it is one: two people who open the same
/// session within a minute are told apart only by whom the record names.
fn told(sessions: &dyn Sessions, it: &Assumption, keys: &[CredentialKey]) -> Option<Arc<Place>> {
    let caller = it.call.principal.arn.as_ref().map(Text::as_str);
    let is_of_another = |place: &Place| {
        let of = place.of.as_ref().map(Text::as_str);
        of.is_some() && caller.is_some() && of != caller
    };
    let mut places: Vec<_> = keys.iter().flat_map(|key| sessions.places_under(key)).collect();
    places.retain(|place| is_about(Some(place.time), it) && !is_of_another(place));
    let apart = |place: &Place| place.time.duration_since(it.call.time).abs();
    places.sort_by_key(|place| (apart(place), place.address.clone()));
    let place = places.first().cloned()?;
    places.iter().all(|other| other.address == place.address).then_some(place)
}

/// Whether something happened at about the time of a call.
fn is_about(time: Option<jiff::Timestamp>, it: &Assumption) -> bool {
    time.is_some_and(|time| time.duration_since(it.call.time).abs() <= SKEW)
}

fn own_link(it: &Assumption, depth: u32) -> Arc<Link> {
    let call = &it.call;
    Arc::new(Link {
        role: it.role().cloned(),
        role_id: it.role_id().cloned(),
        kind: call.principal.kind,
        principal: Some(call.principal.display_text()),
        time: Some(call.time),
        address: address(&call.address),
        event_id: call.event_id().cloned(),
        expires: Some(expires(it, depth)),
    })
}

fn address(address: &Address) -> Option<Address> {
    Some(address.clone()).filter(|it| it.as_name() != Some(""))
}

/// The caller is no session of a role: the chain begins here.
fn origin(it: &Assumption, complete: bool) -> Lineage {
    Lineage {
        depth: 1,
        complete,
        links: vec![own_link(it, 1)],
        omitted: 0,
        mfa: it.call.mfa,
        origin: it.call.principal.key().cloned(),
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
    // Another account may have given its event the same id.
    let is_it = |link: &Link| link.event_id.as_ref() == id && link.role.as_ref() == it.role();
    id.is_some() && session.lineage.links.iter().any(|link| is_it(link))
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
