//! The Lambda function: a batch of Kinesis records in, the sequence number to come back to out.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lambda_events::event::kinesis::{KinesisEvent, KinesisEventRecord};
use aws_lambda_events::event::streams::KinesisEventResponse;
use jiff::Timestamp;
use lambda_runtime::{LambdaEvent, service_fn};
use tokio::sync::Mutex;

use super::Aws;
use super::dynamodb::DynamoTable;
use super::parts::{Begun, ENOUGH, ENOUGH_TO_SAVE, Times, unpack_some};
use super::settings::Settings;
use super::sns::Publisher;
use super::sqs::{Queue, Undertaker};
use crate::kinesis::{Arrived, Unpacked};
use crate::memory::{Bounds, WorkingSet};
use crate::metrics::{Metrics, StoreFigures};
use crate::pipeline::{
    Baselines, DeadLetters, FanOut, MemoryAlone, Ports, Taken, Topics, Unit, Watch, transact,
};
use crate::report::Report;
use crate::store::Store;

/// Memory that the largest batch takes, with room to spare (`tests/figures.rs` measures it); the
/// rest is for what is remembered, of which the smallest function keeps so much.
const FOR_A_BATCH: usize = 112 << 20;
const LEAST_MEMORY: usize = 16 << 20;

/// Alerts, and dead letters, that are remembered as taken: more than one part of a batch raises.
const MOST_TAKEN: usize = 16_384;

/// What lives as long as the environment.
struct Function {
    name: String,
    settings: Settings,
    aws: Arc<Aws>,
    queue: Queue,
    /// One batch at a time: judging the next one needs what this one has learned.
    work: Mutex<Work>,
}

struct Work {
    memory: WorkingSet,
    store: Option<Store<DynamoTable>>,
    clients: BTreeMap<String, aws_sdk_sns::Client>,
    /// What topics and queue have taken of records that are not done yet.
    sent: Taken,
    buried: Taken,
    /// Records that are judged in parts.
    begun: Begun,
}

impl Work {
    /// Work in a function of so many bytes, over a store if there is one.
    fn within(bytes: Option<usize>, store: Option<Store<DynamoTable>>) -> Self {
        let bounds = bytes.map_or_else(Bounds::default, |bytes| {
            Bounds::within(bytes.saturating_sub(FOR_A_BATCH).max(LEAST_MEMORY))
        });
        let bounds = if store.is_some() { bounds.beside_a_table() } else { bounds };
        Self {
            memory: WorkingSet::bounded(bounds),
            store: store.map(|store| store.with_room(bounds.names)),
            clients: BTreeMap::new(),
            sent: Taken::bounded(MOST_TAKEN),
            buried: Taken::bounded(MOST_TAKEN),
            begun: Begun::default(),
        }
    }
}

/// Reads the settings, says what is on, and serves.
#[must_use]
pub fn main() -> ExitCode {
    let settings = match Settings::read(|name| std::env::var(name).ok()) {
        Ok(settings) => settings,
        Err(faults) => {
            log(tracing_subscriber::filter::Targets::new().with_default(tracing::Level::ERROR));
            faults.iter().for_each(|fault| tracing::error!(fault, "wrong settings"));
            return ExitCode::FAILURE;
        }
    };
    log(settings.log.clone());
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "{}", settings.in_words());
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no runtime");
            return ExitCode::FAILURE;
        }
    };
    let aws = Arc::new(Aws::of_function());
    let table = settings.table.as_deref();
    let store = table.map(|name| Store::over(DynamoTable::named(name, Arc::clone(&aws))));
    let function = Function {
        name: std::env::var("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default(),
        queue: Queue::at(settings.queue_url.clone()),
        settings,
        aws,
        work: Mutex::new(Work::within(memory_size(), store)),
    };
    let function = &function;
    let served = runtime.block_on(lambda_runtime::run(service_fn(
        move |event: LambdaEvent<KinesisEvent>| async move {
            let deadline = UNIX_EPOCH + Duration::from_millis(event.context.deadline);
            let records = &event.payload.records;
            let answer = Box::pin(function.handle(records, instant(deadline))).await;
            Ok::<_, std::convert::Infallible>(answer)
        },
    )));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the runtime ended");
            ExitCode::FAILURE
        }
    }
}

/// JSON lines on standard output, which Lambda takes to CloudWatch Logs. Libraries never say more
/// than `info`, for the runtime's `trace` is the invocation with all that is in it. A panic is told
/// by its place alone: its message may quote a record.
fn log(filter: tracing_subscriber::filter::Targets) {
    use tracing_subscriber::filter::{FilterExt, filter_fn};
    use tracing_subscriber::prelude::*;
    let is_ours = |target: &str| target == "rolewatch" || target.starts_with("rolewatch::");
    let quiet = filter_fn(move |it| is_ours(it.target()) || *it.level() <= tracing::Level::INFO);
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true);
    tracing_subscriber::registry().with(lines.with_filter(filter.and(quiet))).init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "a bug of rolewatch: please report it with its place");
    }));
}

impl Function {
    async fn handle(
        &self,
        records: &[KinesisEventRecord],
        deadline: Instant,
    ) -> KinesisEventResponse {
        let mut work = self.work.lock().await;
        let started = Instant::now();
        let arrived: Vec<Arrived<'_>> = records.iter().map(arrived).collect();
        let (mut metrics, mut lags) = (Metrics::default(), Vec::new());
        let forgotten = work.memory.forgotten();
        let failed = self.transact(&mut work, &arrived, deadline, &mut metrics, &mut lags).await;
        let mut answer = KinesisEventResponse::default();
        if let Some(record) = failed.and_then(|unit| arrived.get(unit)) {
            answer.add_failure(record.sequence_number);
        }
        lags.into_iter().for_each(|lag| metrics.alert_after(lag));
        metrics.evicted = work.memory.forgotten() - forgotten;
        metrics.store = work.store.as_mut().map(|store| {
            let units = store.table().take_units();
            StoreFigures { tally: store.take_tally(), read: units.read, written: units.written }
        });
        metrics.took = started.elapsed();
        metrics.to_lines(&self.name, milliseconds(now())).iter().for_each(|line| tell(line));
        answer
    }

