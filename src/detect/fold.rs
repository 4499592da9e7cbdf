//! Which alerts are one kind, and where that is kept.

use std::sync::Arc;

use crate::alert::is_about_caller;
use crate::baseline::{Caller, Dimension, FoldKey, Folds, Habits, RoleBaseline};
use crate::event::{Event, ExternalIdUse, PrincipalKey};
use crate::finding::{Finding, worst};
use crate::lineage;
use crate::profile;
use crate::rules::OF_PLACE;
use crate::severity::Severity;
use crate::state::{State, Subject};

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
    FoldKey::of(telling(state, event, findings).iter().map(String::as_str))
}

/// What an alert on a role has in common with alerts on roles of the same name in other accounts,
/// and one about the place of the caller with alerts on any role: it is kept with the caller who
/// goes from one to the next.
pub(super) fn story_key(
    state: &State<'_>,
    event: &Event,
    findings: &[Finding],
) -> Option<(PrincipalKey, FoldKey)> {
    let Event::Assumption(it) = event else { return None };
    let role = it.role().filter(|_| it.call.granted() && worst(findings) > Some(Severity::Low))?;
    let caller = it.call.principal.key()?;
    let telling = telling(state, event, findings);
    let mut urgent = findings.iter().filter(|it| it.severity > Severity::Low);
    let is_of_place = urgent.all(|it| OF_PLACE.contains(&&*it.rule));
    let name = if is_of_place { "" } else { role.common_name() };
    let parts = ["story", name].into_iter().chain(telling.iter().map(String::as_str));
    Some((caller, FoldKey::of(parts)))
}

/// What tells one kind of alert from another.
fn telling(state: &State<'_>, event: &Event, findings: &[Finding]) -> Vec<String> {
    let call = event.call();
    let principal = call.principal.key_or_unnamed();
    // The sessions of one role are many people's.
    let origin = match event {
        Event::Assumption(it) => {
            lineage::origin_of(state, &it.call).filter(|origin| !origin.is_service())
        }
        Event::TrustChange(_) | Event::SignIn(_) => None,
    };
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
    let mut told = vec![
        principal.as_str().to_owned(),
        origin.map_or_else(String::new, |it| it.as_str().to_owned()),
        network,
        external_id,
        borrowed.unwrap_or_default().to_owned(),
        call.name.to_owned(),
        granted.to_owned(),
        opened(event, findings),
    ];
    told.append(&mut rules);
    told
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
        let turnover = habits.turnover(Dimension::Network);
        turnover.value_days >= KNOWN_DAYS && turnover.bits_of_new() < VOLATILE_BITS
    };
    let caller = call.principal.key().and_then(|key| state.caller(&key));
    let network = call.address.network();
    let of_caller = caller.is_some_and(|caller| {
        let is_known = caller.habits().seen(Dimension::Network, network.as_str()).is_some();
        is_known || changes(caller.habits())
    });
    let of_role = match event {
        Event::Assumption(it) => it.role().and_then(|role| state.role(role)).is_some_and(|role| {
            role.habits(call.principal.class(it.role_account())).is_some_and(changes)
        }),
        Event::TrustChange(_) | Event::SignIn(_) => false,
    };
    if of_caller || of_role { String::new() } else { network.as_str().to_owned() }
}
