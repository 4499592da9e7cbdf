//! Finding where JSON values begin and end, without reading what is inside them.
//!
//! A full parser stops at the first error and takes the rest of a file with it. This scanner
//! only counts brackets outside of strings, so a value can be found, and skipped, whatever is
//! wrong inside it. What it finds is validated by a real parser afterwards.

use memchr::{memchr2, memmem};

/// The first position at or after `from` that is not JSON white space.
pub(super) fn skip_space(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n')).count()
}

/// The end of the value that begins at `from`, or `None` if the input ends inside it.
pub(super) fn value_end(bytes: &[u8], from: usize) -> Option<usize> {
    match bytes.get(from)? {
        b'"' => string_end(bytes, from),
        b'{' | b'[' => bracket_end(bytes, from),
        _ => {
            let rest = bytes.get(from..)?;
            let len = rest.iter().take_while(|b| !is_delimiter(**b)).count();
            Some(from + len.max(1))
        }
    }
}

fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b',' | b':' | b']' | b'}' | b'[' | b'{' | b'"' | b' ' | b'\t' | b'\r' | b'\n')
}

fn bracket_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = from;
    loop {
        match bytes.get(at)? {
            b'"' => {
                at = string_end(bytes, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
}

fn string_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from + 1;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

/// The next object after `from` whose first key is `key` (with its quotes): where the next
/// record begins when the one before is too broken to end.
pub(super) fn next_object_beginning_with(bytes: &[u8], from: usize, key: &str) -> Option<usize> {
    let rest = bytes.get(from..)?;
    memmem::find_iter(rest, key).find_map(|hit| {
        let before = rest.get(..hit)?.trim_ascii_end();
        (before.last() == Some(&b'{')).then_some(from + before.len() - 1)
    })
}

/// The next line after `from` that begins like a JSON object or array.
pub(super) fn next_line_of_json(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    memchr::memchr_iter(b'\n', rest).find_map(|newline| {
        let start = skip_space(bytes, from + newline);
        matches!(bytes.get(start), Some(b'{' | b'[')).then_some(start)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_end_where_they_end() {
        for (input, value) in [
            (r#"{"a":[1,{"b":"}"}]} x"#, r#"{"a":[1,{"b":"}"}]}"#),
            (r#""a\"b\\" , 1"#, r#""a\"b\\""#),
            ("12.5e3,", "12.5e3"),
            ("true}", "true"),
            ("[]]", "[]"),
            ("?", "?"),
        ] {
            assert_eq!(value_end(input.as_bytes(), 0), Some(value.len()), "{input}");
        }
        for open in ["{", r#"{"a"#, r#"["a\""#, r#"{"a":["#, r#""a\"#, ""] {
            assert_eq!(value_end(open.as_bytes(), 0), None, "{open}");
        }
    }

    #[test]
    fn the_next_record_is_found_but_not_inside_a_string() {
        let input = br#"{"a": "{\"eventVersion\"", { "eventVersion": 1}"#;
        let at = next_object_beginning_with(input, 1, "\"eventVersion\"").unwrap();
        assert!(input[at..].starts_with(b"{ \"eventVersion\": 1"));
        assert_eq!(next_line_of_json(b"x\ny\n  {}", 0), Some(6));
    }
}
