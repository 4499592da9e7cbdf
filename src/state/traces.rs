//! What is remembered for following sessions: which were issued, which calls wait for the record
//! of theirs, and where people were.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::Assumption;
use crate::finding::Finding;
use crate::lineage::{
    CallId, CredentialKey, Found, GRACE, Lineage, Perishable, Place, Session, Shelf,
};
use crate::map::Set;
use crate::surprise::{Surprise, TRAVEL};

/// A granted call of which something is missing that may still come: the record of the session
/// that made it, or of the place where the person was; or the next use of a key, where it was
/// before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiter {
    /// The call.
    pub call: Arc<Assumption>,
    /// Under what it waits.
    pub keys: Vec<CredentialKey>,
    /// Where it came from, as far as was known.
    pub lineage: Arc<Lineage>,
    /// The last revision of the alert that was sent for it; 0 for none.
    pub revision: u32,
    /// What was found.
    pub findings: Vec<Finding>,
    /// What was new about the call when it was judged: afterwards it may have been learned.
    pub surprise: Option<Surprise>,
    /// Whether it was learned from only, and raises nothing.
    pub learned: bool,
}

impl Perishable for Waiter {
    fn until(&self) -> Timestamp {
        let span = if self.lineage.settled { TRAVEL } else { GRACE };
        self.call.call.time + span
    }

    fn keys(&self) -> &[CredentialKey] {
        &self.keys
    }
}

/// How much is remembered at most.
#[derive(Debug, Clone, Copy)]
pub struct TraceBounds {
    /// Live sessions, in bytes. One weighs about 1 kB, and more at the end of a long chain.
    pub sessions: usize,
    /// Calls that wait, and places. A waiting call weighs about 3 kB.
    pub waiting: usize,
}

/// What went without having been of use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lost {
    /// Live sessions that had to go for want of room.
    pub sessions: u64,
    /// Waiting calls, and places, that had to go for want of room.
    pub waiting: u64,
    /// Calls whose chain was not complete when the time for late records was over.
    pub unanswered: u64,
}

/// What is remembered for following sessions.
#[derive(Debug, Default)]
pub struct Traces {
    /// Sessions.
    pub sessions: Shelf<Session>,
    /// Calls that wait.
    pub waiting: Shelf<Waiter>,
    /// Places of people.
    pub places: Shelf<Place>,
    /// How far time has come.
    pub clock: Clock,
    /// What went.
    pub lost: Lost,
}

impl Traces {
    /// Takes in what a batch has changed, or needs, and forgets what is over.
    pub fn take_in(&mut self, changes: TraceChanges) {
        changes.sessions.into(&mut self.sessions);
        changes.waiting.into(&mut self.waiting);
        changes.places.into(&mut self.places);
        self.clock.join(&changes.clock);
        if let Some(now) = self.clock.now() {
            self.sessions.expire(now);
            let over = self.waiting.expire(now);
            let unanswered = over.iter().filter(|it| !it.lineage.complete).count();
            self.lost.unanswered += unanswered as u64;
            self.places.expire(now);
        }
    }

    /// Forgets what has no room.
    pub fn cut(&mut self, bounds: TraceBounds) {
        self.lost.sessions += self.sessions.evict(bounds.sessions);
        self.lost.waiting += self.waiting.evict(bounds.waiting);
        self.lost.waiting += self.places.evict(bounds.waiting);
    }
}

/// How far time has come, as events tell it. It is believed only of several: one record with a
/// time in the future would end every session.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Clock(Vec<Timestamp>);

impl Clock {
    /// Events that have to agree.
    const WITNESSES: usize = 8;

    /// The latest time that so many events have come to.
    #[must_use]
    pub fn now(&self) -> Option<Timestamp> {
        self.0.first().copied().filter(|_| self.0.len() == Self::WITNESSES)
    }

    /// An event of this time was judged.
    pub fn reach(&mut self, time: Timestamp) {
        let Err(at) = self.0.binary_search(&time) else { return };
        if self.0.len() < Self::WITNESSES {
            self.0.insert(at, time);
        } else if at > 0 {
            // The earliest goes.
            self.0.insert(at, time);
            self.0.remove(0);
        }
    }

    /// Takes in what another one was told.
    pub fn join(&mut self, other: &Self) {
        other.0.iter().for_each(|time| self.reach(*time));
    }

    /// Forgets what is later than events that are still to come, for older logs are read now.
    pub fn go_back_to(&mut self, time: Timestamp) {
        if self.now().is_some_and(|now| now > time) {
            self.0.clear();
        }
    }
}

/// What a batch has changed of one kind.
#[derive(Debug, Clone)]
struct Layer<V> {
    put: Found<V>,
    removed: Set<CallId>,
}

