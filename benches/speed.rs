//! How fast rolewatch is, beside what inflating the same bytes takes.
//!
//! `cargo bench --bench speed` prints the table of the README. Each figure is a ratio of two
//! measurements of one process, taken in turns, as processor time: so a busy machine moves both.
//! Nothing is timed before the results were compared with a plain reading of all records.
//!
//! With arguments it measures one thing more: `-- roles 100000` the cost and the memory of that
//! many roles, `-- baselines 100000` what the baselines of so many weigh alone, `-- instructions`
//! the two ratios, and what judging a call takes, under valgrind, `-- memory` the peaks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::indexing_slicing,
    reason = "a measurement may fail loudly"
)]

mod support {
    pub mod corpus;
    pub mod measure;
    pub mod work;
}

use std::path::Path;
use std::sync::Arc;

use rolewatch::baseline::{Dimension, RoleBaseline};
use rolewatch::event::CallerClass;
use rolewatch::id::UniqueId;
use support::corpus::{Corpus, file, subscription as subscription_of};
use support::measure::{Ratio, in_turns, instructions, peak_of, resident};
use support::work::{BATCH, Judge, Logs, inflater, oracle, replay, stream};

/// Logs as they lie in a trail's bucket: so many files of so many records.
const FILES: (usize, usize) = (160, 500);

/// The roles of the organisation that the logs are from.
const ROLES: usize = 1_000;

/// As in the command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => table(),
        ["roles", counts @ ..] => counts.iter().for_each(|it| roles(it.parse().expect("a number"))),
        ["baselines", count] => baselines(count.parse().expect("a number")),
        ["instructions"] => count_instructions(),
        ["memory"] => memory(),
        ["once", what, folder, passes] => once(what, Path::new(folder), passes.parse().unwrap()),
        other => panic!("not an argument: {other:?}"),
    }
}

fn files(records: (usize, usize)) -> Logs {
    let mut corpus = Corpus::seeded(1, ROLES);
    Logs::written((0..records.0).map(|_| corpus.file(records.1)))
}

fn subscription() -> Logs {
    let mut corpus = Corpus::seeded(2, ROLES);
    Logs::written((0..FILES.0).map(|_| corpus.subscription(FILES.1)))
}

/// A feed that lets nothing through but calls for roles.
fn filtered() -> Logs {
    let mut corpus = Corpus::seeded(3, ROLES);
    Logs::written((0..40).map(|_| {
        let records: Vec<String> = (0..250).map(|_| corpus.assumption()).collect();
        subscription_of(&records)
    }))
}

fn table() {
    let (files, stream_logs, filtered) = (files(FILES), subscription(), filtered());
    for logs in [&files, &stream_logs, &filtered] {
        oracle(logs);
    }
    println!("{}", files.describe("files"));
    println!("{}", stream_logs.describe("stream"));
    let show = |what: &str, it: &Ratio| println!("| {what} | {it} |");
    println!("| figure | median (range) |\n| --- | --- |");
    let mut raw = inflater();
    show("files: decoded / inflated", &in_turns(|| raw(&files), || stream(&files, Judge::No)));
    show("files: replayed / inflated", &in_turns(|| raw(&files), || replay(&files)));
    let decoded = in_turns(|| raw(&stream_logs), || stream(&stream_logs, Judge::No));
    show("stream: decoded / inflated", &decoded);
    let judged = in_turns(|| raw(&stream_logs), || stream(&stream_logs, Judge::Yes));
    show("stream: judged / inflated", &judged);
    let ours = in_turns(|| raw(&filtered), || stream(&filtered, Judge::No));
    println!("| filtered feed: read, per event | {} |", ours.each(filtered.records));
    let ours = in_turns(|| raw(&filtered), || stream(&filtered, Judge::Yes));
    println!("| filtered feed: judged, per event | {} |", ours.each(filtered.records));
}

/// What it costs to judge one call when so many roles are known, and what they weigh.
fn roles(count: usize) {
    let mut corpus = Corpus::seeded(4, count);
    let mut judge = support::work::Judging::default();
    let before = resident();
    // Three callers and eight networks are drawn for each role.
    for _ in 0..8 {
        for role in (0..count).collect::<Vec<_>>().chunks(BATCH) {
            judge.batch(role.iter().map(|role| corpus.assumption_of(*role)));
        }
    }
    let weight = resident().saturating_sub(before) / count as u64;
    judge.nanoseconds = Some(0.0);
    for _ in 0..80 {
        judge.batch((0..BATCH).map(|_| corpus.assumption()));
    }
    let each = judge.nanoseconds.unwrap_or_default() / 20_000.0 / 1_000.0;
    println!("| {count} roles | {each:.1} µs per assumption, {weight} bytes per role |");
}

/// What the baseline of a role weighs by itself that three principals of one account take from
/// eight networks, under names of two shapes: of these values alone, and of all that such calls
/// teach.
fn baselines(count: usize) {
    // What is freed would be used by the next ones.
    let mut kept: Vec<Vec<Arc<RoleBaseline>>> = Vec::new();
    for all in [false, true] {
        let before = resident();
        kept.push((0..count).map(|role| Arc::new(baseline(role, all))).collect());
        let weight = resident().saturating_sub(before) / count as u64;
        let what = if all { "all that its calls teach" } else { "these values alone" };
        println!("| {count} baselines, {what} | {weight} bytes each |");
    }
}

