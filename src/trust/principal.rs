//! Whom a statement is about.

use serde::{Deserialize, Serialize};

use super::evaluate::Answer;
use crate::event::{Principal, PrincipalKind};
use crate::id::{AccountId, RoleArn, UniqueId, is_service_name};
use crate::text::{Text, inline};

/// `Principal` or `NotPrincipal`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Principals {
    /// These.
    Only(Vec<Trusted>),
    /// All but these.
    AllBut(Vec<Trusted>),
}

/// One principal of a policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trusted {
    /// `*`.
    Anybody,
    /// A whole account, written as its number or as its `:root`.
    Account(AccountId),
    /// A user, a role, a role's session or a federated user.
    Arn(Text),
    /// A unique id. AWS leaves it of a user or role that was deleted, and takes it in a request.
    Id(UniqueId),
    /// An AWS service.
    Service(Text),
    /// An identity provider: an ARN, or the host of one that AWS knows.
    Federated(Text),
    /// Any other kind, or any other form of one of the above.
    Other {
        /// The kind, as it was written.
        kind: Text,
        /// The value.
        value: Text,
    },
}

impl Principals {
    /// How many are named.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Only(named) | Self::AllBut(named) => named.len(),
        }
    }

    /// Whether nobody is named.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a caller is among them.
    pub(super) fn include(&self, caller: &Principal) -> Answer {
        let any = |named: &[Trusted]| {
            named.iter().fold(Answer::No, |answer, it| answer.or(it.is(caller)))
        };
        match self {
            Self::Only(named) => any(named),
            Self::AllBut(named) => any(named).not(),
        }
    }
}

impl Trusted {
    /// Reads a principal of the kind `AWS`, in all the forms that AWS documents.
    pub(super) fn aws(value: &str) -> Self {
        let other = || Self::Other { kind: Text::clip("AWS"), value: Text::clip(value) };
        if value == "*" {
            return Self::Anybody;
        }
        if let Ok(account) = value.parse() {
            return Self::Account(account);
        }
        let Some(parts) = ArnParts::of(value) else {
            // AIDA…, AROA… and their kin are at least sixteen characters long.
            let id = value.parse().ok().filter(|_| value.len() >= 16 && value.starts_with('A'));
            return id.map_or_else(other, Self::Id);
        };
        let names_one = !value.contains(['*', '?']);
        match (parts.service, parts.account.parse(), parts.resource) {
            ("iam", Ok(account), "root") => Self::Account(account),
            ("iam" | "sts", Ok(_), _) if names_one => Self::Arn(Text::clip(value)),
            _ => other(),
        }
    }

    /// The account that it belongs to, where it names one.
    #[must_use]
    pub fn account(&self) -> Option<AccountId> {
        match self {
            Self::Account(account) => Some(*account),
            Self::Arn(arn) | Self::Federated(arn) => account_of(arn.as_str()),
            _ => None,
        }
    }

    /// Whether a caller is this, as far as the record tells who it is.
    pub(super) fn is(&self, caller: &Principal) -> Answer {
        match self {
            Self::Anybody => anybody(caller),
            Self::Account(account) => in_account(*account, caller),
            Self::Arn(arn) => has_arn(arn.as_str(), caller),
            Self::Id(id) => match &caller.id {
                Some(known) => (known == id).into(),
                None if is_iam_identity(caller.kind) => Answer::CannotTell,
                None => Answer::No,
            },
            Self::Service(name) => is_service(name.as_str(), caller),
            Self::Federated(provider) => is_federated_by(provider.as_str(), caller),
            Self::Other { .. } => Answer::CannotTell,
        }
    }

    /// The principal in a few words, for a sentence.
    #[must_use]
    pub fn display(&self) -> String {
        match self {
            Self::Anybody => "anybody".to_owned(),
            Self::Account(account) => format!("the whole account {account}"),
            Self::Arn(arn) => inline(arn.as_str()),
            Self::Id(id) => format!("the unique id {id}"),
            Self::Service(name) => format!("the service {}", inline(name.as_str())),
            Self::Federated(provider) => {
                format!("the identity provider {}", inline(provider.as_str()))
            }
            Self::Other { kind, value } => {
                format!("{} `{}`", inline(kind.as_str()), inline(value.as_str()))
            }
        }
    }
}

/// The parts of an ARN that tell whose it is.
pub(super) struct ArnParts<'a> {
    pub(super) service: &'a str,
    pub(super) account: &'a str,
    pub(super) resource: &'a str,
}

