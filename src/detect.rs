//! One event against the state: the product in one function.

mod around;
mod completed;
mod decide;
mod fold;
mod follow;
mod teach;
mod trusting;

use std::borrow::Cow;
use std::sync::Arc;

use crate::alert::Alert;
use crate::baseline::Dimension;
use crate::config::{Config, Without};
use crate::event::{Assumption, Event, PrincipalKind, SignInKind};
use crate::finding::Finding;
use crate::lineage::Lineage;
use crate::rules::{self, Case};
use crate::severity::Severity;
use crate::state::{Change, Changes, FirstCopy, SharedCall, State};
use crate::surprise::{Surprise, is_person};
use crate::text::Text;

use around::{Around, surprise};
use completed::with;
use decide::Decision;
use follow::{Followed, Known};
pub use follow::{advance, trace_of};
use teach::{completing_lessons, lessons, name, refusal};
pub use trusting::imported;

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

impl Verdict {
    /// Keeps of an event that raises no alert what is counted, once its changes are applied. The
    /// next event finds the memory that the rest lay in at hand; kept for all of a batch they
    /// would push each other out of the processor's.
    pub(crate) fn shrink(&mut self) {
        if let Self::Judged(judged) = self
            && judged.alerts().next().is_none()
        {
            judged.changes = Changes::new();
            judged.findings = Vec::new();
            judged.surprise = None;
        }
    }
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
    /// What was found, whether it goes out or is counted.
    pub findings: Vec<Finding>,
    /// How unlike its role's baseline the call is; absent where none was used.
    pub surprise: Option<Surprise>,
    /// What to remember once the alert is out.
    pub changes: Changes,
    /// Earlier calls of which this record told what was missing.
    pub late: Vec<Late>,
}

/// What a record completes beside its own call.
#[derive(Debug, Clone, PartialEq)]
pub struct Late {
    /// The id of the alerts about that call.
    pub alert_id: String,
    /// A further revision of its alert.
    pub alert: Option<Box<Alert>>,
    /// Whether an alert was found and counted as the repeat of one that is out.
    pub repeat: bool,
    /// What was found, whether it goes out or is counted.
    pub findings: Vec<Finding>,
    /// Where the call came from, as is known now.
    pub lineage: Lineage,
}

/// Judges one event. Changes nothing: what is to be remembered is returned.
#[must_use]
pub fn judge(state: &State<'_>, config: &Config, event: &Event, mode: Mode) -> Verdict {
    let call = event.call();
    if state.has_seen(&call.key) {
        return Verdict::Duplicate;
    }
    let own = completed(state, event);
    let followed = Followed::of(state, &own);
    let event = &*followed.event;
    let first = match event {
        Event::Assumption(it) => first_copy(state, it),
        Event::TrustChange(_) | Event::SignIn(_) => None,
    };
    let around = Around::of(state, event, followed.lineage());
    let found = match mode {
        Mode::Watch => {
            // What the first copy taught is not news to ask about again.
            let surprise = match &first {
                Some(first) if !was_half_told(state, event, first) => first.surprise.clone(),
                _ => surprise(state, event, &around, followed.lineage(), config.tuning().without),
            };
            find(state, config, event, &around, followed.lineage(), surprise)
        }
        Mode::Learn => Found::default(),
    };
    let mut judged = match first {
        None => fresh(state, &followed, &around, found, mode),
        Some(first) => copy(state, &followed, &around, found, mode, &first),
    };
    judged.joined |= is_console_switch(event);
    let Judged { changes, findings, .. } = &mut judged;
    changes.push(Change::Saw(call.key.clone()));
    changes.push(Change::Reached(call.time));
    changes.extend(follow::told(event));
    trusting::changes(state, config, event, &around, findings, changes);
    changes.extend(refusal(event));
    changes.extend(name(event, &around));
    Verdict::Judged(judged)
}

/// The copy of the same call that came first, if another account's did.
fn first_copy(state: &State<'_>, it: &Assumption) -> Option<Arc<FirstCopy>> {
    let first = state.first_copy(it.call.shared_id.as_ref()?)?;
    first.call.is_shared_with(&SharedCall::of(it)).then_some(first)
}

/// Whether a record is of a switch of role in the console: there are records of the assumption
/// itself, and they are the ones that are counted.
fn is_console_switch(event: &Event) -> bool {
    let Event::SignIn(it) = event else { return false };
    matches!(it.kind, SignInKind::SwitchRole { .. }) && it.call.granted()
}