fn baseline(role: usize, all: bool) -> RoleBaseline {
    let id: UniqueId = format!("AROAEXAMPLE{role:010}").parse().expect("an id");
    let mut baseline = RoleBaseline::default();
    for call in 0..24_usize {
        let principal = format!("111122223333:AIDAEXAMPLE{role:07}{}", call % 3);
        let mut values = vec![
            (Dimension::Principal, principal.into()),
            (Dimension::Account, "111122223333".into()),
            (Dimension::Network, format!("198.51.{}.0/24", role % 200 + call % 8).into()),
            (Dimension::SessionName, ["i-<n>", "botocore-session-<n>"][call % 2].into()),
        ];
        if all {
            values.extend([
                (Dimension::NetworkBlock, "198.51.0.0/16".into()),
                (Dimension::Mfa, "absent".into()),
                (Dimension::Depth, "1".into()),
                (Dimension::Kind, "person".into()),
                (Dimension::UserAgent, ["aws-cli", "boto3"][call % 2].into()),
            ]);
        }
        let day = jiff::SignedDuration::from_hours(24 * call as i64);
        let time = jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(500_000) + day;
        // As a batch does: what it changes is a copy, and the older one goes.
        let before = baseline.clone();
        baseline.learn(Some(&id), CallerClass::Person, &values, time);
        drop(before);
    }
    baseline
}

/// Instructions are the same on a busy machine. What is counted is the second of two passes.
fn count_instructions() {
    type Envelope = fn(&[String]) -> String;
    let ways: [(&str, Envelope, &str); 2] =
        [("files", file, "replay"), ("stream", subscription_of, "judge")];
    for (name, envelope, judged) in ways {
        let logs = |inputs: usize, record: fn(&mut Corpus) -> String| {
            let mut corpus = Corpus::seeded(2, ROLES);
            let mut records = || (0..500).map(|_| record(&mut corpus)).collect::<Vec<_>>();
            Logs::written((0..inputs).map(|_| envelope(&records())))
        };
        // So many that what a replay takes to begin and to end is little beside them.
        let mixed = logs(80, Corpus::record);
        let folder = mixed.save();
        let raw = counted("inflate", folder.path());
        for what in ["decode", judged] {
            let ratio = counted(what, folder.path()) / raw;
            println!("| {name}: {what} / inflate, instructions | {ratio:.2} |");
        }
        for (what, logs) in [
            ("of others passed over", logs(8, Corpus::everyday)),
            ("of ours read", logs(8, Corpus::assumption)),
        ] {
            let folder = logs.save();
            let beside = counted("decode", folder.path()) - counted("inflate", folder.path());
            let each = beside / logs.records as f64;
            println!("| {name}: a record {what}, instructions | {each:.0} |");
        }
    }
    // What is like all before it raises nothing and teaches little; what is new does both.
    for (what, name) in
        [("unknown", "of whom nothing is known"), ("known", "all of whom are known")]
    {
        let of = |passes| instructions(what, Path::new("."), passes);
        let each = (of(2) - of(1)) / MEASURED as f64;
        println!("| judged: a call by callers {name}, instructions | {each:.0} |");
    }
}

/// Of two passes over logs what the second one takes.
fn counted(what: &str, folder: &Path) -> f64 {
    instructions(what, folder, 2) - instructions(what, folder, 1)
}

/// Calls that are judged before the measured ones, for each role; and the measured ones.
const KNOWN: usize = 300;
const MEASURED: usize = 2_000;

/// Judges calls for a few roles, and in a second pass those that are measured. All are read in
/// either case, so that the difference of both is what judging the last ones takes.
fn among(known: bool, passes: usize) {
    const ROLES: usize = 50;
    let mut corpus = Corpus::seeded(5, ROLES);
    let mut judge = support::work::Judging::default();
    let mut read = |count: usize| support::work::read((0..count).map(|_| corpus.assumption()));
    let (before, measured) = (read(ROLES * KNOWN), read(MEASURED));
    for events in before.chunks(BATCH).filter(|_| known) {
        judge.judge(events.to_vec());
    }
    for events in measured.chunks(BATCH).filter(|_| passes > 1) {
        judge.judge(events.to_vec());
    }
}

fn memory() {
    let logs = files((2_000, 500));
    let folder = logs.save();
    drop(logs);
    println!("| replay of 1,000,000 records | {} MiB |", peak_of("replay", folder.path()) >> 20);
}

/// One thing done so often, for whoever measures from outside.
fn once(what: &str, folder: &Path, passes: usize) {
    if matches!(what, "known" | "unknown") {
        return among(what == "known", passes);
    }
    let logs = if what == "replay" { Logs::named(folder) } else { Logs::loaded(folder) };
    let mut raw = inflater();
    for _ in 0..passes {
        match what {
            "inflate" => raw(&logs),
            "decode" => drop(stream(&logs, Judge::No)),
            "judge" => drop(stream(&logs, Judge::Yes)),
            _ => drop(replay(&logs)),
        }
    }
}
