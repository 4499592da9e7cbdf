//! The CloudTrail record, and its one way out: into an [`Event`].
//!
//! Nothing after this module knows how a record is spelled. What the fields look like in real
//! trails, and how little of it can be relied on, is what the submodules are about.

mod assumption;
mod field;
mod identity;
mod sign_in;
mod time;
mod trust_change;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::event::{Call, Event, EventKey, Memo, Outcome};
use crate::id::{AccountId, Address};
use crate::json::Json;

/// A record of ours that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Nothing can be ordered or judged without a time.
    #[error("it has no `eventTime`")]
    NoTime,
    /// The time is there and is none. What stands there is not told: in a broken log it may be
    /// anything.
    #[error("its `eventTime` is not a time")]
    BadTime,
    /// A granted assumption has to say of which role.
    #[error("it is a granted `{0}` that names no role")]
    NoRole(&'static str),
}

type Reader = fn(Call, Json<'_>) -> Result<Event, ReadError>;

/// What rolewatch reads: event source, event name, and the way to read it. The source counts,
/// for `AssumeRole` is also an event of the sign-in service and of other clouds.
const OURS: &[(&str, &str, Reader)] = &[
    ("iam.amazonaws.com", "CreateRole", trust_change::created),
    ("iam.amazonaws.com", "DeleteRole", trust_change::deleted),
    ("iam.amazonaws.com", "UpdateAssumeRolePolicy", trust_change::updated),
    ("signin.amazonaws.com", "ConsoleLogin", sign_in::console_login),
    ("signin.amazonaws.com", "SwitchRole", sign_in::switch_role),
    ("sso.amazonaws.com", "GetRoleCredentials", sign_in::role_credentials),
    ("sts.amazonaws.com", "AssumeRole", assumption::assume_role),
    ("sts.amazonaws.com", "AssumeRoleWithSAML", assumption::with_identity_provider),
    ("sts.amazonaws.com", "AssumeRoleWithWebIdentity", assumption::with_identity_provider),
    ("sts.amazonaws.com", "AssumeRoot", assumption::assume_root),
    ("sts.amazonaws.com", "GetFederationToken", sign_in::federation_token),
    ("sts.amazonaws.com", "GetSessionToken", sign_in::session_token),
];

/// What rolewatch reads, by event source and event name.
pub fn ours() -> impl Iterator<Item = (&'static str, &'static str)> {
    OURS.iter().map(|(source, name, _)| (*source, *name))
}

/// Whether a record with this source and name is one that rolewatch reads.
#[must_use]
pub fn is_ours(source: &str, name: &str) -> bool {
    reader_of(source, name).is_some()
}

/// Whether a record of this name is one that rolewatch reads, if its source is right.
#[must_use]
pub fn may_be_ours(name: &[u8]) -> bool {
    OURS.iter().any(|(_, ours, _)| ours.as_bytes() == name)
}

/// Whether a record of which the name begins with these letters may be one that rolewatch reads,
/// or something in them may be escaped. Nearly all others are told by this.
#[must_use]
#[inline(always)]
pub fn may_begin_ours(head: &[u8; 5]) -> bool {
    let [a, b, c, d, e] = *head;
    let number = u64::from_le_bytes([a, b, c, d, e, 0, 0, 0]);
    // All are looked at, for that takes less than to ask after each whether to go on.
    HEADS.iter().fold(false, |any, head| any | (*head == number))
        || head.iter().fold(false, |any, it| any | (*it < b'A') | (*it == b'\\'))
}

/// The first five letters of each name, as a number.
#[expect(clippy::indexing_slicing, reason = "a place that is not there would stop the compiler")]
const HEADS: [u64; OURS.len()] = {
    let (mut heads, mut at) = ([0; OURS.len()], 0);
    while at < OURS.len() {
        assert!(OURS[at].1.len() >= 5, "a shorter name is not told by its first five letters");
        if let [a, b, c, d, e, ..] = *OURS[at].1.as_bytes() {
            heads[at] = u64::from_le_bytes([a, b, c, d, e, 0, 0, 0]);
        }
        at += 1;
    }
    heads
};

/// The service that a call of this name goes to, if rolewatch reads such calls.
#[must_use]
pub fn source_of(name: &str) -> Option<&'static str> {
    OURS.iter().find(|(_, ours, _)| *ours == name).map(|(source, ..)| *source)
}

/// Reads one record that is a tree of values. `Ok(None)` is a record that does not concern
/// rolewatch.
///
/// # Errors
/// A record of ours without which something would go unseen: see [`ReadError`].
pub fn read(record: &Value) -> Result<Option<Event>, ReadError> {
    read_in_place(Json::Tree(record))
}

/// Reads one record, wherever it stands.
///
/// # Errors
/// As [`read`].
pub fn read_in_place(record: Json<'_>) -> Result<Option<Event>, ReadError> {
    let source = field::str(record, "eventSource").unwrap_or_default();
    let name = field::str(record, "eventName").unwrap_or_default();
    let Some((name, reader)) = reader_of(&source, &name) else { return Ok(None) };
    reader(read_call(record, name)?, record).map(Some)
}

fn reader_of(source: &str, name: &str) -> Option<(&'static str, Reader)> {
    let ours = OURS.iter().find(|(s, n, _)| *s == source && *n == name)?;
    Some((ours.1, ours.2))
}

fn read_call(record: Json<'_>, name: &'static str) -> Result<Call, ReadError> {
    let account: Option<AccountId> = field::parsed(record, "recipientAccountId");
    let principal = identity::principal(record);
    Ok(Call {
        key: event_key(record, account),
        shared_id: field::parsed(record, "sharedEventID"),
        name,
        time: event_time(record)?,
        region: field::text(record, "awsRegion").unwrap_or_default(),
        account,
        mfa: identity::mfa(record, &principal),
        principal,
        address: Address::read(&field::str(record, "sourceIPAddress").unwrap_or_default()),
        user_agent: field::text(record, "userAgent").unwrap_or_default(),
        outcome: outcome(record),
        is_placed: false,
        networks: Memo::default(),
    })
}

fn event_time(record: Json<'_>) -> Result<jiff::Timestamp, ReadError> {
    let raw = record.get("eventTime");
    match raw.as_str() {
        _ if raw.is_null() => return Err(ReadError::NoTime),
        Some(text) => time::event_time(&text),
        None => time::event_time(&raw.to_value().to_string()),
    }
    .ok_or(ReadError::BadTime)
}

fn event_key(record: Json<'_>, account: Option<AccountId>) -> EventKey {
    match field::parsed(record, "eventID") {
        Some(id) => EventKey::Id(account, id),
        None => {
            let canonical = Sha256::digest(record.to_value().to_string());
            let mut head = [0_u8; 16];
            head.iter_mut().zip(canonical).for_each(|(to, from)| *to = from);
            EventKey::Digest(head)
        }
    }
}

fn outcome(record: Json<'_>) -> Outcome {
    let error = field::text(record, "errorCode").or_else(|| field::text(record, "errorMessage"));
    error.map_or(Outcome::Granted, Outcome::Refused)
}

#[cfg(test)]
mod tests;
