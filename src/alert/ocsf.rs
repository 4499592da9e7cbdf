//! The `ocsf` format: a Detection Finding of the Open Cybersecurity Schema Framework.
//!
//! Of OCSF's attributes those are filled that an alert knows; nothing is made up for the others.
//! What OCSF has no attribute for goes into `unmapped`, in the words of the `native` format, so
//! that a new field of an alert gets there by itself.
//!
//! <https://schema.ocsf.io/1.6.0/classes/detection_finding>

use serde_json::{Value, json};

use super::{Alert, FindingView, PrincipalView, RoleView, mitre};
use crate::cloudtrail;
use crate::event::PrincipalKind;
use crate::id::Address;
use crate::rules;
use crate::severity::Severity;
use crate::text::{Text, escape_json_line};

/// The version of the schema that every finding is valid against.
pub const VERSION: &str = "1.6.0";

/// The name of rolewatch, its maker included.
const PRODUCT: &str = "rolewatch";

const CATEGORY: u32 = 2;
const CLASS: u32 = 2004;

/// Fields of the `native` format that have their place in OCSF.
const MAPPED: &[&str] = &[
    "id",
    "revision",
    "time",
    "severity",
    "title",
    "role",
    "principal",
    "findings",
    "event",
    "repeats",
];

/// The alert as a Detection Finding in one line of JSON, in which no log text can disturb a
/// terminal.
#[must_use]
pub fn to_line(alert: &Alert) -> String {
    escape_json_line(&finding(alert).to_string())
}

fn finding(alert: &Alert) -> Value {
    // A finding that grew is an update of the one that was sent.
    let (activity, activity_name) = if alert.revision > 1 { (2, "Update") } else { (1, "Create") };
    let (severity_id, severity) = severity(alert.severity);
    object([
        ("activity_id", json!(activity)),
        ("activity_name", json!(activity_name)),
        ("category_uid", json!(CATEGORY)),
        ("category_name", json!("Findings")),
        ("class_uid", json!(CLASS)),
        ("class_name", json!("Detection Finding")),
        ("type_uid", json!(CLASS * 100 + activity)),
        ("type_name", json!(format!("Detection Finding: {activity_name}"))),
        ("time", json!(alert.time.as_millisecond())),
        ("severity_id", json!(severity_id)),
        ("severity", json!(severity)),
        ("status_id", json!(1)),
        ("status", json!("New")),
        ("is_alert", json!(true)),
        ("message", json!(alert.title)),
        ("metadata", metadata(alert)),
        ("cloud", cloud(alert)),
        ("finding_info", finding_info(alert)),
        ("evidences", evidences(alert)),
        ("resources", alert.role.as_ref().map(|role| json!([resource(role)])).into()),
        ("observables", observables(alert)),
        ("remediation", remediation(alert)),
        ("unmapped", unmapped(alert)),
    ])
}

pub(super) fn severity(severity: Severity) -> (u32, &'static str) {
    match severity {
        Severity::Low => (2, "Low"),
        Severity::Medium => (3, "Medium"),
        Severity::High => (4, "High"),
        Severity::Critical => (5, "Critical"),
    }
}

fn metadata(alert: &Alert) -> Value {
    // Whoever drops what came before by this id has to see the update of a finding.
    let uid = match alert.revision {
        0 | 1 => alert.id.clone(),
        revision => format!("{}.{revision}", alert.id),
    };
    object([
        ("version", json!(VERSION)),
        ("profiles", json!(["cloud"])),
        ("uid", json!(uid)),
        ("correlation_uid", json!(alert.event.shared_id)),
        ("log_provider", json!("AWS CloudTrail")),
        (
            "product",
            json!({
                "name": PRODUCT,
                "uid": PRODUCT,
                "vendor_name": PRODUCT,
                "version": env!("CARGO_PKG_VERSION"),
            }),
        ),
    ])
}

fn cloud(alert: &Alert) -> Value {
    object([
        ("provider", json!("AWS")),
        ("account", account(alert.event.account.as_deref())),
        ("region", json!(alert.event.region)),
        ("cloud_partition", alert.role.as_ref().and_then(partition).into()),
    ])
}

fn finding_info(alert: &Alert) -> Value {
    let summaries: Vec<&str> = alert.findings.iter().map(|it| it.summary.as_str()).collect();
    let rules: Vec<&str> = alert.findings.iter().map(|it| &*it.rule).collect();
    let analytics: Vec<Value> = rules.iter().map(|rule| analytic(rule)).collect();
    let time = alert.time.as_millisecond();
    // Of the repeats that were counted their ids are kept, not their times.
    let first_seen = (alert.repeats == 0).then_some(time);
    let repeats = alert.event.ids.iter().map(|id| json!({ "uid": id })).collect::<Value>();
    object([
        ("uid", json!(alert.id)),
        ("title", json!(alert.title)),
        ("desc", json!(summaries.join("; "))),
        ("types", json!(rules)),
        ("first_seen_time", first_seen.into()),
        ("last_seen_time", json!(time)),
        ("analytic", analytics.first().cloned().into()),
        ("related_analytics", analytics.iter().skip(1).cloned().collect()),
        ("attacks", attacks(alert)),
        ("data_sources", json!(["AWS CloudTrail"])),
        ("related_events", repeats),
        ("related_events_count", (alert.repeats > 0).then_some(alert.repeats).into()),
    ])
}

fn analytic(rule: &str) -> Value {
    object([
        ("type_id", json!(1)),
        ("type", json!("Rule")),
        ("uid", json!(rule)),
        ("name", rules::by_id(rule).map(|rule| rule.title).into()),
    ])
}

