//! One event against the state: the product in one function.

mod follow;
mod trusting;

use std::borrow::Cow;
use std::sync::Arc;

use crate::alert::{Alert, Message, is_about_caller};
use crate::baseline::{
    Caller, Dimension, FoldKey, Folds, Habits, Label, Repeat, RoleBaseline, Value,
};
use crate::config::Config;
use crate::event::{
    Assumption, Event, ExternalIdUse, Principal, PrincipalKind, SignIn, SignInKind,
};
use crate::finding::{Finding, Ground, worst};
use crate::id::AccountId;
use crate::lineage::Lineage;
use crate::profile;
use crate::rules::{self, Case};
use crate::severity::Severity;
use crate::state::{Change, Changes, FirstCopy, SharedCall, State, Subject};
use crate::surprise::{Surprise, is_person};
use crate::text::Text;

use follow::{Followed, Known};
pub use follow::{advance, trace_of};
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
    let event = followed.event.as_ref();
    let first = match event {
        Event::Assumption(it) => first_copy(state, it),
        Event::TrustChange(_) | Event::SignIn(_) => None,
    };
    let found = match mode {
        Mode::Watch => {
            // What the first copy taught is not news to ask about again.
            let surprise = match &first {
                Some(first) => first.surprise.clone(),
                None => surprise(state, event),
            };
            find(state, config, event, followed.lineage(), surprise)
        }
        Mode::Learn => Found::default(),
    };
    let mut judged = match first {
        None => fresh(state, &followed, found, mode),
        Some(first) => copy(state, &followed, found, mode, &first),
    };
    judged.joined |= is_console_switch(event);
    judged.changes.push(Change::Saw(call.key.clone()));
    judged.changes.push(Change::Reached(call.time));
    judged.changes.extend(follow::told(event));
    judged.changes.extend(trusting::changes(state, config, event, &judged.findings));
    judged.changes.extend(refusal(event));
    judged.changes.extend(name(state, event));
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
fn fresh(state: &State<'_>, followed: &Followed<'_>, found: Found, mode: Mode) -> Judged {
    let (event, lineage) = (followed.event.as_ref(), followed.lineage());
    let decided = Decision::of(state, event, found);
    let mut changes = Changes::new();
    if decided.teaches {
        changes.extend(lessons(state, event, lineage));
    }
    let revision = u32::from(decided.is_sent());
    let known = Known { revision, found: decided.found.clone(), mode };
    changes.extend(follow::remember(state, followed, known));
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
            }),
        });
    }
    let mut judged = decided.into_judged(event, lineage, 1, false, changes);
    if let Some(alert) = &mut judged.alert {
        trusting::role_of(state, event).iter().for_each(|arn| alert.name_role(arn));
    }
    judged
}

