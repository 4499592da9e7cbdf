//! No alert is lost, whatever fails and whenever the environment dies: seeded, repeatable runs of
//! the transaction over a store that outlives environments.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly"
)]

#[path = "faults/copies.rs"]
mod copies;
mod support;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use fastrand::Rng;
use jiff::SignedDuration;
use rolewatch::alert::{Alert, to_line};
use rolewatch::config::Config;
use rolewatch::dead_letter::Lost;
use rolewatch::event::Event;
use rolewatch::memory::{Parts, WorkingSet};
use rolewatch::pipeline::{
    Baselines, DeadLetters, FanOut, Offered, Ports, Post, Remember, Taken, Topics, Unit, Watch,
    transact,
};
use rolewatch::report::Report;
use rolewatch::state::{Memory, Overlay};
use support::{fixture, stories};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Refused,
    Throttled,
    TakenAndTimedOut,
    /// A topic answers after the end, whether it has taken what it was offered or not.
    Late,
    /// The time is over between two calls.
    TimeIsOver,
    /// One topic is away all the time, and the other is not.
    OneIsAway,
    NotBuried,
    NotSaved,
    DeliveredAgain,
    Death(Death),
}

/// When an environment dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Death {
    BeforePublish,
    BetweenTwoCalls,
    BetweenPublishAndSave,
    BetweenSaveAndCommit,
    BeforeAcknowledgement,
}

/// The world that outlives environments.
#[derive(Default)]
struct World {
    /// What the store holds.
    saved: Parts,
    /// Alerts that each topic's subscribers received, id and all: a retry may not tell it
    /// differently.
    received: BTreeSet<(usize, String)>,
    /// How often each fault was met.
    met: BTreeMap<Fault, u32>,
    /// Records buried.
    buried: BTreeSet<u64>,
}

const DEATHS: [Death; 5] = [
    Death::BeforePublish,
    Death::BetweenTwoCalls,
    Death::BetweenPublishAndSave,
    Death::BetweenSaveAndCommit,
    Death::BeforeAcknowledgement,
];

impl World {
    fn note(&mut self, fault: Fault) {
        *self.met.entry(fault).or_default() += 1;
    }
}

/// Topics, and alerts that one call takes.
const TOPICS: usize = 2;
const AT_ONCE: usize = 2;

struct Port {
    world: Rc<RefCell<World>>,
    /// What is left of the time for publishing.
    left: Duration,
    /// The topic that is away.
    away: Option<usize>,
    calls: u32,
    death: Option<Death>,
    random: Rng,
    /// Chances in a hundred that a call fails.
    faults: u8,
}

impl Port {
    fn new(world: &Rc<RefCell<World>>, random: &mut Rng, faults: u8) -> Self {
        let world = Rc::clone(world);
        let dies = random.u8(..100) < faults;
        // Twice as likely are the first two, which only an invocation with alerts can die.
        let death = dies.then(|| DEATHS[random.usize(..DEATHS.len() + 2) % DEATHS.len()]);
        let is_short = random.u8(..100) < faults + faults / 2;
        let left = Duration::from_millis(if is_short { random.u64(100..900) } else { 60_000 });
        let away = (random.u8(..100) < faults / 2).then(|| random.usize(..TOPICS));
        Self { world, left, away, calls: 0, death, random: random.fork(), faults }
    }

    fn fails(&mut self) -> bool {
        self.random.u8(..100) < self.faults
    }

    fn note(&self, fault: Fault) {
        self.world.borrow_mut().note(fault);
    }

    /// Waits for ever, if this is when the environment dies.
    async fn may_die(&self, death: Death) {
        if self.death == Some(death) {
            self.note(Fault::Death(death));
            pending::<()>().await;
        }
    }

    fn again(&mut self) -> Self {
        let (world, random) = (Rc::clone(&self.world), self.random.fork());
        let Self { left, away, calls, death, faults, .. } = *self;
        Self { world, left, away, calls, random, death, faults }
    }
}

