//! The `table` format: for a person at a terminal.

use anstyle::{AnsiColor, Style};

use super::Alert;
use crate::severity::Severity;
use crate::text::escape_controls;

/// The alert in a few lines: when, how urgent and what, then a line for each finding.
///
/// Colours are always written; whoever prints to something without colour strips them.
#[must_use]
pub fn to_text(alert: &Alert) -> String {
    let style = style(alert.severity);
    let severity = alert.severity.as_str();
    let title = escape_controls(&alert.title);
    let mut text = format!("{}  {style}{severity:<8}{style:#}  {title}\n", alert.time);
    for finding in &alert.findings {
        let summary = escape_controls(&finding.summary);
        text.push_str(&format!("{:22}{:<19} {summary}\n", "", finding.rule));
    }
    if alert.repeats > 0 {
        text.push_str(&format!("{:22}{} more like it since the last message\n", "", alert.repeats));
    }
    text
}

fn style(severity: Severity) -> Style {
    let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    match severity {
        Severity::Low => colour(AnsiColor::Cyan),
        Severity::Medium => colour(AnsiColor::Yellow),
        Severity::High => colour(AnsiColor::Red),
        Severity::Critical => colour(AnsiColor::Red).bold(),
    }
}
