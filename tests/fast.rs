//! Passing over records quickly finds what reading all of them finds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly"
)]

mod support;

#[path = "support/differential.rs"]
mod differential;

use differential::{alike, compare, in_full, quickly};
use fastrand::Rng;
use serde_json::{Value, json};
use support::{files_in, fixture};

/// As CloudTrail writes it: no spaces, and its own order of keys.
fn written(record: &Value) -> String {
    const FIRST: [&str; 13] = [
        "eventVersion",
        "userIdentity",
        "eventTime",
        "eventSource",
        "eventName",
        "awsRegion",
        "sourceIPAddress",
        "userAgent",
        "requestParameters",
        "responseElements",
        "additionalEventData",
        "requestID",
        "eventID",
    ];
    let Some(members) = record.as_object() else { return record.to_string() };
    let mut members: Vec<_> = members.iter().collect();
    let rank = |key: &str| FIRST.iter().position(|it| *it == key).unwrap_or(FIRST.len());
    members.sort_by_key(|(key, _)| rank(key));
    let texts: Vec<String> =
        members.iter().map(|(key, value)| format!("{}:{value}", json!(key))).collect();
    format!("{{{}}}", texts.join(","))
}

fn shapes() -> Vec<String> {
    let read = |path| serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut shapes: Vec<String> =
        files_in("wire", "json").into_iter().map(|path| written(&read(path))).collect();
    shapes.retain(|it| it.len() < 8_000);
    shapes
}

