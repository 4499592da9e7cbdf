//! The transaction: judge a batch over an overlay, publish, save, and only then remember and
//! acknowledge.
//!
//! The ports are what the transaction needs of the world. They are asynchronous, for a Lambda
//! waits for its topics; a replay's are ready at once and [`run_batch`] drives them without a
//! runtime, so that both run the same order of steps.

use std::convert::Infallible;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use jiff::Timestamp;

use crate::alert::Alert;
use crate::config::Config;
use crate::dead_letter::{Kind, Lost};
use crate::detect::{Mode, Verdict, advance};
use crate::event::Event;
use crate::report::Report;
use crate::state::{Memory, Overlay, State};

/// Where alerts go one by one.
pub trait Alerts {
    /// Why an alert was not taken.
    type Error;

    /// Takes one alert. An alert is accepted when this returns `Ok`.
    ///
    /// # Errors
    /// Whatever keeps the destination from taking it.
    fn publish(&mut self, alert: &Alert) -> Result<(), Self::Error>;
}

/// Where the alerts of a batch go together.
#[expect(async_fn_in_trait, reason = "one task drives the transaction, so nothing has to be Send")]
pub trait Topics {
    /// Why alerts were not taken.
    type Error;

    /// Takes alerts, as many as it can.
    ///
    /// # Errors
    /// Where the first one stands that was not accepted, and why. Later ones may have been.
    async fn publish(&mut self, alerts: &[&Alert]) -> Result<(), (usize, Self::Error)>;
}

/// Where goes what can never be judged.
#[expect(async_fn_in_trait, reason = "one task drives the transaction, so nothing has to be Send")]
pub trait DeadLetters {
    /// Why they were not taken.
    type Error;

    /// Takes what was lost of the unit at `unit` in the batch.
    ///
    /// # Errors
    /// A failure that can pass: the unit has to come again.
    async fn bury(&mut self, unit: usize, lost: &[Lost]) -> Result<(), Self::Error>;
}

/// What outlives this process, where there is something.
#[expect(async_fn_in_trait, reason = "one task drives the transaction, so nothing has to be Send")]
pub trait Baselines {
    /// Why changes were not saved.
    type Error;

    /// Saves what a batch has changed. It is known to this process only afterwards.
    ///
    /// # Errors
    /// A failure that can pass: the batch has to come again.
    async fn save(&mut self, changes: &Overlay) -> Result<(), Self::Error>;
}

/// A memory that takes in what a batch has changed.
pub trait Remember: Memory + Sized {
    /// Takes in what a batch has changed.
    fn commit(&mut self, overlay: Overlay);
}

/// How a run judges.
#[derive(Debug, Clone, Copy)]
pub struct Watch<'a> {
    /// What is declared.
    pub config: &'a Config,
    /// Events before this time teach and raise nothing.
    pub learn_until: Option<Timestamp>,
}

impl Watch<'_> {
    /// How an event of this time is judged.
    #[must_use]
    pub fn mode(&self, time: Timestamp) -> Mode {
        let learning = self.learn_until.is_some_and(|until| time < until);
        if learning { Mode::Learn } else { Mode::Watch }
    }
}

/// What is acknowledged, or comes again, as one: a Kinesis record, or an event of a file.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unit<'a> {
    /// Its events, in the order in which they are to be judged.
    pub events: &'a [Event],
    /// The numbers of the records that the events are from, for naming one.
    pub numbers: &'a [u64],
    /// Records that do not concern rolewatch.
    pub other: u64,
    /// What of it can never be judged.
    pub lost: &'a [Lost],
    /// Records that can never be judged beyond those in `lost`, one of which stands for them.
    pub more_lost: u64,
}

/// The outside of a transaction.
#[derive(Debug)]
pub struct Ports<'p, T, D, B> {
    /// Where alerts go.
    pub topics: &'p mut T,
    /// Where goes what can never be judged.
    pub letters: &'p mut D,
    /// What outlives this process.
    pub baselines: &'p mut B,
}

/// A failure that can pass. What came before `unit` is done; from there on all comes again.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure<T, D, B> {
    /// The first unit that is not done.
    pub unit: usize,
    /// What failed.
    pub cause: Cause<T, D, B>,
}

