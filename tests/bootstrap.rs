//! The built function against a stub of the runtime API, of SNS and of SQS.
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

#[path = "support/stub.rs"]
mod stub;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rolewatch::dead_letter::{DeadLetter, Kind};
use serde_json::{Value, json};
use stub::Stub;

const TOPIC: &str = "arn:aws:sns:us-east-1:111122223333:alerts";
const LONG: Duration = Duration::from_secs(30);

/// Somebody takes a root session, which always alerts: the same one, or each time another.
fn root(n: usize, who: usize) -> String {
    json!({
        "eventVersion": "1.11", "eventSource": "sts.amazonaws.com", "eventName": "AssumeRoot",
        "eventTime": "2026-03-04T05:06:07Z", "eventID": format!("event-{n}"),
        "awsRegion": "us-east-1", "recipientAccountId": "111122223333",
        "sourceIPAddress": "203.0.113.77", "userAgent": "aws-cli/2",
        "userIdentity": {"type": "IAMUser", "principalId": format!("AIDAEXAMPLE{who}"),
            "arn": format!("arn:aws:iam::111122223333:user/user{who}"),
            "accountId": "111122223333", "userName": format!("user{who}")},
        "requestParameters": {"targetPrincipal": "444455556666"},
        "responseElements": {"credentials": {"accessKeyId": "ASIAEXAMPLE", "sessionToken": "S3CRET"}},
    })
    .to_string()
}

/// The data of a Kinesis record as CloudWatch Logs writes it.
fn envelope(messages: &[String]) -> Vec<u8> {
    let events: Vec<Value> =
        messages.iter().map(|it| json!({"id": "1", "timestamp": 1, "message": it})).collect();
    let text = json!({"messageType": "DATA_MESSAGE", "logEvents": events}).to_string();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    gzip.finish().unwrap()
}

/// An invocation with these records, numbered from 0.
fn batch(records: &[Vec<u8>]) -> String {
    let records: Vec<Value> = records
        .iter()
        .enumerate()
        .map(|(n, data)| {
            json!({
                "eventID": format!("shardId-000000000000:{n}"),
                "eventSourceARN": "arn:aws:kinesis:us-east-1:111122223333:stream/trail",
                "kinesis": {"sequenceNumber": n.to_string(), "partitionKey": "p",
                    "approximateArrivalTimestamp": 1_772_600_800.5,
                    "data": STANDARD.encode(data)},
            })
        })
        .collect();
    json!({"Records": records}).to_string()
}

fn ids(stub: &Stub) -> Vec<String> {
    let script = stub.script();
    let parse = |body: &String| serde_json::from_str::<Value>(body).unwrap();
    script.taken.iter().map(|it| parse(&it["Message"])["id"].as_str().unwrap().to_owned()).collect()
}

/// The line of each batch that holds its figures.
fn metric_lines(lines: &[Value]) -> Vec<&Value> {
    lines.iter().filter(|line| !line["Records"].is_null()).collect()
}

