//! One event against the state: the product in one function.

mod follow;

use std::sync::Arc;

use crate::alert::{Alert, Message, is_about_caller};
use crate::baseline::{Caller, Dimension, FoldKey, Folds, Label, Repeat, RoleBaseline, Value};
use crate::config::Config;
use crate::event::{
    Assumption, Event, ExternalIdUse, Principal, PrincipalKey, PrincipalKind, SignIn, SignInKind,
};
use crate::finding::{Finding, Ground, worst};
use crate::lineage::Lineage;
use crate::profile;
use crate::rules::{self, Case};
use crate::severity::Severity;
use crate::state::{Change, Changes, FirstCopy, Person, State, Subject};
use crate::surprise::{Surprise, is_person};
use crate::text::Text;

use follow::Traced;
pub use follow::{advance, trace_of};

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
    Judged(Judged),
}

/// A judged event.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Whether it is a further copy of a call that was judged before.
    pub joined: bool,
    /// The alert that has to go out.
    pub alert: Option<Box<Alert>>,
    /// Whether an alert was found and counted as the repeat of one that is out.
    pub repeat: bool,
    /// What to remember once the alert is out.
    pub changes: Changes,
    /// What has to go out, and what was counted, about earlier calls of which this record told
    /// what was missing.
    pub late: Late,
}

/// What a record completes beside its own call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Late {
    /// Further revisions of the alerts about earlier calls.
    pub alerts: Vec<Alert>,
    /// Alerts found and counted as repeats.
    pub repeats: u64,
}

/// Judges one event. Changes nothing: what is to be remembered is returned.
#[must_use]
pub fn judge(state: &State<'_>, config: &Config, event: &Event, mode: Mode) -> Verdict {
    let call = event.call();
    if state.has_seen(&call.key) {
        return Verdict::Duplicate;
    }
    let Traced { event, lineage } = follow::traced(state, with_known_name(state, event));
    let (event, lineage) = (&event, lineage.as_ref());
    let first = match event {
        Event::Assumption(_) => call.shared_id.as_ref().and_then(|id| state.first_copy(id)),
        Event::TrustChange(_) | Event::SignIn(_) => None,
    };
    let found = match mode {
        Mode::Watch => find(state, config, event, lineage),
        Mode::Learn => Found::default(),
    };
    let mut judged = match first {
        None => fresh(state, event, lineage, found),
        Some(first) => copy(state, event, lineage, found, &first),
    };
    judged.joined |= is_console_switch(event);
    judged.changes.push(Change::Saw(call.key.clone()));
    judged.changes.push(Change::Reached(call.time));
    judged.changes.extend(follow::told(event));
    judged.changes.extend(refusal(event));
    judged.changes.extend(name(state, event));
    Verdict::Judged(judged)
}

/// Whether a record is of a switch of role in the console: there are records of the assumption
/// itself, and they are the ones that are counted.
fn is_console_switch(event: &Event) -> bool {
    let Event::SignIn(it) = event else { return false };
    matches!(it.kind, SignInKind::SwitchRole { .. }) && it.call.granted()
}

/// A call of which this is the first copy, or the only one.
fn fresh(state: &State<'_>, event: &Event, lineage: Option<&Lineage>, found: Found) -> Judged {
    let decided = Decision::of(state, event, found);
    let mut changes = Changes::new();
    if decided.teaches {
        changes.extend(lessons(event, lineage));
    }
    let revision = u32::from(decided.is_sent());
    changes.extend(follow::remember(state, event, lineage, revision, &decided.found.findings));
    if let (Event::Assumption(it), Some(shared_id)) = (event, &event.call().shared_id) {
        changes.push(Change::SawCopy {
            shared_id: shared_id.clone(),
            copy: FirstCopy {
                complete: it.call.principal.kind != PrincipalKind::AwsAccount,
                revision,
                findings: decided.found.findings.clone(),
            },
        });
    }
    decided.into_judged(event, lineage, 1, false, changes)
}

