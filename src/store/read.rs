//! From the table into memory.

use std::collections::HashMap;
use std::sync::Arc;

use super::{ATTEMPTS, Body, Item, Key, Known, Store, StoreError, Table, Told, is_fresh};
use crate::state::{Change, Changes, Memory, Overlay, State};

impl<T: Table> Store<T> {
    /// Whether a key has to be read: the memory lacks it, or has held it for longer than
    /// [`FRESH`].
    pub(super) fn lacks(&self, memory: &dyn Memory, key: &Key) -> bool {
        let known = self.known.get(key);
        let is_fresh = known.is_some_and(|it| is_fresh(self.now, it.at));
        let was_evicted = |held: bool| !held && known.is_some_and(|it| it.base.is_some());
        let lacks = |held: bool| !held && (!is_fresh || was_evicted(held));
        match key {
            Key::Role(role) => !is_fresh || was_evicted(memory.role(role).is_some()),
            Key::Caller(caller) => !is_fresh || was_evicted(memory.caller(caller).is_some()),
            // What was not there a moment ago is just what may have come: a session is used within
            // seconds. And another environment may know more of where one came from.
            Key::Session(key) => {
                let mut known = memory.traces().sessions.found(key).peekable();
                known.peek().is_none() || known.any(|(_, it)| it.lacks_something())
            }
            // Others may have been there too.
            Key::Place(_) => true,
            Key::Copy(id) => memory.first_copy(id).is_none(),
            Key::Account(account) => lacks(memory.knows_account(*account)),
            Key::Person(name) => lacks(memory.is_person(name)),
            Key::Trust(role) => !is_fresh || was_evicted(memory.trust(role).is_some()),
            Key::Party(party) => lacks(memory.knows_party(party)),
            Key::Ours(account) => lacks(memory.is_ours(*account)),
        }
    }

    /// Reads items, however many, until each was there or not.
    pub(super) async fn read(
        &mut self,
        keys: &[Key],
        consistent: bool,
    ) -> Result<Vec<Item>, StoreError<T::Error>> {
        self.tally.reads += keys.len() as u64;
        let mut items = Vec::with_capacity(keys.len());
        let mut left = keys.to_vec();
        let mut attempt = 0;
        while !left.is_empty() {
            let page = self.table.get(&left, consistent).await.map_err(StoreError::Table)?;
            items.extend(page.items);
            let is_busy = !page.unprocessed.is_empty() && !page.is_full;
            let is_stuck = page.unprocessed.len() == left.len();
            left = page.unprocessed;
            self.tally.throttled += left.len() as u64;
            if is_busy || is_stuck && !left.is_empty() {
                if attempt == ATTEMPTS {
                    return Err(StoreError::Busy(left.len()));
                }
                self.table.pause(attempt).await.map_err(StoreError::Table)?;
                // Where something comes it is worth waiting for the rest.
                attempt = if is_stuck { attempt + 1 } else { 0 };
            }
        }
        Ok(items)
    }

    /// Takes what was read under `keys` into `overlay`, joined with what the memory has and the
    /// table does not. Returns whether anything of it is news.
    pub(super) fn take_in(
        &mut self,
        memory: &dyn Memory,
        keys: &[Key],
        items: Vec<Item>,
        consistent: bool,
        overlay: &mut Overlay,
    ) -> bool {
        let mut found: HashMap<Key, Item> =
            items.into_iter().map(|item| (item.key.clone(), item)).collect();
        let mut news = Vec::new();
        for key in keys {
            let item = found.remove(key);
            if consistent {
                self.confirmed.insert(key.clone());
            }
            news.extend(self.learn(memory, key, item, consistent));
        }
        let is_news = !news.is_empty();
        put_all(memory, news, overlay);
        is_news
    }

