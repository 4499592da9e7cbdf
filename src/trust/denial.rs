//! What a `Deny` demands of those whom other statements let in.

use super::condition::Condition;
use super::demand::Demand;
use super::door::{Who, is_session_of};
use super::operand::Operand;
use super::operator::Test;
use super::principal::{Principals, Trusted};
use super::{Effect, Statement};
use crate::text::{Text, inline, listed};

/// A `Deny` that is more than one demand of everybody, and is kept whole: it keeps out those whom
/// it is about, and of them those for whom all of its conditions hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    principals: Principals,
    conditions: Vec<Condition>,
    /// Of one that was not understood nothing is certain.
    notes: Vec<Text>,
}

/// What a `Deny` demands of those who come through a door. One with several conditions keeps
/// out only those for whom all of them hold, and is kept whole.
pub(super) fn demand_of(deny: &Statement, who: &Who) -> Option<Demand> {
    if deny.effect != Effect::Deny || !deny.actions.include(who.ask()) {
        return None;
    }
    let (is_for_all, is_for_some) = denied(&deny.principals, who);
    if !is_for_some {
        return None;
    }
    let (of_services, conditions): (Vec<_>, Vec<_>) = deny.conditions.iter().partition(|it| {
        matches!(it.key.as_str(), "aws:principalisawsservice" | "aws:viaawsservice")
    });
    // A caller who is no service meets what spares services; what is for services alone, or may
    // be, binds nobody else.
    if !of_services.into_iter().all(spares_services) {
        return None;
    }
    let whole = || {
        let conditions = conditions.iter().copied().cloned().collect();
        let (principals, notes) = (deny.principals.clone(), deny.notes.clone());
        Some(Demand::to_pass(Denial { principals, conditions, notes }))
    };
    match conditions.as_slice() {
        [one] if is_for_all && deny.notes.is_empty() => Demand::of_deny(one).or_else(whole),
        _ => whole(),
    }
}

/// Whether a condition that tells services from others holds for everybody else.
fn spares_services(condition: &Condition) -> bool {
    let is_plain = condition.operator.set.is_none() && condition.operator.test == Test::Bool;
    let is_false = |it: &Operand| it.as_text().is_some_and(|it| it.eq_ignore_ascii_case("false"));
    is_plain && !condition.operands.is_empty() && condition.operands.iter().all(is_false)
}

impl Statement {
    /// Whether it keeps out, whatever they bring with them, all who come through a door.
    pub(super) fn denies_all_of(&self, who: &Who) -> bool {
        let is_plain = self.conditions.is_empty() && self.notes.is_empty();
        let denies = self.effect == Effect::Deny && self.actions.include(who.ask());
        is_plain && denies && denied(&self.principals, who).0
    }
}

/// Whether a `Deny` is about all, and about some, of those who come through a door.
fn denied(principals: &Principals, who: &Who) -> (bool, bool) {
    match principals {
        Principals::Only(named) => {
            let named: Vec<Who> = named.iter().map(Who::of).collect();
            let all = named.iter().any(|it| it.covers(who));
            (all, all || named.iter().any(|it| who.covers(it)))
        }
        Principals::AllBut(spared) => {
            let spared: Vec<Who> = spared.iter().map(Who::of).collect();
            let none_spared = !spared.iter().any(|it| it.may_share(who));
            (none_spared, !spared.iter().any(|it| it.covers(who)))
        }
    }
}

impl Denial {
    /// Whether it is about any of those who come through a door.
    pub(super) fn concerns(&self, who: &Who) -> bool {
        denied(&self.principals, who).1
    }

    /// Whether, of those who come through a door, it keeps out all whom another one does.
    pub(super) fn covers(&self, other: &Self, who: &Who) -> bool {
        self.notes.is_empty()
            && other.notes.is_empty()
            && self.is_about_all_of(other, who)
            && self.conditions.iter().all(|it| other.implies(it, who))
    }

