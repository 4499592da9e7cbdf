//! How unlike itself an assumption of a role is, in bits.
//!
//! Each dimension is asked from two sides: is the value new to this role, and new to this
//! caller? The smaller answer counts. A new hire is new to every role but does what people do
//! there; an old workload that suddenly takes this role is new from both sides. Missing history
//! gives hardly any bits, so nothing fires for want of knowledge.

use serde::{Deserialize, Serialize};

use crate::baseline::{Caller, Dimension, Habits, RoleBaseline, Turnover};
use crate::event::{Assumption, CallerClass, PrincipalKind};
use crate::profile;

/// Bits from which one value alone is worth a finding of low severity: one in thirty-two.
pub const UNUSUAL: f64 = 5.0;
/// Bits from which a principal is new to the role and the role to the principal.
pub const STRANGER: f64 = 4.5;
/// Bits that one dimension adds to the sum at most, so that no soft one decides alone.
const CAP: f64 = 8.0;

/// The surprise of one assumption.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Surprise {
    /// The class of the caller, whose habits were asked.
    pub class: CallerClass,
    /// Whether the caller is a person, as far as the record tells.
    pub is_person: bool,
    /// What is new, with its bits.
    pub parts: Vec<Part>,
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
}

impl Part {
    /// What the value counts: the smaller of both sides.
    #[must_use]
    pub fn bits(&self) -> f64 {
        self.of_caller.map_or(self.of_role, |bits| bits.min(self.of_role))
    }
}

impl Surprise {
    /// The surprise of a granted assumption of a role; `None` where nothing is compared: no role,
    /// a refusal, a service.
    #[must_use]
    pub fn of(
        it: &Assumption,
        role: Option<&RoleBaseline>,
        caller: Option<&Caller>,
    ) -> Option<Self> {
        let class = it.call.principal.class(it.role_account());
        let arn = it.role()?;
        if !it.call.granted() || class == CallerClass::Service || arn.is_service_linked() {
            return None;
        }
        let sides =
            Sides { role: role?, arn: arn.as_str(), class, caller: caller.map(Caller::habits) };
        let values = profile::of_role(it, None).into_iter();
        let mut parts: Vec<Part> =
            values.filter_map(|(dimension, value)| sides.part(dimension, &value)).collect();
        prefer_block(&mut parts);
        Some(Self { class, is_person: is_person(it), parts })
    }

    /// What was new about a call when it was first judged, and what is seen to be new now that
    /// more is known of it. Between the two it may have been learned.
    #[must_use]
    pub fn with(first: Option<Self>, now: Option<Self>) -> Option<Self> {
        let (mut all, now) = match (first, now) {
            (Some(first), Some(now)) => (first, now),
            (first, now) => return first.or(now),
        };
        let known = |part: &Part| all.part(part.dimension).is_some();
        let more: Vec<Part> = now.parts.into_iter().filter(|part| !known(part)).collect();
        all.parts.extend(more);
        Some(all)
    }

    /// What is left where the trust policy names the caller itself: that it comes is expected,
    /// and so is how it comes until the two have a history. What is new to the caller too, and
    /// unusual for it, stays.
    #[must_use]
    pub fn of_a_named_principal(mut self) -> Self {
        if self.part(Dimension::Principal).is_some() {
            self.parts.retain(|part| {
                let is_who = matches!(part.dimension, Dimension::Principal | Dimension::Account);
                !is_who && part.of_caller.is_some_and(|bits| bits >= UNUSUAL)
            });
        }
        self.of_a_named_account()
    }

    /// What is left where the trust policy names the caller's account.
    #[must_use]
    pub fn of_a_named_account(mut self) -> Self {
        self.parts.retain(|part| part.dimension != Dimension::Account);
        self
    }

    /// All bits together, each dimension capped.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.parts.iter().fold(0.0, |sum, part| sum + part.bits().min(CAP))
    }

    /// What is new of one dimension. Of networks it is the network or, where that is new too,
    /// the block that it lies in.
    #[must_use]
    pub fn part(&self, dimension: Dimension) -> Option<&Part> {
        let wanted = |of: Dimension| {
            let is_block = of == Dimension::NetworkBlock && dimension == Dimension::Network;
            of == dimension || is_block
        };
        self.parts.iter().find(|part| wanted(part.dimension))
    }
}

/// The two sides of an assumption.
struct Sides<'a> {
    role: &'a RoleBaseline,
    arn: &'a str,
    class: CallerClass,
    caller: Option<&'a Habits>,
}

impl Sides<'_> {
    fn part(&self, dimension: Dimension, value: &str) -> Option<Part> {
        let (turnover, calls) = match dimension {
            // Who comes is asked of all classes: a person is news to a role that only machines
            // take.
            Dimension::Principal | Dimension::Account => {
                if self.role.has_seen(dimension, value) {
                    return None;
                }
                (self.role.turnover_of_all(dimension), self.role.calls_of_all(dimension))
            }
            // How they come is asked of those who are alike.
            Dimension::Network
            | Dimension::NetworkBlock
            | Dimension::SessionName
            | Dimension::UserAgent => {
                let table = self.role.habits(self.class)?.table(dimension)?;
                if table.get(value).is_some() {
                    return None;
                }
                (table.turnover(), table.calls())
            }
            _ => return None,
        };
        let of_caller = match dimension {
            // That the account is new says nothing about what its caller usually does.
            Dimension::Account => None,
            Dimension::Principal => Some(bits(self.caller, Dimension::Role, self.arn)),
            same => Some(bits(self.caller, same, value)),
        };
        let (value, of_role) = (value.to_owned(), turnover.bits_of_new());
        Some(Part { dimension, value, of_role, of_caller, turnover, calls })
    }
}

/// Network and block are one thing told twice, so one of them counts: the block, where even that
/// is new and says more, for a role whose callers change their network within one block every
/// day still has just that block.
fn prefer_block(parts: &mut Vec<Part>) {
    let of = |dimension: Dimension| {
        let part = parts.iter().find(|it| it.dimension == dimension);
        part.map(Part::bits)
    };
    let (network, block) = (of(Dimension::Network), of(Dimension::NetworkBlock));
    let drop = if block >= network { Dimension::Network } else { Dimension::NetworkBlock };
    parts.retain(|it| it.dimension != drop);
}

/// The bits of a value at the caller: none if it is known there.
fn bits(caller: Option<&Habits>, dimension: Dimension, value: &str) -> f64 {
    match caller {
        Some(habits) if habits.seen(dimension, value).is_some() => 0.0,
        Some(habits) => habits.turnover(dimension).bits_of_new(),
        None => Turnover::default().bits_of_new(),
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
