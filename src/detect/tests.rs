//! What the stories in `fixtures/` do not show: the order of judging, publishing and learning.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::cloudtrail;
use crate::id::RoleArn;
use crate::memory::WorkingSet;
use crate::pipeline::Remember;
use crate::state::Memory;

fn record(n: u32, time: &str, mfa: bool) -> Value {
    json!({
        "eventSource": "sts.amazonaws.com",
        "eventName": "AssumeRole",
        "eventTime": time,
        "eventID": format!("event-{n}"),
        "recipientAccountId": "111122223333",
        "sourceIPAddress": "198.51.100.7",
        "userAgent": "aws-cli/2.1",
        "userIdentity": {
            "type": "IAMUser", "principalId": "AIDAEXAMPLEALICE", "accountId": "111122223333",
            "accessKeyId": "AKIAEXAMPLEALICE", "userName": "alice",
            "arn": "arn:aws:iam::111122223333:user/alice",
        },
        "requestParameters": {
            "roleArn": "arn:aws:iam::111122223333:role/Admin", "roleSessionName": "alice",
            "serialNumber": if mfa { json!("arn:aws:iam::111122223333:mfa/alice") } else { Value::Null },
        },
    })
}

fn event(record: &Value) -> Event {
    cloudtrail::read(record).unwrap().expect("ours")
}

fn role() -> RoleArn {
    "arn:aws:iam::111122223333:role/Admin".parse().unwrap()
}

fn judged(memory: &WorkingSet, event: &Event, mode: Mode) -> Judged {
    match judge(&State::over(memory), &Config::default(), event, mode) {
        Verdict::Judged(judged) => judged,
        Verdict::Duplicate => panic!("a duplicate"),
    }
}

fn watch(memory: &mut WorkingSet, record: &Value) -> Judged {
    let judged = judged(memory, &event(record), Mode::Watch);
    let mut state = State::over(memory);
    state.apply(&judged.changes);
    let overlay = state.into_overlay();
    memory.commit(overlay);
    judged
}

/// A memory in which alice took the role with MFA for five days.
fn with_mfa() -> WorkingSet {
    let mut memory = WorkingSet::default();
    for day in 0..5 {
        watch(&mut memory, &record(900 + day, &format!("2026-02-{}T05:06:07Z", 20 + day), true));
    }
    memory
}

#[test]
fn judging_changes_nothing_and_gives_the_same_again() {
    let memory = with_mfa();
    let event = event(&record(1, "2026-03-04T05:06:07Z", false));
    let first = judged(&memory, &event, Mode::Watch);
    assert!(first.alert.is_some());
    let before = memory.role(&role());
    assert_eq!(judged(&memory, &event, Mode::Watch), first);
    assert_eq!(memory.role(&role()), before);
}

#[test]
fn what_raised_an_alert_teaches_nothing() {
    let mut memory = with_mfa();
    let before = memory.role(&role()).expect("what was learned");
    assert!(watch(&mut memory, &record(1, "2026-03-04T05:06:07Z", false)).alert.is_some());
    let baseline = memory.role(&role()).expect("it remembers the alert");
    assert!(baseline.iter().eq(before.iter()), "and no habits");
    assert_eq!(baseline.folds.len(), 1);
    let second = watch(&mut memory, &record(2, "2026-03-04T05:06:08Z", false));
    assert!(second.alert.is_none() && second.repeat);
}

#[test]
fn a_record_is_judged_once() {
    let mut memory = WorkingSet::default();
    let event = event(&record(1, "2026-03-04T05:06:07Z", false));
    watch(&mut memory, &record(1, "2026-03-04T05:06:07Z", false));
    let again = judge(&State::over(&memory), &Config::default(), &event, Mode::Watch);
    assert_eq!(again, Verdict::Duplicate);
}

#[test]
fn what_was_learned_is_normal() {
    let mut memory = WorkingSet::default();
    let lesson = judged(&memory, &event(&record(1, "2026-03-04T05:06:07Z", false)), Mode::Learn);
    assert!(lesson.alert.is_none());
    let mut state = State::over(&memory);
    state.apply(&lesson.changes);
    let overlay = state.into_overlay();
    memory.commit(overlay);
    assert!(watch(&mut memory, &record(2, "2026-03-05T05:06:07Z", false)).alert.is_none());
}

#[test]
fn refusals_teach_no_habits() {
    let mut memory = WorkingSet::default();
    let mut refused = record(1, "2026-03-04T05:06:07Z", false);
    refused["errorCode"] = json!("AccessDenied");
    assert!(watch(&mut memory, &refused).alert.is_none());
    assert!(memory.role(&role()).is_none());
}

