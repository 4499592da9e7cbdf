//! The organisations that detectors are measured on: as large as promised, the same for a seed,
//! labelled correctly, and with attacks that no field gives away.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly"
)]

#[path = "../fixtures/generate"]
#[allow(dead_code, unused_imports, reason = "other parts of the generator use the rest")]
mod generate {
    pub mod identity;
    pub mod json;
    pub mod mint;
    pub mod moment;
    pub mod organisation;
    pub mod record;
    pub mod trail;
}

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use generate::moment::Moment;
use generate::organisation::{
    BEHAVIOURS, DAYS, FIRST_ATTACK, Organisation, kinds, organisation, start,
};
use serde_json::Value;

/// Three organisations, made once for all tests.
static SOME: LazyLock<Vec<World>> = LazyLock::new(|| (101..104).map(World::new).collect());

struct World {
    organisation: Organisation,
    /// By event id.
    records: BTreeMap<String, Seen>,
}

struct Seen {
    record: Value,
    at: Moment,
    copies: usize,
    late: i64,
}

impl World {
    fn new(seed: u64) -> Self {
        let organisation = organisation(seed);
        let mut records: BTreeMap<String, Seen> = BTreeMap::new();
        for delivered in &organisation.records {
            let record: Value = serde_json::from_str(&delivered.line).unwrap();
            let at = Moment::parse(text(&record, "/eventTime"));
            let late = delivered.arrived.second() - at.second();
            let id = text(&record, "/eventID").to_owned();
            records.entry(id).or_insert(Seen { record, at, copies: 0, late }).copies += 1;
        }
        Self { organisation, records }
    }

    /// The records after the first attack could be, with what each belongs to.
    fn late_records(&self) -> impl Iterator<Item = (&Seen, Option<usize>)> {
        let labels: BTreeMap<&str, usize> =
            self.organisation.labels.iter().map(|it| (it.event_id.as_str(), it.attack)).collect();
        let from = start().day(FIRST_ATTACK, 0, 0, 0);
        self.records
            .iter()
            .filter(move |(_, seen)| seen.at >= from)
            .map(move |(id, seen)| (seen, labels.get(id.as_str()).copied()))
    }
}

fn text<'a>(record: &'a Value, pointer: &str) -> &'a str {
    record.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn is_granted_assumption(record: &Value) -> bool {
    text(record, "/eventSource") == "sts.amazonaws.com"
        && text(record, "/eventName").starts_with("AssumeRole")
        && record.get("errorCode").is_none()
}

#[test]
fn a_seed_makes_the_same_organisation_and_another_seed_another() {
    let (first, again) = (&SOME[0].organisation, organisation(101));
    let lines = |it: &Organisation| it.records.iter().map(|it| it.line.clone()).collect::<Vec<_>>();
    assert!(lines(first) == lines(&again));
    let labels = |it: &Organisation| it.labels.iter().map(|it| it.event_id.clone()).collect();
    let (mine, same): (Vec<_>, Vec<_>) = (labels(first), labels(&again));
    assert!(mine == same);
    assert!(lines(first)[..50] != lines(&SOME[1].organisation)[..50]);
}

#[test]
fn it_is_as_large_as_promised() {
    for World { records, .. } in SOME.iter() {
        let mut calls: BTreeMap<i64, BTreeSet<&str>> = BTreeMap::new();
        let (mut roles, mut accounts) = (BTreeSet::new(), BTreeSet::new());
        for Seen { record, at, .. } in records.values() {
            accounts.insert(text(record, "/recipientAccountId"));
            if is_granted_assumption(record) {
                let day = (at.second() - start().second()).div_euclid(86_400);
                calls.entry(day).or_default().insert(text(record, "/requestID"));
                roles.insert(text(record, "/requestParameters/roleArn"));
            }
        }
        assert_eq!(accounts.len(), 12);
        assert!(roles.len() >= 300, "{} roles are assumed", roles.len());
        assert_eq!(calls.keys().copied().collect::<Vec<_>>(), (0..DAYS).collect::<Vec<_>>());
        let fewest = calls.values().map(BTreeSet::len).min().unwrap();
        assert!(fewest >= 1_000, "{fewest} assumptions on the quietest day");
    }
}

#[test]
fn records_arrive_late_in_disorder_and_twice() {
    for World { organisation, records } in SOME.iter() {
        let mut late: Vec<i64> = records.values().map(|seen| seen.late).collect();
        late.sort_unstable();
        let at = |share: f64| late[(late.len() as f64 * share) as usize];
        assert!((150..220).contains(&at(0.5)), "median {}", at(0.5));
        assert!((440..600).contains(&at(0.99)), "p99 {}", at(0.99));
        let twice = organisation.records.len() - records.len();
        let share = twice as f64 / records.len() as f64;
        assert!((0.18..0.24).contains(&share), "{share} arrive twice");
        assert!(organisation.records.is_sorted_by_key(|it| it.arrived));
    }
}

