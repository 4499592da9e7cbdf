//! Which items judging an event needs. They follow from the event alone (and from the calls that
//! wait for it), so that they are read before anything is judged.

use std::collections::{BTreeSet, HashMap};

use super::{Body, Item, Key};
use crate::event::{Assumption, Event, Principal, PrincipalKey, PrincipalKind, TrustChange};
use crate::id::RoleArn;
use crate::lineage::{self, CallId, CredentialKey, Session};
use crate::pipeline::Question;
use crate::profile::{self, Behind, CallerKind};
use crate::state::{Change, Memory, Subject};
use crate::text::Text;
use crate::trust::{TrustPolicy, party_of, trusted_ids, trusted_parties};

/// The items that say how usual an event is, where it came from, and what is known of it.
#[must_use]
pub fn keys(memory: &dyn Memory, event: &Event) -> Vec<Key> {
    let principal = &event.call().principal;
    let mut keys = vec![Key::Caller(principal.key_or_unnamed())];
    keys.extend(event.call().account.map(Key::Ours));
    match event {
        Event::Assumption(it) => {
            keys.extend(it.role().cloned().map(Key::Role));
            keys.extend(it.role_key().cloned().map(Key::Trust));
            keys.extend(principal.account.map(Key::Account));
            keys.extend(name(it));
            let shared_id = it.call.shared_id.clone().filter(|_| is_across_accounts(it));
            keys.extend(shared_id.map(Key::Copy));
            keys.extend(lineage::used_by(it).into_iter().map(Key::Session));
            keys.extend(lineage::places_of(it).into_iter().map(Key::Place));
            keys.extend(holder(it).map(Key::Caller));
            let behind = Behind::of(&it.call, None, false);
            keys.extend(profile::circle(it, &behind).map(Key::Caller));
            let is_persons = behind.kind == CallerKind::Person;
            keys.extend(is_persons.then(|| Key::Caller(profile::people())));
            keys.extend(waiting(memory, &lineage::issued(it)));
        }
        Event::SignIn(it) => {
            keys.push(Key::Caller(profile::people()));
            keys.extend(waiting(memory, &lineage::told_by(it)));
        }
        Event::TrustChange(it) => keys.extend(of_writing(memory, it)),
    }
    keys
}

/// What the writing of a policy is compared with: what was written before, and what is known of
/// those whom the new one lets in. Where only an earlier record tells the role's ARN, see also
/// [`told_by`].
fn of_writing(memory: &dyn Memory, it: &TrustChange) -> Vec<Key> {
    let role = it.role_key();
    let history = role.as_ref().and_then(|role| memory.trust(role));
    let arn = it.role.clone().or_else(|| history?.arn().cloned());
    let own = it.call.account.or_else(|| arn.as_ref().map(RoleArn::account));
    let mut keys: Vec<Key> = arn.map(Key::Role).into_iter().collect();
    // What pipelines have opened is kept with all workloads.
    keys.push(Key::Caller(profile::workloads()));
    keys.extend(role.map(Key::Trust));
    let policy = it.policy.as_ref().and_then(|it| TrustPolicy::read(it.as_json()).ok());
    let (accounts, parties) = policy.as_ref().map(trusted_parties).unwrap_or_default();
    for account in accounts {
        keys.extend([Key::Account(account), Key::Ours(account)]);
        keys.push(Key::Party(party_of(account).into()));
    }
    keys.extend(parties.into_iter().map(|party| Key::Party(party.into())));
    let ids = policy.as_ref().map(trusted_ids).unwrap_or_default();
    keys.extend(ids.iter().filter_map(|id| PrincipalKey::of_id(own, id)).map(Key::Caller));
    keys
}

/// The items that have to be known as they are now. Somebody who tries many roles is refused in
/// many environments within seconds; what each has seen makes an enumeration only together, and
/// the role that is granted in the end may be granted in yet another one. A service tries none.
/// And a policy is compared with the one before, not with that of a minute ago.
#[must_use]
pub fn urgent(event: &Event) -> Option<Key> {
    match event {
        Event::Assumption(it) => {
            let principal = &it.call.principal;
            let is_service = principal.kind == PrincipalKind::Service && it.call.granted();
            (!is_service).then(|| Key::Caller(principal.key_or_unnamed()))
        }
        Event::TrustChange(it) => it.role_key().map(Key::Trust),
        Event::SignIn(_) => None,
    }
}

/// The roles of which a policy was written by name alone, where what was just read tells their ARN.
#[must_use]
pub fn told_by(events: &[&Event], read: &[Item]) -> BTreeSet<Key> {
    let mut told = BTreeSet::new();
    for event in events {
        let Event::TrustChange(it) = event else { continue };
        let key = it.role_key().filter(|_| it.role.is_none()).map(Key::Trust);
        let item = key.and_then(|key| read.iter().find(|item| item.key == key));
        if let Some(Body::Trust(history)) = item.and_then(|item| item.body.as_ref()) {
            told.extend(history.arn().cloned().map(Key::Role));
        }
    }
    told
}

