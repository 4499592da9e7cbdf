//! The calls by which a principal gets, or shows, a session of its own.

use serde_json::Value;

use super::{ReadError, field};
use crate::event::{Call, Event, FederationScope, Mfa, Outcome, PrincipalKind, SignIn, SignInKind};
use crate::text::Text;

/// `ConsoleLogin`, which tells of MFA and of failure in places of its own.
pub(super) fn console_login(mut call: Call, record: &Value) -> Result<Event, ReadError> {
    let additional = field::at(record, &["additionalEventData"]);
    let answer = field::at(record, &["responseElements"]);
    call.mfa = match (call.principal.kind, field::str(additional, "MFAUsed")) {
        (_, Some("Yes")) => Mfa::Present,
        (PrincipalKind::Root | PrincipalKind::IamUser, Some("No")) => Mfa::Absent,
        _ => Mfa::Unknown,
    };
    if call.granted() && field::str(answer, "ConsoleLogin") == Some("Failure") {
        call.outcome = Outcome::Refused(Text::clip("Failure"));
    }
    Ok(sign_in(call, SignInKind::ConsoleLogin))
}

/// `SwitchRole` in the console, from the role's account.
pub(super) fn switch_role(call: Call, record: &Value) -> Result<Event, ReadError> {
    let additional = field::at(record, &["additionalEventData"]);
    let from = field::text(additional, "SwitchFrom");
    Ok(sign_in(call, SignInKind::SwitchRole { from }))
}

/// `GetSessionToken`.
pub(super) fn session_token(call: Call, _: &Value) -> Result<Event, ReadError> {
    Ok(sign_in(call, SignInKind::SessionToken))
}

/// `GetFederationToken`.
pub(super) fn federation_token(call: Call, record: &Value) -> Result<Event, ReadError> {
    let request = field::at(record, &["requestParameters"]);
    let kind = SignInKind::FederationToken {
        scope: federation_scope(request),
        name: field::text(request, "name"),
    };
    Ok(sign_in(call, kind))
}

/// `GetRoleCredentials` of Identity Center: the person's own network shows here.
pub(super) fn role_credentials(call: Call, record: &Value) -> Result<Event, ReadError> {
    let request = field::at(record, &["requestParameters"]);
    let details = field::at(record, &["serviceEventDetails"]);
    let account = field::parsed(request, "accountId")
        .or_else(|| field::parsed(request, "account_id"))
        .or_else(|| field::parsed(details, "account_id"));
    let role_name = field::text(request, "roleName")
        .or_else(|| field::text(request, "role_name"))
        .or_else(|| field::text(details, "role_name"));
    Ok(sign_in(call, SignInKind::RoleCredentials { account, role_name }))
}

fn sign_in(call: Call, kind: SignInKind) -> Event {
    Event::SignIn(SignIn { call, kind })
}

/// What a federation token's session policy, inline or by ARN, allows at most.
fn federation_scope(request: &Value) -> FederationScope {
    let managed = field::at(request, &["policyArns"]);
    let names_administrator = match managed {
        Value::Array(arns) => arns.iter().any(|it| {
            let arn = it.as_str().or_else(|| field::str(it, "arn")).unwrap_or_default();
            arn.ends_with(":aws:policy/AdministratorAccess")
        }),
        _ => false,
    };
    let inline = match request.get("policy") {
        None | Some(Value::Null) => None,
        Some(Value::String(json)) => Some(serde_json::from_str(json).ok()),
        Some(parsed) => Some(Some(parsed.clone())),
    };
    let has_managed = managed.as_array().is_some_and(|arns| !arns.is_empty());
    match inline {
        _ if names_administrator => FederationScope::Everything,
        Some(Some(policy)) if allows_everything(&policy) => FederationScope::Everything,
        Some(Some(_)) => FederationScope::Limited,
        Some(None) => FederationScope::Unreadable,
        None if has_managed => FederationScope::Limited,
        None => FederationScope::Nothing,
    }
}

/// Whether one statement allows every action on every resource without a condition.
fn allows_everything(policy: &Value) -> bool {
    let statements = match field::at(policy, &["Statement"]) {
        Value::Array(many) => many.iter().collect(),
        one => vec![one],
    };
    statements.iter().any(|statement| {
        field::str(statement, "Effect") == Some("Allow")
            && names_all(statement.get("Action"), &["*", "*:*"])
            && names_all(statement.get("Resource"), &["*"])
            && field::at(statement, &["Condition"])
                .as_object()
                .is_none_or(serde_json::Map::is_empty)
    })
}

fn names_all(element: Option<&Value>, wildcards: &[&str]) -> bool {
    let is_wildcard = |it: &Value| it.as_str().is_some_and(|text| wildcards.contains(&text));
    match element {
        Some(Value::Array(many)) => many.iter().any(is_wildcard),
        Some(one) => is_wildcard(one),
        None => false,
    }
}
