//! What stands at the end of a run.

use std::time::Duration;

use super::say;
use crate::memory::WorkingSet;
use crate::report::Report;
use crate::text::plural;

/// Tells what became of every record, what was raised, from where it was `read`, and how fast.
pub(super) fn tell(report: &Report, read: &str, took: Duration) {
    let span = report
        .span
        .map_or_else(|| "no events".to_owned(), |(first, last)| format!("{first} to {last}"));
    let seconds = took.as_secs_f64();
    say(report.sum());
    say(format_args!("{}; {read}", report.alert_line()));
    let rate = per_second(report.records(), seconds);
    say(format_args!("{span}; {seconds:.2} s, {rate:.0} records/s"));
}

/// Tells what had to go from memory, if anything, and what helps; and of which chains the beginning
/// was never seen.
pub(super) fn tell_forgotten(memory: &WorkingSet, helps: &str) {
    if memory.evicted() > 0 {
        let evicted = plural(
            memory.evicted(),
            "role, caller or trust policy",
            "roles, callers and trust policies",
        );
        say(format_args!("{evicted} forgotten for want of room{helps}"));
    }
    let lost = memory.lost();
    if lost.sessions + lost.waiting > 0 {
        let sessions = plural(lost.sessions, "live session", "live sessions");
        let waiting = plural(lost.waiting, "waiting record", "waiting records");
        say(format_args!("{sessions} and {waiting} forgotten for want of room"));
    }
    if lost.unanswered > 0 {
        let calls = plural(lost.unanswered, "call was", "calls were");
        say(format_args!(
            "{calls} made by sessions whose beginning is not in these logs: their chains are incomplete"
        ));
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for a person to read")]
pub(super) fn per_second(records: u64, seconds: f64) -> f64 {
    records as f64 / seconds.max(1e-6)
}
