//! Two environments over one table, on the emulator: the built function, killed and restarted.
#![cfg(feature = "aws")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    reason = "a test may fail loudly, and its clock decides nothing"
)]

#[path = "support/mapping.rs"]
#[allow(dead_code, reason = "shards are delivered by several environments here")]
mod mapping;
#[path = "support/stub.rs"]
#[allow(dead_code, reason = "of the stub only the runtime API is used here")]
mod stub;
mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_kinesis::types::Record;
use mapping::Mapping;
use serde_json::Value;
use stub::{Running, Stub};
use support::emulator::{Emulator, PATIENCE};
use support::{finish, fixture, run};

/// What a reader joins alerts by: who, which role, which rule.
fn kinds(alert: &str) -> BTreeSet<(String, String, String)> {
    let alert: Value = serde_json::from_str(alert).unwrap();
    let findings = alert["findings"].as_array().unwrap().iter();
    let kind = |finding: &Value| {
        let rule = finding["rule"].as_str().unwrap().to_owned();
        let role = if rule == "role_enumeration" { "" } else { &*alert["role"]["arn"].to_string() };
        (alert["principal"]["id"].to_string(), role.to_owned(), rule)
    };
    findings.map(kind).collect()
}

/// One of the two environments.
struct Environment {
    stub: Stub,
    running: Running,
}

impl Environment {
    fn start(url: &str, topic: &str) -> Self {
        let stub = Stub::start();
        let settings = [
            ("ROLEWATCH_TOPICS", topic),
            ("ROLEWATCH_TABLE", "rolewatch"),
            ("AWS_ENDPOINT_URL", url),
        ];
        let running = stub.bootstrap(&settings);
        Self { stub, running }
    }
}

/// Delivers a shard, batch by batch, to an environment that may be killed while it works on one;
/// the next one gets the same batch. Returns how many writes met another environment's.
fn deliver(url: &str, topic: &str, shard: &[Record], mut random: fastrand::Rng) -> u64 {
    let conflicts = |one: Environment| {
        let lines = one.running.end();
        lines.iter().filter_map(|line| line["TableConflicts"].as_u64()).sum::<u64>()
    };
    let mut one = Environment::start(url, topic);
    let (mut at, mut met) = (0, 0);
    while at < shard.len() {
        let end = (at + random.usize(1..6)).min(shard.len());
        let batch = &shard[at..end];
        if random.u8(..8) == 0 {
            one.stub.offer(mapping::payload(batch), PATIENCE);
            std::thread::sleep(Duration::from_millis(random.u64(..120)));
            met += conflicts(std::mem::replace(&mut one, Environment::start(url, topic)));
        }
        let random = random.fork();
        let mut mapping =
            Mapping { stub: &one.stub, random, largest_batch: 6, time: PATIENCE, tries: 3 };
        let delivered = mapping.deliver(batch, |_| {});
        assert_eq!(delivered.given_up, Vec::<String>::new());
        at = end;
    }
    met + conflicts(one)
}

#[test]
fn two_environments_that_are_killed_at_random_miss_no_known_alert() {
    let mut met = 0;
    for (seed, name) in [(1, "unexpected-principal"), (2, "role-enumeration"), (3, "dormant-role")]
    {
        let emulator = Emulator::start();
        emulator.table("rolewatch");
        emulator.stream("trail", 2);
        let (topic, queue) = emulator.topic_into_queue("alerts");
        let story = fixture(name).join("events.jsonl");
        let text = std::fs::read_to_string(&story).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let (history, end) = lines.split_at(lines.len() - 30);
        let mut random = fastrand::Rng::with_seed(seed);
        let mut from = vec![0, 0];
        for part in [history, end] {
            for line in part {
                // One role's records are on both shards.
                emulator.put("trail", ["a", "b"][random.usize(..2)], line.as_bytes());
            }
            let shards = emulator.records("trail");
            let new: Vec<Vec<Record>> =
                shards.iter().zip(&from).map(|(all, from)| all[*from..].to_vec()).collect();
            let (url, topic) = (&emulator.url(), &topic);
            met += std::thread::scope(|scope| {
                let mut running = Vec::new();
                for shard in &new {
                    let random = random.fork();
                    running.push(scope.spawn(move || deliver(url, topic, shard, random)));
                }
                running.into_iter().map(|one| one.join().unwrap()).sum::<u64>()
            });
            from = shards.iter().map(Vec::len).collect();
        }
        assert!(from.iter().all(|count| *count > 10), "{from:?}");
        let replayed = run(["replay", "--format", "jsonl", story.to_str().unwrap()]);
        let known: BTreeSet<_> = replayed.out.lines().flat_map(kinds).collect();
        let received = emulator.drain(&queue);
        let told: BTreeSet<_> = received.iter().flat_map(|alert| kinds(alert)).collect();
        assert!(known.is_subset(&told), "{name}: known {known:#?}\ntold {told:#?}");
        for alert in &received {
            assert!(!kinds(alert).is_disjoint(&known), "{name}: nobody can join {alert}");
        }
    }
    assert!(met > 0, "the environments never met");
}

