//! What can never be decoded, on its way out of the stream: the form of a dead letter.
//!
//! The piece itself is kept byte for byte, gzip then base64, so that it can be put back once it
//! can be read. It is a piece of a log, with everything that stands in one: whoever may read the
//! queue may read the log.

use std::io::{Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

/// The version of the form.
pub const SCHEMA: &str = "rolewatch/dead-letter/1";

/// Most bytes of a message. SQS has raised its own limit since; a queue with this one is common,
/// and every queue with the settings that AWS gives it takes this much.
pub const MAX_MESSAGE: usize = 256 * 1024;

/// Bytes kept of a piece that does not fit.
const HEAD: usize = 16 * 1024;

/// Most bytes that a piece is inflated to when it is put back.
const MAX_PIECE: u64 = 256 << 20;

/// Why something is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The bytes make no record.
    Undecodable,
    /// A record of ours lacks what it has to have.
    NotUnderstood,
    /// It claims to come from the future.
    FromTheFuture,
    /// Judging it failed: a bug of rolewatch.
    Bug,
}

impl Kind {
    /// The word that messages use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::NotUnderstood => "not_understood",
            Self::FromTheFuture => "from_the_future",
            Self::Bug => "bug",
        }
    }
}

/// Something of a unit that nobody can judge: one record, or the whole input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The number of the record in the input; `None` for the whole input.
    pub record: Option<u64>,
    /// What is wrong.
    pub kind: Kind,
    /// What exactly. It may quote the record, so it belongs beside its bytes and in no log.
    pub reason: String,
}

/// Where in a stream a piece stood.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// The shard.
    pub shard: String,
    /// The Kinesis record.
    pub sequence_number: String,
    /// The record inside it, from 1; absent for the whole Kinesis record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<u64>,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// [`SCHEMA`].
    pub schema: String,
    /// Where it stood.
    #[serde(flatten)]
    pub reference: Reference,
    /// Why it is here, in a word.
    pub kind: Kind,
    /// Why it is here.
    pub reason: String,
    /// Bytes of the piece.
    pub bytes: usize,
    /// Whether `data` is all of it. If not, it is the head, and the rest is found in the stream
    /// by the reference for as long as the stream keeps it.
    pub complete: bool,
    /// The piece, gzip then base64.
    pub data: String,
}

/// Why a dead letter cannot be put back.
#[derive(Debug, thiserror::Error)]
pub enum LetterError {
    /// Something else lies in the queue.
    #[error("it is no dead letter of rolewatch: {0}")]
    NoLetter(String),
    /// The piece was damaged.
    #[error("its data is damaged: {0}")]
    Damaged(String),
    /// It was too large for the queue.
    #[error("only the first bytes of {0} are in it: fetch the record from the stream")]
    HeadOnly(usize),
}

impl DeadLetter {
    /// The letter about `piece`, as the message that goes to the queue.
    #[must_use]
    pub fn to_message(reference: Reference, lost: &Lost, piece: &[u8]) -> String {
        let mut letter = Self {
            schema: SCHEMA.to_owned(),
            reference,
            kind: lost.kind,
            reason: crate::text::clip(&lost.reason, 1_024),
            bytes: piece.len(),
            complete: true,
            data: pack(piece),
        };
        let whole = letter.to_json();
        if whole.len() <= MAX_MESSAGE {
            return whole;
        }
        letter.complete = false;
        letter.data = pack(piece.get(..HEAD).unwrap_or(piece));
        letter.to_json()
    }

    /// Reads a message of the queue.
    ///
    /// # Errors
    /// It is no dead letter.
    pub fn from_message(message: &str) -> Result<Self, LetterError> {
        let letter: Self = serde_json::from_str(message)
            .map_err(|error| LetterError::NoLetter(error.to_string()))?;
        if letter.schema == SCHEMA {
            return Ok(letter);
        }
        Err(LetterError::NoLetter(format!("its form is `{}`", crate::text::inline(&letter.schema))))
    }

