//! What brackets can be told from text without reading the strings of a record.

use super::behind;

/// Whether the `[` at `at`, behind which an object begins, begins an array, or else a string ends
/// there or goes on. Of one that is empty nothing tells.
pub(super) fn may_open(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|it| bytes.get(it));
    let behind = bytes.get(at + 1..).unwrap_or_default();
    matches!(before, Some(b':' | b'[' | b','))
        && matches!(behind, [b'{', b'"', key, ..] if key.is_ascii_alphabetic())
}

/// Whether a text that follows a quote is a key, as far as nothing in it is escaped.
pub(super) fn begins_with_key(text: &[u8]) -> bool {
    let end = memchr::memchr2(b'"', b'\\', text);
    end.and_then(|end| text.get(end..)).is_some_and(|it| it.starts_with(b"\":"))
}

/// Brackets and braces that close, in a row.
pub(super) struct Row {
    pub(super) end: usize,
    /// Whether its `]` end arrays, or are text; `None` where what follows does not tell.
    pub(super) closes: Option<bool>,
}

impl Row {
    /// The row at `at`. `between` is what stands behind the last brace of a record.
    pub(super) fn of(bytes: &[u8], at: usize, between: &[u8]) -> Self {
        let rest = bytes.get(at..).unwrap_or_default();
        let rest = behind(rest, |it| matches!(it, b']' | b'}'));
        let closes = match rest {
            // Were this inside a string, the quote would end it, and a key or value could not
            // follow.
            [b',', b'"', key, ..] | [b',', b'{', b'"', key, ..] => {
                let ends_string =
                    matches!(key, b',' | b':' | b']' | b'}') || key.is_ascii_whitespace();
                (!ends_string).then_some(true)
            }
            _ if rest.starts_with(between) => Some(true),
            [b'"' | b'\\', ..] | [b',', b'\\', ..] | [b',', b'{', b'\\', ..] => Some(false),
            _ => rest.trim_ascii_start().is_empty().then_some(false),
        };
        Self { end: bytes.len() - rest.len(), closes }
    }
}
