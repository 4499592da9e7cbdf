//! How much of the attacks on an organisation is found, and how quietly: what `evaluate` measures,
//! held on a few organisations so that a change which costs much of either is noticed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

#[path = "../fixtures/generate"]
#[allow(dead_code, unused_imports, reason = "other parts of the generator use the rest")]
mod generate {
    pub mod identity;
    pub mod json;
    pub mod mint;
    pub mod moment;
    pub mod organisation;
    pub mod record;
    pub mod trail;
}

#[path = "../fixtures/evaluate"]
#[allow(dead_code, reason = "the rest is for the tables")]
mod evaluate {
    pub mod detectors;
    pub mod score;
}

use evaluate::detectors::Rolewatch;
use evaluate::score::{Judged, Score};
use generate::organisation::organisation;
use rolewatch::config::Config;
use rolewatch::severity::Severity;

/// Organisations on which the weights were chosen. What is reported comes from others.
const SEEDS: std::ops::Range<u64> = 1..3;

/// Two organisations differ by more than what separates the promise from these bounds.
#[test]
fn attacks_are_found_and_the_rest_is_quiet() {
    let mut score = Score::default();
    for seed in SEEDS {
        let organisation = organisation(seed);
        let events = Judged::events(&organisation);
        let alerts = Rolewatch::with(&Config::default()).judge(&events);
        score.add(&organisation, &events, &alerts);
    }
    let all = score.pooled();
    let share = |part: u32| f64::from(part) / f64::from(all.attacks);
    assert!(all.attacks >= 60, "{all:?}");
    assert!(share(all.medium) >= 0.93, "{all:?}");
    assert!(share(all.high) >= 0.45, "{all:?}");
    assert!(score.false_rate(Severity::Medium) <= 0.75, "{:?}", score.noise);
    assert!(score.false_alerts(Severity::High) <= 1, "{:?}", score.noise);
}
