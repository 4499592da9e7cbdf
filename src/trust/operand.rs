//! The values that a condition compares with. ExternalIds are secrets and are hashed here.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::glob::Glob;
use crate::id::ExternalId;
use crate::text::{Text, inline};

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
        /// Characters in it that are no wildcards: 0 is a pattern that takes anything.
        fixed: u32,
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
        let fixed = clear.chars().filter(|c| !matches!(c, '*' | '?')).count();
        let fixed = u32::try_from(fixed).unwrap_or(u32::MAX);
        Self::SecretPattern { hash: ExternalId::hash(clear), fixed }
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
    pub fn is_open(&self) -> bool {
        match self {
            Self::Text(text) => {
                let text = text.as_str();
                !text.is_empty() && text.chars().all(|c| matches!(c, '*' | '?'))
            }
            Self::SecretPattern { fixed, .. } => *fixed == 0,
            Self::Secret(_) | Self::Unreadable => false,
        }
    }

    /// Whether it takes every value that `other` takes, as networks, or as texts of which each
    /// is a pattern or stands for itself.
    #[must_use]
    pub fn covers(&self, is_pattern: bool, other: &Self, other_is_pattern: bool) -> bool {
        let is_same = self == other && (is_pattern || !other_is_pattern);
        if is_same || (is_pattern && self.is_open()) {
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
            Self::SecretPattern { fixed: 0, .. } => "any value".to_owned(),
            Self::SecretPattern { hash, fixed } => {
                format!("a pattern with {fixed} fixed characters ({hash})")
            }
            Self::Unreadable => "something that is no value".to_owned(),
        }
    }
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
