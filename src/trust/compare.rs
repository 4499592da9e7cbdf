//! What a policy allows that the one before it did not, in words and by how much it matters.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::demand::Demand;
use super::denial::Denial;
use super::door::{Door, Who, doors};
use super::lost::NO_MFA;
use super::opened::{AN_ORGANISATION, MADE_FOR_ACCOUNT, OPENED_TO_ACCOUNT};
use super::{Ask, Effect, TrustPolicy};
use crate::id::{AccountId, UniqueId};
use crate::severity::Severity;

/// What an account is to whoever owns the role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// One of their own.
    Ours,
    /// One that is declared for the role.
    Declared,
    /// One that was seen to take the role.
    Regular,
    /// Somebody that other roles trust, or that was seen to take one.
    Known,
    /// Nobody that anything is known of.
    Stranger,
}

/// What was there before.
#[derive(Debug, Clone, Copy)]
pub enum Before<'a> {
    /// This policy.
    Policy(&'a TrustPolicy),
    /// Nothing: the role is new.
    Nothing,
    /// A policy that nobody remembers.
    Unknown,
}

/// What a comparison has to know beside the policies.
pub struct World<'a> {
    /// When the policies are compared: a door that closed by its date before lets nobody in.
    pub time: Timestamp,
    /// The account the role lives in.
    pub role_account: Option<AccountId>,
    /// What another account is.
    pub standing: &'a dyn Fn(AccountId) -> Standing,
    /// Whether a party is trusted elsewhere: one of an identity provider, or an organisation.
    pub knows_party: &'a dyn Fn(&str) -> bool,
    /// Whether a unique id is known to be that of a user or role of the role's account.
    pub knows_id: &'a dyn Fn(&UniqueId) -> bool,
}

/// One thing that a policy allows, or no longer does, in contrast to the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// How much it matters; absent for what does no harm.
    pub severity: Option<Severity>,
    /// In words: `444455556666 no longer needs an ExternalId`.
    pub words: String,
    /// A few words for a title: `lost its ExternalId`; empty for what does no harm.
    pub phrase: &'static str,
}

impl Difference {
    pub(super) fn harmless(words: String) -> Self {
        Self { severity: None, words, phrase: "" }
    }

    pub(super) fn bad(severity: Severity, phrase: &'static str, words: String) -> Self {
        Self { severity: Some(severity), words, phrase }
    }

    /// Whether it lets in an account that is known nowhere.
    #[must_use]
    pub fn is_of_new_account(&self) -> bool {
        [OPENED_TO_ACCOUNT, MADE_FOR_ACCOUNT].contains(&self.phrase)
    }

    /// Whether it lets in everybody of an organisation, where none is known to tell ours by.
    #[must_use]
    pub fn is_of_an_organisation(&self) -> bool {
        self.phrase == AN_ORGANISATION
    }
}

/// All differences between two policies, those that matter most first.
#[must_use]
pub fn compare(before: Before<'_>, after: &TrustPolicy, world: &World<'_>) -> Vec<Difference> {
    let new = doors_of(after, world);
    let mut old = match before {
        Before::Policy(policy) => doors_of(policy, world),
        Before::Nothing | Before::Unknown => Vec::new(),
    };
    // Of the same words nothing is new, whatever their dates.
    let is_same =
        |door: &Door| new.iter().any(|it| it.who == door.who && it.demands == door.demands);
    old.retain(|door| !door.is_over(world.time) || is_same(door));
    let comparison = Comparison { before, old: &old, after, world };
    let mut found: Vec<Difference> = new.iter().flat_map(|door| comparison.of_door(door)).collect();
    found.extend(comparison.closed(&new));
    found.sort_by(|a, b| (b.severity, &a.words).cmp(&(a.severity, &b.words)));
    found.dedup_by(|a, b| a.words == b.words);
    found
}

/// The doors of a policy of the role: to those of the account that the role is in, whoever is
/// named beside, where that is what the policy says. Each is told once.
fn doors_of(policy: &TrustPolicy, world: &World<'_>) -> Vec<Door> {
    let mut found: Vec<Door> = Vec::new();
    for mut door in doors(policy) {
        let is_aws = door.who.ask() == Ask::AssumeRole;
        let is_own = is_aws && door.demands.iter().any(Demand::names_own_account);
        if let Some(own) = world.role_account.filter(|_| is_own) {
            let Some(who) = door.who.of_account(own) else { continue };
            door.who = who;
        }
        let is_same = |it: &Door| {
            it.who == door.who && it.demands == door.demands && it.is_unclear == door.is_unclear
        };
        if !found.iter().any(is_same) {
            found.push(door);
        }
    }
    found
}

pub(super) struct Comparison<'a> {
    pub(super) before: Before<'a>,
    /// The doors of the policy before.
    pub(super) old: &'a [Door],
    pub(super) after: &'a TrustPolicy,
    pub(super) world: &'a World<'a>,
}

