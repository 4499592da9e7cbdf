//! An alert in the plainest words, for when a bug of rolewatch keeps a format from finding its
//! own. Nothing in them is taken from a log but what rolewatch has made itself: the id, the time,
//! the severity and the rules, so that what broke the format cannot break these.

use serde_json::{Value, json};

use super::{Alert, SCHEMA};

/// The subject.
#[must_use]
pub fn subject(alert: &Alert) -> String {
    format!("[{}] an alert that rolewatch could not put into words", alert.severity.as_str())
}

fn words(alert: &Alert) -> String {
    format!(
        "rolewatch raised alert {} of severity {} about a call at {}, and failed to put it into \
         words. The call broke: {}. Search CloudTrail at that time, and report this bug, please.",
        alert.id,
        alert.severity.as_str(),
        alert.time,
        rules(alert).join(", ")
    )
}

fn rules(alert: &Alert) -> Vec<&str> {
    alert.findings.iter().map(|finding| &*finding.rule).collect()
}

/// For the `native` format.
#[must_use]
pub fn native(alert: &Alert) -> String {
    let found = |finding: &super::FindingView| json!({ "rule": finding.rule, "severity": finding.severity.as_str() });
    json!({
        "schema": SCHEMA,
        "id": alert.id,
        "revision": alert.revision,
        "time": alert.time.to_string(),
        "severity": alert.severity.as_str(),
        "title": words(alert),
        "findings": alert.findings.iter().map(found).collect::<Value>(),
    })
    .to_string()
}

/// For the `text` format.
#[must_use]
pub fn text(alert: &Alert) -> String {
    words(alert)
}

/// For the `chat` format.
#[must_use]
pub fn chat(alert: &Alert) -> String {
    json!({
        "version": "1.0",
        "source": "custom",
        "id": alert.id,
        "content": {
            "textType": "client-markdown",
            "title": subject(alert),
            "description": words(alert),
        },
    })
    .to_string()
}

/// For the `ocsf` format: what the class requires.
#[must_use]
pub fn ocsf(alert: &Alert) -> String {
    let (severity_id, severity) = super::ocsf::severity(alert.severity);
    json!({
        "activity_id": 1,
        "category_uid": 2,
        "class_uid": 2004,
        "type_uid": 200_401,
        "time": alert.time.as_millisecond(),
        "severity_id": severity_id,
        "severity": severity,
        "message": words(alert),
        "metadata": {
            "version": super::ocsf::VERSION,
            "product": { "name": "rolewatch", "vendor_name": "rolewatch" },
        },
        "finding_info": { "uid": alert.id, "title": subject(alert), "types": rules(alert) },
    })
    .to_string()
}
