//! Folding and probation: what is remembered of alerts that went out.
//!
//! The first alert of a kind goes out at once. Repeats are counted here and send nothing, until
//! a day has passed or the matter has got worse. The same entry is the probation of what
//! alerted: it says on how many days the same thing came again.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Seen;
use crate::id::{EventId, hex};
use crate::severity::Severity;

/// How long repeats stay silent before a reminder.
const REMIND_AFTER: SignedDuration = SignedDuration::from_hours(24);
/// How long, and on how many days, something has to come again before it is normal.
const PROBATION: (SignedDuration, u32) = (SignedDuration::from_hours(72), 3);
/// Ids of repeats that the next message names.
const NAMED_REPEATS: usize = 20;

/// What makes two alerts the same kind: role, principal, rules, and the evidence that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FoldKey(Arc<str>);

impl FoldKey {
    /// The key made of `parts`. It is a digest, so that its size is bounded.
    #[must_use]
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut bytes = Vec::with_capacity(512);
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        let digest = blake3::hash(&bytes);
        Self(hex(digest.as_bytes().get(..16).unwrap_or_default()).into())
    }
}

/// One kind of alert, and how often it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fold {
    sent: Timestamp,
    severity: Severity,
    seen: Seen,
    repeats: u64,
    event_ids: Vec<EventId>,
    /// Whether it was taken for normal, and said so.
    #[serde(default)]
    adopted: bool,
}

/// What to do with an alert of a known kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Repeat {
    /// Send it, and say how many came since the last message and which (up to 20).
    Send {
        /// Repeats since the last message.
        repeats: u64,
        /// Their event ids.
        event_ids: Vec<EventId>,
    },
    /// A day has passed: tell it once more, and as what is known already.
    Remind {
        /// Repeats since the last message.
        repeats: u64,
        /// Their event ids.
        event_ids: Vec<EventId>,
    },
    /// Count it.
    Count,
    /// Send it once more: it came often enough, and is normal from now on.
    Adopt {
        /// Repeats since the last message.
        repeats: u64,
        /// Their event ids.
        event_ids: Vec<EventId>,
    },
    /// Nothing: it is normal.
    Normal,
}

impl Fold {
    fn judge(&self, severity: Severity, time: Timestamp, adoptable: bool) -> Repeat {
        let (repeats, event_ids) = (self.repeats, self.event_ids.clone());
        if severity > self.severity {
            return Repeat::Send { repeats, event_ids };
        }
        // What is low was told once. A reminder of it would be noise.
        let is_quiet = severity == Severity::Low;
        match adoptable && (self.adopted || self.is_normal_by(time)) {
            true if self.adopted || is_quiet => Repeat::Normal,
            true => Repeat::Adopt { repeats, event_ids },
            false if !is_quiet && time.duration_since(self.sent) >= REMIND_AFTER => {
                // A habit that is worth a look was looked at. What is urgent stays so.
                match adoptable && severity == Severity::Medium {
                    true => Repeat::Remind { repeats, event_ids },
                    false => Repeat::Send { repeats, event_ids },
                }
            }
            false => Repeat::Count,
        }
    }

    /// The later message stands, with the repeats that were counted behind it.
    fn join(&mut self, other: &Self) {
        let message =
            |fold: &Self| (fold.sent, fold.severity, fold.repeats, fold.event_ids.clone());
        let (mine, theirs) = (message(self), message(other));
        (self.sent, self.severity, self.repeats, self.event_ids) = mine.max(theirs);
        self.seen = self.seen.join(other.seen);
        self.adopted |= other.adopted;
    }

    /// The later message stands. What the other copy has counted since `base` nobody was told,
    /// so it counts towards the next message.
    fn rebase(&self, base: Option<&Self>, onto: &Self) -> Self {
        let mut merged = onto.clone();
        merged.join(self);
        let other =
            if (self.sent, self.severity) > (onto.sent, onto.severity) { onto } else { self };
        let latest = if std::ptr::eq(other, self) { onto } else { self };
        let told = base.map_or(0, |base| base.repeats);
        merged.repeats = latest.repeats.saturating_add(other.repeats.saturating_sub(told));
        merged.event_ids.clone_from(&latest.event_ids);
        let is_told = |id: &EventId| base.is_some_and(|base| base.event_ids.contains(id));
        for id in other.event_ids.iter().filter(|id| !is_told(id)) {
            if merged.event_ids.len() < NAMED_REPEATS && !merged.event_ids.contains(id) {
                merged.event_ids.push(id.clone());
            }
        }
        let counted = self.seen.count.saturating_sub(base.map_or(0, |base| base.seen.count));
        merged.seen.count = onto.seen.count.saturating_add(counted);
        merged
    }

    fn is_news_to(&self, base: &Self) -> bool {
        let message = |it: &Self| (it.sent, it.severity, it.adopted, it.seen.days);
        message(self) != message(base)
    }

    fn is_normal_by(&self, time: Timestamp) -> bool {
        let seen = self.seen.join(Seen::once(time));
        let (long, days) = PROBATION;
        seen.last.duration_since(seen.first) >= long && seen.days.count() >= days
    }
}