/// A call of which this is the first copy, or the only one.
fn fresh(
    state: &State<'_>,
    followed: &Followed<'_>,
    around: &Around,
    found: Found,
    mode: Mode,
) -> Judged {
    let (event, lineage) = (&*followed.event, followed.lineage());
    let decided = Decision::of(state, event, found);
    // Most calls change about so much.
    let mut changes = Changes::with_capacity(8);
    if decided.teaches {
        lessons(state, event, around, lineage, &mut changes);
    }
    let revision = u32::from(decided.is_sent());
    let Found { findings, surprise, .. } = &decided.found;
    let known = Known { revision, findings, surprise: surprise.as_ref(), mode };
    follow::remember(state, followed, known, &mut changes);
    if let (Event::Assumption(it), Some(shared_id)) = (event, &event.call().shared_id)
        && state.first_copy(shared_id).is_none()
    {
        let complete = it.call.principal.kind != PrincipalKind::AwsAccount;
        changes.push(Change::SawCopy {
            shared_id: shared_id.clone(),
            copy: Arc::new(FirstCopy {
                call: SharedCall::of(it),
                // Of a complete copy nobody will ask again.
                surprise: decided.found.surprise.clone().filter(|_| !complete),
                complete,
                revision,
                findings: decided.found.findings.clone(),
                crossed: false,
            }),
        });
    }
    let mut judged = decided.into_judged(event, lineage, 1, false, changes);
    if let (Some(alert), Some(arn)) = (&mut judged.alert, &around.arn) {
        alert.name_role(arn);
    }
    judged
}

/// A further copy of a call. One that names the caller in full completes one that did not: what
/// only it can show is learned, and what only now becomes true goes out as the next revision.
fn copy(
    state: &State<'_>,
    followed: &Followed<'_>,
    around: &Around,
    found: Found,
    mode: Mode,
    first: &FirstCopy,
) -> Judged {
    let (event, lineage) = (&*followed.event, followed.lineage());
    let nothing = Judged::silent(true, Changes::new());
    let (Event::Assumption(it), Some(shared_id)) = (event, &event.call().shared_id) else {
        return nothing;
    };
    if first.complete || it.call.principal.kind == PrincipalKind::AwsAccount {
        return nothing;
    }
    let News { all, is_news } = News::of(&first.findings, found.findings);
    let again = Found { findings: all.clone(), ..found };
    let decided = match is_news {
        // What was sent of this copy says that it is the first revision, as the other one does.
        true if first.crossed && first.revision > 0 => Decision::again(state, event, again),
        true => Decision::of(state, event, again),
        false => Decision::nothing(again),
    };
    let mut changes = Changes::new();
    if all.is_empty() || decided.teaches {
        match was_half_told(state, event, first) {
            true => lessons(state, event, around, lineage, &mut changes),
            false => changes.extend(completing_lessons(state, it, lineage)),
        }
    }
    let revision = first.revision + u32::from(decided.is_sent());
    let (findings, surprise) = (all.as_slice(), decided.found.surprise.as_ref());
    let known = Known { revision, findings, surprise, mode };
    follow::remember(state, followed, known, &mut changes);
    changes.push(Change::SawCopy {
        shared_id: shared_id.clone(),
        copy: Arc::new(FirstCopy {
            call: first.call.clone(),
            surprise: None,
            complete: true,
            revision,
            findings: all,
            crossed: false,
        }),
    });
    decided.into_judged(event, lineage, revision.max(1), true, changes)
}

/// All findings on a call of which some were found before.
struct News {
    /// In the words of what is known now.
    all: Vec<Finding>,
    /// Whether something is new, or worse than it was.
    is_news: bool,
}

impl News {
    fn of(old: &[Finding], found: Vec<Finding>) -> Self {
        let known = |new: &Finding| old.iter().find(|old| old.rule == new.rule);
        let is_news =
            found.iter().any(|new| known(new).is_none_or(|old| old.severity < new.severity));
        let is_milder = |new: &Finding| known(new).is_some_and(|old| old.severity > new.severity);
        let mut all = found;
        all.retain(|new| !is_milder(new));
        let replaced: Vec<_> = all.iter().map(|it| it.rule.clone()).collect();
        all.extend(old.iter().filter(|old| !replaced.contains(&old.rule)).cloned());
        rules::sort(&mut all);
        Self { all, is_news }
    }
}

impl Judged {
    /// Nothing has to go out.
    fn silent(joined: bool, changes: Changes) -> Self {
        Self {
            joined,
            alert: None,
            repeat: false,
            findings: Vec::new(),
            surprise: None,
            changes,
            late: Vec::new(),
        }
    }

    /// Everything that has to go out, in order.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        let late = self.late.iter().filter_map(|it| it.alert.as_deref());
        self.alert.as_deref().into_iter().chain(late)
    }

    /// How many alerts were found and counted as repeats.
    #[must_use]
    pub fn repeats(&self) -> u64 {
        let late = self.late.iter().map(|it| u64::from(it.repeat));
        u64::from(self.repeat) + late.sum::<u64>()
    }
}

/// What is wrong with a call.
#[derive(Debug, Clone, Default)]
struct Found {
    findings: Vec<Finding>,
    /// How unlike the role's baseline the call is; absent where none was used.
    surprise: Option<Surprise>,
    /// The severity that is declared for the role: nothing about it is told as less.
    floor: Option<Severity>,
    /// What was not taken into account.
    without: Without,
}

/// Whether the first copy of a call told too little to learn from or to compare.
fn was_half_told(state: &State<'_>, event: &Event, first: &FirstCopy) -> bool {
    let principal = &event.call().principal;
    !first.complete
        && principal.kind != PrincipalKind::AwsAccount
        && principal.account.is_some_and(|account| state.is_ours(account))
}

