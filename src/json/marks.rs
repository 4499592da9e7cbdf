//! Where the few bytes of a text stand by which its shape is told, found 64 bytes at a time.

use std::num::NonZeroU64;

use fearless_simd::{Bytes, Simd, SimdBase, SimdFrom, SimdMask, i8x64, mask8x64, u8x64};

/// A set of bytes.
pub(crate) trait Sought: Copy {
    /// Those that belong to it.
    fn among<V: Simd>(self, bytes: u8x64<V>) -> mask8x64<V>;
}

/// Braces and `N`; and `|`, `~` and DEL, for what stands behind `z` in ASCII is told by one
/// comparison.
#[derive(Clone, Copy)]
pub(crate) struct BracesAndN;

impl Sought for BracesAndN {
    #[inline(always)]
    fn among<V: Simd>(self, bytes: u8x64<V>) -> mask8x64<V> {
        // Signed, so that what is no ASCII is less.
        let bytes = bytes.bitcast::<i8x64<V>>();
        bytes.simd_gt(b'z'.cast_signed()) | bytes.simd_eq(b'N'.cast_signed())
    }
}

/// One byte.
#[derive(Clone, Copy)]
pub(crate) struct Only(pub(crate) u8);

impl Sought for Only {
    #[inline(always)]
    fn among<V: Simd>(self, bytes: u8x64<V>) -> mask8x64<V> {
        bytes.simd_eq(self.0)
    }
}

/// What a string ends with or is interrupted by: quotes, backslashes and control characters.
#[derive(Clone, Copy)]
pub(crate) struct EndsOfStrings;

impl Sought for EndsOfStrings {
    #[inline(always)]
    fn among<V: Simd>(self, bytes: u8x64<V>) -> mask8x64<V> {
        bytes.simd_eq(b'"') | bytes.simd_eq(b'\\') | bytes.min(0x1f).simd_eq(bytes)
    }
}

/// The places of all bytes of a set, from some place on, in order.
///
/// One pass for all of them, and a bit for each byte: to search for each by itself takes a pass
/// apiece, and to begin a search anew at each of them takes longer than all the bytes between two.
/// `V` is what the processor can do. It is asked once, far outside, and everything between there
/// and here is inlined, so that all of it is built for each kind of processor. Neither a closure
/// may stand between, nor may a reference to it be handed to what is not inlined: what is left of
/// a block would be kept in memory instead of a register.
#[derive(Clone)]
pub(crate) struct Marks<'a, V, S> {
    simd: V,
    /// The blocks that were not looked at.
    blocks: std::slice::Iter<'a, [u8; BLOCK]>,
    /// The marks of what stands behind them, looked at first: no call may stand where the blocks
    /// are looked at, for what is compared with would be fetched again for each.
    last: Option<u64>,
    /// The end of the block that is looked at.
    end: usize,
    /// Its marks that were not given yet.
    left: u64,
    sought: S,
}

impl<'a, V: Simd, S: Sought> Marks<'a, V, S> {
    #[inline(always)]
    pub(crate) fn new(simd: V, sought: S, bytes: &'a [u8], from: usize) -> Self {
        let (blocks, rest) = bytes.get(from..).unwrap_or_default().as_chunks();
        let last = Some(of_end(simd, sought, rest));
        Self { simd, blocks: blocks.iter(), last, end: from, left: 0, sought }
    }

    /// The next one that does not stand before `from`.
    #[inline(always)]
    pub(crate) fn next_from(&mut self, from: usize) -> Option<usize> {
        loop {
            let at = self.next()?;
            if at >= from {
                return Some(at);
            }
        }
    }

    /// Passes over the next one, of which it is known where it stands.
    #[inline(always)]
    pub(crate) fn pass(&mut self) -> Option<()> {
        let left = self.some_left()?.get();
        self.left = left & (left - 1);
        Some(())
    }

    /// The marks of the block that is looked at, or of the next one that has any.
    #[inline(always)]
    fn some_left(&mut self) -> Option<NonZeroU64> {
        // That it is not zero saves the processor the question what to do if it were.
        loop {
            match NonZeroU64::new(self.left) {
                Some(left) => return Some(left),
                None => {
                    self.left = self.look()?;
                    self.end += BLOCK;
                }
            }
        }
    }

    /// The marks of the next block, one a bit.
    #[inline(always)]
    fn look(&mut self) -> Option<u64> {
        match self.blocks.next() {
            Some(block) => Some(of_block(self.simd, self.sought, block)),
            None => self.last.take(),
        }
    }
}

impl<V: Simd, S: Sought> Iterator for Marks<'_, V, S> {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        let left = self.some_left()?;
        self.left = left.get() & (left.get() - 1);
        Some(self.end - BLOCK + left.trailing_zeros() as usize)
    }
}

/// The places of all bytes of a set with what stands around them, but for those at the end of a
/// text: what is left there is shorter than a window.
///
/// A window holds a block and what stands around it. That it is whole is asked once, and not for
/// each of the places in it.
pub(crate) struct Windows<'a, V, S> {
    simd: V,
    len: usize,
    /// What was not looked at, and the byte before it.
    rest: &'a [u8],
    window: &'a [u8; WINDOW],
    /// The marks of its block that were not given yet.
    left: u64,
    sought: S,
}