impl Post for Port {
    /// A call is throttled or late, with all that is in it taken or nothing; or entries fail one
    /// by one: refused, or taken so that nobody learns that they were.
    async fn offer(&mut self, topic: usize, numbers: &[usize], alerts: &[&Alert]) -> Offered {
        assert!(!self.left.is_zero(), "no call begins when the time is over");
        let when = [Death::BeforePublish, Death::BetweenTwoCalls][usize::from(self.calls > 0)];
        self.may_die(when).await;
        self.calls += 1;
        let numbers = &numbers[..numbers.len().min(AT_ONCE)];
        let all = match self.fails().then(|| self.random.u8(..3)) {
            _ if self.away == Some(topic) => Some((Fault::OneIsAway, false)),
            Some(0) => Some((Fault::Throttled, false)),
            Some(1) => Some((Fault::Late, self.random.bool())),
            _ => None,
        };
        self.pass(Duration::from_millis(if all.is_some() { 0 } else { 100 }));
        let mut refused = Vec::new();
        for &number in numbers {
            let fault = all.or_else(|| {
                let faults = [(Fault::Refused, false), (Fault::TakenAndTimedOut, true)];
                self.fails().then(|| faults[self.random.usize(..2)])
            });
            if fault.is_none_or(|(_, is_taken)| is_taken) {
                let line = to_line(alerts[number]);
                self.world.borrow_mut().received.insert((topic, line));
            }
            if let Some((fault, _)) = fault {
                self.note(fault);
                refused.push(number);
            }
        }
        if all.is_some_and(|(fault, _)| fault == Fault::Late) {
            self.left = Duration::ZERO;
        }
        Offered { count: numbers.len(), refused, why: "not accepted".to_owned() }
    }

    fn left(&self) -> Duration {
        self.left
    }

    async fn pause(&mut self, wait: Duration) {
        self.pass(wait);
    }

    fn name(&self, topic: usize) -> String {
        topic.to_string()
    }

    fn accepted(&mut self, alert: &Alert) {
        let (world, line) = (self.world.borrow(), to_line(alert));
        let has = |topic| world.received.contains(&(topic, line.clone()));
        assert!((0..TOPICS).all(has), "an alert is accepted when every topic has taken it");
    }
}

impl Port {
    /// Lets time go by.
    fn pass(&mut self, time: Duration) {
        let before = self.left;
        self.left = before.saturating_sub(time);
        if !before.is_zero() && self.left.is_zero() {
            self.note(Fault::TimeIsOver);
        }
    }
}

impl Baselines for Port {
    type Error = &'static str;

    async fn save(&mut self, _: &dyn Memory, changes: &mut Overlay) -> Result<bool, &'static str> {
        self.may_die(Death::BetweenPublishAndSave).await;
        if self.fails() {
            self.note(Fault::NotSaved);
            return Err("the store is away");
        }
        let mut store = WorkingSet::of(self.world.borrow().saved.clone());
        store.commit(changes.clone());
        self.world.borrow_mut().saved = store.parts();
        self.may_die(Death::BetweenSaveAndCommit).await;
        Ok(false)
    }
}

impl DeadLetters for Port {
    type Error = &'static str;

    async fn bury(&mut self, _: usize, lost: &[Lost], _: u64) -> Result<(), &'static str> {
        if self.fails() {
            self.note(Fault::NotBuried);
            return Err("the queue is away");
        }
        self.world.borrow_mut().buried.extend(lost.iter().filter_map(|lost| lost.record));
        Ok(())
    }
}

/// Takes everything at once, for whoever commits before publishing.
#[derive(Default)]
struct Later(Vec<Alert>);

impl Topics for Later {
    type Error = &'static str;

