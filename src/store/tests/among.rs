//! One environment among others, with little room, and over a table that is not well.

use super::*;
use crate::memory::Bounds;
use crate::pipeline::Remember;

/// Environments that go on where they were.
struct Environments(Vec<(WorkingSet, Option<Left>)>);

type Left = (HashMap<Key, Known>, BTreeSet<(Timestamp, Key)>);

impl Environments {
    fn new(count: usize) -> Self {
        Self((0..count).map(|_| (WorkingSet::default(), None)).collect())
    }

    fn run(&mut self, at: usize, shelf: &mut Shelf, event: &Event, now: i64) -> Vec<Alert> {
        let (memory, left) = &mut self.0[at];
        let mut store = Store::over(shelf);
        if let Some((known, due)) = left.take() {
            (store.known, store.due) = (known, due);
        }
        let alerts = run(memory, &mut store, std::slice::from_ref(event), now).unwrap();
        *left = Some((store.known, store.due));
        alerts
    }
}

fn refused(role: &str, second: i64) -> Event {
    let mut record = record(role, second);
    record["errorCode"] = "AccessDenied".into();
    cloudtrail::read(&record).unwrap().expect("ours")
}

fn refusals(shelf: &Shelf, role: &str, now: i64) -> u32 {
    let mut items = shelf.items.values().filter(|item| matches!(item.key, Key::Caller(_)));
    let Some(Body::Caller(caller)) = items.next().and_then(|it| it.body.as_ref()) else { return 0 };
    let role = format!("arn:aws:iam::111122223333:role/{role}").parse().unwrap();
    let time = Timestamp::from_second(1_772_442_000 + now).unwrap();
    caller.denials.of_role(&role, time, SignedDuration::from_hours(1))
}

fn said(alerts: &[Alert], rule: &str) -> Option<Severity> {
    let findings = alerts.iter().flat_map(|alert| &alert.findings);
    findings.filter(|it| it.rule == rule).map(|it| it.severity).max()
}

#[test]
fn what_a_batch_needs_stays_until_it_is_judged_whatever_room_there_is() {
    let demand = Some(json!({"StringEquals": {"sts:ExternalId": "acme-7f3a"}}));
    let mut shelf = Shelf::default();
    let created = [writing("CreateRole", demand, 0)];
    run(&mut WorkingSet::default(), &mut Store::over(&mut shelf), &created, 0).unwrap();
    let mut memory = WorkingSet::bounded(Bounds { weight: 1, ..Bounds::default() });
    let changed = [writing("UpdateAssumeRolePolicy", Some(json!({})), 5)];
    let alerts = run(&mut memory, &mut Store::over(&mut shelf), &changed, 5).unwrap();
    assert!(said(&alerts, "trust_policy_weakened").is_some(), "{alerts:?}");
    assert_eq!(memory.weight()[2], 0, "and goes afterwards");
}

#[test]
fn refusals_of_one_role_by_many_environments_are_added_up_and_each_counts_once() {
    let (mut shelf, mut all) = (Shelf::default(), Environments::new(8));
    for n in 0..8 {
        all.run(n as usize, &mut shelf, &event("b", n), n);
    }
    for n in 0..8_i64 {
        all.run(n as usize, &mut shelf, &refused("a", 10 + n), 10 + n);
        assert!(refusals(&shelf, "a", 20) >= (n as u32 + 1).min(5), "{n}");
    }
    let before = refusals(&shelf, "a", 20);
    Environments::new(1).run(0, &mut shelf, &refused("a", 10), 30);
    assert_eq!(refusals(&shelf, "a", 20), before, "a record that comes again counts no more");
}

#[test]
fn what_is_granted_after_many_refusals_elsewhere_is_told() {
    let (mut shelf, mut all) = (Shelf::default(), Environments::new(2));
    all.run(1, &mut shelf, &event("mine", 0), 0);
    for n in 0..8 {
        all.run(0, &mut shelf, &refused(&format!("r{n}"), 1 + n), 1 + n);
    }
    let alerts = all.run(1, &mut shelf, &event("mine", 10), 10);
    assert_eq!(said(&alerts, "role_enumeration"), Some(Severity::High));
}

#[test]
fn the_role_that_a_history_names_is_read_with_it() {
    let mut shelf = Shelf::default();
    let policy = || Some(json!({"StringEquals": {"sts:ExternalId": "acme-7f3a"}}));
    let mut all = Environments::new(2);
    all.run(0, &mut shelf, &writing("CreateRole", policy(), 0), 0);
    shelf.asked.clear();
    all.run(1, &mut shelf, &writing("UpdateAssumeRolePolicy", policy(), 5), 5);
    let asked: Vec<_> = shelf.asked.concat();
    let role = "role#arn:aws:iam::111122223333:role/teams/vendor".to_owned();
    assert!(asked.contains(&role), "{asked:?}");
}

