//! What outlives environments: a table, a topic, and what is known to be wrong with either.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use rolewatch::alert::Alert;
use rolewatch::baseline::{Denials, Habits, Table as Values};
use rolewatch::dead_letter::Lost;
use rolewatch::pipeline::{DeadLetters, Topics};
use rolewatch::severity::Severity;
use rolewatch::store::{Body, Item, Key, Page, Table, Told, Write, Written, codec};

/// What a reader joins alerts by beside their id: whom and which rule they are about, and the
/// role, but for enumerations, which are about many; and whether it is worth a look, and was
/// granted.
pub type Kind = (String, String, String, bool, bool);

pub fn kinds(alert: &Alert) -> Vec<Kind> {
    let principal = &alert.principal;
    let who =
        format!("{:?} {:?}", principal.account, principal.id.as_ref().map(ToString::to_string));
    let who = if principal.id.is_some() {
        who
    } else {
        format!("{who} {:?}", principal.arn.as_ref().map(|it| it.as_str().to_owned()))
    };
    let role = alert.role.as_ref().map_or_else(String::new, |role| role.name.clone());
    let kind = |rule: &str, severity| {
        let role = if rule == "role_enumeration" { String::new() } else { role.clone() };
        let is_grave = severity > Severity::Low;
        (who.clone(), role, rule.to_owned(), is_grave, alert.outcome.granted)
    };
    alert.findings.iter().map(|finding| kind(&finding.rule, finding.severity)).collect()
}

/// What is held against the invariants.
#[derive(Default)]
pub struct World {
    /// What time it is.
    pub now: Timestamp,
    /// Every version of an item that a read which may be out of date can still return; the last
    /// one is what is there.
    pub items: HashMap<Key, Vec<Option<Item>>>,
    /// Whether items are stored as bytes.
    pub packs: bool,
    /// Alerts that subscribers received.
    pub received: BTreeSet<String>,
    /// And what they are about.
    pub kinds: BTreeSet<Kind>,
    /// Ids of alerts with their kinds, for naming what is odd.
    pub told: Vec<(String, Vec<Kind>)>,
    /// What must not happen, and did.
    pub wrong: Vec<String>,
    /// Writes that met another version.
    pub conflicts: u64,
    /// Reads that returned what was out of date.
    pub stale: u64,
}

impl World {
    pub fn current(&self, key: &Key) -> Option<&Item> {
        self.items.get(key)?.last()?.as_ref()
    }

    /// From now on reads return what is there now, or later.
    pub fn settle(&mut self) {
        for versions in self.items.values_mut() {
            versions.drain(..versions.len() - 1);
        }
    }

    fn write(&mut self, write: &Write, is_blind: bool) -> Written {
        let current = self.current(&write.key).cloned();
        let version = current.as_ref().map_or(0, |item| item.version);
        if version != write.expected {
            self.conflicts += 1;
            if !is_blind {
                return Written::Conflict;
            }
        }
        if let Some(lost) = current.and_then(|item| lost(&item.body?, &write.body, false)) {
            self.wrong.push(format!("writing {} lost {lost}", write.key.to_text()));
        }
        let Write { key, version, until, body, .. } = write.clone();
        // What is read is what was stored of it; in some schedules, for packing takes long.
        let stored = if self.packs { codec::decode(&key, &codec::encode(&body)) } else { Ok(body) };
        let Ok(body) = stored else {
            self.wrong.push(format!("what is written under {} is not read", key.to_text()));
            return Written::Done;
        };
        let item = Item { key: key.clone(), version, until, body: Some(body) };
        self.items.entry(key).or_insert_with(|| vec![None]).push(Some(item));
        Written::Done
    }
}

