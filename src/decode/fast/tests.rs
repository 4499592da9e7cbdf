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
    let start = record_start::<S>(bytes, first).unwrap();
    let (mut at, mut count, mut hits) = (first, 0, Hits::new(simd, bytes, start + 1));
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
        (r#"x","a":[{"b":[{"d":[[{"e":1}]]}]}],"c":{"d":{}}"#, true),
        (r#"x","a":[[],["b"]],"c":1"#, true),
        // Nothing tells where it ends.
        (r#"x","a":[1,[2],{"b":[]}],"c":"[x] y]""#, false),
        (r#"x","a":[{"b":["x",{"c":1}],"d":[{}"#, false),
        (r#"x","a":[{"b":1},2],"c":1"#, false),
        (r#"x","a":[{"b":1},"d"],"c":1"#, false),
        (r#"x","a":[{}],"c":1"#, false),
        (r#"x","a":"a:[{","c":1"#, false),
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
