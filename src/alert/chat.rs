//! The `chat` format: the custom notification that Amazon Q Developer in chat applications
//! (formerly AWS Chatbot) shows in Slack and Microsoft Teams.
//!
//! Both read markdown, each its own, and neither has an escape that the other knows. So what
//! comes from a log is written in letters that mean nothing to either: inside a sentence every
//! sign that could begin a link, a mention, an emoji or a style is replaced by one that only looks
//! like it. Values that are there to be copied stand in code spans, where nothing but a backtick,
//! and Slack's angle brackets, has a meaning.
//!
//! <https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html>

use serde_json::{Value, json};

use super::{Alert, FindingView};
use crate::rules;
use crate::severity::Severity;
use crate::text::{Text, escape_controls, escape_json_line, plural};

/// Most characters of a title.
const TITLE: usize = 250;

/// Most characters of a description.
const DESCRIPTION: usize = 8_000;

/// Most characters of one value in a code span.
const VALUE: usize = 256;

/// Next steps are taken from so many of the most urgent rules; more would not be done first.
const STEPS: usize = 3;

/// The alert as a custom notification.
#[must_use]
pub fn to_json(alert: &Alert) -> String {
    escape_json_line(&notification(alert).to_string())
}

fn notification(alert: &Alert) -> Value {
    let title = format!("{}: {}", capital(alert.severity), alert.title);
    let title = clip(&sentence(&title), TITLE);
    let id = match alert.revision {
        0 | 1 => alert.id.clone(),
        revision => format!("{}.{revision}", alert.id),
    };
    json!({
        "version": "1.0",
        "source": "custom",
        "id": id,
        "content": {
            "textType": "client-markdown",
            "title": title,
            "description": description(alert),
            "nextSteps": next_steps(alert),
            "keywords": keywords(alert),
        },
        "metadata": {
            // An alert that grew stands below its first form; a new alert is never hidden in
            // the thread of an old one.
            "threadId": alert.id,
            "summary": title,
            "eventType": "rolewatch-alert",
            "relatedResources": resources(alert),
            "additionalContext": context(alert),
        },
    })
}

fn capital(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "Low",
        Severity::Medium => "Medium",
        Severity::High => "High",
        Severity::Critical => "Critical",
    }
}

/// What was found, when it is harmless, and by what to look further. Where there is too much of
/// it the summaries get shorter; no finding is left out.
fn description(alert: &Alert) -> String {
    let mut text = String::new();
    for longest in [1_000, 400, 200, 100, 50] {
        text = described(alert, longest);
        if text.chars().count() <= DESCRIPTION {
            return text;
        }
    }
    clip(&text, DESCRIPTION)
}

fn described(alert: &Alert, longest: usize) -> String {
    let found = alert.findings.iter().map(|finding| found(finding, alert.severity, longest));
    let mut lines: Vec<String> = found.collect();
    if let Some(rule) = alert.findings.first().and_then(|it| rules::by_id(&it.rule)) {
        lines.push(format!("Harmless: {}", rule.harmless));
    }
    lines.extend(values(alert).into_iter().map(|(label, value)| format!("{label}: {value}")));
    if alert.repeats > 0 {
        let calls = plural(alert.repeats, "similar call", "similar calls");
        lines.push(format!("{calls} counted since the last message."));
    }
    lines.join("\n\n")
}

fn found(finding: &FindingView, of_alert: Severity, longest: usize) -> String {
    let rule = code(&finding.rule);
    let severity = match finding.severity {
        severity if severity == of_alert => String::new(),
        severity => format!("({}) ", severity.as_str()),
    };
    format!("{rule} {severity}{}", clip(&sentence(&finding.summary), longest))
}

/// What to copy, in code spans.
fn values(alert: &Alert) -> Vec<(&'static str, String)> {
    let session = alert.session.as_ref();
    let text = |text: &Text| text.as_str().to_owned();
    let values = [
        ("Role", alert.role.as_ref().map(|it| it.arn.clone())),
        ("Who", alert.principal.identity()),
        ("Session", session.and_then(|it| it.name.as_ref()).map(text)),
        ("Issued key", session.and_then(|it| it.access_key_id.clone())),
        ("From", Some(alert.source.address.clone())),
        ("Software", Some(text(&alert.source.user_agent))),
        ("When", Some(alert.time.to_string())),
        ("Event", alert.event.id.as_ref().map(ToString::to_string)),
    ];
    let present = values.into_iter().filter_map(|(label, value)| Some((label, value?)));
    present.filter(|(_, value)| !value.is_empty()).map(|(l, value)| (l, code(&value))).collect()
}

