//! `--format ocsf` before an independent implementation of the schema: a Python package that
//! ships the framework's own definitions. It is installed once, below `target/`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly"
)]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use rolewatch::alert::{Alert, Message, ocsf, plain};
use rolewatch::finding::{Finding, Ground};
use rolewatch::rules::RULES;
use rolewatch::severity::Severity;
use serde_json::{Value, json};
use support::{files_in, run, stories};

/// An interpreter that has the packages of `tests/ocsf/requirements.txt`.
static PYTHON: LazyLock<PathBuf> = LazyLock::new(|| {
    let venv = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ocsf-venv");
    let (python, installed) = (venv.join("bin/python"), venv.join("installed.txt"));
    let wanted = std::fs::read_to_string(beside("requirements.txt")).unwrap();
    if std::fs::read_to_string(&installed).is_ok_and(|it| it == wanted) {
        return python;
    }
    prepare(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv));
    prepare(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(beside("requirements.txt")),
    );
    std::fs::write(installed, wanted).unwrap();
    python
});

fn beside(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ocsf").join(name)
}

fn prepare(command: &mut Command) {
    let why = "the check of the OCSF format needs python3 with venv and pip, and a package index";
    let output = command.output().unwrap_or_else(|error| panic!("{why}: {command:?}: {error}"));
    assert!(output.status.success(), "{why}: {command:?}: {}", text_of(&output));
}

fn text_of(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

/// A verdict for each line: `valid`, or what is wrong.
fn verdicts(lines: &[String]) -> Vec<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, lines.join("\n")).unwrap();
    let stdin = std::fs::File::open(file.path()).unwrap();
    let judge = Command::new(&*PYTHON).arg(beside("validate.py")).stdin(stdin).output().unwrap();
    assert!(judge.status.success(), "{}", text_of(&judge));
    let verdicts = String::from_utf8(judge.stdout).unwrap();
    let verdicts: Vec<String> = verdicts.lines().map(str::to_owned).collect();
    assert_eq!(verdicts.len(), lines.len());
    verdicts
}

fn assert_valid(lines: &[String]) {
    for (line, verdict) in lines.iter().zip(verdicts(lines)) {
        assert_eq!(verdict, "valid", "{line}");
    }
}

/// What the stories raise, in one format.
fn alerts(format: &str) -> Vec<String> {
    let lines = stories().into_iter().flat_map(|story| {
        let replayed = run([
            "replay".as_ref(),
            "--format".as_ref(),
            format.as_ref(),
            story.join("events.jsonl").as_os_str(),
        ]);
        assert_eq!(replayed.status, 0, "{}", replayed.err);
        replayed.out.lines().map(str::to_owned).collect::<Vec<_>>()
    });
    lines.collect()
}

fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

/// An alert about a record of every shape in `fixtures/wire/`, with what every rule could find.
fn alerts_of_every_shape() -> Vec<Alert> {
    let finding = |rule: &rolewatch::rules::Rule| Finding {
        rule: rule.id.into(),
        severity: *rule.severities.last().unwrap(),
        phrase: "".into(),
        summary: format!("what {} says", rule.id),
        evidence: serde_json::Map::from_iter([("days".to_owned(), json!(3))]),
        ground: Ground::Fact,
    };
    let events = files_in("wire", "json").into_iter().filter_map(|path| {
        let record = parse(&std::fs::read_to_string(path).unwrap());
        rolewatch::cloudtrail::read(&record).ok().flatten()
    });
    let findings = || RULES.iter().map(finding).collect();
    events.map(|event| Alert::new(&event, findings(), None, Message::first()).unwrap()).collect()
}

#[test]
fn every_alert_of_every_story_is_valid() {
    let lines = alerts("ocsf");
    assert!(lines.len() > 10, "{}", lines.len());
    assert_valid(&lines);
}

