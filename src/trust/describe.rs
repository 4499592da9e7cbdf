//! What is remembered of a role's trust policy, in words.

use std::fmt::Write;

use super::history::{Content, History, Moment, Version};
use super::{TrustPolicy, doors};
use crate::text::{inline, plural};

/// Doors that are told of one policy; the rest is counted.
const SHOWN: usize = 20;

/// Whom the policy lets in and on what terms, when and by whom it was written, and whether it is
/// believed. Of ExternalIds the first digits of their hashes are shown.
#[must_use]
pub fn describe(history: &History) -> String {
    let Some((moment, version)) = history.last() else { return String::new() };
    let when = wording(moment, version);
    let before = history.policy_before(moment);
    let mut text = String::new();
    let (version, policy) = match (&version.content, before) {
        (Content::Policy(policy), _) => {
            let _ = writeln!(text, "  trust policy {when}");
            (version, policy)
        }
        (gone, Some(before)) if let Some(policy) = before.policy() => {
            let what = match gone {
                Content::Deleted => format!("the role was deleted {when}"),
                _ => format!("a trust policy that could not be read was {when}"),
            };
            let _ = writeln!(text, "  {what}; the one before");
            (before, policy)
        }
        (Content::Deleted, _) => return format!("  the role was deleted {when}\n"),
        _ => return format!("  a trust policy that could not be read was {when}\n"),
    };
    describe_trust_in(&mut text, version);
    describe_doors(&mut text, policy);
    text
}

fn wording(moment: &Moment, version: &Version) -> String {
    let by = version.by.as_ref().map(|by| format!(" by {}", inline(by.as_str())));
    let verb = match (&version.content, moment.record.as_str()) {
        (_, "import") => "imported",
        (Content::Deleted, _) => "at",
        _ => "written",
    };
    format!("{verb} {}{}", moment.time, by.unwrap_or_default())
}

/// Whether a version is believed.
fn describe_trust_in(text: &mut String, version: &Version) {
    if let Some(time) = version.refuted {
        let _ = writeln!(text, "    stale: at {time} a call was granted that it refuses");
    }
    if let Some(weakening) = &version.weakening {
        let _ = writeln!(
            text,
            "    it raised an alert ({}) at {}: {}",
            weakening.severity.as_str(),
            weakening.time,
            crate::text::escape_controls(weakening.words.as_str()),
        );
    }
}

fn describe_doors(text: &mut String, policy: &TrustPolicy) {
    let doors = doors(policy);
    for door in doors.iter().take(SHOWN) {
        let _ = writeln!(text, "    {} is let in {}", door.who.display(), door.terms(policy));
    }
    match doors.len().checked_sub(SHOWN) {
        _ if doors.is_empty() => text.push_str("    nobody is let in\n"),
        None | Some(0) => {}
        Some(more) => {
            let _ = writeln!(text, "    and {}", plural(more as u64, "other", "others"));
        }
    }
    for note in policy.notes() {
        let _ = writeln!(text, "    not understood: {}", inline(note.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::severity::Severity;
    use crate::text::Text;
    use crate::trust::Weakening;

    fn policy(statements: Value) -> Content {
        let document = json!({"Version": "2012-10-17", "Statement": statements});
        Content::Policy(Arc::new(TrustPolicy::read(&document.to_string()).unwrap()))
    }

    fn at(second: i64, record: &str) -> Moment {
        let time = jiff::Timestamp::from_second(1_767_225_600 + second).unwrap();
        Moment { time, record: Text::clip(record) }
    }

    #[test]
    fn who_is_let_in_is_told_with_terms_and_without_secrets() {
        let content = policy(json!([
            {"Effect": "Allow", "Principal": {"AWS": "444455556666"}, "Action": "sts:AssumeRole",
             "Condition": {"StringEquals": {"sts:ExternalId": "hunter2"}}},
            {"Sid": "People", "Effect": "Allow", "Principal": {"AWS": "111122223333"},
             "Action": "sts:AssumeRole",
             "Condition": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "true"}}},
            {"Effect": "Allow", "Principal": "*", "Action": "sts:TagSession", "What": 1},
        ]));
        let mut history = History::default();
        let by = Some(Text::clip("alice\u{1b}[2J"));
        history.write(at(0, "r"), Version { by, ..Version::of(content) });
        assert_eq!(
            describe(&history),
            "  trust policy written 2026-01-01T00:00:00Z by alice\\u{1b}[2J\n    \
             the whole account 444455556666 is let in with an ExternalId (sha256:f52fbd32) by \
             statement 1\n    \
             the whole account 111122223333 is let in without a condition that keeps anybody out \
             (of a long-term key no MFA) by statement `People`\n    \
             not understood: `What` is no element of a trust policy\n"
        );
    }

    #[test]
    fn what_is_not_believed_or_not_there_is_told() {
        let mut history = History::default();
        assert_eq!(describe(&history), "");
        history.write(at(0, "r"), Version::of(Content::Unreadable));
        let text = describe(&history);
        assert_eq!(
            text,
            "  a trust policy that could not be read was written 2026-01-01T00:00:00Z\n"
        );
        let weakening = Weakening {
            time: at(1, "").time,
            severity: Severity::High,
            by: Text::clip("eve"),
            alert: Text::clip("a"),
            words: Text::clip("it was opened"),
        };
        let content = policy(json!({"Effect": "Deny", "Principal": "*", "Action": "*"}));
        let version = Version { weakening: Some(weakening), ..Version::of(content) };
        history.write(at(1, "import"), version);
        history.refute(&at(1, "import"), at(9, "").time);
        assert_eq!(
            describe(&history),
            "  trust policy imported 2026-01-01T00:00:01Z\n    \
             stale: at 2026-01-01T00:00:09Z a call was granted that it refuses\n    \
             it raised an alert (high) at 2026-01-01T00:00:01Z: it was opened\n    \
             nobody is let in\n"
        );
        history.write(at(2, "d"), Version::of(Content::Deleted));
        let text = describe(&history);
        assert!(text.starts_with("  the role was deleted at "), "{text}");
        assert!(text.contains("nobody is let in"), "{text}");
    }
}
