//! `rolewatch tail`

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::{Exit, Remote, replay, say, summary};
use crate::aws::Aws;
use crate::aws::shards::{PAUSE, Polled, Put, ReadError, Shards, Start};
use crate::config::Config;
use crate::dead_letter::Lost;
use crate::event::Event;
use crate::kinesis::{Arrived, unpack};
use crate::local::{Format, Output, Progress};
use crate::memory::WorkingSet;
use crate::pipeline::{Watch, run_batch};
use crate::report::Report;
use crate::text::{escape_controls, plural};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The Kinesis stream
    #[arg(long, value_name = "NAME")]
    stream: String,
    /// Begin with the oldest record that the stream holds, and not with what comes from now on
    #[arg(long)]
    from_start: bool,
    /// End when nothing has come for so long
    #[arg(long, value_name = "SECONDS")]
    until_idle: Option<u64>,
    /// What is declared and accepted (rolewatch.toml)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How alerts are printed on standard output
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Start from a saved baseline
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Save the baseline at the end
    #[arg(long, value_name = "FILE")]
    save_baseline: Option<PathBuf>,
    #[command(flatten)]
    remote: Remote,
}

pub(super) fn run(args: &Args) -> Exit {
    let config = replay::load_config(args.config.as_deref());
    let memory = replay::load_baseline(args.baseline.as_deref());
    match (config, memory) {
        (Ok(config), Ok(memory)) => {
            let followed = args.remote.run(async |aws| tail(args, &config, memory, aws).await);
            followed.unwrap_or_else(|exit| exit)
        }
        (Err(exit), _) | (_, Err(exit)) => exit,
    }
}

async fn tail(args: &Args, config: &Config, memory: WorkingSet, aws: &Aws) -> Exit {
    let started = Instant::now();
    let start = if args.from_start { Start::Oldest } else { Start::Latest };
    let stream = escape_controls(&args.stream);
    let mut shards = match Shards::open(aws.kinesis().await, &args.stream, start).await {
        Ok(shards) => shards,
        Err(error) => {
            say(format_args!("rolewatch: the stream `{stream}` cannot be read: {error}"));
            return Exit::Usage;
        }
    };
    let progress = Progress::on_stderr();
    let output = replay::output(args.format, &progress);
    let report = Report::default();
    let mut tail = Tail { config, memory, output, report, progress, read: 0 };
    tail.progress.beside(|| {
        let shards = plural(shards.count() as u64, "shard", "shards");
        say(format_args!("following {shards} of {stream}; Ctrl-C ends it"));
    });
    let end = tail.follow(&mut shards, args.until_idle.map(Duration::from_secs)).await;
    tail.progress.end();
    tail.finish(args, end, started.elapsed())
}

/// Why following ended.
enum End {
    /// It was asked for, or nothing came any more.
    Asked,
    /// The stream cannot be read any more.
    Unreadable(ReadError),
    /// Alerts could not be written.
    Unwritable(std::io::Error),
}

/// What is kept while a stream is followed.
struct Tail<'a, W: std::io::Write> {
    config: &'a Config,
    memory: WorkingSet,
    output: Output<W>,
    report: Report,
    progress: Progress,
    read: u64,
}

impl<W: std::io::Write> Tail<'_, W> {
    async fn follow(&mut self, shards: &mut Shards, until_idle: Option<Duration>) -> End {
        let stop = std::rc::Rc::new(Notify::new());
        let stopping = tokio::task::LocalSet::new();
        let asked = std::rc::Rc::clone(&stop);
        stopping.spawn_local(async move {
            // Where signals cannot be received, Ctrl-C still ends the process.
            if tokio::signal::ctrl_c().await.is_ok() {
                asked.notify_one();
            }
        });
        stopping.run_until(self.poll(shards, until_idle, &stop)).await
    }

    async fn poll(
        &mut self,
        shards: &mut Shards,
        until_idle: Option<Duration>,
        stop: &Notify,
    ) -> End {
        let mut last = Instant::now();
        loop {
            let mut polled = shards.poll().await;
            let failed = polled.failed.take();
            let came = !polled.records.is_empty() || polled.is_behind;
            if let Err(error) = self.judge(polled) {
                return End::Unwritable(error);
            }
            if let Some(error) = failed {
                return End::Unreadable(error);
            }
            // Judging takes time as well, in which nothing could come.
            if came {
                last = Instant::now();
            }
            let is_idle = until_idle.is_some_and(|longest| last.elapsed() >= longest);
            if is_idle || shards.count() == 0 || self.output.is_closed() {
                return End::Asked;
            }
            if tokio::time::timeout(PAUSE, stop.notified()).await.is_ok() {
                return End::Asked;
            }
        }
    }

    /// Judges what one round brought. Shards are read side by side, so what they brought is
    /// brought into one order.
    fn judge(&mut self, polled: Polled) -> std::io::Result<()> {
        if polled.records.is_empty() {
            return Ok(());
        }
        self.read += polled.records.len() as u64;
        let mut events = Vec::new();
        for put in &polled.records {
            self.take(put, &mut events);
        }
        events.sort_by(|a: &Event, b: &Event| a.order().cmp(&b.order()));
        let watch = Watch { config: self.config, learn_until: None };
        let (memory, output) = (&mut self.memory, &mut self.output);
        run_batch(memory, watch, &events, output, &mut self.report).map_err(|(_, error)| error)?;
        self.progress.follow(self.report.records());
        self.output.flush()
    }

    fn take(&mut self, put: &Put, events: &mut Vec<Event>) {
        let Put { shard, sequence_number, time, data } = put;
        let unpacked = unpack(&Arrived { stream: None, shard, sequence_number, time: *time, data });
        self.report.other += unpacked.other;
        self.report.undecodable += unpacked.lost.len() as u64 + unpacked.more_lost;
        events.extend(unpacked.events);
        for Lost { record, reason, .. } in unpacked.lost {
            let record = record.map(|number| format!("record {number}: ")).unwrap_or_default();
            let why = escape_controls(&reason);
            let line =
                format!("rolewatch: {shard}, sequence number {sequence_number}: {record}{why}");
            self.progress.beside(|| say(line));
        }
    }

    fn finish(mut self, args: &Args, end: End, took: Duration) -> Exit {
        let flushed = self.output.flush();
        summary::tell_forgotten(&self.memory, "");
        let read = plural(self.read, "stream record", "stream records");
        summary::tell(&self.report, &format!("{read} read"), took);
        let end = match (end, flushed) {
            (End::Asked, Err(error)) => End::Unwritable(error),
            (end, _) => end,
        };
        if let End::Unwritable(error) = &end {
            say(format_args!(
                "rolewatch: alerts could not be written, so the run stopped: {error}"
            ));
            return Exit::OutputFailed;
        }
        if let Some(file) = &args.save_baseline
            && let Err(message) = replay::save(&self.memory, file, self.output.is_closed())
        {
            say(format_args!("rolewatch: {}: {message}", file.display()));
            return Exit::OutputFailed;
        }
        match end {
            End::Unreadable(error) => {
                let stream = escape_controls(&args.stream);
                say(format_args!(
                    "rolewatch: the stream `{stream}` cannot be read any more: {error}"
                ));
                Exit::SomeUnread
            }
            _ if self.report.undecodable > 0 => Exit::SomeUnread,
            _ => Exit::Done,
        }
    }
}
