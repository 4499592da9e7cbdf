//! `rolewatch.toml`: what is said of unsound expectations, and `rolewatch config check`.

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

use rolewatch::config::{Config, FaultKind};
use rolewatch::id::ExternalId;
use support::{Run, assert_golden, fixture, run};

fn check(file: &Path) -> Run {
    run(["config".as_ref(), "check".as_ref(), file.as_os_str()])
}

/// Checks a file of these bytes, and leaves its name alone of its path in what was printed.
fn check_bytes(bytes: &[u8]) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rolewatch.toml");
    std::fs::write(&file, bytes).unwrap();
    let mut checked = check(&file);
    let path = file.display().to_string();
    checked.out = checked.out.replace(&path, "rolewatch.toml");
    checked.err = checked.err.replace(&path, "rolewatch.toml");
    checked
}

/// The broken configurations of `fixtures/config/broken.txt`: name, text, faults.
fn broken() -> Vec<(String, String)> {
    let all = std::fs::read_to_string(fixture("config/broken.txt")).unwrap();
    let cases = all.strip_prefix("=== ").unwrap().split("\n=== ");
    cases
        .map(|case| {
            let (name, rest) = case.split_once('\n').unwrap();
            let (toml, _) = rest.split_once("---").unwrap();
            (name.to_owned(), toml.to_owned())
        })
        .collect()
}

#[test]
fn every_fault_is_told_with_its_line() {
    let mut golden = String::new();
    let cases = broken();
    assert!(cases.len() >= 40, "{}", cases.len());
    for (name, toml) in cases {
        let parsed = Config::parse(&toml);
        let errors = parsed.faults.iter().filter(|it| it.kind == FaultKind::Error).count();
        assert_eq!(parsed.config.is_some(), errors == 0, "{name}");
        assert!(!parsed.faults.is_empty(), "{name}");
        golden.push_str(&format!("=== {name}\n{toml}---\n"));
        for fault in &parsed.faults {
            assert!((1..=toml.lines().count()).contains(&fault.line), "{name}: {fault}");
            assert!(!fault.message.ends_with('.'), "{name}: {fault}");
            assert!(!fault.message.contains(rolewatch::text::is_hostile), "{name}: {fault}");
            golden.push_str(&format!("{fault}\n"));
        }
    }
    assert_golden(&fixture("config/broken.txt"), &golden);
}

#[test]
fn the_documented_example_is_sound() {
    let toml = std::fs::read_to_string(fixture("config/sound.toml")).unwrap();
    let parsed = Config::parse(&toml);
    assert_eq!(parsed.faults, []);
    let config = parsed.config.unwrap();
    assert_eq!((config.roles(), config.exemptions()), (1, 1));
    let role = "arn:aws:iam::111122223333:role/admin/OrgAdmin".parse().unwrap();
    let expected = config.expected(&role);
    assert_eq!(expected.principals.unwrap().len(), 5);
    assert_eq!(expected.external_ids, Some(&[ExternalId::hash("hunter2")][..]));
}

#[test]
fn every_rule_can_be_exempt() {
    for rule in rolewatch::rules::RULES {
        assert!(rolewatch::config::RULE_IDS.contains(&rule.id), "{}", rule.id);
    }
}

#[test]
fn a_document_of_any_bytes_is_answered() {
    for toml in ["", "\n\n", "\0", "\u{feff}", "=", "[", "'''", "[[role]]\n\u{85}", "#"] {
        let parsed = Config::parse(toml);
        assert_eq!(parsed.config.is_none(), !parsed.faults.is_empty(), "{toml:?}");
    }
    let many = "[[role]]\nmatch = 'arn:aws:iam::*:role/*'\nmfa = 'requird'\n".repeat(2_000);
    assert!(Config::parse(&many).faults.len() >= 2_000);
}

#[test]
fn an_external_id_in_clear_is_never_printed() {
    const SECRET: &str = "hunter2-hunter2";
    for line in [
        "external_ids = ['SECRET']",
        "external_ids = ['SECRET', 'SECRET']",
        "external_ids = ['SECRET', 7]",
        "external_ids = [['SECRET']]",
        "external_ids = [{ SECRET = 1 }]",
        "external_ids = { value = 'SECRET' }",
        "external_ids = 'SECRET'",
        "external_ids = 'SECRET",
        "external_ids = ['SECRET",
        "external_ids = ['SECRET'\n[tuning]",
        "external_ids = [\n\"SECRET\\q\"\n]",
        "external_ids = [\n'SECRET\n]",
        "external_ids = [SECRET]",
        "external_ids = SECRET",
        "external_ids SECRET",
        "external_ids = ['SECRET with a blank']",
        "external_ids = ['sha256:SECRET']",
        "external_id = ['SECRET']",
        "external_ids = ['SECRET']\nexternal_ids = ['SECRET']",
    ] {
        let toml = format!("[[role]]\nmatch = '*'\n{line}\n").replace("SECRET", SECRET);
        let parsed = Config::parse(&toml);
        let faults: String = parsed.faults.iter().map(ToString::to_string).collect();
        let checked = check_bytes(toml.as_bytes());
        let printed = format!("{parsed:?} {faults} {} {}", checked.out, checked.err);
        assert!(!printed.contains("hunter2"), "{line}: {printed}");
    }
}