/// What can fail, and pass.
#[derive(Debug, PartialEq, Eq)]
pub enum Cause<T, D, B> {
    /// An alert was not accepted.
    Publish(T),
    /// A dead letter was not.
    Bury(D),
    /// The changes were not saved.
    Save(B),
}

impl<T: fmt::Display, D: fmt::Display, B: fmt::Display> fmt::Display for Cause<T, D, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Publish(cause) => write!(f, "an alert was not accepted: {cause}"),
            Self::Bury(cause) => write!(f, "a dead letter was not accepted: {cause}"),
            Self::Save(cause) => write!(f, "the baselines were not saved: {cause}"),
        }
    }
}

/// Judges one batch, in order; publishes; saves; and only then remembers. Every event is judged
/// before the first alert goes out. What is done, and nothing else, is counted in `report`.
///
/// # Errors
/// A failure that can pass, with the place of the first unit that is not done. Judged again, it
/// raises the same alerts.
pub async fn transact<M, T, D, B>(
    memory: &mut M,
    watch: Watch<'_>,
    units: &[Unit<'_>],
    ports: Ports<'_, T, D, B>,
    report: &mut Report,
) -> Result<(), Failure<T::Error, D::Error, B::Error>>
where
    M: Remember,
    T: Topics,
    D: DeadLetters,
    B: Baselines,
{
    let decide = |state: &mut State<'_>, event: &Event| {
        advance(state, watch.config, event, &|time| watch.mode(time))
    };
    transact_by(decide, memory, units, ports, report).await
}

