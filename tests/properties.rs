//! What holds whatever the input: batches and halves change nothing, and nobody can make the
//! memory grow without bound.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly"
)]

mod support;

use std::convert::Infallible;

use rolewatch::alert::{Alert, to_line};
use rolewatch::cloudtrail;
use rolewatch::config::Config;
use rolewatch::event::Event;
use rolewatch::memory::{Bounds, WorkingSet};
use rolewatch::pipeline::{Alerts, Watch, run_batch};
use rolewatch::report::Report;
use rolewatch::state::Memory;
use serde_json::json;
use support::{fixture, stories};

/// Takes alerts, and refuses them from a given one on.
#[derive(Default)]
struct Collected {
    lines: Vec<String>,
    refuse_after: Option<usize>,
}

impl Alerts for Collected {
    type Error = &'static str;

    fn publish(&mut self, alert: &Alert) -> Result<(), &'static str> {
        if self.refuse_after.is_some_and(|limit| self.lines.len() >= limit) {
            return Err("refused");
        }
        self.lines.push(to_line(alert));
        Ok(())
    }
}

fn events(path: &str) -> Vec<Event> {
    support::events_of(fixture(path))
}

fn run(memory: &mut WorkingSet, batches: &[&[Event]], to: &mut Collected, report: &mut Report) {
    let config = Config::default();
    let watch = Watch { config: &config, learn_until: None };
    for batch in batches {
        run_batch(memory, watch, batch, to, report).expect("nothing refuses");
    }
}

/// The events in batches of random sizes.
fn split<'a>(events: &'a [Event], random: &mut fastrand::Rng, most: usize) -> Vec<&'a [Event]> {
    let mut batches = Vec::new();
    let mut rest = events;
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(random.usize(1..=most.min(rest.len())));
        batches.push(batch);
        rest = after;
    }
    batches
}

#[test]
fn any_split_into_batches_gives_the_same_alerts_and_the_same_baseline() {
    for (seed, story) in stories().into_iter().enumerate() {
        let path = story.join("events.jsonl");
        let events = events(path.to_str().unwrap());
        let (mut memory, mut whole) = (WorkingSet::default(), Collected::default());
        run(&mut memory, &[&events], &mut whole, &mut Report::default());
        let mut random = fastrand::Rng::with_seed(seed as u64);
        for most in [1, 3, 50] {
            let (mut other, mut parts) = (WorkingSet::default(), Collected::default());
            run(&mut other, &split(&events, &mut random, most), &mut parts, &mut Report::default());
            assert_eq!(parts.lines, whole.lines, "{}", story.display());
            assert_eq!(other.parts(), memory.parts(), "{}", story.display());
        }
    }
}

/// However often the destination refuses: what was committed is what was accepted, and in the
/// end the same alerts have gone out.
#[test]
fn refused_alerts_are_raised_again_and_none_is_lost() {
    let config = Config::default();
    let watch = Watch { config: &config, learn_until: None };
    for story in stories() {
        let events = events(story.join("events.jsonl").to_str().unwrap());
        let (mut memory, mut whole) = (WorkingSet::default(), Collected::default());
        let mut expected = Report::default();
        run(&mut memory, &[&events], &mut whole, &mut expected);
        let (mut other, mut taken) = (WorkingSet::default(), Collected::default());
        let mut report = Report::default();
        let (mut at, mut tries) = (0, 0);
        while at < events.len() {
            taken.refuse_after = (tries % 2 == 0).then_some(taken.lines.len() + tries % 3);
            tries += 1;
            match run_batch(&mut other, watch, &events[at..], &mut taken, &mut report) {
                Ok(()) => at = events.len(),
                Err((failed, "refused")) => at += failed,
                Err((_, other)) => panic!("{other}"),
            }
        }
        assert_eq!(taken.lines, whole.lines, "{}", story.display());
        assert_eq!(other.parts(), memory.parts(), "{}", story.display());
        assert_eq!(report, expected, "{}", story.display());
    }
}

/// An attacker with valid credentials invents session names, addresses, principals and roles.
fn invented(n: u64) -> Event {
    let record = json!({
        "eventSource": "sts.amazonaws.com",
        "eventName": "AssumeRole",
        "eventTime": jiff::Timestamp::from_second(1_767_225_600 + i64::try_from(n).unwrap()).unwrap().to_string(),
        "eventID": format!("event-{n}"),
        "sharedEventID": format!("shared-{n}"),
        "recipientAccountId": "111122223333",
        "sourceIPAddress": std::net::Ipv4Addr::from(0x0b00_0000 + u32::try_from(n).unwrap() * 7).to_string(),
        "userAgent": format!("agent-{n}/1"),
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": format!("AROAEXAMPLE{n}:name{n}"),
            "accountId": "111122223333",
            "arn": format!("arn:aws:sts::111122223333:assumed-role/r{n}/name{n}"),
            "sessionContext": {"sessionIssuer": {"userName": format!("r{n}"), "type": "Role"}},
        },
        "requestParameters": {
            "roleArn": format!("arn:aws:iam::111122223333:role/{}", if n.is_multiple_of(2) { "target".to_owned() } else { format!("r{n}") }),
            "roleSessionName": format!("{}-{n}", ["a", "b", "c", "d", "e"][usize::try_from(n % 5).unwrap()]),
        },
        "errorCode": if n.is_multiple_of(7) { json!("AccessDenied") } else { json!(null) },
    });
    cloudtrail::read(&record).unwrap().expect("ours")
}

struct Nowhere;

impl Alerts for Nowhere {
    type Error = Infallible;

    fn publish(&mut self, _: &Alert) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A million of each: principals, role names, addresses, session names, calls.
#[test]
fn nobody_can_make_the_memory_grow_without_bound() {
    let bounds = Bounds { weight: 50_000, recent: 10_000, names: 10_000, ..Bounds::default() };
    let mut memory = WorkingSet::bounded(bounds);
    let config = Config::default();
    let watch = Watch { config: &config, learn_until: None };
    let mut report = Report::default();
    for block in 0..1_000_u64 {
        let batch: Vec<Event> = (block * 1_000..(block + 1) * 1_000).map(invented).collect();
        let Ok(()) = run_batch(&mut memory, watch, &batch, &mut Nowhere, &mut report);
        let weight = memory.weight();
        assert!(weight.iter().all(|it| *it <= bounds.weight), "{weight:?}");
    }
    let parts = memory.parts();
    assert!(parts.recent.len() <= bounds.recent && parts.copies.len() <= bounds.recent);
    assert!(parts.people.len() <= bounds.names && parts.accounts.len() <= bounds.names);
    assert!(memory.evicted() > 100_000, "evictions are counted: {}", memory.evicted());
    let target = "arn:aws:iam::111122223333:role/target".parse().unwrap();
    assert!(memory.role(&target).is_some_and(|role| role.weight() < 2_000));
    assert_eq!(report.records(), 1_000_000);
}
