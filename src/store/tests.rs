mod among;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::alert::Alert;
use crate::baseline::{Caller, Dimension, RoleBaseline, Table as Values};
use crate::cloudtrail;
use crate::config::Config;
use crate::event::CallerClass;
use crate::id::RoleArn;
use crate::memory::WorkingSet;
use crate::pipeline::{Counted, Ports, Topics, Unit, Watch, drive, transact};
use crate::report::Report;
use crate::severity::Severity;
use crate::state::{Change, State};

/// A table that answers at once, in pieces.
#[derive(Default)]
struct Shelf {
    items: BTreeMap<String, Item>,
    /// Keys that were asked for, by reading.
    asked: Vec<Vec<String>>,
    /// Keys answered at once.
    most: Option<usize>,
    is_away: bool,
    /// Whether it may only be read.
    is_read_only: bool,
    /// Whether it takes nothing for the moment.
    is_busy: bool,
    /// What somebody else writes just before the next write.
    intruders: Vec<Item>,
    pauses: u32,
}

impl Table for &mut Shelf {
    type Error = &'static str;

    async fn get(&mut self, keys: &[Key], _: bool) -> Result<Page, &'static str> {
        if self.is_away {
            return Err("away");
        }
        self.asked.push(keys.iter().map(Key::to_text).collect());
        let once: BTreeSet<_> = keys.iter().collect();
        assert_eq!(once.len(), keys.len(), "a table refuses to be asked twice for one key");
        let (now, later) = keys.split_at(self.most.unwrap_or(keys.len()).min(keys.len()));
        let items = now.iter().filter_map(|key| self.items.get(&key.to_text()).cloned());
        Ok(Page { items: items.collect(), unprocessed: later.to_vec(), is_full: false })
    }

    async fn put(&mut self, writes: &[Write]) -> Vec<Result<Written, &'static str>> {
        for item in std::mem::take(&mut self.intruders) {
            self.items.insert(item.key.to_text(), item);
        }
        let put = |write: &Write| {
            if self.is_busy {
                return Ok(Written::Throttled);
            }
            if self.is_read_only {
                return Err("denied");
            }
            let text = write.key.to_text();
            let version = self.items.get(&text).map_or(0, |item| item.version);
            if version != write.expected {
                return Ok(Written::Conflict);
            }
            // What is written has to be read.
            let body = codec::decode(&write.key, &codec::encode(&write.body)).unwrap();
            let Write { key, version, until, .. } = write.clone();
            self.items.insert(text, Item { key, version, until, body: Some(body) });
            Ok(Written::Done)
        };
        writes.iter().map(put).collect()
    }

    async fn pause(&mut self, _: u32) -> Result<(), &'static str> {
        self.pauses += 1;
        Ok(())
    }
}

/// What went out.
#[derive(Default)]
struct Sent(Vec<Alert>);

impl Topics for Sent {
    type Error = &'static str;

    async fn publish(&mut self, alerts: &[&Alert]) -> Result<(), (usize, &'static str)> {
        self.0.extend(alerts.iter().map(|it| (*it).clone()));
        Ok(())
    }
}

/// alice takes a role; `second` after 2026-03-02T09:00:00Z.
fn event(role: &str, second: i64) -> Event {
    cloudtrail::read(&record(role, second)).unwrap().expect("ours")
}

fn record(role: &str, second: i64) -> Value {
    let time = Timestamp::from_second(1_772_442_000 + second).unwrap();
    json!({
        "eventSource": "sts.amazonaws.com",
        "eventName": "AssumeRole",
        "eventTime": time.to_string(),
        "eventID": format!("event-{role}-{second}"),
        "recipientAccountId": "111122223333",
        "sourceIPAddress": "198.51.100.7",
        "userAgent": "aws-cli/2.17",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "AIDAEXAMPLEALICE",
            "arn": "arn:aws:iam::111122223333:user/alice",
            "accountId": "111122223333",
            "accessKeyId": "ASIAEXAMPLEALICE1234",
            "userName": "alice",
            "sessionContext": {"attributes": {
                "mfaAuthenticated": "true",
                "creationDate": "2026-03-02T08:59:00Z",
            }},
        },
        "requestParameters": {
            "roleArn": format!("arn:aws:iam::111122223333:role/{role}"),
            "roleSessionName": "alice",
        },
    })
}

/// A trust policy is written that admits another account, on a condition; `None` for a deletion.
fn writing(name: &str, condition: Option<Value>, second: i64) -> Event {
    written(name, "444455556666", condition, second)
}

