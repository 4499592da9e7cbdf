//! An alert: everything found about one call, in the form that the contract promises.

mod chain;
pub mod chat;
mod mitre;
mod native;
pub mod ocsf;
pub mod plain;
pub mod shorten;
pub mod table;
pub mod text;

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::event::{Event, Outcome, PrincipalKind, Target};
use crate::finding::{Finding, worst};
use crate::id::{EventId, RoleArn};
use crate::rules;
use crate::severity::Severity;
use crate::text::{Text, inline};

pub use chain::{ChainView, LinkView};
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
    /// How unlike the role's baseline the call is, in bits; absent where none was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub surprise: Option<f64>,
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
    /// Where the call came from, for a call for a role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chain: Option<ChainView>,
    /// The record it is about.
    pub event: EventView,
    /// Similar alerts counted since the last message.
    pub repeats: u64,
}

/// A role.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RoleView {
    /// Its ARN, with the path. `UpdateAssumeRolePolicy` tells only the name: there it is absent
    /// until another record of the role has told it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
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

impl PrincipalView {
    /// The principal in full, by whatever is known of it.
    fn identity(&self) -> Option<String> {
        match (&self.arn, &self.id, &self.account) {
            (Some(arn), ..) => Some(arn.as_str().to_owned()),
            (None, Some(id), Some(account)) => Some(format!("{id} of {account}")),
            (None, Some(id), None) => Some(id.clone()),
            (None, None, Some(account)) => Some(format!("account {account}")),
            (None, None, None) => None,
        }
    }
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
    pub rule: Cow<'static, str>,
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

/// Which message about a call an alert is, and what was counted before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// 1 for the first message about the call.
    pub revision: u32,
    /// Similar alerts counted since the last message.
    pub repeats: u64,
    /// Their event ids, up to 20.
    pub event_ids: Vec<EventId>,
    /// Whether it came so often that it is normal from now on, and this is the last message.
    pub becomes_normal: bool,
}

impl Message {
    /// The first message about a call of whose kind there was none before.
    #[must_use]
    pub fn first() -> Self {
        Self { revision: 1, repeats: 0, event_ids: Vec::new(), becomes_normal: false }
    }
}

/// Whether the findings on a refusal are about the caller, whichever role was tried last.
#[must_use]
pub fn is_about_caller(event: &Event, findings: &[Finding]) -> bool {
    !event.call().granted()
        && findings.first().is_some_and(|finding| finding.rule == "role_enumeration")
}

impl Alert {
    /// The alert about `event`, or `None` without findings.
    #[must_use]
    pub fn new(
        event: &Event,
        findings: Vec<Finding>,
        surprise: Option<f64>,
        message: Message,
    ) -> Option<Self> {
        let severity = worst(&findings)?;
        let about_caller = is_about_caller(event, &findings);
        let call = event.call();
        let error = match &call.outcome {
            Outcome::Granted => None,
            Outcome::Refused(code) => Some(code.clone()),
        };
        Some(Self {
            schema: SCHEMA,
            id: call.alert_id(),
            revision: message.revision,
            time: call.time,
            severity,
            surprise: surprise.map(|bits| (bits * 10.0).round().max(0.0) / 10.0),
            title: title(event, &findings, message.becomes_normal),
            role: role_view(event).filter(|_| !about_caller),
            principal: principal_view(event),
            session: session_view(event).filter(|_| !about_caller),
            source: SourceView {
                address: call.address.to_text(),
                network: call.address.network().as_str().to_owned(),
                user_agent: call.user_agent.clone(),
            },
            outcome: OutcomeView { granted: call.granted(), error },
            mfa: call.mfa.as_str(),
            findings: findings.into_iter().map(finding_view).collect(),
            chain: None,
            event: EventView {
                id: call.event_id().cloned(),
                shared_id: call.shared_id.clone(),
                name: call.name,
                region: call.region.clone(),
                account: call.account.map(|it| it.to_string()),
                ids: message.event_ids,
            },
            repeats: message.repeats,
        })
    }
}

impl Alert {
    /// Fills in the ARN of the role, where the record itself told only the name.
    pub fn name_role(&mut self, arn: &RoleArn) {
        if let Some(role) = &mut self.role {
            role.arn.get_or_insert_with(|| arn.to_string());
        }
    }
}

/// `OrgAdmin assumed by alice without MFA`, or what was called where there is no role.
fn title(event: &Event, findings: &[Finding], becomes_normal: bool) -> String {
    let who = match event {
        Event::Assumption(it) => it.who(),
        Event::TrustChange(_) | Event::SignIn(_) => event.call().principal.display(),
    };
    let what = match event {
        Event::Assumption(it) => match &it.target {
            Target::Role { .. } if is_about_caller(event, findings) => {
                format!("{} by {who}", it.call.name)
            }
            Target::Role { arn, .. } => {
                let verb = if it.call.granted() { "assumed" } else { "refused" };
                format!("{} {verb} by {who}", inline(arn.name()))
            }
            Target::Root { .. } | Target::Unknown => format!("{} by {who}", it.call.name),
        },
        Event::TrustChange(it) => {
            format!("{} of {} by {who}", it.call.name, it.display_role())
        }
        Event::SignIn(it) => format!("{} by {who}", it.call.name),
    };
    let mut phrases: Vec<&str> = findings.iter().map(|finding| &*finding.phrase).collect();
    phrases.retain(|phrase| !phrase.is_empty());
    let end = if becomes_normal { " (again, and taken as normal from now on)" } else { "" };
    format!("{what} {}", phrases.join(", ")).trim_end().to_owned() + end
}

fn role_view(event: &Event) -> Option<RoleView> {
    match event {
        Event::Assumption(it) => match &it.target {
            Target::Role { arn, id } => Some(RoleView {
                arn: Some(arn.to_string()),
                account: Some(arn.account().to_string()),
                name: arn.name().to_owned(),
                id: id.as_ref().map(ToString::to_string),
            }),
            Target::Root { .. } | Target::Unknown => None,
        },
        // Of a damaged record, which names no role, nothing is said.
        Event::TrustChange(it) if it.role_name.as_str().is_empty() => None,
        Event::TrustChange(it) => Some(RoleView {
            arn: it.role.as_ref().map(ToString::to_string),
            account: it.call.account.map(|it| it.to_string()),
            name: it.role_name.as_str().to_owned(),
            id: it.role_id.as_ref().map(ToString::to_string),
        }),
        Event::SignIn(_) => None,
    }
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
        severity: finding.severity,
        summary: finding.summary,
        evidence: finding.evidence,
        mitre: rules::by_id(&finding.rule).map_or(&[], |rule| rule.mitre),
        rule: finding.rule,
    }
}

#[cfg(test)]
mod tests;
