//! `rolewatch rules`

use std::io::{self, Write};

use super::{Exit, say};
use crate::rules::{RULES, Rule, by_id};
use crate::severity::Severity;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The rule to explain; all are listed without one
    #[arg(value_name = "ID")]
    id: Option<String>,
}

pub(super) fn run(args: &Args) -> Exit {
    let mut out = anstream::stdout();
    let written = match &args.id {
        None => list(&mut out),
        Some(id) => match by_id(id) {
            Some(rule) => explain(&mut out, rule),
            None => {
                let known: Vec<&str> = RULES.iter().map(|rule| rule.id).collect();
                let id = crate::text::inline(id);
                say(format_args!("rolewatch: no rule `{id}`: there are {}", known.join(", ")));
                return Exit::Usage;
            }
        },
    };
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::OutputFailed,
        _ => Exit::Done,
    }
}

fn list(out: &mut impl Write) -> io::Result<()> {
    for rule in RULES {
        writeln!(out, "{:<20} {:<22} {}", rule.id, severities(rule), rule.title)?;
    }
    writeln!(out, "\n`rolewatch rules ID` explains one.")
}

fn explain(out: &mut impl Write, rule: &Rule) -> io::Result<()> {
    writeln!(out, "{}: {}", rule.id, rule.title)?;
    writeln!(out, "severity: {}; MITRE ATT&CK: {}", severities(rule), rule.mitre.join(", "))?;
    for (heading, text) in [
        ("What it sees", rule.sees),
        ("Why it matters", rule.why),
        ("When it is harmless", rule.harmless),
        ("What to do first", rule.first),
    ] {
        writeln!(out, "\n{heading}")?;
        for line in textwrap::wrap(text, 76) {
            writeln!(out, "  {line}")?;
        }
    }
    Ok(())
}

fn severities(rule: &Rule) -> String {
    let words: Vec<&str> = rule.severities.iter().copied().map(Severity::as_str).collect();
    words.join(", ")
}
