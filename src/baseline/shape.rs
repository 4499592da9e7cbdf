//! The shape of a session name, and the family of a user agent: what stays of a text that
//! changes from call to call.

use std::borrow::Cow;
use std::sync::Arc;

use smol_str::SmolStr;

use crate::text::clip;

/// The shape of a session that is called after its caller.
pub const OWN_NAME: &str = "<own name>";

/// Bytes of a GUID.
const GUID: usize = 36;

/// The shape of a session name. Names turn over by themselves: instance ids, SDK stamps, run
/// ids. What stays is how they are built.
///
/// `own_name` is the caller's own name, if it has one: people's sessions are usually called
/// after them, and that is one shape, whatever the person is called.
#[must_use]
pub fn session_shape<'n>(name: &'n str, own_name: Option<&str>) -> Cow<'n, str> {
    if own_name.is_some_and(|own| own.eq_ignore_ascii_case(name)) {
        return OWN_NAME.into();
    }
    if name.len() < GUID && !may_turn_over(name) {
        return name.into();
    }
    if let Some(domain) = email_domain(name) {
        return ["<name>@", domain].concat().into();
    }
    by_runs(name).into()
}

/// The shape of a name that is no address, run of letters and digits by run.
fn by_runs(name: &str) -> String {
    const LONGEST: usize = 64;
    let mut shape = String::with_capacity(name.len() + 8);
    let mut rest = name;
    if let Some((before, after)) = around_guid(name) {
        shape.push_str(before);
        shape.push_str("<id>");
        rest = after;
    }
    while !rest.is_empty() {
        let run = Run::of(rest);
        // What is no letter and no digit stays, up to the next one.
        let behind = rest.as_bytes().get(run.len..).unwrap_or_default();
        let plain = behind.iter().take_while(|byte| !byte.is_ascii_alphanumeric());
        let end = run.len + plain.count();
        let (Some(part), Some(between)) = (rest.get(..run.len), rest.get(run.len..end)) else {
            break;
        };
        run.write(part, &mut shape);
        shape.push_str(between);
        rest = rest.get(end..).unwrap_or_default();
    }
    let shape = collapse(shape);
    if shape.len() <= LONGEST { shape } else { clip(&shape, LONGEST) }
}

/// Whether a name that is too short for a GUID may have another shape than itself: it holds a
/// number, is an address, or looks like a shape. All of it is looked at, so that several bytes are
/// looked at together.
fn may_turn_over(name: &str) -> bool {
    let tells = |b: u8| b.is_ascii_digit() | (b == b'@') | (b == b'<');
    name.bytes().fold(false, |any, b| any | tells(b))
}

/// What stands before and after the first GUID of a name.
fn around_guid(name: &str) -> Option<(&str, &str)> {
    let is_guid = |text: &str| {
        text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
    };
    let last = name.len().checked_sub(GUID)?;
    let at = (0..=last).find(|at| name.get(*at..at + GUID).is_some_and(is_guid))?;
    Some((name.get(..at)?, name.get(at + GUID..)?))
}

/// The letters and digits that a text begins with.
struct Run {
    len: usize,
    digits: usize,
    is_hex: bool,
}

impl Run {
    fn of(text: &str) -> Self {
        let is_part = |byte: &&u8| byte.is_ascii_alphanumeric();
        let len = text.bytes().take_while(|byte| is_part(&byte)).count();
        // All of it is looked at, so that several bytes are looked at together.
        let part = text.as_bytes().get(..len).unwrap_or_default();
        let digits = part.iter().filter(|byte| byte.is_ascii_digit()).count();
        let is_hex = part.iter().fold(true, |all, byte| all & byte.is_ascii_hexdigit());
        Self { len, digits, is_hex }
    }

    /// Writes the run, which is `part`, as what it is: a number, an id, or itself.
    fn write(&self, part: &str, shape: &mut String) {
        let Self { len, digits, is_hex } = *self;
        let kind = if digits == 0 {
            part
        } else if digits == len {
            "<n>"
        } else if (len >= 8 && is_hex) || (len >= 16 && digits >= 2) {
            "<id>"
        } else {
            // Letters with a number in them, like `build7`: the number is what turns over.
            let letters = part.trim_end_matches(|c: char| c.is_ascii_digit());
            let is_mixed = letters.bytes().any(|b| b.is_ascii_digit());
            shape.push_str(if is_mixed { "<id>" } else { letters });
            "<n>"
        };
        shape.push_str(kind);
    }
}

/// A GUID, or any other row of ids and numbers, is one id.
fn collapse(mut text: String) -> String {
    // Most names hold neither, and those that do mostly hold one.
    match text.bytes().filter(|byte| *byte == b'<').count() {
        0 => return text,
        1 => return collapse_one(text),
        _ => {}
    }
    for (row, one) in [
        ("<id>-<id>", "<id>"),
        ("<n>-<id>", "<id>"),
        ("<id>-<n>", "<id>"),
        ("<n>-<n>", "<n>"),
        ("<id><n>", "<id>"),
        ("<n>.<n>", "<n>"),
        ("-<id>", "-<n>"),
        ("--<n>", "-<n>"),
    ] {
        while text.contains(row) {
            let shorter = text.replace(row, one);
            if shorter == text {
                break;
            }
            text = shorter;
        }
    }
    text
}

