#[path = "../../../benches/support/corpus.rs"]
#[allow(dead_code, reason = "the benchmarks use all of it")]
mod corpus;

use super::*;

/// How many records in a row are passed over, and what is left behind them.
fn run<'a, S: Shape>(text: &'a str, first: &str) -> (usize, &'a str) {
    dispatch!(Level::new(), simd => run_with::<_, S>(simd, text, first))
}

fn run_with<'a, V: Simd, S: Shape>(simd: V, text: &'a str, first: &str) -> (usize, &'a str) {
    let bytes = text.as_bytes();
    let first = memchr::memmem::find(bytes, first.as_bytes()).unwrap_or_default();
    let (mut at, mut count, mut hits) = (first, 0, Hits::new(simd, bytes, first + 1));
    while let Some(start) = record_start::<S>(bytes, at)
        && let Some(passed) = passed::<_, S>(&mut hits, start)
    {
        (at, count) = (passed.next, count + 1);
    }
    (count, text.get(at..).unwrap_or_default())
}

#[test]
fn all_plain_records_are_passed_over() {
    let mut corpus = corpus::Corpus::seeded(1, 100);
    assert_eq!(run::<InArray>(&corpus.file(1_000), r#"{"eventVersion"#), (1_000, "]}"));
    assert_eq!(run::<Messages>(&corpus.subscription(1_000), r#"{"id""#), (1_000, "]}"));
    let lines: Vec<String> = (0..100).map(|_| corpus.record()).collect();
    assert_eq!(run::<Lines>(&lines.join("\n"), r#"{"eventVersion"#), (100, ""));
    let array = format!("[{}]\n", lines.join(","));
    assert_eq!(run::<InArray>(&array, r#"{"eventVersion"#), (100, "]\n"));
}

#[test]
fn brackets_are_told_from_those_in_strings_or_nothing_is() {
    for (text, is_inside) in [
        (r#"x","a":[{"b":[]},{"d":[1,[2]]}],"c":"[x] y]""#, true),
        (r#"x","a":[{"b":[{"d":[[{}]]}]}],"c":{"d":{}}"#, true),
        (r#"x","a":[[],["b"]],"c":1"#, true),
        // Nothing tells where it ends.
        (r#"x","a":[1,[2],{"b":[]}],"c":"[x] y]""#, false),
        (r#"x","a":[{"b":["x",{"c":1}],"d":[{}"#, false),
        (r#"x","a":[{"b":1},2],"c":1"#, false),
        (r#"x","agent":"[S3Console/0.4]","c":{"d":["e"]},"f":1"#, true),
        (r#"x","p":"{\"Statement\":[{\"Action\":[\"*\"]},{\"a\":1}]}","f":1"#, true),
        (r#"x","a":[{"b":1},{"c":2}],"d":1"#, true),
        (r#"x","a":[{"b":1}"#, false),
        (r#"x","a":[{"b":"],"}"#, false),
        (r#"x","a":"],","b":[{"c":1}"#, false),
        (r#"x"},{"c":1"#, false),
        (r#"x"}, {"c":1"#, false),
        (r#"x"},5,{"c":1"#, false),
        (r#"x"}]},"c":1"#, false),
    ] {
        // So much behind it that its end is told.
        let bytes = format!(r#"{text}}},{{"eventVersion":"{:64}"#, 1);
        let bytes = bytes.as_bytes();
        let end = dispatch!(Level::new(), simd => {
            record_end::<_, InArray>(&mut Hits::new(simd, bytes, 1))
        });
        let found = end.map(|end| end.record);
        assert_eq!(found, is_inside.then_some(text.len() + 1), "{text}");
    }
}

#[test]
fn what_a_string_says_and_where() {
    let mut room = Vec::new();
    for padding in ["", "much longer than what is copied in one go, and than all that"] {
        let string = format!(r#"{{\"a\":\"b\\\"\u003c\/\",\"p\":\"{padding}\",\"name\":\"x\"}}"#);
        let said = format!(r#"{{"a":"b\"</","p":"{padding}","name":"x"}}"#);
        let at = |text: &str| text.rfind('x').unwrap();
        let unescaped = unescape(string.as_bytes(), at(&string), &mut room);
        assert_eq!(unescaped, Some((said.as_bytes(), at(&said))));
    }
    // What is shorter than the one before.
    assert_eq!(unescape(b"x", 0, &mut room), Some((&b"x"[..], 0)));
    for odd in [&br#"a"b"#[..], br"a\u00e9", br"a\x", br"a\", b"a\n"] {
        assert_eq!(unescape(odd, 0, &mut room), None);
    }
}

#[test]
fn strings_of_all_lengths_say_what_a_full_parser_reads() {
    let mut rng = fastrand::Rng::with_seed(1);
    let (mut room, mut read) = (Vec::new(), 0);
    for round in 0..20_000 {
        let parts = (0..round % 100).map(|_| match rng.u8(..8) {
            0 => r#"\""#,
            1 => r"\\",
            2 => r"\n\t\/",
            3 => r"\u003c",
            4 if rng.u8(..50) == 0 => *rng.choice(&["\"", "\n", r"\b", r"\u00e9"]).unwrap(),
            _ => rng.choice(&["x", "Role", "arn:aws:iam::111122223333:role/"]).unwrap(),
        });
        let (head, tail): (String, String) = (parts.collect(), "a name".into());
        let string = format!("{head}{tail}");
        let expected: Option<String> = serde_json::from_str(&format!("\"{string}\"")).ok();
        match unescape(string.as_bytes(), head.len(), &mut room) {
            Some((said, mark)) => {
                assert_eq!(expected.as_deref().map(str::as_bytes), Some(said));
                assert_eq!(said.get(mark..), Some(tail.as_bytes()));
                read += 1;
            }
            // What CloudTrail does not write may be left to the exact way.
            None => {
                assert!(expected.is_none() || [r"\b", r"\u00e9"].iter().any(|it| head.contains(it)))
            }
        }
    }
    assert!((10_000..20_000).contains(&read), "{read} were read");
}
