//! What is one story is told once.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{event, record, watch, with_mfa};
use crate::baseline::Dimension;
use crate::detect::Judged;
use crate::memory::WorkingSet;
use crate::severity::Severity;
use crate::state::Memory;

/// Alice without MFA at the role of this name in this account.
fn at(n: u32, account: &str, name: &str, time: &str) -> Value {
    let mut record = record(n, time, false);
    record["requestParameters"]["roleArn"] = json!(format!("arn:aws:iam::{account}:role/{name}"));
    record
}

fn severity_of(judged: &Judged) -> Option<Severity> {
    judged.alert.as_ref().map(|alert| alert.severity)
}

#[test]
fn one_story_is_told_once_and_a_day_later_once_more() {
    use Severity::{High, Low};
    let mut memory = with_mfa();
    let tell = |memory: &mut WorkingSet, n, account, name, time| {
        severity_of(&watch(memory, &at(n, account, name, time)))
    };
    let first = tell(&mut memory, 1, "111122223333", "Admin", "2026-03-04T05:00:00Z");
    assert_eq!(first, Some(High));
    let alike = tell(&mut memory, 2, "222233334444", "Admin", "2026-03-04T06:00:00Z");
    assert_eq!(alike, Some(Low), "the same in another account");
    let other = tell(&mut memory, 3, "222233334444", "Billing", "2026-03-04T07:00:00Z");
    assert_eq!(other, Some(High), "another role is another story");
    let later = tell(&mut memory, 4, "222233334444", "Admin", "2026-03-05T08:00:00Z");
    assert_eq!(later, Some(High), "what is urgent stays so");
}

/// A granted AssumeRole at this hour after the beginning, by this identity from this address.
pub(super) fn taken(n: u32, hour: i64, identity: &Value, role: &str, address: &str) -> Value {
    let start: Timestamp = "2026-02-02T09:00:00Z".parse().unwrap();
    let time = start + jiff::SignedDuration::from_hours(hour);
    let mut record = record(n, &time.to_string(), true);
    record["userIdentity"] = identity.clone();
    record["requestParameters"]["roleArn"] = json!(role);
    record["sourceIPAddress"] = json!(address);
    record
}

pub(super) fn user(name: &str) -> Value {
    json!({
        "type": "IAMUser", "principalId": format!("AIDAEXAMPLE{name}"), "userName": name,
        "accountId": "111122223333", "accessKeyId": format!("AKIAEXAMPLE{name}"),
        "arn": format!("arn:aws:iam::111122223333:user/{name}"),
    })
}

pub(super) fn session(role: &str, account: &str) -> Value {
    json!({
        "type": "AssumedRole", "principalId": format!("AROAEXAMPLE{role}{account}:i-1"),
        "arn": format!("arn:aws:sts::{account}:assumed-role/{role}/i-1"),
        "accountId": account, "accessKeyId": format!("ASIAEXAMPLE{role}"),
        "sessionContext": {"sessionIssuer": {
            "type": "Role", "principalId": format!("AROAEXAMPLE{role}{account}"), "userName": role,
            "arn": format!("arn:aws:iam::{account}:role/{role}"),
        }},
    })
}

fn pod() -> Value {
    let provider = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.example.com/id/EXAMPLE";
    let subject = "system:serviceaccount:shop:cart";
    json!({
        "type": "WebIdentityUser", "userName": subject, "identityProvider": provider,
        "principalId": format!("{provider}:sts.amazonaws.com:{subject}"),
    })
}

pub(super) const HOME: &str = "198.51.100.7";
pub(super) const AWAY: &str = "203.0.113.9";
const MONTH: i64 = 24 * 30;

#[test]
fn the_move_of_an_accounts_workloads_is_told_once() {
    let mut memory = WorkingSet::default();
    let workloads = ["Billing", "Search", "Mail"].map(|name| session(name, "111122223333"));
    let target = |at: usize| format!("arn:aws:iam::111122223333:role/Target{at}");
    let mut n = 0;
    let mut take = |at: usize, hour, address| {
        n += 1;
        severity_of(&watch(&mut memory, &taken(n, hour, &workloads[at], &target(at), address)))
    };
    for day in 0..30 {
        for at in 0..3 {
            take(at, 24 * day, HOME);
        }
    }
    assert_eq!(take(0, MONTH, AWAY), Some(Severity::Medium));
    assert_eq!(take(1, MONTH + 1, AWAY), Some(Severity::Low), "one more has moved");
    assert_eq!(take(2, MONTH + 2, "192.0.2.1"), Some(Severity::Medium), "elsewhere");
}

