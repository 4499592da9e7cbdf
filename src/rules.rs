//! The rules: one a file, and the table of them.
//!
//! A rule looks at one event beside what is normal and what is declared, and says what is wrong
//! with it or nothing. To add one, write its file and put it into [`RULES`].

mod chain_cycle;
mod chain_depth;
mod credential_hop;
mod dormant_role;
mod federation_token;
mod missing_mfa;
mod new_account;
mod new_network;
mod new_session_name;
mod role_enumeration;
mod root_session;
mod trust_policy_weakened;
mod unexpected_principal;
mod wrong_external_id;

use serde_json::{Map, Value, json};

use crate::baseline::{Caller, Dimension, Habits, RoleBaseline};
use crate::config::{Expected, Tuning};
use crate::event::{Assumption, Event};
use crate::finding::{Finding, Ground, worst};
use crate::lineage::Lineage;
use crate::severity::Severity;
use crate::surprise::{Part, SignKind, Surprise, UNUSUAL};
use crate::text::{inline, listed, plural};
use crate::trust::{Answer, Entry, Rewrite, Weakening};

/// Every rule, by id.
pub const RULES: &[Rule] = &[
    chain_cycle::RULE,
    chain_depth::RULE,
    credential_hop::RULE,
    dormant_role::RULE,
    federation_token::RULE,
    missing_mfa::RULE,
    new_account::RULE,
    new_network::RULE,
    new_session_name::RULE,
    role_enumeration::RULE,
    root_session::RULE,
    trust_policy_weakened::RULE,
    unexpected_principal::RULE,
    wrong_external_id::RULE,
];

/// The rules that look at what a late record may complete: the chain, and the place of a person
/// who acts from inside AWS.
pub const FOLLOWING: &[&str] =
    &["chain_cycle", "chain_depth", "credential_hop", "missing_mfa", "new_network"];

/// The rules that look at where a caller is, whichever role it takes there.
pub const OF_PLACE: &[&str] = &["credential_hop", "new_network"];

/// A rule: what it checks, and what whoever reads its alert has to know.
#[derive(Debug)]
pub struct Rule {
    /// The promised name, in `snake_case`.
    pub id: &'static str,
    /// The rule in a few words.
    pub title: &'static str,
    /// The severities it gives, mildest first. A role's declared floor may raise them.
    pub severities: &'static [Severity],
    /// MITRE ATT&CK techniques.
    pub mitre: &'static [&'static str],
    /// What has to be in the log for it to fire.
    pub sees: &'static str,
    /// Why that matters.
    pub why: &'static str,
    /// When it is harmless.
    pub harmless: &'static str,
    /// What to do first.
    pub first: &'static str,
    /// The check itself.
    pub check: fn(&Case<'_>) -> Option<Finding>,
}

/// What a rule may look at.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// What happened.
    pub event: &'a Event,
    /// What is normal for the role, if anything is known.
    pub role: Option<&'a RoleBaseline>,
    /// What is normal for the caller, if anything is known.
    pub caller: Option<&'a Caller>,
    /// What is normal for whoever began the chain, else for the caller.
    pub actor: Option<&'a Caller>,
    /// What is new about a granted assumption, in bits.
    pub surprise: Option<&'a Surprise>,
    /// What is declared for the role.
    pub expected: &'a Expected<'a>,
    /// Thresholds.
    pub tuning: &'a Tuning,
    /// Whether the caller's account takes part in what is normal, at any role.
    pub knows_account: bool,
    /// Whether the session bears the name of a person who is not the caller.
    pub bears_anothers_name: bool,
    /// Where the call comes from, for a call for a role.
    pub lineage: Option<&'a Lineage>,
    /// By which door of the remembered trust policy a granted call came in.
    pub entry: Option<&'a Entry>,
    /// What the writing of a trust policy changed.
    pub rewrite: Option<&'a Rewrite>,
    /// Whether something else is wrong with the call, so that what is merely new is worth
    /// telling beside it.
    pub is_context: bool,
    /// Whether a role makes the call that machines take and people never.
    pub is_pipeline: bool,
    /// Whether what let the caller in was worth a look, and written by such a role.
    pub is_opened_by_pipeline: bool,
    /// Whether people of ours call from the block of networks that a sign-in came from.
    pub is_peoples_place: bool,
}

