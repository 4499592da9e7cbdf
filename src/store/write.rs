//! From memory into the table.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::read::held;
use super::{ATTEMPTS, Body, Item, Key, Known, Store, StoreError, Table, Told, Write, Written};
use crate::state::{FirstCopy, Memory, Overlay};

/// How long counts are held back when nothing else is to be said of a role or caller: no
/// judgement rests on them, and the first call of the next day takes them along.
const LAZY: SignedDuration = SignedDuration::from_hours(6);
/// How long repeats of alerts, and refusals of a role that was refused before, are held back.
const SOON: SignedDuration = SignedDuration::from_mins(1);
/// Items written in one batch for no other reason than that they were held back long enough.
pub(super) const MOST_DUE: usize = 50;

/// An item that is being written.
#[derive(Debug, Clone)]
struct Draft {
    key: Key,
    body: Body,
    /// What `body` was made of.
    base: Option<Body>,
    expected: u64,
    /// Whether the batch does without it.
    is_due: bool,
    /// Whether somebody else's was joined.
    is_joined: bool,
    /// Whether nothing is left to be said: what is there says it.
    is_settled: bool,
}

impl<T: Table> Store<T> {
    pub(super) async fn save_changes(
        &mut self,
        memory: &dyn Memory,
        changes: &mut Overlay,
    ) -> Result<bool, StoreError<T::Error>> {
        let mut drafts = self.drafts(memory, changes);
        drafts.extend(self.held_back(memory, changes));
        let keys: Vec<Key> = drafts.iter().map(|draft| draft.key.clone()).collect();
        match self.write(drafts).await {
            Ok(written) => Ok(self.written(written, changes)),
            Err(error) => {
                // Some of it may be there: what was known is out of date.
                keys.iter().for_each(|key| self.doubt(key));
                Err(error)
            }
        }
    }

    /// What of a batch's changes has to be in the table before the batch is acknowledged. What
    /// can wait is noted.
    fn drafts(&mut self, memory: &dyn Memory, changes: &Overlay) -> Vec<Draft> {
        let roles =
            changes.roles.iter().map(|(k, v)| (Key::Role(k.clone()), Body::Role(v.clone())));
        let callers =
            changes.callers.iter().map(|(k, v)| (Key::Caller(k.clone()), Body::Caller(v.clone())));
        let trust =
            changes.trust.iter().map(|(k, v)| (Key::Trust(k.clone()), Body::Trust(v.clone())));
        let mut baselines: Vec<(Key, Body)> = roles.chain(callers).chain(trust).collect();
        // One order for all: what is done first does not depend on how a map is laid out.
        baselines.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut drafts = Vec::new();
        for (key, body) in baselines {
            drafts.extend(self.draft(memory, key, body));
        }
        for (key, told) in self.told(memory, changes) {
            let body = Body::Told(std::sync::Arc::new(told));
            let known = self.known.get(&key);
            let base = known.and_then(|known| known.base.clone());
            let body = base.as_ref().map_or_else(|| body.clone(), |base| body.rebase(None, base));
            if body.has_news_since(base.as_ref()) {
                // What is there is not remembered of all of them: then it is met, and joined.
                let expected = known.filter(|_| key.is_changed()).map_or(0, |known| known.version);
                drafts.push(Draft { base, ..Draft::once(key, body, expected) });
            }
        }
        let copies = changes.copies.iter().filter_map(|id| Some((id, changes.first_copy(id)?)));
        let copies = copies.filter(|(_, copy)| is_awaited(copy));
        drafts.extend(copies.map(|(id, copy)| {
            let key = Key::Copy(id.clone());
            // What is there is not remembered of all of them: then it is met, and joined.
            let known = self.known.get(&key).filter(|_| memory.first_copy(id).is_some());
            let expected = known.map_or(0, |known| known.version);
            Draft::once(key, Body::Copy(copy.clone()), expected)
        }));
        let accounts = changes.accounts.iter().filter(|it| !memory.knows_account(**it));
        let people = changes.people.iter().filter(|it| !memory.is_person(it));
        let accounts = accounts.map(|it| Key::Account(*it));
        let parties = changes.parties.iter().filter(|it| !memory.knows_party(it));
        let ours = changes.ours.iter().filter(|it| !memory.is_ours(**it));
        let known = accounts.chain(people.map(|it| Key::Person(it.clone())));
        let known = known.chain(parties.map(|it| Key::Party(it.clone())));
        for key in known.chain(ours.map(|it| Key::Ours(*it))) {
            match self.known.get(&key) {
                // The memory had no room for it.
                Some(Known { base: Some(_), .. }) => {}
                // None, or a damaged one.
                known => {
                    let expected = known.map_or(0, |known| known.version);
                    drafts.push(Draft::once(key, Body::Known, expected));
                }
            }
        }
        drafts
    }