/// The techniques of all findings, each once. Their tactics are left out: a technique serves
/// several, and which of them is meant no rule can tell.
fn attacks(alert: &Alert) -> Value {
    let mut ids: Vec<&str> = alert.findings.iter().flat_map(|it| it.mitre).copied().collect();
    ids.sort_unstable();
    ids.dedup();
    let named = |id: &str| object([("uid", json!(id)), ("name", mitre::name(id).into())]);
    let attack = |id: &str| match mitre::technique_of(id) {
        Some(technique) => json!({ "technique": named(technique), "sub_technique": named(id) }),
        None => json!({ "technique": named(id) }),
    };
    ids.into_iter().map(attack).collect()
}

/// The call, and then what each rule found in it.
fn evidences(alert: &Alert) -> Value {
    std::iter::once(call(alert)).chain(alert.findings.iter().map(found)).collect()
}

fn call(alert: &Alert) -> Value {
    let is_mfa = match alert.mfa {
        "present" => Some(true),
        "absent" => Some(false),
        _ => None,
    };
    let service = cloudtrail::source_of(alert.event.name);
    object([
        ("uid", json!(alert.event.id)),
        (
            "actor",
            object([
                ("user", user(&alert.principal)),
                ("session", object([("is_mfa", is_mfa.into())])),
            ]),
        ),
        (
            "api",
            object([
                ("operation", json!(alert.event.name)),
                ("service", object([("name", service.into())])),
                ("response", object([("error", json!(alert.outcome.error))])),
            ]),
        ),
        ("src_endpoint", source(alert)),
        ("http_request", object([("user_agent", json!(alert.source.user_agent))])),
    ])
}

fn found(finding: &FindingView) -> Value {
    json!({
        "name": finding.rule,
        "data": {
            "severity": finding.severity,
            "summary": finding.summary,
            "evidence": finding.evidence,
        },
    })
}

fn user(principal: &PrincipalView) -> Value {
    let arn = principal.arn.as_ref().map(Text::as_str);
    let id = principal.id.as_deref();
    let known = object([
        ("name", json!(principal.name)),
        ("uid", arn.or(id).into()),
        ("uid_alt", arn.and(id).into()),
        ("account", account(principal.account.as_deref())),
    ]);
    let Value::Object(mut user) = known else { return known };
    let (type_id, kind) = user_type(principal.kind);
    user.insert("type_id".to_owned(), json!(type_id));
    user.insert("type".to_owned(), kind);
    Value::Object(user)
}

/// OCSF has a word for some kinds of principals; the others keep ours.
fn user_type(kind: PrincipalKind) -> (u32, Value) {
    match kind {
        PrincipalKind::Unknown => (0, json!("Unknown")),
        PrincipalKind::IamUser => (1, json!("User")),
        PrincipalKind::Root => (2, json!("Admin")),
        PrincipalKind::Service => (4, json!("Service")),
        other => (99, json!(other)),
    }
}

fn source(alert: &Alert) -> Value {
    match Address::read(&alert.source.address) {
        Address::Ip(ip) => json!({ "ip": ip }),
        Address::Service(name) => json!({ "svc_name": name }),
        Address::Text(_) => Value::Null,
    }
}

fn account(uid: Option<&str>) -> Value {
    uid.map(|uid| json!({ "uid": uid, "type_id": 10, "type": "AWS Account" })).into()
}

fn resource(role: &RoleView) -> Value {
    object([
        ("uid", json!(role.arn)),
        ("uid_alt", json!(role.id)),
        ("name", json!(role.name)),
        ("type", json!("AWS::IAM::Role")),
        ("role_id", json!(1)),
        ("role", json!("Target")),
        ("owner", object([("account", account(role.account.as_deref()))])),
        ("cloud_partition", partition(role).into()),
    ])
}

fn partition(role: &RoleView) -> Option<&str> {
    role.arn.as_ref()?.split(':').nth(1)
}

/// What an analyst searches other logs for, and where in the finding it stands.
fn observables(alert: &Alert) -> Value {
    let ip = match Address::read(&alert.source.address) {
        Address::Ip(ip) => Some(ip.to_string()),
        Address::Service(_) | Address::Text(_) => None,
    };
    let user = alert.principal.arn.as_ref().map(|arn| arn.as_str().to_owned());
    let role = alert.role.as_ref().and_then(|role| role.arn.clone());
    let key = alert.session.as_ref().and_then(|session| session.access_key_id.clone());
    [
        (2, "IP Address", "evidences[0].src_endpoint.ip", ip),
        (31, "User Object: uid", "evidences[0].actor.user.uid", user),
        (10, "Resource UID", "resources[0].uid", role),
        (19, "User Credential ID", "unmapped.session.access_key_id", key),
    ]
    .into_iter()
    .filter_map(|(type_id, kind, name, value)| {
        Some(json!({ "type_id": type_id, "type": kind, "name": name, "value": value? }))
    })
    .collect()
}

fn remediation(alert: &Alert) -> Value {
    let rule = alert.findings.first().and_then(|finding| rules::by_id(&finding.rule));
    object([("desc", rule.map(|rule| rule.first).into())])
}

fn unmapped(alert: &Alert) -> Value {
    let mut native = serde_json::to_value(alert).unwrap_or_default();
    if let Value::Object(fields) = &mut native {
        fields.retain(|name, _| !MAPPED.contains(&name.as_str()));
    }
    native
}

/// An object of the fields that are there: OCSF knows no nulls and wants nothing that is empty.
/// `Null` where none is.
fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let absent = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    };
    let present = fields.into_iter().filter(|(_, value)| !absent(value));
    let object: serde_json::Map<String, Value> =
        present.map(|(name, value)| (name.to_owned(), value)).collect();
    if object.is_empty() { Value::Null } else { Value::Object(object) }
}