    async fn publish(&mut self, alerts: &[&Alert]) -> Result<(), (usize, &'static str)> {
        self.0.extend(alerts.iter().map(|alert| (*alert).clone()));
        Ok(())
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Order {
    /// The product's.
    PublishFirst,
    /// The mistake that this test is there to find.
    CommitFirst,
}

/// A shard: its records, each with some events and some that nobody can judge.
struct Shard {
    config: Config,
    records: Vec<(Vec<Event>, Vec<Lost>)>,
}

impl Shard {
    fn of(events: &[Event], config: Config, random: &mut Rng) -> Self {
        let mut records = Vec::new();
        let mut rest = events;
        while !rest.is_empty() {
            let (some, after) = rest.split_at(random.usize(1..=rest.len().min(3)));
            let number = records.len() as u64;
            let lost = Lost {
                record: Some(number),
                kind: rolewatch::dead_letter::Kind::Undecodable,
                reason: String::new(),
            };
            let broken = random.u8(..4) == 0;
            records.push((some.to_vec(), if broken { vec![lost] } else { Vec::new() }));
            rest = after;
        }
        Self { config, records }
    }

    fn units(&self, from: usize, to: usize) -> Vec<Unit<'_>> {
        let records = self.records[from..to].iter();
        records
            .map(|(events, lost)| Unit { events, numbers: &[], other: 0, lost, more_lost: 0 })
            .collect()
    }
}

/// Lets a future run until it is done or waits for ever, which is how an environment dies.
fn until_death<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// One invocation: how far the batch came, or nothing where the environment died.
fn invoke(
    memory: &mut WorkingSet,
    config: &Config,
    units: &[Unit<'_>],
    mut port: Port,
    taken: &mut Taken,
    order: Order,
) -> Option<usize> {
    let watch = Watch { config, learn_until: None };
    let (mut letters, mut store, end) = (port.again(), port.again(), port.again());
    let mut topics = FanOut { topics: TOPICS, post: port, taken };
    let report = &mut Report::default();
    let done = match order {
        Order::PublishFirst => {
            let (letters, baselines) = (&mut letters, &mut store);
            let ports = Ports { topics: &mut topics, letters, baselines };
            let result = until_death(transact(memory, watch, units, ports, report))?;
            result.map_or_else(|failure| failure.unit, |()| units.len())
        }
        Order::CommitFirst => {
            let mut later = Later::default();
            let (letters, baselines) = (&mut letters, &mut store);
            let ports = Ports { topics: &mut later, letters, baselines };
            let result = until_death(transact(memory, watch, units, ports, report))?;
            let done = result.map_or_else(|failure| failure.unit, |()| units.len());
            let alerts: Vec<&Alert> = later.0.iter().collect();
            match until_death(topics.publish(&alerts))? {
                Ok(()) => done,
                Err(_) => 0,
            }
        }
    };
    until_death(end.may_die(Death::BeforeAcknowledgement)).map(|()| done)
}

/// Delivers a shard as the event source mapping does: batches of any size, again from where one
/// failed, split anew; a record that was acknowledged may come once more.
fn deliver(shard: &Shard, seed: u64, order: Order) -> World {
    let config = &shard.config;
    let world = Rc::new(RefCell::new(World::default()));
    let mut random = Rng::with_seed(seed);
    let mut memory = WorkingSet::default();
    // So few that some are forgotten before they are needed.
    let taken = || Taken::bounded(6);
    let (mut at, mut tries, mut known) = (0, 0, taken());
    while at < shard.records.len() {
        tries += 1;
        // After many tries the weather clears, so that every run ends.
        let faults = if tries > 60 { 0 } else { random.u8(..25) };
        let from = if random.u8(..10) == 0 { random.usize(..=at) } else { at };
        if from < at {
            world.borrow_mut().note(Fault::DeliveredAgain);
        }
        let to = from + random.usize(1..=(shard.records.len() - from).min(12));
        let port = Port::new(&world, &mut random, faults);
        match invoke(&mut memory, config, &shard.units(from, to), port, &mut known, order) {
            Some(done) => at = at.max(from + done),
            None => {
                memory = WorkingSet::of(world.borrow().saved.clone());
                known = taken();
            }
        }
    }
    Rc::try_unwrap(world).ok().expect("the ports are gone").into_inner()
}

/// What is received without faults.
fn undisturbed(shard: &Shard) -> World {
    let world = Rc::new(RefCell::new(World::default()));
    let mut memory = WorkingSet::default();
    let units = shard.units(0, shard.records.len());
    let port = Port::new(&world, &mut Rng::with_seed(0), 0);
    let port = Port { left: Duration::MAX, ..port };
    let mut taken = Taken::bounded(0);
    let done = invoke(&mut memory, &shard.config, &units, port, &mut taken, Order::PublishFirst);
    assert_eq!(done, Some(units.len()));
    Rc::try_unwrap(world).ok().expect("the ports are gone").into_inner()
}

/// The end of every story, where its alerts are: in the order of time, and as it may arrive, some
/// minutes late.
fn shards() -> Vec<(Shard, World)> {
    let mut random = Rng::with_seed(4);
    let (events, config) = copies::completed();
    let mut shards = vec![Shard::of(&events, config, &mut random)];
    for story in stories() {
        let config = || match std::fs::read_to_string(story.join("rolewatch.toml")) {
            Ok(text) => Config::parse(&text).config.unwrap(),
            Err(_) => Config::default(),
        };
        let path = fixture(story.join("events.jsonl").to_str().unwrap());
        let events = support::events_of(path);
        let events = &events[events.len().saturating_sub(120)..];
        shards.push(Shard::of(events, config(), &mut random));
        let delayed = |event: &Event| {
            let late = SignedDuration::from_secs(random.i64(0..900));
            (event.call().time + late, event.clone())
        };
        let mut arriving: Vec<_> = events.iter().map(delayed).collect();
        arriving.sort_by_key(|(arrival, _)| *arrival);
        let events: Vec<Event> = arriving.into_iter().map(|(_, event)| event).collect();
        shards.push(Shard::of(&events, config(), &mut random));
    }
    shards
        .into_iter()
        .map(|shard| (undisturbed(&shard), shard))
        .map(|(it, shard)| (shard, it))
        .collect()
}

/// Alerts that only one of the two received.
fn differing<'w>(one: &'w World, other: &'w World) -> Vec<&'w (usize, String)> {
    one.received.symmetric_difference(&other.received).collect()
}

/// Runs, spread over the stories.
const RUNS: u64 = 3_000;

#[test]
fn every_alert_is_received_whatever_fails() {
    let shards = shards();
    let alerts: usize = shards.iter().map(|(_, expected)| expected.received.len()).sum();
    assert!(alerts >= 10, "the stories raise {alerts} alerts");
    let told = shards.iter().flat_map(|(_, expected)| &expected.received);
    let updates = told.filter(|(_, line)| line.contains("\"revision\":2")).count();
    assert!(updates >= 20, "{updates}: a fuller copy adds to an alert that is out");
    let mut met: BTreeMap<Fault, u32> = BTreeMap::new();
    for seed in 0..RUNS {
        let (shard, expected) = &shards[usize::try_from(seed).unwrap() % shards.len()];
        let world = deliver(shard, seed, Order::PublishFirst);
        assert!(
            world.received == expected.received,
            "seed {seed}: {:#?}",
            differing(&world, expected)
        );
        assert_eq!(world.buried, expected.buried, "seed {seed}");
        world.met.into_iter().for_each(|(fault, count)| *met.entry(fault).or_default() += count);
    }
    let faults = [
        Fault::Refused,
        Fault::Throttled,
        Fault::TakenAndTimedOut,
        Fault::Late,
        Fault::TimeIsOver,
        Fault::OneIsAway,
        Fault::NotBuried,
        Fault::NotSaved,
        Fault::DeliveredAgain,
    ];
    for fault in faults.into_iter().chain(DEATHS.map(Fault::Death)) {
        let count = met.get(&fault).copied().unwrap_or(0);
        assert!(count >= 100, "{fault:?} was met {count} times only: {met:?}");
    }
}

/// The same runs with the order turned round lose alerts: so the test above can see it.
#[test]
fn committing_before_publishing_is_caught() {
    let shards = shards();
    let lost = (0..RUNS / 4)
        .filter(|&seed| {
            let (shard, expected) = &shards[usize::try_from(seed).unwrap() % shards.len()];
            deliver(shard, seed, Order::CommitFirst).received != expected.received
        })
        .count();
    assert!(lost > 20, "only {lost} runs lost an alert");
}

#[test]
fn a_run_can_be_repeated() {
    let (shard, _) = &shards()[0];
    let (one, other) =
        (deliver(shard, 7, Order::PublishFirst), deliver(shard, 7, Order::PublishFirst));
    assert!((one.received, one.saved) == (other.received, other.saved));
}
