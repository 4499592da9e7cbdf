//! A person took a role without multi-factor authentication.

use super::{Case, Finding, Ground, Rule, evidence, json, way_in};
use crate::baseline::{Caller, Dimension, Habits};
use crate::config::MfaExpectation;
use crate::event::{Assumption, Credential, Mfa, PrincipalKind};
use crate::severity::Severity;
use crate::text::{inline, plural};
use crate::trust::{Answer, MfaDemand};

/// How steadily a role has to be taken with MFA for a call without it to be high: on at least
/// this many days, and on at least nine of ten days on which anybody took it.
const STEADY_DAYS: u32 = 3;

pub(super) const RULE: Rule = Rule {
    id: "missing_mfa",
    title: "Role assumed without MFA",
    severities: &[Severity::Low, Severity::Medium, Severity::High],
    mitre: &["T1078.004"],
    sees: "A granted AssumeRole by an IAM user whose record proves that no second factor was \
           used: a long-term key without a session, or a session that says so, and no device \
           serial in the request. It is high where MFA is declared as required, or this user has \
           always shown one on at least three days; medium where neither the user nor the role is \
           known yet; low where nothing is known of the user and the role is steadily taken with \
           MFA; and nothing where the user is known for working without, or where MFA is declared \
           as not required. It is high too where the role's trust policy demands MFA by \
           BoolIfExists and a long-term key came in without: such a key has no MFA context, so \
           the condition passes. Records that cannot tell (another account's copy, identity \
           providers) never fire. Of a role session the chain that led to it counts: it is high \
           where that chain is known back to a user who had no second factor, and this role \
           demands one or is usually taken with one.",
    why: "A long-term key works for whoever holds it. Without a second factor a key from a \
          laptop, a repository or a log is all it takes to become the role.",
    harmless: "An IAM user that belongs to a machine and has always worked this way. It becomes \
               normal by itself after three days on which nothing else was wrong, over at least \
               72 hours.",
    first: "Ask the user whether the call was theirs. If not, or if nobody answers, deactivate \
            the access key, attach AWSRevokeOlderSessions to the role, and look at what the \
            issued key did. If it was, demand aws:MultiFactorAuthPresent with a plain Bool in \
            the role's trust policy.",
    check,
};

fn check(case: &Case<'_>) -> Option<Finding> {
    let it = case.granted_assumption()?;
    let principal = &it.call.principal;
    match principal.kind {
        _ if it.call.mfa != Mfa::Absent => return None,
        PrincipalKind::IamUser => {}
        PrincipalKind::Role => return check_chain(case, it),
        _ => return None,
    }
    let habits = case.habits(it);
    let (with, without) = habits.map_or((0, 0), days_with_and_without);
    let slipped = slipped_through(case, it);
    let (severity, ground, reason) = match case.expected.mfa {
        Some(MfaExpectation::NotRequired) => return None,
        Some(MfaExpectation::Required) => {
            (Severity::High, Ground::Fact, "it is declared that the role requires one".to_owned())
        }
        None if slipped => (Severity::High, Ground::Fact, SLIPPED.to_owned()),
        None => {
            let key = principal.key()?;
            if habits.is_some_and(|it| it.seen(Dimension::WithoutMfa, key.as_str()).is_some()) {
                return None;
            }
            let (severity, reason) = by_habit(case.caller, (with, without))?;
            (severity, Ground::Habit, reason)
        }
    };
    let who = it.who();
    let role = inline(it.role()?.name());
    let way_in = way_in(case, it).filter(|_| slipped);
    Some(Finding {
        rule: RULE.id.into(),
        severity,
        phrase: "without MFA".into(),
        summary: format!(
            "{who} took {role} {} from {}: no second factor was used, and {reason}",
            credential(it),
            it.call.address.display(),
        ),
        evidence: evidence(json!({
            "mfa": it.call.mfa.as_str(),
            "credential": credential(it),
            "days_with_mfa": with,
            "days_without_mfa": without,
        }))
        .into_iter()
        .chain(way_in.map(|(trust, _)| ("trust".to_owned(), trust)))
        .collect(),
        ground,
    })
}

