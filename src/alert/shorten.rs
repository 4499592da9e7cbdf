//! Alerts that are too large for where they go.

use serde_json::Value;

use super::Alert;

/// The alert so that what `size` makes of it is at most `limit`. The largest pieces of evidence
/// give way first, each to a note of how large it was; findings stay, every one.
#[must_use]
pub fn shorten(alert: &Alert, limit: usize, size: impl Fn(&Alert) -> usize) -> Alert {
    let mut short = alert.clone();
    let mut pieces: Vec<(usize, usize, String)> = alert
        .findings
        .iter()
        .enumerate()
        .flat_map(|(at, finding)| {
            let entries = finding.evidence.iter();
            entries.map(move |(key, value)| (value.to_string().len(), at, key.clone()))
        })
        .collect();
    pieces.sort_by(|a, b| b.cmp(a));
    for (bytes, at, key) in pieces {
        if size(&short) <= limit {
            break;
        }
        if let Some(finding) = short.findings.get_mut(at) {
            let note = format!("left out: {bytes} bytes do not fit into a message");
            finding.evidence.insert(key, Value::String(note));
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::alert::to_line;

    #[test]
    fn large_evidence_gives_way_and_findings_stay() {
        let mut alert = crate::alert::tests::alert(&json!({}));
        alert.findings[0].evidence.insert("policy".into(), json!(["x".repeat(300_000)]));
        alert.findings.push(alert.findings[0].clone());
        let size = |alert: &Alert| to_line(alert).len();
        let short = shorten(&alert, 256 * 1024, size);
        assert!(size(&short) <= 256 * 1024);
        assert_eq!(short.findings.len(), 2);
        assert_eq!(short.findings[0].evidence["mfa"], "absent");
        let policies = [0, 1].map(|at| short.findings[at].evidence["policy"].to_string());
        assert!(policies.iter().all(|it| it.contains("left out: 300004 bytes")), "{policies:?}");
        assert_eq!(shorten(&short, 256 * 1024, size), short, "what fits stays as it is");
    }
}
