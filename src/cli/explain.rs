//! `rolewatch explain`

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::replay::no_room;
use super::{Exit, config, say};
use crate::alert::ChainView;
use crate::baseline::describe;
use crate::config::Config;
use crate::detect::{Judged, Mode, Verdict, advance, trace_of};
use crate::event::{Event, PrincipalKind};
use crate::id::EventId;
use crate::lineage::Lineage;
use crate::local::{self, Progress};
use crate::memory::WorkingSet;
use crate::pipeline::Remember;
use crate::report::Report;
use crate::rules::RULES;
use crate::state::{Memory, State};
use crate::text::{escape_controls, inline};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The event id of the record to explain
    #[arg(value_name = "EVENT_ID")]
    event: EventId,
    /// Log files, folders (searched to any depth), or - for standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// What is declared and accepted (rolewatch.toml)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Exit {
    let config = match load_config(args.config.as_deref()) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let inputs = local::read(&args.paths, &Progress::on_stderr(), &mut Report::default());
    let read = inputs.and_then(|mut it| Ok((it.events.take_batch(usize::MAX)?, it.files.problems)));
    let (events, problems) = match read {
        Ok(read) => read,
        Err(error) => {
            say(format_args!("rolewatch: {}", no_room(&error)));
            return Exit::OutputFailed;
        }
    };
    for problem in &problems {
        say(format_args!("rolewatch: {problem}"));
    }
    let is_it = |event: &&Event| event.call().event_id() == Some(&args.event);
    if events.iter().find(is_it).is_none() {
        let id = inline(args.event.as_str());
        say(format_args!(
            "rolewatch: no event `{id}` among those that rolewatch reads: give the folder that \
             holds it, and all that came before it"
        ));
        return Exit::Usage;
    }
    let text = explain(&config, &events, &args.event);
    match anstream::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Exit::OutputFailed,
        _ if problems.is_empty() => Exit::Done,
        _ => Exit::SomeUnread,
    }
}

fn load_config(file: Option<&Path>) -> Result<Config, Exit> {
    file.map_or_else(|| Ok(Config::default()), config::load)
}

/// Replays everything, and tells of one event as it was judged and of what came of it later.
fn explain(config: &Config, events: &[Event], wanted: &EventId) -> String {
    let mut memory = WorkingSet::default();
    let mut text = String::new();
    let mut afterwards = Vec::new();
    for event in events {
        let mut state = State::over(&memory);
        let is_it = event.call().event_id() == Some(wanted) && text.is_empty();
        let before = if is_it { baseline(&memory, event) } else { String::new() };
        let verdict = advance(&mut state, config, event, &|_| Mode::Watch);
        let lineage = trace_of(&state, event);
        if is_it {
            text = seen(event);
            text.push_str(&chain(lineage.as_ref()));
            text.push_str(&thoughts(&verdict, event));
            text.push_str(&bits(&verdict, config));
            text.push_str(&before);
        } else if lineage.as_ref().is_some_and(|it| descends(it, wanted)) {
            afterwards.push(format!(
                "  {}  {}  event {}\n",
                event.call().time,
                escape_controls(&lineage.map(|it| it.compact()).unwrap_or_default()),
                event.call().event_id().map_or_else(String::new, ToString::to_string),
            ));
        }
        let overlay = state.into_overlay();
        memory.commit(overlay);
    }
    text.push_str("What it assumed afterwards\n");
    if afterwards.is_empty() {
        text.push_str("  nothing that was seen\n");
    }
    text.extend(afterwards);
    text
}

/// Whether a call was made further down the chain of the wanted one.
fn descends(lineage: &Lineage, wanted: &EventId) -> bool {
    let (_, before) = lineage.links.split_last().unzip();
    let mut before = before.into_iter().flatten();
    before.any(|link| link.event_id.as_ref() == Some(wanted))
}

fn seen(event: &Event) -> String {
    let call = event.call();
    let mut text = String::from("What was seen\n");
    let outcome = if call.granted() { "granted" } else { "refused" };
    let _ = writeln!(
        text,
        "  {}  {} by {} from {}, {outcome}",
        call.time,
        call.name,
        call.principal.display(),
        call.address.display()
    );
    if let Event::Assumption(it) = event {
        let role = it.role().map_or_else(|| "not told".to_owned(), ToString::to_string);
        let _ = writeln!(text, "  role {}", escape_controls(&role));
    }
    let _ = writeln!(text, "  MFA by the record alone: {}", call.mfa.as_str());
    if call.principal.kind == PrincipalKind::AwsAccount {
        text.push_str("  this is the role account's copy, which does not tell who called\n");
    }
    text
}

