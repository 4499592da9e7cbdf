//! Following sessions: what a call was made with, what is remembered of it, and what a late
//! record completes.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::{
    Decision, Found, Judged, Late, Mode, Verdict, completed, find, judge, role_lesson, surprise,
    with_news,
};
use crate::baseline::Dimension;
use crate::config::Config;
use crate::event::{Assumption, Event, Mfa, PrincipalKind};
use crate::lineage::{self, CallId, Lineage, Place, Session};
use crate::profile;
use crate::rules::FOLLOWING;
use crate::state::{Change, Changes, FirstCopy, State, Waiter};
use crate::surprise::Surprise;

/// Calls that one record completes at most. Only a forged log comes near.
const MOST_COMPLETED: usize = 10_000;

/// An event with what its lineage tells of it.
pub(super) struct Traced {
    pub(super) event: Event,
    pub(super) lineage: Option<Lineage>,
}

/// Follows a call back: what is known of MFA then holds for it, and a call that the console made
/// for a person is told from where the person was.
pub(super) fn traced(state: &State<'_>, mut event: Event) -> Traced {
    let Event::Assumption(it) = &mut event else { return Traced { event, lineage: None } };
    let lineage = lineage::trace(state, it);
    if let Some(lineage) = &lineage {
        it.call.mfa = lineage.mfa;
    }
    if it.call.principal.kind != PrincipalKind::Saml
        && let Some(place) = lineage::place(state, it)
    {
        it.call.address = place.address.clone();
        it.call.user_agent = place.user_agent.clone();
    }
    Traced { event, lineage }
}

/// Where a call comes from, as far as the state tells. `None` for what is no call for a role.
#[must_use]
pub fn trace_of(state: &State<'_>, event: &Event) -> Option<Lineage> {
    traced(state, completed(state, event)).lineage
}

/// What a record tells of a person's place.
pub(super) fn told(event: &Event) -> Option<Change> {
    let Event::SignIn(it) = event else { return None };
    let keys = lineage::told_by(it);
    let call = &it.call;
    let (address, user_agent) = (call.address.clone(), call.user_agent.clone());
    let place = Place { keys, time: call.time, address, user_agent };
    (!place.keys.is_empty()).then(|| Change::Told(CallId::of_call(call), Arc::new(place)))
}

/// The session that a call opened, and the call itself if something of its chain is missing.
pub(super) fn remember(
    state: &State<'_>,
    event: &Event,
    lineage: Option<&Lineage>,
    revision: u32,
    found: &Found,
) -> Changes {
    let (Event::Assumption(it), Some(lineage)) = (event, lineage) else { return Changes::new() };
    let id = CallId::of_call(&it.call);
    let mut changes = Changes::new();
    if let Some(session) = Session::issued(it, lineage) {
        let known = state.session(&id);
        let session = known.as_ref().map_or(session.clone(), |known| known.join(&session));
        if known.is_none_or(|known| *known != session) {
            changes.push(Change::Issued(id, Arc::new(session)));
        }
    }
    let keys = lineage::awaited(it);
    if it.call.granted() && !lineage.settled && !keys.is_empty() {
        let (mut call, lineage) = (it.clone(), lineage.clone());
        // Of a session nothing but the presence of MFA is in its own record.
        if call.call.principal.kind == PrincipalKind::Role && call.call.mfa != Mfa::Present {
            call.call.mfa = Mfa::Unknown;
        }
        let Found { findings, surprise } = found.clone();
        let waiter = Waiter { call, keys, lineage, revision, findings, surprise };
        changes.push(Change::Waits(id, Arc::new(waiter)));
    } else if state.waiter(&id).is_some() {
        changes.push(Change::Answered(id));
    }
    changes
}

/// Judges one event, applies what it changes, and completes what waited for it.
pub fn advance(
    state: &mut State<'_>,
    config: &Config,
    event: &Event,
    mode: &dyn Fn(Timestamp) -> Mode,
) -> Verdict {
    let mut judged = match judge(state, config, event, mode(event.call().time)) {
        Verdict::Duplicate => return Verdict::Duplicate,
        Verdict::Judged(judged) => judged,
    };
    let mut waiting = woken_by(state, &judged.changes);
    let mut completed = 0;
    while let Some(id) = waiting.pop_first()
        && completed < MOST_COMPLETED
    {
        let Some((late, changes)) = complete(state, config, id, mode) else { continue };
        completed += 1;
        waiting.extend(woken_by(state, &changes));
        judged.changes.extend(changes);
        judged.late.push(late);
    }
    Verdict::Judged(judged)
}