/// What the habits of the user and of the role say of a call without MFA. Who never shows a
/// second factor has none, whichever role it is; who always did has one, and whoever holds their
/// key has not.
fn by_habit(caller: Option<&Caller>, (with, without): (u32, u32)) -> Option<(Severity, String)> {
    let (own, own_without) = caller.map_or((0, 0), |it| days_with_and_without(it.habits()));
    let days = |days: u32| plural(u64::from(days), "day", "days");
    let is_steady = |with: u32, without: u32| with >= STEADY_DAYS && with >= 9 * without;
    let of_role =
        || format!("the role was taken with MFA on {} and without it on {without}", days(with));
    let of_user = || format!("this user showed one on {} and never went without", days(own));
    if own >= STEADY_DAYS && own_without == 0 {
        let reason = match is_steady(with, without) {
            true => format!("{}, and {}", of_user(), of_role()),
            false => of_user(),
        };
        return Some((Severity::High, reason));
    }
    if own + own_without > 0 {
        // Somebody known for working without, or only now and then with one.
        return None;
    }
    if with + without == 0 {
        let reason = "neither the user nor the role was seen to do without before";
        return Some((Severity::Medium, reason.to_owned()));
    }
    is_steady(with, without).then(|| (Severity::Low, of_role()))
}

const SLIPPED: &str = "the trust policy means to demand one, but by BoolIfExists, which lets in a \
                       long-term key that has none";

/// Whether every statement that can have let the caller in demands MFA of those alone of whom
/// the request tells: of a long-term key it does not.
fn slipped_through(case: &Case<'_>, it: &Assumption) -> bool {
    let entry = case.entry.filter(|it| it.answer != Answer::No && !it.is_refuted);
    matches!(it.call.principal.credential, Credential::LongTerm(_))
        && entry.is_some_and(|it| it.mfa == MfaDemand::IfPresent)
}

/// A session took the role, and whoever began its chain had no MFA. Most chains begin with
/// machines, so this is told only where MFA is demanded or usual.
fn check_chain(case: &Case<'_>, it: &Assumption) -> Option<Finding> {
    let lineage = case.lineage.filter(|lineage| lineage.complete)?;
    let habits = case.habits(it);
    let (with, without) = habits.map_or((0, 0), days_with_and_without);
    let is_known = lineage.origin.as_ref().is_some_and(|origin| {
        habits.is_some_and(|it| it.seen(Dimension::WithoutMfa, origin.as_str()).is_some())
    });
    let (own, own_without) = case.actor.map_or((0, 0), |it| days_with_and_without(it.habits()));
    let uses_mfa = own >= own_without;
    let (ground, reason) = match case.expected.mfa {
        Some(MfaExpectation::NotRequired) => return None,
        Some(MfaExpectation::Required) => {
            (Ground::Fact, "it is declared that the role requires one".to_owned())
        }
        None if !is_known && uses_mfa && with >= STEADY_DAYS && with >= 9 * without => {
            let days = plural(u64::from(with), "day", "days");
            let reason =
                format!("the role was taken with MFA on {days} and without it on {without}");
            (Ground::Habit, reason)
        }
        None => return None,
    };
    let first = lineage.first()?;
    let origin = inline(first.principal.as_ref()?.as_str());
    let address = first.address.as_ref().map_or_else(String::new, |it| inline(&it.to_text()));
    Some(Finding {
        rule: RULE.id.into(),
        severity: Severity::High,
        phrase: format!("without MFA of {origin}, who began the chain").into(),
        summary: format!(
            "{} took {} in a chain that {origin} began from {address} without a second factor, \
             and {reason}",
            it.call.principal.display(),
            inline(it.role()?.name()),
        ),
        evidence: evidence(json!({
            "mfa": it.call.mfa.as_str(),
            "origin": origin,
            "origin_address": address,
            "origin_event": first.event_id,
            "days_with_mfa": with,
            "days_without_mfa": without,
        })),
        ground,
    })
}

fn days_with_and_without(habits: &Habits) -> (u32, u32) {
    let days = |mfa: Mfa| habits.days(Dimension::Mfa, mfa.as_str());
    (days(Mfa::Present).max(days(Mfa::Inherited)), days(Mfa::Absent))
}

