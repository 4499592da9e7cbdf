//! `rolewatch config`

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::baseline::import::read_all;
use super::{Exit, say};
use crate::config::{Config, Fault, FaultKind, Parsed};
use crate::starter;
use crate::text::escape_controls;
use crate::text::plural;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Check expectations: every fault at once, with its line
    Check {
        /// The expectations (rolewatch.toml)
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Starter expectations from what trust policies demand today
    Derive {
        /// JSON of `aws iam get-account-authorization-details`; one file an account
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

pub(super) fn run(args: &Args) -> Exit {
    match &args.command {
        Command::Check { file } => check(file, today()),
        Command::Derive { files } => derive(files),
    }
}

fn derive(files: &[PathBuf]) -> Exit {
    let roles = match read_all(files) {
        Ok(roles) => roles,
        Err(exit) => return exit,
    };
    let toml = starter::toml(&roles.found);
    match anstream::stdout().write_all(toml.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::OutputFailed,
        _ if roles.problems > 0 => Exit::SomeUnread,
        _ => Exit::Done,
    }
}

#[expect(clippy::disallowed_methods, reason = "an expiry is told by the day it is asked for")]
fn today() -> Date {
    jiff::Timestamp::now().to_zoned(TimeZone::UTC).date()
}

fn check(file: &Path, today: Date) -> Exit {
    let (config, faults) = match load_and_tell(file, Some(today)) {
        Ok(found) => found,
        Err(exit) => return exit,
    };
    let written = writeln!(
        anstream::stdout(),
        "{}: {}, {}, {}",
        escape_controls(&file.display().to_string()),
        plural(config.roles() as u64, "role", "roles"),
        plural(config.exemptions() as u64, "exemption", "exemptions"),
        count(&faults)
    );
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::OutputFailed,
        _ => Exit::Done,
    }
}

/// The expectations of a file for a run. Faults are told; with an error among them nothing runs.
/// An exemption that has ended is no fault here: logs may be older than it.
pub(super) fn load(file: &Path) -> Result<Config, Exit> {
    load_and_tell(file, None).map(|(config, _)| config)
}

fn load_and_tell(file: &Path, today: Option<Date>) -> Result<(Config, Vec<Fault>), Exit> {
    let name = escape_controls(&file.display().to_string());
    let toml = read(file).map_err(|problem| {
        say(format_args!("rolewatch: {name}: {problem}"));
        Exit::Usage
    })?;
    let Parsed { config, mut faults } = Config::parse(&toml);
    let expired = |config: &Config| today.map(|today| config.expired(today)).unwrap_or_default();
    faults.extend(config.iter().flat_map(expired));
    faults.sort_by_key(|fault| fault.line);
    for fault in &faults {
        say(format_args!("{name}: {fault}"));
    }
    match config {
        Some(config) => Ok((config, faults)),
        None => {
            say(format_args!("{name}: {}", count(&faults)));
            Err(Exit::Usage)
        }
    }
}

/// The text of a file, or why there is none.
fn read(file: &Path) -> Result<String, String> {
    let bytes = std::fs::read(file).map_err(|error| format!("cannot be read: {error}"))?;
    String::from_utf8(bytes).map_err(|error| {
        let sound = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = 1 + memchr::memchr_iter(b'\n', sound).count();
        format!("line {line}: error: this is not UTF-8 text")
    })
}

fn count(faults: &[Fault]) -> String {
    let of = |kind| faults.iter().filter(|fault| fault.kind == kind).count() as u64;
    match (of(FaultKind::Error), of(FaultKind::Warning)) {
        (0, 0) => "no faults".to_owned(),
        (errors, 0) => plural(errors, "error", "errors"),
        (0, warnings) => plural(warnings, "warning", "warnings"),
        (errors, warnings) => format!(
            "{}, {}",
            plural(errors, "error", "errors"),
            plural(warnings, "warning", "warnings")
        ),
    }
}
