//! What CloudTrail calls one record, and the copies of one call.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use uuid::Uuid;

use super::{IdError, is_graphic};

/// An event id, or a shared event id, as CloudTrail wrote it (usually a UUID, not always).
///
/// Of every call two are kept and several are looked up, so a UUID is kept as the 16 bytes that
/// it is, and costs no allocation.
#[derive(Clone, PartialEq, Eq)]
pub struct EventId(Kept);

#[derive(Clone, PartialEq, Eq)]
enum Kept {
    /// A UUID as CloudTrail writes it: with hyphens, in lower case.
    Uuid(Uuid),
    /// Any other text.
    Text(Arc<str>),
}

impl EventId {
    /// The UUID that it is.
    pub(crate) fn as_uuid(&self) -> Option<Uuid> {
        match self.0 {
            Kept::Uuid(uuid) => Some(uuid),
            Kept::Text(_) => None,
        }
    }

    /// How many bytes its text has.
    #[must_use]
    pub(crate) fn text_len(&self) -> usize {
        match &self.0 {
            Kept::Uuid(_) => uuid::fmt::Hyphenated::LENGTH,
            Kept::Text(text) => text.len(),
        }
    }

    /// What tells it from every other one, in as few bytes as there are: which kind it is of, and
    /// the bytes of that kind.
    pub(crate) fn parts(&self) -> [&[u8]; 2] {
        match &self.0 {
            Kept::Uuid(uuid) => [b"u", uuid.as_bytes()],
            Kept::Text(text) => [b"t", text.as_bytes()],
        }
    }
}

impl FromStr for EventId {
    type Err = IdError;

    fn from_str(s: &str) -> Result<Self, IdError> {
        if let Some(uuid) = canonical(s) {
            return Ok(Self(Kept::Uuid(uuid)));
        }
        if !s.is_empty() && s.len() <= 128 && is_graphic(s.as_bytes()) {
            Ok(Self(Kept::Text(s.into())))
        } else {
            Err(IdError::new(s, "an event id of 1 to 128 printable characters"))
        }
    }
}

/// The UUID that is written as `s` and not otherwise.
fn canonical(s: &str) -> Option<Uuid> {
    let is_lower = |s: &str| s.bytes().fold(true, |all, b| all & !b.is_ascii_uppercase());
    let may_be_one = s.len() == uuid::fmt::Hyphenated::LENGTH && is_lower(s);
    may_be_one.then(|| Uuid::try_parse(s).ok())?
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kept::Uuid(uuid) => uuid.hyphenated().fmt(f),
            Kept::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// By text, for which two UUIDs need not be written.
impl Ord for EventId {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Kept::Uuid(one), Kept::Uuid(other)) => one.cmp(other),
            (Kept::Text(one), Kept::Text(other)) => one.cmp(other),
            (Kept::Uuid(one), Kept::Text(other)) => one
                .hyphenated()
                .encode_lower(&mut Uuid::encode_buffer())
                .as_bytes()
                .cmp(other.as_bytes()),
            (Kept::Text(_), Kept::Uuid(_)) => other.cmp(self).reverse(),
        }
    }
}

impl PartialOrd for EventId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// In as few steps as there are.
impl Hash for EventId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.0 {
            Kept::Uuid(uuid) => state.write_u128(uuid.as_u128()),
            Kept::Text(text) => state.write(text.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "7b567a62-7593-4d33-ae1b-bbdacdbd2d76";

    /// A UUID, texts that are nearly one, and others.
    fn texts() -> Vec<String> {
        let mut texts = vec![UUID.to_owned(), UUID.to_uppercase(), UUID.replace('-', "")];
        texts.extend(
            ["a", "event-1", "7b56", "~", "{7b567a62-7593-4d33-ae1b-bbdacdbd2}"].map(str::to_owned),
        );
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..400 {
            let mut bytes = UUID.as_bytes().to_vec();
            let at = rng.usize(..bytes.len());
            bytes[at] = *rng.choice(b"0af9-gAF~").unwrap_or(&b'0');
            texts.extend(String::from_utf8(bytes));
        }
        texts
    }

    #[test]
    fn an_event_id_is_the_text_that_was_written() {
        for text in texts() {
            let id: EventId = text.parse().unwrap();
            assert_eq!((id.to_string(), id.text_len()), (text.clone(), text.len()));
            let is_short = matches!(id.0, Kept::Uuid(_));
            assert!(!is_short || text.len() == 36, "{text}");
        }
        assert!(matches!(UUID.parse::<EventId>().unwrap().0, Kept::Uuid(_)));
    }

    #[test]
    fn event_ids_are_told_apart_and_ordered_as_their_texts_are() {
        let texts = texts();
        for one in &texts {
            for other in &texts {
                let ids: [EventId; 2] = [one.parse().unwrap(), other.parse().unwrap()];
                assert_eq!(ids[0].cmp(&ids[1]), one.cmp(other), "{one} {other}");
                assert_eq!(ids[0] == ids[1], one == other);
                assert_eq!(ids[0].parts() == ids[1].parts(), one == other);
            }
        }
    }
}
