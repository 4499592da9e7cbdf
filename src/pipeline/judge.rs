//! Judging the units of a batch, over what the ones before them have changed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Question, Remember, Unit};
use crate::alert::Alert;
use crate::dead_letter::{Kind, Lost};
use crate::detect::Verdict;
use crate::event::Event;
use crate::report::Report;
use crate::state::{Overlay, State};

/// A unit that was judged.
pub(super) struct JudgedUnit {
    /// What became of each event; nothing where judging failed.
    pub(super) verdicts: Vec<Option<Verdict>>,
    /// What of it can never be judged, found before or by judging.
    pub(super) lost: Vec<Lost>,
    /// Records that were lost beside those.
    pub(super) more_lost: u64,
}

impl JudgedUnit {
    pub(super) fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.verdicts.iter().flatten().flat_map(|verdict| match verdict {
            Verdict::Judged(judged) => Some(judged.alerts()).into_iter().flatten(),
            Verdict::Duplicate => None.into_iter().flatten(),
        })
    }

    pub(super) fn count(&self, unit: &Unit<'_>, report: &mut Report) {
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
pub(super) fn judge_all<M: Remember>(
    decide: &impl Fn(&mut State<'_>, &Event) -> Verdict,
    memory: &M,
    units: &[Unit<'_>],
) -> (Vec<JudgedUnit>, Overlay) {
    let events = units.iter().map(|unit| unit.events.len()).sum();
    let mut state = State::over_with_room(memory, events);
    let mut judged: Vec<JudgedUnit> = Vec::with_capacity(units.len());
    for unit in units {
        let (lost, more_lost) = (unit.lost.to_vec(), unit.more_lost);
        let verdicts = Vec::with_capacity(unit.events.len());
        judged.push(JudgedUnit { verdicts, lost, more_lost });
        for (at, event) in unit.events.iter().enumerate() {
            let mut verdict = catch_unwind(AssertUnwindSafe(|| decide(&mut state, event))).ok();
            match &mut verdict {
                Some(verdict) => verdict.shrink(),
                // A panic costs its own record: what it left behind, half done, is dropped, or
                // it would count as known what nobody was told of.
                None => state = replayed(decide, memory, units, &judged),
            }
            let Some(JudgedUnit { verdicts, lost, .. }) = judged.last_mut() else { continue };
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

/// The state that the first part of a batch leaves by itself: what was `judged` of it is judged
/// again, which is rare, so that nobody has to keep what each event has changed.
pub(super) fn replayed<'m, M: Remember>(
    decide: &impl Fn(&mut State<'_>, &Event) -> Verdict,
    memory: &'m M,
    units: &[Unit<'_>],
    judged: &[JudgedUnit],
) -> State<'m> {
    let mut state = State::over(memory);
    for (unit, judged) in units.iter().zip(judged) {
        for (event, verdict) in unit.events.iter().zip(&judged.verdicts) {
            if verdict.is_some() {
                decide(&mut state, event);
            }
        }
    }
    state
}

/// The events that raise alerts.
pub(super) fn questions<'a>(units: &[Unit<'a>], judged: &'a [JudgedUnit]) -> Vec<Question<'a>> {
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
