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
use crate::trust::{Entry, History};

/// What the state knows around an event. It is asked once: judging, telling and teaching look at
/// the same from many sides, and each question costs the hash of a long key.
pub(super) struct Around {
    /// The role that the event is about.
    pub(super) arn: Option<RoleArn>,
    /// What is normal for the role, unless that is of another one that had the same name.
    pub(super) role: Option<Arc<RoleBaseline>>,
    /// What is normal for the caller.
    pub(super) caller: Option<Arc<Caller>>,
    /// What is normal for the role whose session is calling.
    issuer: Option<Arc<RoleBaseline>>,
    /// Whether the caller is of an account of ours, or of none.
    pub(super) is_ours: bool,
    /// Of a call for a role: what else is known of it.
    pub(super) asked: Option<AroundAssumption>,
}

/// What the state knows around a call for a role.
pub(super) struct AroundAssumption {
    /// The role's trust policies.
    pub(super) history: Option<Arc<History>>,
    /// By which door of them a granted call came in.
    pub(super) entry: Option<Entry>,
    /// Who is behind the call.
    pub(super) behind: Behind,
    /// What is normal for whoever is behind it.
    pub(super) actor: Option<Arc<Caller>>,
    /// The circle of those who come the same way.
    pub(super) circle: Option<PrincipalKey>,
}

impl Around {
    pub(super) fn of(state: &State<'_>, event: &Event, lineage: Option<&Lineage>) -> Self {
        let principal = &event.call().principal;
        let key = principal.key();
        let arn = trusting::role_of(state, event);
        let id = match event {
            Event::Assumption(it) => it.role_id(),
            Event::TrustChange(it) => it.role_id.as_ref(),
            Event::SignIn(_) => None,
        };
        let role = arn.as_ref().and_then(|role| state.role(role));
        let mut around = Self {
            arn,
            role: role.filter(|role| !role.is_of_another(id)),
            caller: key.and_then(|key| state.caller(key)),
            issuer: principal.issuer.as_ref().and_then(|role| state.role(role)),
            is_ours: principal.account.is_none_or(|account| state.is_ours(account)),
            asked: None,
        };
        if let Event::Assumption(it) = event {
            around.asked = Some(around.of_assumption(state, it, key, lineage));
        }
        around
    }

    fn of_assumption(
        &self,
        state: &State<'_>,
        it: &Assumption,
        key: Option<&PrincipalKey>,
        lineage: Option<&Lineage>,
    ) -> AroundAssumption {
        let history = it.role_key().and_then(|key| state.trust(key));
        let behind = behind_session(self.issuer.as_deref(), it, lineage);
        let actor = match &behind.actor {
            actor if actor.as_ref() == key => self.caller.clone(),
            actor => actor.as_ref().and_then(|actor| state.caller(actor)),
        };
        AroundAssumption {
            entry: trusting::entry(history.as_deref(), it),
            circle: profile::circle(it, &behind).filter(|_| self.is_ours),
            history,
            behind,
            actor,
        }
    }

    /// By which door of the remembered trust policy a granted call came in.
    pub(super) fn entry(&self) -> Option<&Entry> {
        self.asked.as_ref()?.entry.as_ref()
    }

    /// What is normal for whoever is behind a call for a role.
    pub(super) fn actor(&self) -> Option<&Caller> {
        self.asked.as_ref()?.actor.as_deref()
    }

    /// Whether a session makes the call whose role machines take, day by day, and that nobody else
    /// can hold at the moment.
    pub(super) fn is_pipeline(&self, time: Timestamp) -> bool {
        self.issuer.as_deref().is_some_and(|role| was_machines(role, time))
    }
}

/// The longest that credentials of a role are valid (IAM's `MaxSessionDuration`).
const LONGEST_SESSION: SignedDuration = SignedDuration::from_hours(12);

/// Who is behind a call for a role.
pub(super) fn behind(state: &State<'_>, it: &Assumption, lineage: Option<&Lineage>) -> Behind {
    let issuer = it.call.principal.issuer.as_ref().and_then(|role| state.role(role));
    behind_session(issuer.as_deref(), it, lineage)
}

/// The same, where it is known what is normal for the role whose session is calling.
fn behind_session(
    issuer: Option<&RoleBaseline>,
    it: &Assumption,
    lineage: Option<&Lineage>,
) -> Behind {
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
    around: &Around,
    lineage: Option<&Lineage>,
    without: Without,
) -> Option<Surprise> {
    let (Event::Assumption(it), Some(asked)) = (event, &around.asked) else { return None };
    if !Surprise::is_told_of(it) || is_half_told(state, it) {
        return None;
    }
    let AroundAssumption { history, entry, behind, actor, circle } = asked;
    let (entry, actor) = (entry.as_ref(), actor.as_deref());
    let alone;
    let (behind, actor) = if without.has(Ingredient::Origin) {
        alone = Behind { actor: it.call.principal.key().cloned(), ..behind.clone() };
        (&alone, around.caller.as_deref())
    } else {
        (behind, actor)
    };
    let asks = |_: &&Caller| !without.has(Ingredient::Caller);
    let of_all = circle.as_ref().filter(|_| is_token(behind)).map(|_| profile::workloads());
    let circles = [circle.as_ref(), of_all.as_ref()].map(|it| state.caller(it?));
    let is_persons = behind.kind == CallerKind::Person && around.is_ours;
    let people = if is_persons { state.caller(&profile::people()) } else { None };
    let none = RoleBaseline::default();
    let known = Known {
        role: around.role.as_deref().unwrap_or(&none),
        caller: around.caller.as_deref().filter(asks),
        behind,
        actor: actor.filter(asks),
        circles: [circles[0].as_deref(), circles[1].as_deref()],
        people: people.as_deref().filter(asks),
        named: entry.filter(|_| !without.has(Ingredient::Trust)).and_then(Entry::explains),
        is_role_made: history.as_ref().is_some_and(|history| is_made_openly(history)),
        is_ours: around.is_ours,
        lineage,
        colleagues: &|| {
            let found = it.role().zip(behind.actor.as_ref()).zip(actor);
            let found = found.filter(|_| !without.has(Ingredient::Colleagues));
            found
                .map(|((role, key), actor)| colleagues(state, role, key, actor))
                .unwrap_or_default()
        },
        without,
    };
    Surprise::of(it, &known)
}

/// Whether the latest policy of a role raised no alert when it was written: what is known of the
/// role begins there.
fn is_made_openly(history: &History) -> bool {
    history.last().is_some_and(|(_, version)| version.weakening.is_none())
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
    role.and_then(|role| state.role(&role)).is_some_and(|role| was_machines(&role, weakening.time))
}

/// Whether machines take a role, day by day, and no person's session of it can have been alive at
/// a time. Of people only the first and the last time that they took it is known.
fn was_machines(role: &RoleBaseline, time: Timestamp) -> bool {
    const DAYS: u32 = 2;
    let people = role
        .iter()
        .filter_map(|(_, habits)| habits.seen(Dimension::Kind, CallerKind::Person.as_str()));
    let machines = role.turnover_of_all(Dimension::Kind).value_days;
    machines >= DAYS
        && people.into_iter().all(|it| time < it.first || it.last + LONGEST_SESSION < time)
}

/// Whether people of ours call from the block of networks that a sign-in came from.
pub(super) fn is_peoples_place(state: &State<'_>, event: &Event) -> bool {
    if !matches!(event, Event::SignIn(_)) {
        return false;
    }
    let people = state.caller(&profile::people());
    let block = event.call().block();
    people.is_some_and(|it| it.habits().days(Dimension::NetworkBlock, block.as_str()) > 1)
}
