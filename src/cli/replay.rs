//! `rolewatch replay`

use std::io::{IsTerminal, stdout};
use std::path::{Path, PathBuf};
use std::time::Instant;

use jiff::Timestamp;

use super::{Exit, baseline, config, say, summary};
use crate::config::Config;
use crate::event::Event;
use crate::local::{self, Format, Inputs, Output, Progress, baseline_file};
use crate::memory::WorkingSet;
use crate::pipeline::{Watch, run_batch};
use crate::report::Report;
use crate::severity::Severity;
use crate::text::plural;

/// Events judged in one transaction. Large enough to spare the memory, small enough that
/// alerts come while a long replay runs.
const BATCH: usize = 1_000;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Log files, folders (searched to any depth), or - for standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// What is declared and accepted (rolewatch.toml)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How alerts are printed on standard output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Start from a saved baseline
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Save the baseline afterwards
    #[arg(long, value_name = "FILE")]
    save_baseline: Option<PathBuf>,
    /// Earlier events teach, and raise nothing (RFC 3339)
    #[arg(long, value_name = "TIME")]
    learn_until: Option<Timestamp>,
    /// Exit with status 3 if an alert is at least this severe
    #[arg(long, value_name = "SEVERITY")]
    fail_on: Option<Severity>,
}

pub(super) fn run(args: &Args) -> Exit {
    if let Some(file) = &args.save_baseline
        && let Err(error) = baseline_file::check_writable(file)
    {
        say(format_args!("rolewatch: {}: {error}", file.display()));
        return Exit::Usage;
    }
    match (load_config(args.config.as_deref()), load_baseline(args.baseline.as_deref())) {
        (Ok(config), Ok(memory)) => replay(args, &config, memory),
        (Err(exit), _) | (_, Err(exit)) => exit,
    }
}

pub(super) fn load_config(file: Option<&Path>) -> Result<Config, Exit> {
    file.map_or_else(|| Ok(Config::default()), config::load)
}

pub(super) fn load_baseline(file: Option<&Path>) -> Result<WorkingSet, Exit> {
    file.map_or_else(|| Ok(WorkingSet::default()), baseline::load)
}

fn replay(args: &Args, config: &Config, mut memory: WorkingSet) -> Exit {
    let started = Instant::now();
    let mut report = Report::default();
    let progress = Progress::on_stderr();
    let mut inputs = local::read(&args.paths, &progress, &mut report);
    progress.beside(|| {
        for problem in &inputs.files.problems {
            say(format_args!("rolewatch: {problem}"));
        }
    });
    let events = std::mem::take(&mut inputs.events);
    let mut output = output(args.format, &progress);
    let watch = Watch { config, learn_until: args.learn_until };
    if let Some(first) = events.first() {
        memory.go_back_to(first.call().time);
    }
    let judged = judge(&mut memory, watch, &events, &mut output, &progress, &mut report);
    progress.end();
    summary::tell_forgotten(&memory, ": replay fewer logs at once");
    let files = plural(inputs.files.files, "file", "files");
    let read = format!("{files} read, {} unreadable", inputs.files.unreadable);
    summary::tell(&report, &read, started.elapsed());
    if let Err(error) = judged {
        say(format_args!("rolewatch: alerts could not be written, so the run stopped: {error}"));
        return Exit::OutputFailed;
    }
    if let Some(file) = &args.save_baseline
        && let Err(message) = save(&memory, file, output.is_closed())
    {
        say(format_args!("rolewatch: {}: {message}", file.display()));
        return Exit::OutputFailed;
    }
    exit(args.fail_on, &report, &inputs)
}

fn judge<W: std::io::Write>(
    memory: &mut WorkingSet,
    watch: Watch<'_>,
    events: &[Event],
    output: &mut Output<W>,
    progress: &Progress,
    report: &mut Report,
) -> std::io::Result<()> {
    progress.judge(events.len() as u64);
    for batch in events.chunks(BATCH) {
        run_batch(memory, watch, batch, output, report).map_err(|(_, error)| error)?;
        output.flush()?;
        progress.judged(batch.len() as u64);
    }
    Ok(())
}

/// Saves what was learned, unless the reader of the alerts has gone: then some were never seen,
/// and what they were about must not become normal.
pub(super) fn save(memory: &WorkingSet, file: &Path, closed: bool) -> Result<(), String> {
    if closed {
        return Err("was not saved, for not all alerts were read: let them be read, or \
                    write them to a file"
            .to_owned());
    }
    baseline_file::save(memory, file).map_err(|error| error.to_string())
}

/// Alerts go beside the progress where both are on the terminal.
pub(super) fn output(format: Format, progress: &Progress) -> Output<impl std::io::Write + use<>> {
    let output = Output::new(anstream::AutoStream::auto(stdout()), format, local::width());
    if stdout().is_terminal() { output.beside(progress.clone()) } else { output }
}

fn exit(fail_on: Option<Severity>, report: &Report, inputs: &Inputs) -> Exit {
    match (fail_on, report.worst()) {
        (Some(limit), Some(worst)) if worst >= limit => Exit::FailOn,
        _ if inputs.files.problems.is_empty() => Exit::Done,
        _ => Exit::SomeUnread,
    }
}
