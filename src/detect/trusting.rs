//! Trust policies beside their use: what a writing changes, what a grant proves, and what is
//! remembered of both.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;

use super::around::{Around, AroundAssumption};
use super::completed::with;
use crate::authorization::AuthorizedRole;
use crate::config::{Comparison, Config, PrincipalPattern};
use crate::event::{
    Assumption, Event, Mfa, Principal, PrincipalKey, PrincipalKind, TrustChange, TrustChangeKind,
};
use crate::finding::Finding;
use crate::id::{AccountId, RoleArn, RoleKey, UniqueId};
use crate::severity::Severity;
use crate::state::{Change, Changes, State};
use crate::text::{Text, clip};
use crate::trust::{
    Answer, Before, Content, Entry, History, Moment, Previous, Rewrite, SOME_ORGANISATION,
    Standing, TrustPolicy, Version, Weakening, World, compare, is_organisation, party_of,
    trusted_parties,
};

/// The rule whose findings say that a policy was weakened.
const WEAKENED: &str = "trust_policy_weakened";
/// From here on a weakening was worth a look, and what it let in is not expected.
const TAINTS: Severity = Severity::Medium;

/// The role that an event is about: an update tells only a name, and an earlier record the rest.
pub(super) fn role_of(state: &State<'_>, event: &Event) -> Option<RoleArn> {
    match event {
        Event::Assumption(it) => it.role().cloned(),
        Event::TrustChange(it) => {
            let known = || state.trust(&it.role_key()?)?.arn().cloned();
            it.role.clone().or_else(known)
        }
        Event::SignIn(_) => None,
    }
}

/// By which door a granted call came in, as far as the remembered policies tell.
pub(super) fn entry(history: Option<&History>, it: &Assumption) -> Option<Entry> {
    history.filter(|_| it.call.granted()).and_then(|history| Entry::of(history, it))
}

/// The event with what the grant itself proves: where every way in demands a second factor,
/// there was one. Of a caller whose record does tell, the record is believed.
pub(super) fn with_proof<'e>(state: &State<'_>, event: Cow<'e, Event>) -> Cow<'e, Event> {
    if let Event::Assumption(it) = &*event
        && it.call.mfa == Mfa::Unknown
        && let Some(history) = it.role_key().and_then(|key| state.trust(key))
        && entry(Some(&history), it).is_some_and(|it| it.proves_mfa())
    {
        return with(event, |it| it.call.mfa = Mfa::Present);
    }
    event
}

/// What the writing of a policy changed; `None` for any other event, and for one that failed.
pub(super) fn rewrite(state: &State<'_>, config: &Config, event: &Event) -> Option<Rewrite> {
    let Event::TrustChange(it) = event else { return None };
    if !it.call.granted() || it.kind == TrustChangeKind::Deleted {
        return None;
    }
    let moment = moment_of(it);
    let policy = match &it.policy {
        Some(document) => TrustPolicy::read(document.as_json()).map_err(|it| it.to_string()),
        None => Err("the record holds no document".to_owned()),
    };
    let policy = policy.map(Arc::new);
    let history = it.role_key().and_then(|key| state.trust(&key)).unwrap_or_default();
    let (previous, version) = previous(&history, &moment, it.kind);
    let old = version.and_then(Version::policy);
    let before = match (previous, old) {
        (Previous::Nothing, _) => Before::Nothing,
        (_, Some(old)) => Before::Policy(old),
        (_, None) => Before::Unknown,
    };
    let differences = match &policy {
        Ok(policy) => in_world(state, config, event, |world| compare(before, policy, world)),
        Err(_) => Vec::new(),
    };
    let previous_time = history.time_before(&moment).filter(|_| old.is_some());
    let notes = |policy: &TrustPolicy| policy.notes().cloned().collect::<Vec<Text>>();
    let old_notes = old.map(|it| notes(it)).unwrap_or_default();
    let mut unclear = policy.as_ref().map(|it| notes(it)).unwrap_or_default();
    unclear.retain(|note| !old_notes.contains(note));
    Some(Rewrite { moment, policy, previous, previous_time, unclear, differences })
}

/// What was there before, and which version to compare with.
fn previous<'h>(
    history: &'h History,
    moment: &Moment,
    kind: TrustChangeKind,
) -> (Previous, Option<&'h Version>) {
    let last = history.before(moment);
    let known = |previous| match history.policy_before(moment) {
        Some(version) => (previous, Some(version)),
        None if kind == TrustChangeKind::Created => (Previous::Nothing, None),
        None => (Previous::Unknown, None),
    };
    match last.map(|it| (&it.content, it.refuted)) {
        Some((Content::Policy(_), None)) => (Previous::Known, last),
        Some((Content::Policy(_), Some(_))) => (Previous::Stale, last),
        // Of one that cannot be read all that is sure is that it stood in place of another.
        Some((Content::Unreadable, _)) if !history.was_deleted_before(moment) => {
            known(Previous::BeforeUnreadable)
        }
        Some(_) => known(Previous::OfDeleted),
        None => known(Previous::Known),
    }
}

