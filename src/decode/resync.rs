//! Where reading goes on after a record that is broken.
//!
//! A [`Scout`] remembers what it found out about one text, for a text of a million broken records
//! would otherwise be read to its end a million times.

use std::borrow::Cow;

use memchr::memchr2_iter;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::scan::{skip_space, strict_end, value_end};

/// What the elements of an array are, which tells how the next one begins when one is broken.
#[derive(Clone, Copy)]
pub(super) enum Elements {
    Any,
    LogEvents,
    LookupEvents,
}

impl Elements {
    /// The key by which an element is taken for one even if it is broken too.
    fn first_key(self) -> &'static [u8] {
        match self {
            Self::Any => b"\"eventVersion\"",
            Self::LogEvents => b"\"id\"",
            Self::LookupEvents => b"\"EventId\"",
        }
    }
}

/// Where the next value begins.
#[derive(Clone, Copy)]
pub(super) struct Next {
    pub at: usize,
    /// It stands in nothing else: it begins a line, or is an envelope.
    pub at_top: bool,
}

/// An answer, and the first position for which it holds.
#[derive(Clone, Copy)]
struct Searched {
    from: usize,
    next: Option<Next>,
}

/// Finds ends and beginnings in one text. Everything asked of it has to be asked of that text.
#[derive(Default)]
pub(super) struct Scout {
    /// Brackets that are known not to be closed, in order, from the scan that got farthest.
    doomed: Vec<usize>,
    broke_at: usize,
    /// To be used again.
    open: Vec<usize>,
    /// The last answers of `next`, by the kind of elements.
    searched: [Option<Searched>; 3],
}

impl Scout {
    /// The end of the value at `at`, if it looks like JSON up to there.
    pub(super) fn end(&mut self, bytes: &[u8], at: usize) -> Option<usize> {
        if !matches!(bytes.get(at)?, b'{' | b'[') {
            return value_end(bytes, at);
        }
        if self.doomed.binary_search(&at).is_ok() {
            return None;
        }
        match strict_end(bytes, at, &mut self.open) {
            Ok(end) => Some(end),
            Err(broken) => {
                // Whatever is open there breaks at the same byte. Where brackets are nested too
                // deep that holds for the outer half only, if inner ones get half the depth.
                if broken.deep {
                    self.open.truncate(self.open.len() / 2);
                }
                if broken.at >= self.broke_at {
                    self.broke_at = broken.at;
                    std::mem::swap(&mut self.doomed, &mut self.open);
                }
                None
            }
        }
    }

    /// Where the next value begins that reading can go on with, at or after `from`.
    pub(super) fn next(&mut self, bytes: &[u8], from: usize, of: Elements) -> Option<Next> {
        let known = self.searched.get(of as usize).copied().flatten();
        let known = known.filter(|it| it.from <= from && it.next.is_none_or(|n| from <= n.at));
        if let Some(known) = known {
            return known.next;
        }
        let next = self.search(bytes, from, of);
        if let Some(slot) = self.searched.get_mut(of as usize) {
            *slot = Some(Searched { from, next });
        }
        next
    }

    fn search(&mut self, bytes: &[u8], from: usize, of: Elements) -> Option<Next> {
        let mut passed = from;
        for hit in memchr2_iter(b'{', b'[', bytes.get(from..)?) {
            let at = from + hit;
            if at < passed {
                continue;
            }
            let inside = skip_space(bytes, at + 1);
            let begins_line = at.checked_sub(1).is_some_and(|it| bytes.get(it) == Some(&b'\n'));
            match (bytes.get(at), bytes.get(inside)) {
                (_, Some(b'"' | b'{' | b'}' | b'[' | b']')) if begins_line => {
                    return Some(Next { at, at_top: true });
                }
                (Some(b'{'), Some(b'"')) => {
                    let rest = bytes.get(inside..)?;
                    if begins_envelope(rest) {
                        return Some(Next { at, at_top: true });
                    }
                    if rest.starts_with(of.first_key()) || rest.starts_with(b"\"eventVersion\"") {
                        return Some(Next { at, at_top: false });
                    }
                    let Some(end) = self.end(bytes, at) else { continue };
                    match serde_json::from_slice::<Looks<'_>>(bytes.get(at..end)?) {
                        Ok(looks) if looks.like(of) => return Some(Next { at, at_top: false }),
                        Ok(_) => passed = end,
                        Err(_) => {}
                    }
                }
                _ => {}
            }
        }
        None
    }
}

/// Whether an object with these members is one of the envelopes, by its first key.
fn begins_envelope(members: &[u8]) -> bool {
    const KEYS: [&[u8]; 3] = [b"\"Records\"", b"\"messageType\"", b"\"logEvents\""];
    KEYS.iter().any(|key| members.starts_with(key))
}

/// What tells that an object in the middle of something broken is an element of its own, and not
/// a part of what is broken.
#[derive(Deserialize)]
struct Looks<'a> {
    #[serde(borrow, default, rename = "eventName")]
    name: Option<Cow<'a, str>>,
    #[serde(default, rename = "eventSource")]
    source: Option<IgnoredAny>,
    #[serde(default, rename = "eventVersion")]
    version: Option<IgnoredAny>,
    #[serde(default, rename = "detail-type")]
    detail_type: Option<IgnoredAny>,
    #[serde(default)]
    message: Option<IgnoredAny>,
    #[serde(default, rename = "CloudTrailEvent")]
    lookup: Option<IgnoredAny>,
}

impl Looks<'_> {
    fn like(&self, of: Elements) -> bool {
        let is_record = self.name.is_some() && (self.source.is_some() || self.version.is_some());
        let is_element = match of {
            Elements::Any => self.detail_type.is_some(),
            Elements::LogEvents => self.message.is_some(),
            Elements::LookupEvents => self.lookup.is_some(),
        };
        is_record || is_element
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(input: &str) -> Option<&str> {
        let next = Scout::default().next(input.as_bytes(), 1, Elements::Any)?;
        input.get(next.at..)
    }

    #[test]
    fn the_next_record_is_found_but_not_inside_a_string() {
        let at = next(r#"{"a": "{\"eventVersion\"", { "eventVersion": 1}"#);
        assert_eq!(at, Some(r#"{ "eventVersion": 1}"#));
        assert_eq!(next("x\ny\n{}"), Some("{}"));
        assert_eq!(next(r#"{"a":{"b":1},{"c":2,"d":{"eventName":"x"}}"#), None);
        let sorted = r#"{"awsRegion":"x","eventName":"y","eventSource":"z"}"#;
        assert_eq!(next(&format!(r#"{{"a":"b,{{"c":1}},{sorted}"#)), Some(sorted));
    }
}
