//! Following sessions: what a call was made with, what is remembered of it, and what a late
//! record completes.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::around::{self, Around, surprise};
use super::completed::with;
use super::teach::role_lesson;
use super::{Decision, Found, Judged, Late, Mode, News, Verdict, completed, find, judge};
use crate::baseline::Dimension;
use crate::config::Config;
use crate::event::{Assumption, Event, SignInKind};
use crate::finding::Finding;
use crate::lineage::{
    self, CROWD, CallId, CredentialKey, Lineage, Place, Session, Sessions, Trace,
};
use crate::profile;
use crate::rules::FOLLOWING;
use crate::state::{Change, Changes, FirstCopy, SharedCall, State, Waiter};
use crate::surprise::{SignKind, Surprise};

/// Times that one record completes a call at most: several times all that can wait. Only a forged
/// log comes near.
const MOST_COMPLETED: usize = 100_000;

/// An event, and what the other records tell of it.
pub(super) struct Followed<'e> {
    /// As its own record tells it.
    pub(super) own: &'e Event,
    /// As it is judged: with what is known of MFA at the origin, and from where the person was
    /// for whom the console made it.
    pub(super) event: Cow<'e, Event>,
    /// Where it comes from, for a call for a role.
    pub(super) lineage: Option<Arc<Lineage>>,
}

impl<'e> Followed<'e> {
    pub(super) fn of(state: &State<'_>, own: &'e Event) -> Self {
        let event = Cow::Borrowed(own);
        let Event::Assumption(it) = own else { return Self { own, event, lineage: None } };
        let Some(Trace { lineage, place }) = lineage::trace(state, it) else {
            return Self { own, event, lineage: None };
        };
        let lineage = Arc::new(lineage);
        if lineage.mfa == it.call.mfa && place.is_none() {
            return Self { own, event, lineage: Some(lineage) };
        }
        let event = with(event, |it| {
            it.call.mfa = lineage.mfa;
            if let Some(place) = place {
                it.call.address = place.address.clone();
                it.call.user_agent = place.user_agent.clone();
                it.call.is_placed = true;
            }
        });
        Self { own, event, lineage: Some(lineage) }
    }

    pub(super) fn lineage(&self) -> Option<&Lineage> {
        self.lineage.as_deref()
    }
}

/// Where a call comes from, as far as the state tells. `None` for what is no call for a role.
#[must_use]
pub fn trace_of(state: &State<'_>, event: &Event) -> Option<Lineage> {
    Followed::of(state, &completed(state, event)).lineage.map(Arc::unwrap_or_clone)
}

/// What a record tells of a person's place.
pub(super) fn told(event: &Event) -> Option<Change> {
    let Event::SignIn(it) = event else { return None };
    let keys = lineage::told_by(it);
    let call = &it.call;
    let of = match &it.kind {
        SignInKind::SwitchRole { from } => from.clone(),
        _ => None,
    };
    let (address, user_agent) = (call.address.clone(), call.user_agent.clone());
    let place = Place { keys, time: call.time, address, user_agent, of };
    (!place.keys.is_empty()).then(|| Change::Told(CallId::of_sign_in(it), Arc::new(place)))
}

/// What is known of a call beside its records.
pub(super) struct Known<'a> {
    /// The last revision of the alert that was sent for it; 0 for none.
    pub(super) revision: u32,
    /// What was found.
    pub(super) findings: &'a [Finding],
    /// What was new about it when it was first judged.
    pub(super) surprise: Option<&'a Surprise>,
    /// How it was judged.
    pub(super) mode: Mode,
}