#[test]
fn every_shape_of_record_gives_a_valid_finding() {
    let alerts = alerts_of_every_shape();
    assert!(alerts.len() > 50, "{}", alerts.len());
    let lines: Vec<String> = alerts.iter().map(ocsf::to_line).collect();
    assert_valid(&lines);
    assert!(lines.iter().any(|line| line.contains(r#""svc_name""#)));
}

/// What is told where a bug keeps the format from finding its words.
#[test]
fn an_alert_in_plain_words_is_valid() {
    let lines: Vec<String> = alerts_of_every_shape().iter().map(plain::ocsf).collect();
    assert_valid(&lines);
}

#[test]
fn severities_updates_and_repeats_are_valid() {
    let mut alert = alerts_of_every_shape().remove(0);
    let mut lines = Vec::new();
    for (severity, id) in Severity::ALL.into_iter().zip([2, 3, 4, 5]) {
        alert.severity = severity;
        lines.push(ocsf::to_line(&alert));
        assert_eq!(parse(&lines[lines.len() - 1])["severity_id"], id);
    }
    alert.repeats = 2;
    alert.event.ids = vec!["first".parse().unwrap(), "second".parse().unwrap()];
    alert.revision = 2;
    lines.push(ocsf::to_line(&alert));
    let update = parse(&lines[4]);
    assert_eq!(update["type_uid"], 200_402);
    assert_eq!(update["finding_info"]["related_events"][1]["uid"], "second");
    assert_eq!(update["finding_info"]["first_seen_time"], Value::Null);
    assert_ne!(update["metadata"]["uid"], parse(&lines[0])["metadata"]["uid"]);
    assert_eq!(update["finding_info"]["uid"], parse(&lines[0])["finding_info"]["uid"]);
    assert_valid(&lines);
}

#[test]
fn a_broken_finding_is_refused() {
    let mut sound = alerts_of_every_shape().into_iter().map(|it| parse(&ocsf::to_line(&it)));
    let has_address = |it: &Value| it.pointer("/evidences/0/src_endpoint/ip").is_some();
    let sound = sound.find(has_address).unwrap();
    let attack = json!({ "technique": { "uid": "T1078" }, "tactics": [{ "uid": "TA0001" }] });
    let broken = [
        ("/finding_info/uid", Value::Null, "None is not of type 'string'"),
        ("/finding_info", json!({}), "'uid' is a required property"),
        ("/severity_id", json!(7), "7 is not one of"),
        ("/severity", json!("Fatal"), ", not Fatal"),
        ("/time", json!("2026-03-04T05:06:07Z"), "is not of type 'integer'"),
        ("/type_uid", json!(200_402), "type_uid: not of this class and activity"),
        ("/cloud", json!({ "region": "x" }), "'provider' is a required property"),
        ("/cloud/surprise", json!(3), "'surprise' was unexpected"),
        ("/evidences/0/src_endpoint/ip", json!("30.*.0.210"), "does not match"),
        ("/evidences/0/actor/user", json!({ "type_id": 1 }), "is not valid under any"),
        ("/finding_info/attacks/0", attack, "finding_info.attacks[0].tactics: deprecated"),
        ("/metadata/version", json!("0.9.9"), "cannot be judged"),
    ];
    let lines: Vec<String> =
        broken.iter().map(|(at, value, _)| with(&sound, at, value).to_string()).collect();
    for ((at, _, words), verdict) in broken.iter().zip(verdicts(&lines)) {
        assert!(verdict.contains(words), "{at}: {verdict}");
    }
    assert_valid(&[sound.to_string()]);
}

/// `finding` with `value` put at `pointer`, whose parent is there.
fn with(finding: &Value, pointer: &str, value: &Value) -> Value {
    let mut finding = finding.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match finding.pointer_mut(parent).unwrap() {
        Value::Object(fields) => drop(fields.insert(name.to_owned(), value.clone())),
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = value.clone(),
        other => panic!("{pointer}: {other}"),
    }
    finding
}

#[test]
fn observables_stand_where_they_say() {
    let mut seen = 0;
    for alert in alerts_of_every_shape() {
        let finding = parse(&ocsf::to_line(&alert));
        for observable in finding["observables"].as_array().into_iter().flatten() {
            let path = observable["name"].as_str().unwrap().replace(['.', '['], "/");
            let pointer = format!("/{}", path.replace(']', ""));
            assert_eq!(finding.pointer(&pointer), Some(&observable["value"]), "{pointer}");
            seen += 1;
        }
    }
    assert!(seen > 50, "{seen}");
}

/// Every text of the `native` format, but for words that OCSF has words of its own for.
fn texts(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::String(text) if !text.is_empty() => into.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, into)),
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| !["time", "severity", "kind"].contains(&name.as_str()))
            .for_each(|(_, value)| texts(value, into)),
        _ => {}
    }
}

#[test]
fn nothing_that_an_alert_tells_is_lost() {
    let (native, findings) = (alerts("jsonl"), alerts("ocsf"));
    assert_eq!(native.len(), findings.len());
    for (native, finding) in native.iter().zip(findings) {
        let (mut told, mut kept) = (Vec::new(), Vec::new());
        texts(&parse(native), &mut told);
        texts(&parse(&finding), &mut kept);
        let missing: Vec<&String> = told.iter().filter(|text| !kept.contains(text)).collect();
        assert!(missing.is_empty(), "{missing:?} of {native} is not in {finding}");
    }
}
