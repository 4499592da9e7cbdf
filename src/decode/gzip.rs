//! Inflating, with a cap. What was inflated before a fault is kept.

use std::io::{ErrorKind, Read};

use flate2::bufread::MultiGzDecoder;

use super::{GzipDamage, InputFault};

/// Whether `bytes` begin as gzip data does.
pub(super) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// Inflates all members of `bytes`, up to `cap` bytes.
pub(super) fn inflate(bytes: &[u8], cap: usize) -> (Vec<u8>, Option<InputFault>) {
    // CloudTrail compresses about 1:7; the hint only saves copies and is no promise.
    let mut inflated = Vec::with_capacity(bytes.len().saturating_mul(8).min(cap));
    // One byte past the cap tells an input that is too large from one that just fits.
    let end = MultiGzDecoder::new(bytes).take(cap as u64 + 1).read_to_end(&mut inflated);
    if inflated.len() > cap {
        inflated.truncate(cap);
        return (inflated, Some(InputFault::TooLarge(cap)));
    }
    let fault = end.err().map(|error| {
        let damage = match error.kind() {
            ErrorKind::UnexpectedEof => GzipDamage::Truncated,
            _ => GzipDamage::Corrupt,
        };
        InputFault::Gzip(damage, inflated.len())
    });
    (inflated, fault)
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
        assert_eq!(inflate(&two, 100), (b"one two".to_vec(), None));
    }

    #[test]
    fn exactly_the_cap_is_no_fault_and_one_byte_more_is() {
        assert_eq!(inflate(&gzip(b"12345"), 5), (b"12345".to_vec(), None));
        let fault = Some(InputFault::TooLarge(5));
        assert_eq!(inflate(&gzip(b"123456"), 5), (b"12345".to_vec(), fault));
    }

    #[test]
    fn what_came_before_the_damage_is_kept() {
        let text: Vec<u8> = (0..20_000_u32).flat_map(|n| n.to_be_bytes()).collect();
        let whole = gzip(&text);
        let (kept, fault) = inflate(&whole[..whole.len() / 2], 1 << 20);
        assert!(!kept.is_empty() && text.starts_with(&kept));
        assert_eq!(fault, Some(InputFault::Gzip(GzipDamage::Truncated, kept.len())));
        let mut bent = whole.clone();
        let last = bent.len() - 6;
        bent[last] ^= 0xff;
        assert!(matches!(
            inflate(&bent, 1 << 20).1,
            Some(InputFault::Gzip(GzipDamage::Corrupt, _))
        ));
    }
}
