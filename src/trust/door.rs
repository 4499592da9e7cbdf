//! Doors: whom the statements of a policy let in, and what they demand of them.

use jiff::Timestamp;

use super::condition::date;
use super::demand::{Demand, Guard, MfaDemand, Strictness};
use super::denial::demand_of;
use super::operator::{Relation, Test};
use super::principal::{ArnParts, Principals, Trusted, account_of, host_of};
use super::{Ask, Effect, Statement, TrustPolicy};
use crate::glob::Glob;
use crate::id::{AccountId, UniqueId};
use crate::text::{Text, inline, listed};

/// Somebody that a statement lets in.
#[derive(Debug, Clone, PartialEq)]
pub struct Door {
    /// The statement, from 0.
    pub statement: usize,
    /// Who.
    pub who: Who,
    /// What is demanded of them, all of it.
    pub demands: Vec<Demand>,
    /// Whether something about the statement was not understood.
    pub is_unclear: bool,
}

/// Who comes through a door: the principal, narrowed by the conditions that name principals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// Anybody with an AWS account.
    Anybody,
    /// Anybody but these.
    AnybodyBut(Vec<Trusted>),
    /// Everybody in an account whom the account lets.
    Account(AccountId),
    /// A user, role or session, or several by a pattern.
    Arn(Text),
    /// A user or role of which only the unique id is told, and not the account. IAM takes it in a
    /// request, and writes it itself in place of a principal that was deleted.
    Id(UniqueId),
    /// A service.
    Service(Text),
    /// An identity provider's people or workloads.
    Federated(Text),
    /// The people or workloads of whatever identity provider: `*` where only they can call.
    AnyProvider(Ask),
    /// Somebody written in a way that is not known.
    Other(String),
}

/// All doors of a policy, in the order of its statements.
#[must_use]
pub fn doors(policy: &TrustPolicy) -> Vec<Door> {
    let mut doors = Vec::new();
    for (at, statement) in policy.statements.iter().enumerate() {
        if statement.effect == Effect::Deny {
            continue;
        }
        let demands: Vec<Demand> =
            statement.conditions.iter().filter_map(Demand::of_allow).collect();
        for who in Who::of_statement(statement) {
            let is_denied = policy.statements.iter().any(|it| it.denies_all_of(&who));
            if !statement.actions.include(who.ask()) || is_denied {
                continue;
            }
            let denied = policy.statements.iter().filter_map(|deny| demand_of(deny, &who));
            let denied: Vec<Demand> = denied.map(|it| it.asked_of(&who)).collect();
            // Whoever a `Deny` of all others names is who is left.
            let names = denied.iter().filter(|it| it.names_callers());
            let mut left = names.fold(vec![who.clone()], |wide, it| {
                wide.iter().flat_map(|who| who.narrowed(it)).collect()
            });
            left.dedup();
            let all: Vec<Demand> = demands.iter().cloned().chain(denied).collect();
            let is_unclear = !statement.notes.is_empty();
            doors.extend(left.into_iter().map(|who| Door {
                statement: at,
                demands: all.iter().map(|it| it.clone().asked_of(&who)).collect(),
                who,
                is_unclear,
            }));
        }
    }
    doors
}

impl Door {
    /// Whether something of this kind is demanded that keeps anybody out.
    #[must_use]
    pub fn demands(&self, guard: Guard) -> bool {
        self.demands.iter().any(|it| it.guard == guard && it.narrows())
    }

    /// Whether it was open until a time, and that has come.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.demands.iter().any(|it| {
            let is_end = matches!(it.test, Test::Date(Relation::Less | Relation::AtMost));
            let ends = it.operands.iter().map(|end| end.as_text().and_then(date));
            is_end
                && it.key == "aws:currenttime"
                && it.strictness == Strictness::Firm
                && ends.map(|end| end.is_some_and(|end| end < now)).reduce(|a, b| a && b)
                    == Some(true)
        })
    }

    /// How strictly MFA is demanded.
    #[must_use]
    pub fn mfa(&self) -> MfaDemand {
        let of_mfa = self.demands.iter().filter(|it| it.guard == Guard::Mfa);
        match of_mfa.map(|it| it.strictness).max() {
            None => MfaDemand::None,
            Some(Strictness::IfPresent) => MfaDemand::IfPresent,
            Some(Strictness::AsGiven | Strictness::Firm) => MfaDemand::Firm,
        }
    }
}

