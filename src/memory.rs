//! The working set: what is remembered between batches, shared by whoever judges and whoever
//! refreshes it, and bounded.

use std::collections::VecDeque;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use jiff::Timestamp;

use crate::baseline::{Caller, RoleBaseline};
use crate::event::{EventKey, PrincipalKey};
use crate::id::{AccountId, EventId, RoleArn};
use crate::lineage::{CallId, Place, Session};
use crate::map::{SharedMap, SharedSet};
use crate::pipeline::Remember;
use crate::state::{Clock, FirstCopy, Lost, Memory, Overlay, TraceBounds, Traces, Waiter};
use crate::trust::{History, RoleKey};

/// How much is remembered at most.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Values, refusals and folds over all roles; as many over all callers; and as many
    /// statements, principals and conditions over all trust policies. One weighs about 300
    /// bytes, its share of maps and keys included.
    pub weight: usize,
    /// Records remembered for dropping duplicates, and calls for joining their copies.
    pub recent: usize,
    /// Known accounts, known names of people, and known parties of trust policies.
    pub names: usize,
    /// Live sessions, and calls that wait for the record of theirs.
    pub traces: TraceBounds,
}

impl Bounds {
    /// Bytes of one value of a role's or a caller's baseline, or of a trust policy, with its
    /// share of the tables.
    const PER_VALUE: usize = 300;
    /// Bytes of a record that was read lately, and of the first copy of a call.
    const PER_RECENT: usize = 600;
    /// Bytes of a waiting call.
    const PER_WAITING: usize = 3_000;

    /// As much as finds room in so many bytes: nearly half of it for baselines, nearly half for
    /// live sessions, and the rest for what is kept for minutes.
    #[must_use]
    pub fn within(bytes: usize) -> Self {
        let part = |percent: usize| bytes / 100 * percent;
        let most = Self::default();
        Self {
            weight: (part(44) / 3 / Self::PER_VALUE).min(most.weight),
            recent: (part(5) / Self::PER_RECENT).min(most.recent),
            names: (part(1) / 100).min(most.names),
            traces: TraceBounds {
                sessions: part(44).min(most.traces.sessions),
                waiting: (part(6) / Self::PER_WAITING).min(most.traces.waiting),
            },
        }
    }
}

impl Default for Bounds {
    /// Half a million values each for roles, callers and trust policies, about 450 MB when all
    /// are full: some twenty thousand roles with three principals and eight networks.
    fn default() -> Self {
        let traces = TraceBounds { sessions: 1_400_000_000, waiting: 20_000 };
        Self { weight: 500_000, recent: 100_000, names: 100_000, traces }
    }
}

/// What is remembered.
#[derive(Debug)]
pub struct WorkingSet {
    bounds: Bounds,
    roles: Weighed<RoleArn, RoleBaseline>,
    callers: Weighed<PrincipalKey, Caller>,
    seen: Fifo<EventKey, ()>,
    copies: Fifo<EventId, Arc<FirstCopy>>,
    accounts: SharedMap<AccountId, ()>,
    people: SharedSet<Arc<str>>,
    traces: Traces,
    trust: Weighed<RoleKey, History>,
    parties: SharedSet<Arc<str>>,
    ours: SharedSet<AccountId>,
    evicted: AtomicU64,
}

impl Default for WorkingSet {
    fn default() -> Self {
        Self::bounded(Bounds::default())
    }
}

impl WorkingSet {
    /// An empty working set.
    #[must_use]
    pub fn bounded(bounds: Bounds) -> Self {
        Self {
            bounds,
            roles: Weighed::default(),
            callers: Weighed::default(),
            seen: Fifo::default(),
            copies: Fifo::default(),
            accounts: SharedMap::default(),
            people: SharedSet::default(),
            traces: Traces::default(),
            trust: Weighed::default(),
            parties: SharedSet::default(),
            ours: SharedSet::default(),
            evicted: AtomicU64::new(0),
        }
    }