    /// A role or caller, if there is news of it; else when it is due is noted.
    fn draft(&mut self, memory: &dyn Memory, key: Key, body: Body) -> Option<Draft> {
        let known = self.known.get(&key);
        let base = known.and_then(|known| known.base.clone());
        let expected = known.map_or(0, |known| known.version);
        // What the memory had no room for was changed from nothing.
        let was_lost = base.is_some() && held(memory, &key).is_none();
        let body = match &base {
            Some(base) if was_lost => body.rebase(None, base),
            _ => body,
        };
        let has_news = body.has_news_since(base.as_ref());
        let is_due = known.and_then(|known| known.due).is_some_and(|due| due <= self.now);
        if has_news || is_due {
            let (is_due, is_joined) = (!has_news, was_lost);
            let draft = Draft::once(key, body, expected);
            return Some(Draft { base, is_due, is_joined, ..draft });
        }
        let wait = if body.has_counted_since(base.as_ref()) { SOON } else { LAZY };
        self.owe(key, wait);
        None
    }

    /// Notes that an item has to be written within a time.
    fn owe(&mut self, key: Key, wait: SignedDuration) {
        let Ok(due) = self.now.checked_add(wait) else { return };
        let Some(known) = self.known.get_mut(&key) else { return };
        match known.due {
            Some(earlier) if earlier <= due => return,
            Some(later) => drop(self.due.remove(&(later, key.clone()))),
            None => {}
        }
        known.due = Some(due);
        self.due.insert((due, key));
    }

    /// What was held back for long enough, and is not being changed.
    fn held_back(&mut self, memory: &dyn Memory, changes: &Overlay) -> Vec<Draft> {
        let mut drafts = Vec::new();
        let mut gone = Vec::new();
        for (due, key) in self.due.iter().take_while(|(due, _)| *due <= self.now) {
            if drafts.len() == MOST_DUE {
                break;
            }
            let is_changing = match key {
                Key::Role(role) => changes.roles.contains_key(role),
                Key::Caller(caller) => changes.callers.contains_key(caller),
                Key::Trust(role) => changes.trust.contains_key(role),
                _ => false,
            };
            match (self.known.get(key), held(memory, key)) {
                (Some(known), Some(body)) if !is_changing => {
                    let base = known.base.clone();
                    let draft = Draft::once(key.clone(), body, known.version);
                    drafts.push(Draft { base, is_due: true, ..draft });
                }
                (Some(_), Some(_)) => {}
                // The memory had no room for it: its counts are lost.
                _ => gone.push((*due, key.clone())),
            }
        }
        for entry in gone {
            self.due.remove(&entry);
            self.known.entry(entry.1).and_modify(|known| known.due = None);
        }
        drafts
    }

    /// The sessions and places that others may have to find, by what they are found under.
    fn told(&self, memory: &dyn Memory, changes: &Overlay) -> BTreeMap<Key, Told> {
        let mut all: BTreeMap<Key, Told> = BTreeMap::new();
        for (id, session) in changes.traces.issued() {
            let takes_roles = |caller: &_| {
                let caller = changes.callers.get(caller).cloned().or_else(|| memory.caller(caller));
                caller.is_some_and(|it| it.takes_roles())
            };
            let keys = match self.opened.get(&id) {
                Some(it) if it.only_if_takes_roles.as_ref().is_none_or(takes_roles) => {
                    it.keys.clone()
                }
                Some(_) => continue,
                // More became known of an earlier call: whoever has its session gets that too.
                None => {
                    let keys = session.keys.iter().copied().map(Key::Session);
                    let is_there = |key: &Key| self.known.get(key).is_some_and(|it| it.version > 0);
                    keys.filter(is_there).collect()
                }
            };
            for key in keys {
                all.entry(key).or_default().sessions.push((id, session.clone()));
            }
        }
        for (id, place) in changes.traces.told() {
            for key in &place.keys {
                let told = all.entry(Key::Place(*key)).or_default();
                told.places.push((id, place.clone()));
            }
        }
        all
    }

    /// Writes everything, over what others have written meanwhile.
    async fn write(&mut self, mut left: Vec<Draft>) -> Result<Vec<Draft>, StoreError<T::Error>> {
        let mut done = Vec::with_capacity(left.len());
        for attempt in 0..ATTEMPTS {
            if left.is_empty() {
                return Ok(done);
            }
            let writes: Vec<Write> = left.iter().map(|draft| draft.to_write(self.now)).collect();
            self.tally.writes += writes.len() as u64;
            let outcomes = self.table.put(&writes).await;
            let (mut conflicts, mut again) = (Vec::new(), Vec::new());
            for (draft, outcome) in left.into_iter().zip(outcomes) {
                self.tally.conflicts += u64::from(matches!(outcome, Ok(Written::Conflict)));
                self.tally.throttled += u64::from(matches!(outcome, Ok(Written::Throttled)));
                match outcome {
                    Ok(Written::Done) => done.push(draft),
                    Err(error) => return Err(StoreError::Table(error)),
                    // The batch does without it. It stays due, and is read before it is written.
                    _ if draft.is_due => self.doubt(&draft.key),
                    Ok(Written::Conflict) => conflicts.push(draft),
                    Ok(Written::Throttled) => again.push(draft),
                }
            }
            // Who met somebody once joins at once; who meets somebody again waits, as they do.
            if !again.is_empty() || attempt > 0 && !conflicts.is_empty() {
                self.table.pause(attempt).await.map_err(StoreError::Table)?;
            }
            left = again;
            self.join(conflicts, &mut left, &mut done).await?;
        }
        if left.is_empty() { Ok(done) } else { Err(StoreError::Busy(left.len())) }
    }