/// What a replay has learned is in the table, in the same words; the same again adds no value.
#[test]
fn a_baseline_is_imported_and_shown() {
    let emulator = Emulator::start();
    emulator.table("rolewatch");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("baseline.json");
    let (file, story) = (file.to_str().unwrap(), fixture("dormant-role/events.jsonl"));
    let learned = run(["replay", "--save-baseline", file, story.to_str().unwrap()]);
    assert_eq!(learned.status, 0, "{}", learned.err);
    let import = ["baseline", "import", "--baseline", file, "--table", "rolewatch"];
    let imported = finish(emulator.rolewatch(&import).output().unwrap());
    assert_eq!(imported.status, 0, "{}", imported.err);
    assert!(imported.err.contains("are in table rolewatch"), "{}", imported.err);
    let show = ["baseline", "show", "--table", "rolewatch"];
    let listed = finish(emulator.rolewatch(&show).output().unwrap());
    assert_eq!(listed.out, run(["baseline", "show", file]).out);
    for role in ["BreakGlass", "arn:aws:iam::111122223333:role/emergency/BreakGlass"] {
        let show = ["baseline", "show", "--table", "rolewatch", role];
        let shown = finish(emulator.rolewatch(&show).output().unwrap());
        assert_eq!(shown.out, run(["baseline", "show", file, role]).out);
        assert!(!shown.out.is_empty());
    }
    let again = finish(emulator.rolewatch(&import).output().unwrap());
    assert!(again.err.contains("are in table rolewatch (0 writes)"), "{}", again.err);
    let listed = finish(emulator.rolewatch(&show).output().unwrap());
    assert_eq!(listed.out, run(["baseline", "show", file]).out, "counts are not added twice");
}

/// More than one read may ask for.
#[test]
fn a_large_baseline_is_imported_and_found_again() {
    let emulator = Emulator::start();
    emulator.table("rolewatch");
    let folder = tempfile::tempdir().unwrap();
    let (file, log) = (folder.path().join("baseline.json"), folder.path().join("log.jsonl"));
    let story = std::fs::read_to_string(fixture("dormant-role/events.jsonl")).unwrap();
    let line = story.lines().find(|line| line.contains("role/emergency/BreakGlass")).unwrap();
    let id: Value = serde_json::from_str(line).unwrap();
    let id = id["eventID"].as_str().unwrap();
    let lines = (0..230).map(|n| {
        let line = line.replace("BreakGlass", &format!("BreakGlass{n}"));
        line.replace(id, &format!("{id}-{n}"))
    });
    std::fs::write(&log, lines.collect::<Vec<_>>().join("\n")).unwrap();
    let (file, log) = (file.to_str().unwrap(), log.to_str().unwrap());
    assert_eq!(run(["replay", "--save-baseline", file, log]).status, 0);
    let import = ["baseline", "import", "--baseline", file, "--table", "rolewatch"];
    let imported = finish(emulator.rolewatch(&import).output().unwrap());
    assert_eq!(imported.status, 0, "{}", imported.err);
    let again = finish(emulator.rolewatch(&import).output().unwrap());
    assert!(again.err.contains("are in table rolewatch (0 writes)"), "{}", again.err);
    let listed =
        finish(emulator.rolewatch(&["baseline", "show", "--table", "rolewatch"]).output().unwrap());
    assert_eq!(listed.out.matches("BreakGlass").count(), 230, "{}", listed.out);
}

/// Trust policies go into the table beside what is there, and only where they are news.
#[test]
fn trust_policies_are_imported_once() {
    let emulator = Emulator::start();
    emulator.table("rolewatch");
    let details = fixture("authorization/prod.json");
    let mut import = vec!["baseline", "import", "--table", "rolewatch"];
    // Exports overlap, and who names one file twice means it once.
    import.extend(["--trust", details.to_str().unwrap()].repeat(2));
    let first = finish(emulator.rolewatch(&import).output().unwrap());
    assert_eq!(first.status, 0, "{}", first.err);
    assert!(first.err.contains(" in table rolewatch: "), "{}", first.err);
    assert!(first.err.contains(": 1 new or changed, 1 as remembered"), "{}", first.err);
    let again = finish(emulator.rolewatch(&import).output().unwrap());
    assert!(again.err.contains(": 0 new or changed, "), "{}", again.err);
    let arn = "arn:aws:iam::222233334444:role/OrganizationAccountAccessRole";
    let show = ["baseline", "show", "--table", "rolewatch", arn];
    let shown = finish(emulator.rolewatch(&show).output().unwrap());
    assert!(shown.out.contains("no use of it was learned"), "{}{}", shown.out, shown.err);
    let listed = finish(emulator.rolewatch(&show[..4]).output().unwrap());
    assert!(listed.out.contains(arn), "{}", listed.out);
}

/// A table that is not there holds everything up, and says so; then it is there.
#[test]
fn a_missing_table_gives_every_batch_back_until_it_is_there() {
    let emulator = Emulator::start();
    emulator.stream("trail", 1);
    let (topic, queue) = emulator.topic_into_queue("alerts");
    let story = std::fs::read_to_string(fixture("root/events.jsonl")).unwrap();
    story.lines().for_each(|line| emulator.put("trail", "a", line.as_bytes()));
    let shard = emulator.records("trail").remove(0);
    let environment = Environment::start(&emulator.url(), &topic);
    let random = fastrand::Rng::with_seed(1);
    let stub = &environment.stub;
    let mut mapping = Mapping { stub, random, largest_batch: 100, time: PATIENCE, tries: 50 };
    let mut is_there = false;
    let delivered = mapping.deliver(&shard, |_| {
        assert_eq!(emulator.drain(&queue), Vec::<String>::new());
        if !is_there {
            emulator.table("rolewatch");
            is_there = true;
        }
    });
    assert!(delivered.failures >= 1 && delivered.given_up.is_empty(), "{delivered:?}");
    assert!(!emulator.drain(&queue).is_empty());
    let lines = environment.running.end();
    let causes: Vec<&str> = lines.iter().filter_map(|line| line["cause"].as_str()).collect();
    assert!(causes.iter().any(|it| it.contains("there is no table rolewatch")), "{causes:?}");
}