impl Door {
    /// What is demanded of those who come through, and by which statement they do.
    #[must_use]
    pub fn terms(&self, policy: &TrustPolicy) -> String {
        let (denials, own): (Vec<_>, Vec<_>) =
            self.demands.iter().partition(|it| it.denial.is_some());
        let matters = |it: &&Demand| it.narrows() || it.test.is_negated();
        let demands: Vec<String> =
            own.iter().copied().filter(matters).map(|it| it.display(&self.who)).collect();
        let with = match demands.as_slice() {
            [] if own.is_empty() => "without any condition".to_owned(),
            [] => "without a condition that keeps anybody out".to_owned(),
            some => format!("with {}", listed(some, "and")),
        };
        let mfa = match self.mfa() {
            MfaDemand::IfPresent => " (of a long-term key no MFA)",
            MfaDemand::None | MfaDemand::Firm => "",
        };
        let doubt = if self.is_unclear { ", which was not understood in full" } else { "" };
        let is_given = |it: &&Demand| it.strictness == Strictness::AsGiven && matters(it);
        let given = match own.into_iter().find(is_given) {
            Some(_) => ", which would let pass whoever lacks the key, but nobody does",
            None => "",
        };
        let denied = if denials.is_empty() { "" } else { ", unless a Deny keeps them out" };
        format!("{with}{mfa} by {}{given}{doubt}{denied}", policy.name_of(self.statement))
    }
}

impl Who {
    /// The principal alone.
    #[must_use]
    pub fn of(trusted: &Trusted) -> Self {
        match trusted {
            Trusted::Anybody => Self::Anybody,
            Trusted::Account(account) => Self::Account(*account),
            Trusted::Arn(arn) => Self::Arn(arn.clone()),
            Trusted::Id(id) => Self::Id(id.clone()),
            Trusted::Service(name) => Self::Service(name.clone()),
            Trusted::Federated(provider) => Self::Federated(provider.clone()),
            Trusted::Other { .. } => Self::Other(trusted.display()),
        }
    }

    fn of_statement(statement: &Statement) -> Vec<Self> {
        let wide: Vec<Self> = match &statement.principals {
            Principals::Only(named) => named.iter().map(Self::of).collect(),
            Principals::AllBut(spared) => vec![Self::AnybodyBut(spared.clone())],
        };
        let is_wide = |it: &Self| matches!(it, Self::Anybody | Self::AnybodyBut(_));
        let is_everybodys = wide.iter().any(is_wide) && !statement.actions.include(Ask::AssumeRole);
        let wide: Vec<Self> = if is_everybodys || wide.iter().any(Self::is_any_provider) {
            let asks = [Ask::WithSaml, Ask::WithWebIdentity].into_iter();
            let asks = asks.filter(|ask| statement.actions.include(*ask));
            let others = wide.into_iter().filter(|it| !it.is_any_provider());
            others.chain(asks.map(Self::AnyProvider)).collect()
        } else {
            wide
        };
        let asked = statement.conditions.iter().filter_map(Demand::of_allow);
        let asked = asked.map(|it| it.asked_of(&Self::Anybody));
        let names = asked.filter(Demand::names_callers);
        names.fold(wide, |wide, it| wide.iter().flat_map(|who| who.narrowed(&it)).collect())
    }

    /// Whether it is a provider that is written as `*`.
    fn is_any_provider(&self) -> bool {
        matches!(self, Self::Federated(provider) if provider.as_str().contains('*'))
    }

    /// The account of the identity provider, where it is one of an account.
    pub(super) fn provider_account(&self) -> Option<AccountId> {
        let Self::Federated(provider) = self else { return None };
        account_of(provider.as_str())
    }

    /// The call that they make.
    #[must_use]
    pub fn ask(&self) -> Ask {
        match self {
            Self::Federated(provider) if provider.as_str().contains(":saml-provider/") => {
                Ask::WithSaml
            }
            Self::Federated(_) => Ask::WithWebIdentity,
            Self::AnyProvider(ask) => *ask,
            _ => Ask::AssumeRole,
        }
    }

    /// The account that all of them belong to, where they belong to one.
    #[must_use]
    pub fn account(&self) -> Option<AccountId> {
        match self {
            Self::Account(account) => Some(*account),
            Self::Arn(arn) => account_of(arn.as_str()),
            _ => None,
        }
    }

