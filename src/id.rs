//! Identifiers: parsed once at the rim, or refused; trusted from then on.

mod address;
mod event;
mod role;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use smol_str::SmolStr;

pub use address::{Address, Network, is_service_name};
pub use event::EventId;
pub use role::{RoleArn, RoleKey, permission_set};

/// A text was not an identifier of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{input}` is not {expected}")]
pub struct IdError {
    input: String,
    expected: &'static str,
}

impl IdError {
    fn new(input: &str, expected: &'static str) -> Self {
        Self { input: crate::text::inline(input), expected }
    }
}

/// An AWS account: exactly twelve digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(u64);

impl FromStr for AccountId {
    type Err = IdError;

    fn from_str(s: &str) -> Result<Self, IdError> {
        let account = Self::of_digits(s.as_bytes());
        account.ok_or_else(|| IdError::new(s, "an account id of twelve digits"))
    }
}

impl AccountId {
    /// How many digits every account id has.
    const DIGITS: usize = 12;

    /// The account whose digits these are.
    fn of_digits(digits: &[u8]) -> Option<Self> {
        let are_digits = digits.len() == Self::DIGITS && digits.iter().all(u8::is_ascii_digit);
        let number = || digits.iter().fold(0, |number, b| number * 10 + u64::from(b - b'0'));
        are_digits.then(|| Self(number()))
    }

    /// The number that the digits are.
    pub(crate) fn number(self) -> u64 {
        self.0
    }

    /// Writes its twelve digits behind `text`. Keys are made of them for every call, and the
    /// formatting of the standard library takes longer than all the rest of a key.
    pub(crate) fn push_to(self, text: &mut String) {
        text.push_str(std::str::from_utf8(&self.digits()).unwrap_or_default());
    }

    fn digits(self) -> [u8; Self::DIGITS] {
        let (mut digits, mut rest) = ([b'0'; Self::DIGITS], self.0);
        for digit in digits.iter_mut().rev() {
            *digit += (rest % 10) as u8;
            rest /= 10;
        }
        digits
    }

    /// Its twelve digits.
    pub(crate) fn to_text(self) -> SmolStr {
        std::str::from_utf8(&self.digits()).unwrap_or_default().into()
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// An identifier whose inside is a checked, shared text.
macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(SmolStr);

        impl $name {
            /// The identifier as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(s: &str) -> Result<Self, IdError> {
                let check: fn(&str) -> bool = $check;
                if check(s) { Ok(Self(s.into())) } else { Err(IdError::new(s, $expected)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// Identifiers are written as their text, and checked again when they are read.
macro_rules! serde_as_text {
    ($($name:ident),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

text_id!(
    /// What IAM calls a unique id: `AIDA…` for a user, `AROA…` for a role. It survives a rename
    /// and does not survive a deletion.
    UniqueId,
    "a unique id like `AROAEXAMPLEID`",
    |s| is_unique_id(s)
);

text_id!(
    /// An access key id: `AKIA…` is a long-term key of a user, `ASIA…` belongs to a session. Not
    /// globally unique: only ever a key together with its account.
    AccessKeyId,
    "an access key id like `ASIAEXAMPLEKEY`",
    |s| s.starts_with('A') && is_unique_id(s)
);

serde_as_text!(AccountId, RoleArn, UniqueId, AccessKeyId, EventId);

/// Whether all of it is printable ASCII. All of it is looked at, however it begins, so that
/// several bytes are looked at together.
fn is_graphic(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |fine, b| fine & b.is_ascii_graphic())
}

fn is_unique_id(s: &str) -> bool {
    // All of it is looked at, as in `is_graphic`; the first one is a letter.
    let is_fine = |b: u8| b.is_ascii_uppercase() | b.is_ascii_digit();
    (4..=128).contains(&s.len())
        && s.bytes().fold(true, |fine, b| fine & is_fine(b))
        && s.bytes().any(|b| b.is_ascii_uppercase())
}

impl Serialize for ExternalId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_hex())
    }
}

impl<'de> Deserialize<'de> for ExternalId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let digits = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::from_hex(&digits).map_err(serde::de::Error::custom)
    }
}

/// The SHA-256 of an ExternalId.
///
/// An ExternalId is a secret shared between two companies, so it is hashed where it is read and
/// exists nowhere else. Neither `Debug` nor `Display` shows more than the first eight digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExternalId([u8; 32]);

impl ExternalId {
    /// Hashes a value in clear.
    #[must_use]
    pub fn hash(clear: &str) -> Self {
        Self(Sha256::digest(clear.as_bytes()).into())
    }