#[test]
fn what_is_known_of_the_table_is_bounded() {
    let mut shelf = Shelf::default();
    let mut memory = WorkingSet::bounded(Bounds { weight: 50, ..Bounds::default() });
    let mut store = Store::over(&mut shelf).with_room(20);
    for n in 0..200 {
        run(&mut memory, &mut store, &[event(&format!("r{n}"), n)], n).unwrap();
        assert!(store.known.len() < 120, "{} after {n}", store.known.len());
    }
    let mut sessions = store.known.iter().filter(|(key, _)| matches!(key, Key::Session(_)));
    assert!(sessions.all(|(_, known)| known.base.is_none()));
    assert!(store.due.iter().all(|(_, key)| store.known.contains_key(key)));
}

#[test]
fn what_somebody_else_has_just_said_is_not_said_again() {
    let mut shelf = Shelf::default();
    run(&mut WorkingSet::default(), &mut Store::over(&mut shelf), &[event("a", 0)], 0).unwrap();
    let key = "role#arn:aws:iam::111122223333:role/a";
    let (theirs, mut shelf) = (shelf.items[key].clone(), Shelf::default());
    let version = theirs.version;
    shelf.intruders.push(theirs);
    let (mut memory, mut store) = (WorkingSet::default(), Store::over(&mut shelf));
    run(&mut memory, &mut store, &[event("a", 1)], 1).unwrap();
    assert_eq!(store.take_tally().conflicts, 1);
    assert_eq!(store.table.items[key].version, version, "what is there says all but a count");
    run(&mut memory, &mut store, &[], 6 * 3_600 + 100).unwrap();
    assert_eq!(calls(store.table, "a"), 2, "which is owed");
}

#[test]
fn counts_that_are_throttled_fail_no_batch_and_stay_due() {
    let mut shelf = Shelf::default();
    let (mut memory, mut store) = (WorkingSet::default(), Store::over(&mut shelf));
    run(&mut memory, &mut store, &[event("a", 0)], 0).unwrap();
    run(&mut memory, &mut store, &[event("a", 9)], 9).unwrap();
    store.table.is_busy = true;
    run(&mut memory, &mut store, &[], 6 * 3_600 + 100).unwrap();
    assert_eq!((calls(store.table, "a"), store.table.pauses), (1, 0));
    store.table.is_busy = false;
    run(&mut memory, &mut store, &[], 6 * 3_600 + 200).unwrap();
    assert_eq!(calls(store.table, "a"), 2);
}

#[test]
fn a_table_that_may_only_be_read_gives_batches_back_even_if_only_counts_are_due() {
    let mut shelf = Shelf::default();
    let (mut memory, mut store) = (WorkingSet::default(), Store::over(&mut shelf));
    run(&mut memory, &mut store, &[event("a", 0)], 0).unwrap();
    run(&mut memory, &mut store, &[event("a", 9)], 9).unwrap();
    store.table.is_read_only = true;
    let failure = run(&mut memory, &mut store, &[], 6 * 3_600 + 100).unwrap_err();
    assert_eq!(failure, "the baselines were not saved: denied");
    store.table.is_read_only = false;
    run(&mut memory, &mut store, &[], 6 * 3_600 + 200).unwrap();
    assert_eq!(calls(store.table, "a"), 2);
}

#[test]
fn what_was_deleted_and_written_anew_is_met_and_not_overwritten() {
    let mut shelf = Shelf::default();
    let mut both = Environments::new(2);
    both.run(0, &mut shelf, &event("a", 0), 0);
    shelf.items.clear();
    both.run(1, &mut shelf, &event("a", 1), 1);
    // Of the next day, so that there is news to write; and what was read counts as fresh.
    let (known, _) = both.0[0].1.as_mut().unwrap();
    let day = 86_400;
    let later = Timestamp::from_second(1_772_442_000 + day).unwrap();
    known.values_mut().for_each(|known| known.at = later);
    both.run(0, &mut shelf, &event("a", day), day);
    let key = "role#arn:aws:iam::111122223333:role/a";
    assert_eq!(shelf.items[key].version, first(1) + 1, "it stands on what the other one wrote");
    assert_eq!(calls(&shelf, "a"), 2);
}

#[test]
fn a_clock_that_was_set_back_makes_what_was_read_out_of_date() {
    let mut shelf = Shelf::default();
    let (mut memory, mut store) = (WorkingSet::default(), Store::over(&mut shelf));
    run(&mut memory, &mut store, &[event("a", 0)], 7_200).unwrap();
    store.take_tally();
    run(&mut memory, &mut store, &[event("a", 1)], 7_201).unwrap();
    assert_eq!(store.take_tally().reads, 1, "who calls");
    run(&mut memory, &mut store, &[event("a", 2)], 2).unwrap();
    assert_eq!(store.take_tally().reads, 4, "role, its policies, caller and people");
}

