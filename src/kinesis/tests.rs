use serde_json::{Value, json};

use super::*;

fn record(id: &str, time: &str) -> Value {
    json!({
        "eventVersion": "1.08", "eventSource": "sts.amazonaws.com", "eventName": "AssumeRole",
        "eventTime": time, "eventID": id, "recipientAccountId": "111122223333",
        "sourceIPAddress": "203.0.113.77",
        "userIdentity": {"type": "IAMUser", "principalId": "AIDAEXAMPLE", "accountId": "111122223333",
            "arn": "arn:aws:iam::111122223333:user/alice", "userName": "alice"},
        "requestParameters": {"roleArn": "arn:aws:iam::111122223333:role/r", "roleSessionName": "s"},
    })
}

fn envelope(messages: &[String]) -> Vec<u8> {
    let events: Vec<Value> =
        messages.iter().map(|it| json!({"id": "1", "timestamp": 1, "message": it})).collect();
    json!({"messageType": "DATA_MESSAGE", "logEvents": events}).to_string().into_bytes()
}

fn arrived(data: &[u8]) -> Arrived<'_> {
    let time = "2026-03-04T05:06:07Z".parse().unwrap();
    Arrived { stream: None, shard: "shardId-000000000000", sequence_number: "49", time, data }
}

fn kinds(unpacked: &Unpacked) -> Vec<(Option<u64>, Kind)> {
    unpacked.lost.iter().map(|lost| (lost.record, lost.kind)).collect()
}

#[test]
fn late_events_are_judged_and_those_from_the_future_are_not_believed() {
    let data = envelope(&[
        record("late", "2025-03-04T05:06:07Z").to_string(),
        record("ahead", "2026-03-04T05:21:07Z").to_string(),
        record("future", "2026-03-04T05:21:08Z").to_string(),
    ]);
    let unpacked = unpack(&arrived(&data));
    assert_eq!(unpacked.numbers, [1, 2]);
    assert_eq!(kinds(&unpacked), [(Some(3), Kind::FromTheFuture)]);
}

#[test]
fn broken_pieces_are_buried_byte_for_byte_and_their_neighbours_judged() {
    let misread = json!({"eventSource": "sts.amazonaws.com", "eventName": "AssumeRole"});
    let data = envelope(&[
        record("a", "2026-03-04T05:06:07Z").to_string(),
        "no json at all \u{1b}[2J".to_owned(),
        misread.to_string(),
        record("b", "2026-03-04T05:06:07Z").to_string(),
    ]);
    let arrived = arrived(&data);
    let unpacked = unpack(&arrived);
    assert_eq!(unpacked.numbers, [1, 4]);
    let expected = [(Some(3), Kind::NotUnderstood), (Some(2), Kind::Undecodable)];
    assert_eq!(kinds(&unpacked), expected);
    let letters: Vec<DeadLetter> = letters(&arrived, &unpacked.lost)
        .iter()
        .map(|message| DeadLetter::from_message(message).unwrap())
        .collect();
    assert_eq!(letters[0].piece().unwrap(), misread.to_string().as_bytes());
    assert_eq!(letters[1].piece().unwrap(), b"no json at all \x1b[2J");
    assert_eq!(letters[1].reference.record, Some(2));
}

#[test]
fn what_has_no_smaller_piece_is_buried_whole() {
    let garbage = [0xF3, 0x89, 0x9A, 0xC2, 1, 2, 3];
    for data in [&garbage[..], b"", b"\x1f\x8bnot really", b"text"] {
        let arrived = arrived(data);
        let unpacked = unpack(&arrived);
        assert_eq!(kinds(&unpacked), [(None, Kind::Undecodable)]);
        let letters = letters(&arrived, &unpacked.lost);
        assert_eq!(DeadLetter::from_message(&letters[0]).unwrap().piece().unwrap(), data);
    }
}

#[test]
fn where_most_is_broken_all_of_it_is_buried_and_counted() {
    let data = envelope(&vec!["bent".to_owned(); 3_000]);
    let arrived = arrived(&data);
    let unpacked = unpack(&arrived);
    assert_eq!(unpacked.lost.len() as u64 + unpacked.more_lost, 3_000);
    let letters = letters(&arrived, &unpacked.lost);
    let [letter] = &letters[..] else { panic!("{}", letters.len()) };
    assert_eq!(DeadLetter::from_message(letter).unwrap().piece().unwrap(), data);
}

/// What would keep the function busy for ever is buried instead; so much as it can do is judged.
#[test]
fn a_record_packed_with_events_is_judged_up_to_a_bound_and_buried() {
    let event = record("a", "2026-03-04T05:06:07Z").to_string();
    let lines = format!("{event}\n").repeat(MOST_EVENTS + 7);
    let data = crate::dead_letter::gzip(lines.as_bytes());
    let arrived = arrived(&data);
    let unpacked = unpack(&arrived);
    assert_eq!(unpacked.events.len(), MOST_EVENTS);
    assert_eq!((kinds(&unpacked), unpacked.more_lost), (vec![(None, Kind::Undecodable)], 6));
}

/// A record of many events comes out in parts, each event once; what is beside them with the last.
#[test]
fn a_record_is_unpacked_in_parts() {
    let time = |n: usize| format!("2026-03-04T05:{:02}:07Z", 59 - n);
    let mut messages: Vec<String> = (0..7)
        .map(|n| record(&format!("e{n}"), &time(n).replace("T05", "T04")).to_string())
        .collect();
    messages.insert(3, "bent".to_owned());
    messages.push(json!({"eventName": "GetCallerIdentity", "eventSource": "x"}).to_string());
    let data = envelope(&messages);
    let arrived = arrived(&data);
    let (mut from, mut numbers, mut beside) = (0, Vec::<u64>::new(), Vec::new());
    loop {
        let part = unpack_part(&arrived, from, 3);
        from += part.events.len();
        // Its own order is the other way round.
        numbers.extend(part.numbers.iter().rev());
        beside.push((part.left, part.lost.len(), part.other));
        if part.left == 0 {
            break;
        }
    }
    assert_eq!(numbers, [1, 2, 3, 5, 6, 7, 8]);
    assert_eq!(beside, [(4, 0, 0), (1, 0, 0), (0, 1, 1)]);
    assert_eq!(unpack(&arrived).numbers.len(), 7);
}

/// However many bugs judging meets in a record, they get a hundred letters at most.
#[test]
fn many_bugs_in_a_record_are_one_letter() {
    let bug = |n| Lost { record: Some(n), kind: Kind::Bug, reason: "a bug".to_owned() };
    let bugs: Vec<Lost> = (0..=MOST_PIECES).map(bug).collect();
    assert_eq!(told(&bugs[1..]).len() as u64, MOST_PIECES);
    let [one] = &*told(&bugs) else { panic!("more than one") };
    assert_eq!((one.record, one.kind), (None, Kind::Bug));
    assert!(one.reason.contains("101 records"), "{}", one.reason);
}
