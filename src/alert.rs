//! An alert: everything found about one call, in the form that the contract promises.

mod mitre;
mod native;
pub mod ocsf;
pub mod table;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::event::{Event, Outcome, PrincipalKind, Target};
use crate::id::EventId;
use crate::rules::{self, Finding};
use crate::severity::Severity;
use crate::text::{Text, inline};

pub use native::to_line;

/// The version of the form.
pub const SCHEMA: &str = "rolewatch/alert/1";

/// One alert about one call. Field order is the order of the output.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alert {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// The same for every replay, retry and copy of the call.
    pub id: String,
    /// Grows when a late record adds findings to an alert already sent.
    pub revision: u32,
    /// When the call was made.
    pub time: Timestamp,
    /// The highest severity of the findings.
    pub severity: Severity,
    /// One line: what happened.
    pub title: String,
    /// The role, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleView>,
    /// Who did it.
    pub principal: PrincipalView,
    /// The session that was asked for, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionView>,
    /// Where from.
    pub source: SourceView,
    /// How it ended.
    pub outcome: OutcomeView,
    /// What is known of MFA.
    pub mfa: &'static str,
    /// What is wrong, most urgent first.
    pub findings: Vec<FindingView>,
    /// The record it is about.
    pub event: EventView,
    /// Similar alerts counted since the last message.
    pub repeats: u64,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RoleView {
    /// Its ARN, with the path.
    pub arn: String,
    /// Its account.
    pub account: Option<String>,
    /// Its name.
    pub name: String,
    /// Its unique id, where the record told it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// A principal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PrincipalView {
    /// What kind of identity.
    pub kind: PrincipalKind,
    /// Its ARN.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<Text>,
    /// Its account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Its unique id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
}

/// A session that was asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SessionView {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text>,
    /// The issued key's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key_id: Option<String>,
    /// When the credentials end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    /// The source identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_identity: Option<Text>,
    /// The first digits of the ExternalId's SHA-256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
}

/// Where a call came from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SourceView {
    /// The address as the log wrote it.
    pub address: String,
    /// Its network.
    pub network: String,
    /// What the caller's software says of itself.
    pub user_agent: Text,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OutcomeView {
    /// Whether it did what was asked.
    pub granted: bool,
    /// CloudTrail's error code, if not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Text>,
}

/// What one rule found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FindingView {
    /// The rule's id.
    pub rule: &'static str,
    /// How urgent it is.
    pub severity: Severity,
    /// One sentence.
    pub summary: String,
    /// What it rests on.
    pub evidence: Map<String, Value>,
    /// MITRE ATT&CK techniques.
    pub mitre: &'static [&'static str],
}

/// The record an alert is about.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventView {
    /// Its event id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<EventId>,
    /// The id it shares with its copies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_id: Option<EventId>,
    /// The API's name.
    pub name: &'static str,
    /// The region.
    pub region: Text,
    /// The account whose trail it is from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Event ids of the repeats counted since the last message, up to 20.
    pub ids: Vec<EventId>,
}

impl Alert {
    /// The alert about `event`, or `None` without findings.
    #[must_use]
    pub fn new(
        event: &Event,
        findings: Vec<Finding>,
        repeats: u64,
        ids: Vec<EventId>,
    ) -> Option<Self> {
        let severity = findings.iter().map(|finding| finding.severity).max()?;
        let call = event.call();
        let error = match &call.outcome {
            Outcome::Granted => None,
            Outcome::Refused(code) => Some(code.clone()),
        };
        Some(Self {
            schema: SCHEMA,
            id: call.alert_id(),
            revision: 1,
            time: call.time,
            severity,
            title: title(event, &findings),
            role: role_view(event),
            principal: principal_view(event),
            session: session_view(event),
            source: SourceView {
                address: call.address.to_text(),
                network: call.address.network().as_str().to_owned(),
                user_agent: call.user_agent.clone(),
            },
            outcome: OutcomeView { granted: call.granted(), error },
            mfa: call.mfa.as_str(),
            findings: findings.into_iter().map(finding_view).collect(),
            event: EventView {
                id: call.event_id().cloned(),
                shared_id: call.shared_id.clone(),
                name: call.name,
                region: call.region.clone(),
                account: call.account.map(|it| it.to_string()),
                ids,
            },
            repeats,
        })
    }
}

/// `OrgAdmin assumed by alice without MFA`, or what was called where there is no role.
fn title(event: &Event, findings: &[Finding]) -> String {
    let who = event.call().principal.display();
    let what = match event {
        Event::Assumption(it) => match &it.target {
            Target::Role { arn, .. } => {
                let verb = if it.call.granted() { "assumed" } else { "refused" };
                format!("{} {verb} by {who}", inline(arn.name()))
            }
            Target::Root { .. } | Target::Unknown => format!("{} by {who}", it.call.name),
        },
        Event::TrustChange(it) => {
            format!("{} of {} by {who}", it.call.name, inline(it.role_name.as_str()))
        }
        Event::SignIn(it) => format!("{} by {who}", it.call.name),
    };
    let mut phrases: Vec<&str> = findings.iter().map(|finding| finding.phrase).collect();
    phrases.retain(|phrase| !phrase.is_empty());
    format!("{what} {}", phrases.join(", ")).trim_end().to_owned()
}

fn role_view(event: &Event) -> Option<RoleView> {
    let Event::Assumption(it) = event else { return None };
    let Target::Role { arn, id } = &it.target else { return None };
    Some(RoleView {
        arn: arn.to_string(),
        account: arn.account().map(|it| it.to_string()),
        name: arn.name().to_owned(),
        id: id.as_ref().map(ToString::to_string),
    })
}

fn principal_view(event: &Event) -> PrincipalView {
    let principal = &event.call().principal;
    PrincipalView {
        kind: principal.kind,
        arn: principal.arn.clone(),
        account: principal.account.map(|it| it.to_string()),
        id: principal.id.as_ref().map(ToString::to_string),
        name: principal.name.clone(),
    }
}

fn session_view(event: &Event) -> Option<SessionView> {
    let Event::Assumption(it) = event else { return None };
    it.role()?;
    let external_id = match it.external_id {
        crate::event::ExternalIdUse::Given(id) => Some(id.to_string()),
        _ => None,
    };
    Some(SessionView {
        name: it.session.name.clone(),
        access_key_id: it.session.access_key_id.as_ref().map(ToString::to_string),
        expires: it.session.expires.map(|it| it.to_string()),
        source_identity: it.session.source_identity.clone(),
        external_id,
    })
}

fn finding_view(finding: Finding) -> FindingView {
    FindingView {
        rule: finding.rule,
        severity: finding.severity,
        summary: finding.summary,
        evidence: finding.evidence,
        mitre: rules::by_id(finding.rule).map_or(&[], |rule| rule.mitre),
    }
}

#[cfg(test)]
mod tests;
