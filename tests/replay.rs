//! `rolewatch replay` and `rolewatch rules` as a user runs them: what is read, what is said of
//! what cannot be read, and how it ends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly"
)]

mod support;

use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use support::{Run, finish, fixture, rolewatch, run};
use tempfile::TempDir;

const STORY: &str = "missing-mfa/events.jsonl";

/// A folder with one sound log and one file of `bytes`, replayed.
struct Beside {
    folder: TempDir,
    bad: PathBuf,
}

impl Beside {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(fixture(STORY), folder.path().join("good.jsonl")).unwrap();
        let bad = folder.path().join(name);
        std::fs::write(&bad, bytes).unwrap();
        Self { folder, bad }
    }

    fn replay(&self) -> Run {
        run([
            "replay".as_ref(),
            "--format".as_ref(),
            "jsonl".as_ref(),
            self.folder.path().as_os_str(),
        ])
    }

    /// Asserts that the message names the file and says `words`, that the status is 1, that the
    /// sound log was replayed, and that the figures add up.
    fn assert_said(&self, words: &str) -> Run {
        let replayed = self.replay();
        let name = self.bad.display().to_string();
        let line = replayed.err.lines().find(|line| line.contains(&name));
        let line = line.unwrap_or_else(|| panic!("{name} is not named in {}", replayed.err));
        assert!(line.contains(words), "{line}");
        assert_eq!(replayed.status, 1, "{}", replayed.err);
        assert_good_is_replayed(&replayed);
        replayed
    }

    fn assert_silent(&self) {
        let replayed = self.replay();
        assert_eq!(replayed.status, 0, "{}", replayed.err);
        assert_good_is_replayed(&replayed);
    }
}

fn assert_good_is_replayed(replayed: &Run) {
    let golden = std::fs::read_to_string(fixture("missing-mfa/alerts.jsonl")).unwrap();
    assert!(replayed.out.contains(golden.trim_end()), "{}", replayed.out);
    let (total, sum) = replayed.sum();
    assert_eq!(total, sum);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn records(records: &[Value]) -> Vec<u8> {
    json!({ "Records": records }).to_string().into_bytes()
}

fn assume_role() -> Value {
    let bytes = std::fs::read(fixture("wire/iam-user-long-term-key.json")).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn an_empty_file() {
    Beside::new("bad.json", b"").assert_said("it is empty");
}

#[test]
fn a_folder_without_logs_and_a_missing_path() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("notes.txt"), "x").unwrap();
    let replayed = run(["replay".as_ref(), folder.path().as_os_str(), fixture(STORY).as_os_str()]);
    assert!(replayed.err.contains("holds no logs: give a folder with"), "{}", replayed.err);
    assert_eq!(replayed.status, 1);
    let missing = run(["replay", "no/such/path", fixture(STORY).to_str().unwrap()]);
    assert!(missing.err.contains("no/such/path: cannot be read: No such file"), "{}", missing.err);
    assert_eq!(missing.status, 1);
    assert!(missing.out.contains("missing_mfa"), "{}", missing.out);
}

#[test]
fn a_truncated_gzip_gives_what_came_before() {
    let text = std::fs::read(fixture(STORY)).unwrap();
    let whole = gzip(&text);
    let replayed = Beside::new("cut.json.gz", &whole[..whole.len() * 9 / 10])
        .assert_said("its gzip data is cut off after");
    assert!(replayed.figure("duplicate") > 5, "{}", replayed.err);
    assert_eq!(replayed.figure("undecodable"), 0, "{}", replayed.err);
}

