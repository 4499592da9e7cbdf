//! How unlike itself an assumption of a role is, in bits.
//!
//! What is new is asked from two sides: how often does this role see something new, and how
//! often does this caller do something new? A new hire is new to every role but does what people
//! do there; an old workload that suddenly takes this role is new from both sides. Missing
//! history gives hardly any bits, so nothing fires for want of knowledge.
//!
//! Beside what is new stand signs: what an analyst would say of the call beside "never seen".
//! The weights were chosen on generated organisations (`cargo run --release --example evaluate`).

mod weigh;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::baseline::{Caller, Dimension, RoleBaseline, Turnover};
use crate::config::{Ingredient, Without};
use crate::event::{Assumption, CallerClass, PrincipalKind};
use crate::lineage::Lineage;
use crate::profile::{Behind, CallerKind};
use crate::trust::Named;

use weigh::{came_back, is_doubtful, weigh};

/// Bits from which one value alone is worth a finding of low severity: one in thirty-two.
pub const UNUSUAL: f64 = 5.0;

/// How long a person is under way at least who moves to where they never were. Two uses of a key
/// that are closer and in two places are two persons'.
pub const TRAVEL: SignedDuration = SignedDuration::from_hours(10);

/// The surprise of one assumption.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Surprise {
    /// The class of the caller, whose habits were asked.
    pub class: CallerClass,
    /// Whether a person is behind the call, as far as the records tell.
    pub is_person: bool,
    /// What is new, with its bits.
    pub parts: Vec<Part>,
    /// What else is unusual about it.
    #[serde(default)]
    pub signs: Vec<Sign>,
}

/// One value that was never seen here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// What is new.
    pub dimension: Dimension,
    /// The new value.
    pub value: String,
    /// Bits from the role's side.
    pub of_role: f64,
    /// Bits from the caller's side, where it is asked.
    pub of_caller: Option<f64>,
    /// How new values come at the role.
    pub turnover: Turnover,
    /// Calls of this class that the role has seen.
    pub calls: u64,
    /// What the value counts.
    pub bits: f64,
}

/// Something unusual about a call that is no new value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sign {
    /// What it is.
    pub kind: SignKind,
    /// What it counts.
    pub bits: f64,
    /// In words, to follow a sentence about the call: `two hours before it called from elsewhere`.
    pub words: String,
}

/// What a sign is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SignKind {
    /// The same caller called from another place hours before.
    TwoPlaces,
    /// The caller was not seen for days.
    Absence,
    /// Nobody took the role for weeks, or ever.
    Disuse,
    /// The role is an administrator's by its name, and nobody alike takes it.
    Privilege,
    /// A session is used elsewhere than it was made.
    Moved,
    /// Nobody who comes the same way ever called from there.
    NotOfCircle,
    /// Only callers of other kinds take the role.
    NewKind,
    /// A token was issued for another branch or environment than ever before.
    OtherPurpose,
}

impl SignKind {
    /// What is to be left out if it is not to count.
    fn ingredient(self) -> Ingredient {
        match self {
            Self::TwoPlaces => Ingredient::TwoPlaces,
            Self::Absence => Ingredient::Absence,
            Self::Disuse => Ingredient::Disuse,
            Self::Privilege => Ingredient::Privilege,
            Self::Moved => Ingredient::Moved,
            Self::NotOfCircle => Ingredient::NotOfCircle,
            Self::NewKind => Ingredient::NewKind,
            Self::OtherPurpose => Ingredient::OtherPurpose,
        }
    }
}

/// What is known around a call.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// What is normal for the role.
    pub role: &'a RoleBaseline,
    /// What is normal for the caller.
    pub caller: Option<&'a Caller>,
    /// Who is behind the call.
    pub behind: &'a Behind,
    /// What is normal for whoever is behind it.
    pub actor: Option<&'a Caller>,
    /// What is normal for all who come the same way, and for all workloads.
    pub circles: [Option<&'a Caller>; 2],
    /// What is normal for all people of ours, where one of them calls.
    pub people: Option<&'a Caller>,
    /// How closely a trustworthy policy names the caller.
    pub named: Option<Named>,
    /// Whether the role was seen being made.
    pub is_role_made: bool,
    /// Whether the caller is of an account of ours. Others call from several places at a time.
    pub is_ours: bool,
    /// Where the call comes from.
    pub lineage: Option<&'a Lineage>,
    /// What those take who take the same roles as the actor.
    pub colleagues: &'a dyn Fn() -> Colleagues,
    /// What is not to be taken into account.
    pub without: Without,
}

