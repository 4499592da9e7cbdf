//! Trust policies: who may assume a role, as the policy language says it.
//!
//! A policy is read once ([`TrustPolicy::read`]), into a form that keeps all that a decision or
//! a comparison needs and no secret: ExternalIds are hashed where they are read. What the reader
//! does not understand it keeps as a note, and nothing that hangs on a note is ever certain:
//! [`TrustPolicy::admits`] answers yes, no or *cannot tell*.
//!
//! Two policies are compared by the *doors* that they open ([`doors`]): a door is somebody a
//! statement admits, with what it demands of them. A policy is weakened by a door that no door
//! of the policy before led through ([`compare`]).
//!
//! The language is that of the IAM User Guide: "JSON policy elements", "Condition operators",
//! "Policy evaluation logic" and "The confused deputy problem".

mod action;
mod bearer;
mod compare;
mod condition;
mod context;
mod demand;
mod denial;
mod describe;
mod door;
mod entry;
mod evaluate;
mod history;
mod json;
mod keys;
mod lost;
mod narrow;
mod opened;
mod operand;
mod operator;
mod party;
mod principal;
mod read;
mod rewrite;
mod subject;

use serde::{Deserialize, Serialize};

use crate::text::Text;

pub use action::{Actions, Ask};
pub use compare::{Before, Difference, Standing, World, compare, is_understood};
pub use condition::Condition;
pub use context::{Known, Request};
pub use demand::{Demand, Guard, MfaDemand};
pub use denial::Denial;
pub use describe::describe;
pub use door::{Door, Who, doors};
pub use entry::{Entry, Named};
pub use evaluate::{Admission, Answer};
pub use history::{Content, History, Moment, Version, Weakening};
pub use operand::Operand;
pub use operator::{Operator, Set, Test};
pub use party::{SOME_ORGANISATION, is_organisation, party_of, trusted_ids, trusted_parties};
pub use principal::{Principals, Trusted};
pub use read::{MAX_BYTES, Unreadable};
pub use rewrite::{Previous, Rewrite};

/// A trust policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TrustPolicy {
    /// The statements, in the order of the document.
    pub statements: Vec<Statement>,
    /// Whether `${…}` stands for a value of the request: it does since version 2012-10-17.
    #[serde(default, skip_serializing_if = "is_false")]
    pub has_variables: bool,
    /// What in the document, outside its statements, was not understood.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Text>,
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Statement {
    /// `Sid`, which names the statement for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<Text>,
    /// Whether it lets in or keeps out.
    pub effect: Effect,
    /// Whom it is about.
    pub principals: Principals,
    /// Which calls it is about.
    pub actions: Actions,
    /// What else has to hold, all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// What was not understood. Such a statement is never certain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Text>,
}

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Lets in.
    Allow,
    /// Keeps out, whatever else lets in.
    Deny,
    /// Something else was written; the note of the statement says what.
    Unclear,
}

impl TrustPolicy {
    /// Everything in the document that was not understood.
    pub fn notes(&self) -> impl Iterator<Item = &Text> {
        let of_statements = self.statements.iter().flat_map(|it| &it.notes);
        self.notes.iter().chain(of_statements)
    }

    /// Statements, conditions and values: what the policy weighs in memory.
    #[must_use]
    pub fn weight(&self) -> usize {
        let statements = self.statements.iter().map(|statement| {
            let values = statement.conditions.iter().map(|it| it.operands.len() + 1);
            1 + statement.principals.len() + values.sum::<usize>() + statement.notes.len()
        });
        1 + statements.sum::<usize>() + self.notes.len()
    }

    /// How a statement is called in a sentence: by its `Sid`, else by its place.
    #[must_use]
    pub fn name_of(&self, statement: usize) -> String {
        match self.statements.get(statement).and_then(|it| it.sid.as_ref()) {
            Some(sid) => format!("statement `{}`", crate::text::inline(sid.as_str())),
            None => format!("statement {}", statement + 1),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_false(it: &bool) -> bool {
    !it
}

#[cfg(test)]
mod tests;
