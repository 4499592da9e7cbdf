//! Whatever sessions there are and in whatever order their records come: where each came from is
//! found, or it is said that something is missing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::convert::Infallible;

use jiff::{SignedDuration, Timestamp};
use rolewatch::alert::Alert;
use rolewatch::cloudtrail;
use rolewatch::config::Config;
use rolewatch::detect::{Mode, Verdict, advance};
use rolewatch::event::{Event, Mfa};
use rolewatch::id::Address;
use rolewatch::lineage::{Lineage, MOST_LINKS};
use rolewatch::memory::WorkingSet;
use rolewatch::pipeline::{Alerts, Remember, Watch, run_batch};
use rolewatch::report::Report;
use rolewatch::state::{Change, State};
use rolewatch::text::Text;
use serde_json::{Value, json};

/// Which rule found something about which call, whether it was told or counted as a repeat.
type Certain = BTreeSet<(String, String)>;

/// Every alert.
#[derive(Default)]
struct All(Vec<Alert>);

impl Alerts for All {
    type Error = Infallible;

    fn publish(&mut self, alert: &Alert) -> Result<(), Infallible> {
        self.0.push(alert.clone());
        Ok(())
    }
}

/// A session as it truly came to be.
#[derive(Clone)]
struct True {
    parent: Option<usize>,
    origin: &'static str,
    account: u64,
    role: u64,
    name: String,
    key: String,
    time: i64,
    ends: i64,
    depth: u32,
    /// Whether later calls with it show no key.
    keyless: bool,
    /// Whether it was opened in the console: from inside AWS, and used with another key.
    console: bool,
    /// Whether the user who began the chain had MFA.
    mfa: bool,
    crosses: bool,
}

const ORIGINS: [&str; 4] = ["user", "service", "saml", "oidc"];

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_770_000_000 + second).unwrap()
}

/// Sessions of several accounts, some taken from others, up to eight deep.
fn forest(random: &mut fastrand::Rng, size: usize) -> Vec<True> {
    let mut sessions: Vec<True> = Vec::new();
    let mut time = 0;
    for n in 0..size {
        time += random.i64(0..12);
        let role = random.u64(0..12);
        let account = role % 4;
        let living = |it: &&usize| sessions[**it].ends > time && sessions[**it].depth < 8;
        let candidates: Vec<usize> = (0..n).collect();
        let candidates: Vec<usize> = candidates.iter().filter(living).copied().collect();
        let parent = (!candidates.is_empty() && random.u8(0..4) > 0)
            .then(|| candidates[random.usize(0..candidates.len())]);
        let above = parent.map(|it| sessions[it].clone());
        let origin = above.as_ref().map_or_else(|| ORIGINS[random.usize(0..4)], |it| it.origin);
        let crosses = match &above {
            Some(above) => above.account != account,
            None => origin == "user" && random.bool(),
        };
        let console = random.u8(0..6) == 0 && (above.is_some() || origin == "user");
        let name = format!("name-{}", random.u8(0..3));
        let is_taken =
            |it: &True| it.role == role && it.name == name && (it.time - time).abs() < 200;
        // Otherwise nobody could tell whose a session without a key, or a place, is.
        let taken = console || sessions.iter().any(is_taken);
        sessions.push(True {
            parent,
            origin,
            account,
            role,
            name: if taken { format!("name-of-{n}") } else { name },
            console,
            mfa: above.as_ref().map_or_else(|| random.bool(), |it| it.mfa),
            // A key id comes again in another account.
            key: format!("ASIAEXAMPLE{}", n / 2 * 2 + usize::from(account.is_multiple_of(2))),
            time,
            ends: time + if random.bool() { 900 } else { 3_600 },
            depth: above.as_ref().map_or(1, |it| it.depth + u32::from(it.role != role)),
            keyless: random.u8(0..5) == 0,
            crosses,
        });
    }
    juggle(&mut sessions, random);
    let mut taken = HashSet::new();
    for session in &mut sessions {
        while !taken.insert((session.account, session.key.clone())) {
            session.key.push('7');
        }
    }
    sessions
}

