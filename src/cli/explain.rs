//! `rolewatch explain`

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::replay::no_room;
use super::{Exit, config, say};
use crate::alert::ChainView;
use crate::baseline::describe;
use crate::config::Config;
use crate::detect::{Judged, Mode, Verdict, advance, trace_of};
use crate::event::{Event, PrincipalKind};
use crate::finding::Finding;
use crate::id::EventId;
use crate::lineage::{Lineage, Link};
use crate::local::{self, Progress};
use crate::memory::WorkingSet;
use crate::pipeline::Remember;
use crate::report::Report;
use crate::rules::RULES;
use crate::state::{Memory, State};
use crate::surprise::Surprise;
use crate::text::{escape_controls, inline};
use crate::trust;

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
        let id = inline(&args.event.to_string());
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

/// Replays everything, and tells of the call, or of the calls of several accounts, that have the
/// event: as it was judged, and what came of it later.
fn explain(config: &Config, events: &[Event], wanted: &EventId) -> String {
    let mut stories = Story::all(events, wanted);
    let mut memory = WorkingSet::default();
    for event in events {
        let id = event.call().alert_id();
        for story in stories.iter_mut().filter(|story| story.id == id && story.before.is_none()) {
            story.before = Some(baseline(&memory, event));
        }
        let mut state = State::over(&memory);
        let verdict = advance(&mut state, config, event, &|_| Mode::Watch);
        if let Verdict::Judged(judged) = verdict {
            let lineage = trace_of(&state, event);
            for story in &mut stories {
                story.hear(&id, event, lineage.as_ref(), &judged);
            }
        }
        let overlay = state.into_overlay();
        memory.commit(overlay);
    }
    let told: Vec<String> = stories.iter().map(|story| story.tell(config)).collect();
    told.join("\n")
}

/// Everything about one call.
struct Story<'e> {
    /// The id of its alerts, which all its records share.
    id: String,
    /// Its records.
    records: Vec<&'e Event>,
    /// What was normal before the first of them.
    before: Option<String>,
    lineage: Option<Lineage>,
    findings: Vec<Finding>,
    surprise: Option<Surprise>,
    repeat: bool,
    /// What its session did later, by the alerts' ids of those calls.
    afterwards: BTreeMap<String, Afterwards>,
}

struct Afterwards {
    time: Timestamp,
    event: String,
    chain: String,
}

impl<'e> Story<'e> {
    fn all(events: &'e [Event], wanted: &EventId) -> Vec<Self> {
        let has_it = |event: &&Event| event.call().event_id() == Some(wanted);
        let ids: BTreeSet<String> =
            events.iter().filter(has_it).map(|event| event.call().alert_id()).collect();
        let story = |id: String| Self {
            records: events.iter().filter(|event| event.call().alert_id() == id).collect(),
            id,
            before: None,
            lineage: None,
            findings: Vec::new(),
            surprise: None,
            repeat: false,
            afterwards: BTreeMap::new(),
        };
        ids.into_iter().map(story).collect()
    }

    /// Takes in what became of one record, of this call or of another.
    fn hear(&mut self, id: &str, event: &Event, lineage: Option<&Lineage>, judged: &Judged) {
        if id == self.id {
            // The role account's copy knows less.
            let is_full = event.call().principal.kind != PrincipalKind::AwsAccount;
            if is_full || self.lineage.is_none() {
                self.lineage = lineage.cloned();
            }
            self.surprise = self.surprise.take().or_else(|| judged.surprise.clone());
            self.find(&judged.findings, judged.repeat);
        } else if let Some(lineage) = lineage.filter(|it| self.is_behind(it)) {
            let text = |it: &EventId| inline(&it.to_string());
            let event_id = event.call().event_id().map(text).unwrap_or_default();
            let (time, chain) = (event.call().time, lineage.compact());
            self.afterwards.insert(id.to_owned(), Afterwards { time, event: event_id, chain });
        }
        for late in &judged.late {
            if late.alert_id == self.id {
                self.lineage = Some(late.lineage.clone());
                self.find(&late.findings, late.repeat);
            } else if self.is_behind(&late.lineage)
                && let Some(last) = late.lineage.last()
            {
                let event = last.event_id.as_ref().map_or_else(String::new, ToString::to_string);
                let (time, chain) = (last.time.unwrap_or_default(), late.lineage.compact());
                self.afterwards.insert(late.alert_id.clone(), Afterwards { time, event, chain });
            }
        }
    }

    /// The last that was found holds: it is of all that is known by then.
    fn find(&mut self, findings: &[Finding], repeat: bool) {
        if !findings.is_empty() {
            self.findings = findings.to_vec();
            self.repeat |= repeat;
        }
    }

    /// Whether a call was made further down the chain of this one.
    fn is_behind(&self, lineage: &Lineage) -> bool {
        let is_this = |link: &&Arc<Link>| {
            self.records.iter().any(|record| {
                let role = match record {
                    Event::Assumption(it) => it.role(),
                    Event::TrustChange(_) | Event::SignIn(_) => None,
                };
                record.call().event_id() == link.event_id.as_ref() && role == link.role.as_ref()
            })
        };
        let before = lineage.links.split_last().map(|(_, before)| before).unwrap_or_default();
        before.iter().filter(|link| link.event_id.is_some()).any(|link| is_this(&link))
    }

