//! What the shapes in `fixtures/wire/` do not show. Those are read by `tests/wire.rs`.

use serde_json::{Value, json};

use super::*;
use crate::event::{Mfa, PrincipalKind};

fn assume_role() -> Value {
    json!({
        "eventSource": "sts.amazonaws.com",
        "eventName": "AssumeRole",
        "eventTime": "2026-03-04T05:06:07Z",
        "eventID": "0b7c1d3e-0000-4000-8000-000000000001",
        "recipientAccountId": "111122223333",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "AIDAEXAMPLEALICE",
            "accountId": "111122223333",
            "accessKeyId": "AKIAEXAMPLEALICE",
            "userName": "alice",
        },
        "requestParameters": {
            "roleArn": "arn:aws:iam::111122223333:role/admin/OrgAdmin",
            "roleSessionName": "alice",
        },
    })
}

fn call_of(record: &Value) -> Call {
    read(record).unwrap().expect("ours").call().clone()
}

#[test]
fn the_table_is_sorted_and_each_source_counts() {
    assert!(OURS.is_sorted_by_key(|(source, name, _)| (*source, *name)));
    assert!(is_ours("sts.amazonaws.com", "AssumeRole"));
    for (source, name) in [
        ("signin.amazonaws.com", "AssumeRole"),
        ("sts.aliyuncs.com", "AssumeRole"),
        ("sts.amazonaws.com", "assumerole"),
        ("sts.amazonaws.com", "AssumeRoleX"),
        ("eks-auth.amazonaws.com", "AssumeRoleForPodIdentity"),
    ] {
        assert!(!is_ours(source, name), "{source} {name}");
    }
}

#[test]
fn a_record_without_an_event_id_is_the_same_however_its_keys_stand() {
    let mut record = assume_role();
    record.as_object_mut().unwrap().remove("eventID");
    let turned: Value = {
        let members = record.as_object().unwrap().iter().rev();
        let text: Vec<String> = members.map(|(k, v)| format!("{:?}: {v}", k)).collect();
        serde_json::from_str(&format!("{{ {} }}", text.join(" , "))).unwrap()
    };
    assert_eq!(call_of(&record).key, call_of(&turned).key);
    assert_eq!(call_of(&record).alert_id(), call_of(&turned).alert_id());
    record["requestParameters"]["roleSessionName"] = json!("bob");
    assert_ne!(call_of(&record).key, call_of(&turned).key);
}

#[test]
fn both_copies_of_a_call_have_one_alert_id() {
    let mut mine = assume_role();
    mine["sharedEventID"] = json!("5a5a");
    let mut theirs = mine.clone();
    theirs["eventID"] = json!("other");
    theirs["recipientAccountId"] = json!("444455556666");
    assert_eq!(call_of(&mine).alert_id(), call_of(&theirs).alert_id());
    assert_ne!(call_of(&mine).key, call_of(&theirs).key);
}

#[test]
fn absence_of_mfa_is_known_or_it_is_not_absence() {
    let with = |change: fn(&mut Value)| {
        let mut record = assume_role();
        change(&mut record);
        call_of(&record).mfa
    };
    let session = |mfa: &str| json!({"attributes": {"mfaAuthenticated": mfa}});
    assert_eq!(with(|_| {}), Mfa::Absent);
    assert_eq!(
        with(|r| r["requestParameters"]["serialNumber"] = json!("arn:aws:iam::1:mfa/a")),
        Mfa::Present
    );
    assert_eq!(with(|r| r["errorCode"] = json!("AccessDenied")), Mfa::Absent);
    assert_eq!(
        with(|r| {
            r["errorCode"] = json!("AccessDenied");
            r["errorMessage"] = json!("no");
            r["requestParameters"] = Value::Null;
        }),
        Mfa::Unknown
    );
    for (kind, claim, mfa) in [
        ("IAMUser", "true", Mfa::Present),
        ("IAMUser", "false", Mfa::Absent),
        ("AssumedRole", "true", Mfa::Present),
        ("AssumedRole", "false", Mfa::Unknown),
        ("AWSAccount", "false", Mfa::Unknown),
        ("SAMLUser", "false", Mfa::Unknown),
        ("AWSService", "false", Mfa::NotApplicable),
    ] {
        let mut record = assume_role();
        record["userIdentity"]["type"] = json!(kind);
        record["userIdentity"]["accessKeyId"] = json!("ASIAEXAMPLE");
        record["userIdentity"]["sessionContext"] = session(claim);
        assert_eq!(call_of(&record).mfa, mfa, "{kind} {claim}");
    }
}

#[test]
fn a_user_called_like_a_unique_id_is_no_unique_id() {
    let mut record = assume_role();
    record["userIdentity"] =
        json!({"type": "SAMLUser", "principalId": "AIDAFAKE:x", "userName": "mallory"});
    let call = call_of(&record);
    assert_eq!((call.principal.kind, call.principal.id), (PrincipalKind::Saml, None));
}

#[test]
fn wrong_types_anywhere_cost_nothing_but_themselves() {
    for path in ["userIdentity", "requestParameters", "responseElements", "sessionContext"] {
        for wrong in [json!(7), json!("text"), json!([1]), json!(true), Value::Null] {
            let mut record = assume_role();
            record[path] = wrong;
            record["errorCode"] = json!("AccessDenied");
            assert!(read(&record).unwrap().is_some(), "{path}");
        }
    }
    let mut record = assume_role();
    record["eventTime"] = json!(1_772_600_767);
    assert_eq!(read(&record), Err(ReadError::BadTime));
    record["eventTime"] = Value::Null;
    assert_eq!(read(&record), Err(ReadError::NoTime));
}

#[test]
fn whatever_may_be_ours_may_begin_so() {
    for (_, name) in ours() {
        let head = name.as_bytes().first_chunk().unwrap();
        assert!(may_be_ours(name.as_bytes()) && may_begin_ours(head), "{name}");
    }
    for (head, may_be) in [
        (b"Assum", true),
        (b"Descr", false),
        // In these an escape or the end of a name is hidden.
        (b"\\u004", true),
        (b"Ass\\u", true),
        (b"Run\",", true),
    ] {
        assert_eq!(may_begin_ours(head), may_be, "{head:?}");
    }
}
