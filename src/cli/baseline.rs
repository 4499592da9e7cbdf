//! `rolewatch baseline`

pub(super) mod import;
#[cfg(feature = "aws")]
mod table;

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(feature = "aws")]
use super::Remote;
use super::{Exit, say};
use crate::baseline::{RoleBaseline, describe};
use crate::id::{RoleArn, RoleKey};
use crate::local::baseline_file;
use crate::memory::WorkingSet;
use crate::trust::{self, History};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// What is normal for a role, in words and numbers
    Show(Show),
    /// Take in what replay has learned, and what trust policies say today
    Import(import::Args),
}

#[derive(Debug, clap::Args)]
struct Show {
    /// A file that `replay --save-baseline` wrote
    #[cfg_attr(feature = "aws", arg(required_unless_present = "table"))]
    #[cfg_attr(not(feature = "aws"), arg(required = true))]
    file: Option<PathBuf>,
    /// The role's name or ARN; all roles are listed without one
    role: Option<String>,
    /// The shared table of the Lambda, instead of a file
    #[cfg(feature = "aws")]
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    #[cfg(feature = "aws")]
    #[command(flatten)]
    remote: Remote,
}

pub(super) fn run(args: &Args) -> Exit {
    match &args.command {
        Command::Import(args) => import::run(args),
        #[cfg(feature = "aws")]
        Command::Show(Show { table: Some(name), file, remote, .. }) => {
            // With a table there is no file, and what stands in its place is the role.
            let role = file.as_deref().map(|role| role.to_string_lossy().into_owned());
            let shown = remote.run(async |aws| table::show(aws, name, role.as_deref()).await);
            shown.unwrap_or_else(|exit| exit)
        }
        Command::Show(it) => {
            let Some(file) = &it.file else { return Exit::Usage };
            let shown = load(file).map(|memory| {
                let trust = memory.trust_policies().into_iter().collect();
                let known = Known { roles: memory.roles(), trust };
                tell(&file.display().to_string(), it.role.as_deref(), &known)
            });
            shown.unwrap_or_else(|exit| exit)
        }
    }
}

/// The saved baseline of a file; why there is none is told.
pub(super) fn load(file: &Path) -> Result<WorkingSet, Exit> {
    baseline_file::load(file).map_err(|error| {
        say(format_args!("rolewatch: {}: {error}", file.display()));
        Exit::Usage
    })
}

/// What is to be shown, of a file or of a table.
struct Known {
    roles: Vec<(RoleArn, Arc<RoleBaseline>)>,
    trust: BTreeMap<RoleKey, Arc<History>>,
}

/// Prints the roles of `place`, or the one that is asked for.
fn tell(place: &str, role: Option<&str>, known: &Known) -> Exit {
    let mut text = String::new();
    let is_meant = |arn: &RoleArn| role.is_none_or(|it| it == arn.as_str() || it == arn.name());
    for (arn, baseline) in known.roles.iter().filter(|(arn, _)| is_meant(arn)) {
        let trust = known.trust.get(&RoleKey::of(arn));
        match (role, trust) {
            (None, _) => text.push_str(&(describe::in_a_line(arn, baseline) + "\n")),
            (Some(_), trust) => {
                text.push_str(&describe::in_full(arn, baseline));
                text.push_str(&trust.map(|it| trust::describe(it)).unwrap_or_default());
            }
        }
    }
    // Roles that were never taken, of which a policy was written or imported.
    let learned: HashSet<RoleKey> = known.roles.iter().map(|(arn, _)| RoleKey::of(arn)).collect();
    for (key, history) in &known.trust {
        let is_meant = match history.arn() {
            Some(arn) => is_meant(arn),
            None => role.is_none_or(|it| it.eq_ignore_ascii_case(key.name())),
        };
        if learned.contains(key) || !is_meant {
            continue;
        }
        let name = history.arn().map_or_else(|| key.to_string(), ToString::to_string);
        let _ = writeln!(text, "{name}: no use of it was learned, and its trust policy is known");
        if role.is_some() {
            text.push_str(&trust::describe(history));
        }
    }
    if let (Some(role), true) = (role, text.is_empty()) {
        let role = crate::text::inline(role);
        say(format_args!("rolewatch: {place} knows no role `{role}`: leave it out to list all"));
        return Exit::Usage;
    }
    match anstream::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::OutputFailed,
        _ => Exit::Done,
    }
}