fn credential(it: &Assumption) -> &'static str {
    match it.call.principal.credential {
        Credential::LongTerm(_) => "with a long-term key",
        Credential::Temporary { .. } => "with a temporary key",
        Credential::Unseen => "with a key that the record does not show",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::scene::{Chain, Scene, call, session, user, with};
    use super::RULE;
    use crate::severity::Severity;

    fn without() -> Value {
        with(call(), &[("/requestParameters/serialNumber", Value::Null)])
    }

    fn policy(operator: &str) -> Value {
        let document = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "sts:AssumeRole",
            "Condition": {operator: {"aws:MultiFactorAuthPresent": "true"}},
        }]});
        json!({
            "eventSource": "iam.amazonaws.com",
            "eventName": "UpdateAssumeRolePolicy",
            "recipientAccountId": "111122223333",
            "sourceIPAddress": "198.51.100.7",
            "userIdentity": user("admin", "111122223333"),
            "requestParameters": {"roleName": "Target", "policyDocument": document.to_string()},
        })
    }

    #[test]
    fn fires_on_a_long_term_key_that_bool_if_exists_let_in() {
        let scene = |operator: &str| {
            let mut scene = Scene::default().daily(5, &without());
            scene.then(RULE.id, &policy(operator));
            scene.quiet(1).then(RULE.id, &without())
        };
        assert_eq!(scene("BoolIfExists"), Some(Severity::High));
        assert_eq!(scene("Bool"), None, "then another policy was in force");
        let mut declared = Scene::declaring(NOT_REQUIRED);
        declared.then(RULE.id, &policy("BoolIfExists"));
        assert_eq!(declared.quiet(1).then(RULE.id, &without()), None);
    }

    const REQUIRED: &str = "[[role]]\nmatch = '*:role/Target'\nmfa = 'required'";
    const NOT_REQUIRED: &str = "[[role]]\nmatch = '*:role/Target'\nmfa = 'not_required'";

    #[test]
    fn fires_where_mfa_is_usual_or_declared() {
        let mut scene = Scene::default().daily(10, &call());
        assert_eq!(scene.then(RULE.id, &without()), Some(Severity::High));
        assert_eq!(Scene::declaring(REQUIRED).then(RULE.id, &without()), Some(Severity::High));
        let bob = with(without(), &[("/userIdentity", user("bob", "111122223333"))]);
        assert_eq!(scene.then(RULE.id, &bob), Some(Severity::Low), "of whom nothing is known");
    }

    #[test]
    fn fires_once_for_a_user_and_a_role_of_which_nothing_is_known() {
        let mut scene = Scene::default();
        assert_eq!(scene.then(RULE.id, &without()), Some(Severity::Medium));
        assert_eq!(scene.quiet(1).then(RULE.id, &without()), Some(Severity::Low), "a reminder");
    }

    #[test]
    fn fires_at_the_end_of_a_chain_that_began_without() {
        let mut chain = Chain::from(Scene::declaring(REQUIRED), without());
        assert_eq!(chain.take("Dev", 5, "chain_cycle"), None);
        assert_eq!(chain.take("Target", 5, RULE.id), Some(Severity::High));
        let mut chain = Chain::new(Scene::declaring(REQUIRED));
        assert_eq!(chain.take("Dev", 5, RULE.id), None);
        assert_eq!(chain.take("Target", 5, RULE.id), None, "it is inherited");
    }

    #[test]
    fn is_silent_with_mfa_without_knowledge_on_refusals_and_where_it_is_not_required() {
        assert_eq!(Scene::default().then(RULE.id, &call()), None);
        let alice = Scene::default().daily(5, &without());
        let other = [("/requestParameters/roleArn", json!("arn:aws:iam::111122223333:role/New"))];
        assert_eq!(alice.quiet(1).then(RULE.id, &with(without(), &other)), None, "as always");
        assert_eq!(Scene::declaring(NOT_REQUIRED).then(RULE.id, &without()), None);
        let role = with(without(), &[("/userIdentity", session("ci", "run"))]);
        assert_eq!(Scene::declaring(REQUIRED).then(RULE.id, &role), None);
        let refused = with(without(), &[("/errorCode", json!("AccessDenied"))]);
        assert_eq!(Scene::declaring(REQUIRED).then(RULE.id, &refused), None);
    }
}
