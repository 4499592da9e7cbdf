//! Which alerts are one kind, and where that is kept.

use std::sync::Arc;

use crate::alert::is_about_caller;
use crate::baseline::{Caller, Dimension, FoldKey, Folds, Habits, RoleBaseline};
use crate::event::{
    Assumption, Event, ExternalIdUse, Principal, PrincipalKey, PrincipalKind, TrustChange,
};
use crate::finding::{Finding, worst};
use crate::id::permission_set;
use crate::lineage;
use crate::profile;
use crate::rules::OF_PLACE;
use crate::severity::Severity;
use crate::state::{State, Subject};
use crate::text::Text;

/// Where the folds of a subject are kept.
pub(super) enum FoldState {
    Role(Option<Arc<RoleBaseline>>),
    Caller(Option<Arc<Caller>>),
}

impl FoldState {
    pub(super) fn of(state: &State<'_>, subject: &Subject) -> Self {
        match subject {
            Subject::Role(role) => Self::Role(state.role(role)),
            Subject::Caller(caller) => Self::Caller(state.caller(caller)),
        }
    }

    pub(super) fn folds(&self) -> Option<&Folds> {
        match self {
            Self::Role(role) => role.as_ref().map(|it| &it.folds),
            Self::Caller(caller) => caller.as_ref().map(|it| &it.folds),
        }
    }
}

/// Whose folds an alert about this event is kept with: the role's, else the caller's. Trying
/// many roles is about the caller, whichever role was the last.
pub(super) fn subject(event: &Event, findings: &[Finding]) -> Subject {
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
pub(super) fn fold_key(state: &State<'_>, event: &Event, findings: &[Finding]) -> FoldKey {
    FoldKey::of(telling(state, event, findings).parts())
}

/// What an alert has in common with others on other roles.
pub(super) struct Story {
    pub(super) kind: StoryKind,
    /// With whom it is kept.
    pub(super) with: PrincipalKey,
    pub(super) key: FoldKey,
    pub(super) severity: Severity,
}

/// What a story is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StoryKind {
    /// The caller takes the roles of one name in one account after the other, or is where it never
    /// was, whichever role it takes there.
    Same,
    /// The workloads of an account call from elsewhere.
    Moved,
    /// What one rule says of whoever is behind the call, or of whom one role's sessions let in.
    OfRule,
}

/// The stories that an alert may be part of; of one that is low there is none.
pub(super) fn stories(state: &State<'_>, event: &Event, findings: &[Finding]) -> Vec<Story> {
    let Some(severity) = worst(findings).filter(|it| *it > Severity::Low) else {
        return Vec::new();
    };
    match event {
        Event::Assumption(it) if it.call.granted() => {
            let telling = telling(state, event, findings);
            of_assumption(it, &telling, findings, severity)
        }
        Event::TrustChange(it) => of_opening(it, findings, severity).into_iter().collect(),
        Event::Assumption(_) | Event::SignIn(_) => Vec::new(),
    }
}

fn of_assumption(
    it: &Assumption,
    telling: &Telling,
    findings: &[Finding],
    severity: Severity,
) -> Vec<Story> {
    let (Some(role), Some(caller)) = (it.role(), it.call.principal.key()) else {
        return Vec::new();
    };
    let block = it.call.block();
    let mut urgent = findings.iter().filter(|it| it.severity > Severity::Low);
    let actor = telling.origin.as_ref().unwrap_or(caller);
    let of_rule = |finding: &Finding| {
        let parts = ["story", actor.as_str(), block.as_str(), &*finding.rule];
        let key = FoldKey::of(parts.into_iter().chain(telling.rest()));
        Story { kind: StoryKind::OfRule, with: actor.clone(), key, severity: finding.severity }
    };
    let mut stories: Vec<Story> = urgent.clone().map(of_rule).collect();
    let is_of_place = urgent.all(|it| OF_PLACE.contains(&&*it.rule));
    let account = match it.call.principal.kind {
        PrincipalKind::Role => it.call.principal.account,
        // A token is of no account, but the workload that bears it belongs to its role's.
        PrincipalKind::WebIdentity => it.role_account(),
        _ => None,
    };
    if let Some(account) = account.filter(|_| is_of_place) {
        let key = FoldKey::of(["moved", &account.to_string(), block.as_str()]);
        stories.push(Story { kind: StoryKind::Moved, with: profile::workloads(), key, severity });
    }
    let key = match is_of_place {
        true => FoldKey::of(["story", "", block.as_str()].into_iter().chain(telling.story())),
        false => FoldKey::of(["story", role.common_name()].into_iter().chain(telling.parts())),
    };
    stories.push(Story { kind: StoryKind::Same, with: caller.clone(), key, severity });
    stories
}

