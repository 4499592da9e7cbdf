//! The transaction: judge a batch over an overlay, publish, save, and only then remember and
//! acknowledge.
//!
//! Where a store is shared, a batch begins with what others have saved; before an alert goes out
//! the store is asked once more, and the batch judged again if it has news. Where another process
//! saved between judging and saving, each may have seen a part of what only both together show:
//! then the batch is judged once more over what was saved, and what that finds goes out too.
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
use crate::state::{Change, Changes, Memory, Overlay, State};

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
    /// Why it cannot be read or written.
    type Error;

    /// Reads what judging `events` needs and `memory` lacks, for the memory to take in.
    ///
    /// # Errors
    /// A failure that can pass: the batch has to come again.
    async fn load(
        &mut self,
        _memory: &dyn Memory,
        _events: &[&Event],
    ) -> Result<Overlay, Self::Error> {
        Ok(Overlay::default())
    }

    /// Asks again about what alerts are about to say, now that nobody may be told what is no
    /// longer so. Returns what `memory` did not know; nothing where there is no news, and what
    /// was asked once in a batch is not asked again.
    ///
    /// # Errors
    /// A failure that can pass: the batch has to come again.
    async fn confirm(
        &mut self,
        _memory: &dyn Memory,
        _questions: &[Question<'_>],
    ) -> Result<Option<Overlay>, Self::Error> {
        Ok(None)
    }

    /// Saves what a batch has changed over `memory`, which takes it in only afterwards. What
    /// others have saved meanwhile is joined, in the store and in `changes`. Says whether there
    /// was such a thing.
    ///
    /// # Errors
    /// A failure that can pass: the batch has to come again. Some of it may have been saved.
    async fn save(
        &mut self,
        memory: &dyn Memory,
        changes: &mut Overlay,
    ) -> Result<bool, Self::Error>;
}

/// What an alert is about to say, and about whom.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The event that raises it.
    pub event: &'a Event,
    /// What is to be remembered of the alert.
    pub changes: &'a Changes,
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
    /// What was saved could not be read.
    Load(B),
    /// The changes were not saved.
    Save(B),
}

impl<T: fmt::Display, D: fmt::Display, B: fmt::Display> fmt::Display for Cause<T, D, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Publish(cause) => write!(f, "an alert was not accepted: {cause}"),
            Self::Bury(cause) => write!(f, "a dead letter was not accepted: {cause}"),
            Self::Load(cause) => write!(f, "the baselines could not be read: {cause}"),
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
    let Ports { topics, letters, baselines } = ports;
    let informed = informed(&decide, memory, units, baselines).await;
    let (mut judged, overlay) =
        informed.map_err(|cause| Failure { unit: 0, cause: Cause::Load(cause) })?;
    let mut failure = publish(&judged, topics).await.err();
    let published = failure.as_ref().map_or(units.len(), |failure| failure.unit);
    for (at, unit) in judged.iter().enumerate().take(published) {
        if unit.lost.is_empty() {
            continue;
        }
        if let Err(cause) = letters.bury(at, &unit.lost).await {
            failure = Some(Failure { unit: at, cause: Cause::Bury(cause) });
            break;
        }
    }
    let done = failure.as_ref().map_or(units.len(), |failure| failure.unit);
    judged.truncate(done);
    let mut overlay =
        if done == units.len() { overlay } else { replayed(memory, &judged).into_overlay() };
    let saved = baselines.save(memory, &mut overlay).await;
    let was_crossed = saved.map_err(|cause| Failure { unit: 0, cause: Cause::Save(cause) })?;
    if was_crossed {
        memory.commit(overlay.take_baselines());
        let units = units.get(..done).unwrap_or(units);
        second_look(&decide, memory, units, (topics, baselines), report).await?;
    }
    memory.commit(overlay);
    for (unit, judged) in units.iter().zip(&judged) {
        judged.count(unit, report);
    }
    failure.map_or(Ok(()), Err)
}

/// Judges a batch over what is saved, until nothing that an alert would say is out of date.
async fn informed<M: Remember, B: Baselines>(
    decide: &impl Fn(&mut State<'_>, &Event) -> Verdict,
    memory: &mut M,
    units: &[Unit<'_>],
    baselines: &mut B,
) -> Result<(Vec<JudgedUnit>, Overlay), B::Error> {
    /// What is asked about once is not asked about again, so few rounds are more than two.
    const ROUNDS: usize = 8;
    let events: Vec<&Event> = units.iter().flat_map(|unit| unit.events).collect();
    memory.commit(baselines.load(memory, &events).await?);
    let mut judged = judge_all(decide, memory, units);
    for _ in 0..ROUNDS {
        let questions = questions(units, &judged.0);
        if questions.is_empty() {
            break;
        }
        let Some(news) = baselines.confirm(memory, &questions).await? else { break };
        memory.commit(news);
        judged = judge_all(decide, memory, units);
    }
    Ok(judged)
}

/// The events that raise alerts.
fn questions<'a>(units: &[Unit<'a>], judged: &'a [JudgedUnit]) -> Vec<Question<'a>> {
    let mut questions = Vec::new();
    for (unit, judged) in units.iter().zip(judged) {
        for (event, verdict) in unit.events.iter().zip(&judged.verdicts) {
            if let Some(Verdict::Judged(judged)) = verdict
                && judged.alerts().next().is_some()
            {
                questions.push(Question { event, changes: &judged.changes });
            }
        }
    }
    questions
}

/// Judges a batch again over what it and others have saved, and publishes and saves what only
/// both together show. What was sent is known by now and comes out as a repeat. Nothing is learned
/// or counted twice: of the second judgement only what goes out is kept.
async fn second_look<M: Remember, T: Topics, D, B: Baselines>(
    decide: &impl Fn(&mut State<'_>, &Event) -> Verdict,
    memory: &mut M,
    units: &[Unit<'_>],
    (topics, baselines): (&mut T, &mut B),
    report: &mut Report,
) -> Result<(), Failure<T::Error, D, B::Error>> {
    let (judged, _) = judge_all(decide, memory, units);
    if judged.iter().flat_map(JudgedUnit::alerts).next().is_none() {
        return Ok(());
    }
    // Some of the batch is saved and nothing of it is remembered: all of it comes again.
    publish(&judged, topics).await.map_err(|failure| Failure { unit: 0, ..failure })?;
    let mut state = State::over(memory);
    for verdict in judged.iter().flat_map(|unit| &unit.verdicts).flatten() {
        let Verdict::Judged(judged) = verdict else { continue };
        if judged.alerts().next().is_some() {
            judged.alerts().for_each(|alert| report.count_alert(alert.severity));
            let folds = judged.changes.iter().filter(|it| matches!(it, Change::Fold { .. }));
            state.apply(&folds.cloned().collect::<Changes>());
        }
    }
    let mut overlay = state.into_overlay();
    let saved = baselines.save(memory, &mut overlay).await;
    saved.map_err(|cause| Failure { unit: 0, cause: Cause::Save(cause) })?;
    memory.commit(overlay);
    Ok(())
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
    decide: &impl Fn(&mut State<'_>, &Event) -> Verdict,
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
            state.apply(&judged.changes);
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
        Cause::Bury(never) | Cause::Load(never) | Cause::Save(never) => match never {},
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

    async fn save(&mut self, _: &dyn Memory, _: &mut Overlay) -> Result<bool, Infallible> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests;