#[test]
fn a_table_that_answers_in_part_is_given_time() {
    let events: Vec<Event> = (0..50).map(|n| event(&format!("r{n}"), n)).collect();
    let mut shelf = Shelf { most: Some(30), ..Shelf::default() };
    run(&mut WorkingSet::default(), &mut Store::over(&mut shelf), &events, 0).unwrap();
    assert!(shelf.pauses >= 2, "{}", shelf.pauses);
}

#[test]
fn keys_that_are_asked_for_twice_are_read_once() {
    let mut shelf = Shelf::default();
    run(&mut WorkingSet::default(), &mut Store::over(&mut shelf), &[event("a", 0)], 0).unwrap();
    let key = Key::Role("arn:aws:iam::111122223333:role/a".parse().unwrap());
    let mut store = Store::over(&mut shelf);
    let there = drive(store.fetch(&WorkingSet::default(), &[key.clone(), key.clone()])).unwrap();
    assert_eq!((there.roles.len(), store.known[&key].version), (1, first(0)));
}

#[test]
fn damaged_items_are_replaced() {
    let mut shelf = Shelf::default();
    run(&mut WorkingSet::default(), &mut Store::over(&mut shelf), &[event("a", 0)], 0).unwrap();
    shelf.items.values_mut().for_each(|item| item.body = None);
    run(&mut WorkingSet::default(), &mut Store::over(&mut shelf), &[event("a", 5)], 100).unwrap();
    let is_over = |item: &&Item| matches!(item.key, Key::Session(_));
    let items = shelf.items.values().filter(|item| !is_over(item));
    let damaged: Vec<_> = items.filter(|item| item.body.is_none()).collect();
    assert!(damaged.is_empty(), "{damaged:?}");
}

/// A vendor takes a role of ours, as the trail of `account` tells it.
fn across(account: &str) -> Event {
    let mut record = record("a", 0);
    let arn = "arn:aws:iam::444455556666:user/vendor";
    record["eventID"] = format!("copy-of-{account}").into();
    record["requestParameters"]["roleSessionName"] = "vendor".into();
    record["responseElements"] = json!({
        "credentials": {"accessKeyId": "ASIAEXAMPLEISSUED123", "expiration": "Mar 2, 2026, 10:00:00 AM"},
        "assumedRoleUser": {
            "assumedRoleId": "AROAEXAMPLEOFROLEA:vendor",
            "arn": "arn:aws:sts::111122223333:assumed-role/a/vendor",
        },
    });
    record["sharedEventID"] = "shared".into();
    record["recipientAccountId"] = account.into();
    record["userIdentity"] = json!({
        "type": "IAMUser",
        "principalId": "AIDAEXAMPLEVENDOR",
        "arn": arn,
        "accountId": "444455556666",
        "accessKeyId": "AKIAEXAMPLEVENDOR123",
        "userName": "vendor",
    });
    if account != "444455556666" {
        record["userIdentity"] = json!({
            "type": "AWSAccount",
            "principalId": "AIDAEXAMPLEVENDOR",
            "accountId": "444455556666",
        });
    }
    cloudtrail::read(&record).unwrap().expect("ours")
}

#[test]
fn of_two_copies_that_are_judged_at_once_the_second_is_the_next_revision() {
    let [theirs, mine] = ["111122223333", "444455556666"].map(across);
    let mut shelf = Shelf::default();
    let mut other = Shelf::default();
    run(&mut WorkingSet::default(), &mut Store::over(&mut other), &[theirs], 0).unwrap();
    let mut copy = other.items["copy#shared"].clone();
    let Some(Body::Copy(first)) = &copy.body else { panic!("{copy:?}") };
    let finding = |rule: &'static str| crate::finding::Finding {
        rule: rule.into(),
        severity: Severity::Medium,
        phrase: "as a test".into(),
        summary: "vendor took a".into(),
        evidence: serde_json::Map::new(),
        ground: crate::finding::Ground::Fact,
    };
    let first = crate::state::FirstCopy {
        revision: 1,
        findings: vec![finding("new_account")],
        ..(**first).clone()
    };
    assert!(!first.complete);
    copy.body = Some(Body::Copy(Arc::new(first)));
    shelf.intruders.push(copy);
    let alerts = run(&mut WorkingSet::default(), &mut Store::over(&mut shelf), &[mine], 0).unwrap();
    let revisions: Vec<_> = alerts.iter().map(|alert| alert.revision).collect();
    assert_eq!(revisions, [1, 2], "{alerts:?}");
    assert_eq!(alerts[0].id, alerts[1].id);
    assert!(said(&alerts[1..], "new_account").is_some());
    let Some(Body::Copy(copy)) = &shelf.items["copy#shared"].body else { panic!() };
    assert!(copy.complete, "of which nobody asks for another copy");
    assert!(copy.findings.iter().any(|it| it.rule == "new_account"), "{copy:?}");
}

