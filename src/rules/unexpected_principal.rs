//! Somebody took a role who is not expected there.

use super::{
    Case, Finding, Ground, Rule, evidence, experience, json, numbers, severity_of_use, way_in,
    worse_of,
};
use crate::baseline::{Dimension, RoleBaseline};
use crate::config::Comparison;
use crate::event::{Assumption, CallerClass};
use crate::severity::Severity;
use crate::surprise::{STRANGER, UNUSUAL};
use crate::text::{inline, plural};

pub(super) const RULE: Rule = Rule {
    id: "unexpected_principal",
    title: "Role assumed by an unexpected principal",
    severities: &[Severity::Low, Severity::Medium, Severity::High],
    mitre: &["T1078.004"],
    sees: "A granted assumption by a principal outside the declared list (high), or by one that \
           is new to the role while the role is new to it (medium, higher where more is unusual \
           about the call). A principal of which nothing is known yet is low. One that comes in \
           by what a trust policy was opened to is as urgent as that opening was, and no less \
           than without it. A principal that the trust policy in force names itself is \
           expected, unless the writing of that policy raised an alert or was the principal's \
           own.",
    why: "Whoever has stolen a credential tries what it can reach. To the role that is somebody \
          who never came; to the principal it is a role it never took.",
    harmless: "Somebody's duties have changed, or a pipeline was given one more role. Then the \
               trust policy or a ticket says so.",
    first: "Ask the principal's owner for the reason. Without one, revoke the role's sessions \
            and the principal's keys, and narrow the trust policy to those who need the role.",
    check,
};

fn check(case: &Case<'_>) -> Option<Finding> {
    let it = case.granted_assumption()?;
    declared(case, it).or_else(|| worse_of(by_the_opening(case, it), by_baseline(case, it)))
}

/// Somebody new comes in by what was opened in the trust policy: the last policy that raised no
/// alert would have refused the call. Outside accounts have a rule of their own.
fn by_the_opening(case: &Case<'_>, it: &Assumption) -> Option<Finding> {
    let principal = &it.call.principal;
    let (entry, key) = (case.entry?, principal.key()?);
    let weakening = entry.weakening.as_ref().filter(|_| entry.is_by_the_opening == Some(true))?;
    let is_known = |it: &RoleBaseline| it.has_seen(Dimension::Principal, key.as_str());
    let is_outside = principal.class(it.role_account()) == CallerClass::ExternalAccount;
    if is_outside || case.expected.principals.is_some() || case.role.is_some_and(is_known) {
        return None;
    }
    let (way_in, by) = way_in(case, it)?;
    Some(Finding {
        rule: RULE.id.into(),
        severity: severity_of_use(weakening),
        phrase: "who was let in by a weakened trust policy".into(),
        summary: format!("{} is new to {}{by}", it.who(), inline(it.role()?.name())),
        evidence: evidence(json!({ "value": key.as_str(), "trust": way_in })),
        ground: Ground::Habit,
    })
}

fn declared(case: &Case<'_>, it: &Assumption) -> Option<Finding> {
    let principal = &it.call.principal;
    let expected = case.expected.principals?;
    if Comparison::with_any(expected, principal) != Comparison::Differs {
        return None;
    }
    let who = it.who();
    let role = inline(it.role()?.name());
    let (way_in, by) = way_in(case, it).unzip();
    let by = by.unwrap_or_default();
    Some(Finding {
        rule: RULE.id.into(),
        severity: Severity::High,
        phrase: "who is not on its list".into(),
        summary: format!("{who} took {role}, and is none of the principals declared for it{by}"),
        evidence: evidence(json!({
            "principal": principal.key().map(|key| key.as_str().to_owned()),
            "declared": expected.iter().map(|pattern| pattern.as_str()).collect::<Vec<_>>(),
        }))
        .into_iter()
        .chain(way_in.map(|it| ("trust".to_owned(), it)))
        .collect(),
        ground: Ground::Fact,
    })
}

fn by_baseline(case: &Case<'_>, it: &Assumption) -> Option<Finding> {
    if case.expected.principals.is_some() {
        return None;
    }
    let surprise = case.surprise?;
    let part = surprise.part(Dimension::Principal)?;
    if part.of_role < UNUSUAL {
        return None;
    }
    let sum = case.severity_of_sum(surprise);
    let alone = if part.bits() >= STRANGER { Severity::Medium } else { Severity::Low };
    let severity = sum.unwrap_or(alone).max(alone);
    let others = case.caller.map_or(0, |caller| caller.habits().turnover(Dimension::Role).values);
    let known = match others {
        0 => "not known here".to_owned(),
        _ => format!("known for {}", plural(u64::from(others), "other role", "other roles")),
    };
    let who = it.who();
    let role = inline(it.role()?.name());
    let (way_in, by) = way_in(case, it).unzip();
    let (by, experience) = (by.unwrap_or_default(), experience(part));
    let trust = way_in.map(|it| ("trust".to_owned(), it));
    Some(Finding {
        rule: RULE.id.into(),
        severity,
        phrase: "who never took it".into(),
        summary: format!("{who}, {known}, is new to {role} and took it: {experience}{by}"),
        evidence: numbers(part, surprise).into_iter().chain(trust).collect(),
        ground: Ground::Habit,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::scene::{Scene, call, session, user, with};
    use super::RULE;
    use crate::severity::Severity;

    fn by(name: &str, role: &str) -> Value {
        let arn = format!("arn:aws:iam::111122223333:role/{role}");
        let changes = [
            ("/userIdentity", user(name, "111122223333")),
            ("/requestParameters/roleArn", json!(arn)),
        ];
        with(call(), &changes)
    }

    const ALICE: &str = "[[role]]\nmatch = '*:role/Target'\n\
                         principals = ['arn:aws:iam::111122223333:user/alice']";

    #[test]
    fn fires_outside_the_list_and_for_a_stranger_on_both_sides() {
        let bob = by("bob", "Target");
        assert_eq!(Scene::declaring(ALICE).then(RULE.id, &bob), Some(Severity::High));
        let mut scene = Scene::default().daily(30, &call()).daily(30, &by("bob", "Other"));
        assert_eq!(scene.then(RULE.id, &bob), Some(Severity::Medium));
        let person = Scene::default();
        let machine = with(call(), &[("/userIdentity", session("ci", "run"))]);
        let mut person = person.daily(30, &machine).daily(30, &by("bob", "Other"));
        assert_eq!(person.then(RULE.id, &bob), Some(Severity::Medium), "among machines");
    }

    #[test]
    fn is_low_for_a_newcomer_and_silent_on_the_list_and_at_a_new_role() {
        let mut scene = Scene::default().daily(30, &call());
        assert_eq!(scene.then(RULE.id, &by("newcomer", "Target")), Some(Severity::Low));
        assert_eq!(Scene::declaring(ALICE).then(RULE.id, &call()), None);
        let mut scene = Scene::default().daily(3, &call()).daily(30, &by("bob", "Other"));
        assert_eq!(scene.then(RULE.id, &by("bob", "Target")), None);
    }
}
