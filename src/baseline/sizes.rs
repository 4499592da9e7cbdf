//! How many values each dimension has.

use std::ops::Range;

use super::{Dimension, Table};

/// The sizes of the tables of one role or caller, from which it follows where each one lies among
/// the values of all.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Sizes([u8; Dimension::ALL.len()]);

/// A table holds one more for a moment.
const _: () = assert!(Table::CAPACITY < u8::MAX as usize);

impl Sizes {
    /// Where the values of a dimension lie, which stand in the order of dimensions.
    pub(super) fn range(self, dimension: Dimension) -> Range<usize> {
        let own = dimension as usize;
        let before = !(u128::MAX << (8 * own));
        let start = sum_of_bytes(u128::from_le_bytes(self.0) & before);
        start..start + usize::from(self.0.get(own).copied().unwrap_or_default())
    }

    /// There is one value more.
    pub(super) fn add(&mut self, dimension: Dimension) {
        if let Some(size) = self.0.get_mut(dimension as usize) {
            *size += 1;
        }
    }

    /// There is one less.
    pub(super) fn take(&mut self, dimension: Dimension) {
        if let Some(size) = self.0.get_mut(dimension as usize) {
            *size -= 1;
        }
    }
}

/// The sum of the bytes of a number, all of them at once: every look at a baseline asks for it.
fn sum_of_bytes(number: u128) -> usize {
    /// Every other byte: what has room for a sum of two.
    const EVEN: u128 = u128::MAX / 0xffff * 0xff;
    let eight_sums = (number & EVEN) + (number >> 8 & EVEN);
    let four_sums = eight_sums as u64 + (eight_sums >> 64) as u64;
    // The highest part of the product is the sum of all parts.
    usize::from((four_sums.wrapping_mul(0x0001_0001_0001_0001) >> 48) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lies_behind_those_before_it() {
        let mut sizes = Sizes::default();
        for (at, dimension) in Dimension::ALL.into_iter().enumerate() {
            assert_eq!(dimension as usize, at, "the order of declaration");
            (0..=Table::CAPACITY).for_each(|_| sizes.add(dimension));
        }
        sizes.take(Dimension::Account);
        let range = |dimension| sizes.range(dimension);
        assert_eq!(range(Dimension::Principal), 0..65);
        assert_eq!(range(Dimension::Account), 65..129);
        assert_eq!(range(Dimension::Network), 129..194);
        assert_eq!(range(Dimension::Call).end, 16 * 65 - 1);
    }
}
