//! Saved baselines: `--baseline`, `--save-baseline`, `baseline show`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly"
)]

mod support;

use std::path::PathBuf;

use support::{Run, finish, fixture, rolewatch, run};
use tempfile::TempDir;

struct Saved {
    folder: TempDir,
}

impl Saved {
    fn of(story: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let saved = Self { folder };
        let replayed = run([
            "replay".as_ref(),
            fixture(story).join("events.jsonl").as_os_str(),
            "--save-baseline".as_ref(),
            saved.path().as_os_str(),
        ]);
        assert_eq!(replayed.status, 0, "{}", replayed.err);
        saved
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("baseline")
    }

    fn rewrite(&self, change: impl FnOnce(String) -> String) {
        let text = std::fs::read_to_string(self.path()).unwrap();
        std::fs::write(self.path(), change(text)).unwrap();
    }

    fn replay(&self) -> Run {
        let events = fixture("root/events.jsonl");
        run(["replay".as_ref(), events.as_os_str(), "--baseline".as_ref(), self.path().as_os_str()])
    }

    fn assert_refused(&self, words: &str) {
        let replayed = self.replay();
        assert_eq!(replayed.status, 2, "{}", replayed.err);
        assert!(replayed.out.is_empty(), "nothing runs");
        assert!(replayed.err.contains(words), "{}", replayed.err);
        assert!(replayed.err.contains(self.path().to_str().unwrap()), "{}", replayed.err);
    }
}

#[test]
fn a_baseline_is_used_again() {
    let saved = Saved::of("missing-mfa");
    let events = fixture("missing-mfa/events.jsonl");
    let again = run([
        "replay".as_ref(),
        events.as_os_str(),
        "--baseline".as_ref(),
        saved.path().as_os_str(),
    ]);
    assert!(again.out.is_empty(), "all of it was judged before: {}", again.out);
    assert_eq!(again.figure("duplicate"), 21, "{}", again.err);
}

#[test]
fn what_is_no_baseline_or_a_damaged_one_is_refused() {
    let saved = Saved::of("missing-mfa");
    saved.rewrite(|text| text.replacen("baseline/1", "baseline/2", 1));
    saved.assert_refused("saved by a newer rolewatch (form 2, this one reads 1): update");
    saved.rewrite(|text| text.replacen("baseline/2", "baseline/1", 1));
    assert_eq!(saved.replay().status, 0);
    saved.rewrite(|text| text.replacen("\"count\":9", "\"count\":8", 1));
    saved.assert_refused("is damaged (its digest does not match)");
    saved.rewrite(|text| text[..text.len() / 2].to_owned());
    saved.assert_refused("is damaged");
    saved.rewrite(|_| "{\"hello\": 1}\n".to_owned());
    saved.assert_refused("is no saved baseline");
    saved.rewrite(|_| String::new());
    saved.assert_refused("is no saved baseline");
    std::fs::remove_file(saved.path()).unwrap();
    saved.assert_refused("cannot be read: No such file");
}

#[test]
fn a_place_that_takes_no_file_leaves_the_old_one() {
    let replayed = run([
        "replay".as_ref(),
        fixture("missing-mfa/events.jsonl").as_os_str(),
        "--save-baseline".as_ref(),
        "/proc/nowhere/baseline".as_ref(),
    ]);
    assert_eq!(replayed.status, 2, "nothing runs: {}", replayed.err);
    assert!(replayed.err.contains("cannot be written"), "{}", replayed.err);
}

#[test]
fn alerts_that_nobody_read_are_not_learned_from() {
    let saved = Saved::of("missing-mfa");
    std::fs::remove_file(saved.path()).unwrap();
    let mut child = rolewatch(["replay".as_ref(), fixture("root/events.jsonl").as_os_str()])
        .args(["--save-baseline".as_ref(), saved.path().as_os_str()])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let replayed = finish(child.wait_with_output().unwrap());
    assert!(replayed.err.contains("was not saved, for not all alerts were read"));
    assert!(!saved.path().exists());
}

#[test]
fn no_secret_is_saved() {
    let saved = Saved::of("wrong-external-id");
    let text = std::fs::read_to_string(saved.path()).unwrap();
    let events = std::fs::read_to_string(fixture("wrong-external-id/events.jsonl")).unwrap();
    let secrets: std::collections::BTreeSet<&str> = events
        .split("\"externalId\":\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(!secrets.is_empty());
    for secret in secrets.into_iter().chain(["FAKE-SESSION-TOKEN"]) {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[test]
fn a_role_is_shown_in_words_and_numbers() {
    let saved = Saved::of("wrong-external-id");
    let show = |role: &[&str]| {
        let path = saved.path();
        let mut args = vec!["baseline", "show", path.to_str().unwrap()];
        args.extend(role);
        run(args)
    };
    let all = show(&[]);
    assert_eq!(all.status, 0);
    assert!(all.out.contains("VendorAudit: "), "{}", all.out);
    let one = show(&["VendorAudit"]).out;
    for words in [
        "taken by callers of other accounts",
        "1 ExternalId, a new one on one day in",
        "444455556666 sha256:e1d92476: ",
        "85 calls on 22 days",
    ] {
        assert!(one.contains(words), "{words}: {one}");
    }
    let none = show(&["NoSuchRole"]);
    assert_eq!(none.status, 2);
    assert!(none.err.contains("knows no role `NoSuchRole`"), "{}", none.err);
}

#[test]
fn learning_time_teaches_and_raises_nothing() {
    let events = fixture("missing-mfa/events.jsonl");
    let until = |time: &str| run(["replay", "--learn-until", time, events.to_str().unwrap()]);
    assert!(until("2026-03-13T02:47:00Z").out.contains("missing_mfa"));
    let all = until("2026-03-14T00:00:00Z");
    assert!(all.out.is_empty(), "{}", all.out);
}
