//! Maps whose keys come from a log.
//!
//! Their hash is seeded anew in every process, so a log cannot be written that makes its keys
//! collide, and it takes a fraction of what the standard library's takes for the long keys of
//! roles and callers.

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;

/// A map.
pub type Map<K, V> = HashMap<K, V, RandomState>;

/// A set.
pub type Set<K> = HashSet<K, RandomState>;

/// A map that several threads may read and write.
pub type SharedMap<K, V> = dashmap::DashMap<K, V, RandomState>;
