//! The transaction: judge, publish, and only then remember.

use jiff::Timestamp;

use crate::alert::Alert;
use crate::detect::{Mode, Verdict, judge};
use crate::event::Event;
use crate::report::Report;
use crate::state::State;

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

/// Judges `events` in order. What an event teaches is remembered once its alert was accepted,
/// so a failure leaves the state as it was before that event.
///
/// Events before `learn_until` teach and raise nothing.
///
/// # Errors
/// The first alert that was not accepted ends the run with its error.
pub fn run<A: Alerts>(
    state: &mut State,
    events: impl IntoIterator<Item = Event>,
    learn_until: Option<Timestamp>,
    alerts: &mut A,
    report: &mut Report,
) -> Result<(), A::Error> {
    for event in events {
        let learning = learn_until.is_some_and(|until| event.call().time < until);
        let mode = if learning { Mode::Learn } else { Mode::Watch };
        match judge(state, &event, mode) {
            Verdict::Duplicate => report.count_duplicate(&event),
            Verdict::Judged { alert, repeat, changes } => {
                if let Some(alert) = &alert {
                    alerts.publish(alert)?;
                }
                report.count(&event, alert.as_deref(), repeat);
                state.apply(changes);
            }
        }
    }
    Ok(())
}
