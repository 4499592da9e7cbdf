//! The calls by which a principal gets, or shows, a session of its own.

use std::sync::Arc;

use serde_json::Value;

use super::{ReadError, field};
use crate::event::{Call, Event, FederationScope, Mfa, Outcome, PrincipalKind, SignIn, SignInKind};
use crate::json::{Json, Kind};
use crate::text::Text;

/// `ConsoleLogin`, which tells of MFA and of failure in places of its own.
pub(super) fn console_login(mut call: Call, record: Json<'_>) -> Result<Event, ReadError> {
    let additional = field::at(record, ["additionalEventData"]);
    let answer = field::at(record, ["responseElements"]);
    call.mfa = match (call.principal.kind, field::str(additional, "MFAUsed").as_deref()) {
        (_, Some("Yes")) => Mfa::Present,
        (PrincipalKind::Root | PrincipalKind::IamUser, Some("No")) => Mfa::Absent,
        _ => Mfa::Unknown,
    };
    if call.granted() && field::str(answer, "ConsoleLogin").as_deref() == Some("Failure") {
        call.outcome = Outcome::Refused(Text::clip("Failure"));
    }
    Ok(sign_in(call, SignInKind::ConsoleLogin))
}

/// `SwitchRole` in the console, from the role's account.
pub(super) fn switch_role(call: Call, record: Json<'_>) -> Result<Event, ReadError> {
    let additional = field::at(record, ["additionalEventData"]);
    let from = field::text(additional, "SwitchFrom");
    Ok(sign_in(call, SignInKind::SwitchRole { from }))
}

/// `GetSessionToken`.
pub(super) fn session_token(call: Call, _: Json<'_>) -> Result<Event, ReadError> {
    Ok(sign_in(call, SignInKind::SessionToken))
}

/// `GetFederationToken`.
pub(super) fn federation_token(call: Call, record: Json<'_>) -> Result<Event, ReadError> {
    let request = field::at(record, ["requestParameters"]);
    let kind = SignInKind::FederationToken {
        scope: federation_scope(request),
        name: field::text(request, "name"),
    };
    Ok(sign_in(call, kind))
}

/// `GetRoleCredentials` of Identity Center: the person's own network shows here.
pub(super) fn role_credentials(call: Call, record: Json<'_>) -> Result<Event, ReadError> {
    let request = field::at(record, ["requestParameters"]);
    let details = field::at(record, ["serviceEventDetails"]);
    let account = field::parsed(request, "accountId")
        .or_else(|| field::parsed(request, "account_id"))
        .or_else(|| field::parsed(details, "account_id"));
    let role_name = field::text(request, "roleName")
        .or_else(|| field::text(request, "role_name"))
        .or_else(|| field::text(details, "role_name"));
    Ok(sign_in(call, SignInKind::RoleCredentials { account, role_name }))
}

fn sign_in(call: Call, kind: SignInKind) -> Event {
    Event::SignIn(Arc::new(SignIn { call, kind }))
}

/// What a federation token's session policy, inline or by ARN, allows at most.
fn federation_scope(request: Json<'_>) -> FederationScope {
    let managed = request.get("policyArns");
    let names_administrator = managed.elements().any(|it| {
        let arn = it.as_str().or_else(|| field::str(it, "arn")).unwrap_or_default();
        arn.ends_with(":aws:policy/AdministratorAccess")
    });
    let policy = request.get("policy");
    let inline = match policy.as_str() {
        _ if policy.is_null() => None,
        Some(json) => Some(serde_json::from_str::<Value>(&json).ok()),
        None => Some(Some(policy.to_value())),
    };
    let has_managed = managed.elements().next().is_some();
    match inline {
        _ if names_administrator => FederationScope::Everything,
        Some(Some(policy)) if allows_everything(Json::Tree(&policy)) => FederationScope::Everything,
        Some(Some(_)) => FederationScope::Limited,
        Some(None) => FederationScope::Unreadable,
        None if has_managed => FederationScope::Limited,
        None => FederationScope::Nothing,
    }
}

/// Whether one statement allows every action on every resource without a condition.
fn allows_everything(policy: Json<'_>) -> bool {
    one_or_many(policy.get("Statement")).into_iter().any(|statement| {
        field::str(statement, "Effect").as_deref() == Some("Allow")
            && names_all(statement.get("Action"), &["*", "*:*"])
            && names_all(statement.get("Resource"), &["*"])
            && is_unconditional(statement.get("Condition"))
    })
}

fn is_unconditional(condition: Json<'_>) -> bool {
    condition.to_value().as_object().is_none_or(serde_json::Map::is_empty)
}

fn names_all(element: Json<'_>, wildcards: &[&str]) -> bool {
    let is_wildcard = |it: Json<'_>| it.as_str().is_some_and(|text| wildcards.contains(&&*text));
    one_or_many(element).into_iter().any(is_wildcard)
}

fn one_or_many(value: Json<'_>) -> Vec<Json<'_>> {
    match value.kind() {
        Kind::Array => value.elements().collect(),
        _ => vec![value],
    }
}