fn next_steps(alert: &Alert) -> Vec<&'static str> {
    let rules = alert.findings.iter().filter_map(|finding| rules::by_id(&finding.rule));
    rules.take(STEPS).map(|rule| rule.first).collect()
}

fn keywords(alert: &Alert) -> Vec<String> {
    let rules = alert.findings.iter().map(|finding| finding.rule.to_string());
    std::iter::once(alert.severity.as_str().to_owned()).chain(rules).collect()
}

/// The ARNs of whom and what it is about, where they look like ARNs.
fn resources(alert: &Alert) -> Vec<&str> {
    let role = alert.role.as_ref().map(|role| role.arn.as_str());
    let principal = alert.principal.arn.as_ref().map(Text::as_str);
    [role, principal].into_iter().flatten().filter(|arn| is_plain_arn(arn)).collect()
}

fn is_plain_arn(arn: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-/:".contains(&b);
    arn.starts_with("arn:") && arn.len() <= VALUE && arn.bytes().all(plain)
}

/// What custom actions can use as variables: only what IAM or CloudTrail made, never what a
/// caller chose.
fn context(alert: &Alert) -> Value {
    let values = [
        ("alertId", Some(alert.id.clone())),
        ("severity", Some(alert.severity.as_str().to_owned())),
        ("eventId", alert.event.id.as_ref().map(ToString::to_string)),
        ("region", Some(alert.event.region.as_str().to_owned())),
        ("roleAccount", alert.role.as_ref().and_then(|it| it.account.clone())),
        ("roleName", alert.role.as_ref().map(|it| it.name.clone())),
        ("principalId", alert.principal.id.clone()),
        ("accessKeyId", alert.session.as_ref().and_then(|it| it.access_key_id.clone())),
    ];
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-:".contains(&b);
    let is_plain = |value: &str| !value.is_empty() && value.bytes().all(plain);
    let fields = values.into_iter().filter_map(|(name, value)| {
        let value = value.filter(|it| is_plain(it) && it.len() <= VALUE)?;
        Some((name.to_owned(), Value::String(value)))
    });
    fields.collect::<serde_json::Map<_, _>>().into()
}

/// Text for a sentence, in which nothing is a link, a mention, an emoji or a style.
fn sentence(text: &str) -> String {
    let text = escape_controls(text);
    let mut safe = String::with_capacity(text.len());
    let mut before = None;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        safe.push(harmless(before, c, rest.peek().copied()));
        before = Some(c);
    }
    safe
}

fn harmless(before: Option<char>, c: char, after: Option<char>) -> char {
    let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let is_inside_word = is_word(before) && is_word(after);
    match c {
        '<' => '‹',
        '>' => '›',
        '&' => '＆',
        '[' => '［',
        ']' => '］',
        '*' => '∗',
        '~' => '∼',
        '`' => 'ˋ',
        '|' => '∣',
        '\\' => '∖',
        '@' => '＠',
        '#' => '＃',
        // Inside a word it styles nothing, and names are full of it.
        '_' if !is_inside_word => 'ˍ',
        // `:name:` is an emoji, `https:` a link; at the end of a phrase it is punctuation.
        ':' if after.is_some_and(|it| it != ' ') => '∶',
        // A host's name is made a link; an address of digits is not.
        '.' if is_inside_word && after.is_some_and(char::is_alphabetic) => '․',
        other => other,
    }
}

/// Text in a code span.
fn code(text: &str) -> String {
    let kept: String = escape_controls(text)
        .chars()
        .map(|c| match c {
            '`' => 'ˋ',
            '<' => '‹',
            '>' => '›',
            '&' => '＆',
            other => other,
        })
        .collect();
    format!("`{}`", clip(&kept, VALUE))
}

