//! Somebody took a role who is not expected there.

use super::{
    Case, Finding, Ground, Rule, evidence, experience, json, numbers, severity_of_use, signs,
    way_in, worse_of,
};
use crate::baseline::{Dimension, RoleBaseline};
use crate::config::Comparison;
use crate::event::{Assumption, CallerClass};
use crate::severity::Severity;
use crate::surprise::{SignKind, Surprise, UNUSUAL};
use crate::text::{inline, plural};

pub(super) const RULE: Rule = Rule {
    id: "unexpected_principal",
    title: "Role assumed by an unexpected principal",
    severities: &[Severity::Low, Severity::Medium, Severity::High],
    mitre: &["T1078.004"],
    sees: "A granted assumption by a principal outside the declared list (high), or by one that \
           is new to the role while the role is new to it, and whose colleagues, who take the \
           same other roles, do not take it either (low, medium or high by the sum of all that is \
           unusual about the call). Beside it counts that only callers of another kind take the \
           role, that nobody took it for weeks, that it is an administrator's by its name, and \
           that a workflow's token is for a branch that never led to it. One that comes in \
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

/// What somebody unlike the others is told by, beside being new.
const SIGNS: &[SignKind] =
    &[SignKind::NewKind, SignKind::OtherPurpose, SignKind::Disuse, SignKind::Privilege];

fn by_baseline(case: &Case<'_>, it: &Assumption) -> Option<Finding> {
    if case.expected.principals.is_some() {
        return None;
    }
    let surprise = case.surprise?;
    let sum = case.severity_of_sum(surprise);
    let Some(part) = surprise.part(Dimension::Principal) else {
        return by_signs(case, it, surprise);
    };
    let is_alone = part.bits >= UNUSUAL && part.of_role >= UNUSUAL;
    if !is_alone && (sum.is_none() || part.bits < 1.0) {
        return by_signs(case, it, surprise);
    }
    let others = case.actor.map_or(0, |actor| actor.habits().turnover(Dimension::Role).values);
    let known = match others {
        0 => "not known here".to_owned(),
        _ => format!("known for {}", plural(u64::from(others), "other role", "other roles")),
    };
    let who = it.who();
    let role = inline(it.role()?.name());
    let (way_in, by) = way_in(case, it).unzip();
    let (by, experience) = (by.unwrap_or_default(), experience(part));
    let trust = way_in.map(|it| ("trust".to_owned(), it));
    let signs = signs(surprise, SIGNS);
    // Whom an opening let in that was worth a look was told of with it.
    let is_told = case.is_opened_by_pipeline;
    Some(Finding {
        rule: RULE.id.into(),
        severity: sum.filter(|_| !is_told).unwrap_or(Severity::Low),
        phrase: "who never took it".into(),
        summary: format!("{who}, {known}, is new to {role} and took it: {experience}{signs}{by}"),
        evidence: numbers(part, surprise).into_iter().chain(trust).collect(),
        ground: Ground::Habit,
    })
}

/// The caller is known, and yet not the kind of caller that the role has.
fn by_signs(case: &Case<'_>, it: &Assumption, surprise: &Surprise) -> Option<Finding> {
    let severity = case.severity_of_sum(surprise)?;
    let sign = surprise.signs.iter().find(|sign| SIGNS.contains(&sign.kind))?;
    let role = inline(it.role()?.name());
    let signs = signs(surprise, SIGNS);
    Some(Finding {
        rule: RULE.id.into(),
        severity,
        phrase: "by somebody unlike its callers".into(),
        summary: format!("{} took {role}{signs}", it.who()),
        evidence: evidence(json!({ "sign": sign.kind, "bits_of_call": surprise.total() })),
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
            ("/requestParameters/roleSessionName", json!(name)),
        ];
        with(call(), &changes)
    }

    fn by_machine(name: &str, role: &str) -> Value {
        let arn = format!("arn:aws:iam::111122223333:role/{role}");
        let changes =
            [("/userIdentity", session(name, "run")), ("/requestParameters/roleArn", json!(arn))];
        with(call(), &changes)
    }

    const ALICE: &str = "[[role]]\nmatch = '*:role/Target'\n\
                         principals = ['arn:aws:iam::111122223333:user/alice']";

    #[test]
    fn fires_outside_the_list_and_for_a_stranger_on_both_sides() {
        let bob = by("bob", "Target");
        assert_eq!(Scene::declaring(ALICE).then(RULE.id, &bob), Some(Severity::High));
        let mut scene = Scene::default().daily(30, &by("bob", "Other")).daily(30, &call());
        assert_eq!(scene.then(RULE.id, &bob), Some(Severity::Medium));
        let machine = with(call(), &[("/userIdentity", session("ci", "run"))]);
        let among_machines = |record: &Value| {
            let scene = Scene::default().daily(30, &by("bob", "Other"));
            scene.daily(30, &machine).then(RULE.id, record)
        };
        assert_eq!(among_machines(&bob), Some(Severity::Medium), "a person's own work");
        let away = with(bob, &[("/sourceIPAddress", json!("203.0.113.9"))]);
        assert_eq!(among_machines(&away), Some(Severity::High), "and from a new place");
    }

    #[test]
    fn a_new_task_on_a_journey_is_no_more_than_new() {
        let away = with(by("bob", "Target"), &[("/sourceIPAddress", json!("203.0.113.9"))]);
        let scene = || Scene::default().daily(30, &call());
        let mut owner_elsewhere = scene().daily(30, &by("bob", "Other"));
        owner_elsewhere.then(RULE.id, &by("bob", "Other"));
        assert_eq!(owner_elsewhere.then(RULE.id, &away), Some(Severity::High), "hours before");
        let mut traveller = scene().daily(30, &by("bob", "Other")).quiet(2);
        assert_eq!(traveller.then(RULE.id, &away), Some(Severity::Medium));
    }

    #[test]
    fn years_of_the_same_make_nothing_new_urgent_by_itself() {
        let after_a_year = |toml| {
            let scene = Scene::declaring(toml).daily(400, &by_machine("other", "Other"));
            scene
                .daily(400, &by_machine("ci", "Target"))
                .then(RULE.id, &by_machine("other", "Target"))
        };
        assert_eq!(after_a_year(""), Some(Severity::Medium));
        assert_eq!(after_a_year("[tuning]\nwithout = ['caps']"), Some(Severity::High));
    }

    #[test]
    fn a_pause_of_releases_makes_no_other_pipeline_worse() {
        let scene = || {
            Scene::default()
                .daily(30, &by_machine("other-ci", "Other"))
                .daily(30, &by_machine("ci", "Target"))
        };
        let other = by_machine("other-ci", "Target");
        assert_eq!(scene().then(RULE.id, &other), Some(Severity::Medium));
        assert_eq!(scene().quiet(25).then(RULE.id, &other), Some(Severity::Medium));
    }

    #[test]
    fn a_role_is_no_new_one_if_its_making_raised_an_alert() {
        let after_letting_in = |guests: Value| {
            let document = json!({"Version": "2012-10-17", "Statement": [{
                "Effect": "Allow", "Principal": {"AWS": guests}, "Action": "sts:AssumeRole"}]});
            let making = json!({
                "eventSource": "iam.amazonaws.com", "eventName": "CreateRole",
                "recipientAccountId": "111122223333", "sourceIPAddress": "198.51.100.7",
                "userIdentity": user("alice", "111122223333"),
                "requestParameters": {
                    "roleName": "Target", "assumeRolePolicyDocument": document.to_string(),
                },
                "responseElements": {"role": {
                    "arn": "arn:aws:iam::111122223333:role/Target", "roleId": "AROAEXAMPLETARGET",
                }},
            });
            let mut scene = Scene::default().daily(30, &by("bob", "Other"));
            scene.then("trust_policy_weakened", &making);
            scene.then(RULE.id, &by("bob", "Target"))
        };
        assert_eq!(after_letting_in(json!(["111122223333"])), None);
        let stranger_too = json!(["111122223333", "777788889999"]);
        assert_eq!(after_letting_in(stranger_too), Some(Severity::Medium));
    }

    #[test]
    fn is_low_for_a_newcomer_and_silent_on_the_list_and_at_a_new_role() {
        let mut scene = Scene::default().daily(30, &call());
        assert_eq!(scene.then(RULE.id, &by("newcomer", "Target")), Some(Severity::Low));
        assert_eq!(Scene::declaring(ALICE).then(RULE.id, &call()), None);
        let mut scene = Scene::default().daily(30, &by("bob", "Other")).daily(3, &call());
        assert_eq!(scene.then(RULE.id, &by("bob", "Target")), None);
    }
}
