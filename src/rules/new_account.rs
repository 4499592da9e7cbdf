//! A role was taken from an account that has nothing to do with it.

use super::{
    Case, Finding, Ground, Rule, evidence, experience, json, numbers, severity_of_use, way_in,
    worse_of,
};
use crate::baseline::Dimension;
use crate::event::{Assumption, CallerClass};
use crate::severity::Severity;
use crate::surprise::UNUSUAL;
use crate::text::inline;

pub(super) const RULE: Rule = Rule {
    id: "new_account",
    title: "Role assumed from a new account",
    severities: &[Severity::Low, Severity::Medium, Severity::High],
    mitre: &["T1199", "T1078.004"],
    sees: "A granted assumption by a caller of an account that never took this role, where the \
           role's callers have come from the same accounts for weeks. An account that takes no \
           other role here and is not one of ours is high; one that is known is low, and more \
           where more is unusual about the call. One that comes through a trust policy whose \
           opening raised an alert is told whatever the history; one that a policy names which \
           raised none is expected.",
    why: "A trust policy that lets in an outside account is the quietest back door there is: no \
          key of yours is used, and the caller's own trail is somebody else's.",
    harmless: "A vendor has moved to another account or a new one was brought in; then the trust \
               policy was changed on purpose, by somebody who can say why.",
    first: "Find who owns the account, and who changed the trust policy and when. If nobody \
            knows the account, take it out of the policy and revoke the role's sessions.",
    check,
};

fn check(case: &Case<'_>) -> Option<Finding> {
    let it = case.granted_assumption()?;
    worse_of(through_an_opened_door(case, it), by_baseline(case, it))
}

/// An outside account that never took the role comes through a policy that raised an alert. Of
/// a role that is seldom taken the baseline alone could not tell.
fn through_an_opened_door(case: &Case<'_>, it: &Assumption) -> Option<Finding> {
    let account = it.call.principal.account?;
    let is_outside = it.call.principal.class(it.role_account()) == CallerClass::ExternalAccount;
    let weakening = case.entry?.weakening.as_ref()?;
    let value = account.to_string();
    let is_new = case.role.is_none_or(|role| !role.has_seen(Dimension::Account, &value));
    if !is_outside || !is_new || case.entry?.is_by_the_opening == Some(false) {
        return None;
    }
    let (way_in, by) = way_in(case, it)?;
    let severity = match severity_of_use(weakening) {
        Severity::High if case.knows_account => Severity::Medium,
        severity => severity,
    };
    Some(Finding {
        rule: RULE.id.into(),
        severity,
        phrase: "from a new account".into(),
        summary: format!(
            "{} took {} from account {account}, which never took it{by}",
            it.who(),
            inline(it.role()?.name())
        ),
        evidence: evidence(json!({
            "value": value,
            "known_elsewhere": case.knows_account,
            "trust": way_in,
        })),
        ground: Ground::Habit,
    })
}