/// The head of `text` in at most `longest` characters.
fn clip(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        None => text.to_owned(),
        Some(_) => text.chars().take(longest - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::alert;
    use super::*;
    use crate::rules::RULES;

    fn parse(alert: &Alert) -> Value {
        serde_json::from_str(&to_json(alert)).unwrap()
    }

    #[test]
    fn an_alert_is_a_custom_notification() {
        let alert = alert(&json!({}));
        let rule = rules::by_id("missing_mfa").unwrap();
        let description = format!(
            "`missing_mfa` alice took OrgAdmin with a long-term key from 203.0.113.77: no second \
             factor was used, and this user was not seen to take this role without MFA before\n\n\
             Harmless: {}\n\n\
             Role: `arn:aws:iam::111122223333:role/admin/OrgAdmin`\n\n\
             Who: `arn:aws:iam::111122223333:user/alice`\n\n\
             Session: `alice`\n\n\
             Issued key: `ASIAEXAMPLESESSION`\n\n\
             From: `203.0.113.77`\n\n\
             Software: `aws-cli/2.22.35`\n\n\
             When: `2026-03-04T05:06:07Z`\n\n\
             Event: `0b7c1d3e-0000-4000-8000-000000000001`",
            rule.harmless
        );
        let expected = json!({
            "version": "1.0",
            "source": "custom",
            "id": alert.id,
            "content": {
                "textType": "client-markdown",
                "title": "Medium: OrgAdmin assumed by alice without MFA",
                "description": description,
                "nextSteps": [rule.first],
                "keywords": ["medium", "missing_mfa"],
            },
            "metadata": {
                "threadId": alert.id,
                "summary": "Medium: OrgAdmin assumed by alice without MFA",
                "eventType": "rolewatch-alert",
                "relatedResources": [
                    "arn:aws:iam::111122223333:role/admin/OrgAdmin",
                    "arn:aws:iam::111122223333:user/alice",
                ],
                "additionalContext": {
                    "alertId": alert.id,
                    "severity": "medium",
                    "eventId": "0b7c1d3e-0000-4000-8000-000000000001",
                    "region": "eu-central-1",
                    "roleAccount": "111122223333",
                    "roleName": "OrgAdmin",
                    "principalId": "AIDAEXAMPLEALICE",
                    "accessKeyId": "ASIAEXAMPLESESSION",
                },
            },
        });
        assert_eq!(parse(&alert), expected);
    }

    #[test]
    fn no_log_text_is_a_link_a_mention_or_a_style() {
        let hostile = "<!channel> <@U1|bob> [pay](https://evil.example/x) www.evil.example \
                       @here #general :fire: *b* _i_ ~s~ `c` \\ a_b\n> q\u{202e}";
        let alert = alert(&json!({
            "userAgent": hostile,
            "userIdentity": { "userName": hostile, "arn": format!("arn:aws:iam::1:user/{hostile}") },
            "requestParameters": { "roleSessionName": hostile },
        }));
        let shown = parse(&alert);
        let title = shown["content"]["title"].as_str().unwrap();
        assert_eq!(
            title,
            "Medium: OrgAdmin assumed by ‹!channel› ‹＠U1∣bob› ［pay］(https∶//evil․example/x) \
             www․evil․example ＠here ＃general ∶fire: ∗b∗ ˍiˍ ∼s∼ ˋcˋ ∖ a_b∖u{a}› q∖u{202e} \
             without MFA"
        );
        let description = shown["content"]["description"].as_str().unwrap();
        for (at, span) in description.split('`').enumerate() {
            assert!(!span.contains(['<', '>', '&']), "{span}");
            let is_code = at % 2 == 1;
            assert!(is_code || !span.contains(['[', '*', '~', '@', '#', '\\']), "{span}");
            assert!(!is_code || !span.contains('\n'), "{span}");
        }
        let resources = &shown["metadata"]["relatedResources"];
        assert_eq!(*resources, json!(["arn:aws:iam::111122223333:role/admin/OrgAdmin"]));
        assert!(!shown["metadata"].to_string().contains("evil.example"));
    }

    #[test]
    fn limits_are_kept_and_no_finding_is_left_out() {
        let mut alert = alert(&json!({
            "userIdentity": { "userName": "é".repeat(900), "arn": "a".repeat(900) },
            "userAgent": "&".repeat(900),
        }));
        let first = alert.findings.remove(0);
        alert.findings = RULES
            .iter()
            .map(|rule| FindingView {
                rule: rule.id.into(),
                summary: "é<".repeat(2_000),
                ..first.clone()
            })
            .collect();
        alert.title = "é".repeat(500);
        alert.repeats = 1;
        alert.revision = 2;
        let shown = parse(&alert);
        let content = &shown["content"];
        assert_eq!(content["title"].as_str().unwrap().chars().count(), TITLE);
        let description = content["description"].as_str().unwrap();
        assert!(description.chars().count() <= DESCRIPTION);
        for rule in RULES {
            assert!(description.contains(&format!("`{}` ", rule.id)), "{}", rule.id);
        }
        assert!(description.ends_with("1 similar call counted since the last message."));
        assert_eq!(shown["id"], format!("{}.2", alert.id));
        assert_eq!(shown["metadata"]["threadId"], alert.id);
    }

    #[test]
    fn what_the_rules_say_needs_no_escaping() {
        for rule in RULES {
            for words in [rule.first, rule.harmless] {
                assert!(!words.contains(['<', '>', '&', '*', '`', '[', '\\', '~']), "{}", rule.id);
            }
        }
    }
}
