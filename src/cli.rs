//! The command line: one subcommand a file.

mod baseline;
mod config;
mod explain;
mod replay;
mod rules;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// How a run ended; what scripts go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// Everything was done.
    Done = 0,
    /// Done, but some input could not be read.
    SomeUnread = 1,
    /// Wrong usage or configuration: nothing was run.
    Usage = 2,
    /// `--fail-on` was reached.
    FailOn = 3,
    /// Alerts could not be written, so the run was stopped.
    OutputFailed = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[derive(Debug, Parser)]
#[command(name = "rolewatch", version, about = "Watches who puts on which AWS IAM role")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Replay CloudTrail logs in event-time order and print alerts
    Replay(replay::Args),
    /// Explain one event: where it came from, what came of it, and what each rule thought
    Explain(explain::Args),
    /// Check expectations (rolewatch.toml), or derive some to start from
    Config(config::Args),
    /// Show what is normal, or take in trust policies
    Baseline(baseline::Args),
    /// Explain every rule, or one
    Rules(rules::Args),
}

/// Parses the arguments, runs the command, and says how it ended.
#[must_use]
pub fn main() -> ExitCode {
    let exit = match Cli::parse().command {
        Command::Replay(args) => replay::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Config(args) => config::run(&args),
        Command::Baseline(args) => baseline::run(&args),
        Command::Rules(args) => rules::run(&args),
    };
    exit.into()
}

/// Writes one line to standard error. Where even that is closed there is nobody left to tell.
fn say(line: impl std::fmt::Display) {
    use std::io::Write;
    let _ = writeln!(anstream::stderr(), "{line}");
}
