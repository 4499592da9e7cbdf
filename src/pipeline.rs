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

mod alone;
mod fan_out;
mod judge;

use std::fmt;

use jiff::Timestamp;

use crate::alert::Alert;
use crate::config::Config;
use crate::dead_letter::Lost;
use crate::detect::{Mode, Verdict, advance};
use crate::event::Event;
use crate::report::Report;
use crate::state::{Change, Changes, Memory, Overlay, State};

pub use alone::{Counted, MemoryAlone, drive, run_batch};
pub use fan_out::{FanOut, NotTaken, Offered, Post, Taken};
use judge::{JudgedUnit, judge_all, questions, replayed};

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

    /// Takes what was lost of the unit at `unit` in the batch; it stands for `more` records that
    /// were lost beside it.
    ///
    /// # Errors
    /// A failure that can pass: the unit has to come again.
    async fn bury(&mut self, unit: usize, lost: &[Lost], more: u64) -> Result<(), Self::Error>;
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
    /// Takes in what a batch needs. It stays until the next commit, whatever room there is.
    fn learn(&mut self, overlay: Overlay) {
        self.commit(overlay);
    }

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
    let failure = deliver(&judged, topics, letters).await.err();
    let done = failure.as_ref().map_or(units.len(), |failure| failure.unit);
    judged.truncate(done);
    let mut overlay = if done == units.len() {
        overlay
    } else {
        replayed(&decide, memory, units, &judged).into_overlay()
    };
    let saved = baselines.save(memory, &mut overlay).await;
    let was_crossed = saved.map_err(|cause| Failure { unit: 0, cause: Cause::Save(cause) })?;
    if was_crossed {
        memory.learn(overlay.take_baselines());
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
    // Of a batch that failed, what it needed is still there.
    memory.commit(Overlay::default());
    memory.learn(baselines.load(memory, &events).await?);
    let mut judged = judge_all(decide, memory, units);
    for _ in 0..ROUNDS {
        let questions = questions(units, &judged.0);
        if questions.is_empty() {
            break;
        }
        let Some(news) = baselines.confirm(memory, &questions).await? else { break };
        memory.learn(news);
        judged = judge_all(decide, memory, units);
    }
    Ok(judged)
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
    let published = publish(&judged, 0, topics).await;
    published.map_err(|failure| Failure { unit: 0, ..failure })?;
    let mut state = State::over(memory);
    for verdict in judged.iter().flat_map(|unit| &unit.verdicts).flatten() {
        let Verdict::Judged(judged) = verdict else { continue };
        if judged.alerts().next().is_some() {
            judged.alerts().for_each(|alert| report.count_alert(alert.severity));
            let is_sent = |it: &&Change| matches!(it, Change::Fold { .. } | Change::SawCopy { .. });
            state.apply(&judged.changes.iter().filter(is_sent).cloned().collect::<Changes>());
        }
    }
    let mut overlay = state.into_overlay();
    let saved = baselines.save(memory, &mut overlay).await;
    if saved.map_err(|cause| Failure { unit: 0, cause: Cause::Save(cause) })? {
        memory.learn(overlay.take_baselines());
    }
    memory.learn(overlay);
    Ok(())
}

/// Publishes the alerts of a batch and buries what is lost of it. What is broken is buried as soon
/// as everything up to it is out, so that it does not wait for the alerts behind it, which may
/// take all the time there is: then nothing would ever be done, however often the batch came.
async fn deliver<T: Topics, D: DeadLetters, B>(
    judged: &[JudgedUnit],
    topics: &mut T,
    letters: &mut D,
) -> Result<(), Failure<T::Error, D::Error, B>> {
    let mut from = 0;
    for (at, unit) in judged.iter().enumerate() {
        let (is_whole, is_last) = (unit.lost.is_empty(), at + 1 == judged.len());
        if is_whole && !is_last {
            continue;
        }
        publish(judged.get(from..=at).unwrap_or_default(), from, topics).await?;
        if !is_whole {
            let buried = letters.bury(at, &unit.lost, unit.more_lost).await;
            buried.map_err(|cause| Failure { unit: at, cause: Cause::Bury(cause) })?;
        }
        from = at + 1;
    }
    Ok(())
}

/// Publishes the alerts of units, the first of which stands at `from` in the batch.
async fn publish<T: Topics, D, B>(
    judged: &[JudgedUnit],
    from: usize,
    topics: &mut T,
) -> Result<(), Failure<T::Error, D, B>> {
    let (mut alerts, mut owners) = (Vec::new(), Vec::new());
    for (at, unit) in judged.iter().enumerate() {
        alerts.extend(unit.alerts());
        owners.resize(alerts.len(), from + at);
    }
    if alerts.is_empty() {
        return Ok(());
    }
    topics.publish(&alerts).await.map_err(|(first, cause)| {
        // A place that is none means that nothing is known to be accepted.
        let unit = owners.get(first).copied().unwrap_or(from);
        Failure { unit, cause: Cause::Publish(cause) }
    })
}

#[cfg(test)]
mod tests;
