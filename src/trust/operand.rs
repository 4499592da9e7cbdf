//! The values that a condition compares with. ExternalIds are secrets and are hashed here.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::glob::Glob;
use crate::id::ExternalId;
use crate::text::{Text, inline, plural};

/// One value of a condition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operand {
    /// As it was written; a boolean or a number as its text.
    Text(Text),
    /// An ExternalId without wildcards or variables, as its SHA-256.
    Secret(#[serde(with = "hex_digits")] ExternalId),
    /// An ExternalId with wildcards or variables. A value cannot be compared with it, for it is
    /// a secret too; two patterns can.
    SecretPattern {
        /// The SHA-256 of the pattern.
        #[serde(with = "hex_digits")]
        hash: ExternalId,
        /// Characters in it that neither wildcards nor variables stand for.
        fixed: u32,
        /// Whether it takes any value.
        #[serde(default, skip_serializing_if = "is_false")]
        takes_all: bool,
    },
    /// Something that is no value at all, such as an object.
    Unreadable,
}

impl Operand {
    /// Keeps an ExternalId. `is_pattern` says whether `*` and `?` are wildcards to the operator,
    /// `has_variables` whether `${…}` is one to the policy.
    #[must_use]
    pub fn secret(clear: &str, is_pattern: bool, has_variables: bool) -> Self {
        let has_wildcards = is_pattern && clear.contains(['*', '?']);
        let has_a_variable = has_variables && clear.contains("${");
        if !has_wildcards && !has_a_variable {
            return Self::Secret(ExternalId::hash(clear));
        }
        let rest = if has_variables { without_variables(clear) } else { clear.to_owned() };
        let fixed = rest.chars().filter(|c| !(is_pattern && matches!(c, '*' | '?'))).count();
        let fixed = u32::try_from(fixed).unwrap_or(u32::MAX);
        let takes_all = is_pattern && takes_all(clear);
        Self::SecretPattern { hash: ExternalId::hash(clear), fixed, takes_all }
    }

    /// The text, unless it is a secret or none.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.as_str()),
            Self::Secret(_) | Self::SecretPattern { .. } | Self::Unreadable => None,
        }
    }

    /// Whether, as a pattern, it takes any value.
    #[must_use]
    pub fn takes_all(&self) -> bool {
        match self {
            Self::Text(text) => takes_all(text.as_str()),
            Self::SecretPattern { takes_all, .. } => *takes_all,
            Self::Secret(_) | Self::Unreadable => false,
        }
    }

    /// Whether, as a pattern, it takes more than one value.
    #[must_use]
    pub fn has_wildcards(&self) -> bool {
        match self {
            Self::Text(text) => text.as_str().contains(['*', '?']),
            Self::SecretPattern { .. } => true,
            Self::Secret(_) | Self::Unreadable => false,
        }
    }

    /// Whether it takes every value that `other` takes, as networks, or as texts of which each
    /// is a pattern or stands for itself.
    #[must_use]
    pub fn covers(&self, is_pattern: bool, other: &Self, other_is_pattern: bool) -> bool {
        let other_is_pattern = other_is_pattern && other.has_wildcards();
        let is_same = self == other && (is_pattern || !other_is_pattern);
        if is_same || (is_pattern && self.takes_all()) {
            return true;
        }
        let (Some(wide), Some(narrow)) = (self.as_text(), other.as_text()) else { return false };
        match (network(wide), network(narrow)) {
            (Some(wide), Some(narrow)) => wide.contains(&narrow),
            _ if !is_pattern => false,
            _ if other_is_pattern => Glob::new(wide).covers(&Glob::new(narrow)),
            _ => Glob::new(wide).matches(narrow),
        }
    }

    /// The value for a sentence; of a secret never more than the first digits of its hash.
    #[must_use]
    pub fn display(&self) -> String {
        match self {
            Self::Text(text) => format!("`{}`", inline(text.as_str())),
            Self::Secret(id) => id.to_string(),
            Self::SecretPattern { takes_all: true, .. } => "any value".to_owned(),
            Self::SecretPattern { hash, fixed, .. } => {
                format!(
                    "a pattern with {} ({hash})",
                    plural((*fixed).into(), "fixed character", "fixed characters")
                )
            }
            Self::Unreadable => "something that is no value".to_owned(),
        }
    }
}

/// Whether a pattern is of wildcards alone, and no value is too short for it: no key of the
/// language has values of one character.
fn takes_all(pattern: &str) -> bool {
    let singles = pattern.chars().filter(|c| *c == '?').count();
    pattern.contains('*') && singles <= 2 && pattern.chars().all(|c| matches!(c, '*' | '?'))
}

/// The text with its variables taken out.
fn without_variables(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        kept.push_str(before);
        let Some((_, after)) = after.split_once('}') else {
            rest = "";
            break;
        };
        rest = after;
    }
    kept + rest
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_false(it: &bool) -> bool {
    !it
}

/// An address, or a block of them.
pub(super) fn network(text: &str) -> Option<IpNet> {
    text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse::<IpNet>()).ok()
}

/// All 64 digits of a hash: state has to be able to compare.
mod hex_digits {
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::id::ExternalId;

    pub(super) fn serialize<S: Serializer>(
        id: &ExternalId,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&id.to_hex())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<ExternalId, D::Error> {
        let digits = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        ExternalId::from_hex(&digits).map_err(serde::de::Error::custom)
    }
}
