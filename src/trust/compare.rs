//! What a policy allows that the one before it did not, in words and by how much it matters.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::demand::{Demand, Guard};
use super::door::{Door, Who, doors};
use super::subject::{Openness, is_public, openness, parties};
use super::{Effect, TrustPolicy};
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
    /// Whether a party of an identity provider is trusted elsewhere.
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
    fn harmless(words: String) -> Self {
        Self { severity: None, words, phrase: "" }
    }

    fn bad(severity: Severity, phrase: &'static str, words: String) -> Self {
        Self { severity: Some(severity), words, phrase }
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
/// named beside, where that is what the policy says.
fn doors_of(policy: &TrustPolicy, world: &World<'_>) -> Vec<Door> {
    let mut doors = doors(policy);
    if let Some(own) = world.role_account {
        let wide = doors.iter_mut().filter(|it| matches!(it.who, Who::Anybody));
        wide.filter(|it| it.demands.iter().any(Demand::names_own_account))
            .for_each(|it| it.who = Who::Account(own));
    }
    doors
}

struct Comparison<'a> {
    before: Before<'a>,
    old: &'a [Door],
    after: &'a TrustPolicy,
    world: &'a World<'a>,
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
            Difference::harmless(format!("{who} now needs {}", it.display()))
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
            let kept = |it: &&Demand| {
                (it.names_callers() && old.who.is_one())
                    || door.demands.iter().any(|mine| mine.implies(it))
            };
            old.demands.iter().filter(|it| !kept(it)).map(|it| self.lost(door, it)).collect()
        };
        let worst = |lost: &Vec<Difference>| lost.iter().filter_map(|it| it.severity).max();
        old.map(lost).min_by_key(|it| (worst(it), it.len()))
    }

    /// A door where a narrower one stood also lets in those of the narrower one, and may demand
    /// less of them; so may one for somebody else of an outside account that was let in.
    fn lost_by_widening(&self, door: &Door) -> Vec<Difference> {
        let Some(account) = door.who.account() else { return Vec::new() };
        let of_account = || self.old.iter().filter(|it| it.who.account() == Some(account));
        let mut found: Vec<Difference> = Vec::new();
        for old in of_account().filter(|it| door.who.covers(&it.who)) {
            let same = Door { who: old.who.clone(), ..door.clone() };
            let covering = self.old.iter().filter(|it| it.who.covers(&old.who));
            found.extend(self.least_lost(&same, covering).unwrap_or_default());
        }
        if found.is_empty() && Some(account) != self.world.role_account {
            found.extend(self.least_lost(door, of_account()).unwrap_or_default());
        }
        found.retain(|it| it.severity.is_some());
        found
    }

    /// Somebody who was not let in before.
    fn opened(&self, door: &Door) -> Difference {
        let with = door.terms(self.after);
        let who = door.who.display();
        let judged = match &door.who {
            Who::Anybody | Who::AnybodyBut(_) | Who::AnyProvider(_) => Some(anybody(door)),
            Who::Id(id) if (self.world.knows_id)(id) => None,
            Who::Id(_) => Some((self.of_stranger(door).0, "opened to an unknown id")),
            Who::Account(_) | Who::Arn(_) => match door.who.account() {
                Some(account) => self.of_account(door, account),
                None if door.demands(Guard::Organisation) => {
                    Some((Severity::Medium, "opened to a whole organisation"))
                }
                None => Some((Severity::Critical, "opened to every account")),
            },
            Who::Service(_) => self.low_if_changed("opened to another service"),
            Who::Federated(_) => self.of_provider(door),
            Who::Other(_) => Some((Severity::Low, "opened to somebody unclear")),
        };
        match judged {
            Some((severity, phrase)) => {
                let words = match self.stranger(door) {
                    Some(what) => format!("{who}, {what}, is let in {with}"),
                    None => format!("{who} is let in {with}"),
                };
                Difference::bad(severity, phrase, words)
            }
            None => Difference::harmless(format!("{who} is let in {with}")),
        }
    }

    /// Who an outside account is, for a sentence.
    fn stranger(&self, door: &Door) -> Option<&'static str> {
        if let Who::Id(_) = &door.who {
            return Some("which tells no account and is not known here");
        }
        let account = door.who.account().filter(|it| Some(*it) != self.world.role_account)?;
        let is_whole = matches!(door.who, Who::Account(_));
        let one_of = |whole: &'static str, part: &'static str| if is_whole { whole } else { part };
        if self.knew_some_of(account) {
            return Some(one_of(
                "of which this role let in some",
                "of an account of which this role let in others",
            ));
        }
        Some(match (self.world.standing)(account) {
            Standing::Ours => one_of("one of our accounts", "of one of our accounts"),
            Standing::Declared => one_of(
                "which is declared for this role",
                "of an account that is declared for this role",
            ),
            Standing::Regular => one_of(
                "which was seen to take this role",
                "of an account that was seen to take this role",
            ),
            Standing::Known => one_of("which is known here", "of an account that is known here"),
            Standing::Stranger => one_of(
                "which no role here was known to trust",
                "of an account that no role here was known to trust",
            ),
        })
    }

    /// Whether somebody of an account was let in before.
    fn knew_some_of(&self, account: AccountId) -> bool {
        self.old.iter().any(|old| old.who.account() == Some(account))
    }

    /// Somebody of whom nothing is known. A role that is made for a vendor, as vendors ask for
    /// it, opens nothing yet; to let one into a role that is there an intruder would choose an
    /// ExternalId too.
    fn of_stranger(&self, door: &Door) -> (Severity, &'static str) {
        let proves = door.demands(Guard::ExternalId) || door.demands(Guard::Organisation);
        match self.before {
            Before::Nothing if proves => (Severity::Low, "made for a new account"),
            _ if proves => (Severity::Medium, "opened to a new account"),
            _ => (Severity::High, "opened to a new account"),
        }
    }

    fn of_account(&self, door: &Door, account: AccountId) -> Option<(Severity, &'static str)> {
        let knew_some = self.knew_some_of(account);
        if knew_some && !door.who.is_one() {
            return Some((Severity::Medium, "opened to a whole account"));
        }
        if Some(account) == self.world.role_account {
            let is_account = matches!(door.who, Who::Account(_)) || names_all(&door.who);
            return match self.before {
                Before::Policy(_) if is_account => {
                    Some((Severity::Medium, "opened to its whole account"))
                }
                _ if door.who.is_one() || is_account => None,
                _ => self.low_if_changed("opened to a pattern of principals"),
            };
        }
        let proves = door.demands(Guard::ExternalId) || door.demands(Guard::Organisation);
        match (self.world.standing)(account) {
            _ if knew_some => self.low_if_changed("opened to another principal outside"),
            Standing::Ours => self.low_if_changed("opened to another account of ours"),
            Standing::Declared | Standing::Regular => {
                self.low_if_changed("opened to an account that takes it")
            }
            Standing::Known if proves => Some((Severity::Low, "opened to a known account")),
            Standing::Known => Some((Severity::Medium, "opened to a known account")),
            Standing::Stranger => Some(self.of_stranger(door)),
        }
    }

    fn of_provider(&self, door: &Door) -> Option<(Severity, &'static str)> {
        let parties = parties(door);
        let is_known = !parties.is_empty() && parties.iter().all(|it| (self.world.knows_party)(it));
        let is_change = matches!(self.before, Before::Policy(_));
        match openness(door) {
            Some(Openness::World) => Some((Severity::Critical, "opened to anybody of a provider")),
            Some(Openness::Provider) => Some((Severity::High, "opened to all of a provider")),
            _ if is_known => self.low_if_changed("opened to an identity provider"),
            Some(Openness::Pinned) if is_change => {
                Some((Severity::Medium, "opened to a new subject"))
            }
            Some(Openness::Pinned) if is_public(door) => {
                Some((Severity::Low, "opened to a new subject"))
            }
            None if is_change => Some((Severity::Medium, "opened to an identity provider")),
            _ => None,
        }
    }

    /// A demand that is no longer made of those who come through a door.
    fn lost(&self, door: &Door, demand: &Demand) -> Difference {
        let who = door.who.display();
        let about = door.demands.iter().filter(|it| it.is_about(demand));
        let instead = about.rev().max_by_key(|it| it.strictness);
        let words = match instead {
            Some(new) if demand.guard == Guard::Mfa && new.strictness < demand.strictness => {
                format!(
                    "{who} needs MFA only where the request tells of it, so a long-term key needs none"
                )
            }
            Some(new) if demand.max_age().is_some() && new.max_age().is_none() => {
                format!("{who} needs MFA of any age instead of {}", demand.display())
            }
            Some(new) if new.strictness < demand.strictness => {
                format!("{who} needs {} only where the request has it", demand.display())
            }
            Some(new) => format!("{who} needs {} instead of {}", new.display(), demand.display()),
            None if self.old.iter().any(|it| it.who.covers(&door.who)) => {
                format!("{who} no longer needs {}", demand.display())
            }
            None => {
                format!("{who} does not need {}, as others of its account do", demand.display())
            }
        };
        let is_replaced = instead.is_some_and(|new| new.narrows() && !new.takes_some_of(demand));
        match self.cost(door, demand, instead, is_replaced) {
            Some((severity, phrase)) => Difference::bad(severity, phrase, words),
            None => Difference::harmless(words),
        }
    }

    /// How bad it is that a demand is not what it was.
    fn cost(
        &self,
        door: &Door,
        demand: &Demand,
        instead: Option<&Demand>,
        is_replaced: bool,
    ) -> Option<(Severity, &'static str)> {
        // What keeps nobody out is no loss.
        if !demand.narrows() && demand.guard != Guard::Deny && !demand.test.is_negated() {
            let phrase = if instead.is_some() { LONGER } else { "asks for MFA no more" };
            return (demand.guard == Guard::Mfa).then_some((Severity::Low, phrase));
        }
        let narrows = instead.is_some_and(Demand::narrows);
        let outside = door.who.account().is_none_or(|it| Some(it) != self.world.role_account);
        let exposed = match &door.who {
            Who::Anybody | Who::AnybodyBut(_) | Who::AnyProvider(_) => Some(anybody(door)),
            Who::Arn(_) if door.who.account().is_none() && !door.demands(Guard::Organisation) => {
                Some((Severity::Critical, "opened to every account"))
            }
            Who::Federated(_) => match openness(door) {
                Some(Openness::World) => {
                    Some((Severity::Critical, "opened to anybody of a provider"))
                }
                Some(Openness::Provider) => Some((Severity::High, "opened to all of a provider")),
                _ => None,
            },
            _ => None,
        };
        let of_guard = match demand.guard {
            // Of a pattern nobody can tell whether it takes the old one, too.
            Guard::ExternalId if is_replaced && !instead.is_some_and(Demand::has_wildcards) => {
                Some((Severity::Low, "with another ExternalId"))
            }
            Guard::ExternalId if narrows => Some((Severity::Medium, "with more ExternalIds")),
            Guard::ExternalId if outside => Some((Severity::High, "lost its ExternalId")),
            Guard::ExternalId => Some((Severity::Low, "lost its ExternalId")),
            Guard::Mfa if narrows => Some((Severity::Low, LONGER)),
            Guard::Mfa => Some((Severity::High, "lost its demand for MFA")),
            Guard::Organisation if narrows => Some((Severity::Medium, "with another organisation")),
            // Who is named, and is one of ours, belongs to the organisation anyhow.
            Guard::Organisation if self.is_of_ours(&door.who) => {
                Some((Severity::Low, "lost its organisation"))
            }
            Guard::Organisation => Some((Severity::High, "lost its organisation")),
            Guard::Address => Some((Severity::Medium, "lost its source addresses")),
            Guard::Subject if is_replaced => self.of_subject(door),
            Guard::Subject => Some((Severity::Medium, "with a wider subject")),
            Guard::Source => Some((Severity::Medium, "lost its source account")),
            Guard::Caller if !door.who.is_one() => {
                Some((Severity::Medium, "opened to more callers"))
            }
            Guard::Deny => Some((Severity::Medium, "lost a Deny")),
            Guard::Audience if demand.key.ends_with(":amr") => {
                Some((Severity::Medium, "opened to guests"))
            }
            Guard::Audience | Guard::Caller | Guard::Session | Guard::Other => {
                Some((Severity::Low, "lost a condition"))
            }
        };
        of_guard.max(exposed)
    }

    /// Whether those who come through a door are of an account of ours.
    fn is_of_ours(&self, who: &Who) -> bool {
        who.account().is_some_and(|account| {
            Some(account) == self.world.role_account
                || (self.world.standing)(account) == Standing::Ours
        })
    }

    /// A subject that replaces another one: of the same owner, of a known one, or of nobody known.
    fn of_subject(&self, door: &Door) -> Option<(Severity, &'static str)> {
        let new = parties(door);
        let old: Vec<String> = self.old.iter().flat_map(parties).collect();
        let is_known = |it: &String| old.contains(it) || (self.world.knows_party)(it);
        if !new.is_empty() && new.iter().all(is_known) {
            return Some((Severity::Low, "with another subject"));
        }
        Some((Severity::Medium, "opened to a new subject"))
    }

    fn low_if_changed(&self, phrase: &'static str) -> Option<(Severity, &'static str)> {
        matches!(self.before, Before::Policy(_)).then_some((Severity::Low, phrase))
    }

    /// Those who are no longer let in.
    fn closed(&self, new: &[Door]) -> Vec<Difference> {
        let gone = self.old.iter().filter(|old| !new.iter().any(|it| it.who.covers(&old.who)));
        gone.map(|old| Difference::harmless(format!("{} is no longer let in", old.who.display())))
            .collect()
    }
}

