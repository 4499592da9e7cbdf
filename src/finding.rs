//! What a rule found.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::severity::Severity;

/// What one rule found about one call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's id.
    pub rule: Cow<'static, str>,
    /// How urgent it is.
    pub severity: Severity,
    /// A few words that complete the title `Role assumed by somebody …`.
    pub phrase: Cow<'static, str>,
    /// One sentence for a person: who did what, and why that is unusual.
    pub summary: String,
    /// The facts the finding rests on.
    pub evidence: Map<String, Value>,
    /// Whether it is provable, or unusual only.
    pub ground: Ground,
}

/// What a finding rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ground {
    /// A provable fact or a declared expectation: it stays a finding however often it comes.
    Fact,
    /// A habit that it breaks: it becomes normal once it came often and long enough.
    Habit,
}

/// The highest severity among findings.
#[must_use]
pub fn worst(findings: &[Finding]) -> Option<Severity> {
    findings.iter().map(|finding| finding.severity).max()
}
