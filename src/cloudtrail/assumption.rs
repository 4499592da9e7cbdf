//! The four calls that ask for a role's credentials.

use std::sync::Arc;

use super::{ReadError, field, time};
use crate::event::{Assumption, Call, Event, ExternalIdUse, Made, Session, Target};
use crate::id::{AccountId, ExternalId, RoleArn};
use crate::json::{Json, Kind};

/// `AssumeRole`.
pub(super) fn assume_role(call: Call, record: Json<'_>) -> Result<Event, ReadError> {
    let external_id = external_id(field::at(record, ["requestParameters"]));
    of_role(call, record, external_id)
}

/// `AssumeRoleWithSAML` and `AssumeRoleWithWebIdentity`, which have no place for an ExternalId.
pub(super) fn with_identity_provider(call: Call, record: Json<'_>) -> Result<Event, ReadError> {
    of_role(call, record, ExternalIdUse::Unknown)
}

/// `AssumeRoot`, which names an account and the task that root's session is limited to.
pub(super) fn assume_root(call: Call, record: Json<'_>) -> Result<Event, ReadError> {
    let request = field::at(record, ["requestParameters"]);
    let principal = field::str(request, "targetPrincipal");
    let task = field::at(request, ["taskPolicyArn"]);
    let target = Target::Root {
        account: principal.as_deref().and_then(account_of_root),
        task_policy: field::text(task, "arn").or_else(|| field::text(request, "taskPolicyArn")),
    };
    let session = session(record);
    let (external_id, made) = (ExternalIdUse::Unknown, Made::default());
    Ok(Event::Assumption(Arc::new(Assumption { call, target, session, external_id, made })))
}

fn of_role(call: Call, record: Json<'_>, external_id: ExternalIdUse) -> Result<Event, ReadError> {
    let target = match role_arn(record) {
        Some(arn) => Target::Role { arn, id: assumed_role_id(record) },
        None if call.granted() => return Err(ReadError::NoRole(call.name)),
        None => Target::Unknown,
    };
    let session = session(record);
    let made = Made::default();
    Ok(Event::Assumption(Arc::new(Assumption { call, target, session, external_id, made })))
}

fn account_of_root(principal: &str) -> Option<AccountId> {
    principal
        .parse()
        .ok()
        .or_else(|| principal.strip_suffix(":root")?.rsplit(':').next()?.parse().ok())
}

/// The role's ARN: from the request, else from the resources, else from the text of the denial.
fn role_arn(record: Json<'_>) -> Option<RoleArn> {
    field::parsed(field::at(record, ["requestParameters"]), "roleArn")
        .or_else(|| role_of_resources(record))
        .or_else(|| role_of_denial(&field::str(record, "errorMessage")?))
}

/// `resources` may hold an identity provider beside the role.
fn role_of_resources(record: Json<'_>) -> Option<RoleArn> {
    let mut resources = record.get("resources").elements();
    let role = resources.find(|it| field::str(*it, "type").as_deref() == Some("AWS::IAM::Role"))?;
    field::parsed(role, "ARN").or_else(|| field::parsed(role, "arn"))
}

/// `User: … is not authorized to perform: sts:AssumeRole on resource: <role arn> [reason]`.
/// Nothing tells where a text was cut that ends in an ellipsis, so its ARN is not believed.
fn role_of_denial(message: &str) -> Option<RoleArn> {
    let (_, rest) = message.split_once("on resource: ")?;
    let end = rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len());
    let arn = rest.get(..end)?;
    if end == rest.len() && (arn.ends_with("...") || arn.ends_with('…')) {
        return None;
    }
    arn.trim_end_matches([',', '.', ';']).parse().ok()
}

fn assumed_role_id(record: Json<'_>) -> Option<crate::id::UniqueId> {
    let user = field::at(record, ["responseElements", "assumedRoleUser"]);
    field::cut(&field::str(user, "assumedRoleId")?).0.parse().ok()
}

/// No request parameters are no knowledge; parameters without an ExternalId are knowledge.
fn external_id(request: Json<'_>) -> ExternalIdUse {
    if request.kind() != Kind::Object {
        return ExternalIdUse::Unknown;
    }
    let given = request.get("externalId");
    match given.as_str() {
        _ if given.is_null() => ExternalIdUse::Absent,
        Some(clear) => ExternalIdUse::Given(ExternalId::hash(&clear)),
        None => ExternalIdUse::Given(ExternalId::hash(&given.to_value().to_string())),
    }
}

fn session(record: Json<'_>) -> Session {
    let request = field::at(record, ["requestParameters"]);
    let credentials = field::at(record, ["responseElements", "credentials"]);
    Session {
        name: field::text(request, "roleSessionName"),
        access_key_id: field::parsed(credentials, "accessKeyId"),
        expires: field::str(credentials, "expiration").and_then(|it| time::expiration(&it)),
        source_identity: field::text(request, "sourceIdentity"),
    }
}