    /// What was known of an item is out of date.
    fn doubt(&mut self, key: &Key) {
        if let Some(known) = self.known.get_mut(key) {
            known.at = Timestamp::MIN;
        }
    }

    /// Puts what met another version on top of that one.
    async fn join(
        &mut self,
        conflicts: Vec<Draft>,
        left: &mut Vec<Draft>,
        done: &mut Vec<Draft>,
    ) -> Result<(), StoreError<T::Error>> {
        if conflicts.is_empty() {
            return Ok(());
        }
        let keys: Vec<Key> = conflicts.iter().map(|draft| draft.key.clone()).collect();
        let items = self.read(&keys, true).await?;
        for draft in conflicts {
            let theirs = items.iter().find(|item| item.key == draft.key);
            let is_mine = |it: &Item| {
                it.version == next(draft.expected, self.now)
                    && it.body.as_ref() == Some(&draft.body)
            };
            // The answer to an earlier attempt was lost on the way.
            if theirs.is_some_and(is_mine) {
                done.push(draft);
                continue;
            }
            let draft = draft.onto(theirs, self.now);
            if draft.is_settled { done.push(draft) } else { left.push(draft) }
        }
        Ok(())
    }

    /// Notes what is in the table now. Returns whether somebody else's baseline was joined.
    fn written(&mut self, drafts: Vec<Draft>, changes: &mut Overlay) -> bool {
        let mut was_crossed = false;
        for Draft { key, body, base, expected, is_joined, is_settled, .. } in drafts {
            match (&key, &body) {
                (Key::Role(role), Body::Role(it)) if is_joined => {
                    changes.roles.insert(role.clone(), it.clone());
                    was_crossed = true;
                }
                (Key::Caller(caller), Body::Caller(it)) if is_joined => {
                    changes.callers.insert(caller.clone(), it.clone());
                    was_crossed = true;
                }
                (Key::Trust(role), Body::Trust(it)) if is_joined => {
                    changes.trust.insert(role.clone(), it.clone());
                    was_crossed = true;
                }
                (Key::Copy(id), _) if let Some(Body::Copy(theirs)) = &base => {
                    changes.cross(id.clone(), theirs);
                    was_crossed = true;
                }
                _ => {}
            }
            // Of a copy that was joined the memory gets theirs: what it knows is that version.
            let is_theirs = is_settled || base.is_some() && matches!(key, Key::Copy(_));
            let (version, base) = if is_theirs {
                (expected, base)
            } else {
                (next(expected, self.now), Some(body.clone()))
            };
            let base = base.filter(|_| key.is_changed());
            let wait = base
                .as_ref()
                .filter(|base| **base != body)
                .map(|base| if body.has_counted_since(Some(base)) { SOON } else { LAZY });
            let known = Known { version, at: self.now, base, due: None };
            let earlier = self.known.insert(key.clone(), known);
            if let Some(due) = earlier.and_then(|known| known.due) {
                self.due.remove(&(due, key.clone()));
            }
            if let Some(wait) = wait {
                self.owe(key, wait);
            }
        }
        was_crossed
    }
}

/// The version after another one.
fn next(version: u64, now: Timestamp) -> u64 {
    match version {
        0 => u64::try_from(now.as_millisecond()).unwrap_or(0).max(1),
        version => version + 1,
    }
}

impl Draft {
    fn once(key: Key, body: Body, expected: u64) -> Self {
        let (is_due, is_joined, is_settled) = (false, false, false);
        Self { key, body, base: None, expected, is_due, is_joined, is_settled }
    }

    fn to_write(&self, now: Timestamp) -> Write {
        let until = self.body.until(now);
        let (expected, version) = (self.expected, next(self.expected, now));
        Write { key: self.key.clone(), expected, version, until, body: self.body.clone() }
    }

    /// The same on top of what is there.
    fn onto(self, theirs: Option<&Item>, now: Timestamp) -> Self {
        let expected = theirs.map_or(0, |item| item.version);
        let there = theirs.filter(|item| !item.is_over(now)).and_then(|item| item.body.as_ref());
        let Some(onto) = there else {
            // It was deleted, or is damaged: all that is known of it stands.
            return Self { expected, base: None, ..self };
        };
        let body = self.body.rebase(self.base.as_ref(), onto);
        let is_settled = !body.has_news_since(Some(onto));
        Self { body, base: Some(onto.clone()), expected, is_joined: true, is_settled, ..self }
    }
}

/// Whether another account's copy of the call may still have to be joined to this one.
fn is_awaited(copy: &FirstCopy) -> bool {
    let owner = copy.call.role.as_ref().map(crate::id::RoleArn::account);
    !copy.complete || copy.call.account != owner
}