/// A workload that bears a token has moved with the others of its account.
#[test]
fn the_move_of_a_cluster_is_told_with_that_of_the_instances() {
    let mut memory = WorkingSet::default();
    let role = |name: &str| format!("arn:aws:iam::111122223333:role/{name}");
    let mut n = 0;
    let mut take = |is_pod, hour, address| {
        n += 1;
        let mut record = match is_pod {
            true => taken(n, hour, &pod(), &role("Pod"), address),
            false => taken(n, hour, &session("Mail", "111122223333"), &role("Store"), address),
        };
        if is_pod {
            record["eventName"] = json!("AssumeRoleWithWebIdentity");
        }
        severity_of(&watch(&mut memory, &record))
    };
    for day in 0..30 {
        take(true, 24 * day, HOME);
        take(false, 24 * day, HOME);
    }
    assert_eq!(take(false, MONTH, AWAY), Some(Severity::Medium));
    assert_eq!(take(true, MONTH + 1, AWAY), Some(Severity::Low), "one more has moved");
    assert_eq!(take(true, MONTH + 2, "192.0.2.1"), Some(Severity::Medium), "elsewhere");
}

/// Whether the record of a session's beginning has come does not make another person of its user.
#[test]
fn root_by_an_identity_center_user_is_told_once_with_and_without_the_sign_in() {
    const ADMIN: &str = "AWSReservedSSO_Admin_0123456789abcdef";
    let mut memory = WorkingSet::default();
    let mut n = 0;
    let mut become_root = |hour, user: &str, signs_in: bool| {
        n += 2;
        let key = format!("ASIAEXAMPLE{n}");
        if signs_in {
            let identity = json!({
                "type": "SAMLUser", "userName": user, "principalId": format!("hash=:{user}"),
                "identityProvider": "arn:aws:iam::111122223333:saml-provider/AWSSSO_DO_NOT_DELETE",
            });
            let role = format!("arn:aws:iam::111122223333:role/aws-reserved/{ADMIN}");
            let mut record = taken(n, hour, &identity, &role, HOME);
            record["eventName"] = json!("AssumeRoleWithSAML");
            record["requestParameters"]["roleSessionName"] = json!(user);
            record["responseElements"] = json!({"credentials": {"accessKeyId": key}});
            watch(&mut memory, &record);
        }
        let mut identity = session(ADMIN, "111122223333");
        identity["principalId"] = json!(format!("AROAEXAMPLE{ADMIN}111122223333:{user}"));
        identity["arn"] = json!(format!("arn:aws:sts::111122223333:assumed-role/{ADMIN}/{user}"));
        identity["accessKeyId"] = json!(key);
        let mut record = taken(n + 1, hour, &identity, "", HOME);
        record["eventName"] = json!("AssumeRoot");
        record["requestParameters"] = json!({"targetPrincipal": "444455556666"});
        severity_of(&watch(&mut memory, &record))
    };
    assert_eq!(become_root(0, "alice@example.com", true), Some(Severity::Medium));
    assert_eq!(become_root(MONTH, "alice@example.com", false), Some(Severity::Low));
    assert_eq!(become_root(MONTH + 30, "alice@example.com", true), Some(Severity::Low));
    assert_eq!(become_root(MONTH + 31, "bob@example.com", false), Some(Severity::Medium));
}

#[test]
fn what_is_new_about_a_person_is_told_once_in_three_days() {
    let mut memory = WorkingSet::default();
    let role = |name: &str| format!("arn:aws:iam::111122223333:role/{name}");
    let mut n = 0;
    let mut take = |name: &str, hour, role: &str| {
        n += 1;
        severity_of(&watch(&mut memory, &taken(n, hour, &user(name), role, HOME)))
    };
    for day in 0..30 {
        take("ALICE", 24 * day, &role("Own"));
        for it in ["A", "B", "C"] {
            take("BOB", 24 * day, &role(&format!("{it}Admin")));
        }
    }
    assert_eq!(take("ALICE", MONTH, &role("AAdmin")), Some(Severity::Medium));
    assert_eq!(take("ALICE", MONTH + 1, &role("BAdmin")), Some(Severity::Low));
    assert_eq!(take("ALICE", MONTH + 73, &role("CAdmin")), Some(Severity::Medium));
}

