//! What is known around a call: of whoever is behind it, of those who come the same way, and of
//! the colleagues who take the same roles.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::trusting;
use crate::baseline::{Caller, Dimension, RoleBaseline};
use crate::config::{Ingredient, Without};
use crate::event::{Assumption, Event, PrincipalKey, PrincipalKind};
use crate::id::RoleArn;
use crate::lineage::Lineage;
use crate::profile::{self, Behind, CallerKind};
use crate::severity::Severity;
use crate::state::State;
use crate::surprise::{Colleagues, Known, Surprise};
use crate::trust::{Entry, RoleKey};

use super::Habitual;

/// The longest that credentials of a role are valid (IAM's `MaxSessionDuration`).
const LONGEST_SESSION: SignedDuration = SignedDuration::from_hours(12);

/// Who is behind a call for a role.
pub(super) fn behind(state: &State<'_>, it: &Assumption, lineage: Option<&Lineage>) -> Behind {
    let issuer = it.call.principal.issuer.as_ref().and_then(|role| state.role(role));
    let person = CallerKind::Person.as_str();
    let people_take = issuer.is_some_and(|role| role.has_seen(Dimension::Kind, person));
    Behind::of(&it.call, lineage, people_take)
}

/// Whether this is the role account's copy of a call by somebody of ours: it tells neither the
/// credential nor the session's origin, and the copy that does comes from the caller's account.
pub(super) fn is_half_told(state: &State<'_>, it: &Assumption) -> bool {
    let principal = &it.call.principal;
    principal.kind == PrincipalKind::AwsAccount
        && it.call.shared_id.is_some()
        && principal.account.is_some_and(|account| state.is_ours(account))
}

/// How unlike its role's baseline a call is.
pub(super) fn surprise(
    state: &State<'_>,
    event: &Event,
    lineage: Option<&Lineage>,
    without: Without,
) -> Option<Surprise> {
    let Event::Assumption(it) = event else { return None };
    if is_half_told(state, it) {
        return None;
    }
    let Habitual { role, caller } = Habitual::of(state, event);
    let mut behind = behind(state, it, lineage);
    if without.has(Ingredient::Origin) {
        behind.actor = it.call.principal.key();
    }
    let actor = behind.actor.as_ref().and_then(|actor| state.caller(actor));
    let circle = profile::circle(it, &behind)
        .filter(|_| it.call.principal.account.is_none_or(|account| state.is_ours(account)));
    let circles = [circle.as_ref().and_then(|it| state.caller(it)), {
        state.caller(&profile::workloads()).filter(|_| circle.is_some() && is_token(&behind))
    }];
    let entry = trusting::entry(state, it).filter(|_| !without.has(Ingredient::Trust));
    let asks = |_: &&Caller| !without.has(Ingredient::Caller);
    let none = RoleBaseline::default();
    let known = Known {
        role: role.as_deref().unwrap_or(&none),
        caller: caller.as_deref().filter(asks),
        behind: &behind,
        actor: actor.as_deref().filter(asks),
        circles: [circles[0].as_deref(), circles[1].as_deref()],
        named: entry.as_ref().and_then(Entry::explains),
        is_role_made: RoleKey::of_assumption(it)
            .and_then(|key| state.trust(&key))
            .is_some_and(|history| history.last().is_some()),
        is_ours: it.call.principal.account.is_none_or(|account| state.is_ours(account)),
        lineage,
        colleagues: &|| {
            let found = it.role().zip(behind.actor.as_ref()).zip(actor.as_deref());
            let found = found.filter(|_| !without.has(Ingredient::Colleagues));
            found
                .map(|((role, key), actor)| colleagues(state, role, key, actor))
                .unwrap_or_default()
        },
        without,
    };
    Surprise::of(it, &known)
}

fn is_token(behind: &Behind) -> bool {
    behind.kind == CallerKind::Token
}