/// Bits from which something adds to a sum that is unusual.
const SOME: f64 = 2.0;

/// What says that credentials are not where they belong, or do what they are not for.
const OF_CREDENTIALS: &[SignKind] =
    &[SignKind::TwoPlaces, SignKind::Moved, SignKind::NotOfCircle, SignKind::OtherPurpose];

impl<'a> Case<'a> {
    /// The granted assumption of a role, if the event is one.
    #[must_use]
    pub fn granted_assumption(&self) -> Option<&'a Assumption> {
        match self.event {
            Event::Assumption(it) if it.call.granted() && it.role().is_some() => Some(it),
            _ => None,
        }
    }

    /// The habits of the caller's class at the role.
    #[must_use]
    pub fn habits(&self, it: &Assumption) -> Option<&'a Habits> {
        self.role?.habits(it.call.principal.class(it.role_account()))
    }

    /// What is new of one dimension, where it is unusual by itself or adds to a sum that is.
    fn unusual(&self, dimension: Dimension) -> Option<(&'a Part, &'a Surprise)> {
        let surprise = self.surprise?;
        let part = surprise.part(dimension)?;
        let matters = self.is_context || self.severity_of_sum(surprise).is_some();
        let adds = part.bits >= SOME && matters;
        (part.bits >= UNUSUAL || adds).then_some((part, surprise))
    }

    /// How urgent the sum of all bits is; nothing below the threshold.
    fn severity_of_sum(&self, surprise: &Surprise) -> Option<Severity> {
        let threshold = if surprise.is_person {
            self.tuning.person_threshold_bits
        } else {
            self.tuning.machine_threshold_bits
        };
        // That a role is seldom taken, and what it is called, is nothing that the caller did.
        let by_role = surprise.bits_of(&[SignKind::Disuse, SignKind::Privilege]);
        // Whoever has a new task while on a journey is new in two ways, and no more than that. Nor
        // is the first person to do what a pipeline did, unless it is from a new place.
        let new_place = surprise.part(Dimension::Network).map_or(0.0, |part| part.bits);
        let new_kind = match new_place >= SOME {
            true => surprise.bits_of(&[SignKind::NewKind]),
            false => 0.0,
        };
        let is_more_than_new =
            !surprise.is_person || surprise.bits_of(OF_CREDENTIALS).max(new_kind) >= UNUSUAL;
        match surprise.total() {
            bits if bits >= self.tuning.high_threshold_bits
                && bits - by_role >= threshold
                && is_more_than_new =>
            {
                Some(Severity::High)
            }
            bits if bits >= threshold => Some(Severity::Medium),
            _ => None,
        }
    }
}

/// How the caller came in, for evidence and as the end of a sentence: by which statement and, if
/// the policy was weakened, by whom and how long before.
fn way_in(case: &Case<'_>, it: &Assumption) -> Option<(Value, String)> {
    let entry = case.entry?;
    let statements = listed(&entry.statements, "or");
    let told: Vec<&String> = entry.statements.iter().take(20).collect();
    let answer = match entry.answer {
        Answer::Yes => "yes",
        Answer::CannotTell => "cannot_tell",
        Answer::No => "no",
    };
    let mut value = evidence(json!({
        "admits": answer,
        "statements": told,
        "written": entry.moment.time,
        "written_by": entry.written_by,
        "stale": entry.is_refuted || entry.answer == Answer::No,
    }));
    let mut words = match entry.answer {
        _ if entry.is_refuted || statements.is_empty() => String::new(),
        Answer::No => String::new(),
        Answer::Yes | Answer::CannotTell => format!("; the way in is {statements}"),
    };
    if let Some((weakening, ago)) = entry.weakened_before(it.call.time) {
        let by = inline(weakening.by.as_str());
        let ago = before(ago);
        words.push_str(&format!("; {by} had opened the trust policy {ago} before"));
        value.insert(
            "weakened".to_owned(),
            json!({
                "by": by,
                "time": weakening.time,
                "before": ago,
                "alert": weakening.alert,
                "what": weakening.words,
            }),
        );
    }
    Some((Value::Object(value), words))
}