    /// Does what can be done of a batch, part by part, and returns the place of the first record
    /// that has to come again.
    async fn transact(
        &self,
        work: &mut Work,
        arrived: &[Arrived<'_>],
        deadline: Instant,
        metrics: &mut Metrics,
        lags: &mut Vec<Duration>,
    ) -> Option<usize> {
        let times = Times::until(deadline, Instant::now());
        let (mut done, mut is_first) = (0, true);
        while let Some(rest) = arrived.get(done..).filter(|rest| !rest.is_empty()) {
            if !std::mem::take(&mut is_first) && Instant::now() >= times.publish {
                tracing::warn!(done, of = arrived.len(), "time is up: the rest comes again");
                metrics.publish_failures += 1;
                return Some(done);
            }
            let enough = if work.store.is_some() { ENOUGH_TO_SAVE } else { ENOUGH };
            let unpacked = unpack_some(rest, &work.begun, enough, times);
            let part = rest.get(..unpacked.len()).unwrap_or(rest);
            let failed = self.transact_part(work, part, &unpacked, times, metrics, lags).await;
            done += work.begun.take_in(part, &unpacked, failed);
            if failed.is_some() {
                return Some(done);
            }
        }
        None
    }

    async fn transact_part(
        &self,
        work: &mut Work,
        arrived: &[Arrived<'_>],
        unpacked: &[Unpacked],
        times: Times,
        metrics: &mut Metrics,
        lags: &mut Vec<Duration>,
    ) -> Option<usize> {
        let units: Vec<Unit<'_>> = unpacked.iter().map(Unpacked::unit).collect();
        let Work { memory, store, clients, sent, buried, begun: _ } = work;
        let accepted = |alert: &crate::alert::Alert| lags.push(since(alert.time));
        let (aws, topics, deadline) = (&*self.aws, &*self.settings.topics, times.publish);
        let post = Publisher { aws, topics, clients, deadline, accepted };
        let mut topics = FanOut { topics: topics.len(), post, taken: sent };
        let (queue, deadline) = (&self.queue, times.bury);
        let mut letters = Undertaker { aws, queue, arrived, taken: buried, deadline };
        let (topics, letters) = (&mut topics, &mut letters);
        let report = &mut metrics.report;
        let failure = match store {
            Some(store) => {
                store.set_time(Timestamp::try_from(now()).unwrap_or_default());
                store.table().set_deadline(times.save);
                let ports = Ports { topics, letters, baselines: store };
                self.judge(memory, &units, ports, report).await?
            }
            None => {
                let ports = Ports { topics, letters, baselines: &mut MemoryAlone };
                self.judge(memory, &units, ports, report).await?
            }
        };
        metrics.publish_failures += 1;
        let from = arrived.get(failure.0);
        tracing::error!(
            cause = failure.1,
            shard = from.map(|it| it.shard),
            sequence_number = from.map(|it| it.sequence_number),
            "the batch comes again from here"
        );
        Some(failure.0)
    }

    /// Judges a part; the first unit that is not done, and why.
    async fn judge<T: Topics, D: DeadLetters, B: Baselines>(
        &self,
        memory: &mut WorkingSet,
        units: &[Unit<'_>],
        ports: Ports<'_, T, D, B>,
        report: &mut Report,
    ) -> Option<(usize, String)>
    where
        T::Error: std::fmt::Display,
        D::Error: std::fmt::Display,
        B::Error: std::fmt::Display,
    {
        let watch = Watch { config: &self.settings.config, learn_until: None };
        let failure = transact(memory, watch, units, ports, report).await.err()?;
        Some((failure.unit, failure.cause.to_string()))
    }
}

/// What Lambda gives the function, in bytes; nothing where it is not Lambda that runs it.
fn memory_size() -> Option<usize> {
    let megabytes = std::env::var("AWS_LAMBDA_FUNCTION_MEMORY_SIZE").ok()?.parse::<usize>().ok()?;
    megabytes.checked_mul(1 << 20)
}

fn arrived(record: &KinesisEventRecord) -> Arrived<'_> {
    let kinesis = &record.kinesis;
    // An event id is `shardId-000000000000:` and the sequence number.
    let shard = record.event_id.as_deref().and_then(|id| id.split(':').next());
    let time = kinesis.approximate_arrival_timestamp.0.timestamp_millis();
    Arrived {
        stream: record.event_source_arn.as_deref(),
        shard: shard.unwrap_or_default(),
        sequence_number: &kinesis.sequence_number,
        time: Timestamp::from_millisecond(time).unwrap_or(Timestamp::MAX),
        data: &kinesis.data.0,
    }
}

/// Metrics are lines of their own among the log's.
#[expect(clippy::print_stdout, reason = "CloudWatch takes metrics from standard output")]
fn tell(line: &str) {
    println!("{line}");
}

#[expect(clippy::disallowed_methods, reason = "deadlines and lags are the shell's, no decision")]
fn now() -> SystemTime {
    SystemTime::now()
}

fn instant(time: SystemTime) -> Instant {
    Instant::now() + time.duration_since(now()).unwrap_or_default()
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// How long ago an event was.
fn since(event: Timestamp) -> Duration {
    now().duration_since(SystemTime::from(event)).unwrap_or_default()
}