#[test]
fn a_broken_record_is_buried_and_its_neighbours_alert() {
    let stub = Stub::start();
    let url = format!("http://{}/queue", stub.address);
    let settings = [("ROLEWATCH_TOPICS", TOPIC), ("ROLEWATCH_DEAD_LETTER_QUEUE_URL", &url)];
    let running = stub.bootstrap(&settings);
    let bent = "{\"eventName\": \"AssumeRole\", S3CRET".to_owned();
    let first = envelope(&[root(1, 1), bent.clone(), root(2, 2)]);
    let records = [first, b"\xF3\x89\x9A\xC2 aggregated".to_vec(), envelope(&[root(3, 3)])];
    let answer = stub.invoke(batch(&records), LONG);
    assert_eq!(answer, json!({"batchItemFailures": []}));
    assert_eq!(ids(&stub).len(), 3);
    let letters: Vec<DeadLetter> =
        stub.script().queued.iter().map(|it| DeadLetter::from_message(it).unwrap()).collect();
    assert_eq!(letters[0].piece().unwrap(), bent.as_bytes());
    assert_eq!(letters[0].reference.record, Some(2));
    assert_eq!(letters[1].piece().unwrap(), records[1]);
    assert_eq!(
        (letters[1].kind, &*letters[1].reference.shard),
        (Kind::Undecodable, "shardId-000000000000")
    );

    let again = stub.invoke(batch(&records), LONG);
    assert_eq!(again, answer);
    assert_eq!(ids(&stub).len(), 3, "what was acknowledged alerts no more");
    let lines = running.end();
    assert!(lines[0]["message"].as_str().unwrap().contains("memory of this environment alone"));
    let metrics = metric_lines(&lines);
    assert_eq!(metrics[0]["Records"], 5);
    assert_eq!((&metrics[0]["Assumptions"], &metrics[0]["Undecodable"]), (&json!(3), &json!(2)));
    assert!(!metrics[0]["AlertLag"].is_null());
    let all = lines.iter().map(Value::to_string).collect::<String>();
    assert!(!all.contains("S3CRET") && !all.contains("test-secret"), "{all}");
}

/// Without a queue the log says where it was, and how much; the shard goes on.
#[test]
fn without_a_queue_what_is_broken_is_logged_by_its_place() {
    let stub = Stub::start();
    let running = stub.bootstrap(&[("ROLEWATCH_TOPICS", TOPIC)]);
    let bent = "{\"eventName\": \"AssumeRole\", S3CRET".to_owned();
    let records = [envelope(&[root(1, 1), bent.clone(), bent]), envelope(&[root(2, 2)])];
    assert_eq!(stub.invoke(batch(&records), LONG), json!({"batchItemFailures": []}));
    assert_eq!(ids(&stub).len(), 2);
    let lines = running.end();
    let warnings: Vec<&Value> = lines.iter().filter(|line| line["level"] == "WARN").collect();
    let [warning] = &warnings[..] else { panic!("{lines:?}") };
    assert_eq!((&warning["sequence_number"], &warning["count"]), (&json!("0"), &json!(2)));
    assert_eq!(warning["shard"], "shardId-000000000000");
    assert!(!warning.to_string().contains("S3CRET"), "{warning}");
}

/// A queue that is away is a failure that can pass: the batch stops there, and what came before
/// is done.
#[test]
fn a_queue_that_is_away_gives_the_record_back() {
    let stub = Stub::start();
    let url = format!("http://{}/queue", stub.address);
    let settings = [("ROLEWATCH_TOPICS", TOPIC), ("ROLEWATCH_DEAD_LETTER_QUEUE_URL", &url)];
    let running = stub.bootstrap(&settings);
    stub.script().queue_away = true;
    let records = [envelope(&[root(1, 1)]), b"bent".to_vec(), envelope(&[root(2, 2)])];
    let answer = stub.invoke(batch(&records), LONG);
    assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "1"}]}));
    stub.script().queue_away = false;
    assert_eq!(stub.invoke(batch(&records), LONG), json!({"batchItemFailures": []}));
    assert_eq!(stub.script().queued.len(), 1);
    let received = ids(&stub);
    assert_eq!(received.iter().collect::<BTreeSet<_>>().len(), 2);
    let metrics = running.end();
    let done: Vec<_> = metric_lines(&metrics).iter().map(|it| it["Records"].clone()).collect();
    assert_eq!(done, [json!(1), json!(3)], "what is given back is not counted as done");
}

