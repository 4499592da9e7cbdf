//! Calls of which both accounts have a copy.

use rolewatch::cloudtrail;
use rolewatch::config::Config;
use rolewatch::event::Event;
use serde_json::{Value, json};

/// Calls into another account, of which that account's copy comes first: what it cannot tell goes
/// out as the next revision when the caller's copy comes.
pub fn completed() -> (Vec<Event>, Config) {
    let declared = "[[role]]\nmatch = \"*\"\nmfa = \"required\"\nexternal_ids = [\"agreed\"]\n";
    let copy = |n: u32, identity: Value, account: &str| {
        let record = json!({
            "eventSource": "sts.amazonaws.com", "eventName": "AssumeRole",
            "eventTime": format!("2026-03-04T05:{n:02}:00Z"),
            "eventID": format!("{account}-{n}"), "sharedEventID": format!("shared-{n}"),
            "recipientAccountId": account, "sourceIPAddress": "203.0.113.77",
            "userIdentity": identity,
            "requestParameters": {"roleArn": format!("arn:aws:iam::444455556666:role/Admin{n}"),
                "roleSessionName": "s", "externalId": "another"},
            "responseElements": {"credentials": {"accessKeyId": format!("ASIAEXAMPLE{n}")}},
        });
        cloudtrail::read(&record).unwrap().expect("a record of ours")
    };
    let copies = |n: u32| {
        let id = format!("AIDAEXAMPLE{n}");
        let poor = json!({"type": "AWSAccount", "principalId": id, "accountId": "111122223333"});
        let rich = json!({"type": "IAMUser", "principalId": id, "accountId": "111122223333",
            "userName": format!("user{n}"), "accessKeyId": format!("AKIAEXAMPLE{n}"),
            "arn": format!("arn:aws:iam::111122223333:user/user{n}")});
        [copy(n, poor, "444455556666"), copy(n, rich, "111122223333")]
    };
    let events: Vec<Event> = (0..20).flat_map(copies).collect();
    (events, Config::parse(declared).config.unwrap())
}
