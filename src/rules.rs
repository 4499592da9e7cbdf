//! The rules: one a file, and the table of them.
//!
//! A rule looks at one event beside what is normal, and says what is wrong with it or nothing.
//! To add one, write its file and put it into [`RULES`].

mod federation_token;
mod missing_mfa;
mod root_session;

use serde_json::{Map, Value, json};

use crate::baseline::{Caller, RoleBaseline};
use crate::event::Event;
use crate::severity::Severity;

/// Every rule, by id.
pub const RULES: &[Rule] = &[federation_token::RULE, missing_mfa::RULE, root_session::RULE];

/// A rule: what it checks, and what whoever reads its alert has to know.
#[derive(Debug)]
pub struct Rule {
    /// The promised name, in `snake_case`.
    pub id: &'static str,
    /// The rule in a few words.
    pub title: &'static str,
    /// The severities it gives, mildest first.
    pub severities: &'static [Severity],
    /// MITRE ATT&CK techniques.
    pub mitre: &'static [&'static str],
    /// What has to be in the log for it to fire.
    pub sees: &'static str,
    /// Why that matters.
    pub why: &'static str,
    /// When it is harmless.
    pub harmless: &'static str,
    /// What to do first.
    pub first: &'static str,
    /// The check itself.
    pub check: fn(&Case<'_>) -> Option<Finding>,
}

/// What a rule may look at: the event, and what is normal for its role and its caller.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// What happened.
    pub event: &'a Event,
    /// What is normal for the role, if anything is known.
    pub role: Option<&'a RoleBaseline>,
    /// What is normal for the caller, if anything is known.
    pub caller: Option<&'a Caller>,
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The rule's id.
    pub rule: &'static str,
    /// How urgent it is.
    pub severity: Severity,
    /// A few words that complete the title `Role assumed by somebody …`.
    pub phrase: &'static str,
    /// One sentence for a person: who did what, and why that is unusual.
    pub summary: String,
    /// The facts the finding rests on.
    pub evidence: Map<String, Value>,
    /// Whether it is provable, or unusual only.
    pub ground: Ground,
}

/// What a finding rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// A provable fact: it stays a finding however often it comes.
    Fact,
    /// A habit that it breaks: it becomes normal once it came often and long enough.
    Habit,
}

/// An object of evidence from `json!({…})`.
fn evidence(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}

/// The rule with this id.
#[must_use]
pub fn by_id(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}

/// Everything that the rules find in one case, most urgent first.
#[must_use]
pub fn check(case: &Case<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = RULES.iter().filter_map(|rule| (rule.check)(case)).collect();
    findings.sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.rule));
    findings
}

#[cfg(test)]
mod tests;