/// A byte of a set.
#[derive(Clone, Copy)]
pub(crate) struct Mark {
    pub(crate) at: usize,
    /// The byte before it, itself, and four behind it.
    pub(crate) around: [u8; AROUND],
}

const AROUND: usize = 6;
const WINDOW: usize = BLOCK + AROUND - 1;

impl<'a, V: Simd, S: Sought> Windows<'a, V, S> {
    /// Those of `text` from `from` on, before which a byte has to stand.
    #[inline(always)]
    pub(crate) fn new(simd: V, sought: S, text: &'a [u8], from: usize) -> Self {
        let rest = text.get(from.wrapping_sub(1)..).unwrap_or_default();
        let (len, window, left) = (text.len(), &[0; WINDOW], 0);
        Self { simd, len, rest, window, left, sought }
    }

    /// Where the window begins that is looked at; less than that as long as none is.
    pub(crate) fn seen(&self) -> usize {
        self.len.saturating_sub(self.rest.len() + BLOCK)
    }

    /// The next one that does not stand before `from`.
    #[inline(always)]
    pub(crate) fn next_from(&mut self, from: usize) -> Option<Mark> {
        loop {
            let mark = self.next()?;
            if mark.at >= from {
                return Some(mark);
            }
        }
    }
}

impl<V: Simd, S: Sought> Iterator for Windows<'_, V, S> {
    type Item = Mark;

    #[inline(always)]
    fn next(&mut self) -> Option<Mark> {
        let left = loop {
            match NonZeroU64::new(self.left) {
                Some(left) => break left,
                None => {
                    self.window = self.rest.first_chunk()?;
                    self.rest = self.rest.get(BLOCK..)?;
                    let (_, behind) = self.window.split_first()?;
                    self.left = of_block(self.simd, self.sought, behind.first_chunk()?);
                }
            }
        };
        self.left = left.get() & (left.get() - 1);
        let in_block = left.trailing_zeros() as usize;
        let around = *self.window.get(in_block..)?.first_chunk()?;
        Some(Mark { at: self.len - self.rest.len() - BLOCK + 1 + in_block, around })
    }
}

const BLOCK: usize = u64::BITS as usize;

#[cold]
fn of_end<V: Simd, S: Sought>(simd: V, sought: S, bytes: &[u8]) -> u64 {
    let mut block = [0; BLOCK];
    block.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    // What it was filled up with is behind the end, and may look like anything.
    of_block(simd, sought, &block) & !(u64::MAX << bytes.len())
}

#[inline(always)]
fn of_block<V: Simd, S: Sought>(simd: V, sought: S, block: &[u8; BLOCK]) -> u64 {
    sought.among(u8x64::simd_from(simd, *block)).to_bitmask()
}

#[cfg(test)]
mod tests {
    use fearless_simd::{Level, dispatch};

    use super::*;

    /// What this processor can do, and what every one can.
    fn levels() -> [Level; 2] {
        [Level::new(), Level::baseline()]
    }

    fn hold(sought: impl Sought, is_mark: impl Fn(u8) -> bool) {
        let mut rng = fastrand::Rng::with_seed(1);
        for length in 0..400 {
            let bytes: Vec<u8> = (0..length).map(|_| rng.u8(..)).collect();
            let from = rng.usize(..=length);
            let expected = (from..length).filter(|at| is_mark(bytes[*at]));
            let expected: Vec<usize> = expected.collect();
            for level in levels() {
                dispatch!(level, simd => {
                    assert!(Marks::new(simd, sought, &bytes, from).eq(expected.iter().copied()));
                    assert_eq!(Marks::new(simd, sought, b"N\"", 3).next(), None);
                    in_windows(simd, sought, &bytes, from.max(1), &expected);
                });
            }
        }
    }

    /// Of those in windows the last are missing, and none of them stands before the others' end.
    fn in_windows<V: Simd>(
        simd: V,
        sought: impl Sought,
        bytes: &[u8],
        from: usize,
        expected: &[usize],
    ) {
        let found: Vec<Mark> = Windows::new(simd, sought, bytes, from).collect();
        let blocks = (bytes.len() + 1).saturating_sub(from + AROUND - 1) / BLOCK;
        let end = from + blocks * BLOCK;
        let expected = expected.iter().copied().filter(|at| (from..end).contains(at));
        assert!(found.iter().map(|it| it.at).eq(expected));
        assert!(bytes.len() < end + WINDOW);
        for Mark { at, around } in found {
            assert_eq!(bytes[at - 1..at + AROUND - 1], around);
        }
    }

    #[test]
    fn every_mark_is_found_and_nothing_else() {
        hold(BracesAndN, |byte| matches!(byte, b'{'..=0x7f | b'N'));
        hold(EndsOfStrings, |byte| matches!(byte, b'"' | b'\\' | 0..0x20));
        hold(Only(0), |byte| byte == 0);
    }
}