/// Two roles taken in turn from the last user's session, for longer than that session lives.
fn juggle(sessions: &mut Vec<True>, random: &mut fastrand::Rng) {
    let of_user = |it: &True| it.parent.is_none() && it.origin == "user" && !it.console;
    let Some(first) = sessions.iter().rposition(of_user) else { return };
    let mut parent = first;
    for turn in 0..6 {
        let above = sessions[parent].clone();
        let role = 20 + turn % 2;
        let time = above.time + 800 + random.i64(0..90);
        sessions.push(True {
            parent: Some(parent),
            account: role % 4,
            crosses: above.account != role % 4,
            role,
            key: format!("ASIAEXAMPLEJUGGLE{turn}"),
            time,
            ends: time + 900,
            depth: above.depth + 1,
            keyless: false,
            console: false,
            ..above
        });
        parent = sessions.len() - 1;
    }
}

fn account(n: u64) -> String {
    format!("{:012}", 111_122_223_333 + n)
}

fn role_arn(it: &True) -> String {
    format!("arn:aws:iam::{}:role/team/Role{}", account(it.account), it.role)
}

fn role_id(it: &True) -> String {
    format!("AROAEXAMPLE{}", it.role)
}

/// Who calls: the parent's session, or an origin.
fn caller(forest: &[True], n: usize) -> (Value, String) {
    let it = &forest[n];
    let Some(parent) = it.parent.map(|parent| &forest[parent]) else {
        let home = account(if it.crosses { (it.account + 1) % 4 } else { it.account });
        let identity = match it.origin {
            "user" => json!({"type": "IAMUser", "principalId": format!("AIDAEXAMPLE{n}"),
                "arn": format!("arn:aws:iam::{home}:user/user-{n}"), "accountId": home,
                "accessKeyId": format!("AKIAEXAMPLE{n}"), "userName": format!("user-{n}")}),
            "service" => json!({"type": "AWSService", "invokedBy": "ec2.amazonaws.com"}),
            "saml" => json!({"type": "SAMLUser", "principalId": format!("dA==:user-{n}"),
                "userName": format!("user-{n}"), "identityProvider": "dA=="}),
            _ => json!({"type": "WebIdentityUser", "principalId": format!("issuer:aud:user-{n}"),
                "userName": format!("user-{n}"), "identityProvider": "issuer"}),
        };
        return (identity, home);
    };
    let home = account(parent.account);
    let mut identity = json!({
        "type": "AssumedRole",
        "principalId": format!("{}:{}", role_id(parent), parent.name),
        "arn": format!("arn:aws:sts::{home}:assumed-role/Role{}/{}", parent.role, parent.name),
        "accountId": home,
        "sessionContext": {
            "sessionIssuer": {"type": "Role", "principalId": role_id(parent),
                "arn": role_arn(parent), "userName": format!("Role{}", parent.role)},
            "attributes": {"creationDate": at(parent.time).to_string(), "mfaAuthenticated": "false"},
        },
    });
    if parent.console {
        identity["accessKeyId"] = json!(format!("ASIACONSOLE{n}"));
    } else if parent.keyless {
        identity["invokedBy"] = json!("cloudformation.amazonaws.com");
    } else {
        identity["accessKeyId"] = json!(parent.key);
    }
    (identity, home)
}

