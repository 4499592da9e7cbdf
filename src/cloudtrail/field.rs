//! Lenient access to the fields of a record: numbers and booleans may be strings and strings
//! may be empty, null or missing, and none of that is an error by itself.

use std::borrow::Cow;
use std::str::FromStr;

use crate::json::{Json, Kind};
use crate::text::Text;

/// A string that is there and is not empty.
#[inline(always)]
pub(super) fn str<'a>(value: Json<'a>, name: &str) -> Option<Cow<'a, str>> {
    value.get(name).as_str().filter(|it| !it.is_empty())
}

/// A string, number or boolean as bounded text.
#[inline(always)]
pub(super) fn text(value: Json<'_>, name: &str) -> Option<Text> {
    let it = value.get(name);
    match it.kind() {
        Kind::String => it.as_str().filter(|it| !it.is_empty()).map(|it| Text::clip(&it)),
        Kind::Number | Kind::Bool => Some(Text::clip(&it.to_value().to_string())),
        Kind::Null | Kind::Array | Kind::Object => None,
    }
}

/// A string or number that is a well-formed `T`.
#[inline(always)]
pub(super) fn parsed<T: FromStr>(value: Json<'_>, name: &str) -> Option<T> {
    let it = value.get(name);
    match it.kind() {
        Kind::String => it.as_str()?.parse().ok(),
        Kind::Number => it.to_value().to_string().parse().ok(),
        _ => None,
    }
}

/// A nested value, or null. The path is an array, so that its names are known where it is asked
/// for, and with them their marks.
#[inline(always)]
pub(super) fn at<'a, const N: usize>(value: Json<'a>, path: [&str; N]) -> Json<'a> {
    let mut inner = value;
    for name in path {
        inner = inner.get(name);
    }
    inner
}

/// What stands before the first colon, and behind it if there is one. Two are cut of every call,
/// for which the standard library takes four times as long.
#[inline]
pub(super) fn cut(text: &str) -> (&str, Option<&str>) {
    let parts = memchr::memchr(b':', text.as_bytes()).and_then(|at| text.split_at_checked(at));
    parts.map_or((text, None), |(head, tail)| (head, tail.get(1..)))
}

/// `true`, `"true"`, `"True"`; `false` likewise.
#[inline(always)]
pub(super) fn bool(value: Json<'_>, name: &str) -> Option<bool> {
    let it = value.get(name);
    let text = it.as_str().unwrap_or_default();
    match text {
        _ if it.kind() == Kind::Bool => it.as_bool(),
        it if it.eq_ignore_ascii_case("true") => Some(true),
        it if it.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}
