//! Whether a policy admits a request.

use super::context::Request;
use super::{Effect, Statement, TrustPolicy};

/// Yes, no, or what cannot be told from what is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// Certainly not.
    No,
    /// Something that it hangs on is not known or not understood.
    CannotTell,
    /// Certainly.
    Yes,
}

impl Answer {
    /// Whether both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.min(other)
    }

    /// Whether one of them holds.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.max(other)
    }

    /// Whether it does not hold.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "`!` would hide that a third value is kept")]
    pub fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::CannotTell => Self::CannotTell,
            Self::Yes => Self::No,
        }
    }
}

impl From<bool> for Answer {
    fn from(it: bool) -> Self {
        if it { Self::Yes } else { Self::No }
    }
}

/// What a policy says to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// Whether it admits it.
    pub answer: Answer,
    /// The statements by which it came in: those that allow it for certain or, where there are
    /// none, all that may.
    pub statements: Vec<usize>,
    /// All statements that allow it for certain or may.
    pub possible: Vec<usize>,
}

impl TrustPolicy {
    /// Whether the policy admits a request: some statement allows it and none denies it.
    #[must_use]
    pub fn admits(&self, request: &Request<'_>) -> Admission {
        let apply: Vec<(usize, Effect, Answer)> = self
            .statements
            .iter()
            .enumerate()
            .map(|(at, it)| (at, it.effect, it.applies(request, self.has_variables)))
            .collect();
        let strongest = |effect: Effect| {
            let of = apply.iter().filter(|(_, it, _)| *it == effect);
            of.fold(Answer::No, |answer, (.., it)| answer.or(*it))
        };
        let unclear = strongest(Effect::Unclear).and(Answer::CannotTell);
        let allowed = strongest(Effect::Allow).or(unclear);
        let denied = strongest(Effect::Deny).or(unclear);
        // A note on the document may be all that is left of a statement.
        let overlooked = if self.notes.is_empty() { Answer::No } else { Answer::CannotTell };
        let answer = allowed.or(overlooked).and(denied.or(overlooked).not());
        let allowing = |least: Answer| -> Vec<usize> {
            let allow = apply.iter().filter(|(_, effect, _)| *effect != Effect::Deny);
            allow.filter(|(.., it)| *it >= least).map(|(at, ..)| *at).collect()
        };
        let possible = allowing(Answer::CannotTell);
        let certain = allowing(Answer::Yes);
        let statements = if certain.is_empty() { possible.clone() } else { certain };
        Admission { answer, statements, possible }
    }
}

impl Statement {
    /// Whether the statement is about a request.
    #[must_use]
    pub fn applies(&self, request: &Request<'_>, has_variables: bool) -> Answer {
        let doubt = if self.notes.is_empty() { Answer::Yes } else { Answer::CannotTell };
        let about = Answer::from(self.actions.include(request.ask))
            .and(self.principals.include(request.caller));
        let conditions = self
            .conditions
            .iter()
            .map(|condition| condition.holds(request.value(condition.key.as_str()), has_variables));
        conditions.fold(about, Answer::and).and(doubt)
    }
}
