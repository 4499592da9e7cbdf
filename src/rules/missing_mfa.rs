//! A person took a role without multi-factor authentication.

use super::{Case, Finding, Ground, Rule, evidence, json};
use crate::baseline::{Dimension, Habits};
use crate::event::{Assumption, Event, Mfa, PrincipalKind};
use crate::severity::Severity;
use crate::text::inline;

/// How steadily a role has to be taken with MFA for a call without it to be high: on at least
/// this many days, and on at least nine of ten days on which anybody took it.
const STEADY_DAYS: u32 = 3;

pub(super) const RULE: Rule = Rule {
    id: "missing_mfa",
    title: "Role assumed without MFA",
    severities: &[Severity::Medium, Severity::High],
    mitre: &["T1078.004"],
    sees: "A granted AssumeRole by an IAM user whose record proves that no second factor was \
           used: a long-term key without a session, or a session that says so, and no device \
           serial in the request. It is high where the role is usually taken with MFA, medium \
           when this user takes this role without MFA for the first time. Records that cannot \
           tell (another account's copy, identity providers, role sessions) never fire.",
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
    let Event::Assumption(it) = case.event else { return None };
    let principal = &it.call.principal;
    let role = it.role()?;
    let absent =
        it.call.granted() && it.call.mfa == Mfa::Absent && principal.kind == PrincipalKind::IamUser;
    if !absent {
        return None;
    }
    let habits = case.role.and_then(|role| role.habits(principal.class(it.role_account())));
    let key = principal.key()?;
    if habits.is_some_and(|habits| habits.seen(Dimension::WithoutMfa, key.as_str()).is_some()) {
        return None;
    }
    let (with, without) = habits.map_or((0, 0), days_with_and_without);
    let usual = with >= STEADY_DAYS && with >= 9 * without;
    let who = principal.display();
    let reason = if usual {
        format!("the role was taken with MFA on {with} days and without it on {without}")
    } else {
        "this user was not seen to take this role without MFA before".to_owned()
    };
    Some(Finding {
        rule: RULE.id,
        severity: if usual { Severity::High } else { Severity::Medium },
        phrase: "without MFA",
        summary: format!(
            "{who} took {} {} from {}: no second factor was used, and {reason}",
            inline(role.name()),
            credential(it),
            it.call.address.display(),
        ),
        evidence: evidence(json!({
            "mfa": it.call.mfa.as_str(),
            "credential": credential(it),
            "days_with_mfa": with,
            "days_without_mfa": without,
        })),
        ground: Ground::Habit,
    })
}

fn days_with_and_without(habits: &Habits) -> (u32, u32) {
    let days = |mfa: Mfa| habits.days(Dimension::Mfa, mfa.as_str());
    (days(Mfa::Present), days(Mfa::Absent))
}

fn credential(it: &Assumption) -> &'static str {
    match it.call.principal.credential {
        crate::event::Credential::LongTerm(_) => "with a long-term key",
        crate::event::Credential::Temporary { .. } => "with a temporary key",
        crate::event::Credential::Unseen => "with a key that the record does not show",
    }
}
