//! A role's trust policy lets in more than it did.

use super::{Case, Finding, Ground, Rule, evidence, json};
use crate::baseline::{Dimension, RoleBaseline};
use crate::event::{CallerClass, Event, Mfa, TrustChange};
use crate::severity::Severity;
use crate::text::clip;
use crate::trust::{Difference, Guard, MfaDemand, Previous, Rewrite, Who};

/// On how many days a role has to have been taken with MFA, or with an ExternalId, for a policy
/// that does not demand it to be a loss.
const STEADY_DAYS: u32 = 3;
/// Differences told of one change, for a policy may name hundreds of principals.
const TOLD: usize = 20;
/// Bytes of one of them.
const LONGEST: usize = 1_024;

pub(super) const RULE: Rule = Rule {
    id: "trust_policy_weakened",
    title: "Trust policy weakened",
    severities: &[Severity::Low, Severity::Medium, Severity::High, Severity::Critical],
    mitre: &["T1098.003", "T1484.002"],
    sees: "A granted UpdateAssumeRolePolicy or CreateRole after which the role lets in more than \
           before: everybody (critical, less behind a condition that narrows it; an organisation \
           does so if it is known here), every service, an outside account or its identity \
           provider that no role was known to trust, or a unique id that may be of any (high, \
           less with an ExternalId), the subjects of an identity provider without an owner, a \
           whole account where one principal stood, a user without the MFA that all others need, \
           or those it let in without the ExternalId, MFA, organisation, subject, source or Deny \
           that was demanded. An outside account that a pipeline lets in is less, and low where \
           outsiders take the role anyway without an ExternalId. Where the policy before is not \
           known, the new one is compared with how the role was taken. An added principal of the \
           same account, and a tightening, are nothing.",
    why: "Whoever can write a trust policy can let himself in from anywhere, without a key of \
          yours and without a trace in your sign-ins. It is the back door that survives every \
          rotation of credentials.",
    harmless: "A vendor was brought in or a role was opened to another team on purpose; then \
               somebody can say why, and the conditions were thought about.",
    first: "Ask who made the change whether it was theirs. If not, write the old policy back, \
            revoke the role's sessions, and look for sessions of those it let in since.",
    check,
};

/// A new account that a pipeline lets in was let in by a change that colleagues could see: worth a
/// look, and not at night; and less where outsiders take the role anyway and are asked for no more,
/// for then a vendor has moved. An administrator's session lets in whom it likes.
fn by_its_writer(case: &Case<'_>, worst: &Difference, severity: Severity) -> Severity {
    let is_new_account = case.is_pipeline && worst.phrase == "opened to a new account";
    match severity {
        Severity::High if is_new_account && case.role.is_some_and(is_outsiders) => Severity::Low,
        Severity::High if is_new_account => Severity::Medium,
        Severity::Medium if is_new_account => Severity::Low,
        severity => severity,
    }
}

fn check(case: &Case<'_>) -> Option<Finding> {
    let (Event::TrustChange(it), Some(rewrite)) = (case.event, case.rewrite) else { return None };
    let mut bad: Vec<Difference> =
        rewrite.differences.iter().filter(|it| it.severity.is_some()).cloned().collect();
    if rewrite.previous == Previous::Unknown {
        bad.extend(case.role.map(|role| against_use(rewrite, role)).unwrap_or_default());
    }
    bad.sort_by_key(|it| std::cmp::Reverse(it.severity));
    let who = it.call.principal.display();
    let role = it.display_role();
    let (severity, phrase, what) = match (bad.first(), &rewrite.policy) {
        (_, Err(reason)) => {
            let what = format!("the new policy could not be read: {reason}");
            (Severity::Low, "which could not be read", what)
        }
        (Some(worst), _) => {
            let words: Vec<&str> = bad.iter().map(|it| it.words.as_str()).collect();
            let severity = worst.severity?;
            (by_its_writer(case, worst, severity), worst.phrase, told_of(&words))
        }
        (None, _) if !rewrite.unclear.is_empty() => {
            let notes: Vec<&str> = rewrite.unclear.iter().map(|it| it.as_str()).collect();
            let what = format!("not all of the new policy was understood: {}", told_of(&notes));
            (Severity::Low, "which was not understood in full", what)
        }
        (None, _) => return None,
    };
    let basis = if bad.is_empty() { "" } else { basis(rewrite) };
    Some(Finding {
        rule: RULE.id.into(),
        severity,
        phrase: phrase.into(),
        summary: format!("{who} {} {role}: {what}{basis}", verb(it)),
        evidence: evidence(told(rewrite, &bad)),
        ground: Ground::Fact,
    })
}

