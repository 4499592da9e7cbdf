//! `rolewatch explain`: one event, where it came from and what came of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly"
)]

mod support;

use support::{fixture, run};

fn event_of_alert(nth: usize) -> String {
    let alerts = std::fs::read_to_string(fixture("chain-of-four/alerts.jsonl")).unwrap();
    let alert: serde_json::Value = serde_json::from_str(alerts.lines().nth(nth).unwrap()).unwrap();
    alert["event"]["id"].as_str().unwrap().to_owned()
}

fn explain(event: &str) -> support::Run {
    let (story, config) = (fixture("chain-of-four"), fixture("chain-of-four/rolewatch.toml"));
    let config = config.to_str().unwrap();
    run(["explain", event, "--config", config, story.to_str().unwrap()])
}

#[test]
fn the_end_of_a_chain_is_explained_from_its_origin() {
    let explained = explain(&event_of_alert(3));
    assert_eq!(explained.status, 0, "{}", explained.err);
    for told in [
        "alice@203.0.113.66 → Dev → Deploy → Operator → DataAdmin",
        "depth 4, MFA absent",
        "chain_depth           high: ",
        "new_account           silent",
        "federation_token      not applicable",
        "nothing that was seen",
    ] {
        assert!(explained.out.contains(told), "{told}\n{}", explained.out);
    }
}

#[test]
fn the_origin_of_a_chain_tells_what_was_assumed_afterwards() {
    let explained = explain(&event_of_alert(0));
    let (_, afterwards) = explained.out.split_once("What it assumed afterwards").unwrap();
    assert!(afterwards.contains("Dev → Deploy → Operator → DataAdmin"), "{afterwards}");
}

#[test]
fn an_event_that_is_not_there_is_wrong_usage() {
    let explained = explain("no-such-event");
    assert_eq!((explained.status, explained.out.as_str()), (2, ""));
    assert!(explained.err.contains("no event `no-such-event`"), "{}", explained.err);
}

#[test]
fn what_was_new_is_told_in_bits() {
    let alerts = std::fs::read_to_string(fixture("console-switch/alerts.jsonl")).unwrap();
    let alert: serde_json::Value = serde_json::from_str(alerts.lines().next().unwrap()).unwrap();
    let event = alert["event"]["id"].as_str().unwrap();
    let explained = run(["explain", event, fixture("console-switch").to_str().unwrap()]);
    let bits = alert["findings"][0]["evidence"]["bits"].as_f64().unwrap();
    let told = format!("new block of networks 203.0.0.0/16: {bits:.1} bits, of");
    assert!(explained.out.contains(&told), "{told}\n{}", explained.out);
    let told = "a person alerts from 8.0 on";
    assert!(explained.out.contains(told), "{}", explained.out);
}

/// Either record of a cross-account call is asked for: the answer is about the call.
#[test]
fn both_records_of_a_call_are_explained_alike() {
    let story = fixture("chain-of-four/events.jsonl");
    let alert = event_of_alert(3);
    let records = std::fs::read_to_string(story).unwrap();
    let records = records.lines().map(|line| serde_json::from_str(line).unwrap());
    let records: Vec<serde_json::Value> = records.collect();
    let shared = &records.iter().find(|it| it["eventID"] == alert).unwrap()["sharedEventID"];
    let twin = |it: &&serde_json::Value| it["sharedEventID"] == *shared && it["eventID"] != alert;
    let twin = records.iter().find(twin).unwrap()["eventID"].as_str().unwrap();
    assert_eq!(explain(twin).out, explain(&alert).out);
    let of_the_console = fixture("console-switch");
    let alerts = std::fs::read_to_string(of_the_console.join("alerts.jsonl")).unwrap();
    let alert: serde_json::Value = serde_json::from_str(alerts.lines().next().unwrap()).unwrap();
    let explained =
        run(["explain", alert["event"]["id"].as_str().unwrap(), of_the_console.to_str().unwrap()]);
    assert!(explained.out.contains("alice@203.0.113.40 → Support\n  depth 1, MFA present"));
}
