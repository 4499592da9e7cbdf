//! From the logs to the queue behind the topic: `feed`, a stream, the built function, SNS, SQS.
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
mod mapping;
#[path = "support/stub.rs"]
#[allow(dead_code, reason = "of the stub only the runtime API is used here")]
mod stub;
mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_kinesis::types::Record;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mapping::{Delivered, Mapping};
use rolewatch::dead_letter::DeadLetter;
use serde_json::{Value, json};
use stub::{Running, Stub};
use support::deploy::package;
use support::emulator::{ENVIRONMENT, Emulator, PATIENCE, wait_until};
use support::{Run, finish, fixture, run};

/// Time for an invocation that is to fail: for as long as it has time, the function tries again.
const SHORT: Duration = Duration::from_secs(3);

/// The records of the generator's month go into a stream of one shard.
fn feed_month(emulator: &Emulator) -> Run {
    emulator.stream("trail", 1);
    let month = fixture("month");
    let args = ["feed", "--stream", "trail", month.to_str().unwrap()];
    let fed = finish(emulator.rolewatch(&args).output().unwrap());
    assert_eq!(fed.status, 0, "{}", fed.err);
    let replayed = run(["replay", "--format", "jsonl", month.to_str().unwrap()].map(str::to_owned));
    assert!(replayed.sum().0 >= 20_000, "{}", replayed.err);
    replayed
}

fn ids<'a>(alerts: impl Iterator<Item = &'a str>) -> Vec<String> {
    let id = |line: &str| {
        let alert: Value = serde_json::from_str(line).unwrap();
        alert["id"].as_str().unwrap().to_owned()
    };
    alerts.map(id).collect()
}

/// Each alert of the replay came, and nothing else did; and none twice.
fn assert_same_alerts(messages: &[String], replayed: &Run) {
    let received: BTreeSet<&str> = messages.iter().map(String::as_str).collect();
    let expected: BTreeSet<&str> = replayed.out.lines().collect();
    assert_eq!(received, expected);
    let ids = ids(messages.iter().map(String::as_str));
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
}

fn started(stub: &Stub, emulator: &Emulator, settings: &[(&str, &str)]) -> Running {
    let url = emulator.url();
    let endpoint = ("AWS_ENDPOINT_URL", url.as_str());
    let settings: Vec<_> = settings.iter().copied().chain([endpoint]).collect();
    stub.bootstrap(&settings)
}

/// The figures of all batches together.
fn sum(lines: &[Value], figure: &str) -> u64 {
    lines.iter().filter_map(|line| line[figure].as_u64()).sum()
}

/// How many messages of the log came a second time.
fn doubled_messages(shard: &[Record], delivered: &Delivered) -> u64 {
    let messages = |record: &Record| {
        let envelope = flate2::read::GzDecoder::new(record.data.as_ref());
        let envelope: Value = serde_json::from_reader(envelope).unwrap();
        envelope["logEvents"].as_array().unwrap().len() as u64
    };
    let doubled = |record: &&Record| delivered.doubled.contains(&record.sequence_number);
    shard.iter().filter(doubled).map(messages).sum()
}

/// Each batch accounts for its records, and all of them together for what was fed, as a replay
/// counts it, and for what came a second time.
fn assert_figures_add_up(lines: &[Value], replayed: &Run, doubled: u64) {
    const FATES: [(&str, &str); 6] = [
        ("Assumptions", "assumption"),
        ("Joined", "joined"),
        ("TrustChanges", "trust change"),
        ("SignIns", "sign-in"),
        ("Undecodable", "undecodable"),
        ("Other", "other"),
    ];
    let batches: Vec<&Value> = lines.iter().filter(|line| !line["Records"].is_null()).collect();
    assert!(!batches.is_empty());
    for batch in batches {
        let figure = |name: &str| batch[name].as_u64().unwrap();
        let parts: u64 = FATES.iter().map(|(name, _)| figure(name)).sum();
        assert_eq!(figure("Records"), parts + figure("Duplicates"), "{batch}");
    }
    assert_eq!(sum(lines, "Records"), replayed.sum().0 + doubled);
    for (name, word) in &FATES[..5] {
        assert_eq!(sum(lines, name), replayed.figure(word), "{name}");
    }
    let alerts = ["AlertsLow", "AlertsMedium", "AlertsHigh", "AlertsCritical"];
    let alerts: u64 = alerts.iter().map(|name| sum(lines, name)).sum();
    assert_eq!(alerts, replayed.out.lines().count() as u64);
    let lags = lines.iter().filter_map(|line| line["AlertLag"].as_array()).map(Vec::len);
    assert_eq!(lags.sum::<usize>() as u64, alerts, "a lag for each alert");
}

#[test]
fn a_month_raises_in_the_function_what_it_raises_in_a_replay() {
    let emulator = Emulator::start();
    let replayed = feed_month(&emulator);
    let (topic, queue) = emulator.topic_into_queue("alerts");
    let stub = Stub::start();
    let running = started(&stub, &emulator, &[("ROLEWATCH_TOPICS", &topic)]);
    let shard = emulator.records("trail").remove(0);
    let random = fastrand::Rng::with_seed(1);
    let mut mapping =
        Mapping { stub: &stub, random, largest_batch: 1_000, time: PATIENCE, tries: 3 };
    let delivered = mapping.deliver(&shard, |_| {});
    assert_eq!((delivered.failures, delivered.given_up.len()), (0, 0));
    assert_same_alerts(&emulator.drain(&queue), &replayed);
    assert!(replayed.out.lines().count() > 10, "{}", replayed.out);
    assert!(!delivered.doubled.is_empty(), "{delivered:?}");
    assert_figures_add_up(&running.end(), &replayed, doubled_messages(&shard, &delivered));
}

