#[path = "../../../benches/support/corpus.rs"]
#[allow(dead_code, reason = "the benchmarks use all of it")]
mod corpus;

use super::*;

/// How many records in a row are passed over.
fn run(shape: &Shape, text: &str, first: &str) -> usize {
    let bytes = text.as_bytes();
    let first = memchr::memmem::find(bytes, first.as_bytes()).unwrap_or_default();
    let (mut at, mut count, mut marks) = (first, 0, Marks::new(bytes, first));
    while let Some(start) = record_start(shape, bytes, at)
        && let Some(passed) = passed(shape, &mut marks, bytes, start)
    {
        (at, count) = (passed.next, count + 1);
    }
    count
}

/// The last one has nothing behind it that would show its end.
#[test]
fn all_but_the_last_of_plain_records_are_passed_over() {
    let mut corpus = corpus::Corpus::seeded(1, 100);
    assert_eq!(run(&ELEMENTS, &corpus.file(1_000), r#"{"eventVersion"#), 999);
    assert_eq!(run(&MESSAGES, &corpus.subscription(1_000), r#"{"id""#), 999);
    let lines: Vec<String> = (0..100).map(|_| corpus.record()).collect();
    assert_eq!(run(&LINES, &lines.join("\n"), r#"{"eventVersion"#), 99);
}

#[test]
fn brackets_are_told_from_those_in_strings_or_nothing_is() {
    for (text, is_inside) in [
        (r#"x","a":[1,[2],{"b":[]}],"c":"[x] y]""#, true),
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
        let bytes = format!(r#"{text}}},{{"eventVersion":"1"#);
        let bytes = bytes.as_bytes();
        let found = boundary(&ELEMENTS, &mut Marks::new(bytes, 0), bytes);
        assert_eq!(found, is_inside.then_some(text.len()), "{text}");
    }
}

#[test]
fn what_a_string_says_and_where() {
    let mut text = Vec::new();
    let string = br#"{\"a\":\"b\\\"\u003c\/\",\"name\":\"x\"}"#;
    let mark = memchr::memmem::find(string, b"x").unwrap();
    let marked = unescape(string, mark, &mut text);
    assert_eq!(text, br#"{"a":"b\"</","name":"x"}"#);
    assert_eq!(marked, memchr(b'x', &text));
    for odd in [&br#"a"b"#[..], br"a\u00e9", br"a\x", br"a\"] {
        assert_eq!(unescape(odd, 0, &mut text), None);
    }
}
