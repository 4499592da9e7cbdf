//! Where the strings of a text end.
//!
//! A text may stand in a JSON string itself (`IN_STRING`), as a record does in a subscription
//! message. There a backslash stands before each quote that begins or ends a string, and to take
//! those away first would take as long as all the rest.

use fearless_simd::Simd;

use crate::json::marks::{EndsOfStrings, Marks};

/// Where the strings of a text may end.
pub(super) type Ends<'a, V> = Marks<'a, V, EndsOfStrings>;

/// Bytes of the quote that begins or ends a string.
pub(super) const fn quote<const IN_STRING: bool>() -> usize {
    if IN_STRING { 2 } else { 1 }
}

/// The first byte of such a quote.
pub(super) const fn first_of_quote<const IN_STRING: bool>() -> u8 {
    if IN_STRING { b'\\' } else { b'"' }
}

/// Where the string ends of which the first quote begins at `at`, if one does, and whether anything
/// in it is escaped. The marks before that quote have to have been taken: outside of strings no
/// others stand than those of the quotes that begin them.
#[inline(always)]
pub(super) fn end_of_string<V: Simd, const IN_STRING: bool>(
    bytes: &[u8],
    ends: &mut Ends<'_, V>,
    at: usize,
) -> Option<(usize, bool)> {
    if !is_quote::<IN_STRING>(bytes, at) {
        return None;
    }
    pass_quote::<V, IN_STRING>(ends)?;
    let end = ends.next()?;
    if is_quote::<IN_STRING>(bytes, end) {
        if IN_STRING {
            ends.pass()?;
        }
        return Some((end, false));
    }
    let (end, behind) = end_of_escaped::<V, IN_STRING>(bytes, ends.clone(), end)?;
    *ends = behind;
    Some((end, true))
}

/// Takes the marks of a quote.
#[inline(always)]
fn pass_quote<V: Simd, const IN_STRING: bool>(ends: &mut Ends<'_, V>) -> Option<()> {
    if IN_STRING {
        ends.pass()?;
    }
    ends.pass()
}

#[inline(always)]
fn is_quote<const IN_STRING: bool>(bytes: &[u8], at: usize) -> bool {
    match IN_STRING {
        true => bytes.get(at + 1) == Some(&b'"') && bytes.get(at) == Some(&b'\\'),
        false => bytes.get(at) == Some(&b'"'),
    }
}

/// The end of a string in which something is escaped, or may not stand, first at `at`; and the
/// ends behind it.
#[cold]
fn end_of_escaped<'a, V: Simd, const IN_STRING: bool>(
    bytes: &[u8],
    mut ends: Ends<'a, V>,
    mut at: usize,
) -> Option<(usize, Ends<'a, V>)> {
    while !is_quote::<IN_STRING>(bytes, at) {
        if bytes.get(at) != Some(&b'\\') {
            return None;
        }
        let behind = match IN_STRING {
            true => behind_escape_in_string(bytes, at + 1)?,
            false => behind_escape(bytes, at + 1)?,
        };
        // What was escaped is no end.
        at = ends.next_from(behind)?;
    }
    if IN_STRING {
        ends.pass()?;
    }
    Some((at, ends))
}

/// The end of the escape whose letter stands at `at`.
fn behind_escape(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 1),
        b'u' => {
            let digits = bytes.get(at + 1..at + 5)?;
            // `\uD800` to `\uDFFF` are halves of a pair.
            let is_half =
                matches!(digits, [b'd' | b'D', b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F', ..]);
            (!is_half && digits.iter().all(u8::is_ascii_hexdigit)).then_some(at + 5)
        }
        _ => None,
    }
}

/// The same where the text stands in a string, in which the letter may be a backslash that
/// escapes for the text. What says a quote, a backslash or a control character in any other way
/// is refused.
fn behind_escape_in_string(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes.get(at..)? {
        [b'\\', b'\\', b'"' | b'\\' | b'/', ..] => Some(at + 3),
        // This quote ends the outer string, or that backslash escapes something else in it.
        [b'\\', b'"' | b'\\', ..] => None,
        [b'\\', ..] => behind_escape(bytes, at + 1),
        [b'/', ..] => Some(at + 1),
        [b'u', b'0', b'0', digits @ ..] => {
            let digits = std::str::from_utf8(digits.get(..2)?).ok()?;
            let code = u8::from_str_radix(digits, 16).ok()?;
            let is_plain = matches!(code, b' '..=b'~') && !matches!(code, b'"' | b'\\');
            is_plain.then_some(at + 5)
        }
        _ => None,
    }
}