fn moment_of(it: &TrustChange) -> Moment {
    Moment { time: it.call.time, record: Text::clip(&it.call.alert_id()) }
}

/// Compares in the world as it is known: which accounts are ours, declared, trusted elsewhere or
/// were seen to take roles.
fn in_world<T>(
    state: &State<'_>,
    config: &Config,
    event: &Event,
    compare: impl FnOnce(&World<'_>) -> T,
) -> T {
    let arn = role_of(state, event);
    let role = arn.as_ref().and_then(|arn| state.role(arn));
    let declared = arn.as_ref().and_then(|arn| config.expected(arn).principals);
    let standing = |account: AccountId| {
        let used = role.as_ref().is_some_and(|role| {
            role.has_seen(crate::baseline::Dimension::Account, &account.to_string())
        });
        if state.is_ours(account) {
            Standing::Ours
        } else if is_declared(declared, account) {
            Standing::Declared
        } else if used {
            Standing::Regular
        } else if state.knows_account(account) || state.knows_party(&party_of(account)) {
            Standing::Known
        } else {
            Standing::Stranger
        }
    };
    let own = event.call().account.or_else(|| arn.as_ref().map(RoleArn::account));
    let knows_id = |id: &UniqueId| {
        PrincipalKey::of_id(own, id).is_some_and(|key| state.caller(&key).is_some())
    };
    compare(&World {
        time: event.call().time,
        role_account: own,
        standing: &standing,
        knows_party: &|party| state.knows_party(party),
        knows_id: &knows_id,
    })
}

fn is_declared(declared: Option<&[PrincipalPattern]>, account: AccountId) -> bool {
    let somebody =
        Principal { account: Some(account), ..Principal::of_kind(PrincipalKind::AwsAccount) };
    declared.is_some_and(|it| Comparison::with_any(it, &somebody) == Comparison::Matches)
}

/// What an import of a role's policy changes: nothing where the same is remembered, and believed.
/// Whoever imports a policy vouches for it, but not for one that raised an alert here.
#[must_use]
pub fn imported(state: &State<'_>, role: &AuthorizedRole, time: Timestamp) -> Changes {
    let mut changes = Changes::new();
    let key = RoleKey::of(&role.arn);
    let history = state.trust(&key).unwrap_or_default();
    if history.arn().is_none() {
        changes.push(Change::NameRole { role: key.clone(), arn: role.arn.clone() });
    }
    if !state.is_ours(role.arn.account()) {
        changes.push(Change::Own(role.arn.account()));
    }
    let last = history.last().map(|(_, version)| version);
    let is_same = |it: &&Version| {
        it.policy().is_some_and(|it| **it == role.trust)
            && it.refuted.is_none()
            && (it.role_id.is_none() || it.role_id == role.id)
    };
    if last.filter(is_same).is_some() {
        return changes;
    }
    changes.extend(parties(state, &role.trust));
    let moment = Moment { time, record: Text::clip("import") };
    let content = Content::Policy(Arc::new(role.trust.clone()));
    let version = Version { role_id: role.id.clone(), ..Version::of(content) };
    changes.push(Change::Write { role: key, moment, version: Arc::new(version) });
    changes
}

/// Those whom a policy lets in and who were not known to be let in anywhere.
fn parties(state: &State<'_>, policy: &TrustPolicy) -> Changes {
    let (accounts, parties) = trusted_parties(policy);
    let all = accounts.into_iter().map(party_of).chain(parties);
    let news = all.filter(|party| !state.knows_party(party));
    news.map(|party| Change::KnowParty(party.into())).collect()
}

/// What an event teaches about trust policies, whether or not something is wrong with it.
pub(super) fn changes(
    state: &State<'_>,
    config: &Config,
    event: &Event,
    around: &Around,
    findings: &[Finding],
    changes: &mut Changes,
) {
    let call = event.call();
    let own = call.account.filter(|account| !state.is_ours(*account));
    changes.extend(own.map(Change::Own));
    if !call.granted() {
        return;
    }
    match (event, &around.asked) {
        (Event::Assumption(it), Some(asked)) => of_grant(it, asked, changes),
        (Event::TrustChange(it), _) => {
            changes.extend(of_writing(state, config, event, it, findings));
        }
        _ => {}
    }
}

/// A grant tells the role's ARN, and whether the remembered policy can be what was in force.
fn of_grant(it: &Assumption, asked: &AroundAssumption, changes: &mut Changes) {
    let Some((arn, role)) = it.role().zip(it.role_key()) else { return };
    if asked.history.as_ref().is_none_or(|it| it.arn().is_none()) {
        changes.push(Change::NameRole { role: role.clone(), arn: arn.clone() });
    }
    if let Some(entry) = &asked.entry
        && entry.answer == Answer::No
        && !entry.is_refuted
    {
        let (moment, time) = (entry.moment.clone(), it.call.time);
        changes.push(Change::Refute { role: role.clone(), moment, time });
    }
}

fn of_writing(
    state: &State<'_>,
    config: &Config,
    event: &Event,
    it: &TrustChange,
    findings: &[Finding],
) -> Changes {
    let mut changes = Changes::new();
    let Some(role) = it.role_key() else { return changes };
    if let Some(arn) = &it.role {
        changes.push(Change::NameRole { role: RoleKey::of(arn), arn: arn.clone() });
    }
    let moment = moment_of(it);
    let rewrite = rewrite(state, config, event);
    let weakening = rewrite.as_ref().and_then(|rewrite| {
        of_findings(it, findings).or_else(|| inherited(state, config, event, &role, rewrite))
    });
    if let Some(rewrite) = &rewrite
        && let Ok(policy) = &rewrite.policy
    {
        changes.extend(learned(state, policy, rewrite, weakening.is_some()));
    }
    let version = Version {
        role_id: it.role_id.clone(),
        writer: it.call.principal.key().cloned(),
        by: Some(Text::clip(&it.call.principal.display())),
        weakening,
        ..Version::of(rewrite.map_or(Content::Deleted, |it| it.content()))
    };
    changes.push(Change::Write { role, moment, version: Arc::new(version) });
    changes
}

/// Those whom a writing makes known: nobody by one that was told of as a weakening. Whom nobody
/// knew is not known by being written down either, or the next writing would be harmless.
fn learned(
    state: &State<'_>,
    policy: &TrustPolicy,
    rewrite: &Rewrite,
    is_weakening: bool,
) -> Changes {
    let bad = || rewrite.differences.iter().filter(|it| it.severity.is_some());
    let teaches = !is_weakening && !bad().any(|it| it.is_of_new_account());
    // Whoever is let in by an organisation alone is told of again, however well known it is; that
    // one is known only shows who is of another. So the first one that is named is taken for
    // ours, and whoever imports policies vouches for more.
    let is_by_it = bad().map(|it| it.is_of_an_organisation()).reduce(|a, b| a && b);
    let is_first =
        !state.knows_party(SOME_ORGANISATION) && (teaches || is_by_it.unwrap_or_default());
    let mut learned = parties(state, policy);
    let of_an_organisation =
        |it: &Change| matches!(it, Change::KnowParty(party) if is_organisation(party));
    // Of several nobody can tell which is ours; one comes with the word that some is known.
    let is_one = learned.iter().filter(|it| of_an_organisation(it)).count() == 2;
    learned.retain(|it| if of_an_organisation(it) { is_first && is_one } else { teaches });
    learned
}

/// The weakening that the findings on a writing tell of.
fn of_findings(it: &TrustChange, findings: &[Finding]) -> Option<Weakening> {
    const LONGEST: usize = 512;
    let finding = findings.iter().find(|finding| finding.rule == WEAKENED)?;
    let words = finding.evidence.get("opened").and_then(|it| it.as_array());
    let words: Vec<&str> = words.into_iter().flatten().filter_map(|it| it.as_str()).collect();
    (finding.severity >= TAINTS).then(|| Weakening {
        time: it.call.time,
        severity: finding.severity,
        by: Text::clip(&it.call.principal.display()),
        alert: Text::clip(&it.call.alert_id()),
        words: Text::clip(&clip(&words.join("; "), LONGEST)),
    })
}

/// The weakening of the version before, if the new one is still as weak beside the last that
/// raised no alert: writing it again does not make it right.
fn inherited(
    state: &State<'_>,
    config: &Config,
    event: &Event,
    role: &RoleKey,
    rewrite: &Rewrite,
) -> Option<Weakening> {
    let history = state.trust(role)?;
    let weakening = history.policy_before(&rewrite.moment)?.weakening.clone()?;
    let clean = history.clean_before(&rewrite.moment).and_then(Version::policy);
    let before = clean.map_or(Before::Unknown, |it| Before::Policy(it));
    let policy = rewrite.policy.as_ref().ok()?;
    let differences = in_world(state, config, event, |world| compare(before, policy, world));
    let worst = differences.iter().filter_map(|it| it.severity).max();
    (worst >= Some(TAINTS)).then_some(weakening)
}
