use serde_json::Value;

use super::*;

/// The tree of what a tape has taken, built from the tape alone.
fn tree(node: Node<'_>) -> Value {
    match node.kind() {
        Kind::Null => Value::Null,
        Kind::Bool => Value::Bool(node.raw() == "true"),
        Kind::Number => serde_json::from_str(node.raw()).unwrap(),
        Kind::String => Value::String(node.string().unwrap().into_owned()),
        Kind::Array => node.elements().map(tree).collect(),
        Kind::Object => {
            let mut map = serde_json::Map::new();
            let mut index = node.index + 1;
            while index < node.entry().next as usize {
                let key = Node { index, ..node }.string().unwrap().into_owned();
                let value = Node { index: index + 1, ..node };
                map.insert(key, tree(value));
                index = value.entry().next as usize;
            }
            Value::Object(map)
        }
    }
}

#[test]
fn what_it_takes_is_json_and_read_as_the_same() {
    let mut tape = Tape::default();
    for text in [
        r#"{"a":{"b":[1,-20,{"c":null}],"d":[]},"e":{},"f":"","g":true,"h":false}"#,
        r#"{"a\u0062":"\u00e9\n\"\\\/","long enough for a step":"eight by eight, and äöü"}"#,
        "[]",
        r#""text""#,
        "123456789012345678",
        "0",
    ] {
        let record = tape.read(text).unwrap_or_else(|| panic!("{text}"));
        assert_eq!(tree(record.root()), serde_json::from_str::<Value>(text).unwrap());
        let escaped = in_string(text);
        let record = tape.read_in_string(&escaped).unwrap_or_else(|| panic!("{escaped}"));
        assert_eq!(tree(record.root()), serde_json::from_str::<Value>(text).unwrap());
        assert_eq!(record.root().json(), text);
    }
}

/// A text as it is escaped in a JSON string.
fn in_string(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted.get(1..quoted.len() - 1).unwrap().to_owned()
}

/// What a text holds that stands in a JSON string, for a full parser.
fn tree_in_string(text: &str) -> Option<Value> {
    let said: String = serde_json::from_str(&format!("\"{text}\"")).ok()?;
    serde_json::from_str(&said).ok()
}

#[test]
fn of_several_members_the_last_counts() {
    let mut tape = Tape::default();
    let record = tape.read(r#"{"a":1,"b":"x","\u0061":2}"#).unwrap();
    let node = record.root();
    assert_eq!(node.member("a").map(Node::raw), Some("2"));
    assert!(node.only_text("a").is_none() && node.only_text("b").is_some());
    assert!(node.member("c").is_none());
}

#[test]
fn what_is_no_json_or_unusual_is_refused() {
    let deep = "[".repeat(100) + &"]".repeat(100);
    let mut tape = Tape::default();
    for text in [
        "",
        "{",
        "{}}",
        "[1,]",
        "[,1]",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "[1 ,2]",
        " 1",
        "01",
        "-0",
        "1.5",
        "1e3",
        "-",
        "1234567890123456789",
        "nul",
        "truex",
        "\"a",
        "\"\n\"",
        "\"\u{1}\"",
        r#""\x""#,
        r#""\u12g4""#,
        r#""\ud800\udc00""#,
        "[}",
        "{]",
        "{\"a\":1]",
        deep.as_str(),
    ] {
        assert!(tape.read(text).is_none(), "{text}");
    }
}

/// Whatever one byte is replaced by: a tape never takes what is no JSON, or reads it wrongly.
#[test]
fn no_damage_makes_it_more_lenient_than_a_full_parser() {
    let text = r#"{"eventVersion":"1.08","a":[{"b\n":-1},true,"\u00e9 é"],"c":{"d":null}}"#;
    let mut tape = Tape::default();
    for at in 0..text.len() {
        for with in 0..=u8::MAX {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = with;
            let Ok(text) = std::str::from_utf8(&bytes) else { continue };
            let plain = tape.read(text).map(|record| tree(record.root()));
            if let Some(plain) = &plain {
                assert_eq!(*plain, serde_json::from_str::<Value>(text).unwrap(), "{text}");
            }
            // Escaped in a string it is the same, and taken where it would be else.
            let escaped = in_string(text);
            let record = tape.read_in_string(&escaped).map(|record| tree(record.root()));
            assert_eq!(record, plain, "{escaped}");
        }
    }
}

#[test]
fn in_a_string_no_damage_makes_it_more_lenient_than_two_full_parsers() {
    const ODD: [&str; 16] = [
        "\"", r#"\""#, r"\", r"\\", r#"\\""#, r#"\\\""#, r"\\\\", r"\/", r"\\\/", r"\u003c",
        r"\u0022", r"\u005c", r"\\u0041", r"\n", r"\\n", "\n",
    ];
    let text =
        in_string(r#"{"a\"b":["\\x","c\/d","\u00e9 é",{"e\n":-1}],"arn":{"f":null},"g":""}"#);
    let (mut tape, mut rng) = (Tape::default(), fastrand::Rng::with_seed(1));
    let (mut taken, mut sound) = (0, 0);
    for _ in 0..200_000 {
        // So that what is damaged stands at any place of a block of 64 bytes.
        let padding = "x".repeat(rng.usize(..70));
        let mut text = format!(r#"{{\"p\":\"{padding}\",{}"#, text.strip_prefix('{').unwrap());
        for _ in 0..rng.usize(1..4) {
            let mut at = || text.floor_char_boundary(rng.usize(..=text.len()));
            let (from, to) = (at(), at());
            let cut = rng.bool() && from <= to && to - from < 4;
            text.replace_range(from..if cut { to } else { from }, rng.choice(ODD).unwrap());
        }
        let expected = tree_in_string(&text);
        sound += u32::from(expected.is_some());
        if let Some(record) = tape.read_in_string(&text) {
            assert_eq!(Some(tree(record.root())), expected, "{text}");
            let json: Value = serde_json::from_str(&record.root().json()).unwrap();
            assert_eq!(Some(json), expected, "{text}");
            taken += 1;
        }
    }
    // The others have white space between their values, or are escaped as CloudTrail does not.
    assert!(taken > 10_000 && taken > sound / 2, "{taken} of {sound} were taken");
}

#[test]
fn a_long_text_in_a_string_is_read_to_its_last_byte() {
    let mut tape = Tape::default();
    for length in 0..200 {
        let text =
            format!(r#"{{"a":"{}","b":"\\{}"}}"#, "x".repeat(length), "y".repeat(length / 3));
        let escaped = in_string(&text);
        let record = tape.read_in_string(&escaped).unwrap();
        assert_eq!(tree(record.root()), serde_json::from_str::<Value>(&text).unwrap());
        for end in 0..escaped.len() {
            assert!(tape.read_in_string(escaped.get(..end).unwrap()).is_none());
        }
    }
}
