//! What an item says, as bytes: the number of the form, then deflated JSON.
//!
//! JSON because fields are added to what is remembered from version to version, and an older
//! item has to be read by a newer rolewatch; deflated because its names repeat, and a write is
//! paid for by the kilobyte.

use std::io::{Read, Write};
use std::sync::Arc;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Body, Key};
use crate::trust::History;

/// The form that this version writes.
const FORM: u8 = 1;

/// Most bytes of an encoded body. DynamoDB takes 400 KB with all names and values of an item.
pub const MOST_BYTES: usize = 380 * 1_024;

/// Most bytes that a body is inflated to.
const INFLATED: u64 = 32 << 20;

/// Why the bytes of an item say nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// A later version wrote them.
    #[error("a newer rolewatch wrote it (form {0}, this one reads {FORM}): update rolewatch")]
    Newer(u8),
    /// They are not what was written.
    #[error("it is damaged: {0}")]
    Damaged(String),
}

/// The bytes of a body, at most [`MOST_BYTES`]. Where all of it has no room, of each table the
/// values that were seen last stay.
#[must_use]
pub fn encode(body: &Body) -> Vec<u8> {
    let mut bytes = pack(body);
    let mut most = 32;
    while bytes.len() > MOST_BYTES && most > 0 {
        bytes = pack(&shrunk(body, most));
        most /= 2;
    }
    bytes
}

/// What the bytes that stand under a key say.
///
/// # Errors
/// They are damaged, or of a later version.
pub fn decode(key: &Key, bytes: &[u8]) -> Result<Body, CodecError> {
    let (form, packed) =
        bytes.split_first().ok_or_else(|| CodecError::Damaged("nothing in it".to_owned()))?;
    match *form {
        FORM => {}
        0 => return Err(CodecError::Damaged("it has no form".to_owned())),
        newer => return Err(CodecError::Newer(newer)),
    }
    match key {
        Key::Role(_) => unpack(packed).map(Body::Role),
        Key::Caller(_) => unpack(packed).map(Body::Caller),
        Key::Session(_) | Key::Place(_) => unpack(packed).map(Body::Told),
        Key::Copy(_) => unpack(packed).map(Body::Copy),
        Key::Trust(_) => unpack(packed).map(Body::Trust),
        Key::Account(_) | Key::Person(_) | Key::Party(_) | Key::Ours(_) => Ok(Body::Known),
    }
}

fn shrunk(body: &Body, most: usize) -> Body {
    match body {
        Body::Role(role) => {
            let mut role = (**role).clone();
            role.shrink(most);
            Body::Role(Arc::new(role))
        }
        Body::Caller(caller) => {
            let mut caller = (**caller).clone();
            caller.shrink(most);
            Body::Caller(Arc::new(caller))
        }
        Body::Told(told) => {
            let mut told = (**told).clone();
            told.sessions.truncate(most.min(4));
            told.places.truncate(most.min(4));
            Body::Told(Arc::new(told))
        }
        Body::Trust(history) => {
            let mut history = (**history).clone();
            history.shrink(most.min(History::VERSIONS));
            Body::Trust(Arc::new(history))
        }
        Body::Copy(_) | Body::Known => body.clone(),
    }
}

fn pack(body: &Body) -> Vec<u8> {
    let mut bytes = vec![FORM];
    let json = match body {
        Body::Role(it) => to_json(&**it),
        Body::Caller(it) => to_json(&**it),
        Body::Told(it) => to_json(&**it),
        Body::Copy(it) => to_json(&**it),
        Body::Trust(it) => to_json(&**it),
        Body::Known => return bytes,
    };
    let mut deflate = DeflateEncoder::new(bytes, Compression::default());
    // Writing into memory does not fail.
    let packed = deflate.write_all(&json).and_then(|()| deflate.finish());
    bytes = packed.unwrap_or_default();
    bytes
}

fn to_json<V: Serialize>(value: &V) -> Vec<u8> {
    // Texts, numbers and maps of them: there is no value that JSON cannot hold.
    serde_json::to_vec(value).unwrap_or_default()
}

fn unpack<V: DeserializeOwned>(packed: &[u8]) -> Result<Arc<V>, CodecError> {
    let mut json = Vec::new();
    let damaged = |error: &dyn std::fmt::Display| CodecError::Damaged(error.to_string());
    let mut inflate = DeflateDecoder::new(packed).take(INFLATED);
    inflate.read_to_end(&mut json).map_err(|error| damaged(&error))?;
    serde_json::from_slice(&json).map(Arc::new).map_err(|error| damaged(&error))
}