#[test]
fn a_fuller_copy_completes_the_alert_as_its_next_revision() {
    let mut memory = with_mfa();
    let mut rich = record(1, "2026-03-04T05:06:07Z", false);
    rich["sharedEventID"] = json!("shared-1");
    rich["requestParameters"]["roleArn"] = json!("arn:aws:iam::444455556666:role/Admin");
    let mut poor = rich.clone();
    poor["eventID"] = json!("event-2");
    poor["recipientAccountId"] = json!("444455556666");
    poor["userIdentity"] = json!({
        "type": "AWSAccount", "principalId": "AIDAEXAMPLEALICE", "accountId": "111122223333",
    });
    let first = watch(&mut memory, &poor);
    assert!(first.alert.is_none() && !first.joined, "this copy cannot tell of MFA");
    let second = watch(&mut memory, &rich);
    let alert = second.alert.expect("the other can");
    assert!(second.joined);
    assert_eq!((alert.findings.len(), alert.revision), (1, 1));
    poor["eventID"] = json!("event-3");
    poor["recipientAccountId"] = json!("777788889999");
    let third = watch(&mut memory, &poor);
    assert!(third.joined && third.alert.is_none());
}

#[test]
fn a_name_learned_from_one_copy_is_told_for_the_other() {
    let mut memory = WorkingSet::default();
    watch(&mut memory, &record(1, "2026-03-04T05:06:07Z", true));
    let mut poor = record(2, "2026-03-05T05:06:07Z", true);
    poor["requestParameters"]["serialNumber"] = Value::Null;
    poor["userIdentity"] = json!({
        "type": "AWSAccount", "principalId": "AIDAEXAMPLEALICE", "accountId": "111122223333",
    });
    let state = State::over(&memory);
    let poor = event(&poor);
    let named = with_known_name(&state, &poor);
    assert_eq!(named.call().principal.display(), "alice");
}

#[test]
fn a_habit_that_alerted_becomes_normal_only_after_it_was_said() {
    let mut memory = with_mfa();
    let start: Timestamp = "2026-03-04T05:06:07Z".parse().unwrap();
    let mut titles = Vec::new();
    for day in 0..8_i64 {
        let time = start + jiff::SignedDuration::from_hours(25 * day);
        let number = u32::try_from(day).unwrap();
        let judged = watch(&mut memory, &record(number, &time.to_string(), false));
        titles.push(judged.alert.map(|alert| alert.title));
    }
    let told = titles.iter().flatten().count();
    let normal: Vec<_> = titles.iter().flatten().filter(|it| it.contains("normal")).collect();
    assert_eq!((told, normal.len()), (4, 1), "{titles:#?}");
    assert!(titles.last().unwrap().is_none());
}

fn days(memory: &mut WorkingSet, count: u32, record: impl Fn(u32, &str) -> Value) {
    let start: Timestamp = "2026-01-05T09:00:00Z".parse().unwrap();
    for day in 0..count {
        let time = start + jiff::SignedDuration::from_hours(24 * i64::from(day));
        watch(memory, &record(day, &time.to_string()));
    }
}

fn severity(judged: &Judged) -> Option<Severity> {
    judged.alert.as_ref().map(|alert| alert.severity)
}

#[test]
fn a_borrowed_shared_id_joins_nothing() {
    let mut memory = with_mfa();
    let mut first = record(1, "2026-03-04T05:06:07Z", true);
    first["sharedEventID"] = json!("shared-1");
    watch(&mut memory, &first);
    let mut other = record(2, "2026-03-04T05:06:37Z", false);
    other["sharedEventID"] = json!("shared-1");
    for account in ["111122223333", "444455556666"] {
        let mut other = other.clone();
        other["recipientAccountId"] = json!(account);
        other["requestParameters"]["roleArn"] = json!("arn:aws:iam::111122223333:role/Other");
        let judged = judged(&memory, &event(&other), Mode::Watch);
        assert!(!judged.joined && judged.alert.is_some(), "{account}");
    }
    let late = record(3, "2026-03-14T05:06:37Z", false);
    let mut late = late.clone();
    late["sharedEventID"] = json!("shared-1");
    late["recipientAccountId"] = json!("444455556666");
    assert!(!judged(&memory, &event(&late), Mode::Watch).joined, "ten days later");
}

/// The role account's copy may come first and raise less than the caller's; the caller's then
/// raises what it would have raised alone.
#[test]
fn the_order_of_two_copies_does_not_decide_the_severity() {
    let cross = |n: u32, time: &str| {
        let mut it = record(n, time, true);
        it["requestParameters"]["roleArn"] = json!("arn:aws:iam::444455556666:role/Admin");
        it
    };
    let mut rich = cross(100, "2026-03-01T09:00:00Z");
    rich["sharedEventID"] = json!("shared-1");
    rich["sourceIPAddress"] = json!("203.0.113.9");
    let mut poor = rich.clone();
    poor["eventID"] = json!("event-101");
    poor["recipientAccountId"] = json!("444455556666");
    poor["userIdentity"] = json!({
        "type": "AWSAccount", "principalId": "AIDAEXAMPLEALICE", "accountId": "111122223333",
    });
    let worst = |records: [&Value; 2]| {
        let mut memory = WorkingSet::default();
        days(&mut memory, 40, cross);
        records.into_iter().filter_map(|it| severity(&watch(&mut memory, it))).max()
    };
    assert_eq!(worst([&rich, &poor]), Some(Severity::Medium));
    assert_eq!(worst([&poor, &rich]), Some(Severity::Medium));
}

