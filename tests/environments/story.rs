//! The stories that the environments are given, and what one environment alone tells of them.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use fastrand::Rng;
use jiff::Timestamp;
use rolewatch::alert::Alert;
use rolewatch::config::Config;
use rolewatch::event::Event;
use rolewatch::memory::{Bounds, WorkingSet};
use rolewatch::pipeline::{Alerts, Watch, drive, run_batch};
use rolewatch::report::Report;
use rolewatch::state::TraceBounds;
use rolewatch::store::{Item, Key};

use super::support::events_of;
use super::world::{Kind, World, kinds};
use super::{Order, PHASE, PHASES, environment, invoke, line};

/// A story: what is known when it begins, and its end, in phases.
pub struct Story {
    pub name: String,
    pub table: HashMap<Key, Vec<Option<Item>>>,
    pub phases: Vec<Vec<Event>>,
    /// What is expected of its roles.
    pub config: Rc<Config>,
    /// What has to be told.
    pub known: BTreeSet<Kind>,
    /// What may be told.
    pub possible: BTreeSet<Kind>,
    /// The ids of alerts that may be told.
    pub ids: BTreeSet<String>,
    pub start: Timestamp,
}

/// What a single environment tells.
#[derive(Default)]
struct Heard {
    kinds: BTreeSet<Kind>,
    ids: BTreeSet<String>,
}

impl Alerts for Heard {
    type Error = std::convert::Infallible;

    fn publish(&mut self, alert: &Alert) -> Result<(), Self::Error> {
        self.kinds.extend(kinds(alert));
        self.ids.insert(alert.id.clone());
        Ok(())
    }
}

/// A single environment that waits for late records and remembers places, or does neither. What
/// it tells in both ways is known; shared, places are remembered, and late records waited for
/// where the same environment happens to read them.
fn single(waits: bool) -> WorkingSet {
    let waiting = if waits { 10_000 } else { 0 };
    let traces = TraceBounds { sessions: 100_000, waiting };
    WorkingSet::bounded(Bounds { traces, ..Bounds::default() })
}

/// Orders of each phase in which a single environment is asked.
const ORDERS: u64 = 40;

/// The story of a folder, told by a single environment in many orders.
pub fn story(path: &std::path::Path) -> Story {
    let file = path.join("events.jsonl");
    let events = events_of(file);
    let (history, end) = events.split_at(events.len().saturating_sub(PHASE * PHASES));
    let phases: Vec<Vec<Event>> = end.chunks(PHASE).map(<[Event]>::to_vec).collect();
    let start = events.last().unwrap().call().time;
    let toml = std::fs::read_to_string(path.join("rolewatch.toml")).unwrap_or_default();
    let config = Rc::new(Config::parse(&toml).config.unwrap());
    let watch = Watch { config: &config, learn_until: None };
    let mut told: Option<Heard> = None;
    let (mut possible, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for order in 0..ORDERS {
        let mut random = Rng::with_seed(order);
        let mut memory = single(order % 2 == 1);
        let Ok(()) =
            run_batch(&mut memory, watch, history, &mut Heard::default(), &mut Report::default());
        let mut heard = Heard::default();
        for phase in &phases {
            let mut phase = phase.clone();
            random.shuffle(&mut phase);
            for event in &phase {
                let event = std::slice::from_ref(event);
                let Ok(()) =
                    run_batch(&mut memory, watch, event, &mut heard, &mut Report::default());
            }
        }
        possible.extend(heard.kinds.iter().cloned());
        ids.extend(heard.ids.iter().cloned());
        told = Some(match told {
            None => heard,
            Some(told) => Heard { kinds: &told.kinds & &heard.kinds, ids: BTreeSet::new() },
        });
    }
    let table = saved(history, start, &config);
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    Story { name, table, phases, config, known: told.unwrap().kinds, possible, ids, start }
}

/// What the table holds after some history.
fn saved(
    history: &[Event],
    now: Timestamp,
    config: &Rc<Config>,
) -> HashMap<Key, Vec<Option<Item>>> {
    let world = Rc::new(RefCell::new(World { now, ..World::default() }));
    let mut random = Rng::with_seed(1);
    for batch in history.chunks(50) {
        // One that knows nothing each time, so that nothing is held back for the next.
        let mut environment = environment(&world, &mut random, Order::Right, Bounds::default());
        environment.store.set_time(now);
        let topics = line(&world, &mut random, Order::Right);
        let batch = batch.to_vec();
        let size = batch.len();
        let (_, done) = drive(invoke(environment, batch, topics, Order::Right, Rc::clone(config)));
        assert_eq!(done, size);
    }
    let mut world = world.borrow_mut();
    assert_eq!(world.wrong, Vec::<String>::new());
    world.settle();
    std::mem::take(&mut world.items)
}
