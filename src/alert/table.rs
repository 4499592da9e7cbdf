//! The `table` format: for a person at a terminal.
//!
//! ```text
//! 2026-03-13T02:47:21Z  high      OrgAdmin assumed by alice without MFA
//!   missing_mfa           alice took OrgAdmin with a long-term key from 203.0.113.77: no second
//!                         factor was used, and the role was taken with MFA on 9 days
//!   arn:aws:iam::111122223333:user/alice  session alice  from 203.0.113.77
//!   event 4f3dbb7d-571b-4768-8342-38f108a08c2e
//! ```

use anstyle::{AnsiColor, Style};
use textwrap::core::display_width;
use textwrap::{Options, WordSplitter};

use super::{Alert, FindingView};
use crate::severity::Severity;
use crate::text::{Text, escape_controls};

/// The narrowest table, in columns. A narrower terminal breaks the lines itself: what is left
/// beside the rules' names would be a word a line.
pub const MIN_WIDTH: usize = 60;

/// The width where there is no terminal to ask, in columns.
pub const DEFAULT_WIDTH: usize = 100;

/// Columns before everything that belongs to the title above it.
const MARGIN: usize = 2;

/// Where the severity stands: behind a time in whole seconds, as CloudTrail writes it.
const SEVERITY_COLUMN: usize = 22;

/// Where the title stands: behind the longest severity.
const TITLE_COLUMN: usize = 32;

/// Where what a rule found stands: behind the longest rule id that is promised.
const SUMMARY_COLUMN: usize = 24;

/// The alert in a few lines of at most `width` columns: when, how urgent and what; what each
/// rule found; and by what to look further. A word that fits into a line is not cut.
///
/// Colours are always written; whoever prints to something without colour strips them.
#[must_use]
pub fn to_text(alert: &Alert, width: usize) -> String {
    let mut page = Page { text: String::new(), width: width.max(MIN_WIDTH) };
    let time = alert.time.to_string();
    let lead = Lead::margin(0).then(&time, Style::new()).up_to(SEVERITY_COLUMN);
    let lead = lead.then(alert.severity.as_str(), colour(alert.severity)).up_to(TITLE_COLUMN);
    page.paragraph(&lead, &alert.title, Style::new().bold());
    for finding in &alert.findings {
        page.finding(finding, alert.severity);
    }
    // A chain of one link says no more than the line below.
    if let Some(chain) = alert.chain.as_ref().filter(|chain| chain.links.len() > 1) {
        page.packed(std::slice::from_ref(&chain.compact), Style::new());
    }
    page.packed(&references(alert), Style::new().dimmed());
    if alert.repeats > 0 {
        let repeats = format!("{} more like it since the last message", alert.repeats);
        page.packed(&[repeats], Style::new());
    }
    page.text
}

