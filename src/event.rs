//! What happened, in the field's words. Wire types stop before this module.

mod memo;
mod principal;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use sha2::{Digest, Sha256};
use smol_str::SmolStr;

use crate::id::{
    AccessKeyId, AccountId, Address, EventId, ExternalId, Network, RoleArn, RoleKey, UniqueId, hex,
};
use crate::text::{Text, inline};

pub(crate) use memo::Memo;
pub use principal::{CallerClass, Credential, Principal, PrincipalKey, PrincipalKind};

/// One thing that CloudTrail saw and that concerns who may, or did, put on a role.
///
/// Events are sorted, handed on and kept by those that wait for others: what they tell is large,
/// so it is shared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A call that asked for a role's credentials.
    Assumption(Arc<Assumption>),
    /// A call that changed who may ask.
    TrustChange(Arc<TrustChange>),
    /// A call by which a principal got, or showed, a session of its own.
    SignIn(Arc<SignIn>),
}

impl Event {
    /// What every event has.
    #[must_use]
    pub fn call(&self) -> &Call {
        match self {
            Self::Assumption(it) => &it.call,
            Self::TrustChange(it) => &it.call,
            Self::SignIn(it) => &it.call,
        }
    }

    /// The one order in which events are judged, whatever the order they arrived in: by time,
    /// then what issues a credential before what may use it, then the fuller copy of a call
    /// before the poorer, then by identity.
    #[must_use]
    pub fn order(&self) -> (Timestamp, u8, &EventKey) {
        let call = self.call();
        let rank = match self {
            Self::TrustChange(_) => 0,
            Self::SignIn(_) => 1,
            Self::Assumption(_) => match call.principal.kind {
                PrincipalKind::AwsAccount => 4,
                PrincipalKind::Role | PrincipalKind::FederatedUser => 3,
                _ => 2,
            },
        };
        (call.time, rank, &call.key)
    }
}

/// What identifies one record: the account and event id that CloudTrail gave it or, where it has
/// no event id, a digest of the whole record.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKey {
    /// Recipient account and event id.
    Id(Option<AccountId>, EventId),
    /// First 16 bytes of the SHA-256 of the record in canonical form.
    Digest([u8; 16]),
}

/// In as few steps as there are: a key is looked up five times for every call.
impl Hash for EventKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Id(account, id) => {
                state.write_u64(account.map_or(0, AccountId::number));
                id.hash(state);
            }
            Self::Digest(record) => state.write(record),
        }
    }
}

impl EventKey {
    /// A short mark of the record, for telling it from the few others of one second: what is
    /// remembered by it counts a record once, however often it is judged.
    #[must_use]
    pub fn mark(&self) -> u32 {
        let digest = match self {
            Self::Id(_, id) => Sha256::digest(id.to_string()),
            Self::Digest(record) => Sha256::digest(record),
        };
        digest.iter().take(4).fold(0, |mark, byte| mark << 8 | u32::from(*byte))
    }
}

/// The name of an API that is read. A type of its own, so that serde does not try to borrow it.
pub type ApiName = &'static str;

/// What every event has: who called, when, from where, and how it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Identity of the record, for dropping duplicates.
    pub key: EventKey,
    /// Shared by the copies of one call that several accounts received.
    pub shared_id: Option<EventId>,
    /// The API's name, as CloudTrail writes it.
    #[serde(deserialize_with = "known_name")]
    pub name: ApiName,
    /// When the call was made.
    pub time: Timestamp,
    /// The region that served it.
    pub region: Text,
    /// The account whose trail this record is from.
    pub account: Option<AccountId>,
    /// Who called.
    pub principal: Principal,
    /// What the record itself proves about MFA.
    pub mfa: Mfa,
    /// Where the call came from.
    pub address: Address,
    /// What the caller's software says of itself.
    pub user_agent: Text,
    /// How it ended.
    pub outcome: Outcome,
    /// Whether address and software are those of the person, told by another record.
    #[serde(default)]
    pub is_placed: bool,
    /// The network of the address, and its block.
    #[serde(skip)]
    pub(crate) networks: Memo<(Network, Network)>,
}

/// Reads the name of a call that was remembered or set aside.
fn known_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static str, D::Error> {
    const NAMES: [&str; 12] = [
        "AssumeRole",
        "AssumeRoleWithSAML",
        "AssumeRoleWithWebIdentity",
        "AssumeRoot",
        "ConsoleLogin",
        "CreateRole",
        "DeleteRole",
        "GetFederationToken",
        "GetRoleCredentials",
        "GetSessionToken",
        "SwitchRole",
        "UpdateAssumeRolePolicy",
    ];
    let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    let known = NAMES.into_iter().find(|known| *known == name);
    known.ok_or_else(|| serde::de::Error::custom("not the name of a call that is read"))
}

