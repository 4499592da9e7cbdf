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
    }
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
            if let Some(record) = tape.read(text) {
                assert_eq!(
                    tree(record.root()),
                    serde_json::from_str::<Value>(text).unwrap(),
                    "{text}"
                );
            }
        }
    }
}
