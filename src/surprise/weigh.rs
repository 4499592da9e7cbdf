//! The weighing of one call: what is new about it, from both sides, and the signs beside.

mod place;

use jiff::Timestamp;

use super::{Colleagues, Known, Part, Sign, SignKind, Surprise};
use crate::baseline::{Caller, Dimension, Habits, Table, Turnover};
use crate::config::Ingredient;
use crate::event::{Assumption, CallerClass, PrincipalKind};
use crate::id::RoleArn;
use crate::profile::{self, CallerKind};
use crate::trust::Named;

pub(super) use place::{came_back, is_doubtful};

/// Bits that one new value adds to the sum at most, so that no soft one decides alone.
const CAP: f64 = 8.0;
/// Where more than so many come and go, one more is a colleague.
const MANY: u32 = 2;
/// The same of a principal that takes a role for the first time, where both have a history.
const CAP_OF_PAIR: f64 = 9.0;

/// Adds up what is new about a granted assumption of a role, and what else is unusual.
pub(super) fn weigh(it: &Assumption, arn: &str, known: &Known<'_>, surprise: &mut Surprise) {
    let (class, is_person) = (surprise.class, surprise.is_person);
    let mut weighing =
        Weighing { it, arn, class, known, is_person, is_new_of_vendor: false, surprise };
    weighing.account();
    let is_new_pair = !known.without.has(Ingredient::Principal) && weighing.pair();
    if !known.without.has(Ingredient::Network) {
        weighing.network(is_new_pair);
    }
    if !known.without.has(Ingredient::Names) {
        weighing.soft(is_new_pair);
    }
    weighing.subject();
}

/// The bits of one call while they are being added up.
struct Weighing<'a> {
    it: &'a Assumption,
    arn: &'a str,
    class: CallerClass,
    known: &'a Known<'a>,
    is_person: bool,
    /// Whether a user of another company takes the role for whom nothing but its account speaks.
    is_new_of_vendor: bool,
    surprise: &'a mut Surprise,
}

