//! A role that nobody used for weeks was taken by somebody new to it.

use jiff::SignedDuration;

use super::{Case, Finding, Ground, Rule, evidence, json};
use crate::baseline::{Dimension, RoleBaseline};
use crate::event::{Assumption, CallerClass};
use crate::profile;
use crate::severity::Severity;
use crate::text::inline;

pub(super) const RULE: Rule = Rule {
    id: "dormant_role",
    title: "Dormant role assumed",
    severities: &[Severity::Low, Severity::Medium, Severity::High],
    mitre: &["T1078.004"],
    sees: "A granted assumption of a role that nobody but services had taken for thirty days \
           (tuning), by a principal that never took it (medium, but low where each time somebody \
           else comes) or from a network that it was never taken from (low), and more where \
           more is unusual about the call. The same principal from the same network is nothing: \
           jobs may run once a quarter.",
    why: "Nobody watches a role that nobody uses. Break-glass and leftover roles are often the \
          strongest ones in an account.",
    harmless: "A real emergency, or a drill, by somebody who had not done it before.",
    first: "Ask for the incident or the drill. Without one, revoke the role's sessions; \
            afterwards delete the role, or keep it with a shorter list of who may take it.",
    check,
};

fn check(case: &Case<'_>) -> Option<Finding> {
    let it = case.granted_assumption()?;
    let baseline = case.role?;
    let class = it.call.principal.class(it.role_account());
    if class == CallerClass::Service || it.role()?.is_service_linked() {
        return None;
    }
    let last = baseline.last_taken()?;
    let unused = it.call.time.duration_since(last);
    if unused < SignedDuration::from_hours(24 * i64::from(case.tuning.dormant_days)) {
        return None;
    }
    let sum = case.surprise.and_then(|surprise| case.severity_of_sum(surprise));
    let (severity, new) = if new_to(baseline, Dimension::Principal, it) {
        let alone = if is_news(case) { Severity::Medium } else { Severity::Low };
        (sum.unwrap_or(alone), "to whom it is new")
    } else if new_to(baseline, Dimension::Network, it) {
        (sum.unwrap_or(Severity::Low), "from a network that is new to it")
    } else {
        return None;
    };
    let days = unused.as_hours() / 24;
    let who = it.who();
    let role = inline(it.role()?.name());
    Some(Finding {
        rule: RULE.id.into(),
        severity,
        phrase: "after weeks without use".into(),
        summary: format!(
            "{role} was out of normal use for {days} days, then taken by {who}, {new}"
        ),
        evidence: evidence(json!({
            "unused_days": days,
            "last_taken": last.to_string(),
            "address": it.call.address.to_text(),
        })),
        ground: Ground::Habit,
    })
}

/// Whether it says something that somebody else came: it does not where each time somebody else
/// comes, or one of those who take the same roles, nor before it is known who it was.
fn is_news(case: &Case<'_>) -> bool {
    let part = case.surprise.and_then(|surprise| surprise.part(Dimension::Principal));
    part.is_some_and(|part| part.of_role >= 1.0 && part.bits >= 1.0)
}

/// Whether the call shows a value that no class of callers of the role ever had.
fn new_to(baseline: &RoleBaseline, dimension: Dimension, it: &Assumption) -> bool {
    let values = profile::of_role(it, None);
    let value = values.iter().find(|(of, _)| *of == dimension).map(|(_, value)| value);
    value.is_some_and(|value| {
        baseline.iter().all(|(_, habits)| habits.seen(dimension, value).is_none())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::scene::{Scene, call, user, with};
    use super::RULE;
    use crate::severity::Severity;

    #[test]
    fn fires_for_somebody_new_after_weeks_and_for_a_new_network() {
        let bob = with(call(), &[("/userIdentity", user("bob", "111122223333"))]);
        let elsewhere = with(call(), &[("/sourceIPAddress", json!("203.0.113.9"))]);
        // Of a key that came twice its absence says nothing.
        let scenes = [
            (2, bob, Severity::Medium),
            (6, elsewhere.clone(), Severity::Medium),
            (2, elsewhere, Severity::Low),
        ];
        for (days, record, severity) in scenes {
            let mut scene = Scene::default().daily(days, &call()).quiet(40);
            assert_eq!(scene.then(RULE.id, &record), Some(severity), "{days} days");
        }
    }

    #[test]
    fn is_low_where_each_time_somebody_else_comes() {
        let by = |name| with(call(), &[("/userIdentity", user(name, "111122223333"))]);
        let mut scene = Scene::default().daily(1, &by("bob")).quiet(10).daily(1, &by("carol"));
        scene = scene.quiet(40);
        assert_eq!(scene.then(RULE.id, &by("dave")), Some(Severity::Low));
    }

    #[test]
    fn is_silent_for_those_who_always_came_and_before_thirty_days() {
        let mut scene = Scene::default().daily(2, &call()).quiet(90);
        assert_eq!(scene.then(RULE.id, &call()), None);
        let bob = with(call(), &[("/userIdentity", user("bob", "111122223333"))]);
        let mut scene = Scene::default().daily(2, &call()).quiet(20);
        assert_eq!(scene.then(RULE.id, &bob), None);
    }
}