/// By what a reader goes on: who in full, in which session, from where, and the event to look up.
fn references(alert: &Alert) -> Vec<String> {
    let session = alert.session.as_ref().and_then(|session| session.name.as_ref());
    let address = Some(alert.source.address.as_str()).filter(|it| !it.is_empty());
    [
        alert.principal.identity(),
        session.map(Text::as_str).map(|name| format!("session {name}")),
        address.map(|address| format!("from {address}")),
        alert.event.id.as_ref().map(|id| format!("event {id}")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn colour(severity: Severity) -> Style {
    let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
    match severity {
        Severity::Low => colour(AnsiColor::Cyan),
        Severity::Medium => colour(AnsiColor::Yellow),
        Severity::High => colour(AnsiColor::Red),
        Severity::Critical => colour(AnsiColor::Red).bold(),
    }
}

/// What stands before the first line of a paragraph; further lines are indented by its width.
struct Lead {
    styled: String,
    shown: usize,
    width: usize,
}

impl Lead {
    fn margin(width: usize) -> Self {
        Self { styled: String::new(), shown: 0, width }
    }

    fn then(mut self, text: &str, style: Style) -> Self {
        let gap = self.gap();
        self.styled.push_str(&format!("{gap}{style}{text}{style:#}"));
        self.width += display_width(text);
        Self { shown: self.width, ..self }
    }

    /// Leaves room up to `column`, and at least a space.
    fn up_to(self, column: usize) -> Self {
        Self { width: column.max(self.width + 1), ..self }
    }

    /// The spaces before whatever comes next.
    fn gap(&self) -> String {
        " ".repeat(self.width - self.shown)
    }
}

/// Text under construction. Everything that comes from a log is escaped here, so that no caller
/// can forget it.
struct Page {
    text: String,
    width: usize,
}

impl Page {
    fn finding(&mut self, finding: &FindingView, of_alert: Severity) {
        let lead = Lead::margin(MARGIN).then(&finding.rule, colour(finding.severity));
        let lead = lead.up_to(SUMMARY_COLUMN);
        if finding.severity == of_alert {
            self.paragraph(&lead, &finding.summary, Style::new());
        } else {
            let summary = format!("{}: {}", finding.severity.as_str(), finding.summary);
            self.paragraph(&lead, &summary, Style::new());
        }
    }

    /// `text` beside `lead`, or below it where a word of it would have to be cut there.
    fn paragraph(&mut self, lead: &Lead, text: &str, style: Style) {
        let text = escape_controls(text);
        let longest = text.split(' ').map(display_width).max().unwrap_or(0);
        self.text.push_str(&lead.styled);
        let indent = if lead.width + longest <= self.width || lead.shown == 0 {
            self.text.push_str(&lead.gap());
            lead.width
        } else {
            self.text.push('\n');
            self.text.push_str(&" ".repeat(2 * MARGIN));
            2 * MARGIN
        };
        // Session names, ARNs and event ids are full of hyphens and are there to be copied.
        let options = Options::new(self.width - indent).word_splitter(WordSplitter::NoHyphenation);
        for (n, line) in textwrap::wrap(&text, options).iter().enumerate() {
            if n > 0 {
                self.text.push_str(&" ".repeat(indent));
            }
            self.text.push_str(&format!("{style}{line}{style:#}\n"));
        }
    }

    /// `parts` with a gap between them, as many in a line as fit.
    fn packed(&mut self, parts: &[String], style: Style) {
        const GAP: &str = "  ";
        let mut line = String::new();
        for part in parts {
            let part = escape_controls(part);
            let joined = MARGIN + display_width(&line) + GAP.len() + display_width(&part);
            if !line.is_empty() && joined > self.width {
                self.paragraph(&Lead::margin(MARGIN), &line, style);
                line.clear();
            }
            if !line.is_empty() {
                line.push_str(GAP);
            }
            line.push_str(&part);
        }
        if !line.is_empty() {
            self.paragraph(&Lead::margin(MARGIN), &line, style);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::super::tests::alert;
    use super::*;

    fn plain(alert: &Alert, width: usize) -> String {
        let text = anstream::adapter::strip_str(&to_text(alert, width)).to_string();
        for line in text.lines() {
            assert!(display_width(line) <= width, "more than {width} columns: {line}");
            assert_eq!(line.trim_end(), line);
        }
        text
    }

    fn with_two_findings() -> Alert {
        let mut alert = alert(&json!({}));
        alert.repeats = 3;
        alert.severity = Severity::High;
        alert.findings.insert(
            0,
            FindingView {
                rule: "trust_policy_weakened".into(),
                severity: Severity::High,
                summary: "everybody in 444455556666 may take OrgAdmin since 5 minutes".to_owned(),
                evidence: Map::new(),
                mitre: &[],
            },
        );
        alert
    }

    #[test]
    fn at_the_least_width_nothing_is_cut() {
        let expected = "\
2026-03-04T05:06:07Z  high      OrgAdmin assumed by alice
                                without MFA
  trust_policy_weakened everybody in 444455556666 may take
                        OrgAdmin since 5 minutes
  missing_mfa           medium: alice took OrgAdmin with a
                        long-term key from 203.0.113.77: no
                        second factor was used, and this
                        user was not seen to take this role
                        without MFA before
  arn:aws:iam::111122223333:user/alice  session alice
  from 203.0.113.77
  event 0b7c1d3e-0000-4000-8000-000000000001
  3 more like it since the last message
";
        assert_eq!(plain(&with_two_findings(), 60), expected);
        assert_eq!(plain(&with_two_findings(), MIN_WIDTH), expected);
        assert_eq!(to_text(&with_two_findings(), 0), to_text(&with_two_findings(), MIN_WIDTH));
    }

    #[test]
    fn at_the_usual_width() {
        let expected = "\
2026-03-04T05:06:07Z  high      OrgAdmin assumed by alice without MFA
  trust_policy_weakened everybody in 444455556666 may take OrgAdmin since 5 minutes
  missing_mfa           medium: alice took OrgAdmin with a long-term key from 203.0.113.77: no
                        second factor was used, and this user was not seen to take this role without
                        MFA before
  arn:aws:iam::111122223333:user/alice  session alice  from 203.0.113.77
  event 0b7c1d3e-0000-4000-8000-000000000001
  3 more like it since the last message
";
        assert_eq!(plain(&with_two_findings(), DEFAULT_WIDTH), expected);
    }

    #[test]
    fn at_a_great_width_a_finding_is_a_line() {
        let expected = "\
2026-03-04T05:06:07Z  medium    OrgAdmin assumed by alice without MFA
  missing_mfa           alice took OrgAdmin with a long-term key from 203.0.113.77: no second factor was used, and this user was not seen to take this role
                        without MFA before
  arn:aws:iam::111122223333:user/alice  session alice  from 203.0.113.77  event 0b7c1d3e-0000-4000-8000-000000000001
";
        assert_eq!(plain(&alert(&json!({})), 160), expected);
    }

    #[test]
    fn a_word_too_long_for_its_place_goes_below_and_a_longer_one_is_cut() {
        let name = format!("{}-session", "n".repeat(48));
        let role = format!("arn:aws:iam::111122223333:role/{}", "R".repeat(40));
        let alert = alert(&json!({
            "requestParameters": { "roleArn": role, "roleSessionName": name },
            "userIdentity": { "userName": "u".repeat(62), "arn": "a".repeat(70) },
        }));
        let expected = "\
2026-03-04T05:06:07Z  medium
    RRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRR assumed by
    uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu
    uuuuuu without MFA
  missing_mfa
    uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu
    uuuuuu took RRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRRR
    with a long-term key from 203.0.113.77: no second factor
    was used, and this user was not seen to take this role
    without MFA before
  aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
  aaaaaaaaaaaa
  session
  nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn-session
  from 203.0.113.77
  event 0b7c1d3e-0000-4000-8000-000000000001
";
        assert_eq!(plain(&alert, 60), expected);
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let alert = alert(&json!({
            "requestParameters": { "roleSessionName": "山田太郎".repeat(8) },
            "userIdentity": { "userName": "管理者".repeat(6) },
        }));
        let expected = "\
2026-03-04T05:06:07Z  medium
    OrgAdmin assumed by 管理者管理者管理者管理者管理者管理者
    without MFA
  missing_mfa           管理者管理者管理者管理者管理者管理者
                        took OrgAdmin with a long-term key
                        from 203.0.113.77: no second factor
                        was used, and this user was not seen
                        to take this role without MFA before
  arn:aws:iam::111122223333:user/alice
  session
  山田太郎山田太郎山田太郎山田太郎山田太郎山田太郎山田太郎山
  田太郎
  from 203.0.113.77
  event 0b7c1d3e-0000-4000-8000-000000000001
";
        assert_eq!(plain(&alert, 60), expected);
    }

    #[test]
    fn what_is_absent_is_left_out() {
        let mut alert = alert(&json!({}));
        alert.principal.arn = None;
        alert.session = None;
        alert.source.address.clear();
        alert.event.id = None;
        let last = |alert: &Alert| plain(alert, 100).lines().last().unwrap().to_owned();
        assert_eq!(last(&alert), "  AIDAEXAMPLEALICE of 111122223333");
        alert.principal.id = None;
        assert_eq!(last(&alert), "  account 111122223333");
        alert.principal.account = None;
        assert!(last(&alert).ends_with("without MFA before"));
    }

    #[test]
    fn text_from_a_log_moves_no_cursor() {
        let hostile = "x\u{1b}[2J\u{9b}31m\r\n\u{202e}\u{200b} y";
        let alert = alert(&json!({
            "requestParameters": { "roleSessionName": hostile },
            "userIdentity": { "userName": hostile, "arn": hostile },
            "sourceIPAddress": hostile,
        }));
        for width in [60, 100, 160] {
            let text = plain(&alert, width);
            let found = text.chars().find(|c| *c != '\n' && crate::text::is_hostile(*c));
            assert_eq!(found, None, "{text}");
        }
    }
}