/// What `new` does not tell of the facts of `old`: values and their days, where new ones do not
/// come all the time; refusals, names, sign-ins; what alerts were sent; policies, sessions, places
/// and copies. Some refusals may be held `back` while others of the role are known.
pub fn lost(old: &Body, new: &Body, back: bool) -> Option<String> {
    match (old, new) {
        (Body::Role(old), Body::Role(new)) => {
            let mut joined = (**new).clone();
            joined.join(old);
            if joined.id() != new.id() || joined.folds.has_news_since(&new.folds) {
                return Some("its id, or that an alert was sent".to_owned());
            }
            old.iter().find_map(|(class, old)| lost_habit(old, new.habits(class)))
        }
        (Body::Caller(old), Body::Caller(new)) => {
            let mut joined = (**new).clone();
            joined.join(old);
            if let Some(lost) = lost_refusal(&old.denials, &new.denials, back) {
                return Some(format!("the refusal of {lost}"));
            }
            if joined.label() != new.label() || joined.folds.has_news_since(&new.folds) {
                return Some("its name, or that an alert was sent".to_owned());
            }
            lost_habit(old.habits(), Some(new.habits()))
        }
        (Body::Told(old), Body::Told(new)) => {
            let sessions = new.sessions.iter().map(|(id, _)| id).collect::<BTreeSet<_>>();
            let places = new.places.iter().map(|(id, _)| id).collect::<BTreeSet<_>>();
            let mut gone =
                old.sessions.iter().map(|(id, _)| id).filter(|id| !sessions.contains(id));
            let session = gone.next().filter(|_| sessions.len() < Told::MOST);
            let poorer = old.sessions.iter().find(|(id, old)| {
                let mut new = new.sessions.iter().filter(|(known, _)| known == id);
                new.any(|(_, new)| new.join(old) != **new)
            });
            if let Some((id, _)) = poorer {
                return Some(format!("where session {id:?} came from"));
            }
            let mut gone = old.places.iter().map(|(id, _)| id).filter(|id| !places.contains(id));
            let place = gone.next().filter(|_| places.len() < Told::MOST);
            session.or(place).map(|id| format!("what call {id:?} told"))
        }
        (Body::Trust(old), Body::Trust(new)) => {
            let mut joined = (**new).clone();
            joined.join(old);
            (joined != **new).then(|| "a policy".to_owned())
        }
        (Body::Copy(old), Body::Copy(new)) => {
            let kept = |rule: &str| new.findings.iter().any(|it| it.rule == rule);
            let gone = old.findings.iter().find(|it| !kept(&it.rule));
            let goes_back = old.complete && !new.complete || old.revision > new.revision;
            let gone = gone.map(|it| format!("{} of a copy", it.rule));
            gone.or_else(|| goes_back.then(|| "how much of a copy was told".to_owned()))
        }
        _ => None,
    }
}

/// The refusals of each role, as they are stored.
type Refused = BTreeMap<String, BTreeMap<Timestamp, BTreeSet<u32>>>;

fn lost_refusal(old: &Denials, new: &Denials, back: bool) -> Option<String> {
    let read = |it: &Denials| -> Refused {
        serde_json::from_value(serde_json::to_value(it).unwrap()).unwrap()
    };
    let (old, new) = (read(old), read(new));
    let nothing = BTreeMap::new();
    for (role, old) in old {
        let new = match new.get(&role) {
            None if new.len() == Denials::ROLES => continue,
            new => new.unwrap_or(&nothing),
        };
        for (time, marks) in old {
            let is_past = new.len() == Denials::SECONDS && new.keys().next() > Some(&time);
            let is_there = new.get(&time).is_some_and(|it| marks.is_subset(it));
            let near = |minutes: i64| -> usize {
                let most = SignedDuration::from_mins(minutes);
                let near = new.iter().filter(|(at, _)| at.duration_since(time).abs() <= most);
                near.map(|(_, marks)| marks.len()).sum()
            };
            // As many as any rule counts, and one just now: the next can wait for a minute.
            let can_wait = back && near(5) >= 5 && near(1) > 0;
            if !is_past && !is_there && !can_wait {
                return Some(format!("{role} at {time}"));
            }
        }
    }
    None
}