impl<V> Default for Layer<V> {
    fn default() -> Self {
        Self { put: Found::default(), removed: Set::default() }
    }
}

impl<V: Perishable> Layer<V> {
    fn put(&mut self, id: CallId, value: Arc<V>) {
        if !self.removed.is_empty() {
            self.removed.remove(&id);
        }
        self.put.put(id, value);
    }

    fn remove(&mut self, id: CallId) {
        self.put.remove(&id);
        self.removed.insert(id);
    }

    /// What is kept of a call, unless its time is over.
    fn get(&self, under: &Shelf<V>, id: &CallId, now: Option<Timestamp>) -> Option<Arc<V>> {
        if self.removed.contains(id) {
            return None;
        }
        let value = self.put.get(id).or_else(|| under.get(id))?;
        now.is_none_or(|now| value.until() >= now).then(|| Arc::clone(value))
    }

    /// The calls found under a key, in order.
    fn under(&self, under: &Shelf<V>, key: &CredentialKey) -> Vec<CallId> {
        let mut ids = [self.put.under(key), under.under(key)].concat();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn into(self, shelf: &mut Shelf<V>) {
        for id in self.removed {
            shelf.remove(&id);
        }
        for (id, value) in self.put.into_entries() {
            shelf.put(id, value);
        }
    }
}

/// What a batch has changed.
#[derive(Debug, Clone, Default)]
pub struct TraceChanges {
    sessions: Layer<Session>,
    waiting: Layer<Waiter>,
    places: Layer<Place>,
    clock: Clock,
}

impl TraceChanges {
    /// Sessions that were opened, or of which more is known.
    #[must_use]
    pub fn issued(&self) -> Vec<(CallId, Arc<Session>)> {
        self.sessions.put.sorted()
    }

    /// Places that were told.
    #[must_use]
    pub fn told(&self) -> Vec<(CallId, Arc<Place>)> {
        self.places.put.sorted()
    }

    /// Makes room for the sessions that so many calls open, and for those calls that wait. A
    /// table that grows step by step takes new memory with each of them.
    pub(super) fn reserve(&mut self, room: usize) {
        /// One of so many waits.
        const WAITING: usize = 4;
        self.sessions.put.reserve(room, 2);
        self.waiting.put.reserve(room / WAITING, 4);
    }

    /// The calls that the batch has put to wait under a key.
    pub(super) fn waiting_under(&self, key: &CredentialKey) -> &[CallId] {
        self.waiting.put.under(key)
    }

    pub(super) fn reach(&mut self, time: Timestamp) {
        self.clock.reach(time);
    }

    pub(super) fn issue(&mut self, id: CallId, session: Arc<Session>) {
        self.sessions.put(id, session);
    }

    pub(super) fn wait(&mut self, id: CallId, waiter: Arc<Waiter>) {
        self.waiting.put(id, waiter);
    }

    pub(super) fn answer(&mut self, id: CallId) {
        self.waiting.remove(id);
    }

    pub(super) fn tell(&mut self, id: CallId, place: Arc<Place>) {
        self.places.put(id, place);
    }
}

/// Both together: what is remembered, under what the batch has changed.
pub(super) struct View<'a> {
    pub(super) memory: &'a Traces,
    pub(super) changes: &'a TraceChanges,
    /// How far time has come, the batch included.
    pub(super) now: Option<Timestamp>,
}

impl View<'_> {
    pub(super) fn count(&self, key: &CredentialKey) -> usize {
        let (new, old) = (&self.changes.sessions.put, &self.memory.sessions);
        new.under(key).len() + old.under(key).len()
    }

    pub(super) fn session(&self, id: &CallId) -> Option<Arc<Session>> {
        self.changes.sessions.get(&self.memory.sessions, id, self.now)
    }

    pub(super) fn sessions(&self, key: &CredentialKey) -> Vec<Arc<Session>> {
        let ids = self.changes.sessions.under(&self.memory.sessions, key);
        // The batch may have given a session other keys than are remembered.
        let sessions = ids.iter().filter_map(|id| self.session(id));
        sessions.filter(|it| it.keys.contains(key)).collect()
    }

    pub(super) fn places(&self, key: &CredentialKey) -> Vec<Arc<Place>> {
        let ids = self.changes.places.under(&self.memory.places, key);
        let place = |id: &CallId| self.changes.places.get(&self.memory.places, id, self.now);
        ids.iter().filter_map(place).collect()
    }

    pub(super) fn waiter(&self, id: &CallId) -> Option<Arc<Waiter>> {
        self.changes.waiting.get(&self.memory.waiting, id, self.now)
    }
}
