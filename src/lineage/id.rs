//! Under what a call and a session are found.
//!
//! The keys are digests: bounded in size whatever a log holds, and not to be made to collide by
//! whoever chooses session names.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::event::{Assumption, Call, Credential, Principal, SignIn, SignInKind};
use crate::id::{AccessKeyId, AccountId, Address, RoleArn, UniqueId, hex};
use crate::text::Text;

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            fn of(parts: &[&str]) -> Self {
                let mut digest = Sha256::new();
                for part in parts {
                    digest.update((part.len() as u64).to_be_bytes());
                    digest.update(part);
                }
                let mut head = [0_u8; 16];
                head.iter_mut().zip(digest.finalize()).for_each(|(to, from)| *to = from);
                Self(head)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex(&self.0))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&hex(&self.0))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                let bits = u128::from_str_radix(&text, 16).map_err(serde::de::Error::custom)?;
                Ok(Self(bits.to_be_bytes()))
            }
        }
    };
}

digest!(
    /// One call, whichever account's copy of it was read.
    CallId
);

digest!(
    /// Something that a session is found under.
    CredentialKey
);

impl CallId {
    /// The call that a record is of.
    #[must_use]
    pub fn of_call(call: &Call) -> Self {
        Self::of(&["call", &call.alert_id()])
    }
}

impl CredentialKey {
    fn access_key(account: AccountId, key: &AccessKeyId) -> Self {
        Self::of(&["key", &account.to_string(), key.as_str()])
    }

    fn named(role: &UniqueId, name: &Text, created: Timestamp) -> Self {
        let second = created.as_second().to_string();
        Self::of(&["name", role.as_str(), name.as_str(), &second])
    }

    fn named_of_arn(role: &RoleArn, name: &Text, created: Timestamp) -> Self {
        let second = created.as_second().to_string();
        Self::of(&["arn", role.as_str(), name.as_str(), &second])
    }

    /// Whoever bears a session name at a role, at any time.
    fn bearer(role: &UniqueId, name: &Text) -> Self {
        Self::of(&["bearer", role.as_str(), name.as_str()])
    }

    /// A permission set of Identity Center in an account.
    fn permission_set(account: AccountId, name: &str) -> Self {
        Self::of(&["permission set", &account.to_string(), name])
    }
}

/// Under what the session is found that a granted call opens.
pub(super) fn issued(it: &Assumption) -> Vec<CredentialKey> {
    let (session, time) = (&it.session, it.call.time);
    let mut keys = Vec::with_capacity(3);
    if let (Some(account), Some(key)) = (it.role_account(), &session.access_key_id) {
        keys.push(CredentialKey::access_key(account, key));
    }
    match (it.role_id(), it.role(), &session.name) {
        (Some(id), _, Some(name)) => keys.push(CredentialKey::named(id, name, time)),
        // Some services' records lack the id; a later call tells the role's ARN with its path.
        (None, Some(arn), Some(name)) => keys.push(CredentialKey::named_of_arn(arn, name, time)),
        _ => {}
    }
    keys.extend(place_of(it));
    keys.sort_unstable();
    keys
}

/// Under what another record tells where the person was who opened this session from inside AWS.
pub(super) fn place_of(it: &Assumption) -> Vec<CredentialKey> {
    use crate::event::PrincipalKind::{IamUser, Role, Saml};
    let principal = &it.call.principal;
    let is_internal = matches!(it.call.address, Address::Service(_));
    let mut keys = Vec::new();
    let at_console = is_internal && matches!(principal.kind, IamUser | Role);
    let is_remote = is_internal && principal.kind == crate::event::PrincipalKind::AwsAccount;
    if (at_console || is_remote || principal.kind == Saml)
        && let (Some(id), Some(name)) = (it.role_id(), &it.session.name)
    {
        keys.push(CredentialKey::bearer(id, name));
    }
    if principal.kind == Saml
        && let (Some(account), Some(role)) = (it.role_account(), it.role())
        && let Some((set, _)) =
            role.name().strip_prefix("AWSReservedSSO_").and_then(|it| it.rsplit_once('_'))
    {
        keys.push(CredentialKey::permission_set(account, set));
    }
    keys
}

/// Which sessions a sign-in tells the place of.
#[must_use]
pub fn told_by(it: &SignIn) -> Vec<CredentialKey> {
    let principal = &it.call.principal;
    if !it.call.granted() {
        return Vec::new();
    }
    match &it.kind {
        SignInKind::SwitchRole { .. } | SignInKind::ConsoleLogin => {
            let bearer = principal.id.as_ref().zip(principal.session_name.as_ref());
            bearer.map(|(id, name)| CredentialKey::bearer(id, name)).into_iter().collect()
        }
        SignInKind::RoleCredentials { account: Some(account), role_name: Some(name) } => {
            let name = name.as_str();
            let set = name.strip_prefix("AWSReservedSSO_").and_then(|it| it.rsplit_once('_'));
            vec![CredentialKey::permission_set(*account, set.map_or(name, |(set, _)| set))]
        }
        _ => Vec::new(),
    }
}

/// Under what the session is found whose credentials a caller used: by its access key, and by
/// its name.
pub(super) fn used(principal: &Principal) -> (Option<CredentialKey>, Vec<CredentialKey>) {
    let Credential::Temporary { key, created } = &principal.credential else {
        return (None, Vec::new());
    };
    let by_key = principal.account.zip(key.as_ref());
    let by_key = by_key.map(|(account, key)| CredentialKey::access_key(account, key));
    let mut by_name = Vec::new();
    if let (Some(created), Some(name)) = (created, &principal.session_name) {
        let id = principal.id.as_ref().map(|id| CredentialKey::named(id, name, *created));
        let arn = principal.issuer.as_ref();
        let arn = arn.map(|arn| CredentialKey::named_of_arn(arn, name, *created));
        by_name.extend(id.into_iter().chain(arn));
    }
    (by_key, by_name)
}

/// Under what a call waits for the session that made it.
#[must_use]
pub fn awaited(it: &Assumption) -> Vec<CredentialKey> {
    let (by_key, mut keys) = used(&it.call.principal);
    keys.extend(by_key);
    keys.extend(place_of(it));
    keys
}
