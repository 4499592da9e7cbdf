//! Who called.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::Memo;
use crate::id::{AccessKeyId, AccountId, RoleArn, UniqueId};
use crate::text::{Text, inline, is_plain};

/// What kind of identity made a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// An IAM user.
    IamUser,
    /// A session of a role.
    Role,
    /// An AWS service.
    Service,
    /// Somebody in another account, of whom this copy tells the account and the unique id.
    AwsAccount,
    /// A user of a SAML identity provider.
    Saml,
    /// A subject of an OIDC identity provider.
    WebIdentity,
    /// The root user of an account.
    Root,
    /// A session made by `GetFederationToken`.
    FederatedUser,
    /// A user of IAM Identity Center.
    IdentityCenter,
    /// None of the above, or a record that does not say.
    Unknown,
}

/// The credential that signed a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Credential {
    /// A long-term key, `AKIA…`.
    LongTerm(AccessKeyId),
    /// A temporary key, and when its session was made.
    Temporary {
        /// `ASIA…`; absent where a service used the session.
        key: Option<AccessKeyId>,
        /// `sessionContext.attributes.creationDate`.
        created: Option<Timestamp>,
    },
    /// The record names none: a service, an identity provider, another account's copy.
    Unseen,
}

/// The classes of callers whose habits are kept apart: a service's ways say nothing of a
/// person's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallerClass {
    /// An AWS service on the account's behalf.
    Service,
    /// IAM users and people of an identity provider.
    Person,
    /// Role sessions and OIDC subjects of the role's own account.
    Workload,
    /// Anybody whose own account is not the role's.
    ExternalAccount,
}

/// Who made a call, as far as the record tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Principal {
    /// The kind of identity.
    pub kind: PrincipalKind,
    /// The account of the caller, where it has one.
    pub account: Option<AccountId>,
    /// The unique id of the user or role.
    pub id: Option<UniqueId>,
    /// The ARN, as the record spells it.
    pub arn: Option<Text>,
    /// User name, role name, subject or service name.
    pub name: Option<Text>,
    /// The name of the calling session, for sessions of a role.
    pub session_name: Option<Text>,
    /// The role whose session is calling.
    pub issuer: Option<RoleArn>,
    /// The identity provider that vouched for the caller.
    pub provider: Option<Text>,
    /// The credential that signed the call.
    pub credential: Credential,
    /// The service that made the call on the caller's behalf.
    pub invoked_by: Option<Text>,
    /// What baselines call the caller and its account.
    #[serde(skip)]
    pub(crate) names: Memo<Names>,
    /// Under what the session is found whose credentials the caller used.
    #[serde(skip)]
    pub(crate) session_keys: SessionKeys,
}

/// What baselines call a caller and its account. A call that is judged asks for both.
#[derive(Debug)]
pub(crate) struct Names {
    key: Option<PrincipalKey>,
    account: Option<SmolStr>,
}

/// Digests of the keys under which the session of a caller is found.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct SessionKeys {
    /// Of its access key.
    pub(crate) by_key: Memo<Option<[u8; 16]>>,
    /// Of its name at the role's id, and at the role's ARN.
    pub(crate) by_name: Memo<[Option<[u8; 16]>; 2]>,
}

impl Principal {
    /// A principal of `kind` of which nothing else is known.
    #[must_use]
    pub fn of_kind(kind: PrincipalKind) -> Self {
        Self {
            kind,
            account: None,
            id: None,
            arn: None,
            name: None,
            session_name: None,
            issuer: None,
            provider: None,
            credential: Credential::Unseen,
            invoked_by: None,
            names: Memo::default(),
            session_keys: SessionKeys::default(),
        }
    }

    /// The key under which the principal's habits are kept: the same in every account's copy of
    /// a call. `None` where the record names nobody.
    #[must_use]
    pub fn key(&self) -> Option<&PrincipalKey> {
        self.names().key.as_ref()
    }

