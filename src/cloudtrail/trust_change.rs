//! The three calls that change who may assume a role.

use std::sync::Arc;

use super::{ReadError, field};
use crate::event::{Call, Event, PolicyDocument, TrustChange, TrustChangeKind};
use crate::json::Json;

/// `CreateRole`: the answer holds the ARN, the request the policy in plain JSON.
pub(super) fn created(call: Call, record: Json<'_>) -> Result<Event, ReadError> {
    let role = field::at(record, ["responseElements", "role"]);
    let arn = field::parsed(role, "arn");
    let role_id = field::parsed(role, "roleId");
    // The answer repeats the policy, URL-encoded.
    let answered = || document(field::at(role, ["assumeRolePolicyDocument"]));
    let policy = policy(record, "assumeRolePolicyDocument").or_else(answered);
    let event = trust_change(call, record, TrustChangeKind::Created, policy);
    Ok(Event::TrustChange(Arc::new(TrustChange { role: arn, role_id, ..event })))
}

/// `UpdateAssumeRolePolicy`: only the new document, and a name without a path.
pub(super) fn updated(call: Call, record: Json<'_>) -> Result<Event, ReadError> {
    let policy = policy(record, "policyDocument");
    Ok(Event::TrustChange(Arc::new(trust_change(call, record, TrustChangeKind::Updated, policy))))
}

/// `DeleteRole`.
pub(super) fn deleted(call: Call, record: Json<'_>) -> Result<Event, ReadError> {
    Ok(Event::TrustChange(Arc::new(trust_change(call, record, TrustChangeKind::Deleted, None))))
}

fn trust_change(
    call: Call,
    record: Json<'_>,
    kind: TrustChangeKind,
    policy: Option<PolicyDocument>,
) -> TrustChange {
    let request = field::at(record, ["requestParameters"]);
    let role_name = field::text(request, "roleName").unwrap_or_default();
    TrustChange { call, kind, role_name, role: None, role_id: None, policy }
}

fn policy(record: Json<'_>, name: &str) -> Option<PolicyDocument> {
    document(field::at(record, ["requestParameters", name]))
}

/// The document is a JSON string; a tool that parsed it has left the JSON itself.
fn document(policy: Json<'_>) -> Option<PolicyDocument> {
    match policy.as_str() {
        _ if policy.is_null() => None,
        Some(json) => Some(PolicyDocument::new(&json)),
        None => Some(PolicyDocument::new(&policy.to_value().to_string())),
    }
}
