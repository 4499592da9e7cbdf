//! What one call shows, as values of the dimensions that baselines keep.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use smol_str::SmolStr;

use crate::baseline::{Dimension, OWN_NAME, Value, agent_family, session_shape};
use crate::event::{
    Assumption, Call, CallerClass, ExternalIdUse, Mfa, Principal, PrincipalKey, PrincipalKind,
};
use crate::id::Address;
use crate::lineage::Lineage;
use crate::text::Text;

/// What kind of caller is behind a call, whatever session it uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerKind {
    /// A person, or what has a person's kind of credential.
    Person,
    /// A workflow or a pod, by a token of its issuer.
    Token,
    /// A service of AWS.
    Service,
    /// The session of a role that no person is known to be behind.
    Machine,
}

impl CallerKind {
    /// The word that baselines keep.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Token => "token",
            Self::Service => "service",
            Self::Machine => "machine",
        }
    }

    fn of_kind(kind: PrincipalKind) -> Option<Self> {
        match kind {
            PrincipalKind::IamUser | PrincipalKind::Saml | PrincipalKind::IdentityCenter => {
                Some(Self::Person)
            }
            PrincipalKind::WebIdentity => Some(Self::Token),
            PrincipalKind::Service => Some(Self::Service),
            _ => None,
        }
    }
}

/// Who is behind a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Behind {
    /// Whoever began the chain, where it is known to its origin; else the caller.
    pub actor: Option<PrincipalKey>,
    /// What kind of caller that is.
    pub kind: CallerKind,
}

impl Behind {
    /// Who is behind a call. `people_take` says whether people take the role whose session makes
    /// it, which tells where the chain does not.
    #[must_use]
    pub fn of(call: &Call, lineage: Option<&Lineage>, people_take: bool) -> Self {
        let principal = &call.principal;
        let first = lineage.and_then(Lineage::first);
        let own = CallerKind::of_kind(principal.kind)
            .or(is_user(principal).then_some(CallerKind::Person));
        let of_first = first.and_then(|first| CallerKind::of_kind(first.kind));
        let kind = own.unwrap_or(match of_first {
            Some(CallerKind::Service) => CallerKind::Machine,
            Some(kind) => kind,
            None if people_take => CallerKind::Person,
            None => CallerKind::Machine,
        });
        let origin = lineage.filter(|it| it.complete).and_then(|it| it.origin.clone());
        // A service begins many chains and is nobody.
        let origin = origin.filter(|_| of_first != Some(CallerKind::Service));
        Self { actor: origin.or_else(|| principal.key().cloned()), kind }
    }
}

/// Whether another account's copy tells by the unique id that it was a user.
fn is_user(principal: &Principal) -> bool {
    principal.kind == PrincipalKind::AwsAccount
        && principal.id.as_ref().is_some_and(|id| id.as_str().starts_with("AIDA"))
}

/// The circle of callers who are expected to call from the same places: all who come by one
/// identity provider, all tokens of one issuer, all workloads of ours. `None` for people: each
/// has places of their own.
#[must_use]
pub fn circle(it: &Assumption, behind: &Behind) -> Option<PrincipalKey> {
    let principal = &it.call.principal;
    let provider = principal.provider.as_ref().map(Text::as_str);
    let name = match (principal.kind, behind.kind) {
        (PrincipalKind::Saml, _) => format!("saml:{}", provider?),
        (PrincipalKind::WebIdentity, _) => issuer_of(provider?),
        (PrincipalKind::Role, CallerKind::Token) => {
            issuer_of(behind.actor.as_ref()?.as_str().split_once("oidc:")?.1)
        }
        (PrincipalKind::Role, CallerKind::Machine) => return Some(workloads()),
        _ => return None,
    };
    Some(PrincipalKey::of_circle(&name))
}

/// The circle of all workloads.
#[must_use]
pub fn workloads() -> PrincipalKey {
    static WORKLOADS: LazyLock<PrincipalKey> =
        LazyLock::new(|| PrincipalKey::of_circle("workloads"));
    WORKLOADS.clone()
}

/// The circle of all people.
#[must_use]
pub fn people() -> PrincipalKey {
    static PEOPLE: LazyLock<PrincipalKey> = LazyLock::new(|| PrincipalKey::of_circle("people"));
    PEOPLE.clone()
}

/// The issuer of a token, which is the same in all accounts: the end of its provider's ARN.
fn issuer_of(provider: &str) -> String {
    let host = provider.split_once(":oidc-provider/").map_or(provider, |(_, host)| host);
    let host = host.split(':').next().unwrap_or(host);
    ["oidc:", host].concat()
}

/// The block of networks that a call came from, as its circle knows it.
#[must_use]
pub fn block_of_circle(call: &Call) -> Option<Value> {
    let is_own = matches!(call.address, Address::Ip(_)) && !call.is_placed;
    is_own.then(|| (Dimension::NetworkBlock, call.block().to_text()))
}

/// What the token of a workflow was issued for: its branch, its environment, without ids.
#[must_use]
pub fn subject(it: &Assumption, lineage: Option<&Lineage>) -> Option<Value> {
    let own = || it.call.principal.name.as_ref().map(Text::as_str);
    let subject = match it.call.principal.kind {
        PrincipalKind::WebIdentity => own()?,
        _ => {
            let first = lineage?.first().filter(|it| it.kind == PrincipalKind::WebIdentity)?;
            first.principal.as_ref()?.as_str()
        }
    };
    let (kind, rest) = subject.split_once(':')?;
    let (_, purpose) = rest.split_once(':').filter(|_| kind == "repo")?;
    Some((Dimension::Subject, session_shape(purpose, None).into_owned().into()))
}