/// The records of a call: one, or a copy in each account.
fn records(forest: &[True], n: usize, random: &mut fastrand::Rng) -> Vec<Value> {
    let it = &forest[n];
    let (identity, home) = caller(forest, n);
    let name = match it.origin {
        "saml" if it.parent.is_none() => "AssumeRoleWithSAML",
        "oidc" if it.parent.is_none() => "AssumeRoleWithWebIdentity",
        _ => "AssumeRole",
    };
    let rich = json!({
        "eventSource": "sts.amazonaws.com", "eventName": name,
        "eventTime": at(it.time).to_string(), "eventID": format!("call-{n}"),
        "recipientAccountId": home, "awsRegion": "eu-west-1",
        "sourceIPAddress": if it.console { "AWS Internal".to_owned() } else { address(n) },
        "userAgent": "sdk/1",
        "userIdentity": identity,
        "requestParameters": {"roleArn": role_arn(it), "roleSessionName": it.name},
        "responseElements": {
            "credentials": {"accessKeyId": it.key, "expiration": at(it.ends).to_string()},
            "assumedRoleUser": {"assumedRoleId": format!("{}:{}", role_id(it), it.name)},
        },
    });
    let mut rich = rich;
    if it.origin == "user" && it.parent.is_none() && it.mfa {
        rich["requestParameters"]["serialNumber"] = json!("arn:aws:iam::111122223333:mfa/user");
    }
    let mut all = it.console.then(|| switch(forest, n)).into_iter().collect::<Vec<_>>();
    if !it.crosses {
        all.push(rich);
        return all;
    }
    let mut poor = rich.clone();
    rich["sharedEventID"] = json!(format!("shared-{n}"));
    poor["sharedEventID"] = json!(format!("shared-{n}"));
    poor["eventID"] = json!(format!("copy-{n}"));
    poor["eventTime"] = json!(at(it.time + random.i64(-60..60)).to_string());
    poor["recipientAccountId"] = json!(account(it.account));
    poor["userIdentity"] = json!({"type": "AWSAccount", "accountId": home,
        "principalId": rich["userIdentity"]["principalId"]});
    all.extend([rich, poor]);
    all
}

/// Where a call was made.
fn address(n: usize) -> String {
    format!("11.{}.{}.9", n / 250, n % 250)
}

/// The console's own record of a switch of role.
fn switch(forest: &[True], n: usize) -> Value {
    let it = &forest[n];
    json!({
        "eventSource": "signin.amazonaws.com", "eventName": "SwitchRole",
        "eventTime": at(it.time).to_string(), "eventID": format!("switch-{n}"),
        "recipientAccountId": account(it.account), "sourceIPAddress": address(n),
        "userIdentity": {"type": "AssumedRole", "accountId": account(it.account),
            "principalId": format!("{}:{}", role_id(it), it.name)},
        "responseElements": {"SwitchRole": "Success"},
        "additionalEventData": {"SwitchFrom": caller(forest, n).0["arn"]},
    })
}

/// All records with the time at which each arrives: up to fifteen minutes late, some twice.
fn delivered(records: &[Value], random: &mut fastrand::Rng) -> Vec<Event> {
    let mut arriving: Vec<(Timestamp, u32, Event)> = Vec::new();
    for record in records {
        let event = cloudtrail::read(record).unwrap().expect("ours");
        for _ in 0..=usize::from(random.u8(0..5) == 0) {
            let late = SignedDuration::from_secs(random.i64(0..=900));
            arriving.push((event.call().time + late, random.u32(..), event.clone()));
        }
    }
    arriving.sort_by_key(|(time, tie, _)| (*time, *tie));
    arriving.into_iter().map(|(_, _, event)| event).collect()
}

const DECLARED: &str = "[[role]]\nmatch = '*'\nmax_chain_depth = 3";

fn judge(events: &[Event], random: &mut fastrand::Rng) -> (Found, Certain) {
    let config = Config::parse(DECLARED).config.unwrap();
    let (mut memory, mut certain) = (WorkingSet::default(), Certain::default());
    let mut found = Found::new();
    let mut rest = events;
    while !rest.is_empty() {
        let (batch, after) = rest.split_at(random.usize(1..=rest.len().min(40)));
        let mut state = State::over(&memory);
        for event in batch {
            let verdict = advance(&mut state, &config, event, &|_| Mode::Watch);
            let Verdict::Judged(judged) = verdict else { continue };
            found.extend(judged.changes.iter().filter_map(issued));
            let own = event.call().alert_id();
            let late = judged.late.into_iter().map(|it| (it.alert_id, it.findings));
            for (id, findings) in std::iter::once((own, judged.findings)).chain(late) {
                let chains = findings.into_iter().filter(|it| it.rule.starts_with("chain_"));
                certain.extend(chains.map(|it| (id.clone(), it.rule.into_owned())));
            }
        }
        let overlay = state.into_overlay();
        memory.commit(overlay);
        rest = after;
    }
    (found, certain)
}

