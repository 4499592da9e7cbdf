//! A map for a handful of entries.

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A sorted list that is used as a map. Most tables of a baseline hold one to eight values; a
/// tree spends a node of eleven on each, which would be nine tenths of all memory.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SmallMap<K, V>(Vec<(K, V)>);

impl<K, V> Default for SmallMap<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> SmallMap<K, V> {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    pub(super) fn into_iter(self) -> impl Iterator<Item = (K, V)> {
        self.0.into_iter()
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    pub(super) fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let at = self.place(key).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    pub(super) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let at = self.place(key).ok()?;
        self.0.get_mut(at).map(|(_, value)| value)
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        match self.place(&key) {
            Ok(at) => {
                if let Some(entry) = self.0.get_mut(at) {
                    entry.1 = value;
                }
            }
            Err(at) => {
                // A list grows by four entries at least; most of these never have a second one.
                if self.0.len() < 8 {
                    self.0.reserve_exact(1);
                }
                self.0.insert(at, (key, value));
            }
        }
    }

    pub(super) fn get_or_default(&mut self, key: K) -> Option<&mut V>
    where
        V: Default,
        K: Clone,
    {
        if self.place(&key).is_err() {
            self.insert(key.clone(), V::default());
        }
        self.get_mut(&key)
    }

    /// Takes out the entry that `age` gives the least of.
    pub(super) fn remove_least<A: Ord>(&mut self, age: impl Fn(&V) -> A) -> Option<(K, V)> {
        let entries = self.0.iter().enumerate();
        // The first of several that are equal, which is the one with the least key.
        let (at, _) = entries.min_by_key(|(at, (_, value))| (age(value), *at))?;
        Some(self.0.remove(at))
    }

    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.0.binary_search_by(|(known, _)| known.borrow().cmp(key))
    }
}

/// From entries that come in the order of their keys.
impl<K: Ord, V> FromIterator<(K, V)> for SmallMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self(entries.into_iter().collect());
        map.0.sort_by(|a, b| a.0.cmp(&b.0));
        map
    }
}

impl<K: Serialize, V: Serialize> Serialize for SmallMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Deserialize<'de> for SmallMap<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<K, V>(PhantomData<(K, V)>);

        impl<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>> Visitor<'de> for Entries<K, V> {
            type Value = SmallMap<K, V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = SmallMap::default();
                while let Some((key, value)) = map.next_entry()? {
                    entries.insert(key, value);
                }
                Ok(entries)
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_is_a_map() {
        let (mut small, mut tree) = (SmallMap::default(), BTreeMap::new());
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..2_000 {
            let (key, value) = (random.u8(..40), random.u32(..));
            match random.u8(..4) {
                0 => assert_eq!(small.get(&key), tree.get(&key)),
                1 => {
                    let oldest = tree.iter().min_by_key(|(_, value)| **value).map(|(key, _)| *key);
                    let removed = oldest.and_then(|key| tree.remove(&key));
                    assert_eq!(small.remove_least(|value| *value).map(|(_, value)| value), removed);
                }
                _ => {
                    small.insert(key, value);
                    tree.insert(key, value);
                }
            }
            assert!(small.iter().eq(tree.iter()));
        }
        let json = serde_json::to_string(&small).unwrap();
        assert_eq!(json, serde_json::to_string(&tree).unwrap());
        assert_eq!(serde_json::from_str::<SmallMap<u8, u32>>(&json).unwrap(), small);
    }
}