    fn take_in(&mut self, overlay: Overlay) {
        let copies: Vec<_> = overlay
            .copies
            .iter()
            .filter_map(|id| Some((id.clone(), Arc::clone(overlay.first_copy(id)?))))
            .collect();
        for (id, copy) in copies {
            self.copies.insert(id, copy, self.bounds.recent);
        }
        for key in overlay.seen {
            self.seen.insert(key, (), self.bounds.recent);
        }
        for (role, baseline) in overlay.roles {
            self.roles.insert(role, baseline);
        }
        for (key, caller) in overlay.callers {
            self.callers.insert(key, caller);
        }
        for account in overlay.accounts {
            if self.accounts.len() < self.bounds.names {
                self.accounts.insert(account, ());
            }
        }
        for name in overlay.people {
            if self.people.len() < self.bounds.names {
                self.people.insert(name);
            }
        }
        for (role, history) in overlay.trust {
            self.trust.insert(role, history);
        }
        for party in overlay.parties {
            if self.parties.len() < self.bounds.names {
                self.parties.insert(party);
            }
        }
        for account in overlay.ours {
            if self.ours.len() < self.bounds.names {
                self.ours.insert(account);
            }
        }
        self.traces.take_in(overlay.traces, self.bounds.traces);
        let weight = self.bounds.weight;
        let evicted = self.roles.evict(weight) + self.callers.evict(weight);
        let evicted = evicted + self.trust.evict(weight);
        self.evicted.fetch_add(evicted, Ordering::Relaxed);
    }

    /// Roles, callers and trust policies that had to go for want of room.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Everything that had to go for want of room: roles, callers, sessions and waiting calls.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        let Lost { sessions, waiting, unanswered: _ } = self.lost();
        self.evicted() + sessions + waiting
    }

    /// Sessions and waiting calls that went without having been of use.
    #[must_use]
    pub fn lost(&self) -> Lost {
        self.traces.lost
    }

    /// Prepares for events from `time` on, which may be earlier than what was read before.
    pub fn go_back_to(&mut self, time: Timestamp) {
        self.traces.clock.go_back_to(time);
    }

    /// What all roles, all callers and all trust policies weigh, in values.
    #[must_use]
    pub fn weight(&self) -> [usize; 3] {
        [self.roles.weight(), self.callers.weight(), self.trust.weight()]
    }

    /// All roles, in order.
    #[must_use]
    pub fn roles(&self) -> Vec<(RoleArn, Arc<RoleBaseline>)> {
        self.roles.sorted()
    }

    /// All roles of which a trust policy is remembered, in order.
    #[must_use]
    pub fn trust_policies(&self) -> Vec<(RoleKey, Arc<History>)> {
        self.trust.sorted()
    }

    /// Everything that is remembered, in order.
    #[must_use]
    pub fn parts(&self) -> Parts {
        let mut accounts: Vec<_> = self.accounts.iter().map(|entry| *entry.key()).collect();
        accounts.sort_unstable();
        let copies = self.copies.order.iter();
        Parts {
            roles: self.roles.sorted(),
            callers: self.callers.sorted(),
            accounts,
            people: sorted(&self.people),
            recent: self.seen.order.iter().cloned().collect(),
            copies: copies.filter_map(|id| Some((id.clone(), self.first_copy(id)?))).collect(),
            sessions: self.traces.sessions.sorted(),
            waiting: self.traces.waiting.sorted(),
            places: self.traces.places.sorted(),
            clock: self.traces.clock.clone(),
            trust: self.trust.sorted(),
            parties: sorted(&self.parties),
            ours: sorted(&self.ours),
        }
    }

    /// A working set that remembers `parts`, within the default bounds.
    #[must_use]
    pub fn of(parts: Parts) -> Self {
        let mut memory = Self::default();
        let bounds = memory.bounds;
        parts.roles.into_iter().for_each(|(key, value)| memory.roles.insert(key, value));
        parts.callers.into_iter().for_each(|(key, value)| memory.callers.insert(key, value));
        memory.accounts = parts.accounts.into_iter().map(|account| (account, ())).collect();
        memory.people = parts.people.into_iter().collect();
        parts.recent.into_iter().for_each(|key| memory.seen.insert(key, (), bounds.recent));
        let copies = parts.copies.into_iter();
        copies.for_each(|(id, copy)| memory.copies.insert(id, copy, bounds.recent));
        let traces = &mut memory.traces;
        parts.sessions.into_iter().for_each(|(id, it)| traces.sessions.put(id, it));
        parts.waiting.into_iter().for_each(|(id, it)| traces.waiting.put(id, it));
        parts.places.into_iter().for_each(|(id, it)| traces.places.put(id, it));
        traces.clock = parts.clock;
        parts.trust.into_iter().for_each(|(key, value)| memory.trust.insert(key, value));
        memory.parties = parts.parties.into_iter().collect();
        memory.ours = parts.ours.into_iter().collect();
        memory
    }
}