/// Peak resident memory of a finished child is not to be had without unsafe code, so the bomb
/// is inflated under a limit of the address space.
#[test]
fn a_gzip_bomb_costs_bounded_memory() {
    let bomb = gzip(&vec![b' '; 64 << 20]).repeat(16);
    assert!(bomb.len() < 2 << 20, "{} bytes", bomb.len());
    let beside = Beside::new("bomb.json.gz", &bomb);
    let limited = std::process::Command::new("sh")
        .args(["-c", "ulimit -v 700000; exec \"$0\" replay --format jsonl \"$1\""])
        .args([env!("CARGO_BIN_EXE_rolewatch").as_ref(), beside.folder.path().as_os_str()])
        .output()
        .unwrap();
    let replayed = finish(limited);
    assert!(replayed.err.contains("it inflates to more than 268435456 bytes"), "{}", replayed.err);
    assert_eq!(replayed.status, 1, "{}", replayed.err);
    assert_good_is_replayed(&replayed);
}

#[test]
fn what_is_not_json_or_not_cloudtrail() {
    Beside::new("bad.json", b"<html>hello</html>").assert_said("it is not JSON (it begins with");
    Beside::new("bad.json", br#"{"hello":"world"}"#).assert_said("no CloudTrail record");
    Beside::new("bad.json", b"[1,2]").assert_said("a record has to be an object");
    let utf16: Vec<u8> = "{\"a\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    Beside::new("bad.json", &[b"\xff\xfe".to_vec(), utf16].concat()).assert_said("not JSON");
}

#[test]
fn invalid_utf8_costs_its_record_alone() {
    let good = assume_role().to_string().into_bytes();
    let text = assume_role().to_string().replace("DataReader", "Data\u{1}Reader");
    let mut bad = text.into_bytes();
    let at = bad.windows(2).position(|it| it == [b'a', 1]).unwrap_or_default();
    bad[at] = 0xff;
    let bytes = [b"[", bad.as_slice(), b",", good.as_slice(), b"]"].concat();
    let replayed = Beside::new("bad.json", &bytes).assert_said("record 1 (byte 1): not valid JSON");
    assert_eq!(replayed.figure("undecodable"), 1);
    assert!(replayed.out.contains("DataReader"), "its neighbour is replayed");
}

#[test]
fn a_record_without_an_event_id_or_time() {
    let mut record = assume_role();
    record.as_object_mut().unwrap().remove("eventID");
    let replayed = Beside::new("a.json", &records(&[record.clone(), record.clone()])).replay();
    assert_eq!((replayed.status, replayed.figure("duplicate")), (0, 1), "{}", replayed.err);
    record.as_object_mut().unwrap().remove("eventTime");
    let replayed = Beside::new("a.json", &records(&[record])).assert_said("it has no `eventTime`");
    assert_eq!(replayed.figure("undecodable"), 1);
}

#[test]
fn a_record_of_seventy_kilobytes_is_a_record() {
    let mut record = assume_role();
    record["requestParameters"]["policy"] = json!("x".repeat(70_000));
    let replayed = Beside::new("large.json", &records(&[record])).replay();
    assert_eq!(replayed.status, 0, "{}", replayed.err);
    assert!(replayed.out.contains("DataReader"));
}

#[test]
fn digests_insights_and_notifications_are_not_ours_and_no_error() {
    for shape in ["digest", "insight", "s3-notification"] {
        let bytes = std::fs::read(fixture(&format!("wire/{shape}.json"))).unwrap();
        Beside::new("beside.json", &bytes).assert_silent();
    }
}

#[test]
fn an_unreadable_file_is_named() {
    let beside = Beside::new("unused.json", b"{}");
    std::fs::remove_file(&beside.bad).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all.json", &beside.bad).unwrap();
    beside.assert_said("cannot be read: No such file");
    std::fs::remove_file(&beside.bad).unwrap();
    // A folder where a file is expected cannot be read by anybody, root included.
    let replayed = run(["replay".as_ref(), beside.folder.path().join("x.json").as_os_str()]);
    assert_eq!(replayed.status, 1, "{}", replayed.err);
}

#[test]
fn many_faults_of_one_file_are_counted() {
    let bad = "{\"eventVersion\":1}\n".repeat(500);
    let replayed = Beside::new("bad.jsonl", bad.as_bytes()).assert_said("no `eventName`");
    assert!(replayed.err.contains("and 480 more"), "{}", replayed.err);
    assert_eq!(replayed.figure("undecodable"), 500);
    assert!(replayed.err.lines().count() < 30);
}

#[test]
fn standard_input_is_read() {
    let bytes = gzip(&std::fs::read(fixture(STORY)).unwrap());
    let mut child = rolewatch(["replay", "--format", "jsonl", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    let replayed = finish(child.wait_with_output().unwrap());
    assert_eq!(replayed.status, 0, "{}", replayed.err);
    assert_good_is_replayed(&replayed);
}

#[test]
fn a_closed_pipe_is_no_error() {
    let mut child = rolewatch(["replay", "--format", "jsonl"])
        .arg(fixture("root/events.jsonl"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let replayed = finish(child.wait_with_output().unwrap());
    assert_eq!(replayed.status, 0, "{}", replayed.err);
    assert!(!replayed.err.contains("roken pipe"), "{}", replayed.err);
    let (total, sum) = replayed.sum();
    assert_eq!(total, sum);
}

#[test]
fn a_full_disk_stops_the_run_with_its_own_status() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = rolewatch(["replay".as_ref(), fixture("root/events.jsonl").as_os_str()])
        .stdout(full)
        .output()
        .unwrap();
    let replayed = finish(output);
    assert_eq!(replayed.status, 4, "{}", replayed.err);
    assert!(replayed.err.contains("alerts could not be written"), "{}", replayed.err);
}

#[test]
fn statuses_tell_scripts_how_it_ended() {
    let story = fixture("root/events.jsonl");
    let story = story.to_str().unwrap();
    for (args, status) in [
        (vec!["replay", story], 0),
        (vec!["replay", story, "--fail-on", "high"], 3),
        (vec!["replay", story, "--fail-on", "critical"], 0),
        (vec!["replay", story, "missing", "--fail-on", "low"], 3),
        (vec!["replay", story, "missing"], 1),
        (vec!["replay"], 2),
        (vec!["replay", story, "--fail-on", "severe"], 2),
        (vec!["replay", story, "--learn-until", "yesterday"], 2),
        (vec!["replay", story, "--learn-until", "2027-01-01T00:00:00Z", "--fail-on", "low"], 0),
        (vec!["rules"], 0),
        (vec!["rules", "missing_mfa"], 0),
        (vec!["rules", "no_such_rule"], 2),
        (vec!["--version"], 0),
    ] {
        assert_eq!(run(args.clone()).status, status, "{args:?}");
    }
}

#[test]
fn rules_explain_themselves() {
    let all = run(["rules"]).out;
    let one = run(["rules", "missing_mfa"]).out;
    assert!(all.contains("missing_mfa") && all.contains("root_session"));
    for heading in ["What it sees", "Why it matters", "When it is harmless", "What to do first"] {
        assert!(one.contains(heading), "{one}");
    }
}

#[test]
fn hostile_text_cannot_disturb_the_output() {
    let hostile = format!("x\u{1b}[2J\u{9b}31m\r\n\u{202e}\0{}", "A".repeat(100_000));
    let mut record = assume_role();
    for path in ["/requestParameters/roleSessionName", "/userAgent", "/userIdentity/userName"] {
        *record.pointer_mut(path).unwrap() = json!(hostile);
    }
    record["userIdentity"]["arn"] = json!(hostile);
    record["sourceIPAddress"] = json!(hostile);
    record["awsRegion"] = json!(hostile);
    let mut refused = assume_role();
    refused["eventID"] = json!("refused");
    refused["errorCode"] = json!(hostile);
    refused["errorMessage"] = json!(hostile);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evil\u{1b}[2J.json");
    std::fs::write(&path, records(&[record, refused])).unwrap();
    std::fs::write(folder.path().join("bad\u{1b}[2J.json"), &hostile).unwrap();
    for format in ["table", "jsonl", "ocsf"] {
        let replayed = run([
            "replay".as_ref(),
            "--format".as_ref(),
            format.as_ref(),
            folder.path().as_os_str(),
        ]);
        let printed = format!("{}{}", replayed.out, replayed.err);
        assert!(replayed.out.contains("missing_mfa"), "{}", replayed.out);
        let hostile = printed.chars().find(|c| *c != '\n' && rolewatch::text::is_hostile(*c));
        assert_eq!(hostile, None, "{format}");
        assert!(printed.len() < 30_000, "{format}: {} bytes", printed.len());
        if format == "jsonl" {
            assert_eq!(replayed.out.lines().count(), 1);
            let alert: Value = serde_json::from_str(&replayed.out).unwrap();
            assert_eq!(alert["findings"][0]["rule"], "missing_mfa");
        }
    }
}

/// What is broken is shown by its kind and place alone: it can be a token as well.
#[test]
fn no_message_shows_a_secret() {
    const SECRET: &str = "kept-to-myself";
    let mut late = assume_role();
    late["eventTime"] = json!(SECRET);
    let token = format!("{{\"sessionToken\":\"{SECRET}");
    let wrong_kind = format!("{{\"eventName\":[\"{SECRET}\"]}}");
    for fragment in [format!("\"externalId\": \"{SECRET}\""), token, wrong_kind, late.to_string()] {
        let event = json!({ "id": "1", "message": fragment });
        let log = json!({ "messageType": "DATA_MESSAGE", "logEvents": [event] }).to_string();
        for bytes in [fragment.clone(), format!("{}\n{fragment}\n", assume_role()), log] {
            let replayed = Beside::new("bad.json", bytes.as_bytes()).assert_said("");
            assert!(!replayed.err.contains("kept"), "{}", replayed.err);
        }
    }
}

#[test]
fn what_stands_behind_gzip_data_is_named_unless_it_is_padding() {
    let log = gzip(&records(&[assume_role()]));
    Beside::new("a.json.gz", &[log.as_slice(), &[0; 1024]].concat()).assert_silent();
    Beside::new("a.json.gz", &gzip(&log)).assert_silent();
    let replayed = Beside::new("a.json.gz", &[log.as_slice(), b"junk"].concat())
        .assert_said("4 bytes behind the gzip data are not gzip and were passed over");
    assert_eq!(replayed.figure("undecodable"), 0);
    assert!(replayed.out.contains("DataReader"));
}

#[test]
fn a_pipe_in_a_folder_is_named_and_not_opened() {
    let beside = Beside::new("pipe.json", b"");
    std::fs::remove_file(&beside.bad).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&beside.bad).status().unwrap();
    assert!(made.success());
    beside.assert_said("is neither a file nor a folder and was not opened");
}

/// A few MB that inflate to a great many records, sound and faulty ones. The inflated bytes and
/// the events are held, the records as JSON are not.
#[test]
fn millions_of_tiny_records_cost_bounded_memory() {
    let sound = r#"{"eventSource":"sts.amazonaws.com","eventName":"AssumeRole"},"#.repeat(1 << 20);
    let faulty = "{},".repeat(8 << 20);
    for (elements, count) in [(sound, 1 << 20), (faulty, 8 << 20)] {
        let bomb = gzip(format!("[{}]", elements.trim_end_matches(',')).as_bytes());
        let beside = Beside::new("bomb.json.gz", &bomb);
        let limited = std::process::Command::new("sh")
            .args(["-c", "ulimit -v 700000; exec \"$0\" replay --format jsonl \"$1\""])
            .args([env!("CARGO_BIN_EXE_rolewatch").as_ref(), beside.folder.path().as_os_str()])
            .output()
            .unwrap();
        let replayed = finish(limited);
        assert_eq!(replayed.figure("undecodable"), count, "{}", replayed.err);
        assert_good_is_replayed(&replayed);
    }
}
