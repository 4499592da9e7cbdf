//! The README shows what the tool prints, and a configuration that it takes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly"
)]

mod support;

use rolewatch::config::Config;
use rolewatch::rules::RULES;
use support::{fixture, run};

fn readme() -> String {
    std::fs::read_to_string(fixture("../README.md")).unwrap()
}

/// The first block that begins with `fence`, without its fences.
fn block<'a>(readme: &'a str, fence: &str) -> &'a str {
    let (_, rest) = readme.split_once(fence).unwrap();
    rest.split_once("\n```").unwrap().0
}

#[test]
fn the_transcript_is_what_is_printed() {
    let readme = readme();
    let shown = block(&readme, "$ cargo run --release -- replay fixtures/missing-mfa\n");
    let replayed = run(["replay", fixture("missing-mfa").to_str().unwrap()]);
    let printed = replayed.out + &replayed.err;
    // The last line ends in how long it took.
    let without_time = |text: &str| text.trim_end().rsplit_once("; ").unwrap().0.to_owned();
    assert_eq!(without_time(shown), without_time(&printed));
}

#[test]
fn the_beginning_of_the_explanation_is_what_is_printed() {
    let readme = readme();
    let shown = block(&readme, "$ cargo run --release -- explain ");
    let (args, shown) = shown.split_once('\n').unwrap();
    let args = args.split(' ').map(|it| it.replace("fixtures", fixture("").to_str().unwrap()));
    let explained = run(std::iter::once("explain".to_owned()).chain(args));
    let shown = shown.strip_suffix('…').unwrap();
    assert!(explained.out.starts_with(shown), "{}", explained.out);
}

#[test]
fn the_configuration_is_valid_and_its_tuning_is_the_default() {
    let readme = readme();
    let parsed = Config::parse(block(&readme, "```toml\n"));
    assert_eq!(parsed.faults, []);
    assert_eq!(parsed.config.unwrap().tuning(), Config::default().tuning());
}

#[test]
fn every_rule_is_in_the_table() {
    let readme = readme();
    for rule in RULES {
        assert!(readme.contains(&format!("| `{}` |", rule.id)), "{}", rule.id);
    }
}

#[test]
fn the_figures_of_the_month_are_right() {
    let (folder, config) = (fixture("month"), fixture("month/rolewatch.toml"));
    let replayed = run(["replay", "--config", config.to_str().unwrap(), folder.to_str().unwrap()]);
    assert!(replayed.err.contains("27504 records = "), "{}", replayed.err);
    assert!(replayed.err.contains("13 alerts (8 high, 4 medium, 1 low)"), "{}", replayed.err);
}
