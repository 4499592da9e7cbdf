//! A session was named as sessions of this role never were, or after somebody else.

use super::{Case, Finding, Ground, Rule, evidence, experience, json, numbers};
use crate::baseline::Dimension;
use crate::event::Assumption;
use crate::severity::Severity;
use crate::surprise::is_person;
use crate::text::{Text, inline};

pub(super) const RULE: Rule = Rule {
    id: "new_session_name",
    title: "Session with an unusual name",
    severities: &[Severity::Low, Severity::Medium, Severity::High],
    mitre: &["T1078.004", "T1036"],
    sees: "A granted assumption whose session bears the name of another person (medium, low if a \
           machine's may be called so by chance), or a \
           name of a shape that is new to the role and to the caller (low, and more where more \
           is unusual about the call). Names are compared by how they are built, so that ids, \
           numbers and time stamps may change.",
    why: "The session name is what later records show. Whoever borrows a colleague's name hides \
          behind them, and tools name their sessions in their own way.",
    harmless: "A new version of an SDK, a new tool, a person who typed a colleague's name while \
               helping them.",
    first: "Look who made the call: the principal tells the truth, the session name what the \
            caller wrote. Ask them about the name.",
    check,
};

fn check(case: &Case<'_>) -> Option<Finding> {
    let it = case.granted_assumption()?;
    borrowed(case, it).or_else(|| by_baseline(case, it))
}

fn borrowed(case: &Case<'_>, it: &Assumption) -> Option<Finding> {
    if !case.bears_anothers_name {
        return None;
    }
    let who = it.who();
    let name = inline(it.session.name.as_ref().map_or("", Text::as_str));
    let role = inline(it.role()?.name());
    // A machine may have a name that a person has too; it hardly has a person's address.
    let alone = if is_person(it) || name.contains('@') { Severity::Medium } else { Severity::Low };
    let sum = case.surprise.and_then(|surprise| case.severity_of_sum(surprise));
    Some(Finding {
        rule: RULE.id.into(),
        severity: sum.unwrap_or(alone).max(alone),
        phrase: "under another person's name".into(),
        summary: format!("{who} took {role} in a session named `{name}`, another person's name"),
        evidence: evidence(json!({ "borrowed_name": name })),
        ground: Ground::Habit,
    })
}

fn by_baseline(case: &Case<'_>, it: &Assumption) -> Option<Finding> {
    let (part, surprise) = case.unusual(Dimension::SessionName)?;
    let who = it.who();
    let name = inline(it.session.name.as_ref().map_or("", Text::as_str));
    let role = inline(it.role()?.name());
    Some(Finding {
        rule: RULE.id.into(),
        severity: case.severity_of_sum(surprise).unwrap_or(Severity::Low),
        phrase: "in a session named as none before".into(),
        summary: format!(
            "{who} took {role} in a session named `{name}`, built as no name before: {}",
            experience(part)
        ),
        evidence: numbers(part, surprise),
        ground: Ground::Habit,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::scene::{Scene, call, session, user, with};
    use super::RULE;
    use crate::severity::Severity;

    fn named(who: &str, name: &str) -> Value {
        let session = ("/requestParameters/roleSessionName", json!(name));
        with(call(), &[("/userIdentity", user(who, "111122223333")), session])
    }

    #[test]
    fn fires_under_another_persons_name_and_on_a_new_shape() {
        let mut scene =
            Scene::default().daily(30, &named("alice", "alice")).daily(3, &named("bob", "bob"));
        assert_eq!(scene.then(RULE.id, &named("bob", "alice")), Some(Severity::Medium));
        let mut scene = Scene::default().daily(40, &named("alice", "alice"));
        let tool = named("alice", "botocore-session-1700000000");
        assert_eq!(scene.then(RULE.id, &tool), Some(Severity::Low));
    }

    #[test]
    fn is_silent_on_turning_names_and_on_a_name_handed_on() {
        let mut scene = Scene::default().daily(30, &named("alice", "botocore-session-1"));
        assert_eq!(scene.then(RULE.id, &named("alice", "botocore-session-99")), None);
        let chained = with(named("alice", "alice"), &[("/userIdentity", session("ops", "alice"))]);
        let mut scene = Scene::default().daily(5, &named("alice", "alice"));
        assert_eq!(scene.then(RULE.id, &chained), None);
    }
}