impl<'a> ArnParts<'a> {
    pub(super) fn of(arn: &'a str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':');
        let (arn, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
        let (_region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
        let is_arn = arn == "arn" && partition.starts_with("aws");
        is_arn.then_some(Self { service, account, resource })
    }
}

/// The account of an ARN, where that part is no pattern. A `*` before it may stand for another
/// account and all that follows it.
pub(super) fn account_of(arn: &str) -> Option<AccountId> {
    let is_fixed = arn.split(':').take(4).all(|part| !part.contains(['*', '?']));
    ArnParts::of(arn).filter(|_| is_fixed)?.account.parse().ok()
}

/// Services and people of an identity provider come with principals of their own kinds; whether
/// `*` means them too AWS does not say.
fn anybody(caller: &Principal) -> Answer {
    if is_iam_identity(caller.kind) { Answer::Yes } else { Answer::CannotTell }
}

fn is_iam_identity(kind: PrincipalKind) -> bool {
    use PrincipalKind::{AwsAccount, FederatedUser, IamUser, Role, Root};
    matches!(kind, AwsAccount | FederatedUser | IamUser | Role | Root)
}

fn in_account(account: AccountId, caller: &Principal) -> Answer {
    let issuer = || caller.issuer.as_ref().map(RoleArn::account);
    match (caller.kind, caller.account.or_else(issuer)) {
        (PrincipalKind::Service | PrincipalKind::Saml | PrincipalKind::WebIdentity, _) => {
            Answer::No
        }
        (_, Some(known)) if known != account => Answer::No,
        (kind, Some(_)) if is_iam_identity(kind) => Answer::Yes,
        _ => Answer::CannotTell,
    }
}

/// A session of a role is its role and itself. Of another account's copy only an account is
/// known for certain, and what an earlier record called it.
fn has_arn(arn: &str, caller: &Principal) -> Answer {
    let own = caller.arn.as_ref().map(Text::as_str);
    let role = caller.issuer.as_ref().map(RoleArn::as_str);
    if own == Some(arn) || role == Some(arn) {
        return Answer::Yes;
    }
    let elsewhere = || account_of(arn).is_some_and(|it| in_account(it, caller) == Answer::No);
    let names_a_role = arn.contains(":role/");
    match caller.kind {
        PrincipalKind::Service | PrincipalKind::Saml | PrincipalKind::WebIdentity => Answer::No,
        _ if elsewhere() => Answer::No,
        PrincipalKind::Role if names_a_role && role.is_some() => Answer::No,
        PrincipalKind::Role if !names_a_role && own.is_some() => Answer::No,
        PrincipalKind::IamUser | PrincipalKind::FederatedUser if own.is_some() => Answer::No,
        PrincipalKind::Root => Answer::No,
        _ => Answer::CannotTell,
    }
}

/// A service may call under another name than the one that is trusted (`edgelambda`, `AWS
/// Internal`), so another name proves nothing.
fn is_service(name: &str, caller: &Principal) -> Answer {
    match (caller.kind, &caller.name) {
        (PrincipalKind::Service, Some(own)) if own.as_str() == name && is_service_name(name) => {
            Answer::Yes
        }
        (PrincipalKind::Service | PrincipalKind::Unknown, _) => Answer::CannotTell,
        _ => Answer::No,
    }
}

/// CloudTrail names an OIDC provider as the policy does; of a SAML provider it shows a digest.
fn is_federated_by(provider: &str, caller: &Principal) -> Answer {
    match (caller.kind, &caller.provider) {
        (PrincipalKind::WebIdentity, Some(own)) => {
            if own.as_str() == provider || host_of(own.as_str()) == host_of(provider) {
                return Answer::Yes;
            }
            Answer::No
        }
        (PrincipalKind::Saml, Some(own)) if own.as_str() == provider => Answer::Yes,
        (PrincipalKind::Saml | PrincipalKind::WebIdentity | PrincipalKind::Unknown, _) => {
            Answer::CannotTell
        }
        _ => Answer::No,
    }
}

/// The issuer of an OIDC provider, `token.actions.githubusercontent.com`, from its ARN or from
/// itself.
pub(super) fn host_of(provider: &str) -> &str {
    match provider.split_once(":oidc-provider/") {
        Some((_, host)) => host,
        None => provider,
    }
}