/// A further copy of a call. One that names the caller in full completes one that did not: what
/// only it can show is learned, and what only now becomes true goes out as the next revision.
fn copy(
    state: &State<'_>,
    event: &Event,
    lineage: Option<&Lineage>,
    found: Found,
    first: &FirstCopy,
) -> Judged {
    let nothing = Judged::silent(true, Changes::new());
    let (Event::Assumption(it), Some(shared_id)) = (event, &event.call().shared_id) else {
        return nothing;
    };
    if first.complete || it.call.principal.kind == PrincipalKind::AwsAccount {
        return nothing;
    }
    let (all, findings) = with_news(&first.findings, found.findings);
    let decided = Decision::of(state, event, Found { findings, surprise: found.surprise });
    let mut changes = Changes::new();
    if worst(&all).is_none_or(|severity| severity < Severity::Medium) {
        changes.extend(completing_lessons(it, lineage));
    }
    let revision = first.revision + u32::from(decided.is_sent());
    changes.extend(follow::remember(state, event, lineage, revision, &all));
    changes.push(Change::SawCopy {
        shared_id: shared_id.clone(),
        copy: FirstCopy { complete: true, revision, findings: all },
    });
    decided.into_judged(event, lineage, revision.max(1), true, changes)
}

/// All findings on a call of which `old` were found before; and what has to be judged again: all
/// of them if there is news, else nothing.
fn with_news(old: &[Finding], found: Vec<Finding>) -> (Vec<Finding>, Vec<Finding>) {
    let mut all = old.to_vec();
    let is_news = |new: &Finding| old.iter().all(|old| old.rule != new.rule);
    all.extend(found.into_iter().filter(is_news));
    rules::sort(&mut all);
    let again = if all.len() > old.len() { all.clone() } else { Vec::new() };
    (all, again)
}

impl Judged {
    /// Nothing has to go out.
    fn silent(joined: bool, changes: Changes) -> Self {
        Self { joined, alert: None, repeat: false, changes, late: Late::default() }
    }
}

/// What is done about the findings on one call.
struct Decision {
    found: Found,
    /// Subject, kind, severity and what to do; absent without findings.
    fold: Option<(Subject, FoldKey, Severity, Repeat)>,
    teaches: bool,
}

impl Decision {
    fn of(state: &State<'_>, event: &Event, found: Found) -> Self {
        let time = event.call().time;
        let Some(severity) = worst(&found.findings) else {
            return Self { found, fold: None, teaches: true };
        };
        let subject = subject(event, &found.findings);
        let key = fold_key(event, &found.findings);
        let fold_state = FoldState::of(state, &subject);
        let adoptable = found.findings.iter().all(|it| it.ground == Ground::Habit);
        let first = Repeat::Send { repeats: 0, event_ids: Vec::new() };
        let repeat =
            fold_state.folds().map_or(first, |folds| folds.judge(&key, severity, time, adoptable));
        let normal = matches!(repeat, Repeat::Adopt { .. } | Repeat::Normal);
        let teaches = normal || severity < Severity::Medium;
        Self { found, fold: Some((subject, key, severity, repeat)), teaches }
    }

    fn is_sent(&self) -> bool {
        matches!(self.fold, Some((.., Repeat::Send { .. } | Repeat::Adopt { .. })))
    }

    fn into_judged(
        self,
        event: &Event,
        lineage: Option<&Lineage>,
        revision: u32,
        joined: bool,
        mut changes: Changes,
    ) -> Judged {
        let Some((subject, key, severity, repeat)) = self.fold else {
            return Judged::silent(joined, changes);
        };
        let call = event.call();
        let message = match repeat.clone() {
            Repeat::Send { repeats, event_ids } => {
                Some(Message { revision, repeats, event_ids, becomes_normal: false })
            }
            Repeat::Adopt { repeats, event_ids } => {
                Some(Message { revision, repeats, event_ids, becomes_normal: true })
            }
            Repeat::Count | Repeat::Normal => None,
        };
        let is_repeat = repeat == Repeat::Count;
        let event_id = call.event_id().cloned();
        changes.push(Change::Fold { subject, key, severity, time: call.time, event_id, repeat });
        let alert = message.and_then(|message| {
            Alert::new(event, self.found.findings, self.found.surprise, message)
        });
        let alert = alert.map(|alert| Box::new(alert.with_chain(lineage)));
        Judged { joined, alert, repeat: is_repeat, changes, late: Late::default() }
    }
}

/// Where the folds of a subject are kept.
enum FoldState {
    Role(Option<Arc<RoleBaseline>>),
    Caller(Option<Arc<Caller>>),
}

impl FoldState {
    fn of(state: &State<'_>, subject: &Subject) -> Self {
        match subject {
            Subject::Role(role) => Self::Role(state.role(role)),
            Subject::Caller(caller) => Self::Caller(state.caller(caller)),
        }
    }

    fn folds(&self) -> Option<&Folds> {
        match self {
            Self::Role(role) => role.as_ref().map(|it| &it.folds),
            Self::Caller(caller) => caller.as_ref().map(|it| &it.folds),
        }
    }
}

