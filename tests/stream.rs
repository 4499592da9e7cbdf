//! `feed`, `tail` and `redrive` against an emulator of AWS.
#![cfg(feature = "aws")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly"
)]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use rolewatch::dead_letter::{DeadLetter, Kind, Lost, Reference};
use rolewatch::decode::{Limits, texts};
use serde_json::Value;
use support::emulator::{Emulator, wait_until};
use support::{Run, finish, fixture, run};

fn words(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn replayed(path: &Path) -> Run {
    run(["replay", "--format", "jsonl", words(path)])
}

fn fed(emulator: &Emulator, stream: &str, path: &Path) -> Run {
    finish(emulator.rolewatch(&["feed", "--stream", stream, words(path)]).output().unwrap())
}

/// All of a stream up to its end, as alerts.
fn tail(emulator: &Emulator, stream: &str) -> Command {
    emulator.rolewatch(&[
        "tail",
        "--stream",
        stream,
        "--format",
        "jsonl",
        "--from-start",
        "--until-idle",
        "2",
    ])
}

fn tailed(emulator: &Emulator, stream: &str) -> Run {
    finish(tail(emulator, stream).output().unwrap())
}

/// The texts of all records in a file or in a Kinesis record.
fn texts_of(bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut take = |text: &[u8]| found.push(String::from_utf8(text.to_vec()).unwrap());
    assert_eq!(texts(bytes, Limits::default(), &mut take).faults, []);
    found
}

#[test]
fn every_record_arrives_and_raises_what_a_replay_raises() {
    let emulator = Emulator::start();
    emulator.stream("one", 1);
    let month = fixture("month");
    let feeding = fed(&emulator, "one", &month);
    assert_eq!(feeding.status, 0, "{}", feeding.err);
    let replayed = replayed(&month);
    let total = replayed.sum().0;
    assert!(total >= 20_000, "{total}");
    assert!(feeding.err.contains(&format!("{total} of {total} records put")), "{}", feeding.err);

    let shards = emulator.records("one");
    assert_eq!(shards.len(), 1);
    let mut arrived = 0;
    for record in &shards[0] {
        assert!(record.data.as_ref().len() < 1 << 20);
        let envelope = inflated(record.data.as_ref());
        let log_stream = envelope["logStream"].as_str().unwrap();
        assert_eq!(envelope["messageType"], "DATA_MESSAGE");
        assert_eq!(record.partition_key(), Some(log_stream));
        for event in envelope["logEvents"].as_array().unwrap() {
            let record: Value = serde_json::from_str(event["message"].as_str().unwrap()).unwrap();
            let (account, region) = (&record["recipientAccountId"], &record["awsRegion"]);
            let (account, region) = (account.as_str().unwrap(), region.as_str().unwrap());
            assert_eq!(log_stream, format!("{account}_CloudTrail_{region}"));
            assert_eq!(envelope["owner"], account);
            arrived += 1;
        }
    }
    assert_eq!(arrived, total);

    let tailed = tailed(&emulator, "one");
    assert_eq!(tailed.status, 0, "{}", tailed.err);
    assert_eq!(tailed.out, replayed.out);
    assert_eq!(tailed.sum(), (total, total));
}

fn inflated(data: &[u8]) -> Value {
    serde_json::from_reader(flate2::read::GzDecoder::new(data)).unwrap()
}

/// Splits every open shard in the middle.
fn split(emulator: &Emulator, stream: &str) {
    let kinesis = emulator.kinesis();
    let shards = emulator.wait(kinesis.list_shards().stream_name(stream).send()).unwrap();
    for shard in shards.shards() {
        let range = shard.hash_key_range().unwrap();
        let number = |key: &str| key.parse::<u128>().unwrap();
        let (low, high) = (number(range.starting_hash_key()), number(range.ending_hash_key()));
        let middle = (low + (high - low) / 2).to_string();
        let call = kinesis.split_shard().stream_name(stream).shard_to_split(shard.shard_id());
        emulator.wait(call.new_starting_hash_key(middle).send()).unwrap();
        emulator.wait_for_stream(stream);
    }
}

/// What comes while it is followed, across a split; and an end that was asked for.
#[test]
fn a_stream_is_followed_until_it_is_interrupted() {
    let emulator = Emulator::start();
    emulator.stream("live", 1);
    emulator.put("live", "before", b"{\"eventName\":\"BeforeTheStart\"}");
    let (out, err) =
        (tempfile::NamedTempFile::new().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let args = ["tail", "--stream", "live", "--format", "jsonl"];
    let mut following = emulator
        .rolewatch(&args)
        .stdout(out.reopen().unwrap())
        .stderr(err.reopen().unwrap())
        .spawn()
        .unwrap();
    let said = |file: &tempfile::NamedTempFile| std::fs::read_to_string(file.path()).unwrap();
    wait_until("it follows", || said(&err).contains("following 1 shard of live"));
    let story = fixture("root/events.jsonl");
    let expected = replayed(&story).out;
    let first = expected.lines().next().unwrap();
    let text = std::fs::read_to_string(&story).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let id = serde_json::from_str::<Value>(first).unwrap()["event"]["id"].to_string();
    let at = lines.iter().position(|line| line.contains(&id)).unwrap();
    let (before, after) = lines.split_at(at + 1);
    for line in before {
        emulator.put("live", "key", line.as_bytes());
    }
    // The emulator forgets what was in a shard that is split.
    wait_until("the first alert is there", || said(&out).lines().eq([first]));
    split(&emulator, "live");
    for line in after {
        emulator.put("live", "key", line.as_bytes());
    }
    wait_until("the alerts are there", || said(&out) == expected);
    let id = following.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let status = following.wait().unwrap();
    assert_eq!(status.code(), Some(0), "{}", said(&err));
    let ended = Run { out: said(&out), err: said(&err), status: 0 };
    assert_eq!(ended.sum(), (lines.len() as u64, lines.len() as u64), "{}", ended.err);
}

#[test]
fn what_cannot_be_read_is_named_and_the_rest_goes_on() {
    let emulator = Emulator::start();
    emulator.stream("mixed", 3);
    let folder = tempfile::tempdir().unwrap();
    let sound = std::fs::read(fixture("missing-mfa/events.jsonl")).unwrap();
    std::fs::write(folder.path().join("sound.jsonl"), &sound).unwrap();
    std::fs::write(folder.path().join("broken.json"), br#"[{"eventName":},{"eventName":"B"}]"#)
        .unwrap();
    let feeding = fed(&emulator, "mixed", folder.path());
    assert_eq!(feeding.status, 1, "{}", feeding.err);
    assert!(
        feeding.err.contains("broken.json: record 1 (byte 1): not valid JSON"),
        "{}",
        feeding.err
    );
    let records: Vec<_> = emulator.records("mixed").into_iter().flatten().collect();
    let arrived: BTreeSet<String> =
        records.iter().flat_map(|record| texts_of(record.data.as_ref())).collect();
    let mut expected: BTreeSet<String> = texts_of(&sound).into_iter().collect();
    expected.insert(r#"{"eventName":"B"}"#.to_owned());
    assert_eq!(arrived, expected);

    emulator.put("mixed", "x", b"{\"eventName\":");
    let tailed = tailed(&emulator, "mixed");
    assert_eq!(tailed.status, 1, "{}", tailed.err);
    assert_eq!(tailed.figure("undecodable"), 1);
    assert!(tailed.err.contains(", sequence number "), "{}", tailed.err);
}

#[test]
fn a_stream_that_is_not_there_is_wrong_usage() {
    let emulator = Emulator::start();
    let feeding = fed(&emulator, "nowhere", &fixture("root/events.jsonl"));
    assert_eq!(feeding.status, 2, "{}", feeding.err);
    assert!(feeding.err.contains("the stream `nowhere` does not take records"), "{}", feeding.err);
    let tailed = tailed(&emulator, "nowhere");
    assert_eq!(tailed.status, 2, "{}", tailed.err);
    assert!(tailed.err.contains("the stream `nowhere` cannot be read"), "{}", tailed.err);
}

/// The README's transcript, without what the clock decides and with its queue in the emulator.
#[test]
fn the_readme_shows_what_is_printed() {
    let emulator = Emulator::start();
    emulator.stream("trail", 1);
    let queue = emulator.queue("dead-letters");
    emulator.send(&queue, &letter(br#"{"eventName":"Later"}"#, Some(1)));
    let readme = std::fs::read_to_string(fixture("../README.md")).unwrap();
    let (_, rest) = readme.split_once("```\n$ rolewatch feed").unwrap();
    let block = format!("$ rolewatch feed{}", rest.split_once("```").unwrap().0);
    let without_time = |line: &str| {
        let timed = line.ends_with(" records/s");
        if timed { line.rsplit_once("; ").unwrap().0.to_owned() } else { line.to_owned() }
    };
    let mut runs = 0;
    for transcript in block.split("$ rolewatch ").skip(1) {
        let (command, shown) = transcript.split_once('\n').unwrap();
        let words: Vec<String> = command
            .split(' ')
            .map(|word| match word {
                "fixtures/missing-mfa" => words(&fixture("missing-mfa")).to_owned(),
                word if word.starts_with("https://sqs.") => queue.clone(),
                word => word.to_owned(),
            })
            .collect();
        let args: Vec<&str> = words.iter().map(String::as_str).collect();
        let printed = finish(emulator.rolewatch(&args).output().unwrap());
        // The first line of a run that takes its time is on standard error.
        let (first, rest) = match printed.err.split_once('\n') {
            Some((first, rest)) if first.starts_with("following ") => (first, rest),
            _ => ("", printed.err.as_str()),
        };
        let printed: Vec<String> = [first]
            .into_iter()
            .filter(|it| !it.is_empty())
            .chain(printed.out.lines())
            .chain(rest.lines())
            .map(without_time)
            .collect();
        let shown: Vec<String> = shown.lines().map(without_time).collect();
        assert_eq!(shown, printed, "{command}");
        runs += 1;
    }
    assert_eq!(runs, 3);
}

/// What is wrong with the setup is said in one line, at once and without an emulator.
#[test]
fn a_wrong_setup_is_told_with_what_helps() {
    let story = fixture("root/events.jsonl");
    let feed = ["feed", "--stream", "trail", words(&story)];
    let tail = ["tail", "--stream", "trail"];
    let redrive = ["redrive", "--queue", "http://127.0.0.1:9/1/q", "--stream", "trail"];
    let nowhere = tempfile::tempdir().unwrap();
    let region = ("AWS_REGION", "us-east-1");
    let key = [("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test-secret")];
    // Nothing listens on the discard port.
    let endpoint = ("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    let cases = [
        (vec![endpoint, key[0], key[1]], "set AWS_REGION"),
        (vec![endpoint, region], "set AWS_PROFILE, or AWS_ACCESS_KEY_ID"),
        (vec![endpoint, region, key[0], key[1]], "check --endpoint-url"),
    ];
    for args in [&feed[..], &tail, &redrive] {
        for (environment, help) in &cases {
            let mut command = support::rolewatch(args);
            let command = command
                .env_clear()
                .env("HOME", nowhere.path())
                .env("AWS_EC2_METADATA_DISABLED", "true")
                .envs(environment.iter().copied());
            let failed = finish(command.output().unwrap());
            assert_eq!(failed.status, 2, "{args:?}: {}", failed.err);
            let told = failed.err.lines().find(|line| line.starts_with("rolewatch: the "));
            let told = told.unwrap_or_else(|| panic!("{args:?}: {}", failed.err));
            assert!(told.contains(help), "{args:?}: {told}");
            assert!(!failed.err.contains("test-secret"), "{}", failed.err);
        }
    }
}

/// A dead letter about a piece of a log, as the Lambda writes it.
fn letter(piece: &[u8], record: Option<u64>) -> String {
    let reference = Reference {
        stream: None,
        shard: "shardId-000000000000".to_owned(),
        sequence_number: "4711".to_owned(),
        record,
    };
    let lost = Lost { record, kind: Kind::Bug, reason: "a test".to_owned() };
    DeadLetter::to_message(reference, &lost, piece)
}

fn redriven(emulator: &Emulator, queue: &str, stream: &str) -> Run {
    let args = ["redrive", "--queue", queue, "--stream", stream];
    finish(emulator.rolewatch(&args).output().unwrap())
}

#[test]
fn dead_letters_are_put_back_and_what_cannot_be_is_kept() {
    let emulator = Emulator::start();
    emulator.stream("again", 1);
    let queue = emulator.queue("letters");
    let whole = std::fs::read(fixture("envelopes/cloudwatch-logs.json.gz")).unwrap();
    let record = br#"{"eventName":"Later"}"#;
    emulator.send(&queue, &letter(&whole, None));
    (0..25).for_each(|_| emulator.send(&queue, &letter(record, Some(3))));
    let mut random = fastrand::Rng::with_seed(1);
    let large: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(1 << 20).collect();
    let kept = [letter(b"{\"eventName\":", Some(1)), letter(&large, None), "{}".to_owned()];
    kept.iter().for_each(|message| emulator.send(&queue, message));

    let redriven = redriven(&emulator, &queue, "again");
    assert_eq!(redriven.status, 1, "{}", redriven.err);
    assert!(
        redriven.err.contains("26 dead letters put back into again, 3 kept"),
        "{}",
        redriven.err
    );
    for why in [
        "it still cannot be read (shardId-000000000000, sequence number 4711)",
        "only the first bytes",
        "no dead letter",
    ] {
        assert!(redriven.err.contains(why), "{}", redriven.err);
    }
    let records = emulator.records("again").remove(0);
    assert_eq!(records.len(), 26);
    let raw = |data: &[u8]| data == whole.as_slice();
    assert_eq!(records.iter().filter(|it| raw(it.data.as_ref())).count(), 1);
    let others = records.iter().filter(|it| !raw(it.data.as_ref()));
    others.for_each(|it| assert_eq!(texts_of(it.data.as_ref()), [r#"{"eventName":"Later"}"#]));
    let left: BTreeSet<String> = emulator.drain(&queue).into_iter().collect();
    assert_eq!(left, BTreeSet::from(kept));
}

/// Letters whose pieces are large together go back in several requests, each as large as one may
/// be; and what SQS does not tell at once is asked for again.
#[test]
fn large_dead_letters_are_put_back_in_several_requests() {
    let emulator = Emulator::start();
    emulator.stream("again", 1);
    let queue = emulator.queue("letters");
    let large = b"{\"eventName\":\"Later\"}\n".repeat(40_000);
    (0..12).for_each(|_| emulator.send(&queue, &letter(&large, None)));
    let redriven = redriven(&emulator, &queue, "again");
    assert_eq!(redriven.status, 0, "{}", redriven.err);
    assert!(
        redriven.err.contains("12 dead letters put back into again, 0 kept"),
        "{}",
        redriven.err
    );
    let records = emulator.records("again").remove(0);
    assert_eq!(records.len(), 12);
    assert!(records.iter().all(|record| record.data.as_ref() == large));
    assert_eq!(emulator.drain(&queue), Vec::<String>::new());
}

/// A Kinesis with two shards, of which one cannot be read; without an emulator, for that has no
/// way to fail.
fn half_a_stream(record: String) -> String {
    use std::io::{BufRead, BufReader, Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = move |head: &str, body: &str| {
        let body: Value = serde_json::from_str(body).unwrap();
        let head = head.to_ascii_lowercase();
        if head.contains("listshards") {
            let shard = |id: &str| {
                serde_json::json!({"ShardId": id, "SequenceNumberRange": {"StartingSequenceNumber": "1"},
                    "HashKeyRange": {"StartingHashKey": "0", "EndingHashKey": "1"}})
            };
            ("200 OK", serde_json::json!({"Shards": [shard("bad"), shard("good")]}))
        } else if head.contains("getsharditerator") {
            ("200 OK", serde_json::json!({"ShardIterator": body["ShardId"]}))
        } else if body["ShardIterator"] == "good" {
            let record = serde_json::json!({"SequenceNumber": "1", "PartitionKey": "p", "Data": record,
                "ApproximateArrivalTimestamp": 1_800_000_000.0});
            let answer = serde_json::json!({"Records": [record], "NextShardIterator": "next",
                "MillisBehindLatest": 0});
            ("200 OK", answer)
        } else {
            (
                "400 Bad Request",
                serde_json::json!({"__type": "AccessDeniedException", "message": "no"}),
            )
        }
    };
    std::thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            let mut writer = connection.try_clone().unwrap();
            let mut reader = BufReader::new(connection);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                assert!(reader.read_line(&mut head).unwrap() > 0);
            }
            let length = head.lines().filter_map(|line| line.split_once(": "));
            let length = length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
            let length: usize = length.map(|(_, value)| value.parse().unwrap()).next().unwrap();
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let (status, answer) = answer(&head, std::str::from_utf8(&body).unwrap());
            let answer = answer.to_string();
            let length = answer.len();
            write!(
                writer,
                "HTTP/1.1 {status}\r\nContent-Type: application/x-amz-json-1.1\r\n\
                 Connection: close\r\nContent-Length: {length}\r\n\r\n{answer}"
            )
            .unwrap();
        }
    });
    url
}

/// One shard that cannot be read ends the following, but what the others gave is judged first:
/// nothing would bring it again.
#[test]
fn what_other_shards_gave_is_judged_when_one_fails() {
    use base64::Engine;
    let story = fixture("root/events.jsonl");
    let text = std::fs::read_to_string(&story).unwrap();
    let url = half_a_stream(base64::engine::general_purpose::STANDARD.encode(text));
    let args = ["tail", "--stream", "half", "--format", "jsonl", "--from-start"];
    let mut command = support::rolewatch(args);
    command.envs(support::emulator::ENVIRONMENT).args(["--endpoint-url", &url]);
    let tailed = finish(command.output().unwrap());
    assert_eq!(tailed.out, replayed(&story).out);
    assert_eq!(tailed.status, 1, "{}", tailed.err);
    assert!(
        tailed.err.contains("cannot be read any more: AccessDeniedException"),
        "{}",
        tailed.err
    );
}

#[test]
fn a_stream_that_takes_nothing_loses_no_dead_letter() {
    let emulator = Emulator::start();
    let queue = emulator.queue("letters");
    emulator.send(&queue, &letter(br#"{"eventName":"Later"}"#, Some(1)));
    let redriven = redriven(&emulator, &queue, "nowhere");
    assert_eq!(redriven.status, 2, "{}", redriven.err);
    assert_eq!(emulator.drain(&queue).len(), 1);
}
