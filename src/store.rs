//! What is remembered, shared by every environment that runs this function: one table of items,
//! each read when first needed and written on the condition that nobody wrote it meanwhile.
//!
//! # What is shared
//!
//! | item | why | written |
//! | --- | --- | --- |
//! | `role#…`, `caller#…` | what is normal, probation and what alerts were sent | when there is news: a value, a day, an alert, a refusal; counts with the next news or within six hours |
//! | `session#…` | where a chain came from | once, for the sessions that [`needs`] finds worth it |
//! | `place#…` | where a person was who acts from inside AWS | for each sign-in that tells it, and each sign-in through Identity Center |
//! | `copy#…` | both accounts' records of one call are one call | once for a call across accounts |
//! | `trust#…` | the trust policies of a role, and its deletion | when one is written, or refuted by a grant |
//! | `account#…`, `person#…`, `party#…`, `ours#…` | who takes part at all | once ever |
//!
//! What was seen is not shared: judging a record again in another environment adds no fact that
//! is not there, and its alert is a repeat of itself; counts may be one too high. Nor are calls
//! that wait for the record of their session: where that one is read by another environment
//! later, the chain stays incomplete, and says so. Either would cost a write for every record.
//!
//! # What holds
//!
//! What may matter to the next judgement is in the table before its record is acknowledged. What
//! an environment holds back are counts, the time of the last call, and new values where new
//! values come all the time, for six hours at most; and further refusals of one role within five
//! minutes, for one minute. They are lost with it.
//! An environment knows what others saved more than [`FRESH`] ago; before it raises an alert it
//! knows all of it. Callers are read as they are now, for one role refused to each of many
//! environments, and one granted by yet another, is how an enumeration would hide.

mod body;
pub mod codec;
mod key;
pub mod needs;
mod read;
mod write;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;

use jiff::{SignedDuration, Timestamp};

use crate::event::Event;
use crate::pipeline::{Baselines, Question};
use crate::state::{Memory, Overlay};

pub use body::{Body, Told};
pub use key::Key;
use needs::Opened;

/// How long what was read is taken for what is there. A minute of staleness costs a day's worth
/// of novelty nothing, and a busy role one read a minute in each environment instead of one a
/// batch.
pub const FRESH: SignedDuration = SignedDuration::from_mins(1);

/// How often what was throttled or contended is tried again before the batch is given back.
const ATTEMPTS: u32 = 8;

/// One thing in the table.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Under what it stands.
    pub key: Key,
    /// One more with every write. The first is the time in milliseconds: an item that was deleted
    /// and is written anew has no version that somebody still knows of the old one.
    pub version: u64,
    /// From when on it may be deleted, and counts as deleted.
    pub until: Option<Timestamp>,
    /// What it says; nothing where it is damaged.
    pub body: Option<Body>,
}

impl Item {
    /// Whether it counts as deleted.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until < now)
    }
}

/// An item to be written on a condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// Under what.
    pub key: Key,
    /// The version that has to be there for it to be written; 0 for none at all.
    pub expected: u64,
    /// The version that it gets.
    pub version: u64,
    /// From when on it may be deleted.
    pub until: Option<Timestamp>,
    /// What it says.
    pub body: Body,
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is there.
    Done,
    /// Another version is.
    Conflict,
    /// The table is too busy.
    Throttled,
}

/// Some of what was asked for.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// What is there.
    pub items: Vec<Item>,
    /// What has to be asked for again. What is in neither is not there.
    pub unprocessed: Vec<Key>,
    /// Whether that is so because an answer has no room for more, and not because the table is
    /// too busy.
    pub is_full: bool,
}

/// A table that several environments share.
#[expect(async_fn_in_trait, reason = "one task drives the transaction, so nothing has to be Send")]
pub trait Table {
    /// Why it could not be asked.
    type Error: fmt::Display;