fn written(name: &str, principal: &str, condition: Option<Value>, second: i64) -> Event {
    let mut request = json!({"roleName": "vendor"});
    if let Some(condition) = condition {
        let policy = json!({"Statement": {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"AWS": principal},
            "Condition": condition,
        }});
        let field =
            if name == "CreateRole" { "assumeRolePolicyDocument" } else { "policyDocument" };
        request[field] = policy.to_string().into();
    }
    let mut record: Value = json!({
        "eventSource": "iam.amazonaws.com",
        "eventName": name,
        "eventTime": Timestamp::from_second(1_772_442_000 + second).unwrap().to_string(),
        "eventID": format!("writing-{second}"),
        "recipientAccountId": "111122223333",
        "sourceIPAddress": "198.51.100.7",
        "userAgent": "aws-cli/2.17",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "AIDAEXAMPLEALICE",
            "arn": "arn:aws:iam::111122223333:user/alice",
            "accountId": "111122223333",
            "userName": "alice",
        },
        "requestParameters": request,
    });
    if name == "CreateRole" {
        let arn = "arn:aws:iam::111122223333:role/teams/vendor";
        record["responseElements"] = json!({"role": {"arn": arn, "roleId": "AROAEXAMPLEVENDOR"}});
    }
    cloudtrail::read(&record).unwrap().expect("ours")
}

/// One batch of one environment, at a time.
fn run(
    memory: &mut WorkingSet,
    store: &mut Store<&mut Shelf>,
    events: &[Event],
    now: i64,
) -> Result<Vec<Alert>, String> {
    store.set_time(Timestamp::from_second(1_772_442_000 + now).unwrap());
    let config = Config::default();
    let watch = Watch { config: &config, learn_until: None };
    let units = [Unit { events, ..Unit::default() }];
    let mut topics = Sent::default();
    let ports = Ports { topics: &mut topics, letters: &mut Counted, baselines: store };
    let done = drive(transact(memory, watch, &units, ports, &mut Report::default()));
    done.map(|()| topics.0).map_err(|failure| failure.cause.to_string())
}

/// The version of what is written first, at a time.
fn first(now: i64) -> u64 {
    u64::try_from((1_772_442_000 + now) * 1_000).unwrap()
}

fn calls(shelf: &Shelf, role: &str) -> u64 {
    let item = &shelf.items[&format!("role#arn:aws:iam::111122223333:role/{role}")];
    let Some(Body::Role(role)) = &item.body else { panic!("{item:?}") };
    role.calls_of_all(Dimension::Principal)
}

#[test]
fn what_is_fresh_is_not_read_twice_and_counts_cost_no_write() {
    let mut shelf = Shelf::default();
    let mut memory = WorkingSet::default();
    let mut store = Store::over(&mut shelf);
    run(&mut memory, &mut store, &[event("a", 0)], 0).unwrap();
    let first = store.take_tally();
    assert_eq!(first.reads, 6, "role, its policies, caller, account, if it is ours, and people");
    assert_eq!(first.writes, 7, "the same, her name, and the session");
    for second in 1..50 {
        run(&mut memory, &mut store, &[event("a", second)], second).unwrap();
    }
    let rest = store.take_tally();
    assert_eq!((rest.reads, rest.conflicts), (49, 0), "who calls, as is known now");
    assert_eq!(rest.writes, 50, "the sessions, and where people are");
    run(&mut memory, &mut store, &[event("a", 61)], 61).unwrap();
    assert_eq!(
        store.take_tally().reads,
        4,
        "role, its policies, caller and people, a minute later"
    );
    // After six hours the counts are written all the same.
    run(&mut memory, &mut store, &[], 6 * 3_600 + 100).unwrap();
    assert_eq!(calls(&shelf, "a"), 51);
}

#[test]
fn counts_of_all_environments_are_added() {
    let mut shelf = Shelf::default();
    let mut memories: Vec<WorkingSet> = (0..4).map(|_| WorkingSet::default()).collect();
    let mut known: Vec<_> = (0..4).map(|_| None).collect();
    let mut random = fastrand::Rng::with_seed(3);
    for n in 0..400_i64 {
        // Hours and days go by, and everybody's counts are held back for some time.
        let at = random.usize(..4);
        let mut store = Store::over(&mut shelf);
        if let Some((entries, due)) = known[at].take() {
            (store.known, store.due) = (entries, due);
        }
        run(&mut memories[at], &mut store, &[event("a", n * 600)], n * 600).unwrap();
        known[at] = Some((store.known, store.due));
    }
    for (memory, known) in memories.iter_mut().zip(known) {
        let mut store = Store::over(&mut shelf);
        (store.known, store.due) = known.unwrap();
        run(memory, &mut store, &[], 400 * 600 + 7 * 3_600).unwrap();
    }
    assert_eq!(calls(&shelf, "a"), 400);
}

