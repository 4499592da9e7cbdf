//! Inflating, with a cap. What was inflated before a fault is kept.

use std::borrow::Cow;
use std::io::{ErrorKind, Read};

use flate2::bufread::GzDecoder;

use super::{GzipDamage, InputFault};

const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// An input, inflated if it was compressed.
pub(super) struct Opened<'a> {
    pub bytes: Cow<'a, [u8]>,
    /// Whether all of it is there.
    pub whole: bool,
    pub faults: Vec<InputFault>,
}

/// Inflates gzip data, and gzip data inside of it once more: a log that was compressed for the
/// way is stored compressed again. Both together inflate to at most `cap` bytes.
pub(super) fn open(bytes: &[u8], cap: usize) -> Opened<'_> {
    if !bytes.starts_with(&MAGIC) {
        return Opened { bytes: bytes.into(), whole: true, faults: Vec::new() };
    }
    let (mut inflated, outer) = inflate(bytes, cap, cap);
    let mut faults = Vec::from_iter(outer);
    if inflated.starts_with(&MAGIC) {
        let (inner, fault) = inflate(&inflated, cap.saturating_sub(inflated.len()), cap);
        inflated = inner;
        // An inner end that is missing follows from the outer one.
        if faults.is_empty() {
            faults.extend(fault);
        }
    }
    let whole = faults.iter().all(|fault| matches!(fault, InputFault::BehindGzip(_)));
    Opened { bytes: inflated.into(), whole, faults }
}

/// Inflates all members of `bytes`, up to `room` bytes of the `cap` that is told to the user.
fn inflate(bytes: &[u8], room: usize, cap: usize) -> (Vec<u8>, Option<InputFault>) {
    // CloudTrail compresses about 1:7; the hint only saves copies and is no promise.
    let mut inflated = Vec::with_capacity(bytes.len().saturating_mul(8).min(room));
    let mut rest = bytes;
    while rest.starts_with(&MAGIC) {
        let mut member = GzDecoder::new(rest);
        // One byte past the cap tells an input that is too large from one that just fits.
        let left = (room - inflated.len()) as u64 + 1;
        let end = member.by_ref().take(left).read_to_end(&mut inflated);
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
            let opened = open(&bytes, 100);
            assert_eq!((opened.bytes.as_ref(), opened.whole), (b"text".as_slice(), true));
            opened.faults
        };
        assert_eq!(opened(&[0; 512]), []);
        assert_eq!(opened(b"\0junk"), [InputFault::BehindGzip(5)]);
    }

    #[test]
    fn gzip_in_gzip_is_inflated_under_one_cap() {
        let inner = gzip(b"text");
        let twice = gzip(&inner);
        assert_eq!(open(&twice, 100).bytes.as_ref(), b"text");
        let short = open(&twice, inner.len() + 2);
        assert_eq!(short.bytes.as_ref(), b"te");
        assert_eq!(short.faults, [InputFault::TooLarge(inner.len() + 2)]);
    }
}