/// The sessions of one role, as a pipeline's is in every account, let the same stranger into one
/// role after the other.
fn of_opening(it: &TrustChange, findings: &[Finding], severity: Severity) -> Option<Story> {
    let writer = it.call.principal.issuer.as_ref()?.common_name();
    let opened = findings.iter().filter_map(|it| it.evidence.get("opened"));
    let opened: Vec<String> = opened.map(ToString::to_string).collect();
    let parts = ["opened", writer, it.call.name].into_iter();
    let key = FoldKey::of(parts.chain(opened.iter().map(String::as_str)));
    Some(Story { kind: StoryKind::OfRule, with: profile::workloads(), key, severity })
}

/// What tells one kind of alert from another.
struct Telling {
    principal: PrincipalKey,
    origin: Option<PrincipalKey>,
    /// Who holds a session of the principal; empty where nobody is known to.
    holder: String,
    /// Where it tells one attacker from another; empty where it does not.
    network: String,
    rest: Vec<String>,
    rules: Vec<String>,
}

impl Telling {
    fn parts(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.network.as_str()).chain(self.story())
    }

    /// The same without the network: whether that tells one kind from another depends on the role.
    fn story(&self) -> impl Iterator<Item = &str> {
        let who = [self.principal.as_str(), self.holder.as_str()];
        who.into_iter().chain(self.rest()).chain(self.rules.iter().map(String::as_str))
    }

    fn rest(&self) -> impl Iterator<Item = &str> {
        self.rest.iter().map(String::as_str)
    }
}

fn telling(state: &State<'_>, event: &Event, findings: &[Finding]) -> Telling {
    let call = event.call();
    let principal = call.principal.key_or_unnamed();
    // The sessions of one role are many people's.
    let origin = match event {
        Event::Assumption(it) => {
            lineage::origin_of(state, &it.call).filter(|origin| !origin.is_service())
        }
        Event::TrustChange(_) | Event::SignIn(_) => None,
    };
    let holder = named_by_identity_center(&call.principal)
        .or_else(|| origin.as_ref().map(PrincipalKey::as_str))
        .unwrap_or_default()
        .to_owned();
    // Of root it is not the network but the person that tells one administrator from another.
    let network = match event {
        Event::Assumption(it) if it.role().is_none() => String::new(),
        _ => telling_network(state, event),
    };
    let borrowed = findings.iter().find_map(|it| it.evidence.get("borrowed_name")?.as_str());
    // What is told beside an urgent finding does not make another kind of it.
    let floor = worst(findings).map_or(Severity::Low, |worst| worst.min(Severity::Medium));
    let telling = findings.iter().filter(|finding| finding.severity >= floor);
    let mut rules: Vec<String> = telling.map(|finding| finding.rule.to_string()).collect();
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
    let rest = vec![
        external_id,
        borrowed.unwrap_or_default().to_owned(),
        call.name.to_owned(),
        granted.to_owned(),
        opened(event, findings),
    ];
    Telling { principal, origin, holder, network, rest, rules }
}

/// The user who holds a session of a permission set. Identity Center names sessions after their
/// users, so this is known even where the record of the session's beginning is not there yet.
fn named_by_identity_center(principal: &Principal) -> Option<&str> {
    permission_set(principal.issuer.as_ref()?.name())?;
    principal.session_name.as_ref().map(Text::as_str)
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

/// The network of a call, where it tells one attacker from another: not a provider's, not one that
/// this caller is known to use, and not one of the ever-changing networks that this role or this
/// caller is used to.
fn telling_network(state: &State<'_>, event: &Event) -> String {
    const KNOWN_DAYS: u32 = 4;
    const VOLATILE_BITS: f64 = 2.0;
    let call = event.call();
    if !profile::has_network_of_its_own(call) {
        return String::new();
    }
    let changes = |habits: &Habits| {
        let turnover = habits.turnover(Dimension::NetworkBlock);
        turnover.value_days >= KNOWN_DAYS && turnover.bits_of_new() < VOLATILE_BITS
    };
    let caller = call.principal.key().and_then(|key| state.caller(key));
    let block = call.block();
    let of_caller = caller.is_some_and(|caller| {
        let is_known = caller.habits().seen(Dimension::NetworkBlock, block.as_str()).is_some();
        is_known || changes(caller.habits())
    });
    let of_role = match event {
        Event::Assumption(it) => it.role().and_then(|role| state.role(role)).is_some_and(|role| {
            role.habits(call.principal.class(it.role_account())).is_some_and(changes)
        }),
        Event::TrustChange(_) | Event::SignIn(_) => false,
    };
    if of_caller || of_role { String::new() } else { block.as_str().to_owned() }
}