/// The same of a shape that holds one id or number: the last two lines of the table.
fn collapse_one(mut text: String) -> String {
    let Some(at) = text.bytes().position(|byte| byte == b'<') else { return text };
    let head = text.get(..at).unwrap_or_default();
    let tail = text.get(at..).unwrap_or_default();
    let is_id = tail.starts_with("<id>");
    if !head.ends_with('-') || !(is_id || tail.starts_with("<n>")) {
        return text;
    }
    let dashes = head.len() - head.trim_end_matches('-').len();
    let end = if is_id { at + "<id>".len() } else { at + "<n>".len() };
    let start = at + 1 - dashes;
    // Where nothing stands behind it that would have to be moved.
    if end == text.len() {
        text.truncate(start);
        text.push_str("<n>");
    } else {
        text.replace_range(start..end, "<n>");
    }
    text
}

/// The domain of a text that looks like an e-mail address.
fn email_domain(text: &str) -> Option<&str> {
    let at = text.bytes().position(|byte| byte == b'@')?;
    let (name, domain) = (text.get(..at)?, text.get(at + 1..)?);
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | '=');
    let looks_like_one = !name.is_empty()
        && domain.contains('.')
        && !domain.ends_with('.')
        && name.chars().all(plain)
        && domain.chars().all(plain);
    looks_like_one.then_some(domain)
}

/// The family of a user agent: its first product without a version, in lower case.
#[must_use]
pub fn agent_family(user_agent: &str) -> SmolStr {
    const LONGEST: usize = 32;
    let head = user_agent.trim_start_matches('[');
    let is_end = |byte: &u8| matches!(byte, b'/' | b' ' | b'(' | b';');
    let end = head.bytes().position(|byte| is_end(&byte)).unwrap_or(head.len());
    let head = head.get(..end).unwrap_or_default();
    if head.is_ascii() && head.len() <= LONGEST {
        let mut family: Arc<str> = head.into();
        Arc::make_mut(&mut family).make_ascii_lowercase();
        return family.into();
    }
    clip(&head.to_lowercase(), LONGEST).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_turn_over_have_one_shape() {
        for (names, shape) in [
            (vec!["i-0b079ac8bcbb35481", "i-03ae5788337571f1f"], "i-<n>"),
            (vec!["botocore-session-1772442900", "botocore-session-1"], "botocore-session-<n>"),
            (vec!["aws-go-sdk-1767323045123456789"], "aws-go-sdk-<n>"),
            (vec!["MandoService-123", "MandoService--987"], "MandoService-<n>"),
            (vec!["build-1183", "build-7"], "build-<n>"),
            (vec!["build1183"], "build<n>"),
            (
                vec![
                    "1c9a7e52-8b30-4d6f-9e41-0f2b5d7c6a83",
                    "7b567a62-7593-4d33-ae1b-bbdacdbd2d76",
                    "0a1b2c3d-eeee-4fff-abcd-000000000000",
                ],
                "<id>",
            ),
            (vec!["alice@corp.example", "bob@corp.example"], "<name>@corp.example"),
            (vec!["GitHubActions"], "GitHubActions"),
            (vec![""], ""),
        ] {
            for name in names {
                assert_eq!(session_shape(name, None), shape, "{name}");
            }
        }
    }

    #[test]
    fn ones_own_name_is_one_shape() {
        assert_eq!(session_shape("Alice", Some("alice")), "<own name>");
        assert_ne!(session_shape("bob", Some("alice")), "<own name>");
    }

    #[test]
    fn one_id_is_collapsed_as_many_are() {
        for (shape, collapsed) in [
            ("run-<n>", "run-<n>"),
            ("run--<n>", "run-<n>"),
            ("run---<id>", "run-<n>"),
            ("-<id>.log", "-<n>.log"),
            ("<id>-a", "<id>-a"),
            ("a-<other", "a-<other"),
            ("a<n>", "a<n>"),
        ] {
            assert_eq!(collapse(shape.to_owned()), collapsed);
            // With a second one that no line is about.
            assert_eq!(collapse(format!("{shape}<")), format!("{collapsed}<"));
        }
    }

    #[test]
    fn what_cannot_turn_over_is_its_own_shape() {
        let mut rng = fastrand::Rng::with_seed(1);
        let mut kept = 0;
        for _ in 0..100_000 {
            let name: String = (0..rng.usize(..48))
                .map(|_| *rng.choice(b"abfgAZ-_.=,+<>0").unwrap() as char)
                .collect();
            let name = if rng.bool() { name.replace(['0', '<'], "e") } else { name };
            let shape = session_shape(&name, None);
            assert_eq!(shape, by_runs(&name));
            kept += usize::from(matches!(shape, Cow::Borrowed(_)));
        }
        assert!(kept > 20_000, "{kept}");
    }

    #[test]
    fn a_shape_is_bounded() {
        assert!(session_shape(&"é-".repeat(50_000), None).len() <= 64);
    }

    #[test]
    fn agents_have_families() {
        for (agent, family) in [
            ("aws-cli/2.22.35 md/awscrt#0.23.4", "aws-cli"),
            ("Boto3/1.35.90 md/Botocore", "boto3"),
            ("Mozilla/5.0 (X11)", "mozilla"),
            ("AWS Internal", "aws"),
            ("[aws-sdk-go/1.2]", "aws-sdk-go"),
            ("", ""),
        ] {
            assert_eq!(&*agent_family(agent), family);
        }
    }
}