fn file(records: &[String]) -> String {
    format!(r#"{{"Records":[{}]}}"#, records.join(","))
}

fn subscription(records: &[String]) -> String {
    let event = |text: &String| {
        format!(r#"{{"id":"3953","timestamp":1772443150000,"message":{}}}"#, json!(text))
    };
    let events: Vec<String> = records.iter().map(event).collect();
    format!(r#"{{"messageType":"DATA_MESSAGE","owner":"1","logEvents":[{}]}}"#, events.join(","))
}

fn record(source: &str, name: &str, request: &str) -> String {
    format!(
        r#"{{"eventVersion":"1.08","userIdentity":{{"type":"IAMUser"}},"eventTime":"2026-03-04T05:06:07Z","eventSource":"{source}.amazonaws.com","eventName":"{name}","userAgent":"[x]","requestParameters":{request},"eventID":"1","readOnly":true}}"#
    )
}

#[test]
fn every_shape_in_every_envelope() {
    let other = record("ec2", "DescribeInstances", "null");
    let shapes = shapes();
    for shape in &shapes {
        for records in [
            vec![shape.clone()],
            vec![other.clone(), shape.clone(), other.clone()],
            vec![shape.clone(), shape.clone(), other.clone(), shape.clone()],
        ] {
            compare(file(&records).as_bytes());
            compare(subscription(&records).as_bytes());
            compare(records.join("\n").as_bytes());
            compare(format!("[{}]", records.join(",")).as_bytes());
        }
    }
    compare(file(&shapes).as_bytes());
    compare(subscription(&shapes).as_bytes());
}

#[test]
fn every_fixture() {
    for path in files_in("envelopes", "json").into_iter().chain(files_in("envelopes", "jsonl")) {
        compare(&std::fs::read(path).unwrap());
    }
    for story in std::fs::read_dir(fixture("")).unwrap() {
        let events = story.unwrap().path().join("events.jsonl");
        if let Ok(bytes) = std::fs::read(events) {
            compare(&bytes);
            let records: Vec<String> =
                String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect();
            compare(file(&records).as_bytes());
            compare(subscription(&records).as_bytes());
        }
    }
}

/// A caller shapes the request: what looks like a record in it is none, and hides none.
#[test]
fn a_forged_record_is_never_read_and_a_real_one_never_missed() {
    let (ours, other) =
        (record("sts", "AssumeRole", r#"{"roleArn":"x"}"#), record("ec2", "Run", "{}"));
    let head = r#"{"eventID":"x"}"#;
    let open = r#"{"eventVersion":"1.08","eventName":"y""#;
    let forgeries = [
        ours.clone(),
        format!("[{ours},{ours}]"),
        format!(r#"[{head},{ours},{open}}}]"#),
        format!(r#"{{"a":[{head},{other},{ours},{ours},{open}}}]}}"#),
        format!(r#"{{"a":"],\"","b":[0,{head},{ours},{open},"z":"]"}}]}}"#),
        format!(r#"{{"a":[{head},{ours},{open}}}],"b":"],"}}"#),
        format!(r#"{{"a":["],",{head},{ours},{open}}}],"b":["]}}"]}}"#),
        format!(r#"{{"a":[[{head},{ours},{open}}}],"],"],"b,[":"]"}}"#),
        r#"{"eventName":"AssumeRole","eventSource":"sts.amazonaws.com"}"#.to_owned(),
        r#"{"x\"eventName":"AssumeRole","a":"}\"},{\"id\":\""}"#.to_owned(),
        r#"["[",":[","]","],",",[0","]}",{"a":"[{"}]"#.to_owned(),
    ];
    for forged in &forgeries {
        for forger in [record("lambda", "TagResource", forged), record("sts", "AssumeRole", forged)]
        {
            let _: Value = serde_json::from_str(&forger).unwrap();
            let records = [other.clone(), forger.clone(), ours.clone(), forger, other.clone()];
            for text in [file(&records), subscription(&records), records.join("\n")] {
                compare(text.as_bytes());
                let quick = quickly(text.as_bytes());
                assert_eq!(quick.records.len() as u64 + quick.other, 5, "{text}");
            }
        }
    }
}

#[test]
fn what_cloudtrail_does_not_write_is_read_in_full() {
    let (ours, other) = (record("sts", "AssumeRole", "{}"), record("ec2", "Run", "{}"));
    let sorted: Value = serde_json::from_str(&ours).unwrap();
    let pretty = serde_json::to_string_pretty(&sorted).unwrap();
    for odd in [
        sorted.to_string(),
        pretty,
        ours.replace(r#""eventName":"#, r#""eventName" : "#),
        ours.replace("AssumeRole", r"Assume\u0052ole"),
        ours.replace(r#""eventName""#, r#""event\u004eame""#),
        ours.replace(r#""readOnly":true"#, r#""readOnly":1.5e3"#),
        ours.replace(r#""eventVersion""#, r#""version""#),
        other.replace(r#""requestParameters""#, r#""eventName":"AssumeRole","x""#),
        r#"{"eventVersion":"1.07","eventType":"AwsCloudTrailInsight"}"#.to_owned(),
        r#"{"eventVersion":"1"}"#.to_owned(),
        format!(
            r#"{{"eventVersion":"1","requestParameters":{{"eventName":"x"}},{}"#,
            &ours[r#"{"eventVersion":"1.08","#.len()..]
        ),
    ] {
        for place in 0..3 {
            let mut records = vec![other.clone(), ours.clone(), other.clone()];
            records.insert(place, odd.clone());
            compare(file(&records).as_bytes());
            compare(file(&records).replace("},{", "}, {").as_bytes());
            compare(subscription(&records).as_bytes());
            compare(records.join("\n").as_bytes());
        }
    }
    let two = format!("{}{}", file(std::slice::from_ref(&ours)), file(&[other, ours]));
    compare(two.as_bytes());
    compare(two.replace("}{", "},{").as_bytes());
}

/// A record in another spelling is found wherever the layout around it is another one too.
#[test]
fn no_layout_hides_a_record_in_another_spelling() {
    let other = record("ec2", "Run", "{}");
    let ours = record("sts", "AssumeRole", "{}");
    let several = format!("{other},{other},{other}");
    let message = |record: &str| {
        format!(r#"{{"id":"1","timestamp":1,"message":{}}}"#, Value::String(record.to_owned()))
    };
    let nameless = r#"{"eventVersion":"1"}"#.to_owned();
    let spellings = [
        ours.replace(r#""eventName":"#, r#""eventName": "#),
        ours.replace(r#""eventName""#, r#""event\u004eame""#),
        nameless,
    ];
    for odd in &spellings {
        for text in [
            format!("[{other}]\n[{odd},{several}]"),
            format!("[{other}][{odd},{several}]"),
            format!("[{other}]5{odd},{several}]"),
            format!("[{other}],[{odd},{several}]"),
            format!(r#"{{"Records":[{other}],"b":[{odd},{several}]}}"#),
            format!(r#"{{"Records":[{other}], "b": [{odd},{several}]}}"#),
            format!(r#"{{"Records":[{other}],"b":[5,{odd},{several}]}}"#),
        ] {
            compare(text.as_bytes());
        }
        // Arrays whose beginning or end is not seen, and another one that follows.
        for array in [
            "[{},5]",
            r#"[{},"x"]"#,
            r#"[{"a":{},"b":1},"x"]"#,
            "[{},[]]",
            r#"[{},"x\":"]"#,
            "[{ \"b\":1}]",
            "[\n{}]",
            "[{}\n]",
        ] {
            let array = record("ec2", "Run", array);
            let open = array.replace(r#","readOnly":true"#, "");
            for record in [&array, &open] {
                let text = format!(r#"{{"Records":[{record}],"b":[{odd},{several}]}}"#);
                compare(text.as_bytes());
                compare(format!("[{text},{several}]").as_bytes());
                compare(format!("{text},{several}").as_bytes());
            }
        }
        let (first, odd, last) = (message(&other), message(odd), message(&other));
        for odd in [odd.replacen("{\"id", "{ \"id", 1), odd.replacen("{\"id", "{\n\"id", 1), odd] {
            let text = format!(r#"{{"logEvents":[{first},{odd},{last},{last}]}}"#);
            compare(text.as_bytes());
        }
    }
}

/// A name is a record's own only at its top, whatever braces stand in strings before it.
#[test]
fn no_brace_makes_another_name_a_record_s_own() {
    let other = record("ec2", "Run", "{}");
    let ours = record("sts", "AssumeRole", "[{\"eventName\":\"Run\"}]");
    for odd in [
        ours.replace(r#""eventName":"A"#, r#""eventName": "A"#),
        ours.replace(r#""eventName":"A"#, r#""event\u004eame":"A"#),
    ] {
        for before in [
            r#"{"d":"}"}"#,
            r#"{"d":"},"}"#,
            r#"{"d":"},","e":"f"}"#,
            r#"{"d":"}}"}"#,
            r#"{"d":"}}},{","e":1}"#,
            r#"{"d":"},\"e"}"#,
            r#"[{"d":1}]"#,
            r#""{""#,
            r#""}""#,
        ] {
            let begun = format!(r#"{{"eventVersion":"1","userIdentity":{before},"#);
            let odd = odd.replacen(r#"{"eventVersion":"1.08","#, &begun, 1);
            assert!(odd.contains(before) && serde_json::from_str::<Value>(&odd).is_ok());
            let plain = odd.replace(r#"[{"eventName":"Run"}]"#, r#"{"eventName":"Run"}"#);
            for odd in [odd, plain] {
                let records = [other.clone(), odd, other.clone(), other.clone()];
                compare(file(&records).as_bytes());
                compare(subscription(&records).as_bytes());
                compare(records.join("\n").as_bytes());
                assert_eq!(quickly(file(&records).as_bytes()).records.len(), 1);
                assert_eq!(quickly(subscription(&records).as_bytes()).records.len(), 1);
            }
        }
    }
}

/// What is behind the last record is looked at, for it may be another one in another spelling.
#[test]
fn nothing_hides_behind_the_last_record() {
    let (ours, other) = (record("sts", "AssumeRole", "{}"), record("ec2", "Run", r#"[{"a":1}]"#));
    for last in [&ours, &other] {
        for (before, behind) in [
            ("[", "]"),
            ("[", "]\n"),
            ("{\"Records\":[", "]}"),
            ("{\"Records\":[", "]}\n"),
            ("{\"Records\":[", "] }"),
            ("{\"Records\":[", ",5]}"),
            ("{\"Records\":[", ",{}]}"),
            ("{\"Records\":[", ", {\"a\":1}]}"),
            ("{\"Records\":[", "],\"b\":\"}\"}"),
            ("{\"Records\":[", "],\"b\":1}"),
            ("{\"Records\":[", "],\"b\":[{}]}"),
            ("{\"Records\":[", "],\"b\":{\"c\":[{\"d\":1}]}}"),
            ("{\"Records\":[", "]}\n[{}]}"),
            ("{\"Records\":[", "]}{\"Records\":[{}]}"),
            ("{\"Records\":[", "]} x"),
            ("{\"Records\":[", "]"),
            ("{\"Records\":[", "}]}"),
            ("[", "]}"),
            ("", "\n"),
            ("", "\n5"),
            ("", " {}"),
            ("", "\n{\"a\":1}"),
            ("", "}"),
        ] {
            compare(format!("{before}{last}{behind}").as_bytes());
            compare(format!("{before}{other},{last}{behind}").as_bytes());
            compare(format!("{before}{other}\n{last}{behind}").as_bytes());
        }
        let messages = subscription(&[other.clone(), last.clone()]);
        for behind in ["]}", "]}\n", "],\"b\":1}", ",5]}", "]", "", "]}}"] {
            compare(messages.replace("]}", behind).as_bytes());
            compare(format!("{}{behind}", messages.strip_suffix("]}").unwrap()).as_bytes());
        }
    }
}

/// Records passed over are what they claim to be only under a checksum: without one, all are read.
#[test]
fn plain_text_is_read_in_full() {
    let broken = record("ec2", "Run", "nul");
    let records = [record("sts", "AssumeRole", "{}"), broken, record("ec2", "Run", "{}")];
    let text = file(&records);
    assert_eq!((in_full(text.as_bytes()).other, in_full(text.as_bytes()).faults.len()), (1, 1));
    assert_eq!(quickly(text.as_bytes()).other, 2);
}

/// Damage and mischief of every kind, from a seed.
#[test]
fn a_hundred_thousand_mutated_inputs() {
    let mut rng = Rng::with_seed(10);
    let mut shapes = shapes();
    shapes.retain(|it| it.len() < 1_500);
    shapes.extend((0..40).map(|_| record("ec2", "DescribeInstances", "{\"a\":[{\"b\":1}]}")));
    for _ in 0..100_000 {
        let count = rng.usize(1..5);
        let mut records: Vec<String> =
            (0..count).map(|_| shapes[rng.usize(..shapes.len())].clone()).collect();
        let at = rng.usize(..count);
        if rng.bool() {
            let donor = shapes[rng.usize(..shapes.len())].clone();
            records[at] = nested(&mut rng, &records[at], &donor);
        }
        let mut text = match rng.u8(..3) {
            0 => file(&records),
            1 => subscription(&records),
            _ => records.join("\n"),
        }
        .into_bytes();
        for _ in 0..rng.usize(..3) {
            damage(&mut rng, &mut text);
        }
        compare(&text);
    }
}

/// Sound documents of every layout that JSON allows, which CloudTrail does not write.
#[test]
fn tens_of_thousands_of_layouts() {
    for seed in 0..40_000 {
        let mut layout = Layout { rng: Rng::with_seed(seed), odd: 0 };
        layout.odd = *layout.rng.choice(&[1, 5, 20]).unwrap();
        alike(layout.document().as_bytes());
    }
}

/// Draws documents.
struct Layout {
    rng: Rng,
    /// How many of a thousand things are not as CloudTrail writes them.
    odd: u32,
}

impl Layout {
    fn is_odd(&mut self) -> bool {
        self.rng.u32(..1_000) < self.odd
    }

    /// What may stand between any two tokens.
    fn space(&mut self) -> &'static str {
        if self.is_odd() { self.rng.choice(&[" ", "\n", "\r\n", "\t "]).unwrap() } else { "" }
    }

    fn list(&mut self, open: char, elements: &[String], close: char) -> String {
        let mut text = format!("{open}{}", self.space());
        for (at, element) in elements.iter().enumerate() {
            text += if at > 0 { "," } else { "" };
            text = format!("{text}{}{element}{}", self.space(), self.space());
        }
        format!("{text}{}{close}", self.space())
    }

    fn member(&mut self, key: &str, value: &str) -> String {
        let key = if self.is_odd() { key.replacen('N', "\\u004e", 1) } else { key.to_owned() };
        format!("\"{key}\"{}:{}{value}", self.space(), self.space())
    }

    fn string(&mut self) -> String {
        const PARTS: [&str; 12] =
            ["x", "a b", "{", "}", "[", "]", ",", ":", "\"", "\\", "eventName", "AssumeRole"];
        let count = self.rng.usize(..6);
        let text: String = (0..count).map(|_| *self.rng.choice(&PARTS).unwrap()).collect();
        Value::String(text).to_string()
    }

    fn value(&mut self, depth: usize) -> String {
        match self.rng.u8(..if depth == 0 { 5 } else { 9 }) {
            0 => "null".to_owned(),
            1 => self.rng.i32(-9..99).to_string(),
            2..5 => self.string(),
            5 | 6 => {
                let elements: Vec<String> =
                    (0..self.rng.usize(..4)).map(|_| self.value(depth - 1)).collect();
                self.list('[', &elements, ']')
            }
            7 => {
                let members: Vec<String> = (0..self.rng.usize(..4))
                    .map(|at| {
                        let value = self.value(depth - 1);
                        self.member(&format!("k{at}"), &value)
                    })
                    .collect();
                self.list('{', &members, '}')
            }
            _ => self.record(depth - 1),
        }
    }

    fn record(&mut self, depth: usize) -> String {
        let (source, name) = *self
            .rng
            .choice(&[("ec2", "Run"), ("ec2", "Run"), ("sts", "AssumeRole"), ("x", "AssumeRole")])
            .unwrap();
        let identity = self.value(depth.min(1));
        let mut members = vec![
            self.member("eventVersion", "\"1.08\""),
            self.member("userIdentity", &identity),
            self.member("eventSource", &format!("\"{source}.amazonaws.com\"")),
            self.member("eventName", &format!("\"{name}\"")),
        ];
        for key in ["requestParameters", "resources"] {
            let value = self.value(depth);
            members.push(self.member(key, &value));
        }
        if self.rng.bool() {
            members.push(self.member("eventID", "\"1\""));
        }
        self.list('{', &members, '}')
    }

    fn records(&mut self) -> Vec<String> {
        (0..self.rng.usize(1..6)).map(|_| self.record(3)).collect()
    }

    fn document(&mut self) -> String {
        let records = self.records();
        match self.rng.u8(..8) {
            0 => self.list('[', &records, ']'),
            1 => records.join("\n"),
            2 => {
                let (first, second) = (self.document(), self.document());
                format!("{first}{}{second}", self.rng.choice(&["", "\n", ",", " "]).unwrap())
            }
            3 => {
                let mut inner = self.records();
                inner.insert(0, self.document());
                self.list('[', &inner, ']')
            }
            4 | 5 => {
                let mut events = Vec::new();
                for record in &records {
                    let message = Value::String(record.clone()).to_string();
                    let members = [
                        self.member("id", "\"1\""),
                        self.member("timestamp", "1"),
                        self.member("message", &message),
                    ];
                    events.push(self.list('{', &members, '}'));
                }
                let events = self.list('[', &events, ']');
                let members = [self.member("logEvents", &events)];
                self.list('{', &members, '}')
            }
            _ => {
                let all = self.list('[', &records, ']');
                let mut members = vec![self.member("Records", &all)];
                for key in ["more", "Records"] {
                    if self.rng.u8(..4) == 0 {
                        let records = self.records();
                        let more = self.list('[', &records, ']');
                        members.push(self.member(key, &more));
                    }
                }
                self.list('{', &members, '}')
            }
        }
    }
}

/// The record with another one somewhere inside.
fn nested(rng: &mut Rng, record: &str, donor: &str) -> String {
    let places: Vec<usize> = record.match_indices("\":").map(|(at, _)| at + 2).collect();
    let at = places[rng.usize(..places.len())];
    let inside = match rng.u8(..4) {
        0 => donor.to_owned(),
        1 => format!("[{{\"eventID\":\"1\"}},{donor},{{\"eventVersion\":\"1\"}}]"),
        2 => json!(donor).to_string(),
        _ => format!("{{\"eventName\":\"AssumeRole\",\"a\":[{donor},{donor}]}}"),
    };
    format!("{}{inside},\"k{}\":{}", &record[..at], rng.u8(..), &record[at..])
}

fn damage(rng: &mut Rng, text: &mut Vec<u8>) {
    const PIECES: [&[u8]; 14] = [
        b"\"",
        b"\\",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b" ",
        b"\n",
        b"\\\"",
        b"\"eventName\":\"",
        b"},{\"eventVersion\":\"",
        b"}\"},{\"id\":\"",
        b"AssumeRole\"",
    ];
    let at = rng.usize(..text.len().max(1));
    let end = (at + rng.usize(1..40)).min(text.len());
    match rng.u8(..5) {
        0 => {
            text.drain(at..end);
        }
        1 => {
            let piece = text[at..end].to_vec();
            let to = rng.usize(..=text.len());
            text.splice(to..to, piece);
        }
        2 => text[at] = rng.u8(..),
        3 => text.truncate(at),
        _ => {
            let piece = PIECES[rng.usize(..PIECES.len())];
            text.splice(at..at, piece.iter().copied());
        }
    }
}

/// Nobody can make it slow: the time grows with the input, whatever is in it.
#[test]
fn no_shape_takes_more_than_linear_time() {
    let nameless = "{\"eventVersion\":\"1\"},".to_owned();
    let message = "{\"id\":\"1\",\"timestamp\":1,\"message\":\"{\\\"eventVersion\\\":\\\"1\\\"";
    for (head, unit) in [
        ("{\"Records\":[", nameless.as_str()),
        ("{\"Records\":[", "{\"eventVersion\":\""),
        ("{\"Records\":[", "{\"eventVersion\":\"1\",\"eventName\":\"x"),
        ("{\"Records\":[", "{\"eventVersion\":\"1\",\"eventName\":\"x\"]},"),
        ("{\"Records\":[", "{\"eventVersion\":\"1\",\"eventName\":\"x\",\"eventName\":\"y\"},"),
        ("{\"Records\":[{\"eventVersion\":\"1\",\"eventName\":\"x\",\"a\":[", "[],{},"),
        ("", "{\"eventVersion\":\"1\"}\n"),
        ("{\"logEvents\":[", message),
        ("{\"logEvents\":[", "{\"id\":\"1\",\"timestamp\":1,\"message\":\"{}\"},"),
        ("{\"Records\":[", "5{\"eventVersion\":\""),
        ("", "5{\"eventVersion\":\""),
        ("{\"Records\":[{\"eventVersion\":\"1\",\"eventName\":\"x\",\"a\":\"", "}]"),
        ("{\"Records\":[{\"eventVersion\":\"1\",\"eventName\":\"x\",\"a\":\"", "} "),
        ("{\"Records\":[{\"eventVersion\":\"1\",\"eventName\":\"x\",\"a\":[{\"b\":1},", "{},"),
    ] {
        // By one name at the very end each beginning may look like that of a record of ours.
        let name = format!("\"eventName\":\"AssumeRole\",\"a\":\"{:200}\"}}]}}", "");
        for tail in ["", &name] {
            let input = format!("{head}{}{tail}", unit.repeat((4 << 20) / unit.len()));
            let start = std::time::Instant::now();
            let found = quickly(input.as_bytes());
            let (took, faults) = (start.elapsed(), found.faults.len() as u64 + found.more_faults);
            println!("{took:>8.2?} {faults} faults: {unit}");
            assert!(took.as_secs_f32() < 5.0, "{took:?}: {unit}");
        }
    }
}