impl Call {
    /// The record's event id, where it has one.
    #[must_use]
    pub fn event_id(&self) -> Option<&EventId> {
        match &self.key {
            EventKey::Id(_, id) => Some(id),
            EventKey::Digest(_) => None,
        }
    }

    /// The id of an alert about this call: the same on every replay, retry and copy.
    #[must_use]
    pub fn alert_id(&self) -> String {
        let mut digest = Sha256::new();
        match (&self.shared_id, &self.key) {
            (Some(shared), _) => {
                digest.update(b"shared\0");
                digest.update(shared.to_string());
            }
            (None, EventKey::Id(account, id)) => {
                let account = account.map(|it| it.to_string()).unwrap_or_default();
                for part in ["event", "\0", &account, "\0", &id.to_string()] {
                    digest.update(part);
                }
            }
            (None, EventKey::Digest(record)) => {
                digest.update(b"record\0");
                digest.update(record);
            }
        }
        let digest = digest.finalize();
        hex(digest.get(..16).unwrap_or(&digest))
    }

    /// The network that the call came from: [`Address::network`].
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.networks().0
    }

    /// The block that the network lies in: [`Address::block`].
    #[must_use]
    pub fn block(&self) -> &Network {
        &self.networks().1
    }

    fn networks(&self) -> &(Network, Network) {
        self.networks.get_or(|| (self.address.network(), self.address.block()))
    }

    /// Whether the call succeeded.
    #[must_use]
    pub fn granted(&self) -> bool {
        self.outcome == Outcome::Granted
    }
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It did what was asked.
    Granted,
    /// It was refused or failed, with CloudTrail's error code.
    Refused(Text),
}

/// Multi-factor authentication of a call. Absence is a claim of its own: what a record cannot
/// tell is [`Mfa::Unknown`], and no rule fires on that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Mfa {
    /// Proved for this very call.
    Present,
    /// Known to be missing: for this call or, where a session of a role made it, at the origin
    /// of that session.
    Absent,
    /// Proved at an earlier hop of the chain that led to this call.
    Inherited,
    /// This record cannot tell: another account's copy, an identity provider, a role session.
    Unknown,
    /// A service made the call; there is nobody to ask for a second factor.
    NotApplicable,
}

impl Mfa {
    /// The word that alerts use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Absent => "absent",
            Self::Inherited => "inherited",
            Self::Unknown => "unknown",
            Self::NotApplicable => "not_applicable",
        }
    }
}

/// A call that asked for a role's credentials, or for root's of a member account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Assumption {
    /// Who, when, from where, how it ended.
    pub call: Call,
    /// What was asked for.
    pub target: Target,
    /// The session that was asked for and, on a grant, issued.
    pub session: Session,
    /// The ExternalId that came with the call.
    pub external_id: ExternalIdUse,
    /// What later modules make of it.
    #[serde(skip)]
    pub(crate) made: Made,
}

/// What later modules make of an assumption, and ask for again and again.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Made {
    /// The key under which the role's trust policies are kept.
    pub(crate) role_key: Memo<Option<RoleKey>>,
    /// Who sent which ExternalId, as the role's baseline keeps it.
    pub(crate) external_id: Memo<Option<Arc<str>>>,
    /// The family of the user agent, and the shape of the session's name.
    pub(crate) names: Memo<[Option<SmolStr>; 2]>,
}

/// What an assumption asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// A role, with its unique id where the answer told it.
    Role {
        /// The role's ARN, with its path.
        arn: RoleArn,
        /// `AROA…`: tells a role from another one of the same name.
        id: Option<UniqueId>,
    },
    /// Root of a member account (`AssumeRoot`).
    Root {
        /// The member account.
        account: Option<AccountId>,
        /// The task policy that limits the session.
        task_policy: Option<Text>,
    },
    /// A denial that does not name the role.
    Unknown,
}

impl Assumption {
    /// The role that was asked for, where there is one and the record names it.
    #[must_use]
    pub fn role(&self) -> Option<&RoleArn> {
        match &self.target {
            Target::Role { arn, .. } => Some(arn),
            Target::Root { .. } | Target::Unknown => None,
        }
    }

    /// The caller in a few words, for a sentence; with the account where it is not the role's.
    #[must_use]
    pub fn who(&self) -> String {
        let principal = &self.call.principal;
        let who = principal.display();
        match principal.account {
            Some(account) if self.role().is_some() && self.role_account() != Some(account) => {
                let account = account.to_string();
                if who.contains(&account) { who } else { format!("{who} of {account}") }
            }
            _ => who,
        }
    }

