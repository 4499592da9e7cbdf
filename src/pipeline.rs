//! The transaction: judge a batch over an overlay, publish, and only then remember.

use jiff::Timestamp;

use crate::alert::Alert;
use crate::config::Config;
use crate::detect::{Mode, Verdict, advance};
use crate::event::Event;
use crate::report::Report;
use crate::state::{Changes, Overlay, State};

/// Where alerts go.
pub trait Alerts {
    /// Why an alert was not taken.
    type Error;

    /// Takes one alert. An alert is accepted when this returns `Ok`.
    ///
    /// # Errors
    /// Whatever keeps the destination from taking it.
    fn publish(&mut self, alert: &Alert) -> Result<(), Self::Error>;
}

/// A memory that takes in what a batch has changed.
pub trait Remember: crate::state::Memory + Sized {
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

/// Judges one batch, in order, and commits it. Every record is judged before the first alert
/// goes out; if one is not taken, what was judged before its record is committed, the rest is
/// forgotten, and the place of the record in the batch is returned with the error. Judged again,
/// it raises the same alert.
///
/// # Errors
/// The first alert that was not accepted.
pub fn run_batch<M: Remember, A: Alerts>(
    memory: &mut M,
    watch: Watch<'_>,
    events: &[Event],
    alerts: &mut A,
    report: &mut Report,
) -> Result<(), (usize, A::Error)> {
    let mut state = State::over(memory);
    let mut outcomes = Vec::with_capacity(events.len());
    for event in events {
        outcomes.push(advance(&mut state, watch.config, event, &|time| watch.mode(time)));
    }
    let failure = publish(&outcomes, alerts);
    let overlay = match &failure {
        Ok(()) => state.into_overlay(),
        Err((at, _)) => {
            outcomes.truncate(*at);
            replayed(memory, &outcomes)
        }
    };
    memory.commit(overlay);
    for (event, outcome) in events.iter().zip(&outcomes) {
        match outcome {
            Verdict::Duplicate => report.count_duplicate(event),
            Verdict::Judged(judged) => report.count(event, judged),
        }
    }
    failure
}

fn publish<A: Alerts>(outcomes: &[Verdict], alerts: &mut A) -> Result<(), (usize, A::Error)> {
    for (at, outcome) in outcomes.iter().enumerate() {
        let Verdict::Judged(judged) = outcome else { continue };
        for alert in judged.alerts() {
            alerts.publish(alert).map_err(|error| (at, error))?;
        }
    }
    Ok(())
}

/// The overlay that the first part of a batch leaves by itself.
fn replayed<M: Remember>(memory: &M, outcomes: &[Verdict]) -> Overlay {
    let mut state = State::over(memory);
    for outcome in outcomes {
        if let Verdict::Judged(judged) = outcome {
            state.apply(Changes::clone(&judged.changes));
        }
    }
    state.into_overlay()
}
