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

/// Judges a record with all that it wakes, and remembers what became of it.
fn advanced(memory: &mut WorkingSet, config: &Config, record: &Value) -> Judged {
    let mut state = State::over(memory);
    let verdict = advance(&mut state, config, &event(record), &|_| Mode::Watch);
    let overlay = state.into_overlay();
    memory.commit(overlay);
    match verdict {
        Verdict::Judged(judged) => judged,
        Verdict::Duplicate => panic!("a duplicate"),
    }
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

mod late;
mod returns;
mod stories;
