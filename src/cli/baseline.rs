//! `rolewatch baseline`

pub(super) mod import;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Exit, say};
use crate::baseline::describe;
use crate::local::baseline_file;
use crate::memory::WorkingSet;

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
    for (arn, baseline) in memory.roles() {
        match role {
            None => text.push_str(&(describe::in_a_line(&arn, &baseline) + "\n")),
            Some(role) if role == arn.as_str() || role == arn.name() => {
                text.push_str(&describe::in_full(&arn, &baseline));
            }
            Some(_) => {}
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