/// Where MFA is still demanded, and may be older.
const LONGER: &str = "with a longer age of MFA";

/// A pattern that takes every user or every role of its account.
fn names_all(who: &Who) -> bool {
    let Who::Arn(arn) = who else { return false };
    let resource = arn.as_str().rsplit(':').next().unwrap_or_default();
    matches!(resource, "*" | "user/*" | "role/*")
}

/// How bad it is to let everybody in on the terms of a door.
fn anybody(door: &Door) -> (Severity, &'static str) {
    // A name or tag of their own strangers choose.
    let is_chosen =
        |it: &Demand| it.key == "aws:username" || it.key.starts_with("aws:principaltag/");
    let keeps_out = |it: &Demand| match it.guard {
        Guard::ExternalId | Guard::Address => it.narrows(),
        Guard::Caller => it.narrows() && !is_chosen(it),
        Guard::Subject => it.narrows() && matches!(door.who, Who::AnyProvider(_)),
        _ => false,
    };
    if door.demands(Guard::Organisation) {
        (Severity::Medium, "opened to a whole organisation")
    } else if door.demands.iter().any(keeps_out) {
        (Severity::High, "opened to everybody on conditions")
    } else {
        (Severity::Critical, "opened to everybody")
    }
}

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

/// Whether anything in the policy lets somebody in, or its words were not understood.
#[must_use]
pub fn is_understood(policy: &TrustPolicy) -> bool {
    policy.notes().next().is_none()
        && policy.statements.iter().all(|it| it.effect != Effect::Unclear)
}
