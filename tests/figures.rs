//! What the function weighs: its size, how fast it is there, and what a full batch takes.
//!
//! `cargo test --release --features aws --test figures -- --nocapture` prints the figures that
//! stand in the README, and holds a release build to their bounds. Another build is larger and
//! slower, so that of it only the memory is tested.
#![cfg(feature = "aws")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test may fail loudly and print, and its clock decides nothing"
)]

#[path = "support/stub.rs"]
#[allow(dead_code, reason = "of the stub only a part is used here")]
mod stub;
mod support;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rolewatch::aws::envelope::{Message, pack};
use rolewatch::decode::{Limits, texts};
use serde_json::{Value, json};
use stub::Stub;
use support::fixture;

const TOPIC: &str = "arn:aws:sns:us-east-1:111122223333:alerts";

/// The largest payload that Lambda hands to a function.
const PAYLOAD: usize = 6 << 20;

fn is_release() -> bool {
    !cfg!(debug_assertions)
}

#[test]
fn the_function_is_small() {
    let folder = tempfile::tempdir().unwrap();
    let stripped = folder.path().join("bootstrap");
    let built = Path::new(env!("CARGO_BIN_EXE_bootstrap"));
    let strip = Command::new("strip").arg("-o").arg(&stripped).arg(built).status().unwrap();
    assert!(strip.success());
    let size = std::fs::metadata(stripped).unwrap().len();
    println!("stripped binary: {size} bytes");
    assert!(!is_release() || size <= 12_000_000, "{size}");
}

#[test]
fn the_function_is_there_at_once() {
    let mut starts: Vec<Duration> = (0..20)
        .map(|_| {
            let stub = Stub::start();
            let started = Instant::now();
            let _running = stub.bootstrap(&[("ROLEWATCH_TOPICS", TOPIC)]);
            stub.wait(|script| !script.polls.is_empty()).polls[0] - started
        })
        .collect();
    starts.sort();
    let median = (starts[9] + starts[10]) / 2;
    println!(
        "start to first poll, median of 20: {median:?} (of {:?} to {:?})",
        starts[0], starts[19]
    );
    assert!(!is_release() || median <= Duration::from_millis(10), "{median:?}");
}

/// The records of the generator's month, again and again as other events, as CloudWatch Logs puts
/// them, until no more go into one invocation.
fn full_batch() -> (String, usize) {
    let mut month = Vec::new();
    for entry in walkdir::WalkDir::new(fixture("month")).sort_by_file_name() {
        let path = entry.unwrap().into_path();
        if path.extension().is_some_and(|it| it == "gz") {
            texts(&std::fs::read(path).unwrap(), Limits::default(), &mut |text| {
                month.push(String::from_utf8(text.to_vec()).unwrap());
            });
        }
    }
    let again = (0..).flat_map(|turn: usize| {
        let marked = format!("\"eventID\":\"{turn:x}");
        month.iter().map(move |text| text.replacen("\"eventID\":\"", &marked, 1))
    });
    let message = |text| Message { owner: "1".into(), log_stream: "l".into(), timestamp: 0, text };
    let (mut records, mut payload, mut messages) = (Vec::new(), 0, 0);
    for envelope in pack(again.map(message)) {
        let data = STANDARD.encode(&envelope.data);
        // What stands around the data of a record is less.
        payload += data.len() + 512;
        if payload > PAYLOAD {
            break;
        }
        messages += usize::try_from(envelope.messages).unwrap();
        records.push(event(records.len(), data));
    }
    (json!({"Records": records}).to_string(), messages)
}

fn event(n: usize, data: String) -> Value {
    json!({
        "eventID": format!("shardId-000000000000:{n}"),
        "eventSource": "aws:kinesis",
        "eventSourceARN": "arn:aws:kinesis:us-east-1:111122223333:stream/trail",
        "kinesis": {"sequenceNumber": n.to_string(), "partitionKey": "p", "data": data,
            "approximateArrivalTimestamp": 1_785_000_000.0},
    })
}

/// One Kinesis record with as many assumptions as fit into it, each of another session: what it
/// takes is bounded by parts, and nothing of it is lost.
#[test]
fn a_record_packed_with_assumptions_fits_into_a_small_function() {
    const EVENTS: usize = 50_000;
    let event_of = |n: usize| {
        let record = json!({
            "eventVersion": "1.11", "eventSource": "sts.amazonaws.com", "eventName": "AssumeRole",
            "eventTime": "2026-03-04T05:06:07Z", "eventID": format!("event-{n}"),
            "awsRegion": "us-east-1", "recipientAccountId": "111122223333",
            "sourceIPAddress": "203.0.113.77", "userAgent": "aws-cli/2",
            "userIdentity": {"type": "IAMUser", "principalId": "AIDAEXAMPLE",
                "arn": "arn:aws:iam::111122223333:user/alice", "accountId": "111122223333",
                "userName": "alice", "accessKeyId": "AKIAEXAMPLE"},
            "requestParameters": {"roleSessionName": format!("session-{n}"),
                "roleArn": format!("arn:aws:iam::111122223333:role/Role{}", n % 50)},
            "responseElements": {"credentials": {"accessKeyId": format!("ASIAEXAMPLE{n}"),
                "expiration": "Mar 4, 2026, 6:06:07 AM"}},
        });
        format!("{record}\n")
    };
    let lines: String = (0..EVENTS).map(event_of).collect();
    let data = rolewatch::dead_letter::gzip(lines.as_bytes());
    assert!(data.len() < 3 << 20, "{}", data.len());
    let payload = json!({"Records": [event(0, STANDARD.encode(&data))]}).to_string();
    let stub = Stub::start();
    let running = stub.bootstrap(&[("ROLEWATCH_TOPICS", TOPIC)]);
    let started = Instant::now();
    let answer = stub.invoke(payload, Duration::from_secs(300));
    let took = started.elapsed();
    assert_eq!(answer, json!({"batchItemFailures": []}));
    let peak = peak(&running);
    println!("{EVENTS} assumptions in a record: {took:?}, at most {peak} kB resident");
    let lines = running.end();
    let sum = |figure: &str| lines.iter().filter_map(|line| line[figure].as_u64()).sum::<u64>();
    assert_eq!((sum("Assumptions"), sum("Undecodable")), (EVENTS as u64, 0));
    assert!(peak <= 192 * 1024, "{peak} kB leave a function of 256 MB no room");
}

/// Most memory that it ever had, in kB.
fn peak(running: &stub::Running) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

#[test]
fn a_full_batch_fits_into_a_small_function() {
    let (payload, messages) = full_batch();
    assert!((PAYLOAD * 9 / 10..=PAYLOAD).contains(&payload.len()), "{}", payload.len());
    let stub = Stub::start();
    let running = stub.bootstrap(&[("ROLEWATCH_TOPICS", TOPIC)]);
    let (started, bytes) = (Instant::now(), payload.len());
    let answer = stub.invoke(payload, Duration::from_secs(300));
    let took = started.elapsed();
    assert_eq!(answer, json!({"batchItemFailures": []}));
    let peak = peak(&running);
    println!("a batch of {bytes} bytes, {messages} records: {took:?}, at most {peak} kB resident");
    let lines = running.end();
    let records = lines.iter().filter_map(|line| line["Records"].as_u64()).sum::<u64>();
    assert_eq!(records, messages as u64);
    assert!(peak <= 192 * 1024, "{peak} kB leave a function of 256 MB no room");
}
