//! One event against the state: the product in one function.

use crate::alert::Alert;
use crate::baseline::{Dimension, FoldKey, Folds, Repeat};
use crate::event::{Assumption, Event, Mfa, SignIn};
use crate::rules::{self, Case, Finding, Ground};
use crate::severity::Severity;
use crate::state::{Change, Changes, State, Subject};

/// How a decision is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Judge and learn.
    Watch,
    /// Learn only: what happened in this time counts as normal.
    Learn,
}

/// What became of one event.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The same record was judged before.
    Duplicate,
    /// It was judged.
    Judged {
        /// The alert that has to go out.
        alert: Option<Box<Alert>>,
        /// Whether an alert was found and counted as the repeat of one that is out.
        repeat: bool,
        /// What to remember once the alert is out.
        changes: Changes,
    },
}

/// Judges one event. Changes nothing: what is to be remembered is returned.
#[must_use]
pub fn judge(state: &State, event: &Event, mode: Mode) -> Verdict {
    let call = event.call();
    if state.has_seen(&call.key) {
        return Verdict::Duplicate;
    }
    let mut changes = vec![Change::Saw(call.key.clone())];
    let findings = match mode {
        Mode::Watch => rules::check(&case(state, event)),
        Mode::Learn => Vec::new(),
    };
    let subject = subject(event);
    let key = fold_key(event, &findings);
    let folds = folds(state, &subject);
    let findings = without_adopted(findings, folds, &key, event);
    if findings.iter().all(|finding| finding.severity == Severity::Low) {
        changes.extend(lessons(event));
    }
    let Some(severity) = findings.iter().map(|finding| finding.severity).max() else {
        return Verdict::Judged { alert: None, repeat: false, changes };
    };
    let first = Repeat::Send { repeats: 0, event_ids: Vec::new() };
    let repeat = folds.map_or(first, |folds| folds.judge(&key, severity, call.time));
    let event_id = call.event_id().cloned();
    let sent = repeat != Repeat::Count;
    changes.push(Change::Fold { subject, key, severity, time: call.time, event_id, sent });
    let alert = match repeat {
        Repeat::Send { repeats, event_ids } => {
            Alert::new(event, findings, repeats, event_ids).map(Box::new)
        }
        Repeat::Count => None,
    };
    Verdict::Judged { alert, repeat: !sent, changes }
}

fn case<'a>(state: &'a State, event: &'a Event) -> Case<'a> {
    let role = match event {
        Event::Assumption(it) => it.role().and_then(|role| state.role(role)),
        Event::TrustChange(_) | Event::SignIn(_) => None,
    };
    let caller = event.call().principal.key();
    Case { event, role, caller: caller.and_then(|key| state.caller(&key)) }
}

/// Whose folds an alert about this event is kept with: the role's, else the caller's.
fn subject(event: &Event) -> Subject {
    let role = match event {
        Event::Assumption(it) => it.role(),
        Event::TrustChange(_) | Event::SignIn(_) => None,
    };
    match role {
        Some(role) => Subject::Role(role.clone()),
        None => Subject::Caller(event.call().principal.key_or_unnamed()),
    }
}

fn folds<'a>(state: &'a State, subject: &Subject) -> Option<&'a Folds> {
    match subject {
        Subject::Role(role) => state.role(role).map(|it| &it.folds),
        Subject::Caller(caller) => state.caller(caller).map(|it| &it.folds),
    }
}

/// The kind of an alert: who, which rules, and the evidence in which a second attacker would
/// differ from the first.
fn fold_key(event: &Event, findings: &[Finding]) -> FoldKey {
    let call = event.call();
    let principal = call.principal.key_or_unnamed();
    let network = call.address.network();
    let mut rules: Vec<&str> = findings.iter().map(|finding| finding.rule).collect();
    rules.sort_unstable();
    let external_id = match event {
        Event::Assumption(it) => format!("{:?}", it.external_id),
        Event::TrustChange(_) | Event::SignIn(_) => String::new(),
    };
    let granted = if call.granted() { "granted" } else { "refused" };
    let fixed = [principal.as_str(), network.as_str(), &external_id, call.name, granted];
    FoldKey::of(fixed.into_iter().chain(rules))
}

/// Drops what has become normal: unusual, nothing worse beside it, and seen again on enough
/// days over a long enough time.
fn without_adopted(
    findings: Vec<Finding>,
    folds: Option<&Folds>,
    key: &FoldKey,
    event: &Event,
) -> Vec<Finding> {
    let habits_only = findings.iter().all(|finding| finding.ground == Ground::Habit);
    let adopted = folds.is_some_and(|folds| folds.is_normal_by(key, event.call().time));
    if habits_only && adopted { Vec::new() } else { findings }
}

/// What an event teaches when nothing is wrong with it. A refused call teaches nothing: whoever
/// is refused could otherwise write the baseline.
fn lessons(event: &Event) -> Changes {
    if !event.call().granted() {
        return Changes::new();
    }
    match event {
        Event::Assumption(it) => assumption_lessons(it),
        Event::SignIn(SignIn { call, .. })
        | Event::TrustChange(crate::event::TrustChange { call, .. }) => {
            caller_lesson(call).into_iter().collect()
        }
    }
}

fn assumption_lessons(it: &Assumption) -> Changes {
    let (call, principal) = (&it.call, &it.call.principal);
    let mut changes: Changes = caller_lesson(call).into_iter().collect();
    let Some(role) = it.role() else { return changes };
    let class = principal.class(it.role_account());
    let mut learn = |dimension: Dimension, value: &str| {
        let (role, value) = (role.clone(), value.to_owned());
        changes.push(Change::LearnRole { role, class, dimension, value, time: call.time });
    };
    if matches!(call.mfa, Mfa::Present | Mfa::Absent) {
        learn(Dimension::Mfa, call.mfa.as_str());
    }
    if let (Mfa::Absent, Some(key)) = (call.mfa, principal.key()) {
        learn(Dimension::WithoutMfa, key.as_str());
    }
    changes
}

fn caller_lesson(call: &crate::event::Call) -> Option<Change> {
    let caller = call.principal.key()?;
    let value = call.name.to_owned();
    Some(Change::LearnCaller { caller, dimension: Dimension::Call, value, time: call.time })
}

#[cfg(test)]
mod tests;