    /// Reads items, of which no two are the same; `consistent` for what is there now, else what
    /// was there a moment ago will do.
    ///
    /// # Errors
    /// A failure that can pass.
    async fn get(&mut self, keys: &[Key], consistent: bool) -> Result<Page, Self::Error>;

    /// Writes each item on its condition, and says of each, in order, what became of it.
    async fn put(&mut self, writes: &[Write]) -> Vec<Result<Written, Self::Error>>;

    /// Waits before trying again what was throttled, longer with every attempt from 0 on.
    ///
    /// # Errors
    /// There is no time left.
    async fn pause(&mut self, attempt: u32) -> Result<(), Self::Error>;
}

/// Why a batch could not be served.
#[derive(Debug, thiserror::Error)]
pub enum StoreError<E: fmt::Display> {
    /// The table could not be asked.
    #[error("{0}")]
    Table(E),
    /// It was too busy for too long, or others kept writing the same item.
    #[error("the table was throttled or contended for {0} of its items, {ATTEMPTS} times over")]
    Busy(usize),
}

/// What a store has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Items asked for.
    pub reads: u64,
    /// Of these, before an alert and with a consistent read.
    pub confirmed: u64,
    /// Items written.
    pub writes: u64,
    /// Writes that met another version.
    pub conflicts: u64,
    /// Reads and writes that had to be tried again.
    pub throttled: u64,
}

/// A table, and what one environment knows of it.
#[derive(Debug)]
pub struct Store<T> {
    table: T,
    now: Timestamp,
    known: HashMap<Key, Known>,
    due: BTreeSet<(Timestamp, Key)>,
    /// What was read with certainty during this batch.
    confirmed: HashSet<Key>,
    opened: HashMap<crate::lineage::CallId, Opened>,
    tally: Tally,
    /// Items known beside those that the memory holds, and at how many the next look at them is due.
    room: usize,
    prune_above: usize,
}

/// What is known of an item.
#[derive(Debug, Clone)]
struct Known {
    /// 0 where there is none.
    version: u64,
    /// When that was so.
    at: Timestamp,
    /// What it said. What the memory holds beyond that is not saved yet.
    base: Option<Body>,
    /// When what is not saved yet has to be.
    due: Option<Timestamp>,
}

/// Whether what was read then is still taken for what is there.
fn is_fresh(now: Timestamp, at: Timestamp) -> bool {
    now.duration_since(at).abs() < FRESH
}

impl<T: Table> Store<T> {
    /// A store of which nothing is known yet.
    pub fn over(table: T) -> Self {
        Self {
            table,
            now: Timestamp::UNIX_EPOCH,
            known: HashMap::new(),
            due: BTreeSet::new(),
            confirmed: HashSet::new(),
            opened: HashMap::new(),
            tally: Tally::default(),
            room: 0,
            prune_above: 0,
        }
        .with_room(50_000)
    }

    /// The same, with room to know of so many items beside those that the memory holds.
    #[must_use]
    pub fn with_room(self, room: usize) -> Self {
        Self { room, prune_above: room, ..self }
    }

