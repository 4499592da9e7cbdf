//! The whole table held to account. What each rule says about real stories is in `fixtures/`.

pub(super) mod scene;

use super::*;

#[test]
fn rules_are_sorted_named_and_documented() {
    assert!(RULES.is_sorted_by_key(|rule| rule.id), "rules stand in the order of their ids");
    for rule in RULES {
        let id = rule.id;
        assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{id}");
        assert!(rule.severities.is_sorted() && !rule.severities.is_empty(), "{id}");
        assert!(!rule.mitre.is_empty(), "{id} names no technique");
        for technique in rule.mitre {
            let number = technique.strip_prefix('T').unwrap_or_default().replacen('.', "", 1);
            assert!(number.len() >= 4 && number.bytes().all(|b| b.is_ascii_digit()), "{technique}");
        }
        for text in [rule.title, rule.sees, rule.why, rule.harmless, rule.first] {
            assert!(text.len() > 10 && !text.contains("  "), "{id}: {text}");
        }
        for text in [rule.sees, rule.why, rule.harmless, rule.first] {
            assert!(text.ends_with('.'), "{id}: {text}");
        }
    }
}

#[test]
fn every_rule_file_is_registered_and_named_for_its_rule() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rules");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| name != "tests")
        .collect();
    files.sort();
    let ids: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(files, ids);
}

#[test]
fn every_rule_has_tests_beside_it_of_what_fires_and_what_does_not() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rules");
    for rule in RULES {
        let code = std::fs::read_to_string(folder.join(format!("{}.rs", rule.id))).unwrap();
        let tests = code.split("mod tests").nth(1).unwrap_or_default();
        assert!(tests.contains("fn fires_") && tests.contains("silent_"), "{}", rule.id);
    }
}
