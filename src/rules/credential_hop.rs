//! Credentials that were delivered to a machine are used somewhere else.

use super::{Case, Finding, Ground, Rule, experience, numbers};
use crate::baseline::Dimension;
use crate::event::{Assumption, PrincipalKind};
use crate::severity::Severity;
use crate::text::{Text, inline};

pub(super) const RULE: Rule = Rule {
    id: "credential_hop",
    title: "Credentials of a machine used elsewhere",
    severities: &[Severity::Medium, Severity::High],
    mitre: &["T1552.005", "T1078.004"],
    sees: "The session of an EC2 instance takes another role from a network where neither the \
           instance's role nor this role's callers ever were.",
    why: "Whoever reaches the metadata service of an instance, through a forged request or a \
          shell, can carry its credentials away. Using them from elsewhere is what a thief does \
          next, and an instance does not.",
    harmless: "The instances were moved behind another gateway, or to another network of yours.",
    first: "Compare the address with the instance's own. If it is not yours, attach \
            AWSRevokeOlderSessions to both roles, and look for what was done with the \
            credentials and for how they were taken from the instance.",
    check,
};

/// Bits from which a network is none of the machine's.
const ELSEWHERE: f64 = 4.0;

fn check(case: &Case<'_>) -> Option<Finding> {
    let it = case.granted_assumption()?;
    let instance = instance(it)?;
    let surprise = case.surprise?;
    let part = surprise.part(Dimension::Network).filter(|part| part.bits() >= ELSEWHERE)?;
    let who = it.call.principal.name.as_ref().map_or("", Text::as_str);
    let role = inline(it.role()?.name());
    let mut evidence = numbers(part, surprise);
    evidence.insert("instance".to_owned(), instance.into());
    Some(Finding {
        rule: RULE.id.into(),
        severity: case.severity_of_sum(surprise).unwrap_or(Severity::Medium),
        phrase: "with an instance's credentials from elsewhere".into(),
        summary: format!(
            "the credentials of instance {instance} ({}) took {role} from {}, where it never was: {}",
            inline(who),
            it.call.address.display(),
            experience(part)
        ),
        evidence,
        ground: Ground::Habit,
    })
}

/// The instance whose session makes the call: EC2 names sessions after instances.
fn instance(it: &Assumption) -> Option<&str> {
    let principal = &it.call.principal;
    let name = principal.session_name.as_ref().map(Text::as_str)?;
    let id = name.strip_prefix("i-")?;
    let is_instance = principal.kind == PrincipalKind::Role
        && matches!(id.len(), 8 | 17)
        && id.bytes().all(|b| b.is_ascii_hexdigit());
    is_instance.then_some(name)
}