/// The first few sentences, cut where they are long, and how many more there are.
fn told_of(words: &[&str]) -> String {
    const SENTENCES: usize = 3;
    const LONGEST: usize = 400;
    let told: Vec<String> = words.iter().take(SENTENCES).map(|it| clip(it, LONGEST)).collect();
    match words.len().saturating_sub(told.len()) {
        0 => told.join("; "),
        more => format!("{}; and {more} more", told.join("; ")),
    }
}

fn verb(it: &TrustChange) -> &'static str {
    match it.call.name {
        "CreateRole" => "made",
        _ => "changed who may take",
    }
}

/// What the comparison rests on, where that is not the policy before.
fn basis(rewrite: &Rewrite) -> &'static str {
    match rewrite.previous {
        Previous::Unknown => "; the policy before is not known, so this is inferred",
        Previous::Stale => "; the policy before had been changed unseen",
        Previous::BeforeUnreadable => "; the policy between could not be read",
        Previous::OfDeleted => "; compared with the role of that name that was deleted",
        Previous::Known | Previous::Nothing => "",
    }
}

fn told(rewrite: &Rewrite, bad: &[Difference]) -> serde_json::Value {
    let opened: Vec<String> = bad.iter().take(TOLD).map(|it| clip(&it.words, LONGEST)).collect();
    let harmless = rewrite.differences.iter().filter(|it| it.severity.is_none());
    let harmless: Vec<String> = harmless.take(TOLD).map(|it| clip(&it.words, LONGEST)).collect();
    json!({
        "opened": opened,
        "also_changed": harmless,
        "not_understood": rewrite.unclear,
        "previous": rewrite.previous.as_str(),
        "previous_written": rewrite.previous_time,
        "inferred": rewrite.previous == Previous::Unknown && !bad.is_empty(),
    })
}

/// What the new policy does not demand although the role was always taken so.
fn against_use(rewrite: &Rewrite, role: &RoleBaseline) -> Vec<Difference> {
    let mut found = Vec::new();
    let days = |mfa: Mfa| {
        let habits = role.iter().map(|(_, habits)| habits.days(Dimension::Mfa, mfa.as_str()));
        habits.max().unwrap_or_default()
    };
    let (with, without) = (days(Mfa::Present), days(Mfa::Absent));
    let steady = with >= STEADY_DAYS && with >= 9 * without;
    let doors = rewrite.doors();
    let is_for_people = |who: &Who| matches!(who, Who::Account(_) | Who::Arn(_) | Who::Anybody);
    let open = doors.iter().filter(|it| is_for_people(&it.who) && it.mfa() != MfaDemand::Firm);
    // Many roles are taken with MFA that no policy demands, so this is only worth knowing.
    if let (true, Some(door)) = (steady, open.clone().next()) {
        let more = open.count() - 1;
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let who = door.who.display();
        found.push(Difference {
            severity: Some(Severity::Low),
            words: format!(
                "of {who}{more} no MFA is demanded, and the role was taken with it on {with} days"
            ),
            phrase: "without a demand for MFA",
        });
    }
    for door in doors {
        let Some(account) = door.who.account() else { continue };
        let with_id = days_with_external_id(role, &account.to_string());
        if with_id >= STEADY_DAYS && !door.demands(Guard::ExternalId) {
            found.push(Difference {
                severity: Some(Severity::Medium),
                words: format!(
                    "{} needs no ExternalId, and the role was taken with one on {with_id} days",
                    door.who.display()
                ),
                phrase: "without a demand for an ExternalId",
            });
        }
    }
    found
}

