//! Finding where JSON values begin and end, without reading what is inside them.
//!
//! A full parser stops at the first error and takes the rest of a file with it. This scanner
//! only counts brackets outside of strings, so a value can be found, and skipped, whatever is
//! wrong inside it. What it finds is validated by a real parser afterwards.

use memchr::{memchr2, memchr3};

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

/// Brackets inside brackets, as many as the parser of records puts up with.
const MAX_OPEN: usize = 128;

/// Where a value breaks that is no JSON.
pub(super) struct Broken {
    /// The byte that cannot stand there, or the end of the input.
    pub at: usize,
    /// Brackets are nested too deep there; that need not be so for an inner one.
    pub deep: bool,
}

/// The end of the array or object at `from`, as far as it looks like JSON: brackets that match,
/// strings without line breaks and followed by a delimiter. So a lost quote is noticed at once,
/// and not at the end of the input. `open` is left with the brackets open where it broke.
pub(super) fn strict_end(
    bytes: &[u8],
    from: usize,
    open: &mut Vec<usize>,
) -> Result<usize, Broken> {
    open.clear();
    let mut at = from;
    loop {
        let broken = Broken { at, deep: false };
        match bytes.get(at) {
            None => return Err(broken),
            Some(b'"') => {
                let Some(end) = strict_string_end(bytes, at) else { return Err(broken) };
                at = skip_space(bytes, end);
                if !matches!(bytes.get(at), Some(b',' | b':' | b']' | b'}')) {
                    return Err(broken);
                }
                continue;
            }
            Some(b'{' | b'[') => {
                open.push(at);
                if open.len() > MAX_OPEN {
                    return Err(Broken { at, deep: true });
                }
            }
            Some(close @ (b'}' | b']')) => {
                let opened = open.last().and_then(|it| bytes.get(*it));
                // In ASCII, `{` and `}` as well as `[` and `]` are two apart.
                if opened != Some(&(close - 2)) {
                    return Err(broken);
                }
                open.pop();
                if open.is_empty() {
                    return Ok(at + 1);
                }
            }
            Some(_) => {}
        }
        at += 1;
    }
}

fn strict_string_end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from + 1;
    loop {
        at += memchr3(b'"', b'\\', b'\n', bytes.get(at..)?)?;
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => return None,
        }
    }
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
    fn a_value_that_is_no_json_breaks_where_it_is_seen() {
        for (input, end) in [
            (r#"{"a":[1,{"b":"}"}]} x"#, Ok(19)),
            (r#"{"a":"b"c"}"#, Err(5)),
            (r#"{"a":[}"#, Err(6)),
            ("{\"a\":\"b\n\"}", Err(5)),
            (r#"{"a":["#, Err(6)),
        ] {
            let found = strict_end(input.as_bytes(), 0, &mut Vec::new());
            assert_eq!(found.map_err(|broken| broken.at), end, "{input}");
        }
    }
}
