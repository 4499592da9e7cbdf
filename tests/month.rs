//! The month of `fixtures/month/`: every planted attack is alerted, and hardly anything else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serde_json::Value;
use support::{fixture, run};

/// Event id → attack, from the generator's labels.
fn labels() -> BTreeMap<String, String> {
    let csv = std::fs::read_to_string(fixture("month/labels.csv")).unwrap();
    csv.lines()
        .skip(1)
        .map(|line| {
            let mut cells = line.split(',');
            (cells.next().unwrap().to_owned(), cells.next().unwrap().to_owned())
        })
        .collect()
}

struct Month {
    /// Attacks with an alert of medium severity or above.
    found: BTreeSet<String>,
    /// Titles of alerts that are about no attack, by severity.
    false_alerts: BTreeMap<String, Vec<String>>,
}

fn replay(config: bool) -> Month {
    let (folder, expectations) = (fixture("month"), fixture("month/rolewatch.toml"));
    let mut args = vec!["replay", "--format", "jsonl", folder.to_str().unwrap()];
    if config {
        args.extend(["--config", expectations.to_str().unwrap()]);
    }
    let replayed = run(args);
    assert_eq!(replayed.status, 0, "{}", replayed.err);
    let (total, sum) = replayed.sum();
    assert_eq!(total, sum, "{}", replayed.err);
    let labels = labels();
    let mut month = Month { found: BTreeSet::new(), false_alerts: BTreeMap::new() };
    for line in replayed.out.lines() {
        let alert: Value = serde_json::from_str(line).unwrap();
        let severity = alert["severity"].as_str().unwrap();
        match labels.get(alert["event"]["id"].as_str().unwrap()) {
            Some(attack) if severity != "low" => {
                month.found.insert(attack.clone());
            }
            Some(_) => {}
            None => {
                let titles = month.false_alerts.entry(severity.to_owned()).or_default();
                titles.push(alert["title"].as_str().unwrap().to_owned());
            }
        }
    }
    month
}

#[test]
fn every_attack_is_alerted_and_one_false_alert_is_low() {
    let attacks: BTreeSet<String> = labels().into_values().collect();
    assert_eq!(attacks.len(), 10);
    let month = replay(true);
    assert_eq!(month.found, attacks);
    let low = month.false_alerts.get("low").map_or(0, Vec::len);
    assert_eq!((low, month.false_alerts.len()), (1, 1), "{:#?}", month.false_alerts);
}

#[test]
fn without_any_configuration_only_the_break_glass_role_needs_one() {
    let missed = {
        let mut attacks: BTreeSet<String> = labels().into_values().collect();
        let month = replay(false);
        assert!(!month.false_alerts.contains_key("medium"), "{:#?}", month.false_alerts);
        assert!(!month.false_alerts.contains_key("high"), "{:#?}", month.false_alerts);
        attacks.retain(|attack| !month.found.contains(attack));
        attacks
    };
    assert_eq!(missed.into_iter().collect::<Vec<_>>(), ["break-glass"]);
}

/// Two weeks learned, saved, and two weeks judged from there are the month judged at once.
#[test]
fn learning_in_two_halves_equals_learning_in_one() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    split_month(&first, &second);
    let baseline = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let replay = |logs: &std::path::Path, extra: &[&str]| {
        let mut args = vec!["replay", "--format", "jsonl", logs.to_str().unwrap()];
        args.extend(extra);
        let replayed = run(args);
        assert_eq!(replayed.status, 0, "{}", replayed.err);
        replayed.out
    };
    let (half, both, whole) = (baseline("half"), baseline("both"), baseline("whole"));
    let out = replay(&first, &["--save-baseline", &half])
        + &replay(&second, &["--baseline", &half, "--save-baseline", &both]);
    assert_eq!(out, replay(folder.path(), &["--save-baseline", &whole]));
    assert!(std::fs::read(both).unwrap() == std::fs::read(whole).unwrap(), "the files differ");
}

/// Writes the month's records as two files, split in the middle of a day.
fn split_month(first: &std::path::Path, second: &std::path::Path) {
    let mut halves = [Vec::new(), Vec::new()];
    for entry in walkdir::WalkDir::new(fixture("month")).sort_by_file_name() {
        let path = entry.unwrap().into_path();
        if path.extension().is_some_and(|it| it == "gz") {
            let file = std::fs::File::open(path).unwrap();
            let mut log: Value =
                serde_json::from_reader(flate2::read::GzDecoder::new(file)).unwrap();
            for record in log["Records"].as_array_mut().unwrap() {
                let late = record["eventTime"].as_str().unwrap() >= "2026-01-19T12:00:00Z";
                halves[usize::from(late)].push(record.take().to_string());
            }
        }
    }
    for (folder, lines) in [first, second].into_iter().zip(halves) {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join("log.jsonl"), lines.join("\n")).unwrap();
    }
}

#[test]
fn the_month_is_replayed_in_seconds() {
    let started = Instant::now();
    replay(false);
    // About half a second in a release build; this one is not optimised.
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}