/// What is wrong with a call.
#[derive(Debug, Clone, Default)]
struct Found {
    findings: Vec<Finding>,
    /// How unlike the role's baseline the call is, in bits; absent where none was used.
    surprise: Option<f64>,
}

/// Everything that is wrong with an event: what the rules find, less what is exempt, raised to
/// the floor declared for the role.
fn find(state: &State<'_>, config: &Config, event: &Event, lineage: Option<&Lineage>) -> Found {
    let call = event.call();
    let assumption = match event {
        Event::Assumption(it) => Some(it),
        Event::TrustChange(_) | Event::SignIn(_) => None,
    };
    let arn = assumption.and_then(Assumption::role);
    let role = arn
        .and_then(|role| state.role(role))
        .filter(|role| !role.is_of_another(assumption.and_then(Assumption::role_id)));
    let caller = call.principal.key().and_then(|key| state.caller(&key));
    let surprise = assumption.and_then(|it| Surprise::of(it, role.as_deref(), caller.as_deref()));
    let expected = arn.map(|role| config.expected(role)).unwrap_or_default();
    let namesake = assumption.and_then(|it| namesake(state, it));
    let mut findings = rules::check(&Case {
        event,
        role: role.as_deref(),
        caller: caller.as_deref(),
        surprise: surprise.as_ref(),
        expected: &expected,
        tuning: config.tuning(),
        knows_account: call.principal.account.is_some_and(|it| state.knows_account(it)),
        namesake: namesake.as_ref(),
        lineage,
        is_context: false,
    });
    findings.retain(|it| config.exempt(&it.rule, arn, &call.principal, call.time).is_none());
    if let (Some(floor), true) = (expected.severity, call.granted()) {
        findings.iter_mut().for_each(|finding| finding.severity = finding.severity.max(floor));
    }
    Found { findings, surprise: surprise.map(|surprise| surprise.total()) }
}

/// Another person whose name the session bears. A role session that hands its own name on is
/// whoever it was before.
fn namesake(state: &State<'_>, it: &Assumption) -> Option<PrincipalKey> {
    let principal = &it.call.principal;
    let own = principal.key()?;
    let name =
        it.session.name.as_ref().filter(|name| principal.session_name.as_ref() != Some(name))?;
    match state.person(&name.as_str().to_lowercase())? {
        Person::One(owner) if owner != own => Some(owner),
        Person::One(_) | Person::Many => None,
    }
}

/// The event with the caller's ARN and name, where this record does not tell them and an
/// earlier one did.
fn with_known_name(state: &State<'_>, event: &Event) -> Event {
    let principal = &event.call().principal;
    if principal.kind != PrincipalKind::AwsAccount || principal.arn.is_some() {
        return event.clone();
    }
    let caller = principal.key().and_then(|key| state.caller(&key));
    let Some(label) = caller.as_ref().and_then(|caller| caller.label()) else {
        return event.clone();
    };
    let mut event = event.clone();
    if let Event::Assumption(it) = &mut event {
        it.call.principal.name.clone_from(&label.name);
        it.call.principal.arn.clone_from(&label.arn);
    }
    event
}

/// Whose folds an alert about this event is kept with: the role's, else the caller's. Trying
/// many roles is about the caller, whichever role was the last.
fn subject(event: &Event, findings: &[Finding]) -> Subject {
    match event {
        Event::Assumption(it) => match it.role() {
            Some(role) if !is_about_caller(event, findings) => Subject::Role(role.clone()),
            _ => Subject::Caller(it.call.principal.key_or_unnamed()),
        },
        Event::TrustChange(_) | Event::SignIn(_) => {
            Subject::Caller(event.call().principal.key_or_unnamed())
        }
    }
}

/// The kind of an alert: who, which rules, and the evidence in which a second attacker would
/// differ from the first.
fn fold_key(event: &Event, findings: &[Finding]) -> FoldKey {
    let call = event.call();
    let principal = call.principal.key_or_unnamed();
    let network = call.address.network();
    // What is told beside an urgent finding does not make another kind of it.
    let floor = worst(findings).map_or(Severity::Low, |worst| worst.min(Severity::Medium));
    let telling = findings.iter().filter(|finding| finding.severity >= floor);
    let mut rules: Vec<&str> = telling.map(|finding| &*finding.rule).collect();
    rules.sort_unstable();
    let external_id = match event {
        Event::Assumption(it) => match it.external_id {
            ExternalIdUse::Given(id) => id.to_hex(),
            ExternalIdUse::Absent => "none".to_owned(),
            ExternalIdUse::Unknown => String::new(),
        },
        Event::TrustChange(_) | Event::SignIn(_) => String::new(),
    };
    let granted = if call.granted() { "granted" } else { "refused" };
    let fixed = [principal.as_str(), network.as_str(), &external_id, call.name, granted];
    FoldKey::of(fixed.into_iter().chain(rules))
}