impl Weighing<'_> {
    fn push(&mut self, part: Part) {
        self.surprise.parts.push(part);
    }

    fn sign(&mut self, kind: SignKind, bits: f64, words: impl Into<String>) {
        if !self.known.without.has(kind.ingredient()) {
            self.surprise.signs.push(Sign { kind, bits, words: words.into() });
        }
    }

    /// The most that one thing adds.
    fn at_most(&self, bits: f64, cap: f64) -> f64 {
        if self.known.without.has(Ingredient::Caps) { bits } else { bits.min(cap) }
    }

    fn caller(&self) -> Option<&Habits> {
        self.known.caller.map(Caller::habits)
    }

    /// That the account is new says nothing about what its caller usually does; a rule of its own
    /// looks at it.
    fn account(&mut self) {
        let role = self.known.role;
        let Some(account) = self.it.call.principal.account_text() else { return };
        let dimension = Dimension::Account;
        if role.has_seen(dimension, account) || self.known.named >= Some(Named::ByAccount) {
            return;
        }
        let value = account.to_string();
        let turnover = role.turnover_of_all(dimension);
        let calls = role.calls_of_all(dimension);
        let of_role = turnover.bits_of_new();
        self.push(Part { dimension, value, of_role, of_caller: None, turnover, calls, bits: 0.0 });
    }

    /// Whether whoever is behind the call takes the role for the first time.
    fn pair(&mut self) -> bool {
        let (role, principal) = (self.known.role, &self.it.call.principal);
        let Some(key) = principal.key() else { return false };
        let actor = match (&self.known.behind.actor, self.is_person) {
            (Some(actor), true) => actor,
            _ => key,
        };
        let taken = |by: &str| {
            role.has_seen(Dimension::Principal, by) || role.has_seen(Dimension::Origin, by)
        };
        let issuer = principal.issuer.as_ref().map(|it| it.as_str());
        // A role that was made again comes with another id from the same ARN.
        let is_old =
            !self.is_person && issuer.is_some_and(|it| role.has_seen(Dimension::Issuer, it));
        if taken(actor.as_str()) || is_old || self.known.named == Some(Named::Itself) {
            return false;
        }
        let turnover = match self.is_person {
            true => role
                .turnover_of_all(Dimension::Principal)
                .plus(role.turnover_of_all(Dimension::Origin)),
            false => role.turnover_of_all(Dimension::Principal),
        };
        let habits = if self.is_person { self.known.actor } else { self.known.caller };
        let taken =
            habits.map_or_else(Turnover::default, |it| it.habits().turnover(Dimension::Role));
        let (of_role, of_caller) = (turnover.bits_of_new(), taken.bits_of_new());
        // Whoever belongs to another company's account that the policy lets in is expected.
        let is_let_in = !self.known.is_ours && self.known.named >= Some(Named::ByAccount);
        self.is_new_of_vendor = is_let_in && taken.value_days == 0;
        let is_known_for_it = is_let_in || self.has_the_same_elsewhere(habits);
        let asks = self.is_person && taken.value_days > 0 && !is_known_for_it;
        let colleagues = if asks { (self.known.colleagues)() } else { Colleagues::default() };
        let is_alike = is_known_for_it || colleagues.take_it;
        let dimension = if actor == key { Dimension::Principal } else { Dimension::Origin };
        let bits = self.bits_of_pair(turnover, taken, is_alike);
        // Whoever comes through a role was let in there first.
        let bits = if dimension == Dimension::Origin { 0.8 * bits } else { bits };
        let calls = role.calls_of_all(Dimension::Principal);
        let (value, of_caller) = (actor.as_str().to_owned(), Some(of_caller));
        self.push(Part { dimension, value, of_role, of_caller, turnover, calls, bits });
        if !is_alike && taken.value_days > 0 && !self.known.is_role_made {
            self.signs_of_role(turnover, taken, colleagues);
        }
        if !is_alike {
            self.kind();
        }
        true
    }

    /// Whether it is the caller's work to take roles of this name: a third of its roles are, in
    /// other accounts.
    fn has_the_same_elsewhere(&self, caller: Option<&Caller>) -> bool {
        let table = caller.and_then(|it| it.habits().table(Dimension::Role));
        let Some(roles) = table.map(Table::iter) else { return false };
        let own = self.it.role().map(RoleArn::common_name);
        let is_same =
            |arn: &str| arn.parse().is_ok_and(|it: RoleArn| Some(it.common_name()) == own);
        let (all, same) = roles
            .fold((0, 0), |(all, same), (role, _)| (all + 1, same + usize::from(is_same(role))));
        same > 0 && 3 * same >= all
    }

    fn bits_of_pair(&self, of_role: Turnover, of_caller: Turnover, is_alike: bool) -> f64 {
        let (role, caller) = (of_role.bits_of_new(), of_caller.bits_of_new());
        let bits = if is_alike {
            role.min(caller).min(2.0)
        } else if of_caller.value_days == 0 {
            match self.known.behind.kind {
                CallerKind::Person if of_role.values > MANY => role.min(3.5),
                // Pipelines do not come and go like people. One that was never seen anywhere gets
                // in where a policy says less of tokens than it should.
                CallerKind::Token => 1.5 * role,
                _ => role,
            }
        } else if of_role.value_days == 0 {
            if self.known.is_role_made { 0.0 } else { caller.min(4.0) }
        } else if self.is_person {
            // Where many come there are reasons to come that no record shows.
            if of_role.values < 5 { 0.75 * (caller + role) } else { 0.65 * (caller + role / 2.0) }
        } else {
            role + caller
        };
        self.at_most(bits, CAP_OF_PAIR)
    }

    /// What the role itself says of somebody who takes it for the first time.
    fn signs_of_role(&mut self, of_role: Turnover, of_caller: Turnover, colleagues: Colleagues) {
        const LONG: i64 = 10;
        let time = self.it.call.time;
        let is_unheard_of = self.is_person && !colleagues.take_its_like;
        // That somebody takes an unused role was told when the first one did; others who come then
        // are judged by what is left.
        let was_told = of_role.value_days == 0 && !self.known.role.folds.is_empty();
        let bits = |days: i64| (1.0 + days as f64).log2() + 1.25;
        match (self.known.role.last_taken(), self.known.actor.and_then(first_role_taken)) {
            (_, Some(first)) if of_role.value_days == 0 && is_unheard_of => {
                let days = days_between(first, time);
                let words = format!(
                    "in the {days} days that the caller is known nobody took the role, and none \
                     of those who take the same roles took one of its name"
                );
                self.sign(SignKind::Disuse, (bits(days) + 0.75).max(2.5), words);
            }
            _ if was_told => {}
            _ if of_role.value_days == 0 => {
                self.sign(SignKind::Disuse, 2.5, "nobody was seen to take the role before");
            }
            // Of a pipeline it says nothing: releases come when they come.
            (Some(last), _) if self.is_person && days_between(last, time) > LONG => {
                let days = days_between(last, time);
                // A role that is taken now and then, each time by somebody else, is no leftover.
                let share =
                    if is_unheard_of { 1.0 } else { (of_role.bits_of_new() / 2.0).clamp(0.0, 1.0) };
                let words = format!("nobody took the role for {days} days");
                self.sign(SignKind::Disuse, bits(days) * share, words);
            }
            _ => {}
        }
        let privilege = privilege(self.arn, of_caller.values);
        if self.is_person && privilege > 0.0 && of_caller.value_days > 4 {
            let words = "the role is an administrator's or kept for emergencies by its name, and \
                         nobody who takes the same other roles takes it";
            self.sign(
                SignKind::Privilege,
                if was_told { privilege / 2.0 } else { privilege },
                words,
            );
        }
    }

    /// Whether only callers of other kinds take the role.
    fn kind(&mut self) {
        let (role, kind) = (self.known.role, self.known.behind.kind.as_str());
        let turnover = role.turnover_of_all(Dimension::Kind);
        if turnover.value_days == 0 || role.has_seen(Dimension::Kind, kind) {
            return;
        }
        let mut kinds: Vec<&str> = role
            .iter()
            .filter_map(|(_, habits)| habits.table(Dimension::Kind))
            .flat_map(|table| table.iter().map(|(kind, _)| kind))
            .collect();
        kinds.sort_unstable();
        kinds.dedup();
        let words = format!("no {kind} ever took the role, only a {}", kinds.join(" or a "));
        self.sign(SignKind::NewKind, self.at_most(turnover.bits_of_new(), CAP), words);
    }

    /// Names of sessions and software: both sides never saw them. Of a machine that takes the role
    /// for the first time it is something that it does not look like the ones before.
    fn soft(&mut self, is_new_pair: bool) {
        const MOST: f64 = 5.0;
        // People work with what they like, and upgrade it.
        const MOST_OF_TOOL: f64 = 2.5;
        for (dimension, value) in profile::of_names(self.it) {
            let table = self.known.role.habits(self.class).and_then(|it| it.table(dimension));
            if table.is_some_and(|it| it.get(&value).is_some()) {
                continue;
            }
            let turnover = table.map_or_else(Turnover::default, |it| it.turnover());
            let Turnover { value_days: days, values: newcomers, .. } =
                self.known.role.turnover_of_all(Dimension::Principal);
            let of_role = turnover.bits_of_new();
            let of_caller = bits(self.caller(), dimension, &value);
            let is_strange = is_new_pair && !self.is_person && days > 2;
            // Sessions of one role are many people's, each with a tool of their own.
            let is_shared = self.is_person && self.it.call.principal.kind == PrincipalKind::Role;
            let most = match (self.is_person, dimension) {
                (true, _) if is_shared => 1.0,
                (true, Dimension::UserAgent) => MOST_OF_TOOL,
                _ => MOST,
            };
            let bits = match of_caller {
                Some(0.0) => f64::from(u8::from(is_strange)),
                Some(of_caller) => of_role.min(of_caller).min(most),
                None if turnover.value_days == 0 => 0.0,
                // A newcomer among many brings tools of their own.
                None if self.is_person && (is_new_pair || newcomers > MANY) => of_role.min(1.0),
                None => of_role.min(most),
            };
            let calls = table.map_or(0, |it| it.calls());
            let value = String::from(&*value);
            self.push(Part { dimension, value, of_role, of_caller, turnover, calls, bits });
        }
    }

    /// For what the token at the origin was issued: a role that only releases take.
    fn subject(&mut self) {
        const STEADY: f64 = 3.5;
        // A line that is crossed is told by itself, however young the role.
        const CROSSED: f64 = 8.0;
        let Some((dimension, value)) = profile::subject(self.it, self.known.lineage) else {
            return;
        };
        let role = self.known.role;
        if role.has_seen(dimension, &value) {
            return;
        }
        let of_role = role.turnover_of_all(dimension).bits_of_new();
        if of_role < STEADY {
            return;
        }
        // A repository that begins to build branches is news; one that builds them all the time,
        // and never with this role, crosses a line.
        let habits = self.known.actor.map(Caller::habits);
        let crosses = habits.is_some_and(|it| {
            it.seen(dimension, &value).is_some() || it.turnover(dimension).bits_of_new() < STEADY
        });
        let bits = if crosses { (2.0 * of_role).max(CROSSED) } else { of_role };
        let words = format!("no token for {} ever led to it", crate::text::inline(&value));
        self.sign(SignKind::OtherPurpose, bits, words);
    }
}