/// The session that a call opened, and the call itself if something of its chain is missing.
pub(super) fn remember(
    state: &State<'_>,
    followed: &Followed<'_>,
    known: Known<'_>,
    changes: &mut Changes,
) {
    let (Event::Assumption(it), Some(lineage)) = (followed.own, &followed.lineage) else {
        return;
    };
    let id = CallId::of_assumption(it);
    if let Some(session) = Session::issued(it, lineage) {
        let before = state.session(&id);
        let session = match &before {
            Some(before) => before.renewed_by(&session),
            None => session,
        };
        if before.is_none_or(|before| *before != session) {
            changes.push(Change::Issued(id, Arc::new(session)));
        }
    }
    let Known { revision, findings, surprise, mode } = known;
    let keys: Vec<CredentialKey> = match surprise {
        _ if !it.call.granted() => Vec::new(),
        _ if !lineage.settled => lineage::awaited(it),
        Some(surprise) if surprise.is_doubtful(it) => lineage::next_use(it).into_iter().collect(),
        _ => Vec::new(),
    };
    if !keys.is_empty() {
        let (findings, surprise) = (findings.to_vec(), surprise.cloned());
        let learned = mode == Mode::Learn;
        let (call, lineage) = (it.clone(), Arc::clone(lineage));
        let waiter = Waiter { call, keys, lineage, revision, findings, surprise, learned };
        changes.push(Change::Waits(id, Arc::new(waiter)));
    } else if state.waiter(&id).is_some() {
        changes.push(Change::Answered(id));
    }
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
    waiting.extend(doubtful_before(state, event));
    let mut completed = 0;
    while let Some((_, id)) = waiting.pop_first()
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
/// before, the earliest first.
fn woken_by(state: &mut State<'_>, changes: &Changes) -> BTreeSet<(Timestamp, CallId)> {
    // Mostly those of one session.
    let mut keys: Vec<CredentialKey> = Vec::with_capacity(4);
    for change in changes {
        match change {
            Change::Issued(id, session) => {
                if let Some(before) = state.session(id) {
                    keys.extend(&before.keys);
                }
                keys.extend(&session.keys);
                // In a crowd nobody's place is known, and one more changes nothing.
                let crowded = |key: &CredentialKey| state.count_under(key) > CROWD + 1;
                if let Some(crowd) = session.set.filter(crowded) {
                    keys.retain(|key| *key != crowd);
                }
            }
            Change::Told(_, place) => keys.extend(&place.keys),
            _ => {}
        }
    }
    state.apply(changes);
    let waiting = keys.iter().flat_map(|key| state.waiting_under(key));
    let is_own =
        |id: &CallId| changes.iter().any(|it| matches!(it, Change::Issued(own, _) if own == id));
    let others = waiting.filter(|id| !is_own(id));
    others.filter_map(|id| Some((state.waiter(&id)?.call.call.time, id))).collect()
}

/// The calls from new places that were made with the same key as this one.
fn doubtful_before(state: &State<'_>, event: &Event) -> Vec<(Timestamp, CallId)> {
    let Event::Assumption(it) = event else { return Vec::new() };
    let Some(key) = lineage::next_use(it) else { return Vec::new() };
    let mut waiting: Vec<CallId> = state.waiting_under(&key).collect();
    // Mostly none does, and the digest of an id takes longer than to see that.
    if !waiting.is_empty() {
        let own = CallId::of_assumption(it);
        waiting.retain(|id| *id != own);
    }
    let time = |id: CallId| Some((state.waiter(&id)?.call.call.time, id));
    waiting.into_iter().filter_map(time).collect()
}

/// Judges a call again of which more is known now: what only now becomes true goes out as the
/// next revision, and so does another origin than was told. `None` where nothing has changed.
fn complete(
    state: &State<'_>,
    config: &Config,
    id: CallId,
    mode: &dyn Fn(Timestamp) -> Mode,
) -> Option<(Late, Changes)> {
    let waiter = state.waiter(&id)?;
    let own = Event::Assumption(Arc::clone(&waiter.call));
    let followed = Followed::of(state, &own);
    let (event, lineage) = (&*followed.event, followed.lineage()?);
    let Event::Assumption(it) = event else { return None };
    let without = config.tuning().without;
    let around = Around::of(state, event, Some(lineage));
    let back = waiter.surprise.as_ref().zip(around.caller.as_deref());
    let once_back = back.and_then(|(surprise, caller)| surprise.once_back(it, caller, without));
    if *lineage == *waiter.lineage && once_back.is_none() {
        return None;
    }
    let is_back = once_back.is_some();
    let first = once_back.or_else(|| waiter.surprise.clone());
    let mode = if waiter.learned { Mode::Learn } else { mode(it.call.time) };
    let found = match mode {
        Mode::Watch => {
            let now = surprise(state, event, &around, Some(lineage), without);
            let surprise = Surprise::with(first.clone(), now);
            find(state, config, event, &around, Some(lineage), surprise)
        }
        Mode::Learn => Found::default(),
    };
    let follows = |it: &&Finding| FOLLOWING.contains(&&*it.rule) || is_of_purpose(it, &found);
    let followed_up = found.findings.iter().filter(follows);
    let News { all, is_news } = News::of(&waiter.findings, followed_up.cloned().collect());
    let again = Found { findings: all.clone(), ..found };
    let told_otherwise = waiter.revision > 0 && waiter.lineage.tells_otherwise(lineage);
    let decided = match (is_news, told_otherwise) {
        (true, _) => Decision::of(state, event, again),
        (false, true) => Decision::again(state, event, again),
        (false, false) => Decision::nothing(again),
    };
    let revision = waiter.revision + u32::from(decided.is_sent());
    let mut changes = Changes::new();
    // Of a call that is judged by its fuller copy that one teaches.
    if all.is_empty() && !is_back && !around::is_half_told(state, it) {
        changes.extend(completing_lessons(state, &waiter, it, lineage));
    }
    changes.extend(known_copy(state, it, revision, &all));
    let (findings, surprise) = (all.as_slice(), first.as_ref());
    remember(state, &followed, Known { revision, findings, surprise, mode }, &mut changes);
    let Judged { alert, repeat, findings, changes, .. } =
        decided.into_judged(event, Some(lineage), revision.max(1), true, changes);
    let alert_id = it.call.alert_id();
    Some((Late { alert_id, alert, repeat, findings, lineage: lineage.clone() }, changes))
}

/// Whether a finding is about the token at the origin, which was not known before.
fn is_of_purpose(it: &Finding, found: &Found) -> bool {
    let sign = found.surprise.as_ref().and_then(|it| it.sign(SignKind::OtherPurpose));
    it.rule == "unexpected_principal" && sign.is_some()
}

/// What is kept of the copies of a call, if another one may come.
fn known_copy(
    state: &State<'_>,
    it: &Assumption,
    revision: u32,
    findings: &[Finding],
) -> Option<Change> {
    let shared_id = it.call.shared_id.clone()?;
    let first = state.first_copy(&shared_id)?;
    let this = SharedCall::of(it);
    if first.call != this && !first.call.is_shared_with(&this) {
        return None;
    }
    let findings = first.beside(findings);
    let copy = Arc::new(FirstCopy { revision, findings, ..FirstCopy::clone(&first) });
    Some(Change::SawCopy { shared_id, copy })
}

/// What a call teaches now that it did not teach when it was first judged: how deep its chain is,
/// and where the person was.
fn completing_lessons(
    state: &State<'_>,
    waiter: &Waiter,
    it: &Assumption,
    lineage: &Lineage,
) -> Changes {
    if !it.call.granted() {
        return Changes::new();
    }
    let mut old = profile::of_role(&waiter.call, Some(&waiter.lineage));
    let before = around::behind(state, &waiter.call, Some(&waiter.lineage));
    profile::add_descent(&waiter.call, Some(&waiter.lineage), &before, &mut old);
    let behind = around::behind(state, it, Some(lineage));
    let mut values = profile::of_role(it, Some(lineage));
    profile::add_descent(it, Some(lineage), &behind, &mut values);
    values.retain(|value| value.0 != Dimension::SessionName && !old.contains(value));
    let mut changes: Changes = role_lesson(it, values).into_iter().collect();
    let origin = behind.actor.filter(|actor| Some(actor) != it.call.principal.key());
    if let (Some(caller), Some(role), None) = (origin, it.role(), &waiter.lineage.origin) {
        let values = vec![(Dimension::Role, role.to_text().into())];
        changes.push(Change::LearnCaller { caller, values, time: it.call.time });
    }
    let old = profile::of_caller(&waiter.call);
    let mut values = profile::of_caller(it);
    values.retain(|value| value.0 != Dimension::SessionName && !old.contains(value));
    if let (Some(caller), false) = (it.call.principal.key(), values.is_empty()) {
        let caller = caller.clone();
        changes.push(Change::LearnCaller { caller, values, time: it.call.time });
    }
    changes
}
