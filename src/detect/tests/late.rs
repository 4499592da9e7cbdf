//! What is found in a call once the record of the session that made it has come.

use serde_json::{Value, json};

use super::advanced;
use super::stories::{HOME, session, taken};
use crate::config::Config;
use crate::detect::Judged;
use crate::memory::WorkingSet;
use crate::severity::Severity;

const DEPLOY: &str = "arn:aws:iam::111122223333:role/Deploy";
const DEPLOY_SESSION: &str = "AROAEXAMPLEDEPLOY:i-1";
const TARGET: &str = "arn:aws:iam::111122223333:role/Target";

/// A workflow's token is exchanged for a session of the deploy role.
fn token(n: u32, hour: i64, purpose: &str) -> Value {
    let provider = "arn:aws:iam::111122223333:oidc-provider/token.actions.example.com";
    let subject = format!("repo:example/shop:{purpose}");
    let identity = json!({
        "type": "WebIdentityUser", "userName": subject, "identityProvider": provider,
        "principalId": format!("{provider}:sts.amazonaws.com:{subject}"),
    });
    let mut record = taken(n, hour, &identity, DEPLOY, HOME);
    record["eventName"] = json!("AssumeRoleWithWebIdentity");
    record["requestParameters"]["roleSessionName"] = json!("i-1");
    record["responseElements"] = json!({
        "credentials": {"accessKeyId": key(hour)},
        "assumedRoleUser": {"assumedRoleId": DEPLOY_SESSION},
    });
    record
}

/// With that session the role of what is deployed is taken.
fn onward(n: u32, hour: i64) -> Value {
    let mut identity = session("Deploy", "111122223333");
    identity["accessKeyId"] = json!(key(hour));
    identity["principalId"] = json!(DEPLOY_SESSION);
    let made = taken(n, hour, &identity, DEPLOY, HOME)["eventTime"].clone();
    identity["sessionContext"]["attributes"] = json!({"creationDate": made});
    let mut record = taken(n, hour, &identity, TARGET, HOME);
    let later = made.as_str().unwrap().replace(":00Z", ":30Z");
    record["eventTime"] = json!(later);
    record
}

fn key(hour: i64) -> String {
    format!("ASIAEXAMPLE{hour:05}")
}

fn judge(memory: &mut WorkingSet, record: &Value) -> Judged {
    advanced(memory, &Config::default(), record)
}

#[test]
fn for_what_a_token_was_issued_is_told_although_its_record_comes_last() {
    let mut memory = WorkingSet::default();
    for day in 0..30 {
        judge(&mut memory, &token(2 * day, 24 * i64::from(day), "ref:refs/heads/main"));
        judge(&mut memory, &onward(2 * day + 1, 24 * i64::from(day)));
    }
    let after = |memory: &mut WorkingSet, n: u32, purpose: &str| {
        let hour = 24 * i64::from(n);
        assert!(judge(memory, &onward(2 * n, hour)).alert.is_none(), "nothing is new about it");
        let late = judge(memory, &token(2 * n + 1, hour, purpose)).late;
        let alert = late.into_iter().find_map(|it| it.alert)?;
        let finding = alert.findings.first()?;
        Some((finding.rule.to_string(), finding.severity, alert.role?.arn?))
    };
    assert_eq!(after(&mut memory, 31, "ref:refs/heads/main"), None);
    let told = after(&mut memory, 32, "pull_request");
    let expected = ("unexpected_principal".to_owned(), Severity::Medium, TARGET.to_owned());
    assert_eq!(told, Some(expected));
}
