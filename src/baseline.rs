//! What is normal: for a role, by the class of its callers, and for a caller.
//!
//! A baseline is a set of bounded tables of values, one per [`Dimension`]. Each value keeps how
//! often, on which days, and when first and last it was seen. Facts (days, first, last) join:
//! in any order, any number of times, the result is the same.

mod by_class;
mod days;
mod denials;
pub mod describe;
mod fold;
mod habits;
mod novelty;
mod packed;
mod rebase;
mod seen;
mod shape;
mod sizes;
mod small_map;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::event::CallerClass;
use crate::id::{Network, UniqueId};
use crate::text::Text;

use self::by_class::ByClass;
use self::packed::Second;

pub use days::Days;
pub use denials::Denials;
pub use fold::{Fold, FoldKey, Folds, Repeat};
pub use habits::Habits;
pub use novelty::Turnover;
pub use seen::Seen;
pub use shape::{OWN_NAME, agent_family, session_shape};
pub use table::Table;

/// What about a call is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Dimension {
    /// Of a role: who takes it.
    Principal,
    /// Of a role: the accounts of those who take it.
    Account,
    /// Of a role or a caller: the networks that calls come from.
    Network,
    /// Of a role or a caller: the blocks that those networks lie in.
    NetworkBlock,
    /// Of a role or a caller: the shapes of session names.
    SessionName,
    /// Of a role: who sends which ExternalId (`account value`).
    ExternalId,
    /// Of a role: whether its callers had MFA (`present`, `absent`).
    Mfa,
    /// Of a role: who takes it without MFA.
    WithoutMfa,
    /// Of a role: the roles whose sessions take it.
    Issuer,
    /// Of a role: how deep the chains are that end in it.
    Depth,
    /// Of a role: who began the chains that end in it.
    Origin,
    /// Of a role: which kinds of callers take it: people, tokens, services, machines.
    Kind,
    /// Of a role or a caller: for what a workflow's token was issued: its branch, its environment.
    Subject,
    /// Of a role or a caller: families of user agents.
    UserAgent,
    /// Of a caller: the roles it takes.
    Role,
    /// Of a caller: the STS and sign-in calls it makes.
    Call,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Principal,
        Self::Account,
        Self::Network,
        Self::NetworkBlock,
        Self::SessionName,
        Self::ExternalId,
        Self::Mfa,
        Self::WithoutMfa,
        Self::Issuer,
        Self::Depth,
        Self::Origin,
        Self::Kind,
        Self::Subject,
        Self::UserAgent,
        Self::Role,
        Self::Call,
    ];

    /// What its values are called, one and many.
    #[must_use]
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Principal => ("principal", "principals"),
            Self::Account => ("account", "accounts"),
            Self::Network => ("network", "networks"),
            Self::NetworkBlock => ("block of networks", "blocks of networks"),
            Self::SessionName => ("shape of session name", "shapes of session names"),
            Self::ExternalId => ("ExternalId", "ExternalIds"),
            Self::Mfa => ("state of MFA", "states of MFA"),
            Self::WithoutMfa => ("principal without MFA", "principals without MFA"),
            Self::Issuer => ("role taken from", "roles taken from"),
            Self::Depth => ("depth of chains", "depths of chains"),
            Self::Origin => ("origin of chains", "origins of chains"),
            Self::Kind => ("kind of caller", "kinds of callers"),
            Self::Subject => ("purpose of tokens", "purposes of tokens"),
            Self::UserAgent => ("user agent", "user agents"),
            Self::Role => ("role", "roles"),
            Self::Call => ("kind of call", "kinds of calls"),
        }
    }
}

/// One value of a call.
pub type Value = (Dimension, SmolStr);

/// What is normal for one role.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RoleBaseline {
    /// The role's unique id. A role created again under the same name has another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<UniqueId>,
    /// Shared with the copies that batches change: a call changes those of one class.
    habits: ByClass<Arc<Habits>>,
    /// When somebody other than a service last took the role without an alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_taken: Option<Second>,
    /// Alerts on this role, for folding and probation.
    #[serde(default)]
    pub folds: Folds,
}

impl RoleBaseline {
    /// The habits of one class of callers.
    #[must_use]
    pub fn habits(&self, class: CallerClass) -> Option<&Habits> {
        self.habits.get(class).map(Arc::as_ref)
    }

    /// All habits, by class of callers.
    pub fn iter(&self) -> impl Iterator<Item = (CallerClass, &Habits)> {
        self.habits.iter().map(|(class, habits)| (class, habits.as_ref()))
    }

    /// How new values of one dimension come, over all classes of callers.
    #[must_use]
    pub fn turnover_of_all(&self, dimension: Dimension) -> Turnover {
        let tables = self.habits.values().map(|habits| habits.turnover(dimension));
        tables.fold(Turnover::default(), Turnover::plus)
    }

    /// Calls with a value of one dimension, over all classes of callers.
    #[must_use]
    pub fn calls_of_all(&self, dimension: Dimension) -> u64 {
        let tables = self.habits.values().filter_map(|habits| habits.table(dimension));
        tables.map(Table::calls).sum()
    }

    /// Whether any class of callers has shown the value.
    #[must_use]
    pub fn has_seen(&self, dimension: Dimension, value: &str) -> bool {
        self.habits.values().any(|habits| habits.has_seen(dimension, value))
    }

    /// The role's unique id, where a call told it.
    #[must_use]
    pub fn id(&self) -> Option<&UniqueId> {
        self.id.as_ref()
    }

