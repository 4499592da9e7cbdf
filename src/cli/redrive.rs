//! `rolewatch redrive`

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_kinesis::Client as Kinesis;
use aws_sdk_sqs::Client as Sqs;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName};
use jiff::Timestamp;

use super::{Exit, Remote, say};
use crate::aws::put::{Entry, RECORD_BYTES, Request, put};
use crate::aws::sqs::region_of;
use crate::aws::{Aws, why};
use crate::dead_letter::{DeadLetter, gzip};
use crate::kinesis::{Arrived, unpack};
use crate::local::Progress;
use crate::text::{escape_controls, inline, plural};

/// How long nobody else receives what is being put back, in seconds.
const HIDDEN: i32 = 300;

/// How long the queue is asked for more, in seconds. It then asks all of its servers.
const WAIT: i32 = 1;

/// A queue that gives nothing may still hold something: some of its servers were slow to tell.
/// After so many answers in a row without anything new it is taken for empty.
const EMPTY: u32 = 3;

/// Most dead letters that SQS deletes in one request.
const DELETED: usize = 10;

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
    let (kinesis, sqs) = (aws.kinesis().await, aws.sqs(region_of(&args.queue)).await);
    let progress = Progress::on_stderr();
    progress.put_back(0);
    let mut redrive = Redrive { args, kinesis, sqs, progress, put: 0, kept: BTreeMap::new() };
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
    /// The receipts of what was received and is not deleted, by message.
    kept: BTreeMap<String, String>,
}

impl Redrive<'_> {
    async fn all(&mut self) -> Result<(), String> {
        let (mut seen, mut empty, began) = (BTreeSet::new(), 0, now());
        while empty < EMPTY {
            empty += 1;
            let (mut request, mut letters) = (Request::default(), Vec::new());
            let messages = self.receive().await?;
            for message in &messages {
                let id = message.message_id.clone().unwrap_or_default();
                let receipt = message.receipt_handle.clone().unwrap_or_default();
                if !seen.insert(id.clone()) {
                    // It was kept and is hidden no more: only the newest receipt is good.
                    self.kept.entry(id).and_modify(|kept| *kept = receipt);
                    continue;
                }
                self.kept.insert(id.clone(), receipt);
                if is_later(message, began) {
                    // What was put back a moment ago cannot be judged yet, and would be put back
                    // for ever.
                    continue;
                }
                empty = 0;
                match entry(message) {
                    Ok(entry) => {
                        if let Some(full) = request.push(entry) {
                            self.put_back(full, std::mem::take(&mut letters)).await?;
                        }
                        letters.push(id);
                    }
                    Err(why) => {
                        let (id, why) = (inline(&id), escape_controls(&why));
                        self.progress.beside(|| {
                            say(format_args!("rolewatch: message {id} stays in the queue: {why}"));
                        });
                    }
                }
            }
            // What was received stays hidden for a while, in which it has to be put back.
            self.put_back(request.take(), letters).await?;
        }
        Ok(())
    }

    async fn receive(&self) -> Result<Vec<Message>, String> {
        let call = self.sqs.receive_message().queue_url(&self.args.queue);
        let call = call.max_number_of_messages(10).visibility_timeout(HIDDEN);
        let call = call.message_system_attribute_names(SENT);
        let answer = call.wait_time_seconds(WAIT).send().await.map_err(|error| {
            let queue = escape_controls(&self.args.queue);
            format!("the queue `{queue}` cannot be read: {}", why(&error))
        })?;
        Ok(answer.messages.unwrap_or_default())
    }

    /// Puts, and only then deletes: whoever is interrupted in between puts twice, and a record
    /// that comes twice raises one alert.
    async fn put_back(&mut self, entries: Vec<Entry>, letters: Vec<String>) -> Result<(), String> {
        let count = entries.len() as u64;
        put(&self.kinesis, &self.args.stream, entries).await.map_err(|error| {
            let stream = escape_controls(&self.args.stream);
            format!("the stream `{stream}` does not take records: {error}")
        })?;
        self.put += count;
        self.progress.put_back(self.put);
        for letters in letters.chunks(DELETED) {
            self.delete(letters).await?;
        }
        Ok(())
    }

    async fn delete(&mut self, letters: &[String]) -> Result<(), String> {
        let receipts = letters.iter().filter_map(|id| self.kept.get(id)).enumerate();
        let done = receipts.map(|(n, receipt)| {
            let entry = DeleteMessageBatchRequestEntry::builder().id(n.to_string());
            entry.receipt_handle(receipt).build().map_err(|error| error.to_string())
        });
        let done = done.collect::<Result<Vec<_>, _>>()?;
        let call = self.sqs.delete_message_batch().queue_url(&self.args.queue);
        let answer = call.set_entries(Some(done)).send().await;
        let left = match &answer {
            Ok(answer) => answer.failed().first().map(|it| it.code().to_owned()),
            Err(error) => Some(why(error)),
        };
        if let Some(why) = left {
            return Err(format!("what was put back could not be deleted from the queue: {why}"));
        }
        letters.iter().for_each(|id| drop(self.kept.remove(id)));
        Ok(())
    }

    /// Lets others receive what stays in the queue. Where that fails it is hidden a little longer.
    async fn release(&self) {
        for receipt in self.kept.values() {
            let call = self.sqs.change_message_visibility().queue_url(&self.args.queue);
            let _ = call.receipt_handle(receipt).visibility_timeout(0).send().await;
        }
    }
}

/// When a message was sent, in milliseconds.
const SENT: MessageSystemAttributeName = MessageSystemAttributeName::SentTimestamp;

/// Whether a message came into the queue after a time.
fn is_later(message: &Message, time: Timestamp) -> bool {
    let sent = message.attributes.as_ref().and_then(|it| it.get(&SENT)?.parse::<i64>().ok());
    sent.is_some_and(|sent| sent > time.as_millisecond())
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
