//! `rolewatch baseline import`

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::authorization::{self, AuthorizedRole};
#[cfg(feature = "aws")]
use crate::cli::Remote;
use crate::cli::{Exit, say};
use crate::detect::imported;
use crate::local::baseline_file;
use crate::memory::WorkingSet;
use crate::pipeline::Remember;
use crate::starter;
use crate::state::{Change, Overlay, State};
use crate::text::{escape_controls, plural};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What replay has learned; without it the baseline of --into goes on, if there is one
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// JSON of `aws iam get-account-authorization-details`; one file an account
    #[arg(long, value_name = "AUTHZ.json")]
    trust: Vec<PathBuf>,
    /// When those policies were in force (RFC 3339); now, unless it is said
    #[arg(long, value_name = "TIME")]
    as_of: Option<Timestamp>,
    #[command(flatten)]
    place: Place,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    remote: Remote,
}

/// Where it goes: one of them.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Place {
    /// The baseline to write
    #[arg(long, value_name = "FILE")]
    into: Option<PathBuf>,
    /// The shared table of the Lambda, to join it with what is there
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
}

pub(super) fn run(args: &Args) -> Exit {
    let done = match &args.place.into {
        Some(file) => into_file(args, file),
        None => into_table(args),
    };
    done.unwrap_or_else(|exit| exit)
}

fn into_file(args: &Args, into: &Path) -> Result<Exit, Exit> {
    let fault = |error: &dyn std::fmt::Display, exit| {
        say(format_args!("rolewatch: {}: {error}", into.display()));
        exit
    };
    baseline_file::check_writable(into).map_err(|error| fault(&error, Exit::Usage))?;
    let start = args.baseline.as_deref().or(Some(into).filter(|it| it.exists()));
    let mut memory = start.map_or_else(|| Ok(WorkingSet::default()), super::load)?;
    let roles = read_all(&args.trust)?;
    let written = take_in(&mut memory, &roles.found, args.as_of.unwrap_or_else(now));
    baseline_file::save(&memory, into).map_err(|error| fault(&error, Exit::OutputFailed))?;
    Ok(roles.report(&into.display().to_string(), written))
}

#[cfg(feature = "aws")]
fn into_table(args: &Args) -> Result<Exit, Exit> {
    let Some(name) = &args.place.table else { return Err(Exit::Usage) };
    let memory = args.baseline.as_deref().map(super::load).transpose()?;
    let roles = read_all(&args.trust)?;
    let time = args.as_of.unwrap_or_else(now);
    let written = args.remote.run(async |aws| {
        super::table::import(aws, name, memory.as_ref(), (&roles.found, time)).await
    })??;
    let place = format!("table {name}");
    Ok(if roles.found.is_empty() && roles.problems == 0 {
        Exit::Done
    } else {
        roles.report(&place, written)
    })
}

#[cfg(not(feature = "aws"))]
fn into_table(_: &Args) -> Result<Exit, Exit> {
    Err(Exit::Usage)
}

#[expect(clippy::disallowed_methods, reason = "the policies of an account are those of today")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// Takes in the policies; tells how many were not remembered so.
fn take_in(memory: &mut WorkingSet, roles: &[AuthorizedRole], time: Timestamp) -> u64 {
    let (changes, written) = changes_of(memory, roles, time);
    memory.commit(changes);
    written
}

/// What the policies change over what is remembered, and how many were not remembered so.
pub(super) fn changes_of(
    memory: &WorkingSet,
    roles: &[AuthorizedRole],
    time: Timestamp,
) -> (Overlay, u64) {
    let mut state = State::over(memory);
    let mut written = 0;
    for role in roles {
        let changes = imported(&state, role, time);
        written += u64::from(changes.iter().any(|it| matches!(it, Change::Write { .. })));
        state.apply(&changes);
    }
    (state.into_overlay(), written)
}

/// The roles of several files.
pub(in crate::cli) struct Roles {
    /// Those that could be read.
    pub(in crate::cli) found: Vec<AuthorizedRole>,
    /// How many could not; each was told.
    pub(in crate::cli) problems: u64,
}

impl Roles {
    /// Says what became of the policies, and how that ends.
    fn report(&self, place: &str, written: u64) -> Exit {
        say(format_args!(
            "{} of {} in {place}: {written} new or changed, {} as remembered",
            plural(self.found.len() as u64, "trust policy", "trust policies"),
            plural(starter::accounts(&self.found).len() as u64, "account", "accounts"),
            self.found.len() as u64 - written,
        ));
        if self.problems == 0 { Exit::Done } else { Exit::SomeUnread }
    }
}

/// Reads files of authorization details. A file that is none stops the run; a role that cannot
/// be read is told.
pub(in crate::cli) fn read_all(files: &[PathBuf]) -> Result<Roles, Exit> {
    let mut roles = Roles { found: Vec::new(), problems: 0 };
    for file in files {
        let name = escape_controls(&file.display().to_string());
        let read = read(file).map_err(|problem| {
            say(format_args!("rolewatch: {name}: {problem}"));
            Exit::Usage
        })?;
        for problem in &read.problems {
            say(format_args!("rolewatch: {name}: {problem}"));
        }
        roles.problems += read.problems.len() as u64;
        roles.found.extend(read.roles);
    }
    Ok(roles)
}

fn read(file: &Path) -> Result<authorization::Authorization, String> {
    let json = std::fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}"))?;
    authorization::read(&json)
}