impl Comparison<'_> {
    /// What is new about one door: that it is there, or what it no longer demands.
    fn of_door(&self, door: &Door) -> Vec<Difference> {
        let covering = || self.old.iter().filter(|it| it.who.covers(&door.who));
        let Some(mut found) = self.least_lost(door, covering()) else {
            let mut found = vec![self.opened(door)];
            found.extend(self.lost_by_widening(door));
            return found;
        };
        let had =
            |it: &Demand| covering().any(|old| old.demands.iter().any(|old| old.is_about(it)));
        let gained = door.demands.iter().filter(|it| !had(it));
        found.extend(gained.map(|it| {
            let who = door.who.display();
            Difference::harmless(format!("{who} now needs {}", it.display(&door.who)))
        }));
        found
    }

    /// What whoever comes through a door needs no longer, beside the old door to which that makes
    /// the least difference; `None` where there was none.
    fn least_lost<'d>(
        &self,
        door: &Door,
        old: impl Iterator<Item = &'d Door>,
    ) -> Option<Vec<Difference>> {
        let lost = |old: &Door| -> Vec<Difference> {
            // A name that made a narrower door of a wide one is told by who came through it.
            let is_told = |it: &Demand| {
                (it.names_callers() && old.who.is_one())
                    || it.is_met_by(&door.who)
                    || (it.names_own_account() && self.is_own(&door.who))
            };
            let is_of_others =
                |it: &Demand| it.denial.as_ref().is_some_and(|it| !it.concerns(&door.who));
            let is_implied =
                |it: &Demand| door.demands.iter().any(|mine| mine.implies(it, &door.who));
            // What was one `Deny` of several may have become one of each.
            let is_kept_in_parts = |it: &Demand| {
                let parts = it.denial.iter().flat_map(Denial::parts);
                parts.map(|it| is_implied(&Demand::to_pass(it))).reduce(|a, b| a && b) == Some(true)
            };
            let kept = |it: &&Demand| {
                is_told(it)
                    || door.demands.contains(it)
                    || is_of_others(it)
                    || is_implied(it)
                    || is_kept_in_parts(it)
            };
            old.demands.iter().filter(|it| !kept(it)).map(|it| self.lost(door, it)).collect()
        };
        let worst = |lost: &Vec<Difference>| lost.iter().filter_map(|it| it.severity).max();
        old.map(lost).min_by_key(|it| (worst(it), it.len()))
    }

    /// A door where a narrower one stood also lets in those of the narrower one, and may demand
    /// less of them; so may one for somebody else of an account that was let in. Of whom a door
    /// for everybody lets in, ours are sure to be.
    fn lost_by_widening(&self, door: &Door) -> Vec<Difference> {
        let account = door.who.account();
        let is_among = |it: &&Door| match account {
            Some(_) => it.who.account() == account,
            None => self.is_of_ours(&it.who),
        };
        let of_account = || self.old.iter().filter(is_among);
        let mut found: Vec<Difference> = Vec::new();
        for old in of_account().filter(|it| door.who.covers(&it.who)) {
            let same = Door { who: old.who.clone(), ..door.clone() };
            let covering = self.old.iter().filter(|it| it.who.covers(&old.who));
            found.extend(self.least_lost(&same, covering).unwrap_or_default());
        }
        if found.is_empty() && account.is_some() {
            let others = self.least_lost(door, of_account()).unwrap_or_default();
            found.extend(match self.is_own(&door.who) {
                true if is_user(&door.who) => unlike_others(others),
                true => Vec::new(),
                false => others,
            });
        }
        found.retain(|it| it.severity.is_some());
        found
    }

    /// Whether all of these are of the account that the role is in.
    pub(super) fn is_own(&self, who: &Who) -> bool {
        who.account().is_some() && who.account() == self.world.role_account
    }

    /// Those who are no longer let in.
    fn closed(&self, new: &[Door]) -> Vec<Difference> {
        let gone = self.old.iter().filter(|old| !new.iter().any(|it| it.who.covers(&old.who)));
        gone.map(|old| Difference::harmless(format!("{} is no longer let in", old.who.display())))
            .collect()
    }
}

/// Whether users may be meant. A role's own sessions bear no MFA, whatever is demanded.
fn is_user(who: &Who) -> bool {
    matches!(who, Who::Arn(arn) if arn.as_str().contains(":user/"))
}

/// Of a further user of the role's own account only that they come without the MFA that all
/// others need. They were not let in before, so it is not a demand of theirs that was lost.
fn unlike_others(found: Vec<Difference>) -> Vec<Difference> {
    let of_mfa = found.into_iter().filter(|it| it.phrase == NO_MFA);
    let of_a_user = |it: Difference| Difference {
        severity: it.severity.min(Some(Severity::Medium)),
        phrase: "opened to a user without MFA",
        ..it
    };
    of_mfa.map(of_a_user).collect()
}

/// Whether anything in the policy lets somebody in, or its words were not understood.
#[must_use]
pub fn is_understood(policy: &TrustPolicy) -> bool {
    policy.notes().next().is_none()
        && policy.statements.iter().all(|it| it.effect != Effect::Unclear)
}