    /// The account as text, as baselines keep it.
    #[must_use]
    pub(crate) fn account_text(&self) -> Option<&SmolStr> {
        self.names().account.as_ref()
    }

    fn names(&self) -> &Names {
        let account = || Some(self.account?.to_text());
        self.names.get_or(|| Names { key: self.make_key(), account: account() })
    }

    fn make_key(&self) -> Option<PrincipalKey> {
        let name = || self.name.as_ref().map(Text::as_str);
        let provider = || self.provider.as_ref().map_or("", Text::as_str);
        let of_account = |account: AccountId, rest: &str| {
            let mut text = String::with_capacity("111122223333:".len() + rest.len());
            account.push_to(&mut text);
            text.push(':');
            text.push_str(rest);
            text
        };
        let text = match (self.kind, self.account, &self.id) {
            (PrincipalKind::Service, ..) => ["service:", name()?].concat(),
            (PrincipalKind::Saml, ..) => ["saml:", provider(), ":", name()?].concat(),
            (PrincipalKind::WebIdentity, ..) => {
                ["oidc:", provider(), ":", stable_subject(name()?)].concat()
            }
            (PrincipalKind::IdentityCenter, account, _) => {
                format!(
                    "identity_center:{}:{}",
                    account.map_or_else(String::new, |a| a.to_string()),
                    name()?
                )
            }
            (PrincipalKind::Root, Some(account), _) => format!("root:{account}"),
            (PrincipalKind::FederatedUser, Some(account), _) => {
                format!("federated:{account}:{}", name()?)
            }
            (_, Some(account), Some(id)) => of_account(account, id.as_str()),
            (_, Some(account), None) => match &self.arn {
                Some(arn) => of_account(account, arn.as_str()),
                None => format!("account:{account}"),
            },
            (_, None, _) => return None,
        };
        Some(PrincipalKey(text.into()))
    }

    /// The key or, for a record that names nobody, the one that all of those share.
    #[must_use]
    pub fn key_or_unnamed(&self) -> PrincipalKey {
        self.key().cloned().unwrap_or_else(|| PrincipalKey("unnamed".into()))
    }

    /// The class whose habits the caller belongs to when it asks for a role of `role_account`.
    #[must_use]
    pub fn class(&self, role_account: Option<AccountId>) -> CallerClass {
        let elsewhere = self.account.is_some() && self.account != role_account;
        match self.kind {
            PrincipalKind::Service => CallerClass::Service,
            PrincipalKind::AwsAccount => CallerClass::ExternalAccount,
            _ if elsewhere => CallerClass::ExternalAccount,
            PrincipalKind::Role | PrincipalKind::WebIdentity => CallerClass::Workload,
            _ => CallerClass::Person,
        }
    }

    /// [`Principal::display`], as text that others may share: mostly it is the name as it is.
    #[must_use]
    pub fn display_text(&self) -> Text {
        let tells_session = matches!(self.kind, PrincipalKind::Role | PrincipalKind::AwsAccount)
            && self.session_name.is_some();
        match &self.name {
            Some(name)
                if self.kind != PrincipalKind::Root
                    && !tells_session
                    && is_plain(name.as_str()) =>
            {
                name.clone()
            }
            _ => Text::clip(&self.display()),
        }
    }

    /// The principal in a few words, for a sentence.
    #[must_use]
    pub fn display(&self) -> String {
        let name = self.name.as_ref().map(|name| inline(name.as_str()));
        let account =
            || self.account.map_or_else(|| "an unknown account".into(), |a| a.to_string());
        match (self.kind, name, &self.session_name) {
            (PrincipalKind::Root, ..) => format!("root of {}", account()),
            (PrincipalKind::AwsAccount, None, Some(session)) => {
                format!("session {} of a role in {}", inline(session.as_str()), account())
            }
            (PrincipalKind::AwsAccount, None, None) => match &self.id {
                Some(id) => format!("{id} of {}", account()),
                None if self.account.is_none() => "an anonymous caller".into(),
                None => format!("account {}", account()),
            },
            (PrincipalKind::Role | PrincipalKind::AwsAccount, Some(name), Some(session)) => {
                [&name, " (session ", &inline(session.as_str()), ")"].concat()
            }
            (_, Some(name), _) => name,
            (_, None, _) => match (&self.arn, &self.id) {
                (Some(arn), _) => inline(arn.as_str()),
                (None, Some(id)) => id.to_string(),
                (None, None) => "an unnamed caller".into(),
            },
        }
    }
}