    /// The piece, byte for byte.
    ///
    /// # Errors
    /// It is damaged, or only its head is here.
    pub fn piece(&self) -> Result<Vec<u8>, LetterError> {
        if !self.complete {
            return Err(LetterError::HeadOnly(self.bytes));
        }
        let packed =
            STANDARD.decode(&self.data).map_err(|error| LetterError::Damaged(error.to_string()))?;
        let mut piece = Vec::new();
        GzDecoder::new(packed.as_slice())
            .take(MAX_PIECE)
            .read_to_end(&mut piece)
            .map_err(|error| LetterError::Damaged(error.to_string()))?;
        if piece.len() == self.bytes {
            return Ok(piece);
        }
        Err(LetterError::Damaged(format!("{} bytes where {} were", piece.len(), self.bytes)))
    }

    fn to_json(&self) -> String {
        // Strings, numbers and flags: there is no value that JSON cannot hold. The reason may quote
        // the record, with characters in it for which the queue would refuse the letter for ever.
        crate::text::deliverable(serde_json::to_string(self).unwrap_or_default())
    }
}

fn pack(piece: &[u8]) -> String {
    STANDARD.encode(gzip(piece))
}

/// `bytes`, compressed.
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    // Writing into memory does not fail.
    gzip.write_all(bytes).and_then(|()| gzip.finish()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(piece: &[u8]) -> String {
        let reference = Reference {
            stream: None,
            shard: "shardId-000000000001".into(),
            sequence_number: "4959".into(),
            record: Some(3),
        };
        let lost = Lost { record: Some(3), kind: Kind::Undecodable, reason: "not JSON".into() };
        DeadLetter::to_message(reference, &lost, piece)
    }

    #[test]
    fn a_piece_comes_back_byte_for_byte() {
        for piece in [b"".to_vec(), b"{\"eventVersion\":\"1.".to_vec(), (0..=255).collect()] {
            let letter = DeadLetter::from_message(&message(&piece)).unwrap();
            assert_eq!(letter.piece().unwrap(), piece);
            assert_eq!(letter.reference.sequence_number, "4959");
            assert!(letter.complete);
        }
    }

    /// What SQS takes: <https://www.w3.org/TR/REC-xml/#charsets>.
    #[test]
    fn a_letter_holds_no_character_that_the_queue_refuses() {
        let reason: String =
            ('\0'..=' ').chain("\u{7f}\u{fffd}\u{fffe}\u{ffff}x".chars()).collect();
        let lost = Lost { record: None, kind: Kind::NotUnderstood, reason };
        let reference = Reference { shard: "\u{ffff}".into(), ..Reference::default() };
        let message = DeadLetter::to_message(reference, &lost, "\u{ffff}\u{1}".as_bytes());
        let is_taken = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
        assert!(message.chars().all(is_taken), "{message:?}");
        let letter = DeadLetter::from_message(&message).unwrap();
        assert_eq!(letter.piece().unwrap(), "\u{ffff}\u{1}".as_bytes(), "the piece is as it was");
    }

    #[test]
    fn what_is_too_large_leaves_its_head_and_where_it_is() {
        let mut random = fastrand::Rng::with_seed(1);
        let piece: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(1 << 20).collect();
        let message = message(&piece);
        assert!(message.len() <= MAX_MESSAGE);
        let letter = DeadLetter::from_message(&message).unwrap();
        assert_eq!((letter.complete, letter.bytes), (false, 1 << 20));
        assert!(matches!(letter.piece(), Err(LetterError::HeadOnly(_))));
        let head = DeadLetter { complete: true, bytes: HEAD, ..letter };
        assert_eq!(head.piece().unwrap(), piece[..HEAD]);
        assert!(DeadLetter::from_message("{\"schema\":\"x\"}").is_err());
    }
}