    fn is_about_all_of(&self, other: &Self, who: &Who) -> bool {
        let within = |wide: &[Trusted], narrow: &[Trusted]| {
            narrow.iter().all(|it| wide.iter().any(|wide| includes(wide, it)))
        };
        let is_wider = match (&self.principals, &other.principals) {
            (Principals::Only(mine), Principals::Only(theirs)) => within(mine, theirs),
            (Principals::AllBut(mine), Principals::AllBut(theirs)) => within(theirs, mine),
            (Principals::AllBut(mine), Principals::Only(theirs)) => {
                let may_be_spared =
                    |it: &Trusted| mine.iter().any(|mine| Who::of(mine).may_share(&Who::of(it)));
                !theirs.iter().any(may_be_spared)
            }
            (Principals::Only(_), Principals::AllBut(_)) => false,
        };
        is_wider || denied(&self.principals, who).0
    }

    /// The `Deny` as several, of which each is about one of those whom it names.
    pub(super) fn parts(&self) -> Vec<Self> {
        match &self.principals {
            Principals::Only(named) if named.len() > 1 => {
                let one = |it: &Trusted| Principals::Only(vec![it.clone()]);
                let of = |it| Self { principals: one(it), ..self.clone() };
                named.iter().map(of).collect()
            }
            _ => vec![self.clone()],
        }
    }

    /// Whether a condition holds wherever all of this one's do.
    fn implies(&self, condition: &Condition, who: &Who) -> bool {
        self.conditions.iter().any(|mine| {
            match (Demand::of_deny(condition), Demand::of_deny(mine)) {
                // Who passes the one passes the other, so whom the other holds for the one does, too.
                (Some(passes), Some(other)) => passes.implies(&other, who),
                _ => is_same(mine, condition),
            }
        })
    }

    /// Whether nobody who meets a demand is kept out.
    pub(super) fn is_passed_by(&self, demand: &Demand, who: &Who) -> bool {
        let mut passes = self.conditions.iter().filter_map(Demand::of_deny);
        let is_named = |it: &Trusted| matches!(it, Trusted::Arn(arn) if demand.keeps_out(arn));
        let keeps_all_out =
            matches!(&self.principals, Principals::Only(named) if named.iter().all(is_named));
        self.notes.is_empty() && (keeps_all_out || passes.any(|it| demand.implies(&it, who)))
    }

    /// Whom it keeps out, in words: `to pass the Deny of arn:aws:iam::111122223333:user/mallory`.
    pub(super) fn display(&self) -> String {
        let named = |it: &[Trusted]| {
            let named: Vec<String> = it.iter().map(Trusted::display).collect();
            listed(&named, "and")
        };
        let whom = match &self.principals {
            Principals::Only(only) => named(only),
            Principals::AllBut(spared) => format!("anybody but {}", named(spared)),
        };
        let keys: Vec<String> =
            self.conditions.iter().map(|it| format!("`{}`", inline(it.key.as_str()))).collect();
        match keys.as_slice() {
            [] => format!("to pass the Deny of {whom}"),
            keys => format!("to pass the Deny of {whom} on {}", listed(keys, "and")),
        }
    }
}

/// Whether everybody of a principal is among those of another one. Lists are long, and most of
/// what they name are single users and roles.
fn includes(wide: &Trusted, narrow: &Trusted) -> bool {
    match (wide, narrow) {
        (Trusted::Arn(wide), Trusted::Arn(narrow)) => {
            wide == narrow || is_session_of(narrow.as_str(), wide.as_str())
        }
        (wide, narrow) => Who::of(wide).covers(&Who::of(narrow)),
    }
}

/// Whether two conditions are the same, whatever the order of their values.
fn is_same(one: &Condition, other: &Condition) -> bool {
    let holds = |wide: &Condition, narrow: &Condition| {
        narrow.operands.iter().all(|it| wide.operands.contains(it))
    };
    one.operator == other.operator && one.key == other.key && holds(one, other) && holds(other, one)
}
