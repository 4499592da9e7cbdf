//! Filter patterns of CloudWatch Logs, as far as the feed uses them: strings that have to be
//! equal, joined by `&&` and `||` with parentheses.

use serde_json::Value;

#[derive(Debug)]
pub enum Pattern {
    Equal(String, String),
    All(Vec<Pattern>),
    Any(Vec<Pattern>),
}

impl Pattern {
    pub fn parse(text: &str) -> Self {
        let inner = text.strip_prefix('{').and_then(|it| it.strip_suffix('}')).expect("braces");
        let (pattern, rest) = Self::any(inner);
        assert_eq!(rest.trim(), "", "read to its end");
        pattern
    }

    fn any(text: &str) -> (Self, &str) {
        Self::joined(text, "||", Self::all, Self::Any)
    }

    fn all(text: &str) -> (Self, &str) {
        Self::joined(text, "&&", Self::one, Self::All)
    }

    fn joined<'t>(
        text: &'t str,
        by: &str,
        part: fn(&str) -> (Self, &str),
        make: fn(Vec<Self>) -> Self,
    ) -> (Self, &'t str) {
        let (first, mut rest) = part(text);
        let mut parts = vec![first];
        while let Some(more) = rest.trim_start().strip_prefix(by) {
            let (next, after) = part(more);
            parts.push(next);
            rest = after;
        }
        (make(parts), rest)
    }

    fn one(text: &str) -> (Self, &str) {
        let text = text.trim_start();
        if let Some(inner) = text.strip_prefix('(') {
            let (pattern, rest) = Self::any(inner);
            return (pattern, rest.trim_start().strip_prefix(')').expect("a closing parenthesis"));
        }
        let (key, rest) = text.strip_prefix("$.").and_then(|it| it.split_once(" = \"")).unwrap();
        let (value, rest) = rest.split_once('"').unwrap();
        (Self::Equal(key.to_owned(), value.to_owned()), rest)
    }

    pub fn matches(&self, record: &Value) -> bool {
        match self {
            Self::Equal(key, value) => record[key.as_str()] == **value,
            Self::All(parts) => parts.iter().all(|part| part.matches(record)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(record)),
        }
    }

    /// Each source with each name that is asked for beside it.
    pub fn pairs(&self) -> Vec<(&str, &str)> {
        let Self::Any(groups) = self else { panic!("groups by source: {self:?}") };
        let mut pairs = Vec::new();
        for group in groups {
            let (sources, names) = (group.values("eventSource"), group.values("eventName"));
            assert_eq!(sources.len(), 1, "{group:?}");
            pairs.extend(names.into_iter().map(|name| (sources[0], name)));
        }
        pairs
    }

    fn values(&self, wanted: &str) -> Vec<&str> {
        match self {
            Self::Equal(key, value) if key == wanted => vec![value],
            Self::Equal(..) => Vec::new(),
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().flat_map(|part| part.values(wanted)).collect()
            }
        }
    }
}
