//! `rolewatch redrive`

use std::collections::BTreeSet;

use aws_sdk_kinesis::Client as Kinesis;
use aws_sdk_sqs::Client as Sqs;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message};
use jiff::Timestamp;

use super::{Exit, Remote, say};
use crate::aws::put::{Entry, RECORD_BYTES, put};
use crate::aws::{Aws, why};
use crate::dead_letter::{DeadLetter, gzip};
use crate::kinesis::{Arrived, unpack};
use crate::local::Progress;
use crate::text::{escape_controls, inline, plural};

/// How long nobody else receives what is being put back, in seconds.
const HIDDEN: i32 = 300;

/// How long the queue is asked for more, in seconds. It then asks all of its servers.
const WAIT: i32 = 1;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The queue of the dead letters
    #[arg(long, value_name = "URL")]
    queue: String,
    /// The Kinesis stream that they are put back into
    #[arg(long, value_name = "NAME")]
    stream: String,
    #[command(flatten)]
    remote: Remote,
}

pub(super) fn run(args: &Args) -> Exit {
    args.remote.run(async |aws| redrive(args, aws).await).unwrap_or_else(|exit| exit)
}

async fn redrive(args: &Args, aws: &Aws) -> Exit {
    let (kinesis, sqs) = (aws.kinesis().await, aws.sqs().await);
    let progress = Progress::on_stderr();
    progress.put_back(0);
    let mut redrive = Redrive { args, kinesis, sqs, progress, put: 0, kept: Vec::new() };
    let result = redrive.all().await;
    redrive.release().await;
    redrive.progress.end();
    let kept = redrive.kept.len() as u64;
    let letters = plural(redrive.put, "dead letter", "dead letters");
    say(format_args!("{letters} put back into {}, {kept} kept", escape_controls(&args.stream)));
    match result {
        Err(message) => {
            say(format_args!("rolewatch: {message}"));
            if redrive.put == 0 { Exit::Usage } else { Exit::OutputFailed }
        }
        Ok(()) if kept > 0 => Exit::SomeUnread,
        Ok(()) => Exit::Done,
    }
}

struct Redrive<'a> {
    args: &'a Args,
    kinesis: Kinesis,
    sqs: Sqs,
    progress: Progress,
    put: u64,
    /// The receipts of what stays in the queue.
    kept: Vec<String>,
}

impl Redrive<'_> {
    async fn all(&mut self) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        loop {
            let messages = self.receive().await?;
            let mut entries = Vec::new();
            let mut receipts = Vec::new();
            let mut is_new = false;
            for message in messages {
                let id = message.message_id.clone().unwrap_or_default();
                let receipt = message.receipt_handle.clone().unwrap_or_default();
                if !seen.insert(id.clone()) {
                    continue;
                }
                is_new = true;
                match entry(&message) {
                    Ok(entry) => {
                        entries.push(entry);
                        receipts.push(receipt);
                    }
                    Err(why) => {
                        let id = inline(&id);
                        let why = escape_controls(&why);
                        self.progress.beside(|| {
                            say(format_args!("rolewatch: message {id} stays in the queue: {why}"));
                        });
                        self.kept.push(receipt);
                    }
                }
            }
            // What was kept is received again once it is no longer hidden.
            if !is_new {
                return Ok(());
            }
            self.put_back(entries, receipts).await?;
        }
    }

    async fn receive(&self) -> Result<Vec<Message>, String> {
        let call = self.sqs.receive_message().queue_url(&self.args.queue);
        let call = call.max_number_of_messages(10).visibility_timeout(HIDDEN);
        let answer = call.wait_time_seconds(WAIT).send().await.map_err(|error| {
            let queue = escape_controls(&self.args.queue);
            format!("the queue `{queue}` cannot be read: {}", why(&error))
        })?;
        Ok(answer.messages.unwrap_or_default())
    }

    /// Puts, and only then deletes: whoever is interrupted in between puts twice, and a record
    /// that comes twice raises one alert.
    async fn put_back(&mut self, entries: Vec<Entry>, receipts: Vec<String>) -> Result<(), String> {
        let count = entries.len() as u64;
        if let Err(error) = put(&self.kinesis, &self.args.stream, entries).await {
            self.kept.extend(receipts);
            let stream = escape_controls(&self.args.stream);
            return Err(format!("the stream `{stream}` does not take records: {error}"));
        }
        self.put += count;
        self.progress.put_back(self.put);
        let done = receipts.into_iter().enumerate().map(|(n, receipt)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(n.to_string());
            entry.receipt_handle(receipt).build().map_err(|error| error.to_string())
        });
        let done = done.collect::<Result<Vec<_>, _>>()?;
        if done.is_empty() {
            return Ok(());
        }
        let call = self.sqs.delete_message_batch().queue_url(&self.args.queue);
        let answer = call.set_entries(Some(done)).send().await;
        let left = match &answer {
            Ok(answer) => answer.failed().first().map(|it| it.code().to_owned()),
            Err(error) => Some(why(error)),
        };
        left.map_or(Ok(()), |why| {
            Err(format!("what was put back could not be deleted from the queue: {why}"))
        })
    }

    /// Lets others receive what stays in the queue. Where that fails it is hidden a little longer.
    async fn release(&self) {
        for receipt in &self.kept {
            let call = self.sqs.change_message_visibility().queue_url(&self.args.queue);
            let _ = call.receipt_handle(receipt).visibility_timeout(0).send().await;
        }
    }
}

/// What a dead letter becomes in the stream, or why it stays where it is.
fn entry(message: &Message) -> Result<Entry, String> {
    let letter = DeadLetter::from_message(message.body().unwrap_or_default());
    let letter = letter.map_err(|error| error.to_string())?;
    let reference = &letter.reference;
    let place = format!("{}, sequence number {}", reference.shard, reference.sequence_number);
    let piece = letter.piece().map_err(|error| format!("{error} ({place})"))?;
    if let Some(why) = still_unreadable(&place, &piece) {
        return Err(format!("it still cannot be read ({place}): {why}"));
    }
    let data = match reference.record {
        Some(_) => gzip(&piece),
        None => piece,
    };
    let entry = Entry { partition_key: reference.sequence_number.clone(), data };
    if entry.bytes() > RECORD_BYTES {
        return Err(format!("it is too large for a stream ({place})"));
    }
    Ok(entry)
}

/// Why a piece would only come back as a dead letter.
fn still_unreadable(place: &str, piece: &[u8]) -> Option<String> {
    let time = now();
    let arrived = Arrived { stream: None, shard: place, sequence_number: "", time, data: piece };
    unpack(&arrived).lost.into_iter().next().map(|lost| lost.reason)
}

#[expect(clippy::disallowed_methods, reason = "what is put back arrives anew")]
fn now() -> Timestamp {
    Timestamp::now()
}