/// The last that was found of each session, by its number.
type Found = BTreeMap<usize, Lineage>;

fn issued(change: &Change) -> Option<(usize, Lineage)> {
    let Change::Issued(_, session) = change else { return None };
    let event = session.lineage.last().unwrap().event_id.clone().unwrap();
    Some((number(&event.to_string()), Lineage::clone(&session.lineage)))
}

fn number(event: &str) -> usize {
    event.rsplit('-').next().unwrap().parse().unwrap()
}

/// The calls that led to a session, itself last.
fn ancestors(forest: &[True], n: usize) -> Vec<usize> {
    let mut path = vec![n];
    while let Some(parent) = forest[path[path.len() - 1]].parent {
        path.push(parent);
    }
    path.reverse();
    path
}

/// What is to be known of MFA.
fn mfa(forest: &[True], n: usize) -> Mfa {
    let it = &forest[n];
    match (it.origin, it.mfa, it.parent) {
        ("service", ..) => Mfa::NotApplicable,
        ("user", true, None) => Mfa::Present,
        ("user", true, Some(_)) => Mfa::Inherited,
        ("user", false, _) => Mfa::Absent,
        _ => Mfa::Unknown,
    }
}

/// The sessions that were made more than an hour after the first one of their chain had ended: before,
/// somebody may just have been late.
fn outlived(forest: &[True]) -> Vec<usize> {
    let outlived = |n: &usize| {
        let path = ancestors(forest, *n);
        let first = &forest[path[0]];
        let ends = if first.console { first.time + 12 * 3_600 } else { first.ends };
        path.len() > 2 && forest[*n].time - ends > 3_600
    };
    (0..forest.len()).filter(outlived).collect()
}

#[test]
fn every_origin_is_found_in_any_order_of_arrival_and_what_is_certain_is_the_same() {
    let mut juggled = 0;
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let forest = forest(&mut random, 150);
        let all: Vec<Value> =
            (0..forest.len()).flat_map(|n| records(&forest, n, &mut random)).collect();
        let mut certain: Option<Certain> = None;
        for _ in 0..3 {
            let events = delivered(&all, &mut random);
            let (found, findings) = judge(&events, &mut random);
            assert_eq!(found.len(), forest.len(), "seed {seed}");
            for (n, lineage) in &found {
                let path = ancestors(&forest, *n);
                assert!(lineage.complete, "seed {seed}, session {n}: {lineage:#?}");
                assert_eq!(lineage.depth, forest[*n].depth, "seed {seed}, session {n}");
                let seen: Vec<usize> = lineage
                    .links
                    .iter()
                    .map(|it| number(&it.event_id.as_ref().unwrap().to_string()))
                    .collect();
                if path.len() <= MOST_LINKS {
                    assert_eq!(seen, path, "seed {seed}, session {n}");
                }
                assert_eq!(seen[0], path[0], "seed {seed}, session {n}");
                for (link, n) in lineage.links.iter().zip(&seen) {
                    let told = link.address.as_ref().map(Address::to_text);
                    assert_eq!(told, Some(address(*n)), "seed {seed}, session {n}");
                }
                assert_eq!(lineage.mfa, mfa(&forest, *n), "seed {seed}, session {n}");
            }
            let before = certain.get_or_insert_with(|| findings.clone());
            assert_eq!(*before, findings, "seed {seed}");
        }
        let certain = certain.unwrap();
        for rule in ["chain_cycle", "chain_depth"] {
            assert!(certain.iter().any(|it| it.1 == rule), "seed {seed} has some {rule} to find");
        }
        for n in outlived(&forest) {
            juggled += 1;
            let id = records(&forest, n, &mut random)[0].clone();
            let id = cloudtrail::read(&id).unwrap().expect("ours").call().alert_id();
            let found = certain.contains(&(id, "chain_cycle".to_owned()));
            assert!(found, "seed {seed}: session {n} is juggled");
        }
    }
    assert!(juggled >= 10, "{juggled} sessions are juggled");
}