/// Adds what is known of a call's descent, for its role's baseline.
pub fn add_descent(
    it: &Assumption,
    lineage: Option<&Lineage>,
    behind: &Behind,
    values: &mut Vec<Value>,
) {
    values.push((Dimension::Kind, SmolStr::new_static(behind.kind.as_str())));
    let key = it.call.principal.key();
    let origin = behind.actor.as_ref().filter(|actor| Some(*actor) != key);
    values.extend(origin.map(|it| (Dimension::Origin, it.to_text().into())));
    values.extend(subject(it, lineage));
}

/// The values of an assumption, for its role's baseline.
#[must_use]
pub fn of_role(it: &Assumption, lineage: Option<&Lineage>) -> Vec<Value> {
    let (call, principal) = (&it.call, &it.call.principal);
    // With what is known of the descent.
    let mut values = Vec::with_capacity(16);
    if let Some(key) = principal.key() {
        values.push((Dimension::Principal, key.to_text().into()));
        if call.mfa == Mfa::Absent {
            // Behind a session it is whoever began the chain that had none.
            let who = lineage.and_then(|it| it.origin.as_ref()).unwrap_or(key);
            values.push((Dimension::WithoutMfa, who.to_text().into()));
        }
    }
    // A lower bound is no depth, and learned it would make the true one look deep.
    values.extend(lineage.filter(|it| it.complete).map(|it| (Dimension::Depth, depth(it.depth))));
    if let Some(account) = principal.account_text() {
        values.push((Dimension::Account, account.clone()));
    }
    if let Some(value) = external_id(it) {
        values.push((Dimension::ExternalId, Arc::clone(value).into()));
    }
    if matches!(call.mfa, Mfa::Present | Mfa::Absent | Mfa::Inherited) {
        values.push((Dimension::Mfa, SmolStr::new_static(call.mfa.as_str())));
    }
    if let Some(issuer) = &principal.issuer {
        values.push((Dimension::Issuer, issuer.to_text().into()));
    }
    add_soft(it, &mut values);
    values
}

/// How deep a chain is, as baselines keep it. Most are short.
#[must_use]
pub fn depth(depth: u32) -> SmolStr {
    match depth {
        1 => SmolStr::new_static("1"),
        2 => SmolStr::new_static("2"),
        deeper => deeper.to_string().into(),
    }
}

/// The values of an assumption, for its caller's baseline.
#[must_use]
pub fn of_caller(it: &Assumption) -> Vec<Value> {
    let mut values = Vec::with_capacity(8);
    values.push((Dimension::Call, SmolStr::new_static(it.call.name)));
    values.extend(it.role().map(|role| (Dimension::Role, role.to_text().into())));
    if matches!(it.call.mfa, Mfa::Present | Mfa::Absent | Mfa::Inherited) {
        values.push((Dimension::Mfa, SmolStr::new_static(it.call.mfa.as_str())));
    }
    if it.call.principal.kind == PrincipalKind::WebIdentity {
        values.extend(subject(it, None));
    }
    add_soft(it, &mut values);
    values
}

/// Adds the values that both sides keep: where from, under which session name, with what software.
fn add_soft(it: &Assumption, values: &mut Vec<Value>) {
    let call = &it.call;
    if has_network_of_its_own(call) {
        values.push((Dimension::Network, call.network().to_text()));
        values.push((Dimension::NetworkBlock, call.block().to_text()));
    }
    of_names(it).for_each(|value| values.push(value));
}

/// Of those the ones that are names: of the software, and of the session.
pub fn of_names(it: &Assumption) -> impl Iterator<Item = Value> {
    let call = &it.call;
    let [agent, shape] = it.made.names.get_or(|| {
        let agent = || agent_family(call.user_agent.as_str());
        let own = call.principal.name.as_ref().map(Text::as_str);
        let shape = |name: &Text| match session_shape(name.as_str(), own) {
            Cow::Borrowed(OWN_NAME) => SmolStr::new_static(OWN_NAME),
            Cow::Borrowed(_) => name.to_shared(),
            Cow::Owned(shape) => shape.into(),
        };
        [has_network_of_its_own(call).then(agent), it.session.name.as_ref().map(shape)]
    });
    let agent = agent.iter().map(|it| (Dimension::UserAgent, it.clone()));
    let shape = shape.iter().map(|it| (Dimension::SessionName, it.clone()));
    agent.chain(shape)
}

/// Whether the address of a call is the caller's own. Of a sign-in through an identity provider
/// it may be the provider's and change with every login, unless another record told the person's;
/// a service's is its name.
#[must_use]
pub fn has_network_of_its_own(call: &Call) -> bool {
    let of_provider = match call.principal.kind {
        PrincipalKind::Saml => !call.is_placed,
        kind => kind == PrincipalKind::Service,
    };
    !of_provider && matches!(call.address, Address::Ip(_) | Address::Text(_))
}

/// `account value`, for callers of other accounts: whoever calls from the role's own account
/// needs none.
#[must_use]
pub fn external_id(it: &Assumption) -> Option<&Arc<str>> {
    if it.call.principal.class(it.role_account()) != CallerClass::ExternalAccount {
        return None;
    }
    it.made.external_id.get_or(|| make_external_id(it).map(Into::into)).as_ref()
}

fn make_external_id(it: &Assumption) -> Option<String> {
    let account = it.call.principal.account?;
    match it.external_id {
        ExternalIdUse::Unknown => None,
        ExternalIdUse::Absent => Some([&*account.to_text(), " none"].concat()),
        ExternalIdUse::Given(id) => Some([&*account.to_text(), " ", &id.to_hex()].concat()),
    }
}
