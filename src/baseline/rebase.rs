//! Several copies of one history, each of which goes on by itself.
//!
//! A copy is read, changed, and written back, and meanwhile others may have written theirs. What
//! it knows is then put on top of theirs: facts join, so nobody's are lost and none is there
//! twice; counts are added as increments since the copy was read. An increment that was written
//! and not known to be written is added again: counts may be too high, never too low.

use std::sync::Arc;

use super::table::Loose;
use super::{Caller, Habits, RoleBaseline};

impl Habits {
    fn rebase(&self, base: Option<&Self>, onto: Option<&Self>) -> Self {
        let mut merged = onto.map(Self::loose).unwrap_or_default();
        let table = |of: Option<&Self>, dimension| of?.table(dimension).map(Loose::of);
        for (dimension, mine) in self.iter() {
            let base = table(base, dimension);
            let onto = table(onto, dimension).unwrap_or_default();
            merged.insert(dimension, Loose::of(mine).rebase(base.as_ref(), &onto));
        }
        Self::of(merged)
    }

    fn has_news_since(&self, base: Option<&Self>) -> bool {
        let known = |dimension| base.and_then(|base| base.table(dimension));
        self.iter().any(|(dimension, table)| table.has_news_since(known(dimension)))
    }

    fn shrink(&mut self, most: usize) {
        let mut tables = self.loose();
        tables.values_mut().for_each(|table| table.shrink(most));
        *self = Self::of(tables);
    }
}

impl RoleBaseline {
    /// What this copy has seen since `base`, on top of what others have made of `base` meanwhile.
    #[must_use]
    pub fn rebase(&self, base: &Self, onto: &Self) -> Self {
        let mut merged = onto.clone();
        merged.join(self);
        if self.is_of_another(onto.id()) {
            return merged;
        }
        let nothing = Self::default();
        let base = if base.is_of_another(self.id()) { &nothing } else { base };
        for (class, mine) in self.iter() {
            let habits = mine.rebase(base.habits(class), onto.habits(class));
            merged.habits.insert(class, Arc::new(habits));
        }
        merged.folds = self.folds.rebase(&base.folds, &onto.folds);
        merged
    }

    /// Whether something is known that `base` does not tell and that may matter to the next
    /// judgement, wherever it is made.
    #[must_use]
    pub fn has_news_since(&self, base: &Self) -> bool {
        self.id != base.id
            || self.last_taken.is_some() != base.last_taken.is_some()
            || self.folds.has_news_since(&base.folds)
            || self.iter().any(|(class, mine)| mine.has_news_since(base.habits(class)))
    }

    /// Keeps at most `most` values of each dimension, and as many kinds of alert: those seen
    /// last.
    pub fn shrink(&mut self, most: usize) {
        self.habits.values_mut().for_each(|habits| Arc::make_mut(habits).shrink(most));
        self.folds.shrink(most);
    }
}

impl Caller {
    /// What this copy has seen since `base`, on top of what others have made of `base` meanwhile.
    #[must_use]
    pub fn rebase(&self, base: &Self, onto: &Self) -> Self {
        let mut merged = onto.clone();
        merged.join(self);
        merged.habits = self.habits.rebase(Some(&base.habits), Some(&onto.habits));
        merged.folds = self.folds.rebase(&base.folds, &onto.folds);
        merged
    }

    /// Whether something is known that `base` does not tell and that may matter to the next
    /// judgement, wherever it is made.
    #[must_use]
    pub fn has_news_since(&self, base: &Self) -> bool {
        self.label != base.label
            || self.sign_ins != base.sign_ins
            || self.denials.has_news_since(&base.denials)
            || self.folds.has_news_since(&base.folds)
            || self.habits.has_news_since(Some(&base.habits))
    }

    /// Keeps at most `most` values of each dimension, and as many kinds of alert: those seen
    /// last.
    pub fn shrink(&mut self, most: usize) {
        self.habits.shrink(most);
        self.folds.shrink(most);
    }
}
