//! An alert that the tests of the formats share.

use serde_json::{Map, Value, json};

use super::{Alert, Message};
use crate::finding::{Finding, Ground};
use crate::severity::Severity;

/// `alice` takes `OrgAdmin` without MFA, from a record that is merged with `changes`.
pub(super) fn alert(changes: &Value) -> Alert {
    let mut record = json!({
        "eventSource": "sts.amazonaws.com",
        "eventName": "AssumeRole",
        "eventTime": "2026-03-04T05:06:07Z",
        "eventID": "0b7c1d3e-0000-4000-8000-000000000001",
        "awsRegion": "eu-central-1",
        "recipientAccountId": "111122223333",
        "sourceIPAddress": "203.0.113.77",
        "userAgent": "aws-cli/2.22.35",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "AIDAEXAMPLEALICE",
            "arn": "arn:aws:iam::111122223333:user/alice",
            "accountId": "111122223333",
            "accessKeyId": "AKIAEXAMPLEALICE",
            "userName": "alice",
        },
        "requestParameters": {
            "roleArn": "arn:aws:iam::111122223333:role/admin/OrgAdmin",
            "roleSessionName": "alice",
        },
        "responseElements": {
            "credentials": { "accessKeyId": "ASIAEXAMPLESESSION" },
            "assumedRoleUser": { "assumedRoleId": "AROAEXAMPLEADMIN:alice" },
        },
    });
    merge(&mut record, changes);
    let event = crate::cloudtrail::read(&record).unwrap().expect("a record of ours");
    let finding = Finding {
        rule: "missing_mfa".into(),
        severity: Severity::Medium,
        phrase: "without MFA".into(),
        summary: format!(
            "{} took {} with a long-term key from {}: no second factor was used, and this user \
             was not seen to take this role without MFA before",
            event.call().principal.display(),
            record["requestParameters"]["roleArn"].as_str().unwrap().rsplit('/').next().unwrap(),
            event.call().address.display(),
        ),
        evidence: Map::from_iter([("mfa".to_owned(), json!("absent"))]),
        ground: Ground::Habit,
    };
    Alert::new(&event, vec![finding], None, Message::first()).unwrap()
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}
