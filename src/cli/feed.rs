//! `rolewatch feed`

use std::path::PathBuf;
use std::time::{Duration, Instant};

use indicatif::HumanBytes;
use jiff::Timestamp;
use serde::Deserialize;

use super::{Exit, Remote, say, summary};
use crate::aws::Aws;
use crate::aws::envelope::{Envelope, Message, pack};
use crate::aws::put::{Entry, PutError, RECORD_BYTES, Request, put};
use crate::cloudtrail;
use crate::decode::{Limits, texts};
use crate::event::EventKey;
use crate::local::{Faults, Files, Progress};
use crate::text::{escape_controls, plural};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Log files, folders (searched to any depth), or - for standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The Kinesis stream
    #[arg(long, value_name = "NAME")]
    stream: String,
    #[command(flatten)]
    remote: Remote,
}

pub(super) fn run(args: &Args) -> Exit {
    let started = Instant::now();
    let progress = Progress::on_stderr();
    let mut records = Vec::new();
    let files = Files::read(&args.paths, &progress, |bytes| take(bytes, &mut records));
    progress.beside(|| {
        for problem in &files.problems {
            say(format_args!("rolewatch: {problem}"));
        }
    });
    // In the order in which a replay judges them, and a trail nearly delivers them.
    records.sort_by(|a, b| a.order.cmp(&b.order));
    let total = records.len() as u64;
    progress.put(total);
    let mut fed = Fed::default();
    let messages = records.into_iter().map(|record| record.message);
    let feeding = async |aws: &Aws| feed(aws, &args.stream, messages, &mut fed, &progress).await;
    let result = args.remote.run(feeding);
    progress.end();
    fed.tell(total, &files, started.elapsed());
    match result {
        Err(exit) => exit,
        Ok(Err(error)) => {
            let stream = escape_controls(&args.stream);
            say(format_args!("rolewatch: the stream `{stream}` does not take records: {error}"));
            if fed.records == 0 { Exit::Usage } else { Exit::OutputFailed }
        }
        Ok(Ok(())) if files.problems.is_empty() && fed.too_large == 0 => Exit::Done,
        Ok(Ok(())) => Exit::SomeUnread,
    }
}

/// What was put.
#[derive(Debug, Default)]
struct Fed {
    records: u64,
    envelopes: u64,
    bytes: u64,
    too_large: u64,
}

impl Fed {
    fn tell(&self, total: u64, files: &Files, took: Duration) {
        let seconds = took.as_secs_f64();
        say(format_args!(
            "{} of {} put in {}, {}",
            self.records,
            plural(total, "record", "records"),
            plural(self.envelopes, "envelope", "envelopes"),
            HumanBytes(self.bytes),
        ));
        say(format_args!(
            "{} read, {} unreadable; {seconds:.2} s, {:.0} records/s",
            plural(files.files, "file", "files"),
            files.unreadable,
            summary::per_second(self.records, seconds),
        ));
    }
}

async fn feed(
    aws: &Aws,
    stream: &str,
    messages: impl Iterator<Item = Message>,
    fed: &mut Fed,
    progress: &Progress,
) -> Result<(), PutError> {
    let client = aws.kinesis().await;
    let (mut request, mut waiting) = (Request::default(), Fed::default());
    for Envelope { log_stream, messages, data } in pack(messages) {
        let entry = Entry { partition_key: log_stream.to_string(), data };
        if entry.bytes() > RECORD_BYTES {
            fed.too_large += messages;
            let bytes = HumanBytes(entry.bytes() as u64);
            let words = "is too large for a stream, even packed, and was left out";
            progress.beside(|| {
                say(format_args!("rolewatch: a record of {log_stream} {words}: {bytes}"))
            });
            continue;
        }
        let bytes = entry.bytes() as u64;
        if let Some(full) = request.push(entry) {
            put(&client, stream, full).await?;
            fed.take_in(std::mem::take(&mut waiting), progress);
        }
        waiting.records += messages;
        waiting.envelopes += 1;
        waiting.bytes += bytes;
    }
    put(&client, stream, request.take()).await?;
    fed.take_in(waiting, progress);
    Ok(())
}

impl Fed {
    fn take_in(&mut self, more: Self, progress: &Progress) {
        self.records += more.records;
        self.envelopes += more.envelopes;
        self.bytes += more.bytes;
        progress.was_put(more.records);
    }
}

/// A record, and its place among all others.
struct Record {
    /// When it happened and, for what concerns rolewatch, the order of judging.
    order: (Timestamp, Option<(u8, EventKey)>),
    message: Message,
}

/// What tells the log stream and the place of a record that does not concern rolewatch.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Head {
    event_time: Option<Timestamp>,
    recipient_account_id: Option<String>,
    aws_region: Option<String>,
}

fn take(bytes: &[u8], records: &mut Vec<Record>) -> Faults {
    let mut take = |text: &[u8]| records.push(read(String::from_utf8_lossy(text).into_owned()));
    let decoded = texts(bytes, Limits::default(), &mut take);
    let mut faults = Faults::default();
    faults.add(decoded);
    faults
}

fn read(text: String) -> Record {
    let head: Head = serde_json::from_str(&text).unwrap_or_default();
    let value = serde_json::from_str(&text).ok();
    let event = value.and_then(|value| cloudtrail::read(&value).ok().flatten());
    let order = match &event {
        Some(event) => {
            let (time, rank, key) = event.order();
            (time, Some((rank, key.clone())))
        }
        None => (head.event_time.unwrap_or(Timestamp::UNIX_EPOCH), None),
    };
    let owner = head.recipient_account_id.unwrap_or_else(|| "000000000000".to_owned());
    let region = head.aws_region.unwrap_or_else(|| "unknown".to_owned());
    let log_stream = format!("{owner}_CloudTrail_{region}");
    let timestamp = order.0.as_millisecond();
    Record {
        message: Message { owner: owner.into(), log_stream: log_stream.into(), timestamp, text },
        order,
    }
}
