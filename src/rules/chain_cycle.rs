//! A chain of roles came back to a role, or outlived its first session.

use jiff::{SignedDuration, Timestamp};

use super::{Case, Finding, Ground, Rule, evidence, json};
use crate::id::RoleArn;
use crate::lineage::Lineage;
use crate::severity::Severity;
use crate::text::{escape_controls, inline};

pub(super) const RULE: Rule = Rule {
    id: "chain_cycle",
    title: "Sessions that keep each other alive",
    severities: &[Severity::Medium, Severity::High],
    mitre: &["T1550.001", "T1098.001"],
    sees: "A granted assumption whose chain of roles comes back to a role that it has left \
           (A, B, A), or in which a role was taken by its own session three times in a row, which \
           is medium; or that is made after the first session of its chain has expired, so that \
           the chain is kept alive by taking roles in turn, which is high. A role taken once or \
           twice by its own session is no cycle.",
    why: "A session taken from another role lives for an hour at most. Two roles that trust each \
          other, or one that trusts itself, give new hours without end to whoever once had a \
          session: the origin's key may long be gone.",
    harmless: "A long job that renews its role with the role's own session instead of asking its \
               origin again. It is better mended than exempted: the origin should be asked.",
    first: "Take the roles' trust in each other out of their policies, and attach \
            AWSRevokeOlderSessions to all roles of the chain at once: revoking one leaves the \
            others to take it again.",
    check,
};

/// A session that was made before the first one ended lives for an hour more: whoever goes
/// through a hub late keeps the last role for so long. It takes the same roles again, or more than
/// that hour, to say that somebody keeps a chain alive.
fn is_too_long(lineage: &Lineage, expired: Timestamp) -> bool {
    const CHAINED: SignedDuration = SignedDuration::from_hours(1);
    let Some((last, before)) = lineage.links.split_last() else { return false };
    let comes_again =
        |role: &RoleArn| before.iter().filter(|it| it.role.as_ref() == Some(role)).count() > 0;
    let is_again = last.role.as_ref().is_some_and(comes_again)
        || before.windows(2).any(|two| matches!(two, [one, next] if one.role == next.role));
    is_again || last.time.is_some_and(|time| time.duration_since(expired) > CHAINED)
}

fn check(case: &Case<'_>) -> Option<Finding> {
    const MANY: usize = 3;
    let it = case.granted_assumption()?;
    let lineage = case.lineage?;
    let outlived = lineage.outlived().filter(|expired| is_too_long(lineage, *expired));
    let returns = lineage.returns_to();
    let renewals = lineage.renewals();
    let (severity, phrase, reason) = match (outlived, returns) {
        (Some(expired), _) => (
            Severity::High,
            "with a chain that outlived its first session",
            format!("the first session of the chain expired at {expired}"),
        ),
        (None, Some(_)) => {
            let reason = "the chain comes back to a role that it had left";
            (Severity::Medium, "by a chain that comes back to it", reason.to_owned())
        }
        (None, None) if renewals >= MANY => {
            let reason = format!("the role was taken by its own session {renewals} times in a row");
            (Severity::Medium, "by its own session again and again", reason)
        }
        (None, None) => return None,
    };
    Some(Finding {
        rule: RULE.id.into(),
        severity,
        phrase: phrase.into(),
        summary: format!(
            "{} took {} ({}): {reason}",
            it.call.principal.display(),
            inline(it.role()?.name()),
            escape_controls(&lineage.compact()),
        ),
        evidence: evidence(json!({
            "depth": lineage.depth,
            "complete": lineage.complete,
            "first_session_expired": outlived.map(|time| time.to_string()),
            "taken_before_at": returns.and_then(|link| link.time).map(|time| time.to_string()),
        })),
        ground: Ground::Fact,
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::scene::{Chain, Scene};
    use super::RULE;
    use crate::severity::Severity;

    #[test]
    fn fires_when_a_chain_comes_back_and_when_it_outlives_its_first_session() {
        let mut chain = Chain::new(Scene::default());
        assert_eq!(chain.take("A", 5, RULE.id), None);
        assert_eq!(chain.take("B", 5, RULE.id), None);
        assert_eq!(chain.take("A", 5, RULE.id), Some(Severity::Medium));
        let mut chain = Chain::new(Scene::default());
        for minutes in [5, 50, 9] {
            assert_eq!(chain.take("A", minutes, RULE.id), None);
        }
        assert_eq!(chain.take("A", 10, RULE.id), Some(Severity::High));
    }

    #[test]
    fn fires_when_a_role_takes_itself_three_times_in_a_row() {
        let mut chain = Chain::new(Scene::default());
        for minutes in [5, 9, 8] {
            assert_eq!(chain.take("A", minutes, RULE.id), None);
        }
        assert_eq!(chain.take("A", 7, RULE.id), Some(Severity::Medium));
    }

    #[test]
    fn is_silent_for_a_straight_chain_and_for_a_role_that_renews_itself_in_time() {
        let mut chain = Chain::new(Scene::default());
        for role in ["A", "A", "B", "C"] {
            assert_eq!(chain.take(role, 5, RULE.id), None);
        }
    }
}
