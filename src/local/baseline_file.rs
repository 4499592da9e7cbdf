//! A saved baseline: one file, replaced atomically.
//!
//! The first line says what the file is and carries the digest of the rest, so that a damaged
//! file is refused and not half believed. The rest is JSON.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::baseline::{Caller, RoleBaseline};
use crate::event::{EventKey, PrincipalKey};
use crate::id::{AccountId, EventId, RoleArn, RoleKey, hex};
use crate::lineage::{CallId, Place, Session};
use crate::memory::{Parts, WorkingSet};
use crate::state::{Clock, FirstCopy, Waiter};
use crate::trust::History;

/// The form this version writes; everything before the number is the same in all versions.
const SCHEMA: (&str, u32) = ("rolewatch/baseline/", 1);

/// Why a saved baseline could not be used.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// The file could not be read.
    #[error("cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// The file could not be written.
    #[error("cannot be written: {0}")]
    Unwritable(std::io::Error),
    /// The file is something else.
    #[error("is no saved baseline: give a file that --save-baseline wrote")]
    NoBaseline,
    /// A later version wrote it.
    #[error("was saved by a newer rolewatch (form {0}, this one reads {max}): update rolewatch", max = SCHEMA.1)]
    Newer(u32),
    /// The contents are not what was written.
    #[error("is damaged ({0}): use a copy of it, or learn again from logs")]
    Damaged(String),
}

#[derive(Serialize, Deserialize)]
struct Header {
    schema: String,
    sha256: String,
}

#[derive(Serialize, Deserialize)]
struct Body {
    roles: BTreeMap<RoleArn, Arc<RoleBaseline>>,
    callers: BTreeMap<PrincipalKey, Arc<Caller>>,
    accounts: Vec<AccountId>,
    people: Vec<Arc<str>>,
    recent: Vec<EventKey>,
    copies: Vec<(EventId, Arc<FirstCopy>)>,
    // Files of before sessions were followed have none of these.
    #[serde(default)]
    sessions: Vec<(CallId, Arc<Session>)>,
    #[serde(default)]
    waiting: Vec<(CallId, Arc<Waiter>)>,
    #[serde(default)]
    places: Vec<(CallId, Arc<Place>)>,
    #[serde(default)]
    clock: Clock,
    // Nor those of before trust policies were read of these.
    #[serde(default)]
    trust: BTreeMap<RoleKey, Arc<History>>,
    #[serde(default)]
    parties: Vec<Arc<str>>,
    #[serde(default)]
    ours: Vec<AccountId>,
}

/// Reads a saved baseline.
///
/// # Errors
/// The file cannot be read, is none, is damaged, or is of a later version.
pub fn load(path: &Path) -> Result<WorkingSet, BaselineError> {
    let text = std::fs::read(path).map_err(BaselineError::Unreadable)?;
    let text = String::from_utf8(text).map_err(|_| BaselineError::NoBaseline)?;
    let (header, body) = text.split_once('\n').ok_or(BaselineError::NoBaseline)?;
    let header: Header = serde_json::from_str(header).map_err(|_| BaselineError::NoBaseline)?;
    let version = header.schema.strip_prefix(SCHEMA.0).ok_or(BaselineError::NoBaseline)?;
    let version: u32 = version.parse().map_err(|_| BaselineError::NoBaseline)?;
    match version {
        0 => return Err(BaselineError::NoBaseline),
        newer if newer > SCHEMA.1 => return Err(BaselineError::Newer(newer)),
        _ => {}
    }
    if hex(&Sha256::digest(body)) != header.sha256 {
        return Err(BaselineError::Damaged("its digest does not match".to_owned()));
    }
    let body: Body =
        serde_json::from_str(body).map_err(|error| BaselineError::Damaged(error.to_string()))?;
    Ok(WorkingSet::of(Parts {
        roles: body.roles.into_iter().collect(),
        callers: body.callers.into_iter().collect(),
        accounts: body.accounts,
        people: body.people,
        recent: body.recent,
        copies: body.copies,
        sessions: body.sessions,
        waiting: body.waiting,
        places: body.places,
        clock: body.clock,
        trust: body.trust.into_iter().collect(),
        parties: body.parties,
        ours: body.ours,
    }))
}

/// Saves a baseline. The file is written beside its place and moved there when it is complete
/// and on the disk, so that a crash leaves the old one.
///
/// # Errors
/// The folder or the disk does not take it.
pub fn save(memory: &WorkingSet, path: &Path) -> Result<(), BaselineError> {
    let parts = memory.parts();
    let body = Body {
        roles: parts.roles.into_iter().collect(),
        callers: parts.callers.into_iter().collect(),
        accounts: parts.accounts,
        people: parts.people,
        recent: parts.recent,
        copies: parts.copies,
        sessions: parts.sessions,
        waiting: parts.waiting,
        places: parts.places,
        clock: parts.clock,
        trust: parts.trust.into_iter().collect(),
        parties: parts.parties,
        ours: parts.ours,
    };
    let encode = |error: serde_json::Error| BaselineError::Unwritable(error.into());
    let mut text = serde_json::to_string(&body).map_err(encode)?;
    text.push('\n');
    let header =
        Header { schema: format!("{}{}", SCHEMA.0, SCHEMA.1), sha256: hex(&Sha256::digest(&text)) };
    let header = serde_json::to_string(&header).map_err(encode)?;
    replace(path, &format!("{header}\n{text}")).map_err(BaselineError::Unwritable)
}

/// Whether a baseline can be saved at `path`, so that a long run does not end in a surprise.
///
/// # Errors
/// The folder takes no file.
pub fn check_writable(path: &Path) -> Result<(), BaselineError> {
    beside(&real(path)).map(drop).map_err(BaselineError::Unwritable)
}

fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let path = real(path);
    let mut file = beside(&path)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    Ok(())
}

/// The file behind a link, so that the link stays.
fn real(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// A new file in the folder of `path`, from where it can be moved there in one step.
fn beside(path: &Path) -> std::io::Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // The error of the library names its own file, which nobody has asked for.
    NamedTempFile::new_in(folder).map_err(|error| error.kind().into())
}