    fn tell(&self, config: &Config) -> String {
        let mut text = String::from("What was seen\n");
        self.records.iter().for_each(|record| text.push_str(&seen(record)));
        text.push_str("Where it came from\n");
        text.push_str(&chain(self.lineage.as_ref()));
        text.push_str("What each rule thought\n");
        text.push_str(&self.thoughts());
        text.push_str("How unusual it was\n");
        text.push_str(&bits(self.surprise.as_ref(), config));
        text.push_str("What was normal then\n");
        text.push_str(self.before.as_deref().unwrap_or_default());
        if self.records.iter().any(|record| opens_a_session(record)) {
            text.push_str("What it assumed afterwards\n");
            text.push_str(&self.afterwards());
        }
        text
    }

    /// What each rule thought. Most rules are about granted assumptions of a role alone.
    fn thoughts(&self) -> String {
        let mut text = String::new();
        for rule in RULES {
            let found = self.findings.iter().find(|it| it.rule == rule.id);
            let thought = match found {
                Some(found) => format!("{}: {}", found.severity.as_str(), found.summary),
                None if self.records.iter().any(|it| applies(rule.id, it)) => "silent".to_owned(),
                None => "not applicable".to_owned(),
            };
            let _ = writeln!(text, "  {:<22}{}", rule.id, escape_controls(&thought));
        }
        if self.repeat {
            text.push_str("  it is the repeat of an alert that was out, and was counted\n");
        }
        text
    }

    fn afterwards(&self) -> String {
        let mut all: Vec<&Afterwards> = self.afterwards.values().collect();
        all.sort_by_key(|it| (it.time, &it.event));
        let line = |it: &&Afterwards| {
            format!("  {}  {}  event {}\n", it.time, escape_controls(&it.chain), it.event)
        };
        let lines: String = all.iter().map(line).collect();
        if lines.is_empty() { "  nothing that was seen\n".to_owned() } else { lines }
    }
}

fn opens_a_session(event: &Event) -> bool {
    matches!(event, Event::Assumption(it) if it.role().is_some() && it.call.granted())
}

fn seen(event: &Event) -> String {
    let call = event.call();
    let outcome = if call.granted() { "granted" } else { "refused" };
    let mut text = format!(
        "  {}  {} by {} from {}, {outcome}",
        call.time,
        call.name,
        call.principal.display(),
        call.address.display()
    );
    if let Some(id) = call.event_id() {
        let _ = write!(text, "  event {}", inline(&id.to_string()));
    }
    text.push('\n');
    if let Event::Assumption(it) = event {
        let role = it.role().map_or_else(|| "not told".to_owned(), ToString::to_string);
        let _ = writeln!(text, "    role {}", escape_controls(&role));
    }
    let _ = writeln!(text, "    MFA by this record alone: {}", call.mfa.as_str());
    if call.principal.kind == PrincipalKind::AwsAccount {
        text.push_str("    the role account's copy, which does not tell who called\n");
    }
    text
}

fn chain(lineage: Option<&Lineage>) -> String {
    let Some(lineage) = lineage else { return "  it is no call for a role\n".to_owned() };
    let view = ChainView::of(lineage);
    let bound = if lineage.complete { "" } else { "at least " };
    let mut text = format!("  {}\n", escape_controls(&view.compact));
    let _ = writeln!(text, "  depth {bound}{}, MFA {}", lineage.depth, lineage.mfa.as_str());
    for link in &view.links {
        let words = |it: Option<String>| it.map_or_else(|| "not seen".to_owned(), |it| inline(&it));
        let from = link.address.as_ref().map(|it| format!(" from {}", inline(it.as_str())));
        let _ = writeln!(
            text,
            "  {}  {} took {}{}  event {}",
            words(link.time.map(|it| it.to_string())),
            words(link.principal.as_ref().map(|it| it.as_str().to_owned())),
            words(link.role.as_ref().map(ToString::to_string)),
            from.unwrap_or_default(),
            words(link.event_id.as_ref().map(ToString::to_string)),
        );
    }
    text
}

/// What was new about it, in numbers, and how much of that makes an alert by itself.
fn bits(surprise: Option<&Surprise>, config: &Config) -> String {
    let mut text = String::new();
    let Some(surprise) = surprise else {
        text.push_str("  it was not compared: there was no baseline, or nothing was granted\n");
        return text;
    };
    for sign in &surprise.signs {
        let _ = writeln!(text, "  {}: {:.1} bits", sign.words, sign.bits);
    }
    for part in &surprise.parts {
        let (one, _) = part.dimension.words();
        let value = inline(&part.value);
        let of_caller = part.of_caller.map(|bits| format!(" and {bits:.1} from the caller's"));
        let _ = writeln!(
            text,
            "  new {one} {value}: {:.1} bits, of {:.1} from the role's side{}",
            part.bits,
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
        "  {:.1} bits in all; {who} alerts from {threshold:.1} on",
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
            "federation_token" | "trust_policy_weakened" => false,
            _ => it.call.granted() && it.role().is_some(),
        },
        Event::SignIn(_) => matches!(rule, "root_session" | "federation_token"),
        Event::TrustChange(it) => {
            rule == "trust_policy_weakened" && it.call.granted() && it.policy.is_some()
        }
    }
}

fn baseline(memory: &WorkingSet, event: &Event) -> String {
    let (role, key) = match event {
        Event::Assumption(it) => (it.role(), it.role_key().cloned()),
        Event::TrustChange(it) => (None, it.role_key()),
        Event::SignIn(_) => (None, None),
    };
    let known = role.and_then(|role| Some(describe::in_full(role, &*memory.role(role)?)));
    let trust = key.and_then(|key| memory.trust(&key)).map(|it| trust::describe(&it));
    match (known, trust) {
        (None, None) => "  nothing was known of a role\n".to_owned(),
        (known, trust) => known.unwrap_or_default() + &trust.unwrap_or_default(),
    }
}
