//! The `native` format: one JSON object a line.

use super::Alert;
use crate::text::escape_json_line;

/// The alert as one line of JSON, in which no log text can disturb a terminal.
#[must_use]
pub fn to_line(alert: &Alert) -> String {
    // Every part of an alert has string keys, so there is no value that JSON cannot hold.
    let json = serde_json::to_string(alert).unwrap_or_default();
    escape_json_line(&json)
}