    /// Whether it is one principal rather than many.
    #[must_use]
    pub fn is_one(&self) -> bool {
        match self {
            Self::Arn(arn) => !arn.as_str().contains(['*', '?']),
            Self::Id(_) => true,
            _ => false,
        }
    }

    /// Whether everybody of `other` is certainly among these.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        let is_aws = matches!(
            other,
            Self::Anybody | Self::AnybodyBut(_) | Self::Account(_) | Self::Arn(_) | Self::Id(_)
        );
        match (self, other) {
            (Self::Anybody, _) => is_aws,
            (Self::AnybodyBut(mine), Self::AnybodyBut(theirs)) => {
                mine.iter().all(|it| theirs.contains(it))
            }
            (Self::AnybodyBut(spared), Self::Account(_) | Self::Arn(_)) => {
                !spared.iter().map(Self::of).any(|it| it.may_share(other))
            }
            (Self::Account(account), Self::Arn(_)) => other.account() == Some(*account),
            (Self::Arn(wide), Self::Arn(narrow)) => {
                let (wide, narrow) = (wide.as_str(), narrow.as_str());
                Glob::new(wide).covers(&Glob::new(narrow)) || is_session_of(narrow, wide)
            }
            // A provider of another account is another one, whoever issues its tokens.
            (Self::Federated(wide), Self::Federated(narrow)) => {
                host_of(wide.as_str()) == host_of(narrow.as_str())
                    && self.provider_account() == other.provider_account()
            }
            (Self::Service(wide), Self::Service(narrow)) => {
                Glob::new(wide.as_str()).covers(&Glob::new(narrow.as_str()))
            }
            (Self::AnyProvider(ask), Self::Federated(_)) => *ask == other.ask(),
            _ => false,
        }
    }

    /// Whether somebody may be among these and among `other`: of an id nobody knows whose it is.
    pub(super) fn may_share(&self, other: &Self) -> bool {
        let is_of_account = |it: &Self| {
            matches!(it, Self::AnybodyBut(_) | Self::Account(_) | Self::Arn(_) | Self::Other(_))
        };
        match (self, other) {
            (Self::Id(_), it) | (it, Self::Id(_)) if is_of_account(it) => true,
            (Self::AnybodyBut(spared), it) | (it, Self::AnybodyBut(spared))
                if is_of_account(it) =>
            {
                !spared.iter().map(Self::of).any(|spared| spared.covers(it))
            }
            _ => self.covers(other) || other.covers(self),
        }
    }

    /// Who it is in a few words, for a sentence.
    #[must_use]
    pub fn display(&self) -> String {
        match self {
            Self::Anybody => "anybody".to_owned(),
            Self::AnybodyBut(spared) => {
                let spared: Vec<String> = spared.iter().map(Trusted::display).collect();
                format!("anybody but {}", listed(&spared, "and"))
            }
            Self::Account(account) => format!("the whole account {account}"),
            Self::Arn(arn) if self.is_one() => inline(arn.as_str()),
            Self::Arn(arn) if arn.as_str() == "*" => "anybody".to_owned(),
            Self::Arn(arn) => format!("everybody like {}", inline(arn.as_str())),
            Self::Id(id) => format!("the unique id {id}"),
            Self::Service(name) if name.as_str() == "*" => "any service".to_owned(),
            Self::Service(name) => format!("the service {}", inline(name.as_str())),
            Self::Federated(provider) => {
                format!("the identity provider {}", inline(host_of(provider.as_str())))
            }
            Self::AnyProvider(Ask::WithSaml) => "anybody of any SAML provider".to_owned(),
            Self::AnyProvider(_) => "anybody of any identity provider".to_owned(),
            Self::Other(other) => other.clone(),
        }
    }
}

/// Whether an ARN is that of a session of a role. Only names can be compared: a session's ARN
/// does not have the role's path.
pub(super) fn is_session_of(session: &str, role: &str) -> bool {
    let (Some(session), Some(role)) = (ArnParts::of(session), ArnParts::of(role)) else {
        return false;
    };
    let of_session = session.resource.strip_prefix("assumed-role/");
    let of_session = of_session.and_then(|it| it.split('/').next());
    let of_role = role.resource.strip_prefix("role/").and_then(|it| it.rsplit('/').next());
    session.account == role.account && of_session.is_some() && of_session == of_role
}