fn assumption(event: &Event) -> Option<&Assumption> {
    match event {
        Event::Assumption(it) => Some(it),
        Event::TrustChange(_) | Event::SignIn(_) => None,
    }
}

/// Everything that is wrong with an event: what the rules find, less what is exempt, raised to
/// the floor declared for the role.
fn find(
    state: &State<'_>,
    config: &Config,
    event: &Event,
    around: &Around,
    lineage: Option<&Lineage>,
    surprise: Option<Surprise>,
) -> Found {
    let call = event.call();
    let arn = around.arn.as_ref();
    let entry = around.entry();
    let rewrite = trusting::rewrite(state, config, event);
    let expected = arn.map(|role| config.expected(role)).unwrap_or_default();
    let case = Case {
        event,
        role: around.role.as_deref(),
        caller: around.caller.as_deref(),
        actor: around.actor(),
        surprise: surprise.as_ref(),
        expected: &expected,
        tuning: config.tuning(),
        knows_account: call.principal.account.is_some_and(|it| state.knows_account(it)),
        bears_anothers_name: assumption(event)
            .is_some_and(|it| bears_anothers_name(state, it, surprise.as_ref())),
        lineage,
        entry,
        rewrite: rewrite.as_ref(),
        is_context: false,
        is_pipeline: around.is_pipeline(call.time),
        is_opened_by_pipeline: entry.is_some_and(|it| around::was_opened(state, it)),
        is_peoples_place: around::is_peoples_place(state, event),
    };
    let accepted =
        |it: &Finding| config.exempt(&it.rule, arn, &call.principal, call.time).is_some();
    let mut findings = rules::check(&case);
    findings.retain(|it| !accepted(it));
    let mut beside = rules::beside(&case, &findings);
    beside.retain(|it| !accepted(it));
    findings.append(&mut beside);
    if let Some(floor) = expected.severity {
        findings.iter_mut().for_each(|finding| finding.severity = finding.severity.max(floor));
    }
    rules::sort(&mut findings);
    let without = config.tuning().without;
    Found { findings, surprise, floor: expected.severity, without }
}

/// Whether the session bears the name of a person who is not the caller. A person of the same
/// name is the same person with another key, a role session that hands its own name on is
/// whoever it was before, and what a machine has been seen with is not borrowed.
fn bears_anothers_name(state: &State<'_>, it: &Assumption, surprise: Option<&Surprise>) -> bool {
    let principal = &it.call.principal;
    let Some(name) = &it.session.name else { return false };
    let own_name = principal.name.as_ref().map(Text::as_str);
    // People's names are built alike, so of a person only the name itself can tell.
    let is_new = surprise.is_none_or(|it| it.part(Dimension::SessionName).is_some());
    (is_new || is_person(it))
        && principal.session_name.as_ref() != Some(name)
        && !is_name_of(name.as_str(), own_name)
        && is_name_of_a_person(state, &in_lower_case(name.as_str()))
}

/// Whether a name, in lower case, or what stands before its domain, is one that people go by.
fn is_name_of_a_person(state: &State<'_>, name: &str) -> bool {
    state.is_person(name) || local_part(name).is_some_and(|it| state.is_person(it))
}

fn in_lower_case(name: &str) -> Cow<'_, str> {
    // All of it is looked at, so that several bytes are looked at together.
    let is_small = |byte: u8| byte.is_ascii() & !byte.is_ascii_uppercase();
    let is_lower = name.bytes().fold(true, |all, byte| all & is_small(byte));
    if is_lower { Cow::Borrowed(name) } else { Cow::Owned(name.to_lowercase()) }
}

/// Whether a session name is a person's own: `alice`, or an address like `alice@corp.example`.
fn is_name_of(session_name: &str, own_name: Option<&str>) -> bool {
    let Some(own) = own_name else { return false };
    own.eq_ignore_ascii_case(session_name)
        || local_part(session_name).is_some_and(|it| own.eq_ignore_ascii_case(it))
}

/// What stands before the domain of an address.
fn local_part(name: &str) -> Option<&str> {
    name.get(..memchr::memchr(b'@', name.as_bytes())?)
}

/// The event with all that the state knows of the call beside its record.
fn completed<'e>(state: &State<'_>, event: &'e Event) -> Cow<'e, Event> {
    trusting::with_proof(state, with_known_name(state, event))
}

/// The event with the caller's ARN and name, where this record does not tell them and an
/// earlier one did.
fn with_known_name<'e>(state: &State<'_>, event: &'e Event) -> Cow<'e, Event> {
    let principal = &event.call().principal;
    let event = Cow::Borrowed(event);
    if principal.kind != PrincipalKind::AwsAccount || principal.arn.is_some() {
        return event;
    }
    let caller = principal.key().and_then(|key| state.caller(key));
    match caller.as_ref().and_then(|caller| caller.label()) {
        Some(label) => with(event, |it| {
            it.call.principal.name.clone_from(&label.name);
            it.call.principal.arn.clone_from(&label.arn);
        }),
        None => event,
    }
}

#[cfg(test)]
mod tests;