#[test]
fn what_is_over_is_not_joined() {
    let mut shelf = Shelf::default();
    run(&mut WorkingSet::default(), &mut Store::over(&mut shelf), &[event("a", 0)], 0).unwrap();
    let key = "role#arn:aws:iam::111122223333:role/a";
    let mut over = shelf.items[key].clone();
    over.until = Some(Timestamp::from_second(1_772_442_000).unwrap());
    let mut shelf = Shelf { intruders: vec![over], ..Shelf::default() };
    let mut memory = WorkingSet::default();
    run(&mut memory, &mut Store::over(&mut shelf), &[event("a", 5)], 100).unwrap();
    assert_eq!((calls(&shelf, "a"), shelf.items[key].version), (1, first(0) + 1));
    memory.commit(Overlay::default());
}

/// The vendor's session of role a, which was issued `across` accounts, takes role b.
fn chained() -> Event {
    let mut record = record("b", 70);
    record["userIdentity"] = json!({
        "type": "AssumedRole",
        "principalId": "AROAEXAMPLEOFROLEA:vendor",
        "arn": "arn:aws:sts::111122223333:assumed-role/a/vendor",
        "accountId": "111122223333",
        "accessKeyId": "ASIAEXAMPLEISSUED123",
        "sessionContext": {
            "attributes": {"mfaAuthenticated": "false", "creationDate": "2026-03-02T09:00:00Z"},
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROAEXAMPLEOFROLEA",
                "arn": "arn:aws:iam::111122223333:role/a",
                "accountId": "111122223333",
                "userName": "a",
            },
        },
    });
    cloudtrail::read(&record).unwrap().expect("ours")
}

/// One environment read the record that names the vendor by its account alone, another one the
/// record that names it in full.
#[test]
fn a_chain_is_followed_by_what_another_environment_knows_better() {
    let mut shelf = Shelf::default();
    let mut both = Environments::new(2);
    let [poor, full] = ["111122223333", "444455556666"].map(across);
    both.run(0, &mut shelf, &poor, 0);
    both.run(1, &mut shelf, &full, 1);
    both.run(0, &mut shelf, &chained(), 70);
    let chained = chained();
    let Event::Assumption(it) = &chained else { panic!() };
    let traces = both.0[0].0.traces();
    let waits = traces.waiting.get(&crate::lineage::CallId::of_assumption(it));
    assert!(waits.is_none_or(|it| it.lineage.complete), "{waits:?}");
    let [role, vendor] = ["role/b", "AIDAEXAMPLEVENDOR"];
    let Some(Body::Role(role)) = shelf
        .items
        .values()
        .find(|it| it.key.to_text().ends_with(role))
        .and_then(|it| it.body.clone())
    else {
        panic!()
    };
    assert!(role.has_seen(Dimension::WithoutMfa, &format!("444455556666:{vendor}")), "{role:?}");
}

#[test]
fn what_is_known_of_a_session_does_not_get_less_whoever_writes_last() {
    let [poor, full] = ["111122223333", "444455556666"].map(across);
    let told = |events: &[&Event]| {
        let mut shelf = Shelf::default();
        for event in events {
            let event = std::slice::from_ref(*event);
            run(&mut WorkingSet::default(), &mut Store::over(&mut shelf), event, 0).unwrap();
        }
        let mut told = shelf.items.into_iter().filter(|(key, _)| key.starts_with("session#"));
        told.next().expect("a session").1.body
    };
    let once = told(&[&full]);
    assert_ne!(told(&[&poor]), once);
    assert_eq!(told(&[&full, &poor]), once);
    assert_eq!(told(&[&poor, &full]), once);
}

#[test]
fn a_policy_names_by_its_id_whom_another_environment_knows() {
    let mut shelf = Shelf::default();
    let told = |shelf: &mut Shelf, event: Event, now: i64| {
        run(&mut WorkingSet::default(), &mut Store::over(shelf), &[event], now).unwrap()
    };
    told(&mut shelf, writing("CreateRole", Some(json!({})), 0), 0);
    told(&mut shelf, event("a", 1), 1);
    let of = |id: &str, second| written("UpdateAssumeRolePolicy", id, Some(json!({})), second);
    let alerts = told(&mut shelf, of("AIDAEXAMPLEALICE", 5), 5);
    assert_eq!(said(&alerts, "trust_policy_weakened"), None, "{alerts:?}");
    let alerts = told(&mut shelf, of("AIDAEXAMPLEMALLORY", 9), 9);
    assert!(said(&alerts, "trust_policy_weakened") > Some(Severity::Low), "{alerts:?}");
}