/// The kinds of alert on one role or caller, at most [`Folds::CAPACITY`] of them.
///
/// Most have none. Those of the others are shared with the copies that batches change: a call that
/// raises no alert changes none.
#[derive(Debug, Clone, Default)]
pub struct Folds(Option<Arc<Kinds>>);

type Kinds = BTreeMap<FoldKey, Fold>;

impl PartialEq for Folds {
    fn eq(&self, other: &Self) -> bool {
        self.kinds() == other.kinds()
    }
}

impl Serialize for Folds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.kinds().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Folds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let kinds = Kinds::deserialize(deserializer)?;
        Ok(Self((!kinds.is_empty()).then(|| Arc::new(kinds))))
    }
}

impl Folds {
    /// Most kinds remembered. The one not seen for longest goes first; at worst a repeat of it
    /// alerts again.
    pub const CAPACITY: usize = 256;

    fn kinds(&self) -> &Kinds {
        static NONE: Kinds = Kinds::new();
        self.0.as_deref().unwrap_or(&NONE)
    }

    fn kinds_mut(&mut self) -> &mut Kinds {
        Arc::make_mut(self.0.get_or_insert_default())
    }

    /// What to do with an alert of this kind at this time. Only what is `adoptable` can become
    /// normal by coming again.
    #[must_use]
    pub fn judge(
        &self,
        key: &FoldKey,
        severity: Severity,
        time: Timestamp,
        adoptable: bool,
    ) -> Repeat {
        match self.kinds().get(key) {
            None => Repeat::Send { repeats: 0, event_ids: Vec::new() },
            Some(fold) => fold.judge(severity, time, adoptable),
        }
    }

    /// Whether this was told within the time before, as no less urgent.
    #[must_use]
    pub fn was_told_within(
        &self,
        span: SignedDuration,
        key: &FoldKey,
        severity: Severity,
        time: Timestamp,
    ) -> bool {
        self.kinds()
            .get(key)
            .is_some_and(|fold| fold.severity >= severity && time.duration_since(fold.sent) < span)
    }

    /// Whether a call of this time was not the first of its kind to be told of: a day lies
    /// between them, or the last message was about an earlier call.
    #[must_use]
    pub fn was_told_before(&self, key: &FoldKey, time: Timestamp) -> bool {
        self.kinds().get(key).is_some_and(|fold| {
            fold.sent < time || time.duration_since(fold.seen.first) >= REMIND_AFTER
        })
    }

    /// Takes in an alert, and what was done with it.
    pub fn record(
        &mut self,
        key: &FoldKey,
        severity: Severity,
        time: Timestamp,
        event_id: Option<&EventId>,
        repeat: &Repeat,
    ) {
        let Some(fold) = self.kinds_mut().get_mut(key) else {
            let (seen, adopted) = (Seen::once(time), false);
            let (repeats, event_ids) = (0, Vec::new());
            let fold = Fold { sent: time, severity, seen, repeats, event_ids, adopted };
            self.kinds_mut().insert(key.clone(), fold);
            self.shrink(Self::CAPACITY);
            return;
        };
        fold.seen.again(time);
        match repeat {
            Repeat::Send { .. } | Repeat::Adopt { .. } => {
                // Records come late: what is sent for an earlier call takes nothing back.
                let is_late = time < fold.sent;
                fold.severity = if is_late { severity.max(fold.severity) } else { severity };
                fold.sent = fold.sent.max(time);
                fold.repeats = 0;
                fold.event_ids.clear();
                fold.adopted |= matches!(repeat, Repeat::Adopt { .. });
            }
            Repeat::Remind { .. } => {
                fold.sent = fold.sent.max(time);
                fold.repeats = 0;
                fold.event_ids.clear();
            }
            Repeat::Count => {
                fold.repeats += 1;
                let room = fold.event_ids.len() < NAMED_REPEATS;
                fold.event_ids.extend(event_id.filter(|_| room).cloned());
            }
            Repeat::Normal => {}
        }
    }