/// Applies changes; returns the calls that waited for them, or that rested on what was there
/// before.
fn woken_by(state: &mut State<'_>, changes: &Changes) -> BTreeSet<CallId> {
    let mut keys = BTreeSet::new();
    let mut own = BTreeSet::new();
    for change in changes {
        match change {
            Change::Issued(id, session) => {
                keys.extend(state.session(id).iter().flat_map(|before| before.keys.clone()));
                keys.extend(&session.keys);
                own.insert(*id);
            }
            Change::Told(_, place) => keys.extend(&place.keys),
            _ => {}
        }
    }
    state.apply(changes.clone());
    let waiting = keys.iter().flat_map(|key| state.waiting_under(key));
    waiting.filter(|id| !own.contains(id)).collect()
}

/// Judges a call again of which more is known now: what only now becomes true goes out as the
/// next revision. `None` where nothing has changed for it.
fn complete(
    state: &State<'_>,
    config: &Config,
    id: CallId,
    mode: &dyn Fn(Timestamp) -> Mode,
) -> Option<(Late, Changes)> {
    let waiter = state.waiter(&id)?;
    let waiting = Event::Assumption(waiter.call.clone());
    let Traced { event, lineage } = traced(state, waiting.clone());
    let Event::Assumption(it) = &event else { return None };
    let lineage = lineage.filter(|it| *it != waiter.lineage)?;
    let found = match mode(it.call.time) {
        Mode::Watch => {
            let surprise = Surprise::with(waiter.surprise.clone(), surprise(state, &event));
            find(state, config, &event, Some(&lineage), surprise)
        }
        Mode::Learn => Found::default(),
    };
    let followed = found.findings.into_iter().filter(|it| FOLLOWING.contains(&&*it.rule));
    let (all, findings) = with_news(&waiter.findings, followed.collect());
    let decided = Decision::of(state, &event, Found { findings, surprise: found.surprise });
    let revision = waiter.revision + u32::from(decided.is_sent());
    let mut changes = Changes::new();
    if all.is_empty() {
        changes.extend(completing_lessons(&waiter, it, &lineage));
    }
    let first = it.call.shared_id.as_ref().and_then(|id| state.first_copy(id));
    if let (Some(first), Some(shared_id)) = (first, it.call.shared_id.clone()) {
        let copy = FirstCopy { revision, findings: all.clone(), ..FirstCopy::clone(&first) };
        changes.push(Change::SawCopy { shared_id, copy });
    }
    let known = Found { findings: all, surprise: waiter.surprise.clone() };
    changes.extend(remember(state, &event, Some(&lineage), revision, &known));
    let Judged { alert, repeat, findings, changes, .. } =
        decided.into_judged(&event, Some(&lineage), revision.max(1), true, changes);
    let alert_id = waiter.call.call.alert_id();
    Some((Late { alert_id, alert, repeat, findings }, changes))
}

/// What a call teaches now that it did not teach when it was first judged: how deep its chain is,
/// and where the person was.
fn completing_lessons(waiter: &Waiter, it: &Assumption, lineage: &Lineage) -> Changes {
    if !it.call.granted() {
        return Changes::new();
    }
    let old = profile::of_role(&waiter.call, Some(&waiter.lineage));
    let mut values = profile::of_role(it, Some(lineage));
    values.retain(|value| value.0 != Dimension::SessionName && !old.contains(value));
    let mut changes = role_lesson(it, values);
    let old = profile::of_caller(&waiter.call);
    let mut values = profile::of_caller(it);
    values.retain(|value| value.0 != Dimension::SessionName && !old.contains(value));
    if let (Some(caller), false) = (it.call.principal.key(), values.is_empty()) {
        changes.push(Change::LearnCaller { caller, values, time: it.call.time });
    }
    changes
}
