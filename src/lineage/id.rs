//! Under what a call and a session are found.
//!
//! The keys are digests, or hold all of what they are made of: bounded in size whatever a log
//! holds, and not to be made to collide by whoever chooses session names.

use std::fmt;
use std::hash::{Hash, Hasher};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{SKEW, Session};
use crate::event::{
    Assumption, Call, Credential, EventKey, Principal, PrincipalKind, SignIn, SignInKind,
};
use crate::id::{self, AccessKeyId, AccountId, Address, RoleArn, UniqueId, hex};
use crate::text::Text;

/// Bytes that most digests are made of at most; only a forged log has longer names.
const SHORT: usize = 256;

/// Writes a part of what a digest is made of, and steps behind it.
fn put(rest: &mut &mut [u8], part: &[u8]) {
    if let Some((head, tail)) = std::mem::take(rest).split_at_mut_checked(part.len()) {
        head.copy_from_slice(part);
        *rest = tail;
    }
}

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        /// As one number: bytes are hashed behind their count, and one by one.
        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                state.write_u128(u128::from_ne_bytes(self.0));
            }
        }

        impl $name {
            /// The digest of a kind of thing, a number and some bytes. Each is written so that no
            /// two lists of them are the same bytes.
            ///
            /// It is BLAKE3, for several are made of every call: of something this short it takes
            /// a fifth of what SHA-256 takes where the processor has no instructions for that.
            fn of<P: AsRef<[u8]>>(kind: u8, number: u64, parts: &[P]) -> Self {
                let lengths = parts.iter().map(|part| 2 + part.as_ref().len());
                let length = 1 + 8 + lengths.sum::<usize>();
                let (mut short, mut long) = ([0; SHORT], Vec::new());
                let bytes = match short.get_mut(..length) {
                    Some(bytes) => bytes,
                    None => {
                        long.resize(length, 0);
                        long.as_mut_slice()
                    }
                };
                let mut rest = &mut *bytes;
                put(&mut rest, &[kind]);
                put(&mut rest, &number.to_be_bytes());
                for part in parts.iter().map(AsRef::as_ref) {
                    // Texts of a log are cut to far less than this can hold.
                    let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
                    put(&mut rest, &length.to_be_bytes());
                    put(&mut rest, part);
                }
                let digest = blake3::hash(bytes);
                Self(digest.as_bytes().first_chunk().copied().unwrap_or_default())
            }
        }

        impl $name {
            /// The digest, in hexadecimal digits.
            #[must_use]
            pub fn to_hex(&self) -> String {
                hex(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.to_hex())
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
    /// The call for a role that a record is of. Role and issued key are part of it, for whoever
    /// makes a record up may choose its shared id.
    #[must_use]
    pub fn of_assumption(it: &Assumption) -> Self {
        if let Some(id) = Self::of_issued(it) {
            return id;
        }
        let role = it.role().map_or("", RoleArn::as_str);
        let key = it.session.access_key_id.as_ref().map_or("", AccessKeyId::as_str);
        Self::of_record(b'c', &it.call, [role.as_bytes(), key.as_bytes()])
    }

    /// The call's id together with the key that it issued and the account of the role, where both
    /// are as AWS makes them: no two calls share either, so that no two have the same bits in both
    /// together, and a digest takes several times as long.
    fn of_issued(it: &Assumption) -> Option<Self> {
        let id = it.call.shared_id.as_ref().or(it.call.event_id())?.as_uuid()?;
        let key = packed(it.role_account()?, it.session.access_key_id.as_ref()?)?;
        Some(Self((id.as_u128() ^ u128::from_be_bytes(key)).to_be_bytes()))
    }

    /// A sign-in.
    #[must_use]
    pub fn of_sign_in(it: &SignIn) -> Self {
        Self::of_record(b'i', &it.call, [b"", b""])
    }

    /// What all copies of a call share or, where it has but one, the record.
    fn of_record(kind: u8, call: &Call, [role, key]: [&[u8]; 2]) -> Self {
        let of = |number: u64, [first, second]: [&[u8]; 2]| {
            Self::of(kind, number, &[first, second, role, key])
        };
        match (&call.shared_id, &call.key) {
            (Some(shared), _) => of(0, shared.parts()),
            // Behind 0 and 2, which are those of the others.
            (None, EventKey::Id(account, id)) => {
                of(account.map_or(1, |it| it.number() + 3), id.parts())
            }
            (None, EventKey::Digest(record)) => of(2, [b"d", record]),
        }
    }
}

impl CredentialKey {
    /// A digest whose first bit says that it is not a [`packed`] key.
    fn digest(kind: u8, number: u64, parts: &[&str]) -> Self {
        let Self(digest) = Self::of(kind, number, parts);
        Self((u128::from_be_bytes(digest) | 1 << 127).to_be_bytes())
    }

    fn access_key(account: AccountId, key: &AccessKeyId) -> Self {
        let digest = || Self::digest(b'k', account.number(), &[key.as_str()]);
        packed(account, key).map_or_else(digest, Self)
    }

    fn named(role: &UniqueId, name: &Text, created: Timestamp) -> Self {
        Self::digest(b'n', second(created), &[role.as_str(), name.as_str()])
    }

    fn named_of_arn(role: &RoleArn, name: &Text, created: Timestamp) -> Self {
        Self::digest(b'a', second(created), &[role.as_str(), name.as_str()])
    }

    /// Whoever bears a session name at a role, at about a time.
    fn bearer(role: &UniqueId, name: &Text, bucket: i64) -> Self {
        Self::digest(b'b', bucket.cast_unsigned(), &[role.as_str(), name.as_str()])
    }

    /// A permission set of Identity Center in an account, at about a time.
    fn permission_set(account: AccountId, name: &str, bucket: i64) -> Self {
        let account = account.to_string();
        Self::digest(b's', bucket.cast_unsigned(), &[&account, name])
    }
}

/// A temporary access key, as AWS makes them, and its account: both fit into as much as a digest
/// takes, for a third of the time. Letters and digits, of which such a key has 16 behind four that
/// are always the same, are written in base 36.
fn packed(account: AccountId, key: &AccessKeyId) -> Option<[u8; 16]> {
    let (head, tail) = key.as_str().strip_prefix("ASIA")?.as_bytes().split_first_chunk::<8>()?;
    // Of the 128 bits an account, which has twelve digits, takes 40 and each half of the key 42.
    let (head, tail) = (base_36(head)?, base_36(tail.try_into().ok()?)?);
    let key = u128::from(head) << 42 | u128::from(tail);
    Some((u128::from(account.number()) << 84 | key).to_be_bytes())
}

/// The number that eight digits and letters are.
fn base_36(text: &[u8; 8]) -> Option<u64> {
    let (mut number, mut is_sound) = (0, true);
    for byte in text {
        let (digit, letter) = (byte.wrapping_sub(b'0'), byte.wrapping_sub(b'A'));
        is_sound &= (digit < 10) | (letter < 26);
        number = 36 * number + u64::from(if digit < 10 { digit } else { letter.wrapping_add(10) });
    }
    is_sound.then_some(number)
}

fn second(time: Timestamp) -> u64 {
    time.as_second().cast_unsigned()
}

/// What is less than the skew of clocks apart lies in neighbouring buckets of time, so that a
/// record concerns few others.
fn bucket(time: Timestamp) -> i64 {
    time.as_second().div_euclid(SKEW.as_secs())
}

/// Under what the session is found that a granted call opens.
#[must_use]
pub fn issued(it: &Assumption) -> Vec<CredentialKey> {
    let (by_key, by_name) = issued_as(it);
    let mut keys = Vec::with_capacity(2);
    keys.extend(by_key);
    keys.extend(by_name);
    keys.extend(sharing_a_set(it));
    keys.sort_unstable();
    keys
}

/// Under what somebody has to be able to find the session that a granted call opens who did not
/// see the call: by the key that was issued and, where its holder is given other keys or none
/// was seen, by its name.
#[must_use]
pub fn findable(it: &Assumption) -> Vec<CredentialKey> {
    let (by_key, by_name) = issued_as(it);
    let by_name = by_name.filter(|_| by_key.is_none() || changes_keys(it));
    by_key.into_iter().chain(by_name).collect()
}

/// The session that a call opens, by its access key and by its name.
fn issued_as(it: &Assumption) -> (Option<CredentialKey>, Option<CredentialKey>) {
    let (session, time) = (&it.session, it.call.time);
    let by_key = it.role_account().zip(session.access_key_id.as_ref());
    let by_key = by_key.map(|(account, key)| CredentialKey::access_key(account, key));
    let by_name = match (it.role_id(), it.role(), &session.name) {
        (Some(id), _, Some(name)) => Some(CredentialKey::named(id, name, time)),
        // Some services' records lack the id; a later call tells the role's ARN with its path.
        (None, Some(arn), Some(name)) => Some(CredentialKey::named_of_arn(arn, name, time)),
        _ => None,
    };
    (by_key, by_name)
}

/// Whether the holder of the session is given other keys than the one that was issued: at a
/// console, or by a service.
pub(super) fn changes_keys(it: &Assumption) -> bool {
    matches!(it.call.address, Address::Service(_))
        || matches!(
            it.call.principal.kind,
            PrincipalKind::Service
                | PrincipalKind::Saml
                | PrincipalKind::WebIdentity
                | PrincipalKind::IdentityCenter
        )
}

/// Under what those who use a permission set at about one time are found: who of them a place is
/// of is then not known.
#[must_use]
pub fn sharing_a_set(it: &Assumption) -> Option<CredentialKey> {
    let (account, set) = permission_set(it)?;
    Some(CredentialKey::permission_set(account, set, bucket(it.call.time)))
}

/// The permission set of Identity Center that a role stands for.
fn permission_set(it: &Assumption) -> Option<(AccountId, &str)> {
    if it.call.principal.kind != PrincipalKind::Saml {
        return None;
    }
    Some((it.role_account()?, id::permission_set(it.role()?.name())?))
}

/// Under what other records tell where the person was who opened a session from inside AWS.
#[derive(Debug, Default)]
pub(super) struct PlaceKeys {
    /// The person's own: whoever bears the session's name at the role.
    pub(super) own: Vec<CredentialKey>,
    /// That of everybody who uses the permission set then.
    pub(super) shared: Vec<CredentialKey>,
}

impl PlaceKeys {
    pub(super) fn of(it: &Assumption) -> Self {
        let kind = it.call.principal.kind;
        let at_console = it.call.address.is_internal()
            && matches!(
                kind,
                PrincipalKind::IamUser | PrincipalKind::Role | PrincipalKind::AwsAccount
            );
        let about = bucket(it.call.time);
        let buckets = about - 1..=about + 1;
        let mut keys = Self::default();
        if (at_console || kind == PrincipalKind::Saml)
            && let (Some(id), Some(name)) = (it.role_id(), &it.session.name)
        {
            keys.own = buckets.clone().map(|at| CredentialKey::bearer(id, name, at)).collect();
        }
        if let Some((account, set)) = permission_set(it) {
            let key = |at| CredentialKey::permission_set(account, set, at);
            keys.shared = buckets.map(key).collect();
        }
        keys
    }

    pub(super) fn is_empty(&self) -> bool {
        self.own.is_empty() && self.shared.is_empty()
    }
}

/// Which sessions a sign-in tells the place of.
#[must_use]
pub fn told_by(it: &SignIn) -> Vec<CredentialKey> {
    let principal = &it.call.principal;
    if !it.call.granted() {
        return Vec::new();
    }
    let about = bucket(it.call.time);
    match &it.kind {
        SignInKind::SwitchRole { .. } | SignInKind::ConsoleLogin => {
            let bearer = principal.id.as_ref().zip(principal.session_name.as_ref());
            bearer.map(|(id, name)| CredentialKey::bearer(id, name, about)).into_iter().collect()
        }
        SignInKind::RoleCredentials { account: Some(account), role_name: Some(name) } => {
            let set = id::permission_set(name.as_str()).unwrap_or(name.as_str());
            vec![CredentialKey::permission_set(*account, set, about)]
        }
        _ => Vec::new(),
    }
}

/// Under what the session is found whose credentials a caller used: by its access key.
pub(super) fn used_by_key(principal: &Principal) -> Option<CredentialKey> {
    let Credential::Temporary { key, .. } = &principal.credential else { return None };
    let (account, key) = principal.account.zip(key.as_ref())?;
    let digest = || Some(CredentialKey::access_key(account, key).0);
    principal.session_keys.by_key.get_or(digest).map(CredentialKey)
}

/// Under what it is found by its name.
pub(super) fn used_by_name(principal: &Principal) -> impl Iterator<Item = CredentialKey> {
    let digests = principal.session_keys.by_name.get_or(|| digests_of_name(principal));
    digests.iter().copied().flatten().map(CredentialKey)
}

fn digests_of_name(principal: &Principal) -> [Option<[u8; 16]>; 2] {
    let created = match &principal.credential {
        Credential::Temporary { created, .. } => *created,
        Credential::LongTerm(_) | Credential::Unseen => None,
    };
    let Some((created, name)) = created.zip(principal.session_name.as_ref()) else {
        return [None; 2];
    };
    let of_id = principal.id.as_ref().map(|id| CredentialKey::named(id, name, created).0);
    let of_arn = |arn| CredentialKey::named_of_arn(arn, name, created).0;
    [of_id, principal.issuer.as_ref().map(of_arn)]
}

/// Under what the session is looked up that made a call.
#[must_use]
pub fn used_by(it: &Assumption) -> Vec<CredentialKey> {
    if it.call.principal.kind != PrincipalKind::Role {
        return Vec::new();
    }
    let by_name = used_by_name(&it.call.principal);
    used_by_key(&it.call.principal).into_iter().chain(by_name).collect()
}

/// Under what it is looked up where the person was who made a call, and who else may have been
/// there.
#[must_use]
pub fn places_of(it: &Assumption) -> Vec<CredentialKey> {
    let PlaceKeys { own, shared } = PlaceKeys::of(it);
    own.into_iter().chain(shared).collect()
}

/// Under what a call waits for the session that made it.
#[must_use]
pub fn awaited(it: &Assumption) -> Vec<CredentialKey> {
    let mut keys: Vec<_> = used_by_name(&it.call.principal).collect();
    keys.extend(used_by_key(&it.call.principal));
    let places = PlaceKeys::of(it);
    keys.extend(places.own);
    keys.extend(places.shared);
    keys
}

/// Under what a call with a long-term key waits for the next use of it.
#[must_use]
pub fn next_use(it: &Assumption) -> Option<CredentialKey> {
    let principal = &it.call.principal;
    let is_key = matches!(principal.credential, Credential::LongTerm(_));
    let user = principal.key().filter(|_| is_key && it.call.granted())?;
    Some(CredentialKey::digest(b'u', 0, &[user.as_str()]))
}

/// Whether a session is found under the name that its caller tells of itself, or has none: a key
/// id may come again for another role.
pub(super) fn agrees(session: &Session, principal: &Principal) -> bool {
    let (Some(created), Some(name)) = (session.created(), &principal.session_name) else {
        return true;
    };
    // A digest takes longer than all the rest of this, and the first one mostly tells.
    let is_kept = |key: CredentialKey| session.keys.contains(&key);
    let by_id = || principal.id.as_ref().map(|id| CredentialKey::named(id, name, created));
    let by_arn =
        || principal.issuer.as_ref().map(|arn| CredentialKey::named_of_arn(arn, name, created));
    !session.is_named || by_id().is_some_and(is_kept) || by_arn().is_some_and(is_kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(account: &str, key: &str) -> Option<[u8; 16]> {
        packed(account.parse().unwrap(), &key.parse().unwrap())
    }

    /// What the bytes were made of.
    fn unpacked(bytes: [u8; 16]) -> (String, String) {
        let bits = u128::from_be_bytes(bytes);
        let digits = |half: u128| -> String {
            let digit = |at| char::from_digit((half / 36_u128.pow(at) % 36) as u32, 36).unwrap();
            (0..8).rev().map(digit).collect()
        };
        let (head, tail) = (digits(bits >> 42 & ((1 << 42) - 1)), digits(bits & ((1 << 42) - 1)));
        (format!("{:012}", bits >> 84), format!("ASIA{head}{tail}").to_uppercase())
    }

    #[test]
    fn a_key_that_is_packed_holds_all_of_it() {
        for account in ["000000000000", "111122223333", "999999999999"] {
            for key in ["ASIAZZZZZZZZZZZZZZZZ", "ASIA0000000000000000", "ASIA234567ABCDEFXYZ9"] {
                let bytes = of(account, key).unwrap();
                assert_eq!(unpacked(bytes), (account.to_owned(), key.to_owned()));
            }
        }
        for other in ["AKIAIOSFODNN7EXAMPLE", "ASIAEXAMPLE", "ASIA234567ABCDEFXYZ98"] {
            assert_eq!(of("111122223333", other), None);
        }
        let (role, time) = ("AROAEXAMPLE".parse().unwrap(), Timestamp::UNIX_EPOCH);
        for name in 0..100 {
            let named = CredentialKey::named(&role, &Text::clip(&name.to_string()), time);
            assert!(named.0[0] >= 0x80, "no key of an account looks like this");
        }
        assert!(of("999999999999", "ASIAZZZZZZZZZZZZZZZZ").unwrap()[0] < 0x80);
    }
}