/// Everything that a working set remembers, as values in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parts {
    /// Roles.
    pub roles: Vec<(RoleArn, Arc<RoleBaseline>)>,
    /// Callers.
    pub callers: Vec<(PrincipalKey, Arc<Caller>)>,
    /// Accounts that take part in what is normal.
    pub accounts: Vec<AccountId>,
    /// Names of people.
    pub people: Vec<Arc<str>>,
    /// The records judged last, oldest first.
    pub recent: Vec<EventKey>,
    /// The calls of which copies may still come, oldest first.
    pub copies: Vec<(EventId, Arc<FirstCopy>)>,
    /// Live sessions, the one that ends first first.
    pub sessions: Vec<(CallId, Arc<Session>)>,
    /// Calls that wait for the record of their session.
    pub waiting: Vec<(CallId, Arc<Waiter>)>,
    /// Places of people.
    pub places: Vec<(CallId, Arc<Place>)>,
    /// How far time has come.
    pub clock: Clock,
    /// Trust policies.
    pub trust: Vec<(RoleKey, Arc<History>)>,
    /// Parties that trust policies let in.
    pub parties: Vec<Arc<str>>,
    /// Our accounts.
    pub ours: Vec<AccountId>,
}

fn sorted<T: Eq + Hash + Ord + Clone>(set: &SharedSet<T>) -> Vec<T> {
    let mut all: Vec<T> = set.iter().map(|it| it.key().clone()).collect();
    all.sort_unstable();
    all
}

impl Remember for WorkingSet {
    fn commit(&mut self, overlay: Overlay) {
        self.take_in(overlay);
    }
}

impl Memory for WorkingSet {
    fn role(&self, role: &RoleArn) -> Option<Arc<RoleBaseline>> {
        self.roles.get(role)
    }

    fn caller(&self, caller: &PrincipalKey) -> Option<Arc<Caller>> {
        self.callers.get(caller)
    }

    fn has_seen(&self, key: &EventKey) -> bool {
        self.seen.entries.contains_key(key)
    }

    fn first_copy(&self, shared_id: &EventId) -> Option<Arc<FirstCopy>> {
        self.copies.entries.get(shared_id).map(|entry| Arc::clone(entry.value()))
    }

    fn knows_account(&self, account: AccountId) -> bool {
        self.accounts.contains_key(&account)
    }

    fn is_person(&self, name: &str) -> bool {
        self.people.contains(name)
    }

    fn traces(&self) -> &Traces {
        &self.traces
    }

    fn trust(&self, role: &RoleKey) -> Option<Arc<History>> {
        self.trust.get(role)
    }

    fn knows_party(&self, party: &str) -> bool {
        self.parties.contains(party)
    }

    fn is_ours(&self, account: AccountId) -> bool {
        self.ours.contains(&account)
    }
}

/// Something whose size in memory, and whose age, is known.
trait Weight {
    fn weight(&self) -> usize;
    fn last_active(&self) -> Option<Timestamp>;
}

impl Weight for RoleBaseline {
    fn weight(&self) -> usize {
        Self::weight(self)
    }

    fn last_active(&self) -> Option<Timestamp> {
        Self::last_active(self)
    }
}