    /// Notes what stands under a key. Returns what the memory has to hold from now on, if that
    /// is something else than it holds.
    fn learn(
        &mut self,
        memory: &dyn Memory,
        key: &Key,
        item: Option<Item>,
        consistent: bool,
    ) -> Option<(Key, Body)> {
        let now = self.now;
        let version = item.as_ref().map_or(0, |item| item.version);
        let body = item.filter(|item| !item.is_over(now)).and_then(|item| item.body);
        let mine = held(memory, key);
        let known = self.known.get(key);
        if let Some(known) = known {
            // A read that may be out of date may tell less than this environment has written.
            let is_older = !consistent && version < known.version;
            if is_older {
                return None;
            }
            if version == known.version && (mine.is_some() || body.is_none()) {
                self.known.entry(key.clone()).and_modify(|known| known.at = now);
                return None;
            }
        }
        let base = known.and_then(|known| known.base.clone());
        let due = known.and_then(|known| known.due);
        let merged = match (&mine, &body) {
            (Some(mine), Some(theirs)) if base.as_ref().is_some_and(|base| base.is_same(mine)) => {
                Some(theirs.clone())
            }
            (Some(mine), Some(theirs)) => Some(mine.rebase(base.as_ref(), theirs)),
            (None, theirs) => theirs.clone(),
            (Some(_), None) => None,
        };
        let base = body.filter(|_| key.is_changed());
        self.known.insert(key.clone(), Known { version, at: now, base, due });
        merged.filter(|merged| mine.as_ref() != Some(merged)).map(|body| (key.clone(), body))
    }
}

/// What the memory holds under a key.
pub(super) fn held(memory: &dyn Memory, key: &Key) -> Option<Body> {
    match key {
        Key::Role(role) => memory.role(role).map(Body::Role),
        Key::Caller(caller) => memory.caller(caller).map(Body::Caller),
        Key::Copy(id) => memory.first_copy(id).map(Body::Copy),
        Key::Account(account) => memory.knows_account(*account).then_some(Body::Known),
        Key::Person(name) => memory.is_person(name).then_some(Body::Known),
        Key::Trust(role) => memory.trust(role).map(Body::Trust),
        Key::Party(party) => memory.knows_party(party).then_some(Body::Known),
        Key::Ours(account) => memory.is_ours(*account).then_some(Body::Known),
        Key::Session(key) | Key::Place(key) => {
            let traces = memory.traces();
            let sessions = traces.sessions.found(key).map(|(id, it)| (id, it.clone()));
            let places = traces.places.found(key).map(|(id, it)| (id, it.clone()));
            let told = Told { sessions: sessions.collect(), places: places.collect() };
            (told != Told::default()).then(|| Body::Told(Arc::new(told)))
        }
    }
}

/// Puts what was read where the memory finds it.
fn put_all(memory: &dyn Memory, news: Vec<(Key, Body)>, overlay: &mut Overlay) {
    let mut changes = Changes::new();
    let mut baselines = Vec::new();
    for (key, body) in news {
        match (key, body) {
            (Key::Copy(shared_id), Body::Copy(copy)) => {
                changes.push(Change::SawCopy { shared_id, copy });
            }
            (Key::Account(account), Body::Known) => changes.push(Change::KnowAccount(account)),
            (Key::Person(name), Body::Known) => changes.push(Change::KnowPerson(name)),
            (Key::Party(party), Body::Known) => changes.push(Change::KnowParty(party)),
            (Key::Ours(account), Body::Known) => changes.push(Change::Own(account)),
            (Key::Session(_) | Key::Place(_), Body::Told(told)) => {
                let traces = memory.traces();
                for (id, session) in &told.sessions {
                    let mine = traces.sessions.get(id);
                    let joined = mine.map(|mine| Arc::new(mine.join(session)));
                    let session = joined.unwrap_or_else(|| Arc::clone(session));
                    changes.push(Change::Issued(*id, session));
                }
                let places = told.places.iter();
                changes.extend(places.map(|(id, it)| Change::Told(*id, Arc::clone(it))));
            }
            (key, body) => baselines.push((key, body)),
        }
    }
    let earlier = std::mem::take(overlay);
    let mut state = State::resumed(memory, earlier);
    state.apply(&changes);
    *overlay = state.into_overlay();
    for (key, body) in baselines {
        match (key, body) {
            (Key::Role(role), Body::Role(it)) => drop(overlay.roles.insert(role, it)),
            (Key::Caller(caller), Body::Caller(it)) => drop(overlay.callers.insert(caller, it)),
            (Key::Trust(role), Body::Trust(it)) => drop(overlay.trust.insert(role, it)),
            _ => {}
        }
    }
}