/// Texts as large as a log can make them: what goes out together stays below what SNS takes.
#[test]
fn large_alerts_are_spread_over_several_calls() {
    let stub = Stub::start();
    let topics = format!("{TOPIC},ocsf:{TOPIC}-lake");
    let _running = stub.bootstrap(&[("ROLEWATCH_TOPICS", &topics)]);
    let hostile = "\u{1}".repeat(2_000);
    let large = |n: usize| {
        let mut record: Value = serde_json::from_str(&root(n, n)).unwrap();
        record["userAgent"] = json!(hostile);
        record["sourceIPAddress"] = json!(hostile);
        record["userIdentity"]["arn"] = json!(hostile);
        record["userIdentity"]["userName"] = json!(format!("{n}{hostile}"));
        record.to_string()
    };
    let events: Vec<String> = (0..40).map(large).collect();
    assert_eq!(stub.invoke(batch(&[envelope(&events)]), LONG), json!({"batchItemFailures": []}));
    let script = stub.script();
    assert_eq!(script.taken.len(), 80);
    let size = |call: &Vec<BTreeMap<String, String>>| {
        let parts = call.iter().flatten().filter(|(field, _)| *field != "Id");
        parts.map(|(_, value)| value.len()).sum::<usize>()
    };
    let largest = script.offered.iter().map(size).max().unwrap();
    assert!((128 * 1024..=256 * 1024).contains(&largest), "{largest}");
    assert!(script.offered.len() > 8, "{} calls", script.offered.len());
}

/// Neither a session token nor an ExternalId in clear comes out anywhere, at the finest log.
#[test]
fn no_secret_comes_out_of_the_function() {
    let stub = Stub::start();
    let topics = format!("{TOPIC},text:{TOPIC}-mail,chat:{TOPIC}-chat,ocsf:{TOPIC}-lake");
    let settings = [("ROLEWATCH_TOPICS", topics.as_str()), ("ROLEWATCH_LOG", "trace")];
    let running = stub.bootstrap(&settings);
    let assumed = |n: usize, id: &str| {
        let mut record: Value = serde_json::from_str(&root(n, 1)).unwrap();
        record["eventName"] = json!("AssumeRole");
        record["eventTime"] = json!(format!("2026-01-{n:02}T05:06:07Z"));
        record["userIdentity"]["accountId"] = json!("444455556666");
        record["requestParameters"] = json!({"roleSessionName": "s", "externalId": id,
            "roleArn": "arn:aws:iam::111122223333:role/Vendor"});
        record.to_string()
    };
    let mut events: Vec<String> = (1..=30).map(|n| assumed(n, "Us3d-3xternal-id")).collect();
    events.push(assumed(31, "Wr0ng-3xternal-id"));
    // Not compressed, as a test of a stream puts it: the invocation then holds it readably.
    let lines = [events.join("\n").into_bytes(), envelope(&[root(40, 2)])];
    stub.invoke(batch(&lines), LONG);
    stub.script().throttled = true;
    stub.invoke(batch(&[envelope(&[root(41, 3)])]), Duration::from_millis(1_300));
    let log = running.end().iter().map(Value::to_string).collect::<String>();
    let script = stub.script();
    let offered: String =
        script.offered.iter().flatten().flat_map(|it| it.values()).cloned().collect();
    assert!(offered.contains("wrong_external_id"), "an ExternalId is what an alert is about");
    let secrets = ["S3CRET", "Us3d-3xternal-id", "Wr0ng-3xternal-id", "test-secret"];
    for secret in secrets {
        for clear in [secret.to_owned(), STANDARD.encode(secret)] {
            assert!(!log.contains(&clear), "{secret} is in the log");
            assert!(!offered.contains(&clear), "{secret} is in a message");
        }
    }
    let payload = &STANDARD.encode(&lines[0])[..40];
    assert!(!log.contains(payload), "the invocation is in the log");
}

/// What a panic costs is tested beside the transaction; it can only be caught where it unwinds.
#[test]
fn no_profile_aborts_on_panic() {
    let manifest = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let manifest = std::fs::read_to_string(manifest).unwrap();
    let aborts = |line: &&str| line.split_whitespace().collect::<String>() == "panic=\"abort\"";
    assert_eq!(manifest.lines().find(aborts), None);
    const { assert!(cfg!(panic = "unwind")) };
}

