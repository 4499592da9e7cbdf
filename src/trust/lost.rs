//! What those who come through a door need no longer, and how much that matters.

use super::compare::{Comparison, Difference, Standing};
use super::demand::{Demand, Guard, Strictness};
use super::door::{Door, Who};
use super::operand::Operand;
use super::party::Membership;
use super::subject::{Openness, openness, parties};
use crate::severity::Severity;

/// Where MFA is no longer demanded.
pub(super) const NO_MFA: &str = "lost its demand for MFA";
/// Where MFA is still demanded, and may be older.
const LONGER: &str = "with a longer age of MFA";

impl Comparison<'_> {
    /// A demand that is no longer made of those who come through a door.
    pub(super) fn lost(&self, door: &Door, demand: &Demand) -> Difference {
        let who = door.who.display();
        let about = door.demands.iter().filter(|it| it.is_about(demand));
        let instead = about.rev().max_by_key(|it| it.strictness);
        let needed = demand.display(&door.who);
        let is_the_same = |new: &Demand| new.as_firm().implies(demand, &door.who);
        // What was demanded beside it before, and still is, takes the place of nothing.
        let stood_beside = |it: &Demand| {
            let had = |old: &Door| old.demands.contains(demand) && old.demands.contains(it);
            it.guard != Guard::Mfa && self.old.iter().any(had)
        };
        let words = match instead.filter(|it| !stood_beside(it)) {
            Some(new) if demand.guard == Guard::Mfa && new.strictness < demand.strictness => {
                format!(
                    "{who} needs MFA only where the request tells of it, so a long-term key needs none"
                )
            }
            Some(new) if demand.max_age().is_some() && new.max_age().is_none() => {
                format!("{who} needs MFA of any age instead of {needed}")
            }
            Some(new) if new.strictness < demand.strictness && is_the_same(new) => {
                let always = match new.strictness {
                    Strictness::AsGiven => ", as it always does",
                    Strictness::IfPresent | Strictness::Firm => "",
                };
                format!("{who} needs {needed} only where the request has it{always}")
            }
            Some(new) => {
                let if_any = match new.strictness {
                    Strictness::IfPresent => ", and only where the request has it,",
                    Strictness::AsGiven | Strictness::Firm => "",
                };
                format!("{who} needs {}{if_any} instead of {needed}", new.display(&door.who))
            }
            None if self.old.iter().any(|it| it.who.covers(&door.who)) => {
                format!("{who} no longer needs {needed}")
            }
            None => {
                format!("{who} does not need {needed}, which was asked of others of its account")
            }
        };
        let of_which = match demand.guard {
            Guard::Organisation => self.of_which_organisation(door),
            _ => String::new(),
        };
        let words = format!("{words}{of_which}");
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
        // The same, but for who lacks the key, and nobody does.
        let is_given = |new: &Demand| {
            new.strictness == Strictness::AsGiven && new.as_firm().implies(demand, &door.who)
        };
        if instead.is_some_and(is_given) {
            return Some((Severity::Low, "with a condition without a firm key"));
        }
        let outside = !self.is_own(&door.who);
        let exposed = match &door.who {
            Who::Anybody | Who::AnybodyBut(_) | Who::AnyProvider(_) => Some(self.anybody(door)),
            Who::Arn(_) if door.who.account().is_none() => Some(self.every_account(door)),
            Who::Service(_) => self.any_service(door),
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
            Guard::Mfa => Some((Severity::High, NO_MFA)),
            // Who is named, and is one of ours, belongs to the organisation anyhow.
            Guard::Organisation if self.is_of_ours(&door.who) => {
                Some((Severity::Low, "lost its organisation"))
            }
            Guard::Organisation if narrows => match self.membership(door) {
                Some(Membership::Stranger) => {
                    Some((Severity::High, "with an unknown organisation"))
                }
                _ => Some((Severity::Medium, "with another organisation")),
            },
            Guard::Organisation => Some((Severity::High, "lost its organisation")),
            Guard::Address => Some((Severity::Medium, "lost its source addresses")),
            Guard::Subject if instead.is_some_and(|new| adds_only(new, demand)) => {
                self.of_subject(door)
            }
            Guard::Subject => Some((Severity::Medium, "with a wider subject")),
            Guard::Source if keeps_account(door, demand) => {
                Some((Severity::Low, "with more sources of one account"))
            }
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
    pub(super) fn is_of_ours(&self, who: &Who) -> bool {
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
}

/// Whether what a demand takes beside, or in place of, what an old one took is something else
/// rather than more of the same.
fn adds_only(new: &Demand, old: &Demand) -> bool {
    let is_wider = |it: &Operand| {
        let is_one = |old: &Operand| it.covers(new.takes_patterns(), old, false);
        !old.takes_of(it, new) && old.operands.iter().any(is_one)
    };
    new.narrows() && !new.operands.iter().any(is_wider)
}

/// Whether a service still acts for nobody but the accounts that a demand tied it to.
fn keeps_account(door: &Door, demand: &Demand) -> bool {
    let Some(old) = demand.source_accounts(false) else { return false };
    let mut new = door.demands.iter().filter_map(|it| it.source_accounts(false));
    new.any(|new| new.iter().all(|it| old.contains(it)))
}