#[test]
fn what_is_new_about_a_machine_is_told_again_a_day_later() {
    let mut memory = WorkingSet::default();
    let apply = |account: &str| format!("arn:aws:iam::{account}:role/Apply");
    let accounts = ["222233334444", "333344445555", "444455556666"];
    let mut n = 0;
    let mut take = |by: &Value, hour, role: &str| {
        n += 1;
        severity_of(&watch(&mut memory, &taken(n, hour, by, role, HOME)))
    };
    let hub = session("Hub", "111122223333");
    for day in 0..30 {
        take(&hub, 24 * day, "arn:aws:iam::111122223333:role/Own");
        for account in accounts {
            take(&session("Deploy", account), 24 * day, &apply(account));
        }
    }
    assert_eq!(take(&hub, MONTH, &apply(accounts[0])), Some(Severity::Medium));
    assert_eq!(take(&hub, MONTH + 1, &apply(accounts[1])), Some(Severity::Low));
    assert_eq!(take(&hub, MONTH + 30, &apply(accounts[2])), Some(Severity::Medium));
}

/// Whether a network tells one kind of alert from another depends on the role. A key that is where
/// it never was is one story all the same.
#[test]
fn a_place_is_told_of_once_whatever_the_networks_of_the_roles() {
    let mut memory = WorkingSet::default();
    let [busy, quiet] = ["Busy", "Quiet"].map(|it| format!("arn:aws:iam::111122223333:role/{it}"));
    let mut n = 0;
    let mut take = |name: &str, hour, role: &str, address: &str| {
        n += 1;
        let mut record = taken(n, hour, &user(name), role, address);
        record["requestParameters"]["roleSessionName"] = json!(name);
        severity_of(&watch(&mut memory, &record))
    };
    for day in 0..30 {
        for role in [&busy, &quiet] {
            take("ALICE", 24 * day, role, HOME);
        }
        take("BOB", 24 * day, &busy, &format!("100.{day}.113.5"));
        take("BOB", 24 * day, &quiet, &format!("100.{}.113.5", day % 2));
    }
    assert_eq!(take("ALICE", 24 * 29 + 2, &busy, AWAY), Some(Severity::Medium));
    assert_eq!(take("ALICE", 24 * 29 + 3, &quiet, AWAY), Some(Severity::Low));
}

#[test]
fn one_stranger_whom_a_pipeline_lets_into_many_roles_is_told_of_once() {
    let mut memory = WorkingSet::default();
    let mut open = |n: u32, account: &str, stranger: &str| {
        let mut record = record(n, &format!("2026-03-04T05:{n:02}:00Z"), false);
        record["eventSource"] = json!("iam.amazonaws.com");
        record["eventName"] = json!("UpdateAssumeRolePolicy");
        record["recipientAccountId"] = json!(account);
        record["userIdentity"] = session("TerraformApply", account);
        let policy = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"AWS": format!("arn:aws:iam::{stranger}:root")},
            "Condition": {"StringEquals": {"sts:ExternalId": "a-long-secret-of-the-vendor"}},
        }]});
        record["requestParameters"] =
            json!({"roleName": "Vendor", "policyDocument": policy.to_string()});
        severity_of(&watch(&mut memory, &record))
    };
    let first = open(1, "111122223333", "777788889999");
    assert_eq!(first, Some(Severity::Medium));
    assert_eq!(open(2, "222233334444", "777788889999"), Some(Severity::Low));
    assert_eq!(open(3, "333344445555", "888899990000"), first, "another stranger");
}

/// Of a call between two accounts of ours the role's copy tells too little to be judged: what was
/// found with the caller's becomes normal with it.
#[test]
fn what_comes_again_is_adopted_whichever_copy_comes_first() {
    let mut memory = WorkingSet::default();
    let role = "arn:aws:iam::222233334444:role/Target";
    let mut n = 0;
    let mut take = |hour, address| {
        n += 2;
        let mut own = taken(n, hour, &user("ALICE"), role, address);
        own["sharedEventID"] = json!(format!("shared-{n}"));
        let mut other = own.clone();
        other["eventID"] = json!(format!("event-{}", n + 1));
        other["recipientAccountId"] = json!("222233334444");
        other["userIdentity"] = json!({"type": "AWSAccount", "accountId": "111122223333",
            "principalId": "AIDAEXAMPLEALICE"});
        let poorer = severity_of(&watch(&mut memory, &other));
        poorer.max(severity_of(&watch(&mut memory, &own)))
    };
    for day in 0..30 {
        take(24 * day, HOME);
    }
    assert_eq!(take(MONTH, AWAY), Some(Severity::Medium));
    assert_eq!(take(MONTH + 25, AWAY), Some(Severity::Low), "a reminder");
    assert_eq!(take(MONTH + 73, AWAY), Some(Severity::Low), "becomes normal");
    let baseline = memory.role(&role.parse().unwrap()).expect("what was learned");
    let block = event(&taken(0, 0, &user("ALICE"), role, AWAY)).call().address.block();
    assert!(baseline.has_seen(Dimension::NetworkBlock, block.as_str()));
}