#[test]
fn messages_carry_subject_and_attributes() {
    let stub = Stub::start();
    let topics = format!("{TOPIC},text:{TOPIC}-mail,chat:{TOPIC}-chat,ocsf:{TOPIC}-lake");
    let running = stub.bootstrap(&[("ROLEWATCH_TOPICS", &topics)]);
    stub.invoke(batch(&[envelope(&[root(1, 1)])]), LONG);
    drop(running);
    let script = stub.script();
    assert_eq!(script.taken.len(), 4);
    for entry in &script.taken {
        let subject = &entry["Subject"];
        assert!(subject.len() < 100 && subject.chars().all(|c| (' '..='~').contains(&c)));
        let name = |n: usize| entry.get(&format!("MessageAttributes.entry.{n}.Name"));
        let value = |n: usize| &entry[&format!("MessageAttributes.entry.{n}.Value.StringValue")];
        let mut found: Vec<(&String, &String)> =
            (1..=5).filter_map(|n| Some((name(n)?, value(n)))).collect();
        found.sort();
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["rules", "schema", "severity"], "a root session has no role");
        assert_eq!(found[0].1, "[\"root_session\"]");
    }
}

/// What SNS refuses is offered again, and nothing else; and one that stays throttled gives the
/// record back before the time is over.
#[test]
fn entries_are_retried_one_by_one_and_given_back_in_time() {
    let stub = Stub::start();
    let running = stub.bootstrap(&[("ROLEWATCH_TOPICS", TOPIC)]);
    stub.script().refuse_once = vec!["1".to_owned()];
    let records = [envelope(&[root(1, 1)]), envelope(&[root(2, 2)]), envelope(&[root(3, 3)])];
    assert_eq!(stub.invoke(batch(&records), LONG), json!({"batchItemFailures": []}));
    let offered: Vec<usize> = stub.script().offered.iter().map(Vec::len).collect();
    assert_eq!(offered, [3, 1]);

    stub.script().throttled = true;
    let records = [envelope(&[root(1, 1)]), envelope(&[root(4, 4)]), envelope(&[root(5, 5)])];
    let started = Instant::now();
    let answer = stub.invoke(batch(&records), Duration::from_secs(3));
    assert!(started.elapsed() < Duration::from_secs(3));
    assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "1"}]}));
    assert!(stub.script().offered.len() > 4, "it was tried again meanwhile");

    stub.script().throttled = false;
    assert_eq!(stub.invoke(batch(&records), LONG), json!({"batchItemFailures": []}));
    let ids = ids(&stub);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 5);
    assert_eq!(ids.len(), 5);
    let lines = running.end();
    let failures: Vec<_> =
        metric_lines(&lines).iter().map(|it| it["PublishFailures"].clone()).collect();
    assert_eq!(failures, [json!(0), json!(1), json!(0)]);
}

/// More alerts than one invocation can send, to two topics of which one is slow: each time the
/// record comes again it goes on where it stopped, and no alert is counted twice.
#[test]
fn a_record_with_more_alerts_than_one_invocation_can_send_ends() {
    let stub = Stub::start();
    let topics = format!("{TOPIC},ocsf:{TOPIC}-lake");
    let running = stub.bootstrap(&[("ROLEWATCH_TOPICS", &topics)]);
    stub.script().slow = vec![("-lake".to_owned(), Duration::from_millis(400))];
    let events: Vec<String> = (0..60).map(|n| root(n, n)).collect();
    let records = [envelope(&events), envelope(&[root(70, 70)])];
    let time = Duration::from_millis(3_500);
    let mut invocations = 0;
    loop {
        invocations += 1;
        assert!(invocations < 8, "it does not end");
        let (started, answer) = (Instant::now(), stub.invoke(batch(&records), time));
        assert!(started.elapsed() < time);
        if answer == json!({"batchItemFailures": []}) {
            break;
        }
    }
    assert!(invocations > 1, "the time was enough");
    let script = stub.script();
    let bodies: Vec<&String> = script.taken.iter().map(|entry| &entry["Message"]).collect();
    assert_eq!(bodies.iter().collect::<BTreeSet<_>>().len(), 2 * 61);
    // Of a call that was cut off nobody knows what became of it.
    let most = 2 * 61 + 10 * (invocations - 1);
    assert!(bodies.len() <= most, "{} in {invocations} invocations", bodies.len());
    drop(script);
    let lines = running.end();
    let lags = lines.iter().filter_map(|line| line["AlertLag"].as_array()).map(Vec::len);
    assert_eq!(lags.sum::<usize>(), 61);
}