fn chain(lineage: Option<&Lineage>) -> String {
    let mut text = String::from("Where it came from\n");
    let Some(lineage) = lineage else {
        text.push_str("  it is no call for a role\n");
        return text;
    };
    let view = ChainView::of(lineage);
    let bound = if lineage.complete { "" } else { "at least " };
    let _ = writeln!(text, "  {}", escape_controls(&view.compact));
    let _ = writeln!(text, "  depth {bound}{}, MFA {}", lineage.depth, lineage.mfa.as_str());
    for link in &view.links {
        let words = |it: Option<String>| it.map_or_else(|| "not seen".to_owned(), |it| inline(&it));
        let _ = writeln!(
            text,
            "  {}  {} took {}  event {}",
            words(link.time.map(|it| it.to_string())),
            words(link.principal.as_ref().map(|it| it.as_str().to_owned())),
            words(link.role.as_ref().map(ToString::to_string)),
            words(link.event_id.as_ref().map(ToString::to_string)),
        );
    }
    text
}

/// What each rule thought. Most rules are about granted assumptions of a role alone.
fn thoughts(verdict: &Verdict, event: &Event) -> String {
    let mut text = String::from("What each rule thought\n");
    let Verdict::Judged(judged) = verdict else {
        text.push_str("  nothing: the record was judged before\n");
        return text;
    };
    for rule in RULES {
        let found = judged.findings.iter().find(|it| it.rule == rule.id);
        let thought = match found {
            Some(found) => format!("{}: {}", found.severity.as_str(), found.summary),
            None if applies(rule.id, event) => "silent".to_owned(),
            None => "not applicable".to_owned(),
        };
        let _ = writeln!(text, "  {:<22}{}", rule.id, escape_controls(&thought));
    }
    if judged.joined && judged.findings.is_empty() {
        text.push_str("  another record of the same call was judged: this one told nothing new\n");
    }
    if judged.repeat {
        text.push_str("  what was found is a repeat of an alert that is out, and was counted\n");
    }
    text
}

/// What was new about it, in numbers, and how much of that makes an alert by itself.
fn bits(verdict: &Verdict, config: &Config) -> String {
    let mut text = String::from("How unusual it was\n");
    let Verdict::Judged(Judged { surprise: Some(surprise), .. }) = verdict else {
        text.push_str("  it was not compared: there was no baseline, or nothing was granted\n");
        return text;
    };
    for part in &surprise.parts {
        let (one, _) = part.dimension.words();
        let value = inline(&part.value);
        let of_caller = part.of_caller.map(|bits| format!(" and {bits:.1} from the caller's"));
        let _ = writeln!(
            text,
            "  new {one} {value}: {:.1} bits from the role's side{}",
            part.of_role,
            of_caller.unwrap_or_default(),
        );
    }
    let tuning = config.tuning();
    let (who, threshold) = match surprise.is_person {
        true => ("a person", tuning.person_threshold_bits),
        false => ("a machine", tuning.machine_threshold_bits),
    };
    let _ = writeln!(
        text,
        "  {:.1} bits in all, the smaller side of each; {who} alerts from {threshold:.1} on",
        surprise.total(),
    );
    text
}

/// Whether a rule looks at events like this one.
fn applies(rule: &str, event: &Event) -> bool {
    match event {
        Event::Assumption(it) => match rule {
            "role_enumeration" | "wrong_external_id" => true,
            "root_session" => it.role().is_none(),
            "federation_token" => false,
            _ => it.call.granted() && it.role().is_some(),
        },
        Event::SignIn(_) => matches!(rule, "root_session" | "federation_token"),
        Event::TrustChange(_) => false,
    }
}

fn baseline(memory: &WorkingSet, event: &Event) -> String {
    let mut text = String::from("What was normal then\n");
    let role = match event {
        Event::Assumption(it) => it.role(),
        Event::TrustChange(_) | Event::SignIn(_) => None,
    };
    match role.and_then(|role| Some((role, memory.role(role)?))) {
        Some((role, baseline)) => text.push_str(&describe::in_full(role, &baseline)),
        None => text.push_str("  nothing was known of a role\n"),
    }
    text
}
