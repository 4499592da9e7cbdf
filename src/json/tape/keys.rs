//! Where the keys of a record stand.

/// Where the keys stand, by their mark and the object they belong to: else each field that is asked
/// for would be looked for among all of its object.
#[derive(Debug)]
pub(super) struct Keys([u32; Self::SLOTS]);

/// What stands in a slot.
pub(super) enum Slot {
    /// No key at all.
    Empty,
    /// This one alone.
    One(u32),
    /// Several.
    Crowded,
}

impl Default for Keys {
    fn default() -> Self {
        Self([Self::EMPTY; Self::SLOTS])
    }
}

impl Keys {
    /// A record of ours has some forty keys, and few of them should share a slot.
    const SLOTS: usize = 1 << Self::BITS;
    const BITS: u32 = 9;
    const EMPTY: u32 = u32::MAX;
    const CROWDED: u32 = u32::MAX - 1;

    /// Of two primes of xxHash by which the keys of CloudTrail's records seldom share a slot.
    #[inline(always)]
    fn slot(mark: u32, object: u32) -> usize {
        let mixed = mark.wrapping_add(object.wrapping_mul(0xc2b2_ae3d)).wrapping_mul(0x27d4_eb2f);
        (mixed >> (u32::BITS - Self::BITS)) as usize
    }

    #[inline(always)]
    pub(super) fn put(&mut self, mark: u32, object: u32, key: u32) {
        if let Some(slot) = self.0.get_mut(Self::slot(mark, object)) {
            *slot = if *slot == Self::EMPTY { key } else { Self::CROWDED };
        }
    }

    #[inline(always)]
    pub(super) fn get(&self, mark: u32, object: u32) -> Slot {
        match self.0.get(Self::slot(mark, object)) {
            Some(&Self::EMPTY) => Slot::Empty,
            None | Some(&Self::CROWDED) => Slot::Crowded,
            Some(key) => Slot::One(*key),
        }
    }
}

/// The length of a key and its last letters: of the keys of one object hardly two agree in it.
#[inline(always)]
pub(super) fn mark(key: &[u8]) -> u32 {
    match key {
        [.., a, b, c, d] => with_length([*a, *b, *c, *d], key.len()),
        _ => of_short(key),
    }
}

/// The same of the key that stands between `start` and `end`.
#[inline(always)]
pub(super) fn mark_before(bytes: &[u8], start: usize, end: usize) -> Option<u32> {
    match end.checked_sub(start)? {
        0..TOLD => Some(of_short(bytes.get(start..end)?)),
        length => Some(with_length(*bytes.get(end - TOLD..)?.first_chunk()?, length)),
    }
}

/// Letters that a mark tells of.
const TOLD: usize = 4;

#[inline(always)]
fn with_length(last: [u8; TOLD], length: usize) -> u32 {
    let [length, ..] = length.to_le_bytes();
    u32::from_le_bytes(last).wrapping_add(u32::from(length))
}

#[inline(always)]
fn of_short(key: &[u8]) -> u32 {
    let last = match *key {
        [a, b, c] => [a, b, c, 0],
        [a, b] => [a, b, 0, 0],
        [a] => [a, 0, 0, 0],
        _ => [0; TOLD],
    };
    with_length(last, key.len())
}