#[test]
fn a_sound_file_is_one_line() {
    let file = fixture("config/sound.toml");
    let toml = std::fs::read_to_string(&file).unwrap().replace("2027-01-31", "9999-12-31");
    let checked = check_bytes(toml.as_bytes());
    assert_eq!(checked.out, "rolewatch.toml: 1 role, 1 exemption, no faults\n");
    assert_eq!((checked.err.as_str(), checked.status), ("", 0));
    assert_eq!(check_bytes(b"").out, "rolewatch.toml: 0 roles, 0 exemptions, no faults\n");
}

#[test]
fn warnings_are_printed_and_let_a_file_pass() {
    let toml = "[[role]]\nmatch = '*'\n[[exempt]]\nrules = ['missing_mfa']\nrole = '*/ci'\n\
                until = 2020-01-31\nreason = 'ticket 4711'\n[[role]]\nmatch = '*'\nmfa = 'required'\n";
    let checked = check_bytes(toml.as_bytes());
    assert_eq!(checked.status, 0, "{}", checked.err);
    assert_eq!(checked.out, "rolewatch.toml: 2 roles, 1 exemption, 2 warnings\n");
    let lines: Vec<&str> = checked.err.lines().collect();
    assert_eq!(lines.len(), 2, "{}", checked.err);
    assert!(lines[0].starts_with("rolewatch.toml: line 1: warning: this `[[role]]` expects"));
    assert_eq!(
        lines[1],
        "rolewatch.toml: line 6: warning: this exemption ended on 2020-01-31 (ticket 4711): set a \
         later `until`, or take it out"
    );
}

#[test]
fn errors_are_printed_all_and_counted() {
    let checked = check_bytes(b"[[role]]\nmatch = '*'\nmfa = 'on'\nnetworks = ['x', 'y']\n[x]\n");
    assert_eq!((checked.out.as_str(), checked.status), ("", 2));
    assert_eq!(checked.err.lines().count(), 5, "{}", checked.err);
    assert!(checked.err.ends_with("rolewatch.toml: 4 errors\n"), "{}", checked.err);
}

#[test]
fn what_cannot_be_read_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    for file in [folder.path().to_owned(), folder.path().join("no\u{1b}[2J.toml")] {
        let checked = check(&file);
        assert_eq!(checked.status, 2, "{}", checked.err);
        assert!(checked.err.contains("cannot be read: "), "{}", checked.err);
        assert!(!checked.err.contains('\u{1b}'), "{:?}", checked.err);
    }
    let checked = check_bytes(b"[[role]]\nmatch = '\xff'\n");
    assert_eq!(checked.status, 2);
    assert_eq!(checked.err, "rolewatch: rolewatch.toml: line 2: error: this is not UTF-8 text\n");
    assert_eq!(run(["config", "check"]).status, 2);
    assert_eq!(run(["config"]).status, 2);
}

#[test]
fn damage_is_always_answered() {
    let sound = std::fs::read_to_string(fixture("config/sound.toml")).unwrap();
    let broken = std::fs::read_to_string(fixture("config/broken.txt")).unwrap();
    let pieces =
        ["'", "\"", "\"\"\"", "[", "]", "{", "}", "=", "\n", "\r", ".", "\\", "\0", "é", "#"];
    let mut random = fastrand::Rng::with_seed(4_711);
    for _ in 0..2_000 {
        let source = if random.bool() { &sound } else { &broken };
        let mut toml: Vec<char> =
            source.chars().skip(random.usize(..source.len() / 2)).take(1_200).collect();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..=toml.len());
            match random.u8(..3) {
                0 => drop(toml.drain(at.saturating_sub(random.usize(..20))..at)),
                1 => drop(toml.splice(at..at, random.choice(pieces).unwrap().chars())),
                _ => {
                    let from = random.usize(..=at);
                    let copy = toml[from..at.min(from + 60)].to_vec();
                    drop(toml.splice(at..at, copy));
                }
            }
        }
        let toml: String = toml.into_iter().collect();
        let parsed = Config::parse(&toml);
        let usable = parsed.faults.iter().all(|it| it.kind == FaultKind::Warning);
        assert_eq!(parsed.config.is_some(), usable, "{toml}");
        let lines = 1 + toml.matches('\n').count();
        assert!(parsed.faults.iter().all(|it| (1..=lines).contains(&it.line)), "{toml}");
        assert!(!usable || toml::de::DeTable::parse(&toml).is_ok(), "{toml}");
    }
}
