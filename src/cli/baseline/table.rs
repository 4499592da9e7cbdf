//! `rolewatch baseline … --table`

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;

use super::super::{Exit, say};
use super::tell;
use crate::aws::Aws;
use crate::aws::dynamodb::{DynamoTable, TableError};
use crate::baseline::RoleBaseline;
use crate::id::RoleArn;
use crate::memory::WorkingSet;
use crate::pipeline::Baselines;
use crate::state::Overlay;
use crate::store::{Body, Item, Key, Store};
use crate::text::plural;

/// Items written together.
const CHUNK: usize = 500;

/// How long one chunk, or all of a reading, may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Puts all of a memory but its sessions into the table, joined with what is there.
pub(super) async fn import(aws: &Aws, name: &str, memory: &WorkingSet) -> Exit {
    let parts = memory.parts();
    let mut store = Store::over(table(aws, name));
    store.set_time(now());
    let (roles, callers) = (parts.roles.len() as u64, parts.callers.len() as u64);
    let mut chunks: Vec<Overlay> = Vec::new();
    for some in parts.roles.chunks(CHUNK) {
        let mut chunk = Overlay::default();
        chunk.roles.extend(some.iter().cloned());
        chunks.push(chunk);
    }
    for some in parts.callers.chunks(CHUNK) {
        let mut chunk = Overlay::default();
        chunk.callers.extend(some.iter().cloned());
        chunks.push(chunk);
    }
    let mut names = Overlay::default();
    names.accounts.extend(parts.accounts);
    names.people.extend(parts.people);
    chunks.push(names);
    // Nothing is known of the table: what is in it already is joined, and not overwritten.
    let nothing = WorkingSet::default();
    for chunk in &mut chunks {
        store.table().set_deadline(Instant::now() + PATIENCE);
        if let Err(error) = store.save(&nothing, chunk).await {
            say(format_args!("rolewatch: {error}"));
            return Exit::OutputFailed;
        }
    }
    let tally = store.take_tally();
    let (roles, callers) = (plural(roles, "role", "roles"), plural(callers, "caller", "callers"));
    let writes = plural(tally.writes, "write", "writes");
    say(format_args!("{roles} and {callers} are in table {name} ({writes})"));
    Exit::Done
}

/// Prints the roles of the table, or one of them.
pub(super) async fn show(aws: &Aws, name: &str, role: Option<&str>) -> Exit {
    let mut table = table(aws, name);
    match roles(&mut table, role).await {
        Ok(roles) => tell(&format!("table {name}"), role, &roles),
        Err(error) => {
            say(format_args!("rolewatch: {error}"));
            Exit::Usage
        }
    }
}

/// The role with this ARN, or all roles: a name may be that of roles in many accounts.
async fn roles(
    table: &mut DynamoTable,
    role: Option<&str>,
) -> Result<Vec<(RoleArn, Arc<RoleBaseline>)>, TableError> {
    let mut roles = Vec::new();
    let mut add = |item: Item| {
        if let (Key::Role(arn), Some(Body::Role(baseline))) = (item.key, item.body) {
            roles.push((arn, baseline));
        }
    };
    match role.and_then(|role| role.parse().ok()) {
        Some(arn) => table.one(&Key::Role(arn)).await?.into_iter().for_each(add),
        None => table.scan(Key::ROLES, &mut add).await?,
    }
    roles.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(roles)
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
