//! Where the few bytes of a text stand by which its shape is told, found 64 bytes at a time.

use std::marker::PhantomData;

use wide::{i8x16, u8x16};

/// A set of bytes.
pub(crate) trait Sought {
    /// Those that belong to it, one a bit.
    fn among(bytes: [u8; 16]) -> u32;
}

/// Braces and `N`; and `|`, `~` and DEL, for what stands behind `z` in ASCII is told by one
/// comparison.
pub(crate) enum BracesAndN {}

impl Sought for BracesAndN {
    #[inline(always)]
    fn among(bytes: [u8; 16]) -> u32 {
        // Signed, so that what is no ASCII is less.
        let bytes = i8x16::from(bytes.map(u8::cast_signed));
        let is_name = bytes.simd_eq(i8x16::splat(b'N'.cast_signed()));
        (bytes.simd_gt(i8x16::splat(b'z'.cast_signed())) | is_name).to_bitmask()
    }
}

/// What a string ends with or is interrupted by: quotes, backslashes and control characters.
pub(crate) enum EndsOfStrings {}

impl Sought for EndsOfStrings {
    #[inline(always)]
    fn among(bytes: [u8; 16]) -> u32 {
        let bytes = u8x16::from(bytes);
        let is = |byte: u8| bytes.simd_eq(u8x16::splat(byte));
        let is_control = bytes.min(u8x16::splat(0x1f)).simd_eq(bytes);
        (is(b'"') | is(b'\\') | is_control).to_bitmask()
    }
}

/// The places of all bytes of a set, from some place on, in order.
///
/// One pass for all of them, and a bit for each byte: to search for each by itself takes a pass
/// apiece, and to begin a search anew at each of them takes longer than all the bytes between two.
pub(crate) struct Marks<'a, S> {
    bytes: &'a [u8],
    /// Where the block begins that is looked at.
    block: usize,
    /// Its marks that were not given yet.
    left: u64,
    sought: PhantomData<S>,
}

impl<'a, S: Sought> Marks<'a, S> {
    pub(crate) fn new(bytes: &'a [u8], from: usize) -> Self {
        let left = bytes.get(from..).map_or(0, marks::<S>);
        Self { bytes, block: from, left, sought: PhantomData }
    }

    /// Up to where all were looked at, but for a block.
    pub(crate) fn seen(&self) -> usize {
        self.block
    }
}

impl<S: Sought> Iterator for Marks<'_, S> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.left == 0 {
            let next = self.block + BLOCK;
            self.left = marks::<S>(self.bytes.get(next..)?);
            self.block = next;
        }
        let at = self.block + self.left.trailing_zeros() as usize;
        self.left &= self.left - 1;
        Some(at)
    }
}

const BLOCK: usize = u64::BITS as usize;

/// The marks among the first 64 bytes, one a bit.
#[inline]
fn marks<S: Sought>(bytes: &[u8]) -> u64 {
    match bytes.first_chunk() {
        Some(block) => of_block::<S>(block),
        None => of_end::<S>(bytes),
    }
}

#[cold]
fn of_end<S: Sought>(bytes: &[u8]) -> u64 {
    let mut block = [0; BLOCK];
    block.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    // What it was filled up with is behind the end, and may look like anything.
    of_block::<S>(&block) & !(u64::MAX << bytes.len())
}

#[inline]
fn of_block<S: Sought>(block: &[u8; BLOCK]) -> u64 {
    let (parts, _) = block.as_chunks::<16>();
    parts.iter().rev().fold(0, |marks, part| marks << 16 | u64::from(S::among(*part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold<S: Sought>(is_mark: impl Fn(u8) -> bool) {
        let mut rng = fastrand::Rng::with_seed(1);
        for length in 0..400 {
            let bytes: Vec<u8> = (0..length).map(|_| rng.u8(..)).collect();
            let from = rng.usize(..=length);
            let expected = (from..length).filter(|at| is_mark(bytes[*at]));
            assert!(Marks::<S>::new(&bytes, from).eq(expected));
        }
        assert_eq!(Marks::<S>::new(b"N\"", 3).next(), None);
    }

    #[test]
    fn every_mark_is_found_and_nothing_else() {
        hold::<BracesAndN>(|byte| matches!(byte, b'{'..=0x7f | b'N'));
        hold::<EndsOfStrings>(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
    }
}