#[test]
fn hundreds_of_roles_are_read_in_pages_and_nothing_else_is() {
    let mut shelf = Shelf { most: Some(30), ..Shelf::default() };
    for n in 0..100_000 {
        let key = Key::Role(format!("arn:aws:iam::111122223333:role/other{n}").parse().unwrap());
        let body = Some(Body::Role(Arc::default()));
        shelf.items.insert(key.to_text(), Item { key, version: 1, until: None, body });
    }
    let events: Vec<Event> = (0..250).map(|n| event(&format!("r{n}"), n)).collect();
    let mut memory = WorkingSet::default();
    let mut store = Store::over(&mut shelf);
    run(&mut memory, &mut store, &events, 0).unwrap();
    let reads = store.take_tally().reads;
    let (mut memory, mut empty) = (WorkingSet::default(), Shelf::default());
    let mut store = Store::over(&mut empty);
    run(&mut memory, &mut store, &events, 0).unwrap();
    assert_eq!(reads, store.take_tally().reads, "a large table is read no more than an empty one");
    assert!(shelf.asked.iter().flatten().all(|key| !key.contains("other")));
    assert_eq!(
        shelf.items.len(),
        100_000 + 3 * 250 + 5,
        "roles, what they are called, sessions; alice, her account, her name, that it is ours, \
         where people are"
    );
}

#[test]
fn what_has_expired_is_not_there_and_is_written_over() {
    let mut shelf = Shelf::default();
    let mut memory = WorkingSet::default();
    run(&mut memory, &mut Store::over(&mut shelf), &[event("a", 0)], 0).unwrap();
    let key = "role#arn:aws:iam::111122223333:role/a";
    shelf.items.get_mut(key).unwrap().until = Some(Timestamp::from_second(1_772_442_000).unwrap());
    let mut memory = WorkingSet::default();
    let mut store = Store::over(&mut shelf);
    run(&mut memory, &mut store, &[event("a", 5)], 100).unwrap();
    assert_eq!((calls(&shelf, "a"), shelf.items[key].version), (1, first(0) + 1));
}

#[test]
fn a_table_that_is_away_gives_the_batch_back_and_nothing_is_known_of_it() {
    let mut shelf = Shelf { is_away: true, ..Shelf::default() };
    let mut memory = WorkingSet::default();
    let mut store = Store::over(&mut shelf);
    let failure = run(&mut memory, &mut store, &[event("a", 0)], 0).unwrap_err();
    assert_eq!(failure, "the baselines could not be read: away");
    assert!(!memory.has_seen(&event("a", 0).call().key));
    store.table.is_away = false;
    run(&mut memory, &mut store, &[event("a", 0)], 1).unwrap();
    assert_eq!(calls(&shelf, "a"), 1);
}

#[test]
fn what_the_memory_had_no_room_for_is_not_overwritten() {
    let mut shelf = Shelf::default();
    let mut store = Store::over(&mut shelf);
    run(&mut WorkingSet::default(), &mut store, &[event("a", 0)], 0).unwrap();
    // The memory has lost the role, and the store still knows its version.
    let mut overlay = {
        let memory = WorkingSet::default();
        let mut state = State::over(&memory);
        state.apply(&[Change::LearnRole {
            role: "arn:aws:iam::111122223333:role/a".parse().unwrap(),
            id: None,
            class: CallerClass::Person,
            values: vec![(Dimension::Principal, "111122223333:AIDAEXAMPLEBOB".into())],
            time: Timestamp::from_second(1_772_442_009).unwrap(),
        }]);
        state.into_overlay()
    };
    drive(store.save(&WorkingSet::default(), &mut overlay)).unwrap();
    assert_eq!(calls(&shelf, "a"), 2);
}

/// The largest baseline that the bounds allow, made of what compresses worst.
fn largest() -> RoleBaseline {
    let mut random = fastrand::Rng::with_seed(9);
    let mut role = RoleBaseline::default();
    let classes = [
        CallerClass::Service,
        CallerClass::Person,
        CallerClass::Workload,
        CallerClass::ExternalAccount,
    ];
    for n in 0..Values::CAPACITY {
        for class in classes {
            let mut value = |_| {
                let chars = std::iter::repeat_with(|| random.alphanumeric());
                chars.take(crate::text::Text::MAX_BYTES * 2).collect::<String>()
            };
            let values: Vec<_> = Dimension::ALL
                .into_iter()
                .map(|dimension| (dimension, value(dimension).into()))
                .collect();
            let time = Timestamp::from_second(1_772_442_000 + 60 * n as i64).unwrap();
            role.learn(None, class, &values, time);
        }
    }
    role
}

