//! The stories of `fixtures/`: a folder each, with the events, a line of prose, and the alerts
//! that they raise. `UPDATE_FIXTURES=1 cargo test` renews the alerts; the difference is for a
//! person to judge.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly"
)]

mod support;

use std::path::Path;

use support::{Run, assert_golden, run, stories};

/// Replays what is below `input` with the story's own expectations, where it has some.
fn replay(story: &Path, input: &Path) -> Run {
    let mut args = vec!["replay".into(), "--format".into(), "jsonl".into()];
    let config = story.join("rolewatch.toml");
    if config.is_file() {
        args.extend(["--config".into(), config.into_os_string()]);
    }
    args.push(input.as_os_str().to_owned());
    run(args)
}

#[test]
fn every_story_raises_its_alerts() {
    let stories = stories();
    assert!(stories.len() >= 4);
    for story in stories {
        let replayed = replay(&story, &story.join("events.jsonl"));
        assert_eq!(replayed.status, 0, "{}", replayed.err);
        let (total, sum) = replayed.sum();
        let lines = std::fs::read_to_string(story.join("events.jsonl")).unwrap().lines().count();
        assert_eq!((total, sum), (lines as u64, lines as u64), "{}", replayed.err);
        assert!(!replayed.out.contains("FAKE-SESSION-TOKEN"), "{}", story.display());
        assert_golden(&story.join("alerts.jsonl"), &replayed.out);
    }
}

#[test]
fn every_story_says_what_it_is() {
    for story in stories() {
        let prose = std::fs::read_to_string(story.join("README.md")).unwrap();
        assert!(prose.len() > 80, "{}", story.display());
    }
}

/// Any order of the records, in any number of files, each given twice: the same bytes.
#[test]
fn order_files_and_doubling_change_nothing() {
    for (seed, story) in stories().into_iter().enumerate() {
        let text = std::fs::read_to_string(story.join("events.jsonl")).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        let mut random = fastrand::Rng::with_seed(seed as u64);
        random.shuffle(&mut lines);
        let folder = tempfile::tempdir().unwrap();
        for (n, part) in lines.chunks(lines.len() / 3 + 1).enumerate() {
            let array = format!(r#"{{"Records":[{}]}}"#, part.join(",\n"));
            std::fs::write(folder.path().join(format!("{}.json", 9 - n)), &array).unwrap();
            std::fs::write(folder.path().join(format!("copy-{n}.json")), &array).unwrap();
        }
        let replayed = replay(&story, folder.path());
        assert_eq!(replayed.status, 0, "{}", replayed.err);
        let golden = std::fs::read_to_string(story.join("alerts.jsonl")).unwrap();
        assert_eq!(replayed.out, golden, "{}", story.display());
        let (total, sum) = replayed.sum();
        assert_eq!((total, sum), (2 * lines.len() as u64, 2 * lines.len() as u64));
        let ours = total - replayed.figure("other");
        assert_eq!(replayed.figure("duplicate") * 2, ours, "{}", replayed.err);
    }
}

/// The whole table: each rule is heard in one story and silent in another.
#[test]
fn every_rule_fires_in_one_story_and_is_silent_in_one() {
    let alerts: Vec<String> = stories()
        .into_iter()
        .map(|story| std::fs::read_to_string(story.join("alerts.jsonl")).unwrap())
        .collect();
    for rule in rolewatch::rules::RULES {
        let named = format!("\"rule\":\"{}\"", rule.id);
        let fires = alerts.iter().filter(|text| text.contains(&named)).count();
        assert!(fires > 0, "{} fires in no story", rule.id);
        assert!(fires < alerts.len(), "{} is silent in no story", rule.id);
    }
}
