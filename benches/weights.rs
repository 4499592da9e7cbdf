//! What the baselines of roles weigh in memory: `cargo bench --bench weights`.
//!
//! A hundred thousand roles learn six weeks of calls, most of them the same few again and again as
//! workloads make them, some those of teams and of pipelines, and a few those of everybody. Beside
//! them stands one role to which somebody shows something new with every call.
//!
//! Counted are the bytes that are held on the heap for a role once it has learned.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement may fail loudly"
)]

use allocation_counter::measure;
use jiff::{SignedDuration, Timestamp};
use rolewatch::baseline::{Dimension, FoldKey, Repeat, RoleBaseline, Value};
use rolewatch::event::CallerClass;
use rolewatch::severity::Severity;

const ROLES: usize = 100_000;
const DAYS: u32 = 42;

fn main() {
    let mut chance = fastrand::Rng::with_seed(1);
    let mut weights: Vec<i64> =
        (0..ROLES).map(|role| weight(|| Habits::drawn(&mut chance).learned(role))).collect();
    weights.sort_unstable();
    let at = |share: f64| weights[((ROLES - 1) as f64 * share) as usize];
    println!("| bytes of a role's baseline, of {ROLES} roles | |\n| --- | --- |");
    for (name, share) in [("median", 0.5), ("90 %", 0.9), ("99 %", 0.99), ("largest", 1.0)] {
        println!("| {name} | {} |", at(share));
    }
    println!("| one that an attacker floods | {} |", weight(flooded));
}

/// Bytes that are held for what `learned` gives.
fn weight(learned: impl FnOnce() -> RoleBaseline) -> i64 {
    let mut kept = None;
    let held = measure(|| kept = Some(Box::new(learned())));
    drop(kept);
    held.bytes_current
}

/// How a role is used.
struct Habits {
    class: CallerClass,
    kind: &'static str,
    principals: usize,
    /// Networks of each principal; many for one that comes from another one every time.
    networks: usize,
    names: usize,
    calls_a_day: u32,
}

impl Habits {
    fn drawn(chance: &mut fastrand::Rng) -> Self {
        let (class, kind, principals, networks, names, calls_a_day) = match chance.u32(..100) {
            0..70 => (CallerClass::Workload, "machine", 1, 1..4, 1..3, 1..4),
            70..90 => (CallerClass::Person, "person", chance.usize(2..15), 1..4, 1..3, 1..10),
            90..98 => (CallerClass::Workload, "token", 1, 50..400, 1..4, 1..20),
            _ => (CallerClass::Person, "person", chance.usize(20..200), 2..8, 2..8, 10..60),
        };
        let (networks, names) = (chance.usize(networks), chance.usize(names));
        Self { class, kind, principals, networks, names, calls_a_day: chance.u32(calls_a_day) }
    }

    fn learned(&self, role: usize) -> RoleBaseline {
        let mut chance = fastrand::Rng::with_seed(role as u64);
        let id = format!("AROAEXAMPLE{role:010}").parse().expect("an id");
        let mut baseline = RoleBaseline::default();
        for call in 0..DAYS * self.calls_a_day {
            let principal = chance.usize(..self.principals);
            let network = principal * self.networks + chance.usize(..self.networks);
            let name = chance.usize(..self.names);
            let values = [
                (Dimension::Principal, format!("AIDAEXAMPLE{role:07}{principal:03}")),
                (Dimension::Account, "111122223333".to_owned()),
                (Dimension::Network, format!("198.{}.{}.0/24", network / 200, network % 200)),
                (Dimension::NetworkBlock, format!("198.{}.0.0/16", network / 200)),
                (Dimension::SessionName, format!("botocore-session-<{name}>")),
                (Dimension::UserAgent, format!("aws-sdk-{name}")),
                (Dimension::Mfa, "absent".to_owned()),
                (Dimension::Depth, "1".to_owned()),
                (Dimension::Kind, self.kind.to_owned()),
            ];
            let values = values.map(|(dimension, value)| (dimension, value.into()));
            let hour = SignedDuration::from_hours(24) / self.calls_a_day as i32;
            baseline.learn(Some(&id), self.class, &values, start() + hour * call as i32);
        }
        baseline
    }
}

/// A role of which every call, of callers of every class, shows something new of everything, and
/// raises an alert of a kind of its own.
fn flooded() -> RoleBaseline {
    let mut baseline = RoleBaseline::default();
    let classes = [
        CallerClass::Service,
        CallerClass::Person,
        CallerClass::Workload,
        CallerClass::ExternalAccount,
    ];
    for call in 0..10_000_u32 {
        let time = start() + SignedDuration::from_mins(i64::from(call));
        let long = |it: Dimension| (it, format!("{:064}{call:064}", it as u32).into());
        let values: Vec<Value> = Dimension::ALL.into_iter().map(long).collect();
        for class in classes {
            baseline.learn(None, class, &values, time);
        }
        let key = FoldKey::of(["invented", &call.to_string()]);
        let sent = Repeat::Send { repeats: 0, event_ids: Vec::new() };
        baseline.folds.record(&key, Severity::High, time, None, &sent);
    }
    baseline
}

fn start() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("a time")
}
