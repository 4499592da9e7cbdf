//! Things that are kept until a time, found by their call or by keys, and bounded.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use jiff::Timestamp;

use super::{CallId, CredentialKey};
use crate::map::Map;

/// Something that is of no use after a time.
pub trait Perishable {
    /// Until when it is kept.
    fn until(&self) -> Timestamp;
    /// Under what it is found.
    fn keys(&self) -> &[CredentialKey];
    /// How much of the bound it takes.
    fn weight(&self) -> usize {
        1
    }
}

/// Mostly one; a vector of one would weigh more than all the rest. Many are in order, so that it
/// is all the same in which order they were put.
#[derive(Debug, Clone)]
enum Ids {
    One(CallId),
    #[expect(clippy::box_collection, reason = "rare, and it keeps the common case small")]
    Many(Box<Vec<CallId>>),
}

impl Ids {
    fn insert(&mut self, id: CallId) {
        match self {
            Self::One(one) if *one == id => {}
            Self::One(one) => {
                let mut both = vec![*one, id];
                both.sort_unstable();
                *self = Self::Many(Box::new(both));
            }
            Self::Many(all) => {
                if let Err(at) = all.binary_search(&id) {
                    all.insert(at, id);
                }
            }
        }
    }

    fn as_slice(&self) -> &[CallId] {
        match self {
            Self::One(id) => std::slice::from_ref(id),
            Self::Many(ids) => ids,
        }
    }
}

/// Things found by their call or by keys: what a batch has put, which is not kept for long enough
/// to be bounded.
#[derive(Debug, Clone)]
pub struct Found<V> {
    entries: Map<CallId, Arc<V>>,
    index: Map<CredentialKey, Ids>,
}

impl<V> Default for Found<V> {
    fn default() -> Self {
        Self { entries: Map::default(), index: Map::default() }
    }
}

impl<V: Perishable> Found<V> {
    /// Makes room for so many more, each with so many keys.
    pub fn reserve(&mut self, room: usize, keys: usize) {
        self.entries.reserve(room);
        self.index.reserve(keys * room);
    }

    /// What is kept of a call.
    #[must_use]
    pub fn get(&self, id: &CallId) -> Option<&Arc<V>> {
        self.entries.get(id)
    }

    /// The calls found under a key, in order.
    #[must_use]
    pub fn under(&self, key: &CredentialKey) -> &[CallId] {
        self.index.get(key).map_or(&[], Ids::as_slice)
    }

    /// Keeps `value` for a call; returns what was kept.
    pub fn put(&mut self, id: CallId, value: Arc<V>) -> Option<Arc<V>> {
        let Self { entries, index } = self;
        let (before, value) = match entries.entry(id) {
            Entry::Vacant(place) => (None, place.insert(value)),
            Entry::Occupied(mut place) => (Some(place.insert(value)), place.into_mut()),
        };
        if let Some(before) = &before {
            hide(index, &id, before.keys());
        }
        for key in value.keys() {
            index.entry(*key).and_modify(|ids| ids.insert(id)).or_insert(Ids::One(id));
        }
        before
    }

    /// Forgets a call.
    pub fn remove(&mut self, id: &CallId) -> Option<Arc<V>> {
        let value = self.entries.remove(id)?;
        hide(&mut self.index, id, value.keys());
        Some(value)
    }

    /// All of them, in the order in which a shelf gives them up.
    #[must_use]
    pub fn sorted(&self) -> Vec<(CallId, Arc<V>)> {
        let entries = self.entries.iter();
        let mut all: Vec<_> = entries.map(|(id, value)| (*id, Arc::clone(value))).collect();
        all.sort_by_cached_key(|(id, value)| (value.until(), *id));
        all
    }

    /// All of them, in any order.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = (CallId, Arc<V>)> {
        self.entries.into_iter()
    }
}

/// Takes a call away from under keys.
fn hide(index: &mut Map<CredentialKey, Ids>, id: &CallId, keys: &[CredentialKey]) {
    for key in keys {
        let Some(ids) = index.get_mut(key) else { continue };
        if let Ids::Many(all) = ids {
            all.retain(|it| it != id);
        }
        match ids.as_slice() {
            [] => drop(index.remove(key)),
            [one] if one == id => drop(index.remove(key)),
            [one] => *ids = Ids::One(*one),
            _ => {}
        }
    }
}

/// A bounded store.
#[derive(Debug, Clone)]
pub struct Shelf<V> {
    kept: Found<V>,
    /// What goes next is on top. An entry stays when its call goes by another way, or is kept for
    /// another time; it is passed over then. A heap takes one in by a step or two, where a tree
    /// takes a search.
    order: BinaryHeap<Reverse<(Timestamp, CallId)>>,
    weight: usize,
}

