//! The `text` format: an e-mail that a tired person can act on.
//!
//! What happened stands first, in one sentence; then who, what, where and when; what is wrong,
//! when that is harmless and what to do first; and at the end by what to look further.

use textwrap::core::display_width;
use textwrap::{Options, WordSplitter};

use super::{Alert, FindingView};
use crate::rules;
use crate::text::{Text, escape_controls, plural};

/// Columns of an e-mail.
const WIDTH: usize = 76;

/// Longer words are cut, for no mail system has to carry a line of more than 998 bytes. An ARN
/// that AWS would accept is whole, so that it can be copied.
const LONGEST_WORD: usize = 700;

/// Where values stand, behind the longest label.
const VALUE_COLUMN: usize = 14;

/// Characters of a subject: SNS takes fewer than 100.
const SUBJECT: usize = 99;

/// The subject: printable ASCII on one line, shorter than 100 characters.
#[must_use]
pub fn subject(alert: &Alert) -> String {
    let update = if alert.revision > 1 { ", updated" } else { "" };
    let whole = format!("[{}{update}] {}", alert.severity.as_str(), alert.title);
    let ascii: String = escape_controls(&whole)
        .chars()
        .map(|c| if c == ' ' || c.is_ascii_graphic() { c } else { '?' })
        .collect();
    if ascii.len() <= SUBJECT {
        return ascii;
    }
    let head = ascii.get(..SUBJECT - 3).unwrap_or_default();
    format!("{}...", head.trim_end())
}

/// The body.
#[must_use]
pub fn to_text(alert: &Alert) -> String {
    let mut mail = Mail::default();
    mail.paragraph("", "", &format!("{}.", alert.title));
    if alert.revision > 1 {
        let number = alert.revision;
        let words = "This updates an alert that was sent before";
        mail.paragraph("", "", &format!("{words} (it is number {number})."));
    }
    mail.gap();
    mail.facts(&facts(alert));
    mail.heading("What is wrong");
    for (n, finding) in alert.findings.iter().enumerate() {
        if n > 0 {
            mail.gap();
        }
        mail.finding(finding);
    }
    mail.heading("To look further");
    mail.facts(&references(alert));
    if alert.repeats > 0 {
        mail.repeats(alert);
    }
    mail.text
}

/// When, who, what and where.
fn facts(alert: &Alert) -> Vec<(&'static str, Option<String>)> {
    let principal = &alert.principal;
    let kind = serde_json::to_value(principal.kind).unwrap_or_default();
    let kind = kind.as_str().unwrap_or_default().replace('_', " ");
    let who = principal.identity().map_or_else(|| kind.clone(), |it| format!("{it} ({kind})"));
    let role =
        alert.role.as_ref().map(|role| role.arn.clone().unwrap_or_else(|| role.name.clone()));
    let address = Some(alert.source.address.as_str()).filter(|it| !it.is_empty());
    let outcome = match &alert.outcome.error {
        Some(error) => format!("refused ({})", error.as_str()),
        None => "granted".to_owned(),
    };
    vec![
        ("When", Some(alert.time.to_string())),
        ("Severity", Some(alert.severity.as_str().to_owned())),
        ("Call", Some(format!("{}, {outcome}", alert.event.name))),
        ("Role", role),
        ("Who", Some(who)),
        ("MFA", Some(alert.mfa.replace('_', " "))),
        ("From", address.map(str::to_owned)),
        ("Software", some_text(Some(&alert.source.user_agent))),
    ]
}

/// By what to search logs, and what to revoke.
fn references(alert: &Alert) -> Vec<(&'static str, Option<String>)> {
    let (event, session) = (&alert.event, alert.session.as_ref());
    vec![
        ("Event", event.id.as_ref().map(ToString::to_string)),
        ("Copies", event.shared_id.as_ref().map(ToString::to_string)),
        ("Account", event.account.clone()),
        ("Region", some_text(Some(&event.region))),
        ("Session", some_text(session.and_then(|it| it.name.as_ref()))),
        ("Issued key", session.and_then(|it| it.access_key_id.clone())),
        ("Valid until", session.and_then(|it| it.expires.clone())),
        ("Identity", some_text(session.and_then(|it| it.source_identity.as_ref()))),
        ("ExternalId", session.and_then(|it| it.external_id.clone())),
        ("Alert", Some(alert.id.clone())),
    ]
}

fn some_text(text: Option<&Text>) -> Option<String> {
    text.map(|it| it.as_str().to_owned()).filter(|it| !it.is_empty())
}

/// An e-mail under construction. Everything that comes from a log is escaped here, so that no
/// caller can forget it.
#[derive(Default)]
struct Mail {
    text: String,
}

impl Mail {
    fn gap(&mut self) {
        self.text.push('\n');
    }

    fn heading(&mut self, words: &str) {
        self.gap();
        self.paragraph("", "", words);
        self.paragraph("", "", &"-".repeat(words.len()));
    }

    fn facts(&mut self, facts: &[(&str, Option<String>)]) {
        let indent = " ".repeat(VALUE_COLUMN);
        for (label, value) in facts {
            if let Some(value) = value {
                self.paragraph(&format!("{label:<VALUE_COLUMN$}"), &indent, value);
            }
        }
    }

