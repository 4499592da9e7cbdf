//! The text of a JSON string, as far as CloudTrail escapes anything in it.

use fearless_simd::{Level, Simd, SimdBase, SimdFrom, SimdMask, dispatch, u8x32};

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

/// What is copied and looked at in one go: what is between two quotes is short.
const CHUNK: usize = 32;

/// Writes what a part of a string says to `room`, from `to` on; where that ends.
#[inline(always)]
fn append<V: Simd>(simd: V, string: &[u8], room: &mut [u8], to: usize) -> Option<usize> {
    let size = room.len();
    let (mut rest, mut room) = (string, room.get_mut(to..)?);
    loop {
        // All of a chunk is written, and over what is behind its plain part again.
        let chunk = rest.first_chunk().copied().unwrap_or_else(|| padded(rest));
        *room.first_chunk_mut()? = chunk;
        let plain = plain(simd, chunk);
        let byte;
        (byte, rest) = match rest.get(plain..)? {
            [b'\\', it @ (b'"' | b'\\' | b'/'), behind @ ..] => (*it, behind),
            [b'\\', code @ ..] => coded(code)?,
            [] => return Some(size - room.len() + plain),
            behind if plain == CHUNK => {
                (rest, room) = (behind, room.get_mut(plain..)?);
                continue;
            }
            // What would have ended the string, or is not in one.
            _ => return None,
        };
        *room.get_mut(plain)? = byte;
        room = room.get_mut(plain + 1..)?;
    }
}

/// How many bytes stand before the first that a string does not hold as it is.
#[inline(always)]
fn plain<V: Simd>(simd: V, chunk: [u8; CHUNK]) -> usize {
    let bytes = u8x32::simd_from(simd, chunk);
    let is_control = bytes.min(0x1f).simd_eq(bytes);
    let others = bytes.simd_eq(b'"') | bytes.simd_eq(b'\\') | is_control;
    let behind_the_last = 1 << CHUNK;
    (others.to_bitmask() | behind_the_last).trailing_zeros() as usize
}

/// The last of a text that is shorter than a chunk, with NUL behind it, which no string holds.
#[cold]
fn padded(rest: &[u8]) -> [u8; CHUNK] {
    let mut chunk = [0; CHUNK];
    chunk.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    chunk
}

/// What is said by a backslash and a text for another character than itself, and what stands
/// behind that.
#[cold]
fn coded(text: &[u8]) -> Option<(u8, &[u8])> {
    match text {
        [b'n', behind @ ..] => Some((b'\n', behind)),
        [b't', behind @ ..] => Some((b'\t', behind)),
        [b'u', code @ ..] => {
            let (digits, behind) = code.split_at_checked(4)?;
            Some((ascii(digits)?, behind))
        }
        _ => None,
    }
}

/// The ASCII character with that code in hexadecimal digits.
fn ascii(digits: &[u8]) -> Option<u8> {
    let code = u8::from_str_radix(std::str::from_utf8(digits.strip_prefix(b"00")?).ok()?, 16);
    code.ok().filter(u8::is_ascii)
}