impl Weight for Caller {
    fn weight(&self) -> usize {
        Self::weight(self)
    }

    fn last_active(&self) -> Option<Timestamp> {
        Self::last_active(self)
    }
}

impl Weight for History {
    fn weight(&self) -> usize {
        Self::weight(self)
    }

    fn last_active(&self) -> Option<Timestamp> {
        Self::last_active(self)
    }
}

/// A map that knows what its values weigh together.
#[derive(Debug)]
struct Weighed<K: Eq + Hash, V> {
    entries: SharedMap<K, Arc<V>>,
    weight: AtomicUsize,
}

impl<K: Eq + Hash, V> Default for Weighed<K, V> {
    fn default() -> Self {
        Self { entries: SharedMap::default(), weight: AtomicUsize::new(0) }
    }
}

impl<K: Eq + Hash + Ord + Clone, V: Weight> Weighed<K, V> {
    fn get(&self, key: &K) -> Option<Arc<V>> {
        self.entries.get(key).map(|entry| Arc::clone(entry.value()))
    }

    fn weight(&self) -> usize {
        self.weight.load(Ordering::Relaxed)
    }

    fn insert(&self, key: K, value: Arc<V>) {
        self.weight.fetch_add(value.weight(), Ordering::Relaxed);
        if let Some(old) = self.entries.insert(key, value) {
            self.weight.fetch_sub(old.weight(), Ordering::Relaxed);
        }
    }

    fn sorted(&self) -> Vec<(K, Arc<V>)> {
        let entries = self.entries.iter();
        let mut all: Vec<_> =
            entries.map(|entry| (entry.key().clone(), Arc::clone(entry.value()))).collect();
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// Once the weight is above `bound`, drops what was not active for longest until a tenth of
    /// the bound is free, so that this is rare. Returns how many went.
    fn evict(&self, bound: usize) -> u64 {
        if self.weight() <= bound {
            return 0;
        }
        let entries = self.entries.iter();
        let mut by_age: Vec<_> =
            entries.map(|entry| (entry.value().last_active(), entry.key().clone())).collect();
        by_age.sort_unstable();
        let target = bound - bound / 10;
        let mut evicted = 0;
        for (_, key) in by_age {
            if self.weight() <= target {
                break;
            }
            if let Some((_, value)) = self.entries.remove(&key) {
                self.weight.fetch_sub(value.weight(), Ordering::Relaxed);
                evicted += 1;
            }
        }
        evicted
    }
}

/// A map that forgets what came first.
#[derive(Debug)]
struct Fifo<K: Eq + Hash, V> {
    entries: SharedMap<K, V>,
    order: VecDeque<K>,
}

impl<K: Eq + Hash, V> Default for Fifo<K, V> {
    fn default() -> Self {
        Self { entries: SharedMap::default(), order: VecDeque::new() }
    }
}

impl<K: Eq + Hash + Clone, V> Fifo<K, V> {
    fn insert(&mut self, key: K, value: V, bound: usize) {
        if self.entries.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > bound {
            if let Some(oldest) = self.order.pop_front() {
                self.entries.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Change, State};

    fn key(n: usize) -> EventKey {
        EventKey::Id(None, n.to_string().parse().unwrap())
    }

    #[test]
    fn what_was_seen_is_remembered_within_a_bound() {
        let mut memory = WorkingSet::bounded(Bounds { recent: 100, ..Bounds::default() });
        for n in 0..=100 {
            let mut state = State::over(&memory);
            state.apply(&[Change::Saw(key(n)), Change::Saw(key(n))]);
            assert!(state.has_seen(&key(n)));
            let overlay = state.into_overlay();
            assert!(!memory.has_seen(&key(n)), "nothing reaches the memory before the commit");
            memory.commit(overlay);
        }
        assert!(!memory.has_seen(&key(0)));
        assert!(memory.has_seen(&key(1)) && memory.has_seen(&key(100)));
        assert_eq!(memory.parts().recent.len(), 100);
    }
}
