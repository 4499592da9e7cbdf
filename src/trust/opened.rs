//! Who is let in that was not before, and how much that matters.

use super::compare::{Before, Comparison, Difference, Standing};
use super::demand::{Demand, Guard, Strictness};
use super::door::{Door, Who};
use super::party::Membership;
use super::subject::{Openness, is_public, openness, parties};
use crate::id::AccountId;
use crate::severity::Severity;

/// Where everybody of an organisation is let in, and none is known to tell ours by.
pub(super) const AN_ORGANISATION: &str = "opened to an organisation";
/// Where an account is let in that is known nowhere, by a policy that is changed or is new.
pub(super) const OPENED_TO_ACCOUNT: &str = "opened to a new account";
pub(super) const MADE_FOR_ACCOUNT: &str = "made for a new account";

impl Comparison<'_> {
    /// Somebody who was not let in before.
    pub(super) fn opened(&self, door: &Door) -> Difference {
        let with = door.terms(self.after);
        let who = door.who.display();
        let judged = match &door.who {
            Who::Anybody | Who::AnybodyBut(_) | Who::AnyProvider(_) => Some(self.anybody(door)),
            Who::Id(id) if (self.world.knows_id)(id) => None,
            Who::Id(_) => Some((self.of_stranger(door).0, "opened to an unknown id")),
            Who::Account(_) | Who::Arn(_) => match door.who.account() {
                Some(account) => self.of_account(door, account),
                None => Some(self.every_account(door)),
            },
            Who::Service(_) => {
                self.any_service(door).or_else(|| self.low_if_changed("opened to another service"))
            }
            Who::Federated(_) => self.of_foreign_provider(door).max(self.of_provider(door)),
            Who::Other(_) => Some((Severity::Low, "opened to somebody unclear")),
        };
        // Nobody passes without the key, but whoever wrote it so may not have known that.
        let passes = |it: &Demand| {
            it.strictness == Strictness::AsGiven && it.guard != Guard::Audience && it.narrows()
        };
        let is_loose = door.demands.iter().any(passes);
        let loose = is_loose.then_some((Severity::Low, "opened by a condition without a firm key"));
        let of_which = self.of_which_organisation(door);
        match judged.or(loose) {
            Some((severity, phrase)) => {
                let words = match self.stranger(door) {
                    Some(what) => format!("{who}, {what}, is let in {with}{of_which}"),
                    None => format!("{who} is let in {with}{of_which}"),
                };
                Difference::bad(severity, phrase, words)
            }
            None => Difference::harmless(format!("{who} is let in {with}")),
        }
    }

    /// How bad it is to let everybody in on the terms of a door.
    pub(super) fn anybody(&self, door: &Door) -> (Severity, &'static str) {
        // A name or tag of their own strangers choose.
        let is_chosen = |it: &Demand| {
            let tags = ["aws:principaltag/", "aws:requesttag/"];
            it.key == "aws:username" || tags.iter().any(|tag| it.key.starts_with(tag))
        };
        let keeps_out = |it: &Demand| match it.guard {
            Guard::ExternalId | Guard::Address => it.narrows(),
            Guard::Caller => it.narrows() && !is_chosen(it),
            Guard::Subject => it.narrows() && matches!(door.who, Who::AnyProvider(_)),
            _ => false,
        };
        match self.membership(door) {
            Some(membership) => of_organisation(membership),
            None if door.demands.iter().any(keeps_out) => {
                (Severity::High, "opened to everybody on conditions")
            }
            None => (Severity::Critical, "opened to everybody"),
        }
    }

    /// How bad it is to let those of a name in, of whatever account.
    pub(super) fn every_account(&self, door: &Door) -> (Severity, &'static str) {
        match self.membership(door) {
            Some(membership) => of_organisation(membership),
            None => (Severity::Critical, "opened to every account"),
        }
    }

    /// How bad it is to let in whatever service, for whoever makes it call.
    pub(super) fn any_service(&self, door: &Door) -> Option<(Severity, &'static str)> {
        let Who::Service(name) = &door.who else { return None };
        let severity = if door.demands(Guard::Source) { Severity::Medium } else { Severity::High };
        name.as_str().contains('*').then_some((severity, "opened to every service"))
    }

    /// Who an outside account is, for a sentence.
    fn stranger(&self, door: &Door) -> Option<&'static str> {
        if let Who::Id(_) = &door.who {
            return Some("which tells no account and is not known here");
        }
        let account = door.who.account().or_else(|| door.who.provider_account());
        let account = account.filter(|it| Some(*it) != self.world.role_account)?;
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
        let of = |who: &Who| who.account().or_else(|| who.provider_account());
        self.old.iter().any(|old| of(&old.who) == Some(account))
    }

    /// Somebody of whom nothing is known. A role that is made for a vendor, as vendors ask for
    /// it, opens nothing yet; to let one into a role that is there an intruder would choose an
    /// ExternalId too.
    fn of_stranger(&self, door: &Door) -> (Severity, &'static str) {
        let proves = self.proves(door);
        match (self.before, self.membership(door)) {
            (Before::Nothing, Some(Membership::Unheard)) if !door.demands(Guard::ExternalId) => {
                (Severity::Medium, MADE_FOR_ACCOUNT)
            }
            (Before::Nothing, _) if proves => (Severity::Low, MADE_FOR_ACCOUNT),
            _ if proves => (Severity::Medium, OPENED_TO_ACCOUNT),
            _ => (Severity::High, OPENED_TO_ACCOUNT),
        }
    }

    /// Whether those who come through an outside account's door have to show something that was
    /// agreed with them, or be of an organisation that may be ours.
    fn proves(&self, door: &Door) -> bool {
        let is_member = self.membership(door).is_some_and(|it| it < Membership::Stranger);
        door.demands(Guard::ExternalId) || is_member
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
        let proves = self.proves(door);
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

    /// An identity provider of another account, whose owner says who its people are.
    fn of_foreign_provider(&self, door: &Door) -> Option<(Severity, &'static str)> {
        let account = door.who.provider_account();
        let account = account.filter(|it| Some(*it) != self.world.role_account)?;
        let severity = match (self.world.standing)(account) {
            _ if self.knew_some_of(account) => Severity::Low,
            Standing::Ours | Standing::Declared | Standing::Regular => Severity::Low,
            Standing::Known => Severity::Medium,
            Standing::Stranger => Severity::High,
        };
        Some((severity, "opened to another account's identity provider"))
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

    pub(super) fn low_if_changed(&self, phrase: &'static str) -> Option<(Severity, &'static str)> {
        matches!(self.before, Before::Policy(_)).then_some((Severity::Low, phrase))
    }
}

/// A pattern that takes every user or every role of its account.
fn names_all(who: &Who) -> bool {
    let Who::Arn(arn) = who else { return false };
    let resource = arn.as_str().rsplit(':').next().unwrap_or_default();
    matches!(resource, "*" | "user/*" | "role/*")
}

/// How bad it is to let in the whole of an organisation.
fn of_organisation(membership: Membership) -> (Severity, &'static str) {
    match membership {
        Membership::Known => (Severity::Medium, "opened to a whole organisation"),
        Membership::Unheard => (Severity::Medium, AN_ORGANISATION),
        Membership::Stranger => (Severity::High, "opened to an unknown organisation"),
    }
}
