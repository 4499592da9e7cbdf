//! Alerts that are too large for where they go.

use serde_json::Value;

use super::Alert;

/// The alert so that what `size` makes of it is at most `limit`. The largest pieces of evidence
/// give way first, each to a note of how large it was; then calls in the middle of its chain,
/// which are counted as omitted. Findings stay, every one.
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
    while size(&short) > limit
        && let Some(chain) = short.chain.as_mut().filter(|chain| chain.links.len() > 2)
    {
        chain.links.remove(1);
        chain.omitted += 1;
    }
    short
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::alert::{ChainView, FindingView, LinkView, chat, ocsf, text, to_line};
    use crate::text::Text;

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

    /// Texts as long and as costly to write as a log can make them, in every place, with what
    /// every rule finds and the longest chain.
    #[test]
    fn the_largest_alert_fits_in_every_format() {
        let hostile = "\u{1}".repeat(100_000);
        let mut alert = crate::alert::tests::alert(&json!({
            "sourceIPAddress": hostile, "userAgent": hostile, "eventID": hostile,
            "sharedEventID": hostile, "awsRegion": hostile, "errorCode": hostile,
            "userIdentity": {"arn": hostile, "userName": hostile, "principalId": hostile},
            "requestParameters": {"roleSessionName": hostile, "sourceIdentity": hostile,
                "externalId": hostile},
        }));
        let finding = alert.findings.remove(0);
        alert.findings = crate::rules::RULES
            .iter()
            .map(|rule| {
                let evidence = (0..3).map(|n| (format!("key{n}"), json!("\u{1}".repeat(9_000))));
                FindingView {
                    rule: rule.id.into(),
                    evidence: evidence.collect(),
                    ..finding.clone()
                }
            })
            .collect();
        let text = Text::clip(&hostile);
        let link = LinkView {
            role: None,
            principal: Some(text.clone()),
            time: None,
            address: Some(text),
            event_id: None,
        };
        let (depth, links) = (40, vec![link; crate::lineage::MOST_LINKS]);
        let compact = "\u{1}".repeat(2_000);
        alert.chain = Some(ChainView { depth, complete: true, omitted: 24, links, compact });
        for format in [to_line, text::to_text, chat::to_json, ocsf::to_line] {
            let size = |alert: &Alert| format(alert).len();
            let short = shorten(&alert, 200 * 1024, size);
            assert!(size(&short) <= 200 * 1024, "{} of {}", size(&short), size(&alert));
            assert_eq!(short.findings.len(), alert.findings.len());
            let chain = short.chain.unwrap();
            assert_eq!(chain.omitted as usize + chain.links.len(), 24 + crate::lineage::MOST_LINKS);
        }
    }
}
