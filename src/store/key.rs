//! Under what the items of the table stand.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::event::PrincipalKey;
use crate::id::{AccountId, EventId, RoleArn, RoleKey, hex};
use crate::lineage::CredentialKey;

/// The name of one item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// What is normal for a role.
    Role(RoleArn),
    /// What is normal for a caller.
    Caller(PrincipalKey),
    /// Sessions that are found under a credential.
    Session(CredentialKey),
    /// Where people were, and who was there at about one time.
    Place(CredentialKey),
    /// The first copy of a call across accounts.
    Copy(EventId),
    /// An account that takes part in what is normal.
    Account(AccountId),
    /// A person's name, in lower case.
    Person(Arc<str>),
    /// The trust policies of a role.
    Trust(RoleKey),
    /// A party that some trust policy lets in.
    Party(Arc<str>),
    /// An account of ours.
    Ours(AccountId),
}

/// Most bytes of a key that are kept as they are. A partition key has 2,048 at most.
const LONGEST: usize = 1_024;

impl Key {
    /// The beginnings of the keys of roles.
    pub const ROLES: &'static str = "role#";
    /// The beginnings of the keys of their trust policies.
    pub const TRUST: &'static str = "trust#";

    /// The key as the table has it. One that would be too long ends in a digest.
    #[must_use]
    pub fn to_text(&self) -> String {
        let text = match self {
            Self::Role(role) => format!("{}{role}", Self::ROLES),
            Self::Caller(caller) => format!("caller#{}", caller.as_str()),
            Self::Session(key) => format!("session#{}", key.to_hex()),
            Self::Place(key) => format!("place#{}", key.to_hex()),
            Self::Copy(id) => format!("copy#{id}"),
            Self::Account(account) => format!("account#{account}"),
            Self::Person(name) => format!("person#{name}"),
            Self::Trust(role) => format!("{}{}", Self::TRUST, role.as_str()),
            Self::Party(party) => format!("party#{party}"),
            Self::Ours(account) => format!("ours#{account}"),
        };
        if text.len() <= LONGEST {
            return text;
        }
        let head = text.get(..text.floor_char_boundary(LONGEST / 2)).unwrap_or_default();
        format!("{head}#{}", hex(&Sha256::digest(&text)))
    }

    /// Whether what was there before is needed for writing it once more. Sessions and copies are
    /// mostly written once; whoever writes one again reads it again.
    pub(super) fn is_changed(&self) -> bool {
        !matches!(self, Self::Session(_) | Self::Copy(_))
    }

    /// The role, or the role's trust policies, that stand under a key of the table.
    #[must_use]
    pub fn of_a_role(text: &str) -> Option<Self> {
        if let Some(arn) = text.strip_prefix(Self::ROLES) {
            return Some(Self::Role(arn.parse().ok()?));
        }
        let (account, name) = text.strip_prefix(Self::TRUST)?.split_once('/')?;
        Some(Self::Trust(RoleKey::new(account.parse().ok()?, name)))
    }
}
