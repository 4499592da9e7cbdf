//! What became of every record, in figures that add up.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::Timestamp;

use crate::detect::Judged;
use crate::event::Event;
use crate::severity::Severity;
use crate::text::plural;

/// The count of a run. `records()` is the sum of the fates, so nothing can be left out of it
/// without being left out of the sum; tests hold it to an independent count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Granted and refused calls for a role's, or root's, credentials.
    pub assumptions: u64,
    /// Further copies of a call that was counted.
    pub joined: u64,
    /// Calls that change who may assume a role.
    pub trust_changes: u64,
    /// Sign-ins and calls for a session of the caller's own.
    pub sign_ins: u64,
    /// Records of ours that were read before.
    pub duplicates: u64,
    /// Records that do not concern rolewatch.
    pub other: u64,
    /// Records that could not be decoded or understood.
    pub undecodable: u64,
    /// Alerts sent, by severity.
    pub alerts: BTreeMap<Severity, u64>,
    /// Alerts counted as repeats and not sent.
    pub repeats: u64,
    /// The earliest and the latest event of ours.
    pub span: Option<(Timestamp, Timestamp)>,
}

impl Report {
    /// All records read.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.assumptions
            + self.joined
            + self.trust_changes
            + self.sign_ins
            + self.duplicates
            + self.other
            + self.undecodable
    }

    /// The highest severity of an alert that was sent.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        self.alerts.keys().next_back().copied()
    }

    /// Counts one event that was judged.
    pub fn count(&mut self, event: &Event, judged: &Judged) {
        match event {
            _ if judged.joined => self.joined += 1,
            Event::Assumption(_) => self.assumptions += 1,
            Event::TrustChange(_) => self.trust_changes += 1,
            Event::SignIn(_) => self.sign_ins += 1,
        }
        for alert in judged.alerts() {
            *self.alerts.entry(alert.severity).or_default() += 1;
        }
        self.repeats += judged.repeats();
        self.extend_span(event);
    }

    /// Counts one event that was judged before.
    pub fn count_duplicate(&mut self, event: &Event) {
        self.duplicates += 1;
        self.extend_span(event);
    }

    fn extend_span(&mut self, event: &Event) {
        let time = event.call().time;
        let (first, last) = self.span.unwrap_or((time, time));
        self.span = Some((first.min(time), last.max(time)));
    }

    /// The records by fate, as a sum.
    #[must_use]
    pub fn sum(&self) -> String {
        let parts = [
            plural(self.assumptions, "assumption", "assumptions"),
            plural(self.joined, "joined copy", "joined copies"),
            plural(self.trust_changes, "trust change", "trust changes"),
            plural(self.sign_ins, "sign-in", "sign-ins"),
            plural(self.duplicates, "duplicate", "duplicates"),
            format!("{} other", self.other),
            format!("{} undecodable", self.undecodable),
        ];
        format!("{} = {}", plural(self.records(), "record", "records"), parts.join(" + "))
    }

    /// The alerts by severity, most urgent first.
    #[must_use]
    pub fn alert_line(&self) -> String {
        let total: u64 = self.alerts.values().sum();
        let mut line = plural(total, "alert", "alerts");
        let by_severity: Vec<String> = self
            .alerts
            .iter()
            .rev()
            .map(|(severity, count)| format!("{count} {}", severity.as_str()))
            .collect();
        if !by_severity.is_empty() {
            let _ = write!(line, " ({})", by_severity.join(", "));
        }
        let _ = write!(line, ", {}", plural(self.repeats, "repeat", "repeats"));
        line
    }
}
