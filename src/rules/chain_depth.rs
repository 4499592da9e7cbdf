//! A role was reached through more roles than it should be.

use super::{Case, Finding, Ground, Rule, evidence, json};
use crate::baseline::Dimension;
use crate::lineage::Lineage;
use crate::profile;
use crate::severity::Severity;
use crate::surprise::UNUSUAL;
use crate::text::{inline, plural};

pub(super) const RULE: Rule = Rule {
    id: "chain_depth",
    title: "Role reached through many roles",
    severities: &[Severity::Low, Severity::Medium, Severity::High],
    mitre: &["T1078.004", "T1550.001"],
    sees: "A granted assumption at the end of a chain of roles, each taken with the session of \
           the one before. It is high where the chain is longer than declared for the role, and \
           low or medium where it is longer than this role was ever reached by and a new length \
           is unusual here. Where a call of the chain was not seen its length is a lower bound. \
           Delivery of a role to an instance, a function or a task is not chaining.",
    why: "Every hop takes the call further from the person or key it began with: policies, \
          session policies and MFA conditions look at the last hop alone. Somebody who moves \
          through accounts goes from role to role.",
    harmless: "A pipeline got another stage, or a tool now goes through a hub role first. It is \
               the same chain every time then, from the same origin.",
    first: "Read the chain from its origin: is that a person or a pipeline that has business \
            with this role? If not, deactivate the credentials at the origin and attach \
            AWSRevokeOlderSessions to every role of the chain, the last one first.",
    check,
};

fn check(case: &Case<'_>) -> Option<Finding> {
    let it = case.granted_assumption()?;
    let lineage = case.lineage?;
    let (severity, ground, reason) = match case.expected.max_chain_depth {
        Some(most) if lineage.depth > most => {
            let most = plural(u64::from(most), "role is", "roles are");
            (Severity::High, Ground::Fact, format!("{most} declared as the most"))
        }
        Some(_) => return None,
        None => {
            let (severity, reason) = unusual(case, lineage)?;
            (severity, Ground::Habit, reason)
        }
    };
    let depth = plural(u64::from(lineage.depth), "role", "roles");
    let at_least = if lineage.complete { "" } else { "at least " };
    Some(Finding {
        rule: RULE.id.into(),
        severity,
        phrase: format!("through a chain of {at_least}{depth}").into(),
        summary: format!(
            "{} was reached through a chain of {at_least}{depth} ({}), and {reason}",
            inline(it.role()?.name()),
            crate::text::escape_controls(&lineage.compact()),
        ),
        evidence: evidence(json!({
            "depth": lineage.depth,
            "complete": lineage.complete,
            "declared": case.expected.max_chain_depth,
        })),
        ground,
    })
}

/// Longer than any chain that has ended in this role, where a new length is unusual.
fn unusual(case: &Case<'_>, lineage: &Lineage) -> Option<(Severity, String)> {
    let role = case.role?;
    // What most calls come to: no deeper than ever.
    if role.has_seen(Dimension::Depth, &profile::depth(lineage.depth)) {
        return None;
    }
    let tables = role.iter().filter_map(|(_, habits)| habits.table(Dimension::Depth));
    let seen = tables.flat_map(|table| table.iter()).filter_map(|(depth, _)| depth.parse().ok());
    let deepest: u32 = seen.max()?;
    if lineage.depth <= deepest {
        return None;
    }
    if role.turnover_of_all(Dimension::Depth).bits_of_new() < UNUSUAL {
        return None;
    }
    let sum = case.surprise.and_then(|surprise| case.severity_of_sum(surprise));
    // Of another company's session only that is known that it was one.
    let sum = sum.filter(|_| lineage.complete);
    let severity = sum.map_or(Severity::Low, |_| Severity::Medium);
    let calls = plural(role.calls_of_all(Dimension::Depth), "call", "calls");
    Some((severity, format!("in {calls} it was never reached through more than {deepest}")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::scene::{Scene, call, session, with};
    use super::RULE;
    use crate::severity::Severity;

    /// `Target` is taken by a session of `role` that nobody saw being opened.
    fn by(role: &str) -> Value {
        with(call(), &[("/userIdentity", session(role, "alice"))])
    }

    #[test]
    fn fires_for_more_than_is_declared_and_for_more_than_ever() {
        let declared = "[[role]]\nmatch = '*:role/Target'\nmax_chain_depth = 1";
        assert_eq!(Scene::declaring(declared).then(RULE.id, &by("Dev")), Some(Severity::High));
        let mut scene = Scene::default().daily(40, &call());
        assert_eq!(scene.then(RULE.id, &by("Dev")), Some(Severity::Low));
    }

    #[test]
    fn is_silent_within_the_limit_for_the_role_itself_and_with_little_history() {
        let declared = "[[role]]\nmatch = '*:role/Target'\nmax_chain_depth = 2";
        assert_eq!(Scene::declaring(declared).then(RULE.id, &by("Dev")), None);
        let declared = "[[role]]\nmatch = '*:role/Target'\nmax_chain_depth = 1";
        assert_eq!(Scene::declaring(declared).then(RULE.id, &by("Target")), None);
        let refused = with(by("Dev"), &[("/errorCode", json!("AccessDenied"))]);
        assert_eq!(Scene::declaring(declared).then(RULE.id, &refused), None);
        assert_eq!(Scene::default().daily(2, &call()).then(RULE.id, &by("Dev")), None);
    }
}
