//! Maps that keep within a bound.

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::hash::Hash;
use std::sync::Arc;

use jiff::Timestamp;

use crate::baseline::{Caller, RoleBaseline};
use crate::map::{Map, SharedMap};
use crate::trust::History;

/// Something whose size in memory, and whose age, is known.
pub(super) trait Weight {
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
pub(super) struct Weighed<K: Eq + Hash, V> {
    entries: SharedMap<K, Arc<V>>,
    weight: usize,
}

impl<K: Eq + Hash, V> Default for Weighed<K, V> {
    fn default() -> Self {
        Self { entries: SharedMap::default(), weight: 0 }
    }
}

impl<K: Eq + Hash + Ord + Clone, V: Weight> Weighed<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<Arc<V>> {
        self.entries.get(key).map(|entry| Arc::clone(entry.value()))
    }

    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    pub(super) fn insert(&mut self, key: K, value: Arc<V>) {
        self.weight += value.weight();
        if let Some(old) = self.entries.insert(key, value) {
            self.weight -= old.weight();
        }
    }

    pub(super) fn sorted(&self) -> Vec<(K, Arc<V>)> {
        let entries = self.entries.iter();
        let mut all: Vec<_> =
            entries.map(|entry| (entry.key().clone(), Arc::clone(entry.value()))).collect();
        all.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        all
    }

    /// Once the weight is above `bound`, drops what was not active for longest until a tenth of
    /// the bound is free, so that this is rare. Returns how many went.
    pub(super) fn evict(&mut self, bound: usize) -> u64 {
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
                self.weight -= value.weight();
                evicted += 1;
            }
        }
        evicted
    }
}

/// A map that forgets what came first.
#[derive(Debug)]
pub(super) struct Fifo<K, V> {
    entries: Map<K, V>,
    order: VecDeque<K>,
}

impl<K, V> Default for Fifo<K, V> {
    fn default() -> Self {
        Self { entries: Map::default(), order: VecDeque::new() }
    }
}

impl<K: Eq + Hash + Clone, V> Fifo<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(key)
    }

    pub(super) fn contains<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.entries.contains_key(key)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.entries.insert(key.clone(), value).is_none() {
            self.order.push_back(key);
        }
    }

    /// Forgets what came first, until at most `bound` are left. Returns how many went.
    pub(super) fn cut(&mut self, bound: usize) -> u64 {
        let mut gone = 0;
        while self.order.len() > bound
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
            gone += 1;
        }
        gone
    }

    /// The keys in the order in which they came.
    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.order.iter()
    }

    /// The keys in their own order.
    pub(super) fn sorted(&self) -> Vec<K>
    where
        K: Ord,
    {
        let mut all: Vec<K> = self.order.iter().cloned().collect();
        all.sort_unstable();
        all
    }
}
