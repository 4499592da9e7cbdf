//! Dead letters to SQS.

use std::fmt;
use std::time::Instant;

use tokio::sync::OnceCell;

use super::Aws;
use crate::dead_letter::Lost;
use crate::kinesis::{Arrived, letters};
use crate::pipeline::DeadLetters;

/// The queue for what can never be decoded, if there is one.
#[derive(Debug)]
pub struct Queue {
    url: Option<String>,
    client: OnceCell<aws_sdk_sqs::Client>,
}

impl Queue {
    /// The queue at `url`.
    #[must_use]
    pub fn at(url: Option<String>) -> Self {
        Self { url, client: OnceCell::new() }
    }
}

/// The queue, for the records of one batch.
#[derive(Debug)]
pub struct Undertaker<'a> {
    /// The way to AWS.
    pub aws: &'a Aws,
    /// The queue.
    pub queue: &'a Queue,
    /// The records of the batch.
    pub arrived: &'a [Arrived<'a>],
    /// When to give up.
    pub deadline: Instant,
}

/// Why a dead letter was not accepted.
#[derive(Debug)]
pub struct QueueError(String);

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl DeadLetters for Undertaker<'_> {
    type Error = QueueError;

    async fn bury(&mut self, unit: usize, lost: &[Lost]) -> Result<(), QueueError> {
        let Some(arrived) = self.arrived.get(unit) else { return Ok(()) };
        // What is wrong may quote the record; the log names its place, and what kind it is.
        let kinds: Vec<&str> = lost.iter().map(|lost| lost.kind.as_str()).collect();
        let records: Vec<u64> = lost.iter().filter_map(|lost| lost.record).collect();
        tracing::warn!(
            shard = arrived.shard,
            sequence_number = arrived.sequence_number,
            ?records,
            ?kinds,
            count = lost.len(),
            queued = self.queue.url.is_some(),
            "records that can never be judged"
        );
        let Some(url) = &self.queue.url else { return Ok(()) };
        let client = self.queue.client.get_or_init(|| self.aws.sqs()).await;
        for message in letters(arrived, lost) {
            // On the heap: the SDK's futures are large.
            let sending =
                Box::pin(client.send_message().queue_url(url).message_body(message).send());
            let until = tokio::time::Instant::from_std(self.deadline);
            match tokio::time::timeout_at(until, sending).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    return Err(QueueError(super::why(&error)));
                }
                Err(_) => return Err(QueueError("the queue did not answer in time".to_owned())),
            }
        }
        Ok(())
    }
}
