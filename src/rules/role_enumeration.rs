//! Somebody tries which roles they can take.

use jiff::SignedDuration;

use super::{Case, Finding, Ground, Rule, evidence, json};
use crate::baseline::Dimension;
use crate::event::{Assumption, Event};
use crate::severity::Severity;
use crate::text::inline;

pub(super) const RULE: Rule = Rule {
    id: "role_enumeration",
    title: "Many roles tried",
    severities: &[Severity::Medium, Severity::High],
    mitre: &["T1087.004", "T1580"],
    sees: "One principal was refused many different roles within minutes (medium), and then was \
           granted one that it does not take every day (high). Both numbers are tuning: eight \
           roles in fifteen minutes. Refusals of one role, as right after its creation, are not \
           this.",
    why: "With a stolen credential in hand the first question is what it opens. Trying every \
          role by name is how tools answer it.",
    harmless: "An inventory or posture tool that walks over all roles with too few rights. It \
               does so at fixed times and is worth an exemption.",
    first: "Find out what the principal is for. If it is no inventory tool, deactivate its \
            credential, and look at every role it was granted since.",
    check,
};

/// Days on which a role was taken that is the caller's own.
const OWN: u32 = 3;

fn check(case: &Case<'_>) -> Option<Finding> {
    let Event::Assumption(it) = case.event else { return None };
    let role = it.role()?;
    let minutes = case.tuning.enumeration_minutes;
    let window = SignedDuration::from_mins(i64::from(minutes));
    let denials = &case.caller?.denials;
    // Of most callers there are none, and one alone is no enumeration.
    if denials.is_empty() {
        return None;
    }
    let mut refused = denials.roles(it.call.time, window);
    let granted = it.call.granted();
    if granted {
        refused.remove(role);
    } else {
        refused.insert(role);
    }
    // Of one's own role that is taken every day it is no news that it was not refused.
    let days = case.caller?.habits().days(Dimension::Role, role.as_str());
    if granted && days >= OWN {
        return None;
    }
    let count = u32::try_from(refused.len()).unwrap_or(u32::MAX);
    if count < case.tuning.enumeration_roles {
        return None;
    }
    let names: Vec<String> = refused.iter().take(10).map(|role| inline(role.name())).collect();
    Some(finding(it, granted, count, minutes, &names))
}

fn finding(it: &Assumption, granted: bool, count: u32, minutes: u32, names: &[String]) -> Finding {
    let who = it.who();
    let tried = format!("{who} was refused {count} roles within {minutes} minutes");
    let (severity, phrase, summary) = match it.role() {
        Some(role) if granted => {
            let summary =
                format!("{tried} ({}), then took {}", names.join(", "), inline(role.name()));
            (Severity::High, "after many refusals", summary)
        }
        _ => (Severity::Medium, "of many roles refused", format!("{tried}: {}", names.join(", "))),
    };
    Finding {
        rule: RULE.id.into(),
        severity,
        phrase: phrase.into(),
        summary,
        evidence: evidence(json!({ "refused_roles": count, "minutes": minutes, "roles": names })),
        ground: Ground::Fact,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::scene::{Scene, call, with};
    use super::RULE;
    use crate::severity::Severity;

    fn refused(role: u32) -> Value {
        let arn = format!("arn:aws:iam::111122223333:role/r{role}");
        let changes =
            [("/requestParameters/roleArn", json!(arn)), ("/errorCode", json!("AccessDenied"))];
        with(call(), &changes)
    }

    #[test]
    fn fires_at_the_eighth_role_and_on_the_grant_after_it() {
        let mut scene = Scene::default();
        for role in 1..8 {
            assert_eq!(scene.then(RULE.id, &refused(role)), None, "{role}");
        }
        assert_eq!(scene.then(RULE.id, &refused(8)), Some(Severity::Medium));
        assert_eq!(scene.then(RULE.id, &call()), Some(Severity::High));
    }

    #[test]
    fn is_silent_on_the_role_that_the_caller_takes_every_day() {
        let mut scene = Scene::default().daily(5, &call());
        for role in 1..9 {
            scene.then(RULE.id, &refused(role));
        }
        assert_eq!(scene.then(RULE.id, &call()), None);
    }

    #[test]
    fn is_silent_on_one_role_refused_often_and_on_refusals_days_apart() {
        let mut scene = Scene::default();
        for _ in 0..20 {
            assert_eq!(scene.then(RULE.id, &refused(1)), None);
        }
        let mut scene = Scene::default();
        for role in 0..10 {
            scene = scene.quiet(1);
            assert_eq!(scene.then(RULE.id, &refused(role)), None);
        }
    }
}
