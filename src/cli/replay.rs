//! `rolewatch replay`

use std::io::{self, IsTerminal, stdout};
use std::path::{Path, PathBuf};
use std::time::Instant;

use jiff::Timestamp;

use super::{Exit, baseline, config, say, summary};
use crate::config::Config;
use crate::local::{self, Files, Format, Output, Progress, Sorted, baseline_file};
use crate::memory::WorkingSet;
use crate::pipeline::{Watch, run_batch};
use crate::report::Report;
use crate::severity::Severity;
use crate::text::plural;

/// Events judged in one transaction. Large enough to spare the memory, small enough that
/// alerts come while a long replay runs.
const BATCH: usize = 250;

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
    let (mut events, files) = match local::read(&args.paths, &progress, &mut report) {
        Ok(inputs) => (inputs.events, inputs.files),
        Err(error) => {
            progress.end();
            say(format_args!("rolewatch: {}", no_room(&error)));
            return Exit::OutputFailed;
        }
    };
    progress.beside(|| {
        for problem in &files.problems {
            say(format_args!("rolewatch: {problem}"));
        }
    });
    let mut output = output(args.format, &progress);
    let watch = Watch { config, learn_until: args.learn_until };
    if let Some(first) = events.first() {
        memory.go_back_to(first.call().time);
    }
    let judged = judge(&mut memory, watch, &mut events, &mut output, &progress, &mut report);
    progress.end();
    summary::tell_forgotten(&memory, ": replay fewer logs at once");
    let read = plural(files.files, "file", "files");
    let read = format!("{read} read, {} unreadable", files.unreadable);
    summary::tell(&report, &read, started.elapsed());
    if let Err(message) = judged {
        say(format_args!("rolewatch: {message}"));
        return Exit::OutputFailed;
    }
    if let Some(file) = &args.save_baseline
        && let Err(message) = save(&memory, file, output.is_closed())
    {
        say(format_args!("rolewatch: {}: {message}", file.display()));
        return Exit::OutputFailed;
    }
    exit(args.fail_on, &report, &files)
}

pub(super) fn no_room(error: &io::Error) -> String {
    format!(
        "events that do not fit into memory could not be kept in the folder for temporary files, \
         so nothing was judged: {error}: make room there, or name another folder in TMPDIR"
    )
}

fn judge<W: io::Write>(
    memory: &mut WorkingSet,
    watch: Watch<'_>,
    events: &mut Sorted,
    output: &mut Output<W>,
    progress: &Progress,
    report: &mut Report,
) -> Result<(), String> {
    let unread = |error| {
        format!("events that were set aside could not be read again, so the run stopped: {error}")
    };
    let unwritten = |error| format!("alerts could not be written, so the run stopped: {error}");
    progress.judge(events.total());
    loop {
        let batch = events.take_batch(BATCH).map_err(unread)?;
        if batch.is_empty() {
            return Ok(());
        }
        let done = run_batch(memory, watch, &batch, output, report);
        done.map_err(|(_, error)| unwritten(error))?;
        output.flush().map_err(unwritten)?;
        progress.judged(batch.len() as u64);
    }
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
pub(super) fn output(format: Format, progress: &Progress) -> Output<impl io::Write + use<>> {
    let output = Output::new(anstream::AutoStream::auto(stdout()), format, local::width());
    if stdout().is_terminal() { output.beside(progress.clone()) } else { output }
}

fn exit(fail_on: Option<Severity>, report: &Report, files: &Files) -> Exit {
    match (fail_on, report.worst()) {
        (Some(limit), Some(worst)) if worst >= limit => Exit::FailOn,
        _ if files.problems.is_empty() => Exit::Done,
        _ => Exit::SomeUnread,
    }
}