/// How urgent it is that somebody comes by what was opened in a trust policy. The opening was an
/// alert of its own. Of what was worth a look then, this is the rest of the story; of what was
/// worth a look at once, it is the worst that could come of it.
fn severity_of_use(weakening: &Weakening) -> Severity {
    match weakening.severity {
        Severity::Low | Severity::Medium => Severity::Low,
        Severity::High | Severity::Critical => Severity::High,
    }
}

/// The use of what was opened, told as such, and as urgent as the baseline alone would make it:
/// that somebody opened the way makes a stranger no less strange.
fn worse_of(by_opening: Option<Finding>, by_baseline: Option<Finding>) -> Option<Finding> {
    let (Some(opening), Some(baseline)) = (&by_opening, &by_baseline) else {
        return by_opening.or(by_baseline);
    };
    let mut evidence = baseline.evidence.clone();
    evidence.extend(opening.evidence.clone());
    let severity = opening.severity.max(baseline.severity);
    Some(Finding { severity, evidence, ..opening.clone() })
}

/// A time span in its largest unit: `12 minutes`, `3 days`.
fn before(span: jiff::SignedDuration) -> String {
    let minutes = u64::try_from(span.as_mins()).unwrap_or_default();
    match minutes {
        0..=119 => plural(minutes, "minute", "minutes"),
        120..=2_879 => plural(minutes / 60, "hour", "hours"),
        _ => plural(minutes / 1_440, "day", "days"),
    }
}

/// The numbers behind something new, for evidence.
fn numbers(part: &Part, surprise: &Surprise) -> Map<String, Value> {
    let round = |bits: f64| (bits * 10.0).round() / 10.0;
    evidence(json!({
        "value": part.value,
        "calls_seen": part.calls,
        "values_seen": part.turnover.values,
        "value_days": part.turnover.value_days,
        "bits": round(part.bits),
        "bits_of_role": round(part.of_role),
        "bits_of_caller": part.of_caller.map(round),
        "bits_of_call": round(surprise.total()),
        "signs": surprise.signs.iter().map(|sign| sign.words.as_str()).collect::<Vec<_>>(),
    }))
}

/// The signs of some kinds, each after a semicolon, to end a sentence.
fn signs(surprise: &Surprise, kinds: &[SignKind]) -> String {
    let signs = surprise.signs.iter().filter(|sign| kinds.contains(&sign.kind));
    signs.map(|sign| format!("; {}", sign.words)).collect()
}

/// The numbers behind something new, in words: `48 calls showed 2 principals, and the chance
/// that the next is new is about 1 in 60`.
fn experience(part: &Part) -> String {
    let (one, many) = part.dimension.words();
    let noun = plural(u64::from(part.turnover.values), one, many);
    let calls = plural(part.calls, "call", "calls");
    let chance = part.turnover.chance_of_new();
    if part.calls == 0 {
        return "no such call was seen before".to_owned();
    }
    if chance >= 0.5 {
        return format!("{calls} showed {noun}, so that the next may well be new");
    }
    let times = 1.0 / chance.max(f64::MIN_POSITIVE);
    format!("{calls} showed {noun}, and the chance that the next is new is about 1 in {times:.0}")
}

/// An object of evidence from `json!({…})`.
fn evidence(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}

/// The rule with this id.
#[must_use]
pub fn by_id(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}

/// Everything that the rules find in one case, most urgent first.
#[must_use]
pub fn check(case: &Case<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = RULES.iter().filter_map(|rule| (rule.check)(case)).collect();
    sort(&mut findings);
    findings
}

/// What is new about a call beside findings of medium severity or more: told with them as low,
/// and worth nothing alone.
#[must_use]
pub fn beside(case: &Case<'_>, findings: &[Finding]) -> Vec<Finding> {
    if worst(findings) < Some(Severity::Medium) {
        return Vec::new();
    }
    let context = Case { is_context: true, ..*case };
    let quiet = RULES.iter().filter(|rule| findings.iter().all(|it| it.rule != rule.id));
    let found = quiet.filter_map(|rule| (rule.check)(&context));
    found.map(|it| Finding { severity: Severity::Low, ..it }).collect()
}

/// The order in which findings are told: most urgent first.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| (b.severity, &a.rule).cmp(&(a.severity, &b.rule)));
}

#[cfg(test)]
mod tests;
