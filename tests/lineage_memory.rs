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
use rolewatch::lineage::{CallId, LATENESS, Session, trace};
use rolewatch::memory::{Bounds, WorkingSet};
use rolewatch::pipeline::Remember;
use rolewatch::state::{Change, Lost, State, TraceBounds};
use serde_json::json;

/// The bound that is promised for one session, in bytes.
const MOST_BYTES: usize = 1_536;

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
        Event::Assumption(it) => it,
        other => panic!("{other:?}"),
    }
}

fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4_096
}

fn open(memory: &mut WorkingSet, numbers: std::ops::Range<u32>) {
    let mut state = State::over(memory);
    for n in numbers {
        let it = call(n, None);
        let lineage = trace(&state, &it).unwrap();
        let session = Session::issued(&it, &lineage).unwrap();
        state.apply(vec![Change::Issued(CallId::of_call(&it.call), Arc::new(session))]);
    }
    let overlay = state.into_overlay();
    memory.commit(overlay);
}

/// The time of one lookup, of the fastest of some rounds.
fn lookup(memory: &WorkingSet, of: u32) -> Duration {
    let state = State::over(memory);
    let calls: Vec<Assumption> =
        (0..1_000).map(|n| call(5_000_000 + n * 3_000 + 2_999, Some(n * (of / 1_000)))).collect();
    let round = || {
        let started = Instant::now();
        for it in &calls {
            assert!(trace(&state, it).unwrap().complete);
        }
        started.elapsed() / 1_000
    };
    (0..5).map(|_| round()).min().unwrap()
}

#[test]
fn a_million_sessions_stay_within_their_bound_and_are_found_as_fast_as_a_few() {
    let traces = TraceBounds { sessions: 1_000_000, waiting: 1_000 };
    let mut memory = WorkingSet::bounded(Bounds { traces, ..Bounds::default() });
    open(&mut memory, 0..10_000);
    let few = lookup(&memory, 10_000);
    let before = resident();
    for block in 1..100 {
        open(&mut memory, block * 10_000..(block + 1) * 10_000);
    }
    let bytes = (resident() - before) / 990_000;
    let many = lookup(&memory, 1_000_000);
    println!("{bytes} bytes a session; a lookup among 10,000 {few:?}, among 1,000,000 {many:?}");
    assert!(bytes <= MOST_BYTES, "{bytes} bytes a session");
    // Some more for memory that is not in the cache; a search would cost a hundred times.
    assert!(many < few * 8, "{few:?} {many:?}");
    open(&mut memory, 1_000_000..1_010_000);
    assert_eq!(memory.lost(), Lost { sessions: 10_000, ..Lost::default() });
    assert!(LATENESS.as_secs() == 900);
}
