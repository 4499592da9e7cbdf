//! `rolewatch baseline`

pub(super) mod import;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Exit, say};
use crate::baseline::describe;
use crate::id::RoleArn;
use crate::local::baseline_file;
use crate::memory::WorkingSet;
use crate::state::Memory;
use crate::trust::{self, RoleKey};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// What is normal for a role, in words and numbers
    Show {
        /// A file that `replay --save-baseline` wrote
        file: PathBuf,
        /// The role's name or ARN; all roles are listed without one
        role: Option<String>,
    },
    /// Take in what trust policies say today, beside what replay has learned
    Import(import::Args),
}

pub(super) fn run(args: &Args) -> Exit {
    match &args.command {
        Command::Show { file, role } => show(file, role.as_deref()),
        Command::Import(args) => import::run(args),
    }
}

/// The saved baseline of a file; why there is none is told.
pub(super) fn load(file: &Path) -> Result<WorkingSet, Exit> {
    baseline_file::load(file).map_err(|error| {
        say(format_args!("rolewatch: {}: {error}", file.display()));
        Exit::Usage
    })
}

fn show(file: &Path, role: Option<&str>) -> Exit {
    let memory = match load(file) {
        Ok(memory) => memory,
        Err(exit) => return exit,
    };
    let mut text = String::new();
    let is_meant = |arn: &RoleArn| role.is_none_or(|it| it == arn.as_str() || it == arn.name());
    let roles = memory.roles();
    for (arn, baseline) in roles.iter().filter(|(arn, _)| is_meant(arn)) {
        let trust = RoleKey::of(arn).and_then(|key| memory.trust(&key));
        match (role, trust) {
            (None, _) => text.push_str(&(describe::in_a_line(arn, baseline) + "\n")),
            (Some(_), trust) => {
                text.push_str(&describe::in_full(arn, baseline));
                text.push_str(&trust.map(|it| trust::describe(&it)).unwrap_or_default());
            }
        }
    }
    // Roles that were never taken, of which a policy was written or imported.
    let learned: HashSet<RoleKey> = roles.iter().filter_map(|(arn, _)| RoleKey::of(arn)).collect();
    for (key, history) in memory.trust_policies() {
        let is_meant = match history.arn() {
            Some(arn) => is_meant(arn),
            None => role.is_none_or(|it| it.eq_ignore_ascii_case(key.name())),
        };
        if learned.contains(&key) || !is_meant {
            continue;
        }
        let name = history.arn().map_or_else(|| key.to_string(), ToString::to_string);
        let _ = writeln!(text, "{name}: no use of it was learned, and its trust policy is known");
        if role.is_some() {
            text.push_str(&trust::describe(&history));
        }
    }
    if let (Some(role), true) = (role, text.is_empty()) {
        let role = crate::text::inline(role);
        say(format_args!(
            "rolewatch: {} knows no role `{role}`: leave it out to list all",
            file.display()
        ));
        return Exit::Usage;
    }
    match anstream::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::OutputFailed,
        _ => Exit::Done,
    }
}
