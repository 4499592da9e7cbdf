//! What is normal for a role, in words and numbers.

use std::fmt::Write;

use super::{Habits, RoleBaseline, Table};
use crate::baseline::Dimension;
use crate::event::CallerClass;
use crate::id::{ExternalId, RoleArn};
use crate::text::{inline, plural};

/// Values of one dimension that are shown; the rest is counted.
const SHOWN: usize = 8;

/// One line: how often a role was taken, by how many, and when last.
#[must_use]
pub fn in_a_line(role: &RoleArn, baseline: &RoleBaseline) -> String {
    let principals = baseline.turnover_of_all(Dimension::Principal).values;
    let calls = baseline.calls_of_all(Dimension::Principal);
    format!(
        "{role}: {} by {}, {}",
        plural(calls, "call", "calls"),
        plural(u64::from(principals), "principal", "principals"),
        match baseline.last_taken() {
            Some(time) => format!("last taken {time}"),
            None if baseline.iter().next().is_some() => "taken by services alone".to_owned(),
            None => "no use of it was learned".to_owned(),
        }
    )
}

/// Everything: for each class of callers and each dimension the values, how often and on how
/// many days, and how soon a new one is expected.
#[must_use]
pub fn in_full(role: &RoleArn, baseline: &RoleBaseline) -> String {
    let mut text = in_a_line(role, baseline);
    text.push('\n');
    if let Some(id) = baseline.id() {
        let _ = writeln!(text, "  unique id {id}");
    }
    for (class, habits) in baseline.iter() {
        describe_class(&mut text, class, habits);
    }
    if !baseline.folds.is_empty() {
        let kinds = plural(baseline.folds.len() as u64, "kind", "kinds");
        let _ = writeln!(text, "  {kinds} of alerts on it are remembered");
    }
    text
}

fn describe_class(text: &mut String, class: CallerClass, habits: &Habits) {
    let _ = writeln!(
        text,
        "  taken by {}",
        match class {
            CallerClass::Service => "AWS services",
            CallerClass::Person => "people",
            CallerClass::Workload => "workloads",
            CallerClass::ExternalAccount => "callers of other accounts",
        }
    );
    for (dimension, table) in habits.iter() {
        describe_table(text, dimension, table);
    }
}

fn describe_table(text: &mut String, dimension: Dimension, table: Table<'_>) {
    let turnover = table.turnover();
    let (one, many) = dimension.words();
    let days = 1.0 / turnover.chance_of_new().max(f64::MIN_POSITIVE);
    let _ = writeln!(
        text,
        "    {}, a new one on one day in {days:.0} ({:.1} bits)",
        plural(u64::from(turnover.values), one, many),
        turnover.bits_of_new()
    );
    let mut values: Vec<_> = table.iter().collect();
    values.sort_by_key(|(value, seen)| (std::cmp::Reverse(seen.count), *value));
    for (value, seen) in values.iter().take(SHOWN) {
        let _ = writeln!(
            text,
            "      {}: {} on {}, last {}",
            shown(dimension, value),
            plural(seen.count, "call", "calls"),
            plural(u64::from(seen.days.count()), "day", "days"),
            seen.last
        );
    }
    let more = values.len().saturating_sub(SHOWN);
    if more > 0 || table.evicted() > 0 {
        let _ = writeln!(text, "      and {more} more kept, {} forgotten", table.evicted());
    }
}

/// A value as it may be shown: of an ExternalId the first digits of its digest.
fn shown(dimension: Dimension, value: &str) -> String {
    match (dimension, value.split_once(' ')) {
        (Dimension::ExternalId, Some((account, id))) => match ExternalId::from_hex(id) {
            Ok(id) => format!("{account} {id}"),
            Err(_) => format!("{account} none"),
        },
        _ => inline(value),
    }
}
