//! Lenient access to the fields of a record: numbers and booleans may be strings and strings
//! may be empty, null or missing, and none of that is an error by itself.

use std::str::FromStr;

use serde_json::Value;

use crate::text::Text;

/// A string that is there and is not empty.
pub(super) fn str<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(Value::as_str).filter(|it| !it.is_empty())
}

/// A string, number or boolean as bounded text.
pub(super) fn text(value: &Value, name: &str) -> Option<Text> {
    match value.get(name)? {
        Value::String(it) if it.is_empty() => None,
        Value::String(it) => Some(Text::clip(it)),
        it @ (Value::Number(_) | Value::Bool(_)) => Some(Text::clip(&it.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A string or number that is a well-formed `T`.
pub(super) fn parsed<T: FromStr>(value: &Value, name: &str) -> Option<T> {
    match value.get(name)? {
        Value::String(it) => it.parse().ok(),
        Value::Number(it) => it.to_string().parse().ok(),
        _ => None,
    }
}

/// A nested value, or null.
pub(super) fn at<'a>(value: &'a Value, path: &[&str]) -> &'a Value {
    path.iter().fold(value, |inner, name| inner.get(*name).unwrap_or(&Value::Null))
}

/// `true`, `"true"`, `"True"`; `false` likewise.
pub(super) fn bool(value: &Value, name: &str) -> Option<bool> {
    match value.get(name)? {
        Value::Bool(it) => Some(*it),
        Value::String(it) if it.eq_ignore_ascii_case("true") => Some(true),
        Value::String(it) if it.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}