impl<V> Default for Shelf<V> {
    fn default() -> Self {
        Self { kept: Found::default(), order: BinaryHeap::new(), weight: 0 }
    }
}

impl<V: Perishable> Shelf<V> {
    /// What is kept of a call.
    #[must_use]
    pub fn get(&self, id: &CallId) -> Option<&Arc<V>> {
        self.kept.get(id)
    }

    /// The calls found under a key.
    #[must_use]
    pub fn under(&self, key: &CredentialKey) -> &[CallId] {
        self.kept.under(key)
    }

    /// What is found under a key, call by call.
    pub fn found(&self, key: &CredentialKey) -> impl Iterator<Item = (CallId, &Arc<V>)> {
        self.under(key).iter().filter_map(|id| Some((*id, self.get(id)?)))
    }

    /// Keeps `value` for a call, instead of what was kept.
    pub fn put(&mut self, id: CallId, value: Arc<V>) {
        let until = value.until();
        self.weight += value.weight();
        let before = self.kept.put(id, value);
        self.weight -= before.as_ref().map_or(0, |before| before.weight());
        if before.is_none_or(|before| before.until() != until) {
            self.order.push(Reverse((until, id)));
            self.tidy();
        }
    }

    /// Drops the entries of what is gone, once they are more than the others.
    fn tidy(&mut self) {
        const FEW: usize = 64;
        if self.order.len() > FEW + 2 * self.len() {
            let entries = self.kept.entries.iter();
            self.order = entries.map(|(id, value)| Reverse((value.until(), *id))).collect();
        }
    }

    /// What goes next, and when.
    fn next(&mut self) -> Option<(Timestamp, CallId)> {
        while let Some(Reverse((until, id))) = self.order.peek().copied() {
            if self.get(&id).is_some_and(|value| value.until() == until) {
                return Some((until, id));
            }
            self.order.pop();
        }
        None
    }

    /// Forgets a call.
    pub fn remove(&mut self, id: &CallId) -> Option<Arc<V>> {
        let value = self.kept.remove(id)?;
        self.weight -= value.weight();
        Some(value)
    }

    /// Forgets what was to be kept until before `now`, and returns it.
    pub fn expire(&mut self, now: Timestamp) -> Vec<Arc<V>> {
        let mut expired = Vec::new();
        while let Some((until, id)) = self.next()
            && until < now
        {
            expired.extend(self.remove(&id));
        }
        expired
    }

    /// Forgets what would go next, until what is left weighs at most `bound`. Returns how many
    /// went.
    pub fn evict(&mut self, bound: usize) -> u64 {
        let mut evicted = 0;
        while self.weight > bound
            && let Some((_, id)) = self.next()
        {
            self.remove(&id);
            evicted += 1;
        }
        evicted
    }

    /// What all of them weigh.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// How many are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.entries.len()
    }

    /// Whether none is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.entries.is_empty()
    }

    /// All of them, in the order in which they go.
    #[must_use]
    pub fn sorted(&self) -> Vec<(CallId, Arc<V>)> {
        self.kept.sorted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    struct Until(i64, Vec<CredentialKey>);

    impl Perishable for Until {
        fn until(&self) -> Timestamp {
            Timestamp::from_second(self.0).unwrap()
        }

        fn keys(&self) -> &[CredentialKey] {
            &self.1
        }
    }

    fn digest<'de, T: Deserialize<'de>>(n: u32) -> T {
        let text = format!("{n:032x}");
        T::deserialize(serde::de::value::StringDeserializer::<serde::de::value::Error>::new(text))
            .unwrap()
    }

    #[test]
    fn what_goes_leaves_nothing_behind() {
        let mut shelf = Shelf::default();
        for n in 0..100_u32 {
            let keys = vec![digest(n % 7), digest(100 + n)];
            shelf.put(digest(n), Arc::new(Until(i64::from(n), keys)));
        }
        assert_eq!(shelf.under(&digest(3)).len(), 14);
        shelf.put(digest(3), Arc::new(Until(500, vec![digest(4)])));
        assert_eq!(shelf.under(&digest(3)).len(), 13);
        assert_eq!(shelf.expire(Timestamp::from_second(50).unwrap()).len(), 49);
        assert_eq!(shelf.evict(10), 41);
        assert_eq!((shelf.len(), shelf.sorted().len()), (10, 10));
        assert!(shelf.get(&digest(3)).is_some(), "the one that is kept longest");
        assert_eq!(shelf.evict(0), 10);
        assert!(shelf.is_empty() && shelf.kept.index.is_empty());
        assert_eq!(shelf.weight(), 0);
    }
}
