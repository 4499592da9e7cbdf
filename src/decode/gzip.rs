//! Inflating, with a cap. What was inflated before a fault is kept.
//!
//! Nearly every input is one sound gzip member, and nearly all of the time of a run goes into
//! inflating it. [`Inflater`] does that in one step, and only that: what is damaged, what has
//! several members or something behind it, and what is larger than it says, it leaves to the
//! slower way, which tells what is wrong.

use std::borrow::Cow;
use std::io::{ErrorKind, Read};

use fearless_simd::{Level, Simd, dispatch};
use flate2::bufread::GzDecoder;
use libdeflater::Decompressor;

use super::{GzipDamage, InputFault};
use crate::json::{Marks, Only};

const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// An input, inflated if it was compressed.
pub(super) struct Opened<'a> {
    pub bytes: Cow<'a, [u8]>,
    /// Whether all of it is there.
    pub whole: bool,
    /// Whether it is what was compressed: a checksum says so.
    pub checked: bool,
    pub faults: Vec<InputFault>,
}

/// Inflates sound gzip data of one member into a buffer that is used again.
pub(super) struct Inflater {
    decompressor: Decompressor,
    buffer: Vec<u8>,
}

impl Default for Inflater {
    fn default() -> Self {
        Self { decompressor: Decompressor::new(), buffer: Vec::new() }
    }
}

impl Inflater {
    /// A larger buffer is given back: few inputs need one, and it may not be needed again.
    const KEPT_BUFFER: usize = 16 << 20;

    /// Deflate makes nothing smaller than this part of it.
    const MOST_RATIO: usize = 1_032;

    /// The inflated bytes, if there is one sound member in `bytes` and nothing else, and no more
    /// in it than `cap` and than it says itself.
    fn inflate(&mut self, bytes: &[u8], cap: usize) -> Option<&[u8]> {
        // The last four bytes say how much it is, if they are what they seem to be.
        let (before, size) = bytes.split_last_chunk()?;
        let said = usize::try_from(u32::from_le_bytes(*size)).ok()?;
        if said > cap.min(bytes.len().saturating_mul(Self::MOST_RATIO)) {
            return None;
        }
        // Inflating stops at the end of the first member, where its size stands. If these four
        // bytes stand nowhere else, and are its size, then that is the end of the input.
        if dispatch!(Level::new(), simd => first_place(simd, bytes, *size))? != before.len() {
            return None;
        }
        if self.buffer.len() < said {
            // Fresh memory is zero already.
            self.buffer = vec![0; said.next_power_of_two().min(cap)];
        }
        let inflated = self.decompressor.gzip_decompress(bytes, &mut self.buffer).ok()?;
        if inflated == said { self.buffer.get(..inflated) } else { None }
    }

    /// Gives a large buffer back.
    pub(super) fn shrink(&mut self) {
        if self.buffer.len() > Self::KEPT_BUFFER {
            self.buffer = Vec::new();
        }
    }
}

/// Where four bytes stand first. To look for one of them takes half of what looking for several
/// does, and few are found.
#[inline(always)]
fn first_place<V: Simd>(simd: V, bytes: &[u8], four: [u8; 4]) -> Option<usize> {
    let [first, ..] = four;
    let mut places = Marks::new(simd, Only(first), bytes, 0);
    places.find(|at| bytes.get(*at..).is_some_and(|rest| rest.starts_with(&four)))
}

/// Inflates gzip data, and gzip data inside of it once more: a log that was compressed for the
/// way is stored compressed again. Both together inflate to at most `cap` bytes.
pub(super) fn open<'a>(bytes: &'a [u8], cap: usize, inflater: &'a mut Inflater) -> Opened<'a> {
    if !bytes.starts_with(&MAGIC) {
        return Opened { bytes: bytes.into(), whole: true, checked: false, faults: Vec::new() };
    }
    match inflater.inflate(bytes, cap) {
        Some(inflated) if !inflated.starts_with(&MAGIC) => {
            Opened { bytes: inflated.into(), whole: true, checked: true, faults: Vec::new() }
        }
        _ => open_slowly(bytes, cap),
    }
}

fn open_slowly(bytes: &[u8], cap: usize) -> Opened<'_> {
    let (mut inflated, outer) = inflate(bytes, cap, cap);
    let mut faults = Vec::from_iter(outer);
    if inflated.starts_with(&MAGIC) {
        let (inner, fault) = inflate(&inflated, cap.saturating_sub(inflated.len()), cap);
        inflated = inner;
        // An inner end that is missing follows from the outer one.
        if all_inflated(&faults) {
            faults.extend(fault);
        }
    }
    let whole = all_inflated(&faults);
    Opened { bytes: inflated.into(), whole, checked: whole, faults }
}

/// Whether all of an input was inflated that can be.
fn all_inflated(faults: &[InputFault]) -> bool {
    faults.iter().all(|fault| matches!(fault, InputFault::BehindGzip(_)))
}