/// What an event teaches when nothing is wrong with it. A refused call teaches nothing: whoever
/// is refused could otherwise write the baseline.
fn lessons(event: &Event, lineage: Option<&Lineage>) -> Changes {
    let call = event.call();
    if !call.granted() {
        return Changes::new();
    }
    let key = call.principal.key();
    match event {
        Event::Assumption(it) => {
            let mut changes = role_lesson(it, profile::of_role(it, lineage));
            let values = profile::of_caller(it);
            changes.extend(key.map(|caller| Change::LearnCaller {
                caller,
                values,
                time: call.time,
            }));
            let accounts = [call.principal.account, call.account];
            changes.extend(accounts.into_iter().flatten().map(Change::KnowAccount));
            changes.extend(people(it));
            changes
        }
        Event::SignIn(_) | Event::TrustChange(_) => {
            let Some(caller) = key else { return Changes::new() };
            let mut changes = Changes::new();
            if let Event::SignIn(SignIn { kind: SignInKind::SessionToken, .. }) = event {
                let (caller, network) = (caller.clone(), call.address.network());
                changes.push(Change::SignedIn { caller, time: call.time, network });
            }
            let values = vec![(Dimension::Call, call.name.to_owned())];
            changes.push(Change::LearnCaller { caller, values, time: call.time });
            changes
        }
    }
}

/// What the fuller copy of a call teaches beside what the poorer copy did.
fn completing_lessons(it: &Assumption, lineage: Option<&Lineage>) -> Changes {
    let mut values = profile::of_role(it, lineage);
    // Of a user's call the poorer copy told the depth too.
    let is_session = it.call.principal.kind == PrincipalKind::Role;
    values.retain(|(dimension, _)| match dimension {
        Dimension::Mfa | Dimension::WithoutMfa | Dimension::Issuer => true,
        Dimension::Depth => is_session,
        _ => false,
    });
    if it.call.granted() { role_lesson(it, values) } else { Changes::new() }
}

fn role_lesson(it: &Assumption, values: Vec<Value>) -> Changes {
    let Some(role) = it.role().cloned() else { return Changes::new() };
    let class = it.call.principal.class(it.role_account());
    let id = it.role_id().cloned();
    vec![Change::LearnRole { role, id, class, values, time: it.call.time }]
}

/// The names that a person goes by: their own, and the address that they name sessions after.
fn people(it: &Assumption) -> impl Iterator<Item = Change> {
    let principal = &it.call.principal;
    let address = it.session.name.as_ref().filter(|name| name.as_str().contains('@'));
    let names = [principal.name.as_ref(), address].into_iter().flatten().filter(|_| is_person(it));
    let caller = principal.key();
    names.filter_map(move |name| {
        Some(Change::KnowPerson {
            name: name.as_str().to_lowercase().into(),
            caller: caller.clone()?,
        })
    })
}

/// A refusal is remembered with the caller: trying many roles is told by it.
fn refusal(event: &Event) -> Option<Change> {
    let Event::Assumption(it) = event else { return None };
    if it.call.granted() {
        return None;
    }
    let (caller, role) = (it.call.principal.key()?, it.role()?.clone());
    Some(Change::Refused { caller, role, time: it.call.time })
}

/// What the record tells of the caller's name, if that is news.
fn name(state: &State<'_>, event: &Event) -> Option<Change> {
    let call = event.call();
    let principal: &Principal = &call.principal;
    let tells = matches!(principal.kind, PrincipalKind::IamUser | PrincipalKind::Role)
        && principal.id.is_some();
    let caller = principal.key().filter(|_| tells)?;
    let arn = match &principal.issuer {
        Some(issuer) => Some(Text::clip(issuer.as_str())),
        None => principal.arn.clone(),
    };
    let label = Label { time: call.time, arn, name: principal.name.clone() };
    let known = state.caller(&caller);
    let known = known.as_ref().and_then(|caller| caller.label());
    if known.is_some_and(|known| (&known.arn, &known.name) == (&label.arn, &label.name)) {
        return None;
    }
    Some(Change::Name { caller, label })
}

#[cfg(test)]
mod tests;