    /// How many kinds are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kinds().len()
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kinds().is_empty()
    }

    /// When an alert of any kind last came.
    #[must_use]
    pub fn last_seen(&self) -> Option<Timestamp> {
        self.kinds().values().map(|fold| fold.seen.last).max()
    }

    /// Takes in what another copy of the same history has seen.
    pub fn join(&mut self, other: &Self) {
        for (key, theirs) in other.kinds() {
            let kinds = self.kinds_mut();
            match kinds.get_mut(key) {
                None => drop(kinds.insert(key.clone(), theirs.clone())),
                Some(mine) => mine.join(theirs),
            }
        }
        self.shrink(Self::CAPACITY);
    }

    /// What this copy has recorded since `base`, on top of what others have recorded meanwhile.
    #[must_use]
    pub fn rebase(&self, base: &Self, onto: &Self) -> Self {
        let mut merged = onto.clone();
        for (key, mine) in self.kinds() {
            let (base, theirs) = (base.kinds().get(key), onto.kinds().get(key));
            let fold = theirs.map_or_else(|| mine.clone(), |theirs| mine.rebase(base, theirs));
            merged.kinds_mut().insert(key.clone(), fold);
        }
        merged.shrink(Self::CAPACITY);
        merged
    }

    /// Whether an alert was sent, or a step of probation made, that `base` does not tell.
    #[must_use]
    pub fn has_news_since(&self, base: &Self) -> bool {
        self.kinds()
            .iter()
            .any(|(key, mine)| base.kinds().get(key).is_none_or(|base| mine.is_news_to(base)))
    }

    /// Whether repeats were counted that `base` does not tell.
    #[must_use]
    pub fn has_repeats_since(&self, base: &Self) -> bool {
        self.kinds()
            .iter()
            .any(|(key, mine)| base.kinds().get(key).is_none_or(|it| it.repeats != mine.repeats))
    }

    /// Drops what was not seen for longest, until at most `most` kinds are left.
    pub fn shrink(&mut self, most: usize) {
        while self.len() > most {
            let stalest = self.kinds().iter().min_by_key(|(key, fold)| (fold.seen.last, *key));
            let Some(key) = stalest.map(|(key, _)| key.clone()) else { return };
            self.kinds_mut().remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_767_225_600;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(START + hours * 3_600).unwrap()
    }

    fn record(folds: &mut Folds, key: &FoldKey, severity: Severity, hours: i64) -> Repeat {
        let repeat = folds.judge(key, severity, at(hours), true);
        let id: EventId = format!("event-{hours}").parse().unwrap();
        folds.record(key, severity, at(hours), Some(&id), &repeat);
        repeat
    }

    #[test]
    fn a_repeat_is_counted_and_the_reminder_names_it() {
        let (mut folds, key) = (Folds::default(), FoldKey::of(["role", "alice"]));
        let first = Repeat::Send { repeats: 0, event_ids: Vec::new() };
        assert_eq!(record(&mut folds, &key, Severity::Medium, 0), first);
        assert_eq!(record(&mut folds, &key, Severity::Medium, 23), Repeat::Count);
        let reminder = Repeat::Remind { repeats: 1, event_ids: vec!["event-23".parse().unwrap()] };
        assert_eq!(record(&mut folds, &key, Severity::Medium, 24), reminder);
        assert_eq!(record(&mut folds, &key, Severity::Medium, 25), Repeat::Count);
    }

    #[test]
    fn what_got_worse_goes_out_and_what_got_better_does_not() {
        let (mut folds, key) = (Folds::default(), FoldKey::of(["role"]));
        record(&mut folds, &key, Severity::Medium, 0);
        assert!(matches!(record(&mut folds, &key, Severity::High, 1), Repeat::Send { .. }));
        assert_eq!(record(&mut folds, &key, Severity::Medium, 2), Repeat::Count);
        assert_eq!(record(&mut folds, &key, Severity::High, 3), Repeat::Count);
    }

    #[test]
    fn normal_takes_three_days_and_seventy_two_hours_and_is_said_once() {
        let (mut folds, key) = (Folds::default(), FoldKey::of(["role"]));
        record(&mut folds, &key, Severity::Medium, 0);
        let mut two_days = folds.clone();
        assert!(matches!(record(&mut two_days, &key, Severity::Medium, 73), Repeat::Remind { .. }));
        record(&mut folds, &key, Severity::Medium, 25);
        assert_eq!(record(&mut folds, &key, Severity::Medium, 48), Repeat::Count);
        assert!(matches!(record(&mut folds, &key, Severity::Medium, 72), Repeat::Adopt { .. }));
        assert_eq!(record(&mut folds, &key, Severity::Medium, 73), Repeat::Normal);
        assert!(
            matches!(record(&mut folds, &key, Severity::High, 500), Repeat::Send { .. }),
            "worse"
        );
    }

    #[test]
    fn what_is_low_is_told_once_and_becomes_normal_in_the_same_time() {
        let (mut folds, key) = (Folds::default(), FoldKey::of(["role"]));
        record(&mut folds, &key, Severity::Low, 0);
        for hours in [25, 50, 71] {
            assert_eq!(record(&mut folds, &key, Severity::Low, hours), Repeat::Count);
        }
        assert_eq!(record(&mut folds, &key, Severity::Low, 73), Repeat::Normal);
    }

    #[test]
    fn a_fact_is_never_normal() {
        let (mut folds, key) = (Folds::default(), FoldKey::of(["role"]));
        for day in 0..30 {
            let repeat = folds.judge(&key, Severity::High, at(day * 24), false);
            assert!(matches!(repeat, Repeat::Send { .. }), "day {day}: {repeat:?}");
            folds.record(&key, Severity::High, at(day * 24), None, &repeat);
        }
    }

    #[test]
    fn kinds_are_bounded_and_keys_do_not_run_together() {
        let mut folds = Folds::default();
        for n in 0..1_000 {
            record(&mut folds, &FoldKey::of([n.to_string().as_str()]), Severity::Low, n);
        }
        assert_eq!(folds.len(), Folds::CAPACITY);
        assert_ne!(FoldKey::of(["ab", "c"]), FoldKey::of(["a", "bc"]));
    }
}