#[test]
fn the_largest_baseline_fits_into_an_item_and_keeps_what_was_seen_last() {
    let role = largest();
    let body = Body::Role(Arc::new(role.clone()));
    let bytes = codec::encode(&body);
    assert!(bytes.len() <= codec::MOST_BYTES, "{}", bytes.len());
    let arn: RoleArn = "arn:aws:iam::111122223333:role/a".parse().unwrap();
    let Ok(Body::Role(kept)) = codec::decode(&Key::Role(arn), &bytes) else { panic!("unread") };
    assert!(kept.weight() > 40, "{}", kept.weight());
    assert_eq!(kept.last_active(), role.last_active());
    let all = |role: &RoleBaseline| role.turnover_of_all(Dimension::Principal).values;
    assert_eq!(all(&kept), all(&role), "what has no room still counts");
}

#[test]
fn an_item_of_a_later_version_is_told_from_a_damaged_one() {
    let key = Key::Caller(event("a", 0).call().principal.key().cloned().unwrap());
    let body = Body::Caller(Arc::new(Caller::default()));
    let mut bytes = codec::encode(&body);
    assert_eq!(codec::decode(&key, &bytes), Ok(body));
    bytes[0] = 9;
    assert_eq!(codec::decode(&key, &bytes), Err(codec::CodecError::Newer(9)));
    for damaged in [&[][..], &[0], &[1, 2, 3], &bytes[..1]] {
        let read = codec::decode(&key, damaged);
        assert!(read.is_err(), "{damaged:?}: {read:?}");
    }
}

#[test]
fn a_long_key_ends_in_a_digest() {
    let person = |name: &str| Key::Person(name.into()).to_text();
    assert_eq!(person("alice"), "person#alice");
    let (one, other) = ("ö".repeat(900), "ö".repeat(901));
    assert!(person(&one).len() < 1_024 && person(&one) != person(&other));
}

#[test]
fn a_policy_that_another_environment_saw_is_compared_with() {
    let demand = || Some(json!({"StringEquals": {"sts:ExternalId": "acme-7f3a"}}));
    let mut shelf = Shelf::default();
    let one = |shelf: &mut Shelf, event: Event, now: i64| {
        run(&mut WorkingSet::default(), &mut Store::over(shelf), &[event], now).unwrap()
    };
    one(&mut shelf, writing("CreateRole", demand(), 0), 0);
    let alerts = one(&mut shelf, writing("UpdateAssumeRolePolicy", Some(json!({})), 5), 5);
    let [alert] = &*alerts else { panic!("{alerts:?}") };
    assert!(alert.findings.iter().any(|it| it.rule == "trust_policy_weakened"), "{alert:?}");
    let arn = alert.role.as_ref().and_then(|it| it.arn.as_deref());
    assert_eq!(arn, Some("arn:aws:iam::111122223333:role/teams/vendor"), "told by the creation");
    assert!(!format!("{:?}", shelf.items).contains("acme-7f3a"));

    one(&mut shelf, writing("DeleteRole", None, 9), 9);
    let item = &shelf.items["trust#111122223333/vendor"];
    let Some(Body::Trust(history)) = &item.body else { panic!("{item:?}") };
    assert!(history.deleted().is_some());
    assert!(item.until.is_some(), "a role that is gone is forgotten in the end");
}

#[test]
fn what_two_environments_write_of_one_policy_at_a_time_is_judged_together() {
    let demand = || Some(json!({"StringEquals": {"sts:ExternalId": "acme-7f3a"}}));
    let mut shelf = Shelf::default();
    let mut memories = [WorkingSet::default(), WorkingSet::default()];
    let mut known = [None, None];
    let events = [
        writing("CreateRole", demand(), 0),
        writing("UpdateAssumeRolePolicy", demand(), 4),
        writing("UpdateAssumeRolePolicy", Some(json!({})), 8),
    ];
    let mut alerts = Vec::new();
    for (n, event) in events.into_iter().enumerate() {
        let mut store = Store::over(&mut shelf);
        if let Some((entries, due)) = known[n % 2].take() {
            (store.known, store.due) = (entries, due);
        }
        alerts.extend(run(&mut memories[n % 2], &mut store, &[event], 8).unwrap());
        known[n % 2] = Some((store.known, store.due));
    }

    alerts.retain(|alert| alert.severity > Severity::Low);
    assert_eq!(alerts.len(), 1, "the last one lost a condition that the other had seen");
}
