//! One table of the file, key by key: what is wrong is noted, what is right comes back.

use std::ops::RangeInclusive;

use jiff::civil::Date;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Faults, instead_of};
use crate::text::inline;

/// A table whose keys are known.
pub(super) struct Section<'a> {
    /// How the table is written: `[[role]]`.
    name: &'static str,
    /// Where it begins, in bytes.
    pub(super) at: usize,
    table: &'a DeTable<'a>,
}

/// A text of the file and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

impl<'a> Section<'a> {
    /// Opens a table and notes the keys that it should not have.
    pub(super) fn open(
        name: &'static str,
        keys: &[&str],
        value: &'a Spanned<DeValue<'a>>,
        faults: &mut Faults,
    ) -> Option<Self> {
        let at = value.span().start;
        let Some(table) = value.get_ref().as_table() else {
            let message = match value.get_ref() {
                DeValue::Array(_) => format!("there is one of these: write `{name}`, once"),
                other => format!("this is no section, but {}: write `{name}`", kind_of(other)),
            };
            faults.error(at, message);
            return None;
        };
        for key in table.keys() {
            let word: &str = key.get_ref();
            if !keys.contains(&word) {
                let (word, instead) = (inline(word), instead_of(word, keys));
                let message = format!("unknown key `{word}` in `{name}`: {instead}");
                faults.error(key.span().start, message);
            }
        }
        Some(Self { name, at, table })
    }

    /// Whether nothing but this key is set.
    pub(super) fn has_only(&self, key: &str) -> bool {
        self.table.len() == 1 && self.has(key)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Where a key stands or, where it is missing, its table.
    pub(super) fn at(&self, key: &str) -> usize {
        self.table.get_key_value(key).map_or(self.at, |(key, _)| key.span().start)
    }

    /// Notes a key that has to be there and is not.
    pub(super) fn demand(&self, key: &str, hint: &str, faults: &mut Faults) {
        if !self.has(key) {
            faults.error(self.at, format!("`{}` has no `{key}`: {hint}", self.name));
        }
    }

    pub(super) fn text(&self, key: &str, faults: &mut Faults) -> Option<Item<'a>> {
        let value = self.table.get(key)?;
        let item = as_text(value);
        if item.is_none() {
            self.wrong_type(key, "a text in quotes", value, faults);
        }
        item
    }

    /// A list of texts that holds one at least, and what `read` made of those that it could read.
    pub(super) fn list<T>(
        &self,
        key: &str,
        faults: &mut Faults,
        mut read: impl FnMut(Item<'a>, &mut Faults) -> Option<T>,
    ) -> Option<Vec<T>> {
        let value = self.table.get(key)?;
        let Some(items) = value.get_ref().as_array() else {
            self.wrong_type(key, "a list of texts in quotes", value, faults);
            return None;
        };
        if items.is_empty() {
            let message = format!("`{key}` is empty, which says nothing: fill it or take it out");
            faults.error(value.span().start, message);
        }
        let mut all = Vec::new();
        for value in items {
            match as_text(value) {
                Some(item) => all.extend(read(item, faults)),
                None => self.wrong_type(key, "a list of texts in quotes", value, faults),
            }
        }
        Some(all)
    }

    pub(super) fn integer(
        &self,
        key: &str,
        range: RangeInclusive<u32>,
        faults: &mut Faults,
    ) -> Option<u32> {
        let value = self.table.get(key)?;
        let (least, most) = (range.start(), range.end());
        let DeValue::Integer(integer) = value.get_ref() else {
            self.wrong_type(key, &format!("a whole number from {least} to {most}"), value, faults);
            return None;
        };
        let number = i64::from_str_radix(integer.as_str(), integer.radix());
        let number = number.ok().and_then(|it| u32::try_from(it).ok());
        let fits = number.filter(|it| range.contains(it));
        if fits.is_none() {
            let given = inline(&integer.to_string());
            let message = format!("`{key}` has to be from {least} to {most}, not `{given}`");
            faults.error(value.span().start, message);
        }
        fits
    }

    /// A number above 0 and at most `most`, with or without a fraction.
    pub(super) fn positive(&self, key: &str, most: f64, faults: &mut Faults) -> Option<f64> {
        let value = self.table.get(key)?;
        let given = match value.get_ref() {
            DeValue::Float(float) => float.as_str(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            _ => {
                let wanted = format!("a number above 0 and at most {most}");
                self.wrong_type(key, &wanted, value, faults);
                return None;
            }
        };
        let fits = given.parse().ok().filter(|it| *it > 0.0 && *it <= most);
        if fits.is_none() {
            let given = inline(given);
            let message = format!("`{key}` has to be above 0 and at most {most}, not `{given}`");
            faults.error(value.span().start, message);
        }
        fits
    }

    /// A date without a time of day.
    pub(super) fn date(&self, key: &str, faults: &mut Faults) -> Option<Date> {
        const WANTED: &str = "a date like 2027-01-31, without quotes and time";
        let value = self.table.get(key)?;
        let date = value.get_ref().as_datetime().filter(|it| it.time.is_none());
        let date = date.and_then(|it| it.date).and_then(|it| {
            let (month, day) = (i8::try_from(it.month).ok()?, i8::try_from(it.day).ok()?);
            Date::new(i16::try_from(it.year).ok()?, month, day).ok()
        });
        if date.is_none() {
            self.wrong_type(key, WANTED, value, faults);
        }
        date
    }

    /// Notes a value of the wrong type, of which nothing is shown: it may be a secret.
    fn wrong_type(&self, key: &str, wanted: &str, value: &Spanned<DeValue<'_>>, to: &mut Faults) {
        let kind = kind_of(value.get_ref());
        to.error(
            value.span().start,
            format!("`{key}` in `{}` wants {wanted}, not {kind}", self.name),
        );
    }
}

fn as_text<'a>(value: &'a Spanned<DeValue<'_>>) -> Option<Item<'a>> {
    Some(Item { text: value.get_ref().as_str()?, at: value.span().start })
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(it) if it.time.is_some() => "a date and time",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
