//! A transaction without a runtime, and the ports of whoever has nothing behind them.

use std::convert::Infallible;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::{
    Alerts, Baselines, Cause, DeadLetters, Ports, Remember, Topics, Unit, Watch, transact,
};
use crate::alert::Alert;
use crate::dead_letter::Lost;
use crate::event::Event;
use crate::report::Report;
use crate::state::{Memory, Overlay};

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

    async fn bury(&mut self, _: usize, _: &[Lost], _: u64) -> Result<(), Infallible> {
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
