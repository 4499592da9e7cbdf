//! `rolewatch baseline import`

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::authorization::{self, AuthorizedRole};
use crate::cli::{Exit, say};
use crate::detect::imported;
use crate::local::baseline_file;
use crate::memory::WorkingSet;
use crate::pipeline::Remember;
use crate::starter;
use crate::state::{Change, State};
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
    /// The baseline to write
    #[arg(long, value_name = "FILE")]
    into: PathBuf,
}

pub(super) fn run(args: &Args) -> Exit {
    if let Err(error) = baseline_file::check_writable(&args.into) {
        say(format_args!("rolewatch: {}: {error}", args.into.display()));
        return Exit::Usage;
    }
    let start =
        args.baseline.as_deref().or(Some(&args.into).filter(|it| it.exists()).map(|it| &**it));
    let mut memory = match start.map_or_else(|| Ok(WorkingSet::default()), super::load) {
        Ok(memory) => memory,
        Err(exit) => return exit,
    };
    let roles = match read_all(&args.trust) {
        Ok(roles) => roles,
        Err(exit) => return exit,
    };
    let written = take_in(&mut memory, &roles.found, args.as_of.unwrap_or_else(now));
    if let Err(error) = baseline_file::save(&memory, &args.into) {
        say(format_args!("rolewatch: {}: {error}", args.into.display()));
        return Exit::OutputFailed;
    }
    say(format_args!(
        "{} of {} in {}: {written} new or changed, {} as remembered",
        plural(roles.found.len() as u64, "trust policy", "trust policies"),
        plural(starter::accounts(&roles.found).len() as u64, "account", "accounts"),
        args.into.display(),
        roles.found.len() as u64 - written,
    ));
    if roles.problems == 0 { Exit::Done } else { Exit::SomeUnread }
}

#[expect(clippy::disallowed_methods, reason = "the policies of an account are those of today")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// Takes in the policies; tells how many were not remembered so.
fn take_in(memory: &mut WorkingSet, roles: &[AuthorizedRole], time: Timestamp) -> u64 {
    let mut state = State::over(memory);
    let mut written = 0;
    for role in roles {
        let changes = imported(&state, role, time);
        written += u64::from(changes.iter().any(|it| matches!(it, Change::Write { .. })));
        state.apply(changes);
    }
    let overlay = state.into_overlay();
    memory.commit(overlay);
    written
}

/// The roles of several files.
pub(in crate::cli) struct Roles {
    /// Those that could be read.
    pub(in crate::cli) found: Vec<AuthorizedRole>,
    /// How many could not; each was told.
    pub(in crate::cli) problems: u64,
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
