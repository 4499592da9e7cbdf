//! The three calls that change who may assume a role.

use serde_json::Value;

use super::{ReadError, field};
use crate::event::{Call, Event, PolicyDocument, TrustChange, TrustChangeKind};
use crate::id::RoleArn;

/// `CreateRole`: the answer holds the ARN, the request the policy in plain JSON.
pub(super) fn created(call: Call, record: &Value) -> Result<Event, ReadError> {
    let role = field::at(record, &["responseElements", "role"]);
    let arn = field::parsed(role, "arn");
    let policy = policy(record, "assumeRolePolicyDocument");
    Ok(trust_change(call, record, TrustChangeKind::Created, arn, policy))
}

/// `UpdateAssumeRolePolicy`: only the new document, and a name without a path.
pub(super) fn updated(call: Call, record: &Value) -> Result<Event, ReadError> {
    let policy = policy(record, "policyDocument");
    Ok(trust_change(call, record, TrustChangeKind::Updated, None, policy))
}

/// `DeleteRole`.
pub(super) fn deleted(call: Call, record: &Value) -> Result<Event, ReadError> {
    Ok(trust_change(call, record, TrustChangeKind::Deleted, None, None))
}

fn trust_change(
    call: Call,
    record: &Value,
    kind: TrustChangeKind,
    role: Option<RoleArn>,
    policy: Option<PolicyDocument>,
) -> Event {
    let request = field::at(record, &["requestParameters"]);
    let role_name = field::text(request, "roleName").unwrap_or_default();
    Event::TrustChange(TrustChange { call, kind, role_name, role, policy })
}

/// The document is a JSON string; a tool that parsed it has left the JSON itself.
fn policy(record: &Value, name: &str) -> Option<PolicyDocument> {
    match field::at(record, &["requestParameters", name]) {
        Value::Null => None,
        Value::String(json) => Some(PolicyDocument::new(json)),
        parsed => Some(PolicyDocument::new(&parsed.to_string())),
    }
}