fn by_baseline(case: &Case<'_>, it: &Assumption) -> Option<Finding> {
    let surprise = case.surprise?;
    let part = surprise.part(Dimension::Account)?;
    if part.of_role < UNUSUAL {
        return None;
    }
    let sum = case.severity_of_sum(surprise).unwrap_or(Severity::Low);
    // Whom an opening let in that was worth a look was told of with it.
    let is_told = case.is_opened_by_pipeline;
    let severity = match (is_told, case.knows_account) {
        (true, _) => Severity::Low,
        (false, true) => sum,
        (false, false) => Severity::High,
    };
    let known = if case.knows_account {
        "which is known here"
    } else {
        "which was never seen to take any role here"
    };
    let who = it.who();
    let role = inline(it.role()?.name());
    let mut evidence = numbers(part, surprise);
    let (way_in, by) = way_in(case, it).unzip();
    evidence.extend(way_in.map(|it| ("trust".to_owned(), it)));
    evidence.insert("known_elsewhere".to_owned(), case.knows_account.into());
    Some(Finding {
        rule: RULE.id.into(),
        severity,
        phrase: "from a new account".into(),
        summary: format!(
            "{who} took {role} from account {}, {known}: {}{}",
            inline(&part.value),
            experience(part),
            by.unwrap_or_default()
        ),
        evidence,
        ground: Ground::Habit,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::scene::{Scene, call, session, user, with};
    use super::RULE;
    use crate::severity::Severity;

    fn from(account: &str, name: &str) -> Value {
        with(call(), &[("/userIdentity", user(name, account))])
    }

    #[test]
    fn fires_for_an_account_nobody_knows_and_low_for_one_that_is_known() {
        let vendor = from("444455556666", "scanner");
        let mut scene = Scene::default().daily(25, &vendor);
        let stranger = from("777788889999", "eve");
        assert_eq!(scene.then(RULE.id, &stranger), Some(Severity::High));
        let other = [("/requestParameters/roleArn", json!("arn:aws:iam::111122223333:role/Other"))];
        let mut scene =
            Scene::default().daily(25, &vendor).daily(3, &with(stranger.clone(), &other));
        assert_eq!(scene.then(RULE.id, &stranger), Some(Severity::Low));
    }

    #[test]
    fn is_silent_for_the_usual_accounts_and_for_a_role_with_little_history() {
        let vendor = from("444455556666", "scanner");
        let mut scene = Scene::default().daily(25, &vendor);
        assert_eq!(scene.then(RULE.id, &from("444455556666", "second")), None);
        let mut scene = Scene::default().daily(3, &vendor);
        assert_eq!(scene.then(RULE.id, &from("777788889999", "eve")), None);
    }

    #[test]
    fn an_opening_of_medium_severity_makes_a_stranger_no_less_strange() {
        let admits = |statements: Value| {
            let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
            json!({
                "eventSource": "iam.amazonaws.com", "eventName": "UpdateAssumeRolePolicy",
                "recipientAccountId": "111122223333", "sourceIPAddress": "198.51.100.7",
                "userIdentity": user("bob", "111122223333"),
                "requestParameters": {"roleName": "Target", "policyDocument": document},
            })
        };
        let vendor =
            json!({"Effect": "Allow", "Principal": {"AWS": "444455556666"}, "Action": "*"});
        let stranger = json!({"Effect": "Allow", "Principal": {"AWS": "777788889999"},
            "Action": "*", "Condition": {"StringEquals": {"sts:ExternalId": "chosen"}}});
        let mut scene = Scene::default();
        scene.then(RULE.id, &admits(json!([vendor])));
        let mut scene = scene.daily(25, &from("444455556666", "scanner"));
        let opening = scene.then("trust_policy_weakened", &admits(json!([vendor, stranger])));
        assert_eq!(opening, Some(Severity::Medium));
        let id = [("/requestParameters/externalId", json!("chosen"))];
        let eve = with(from("777788889999", "eve"), &id);
        assert_eq!(scene.then(RULE.id, &eve), Some(Severity::High));
    }

    #[test]
    fn whom_a_pipeline_let_in_was_told_of_unless_a_person_was_in_its_session() {
        let of = |role: &str, by: Value| {
            let arn = json!(format!("arn:aws:iam::111122223333:role/{role}"));
            with(call(), &[("/userIdentity", by), ("/requestParameters/roleArn", arn)])
        };
        let document = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"AWS": "777788889999"}, "Action": "sts:AssumeRole"}]});
        let opening = json!({
            "eventSource": "iam.amazonaws.com", "eventName": "UpdateAssumeRolePolicy",
            "recipientAccountId": "111122223333", "sourceIPAddress": "198.51.100.7",
            "userIdentity": session("Apply", "run"),
            "requestParameters": {"roleName": "Target", "policyDocument": document.to_string()},
        });
        let vendor = from("777788889999", "scanner");
        let person = of("Apply", user("alice", "111122223333"));
        let after = |days: i64| {
            let mut scene = Scene::default().daily(1, &person).daily(25, &call());
            scene = scene.daily(5, &of("Apply", session("ci", "run"))).quiet(days);
            scene.then(RULE.id, &person);
            let mut scene = scene.quiet(days);
            (scene.then("trust_policy_weakened", &opening), scene.then(RULE.id, &vendor))
        };
        assert_eq!(after(2), (Some(Severity::Medium), Some(Severity::Low)));
        let of_a_person = (Some(Severity::High), Some(Severity::High));
        assert_eq!(after(0), of_a_person, "somebody held a session of the role");
    }
}