/// The bits of a value at the caller: none if it is known there, and nothing to tell if there is
/// no history.
fn bits(caller: Option<&Habits>, dimension: Dimension, value: &str) -> Option<f64> {
    let caller = caller.filter(|it| it.table(dimension).is_some_and(|it| !it.is_empty()))?;
    match caller.seen(dimension, value) {
        Some(_) => Some(0.0),
        None => Some(caller.turnover(dimension).bits_of_new()),
    }
}

fn days_between(from: Timestamp, to: Timestamp) -> i64 {
    to.duration_since(from).as_hours() / 24
}

fn first_role_taken(caller: &Caller) -> Option<Timestamp> {
    caller.habits().table(Dimension::Role)?.iter().map(|(_, seen)| seen.first).min()
}

/// Bits for a name that says that a role may do everything, and more for one that is kept for
/// emergencies. What a role may do no record tells, so this is how people call such roles. Whoever
/// takes many `other_roles` is one of those who run the place, and will administer more of it.
fn privilege(arn: &str, other_roles: u32) -> f64 {
    const FEW: f64 = 5.0;
    if is_for_emergencies(arn) {
        6.0
    } else if has_word(arn, &["admin", "superuser", "accountaccessrole"]) {
        5.0 * (FEW / f64::from(other_roles)).min(1.0)
    } else {
        0.0
    }
}

/// Whether a role is kept for emergencies, by its name.
fn is_for_emergencies(arn: &str) -> bool {
    has_word(arn, &["breakglass", "emergency"])
}

fn has_word(arn: &str, words: &[&str]) -> bool {
    let name = arn.to_ascii_lowercase().replace(['-', '_'], "");
    words.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::privilege;

    #[test]
    fn one_more_role_to_administer_is_less_for_whoever_takes_many() {
        let bits = |name: &str, others| privilege(&format!("arn:aws:iam::1:role/{name}"), others);
        assert!(bits("Admin", 5) > bits("Admin", 8) && bits("Admin", 8) > bits("Admin", 20));
        assert_eq!(bits("break-glass", 20), bits("BreakGlass", 1), "an emergency is anybody's");
        assert_eq!(bits("ReadOnly", 1), 0.0);
    }
}