    /// All 64 digits, for stored state and for comparing with a configuration.
    #[must_use]
    pub fn to_hex(self) -> String {
        hex(&self.0)
    }

    /// Reads what [`ExternalId::to_hex`] wrote.
    ///
    /// # Errors
    /// Refuses anything but 64 hexadecimal digits.
    pub fn from_hex(digits: &str) -> Result<Self, IdError> {
        let refuse = || IdError::new(digits, "a SHA-256 of 64 hexadecimal digits");
        let bytes = digits.as_bytes();
        if bytes.len() != 64 || !bytes.iter().all(u8::is_ascii_hexdigit) {
            return Err(refuse());
        }
        let mut hash = [0_u8; 32];
        for (byte, pair) in hash.iter_mut().zip(bytes.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| refuse())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| refuse())?;
        }
        Ok(Self(hash))
    }
}

impl fmt::Display for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ExternalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Lower-case hexadecimal digits of `bytes`.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| half + if half < 10 { b'0' } else { b'a' - 10 };
    let digits = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    String::from_utf8(digits.collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_has_twelve_digits() {
        assert_eq!("000000000012".parse::<AccountId>().unwrap().to_string(), "000000000012");
        for bad in
            ["", "12", "ANONYMOUS_PRINCIPAL", "11112222333a", "1111222233334", "+11112222333"]
        {
            assert!(bad.parse::<AccountId>().is_err(), "{bad}");
        }
    }

    /// The identifiers in other words, by which the quick ones are held.
    fn spelled_out(s: &str) -> [bool; 3] {
        let role = || {
            let (tail, rest) = s.strip_prefix("arn:aws")?.split_once(':')?;
            let (account, path_and_name) = rest.strip_prefix("iam::")?.split_once(":role/")?;
            let fine = s.len() <= 640
                && tail.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
                && account.parse::<AccountId>().is_ok()
                && path_and_name.bytes().all(|b| b.is_ascii_graphic())
                && !path_and_name.is_empty()
                && !path_and_name.ends_with('/');
            fine.then_some(())
        };
        let unique = (4..=128).contains(&s.len())
            && s.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
            && s.bytes().any(|b| b.is_ascii_uppercase());
        let event = !s.is_empty() && s.len() <= 128 && s.bytes().all(|b| b.is_ascii_graphic());
        [role().is_some(), unique, event]
    }

    #[test]
    fn whatever_is_damaged_an_identifier_is_what_it_was() {
        let mut rng = fastrand::Rng::with_seed(1);
        for sound in ["arn:aws-cn:iam::111122223333:role/a/b", "AROAEXAMPLE7", "7b1a-45b", "A", ""]
        {
            for _ in 0..20_000 {
                let mut bytes = sound.as_bytes().to_vec();
                for _ in 0..rng.usize(..3) {
                    let at = rng.usize(..=bytes.len());
                    let with = *rng.choice(b":/-aA0 \x7f\xc3").unwrap_or(&b'x');
                    match rng.u8(..3) {
                        0 => bytes.insert(at, with),
                        1 if at < bytes.len() => bytes[at] = with,
                        _ if at < bytes.len() => drop(bytes.remove(at)),
                        _ => bytes.extend(vec![with; rng.usize(..700)]),
                    }
                }
                let Ok(s) = std::str::from_utf8(&bytes) else { continue };
                let quick =
                    [s.parse::<RoleArn>().is_ok(), is_unique_id(s), s.parse::<EventId>().is_ok()];
                assert_eq!(quick, spelled_out(s), "{s}");
            }
        }
    }

    #[test]
    fn an_external_id_never_shows_itself() {
        let id = ExternalId::hash("hunter2");
        assert_eq!(format!("{id} {id:?}"), "sha256:f52fbd32 sha256:f52fbd32");
        assert_eq!(ExternalId::from_hex(&id.to_hex()).unwrap(), id);
        assert!(ExternalId::from_hex("f52fbd32").is_err());
        assert!(ExternalId::from_hex(&"g".repeat(64)).is_err());
    }
}