/// What those take who take the same roles as somebody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Colleagues {
    /// Whether one of the nearest of them takes the role.
    pub take_it: bool,
    /// Whether any of them, or the actor, takes a role of the same name in whatever account.
    pub take_its_like: bool,
}

impl Surprise {
    /// Whether a call is compared with anything: no refusal is, nor one by a service, nor one for
    /// a role that is a service's own.
    #[must_use]
    pub fn is_told_of(it: &Assumption) -> bool {
        let is_services = it.call.principal.kind == PrincipalKind::Service;
        let is_told = it.call.granted() && !is_services;
        is_told && it.role().is_some_and(|role| !role.is_service_linked())
    }

    /// The surprise of a granted assumption of a role; `None` where nothing is compared.
    #[must_use]
    pub fn of(it: &Assumption, known: &Known<'_>) -> Option<Self> {
        let arn = it.role().filter(|_| Self::is_told_of(it))?;
        let class = it.call.principal.class(it.role_account());
        let is_person = known.behind.kind == CallerKind::Person;
        let mut surprise = Self { class, is_person, parts: Vec::new(), signs: Vec::new() };
        weigh(it, arn.as_str(), known, &mut surprise);
        Some(surprise)
    }

    /// What was new about a call when it was first judged, and what is seen to be new now that
    /// more is known of it. Between the two it may have been learned.
    #[must_use]
    pub fn with(first: Option<Self>, now: Option<Self>) -> Option<Self> {
        let (mut all, now) = match (first, now) {
            (Some(first), Some(now)) => (first, now),
            (first, now) => return first.or(now),
        };
        let more = now.parts.into_iter().filter(|part| all.part(part.dimension).is_none());
        let more: Vec<Part> = more.collect();
        all.parts.extend(more);
        let more: Vec<Sign> =
            now.signs.into_iter().filter(|sign| all.sign(sign.kind).is_none()).collect();
        all.signs.extend(more);
        Some(all)
    }

    /// Whether what a key's owner does next may tell more of the call: a thief who comes first is
    /// in two places only once the owner is back.
    #[must_use]
    pub fn is_doubtful(&self, it: &Assumption) -> bool {
        is_doubtful(it, self)
    }

    /// The same call once its key was used where it had been before; `None` if it was not, or long
    /// after.
    #[must_use]
    pub fn once_back(&self, it: &Assumption, caller: &Caller, without: Without) -> Option<Self> {
        if !self.is_doubtful(it) || without.has(Ingredient::TwoPlaces) {
            return None;
        }
        let mut surprise = self.clone();
        surprise.signs.push(came_back(it, self, caller)?);
        Some(surprise)
    }

    /// All bits together.
    #[must_use]
    pub fn total(&self) -> f64 {
        let parts = self.parts.iter().map(|part| part.bits);
        parts.chain(self.signs.iter().map(|sign| sign.bits)).sum()
    }

    /// What is new of one dimension. Of networks it is the network or, where that is new too,
    /// the block that it lies in; of principals the caller or whoever began the chain.
    #[must_use]
    pub fn part(&self, dimension: Dimension) -> Option<&Part> {
        let other = match dimension {
            Dimension::Network => Dimension::NetworkBlock,
            Dimension::Principal => Dimension::Origin,
            same => same,
        };
        self.parts.iter().find(|part| part.dimension == dimension || part.dimension == other)
    }

    /// A sign, if it is there.
    #[must_use]
    pub fn sign(&self, kind: SignKind) -> Option<&Sign> {
        self.signs.iter().find(|sign| sign.kind == kind)
    }

    /// Bits of the signs of some kinds.
    #[must_use]
    pub fn bits_of(&self, kinds: &[SignKind]) -> f64 {
        self.signs.iter().filter(|sign| kinds.contains(&sign.kind)).map(|sign| sign.bits).sum()
    }

    /// Bits of what says that credentials are where they do not belong.
    #[must_use]
    pub fn bits_of_place(&self) -> f64 {
        self.bits_of(&[SignKind::TwoPlaces, SignKind::Moved, SignKind::NotOfCircle])
            + self.part(Dimension::Network).map_or(0.0, |part| part.bits)
    }
}

/// Whether a person seems to be behind the call: an IAM user, or somebody of a directory.
#[must_use]
pub fn is_person(it: &Assumption) -> bool {
    matches!(
        it.call.principal.kind,
        PrincipalKind::IamUser | PrincipalKind::Saml | PrincipalKind::IdentityCenter
    )
}
