//! Dead letters to SQS.

use std::fmt;
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

use super::Aws;
use super::sns::jittered;
use crate::dead_letter::Lost;
use crate::kinesis::{Arrived, letters, told};
use crate::pipeline::{DeadLetters, Taken};

/// How long one call may take, so that a connection that died in its sleep costs no more.
const LONGEST_CALL: Duration = Duration::from_secs(5);

/// How often a letter is offered before the record is given back, and how long to wait after the
/// first time; then twice as long each time.
const TRIES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(100);

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

/// The region in the URL of a queue, where AWS has one in it: a queue takes messages only there.
#[must_use]
pub fn region_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let host = rest.split(['/', ':']).next()?;
    let labels: Vec<&str> = host.split('.').collect();
    let region = match labels.as_slice() {
        // The form of old, and still that of some regions' documentation.
        [region, "queue", "amazonaws", ..] => region,
        ["sqs" | "sqs-fips", region, "amazonaws" | "api", ..] => region,
        // An endpoint of one's own network.
        [_, "sqs", region, "vpce", "amazonaws", ..] => region,
        [_, _, "sqs", region, "vpce", "amazonaws", ..] => region,
        _ => return None,
    };
    Some(region)
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
    /// What the queue has taken of records that are not done yet.
    pub taken: &'a mut Taken,
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

    async fn bury(&mut self, unit: usize, lost: &[Lost], more: u64) -> Result<(), QueueError> {
        let Some(arrived) = self.arrived.get(unit) else { return Ok(()) };
        // What is wrong may quote the record; the log names its place, and what kind it is.
        let kinds: Vec<&str> = lost.iter().map(|lost| lost.kind.as_str()).collect();
        let records: Vec<u64> = lost.iter().filter_map(|lost| lost.record).collect();
        tracing::warn!(
            shard = arrived.shard,
            sequence_number = arrived.sequence_number,
            ?records,
            ?kinds,
            count = lost.len() as u64 + more,
            queued = self.queue.url.is_some(),
            "records that can never be judged"
        );
        let Some(url) = self.queue.url.as_deref() else { return Ok(()) };
        // Decoding a record again for its pieces takes time as well.
        self.in_time()?;
        let lost = told(lost);
        for (lost, message) in lost.iter().zip(letters(arrived, &lost)) {
            let Arrived { stream, shard, sequence_number, .. } = arrived;
            let (record, kind) = (lost.record, lost.kind.as_str());
            let place = format!("{stream:?} {shard} {sequence_number} {record:?} {kind}");
            if !self.taken.has(&place, 0) {
                self.send(url, &message).await?;
                self.taken.add(&place, 0);
            }
        }
        Ok(())
    }
}

impl Undertaker<'_> {
    fn in_time(&self) -> Result<(), QueueError> {
        let is_over = Instant::now() >= self.deadline;
        if is_over { Err(QueueError("no time was left for it".to_owned())) } else { Ok(()) }
    }

    /// Sends one letter; again where that fails, for it may have been a moment's trouble.
    async fn send(&self, url: &str, message: &str) -> Result<(), QueueError> {
        let region = region_of(url);
        let client = self.queue.client.get_or_init(|| self.aws.sqs(region)).await;
        let mut attempt = 0;
        loop {
            self.in_time()?;
            // On the heap: the SDK's futures are large.
            let sending =
                Box::pin(client.send_message().queue_url(url).message_body(message).send());
            let until = self.deadline.min(Instant::now() + LONGEST_CALL);
            let why = match tokio::time::timeout_at(until.into(), sending).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => super::why(&error),
                Err(_) => "the queue did not answer in time".to_owned(),
            };
            let wait = jittered(FIRST_WAIT * 2_u32.pow(attempt));
            attempt += 1;
            if attempt == TRIES || Instant::now() + wait >= self.deadline {
                return Err(QueueError(why));
            }
            tokio::time::sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_is_spoken_to_in_its_own_region() {
        for (url, region) in [
            ("https://sqs.eu-west-1.amazonaws.com/111122223333/q", Some("eu-west-1")),
            ("https://sqs.cn-north-1.amazonaws.com.cn/111122223333/q", Some("cn-north-1")),
            ("https://sqs-fips.us-east-1.amazonaws.com/111122223333/q", Some("us-east-1")),
            ("https://sqs.us-east-1.api.aws/111122223333/q", Some("us-east-1")),
            ("https://eu-west-1.queue.amazonaws.com/111122223333/q", Some("eu-west-1")),
            ("https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com/1/q", Some("eu-west-1")),
            ("https://queue.amazonaws.com/111122223333/q", None),
            ("http://127.0.0.1:4566/000000000000/q", None),
            ("http://sqs.eu-west-1.localhost:4566/000000000000/q", None),
        ] {
            assert_eq!(region_of(url), region, "{url}");
        }
    }
}
