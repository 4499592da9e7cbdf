//! What is done about the findings on one call: told, counted, or taken for normal.

use jiff::{SignedDuration, Timestamp};

use super::fold::{FoldState, Story, StoryKind, fold_key, stories, subject};
use super::{Found, Judged};
use crate::alert::{Alert, Message};
use crate::baseline::{FoldKey, Folds, Repeat};
use crate::config::Ingredient;
use crate::event::Event;
use crate::finding::{Ground, worst};
use crate::lineage::Lineage;
use crate::severity::Severity;
use crate::state::{Change, Changes, State, Subject};
use crate::surprise::Surprise;

/// How long more of a story is told as what is known already, and how long if it is urgent.
const LATELY: SignedDuration = SignedDuration::from_hours(72);
const TODAY: SignedDuration = SignedDuration::from_hours(24);

/// What is done about the findings on one call.
pub(super) struct Decision {
    pub(super) found: Found,
    /// What is remembered of the alert, and where; empty without findings.
    folds: Vec<Kept>,
    /// Whether it is more of what was told before, and worth no more than a low alert.
    is_told: bool,
    pub(super) teaches: bool,
}

/// An alert among those of its kind, or of its story.
struct Kept {
    subject: Subject,
    key: FoldKey,
    /// The story, if it is not the kind.
    kind: Option<StoryKind>,
    /// How urgent it would be if it came for the first time.
    severity: Severity,
    repeat: Repeat,
}

impl Kept {
    fn of_story(state: &State<'_>, story: Story, by_machine: bool, time: Timestamp) -> Self {
        let Story { kind, with, key, severity } = story;
        let subject = Subject::Caller(with);
        let span = match (kind, severity > Severity::Medium) {
            // What a machine does that it never did is done in one go; on another day it is done
            // by somebody else.
            (StoryKind::Same | StoryKind::OfRule, false) if by_machine => TODAY,
            (_, false) => LATELY,
            (StoryKind::Same, true) => TODAY,
            // What is urgent is told for every role.
            (StoryKind::Moved | StoryKind::OfRule, true) => SignedDuration::ZERO,
        };
        let fold_state = FoldState::of(state, &subject);
        let is_told = |folds: &Folds| folds.was_told_within(span, &key, severity, time);
        let repeat = match fold_state.folds().is_some_and(is_told) {
            true => Repeat::Count,
            false => Repeat::Send { repeats: 0, event_ids: Vec::new() },
        };
        Self { subject, key, kind: Some(kind), severity, repeat }
    }

    fn is_told(&self) -> bool {
        self.repeat == Repeat::Count
    }
}

/// Whether an alert is more of what its stories have told: of one of them that says all of it, or
/// of every one that says a part.
fn is_more_of(stories: &[Kept]) -> bool {
    let mut by_rule = stories.iter().filter(|it| it.kind == Some(StoryKind::OfRule)).peekable();
    let all = stories.iter().filter(|it| it.kind != Some(StoryKind::OfRule));
    all.into_iter().any(Kept::is_told) || by_rule.peek().is_some() && by_rule.all(Kept::is_told)
}

impl Decision {
    pub(super) fn of(state: &State<'_>, event: &Event, found: Found) -> Self {
        let time = event.call().time;
        let Some(severity) = worst(&found.findings) else {
            return Self { found, folds: Vec::new(), is_told: false, teaches: true };
        };
        let adoptable = found.findings.iter().all(|it| it.ground == Ground::Habit);
        let subject = subject(event, &found.findings);
        let key = fold_key(state, event, &found.findings);
        let first = Repeat::Send { repeats: 0, event_ids: Vec::new() };
        let fold_state = FoldState::of(state, &subject);
        let folds = fold_state.folds();
        let repeat = folds.map_or(first, |it| it.judge(&key, severity, time, adoptable));
        let mut stories = stories(state, event, &found.findings);
        stories.retain(|it| adoptable || it.kind != StoryKind::Same);
        stories.retain(|_| !found.without.has(Ingredient::Stories));
        let by_machine = found.surprise.as_ref().is_some_and(|it| !it.is_person);
        let stories: Vec<Kept> =
            stories.into_iter().map(|it| Kept::of_story(state, it, by_machine, time)).collect();
        let is_told = match repeat {
            Repeat::Remind { .. } => true,
            Repeat::Adopt { .. } => severity <= Severity::Medium,
            _ => is_more_of(&stories),
        };
        let teaches = matches!(repeat, Repeat::Adopt { .. } | Repeat::Normal)
            || found.without.has(Ingredient::Probation);
        let own = Kept { subject, key, kind: None, severity, repeat };
        let folds = std::iter::once(own).chain(stories).collect();
        Self { found, folds, is_told, teaches }
    }

    /// What was found before is told once more, for what was told about it was not right.
    pub(super) fn again(state: &State<'_>, event: &Event, found: Found) -> Self {
        let mut decided = Self::of(state, event, found);
        let time = event.call().time;
        let is_whole = |it: &&Kept| matches!(it.kind, None | Some(StoryKind::Same));
        let is_told = decided.folds.iter().filter(is_whole).any(|it| {
            let fold_state = FoldState::of(state, &it.subject);
            let folds = fold_state.folds();
            it.severity <= Severity::Medium
                && folds.is_some_and(|folds| folds.was_told_before(&it.key, time))
        });
        let send = Repeat::Send { repeats: 0, event_ids: Vec::new() };
        decided.folds.truncate(1);
        decided.folds.iter_mut().for_each(|it| it.repeat = send.clone());
        Self { is_told, teaches: false, ..decided }
    }

    /// What was found is known already.
    pub(super) fn nothing(found: Found) -> Self {
        Self { found, folds: Vec::new(), is_told: false, teaches: false }
    }

    pub(super) fn is_sent(&self) -> bool {
        let own = self.folds.first().map(|it| &it.repeat);
        own.is_some_and(|it| !matches!(it, Repeat::Count | Repeat::Normal))
    }

    pub(super) fn into_judged(
        self,
        event: &Event,
        lineage: Option<&Lineage>,
        revision: u32,
        joined: bool,
        mut changes: Changes,
    ) -> Judged {
        let Found { findings, surprise, floor, .. } = self.found;
        let Some(own) = self.folds.first() else {
            return Judged { findings, surprise, ..Judged::silent(joined, changes) };
        };
        let call = event.call();
        let message = match own.repeat.clone() {
            Repeat::Send { repeats, event_ids } | Repeat::Remind { repeats, event_ids } => {
                Some(Message { revision, repeats, event_ids, becomes_normal: false })
            }
            Repeat::Adopt { repeats, event_ids } => {
                Some(Message { revision, repeats, event_ids, becomes_normal: true })
            }
            Repeat::Count | Repeat::Normal => None,
        };
        let is_repeat = own.repeat == Repeat::Count;
        let (time, event_id) = (call.time, call.event_id().cloned());
        changes.extend(self.folds.into_iter().map(|it| {
            let Kept { subject, key, severity, repeat, .. } = it;
            Change::Fold { subject, key, severity, time, event_id: event_id.clone(), repeat }
        }));
        let bits = surprise.as_ref().map(Surprise::total);
        let mut told = findings.clone();
        if self.is_told {
            let floor = floor.unwrap_or(Severity::Low);
            told.iter_mut().for_each(|it| it.severity = it.severity.min(floor));
        }
        let alert = message.and_then(|message| Alert::new(event, told, bits, message));
        let alert = alert.map(|alert| Box::new(alert.with_chain(lineage)));
        Judged { joined, alert, repeat: is_repeat, findings, surprise, changes, late: Vec::new() }
    }
}
