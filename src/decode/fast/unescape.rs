//! The text of a JSON string, as far as CloudTrail escapes anything in it.

use fearless_simd::{Level, Simd, dispatch};

use crate::json::{Backslashes, Marks, QuotesAndControls};

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
    if room.len() < string.len() + CHUNK {
        room.resize((string.len() + CHUNK).next_power_of_two(), 0);
    }
    let (head, tail) = string.split_at_checked(mark)?;
    let marked = append(simd, head, room, 0)?;
    let end = append(simd, tail, room, marked)?;
    Some((room.get(..end)?, marked))
}

/// Writes what a part of a string says to `room`, from `to` on; where that ends.
#[inline(always)]
fn append<V: Simd>(simd: V, string: &[u8], room: &mut [u8], mut to: usize) -> Option<usize> {
    let (mut from, mut quotes) = (0, 0);
    // Most of what is escaped is a quote, which need not be looked for to be copied.
    let mut escapes = Marks::<V, Backslashes>::new(simd, string, 0);
    loop {
        // What was escaped is no escape.
        let at = escapes.next_from(from);
        let len = at.unwrap_or(string.len()) - from;
        copy(string.get(from..)?, room.get_mut(to..)?, len)?;
        to += len;
        let Some(at) = at else { break };
        let (byte, escape) = match *string.get(at + 1)? {
            b'"' => {
                quotes += 1;
                (b'"', 2)
            }
            it @ (b'\\' | b'/') => (it, 2),
            b'n' => (b'\n', 2),
            b't' => (b'\t', 2),
            b'u' => (ascii(string.get(at + 2..at + 6)?)?, 6),
            _ => return None,
        };
        *room.get_mut(to)? = byte;
        (from, to) = (at + escape, to + 1);
    }
    // Another quote would have ended the string.
    let all_quotes = Marks::<V, QuotesAndControls>::new(simd, string, 0).count();
    (all_quotes == quotes).then_some(to)
}

/// What is copied in one go: what is between two quotes is short.
const CHUNK: usize = 32;

/// Copies the first `len` bytes, and of a few more than there are where that is faster.
#[inline(always)]
fn copy(from: &[u8], to: &mut [u8], len: usize) -> Option<()> {
    match (from.first_chunk::<CHUNK>(), to.first_chunk_mut::<CHUNK>()) {
        (Some(from), Some(to)) if len <= CHUNK => {
            *to = *from;
            Some(())
        }
        _ => copy_long(from, to, len),
    }
}

// Inlined, both ways of copying would become the slower one.
#[inline(never)]
fn copy_long(from: &[u8], to: &mut [u8], len: usize) -> Option<()> {
    to.get_mut(..len)?.copy_from_slice(from.get(..len)?);
    Some(())
}

/// The ASCII character with that code in hexadecimal digits.
fn ascii(digits: &[u8]) -> Option<u8> {
    let code = u8::from_str_radix(std::str::from_utf8(digits.strip_prefix(b"00")?).ok()?, 16);
    code.ok().filter(u8::is_ascii)
}