/// A further copy of a call. One that names the caller in full completes one that did not: what
/// only it can show is learned, and what only now becomes true goes out as the next revision.
fn copy(
    state: &State<'_>,
    followed: &Followed<'_>,
    found: Found,
    mode: Mode,
    first: &FirstCopy,
) -> Judged {
    let (event, lineage) = (followed.event.as_ref(), followed.lineage());
    let nothing = Judged::silent(true, Changes::new());
    let (Event::Assumption(it), Some(shared_id)) = (event, &event.call().shared_id) else {
        return nothing;
    };
    if first.complete || it.call.principal.kind == PrincipalKind::AwsAccount {
        return nothing;
    }
    let News { all, is_news } = News::of(&first.findings, found.findings);
    let again = Found { findings: all.clone(), surprise: found.surprise };
    let decided = match is_news {
        true => Decision::of(state, event, again),
        false => Decision::nothing(again),
    };
    let mut changes = Changes::new();
    if all.is_empty() {
        changes.extend(completing_lessons(it, lineage));
    }
    let revision = first.revision + u32::from(decided.is_sent());
    let found = Found { findings: all.clone(), surprise: first.surprise.clone() };
    changes.extend(follow::remember(state, followed, Known { revision, found, mode }));
    changes.push(Change::SawCopy {
        shared_id: shared_id.clone(),
        copy: Arc::new(FirstCopy {
            call: first.call.clone(),
            surprise: None,
            complete: true,
            revision,
            findings: all,
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
        let key = fold_key(state, event, &found.findings);
        let fold_state = FoldState::of(state, &subject);
        let adoptable = found.findings.iter().all(|it| it.ground == Ground::Habit);
        let first = Repeat::Send { repeats: 0, event_ids: Vec::new() };
        let repeat =
            fold_state.folds().map_or(first, |folds| folds.judge(&key, severity, time, adoptable));
        let normal = matches!(repeat, Repeat::Adopt { .. } | Repeat::Normal);
        Self { found, fold: Some((subject, key, severity, repeat)), teaches: normal }
    }

    /// What was found before is told once more, for what was told about it was not right.
    fn again(state: &State<'_>, event: &Event, found: Found) -> Self {
        let decided = Self::of(state, event, found);
        let send = Repeat::Send { repeats: 0, event_ids: Vec::new() };
        let fold = decided.fold.map(|(subject, key, severity, _)| (subject, key, severity, send));
        Self { found: decided.found, fold, teaches: false }
    }

    /// What was found is known already.
    fn nothing(found: Found) -> Self {
        Self { found, fold: None, teaches: false }
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
        let Found { findings, surprise } = self.found;
        let Some((subject, key, severity, repeat)) = self.fold else {
            return Judged { findings, surprise, ..Judged::silent(joined, changes) };
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
        let bits = surprise.as_ref().map(Surprise::total);
        let alert = message.and_then(|message| Alert::new(event, findings.clone(), bits, message));
        let alert = alert.map(|alert| Box::new(alert.with_chain(lineage)));
        Judged { joined, alert, repeat: is_repeat, findings, surprise, changes, late: Vec::new() }
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
    /// How unlike the role's baseline the call is; absent where none was used.
    surprise: Option<Surprise>,
}

/// What is normal for the role that an event is about, and for its caller.
struct Habitual {
    role: Option<Arc<RoleBaseline>>,
    caller: Option<Arc<Caller>>,
}

impl Habitual {
    fn of(state: &State<'_>, event: &Event) -> Self {
        let caller = event.call().principal.key().and_then(|key| state.caller(&key));
        let role = trusting::role_of(state, event).and_then(|role| state.role(&role));
        let id = match event {
            Event::Assumption(it) => it.role_id(),
            Event::TrustChange(it) => it.role_id.as_ref(),
            Event::SignIn(_) => None,
        };
        Self { role: role.filter(|role| !role.is_of_another(id)), caller }
    }
}

/// How unlike its role's baseline a call is.
fn surprise(state: &State<'_>, event: &Event) -> Option<Surprise> {
    let Event::Assumption(it) = event else { return None };
    let Habitual { role, caller } = Habitual::of(state, event);
    let surprise = Surprise::of(it, role.as_deref(), caller.as_deref());
    trusting::explained(state, it, surprise)
}

/// Everything that is wrong with an event: what the rules find, less what is exempt, raised to
/// the floor declared for the role.
fn find(
    state: &State<'_>,
    config: &Config,
    event: &Event,
    lineage: Option<&Lineage>,
    surprise: Option<Surprise>,
) -> Found {
    let call = event.call();
    let assumption = match event {
        Event::Assumption(it) => Some(it),
        Event::TrustChange(_) | Event::SignIn(_) => None,
    };
    let arn = trusting::role_of(state, event);
    let arn = arn.as_ref();
    let entry = assumption.and_then(|it| trusting::entry(state, it));
    let rewrite = trusting::rewrite(state, config, event);
    let Habitual { role, caller } = Habitual::of(state, event);
    let expected = arn.map(|role| config.expected(role)).unwrap_or_default();
    let case = Case {
        event,
        role: role.as_deref(),
        caller: caller.as_deref(),
        surprise: surprise.as_ref(),
        expected: &expected,
        tuning: config.tuning(),
        knows_account: call.principal.account.is_some_and(|it| state.knows_account(it)),
        bears_anothers_name: assumption
            .is_some_and(|it| bears_anothers_name(state, it, surprise.as_ref())),
        lineage,
        entry: entry.as_ref(),
        rewrite: rewrite.as_ref(),
        is_context: false,
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
    Found { findings, surprise }
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
        && state.is_person(&name.as_str().to_lowercase())
}

/// Whether a session name is a person's own: `alice`, or an address like `alice@corp.example`.
fn is_name_of(session_name: &str, own_name: Option<&str>) -> bool {
    let local_part = session_name.split('@').next().unwrap_or_default();
    own_name.is_some_and(|own| {
        own.eq_ignore_ascii_case(session_name) || own.eq_ignore_ascii_case(local_part)
    })
}

/// The event with all that the state knows of the call beside its record.
fn completed<'e>(state: &State<'_>, event: &'e Event) -> Cow<'e, Event> {
    trusting::with_proof(state, with_known_name(state, event))
}

/// The event with the caller's ARN and name, where this record does not tell them and an
/// earlier one did.
fn with_known_name<'e>(state: &State<'_>, event: &'e Event) -> Cow<'e, Event> {
    let mut event = Cow::Borrowed(event);
    let principal = &event.call().principal;
    if principal.kind != PrincipalKind::AwsAccount || principal.arn.is_some() {
        return event;
    }
    let caller = principal.key().and_then(|key| state.caller(&key));
    if let Some(label) = caller.as_ref().and_then(|caller| caller.label())
        && let Event::Assumption(it) = event.to_mut()
    {
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
fn fold_key(state: &State<'_>, event: &Event, findings: &[Finding]) -> FoldKey {
    let call = event.call();
    let principal = call.principal.key_or_unnamed();
    let network = telling_network(state, event);
    let borrowed = findings.iter().find_map(|it| it.evidence.get("borrowed_name")?.as_str());
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
    let borrowed = borrowed.unwrap_or_default();
    let opened = opened(event, findings);
    let fixed = [principal.as_str(), &network, &external_id, borrowed, call.name, granted, &opened];
    FoldKey::of(fixed.into_iter().chain(rules))
}

/// The role whose trust was changed, and what was found: another role, or another door, is
/// another matter.
fn opened(event: &Event, findings: &[Finding]) -> String {
    let Event::TrustChange(it) = event else { return String::new() };
    let account = it.call.account.map(|it| it.to_string()).unwrap_or_default();
    // The summary tells the head of what was opened, the evidence more of it.
    let told = |it: &Finding| {
        let opened = it.evidence.get("opened").map(ToString::to_string).unwrap_or_default();
        format!("{} {opened}", it.summary)
    };
    let found: Vec<String> = findings.iter().map(told).collect();
    format!("{account} {} {}", it.role_name.as_str(), found.join(" "))
}

/// The network of a call, where it tells one attacker from another: not a provider's, and not
/// one of the ever-changing networks that this role or this caller is used to.
fn telling_network(state: &State<'_>, event: &Event) -> String {
    const KNOWN_DAYS: u32 = 4;
    const VOLATILE_BITS: f64 = 2.0;
    let call = event.call();
    if !profile::has_network_of_its_own(call) {
        return String::new();
    }
    let changes = |habits: &Habits| {
        let turnover = habits.turnover(Dimension::Network);
        turnover.value_days >= KNOWN_DAYS && turnover.bits_of_new() < VOLATILE_BITS
    };
    let caller = call.principal.key().and_then(|key| state.caller(&key));
    let of_caller = caller.is_some_and(|caller| changes(caller.habits()));
    let of_role = match event {
        Event::Assumption(it) => it.role().and_then(|role| state.role(role)).is_some_and(|role| {
            role.habits(call.principal.class(it.role_account())).is_some_and(changes)
        }),
        Event::TrustChange(_) | Event::SignIn(_) => false,
    };
    if of_caller || of_role { String::new() } else { call.address.network().as_str().to_owned() }
}

/// What an event teaches when nothing is wrong with it. A refused call teaches nothing: whoever
/// is refused could otherwise write the baseline.
fn lessons(state: &State<'_>, event: &Event, lineage: Option<&Lineage>) -> Changes {
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
            let news = |account: &AccountId| !state.knows_account(*account);
            let accounts = accounts.into_iter().flatten().filter(news);
            changes.extend(accounts.map(Change::KnowAccount));
            changes.extend(people(state, it));
            changes
        }
        Event::SignIn(_) | Event::TrustChange(_) => {
            let Some(caller) = key else { return Changes::new() };
            let mut changes = Changes::new();
            if let Event::SignIn(SignIn { kind: SignInKind::SessionToken, .. }) = event {
                let (caller, network) = (caller.clone(), call.address.network());
                changes.push(Change::SignedIn { caller, time: call.time, network });
            }
            let values = vec![(Dimension::Call, call.name.into())];
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

/// The names that a person goes by: their own, and an address that begins with it. Any other
/// name in a session may be a colleague's.
fn people(state: &State<'_>, it: &Assumption) -> impl Iterator<Item = Change> {
    let principal = &it.call.principal;
    let own = principal.name.as_ref();
    let address =
        it.session.name.as_ref().filter(|name| is_name_of(name.as_str(), own.map(Text::as_str)));
    let names = [own, address].into_iter().flatten().filter(|_| is_person(it));
    let names = names.map(|name| name.as_str().to_lowercase());
    names.filter(|name| !state.is_person(name)).map(|name| Change::KnowPerson(name.into()))
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
