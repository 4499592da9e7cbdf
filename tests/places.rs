//! Where a person was who acted from inside AWS: told by other records, before or after.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly"
)]

mod support;

use std::convert::Infallible;

use rolewatch::alert::Alert;
use rolewatch::cloudtrail;
use rolewatch::config::Config;
use rolewatch::memory::WorkingSet;
use rolewatch::pipeline::{Alerts, Watch, run_batch};
use rolewatch::report::Report;
use serde_json::{Value, json};

#[derive(Default)]
struct All(Vec<Alert>);

impl Alerts for All {
    type Error = Infallible;

    fn publish(&mut self, alert: &Alert) -> Result<(), Infallible> {
        self.0.push(alert.clone());
        Ok(())
    }
}

/// Judges each record in a batch of its own; returns the alerts and the final count.
fn judged<'a>(config: &Config, records: impl IntoIterator<Item = &'a Value>) -> (All, Report) {
    let (mut memory, mut all, mut report) =
        (WorkingSet::default(), All::default(), Report::default());
    let watch = Watch { config, learn_until: None };
    for record in records {
        let Some(event) = cloudtrail::read(record).unwrap() else { continue };
        let Ok(()) = run_batch(&mut memory, watch, &[event], &mut all, &mut report);
    }
    (all, report)
}

/// A console's switch of role is one assumption, and told from where the person was, in whatever
/// order its three records come.
#[test]
fn a_console_switch_is_one_assumption_from_where_the_person_was_in_any_order() {
    let story = std::fs::read_to_string(support::fixture("console-switch/events.jsonl")).unwrap();
    let records: Vec<Value> =
        story.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let is_last_switch = |it: &&Value| {
        it["eventTime"].as_str().unwrap().starts_with("2026-03-30")
            && ["AssumeRole", "SwitchRole"].contains(&it["eventName"].as_str().unwrap())
    };
    let (three, before): (Vec<&Value>, Vec<&Value>) = records.iter().partition(is_last_switch);
    assert_eq!(three.len(), 3);
    let mut ids = Vec::new();
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let last = order.iter().map(|n| three[*n]);
        let (all, report) = judged(&Config::default(), before.iter().copied().chain(last));
        let told = format!("{order:?}: {:#?}", all.0);
        assert_eq!(all.0.len(), 1, "{told}");
        let alert = serde_json::to_value(&all.0[0]).unwrap();
        assert_eq!(alert["source"]["address"], "203.0.113.40", "{told}");
        // The role's account does not know it, and waits for the copy that does.
        assert_eq!(alert["mfa"], "present", "{told}");
        assert!(alert["source"]["user_agent"].as_str().unwrap().starts_with("Mozilla/5.0"));
        assert_eq!(all.0[0].findings[0].rule, "new_network", "{told}");
        ids.push(alert["id"].clone());
        // 21 switches, each of three records; 20 calls from the console.
        assert_eq!((report.assumptions, report.joined), (41, 42), "{order:?}");
    }
    ids.dedup();
    assert_eq!(ids.len(), 1, "one call has one id, whichever copy came first");
}

/// A person of Identity Center: the record of the assumption has an address of AWS.
fn identity_center(day: u32, address: &str, places: &[&str]) -> Vec<Value> {
    let (set, role) = ("Admins", "AWSReservedSSO_Admins_1f0c6a2b7d9e4538");
    let time = format!("2026-03-{day:02}T09:00:00Z");
    let assumed = json!({
        "eventSource": "sts.amazonaws.com", "eventName": "AssumeRoleWithSAML",
        "eventTime": time, "eventID": format!("assumed-{day}"),
        "recipientAccountId": "111122223333", "sourceIPAddress": format!("192.0.2.{day}"),
        "userAgent": "aws-internal/3",
        "userIdentity": {"type": "SAMLUser", "principalId": "dA==:alice", "userName": "alice",
            "identityProvider": "dA=="},
        "requestParameters": {
            "roleArn": format!("arn:aws:iam::111122223333:role/aws-reserved/{role}"),
            "roleSessionName": "alice"},
        "responseElements": {
            "credentials": {"accessKeyId": format!("ASIAEXAMPLE{day}")},
            "assumedRoleUser": {"assumedRoleId": "AROAEXAMPLESSO:alice"}},
    });
    let place = |address: &&str| {
        json!({
            "eventSource": "sso.amazonaws.com", "eventName": "GetRoleCredentials",
            "eventTime": time, "eventID": format!("place-{day}-{address}"),
            "recipientAccountId": "111122223333", "sourceIPAddress": address,
            "userAgent": "aws-cli/2",
            "userIdentity": {"type": "IdentityCenterUser", "accountId": "111122223333"},
            "serviceEventDetails": {"account_id": "111122223333", "role_name": set},
        })
    };
    let used = json!({
        "eventSource": "sts.amazonaws.com", "eventName": "AssumeRole",
        "eventTime": format!("2026-03-{day:02}T09:05:00Z"), "eventID": format!("used-{day}"),
        "recipientAccountId": "111122223333", "sourceIPAddress": address,
        "userIdentity": {"type": "AssumedRole", "accountId": "111122223333",
            "principalId": "AROAEXAMPLESSO:alice", "accessKeyId": format!("ASIAEXAMPLE{day}"),
            "sessionContext": {
                "sessionIssuer": {"type": "Role", "principalId": "AROAEXAMPLESSO",
                    "arn": format!("arn:aws:iam::111122223333:role/aws-reserved/{role}")},
                "attributes": {"creationDate": time, "mfaAuthenticated": "false"}}},
        "requestParameters": {"roleArn": "arn:aws:iam::111122223333:role/Deploy",
            "roleSessionName": "alice"},
        "responseElements": {"credentials": {"accessKeyId": format!("ASIAEXAMPLED{day}")}},
    });
    let mut records: Vec<Value> = places.iter().map(place).collect();
    records.extend([assumed, used]);
    records
}

/// The address at the beginning of the chain of the one alert.
fn origin(records: &[Value]) -> Value {
    let declared = "[[role]]\nmatch = '*:role/Deploy'\nmax_chain_depth = 1";
    let (all, _) = judged(&Config::parse(declared).config.unwrap(), records);
    let last = serde_json::to_value(all.0.last().unwrap()).unwrap();
    assert_eq!(last["chain"]["depth"], 2);
    last["chain"]["links"][0]["address"].clone()
}

#[test]
fn identity_center_tells_where_the_person_was() {
    let mut records = identity_center(3, "198.51.100.7", &["198.51.100.7"]);
    assert_eq!(origin(&records), "198.51.100.7");
    records.rotate_left(1);
    assert_eq!(origin(&records[..2]), "192.0.2.3", "nothing else is known before it comes");
    let two = identity_center(3, "198.51.100.7", &["198.51.100.7", "203.0.113.9"]);
    assert_eq!(origin(&two), "192.0.2.3", "two people at once are not told apart");
}
