//! The text of a JSON string, as far as CloudTrail escapes anything in it.

use fearless_simd::{Level, Simd, dispatch};

use super::ends_of_strings;

/// What a JSON string says, written to `room`, and where what stands at `mark` is there.
pub(super) fn unescape<'a>(
    string: &[u8],
    mark: usize,
    room: &'a mut Vec<u8>,
) -> Option<(&'a [u8], usize)> {
    dispatch!(Level::new(), simd => unescape_with(simd, string, mark, room))
}

#[inline(always)]
fn unescape_with<'a, V: Simd>(
    simd: V,
    string: &[u8],
    mark: usize,
    room: &'a mut Vec<u8>,
) -> Option<(&'a [u8], usize)> {
    // Nothing gets longer. What is in the room already is written over, so that nothing is made
    // to be written to.
    if room.len() < string.len() {
        room.resize(string.len().next_power_of_two(), 0);
    }
    let (mut from, mut to, mut marked) = (0, 0, None);
    let mut ends = ends_of_strings(simd, string);
    loop {
        // What was escaped is no end.
        let at = ends.find(|it| *it >= from).unwrap_or(string.len());
        if (from..=at).contains(&mark) {
            marked = Some(to + (mark - from));
        }
        copy(string.get(from..)?, room.get_mut(to..)?, at - from)?;
        to += at - from;
        let Some(escape) = string.get(at..).filter(|rest| !rest.is_empty()) else { break };
        let (byte, len) = match escape {
            [b'\\', it @ (b'"' | b'\\' | b'/'), ..] => (*it, 2),
            [b'\\', b'n', ..] => (b'\n', 2),
            [b'\\', b't', ..] => (b'\t', 2),
            [b'\\', b'u', digits @ ..] => (ascii(digits.get(..4)?)?, 6),
            _ => return None,
        };
        *room.get_mut(to)? = byte;
        (from, to) = (at + len, to + 1);
    }
    Some((room.get(..to)?, marked?))
}

/// Copies the first `len` bytes, and of a few more than there are where that is faster: what is
/// between two quotes is short.
fn copy(from: &[u8], to: &mut [u8], len: usize) -> Option<()> {
    match (from.first_chunk::<16>(), to.first_chunk_mut::<16>()) {
        (Some(from), Some(to)) if len <= 16 => *to = *from,
        _ => to.get_mut(..len)?.copy_from_slice(from.get(..len)?),
    }
    Some(())
}

/// The ASCII character with that code in hexadecimal digits.
fn ascii(digits: &[u8]) -> Option<u8> {
    let code = u8::from_str_radix(std::str::from_utf8(digits.strip_prefix(b"00")?).ok()?, 16);
    code.ok().filter(u8::is_ascii)
}
