//! What Lambda's event source mapping does with a function that reports partial batch failures,
//! for the emulator's own does not: it goes on from the lowest sequence number that is returned,
//! halves a batch that fails, and gives up a record that fails too often.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_kinesis::types::Record;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::stub::Stub;

/// How batches are made and repeated.
pub struct Mapping<'a> {
    pub stub: &'a Stub,
    /// Decides how large batches are, and which are delivered twice.
    pub random: fastrand::Rng,
    pub largest_batch: usize,
    /// Time that an invocation may take.
    pub time: Duration,
    /// Tries of a single record before it is given up.
    pub tries: u32,
}

/// What became of a shard.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Delivered {
    pub invocations: u32,
    pub failures: u32,
    /// Sequence numbers of what was delivered a second time though it was done.
    pub doubled: BTreeSet<String>,
    /// Sequence numbers that went to the destination for failures.
    pub given_up: Vec<String>,
}

impl Mapping<'_> {
    /// Delivers a shard from its beginning to its end. `failed` hears of each failure in a row.
    pub fn deliver(&mut self, shard: &[Record], mut failed: impl FnMut(u32)) -> Delivered {
        let mut delivered = Delivered::default();
        let (mut at, mut size, mut tries) = (0, self.random.usize(1..=self.largest_batch), 0);
        while at < shard.len() {
            let batch = &shard[at..shard.len().min(at + size)];
            delivered.invocations += 1;
            let done = self.invoke(batch);
            if done == batch.len() {
                if self.random.u8(..) < 32 {
                    assert_eq!(self.invoke(batch), batch.len(), "what was done is done");
                    delivered.doubled.extend(batch.iter().map(|it| it.sequence_number.clone()));
                }
                (at, tries) = (at + done, 0);
                size = self.random.usize(1..=self.largest_batch);
                continue;
            }
            delivered.failures += 1;
            tries = if done > 0 { 1 } else { tries + 1 };
            at += done;
            failed(tries);
            if size > 1 {
                size = size.div_ceil(2);
            } else if tries >= self.tries {
                delivered.given_up.push(shard[at].sequence_number.clone());
                (at, tries) = (at + 1, 0);
            }
        }
        delivered
    }

    /// How many records of a batch are done.
    fn invoke(&self, batch: &[Record]) -> usize {
        let answer = self.stub.invoke(payload(batch), self.time);
        let failures = answer["batchItemFailures"].as_array().expect("a report of failures");
        let place = |failure: &Value| {
            let number = failure["itemIdentifier"].as_str().expect("a sequence number");
            batch.iter().position(|it| it.sequence_number == number).expect("one of the batch")
        };
        failures.iter().map(place).min().unwrap_or(batch.len())
    }
}

/// A batch as the function gets it.
pub fn payload(batch: &[Record]) -> String {
    let records: Vec<Value> = batch.iter().map(event).collect();
    json!({ "Records": records }).to_string()
}

fn event(record: &Record) -> Value {
    let arrival = record.approximate_arrival_timestamp.map_or(0.0, |it| it.as_secs_f64());
    json!({
        "eventID": format!("shardId-000000000000:{}", record.sequence_number),
        "eventName": "aws:kinesis:record",
        "eventSource": "aws:kinesis",
        "eventSourceARN": "arn:aws:kinesis:us-east-1:000000000000:stream/trail",
        "eventVersion": "1.0",
        "awsRegion": "us-east-1",
        "kinesis": {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": record.partition_key,
            "sequenceNumber": record.sequence_number,
            "data": STANDARD.encode(record.data.as_ref()),
            "approximateArrivalTimestamp": arrival,
        },
    })
}