fn lost_habit(old: &Habits, new: Option<&Habits>) -> Option<String> {
    old.iter().filter(|(_, old)| !old.is_volatile()).find_map(|(dimension, old)| {
        let new = new.and_then(|new| new.table(dimension));
        let is_full = new.is_some_and(|new| new.len() == Values::CAPACITY);
        let mut values = old.iter();
        let gone = values.find(|(value, seen)| match new.and_then(|new| new.get(value)) {
            Some(known) => known.days.join(seen.days) != known.days,
            None => !is_full,
        });
        gone.map(|(value, _)| format!("{dimension:?} {value:?}"))
    })
}

/// Lets whoever schedules go on with somebody else, or end this one for ever.
pub struct Yield(bool);

pub fn step() -> Yield {
    Yield(false)
}

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// How one environment reaches the world.
pub struct Line {
    pub world: Rc<RefCell<World>>,
    pub random: Rng,
    /// Chances in a hundred that something fails.
    pub faults: u8,
    /// Chances in a hundred that a read is out of date.
    pub stale: u8,
    /// The mistake of writing whatever is there.
    pub is_blind: bool,
}

impl Line {
    fn fails(&mut self) -> bool {
        self.random.u8(..100) < self.faults
    }
}

impl Table for Line {
    type Error = &'static str;

    async fn get(&mut self, keys: &[Key], consistent: bool) -> Result<Page, &'static str> {
        step().await;
        if self.random.u8(..200) < self.faults {
            return Err("the table is away");
        }
        let mut page = Page::default();
        for key in keys {
            if self.fails() {
                page.unprocessed.push(key.clone());
                continue;
            }
            let is_stale = !consistent && self.random.u8(..100) < self.stale;
            let mut world = self.world.borrow_mut();
            let Some(versions) = world.items.get(key) else { continue };
            let back = if is_stale { self.random.usize(..versions.len()) } else { 0 };
            let item = versions[versions.len() - 1 - back].clone();
            world.stale += u64::from(back > 0);
            page.items.extend(item);
        }
        step().await;
        Ok(page)
    }

    async fn put(&mut self, writes: &[Write]) -> Vec<Result<Written, &'static str>> {
        let mut outcomes = Vec::new();
        for write in writes {
            step().await;
            if self.fails() {
                outcomes.push(match self.random.u8(..4) {
                    0 => Err("the table is away"),
                    1 => {
                        // It was written, and the answer was lost.
                        self.world.borrow_mut().write(write, self.is_blind);
                        Err("no answer in time")
                    }
                    _ => Ok(Written::Throttled),
                });
                continue;
            }
            outcomes.push(Ok(self.world.borrow_mut().write(write, self.is_blind)));
        }
        step().await;
        outcomes
    }

    async fn pause(&mut self, _: u32) -> Result<(), &'static str> {
        step().await;
        Ok(())
    }
}

impl Topics for Line {
    type Error = &'static str;

    async fn publish(&mut self, alerts: &[&Alert]) -> Result<(), (usize, &'static str)> {
        let mut first = None;
        for (at, alert) in alerts.iter().enumerate() {
            step().await;
            let fails = self.fails();
            if !fails || self.random.bool() {
                let mut world = self.world.borrow_mut();
                let kinds = kinds(alert);
                world.kinds.extend(kinds.iter().cloned());
                if world.received.insert(alert.id.clone()) {
                    world.told.push((alert.id.clone(), kinds));
                }
            }
            if fails {
                first = first.or(Some(at));
            }
        }
        step().await;
        first.map_or(Ok(()), |at| Err((at, "not accepted")))
    }
}

impl DeadLetters for Line {
    type Error = &'static str;

    async fn bury(&mut self, _: usize, _: &[Lost], _: u64) -> Result<(), &'static str> {
        Ok(())
    }
}