    /// Says what time it is, for telling what is out of date. Events have their own time. A clock
    /// that was set back makes what was read before that out of date.
    pub fn set_time(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// The table.
    pub fn table(&mut self) -> &mut T {
        &mut self.table
    }

    /// What was done since this was last asked.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// Reads items as they are now, whatever is known of them, for `memory` to take in.
    ///
    /// # Errors
    /// A failure that can pass.
    pub async fn fetch(
        &mut self,
        memory: &dyn Memory,
        keys: &[Key],
    ) -> Result<Overlay, StoreError<T::Error>> {
        let keys: BTreeSet<Key> = keys.iter().cloned().collect();
        let keys: Vec<Key> = keys.into_iter().collect();
        let items = self.read(&keys, true).await?;
        let mut overlay = Overlay::default();
        self.take_in(memory, &keys, items, true, &mut overlay);
        Ok(overlay)
    }

    /// Forgets what the memory does not hold any more, once there is much of it: what was read
    /// long ago, and if that is not enough, what was read just now.
    fn prune(&mut self, memory: &dyn Memory) {
        if self.known.len() <= self.prune_above {
            return;
        }
        let is_held = |key: &Key| match key {
            Key::Role(role) => memory.role(role).is_some(),
            Key::Caller(caller) => memory.caller(caller).is_some(),
            Key::Trust(role) => memory.trust(role).is_some(),
            // What a late record tells of it has to go where it stands.
            Key::Session(key) => {
                memory.traces().sessions.found(key).any(|(_, it)| !it.lineage.settled)
            }
            _ => false,
        };
        let held = self.known.keys().filter(|key| is_held(key)).count();
        let now = self.now;
        self.known.retain(|key, known| is_held(key) || is_fresh(now, known.at));
        if self.known.len() > held + self.room {
            self.known.retain(|key, _| is_held(key));
        }
        let known = &self.known;
        self.due.retain(|(_, key)| known.contains_key(key));
        self.prune_above = self.known.len() + self.room;
    }
}

impl<T: Table> Baselines for Store<T> {
    type Error = StoreError<T::Error>;

    async fn load(
        &mut self,
        memory: &dyn Memory,
        events: &[&Event],
    ) -> Result<Overlay, Self::Error> {
        self.confirmed.clear();
        self.opened = needs::opened(events);
        self.prune(memory);
        let (mut now, mut soon) = (BTreeSet::new(), BTreeSet::new());
        for event in events {
            soon.extend(needs::keys(memory, event));
            now.extend(needs::urgent(event));
        }
        // What others have written meanwhile is cheaper read than met.
        let due = self.due.iter().take_while(|(due, _)| *due <= self.now);
        soon.extend(due.take(write::MOST_DUE).map(|(_, key)| key.clone()));
        soon.retain(|key| !now.contains(key) && self.lacks(memory, key));
        // A session is used as soon as it is opened.
        let is_session = |key: &Key| matches!(key, Key::Session(_));
        let (sessions, soon): (Vec<_>, Vec<_>) = soon.into_iter().partition(is_session);
        now.extend(sessions);
        let now = Vec::from_iter(now);
        // All is read before any of it counts as known: the memory gets both or nothing.
        let soon_there = self.read(&soon, false).await?;
        let now_there = self.read(&now, true).await?;
        // A history that was just read may tell which role was meant, and a session whose it is.
        let known = |key: &Key| soon.contains(key) || !self.lacks(memory, key);
        let mut told = needs::told_by(events, &now_there);
        told.extend(needs::actors(memory, events, &now_there));
        told.retain(|key| !known(key) && !now.contains(key));
        let told = Vec::from_iter(told);
        let told_there = self.read(&told, false).await?;
        let mut overlay = Overlay::default();
        self.take_in(memory, &soon, soon_there, false, &mut overlay);
        self.take_in(memory, &now, now_there, true, &mut overlay);
        self.take_in(memory, &told, told_there, false, &mut overlay);
        Ok(overlay)
    }

    async fn confirm(
        &mut self,
        memory: &dyn Memory,
        questions: &[Question<'_>],
    ) -> Result<Option<Overlay>, Self::Error> {
        let keys = questions.iter().flat_map(|question| needs::of_alert(memory, question));
        let keys: BTreeSet<Key> = keys.filter(|key| !self.confirmed.contains(key)).collect();
        if keys.is_empty() {
            return Ok(None);
        }
        let keys: Vec<Key> = keys.into_iter().collect();
        self.tally.confirmed += keys.len() as u64;
        let items = self.read(&keys, true).await?;
        let mut overlay = Overlay::default();
        let news = self.take_in(memory, &keys, items, true, &mut overlay);
        Ok(news.then_some(overlay))
    }

    async fn save(
        &mut self,
        memory: &dyn Memory,
        changes: &mut Overlay,
    ) -> Result<bool, Self::Error> {
        self.save_changes(memory, changes).await
    }
}

#[cfg(test)]
mod tests;
