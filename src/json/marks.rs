//! Where the few bytes of a text stand by which its shape is told, found 64 bytes at a time.

use std::marker::PhantomData;
use std::num::NonZeroU64;

use fearless_simd::{Bytes, Simd, SimdBase, SimdFrom, SimdMask, i8x64, mask8x64, u8x64};

/// A set of bytes.
pub(crate) trait Sought {
    /// Those that belong to it.
    fn among<V: Simd>(bytes: u8x64<V>) -> mask8x64<V>;
}

/// Braces and `N`; and `|`, `~` and DEL, for what stands behind `z` in ASCII is told by one
/// comparison.
pub(crate) enum BracesAndN {}

impl Sought for BracesAndN {
    #[inline(always)]
    fn among<V: Simd>(bytes: u8x64<V>) -> mask8x64<V> {
        // Signed, so that what is no ASCII is less.
        let bytes = bytes.bitcast::<i8x64<V>>();
        bytes.simd_gt(b'z'.cast_signed()) | bytes.simd_eq(b'N'.cast_signed())
    }
}

/// What a string ends with or is interrupted by: quotes, backslashes and control characters.
pub(crate) enum EndsOfStrings {}

impl Sought for EndsOfStrings {
    #[inline(always)]
    fn among<V: Simd>(bytes: u8x64<V>) -> mask8x64<V> {
        let is_control = bytes.min(0x1f).simd_eq(bytes);
        bytes.simd_eq(b'"') | bytes.simd_eq(b'\\') | is_control
    }
}

/// The places of all bytes of a set, from some place on, in order.
///
/// One pass for all of them, and a bit for each byte: to search for each by itself takes a pass
/// apiece, and to begin a search anew at each of them takes longer than all the bytes between two.
/// `V` is what the processor can do. It is asked once, far outside, and everything between there
/// and here is inlined, so that all of it is built for each kind of processor.
pub(crate) struct Marks<'a, V, S> {
    simd: V,
    bytes: &'a [u8],
    /// Where the block begins that is looked at.
    block: usize,
    /// Its marks that were not given yet.
    left: u64,
    sought: PhantomData<S>,
}

impl<'a, V: Simd, S: Sought> Marks<'a, V, S> {
    #[inline(always)]
    pub(crate) fn new(simd: V, bytes: &'a [u8], from: usize) -> Self {
        let left = bytes.get(from..).map_or(0, |bytes| marks::<V, S>(simd, bytes));
        Self { simd, bytes, block: from, left, sought: PhantomData }
    }

    /// Up to where all were looked at, but for a block.
    pub(crate) fn seen(&self) -> usize {
        self.block
    }
}

impl<V: Simd, S: Sought> Iterator for Marks<'_, V, S> {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        // That it is not zero saves the processor the question what to do if it were.
        let left = loop {
            match NonZeroU64::new(self.left) {
                Some(left) => break left,
                None => {
                    let next = self.block + BLOCK;
                    self.left = marks::<V, S>(self.simd, self.bytes.get(next..)?);
                    self.block = next;
                }
            }
        };
        self.left = left.get() & (left.get() - 1);
        Some(self.block + left.trailing_zeros() as usize)
    }
}

const BLOCK: usize = u64::BITS as usize;

/// The marks among the first 64 bytes, one a bit.
#[inline(always)]
fn marks<V: Simd, S: Sought>(simd: V, bytes: &[u8]) -> u64 {
    match bytes.first_chunk() {
        Some(block) => of_block::<V, S>(simd, block),
        None => of_end::<V, S>(simd, bytes),
    }
}

#[cold]
fn of_end<V: Simd, S: Sought>(simd: V, bytes: &[u8]) -> u64 {
    let mut block = [0; BLOCK];
    block.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    // What it was filled up with is behind the end, and may look like anything.
    of_block::<V, S>(simd, &block) & !(u64::MAX << bytes.len())
}

#[inline(always)]
fn of_block<V: Simd, S: Sought>(simd: V, block: &[u8; BLOCK]) -> u64 {
    S::among(u8x64::simd_from(simd, *block)).to_bitmask()
}

#[cfg(test)]
mod tests {
    use fearless_simd::{Level, dispatch};

    use super::*;

    /// What this processor can do, and what every one can.
    fn levels() -> [Level; 2] {
        [Level::new(), Level::baseline()]
    }

    fn hold<S: Sought>(is_mark: impl Fn(u8) -> bool) {
        let mut rng = fastrand::Rng::with_seed(1);
        for length in 0..400 {
            let bytes: Vec<u8> = (0..length).map(|_| rng.u8(..)).collect();
            let from = rng.usize(..=length);
            let expected = (from..length).filter(|at| is_mark(bytes[*at]));
            let expected: Vec<usize> = expected.collect();
            for level in levels() {
                dispatch!(level, simd => {
                    assert!(Marks::<_, S>::new(simd, &bytes, from).eq(expected.iter().copied()));
                    assert_eq!(Marks::<_, S>::new(simd, b"N\"", 3).next(), None);
                });
            }
        }
    }

    #[test]
    fn every_mark_is_found_and_nothing_else() {
        hold::<BracesAndN>(|byte| matches!(byte, b'{'..=0x7f | b'N'));
        hold::<EndsOfStrings>(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    }
}
