//! Something for each class of callers of a role.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::small_map::SmallMap;
use crate::event::CallerClass;

/// A map that costs nothing beside its one entry: nearly every role is taken by callers of one
/// class, and a list of one is an allocation that each copy of a baseline would make again.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ByClass<V> {
    One(CallerClass, V),
    Others(Option<Box<SmallMap<CallerClass, V>>>),
}

impl<V> Default for ByClass<V> {
    fn default() -> Self {
        Self::Others(None)
    }
}

impl<V: Default> ByClass<V> {
    pub(super) fn get(&self, class: CallerClass) -> Option<&V> {
        match self {
            Self::One(known, value) => (*known == class).then_some(value),
            Self::Others(several) => several.as_ref()?.get(&class),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (CallerClass, &V)> {
        let (one, several) = match self {
            Self::One(class, value) => (Some((*class, value)), None),
            Self::Others(several) => (None, several.as_ref()),
        };
        let several = several.into_iter().flat_map(|it| it.iter());
        one.into_iter().chain(several.map(|(class, value)| (*class, value)))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        let (one, several) = match self {
            Self::One(_, value) => (Some(value), None),
            Self::Others(several) => (None, several.as_mut()),
        };
        one.into_iter().chain(several.into_iter().flat_map(|it| it.values_mut()))
    }

    /// What is kept for a class, once there is something.
    pub(super) fn get_or_default(&mut self, class: CallerClass) -> Option<&mut V> {
        let is_other = matches!(self, Self::One(known, _) if *known != class);
        *self = match std::mem::take(self) {
            Self::Others(None) => Self::One(class, V::default()),
            Self::One(known, value) if is_other => {
                Self::Others(Some(Box::new([(known, value)].into_iter().collect())))
            }
            same => same,
        };
        match self {
            Self::One(_, value) => Some(value),
            Self::Others(several) => several.as_mut()?.get_or_default(class),
        }
    }

    pub(super) fn insert(&mut self, class: CallerClass, value: V) {
        if let Some(place) = self.get_or_default(class) {
            *place = value;
        }
    }
}

impl<V: Default> FromIterator<(CallerClass, V)> for ByClass<V> {
    fn from_iter<I: IntoIterator<Item = (CallerClass, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        entries.into_iter().for_each(|(class, value)| map.insert(class, value));
        map
    }
}

impl<V: Default + Serialize> Serialize for ByClass<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de, V: Default + Deserialize<'de>> Deserialize<'de> for ByClass<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(SmallMap::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_is_a_map_and_small() {
        use CallerClass::{ExternalAccount, Person, Service, Workload};
        assert_eq!(size_of::<ByClass<Box<u8>>>(), 16);
        let (mut small, mut tree) = (ByClass::default(), BTreeMap::new());
        for (n, class) in
            [Person, Person, Workload, Service, ExternalAccount].into_iter().enumerate()
        {
            *small.get_or_default(class).unwrap() += n;
            *tree.entry(class).or_default() += n;
            assert!(small.iter().eq(tree.iter().map(|(class, n)| (*class, n))));
            assert_eq!(small.get(class), tree.get(&class));
            small.values_mut().chain(tree.values_mut()).for_each(|n| *n += 1);
            let json = serde_json::to_string(&small).unwrap();
            assert_eq!(json, serde_json::to_string(&tree).unwrap());
            assert_eq!(serde_json::from_str::<ByClass<usize>>(&json).unwrap(), small);
        }
        assert_eq!(ByClass::One(Person, 1).get(Service), None);
    }
}
