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

mod support;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::future::pending;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use fastrand::Rng;
use rolewatch::alert::Alert;
use rolewatch::config::Config;
use rolewatch::dead_letter::Lost;
use rolewatch::event::Event;
use rolewatch::local;
use rolewatch::memory::{Parts, WorkingSet};
use rolewatch::pipeline::{Baselines, DeadLetters, Ports, Remember, Topics, Unit, Watch, transact};
use rolewatch::report::Report;
use rolewatch::state::{Memory, Overlay};
use support::{fixture, stories};

/// When an environment dies.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Death {
    BeforePublish,
    BetweenPublishAndSave,
    BetweenSaveAndCommit,
    BeforeAcknowledgement,
}

/// The world that outlives environments.
#[derive(Default)]
struct World {
    /// What the store holds.
    saved: Parts,
    /// Alert ids that subscribers received.
    received: BTreeSet<String>,
    /// Records buried.
    buried: BTreeSet<u64>,
}

struct Port {
    world: Rc<RefCell<World>>,
    death: Option<Death>,
    random: Rng,
    /// Chances in a hundred that a call fails.
    faults: u8,
}

impl Port {
    fn new(world: &Rc<RefCell<World>>, random: &mut Rng, faults: u8) -> Self {
        let world = Rc::clone(world);
        let deaths = [
            Death::BeforePublish,
            Death::BetweenPublishAndSave,
            Death::BetweenSaveAndCommit,
            Death::BeforeAcknowledgement,
        ];
        let dies = random.u8(..100) < faults;
        let death = dies.then(|| deaths[random.usize(..deaths.len())]);
        Self { world, death, random: random.fork(), faults }
    }

    fn fails(&mut self) -> bool {
        self.random.u8(..100) < self.faults
    }

    fn again(&mut self) -> Self {
        let (world, random) = (Rc::clone(&self.world), self.random.fork());
        Self { world, random, death: self.death, faults: self.faults }
    }
}

impl Topics for Port {
    type Error = &'static str;

    /// Entries fail one by one: refused, throttled from one on, or taken and timed out, so that
    /// nobody learns that they were.
    async fn publish(&mut self, alerts: &[&Alert]) -> Result<(), (usize, &'static str)> {
        if self.death == Some(Death::BeforePublish) {
            pending::<()>().await;
        }
        let mut first = None;
        for (at, alert) in alerts.iter().enumerate() {
            let fails = self.fails();
            let taken_all_the_same = fails && self.random.bool();
            if !fails || taken_all_the_same {
                self.world.borrow_mut().received.insert(alert.id.clone());
            }
            if fails {
                first = first.or(Some(at));
                if self.random.bool() {
                    break;
                }
            }
        }
        first.map_or(Ok(()), |at| Err((at, "not accepted")))
    }
}

impl Baselines for Port {
    type Error = &'static str;

    async fn save(&mut self, _: &dyn Memory, changes: &mut Overlay) -> Result<bool, &'static str> {
        if self.death == Some(Death::BetweenPublishAndSave) {
            pending::<()>().await;
        }
        if self.fails() {
            return Err("the store is away");
        }
        let mut store = WorkingSet::of(self.world.borrow().saved.clone());
        store.commit(changes.clone());
        self.world.borrow_mut().saved = store.parts();
        if self.death == Some(Death::BetweenSaveAndCommit) {
            pending::<()>().await;
        }
        Ok(false)
    }
}

impl DeadLetters for Port {
    type Error = &'static str;

    async fn bury(&mut self, _: usize, lost: &[Lost]) -> Result<(), &'static str> {
        if self.fails() {
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
    records: Vec<(Vec<Event>, Vec<Lost>)>,
}

impl Shard {
    fn of(events: &[Event], random: &mut Rng) -> Self {
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
        Self { records }
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
    order: Order,
) -> Option<usize> {
    let watch = Watch { config, learn_until: None };
    let (mut letters, mut store) = (port.again(), port.again());
    let report = &mut Report::default();
    let done = match order {
        Order::PublishFirst => {
            let (letters, baselines) = (&mut letters, &mut store);
            let ports = Ports { topics: &mut port, letters, baselines };
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
            match until_death(port.publish(&alerts))? {
                Ok(()) => done,
                Err(_) => 0,
            }
        }
    };
    (port.death != Some(Death::BeforeAcknowledgement)).then_some(done)
}

/// Delivers a shard as the event source mapping does: batches of any size, again from where one
/// failed, split anew; a record that was acknowledged may come once more.
fn deliver(shard: &Shard, seed: u64, order: Order) -> World {
    let config = Config::default();
    let world = Rc::new(RefCell::new(World::default()));
    let mut random = Rng::with_seed(seed);
    let mut memory = WorkingSet::default();
    let (mut at, mut tries) = (0, 0);
    while at < shard.records.len() {
        tries += 1;
        // After many tries the weather clears, so that every run ends.
        let faults = if tries > 60 { 0 } else { random.u8(..25) };
        let from = if random.u8(..10) == 0 { random.usize(..=at) } else { at };
        let to = from + random.usize(1..=(shard.records.len() - from).min(12));
        let port = Port::new(&world, &mut random, faults);
        match invoke(&mut memory, &config, &shard.units(from, to), port, order) {
            Some(done) => at = at.max(from + done),
            None => memory = WorkingSet::of(world.borrow().saved.clone()),
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
    let done = invoke(&mut memory, &Config::default(), &units, port, Order::PublishFirst);
    assert_eq!(done, Some(units.len()));
    Rc::try_unwrap(world).ok().expect("the ports are gone").into_inner()
}

fn shards() -> Vec<(Shard, World)> {
    let mut random = Rng::with_seed(4);
    let read = |story: std::path::PathBuf| {
        let path = fixture(story.join("events.jsonl").to_str().unwrap());
        local::read(&[path], &local::Progress::hidden(), &mut Report::default()).events
    };
    let shards = stories().into_iter().map(read).map(|events| {
        // The end of a story is where its alerts are.
        Shard::of(&events[events.len().saturating_sub(120)..], &mut random)
    });
    shards.map(|shard| (undisturbed(&shard), shard)).map(|(world, shard)| (shard, world)).collect()
}

/// Runs, spread over the stories.
const RUNS: u64 = 2_400;

#[test]
fn every_alert_is_received_whatever_fails() {
    let shards = shards();
    let alerts: usize = shards.iter().map(|(_, expected)| expected.received.len()).sum();
    assert!(alerts >= 10, "the stories raise {alerts} alerts");
    for seed in 0..RUNS {
        let (shard, expected) = &shards[usize::try_from(seed).unwrap() % shards.len()];
        let world = deliver(shard, seed, Order::PublishFirst);
        assert_eq!(world.received, expected.received, "seed {seed}");
        assert_eq!(world.buried, expected.buried, "seed {seed}");
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
    assert_eq!((one.received, one.saved), (other.received, other.saved));
}