/// Who began the chains whose sessions make a call, as what is remembered and what was just read
/// tell: what they usually take is asked too.
#[must_use]
pub fn actors(memory: &dyn Memory, events: &[&Event], read: &[Item]) -> BTreeSet<Key> {
    let mut actors = BTreeSet::new();
    let mut add = |session: &Session| {
        let origin = session.lineage.origin.as_ref().filter(|it| !it.is_service());
        actors.extend(origin.cloned().map(Key::Caller));
    };
    for event in events {
        let Event::Assumption(it) = event else { continue };
        for key in lineage::used_by(it) {
            memory.traces().sessions.found(&key).for_each(|(_, session)| add(session));
        }
    }
    for item in read {
        if let Some(Body::Told(told)) = &item.body {
            told.sessions.iter().for_each(|(_, session)| add(session));
        }
    }
    actors
}

/// The items that an alert rests on, or that say that it was sent.
#[must_use]
pub fn of_alert(memory: &dyn Memory, question: &Question<'_>) -> Vec<Key> {
    let mut keys = keys(memory, question.event);
    keys.extend(question.changes.iter().filter_map(|change| match change {
        Change::Fold { subject: Subject::Role(role), .. } => Some(Key::Role(role.clone())),
        Change::Fold { subject: Subject::Caller(caller), .. } => Some(Key::Caller(caller.clone())),
        _ => None,
    }));
    keys
}

/// A session that other environments may have to find.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Under what.
    pub keys: Vec<Key>,
    /// Whose session it is then; it is worth a write only where that one takes roles.
    pub only_if_takes_roles: Option<PrincipalKey>,
}

/// The sessions that a batch opens and that may be worth a write each. People's and other
/// accounts' are, for chains begin with them; and those that a role's session opens, for these
/// are chains. Services and pipelines open nearly all sessions there are, and hardly any of these
/// takes another role; a role whose sessions were seen to do so is known by that. The first chain
/// from a machine that never took a role begins elsewhere with the machine's role, unseen.
#[must_use]
pub fn opened(events: &[&Event]) -> HashMap<CallId, Opened> {
    let mut opened = HashMap::new();
    for event in events {
        let Event::Assumption(it) = event else { continue };
        if !it.call.granted() {
            continue;
        }
        let mut keys: Vec<Key> = lineage::findable(it).into_iter().map(Key::Session).collect();
        keys.extend(lineage::sharing_a_set(it).map(Key::Place));
        if !keys.is_empty() {
            let only_if_takes_roles = holder(it);
            let worth = Opened { keys, only_if_takes_roles };
            opened.insert(CallId::of_assumption(it), worth);
        }
    }
    opened
}

/// Who will call with the session that a service or a pipeline opens.
fn holder(it: &Assumption) -> Option<PrincipalKey> {
    let kind = it.call.principal.kind;
    let is_machine = matches!(kind, PrincipalKind::Service | PrincipalKind::WebIdentity);
    if !is_machine || !it.call.granted() {
        return None;
    }
    let (account, id) = (it.role_account(), it.role_id().cloned());
    Principal { account, id, ..Principal::of_kind(PrincipalKind::Role) }.key().cloned()
}

/// Whether another account's trail may hold another copy of the call.
#[must_use]
pub fn is_across_accounts(it: &Assumption) -> bool {
    let account = it.call.principal.account;
    account.is_some() && it.role().is_some() && account != it.role_account()
}

/// The name of a session, which may be a person's. What a service calls its sessions is not
/// compared with people's names, and what hands its own name on needs none.
fn name(it: &Assumption) -> Option<Key> {
    let principal = &it.call.principal;
    let name = it.session.name.as_ref()?;
    let is_own = principal.session_name.as_ref() == Some(name)
        || principal.name.as_ref().map(Text::as_str) == Some(name.as_str());
    let is_compared = principal.kind != PrincipalKind::Service && !is_own;
    is_compared.then(|| Key::Person(name.as_str().to_lowercase().into()))
}

/// The role, its trust policies and the caller of each call that waits under one of `keys`.
fn waiting(memory: &dyn Memory, keys: &[CredentialKey]) -> Vec<Key> {
    let waiting = &memory.traces().waiting;
    let mut found = Vec::new();
    for (_, waiter) in keys.iter().flat_map(|key| waiting.found(key)) {
        found.extend(waiter.call.role().cloned().map(Key::Role));
        found.extend(waiter.call.role_key().cloned().map(Key::Trust));
        found.push(Key::Caller(waiter.call.call.principal.key_or_unnamed()));
    }
    found
}
