//! `rolewatch replay`

use std::io::{IsTerminal, stdout};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{Exit, say};
use crate::local::{self, Format, Inputs, Output, Progress};
use crate::pipeline;
use crate::report::{Report, plural};
use crate::severity::Severity;
use crate::state::State;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Log files, folders (searched to any depth), or - for standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How alerts are printed on standard output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Earlier events teach, and raise nothing (RFC 3339)
    #[arg(long, value_name = "TIME")]
    learn_until: Option<Timestamp>,
    /// Exit with status 3 if an alert is at least this severe
    #[arg(long, value_name = "SEVERITY")]
    fail_on: Option<Severity>,
}

pub(super) fn run(args: &Args) -> Exit {
    let started = Instant::now();
    let mut report = Report::default();
    let progress = Progress::on_stderr();
    let mut inputs = local::read(&args.paths, &progress, &mut report);
    progress.beside(|| {
        for problem in &inputs.problems {
            say(format_args!("rolewatch: {problem}"));
        }
    });
    let events = std::mem::take(&mut inputs.events);
    progress.judge(events.len() as u64);
    let events = events.into_iter().inspect(|_| progress.judged());
    let mut output = output(args.format, &progress);
    let mut state = State::default();
    let judged = pipeline::run(&mut state, events, args.learn_until, &mut output, &mut report)
        .and_then(|()| output.flush());
    progress.end();
    summarise(&report, &inputs, started.elapsed());
    if let Err(error) = judged {
        say(format_args!("rolewatch: alerts could not be written, so the run stopped: {error}"));
        return Exit::OutputFailed;
    }
    exit(args.fail_on, &report, &inputs)
}

/// Alerts on standard output, in its width and without colour where it has none.
fn output(format: Format, progress: &Progress) -> Output<impl std::io::Write + use<>> {
    let output = Output::new(anstream::AutoStream::auto(stdout()), format, local::width());
    if stdout().is_terminal() { output.beside(progress.clone()) } else { output }
}

fn exit(fail_on: Option<Severity>, report: &Report, inputs: &Inputs) -> Exit {
    match (fail_on, report.worst()) {
        (Some(limit), Some(worst)) if worst >= limit => Exit::FailOn,
        _ if inputs.problems.is_empty() => Exit::Done,
        _ => Exit::SomeUnread,
    }
}

fn summarise(report: &Report, inputs: &Inputs, took: Duration) {
    let span = report
        .span
        .map_or_else(|| "no events".to_owned(), |(first, last)| format!("{first} to {last}"));
    let seconds = took.as_secs_f64();
    let files = plural(inputs.files, "file", "files");
    say(report.sum());
    say(format_args!("{}; {files} read, {} unreadable", report.alert_line(), inputs.unreadable));
    say(format_args!(
        "{span}; {seconds:.2} s, {:.0} records/s",
        records_per_second(report.records(), seconds)
    ));
}

#[expect(clippy::cast_precision_loss, reason = "a rate for a person to read")]
fn records_per_second(records: u64, seconds: f64) -> f64 {
    records as f64 / seconds.max(1e-6)
}