/// A topic that answers after the end has taken its alerts, or not: nobody knows, so that they
/// are sent again. The answer of the function is not late.
#[test]
fn a_topic_that_answers_after_the_deadline_gives_the_record_back_in_time() {
    let stub = Stub::start();
    let _running = stub.bootstrap(&[("ROLEWATCH_TOPICS", TOPIC)]);
    stub.script().slow = vec![("alerts".to_owned(), Duration::from_secs(4))];
    let records = [envelope(&[root(1, 1)])];
    let (started, time) = (Instant::now(), Duration::from_secs(3));
    let answer = stub.invoke(batch(&records), time);
    assert!(started.elapsed() < time);
    assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "0"}]}));
    stub.script().slow.clear();
    assert_eq!(stub.invoke(batch(&records), LONG), json!({"batchItemFailures": []}));
    assert_eq!(ids(&stub).into_iter().collect::<BTreeSet<_>>().len(), 1);
}

/// One topic that is away holds the alerts up, and the other gets each of them once.
#[test]
fn a_topic_that_is_away_does_not_make_another_one_hear_twice() {
    let stub = Stub::start();
    let topics = format!("{TOPIC},text:{TOPIC}-mail");
    let _running = stub.bootstrap(&[("ROLEWATCH_TOPICS", &topics)]);
    stub.script().away = vec!["-mail".to_owned()];
    let records: Vec<Vec<u8>> = (0..25).map(|n| envelope(&[root(n, n)])).collect();
    let answer = stub.invoke(batch(&records), Duration::from_secs(3));
    assert_eq!(answer, json!({"batchItemFailures": [{"itemIdentifier": "0"}]}));
    assert_eq!(ids(&stub).len(), 25, "the other one has them all");
    stub.script().away.clear();
    assert_eq!(stub.invoke(batch(&records), LONG), json!({"batchItemFailures": []}));
    assert_eq!(stub.script().taken.len(), 50);
}

#[test]
fn a_storm_of_one_kind_folds_and_a_thousand_kinds_all_go_out() {
    let stub = Stub::start();
    let _running = stub.bootstrap(&[("ROLEWATCH_TOPICS", TOPIC)]);
    let same: Vec<String> = (0..1_000).map(|n| root(n, 0)).collect();
    stub.invoke(batch(&[envelope(&same[..500]), envelope(&same[500..])]), LONG);
    assert_eq!(ids(&stub).len(), 1);
    let different: Vec<String> = (1..=1_000).map(|n| root(10_000 + n, n)).collect();
    stub.invoke(batch(&[envelope(&different)]), LONG);
    assert_eq!(ids(&stub).into_iter().collect::<BTreeSet<_>>().len(), 1_001);
    assert!(stub.script().offered.iter().all(|call| call.len() <= 10));
}

#[test]
fn wrong_settings_fail_the_start_with_all_their_faults() {
    let stub = Stub::start();
    let mut running = stub.bootstrap(&[("ROLEWATCH_TABLE", "t"), ("ROLEWATCH_LOG", "info=what")]);
    let (status, lines) = running.ended();
    assert_eq!(status, Some(1));
    let faults: Vec<&str> = lines.iter().filter_map(|line| line["fault"].as_str()).collect();
    for name in ["ROLEWATCH_TOPICS", "ROLEWATCH_TABLE", "ROLEWATCH_LOG"] {
        assert!(faults.iter().any(|fault| fault.starts_with(name)), "{faults:?}");
    }
    assert!(stub.script().polls.is_empty());
}
