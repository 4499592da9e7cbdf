//! The names under which those whom trust policies let in are known elsewhere.

use super::TrustPolicy;
use super::door::doors;
use super::subject::parties;
use crate::id::AccountId;

/// The name under which an account is known as a party.
#[must_use]
pub fn party_of(account: AccountId) -> String {
    format!("account:{account}")
}

/// The accounts and parties of identity providers that a policy lets in, by the names under
/// which [`World`] is asked for them: `444455556666`, `provider:…`.
#[must_use]
pub fn trusted_parties(policy: &TrustPolicy) -> (Vec<AccountId>, Vec<String>) {
    let doors = doors(policy);
    let accounts = doors.iter().filter_map(|door| door.who.account()).collect();
    (accounts, doors.iter().flat_map(parties).collect())
}
