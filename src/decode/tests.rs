use std::io::Write as _;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

const OURS: &str = r#"{"eventVersion":"1.08","eventSource":"sts.amazonaws.com","eventName":"AssumeRole","eventTime":"2026-03-04T05:06:07Z"}"#;
const OTHER: &str =
    r#"{"eventVersion":"1.08","eventSource":"ec2.amazonaws.com","eventName":"DescribeInstances"}"#;

fn decoded(input: &str) -> (usize, u64, Vec<Fault>) {
    let it = decode(input.as_bytes(), Limits::default());
    (it.records.len(), it.other, it.faults)
}

/// Records of ours, other records, and record faults. No fault of the whole input.
fn counts(input: &str) -> (usize, u64, usize) {
    let (ours, other, faults) = decoded(input);
    assert!(faults.iter().all(|it| matches!(it, Fault::Record(..))), "{faults:?}");
    (ours, other, faults.len())
}

fn message(record: &str) -> String {
    serde_json::to_string(record).unwrap()
}

#[test]
fn every_envelope_by_content() {
    let log = |messages: &[String]| {
        let events: Vec<String> = messages
            .iter()
            .map(|m| format!(r#"{{"id":"1","timestamp":1,"message":{m}}}"#))
            .collect();
        format!(
            r#"{{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"g","logEvents":[{}]}}"#,
            events.join(",")
        )
    };
    for input in [
        format!(r#"{{"Records":[{OURS},{OTHER}]}}"#),
        format!("[{OURS},{OTHER}]"),
        format!("{OURS}\n{OTHER}\n"),
        format!("{OURS}{OTHER}"),
        format!("\u{feff} {OURS}\r\n\r\n{OTHER}"),
        format!(
            r#"{{"NextToken":"x","Events":[{{"EventId":"1","CloudTrailEvent":{}}},{{"EventId":"2","CloudTrailEvent":{}}}]}}"#,
            message(OURS),
            message(OTHER)
        ),
        log(&[message(OURS), message(OTHER)]),
        format!("{}\n{}", log(&[message(OURS)]), log(&[message(OTHER)])),
        format!(
            r#"[{{"version":"0","detail-type":"AWS API Call via CloudTrail","detail":{OURS}}},{OTHER}]"#
        ),
        format!(r#"{{"detail":{OURS},"version":"0"}} {{"detail":{OTHER}}}"#),
    ] {
        assert_eq!(counts(&input), (1, 1, 0), "{input}");
    }
}

#[test]
fn what_lies_beside_records_is_not_ours_and_no_fault() {
    for input in [
        r#"{"messageType":"CONTROL_MESSAGE","logEvents":[{"id":"","timestamp":1,"message":"CWL CONTROL MESSAGE: Checking health of destination Kinesis stream."}]}"#,
        r#"{"awsAccountId":"1","digestStartTime":"x","logFiles":[]}"#,
        r#"{"schema":"rolewatch/alert/1","id":"1","event":{"name":"AssumeRole"}}"#,
        r#"{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put"}]}"#,
        r#"{"Records":[{"eventVersion":"1.07","eventType":"AwsCloudTrailInsight","insightDetails":{}}]}"#,
    ] {
        assert_eq!(counts(input), (0, 1, 0), "{input}");
    }
    assert_eq!(counts(r#"{"Records":[]}"#), (0, 0, 0));
}

#[test]
fn a_broken_record_costs_none_of_its_neighbours() {
    for (broken, faults) in [
        (r#"{"eventVersion":"1","eventName":tru}"#, 1),
        (r#"{"eventVersion":"1","eventName":"AssumeRole"#, 1),
        (r#"{"eventVersion":"1","eventName":"Assume"Role"}"#, 1),
        (r#"{"eventVersion":"1","a":{"b":[1,2}"#, 1),
        (r#"{"eventVersion":"1"]"#, 1),
        (r#"{"no":"eventName"}"#, 1),
        (r#"{"eventVersion":"1","eventName":7}"#, 1),
        ("null", 1),
        ("12", 1),
        (r#""text""#, 1),
    ] {
        let array = format!(r#"{{"Records":[{OURS},{broken},{OURS},{OTHER}]}}"#);
        assert_eq!(counts(&array), (2, 1, faults), "{array}");
        let lines = format!("{OURS}\n{broken}\n{OURS}\n{OTHER}");
        assert_eq!(counts(&lines), (2, 1, faults), "{lines}");
    }
}

#[test]
fn a_broken_message_costs_none_of_its_neighbours() {
    let events = |broken: &str| {
        let good = message(OURS);
        format!(
            r#"{{"logEvents":[{{"id":"1","message":{good}}},{{"id":"2","message":{broken}}},{{"id":"3","message":{good}}}]}}"#
        )
    };
    for broken in [r#""plain text""#, r#""{\"eventVersion\":1""#, r#""\x""#, r#""{\"a\":1}""#] {
        let input = events(broken);
        assert_eq!(counts(&input), (2, 0, 1), "{input}");
    }
}

#[test]
fn a_cut_input_keeps_what_came_before() {
    let whole = format!(r#"{{"Records":[{OURS},{OURS},{OTHER}]}}"#);
    for end in 1..whole.len() {
        let (kept, _) = whole.split_at(end);
        let (ours, other, faults) = decoded(kept);
        let complete = kept.matches('}').count();
        assert_eq!(ours as u64 + other, complete.min(3) as u64, "cut at {end}");
        assert!(faults.len() <= 1 + usize::from(complete == 3), "cut at {end}: {faults:?}");
        assert!(complete == 3 || !faults.is_empty(), "cut at {end} in silence");
    }
}

#[test]
fn what_is_no_log_at_all_is_said_once() {
    let input = |bytes: &[u8]| decode(bytes, Limits::default()).faults;
    assert_eq!(input(b""), [Fault::Input(InputFault::Empty)]);
    assert_eq!(input(b" \n\t"), [Fault::Input(InputFault::Empty)]);
    assert_eq!(input(b"\xF3\x89\x9A\xC2rest"), [Fault::Input(InputFault::KplAggregated)]);
    let not_json = input(b"<html>\n<body>\x1b[2J");
    assert_eq!(not_json, [Fault::Input(InputFault::NotJson("`<`".into()))]);
    let binary = input(b"\xff\xfe{\0");
    assert_eq!(binary, [Fault::Input(InputFault::NotJson("binary data".into()))]);
    assert!(matches!(input(b"\x1f\x8b\x08")[..], [Fault::Input(InputFault::Gzip(..))]));
}

#[test]
fn nesting_is_bounded() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(!decoded(&deep).2.is_empty());
    let mut nested = OURS.to_owned();
    for _ in 0..20 {
        nested = format!(r#"{{"message":{}}}"#, message(&nested));
        if nested.len() > 1 << 20 {
            break;
        }
    }
    assert!(!decoded(&nested).2.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = decode(&bytes, Limits { inflated_bytes: 10_000 });
    }
}

/// As [`OURS`], with the keys in the order of the alphabet, as some exports write them.
const SORTED: &str = r#"{"awsRegion":"us-east-1","eventName":"AssumeRole","eventSource":"sts.amazonaws.com","eventTime":"2026-03-04T05:06:07Z","eventVersion":"1.08"}"#;

/// Every byte of one record replaced by every other byte: its neighbours are found, and what is
/// left of it is a record or named as a fault.
#[test]
fn damage_to_one_record_costs_no_other() {
    let shapes = [("[", ",", "]"), ("{\"Records\":[", ",", "]}"), ("", "\n", "\n")];
    for record in [OURS, SORTED] {
        for (open, between, close) in shapes {
            for at in 0..record.len() {
                for with in 0..=u8::MAX {
                    let mut broken = record.as_bytes().to_vec();
                    broken[at] = with;
                    let parts = [record.as_bytes(), &broken, record.as_bytes()];
                    let records = parts.join(between.as_bytes());
                    let input = [open.as_bytes(), &records, close.as_bytes()].concat();
                    let found = decode(&input, Limits::default());
                    let seen = found.records.len() + found.faults.len() + found.other as usize;
                    let shown = String::from_utf8_lossy(&input);
                    assert!(found.records.len() >= 2 && seen >= 3, "{shown}");
                }
            }
        }
    }
}

#[test]
fn a_record_cut_short_costs_none_of_its_neighbours() {
    for record in [OURS, SORTED] {
        for end in 1..record.len() {
            let (cut, _) = record.split_at(end);
            let lines = format!("{cut}\n{record}\n{OTHER}\n{record}");
            assert_eq!(counts(&lines), (2, 1, 1), "{lines}");
            let array = format!("{{\"Records\":[{record},{cut},{record},{OTHER}]}}");
            let (ours, other, faults) = counts(&array);
            assert!(ours == 2 && other == 1 && faults >= 1, "{array}");
        }
    }
}

#[test]
fn values_after_one_another_however_they_are_kept_apart() {
    assert_eq!(counts(&format!("{OURS},{SORTED},{OTHER}")), (2, 1, 0));
    let with_text = format!(r#"{{"Records":[{OURS}]}}x{{"Records":[{SORTED}]}}"#);
    assert_eq!(counts(&with_text), (2, 0, 1));
    let open = format!("{{\"Records\":[\n{OURS},\n{{\"eventName\":\"x,\n{OTHER}\n]}}");
    assert_eq!(counts(&open), (1, 1, 1));
}

/// A broken line is one fault, whatever stands in the next.
#[test]
fn a_broken_subscription_message_does_not_reach_into_the_next() {
    let line = |text: &str| {
        let record = message(OURS);
        format!(
            r#"{{"messageType":"DATA_MESSAGE","owner":"1","logEvents":[{{"id":"1","message":{record}{text}}}]}}"#
        )
    };
    for broken in [",\"a", "\"", ",]", "}"] {
        let input = [line(broken), line(""), line("")].join("\n");
        let (ours, other, faults) = decoded(&input);
        let broken = faults.iter().filter(|it| matches!(it, Fault::Record(..))).count();
        assert!(ours >= 2 && ours + broken == 3 && other == 0, "{input}: {faults:?}");
        assert!(!faults.is_empty(), "{input}");
    }
}

/// Nobody can make it slow: the time grows with the input, whatever is in it.
#[test]
fn no_shape_takes_more_than_linear_time() {
    let nested = format!("{{\"eventVersion\":{}", "[".repeat(60));
    for (head, unit) in [
        ("", "{\"level\":\"info\",\"msg\":\"it works\"}\n"),
        ("", "{\"awsRegion\":\"x\",\"eventName\":5}\n"),
        ("", "some text\n{\"a\":1}\n"),
        ("", "some text\n"),
        ("{}", "x {} "),
        ("[", "{},"),
        ("[", "{\"a\" 1},"),
        ("[", "1,"),
        ("[", "\"a\" \"b\","),
        ("", "[{\"a\":"),
        ("", "{\"a\":{\"eventName\":"),
        ("", "{\"eventVersion\":\"1.08\",\"a\":["),
        ("", "{\"eventVersion\":\"1\",\"eventName\":\"x"),
        ("", "{\"eventVersion\":{\"a\":1},"),
        ("", "{\"Records\":[{\"eventVersion\":\"1\",\"eventName\":"),
        ("", "{\"Records\":[] x"),
        ("", "{\"logEvents\":[{\"id\":"),
        ("", "{\"detail\":{\"a\":1,"),
        ("", "[[[[[[[["),
        ("[", "\"{\\\"a"),
        ("", nested.as_str()),
    ] {
        let input = format!("{head}{}", unit.repeat((4 << 20) / unit.len()));
        let start = std::time::Instant::now();
        let found = decode(input.as_bytes(), Limits::default());
        let took = start.elapsed();
        println!("{took:>8.2?} {} faults: {unit}", found.faults.len() as u64 + found.more_faults);
        assert!(took.as_secs_f32() < 3.0, "{took:?}: {unit}");
    }
}

/// What stands in a log can be a secret, above all where it is broken.
#[test]
fn no_fault_shows_what_stands_in_the_log() {
    const SECRET: &str = "kept-to-myself";
    let fragments = [
        format!(r#""externalId": "{SECRET}""#),
        format!("{SECRET} externalId"),
        format!(r#"{{"sessionToken":"{SECRET}"#),
        format!(r#"{{"eventVersion":"1","sessionToken":"{SECRET}",}}"#),
        format!(r#"{{"eventName":["{SECRET}"],"eventSource":"x"}}"#),
        format!(r#"{{"eventName":{{"{SECRET}":1}}}}"#),
        format!(r#"{{"externalId":"{SECRET}"}}"#),
    ];
    for fragment in &fragments {
        for input in [
            fragment.clone(),
            format!("{OURS}\n{fragment}\n{OURS}"),
            format!(r#"{{"Records":[{OURS},{fragment},{OURS}]}}"#),
            format!(r#"{{"logEvents":[{{"id":"1","message":{}}}]}}"#, message(fragment)),
            format!(r#"{{"logEvents":[{{"id":"1","message":{fragment}}}]}}"#),
        ] {
            let faults = decoded(&input).2;
            assert!(!faults.is_empty(), "{input}");
            assert!(!format!("{faults:?}").contains("kept"), "{faults:?}");
        }
    }
}

#[test]
fn of_millions_of_faults_a_thousand_are_kept_and_all_are_counted() {
    let found = decode("{}\n".repeat(50_000).as_bytes(), Limits::default());
    assert_eq!(found.faults.len() as u64 + found.more_faults, 50_000);
    assert_eq!(found.faults.len(), 1_000);
}

fn compressed(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// The bytes of one record can be had again, by its number: of a broken one up to where reading
/// went on, of one inside a string the text.
#[test]
fn pieces_are_the_bytes_of_their_records() {
    let log = |messages: &[&str]| {
        let events: Vec<String> = messages
            .iter()
            .map(|m| format!(r#"{{"id":"1","timestamp":1,"message":{}}}"#, message(m)))
            .collect();
        format!(r#"{{"messageType":"DATA_MESSAGE","logEvents":[{}]}}"#, events.join(","))
    };
    let broken = r#"{"eventVersion":"1.08","eventName":}"#;
    for (input, number, piece) in [
        (format!("{OURS}\n{OTHER}"), 1, OURS),
        (format!("{OTHER}\nno json\n{OURS}"), 2, "no json\n"),
        (format!(r#"{{"Records":[{OURS},{broken},{OURS}]}}"#), 2, broken),
        (log(&[OTHER, "plain text", OURS]), 2, "plain text"),
        (log(&[OURS, broken, OURS]), 2, broken),
        (log(&[OURS, "plain text", OURS]), 3, OURS),
        (log(&[OTHER, OURS, OTHER, OTHER]), 2, OURS),
        (format!("[{OURS},{{\"eventVersion\":\"1."), 2, "{\"eventVersion\":\"1."),
        (format!("[{OURS}"), 2, ""),
    ] {
        // Of the bytes for which a checksum vouches most records are read in another way.
        for bytes in [input.as_bytes(), &compressed(&input)] {
            let found = pieces(bytes, Limits::default(), &[number].into());
            let found: Vec<_> = found.into_iter().collect();
            assert_eq!(found, [(number, piece.as_bytes().to_vec())], "{input}");
        }
    }
}

#[test]
fn texts_are_all_sound_records_without_their_envelopes() {
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/envelopes");
    let read = |bytes: &[u8]| {
        let mut found: Vec<Value> = Vec::new();
        let decoded = texts(bytes, Limits::default(), &mut |text| {
            found.push(serde_json::from_slice(text).unwrap());
        });
        (found, decoded.faults.len())
    };
    let file = |name: &str| read(&std::fs::read(fixtures.join(name)).unwrap());
    let expected = file("lines.jsonl");
    assert_eq!((expected.0.len(), expected.1), (3, 0));
    for name in ["records.json.gz", "array.json", "eventbridge.jsonl", "cloudwatch-logs.json.gz"] {
        assert_eq!(file(name), expected, "{name}");
    }
    let (found, faults) = read(br#"[{"eventName":"A"},{"eventName":},{"eventName":"B"}]"#);
    assert_eq!((found.len(), faults), (2, 1));
}