#[test]
fn without_some_parents_no_wrong_one_is_found_and_what_is_missing_is_said() {
    for seed in 100..140 {
        let mut random = fastrand::Rng::with_seed(seed);
        let forest = forest(&mut random, 150);
        let removed: HashSet<usize> = (0..forest.len()).filter(|_| random.u8(0..6) == 0).collect();
        let kept = (0..forest.len()).filter(|n| !removed.contains(n));
        let all: Vec<Value> = kept.flat_map(|n| records(&forest, n, &mut random)).collect();
        let events = delivered(&all, &mut random);
        let (found, _) = judge(&events, &mut random);
        for (n, lineage) in found {
            let path = ancestors(&forest, n);
            let whole = path.iter().all(|it| !removed.contains(it));
            assert_eq!(lineage.complete, whole, "seed {seed}, session {n}: {lineage:#?}");
            assert!(lineage.depth <= forest[n].depth, "seed {seed}, session {n}");
            for link in lineage.links.iter().filter_map(|it| it.event_id.as_ref()) {
                assert!(path.contains(&number(&link.to_string())), "seed {seed}: {n} has {link}");
            }
        }
    }
}

/// Judged in the order of arrival, where the first call of the chain comes last: what only its
/// record shows goes out when it comes, under the id of the call that it is about.
#[test]
fn a_late_parent_completes_the_alert_of_its_descendant() {
    let story = support::fixture("children-first");
    let config = std::fs::read_to_string(story.join("rolewatch.toml")).unwrap();
    let config = Config::parse(&config).config.unwrap();
    let watch = Watch { config: &config, learn_until: None };
    let lines = std::fs::read_to_string(story.join("events.jsonl")).unwrap();
    let (mut memory, mut all) = (WorkingSet::default(), All::default());
    for line in lines.lines() {
        let record = serde_json::from_str(line).unwrap();
        let Some(event) = cloudtrail::read(&record).unwrap() else { continue };
        let Ok(()) = run_batch(&mut memory, watch, &[event], &mut all, &mut Report::default());
    }
    let sorted = std::fs::read_to_string(story.join("alerts.jsonl")).unwrap();
    let sorted: Value = serde_json::from_str(sorted.lines().next().unwrap()).unwrap();
    let told: Vec<_> = all.0.iter().map(|alert| (alert.id.clone(), &alert.chain)).collect();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0].0, sorted["id"]);
    assert_eq!(serde_json::to_value(told[0].1).unwrap(), sorted["chain"]);
    assert_eq!(memory.lost().unanswered, 0);
}

/// Two people take one role under one session name in the same second: by its key each session
/// has its own origin, and without a key nobody is chosen.
#[test]
fn two_sessions_of_one_second_are_not_confused() {
    let user = |n: usize, key: &str| True {
        parent: None,
        origin: "user",
        account: 0,
        role: 0,
        name: "shared".to_owned(),
        key: format!("ASIAEXAMPLE{key}"),
        time: 100 + i64::from(n == 9),
        ends: 4_000,
        depth: 1,
        keyless: false,
        console: false,
        mfa: false,
        crosses: false,
    };
    for keyless in [false, true] {
        let mut forest = vec![user(0, "A"), user(1, "B")];
        for parent in [0, 1] {
            forest[parent].keyless = keyless;
            let (role, time, depth) = (4, 200, 2);
            let key = format!("ASIAEXAMPLEC{parent}");
            forest.push(True { parent: Some(parent), role, time, depth, key, ..user(5, "") });
        }
        for seed in 0..20 {
            let mut random = fastrand::Rng::with_seed(seed);
            let all: Vec<Value> =
                (0..forest.len()).flat_map(|n| records(&forest, n, &mut random)).collect();
            let events = delivered(&all, &mut random);
            let found = judge(&events, &mut random).0;
            for (n, origin) in [(2, "user-0"), (3, "user-1")] {
                let lineage = &found[&n];
                assert_eq!((lineage.complete, lineage.depth), (!keyless, 2), "seed {seed}");
                let first = lineage.first().unwrap().principal.as_ref();
                let first = first.map(Text::as_str);
                assert_eq!(first, (!keyless).then_some(origin), "seed {seed}");
            }
        }
    }
}
