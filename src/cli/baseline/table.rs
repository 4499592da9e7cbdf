//! `rolewatch baseline … --table`

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;

use super::super::{Exit, say};
use super::import::changes_of;
use super::{Known, tell};
use crate::authorization::AuthorizedRole;
use crate::aws::Aws;
use crate::aws::dynamodb::{DynamoTable, TableError};
use crate::id::RoleKey;
use crate::memory::{Parts, WorkingSet};
use crate::pipeline::{Baselines, Remember};
use crate::state::{Memory, Overlay};
use crate::store::{Body, Item, Key, Store, StoreError};
use crate::text::plural;

/// Items written together.
const CHUNK: usize = 500;

/// How long one chunk, or all of a reading, may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Puts all of a memory but its sessions into the table, and then what trust policies say at a
/// time; each joined with what is there, so that doing it twice changes nothing. Returns how many
/// policies were new or changed.
pub(super) async fn import(
    aws: &Aws,
    name: &str,
    memory: Option<&WorkingSet>,
    (policies, time): (&[AuthorizedRole], Timestamp),
) -> Result<u64, Exit> {
    let mut store = Store::over(table(aws, name));
    store.set_time(now());
    let imported = async {
        if let Some(memory) = memory {
            learned(&mut store, memory.parts()).await?;
        }
        trusted(&mut store, policies, time).await
    };
    let written = imported.await.map_err(|error| {
        say(format_args!("rolewatch: {error}"));
        Exit::OutputFailed
    })?;
    if let Some(memory) = memory {
        let parts = memory.parts();
        let roles = plural(parts.roles.len() as u64, "role", "roles");
        let callers = plural(parts.callers.len() as u64, "caller", "callers");
        let writes = plural(store.take_tally().writes, "write", "writes");
        say(format_args!("{roles} and {callers} are in table {name} ({writes})"));
    }
    Ok(written)
}

/// What a replay has learned.
async fn learned(
    store: &mut Store<DynamoTable>,
    parts: Parts,
) -> Result<(), StoreError<TableError>> {
    join(store, &parts.roles, Key::Role, |there, changes, role, mut mine| {
        there.role(role).iter().for_each(|it| mine.join(it));
        changes.roles.insert(role.clone(), Arc::new(mine));
    })
    .await?;
    join(store, &parts.callers, Key::Caller, |there, changes, caller, mut mine| {
        there.caller(caller).iter().for_each(|it| mine.join(it));
        changes.callers.insert(caller.clone(), Arc::new(mine));
    })
    .await?;
    join(store, &parts.trust, Key::Trust, |there, changes, role, mut mine| {
        there.trust(role).iter().for_each(|it| mine.join(it));
        changes.trust.insert(role.clone(), Arc::new(mine));
    })
    .await?;
    let mut names = Overlay::default();
    names.accounts.extend(parts.accounts);
    names.people.extend(parts.people);
    names.parties.extend(parts.parties);
    names.ours.extend(parts.ours);
    let accounts = names.accounts.iter().map(|it| Key::Account(*it));
    let people = names.people.iter().map(|it| Key::Person(it.clone()));
    let parties = names.parties.iter().map(|it| Key::Party(it.clone()));
    let ours = names.ours.iter().map(|it| Key::Ours(*it));
    let keys: Vec<(Key, ())> =
        accounts.chain(people).chain(parties).chain(ours).map(|key| (key, ())).collect();
    let there = known(store, &keys, |key| key).await?;
    save(store, &there, names).await
}

/// Puts one kind of what was learned on top of what the table has of it.
async fn join<K: Clone, V: Clone>(
    store: &mut Store<DynamoTable>,
    all: &[(K, Arc<V>)],
    key: impl Fn(K) -> Key,
    put: impl Fn(&WorkingSet, &mut Overlay, &K, V),
) -> Result<(), StoreError<TableError>> {
    for some in all.chunks(CHUNK) {
        let there = known(store, some, &key).await?;
        let mut changes = Overlay::default();
        some.iter().for_each(|(at, mine)| put(&there, &mut changes, at, V::clone(mine)));
        save(store, &there, changes).await?;
    }
    Ok(())
}

/// What trust policies say, beside what the table remembers of them.
async fn trusted(
    store: &mut Store<DynamoTable>,
    policies: &[AuthorizedRole],
    time: Timestamp,
) -> Result<u64, StoreError<TableError>> {
    let mut written = 0;
    for some in policies.chunks(CHUNK) {
        let keys: Vec<(RoleKey, ())> = some.iter().map(|it| (RoleKey::of(&it.arn), ())).collect();
        let there = known(store, &keys, Key::Trust).await?;
        let (changes, count) = changes_of(&there, some, time);
        written += count;
        save(store, &there, changes).await?;
    }
    Ok(written)
}

/// What the table has of some keys, and nothing else.
async fn known<K: Clone, V>(
    store: &mut Store<DynamoTable>,
    some: &[(K, V)],
    key: impl Fn(K) -> Key,
) -> Result<WorkingSet, StoreError<TableError>> {
    store.table().set_deadline(Instant::now() + PATIENCE);
    // DynamoDB refuses a request that names a key twice, as exports that overlap do.
    let keys: BTreeSet<Key> = some.iter().map(|(it, _)| key(it.clone())).collect();
    let keys: Vec<Key> = keys.into_iter().collect();
    let mut there = WorkingSet::default();
    let found = store.fetch(&there, &keys).await?;
    there.commit(found);
    Ok(there)
}

async fn save(
    store: &mut Store<DynamoTable>,
    there: &WorkingSet,
    mut changes: Overlay,
) -> Result<(), StoreError<TableError>> {
    store.table().set_deadline(Instant::now() + PATIENCE);
    store.save(there, &mut changes).await.map(drop)
}

/// Prints the roles of the table, or one of them.
pub(super) async fn show(aws: &Aws, name: &str, role: Option<&str>) -> Exit {
    let mut table = table(aws, name);
    match known_of(&mut table, role).await {
        Ok(known) => tell(&format!("table {name}"), role, &known),
        Err(error) => {
            say(format_args!("rolewatch: {error}"));
            Exit::Usage
        }
    }
}

/// The role with this ARN, or all roles: a name may be that of roles in many accounts.
async fn known_of(table: &mut DynamoTable, role: Option<&str>) -> Result<Known, TableError> {
    let mut known = Known { roles: Vec::new(), trust: BTreeMap::new() };
    let now = now();
    let mut add = |item: Item| {
        // It may be deleted days later only.
        if item.is_over(now) {
            return;
        }
        match (item.key, item.body) {
            (Key::Role(arn), Some(Body::Role(baseline))) => known.roles.push((arn, baseline)),
            (Key::Trust(key), Some(Body::Trust(history))) => {
                known.trust.insert(key, history);
            }
            _ => {}
        }
    };
    match role.and_then(|role| role.parse().ok()) {
        Some(arn) => {
            let keys = [Key::Trust(RoleKey::of(&arn)), Key::Role(arn)];
            for key in keys {
                table.one(&key).await?.into_iter().for_each(&mut add);
            }
        }
        None => table.scan(&mut add).await?,
    }
    known.roles.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(known)
}

fn table(aws: &Aws, name: &str) -> DynamoTable {
    let mut table = DynamoTable::named(name, Arc::new(aws.again()));
    table.set_deadline(Instant::now() + PATIENCE);
    table
}

#[expect(clippy::disallowed_methods, reason = "when an item may be deleted is the shell's to say")]
fn now() -> Timestamp {
    Timestamp::try_from(SystemTime::now()).unwrap_or_default()
}
