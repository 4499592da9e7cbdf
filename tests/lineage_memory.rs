//! A million live sessions: what they weigh, and what a lookup among them costs. Alone in its
//! file, so that nothing else is measured.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use rolewatch::cloudtrail;
use rolewatch::event::{Assumption, Event};
use rolewatch::lineage::{CallId, Link, MOST_LINKS, Session, trace};
use rolewatch::memory::{Bounds, WorkingSet};
use rolewatch::pipeline::Remember;
use rolewatch::state::{Change, Lost, State, TraceBounds};
use rolewatch::text::Text;
use serde_json::json;

/// A session of alice, or one that a session of hers asks for.
fn call(n: u32, parent: Option<u32>) -> Assumption {
    let time = |n: u32| {
        jiff::Timestamp::from_second(1_770_000_000 + i64::from(n % 3_000)).unwrap().to_string()
    };
    let identity = match parent {
        None => json!({"type": "IAMUser", "principalId": "AIDAEXAMPLEALICE", "userName": "alice",
            "arn": "arn:aws:iam::111122223333:user/alice", "accountId": "111122223333",
            "accessKeyId": "AKIAEXAMPLEALICE"}),
        Some(parent) => json!({"type": "AssumedRole", "accountId": "111122223333",
            "principalId": format!("AROAEXAMPLEDEV:alice-{parent}"),
            "accessKeyId": format!("ASIAEXAMPLE{parent}"),
            "sessionContext": {"attributes": {"creationDate": time(parent)}}}),
    };
    let record = json!({
        "eventSource": "sts.amazonaws.com", "eventName": "AssumeRole",
        "eventTime": time(n), "eventID": format!("0b7c1d3e-0000-4000-8000-{n:012}"),
        "recipientAccountId": "111122223333", "sourceIPAddress": "198.51.100.7",
        "userIdentity": identity,
        "requestParameters": {"roleArn": "arn:aws:iam::111122223333:role/team/Developers",
            "roleSessionName": format!("alice-{n}")},
        "responseElements": {
            "credentials": {"accessKeyId": format!("ASIAEXAMPLE{n}")},
            "assumedRoleUser": {"assumedRoleId": format!("AROAEXAMPLEDEV:alice-{n}")}},
    });
    match cloudtrail::read(&record).unwrap().expect("ours") {
        Event::Assumption(it) => Arc::unwrap_or_clone(it),
        other => panic!("{other:?}"),
    }
}

fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

fn session(state: &State<'_>, n: u32) -> (CallId, Session) {
    let it = call(n, None);
    let lineage = Arc::new(trace(state, &it).unwrap().lineage);
    (CallId::of_assumption(&it), Session::issued(&it, &lineage).unwrap())
}

fn open(memory: &mut WorkingSet, numbers: std::ops::Range<u32>, shape: fn(&mut Session)) {
    let mut state = State::over(memory);
    for n in numbers {
        let (id, mut session) = session(&state, n);
        shape(&mut session);
        state.apply(&[Change::Issued(id, Arc::new(session))]);
    }
    let overlay = state.into_overlay();
    memory.commit(overlay);
}

fn as_it_is(_: &mut Session) {}

/// A path of 400 characters, and an address to match.
fn long_texts(session: &mut Session) {
    let lineage = Arc::make_mut(&mut session.lineage);
    let link = Arc::make_mut(lineage.links.last_mut().unwrap());
    let arn = format!("arn:aws:iam::111122223333:role/{}/Developers", "team-".repeat(80));
    link.role = Some(arn.parse().unwrap());
    link.principal = Some(Text::clip(&"somebody ".repeat(40)));
}

/// The end of a chain whose other sessions are over, so that nobody shares its links.
fn at_the_end_of_a_chain(session: &mut Session) {
    let own = Arc::clone(session.lineage.links.last().unwrap());
    let alone = || Arc::new(Link::clone(&own));
    Arc::make_mut(&mut session.lineage).links =
        std::iter::repeat_with(alone).take(MOST_LINKS).collect();
}

/// The time of one lookup, of the fastest of some rounds.
fn lookup(memory: &WorkingSet, of: u32) -> Duration {
    let state = State::over(memory);
    let calls: Vec<Assumption> =
        (0..1_000).map(|n| call(5_000_000 + n * 3_000 + 2_999, Some(n * (of / 1_000)))).collect();
    let round = || {
        // What is made of a call once is not in a copy of it.
        let calls = calls.clone();
        let started = Instant::now();
        for it in &calls {
            assert!(trace(&state, it).unwrap().lineage.complete);
        }
        started.elapsed() / 1_000
    };
    (0..5).map(|_| round()).min().unwrap()
}

fn memory(bytes: usize) -> WorkingSet {
    let traces = TraceBounds { sessions: bytes, waiting: 1_000 };
    WorkingSet::bounded(Bounds { traces, ..Bounds::default() })
}

#[test]
fn a_million_sessions_stay_within_their_bound_and_are_found_as_fast_as_a_few() {
    type Shape = (&'static str, fn(&mut Session));
    // What a measured memory leaves behind would be used by the next one.
    let mut kept = Vec::new();
    let shapes: [Shape; 3] = [
        ("short", as_it_is),
        ("of long texts", long_texts),
        ("at the end of a chain", at_the_end_of_a_chain),
    ];
    for (name, shape) in shapes {
        const BOUND: usize = 64 << 20;
        let (mut memory, before) = (memory(BOUND), resident());
        for block in 0..100 {
            open(&mut memory, block * 1_000..(block + 1) * 1_000, shape);
        }
        let (bytes, live) = (resident() - before, memory.parts().sessions.len());
        println!("{live} sessions {name}: {} bytes each, {bytes} of {BOUND}", bytes / live);
        assert!(memory.lost().sessions > 0, "{name}: the bound was reached");
        assert!(bytes < BOUND, "{name}: {bytes} of {BOUND}");
        assert!(bytes > BOUND / 3, "{name}: no room is wasted, {bytes} of {BOUND}");
        kept.push(memory);
    }
    let mut memory = WorkingSet::default();
    let before = resident();
    open(&mut memory, 0..10_000, as_it_is);
    let few = lookup(&memory, 10_000);
    for block in 1..100 {
        open(&mut memory, block * 10_000..(block + 1) * 10_000, as_it_is);
    }
    let bytes = resident() - before;
    let many = lookup(&memory, 1_000_000);
    println!(
        "1,000,000 sessions: {bytes} bytes; a lookup among 10,000 {few:?}, among all {many:?}"
    );
    assert_eq!(memory.lost(), Lost::default(), "a million find room");
    assert!(bytes < Bounds::default().traces.sessions, "{bytes} bytes");
    // Some more for memory that is not in the cache; a search would cost a hundred times.
    assert!(many < few * 8, "{few:?} {many:?}");
}
