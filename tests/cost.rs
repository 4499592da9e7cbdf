//! What the shared table costs: reads and writes for the month of `fixtures/month/`, for a million
//! assumptions.
//!
//! `cargo test --release --test cost -- --nocapture` prints the figures that the README quotes.

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
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::rc::Rc;

use rolewatch::alert::Alert;
use rolewatch::config::Config;
use rolewatch::event::Event;
use rolewatch::memory::WorkingSet;
use rolewatch::pipeline::{Counted, Ports, Topics, Unit, Watch, drive, transact};
use rolewatch::report::Report;
use rolewatch::store::{Item, Key, Page, Store, Table, Write, Written, codec};
use support::{events_of, fixture};

/// Dollars for a million units on demand in us-east-1, as the price list says in November 2026.
const READ_PRICE: f64 = 0.125;
const WRITE_PRICE: f64 = 0.625;

/// A table that counts as AWS does: a write unit for each KB, a read unit for each 4 KB, and half
/// of it where the answer may be out of date.
#[derive(Default)]
struct Meter {
    items: HashMap<Key, (Item, usize)>,
    read: f64,
    written: f64,
    by_kind: BTreeMap<String, (u64, f64)>,
}

struct Line(Rc<RefCell<Meter>>);

/// Bytes of an item beside its key and its body: names, version and expiry.
const BESIDE: usize = 40;

impl Table for Line {
    type Error = Infallible;

    async fn get(&mut self, keys: &[Key], consistent: bool) -> Result<Page, Infallible> {
        let mut meter = self.0.borrow_mut();
        let mut page = Page::default();
        for key in keys {
            let found = meter.items.get(key).cloned();
            let size = found.as_ref().map_or(1, |(_, size)| *size);
            let units = size.div_ceil(4_096) as f64;
            meter.read += if consistent { units } else { units / 2.0 };
            page.items.extend(found.map(|(item, _)| item));
        }
        Ok(page)
    }

    async fn put(&mut self, writes: &[Write]) -> Vec<Result<Written, Infallible>> {
        let mut meter = self.0.borrow_mut();
        let put = |write: &Write| {
            let text = write.key.to_text();
            let size = text.len() + codec::encode(&write.body).len() + BESIDE;
            let units = size.div_ceil(1_024) as f64;
            let version = meter.items.get(&write.key).map_or(0, |(item, _)| item.version);
            meter.written += units;
            let kind = text.split('#').next().unwrap().to_owned();
            let entry = meter.by_kind.entry(kind).or_default();
            *entry = (entry.0 + 1, entry.1 + units);
            if version != write.expected {
                return Ok(Written::Conflict);
            }
            let Write { key, version, until, body, .. } = write.clone();
            let item = Item { key: key.clone(), version, until, body: Some(body) };
            meter.items.insert(key, (item, size));
            Ok(Written::Done)
        };
        writes.iter().map(put).collect()
    }

    async fn pause(&mut self, _: u32) -> Result<(), Infallible> {
        Ok(())
    }
}

struct Nowhere;

impl Topics for Nowhere {
    type Error = Infallible;

    async fn publish(&mut self, _: &[&Alert]) -> Result<(), (usize, Infallible)> {
        Ok(())
    }
}

/// Each batch is what arrives within ten seconds, and any of four environments takes it.
fn measure(events: &[Event], environments: usize) -> (Report, Rc<RefCell<Meter>>, u64) {
    let meter = Rc::new(RefCell::new(Meter::default()));
    let config = Config::default();
    let watch = Watch { config: &config, learn_until: None };
    let mut all: Vec<_> = (0..environments)
        .map(|_| (WorkingSet::default(), Store::over(Line(Rc::clone(&meter)))))
        .collect();
    let mut random = fastrand::Rng::with_seed(8);
    let mut report = Report::default();
    let mut conflicts = 0;
    for batch in
        events.chunk_by(|a, b| a.call().time.as_second() / 10 == b.call().time.as_second() / 10)
    {
        let (memory, store) = &mut all[random.usize(..environments)];
        store.set_time(batch.last().unwrap().call().time);
        let unit = |event| Unit { events: std::slice::from_ref(event), ..Unit::default() };
        let units: Vec<Unit<'_>> = batch.iter().map(unit).collect();
        let ports = Ports { topics: &mut Nowhere, letters: &mut Counted, baselines: store };
        drive(transact(memory, watch, &units, ports, &mut report)).unwrap();
        conflicts += store.take_tally().conflicts;
    }
    (report, meter, conflicts)
}

#[test]
fn a_million_assumptions_cost_less_than_two_dollars() {
    let events = events_of(fixture("month"));
    let (report, meter, conflicts) = measure(&events, 4);
    let meter = meter.borrow();
    let million = 1_000_000.0 / report.assumptions as f64;
    let (read, written) = (meter.read * million, meter.written * million);
    let price = read / 1e6 * READ_PRICE + written / 1e6 * WRITE_PRICE;
    println!("{} assumptions, {conflicts} conflicts", report.assumptions);
    for (kind, (writes, units)) in &meter.by_kind {
        println!("{kind}: {:.0} writes, {:.0} units", *writes as f64 * million, units * million);
    }
    println!("a million assumptions: {read:.0} read units, {written:.0} write units, ${price:.2}");
    assert!(price < 2.0, "{price}");
}
