//! What an event teaches, of roles and of callers.

use smol_str::SmolStr;

use super::around::{self, Around, AroundAssumption};
use super::is_name_of;
use crate::baseline::{Dimension, Label, Value};
use crate::event::{Assumption, Event, Principal, PrincipalKind, SignInKind};
use crate::id::AccountId;
use crate::lineage::Lineage;
use crate::profile::{self, CallerKind};
use crate::state::{Change, Changes, State};
use crate::surprise::is_person;
use crate::text::Text;

/// What an event teaches when nothing is wrong with it. A refused call teaches nothing: whoever
/// is refused could otherwise write the baseline.
pub(super) fn lessons(
    state: &State<'_>,
    event: &Event,
    around: &Around,
    lineage: Option<&Lineage>,
    changes: &mut Changes,
) {
    let call = event.call();
    if !call.granted() {
        return;
    }
    let key = call.principal.key();
    match (event, &around.asked) {
        (Event::Assumption(it), Some(asked)) => {
            if around::is_half_told(state, it) {
                return;
            }
            let mut values = profile::of_role(it, lineage);
            profile::add_descent(it, lineage, &asked.behind, &mut values);
            changes.extend(role_lesson(it, values));
            changes.extend(lessons_of_others(it, around, asked));
            let values = profile::of_caller(it);
            changes.extend(key.map(|caller| Change::LearnCaller {
                caller: caller.clone(),
                values,
                time: call.time,
            }));
            let accounts = [call.principal.account, call.account];
            let news = |account: &AccountId| !state.knows_account(*account);
            let accounts = accounts.into_iter().flatten().filter(news);
            changes.extend(accounts.map(Change::KnowAccount));
            changes.extend(people(state, it));
        }
        _ => {
            let Some(caller) = key.cloned() else { return };
            if let Event::SignIn(it) = event
                && it.kind == SignInKind::SessionToken
            {
                let (caller, network) = (caller.clone(), call.address.network());
                changes.push(Change::SignedIn { caller, time: call.time, network });
            }
            let values = vec![(Dimension::Call, SmolStr::new_static(call.name))];
            changes.push(Change::LearnCaller { caller, values, time: call.time });
        }
    }
}

/// What a call teaches of others than its caller: of whoever began the chain that they take the
/// role, and of those who come the same way from where they call.
fn lessons_of_others(
    it: &Assumption,
    around: &Around,
    asked: &AroundAssumption,
) -> impl Iterator<Item = Change> {
    let time = it.call.time;
    let AroundAssumption { behind, circle, .. } = asked;
    let circle = circle.clone().zip(profile::block_of_circle(&it.call));
    let is_persons = behind.kind == CallerKind::Person && around.is_ours;
    let place = (is_persons && profile::has_network_of_its_own(&it.call))
        .then(|| (profile::people(), (Dimension::NetworkBlock, it.call.block().to_text())));
    let actor = behind.actor.as_ref().filter(|actor| Some(*actor) != it.call.principal.key());
    let role = it.role().map(|role| (Dimension::Role, role.to_text().into()));
    let taught = actor.cloned().zip(role).into_iter().chain(circle).chain(place);
    taught.map(move |(caller, value)| Change::LearnCaller { caller, values: vec![value], time })
}

/// What the fuller copy of a call teaches beside what the poorer copy did.
pub(super) fn completing_lessons(
    state: &State<'_>,
    it: &Assumption,
    lineage: Option<&Lineage>,
) -> Changes {
    let behind = around::behind(state, it, lineage);
    let mut values = profile::of_role(it, lineage);
    // Of a user's call the poorer copy told the depth too.
    let is_session = it.call.principal.kind == PrincipalKind::Role;
    values.retain(|(dimension, _)| match dimension {
        Dimension::Mfa | Dimension::WithoutMfa | Dimension::Issuer => true,
        Dimension::Depth => is_session,
        _ => false,
    });
    if !it.call.granted() {
        return Changes::new();
    }
    if is_session {
        profile::add_descent(it, lineage, &behind, &mut values);
    }
    let mut changes: Changes = role_lesson(it, values).into_iter().collect();
    let mut values = profile::of_caller(it);
    values.retain(|(dimension, _)| *dimension == Dimension::Mfa);
    let caller = it.call.principal.key().filter(|_| !values.is_empty()).cloned();
    changes.extend(caller.map(|caller| Change::LearnCaller { caller, values, time: it.call.time }));
    changes
}

pub(super) fn role_lesson(it: &Assumption, values: Vec<Value>) -> Option<Change> {
    let role = it.role()?.clone();
    let class = it.call.principal.class(it.role_account());
    let id = it.role_id().cloned();
    Some(Change::LearnRole { role, id, class, values, time: it.call.time })
}

/// The names that a person goes by: their own, and an address that begins with it. Any other
/// name in a session may be a colleague's.
fn people(state: &State<'_>, it: &Assumption) -> impl Iterator<Item = Change> {
    let own = it.call.principal.name.as_ref().filter(|_| is_person(it));
    let address =
        it.session.name.as_ref().filter(|name| is_name_of(name.as_str(), own.map(Text::as_str)));
    let names = [own, address].into_iter().flatten();
    let names = names.map(|name| name.as_str().to_lowercase());
    names.filter(|name| !state.is_person(name)).map(|name| Change::KnowPerson(name.into()))
}

/// A refusal is remembered with the caller: trying many roles is told by it.
pub(super) fn refusal(event: &Event) -> Option<Change> {
    let Event::Assumption(it) = event else { return None };
    if it.call.granted() {
        return None;
    }
    let (caller, role) = (it.call.principal.key()?.clone(), it.role()?.clone());
    Some(Change::Refused { caller, role, time: it.call.time, mark: it.call.key.mark() })
}

/// What the record tells of the caller's name, if that is news.
pub(super) fn name(event: &Event, around: &Around) -> Option<Change> {
    let call = event.call();
    let principal: &Principal = &call.principal;
    let tells = matches!(principal.kind, PrincipalKind::IamUser | PrincipalKind::Role)
        && principal.id.is_some();
    let caller = principal.key().filter(|_| tells)?;
    let arn = match &principal.issuer {
        Some(issuer) => Some(issuer.as_str()),
        None => principal.arn.as_ref().map(Text::as_str),
    };
    let known = around.caller.as_ref().and_then(|caller| caller.label());
    let is_same =
        |known: &Label| known.arn.as_ref().map(Text::as_str) == arn && known.name == principal.name;
    if known.is_some_and(is_same) {
        return None;
    }
    let label = Label { time: call.time, arn: arn.map(Text::clip), name: principal.name.clone() };
    Some(Change::Name { caller: caller.clone(), label })
}