#[test]
fn every_kind_of_churn_occurs() {
    let occurs: BTreeSet<&str> =
        SOME.iter().flat_map(|it| &it.organisation.benign).map(|it| it.kind).collect();
    let promised: BTreeSet<&str> = BEHAVIOURS.iter().map(|(name, _)| *name).collect();
    assert_eq!(occurs, promised);
    for World { organisation, .. } in SOME.iter() {
        let kinds: BTreeSet<&str> = organisation.benign.iter().map(|it| it.kind).collect();
        assert!(
            kinds.len() + 4 >= promised.len(),
            "only {} kinds in one organisation",
            kinds.len()
        );
    }
}

#[test]
fn attacks_are_many_and_begin_late() {
    assert!(kinds().count() >= 16);
    let names: BTreeSet<&str> = kinds().map(|kind| kind.name).collect();
    assert_eq!(names.len(), kinds().count());
    assert!(kinds().all(|kind| kind.note.len() > 40));
    for World { organisation, records } in SOME.iter() {
        let attacks = &organisation.attacks;
        assert!((20..=50).contains(&attacks.len()), "{} attacks", attacks.len());
        let missing: Vec<_> =
            names.iter().filter(|name| attacks.iter().all(|it| it.kind != **name)).collect();
        assert!(missing.len() <= 2, "missing {missing:?}");
        assert!(attacks.iter().all(|it| (FIRST_ATTACK..DAYS).contains(&it.day)));
        let first = start().day(FIRST_ATTACK, 0, 0, 0);
        let mut due = BTreeSet::new();
        for label in &organisation.labels {
            assert!(records[&label.event_id].at >= first, "{} is too early", label.event_id);
            assert_eq!(attacks[label.attack].kind, label.kind);
            if label.due {
                due.insert(label.attack);
            }
        }
        assert_eq!(due, (0..attacks.len()).collect(), "attacks without a record that is due");
    }
}

#[test]
fn every_record_has_one_label() {
    for World { organisation, records } in SOME.iter() {
        let labelled: Vec<&str> = organisation
            .labels
            .iter()
            .map(|it| it.event_id.as_str())
            .chain(organisation.benign.iter().map(|it| it.event_id.as_str()))
            .collect();
        let distinct: BTreeSet<&str> = labelled.iter().copied().collect();
        assert_eq!(distinct.len(), labelled.len());
        assert_eq!(distinct, records.keys().map(String::as_str).collect());
    }
}

/// How often a feature's value is seen in harmless records, and in records of which attacks.
#[derive(Default)]
struct Tally {
    harmless: usize,
    records: usize,
    attacks: BTreeSet<(usize, usize)>,
    kinds: BTreeSet<&'static str>,
}

fn tally(features: impl Fn(&Seen) -> Vec<(String, String)>) -> BTreeMap<(String, String), Tally> {
    let mut tallies: BTreeMap<(String, String), Tally> = BTreeMap::new();
    for (number, world) in SOME.iter().enumerate() {
        for (seen, attack) in world.late_records() {
            for feature in features(seen) {
                let tally = tallies.entry(feature).or_default();
                let Some(attack) = attack else {
                    tally.harmless += 1;
                    continue;
                };
                tally.records += 1;
                tally.attacks.insert((number, attack));
                tally.kinds.insert(world.organisation.attacks[attack].kind);
            }
        }
    }
    tallies
}

/// What a field looks like, without what it says.
fn shape(path: &str, value: &str) -> String {
    let last = path.rsplit('/').next().unwrap_or_default();
    match last {
        "eventID" | "requestID" | "sharedEventID" => value
            .chars()
            .enumerate()
            .map(|(at, letter)| match letter {
                _ if at == 14 => letter,
                letter if letter.is_ascii_hexdigit() && !letter.is_uppercase() => 'x',
                other => other,
            })
            .collect(),
        "accessKeyId" | "accountId" | "recipientAccountId" => {
            let prefix: String =
                value.chars().take_while(|it| it.is_alphabetic()).take(4).collect();
            format!("{prefix}{}", value.len())
        }
        "userAgent" | "awsRegion" | "eventName" | "eventVersion" | "eventSource" | "errorCode"
        | "type" | "mfaAuthenticated" | "eventType" | "eventCategory" | "durationSeconds" => {
            value.to_owned()
        }
        "sourceIPAddress" if value.contains(':') => "IPv6".to_owned(),
        "sourceIPAddress" | "expiration" | "sessionToken" | "sourceIdentity" => classes(value),
        _ => String::new(),
    }
}

/// Runs of digits, of letters, and the rest as it is.
fn classes(value: &str) -> String {
    let mut shape = String::new();
    for letter in value.chars() {
        let class = match letter {
            '0'..='9' => '9',
            'a'..='z' | 'A'..='Z' => 'a',
            other => other,
        };
        if !shape.ends_with(class) {
            shape.push(class);
        }
    }
    shape
}

/// Each field's shape, and the set of fields.
fn fields(seen: &Seen) -> Vec<(String, String)> {
    let (mut features, mut paths) = (Vec::new(), Vec::new());
    walk("", &seen.record, &mut |path, value| {
        paths.push(path.to_owned());
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        features.push((path.to_owned(), shape(path, &value)));
    });
    features.push(("fields".to_owned(), paths.join(" ")));
    features
}