/// SNS fails until its topic is there, a broken record stands in the middle, batches of many
/// sizes come twice: no alert is lost, none comes twice, and the shard goes on.
#[test]
fn faults_lose_no_alert_and_a_broken_record_does_not_hold_up_the_shard() {
    let emulator = Emulator::start();
    emulator.stream("trail", 1);
    let story = fixture("role-enumeration/events.jsonl");
    let text = std::fs::read_to_string(&story).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let (before, after) = lines.split_at(lines.len() / 2);
    let broken = b"{\"eventName\": \"AssumeRole\", ";
    before.iter().for_each(|line| emulator.put("trail", "p", line.as_bytes()));
    emulator.put("trail", "p", broken);
    after.iter().for_each(|line| emulator.put("trail", "p", line.as_bytes()));

    let letters = emulator.queue("letters");
    let stub = Stub::start();
    let topic = "arn:aws:sns:us-east-1:000000000000:alerts";
    let settings =
        [("ROLEWATCH_TOPICS", topic), ("ROLEWATCH_DEAD_LETTER_QUEUE_URL", letters.as_str())];
    let running = started(&stub, &emulator, &settings);
    let shard = emulator.records("trail").remove(0);
    let random = fastrand::Rng::with_seed(7);
    let mut mapping = Mapping { stub: &stub, random, largest_batch: 8, time: SHORT, tries: 10 };
    let mut queue = None;
    let delivered = mapping.deliver(&shard, |tries| {
        if tries == 3 && queue.is_none() {
            let (made, behind) = emulator.topic_into_queue("alerts");
            assert_eq!(made, topic);
            queue = Some(behind);
        }
    });
    assert!(delivered.failures >= 3, "{delivered:?}");
    assert_eq!(delivered.given_up, [""; 0]);
    let replayed = run(["replay", "--format", "jsonl", story.to_str().unwrap()]);
    assert_same_alerts(&emulator.drain(&queue.unwrap()), &replayed);
    let letters: BTreeSet<Vec<u8>> = emulator
        .drain(&letters)
        .iter()
        .map(|letter| DeadLetter::from_message(letter).unwrap().piece().unwrap())
        .collect();
    assert_eq!(letters, BTreeSet::from([broken.to_vec()]));
    assert!(sum(&running.end(), "PublishFailures") >= 3);
}

/// A topic that is never there: what alerts is given up in the end, by itself, and its neighbours
/// are done.
#[test]
fn what_fails_for_ever_is_given_up_alone() {
    let emulator = Emulator::start();
    emulator.stream("trail", 1);
    let text = std::fs::read_to_string(fixture("root/events.jsonl")).unwrap();
    let lines: Vec<&str> = text.lines().take(16).collect();
    lines.iter().for_each(|line| emulator.put("trail", "p", line.as_bytes()));
    let stub = Stub::start();
    let topic = "arn:aws:sns:us-east-1:000000000000:nowhere";
    let running = started(&stub, &emulator, &[("ROLEWATCH_TOPICS", topic)]);
    let shard = emulator.records("trail").remove(0);
    let random = fastrand::Rng::with_seed(3);
    let mut mapping = Mapping { stub: &stub, random, largest_batch: 16, time: SHORT / 2, tries: 2 };
    let delivered = mapping.deliver(&shard, |_| {});
    // Root signs in without MFA; three sign-ins before it raise nothing.
    let alerting = "3f495cb1-b547-4637-b472-0e3e75ed1e0c";
    let alerting = lines.iter().position(|line| line.contains(alerting)).unwrap();
    assert_eq!(delivered.given_up, [shard[alerting].sequence_number.as_str()]);
    let lines = running.end();
    assert_eq!(sum(&lines, "PublishFailures"), u64::from(delivered.failures));
    assert_eq!(sum(&lines, "SignIns"), 3);
}

/// The same function, deployed to the emulator and fed by its own mapping.
#[test]
fn a_deployed_function_sends_the_alerts_of_a_replay() {
    let emulator = Emulator::start();
    let replayed = feed_month(&emulator);
    let (topic, queue) = emulator.topic_into_queue("alerts");
    let stream = emulator.wait_for_stream("trail");
    let mut variables = serde_json::Map::new();
    ENVIRONMENT
        .iter()
        .for_each(|(name, value)| drop(variables.insert((*name).into(), json!(value))));
    variables.insert("AWS_ENDPOINT_URL".into(), json!(emulator.url()));
    variables.insert("ROLEWATCH_TOPICS".into(), json!(topic));
    let function = json!({
        "FunctionName": "rolewatch",
        "Runtime": "provided.al2023",
        "Role": "arn:aws:iam::000000000000:role/rolewatch",
        "Handler": "bootstrap",
        "Timeout": 60,
        "MemorySize": 256,
        "Code": { "ZipFile": STANDARD.encode(package(None)) },
        "Environment": { "Variables": variables },
    });
    emulator.http("POST", "/2015-03-31/functions", &function.to_string());
    let mapping = json!({
        "EventSourceArn": stream,
        "FunctionName": "rolewatch",
        "StartingPosition": "TRIM_HORIZON",
        "BatchSize": 1_000,
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
    });
    emulator.http("POST", "/2015-03-31/event-source-mappings", &mapping.to_string());
    let expected = replayed.out.lines().count();
    let mut messages = Vec::new();
    wait_until("all alerts are there", || {
        messages.extend(emulator.drain(&queue));
        messages.len() >= expected
    });
    assert_same_alerts(&messages, &replayed);
}
