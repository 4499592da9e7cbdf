//! The three calls that change who may assume a role.

use super::{ReadError, field};
use crate::event::{Call, Event, PolicyDocument, TrustChange, TrustChangeKind};
use crate::id::RoleArn;
use crate::json::Json;

/// `CreateRole`: the answer holds the ARN, the request the policy in plain JSON.
pub(super) fn created(call: Call, record: Json<'_>) -> Result<Event, ReadError> {
    let role = field::at(record, &["responseElements", "role"]);
    let arn = field::parsed(role, "arn");
    let policy = policy(record, "assumeRolePolicyDocument");
    Ok(trust_change(call, record, TrustChangeKind::Created, arn, policy))
}

/// `UpdateAssumeRolePolicy`: only the new document, and a name without a path.
pub(super) fn updated(call: Call, record: Json<'_>) -> Result<Event, ReadError> {
    let policy = policy(record, "policyDocument");
    Ok(trust_change(call, record, TrustChangeKind::Updated, None, policy))
}

/// `DeleteRole`.
pub(super) fn deleted(call: Call, record: Json<'_>) -> Result<Event, ReadError> {
    Ok(trust_change(call, record, TrustChangeKind::Deleted, None, None))
}

fn trust_change(
    call: Call,
    record: Json<'_>,
    kind: TrustChangeKind,
    role: Option<RoleArn>,
    policy: Option<PolicyDocument>,
) -> Event {
    let request = field::at(record, &["requestParameters"]);
    let role_name = field::text(request, "roleName").unwrap_or_default();
    Event::TrustChange(TrustChange { call, kind, role_name, role, policy })
}

/// The document is a JSON string; a tool that parsed it has left the JSON itself.
fn policy(record: Json<'_>, name: &str) -> Option<PolicyDocument> {
    let policy = field::at(record, &["requestParameters", name]);
    match policy.as_str() {
        _ if policy.is_null() => None,
        Some(json) => Some(PolicyDocument::new(&json)),
        None => Some(PolicyDocument::new(&policy.to_value().to_string())),
    }
}
