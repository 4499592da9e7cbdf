//! What one call shows, as values of the dimensions that baselines keep.

use crate::baseline::{Dimension, Value, agent_family, session_shape};
use crate::event::{Assumption, Call, CallerClass, ExternalIdUse, Mfa, PrincipalKind};
use crate::id::Address;
use crate::lineage::Lineage;
use crate::text::Text;

/// The values of an assumption, for its role's baseline.
#[must_use]
pub fn of_role(it: &Assumption, lineage: Option<&Lineage>) -> Vec<Value> {
    let (call, principal) = (&it.call, &it.call.principal);
    let mut values = Vec::with_capacity(10);
    if let Some(key) = principal.key() {
        values.push((Dimension::Principal, key.as_str().into()));
        if call.mfa == Mfa::Absent {
            // Behind a session it is whoever began the chain that had none.
            let who = lineage.and_then(|it| it.origin.as_ref()).unwrap_or(&key);
            values.push((Dimension::WithoutMfa, who.as_str().into()));
        }
    }
    // A lower bound is no depth, and learned it would make the true one look deep.
    values.extend(
        lineage.filter(|it| it.complete).map(|it| (Dimension::Depth, it.depth.to_string().into())),
    );
    if let Some(account) = principal.account {
        values.push((Dimension::Account, account.to_string().into()));
    }
    if let Some(value) = external_id(it) {
        values.push((Dimension::ExternalId, value.into()));
    }
    if matches!(call.mfa, Mfa::Present | Mfa::Absent | Mfa::Inherited) {
        values.push((Dimension::Mfa, call.mfa.as_str().into()));
    }
    if let Some(issuer) = &principal.issuer {
        values.push((Dimension::Issuer, issuer.as_str().into()));
    }
    values.extend(soft(it));
    values
}

/// The values of an assumption, for its caller's baseline.
#[must_use]
pub fn of_caller(it: &Assumption) -> Vec<Value> {
    let mut values = vec![(Dimension::Call, it.call.name.into())];
    values.extend(it.role().map(|role| (Dimension::Role, role.as_str().into())));
    values.extend(soft(it));
    values
}

/// The values that both sides keep: where from, under which session name, with what software.
fn soft(it: &Assumption) -> Vec<Value> {
    let call = &it.call;
    let mut values = Vec::with_capacity(4);
    if has_network_of_its_own(call) {
        values.push((Dimension::Network, call.address.network().as_str().into()));
        values.push((Dimension::NetworkBlock, call.address.block().as_str().into()));
        values.push((Dimension::UserAgent, agent_family(call.user_agent.as_str()).into()));
    }
    if let Some(name) = &it.session.name {
        let own = call.principal.name.as_ref().map(Text::as_str);
        values.push((Dimension::SessionName, session_shape(name.as_str(), own).into()));
    }
    values
}

/// Whether the address of a call is the caller's own. Of a sign-in through an identity provider
/// it may be the provider's and change with every login; a service's is its name.
#[must_use]
pub fn has_network_of_its_own(call: &Call) -> bool {
    let of_provider = matches!(call.principal.kind, PrincipalKind::Saml | PrincipalKind::Service);
    !of_provider && matches!(call.address, Address::Ip(_) | Address::Text(_))
}

/// `account value`, for callers of other accounts: whoever calls from the role's own account
/// needs none.
#[must_use]
pub fn external_id(it: &Assumption) -> Option<String> {
    if it.call.principal.class(it.role_account()) != CallerClass::ExternalAccount {
        return None;
    }
    let account = it.call.principal.account?;
    match it.external_id {
        ExternalIdUse::Unknown => None,
        ExternalIdUse::Absent => Some(format!("{account} none")),
        ExternalIdUse::Given(id) => Some(format!("{account} {}", id.to_hex())),
    }
}