async fn transact_by<M: Remember, T: Topics, D: DeadLetters, B: Baselines>(
    decide: impl Fn(&mut State<'_>, &Event) -> Verdict,
    memory: &mut M,
    units: &[Unit<'_>],
    ports: Ports<'_, T, D, B>,
    report: &mut Report,
) -> Result<(), Failure<T::Error, D::Error, B::Error>> {
    let (mut judged, overlay) = judge_all(decide, memory, units);
    let mut failure = publish(&judged, ports.topics).await.err();
    let published = failure.as_ref().map_or(units.len(), |failure| failure.unit);
    for (at, unit) in judged.iter().enumerate().take(published) {
        if unit.lost.is_empty() {
            continue;
        }
        if let Err(cause) = ports.letters.bury(at, &unit.lost).await {
            failure = Some(Failure { unit: at, cause: Cause::Bury(cause) });
            break;
        }
    }
    let done = failure.as_ref().map_or(units.len(), |failure| failure.unit);
    judged.truncate(done);
    let overlay =
        if done == units.len() { overlay } else { replayed(memory, &judged).into_overlay() };
    if let Err(cause) = ports.baselines.save(&overlay).await {
        return Err(Failure { unit: 0, cause: Cause::Save(cause) });
    }
    memory.commit(overlay);
    for (unit, judged) in units.iter().zip(&judged) {
        judged.count(unit, report);
    }
    failure.map_or(Ok(()), Err)
}

/// A unit that was judged.
struct JudgedUnit {
    /// What became of each event; nothing where judging failed.
    verdicts: Vec<Option<Verdict>>,
    lost: Vec<Lost>,
}

impl JudgedUnit {
    fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.verdicts.iter().flatten().flat_map(|verdict| match verdict {
            Verdict::Judged(judged) => Some(judged.alerts()).into_iter().flatten(),
            Verdict::Duplicate => None.into_iter().flatten(),
        })
    }

    fn count(&self, unit: &Unit<'_>, report: &mut Report) {
        report.other += unit.other;
        report.undecodable += self.lost.len() as u64 + unit.more_lost;
        for (event, verdict) in unit.events.iter().zip(&self.verdicts) {
            match verdict {
                None => {}
                Some(Verdict::Duplicate) => report.count_duplicate(event),
                Some(Verdict::Judged(judged)) => report.count(event, judged),
            }
        }
    }
}

/// Judges all units, and returns what they have changed together.
fn judge_all<M: Remember>(
    decide: impl Fn(&mut State<'_>, &Event) -> Verdict,
    memory: &M,
    units: &[Unit<'_>],
) -> (Vec<JudgedUnit>, Overlay) {
    let mut state = State::over(memory);
    let mut judged: Vec<JudgedUnit> = Vec::with_capacity(units.len());
    for unit in units {
        judged.push(JudgedUnit { verdicts: Vec::new(), lost: unit.lost.to_vec() });
        for (at, event) in unit.events.iter().enumerate() {
            let verdict = catch_unwind(AssertUnwindSafe(|| decide(&mut state, event))).ok();
            if verdict.is_none() {
                // A panic costs its own record: what it left behind, half done, is dropped, or
                // it would count as known what nobody was told of.
                state = replayed(memory, &judged);
            }
            let Some(JudgedUnit { verdicts, lost }) = judged.last_mut() else { continue };
            lost.extend(verdict.is_none().then(|| Lost {
                record: unit.numbers.get(at).copied(),
                kind: Kind::Bug,
                reason: "judging it failed: a bug of rolewatch".to_owned(),
            }));
            verdicts.push(verdict);
        }
    }
    (judged, state.into_overlay())
}

async fn publish<T: Topics, D, B>(
    judged: &[JudgedUnit],
    topics: &mut T,
) -> Result<(), Failure<T::Error, D, B>> {
    let (mut alerts, mut owners) = (Vec::new(), Vec::new());
    for (at, unit) in judged.iter().enumerate() {
        alerts.extend(unit.alerts());
        owners.resize(alerts.len(), at);
    }
    if alerts.is_empty() {
        return Ok(());
    }
    topics.publish(&alerts).await.map_err(|(first, cause)| {
        // A place that is none means that nothing is known to be accepted.
        let unit = owners.get(first).copied().unwrap_or(0);
        Failure { unit, cause: Cause::Publish(cause) }
    })
}

/// The state that the first part of a batch leaves by itself.
fn replayed<'m, M: Remember>(memory: &'m M, judged: &[JudgedUnit]) -> State<'m> {
    let mut state = State::over(memory);
    for verdict in judged.iter().flat_map(|unit| &unit.verdicts).flatten() {
        if let Verdict::Judged(judged) = verdict {
            state.apply(judged.changes.clone());
        }
    }
    state
}

/// Judges one batch of events without a runtime, each acknowledged by itself, with a destination
/// that takes alerts one by one and a memory that is saved by others, if at all.
///
/// # Errors
/// The place of the first event whose alert was not accepted, and why.
pub fn run_batch<M: Remember, A: Alerts>(
    memory: &mut M,
    watch: Watch<'_>,
    events: &[Event],
    alerts: &mut A,
    report: &mut Report,
) -> Result<(), (usize, A::Error)> {
    let unit = |event| Unit { events: std::slice::from_ref(event), ..Unit::default() };
    let units: Vec<Unit<'_>> = events.iter().map(unit).collect();
    let ports =
        Ports { topics: &mut OneByOne(alerts), letters: &mut Counted, baselines: &mut MemoryAlone };
    drive(transact(memory, watch, &units, ports, report)).map_err(|failure| match failure.cause {
        Cause::Publish(error) => (failure.unit, error),
        Cause::Bury(never) | Cause::Save(never) => match never {},
    })
}

/// Drives a future to its end on this thread. For ports that are ready at once: one that is not
/// is asked again and again.
pub fn drive<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::yield_now(),
        }
    }
}

struct OneByOne<'a, A>(&'a mut A);

impl<A: Alerts> Topics for OneByOne<'_, A> {
    type Error = A::Error;

    async fn publish(&mut self, alerts: &[&Alert]) -> Result<(), (usize, A::Error)> {
        for (at, alert) in alerts.iter().enumerate() {
            self.0.publish(alert).map_err(|error| (at, error))?;
        }
        Ok(())
    }
}

/// Where nothing but the count of what was lost is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Counted;

impl DeadLetters for Counted {
    type Error = Infallible;

    async fn bury(&mut self, _: usize, _: &[Lost]) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Nothing outlives this process, or somebody else sees to it.
#[derive(Debug, Clone, Copy)]
pub struct MemoryAlone;

impl Baselines for MemoryAlone {
    type Error = Infallible;

    async fn save(&mut self, _: &Overlay) -> Result<(), Infallible> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