    fn finding(&mut self, finding: &FindingView) {
        let head = format!("{} ({}): ", finding.rule, finding.severity.as_str());
        self.paragraph("", "", &format!("{head}{}.", finding.summary));
        if let Some(rule) = rules::by_id(&finding.rule) {
            self.paragraph("  Do first: ", "  ", rule.first);
            self.paragraph("  Harmless: ", "  ", rule.harmless);
        }
    }

    fn repeats(&mut self, alert: &Alert) {
        self.gap();
        let calls = plural(alert.repeats, "similar call was", "similar calls were");
        let last = "counted and not told since the last message about this";
        self.paragraph("", "", &format!("{calls} {last}."));
        for id in &alert.event.ids {
            self.paragraph("  ", "  ", &id.to_string());
        }
    }

    fn paragraph(&mut self, first: &str, indent: &str, text: &str) {
        let text = escape_controls(text);
        let longest = text.split(' ').map(display_width).max().unwrap_or(0);
        let options = Options::new(WIDTH)
            .initial_indent(first)
            .subsequent_indent(indent)
            .break_words(longest > LONGEST_WORD)
            .word_splitter(WordSplitter::NoHyphenation);
        for line in textwrap::wrap(&text, options) {
            self.text.push_str(line.trim_end());
            self.text.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::alert;
    use super::*;
    use crate::text::is_hostile;

    fn mail(alert: &Alert) -> String {
        let text = to_text(alert);
        for line in text.lines() {
            assert!(display_width(line) <= WIDTH || !line.trim().contains("  "), "{line}");
            assert!(line.len() <= 998, "{line}");
            assert!(!line.chars().any(is_hostile), "{line:?}");
        }
        text
    }

    #[test]
    fn an_alert_reads_as_an_instruction() {
        let expected = "\
OrgAdmin assumed by alice without MFA.

When          2026-03-04T05:06:07Z
Severity      medium
Call          AssumeRole, granted
Role          arn:aws:iam::111122223333:role/admin/OrgAdmin
Who           arn:aws:iam::111122223333:user/alice (iam user)
MFA           absent
From          203.0.113.77
Software      aws-cli/2.22.35

What is wrong
-------------
missing_mfa (medium): alice took OrgAdmin with a long-term key from
203.0.113.77: no second factor was used, and this user was not seen to take
this role without MFA before.
  Do first: Ask the user whether the call was theirs. If not, or if nobody
  answers, deactivate the access key, attach AWSRevokeOlderSessions to the
  role, and look at what the issued key did. If it was, demand
  aws:MultiFactorAuthPresent with a plain Bool in the role's trust policy.
  Harmless: An IAM user that belongs to a machine and has always worked this
  way. It becomes normal by itself after three days on which nothing else
  was wrong, over at least 72 hours.

To look further
---------------
Event         0b7c1d3e-0000-4000-8000-000000000001
Account       111122223333
Region        eu-central-1
Session       alice
Issued key    ASIAEXAMPLESESSION
Alert         ";
        let alert = alert(&json!({}));
        assert_eq!(mail(&alert), format!("{expected}{}\n", alert.id));
        assert_eq!(subject(&alert), "[medium] OrgAdmin assumed by alice without MFA");
    }

    #[test]
    fn repeats_and_updates_are_told() {
        let mut alert = alert(&json!({ "errorCode": "AccessDenied" }));
        alert.repeats = 2;
        alert.revision = 3;
        alert.event.ids = vec!["first".parse().unwrap(), "second".parse().unwrap()];
        let text = mail(&alert);
        assert!(text.contains("Call          AssumeRole, refused (AccessDenied)\n"), "{text}");
        assert!(text.contains("\n2 similar calls were counted"), "{text}");
        assert!(text.ends_with("\n  first\n  second\n"), "{text}");
        assert!(text.contains("sent before (it is number 3)"), "{text}");
        assert!(subject(&alert).starts_with("[medium, updated] "));
    }

    #[test]
    fn hostile_text_is_one_line_of_its_own() {
        let hostile = "x\r\nSubject: paid\n\n\u{202e}\u{1b}[2J";
        let text = mail(&alert(&json!({
            "userAgent": hostile,
            "userIdentity": { "userName": hostile, "arn": format!("arn:{}", "y".repeat(2_000)) },
            "requestParameters": { "roleSessionName": hostile },
        })));
        assert!(text.contains("Session       x\\u{d}\\u{a}Subject: paid\\u{a}"), "{text}");
        assert!(!text.lines().any(|line| line.starts_with("Subject:")), "{text}");
    }

    #[test]
    fn a_subject_is_short_and_printable() {
        let name = format!("zoé\n{}", "é".repeat(500));
        let alert = alert(&json!({ "userIdentity": { "userName": name } }));
        let subject = subject(&alert);
        assert!(subject.len() < 100, "{subject}");
        assert!(subject.bytes().all(|b| (0x20..0x7f).contains(&b)), "{subject}");
        assert!(subject.starts_with("[medium] OrgAdmin assumed by zo?\\u{a}???"), "{subject}");
        assert!(subject.ends_with("..."), "{subject}");
    }
}
