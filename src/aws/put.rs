//! Records into a Kinesis stream, all of them.

use std::time::Duration;

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::PutRecordsRequestEntry;

/// Most records of one request.
const RECORDS: usize = 500;

/// Most bytes of one request, partition keys included.
const BYTES: usize = 5 << 20;

/// Most bytes of one record, its partition key included.
pub const RECORD_BYTES: usize = 1 << 20;

/// Tries in a row that put nothing before it is said that the stream takes no more.
const FRUITLESS_TRIES: u32 = 10;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// One record to put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Tells the shard.
    pub partition_key: String,
    /// The record.
    pub data: Vec<u8>,
}

impl Entry {
    /// Bytes that count towards the limits.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.partition_key.len() + self.data.len()
    }
}

/// Entries that fit into one request.
#[derive(Debug, Default)]
pub struct Request {
    entries: Vec<Entry>,
    bytes: usize,
}

impl Request {
    /// Adds an entry. Where it does not fit, what was there before is returned, to be put first.
    pub fn push(&mut self, entry: Entry) -> Option<Vec<Entry>> {
        let fits = self.entries.len() < RECORDS && self.bytes + entry.bytes() <= BYTES;
        let full = if fits { None } else { Some(self.take()) };
        self.bytes += entry.bytes();
        self.entries.push(entry);
        full
    }

    /// Takes out what is left.
    pub fn take(&mut self) -> Vec<Entry> {
        std::mem::take(self).entries
    }
}

/// Why records could not be put.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// The whole request failed.
    #[error("{0}")]
    Failed(String),
    /// The stream refused some records again and again.
    #[error("the stream refused {left} of them {FRUITLESS_TRIES} times in a row: {reason}")]
    Refused {
        /// How many were not put.
        left: usize,
        /// What Kinesis said of one of them.
        reason: String,
    },
}

/// Puts all of one request. What is refused, which is no failure of the whole, is put again after
/// a pause; it then stands behind its neighbours, as it does when CloudWatch Logs puts it.
///
/// # Errors
/// The request failed though the SDK repeated it, or the stream takes no more.
pub async fn put(client: &Client, stream: &str, entries: Vec<Entry>) -> Result<(), PutError> {
    let attempt = async |entries: &[Entry]| try_once(client, stream, entries).await;
    persist(entries, attempt, async |pause| tokio::time::sleep(pause).await).await
}

/// Which entries were refused, and why the first of them was.
#[derive(Debug, Default)]
struct Refused {
    places: Vec<usize>,
    reason: String,
}

async fn persist(
    mut entries: Vec<Entry>,
    mut attempt: impl AsyncFnMut(&[Entry]) -> Result<Refused, PutError>,
    mut sleep: impl AsyncFnMut(Duration),
) -> Result<(), PutError> {
    let (mut pause, mut fruitless) = (FIRST_PAUSE, 0);
    while !entries.is_empty() {
        let Refused { places, reason } = attempt(&entries).await?;
        let left = places.len();
        if left < entries.len() {
            (pause, fruitless) = (FIRST_PAUSE, 0);
        } else {
            fruitless += 1;
        }
        if fruitless >= FRUITLESS_TRIES {
            return Err(PutError::Refused { left, reason });
        }
        let mut place = 0;
        entries.retain(|_| {
            place += 1;
            places.binary_search(&(place - 1)).is_ok()
        });
        if left > 0 {
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }
    Ok(())
}

async fn try_once(client: &Client, stream: &str, entries: &[Entry]) -> Result<Refused, PutError> {
    let records = entries.iter().map(|entry| {
        PutRecordsRequestEntry::builder()
            .partition_key(&entry.partition_key)
            .data(Blob::new(entry.data.clone()))
            .build()
            .map_err(|error| PutError::Failed(error.to_string()))
    });
    let records = records.collect::<Result<Vec<_>, _>>()?;
    let answer = client.put_records().stream_name(stream).set_records(Some(records)).send().await;
    let answer = answer.map_err(|error| PutError::Failed(super::why(&error)))?;
    let mut refused = Refused::default();
    for (place, result) in answer.records().iter().enumerate() {
        let Some(code) = result.error_code() else { continue };
        if refused.places.is_empty() {
            refused.reason = format!("{code}: {}", result.error_message().unwrap_or_default());
        }
        refused.places.push(place);
    }
    Ok(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(count: u8) -> Vec<Entry> {
        (0..count).map(|n| Entry { partition_key: "k".to_owned(), data: vec![n] }).collect()
    }

    fn finish<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    #[test]
    fn a_request_keeps_both_limits() {
        let mut request = Request::default();
        let sizes = |entry: &Entry, count: usize, request: &mut Request| {
            let full = (0..count).filter_map(|_| request.push(entry.clone()));
            full.map(|it| it.len()).collect::<Vec<_>>()
        };
        let small = Entry { partition_key: "k".to_owned(), data: vec![0] };
        assert_eq!(sizes(&small, 1_001, &mut request), [500, 500]);
        assert_eq!(request.take().len(), 1);
        let large = Entry { partition_key: "k".to_owned(), data: vec![0; RECORD_BYTES - 1] };
        assert_eq!(sizes(&large, 11, &mut request), [5, 5]);
        assert_eq!((request.take().len(), request.take().len()), (1, 0));
    }

    #[test]
    fn what_is_refused_is_put_again() {
        let (mut put, mut pauses) = (Vec::new(), Vec::new());
        let attempt = async |entries: &[Entry]| {
            let refused = |at: &usize| entries.len() > 1 && at % 2 == 1;
            let places: Vec<usize> = (0..entries.len()).filter(refused).collect();
            let taken = entries.iter().enumerate().filter(|(at, _)| !places.contains(at));
            put.extend(taken.map(|(_, entry)| entry.data[0]));
            Ok(Refused { places, reason: "busy".to_owned() })
        };
        finish(persist(entries(8), attempt, async |pause| pauses.push(pause))).unwrap();
        assert_eq!(put, [0, 2, 4, 6, 1, 5, 3, 7]);
        assert_eq!(pauses, [FIRST_PAUSE; 3]);
    }

    #[test]
    fn a_stream_that_takes_nothing_is_given_up() {
        let mut pauses = Vec::new();
        let attempt = async |entries: &[Entry]| {
            Ok(Refused { places: (0..entries.len()).collect(), reason: "full".to_owned() })
        };
        let result = finish(persist(entries(3), attempt, async |pause| pauses.push(pause)));
        let message = result.unwrap_err().to_string();
        assert_eq!(message, "the stream refused 3 of them 10 times in a row: full");
        assert_eq!(pauses.len(), 9);
        assert_eq!(pauses.last(), Some(&LONGEST_PAUSE));
    }
}