    /// The role's unique id, where the answer told it.
    #[must_use]
    pub fn role_id(&self) -> Option<&UniqueId> {
        match &self.target {
            Target::Role { id, .. } => id.as_ref(),
            Target::Root { .. } | Target::Unknown => None,
        }
    }

    /// The key under which the role's trust policies are kept.
    #[must_use]
    pub fn role_key(&self) -> Option<&RoleKey> {
        self.made.role_key.get_or(|| self.role().map(RoleKey::of)).as_ref()
    }

    /// The account the role lives in.
    #[must_use]
    pub fn role_account(&self) -> Option<AccountId> {
        self.role().map(RoleArn::account)
    }
}

/// The session an assumption asked for and, on a grant, got.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Session {
    /// `roleSessionName`.
    pub name: Option<Text>,
    /// The issued key.
    pub access_key_id: Option<AccessKeyId>,
    /// When the issued credentials end, where the record's spelling of it could be read.
    pub expires: Option<Timestamp>,
    /// `sourceIdentity`, which a session keeps through every chain.
    pub source_identity: Option<Text>,
}

/// The ExternalId of an assumption. That none was sent is itself a value; a denial does not
/// tell what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ExternalIdUse {
    /// The record has no request parameters.
    Unknown,
    /// The call carried none.
    Absent,
    /// The call carried this one.
    Given(ExternalId),
}

/// A call that changed who may assume a role.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrustChange {
    /// Who, when, from where, how it ended.
    pub call: Call,
    /// What was done.
    pub kind: TrustChangeKind,
    /// The role's name. An update and a deletion do not tell its path.
    pub role_name: Text,
    /// The role's ARN where the record holds it.
    pub role: Option<RoleArn>,
    /// The role's unique id where the record holds it.
    pub role_id: Option<UniqueId>,
    /// The new trust policy, where there is one.
    pub policy: Option<PolicyDocument>,
}

impl TrustChange {
    /// The key of the role whose trust was changed. What is written of a role that the record
    /// does not name is nobody's.
    #[must_use]
    pub fn role_key(&self) -> Option<RoleKey> {
        let account = self.role.as_ref().map(RoleArn::account).or(self.call.account)?;
        let name = Some(self.role_name.as_str()).filter(|it| !it.is_empty())?;
        Some(RoleKey::new(account, name))
    }

    /// The role's name for a sentence; a damaged record may lack it.
    #[must_use]
    pub fn display_role(&self) -> String {
        match self.role_name.as_str() {
            "" => "a role that the record does not name".to_owned(),
            name => inline(name),
        }
    }
}

/// The ways in which trust changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrustChangeKind {
    /// `CreateRole`.
    Created,
    /// `UpdateAssumeRolePolicy`.
    Updated,
    /// `DeleteRole`.
    Deleted,
}

/// A policy document as the log holds it. It may hold ExternalIds in clear, so it is never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PolicyDocument(Arc<str>);

impl PolicyDocument {
    /// Keeps a document as it was written.
    #[must_use]
    pub fn new(json: &str) -> Self {
        Self(json.into())
    }

    /// The document's JSON.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PolicyDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PolicyDocument({} bytes)", self.0.len())
    }
}

/// A call by which a principal got, or showed, a session of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SignIn {
    /// Who, when, from where, how it ended.
    pub call: Call,
    /// Which way in.
    pub kind: SignInKind,
}

/// The ways in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignInKind {
    /// A sign-in to the console.
    ConsoleLogin,
    /// A switch of role in the console, in the role's account.
    SwitchRole {
        /// The assumed-role or user ARN that the person came from.
        from: Option<Text>,
    },
    /// Temporary credentials of the caller itself.
    SessionToken,
    /// Temporary credentials for a user that the caller names.
    FederationToken {
        /// What the session policy allows.
        scope: FederationScope,
        /// The name that the caller gave the federated user.
        name: Option<Text>,
    },
    /// Credentials of an Identity Center permission set.
    RoleCredentials {
        /// The account they are for.
        account: Option<AccountId>,
        /// The permission set's name.
        role_name: Option<Text>,
    },
}

/// What the session policy of a federation token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FederationScope {
    /// Every action on every resource: all that the caller itself may do.
    Everything,
    /// Something less.
    Limited,
    /// No session policy: such a token can do nothing but what resource policies grant it.
    Nothing,
    /// A policy was given that could not be read.
    Unreadable,
}