/// What those take who take the same roles as the actor. It is asked only of somebody who takes a
/// role for the first time, and looks at a bounded number of others.
fn colleagues(state: &State<'_>, role: &RoleArn, key: &PrincipalKey, actor: &Caller) -> Colleagues {
    const MOST: usize = 400;
    const NEAREST: usize = 5;
    let mine = roles_of(actor, role);
    let mut others: BTreeSet<Arc<str>> = BTreeSet::new();
    for baseline in mine.iter().filter_map(|arn| state.role(&arn.parse().ok()?)) {
        for (_, habits) in baseline.iter() {
            for dimension in [Dimension::Principal, Dimension::Origin] {
                let names = habits.table(dimension).into_iter().flat_map(|it| it.iter());
                others.extend(names.map(|(name, _)| Arc::from(name)));
            }
        }
    }
    let is_alike = |arn: &Arc<str>| {
        arn.parse::<RoleArn>().is_ok_and(|it| it.common_name() == role.common_name())
    };
    let mut take_its_like = mine.iter().any(is_alike);
    let mut nearest: Vec<(usize, usize, bool)> = Vec::new();
    for name in others.iter().take(MOST) {
        let other = PrincipalKey::kept(name);
        if other == *key || other.is_role() {
            continue;
        }
        let Some(other) = state.caller(&other) else { continue };
        let theirs = roles_of(&other, role);
        let common = mine.intersection(&theirs).count();
        let all = mine.len() + theirs.len() - common;
        let takes = other.habits().seen(Dimension::Role, role.as_str()).is_some();
        take_its_like |= takes || theirs.iter().any(is_alike);
        nearest.push((common, all, takes));
    }
    // Compares common/all without dividing.
    nearest.sort_by(|a, b| (b.0 * a.1).cmp(&(a.0 * b.1)).then(b.2.cmp(&a.2)));
    let take_it = nearest.iter().take(NEAREST).any(|(_, _, takes)| *takes);
    Colleagues { take_it, take_its_like }
}

/// The roles that somebody takes, but for one.
fn roles_of(caller: &Caller, but: &RoleArn) -> BTreeSet<Arc<str>> {
    let table = caller.habits().table(Dimension::Role).into_iter().flat_map(|it| it.iter());
    table
        .map(|(role, _)| Arc::from(role))
        .filter(|role: &Arc<str>| **role != *but.as_str())
        .collect()
}

/// Whether a session makes a call whose role machines take, day by day, and people never do.
pub(super) fn is_pipeline(state: &State<'_>, event: &Event) -> bool {
    let call = event.call();
    call.principal.issuer.as_ref().is_some_and(|role| was_machines(state, role, call.time))
}

/// Whether an opening of a trust policy that let a caller in was worth a look and no more, and was
/// written by a pipeline.
pub(super) fn was_opened(state: &State<'_>, entry: &Entry) -> bool {
    let Some(weakening) = entry.weakening.as_ref().filter(|it| it.severity <= Severity::Medium)
    else {
        return false;
    };
    let writer = entry.writer.as_ref().and_then(|it| state.caller(it));
    let arn = writer.as_ref().and_then(|it| it.label()).and_then(|it| it.arn.clone());
    let role = arn.and_then(|arn| arn.as_str().parse::<RoleArn>().ok());
    role.is_some_and(|role| was_machines(state, &role, weakening.time))
}

/// Whether machines take a role, day by day, and no person's session of it can have been alive at
/// a time. Of people only the first and the last time that they took it is known.
fn was_machines(state: &State<'_>, role: &RoleArn, time: Timestamp) -> bool {
    const DAYS: u32 = 2;
    let Some(role) = state.role(role) else { return false };
    let people = role
        .iter()
        .filter_map(|(_, habits)| habits.seen(Dimension::Kind, CallerKind::Person.as_str()));
    let machines = role.turnover_of_all(Dimension::Kind).value_days;
    machines >= DAYS
        && people.into_iter().all(|it| time < it.first || it.last + LONGEST_SESSION < time)
}

/// Whether people of ours call from the block of networks that a call came from.
pub(super) fn is_peoples_place(state: &State<'_>, event: &Event) -> bool {
    let people = state.caller(&profile::people());
    let block = event.call().block();
    people.is_some_and(|it| it.habits().days(Dimension::NetworkBlock, block.as_str()) > 1)
}
