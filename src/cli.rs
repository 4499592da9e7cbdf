//! The command line: one subcommand a file.

mod baseline;
mod config;
mod explain;
#[cfg(feature = "aws")]
mod feed;
#[cfg(feature = "aws")]
mod redrive;
mod replay;
mod rules;
mod summary;
#[cfg(feature = "aws")]
mod tail;

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
    /// What the run was to write could not be written, so it was stopped.
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
    /// Put logs into a Kinesis stream as CloudWatch Logs does
    #[cfg(feature = "aws")]
    Feed(feed::Args),
    /// Follow a Kinesis stream and print alerts, without a Lambda
    #[cfg(feature = "aws")]
    Tail(tail::Args),
    /// Put dead letters back into the stream, once they can be read
    #[cfg(feature = "aws")]
    Redrive(redrive::Args),
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
        #[cfg(feature = "aws")]
        Command::Feed(args) => feed::run(&args),
        #[cfg(feature = "aws")]
        Command::Tail(args) => tail::run(&args),
        #[cfg(feature = "aws")]
        Command::Redrive(args) => redrive::run(&args),
    };
    exit.into()
}

/// Where AWS is.
#[cfg(feature = "aws")]
#[derive(Debug, clap::Args)]
struct Remote {
    /// Where the services answer, instead of AWS
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
}

#[cfg(feature = "aws")]
impl Remote {
    /// Runs what speaks to AWS.
    fn run<T>(&self, task: impl AsyncFnOnce(&crate::aws::Aws) -> T) -> Result<T, Exit> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| {
            say(format_args!("rolewatch: cannot wait for the network: {error}"));
            Exit::Usage
        })?;
        let aws = crate::aws::Aws::at(self.endpoint_url.clone());
        Ok(runtime.block_on(task(&aws)))
    }
}

/// Writes one line to standard error. Where even that is closed there is nobody left to tell.
fn say(line: impl std::fmt::Display) {
    use std::io::Write;
    let _ = writeln!(anstream::stderr(), "{line}");
}
