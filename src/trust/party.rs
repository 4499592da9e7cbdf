//! The names under which those whom trust policies let in are known elsewhere.

use super::compare::Comparison;
use super::demand::{Demand, Guard};
use super::door::{Door, doors};
use super::subject::parties;
use super::{TrustPolicy, Who};
use crate::id::{AccountId, UniqueId};
use crate::text::{inline, listed};

/// The name under which an account is known as a party.
#[must_use]
pub fn party_of(account: AccountId) -> String {
    format!("account:{account}")
}

/// That some organisation is known at all, so that another one is a stranger.
pub const SOME_ORGANISATION: &str = "org:";

/// The name under which an organisation is known as a party.
fn party_of_organisation(id: &str) -> String {
    format!("{SOME_ORGANISATION}{id}")
}

/// Whether a party is an organisation.
#[must_use]
pub fn is_organisation(party: &str) -> bool {
    party.starts_with(SOME_ORGANISATION)
}

/// The accounts and other parties that a policy lets in, by the names under which
/// [`World`](super::World) is asked for them: `444455556666`, `provider:…`, `org:o-a1b2c3d4e5`.
#[must_use]
pub fn trusted_parties(policy: &TrustPolicy) -> (Vec<AccountId>, Vec<String>) {
    let doors = doors(policy);
    let account = |door: &Door| door.who.account().or_else(|| door.who.provider_account());
    let accounts = doors.iter().filter_map(account).collect();
    let demands = doors.iter().flat_map(|door| &door.demands);
    let named: Vec<String> = demands.filter_map(organisations).flatten().collect();
    let some = named.first().map(|_| SOME_ORGANISATION.to_owned());
    let mut found: Vec<String> = doors.iter().flat_map(parties).chain(some).collect();
    found.extend(named.iter().map(|it| party_of_organisation(it)));
    found.sort_unstable();
    found.dedup();
    (accounts, found)
}

/// The users and roles that a policy names by nothing but their unique ids.
#[must_use]
pub fn trusted_ids(policy: &TrustPolicy) -> Vec<UniqueId> {
    let id = |door: Door| if let Who::Id(id) = door.who { Some(id) } else { None };
    doors(policy).into_iter().filter_map(id).collect()
}

/// What the organisations are in one of which a door demands membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Membership {
    /// Such that policies here name.
    Known,
    /// One of which nobody can tell, for none is known here.
    Unheard,
    /// One that no policy here named, where they name others.
    Stranger,
}

impl Comparison<'_> {
    /// In what organisations a door demands membership, where it does.
    pub(super) fn membership(&self, door: &Door) -> Option<Membership> {
        let demands = door.demands.iter().filter(|it| it.guard == Guard::Organisation);
        demands.filter(|it| it.narrows()).map(|it| self.of_demand(door, it)).min()
    }

    fn of_demand(&self, door: &Door, demand: &Demand) -> Membership {
        let mut demands = self.old.iter().flat_map(|it| &it.demands);
        if self.unknown(door, demand).is_empty() {
            Membership::Known
        } else if (self.world.knows_party)(SOME_ORGANISATION)
            || demands.any(|it| organisations(it).is_some())
        {
            Membership::Stranger
        } else {
            Membership::Unheard
        }
    }

    /// The organisations that a demand names and that are not known. That it is the role's own
    /// needs no name.
    fn unknown(&self, door: &Door, demand: &Demand) -> Vec<String> {
        // Whoever came through the door before was of it.
        let covering = self.old.iter().filter(|it| it.who.covers(&door.who));
        let old = covering.flat_map(|it| &it.demands).filter_map(organisations);
        let old: Vec<String> = old.flatten().collect();
        let is_known =
            |id: &String| old.contains(id) || (self.world.knows_party)(&party_of_organisation(id));
        organisations(demand).into_iter().flatten().filter(|it| !is_known(it)).collect()
    }

    /// What a sentence has to say of the organisations that a door for others demands.
    pub(super) fn of_which_organisation(&self, door: &Door) -> String {
        match self.membership(door) {
            _ if self.is_of_ours(&door.who) => String::new(),
            Some(Membership::Stranger) => {
                let unknown = door.demands.iter().flat_map(|it| self.unknown(door, it));
                let unknown: Vec<String> = unknown.map(|it| format!("`{}`", inline(&it))).collect();
                format!("; no role here was known to trust {}", listed(&unknown, "or"))
            }
            Some(Membership::Unheard) => "; no organisation is known here to tell ours by".into(),
            Some(Membership::Known) | None => String::new(),
        }
    }
}

/// The organisations that a demand names, in lower case as all are; `None` of any other demand,
/// and of one that names them by what the request says of the role itself.
fn organisations(demand: &Demand) -> Option<Vec<String>> {
    let is_of_caller =
        matches!(demand.key.as_str(), "aws:principalorgid" | "aws:principalorgpaths");
    if !is_of_caller || !demand.narrows() {
        return None;
    }
    let named = demand.operands.iter().filter_map(|it| it.as_text());
    let named: Vec<String> = named
        .filter(|it| !it.contains("${"))
        .map(|it| it.split(['/', '*', '?']).next().unwrap_or(it).to_ascii_lowercase())
        .collect();
    (!named.is_empty()).then_some(named)
}