/// Cuts a web-identity subject to the part that stays: a run's branch, environment or phase
/// changes from call to call, the repository, project or workspace does not.
fn stable_subject(subject: &str) -> &str {
    let keep = match subject.split(':').next() {
        Some("repo" | "project_path") => 2,
        Some("organization") => 6,
        _ => return subject,
    };
    match subject.match_indices(':').nth(keep - 1) {
        Some((end, _)) => subject.get(..end).unwrap_or(subject),
        None => subject,
    }
}

/// The key of a principal: its account and unique id where it has both.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrincipalKey(Arc<str>);

impl PrincipalKey {
    /// The key of an account's user or role that nothing is known of but its unique id.
    #[must_use]
    pub fn of_id(account: Option<AccountId>, id: &UniqueId) -> Option<Self> {
        let kind = PrincipalKind::IamUser;
        Principal { account, id: Some(id.clone()), ..Principal::of_kind(kind) }.make_key()
    }

    /// The key that a table of a baseline holds as text.
    #[must_use]
    pub fn kept(text: &str) -> Self {
        Self(text.into())
    }

    /// The key of a circle: of all who come by one provider, or of all workloads together.
    #[must_use]
    pub fn of_circle(name: &str) -> Self {
        Self(["circle:", name].concat().into())
    }

    /// Whether it is a role's, and so that of everybody who uses its sessions.
    #[must_use]
    pub fn is_role(&self) -> bool {
        self.0.contains(":AROA")
    }

    /// Whether it is a service's, which begins chains and is nobody.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.0.starts_with("service:")
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key as text that others may share.
    #[must_use]
    pub fn to_text(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for PrincipalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(kind: PrincipalKind, name: &str) -> Principal {
        Principal { name: Some(Text::clip(name)), ..Principal::of_kind(kind) }
    }

    #[test]
    fn both_copies_of_a_call_name_the_same_principal() {
        let id = Some("AIDAEXAMPLEALICE".parse().unwrap());
        let account = Some("111122223333".parse().unwrap());
        let rich = Principal {
            account,
            id: id.clone(),
            arn: Some(Text::clip("arn:aws:iam::111122223333:user/alice")),
            ..named(PrincipalKind::IamUser, "alice")
        };
        let poor = Principal { account, id, ..Principal::of_kind(PrincipalKind::AwsAccount) };
        assert_eq!(rich.key().unwrap(), poor.key().unwrap());
        let role_account = Some("444455556666".parse().unwrap());
        assert_eq!(rich.class(role_account), poor.class(role_account));
    }

    #[test]
    fn a_subject_is_cut_to_what_stays() {
        for (subject, stable) in [
            ("repo:acme/app:ref:refs/heads/main", "repo:acme/app"),
            ("repo:acme/app:environment:prod", "repo:acme/app"),
            ("repo:acme/app", "repo:acme/app"),
            ("project_path:acme/app:ref_type:branch:ref:main", "project_path:acme/app"),
            (
                "organization:acme:project:p:workspace:w:run_phase:plan",
                "organization:acme:project:p:workspace:w",
            ),
            ("system:serviceaccount:default:app", "system:serviceaccount:default:app"),
        ] {
            assert_eq!(stable_subject(subject), stable);
        }
    }

    #[test]
    fn nobody_has_no_key() {
        assert_eq!(Principal::of_kind(PrincipalKind::Unknown).key(), None);
    }
}