fn walk(path: &str, value: &Value, visit: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| walk(&format!("{path}/{key}"), value, visit));
        }
        Value::Array(items) => items.iter().for_each(|item| walk(path, item, visit)),
        scalar => visit(path, scalar),
    }
}

/// Features that are the deed itself: a root sign-in without a device, for one.
fn is_deed(path: &str, kinds: &BTreeSet<&str>) -> bool {
    let deeds: &[(&str, &str)] = &[
        ("root-login", "fields"),
        // A vendor that always sent an external id, or a user instead of a worker.
        ("confused-deputy", "fields"),
        ("vendor-breach", "fields"),
    ];
    kinds.iter().all(|kind| deeds.contains(&(kind, path)))
}

#[test]
fn no_field_gives_attacks_away() {
    let mut faults = Vec::new();
    for ((path, value), tally) in tally(fields) {
        if tally.records == 0 || is_deed(&path, &tally.kinds) {
            continue;
        }
        let share = tally.records as f64 / (tally.records + tally.harmless) as f64;
        let only_attacks = tally.harmless < 3;
        let mostly_attacks = tally.attacks.len() >= 3 && share > 0.25;
        if only_attacks || mostly_attacks {
            let Tally { harmless, records, kinds, .. } = tally;
            faults.push(format!("{path} = {value}: {records} to {harmless}, {kinds:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Which program calls what as whom.
fn program(seen: &Seen) -> Vec<(String, String)> {
    let agent = text(&seen.record, "/userAgent");
    let families =
        ["aws-cli", "Boto3", "aws-sdk-go", "aws-sdk-java", "aws-sdk-js", "Terraform", "Mozilla"];
    let family = families.iter().find(|family| agent.contains(**family)).unwrap_or(&"AWS");
    let role = text(&seen.record, "/userIdentity/sessionContext/sessionIssuer/userName");
    let from_center = role.starts_with("AWSReservedSSO");
    let error = text(&seen.record, "/errorCode");
    let event = text(&seen.record, "/eventName");
    let who = text(&seen.record, "/userIdentity/type");
    vec![("program".to_owned(), format!("{event} {error} {who} {from_center} {family}"))]
}

#[test]
fn attackers_call_with_the_programs_that_others_call_the_same_with() {
    let mut faults = Vec::new();
    for ((_, value), tally) in tally(program) {
        // A person who takes root, and a key that asks for a token, are the deed.
        let deed = value.starts_with("AssumeRoot ") || value.starts_with("GetFederationToken");
        if tally.records > 0 && tally.harmless == 0 && !deed {
            faults.push(format!("{value}: {:?}", tally.kinds));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What the dice of time and delivery decide.
fn dice(seen: &Seen) -> Vec<(String, String)> {
    let second = seen.at.second().rem_euclid(60);
    [
        ("second", second / 15),
        ("last digit of the second", second % 2),
        ("copies", i64::try_from(seen.copies).unwrap()),
        ("minutes late", (seen.late / 60).min(6)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_string()))
    .collect()
}

#[test]
fn time_and_delivery_treat_attacks_like_all_else() {
    let tallies = tally(dice);
    let mut totals: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for ((name, _), tally) in &tallies {
        let total = totals.entry(name).or_default();
        *total = (total.0 + tally.records as f64, total.1 + tally.harmless as f64);
    }
    for ((name, value), tally) in &tallies {
        let (attacks, harmless) = totals[name.as_str()];
        let expected = tally.harmless as f64 / harmless;
        let deviation = (expected * (1.0 - expected) / attacks).sqrt();
        let share = tally.records as f64 / attacks;
        assert!(
            (share - expected).abs() <= 4.5 * deviation,
            "{name} {value}: {share:.3} of attacks, {expected:.3} of the rest"
        );
    }
}

/// The network of an address: the first number, or IPv6; the first half of IPv4.
fn network(seen: &Seen, numbers: usize) -> Option<String> {
    let address = text(&seen.record, "/sourceIPAddress");
    if address.contains(':') {
        return Some("IPv6".to_owned());
    }
    let parts: Vec<&str> = address.split('.').collect();
    let is_address = parts.len() == 4 && parts.iter().all(|part| part.parse::<u8>().is_ok());
    is_address.then(|| parts[..numbers].join("."))
}

#[test]
fn attackers_come_from_networks_that_others_come_from() {
    let wide = tally(|seen| network(seen, 1).map(|it| ("/8".to_owned(), it)).into_iter().collect());
    for ((_, network), tally) in &wide {
        let share = tally.records as f64 / (tally.records + tally.harmless) as f64;
        assert!(tally.records == 0 || share < 0.1, "{network}: {share} are attacks");
    }
    let narrow =
        tally(|seen| network(seen, 2).map(|it| ("/16".to_owned(), it)).into_iter().collect());
    let used: Vec<_> = narrow.values().filter(|tally| tally.records > 0).collect();
    let shared = used.iter().filter(|tally| tally.harmless > 0).count();
    assert!(shared * 3 >= used.len(), "{shared} of {} networks are anybody's", used.len());
}