/// Inflates all members of `bytes`, up to `room` bytes of the `cap` that is told to the user.
fn inflate(bytes: &[u8], room: usize, cap: usize) -> (Vec<u8>, Option<InputFault>) {
    // One byte past the cap tells an input that is too large from one that just fits.
    let most = room.saturating_add(1);
    // Of memory that is asked for and not written to there is none, and to grow a large buffer
    // takes half as much again.
    let mut inflated =
        Vec::with_capacity(bytes.len().saturating_mul(Inflater::MOST_RATIO).min(most));
    let mut rest = bytes;
    while rest.starts_with(&MAGIC) {
        let mut member = GzDecoder::new(rest);
        let end = (&mut member).take((most - inflated.len()) as u64).read_to_end(&mut inflated);
        if inflated.len() > room {
            inflated.truncate(room);
            return (inflated, Some(InputFault::TooLarge(cap)));
        }
        if let Err(error) = end {
            let damage = match error.kind() {
                ErrorKind::UnexpectedEof => GzipDamage::Truncated,
                _ => GzipDamage::Corrupt,
            };
            let fault = InputFault::Gzip(damage, inflated.len());
            return (inflated, Some(fault));
        }
        rest = member.into_inner();
    }
    // Zeros fill up a block of a tape or a disk.
    let is_padding = rest.iter().all(|byte| *byte == 0);
    (inflated, (!is_padding).then_some(InputFault::BehindGzip(rest.len())))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn all_members_are_inflated() {
        let two = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(inflate(&two, 100, 100), (b"one two".to_vec(), None));
    }

    #[test]
    fn what_is_wrong_inside_is_told_whatever_stands_behind_the_outside() {
        let mut rng = fastrand::Rng::with_seed(1);
        let inner = gzip(&(0..2_000).map(|_| rng.u8(..)).collect::<Vec<u8>>());
        let cut = gzip(inner.get(..inner.len() / 2).unwrap());
        let followed = [&cut, &b"junk"[..]].concat();
        let of = |input: &[u8], cap| {
            let opened = open_slowly(input, cap);
            (opened.faults.len(), opened.whole, opened.checked)
        };
        assert_eq!(of(&cut, 10_000), (1, false, false));
        assert_eq!(of(&followed, 10_000), (2, false, false));
        assert_eq!(of(&[gzip(&inner), b"junk".to_vec()].concat(), 10_000), (1, true, true));
        assert_eq!(of(&[gzip(&inner), b"junk".to_vec()].concat(), 3_000), (2, false, false));
        // Of an outer end that is missing the inner one is no other fault.
        assert_eq!(of(cut.get(..cut.len() / 2).unwrap(), 10_000), (1, false, false));
    }

    #[test]
    fn exactly_the_cap_is_no_fault_and_one_byte_more_is() {
        assert_eq!(inflate(&gzip(b"12345"), 5, 5), (b"12345".to_vec(), None));
        let fault = Some(InputFault::TooLarge(5));
        assert_eq!(inflate(&gzip(b"123456"), 5, 5), (b"12345".to_vec(), fault));
    }

    #[test]
    fn what_came_before_the_damage_is_kept() {
        let text: Vec<u8> = (0..20_000_u32).flat_map(|n| n.to_be_bytes()).collect();
        let whole = gzip(&text);
        let (kept, fault) = inflate(&whole[..whole.len() / 2], 1 << 20, 1 << 20);
        assert!(!kept.is_empty() && text.starts_with(&kept));
        assert_eq!(fault, Some(InputFault::Gzip(GzipDamage::Truncated, kept.len())));
        let mut bent = whole.clone();
        let last = bent.len() - 6;
        bent[last] ^= 0xff;
        assert!(matches!(
            inflate(&bent, 1 << 20, 1 << 20).1,
            Some(InputFault::Gzip(GzipDamage::Corrupt, _))
        ));
    }

    #[test]
    fn what_stands_behind_whole_data_does_not_make_it_damaged() {
        let opened = |behind: &[u8]| {
            let bytes = [gzip(b"text").as_slice(), behind].concat();
            let mut inflater = Inflater::default();
            let opened = open(&bytes, 100, &mut inflater);
            assert_eq!((opened.bytes.as_ref(), opened.whole), (b"text".as_slice(), true));
            opened.faults
        };
        assert_eq!(opened(&[0; 512]), []);
        assert_eq!(opened(b"\0junk"), [InputFault::BehindGzip(5)]);
    }

    /// The way in one step takes what is one sound member, and nothing else.
    #[test]
    fn what_is_not_one_sound_member_goes_the_slow_way() {
        let (text, mut inflater) = (b"some text".repeat(50), Inflater::default());
        let sound = gzip(&text);
        assert_eq!(inflater.inflate(&sound, 1_000), Some(text.as_slice()));
        let mut bent = sound.clone();
        bent[sound.len() / 2] ^= 1;
        for odd in [
            [sound.clone(), sound.clone()].concat(),
            [sound.clone(), gzip(b"other")].concat(),
            [sound.as_slice(), &[0; 8]].concat(),
            [sound.as_slice(), b"junk"].concat(),
            sound[..sound.len() - 1].to_vec(),
            bent,
            Vec::new(),
        ] {
            assert_eq!(inflater.inflate(&odd, 1_000), None);
        }
        assert_eq!(inflater.inflate(&sound, text.len() - 1), None, "over the cap");
        // The buffer still holds the longer text.
        assert_eq!(inflater.inflate(&gzip(b"short"), 1_000), Some(b"short".as_slice()));
    }

    #[test]
    fn gzip_in_gzip_is_inflated_under_one_cap() {
        let inner = gzip(b"text");
        let twice = gzip(&inner);
        let mut inflater = Inflater::default();
        assert_eq!(open(&twice, 100, &mut inflater).bytes.as_ref(), b"text");
        let short = open(&twice, inner.len() + 2, &mut inflater);
        assert_eq!(short.bytes.as_ref(), b"te");
        assert_eq!(short.faults, [InputFault::TooLarge(inner.len() + 2)]);
    }
}