/// Whether the role is taken from outside, day by day, without an ExternalId.
fn is_outsiders(role: &RoleBaseline) -> bool {
    let habits = role.habits(CallerClass::ExternalAccount);
    let table = habits.and_then(|it| it.table(Dimension::ExternalId));
    let mut without =
        table.into_iter().flat_map(|it| it.iter()).filter(|(value, _)| value.ends_with(" none"));
    without.any(|(_, seen)| seen.days.count() >= STEADY_DAYS)
}

/// Days on which an account has sent an ExternalId; 0 if it ever came without one.
fn days_with_external_id(role: &RoleBaseline, account: &str) -> u32 {
    let table = role.habits(CallerClass::ExternalAccount);
    let Some(table) = table.and_then(|it| it.table(Dimension::ExternalId)) else { return 0 };
    let of_account = table
        .iter()
        .filter(|(value, _)| value.split_once(' ').is_some_and(|(sender, _)| sender == account));
    let mut days = 0;
    for (value, seen) in of_account {
        if value.ends_with(" none") {
            return 0;
        }
        days = days.max(seen.days.count());
    }
    days
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::scene::{Scene, call, session, user, with};
    use super::RULE;
    use crate::severity::Severity::{self, Critical, High, Low, Medium};

    fn writes(name: &str, document: &str) -> Value {
        let (key, event) = match name {
            "create" => ("assumeRolePolicyDocument", "CreateRole"),
            _ => ("policyDocument", "UpdateAssumeRolePolicy"),
        };
        let arn = "arn:aws:iam::111122223333:role/Target";
        json!({
            "eventSource": "iam.amazonaws.com",
            "eventName": event,
            "recipientAccountId": "111122223333",
            "sourceIPAddress": "198.51.100.7",
            "userIdentity": user("alice", "111122223333"),
            "requestParameters": {"roleName": "Target", key: document},
            "responseElements": {"role": {"arn": arn, "roleId": "AROAEXAMPLETARGET"}},
        })
    }

    fn trusting(who: Value, condition: Value) -> String {
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"AWS": who}, "Action": "sts:AssumeRole",
            "Condition": condition,
        }]})
        .to_string()
    }

    fn own() -> String {
        trusting(json!("arn:aws:iam::111122223333:user/alice"), json!({}))
    }

    fn after(scene: Scene, document: &str) -> Option<Severity> {
        let mut scene = scene;
        scene.then(RULE.id, &writes("update", document))
    }

    fn made(document: &str) -> Scene {
        let mut scene = Scene::default();
        scene.then(RULE.id, &writes("create", document));
        scene
    }

    #[test]
    fn fires_on_strangers_lost_conditions_and_what_it_cannot_read() {
        let stranger = || json!("arn:aws:iam::777788889999:root");
        let open = trusting(stranger(), json!({}));
        assert_eq!(after(made(&own()), &open), Some(High));
        assert_eq!(Scene::default().then(RULE.id, &writes("create", &open)), Some(High));
        assert_eq!(after(Scene::default(), &open), Some(High), "the policy before is unknown");
        assert_eq!(after(made(&own()), &trusting(json!("*"), json!({}))), Some(Critical));
        let secret = json!({"StringEquals": {"sts:ExternalId": "acme-1"}});
        assert_eq!(after(made(&trusting(stranger(), secret)), &open), Some(High));
        assert_eq!(after(made(&own()), "{\"Statement\": [{\"Effect\": \"Al"), Some(Low));
        let odd = trusting(json!("arn:aws:iam::111122223333:user/alice"), json!({"Is": {"a": 1}}));
        assert_eq!(after(made(&own()), &odd), Some(Low));
    }

    #[test]
    fn fires_on_what_the_use_of_a_role_demanded() {
        let scene = || Scene::default().daily(10, &call());
        let all = trusting(json!("111122223333"), json!({}));
        assert_eq!(after(scene(), &all), Some(Low));
        let mfa = json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}});
        assert_eq!(after(scene(), &trusting(json!("111122223333"), mfa)), None);
    }

    #[test]
    fn is_silent_on_colleagues_tightening_repetition_and_refusals() {
        let both: Vec<_> =
            ["alice", "bob"].map(|it| format!("arn:aws:iam::111122223333:user/{it}")).into();
        let both = trusting(json!(both), json!({}));
        assert_eq!(after(made(&own()), &both), None);
        assert_eq!(after(made(&both), &own()), None);
        let stranger = trusting(json!("777788889999"), json!({}));
        assert_eq!(after(made(&stranger), &stranger), None);
        let refused = with(writes("update", &stranger), &[("/errorCode", json!("AccessDenied"))]);
        assert_eq!(made(&own()).then(RULE.id, &refused), None);
        let declared = "[[role]]\nmatch = '*:role/Target'\nprincipals = ['account:777788889999']";
        let mut scene = Scene::declaring(declared);
        assert_eq!(scene.then(RULE.id, &writes("create", &stranger)), None);
    }

    #[test]
    fn a_role_made_again_is_compared_with_the_one_that_was_deleted() {
        let mut scene = made(&own());
        let deletion = with(writes("update", ""), &[("/eventName", json!("DeleteRole"))]);
        assert_eq!(scene.then(RULE.id, &deletion), None);
        assert_eq!(scene.then(RULE.id, &writes("create", &own())), None);
        assert_eq!(scene.then(RULE.id, &deletion), None);
        let root = trusting(json!("111122223333"), json!({}));
        assert_eq!(scene.then(RULE.id, &writes("create", &root)), Some(Medium));
    }

    #[test]
    fn what_cannot_be_read_hides_nothing_that_was_readable() {
        let root = |condition: Value| trusting(json!("111122223333"), condition);
        let mfa = root(json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}}));
        let deletion = with(writes("update", ""), &[("/eventName", json!("DeleteRole"))]);
        let broken = writes("update", "{\"bro");
        let (open, again) =
            (writes("update", &root(json!({}))), writes("create", &root(json!({}))));
        for (between, last) in [
            (vec![&broken], &open),
            (vec![&broken; 6], &open),
            (vec![&broken, &deletion], &again),
            (vec![&deletion, &broken], &again),
            (vec![&deletion], &open),
            (vec![&deletion; 6], &again),
        ] {
            let mut scene = made(&mfa);
            for record in &between {
                scene.then(RULE.id, record);
            }
            assert_eq!(scene.then(RULE.id, last), Some(High), "after {}", between.len());
        }
    }

    #[test]
    fn a_vendor_that_moves_is_no_news_where_a_pipeline_lets_it_in() {
        let target = "arn:aws:iam::111122223333:role/Target";
        let vendor = |secret: Value| {
            let changes = [
                ("/userIdentity", user("scanner", "444455556666")),
                ("/requestParameters/roleArn", json!(target)),
                ("/requestParameters/externalId", secret),
            ];
            with(call(), &changes)
        };
        let apply = json!("arn:aws:iam::111122223333:role/Apply");
        let run = [("/userIdentity", session("ci", "run")), ("/requestParameters/roleArn", apply)];
        let opening = writes("update", &trusting(json!("777788889999"), json!({})));
        let by_pipeline = with(opening.clone(), &[("/userIdentity", session("Apply", "run"))]);
        let after = |days, secret: Value, opening: &Value| {
            let scene = Scene::default().daily(5, &with(call(), &run));
            scene.daily(days, &vendor(secret)).then(RULE.id, opening)
        };
        assert_eq!(after(9, Value::Null, &by_pipeline), Some(Low));
        assert_eq!(after(0, Value::Null, &by_pipeline), Some(Medium), "no vendor's role");
        assert_eq!(after(9, json!("secret"), &by_pipeline), Some(Medium), "it came with more");
        assert_eq!(after(9, Value::Null, &opening), Some(High), "not by a pipeline");
    }

    /// The writing of another role's policy.
    fn of_role(name: &str, event: &str, document: &str) -> Value {
        let arn = format!("arn:aws:iam::111122223333:role/{name}");
        let changes = [
            ("/requestParameters/roleName", json!(name)),
            ("/responseElements/role/arn", json!(arn)),
            ("/responseElements/role/roleId", json!(format!("AROAEXAMPLE{}", name.to_uppercase()))),
        ];
        with(writes(event, document), &changes)
    }

    #[test]
    fn an_account_that_only_a_policy_named_is_as_new_to_the_next_one() {
        let stranger = |condition: Value| trusting(json!("777788889999"), condition);
        let secret = json!({"StringEquals": {"sts:ExternalId": "chosen"}});
        let dummy = of_role("Dummy", "create", &stranger(secret.clone()));
        let laundered = || {
            let mut scene = made(&own());
            assert_eq!(scene.then(RULE.id, &dummy), Some(Low), "a role for a vendor");
            scene
        };
        assert_eq!(after(laundered(), &stranger(json!({}))), Some(High));
        assert_eq!(after(laundered(), &stranger(secret)), Some(Medium));
        let own_user = of_role("Dummy", "create", &trusting(json!("222233334444"), json!({})));
        let mut scene = made(&own());
        assert_eq!(scene.then(RULE.id, &own_user), Some(High));
        assert_eq!(after(scene, &trusting(json!("222233334444"), json!({}))), Some(High));
    }

    #[test]
    fn the_first_organisation_is_taken_for_ours_and_no_other_is_learned() {
        let of = |who: &str, id: &str| {
            trusting(json!(who), json!({"StringEquals": {"aws:PrincipalOrgID": id}}))
        };
        let (ours, other) = ("o-a1b2c3d4e5", "o-zzzzzzzzzz");
        let alice = "arn:aws:iam::111122223333:user/alice";
        let mut scene = made(&own());
        let mut then =
            |role: &str, document: &str| scene.then(RULE.id, &of_role(role, "create", document));
        let both = json!({"StringEquals": {"aws:PrincipalOrgID": [ours, other]}});
        assert_eq!(then("Both", &trusting(json!("*"), both)), Some(Medium), "either may be ours");
        assert_eq!(then("First", &of("*", ours)), Some(Medium));
        assert_eq!(then("Second", &of("*", other)), Some(High));
        assert_eq!(then("Third", &of(alice, other)), None, "nobody comes in");
        assert_eq!(then("Fourth", &of("*", other)), Some(High), "it was written twice");
        assert_eq!(then("Fifth", &of("*", ours)), Some(Medium));
        assert_eq!(after(scene, &of("*", other)), Some(High));
    }

    #[test]
    fn what_is_written_of_a_role_without_a_name_is_nobodys() {
        let nameless = |document: &str| {
            with(writes("update", document), &[("/requestParameters/roleName", Value::Null)])
        };
        let mut scene = Scene::default();
        let root = trusting(json!("111122223333"), json!({}));
        assert_eq!(scene.then(RULE.id, &nameless(&own())), None);
        assert_eq!(scene.then(RULE.id, &nameless(&root)), None, "it is another role");
        let open = trusting(json!("*"), json!({}));
        assert_eq!(scene.then(RULE.id, &nameless(&open)), Some(Critical));
    }
}