#[test]
fn an_attack_in_slices_is_an_attack() {
    let mut memory = WorkingSet::default();
    let session = |n: u32, time: &str| {
        let mut it = record(n, time, true);
        it["userIdentity"]["accessKeyId"] = json!("ASIAEXAMPLE");
        it
    };
    days(&mut memory, 40, session);
    let mut sliced = session(100, "2026-03-01T09:00:00Z");
    sliced["sourceIPAddress"] = json!("203.0.113.9");
    assert_eq!(severity(&watch(&mut memory, &sliced)), Some(Severity::Low));
    sliced["eventID"] = json!("event-101");
    sliced["userAgent"] = json!("Boto3/1");
    sliced["requestParameters"]["roleSessionName"] = json!("botocore-session-1");
    assert!(severity(&watch(&mut memory, &sliced)) >= Some(Severity::Medium));
}

#[test]
fn a_persons_name_is_theirs_in_every_account_and_cannot_be_taken() {
    let mut memory = WorkingSet::default();
    let named = |n: u32, user: &str, account: &str, session: &str| {
        let mut it = record(n, "2026-03-01T09:00:00Z", true);
        it["userIdentity"]["userName"] = json!(user);
        it["userIdentity"]["accountId"] = json!(account);
        it["userIdentity"]["principalId"] = json!(format!("AIDAEXAMPLE{}", user.to_uppercase()));
        it["requestParameters"]["roleSessionName"] = json!(session);
        it
    };
    watch(&mut memory, &named(1, "alice", "111122223333", "alice"));
    watch(&mut memory, &named(2, "mallory", "111122223333", "carol@corp.example"));
    for (n, it) in [
        named(3, "alice", "444455556666", "alice"),
        named(4, "carol", "111122223333", "carol@corp.example"),
    ]
    .iter()
    .enumerate()
    {
        assert_eq!(severity(&watch(&mut memory, it)), None, "{n}");
    }
    for (n, session) in ["alice", "carol"].into_iter().enumerate() {
        let number = u32::try_from(10 + n).unwrap();
        let borrowed = named(number, "mallory", "111122223333", session);
        assert_eq!(severity(&watch(&mut memory, &borrowed)), Some(Severity::Medium), "{session}");
    }
}

#[test]
fn what_is_exempt_brings_nothing_else_up() {
    let mut memory = WorkingSet::default();
    days(&mut memory, 12, |n, time| record(n, time, true));
    let mut call = record(100, "2026-01-20T09:00:00Z", false);
    call["sourceIPAddress"] = json!("203.0.113.9");
    let toml = "[[exempt]]\nrules = ['missing_mfa']\nrole = '*:role/Admin'\n\
                until = 2027-01-31\nreason = 'known'";
    let config = Config::parse(toml).config.unwrap();
    let Verdict::Judged(judged) = judge(&State::over(&memory), &config, &event(&call), Mode::Watch)
    else {
        panic!("a duplicate");
    };
    assert!(judged.alert.is_none(), "{:?}", judged.alert);
}

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
fn taken(n: u32, hour: i64, identity: &Value, role: &str, address: &str) -> Value {
    let start: Timestamp = "2026-02-02T09:00:00Z".parse().unwrap();
    let time = start + jiff::SignedDuration::from_hours(hour);
    let mut record = record(n, &time.to_string(), true);
    record["userIdentity"] = identity.clone();
    record["requestParameters"]["roleArn"] = json!(role);
    record["sourceIPAddress"] = json!(address);
    record
}

fn user(name: &str) -> Value {
    json!({
        "type": "IAMUser", "principalId": format!("AIDAEXAMPLE{name}"), "userName": name,
        "accountId": "111122223333", "accessKeyId": format!("AKIAEXAMPLE{name}"),
        "arn": format!("arn:aws:iam::111122223333:user/{name}"),
    })
}

fn session(role: &str, account: &str) -> Value {
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

const HOME: &str = "198.51.100.7";
const AWAY: &str = "203.0.113.9";
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

/// Whether a network tells one kind of alert from another depends on the role. A key that is where
/// it never was is one story all the same.
#[test]
fn a_place_is_told_of_once_whatever_the_networks_of_the_roles() {
    let mut memory = WorkingSet::default();
    let [busy, quiet] = ["Busy", "Quiet"].map(|it| format!("arn:aws:iam::111122223333:role/{it}"));
    let mut n = 0;
    let mut take = |name: &str, hour, role: &str, address: &str| {
        n += 1;
        severity_of(&watch(&mut memory, &taken(n, hour, &user(name), role, address)))
    };
    for day in 0..30 {
        for role in [&busy, &quiet] {
            take("ALICE", 24 * day, role, HOME);
        }
        take("BOB", 24 * day, &busy, &format!("203.{day}.113.5"));
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
