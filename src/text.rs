//! Text that came from a log: bounded, and hostile until a format has escaped it.
//!
//! Session names, user agents, source identities and error messages are chosen by whoever makes
//! the call. [`Text`] cuts them to a bound when they are read and has no `Display`, so that they
//! reach an output only through that output's own escaping.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// A piece of log text, at most [`Text::MAX_BYTES`] long.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Text(SmolStr);

impl Text {
    /// Bytes kept of one text. Above every limit that AWS sets on what we read (a session name
    /// has 64 characters, a source identity 64, a role ARN 2,048 of which 512 are path).
    pub const MAX_BYTES: usize = 1_024;

    /// Keeps the head of `raw`, cut at a character boundary, with `…` where something was cut.
    #[must_use]
    pub fn clip(raw: &str) -> Self {
        if raw.len() <= Self::MAX_BYTES {
            Self(raw.into())
        } else {
            Self(clip(raw, Self::MAX_BYTES).into())
        }
    }

    /// The text as it was read. Whoever prints it escapes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text as it was read, for others to share.
    #[must_use]
    pub fn to_shared(&self) -> SmolStr {
        self.0.clone()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// The head of `raw` in at most `max_bytes`, ending in `…` where something was cut.
#[must_use]
pub fn clip(raw: &str, max_bytes: usize) -> String {
    if raw.len() <= max_bytes {
        return raw.to_owned();
    }
    let room = max_bytes.saturating_sub('…'.len_utf8());
    let end = raw.floor_char_boundary(room);
    let mut kept = raw.get(..end).unwrap_or_default().to_owned();
    kept.push('…');
    kept
}

/// `raw` for use inside a sentence: one line, no control or direction characters, short.
///
/// Everything that could move a cursor, break a line or turn the reading direction is written
/// as its code point, so a sentence stays one sentence in a terminal, an e-mail or a chat.
#[must_use]
pub fn inline(raw: &str) -> String {
    if is_plain(raw) {
        return raw.to_owned();
    }
    escape_controls(&clip(raw, LONGEST_IN_A_SENTENCE))
}

const LONGEST_IN_A_SENTENCE: usize = 128;

/// Whether a text stands inside a sentence as it is: what [`inline`] leaves alone.
#[must_use]
pub fn is_plain(raw: &str) -> bool {
    // Looks at all of it, which takes less than to ask after every byte whether to go on.
    let is_plain = |byte: u8| byte.is_ascii() & !byte.is_ascii_control();
    raw.len() <= LONGEST_IN_A_SENTENCE && raw.bytes().fold(true, |all, byte| all & is_plain(byte))
}

/// `raw` with every character that [`is_hostile`] written as `\u{…}`.
#[must_use]
pub fn escape_controls(raw: &str) -> String {
    if !raw.chars().any(is_hostile) {
        return raw.to_owned();
    }
    let mut safe = String::with_capacity(raw.len() + 16);
    for c in raw.chars() {
        if is_hostile(c) { safe.extend(c.escape_unicode()) } else { safe.push(c) }
    }
    safe
}

/// Escapes what JSON allows inside a string but a terminal acts on: DEL, the C1 controls, line
/// and paragraph separators, and the characters that turn the reading direction.
///
/// Such characters can stand only inside the strings of a serialised document, so the result is
/// the same document.
#[must_use]
pub fn escape_json_line(json: &str) -> String {
    if !json.chars().any(is_hostile) {
        return json.to_owned();
    }
    let mut safe = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_hostile(c) {
            let mut units = [0_u16; 2];
            for unit in c.encode_utf16(&mut units) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            safe.push(c);
        }
    }
    safe
}

/// The text without the two characters that SQS refuses and JSON does not escape; the control
/// characters that it refuses as well are escaped in all that rolewatch sends. SNS would take
/// them, and drop the message on its way to a queue.
#[must_use]
pub fn deliverable(text: String) -> String {
    const REFUSED: [char; 2] = ['\u{FFFE}', '\u{FFFF}'];
    if text.contains(REFUSED) { text.replace(REFUSED, "\u{FFFD}") } else { text }
}

/// `1 record`, `2 records`.
#[must_use]
pub fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// The items of a list for a sentence, `a, b and c`; of many the first few and how many more.
#[must_use]
pub fn listed(items: &[String], word: &str) -> String {
    const TOLD: usize = 4;
    let more = match items.len().saturating_sub(TOLD) {
        0 => None,
        // One more takes no more room than to say so.
        more => Some(format!("{} more", more + 1)),
    };
    let told = items.len().min(if more.is_some() { TOLD - 1 } else { TOLD });
    let mut told: Vec<&str> = items.iter().take(told).map(String::as_str).collect();
    told.extend(more.as_deref());
    match told.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, rest)) => format!("{} {word} {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// A text with its `%XX` and `+` decoded, as IAM encodes the policies in its answers; `None`
/// where it is not so encoded.
#[must_use]
pub fn url_decoded(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                let digits = std::str::from_utf8(&digits).ok().filter(|it| !it.contains('+'))?;
                decoded.push(u8::from_str_radix(digits, 16).ok()?);
            }
            b'+' => decoded.push(b' '),
            plain => decoded.push(plain),
        }
    }
    String::from_utf8(decoded).ok()
}

/// Whether a character can disturb more than its own place on a screen.
#[must_use]
pub fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clip_cuts_at_a_character_and_says_so() {
        assert_eq!(clip("héllo", 6), "héllo");
        assert_eq!(clip("ééééé", 8), "éé…");
        assert_eq!(Text::clip(&"x".repeat(100_000)).as_str().len(), Text::MAX_BYTES);
    }

    #[test]
    fn inline_text_is_one_printable_line() {
        let hostile = "a\u{1b}[2J\r\nb\u{9b}31m\u{202e}c";
        let shown = inline(hostile);
        assert_eq!(shown, "a\\u{1b}[2J\\u{d}\\u{a}b\\u{9b}31m\\u{202e}c");
        assert!(inline(&"n".repeat(1_000)).len() <= 128);
    }

    #[test]
    fn a_long_list_tells_its_head_and_counts_the_rest() {
        let list = |count: usize| {
            let items: Vec<String> = (1..=count).map(|it| it.to_string()).collect();
            listed(&items, "and")
        };
        assert_eq!([list(0), list(1), list(2)], ["", "1", "1 and 2"]);
        assert_eq!([list(4), list(9)], ["1, 2, 3 and 4", "1, 2, 3 and 6 more"]);
    }

    #[test]
    fn an_escaped_json_line_is_the_same_document() {
        let value = serde_json::json!({"name": "a\u{9b}\u{202e}\u{2028}\u{e0041}b"});
        let line = escape_json_line(&value.to_string());
        assert!(!line.chars().any(is_hostile), "{line}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), value);
    }
}