    /// When somebody other than a service last took the role without an alert.
    #[must_use]
    pub fn last_taken(&self) -> Option<Timestamp> {
        self.last_taken.map(Second::time)
    }

    /// Whether this is the baseline of another role that had the same name.
    #[must_use]
    pub fn is_of_another(&self, id: Option<&UniqueId>) -> bool {
        matches!((&self.id, id), (Some(known), Some(id)) if known != id)
    }

    /// Takes in one call by a caller of `class`. A new unique id is a new role: what was normal
    /// for the old one is forgotten.
    pub fn learn(
        &mut self,
        id: Option<&UniqueId>,
        class: CallerClass,
        values: &[Value],
        time: Timestamp,
    ) {
        if self.is_of_another(id) {
            *self = Self::default();
        }
        self.id = self.id.take().or_else(|| id.cloned());
        if let Some(habits) = self.habits.get_or_default(class) {
            Arc::make_mut(habits).learn(values, time);
        }
        if class != CallerClass::Service {
            self.last_taken = self.last_taken.max(Some(Second::of(time)));
        }
    }

    /// Values and folds kept: what the baseline weighs in memory.
    #[must_use]
    pub fn weight(&self) -> usize {
        1 + self.habits.values().map(|it| it.weight()).sum::<usize>() + self.folds.len()
    }

    /// The latest call it has seen, for deciding which baseline goes first.
    #[must_use]
    pub fn last_active(&self) -> Option<Timestamp> {
        let seen = self.habits.values().map(|it| it.last_active());
        seen.max().flatten().max(self.folds.last_seen())
    }

    /// Takes in what another copy of the same history has seen. Of two roles that had the same
    /// name one after the other, the one seen last stands.
    pub fn join(&mut self, other: &Self) {
        if self.is_of_another(other.id.as_ref()) {
            if (other.last_taken, &other.id) > (self.last_taken, &self.id) {
                *self = other.clone();
            }
            return;
        }
        self.id = self.id.take().or_else(|| other.id.clone());
        for (class, habits) in other.habits.iter() {
            if let Some(mine) = self.habits.get_or_default(class) {
                Arc::make_mut(mine).join(habits);
            }
        }
        self.last_taken = self.last_taken.max(other.last_taken);
        self.folds.join(&other.folds);
    }
}

/// What is normal for one caller.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Caller {
    #[serde(default)]
    habits: Habits,
    /// What the caller is called, learned from records that tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<Label>,
    /// Sessions it made of late, and from where.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    sign_ins: BTreeMap<Timestamp, Network>,
    /// Roles it was refused of late.
    #[serde(default)]
    pub denials: Denials,
    /// Alerts that are about the caller and no role, for folding and probation.
    #[serde(default)]
    pub folds: Folds,
}

/// What a principal is called. Its key is what it is; the name may change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Label {
    /// When a record said so.
    pub time: Timestamp,
    /// Its ARN.
    pub arn: Option<Text>,
    /// Its name.
    pub name: Option<Text>,
}

impl Caller {
    /// Sessions remembered. They live for 36 hours at most, mostly for 12.
    const SIGN_INS: usize = 16;

    /// The caller's habits.
    #[must_use]
    pub fn habits(&self) -> &Habits {
        &self.habits
    }

    /// Whether it was ever seen to take a role.
    #[must_use]
    pub fn takes_roles(&self) -> bool {
        self.habits.table(Dimension::Role).is_some_and(|roles| !roles.is_empty())
    }

    /// What the caller is called, if a record has told it.
    #[must_use]
    pub fn label(&self) -> Option<&Label> {
        self.label.as_ref()
    }

    /// Takes in one call.
    pub fn learn(&mut self, values: &[Value], time: Timestamp) {
        self.habits.learn(values, time);
    }

    /// Takes in a session that the caller made for itself; the latest [`Caller::SIGN_INS`] are
    /// kept.
    pub fn sign_in(&mut self, time: Timestamp, network: Network) {
        self.sign_ins.insert(time, network);
        if self.sign_ins.len() > Self::SIGN_INS {
            self.sign_ins.pop_first();
        }
    }

    /// Where the session was made from that was made at `created`.
    #[must_use]
    pub fn signed_in_from(&self, created: Timestamp) -> Option<&Network> {
        self.sign_ins.get(&created)
    }

    /// Takes in what a record says the caller is called. The latest stands.
    pub fn name(&mut self, label: Label) {
        self.label = self.label.take().max(Some(label));
    }

    /// Values, refusals and folds kept: what the baseline weighs in memory.
    #[must_use]
    pub fn weight(&self) -> usize {
        1 + self.habits.weight() + self.sign_ins.len() + self.denials.len() + self.folds.len()
    }

    /// The latest call it has seen, for deciding which baseline goes first.
    #[must_use]
    pub fn last_active(&self) -> Option<Timestamp> {
        let label = self.label.as_ref().map(|label| label.time);
        let sign_in = self.sign_ins.keys().next_back().copied();
        [self.habits.last_active(), self.folds.last_seen(), label, sign_in, self.denials.last()]
            .into_iter()
            .max()
            .flatten()
    }

    /// Takes in what another copy of the same history has seen.
    pub fn join(&mut self, other: &Self) {
        self.habits.join(&other.habits);
        self.label = self.label.take().max(other.label.clone());
        for (time, network) in &other.sign_ins {
            self.sign_in(*time, network.clone());
        }
        self.denials.join(&other.denials);
        self.folds.join(&other.folds);
    }
}

#[cfg(test)]
mod tests;
