//! What a statement demands beside being the right principal.

use serde::Serialize;

use super::condition::Condition;
use super::operand::Operand;
use super::operator::{Operator, Relation, Test};
use super::principal::host_of;
use crate::text::{inline, listed};

/// What a demand protects by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// The secret shared with a vendor (`sts:ExternalId`).
    ExternalId,
    /// A second factor.
    Mfa,
    /// Membership in an organisation or in a part of one.
    Organisation,
    /// Where the call comes from: addresses, networks, endpoints.
    Address,
    /// Whom an identity provider vouches for (`…:sub` and other claims).
    Subject,
    /// For which application an identity provider does (`…:aud`).
    Audience,
    /// For whom a service acts (`aws:SourceAccount`, `aws:SourceArn`).
    Source,
    /// Who the caller is, beyond the principal (`aws:PrincipalTag/…`, `aws:userid`).
    Caller,
    /// How the session is called (`sts:RoleSessionName`, `sts:SourceIdentity`).
    Session,
    /// A `Deny` of its own.
    Deny,
    /// Anything else.
    Other,
}

impl Guard {
    /// What a key guards by.
    #[must_use]
    pub fn of_key(key: &str) -> Self {
        match key {
            "sts:externalid" => Self::ExternalId,
            "aws:multifactorauthpresent" | "aws:multifactorauthage" => Self::Mfa,
            "aws:principalorgid"
            | "aws:principalorgpaths"
            | "aws:resourceorgid"
            | "aws:resourceorgpaths"
            | "aws:resourceaccount" => Self::Organisation,
            "aws:sourceip" | "aws:vpcsourceip" | "aws:sourcevpc" | "aws:sourcevpce"
            | "aws:sourcevpcarn" | "aws:vpceaccount" | "aws:vpceorgid" => Self::Address,
            "aws:sourceaccount" | "aws:sourcearn" | "aws:sourceorgid" | "aws:sourceorgpaths" => {
                Self::Source
            }
            "sts:rolesessionname" | "sts:sourceidentity" | "aws:sourceidentity" => Self::Session,
            "aws:principalarn" | "aws:principalaccount" | "aws:userid" | "aws:username" => {
                Self::Caller
            }
            _ if key.starts_with("aws:principaltag/") => Self::Caller,
            _ if key.starts_with("aws:") || key.starts_with("sts:") => Self::Other,
            // Claims of identity providers: `token.actions.githubusercontent.com:sub`.
            _ => match key.rsplit_once(':').map(|(_, claim)| claim) {
                Some("aud" | "azp" | "oaud" | "amr" | "iss" | "doc" | "app_id") => Self::Audience,
                Some(_) => Self::Subject,
                None => Self::Other,
            },
        }
    }

    /// The guard as something that somebody needs: `an ExternalId`.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::ExternalId => "an ExternalId",
            Self::Mfa => "MFA",
            Self::Organisation => "membership in an organisation",
            Self::Address => "a source address or network",
            Self::Subject => "a subject of the identity provider",
            Self::Audience => "an audience of the identity provider",
            Self::Source => "a source account or source ARN",
            Self::Caller => "an attribute of the caller",
            Self::Session => "a session name or source identity",
            Self::Deny => "to pass a Deny",
            Self::Other => "a condition",
        }
    }
}

/// How strictly a demand is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strictness {
    /// Who lacks the key passes.
    IfPresent,
    /// Who lacks the key fails.
    Firm,
}

/// How strictly a door demands MFA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MfaDemand {
    /// Not at all.
    None,
    /// By an operator that lets long-term keys pass, of which the request has no MFA context.
    IfPresent,
    /// Of everybody.
    Firm,
}

/// One demand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// What it protects by.
    pub guard: Guard,
    /// The key, in lower case; of a `Deny` that is kept whole its text.
    pub key: String,
    /// The test that has to hold.
    pub test: Test,
    /// Whether the key has to be there.
    pub strictness: Strictness,
    /// The values that the test is against.
    pub operands: Vec<Operand>,
}

impl Demand {
    /// What a condition of an `Allow` demands; nothing where its operator is unknown.
    #[must_use]
    pub fn of_allow(condition: &Condition) -> Option<Self> {
        let Operator { test, .. } = &condition.operator;
        let firm = match test {
            Test::Unknown(_) => return None,
            Test::Null => true,
            _ => !condition.operator.holds_without_key(),
        };
        Self::new(condition, test.clone(), condition.operands.clone(), firm)
    }

    /// What a `Deny` demands of whoever is not to be denied, where one condition is all it has.
    #[must_use]
    pub fn of_deny(condition: &Condition) -> Option<Self> {
        let test = condition.operator.test.opposite()?;
        let operands = match test {
            Test::Bool | Test::Null => condition.operands.iter().map(flipped).collect(),
            _ => condition.operands.clone(),
        };
        let firm = test == Test::Null || condition.operator.holds_without_key();
        Self::new(condition, test, operands, firm)
    }

    fn new(condition: &Condition, test: Test, operands: Vec<Operand>, firm: bool) -> Option<Self> {
        let key = condition.key.as_str();
        let guard = Guard::of_key(key);
        let is = |word: &str| {
            operands.iter().any(|it| it.as_text().is_some_and(|it| it.eq_ignore_ascii_case(word)))
        };
        if guard == Guard::Mfa {
            // That there is a context of MFA does not mean that there was a second factor; that
            // it has an age does.
            let demanded = match test {
                Test::Bool => is("true") && !is("false"),
                Test::Null => is("false") && !is("true") && key == "aws:multifactorauthage",
                Test::Numeric(Relation::Less | Relation::AtMost) => true,
                _ => false,
            };
            if !demanded {
                return None;
            }
        }
        // That a key must be missing protects by nothing.
        if test == Test::Null && is("true") {
            return None;
        }
        let strictness = if firm { Strictness::Firm } else { Strictness::IfPresent };
        Some(Self { guard, key: key.to_owned(), test, strictness, operands })
    }

    /// Whether `*` and `?` in its values are wildcards.
    #[must_use]
    pub fn takes_patterns(&self) -> bool {
        matches!(self.test, Test::String { like: true, .. } | Test::Arn { .. })
    }

    /// Whether whoever meets this demand meets `other` too.
    #[must_use]
    pub fn implies(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        if self.guard != other.guard || self.strictness < other.strictness {
            return false;
        }
        if self.guard == Guard::Mfa {
            // Any proof of a second factor is as good as another, but for its age.
            let Some(oldest) = other.max_age() else { return true };
            return self.max_age().is_some_and(|mine| mine <= oldest);
        }
        if self.key != other.key {
            return false;
        }
        match (&self.test, &other.test) {
            // Having some value is all that `Null` asks.
            (test, Test::Null) => !test.is_negated(),
            (Test::Numeric(mine), Test::Numeric(theirs)) if mine == theirs => {
                self.is_tighter_than(other, *mine)
            }
            (mine, theirs) if mine.is_negated() && theirs.is_negated() => {
                // Who has to be none of many is none of few.
                self.takes_all_of(other)
            }
            (mine, theirs) if !mine.is_negated() && !theirs.is_negated() => {
                other.takes_all_of(self)
            }
            _ => false,
        }
    }

    /// Whether every value of `other` is among the values of this one.
    fn takes_all_of(&self, other: &Self) -> bool {
        other.operands.iter().all(|it| self.takes(it, other.takes_patterns()))
    }

    fn takes(&self, operand: &Operand, is_pattern: bool) -> bool {
        let mine = self.takes_patterns();
        self.operands.iter().any(|it| it.covers(mine, operand, is_pattern))
    }

    /// Whether some value of `other` is among the values of this one.
    #[must_use]
    pub fn takes_some_of(&self, other: &Self) -> bool {
        other.operands.iter().any(|it| self.takes(it, other.takes_patterns()))
    }

    fn is_tighter_than(&self, other: &Self, relation: Relation) -> bool {
        let bound = |demand: &Self| match demand.operands.as_slice() {
            [one] => one.as_text()?.parse::<f64>().ok(),
            _ => None,
        };
        match (bound(self), bound(other), relation) {
            (Some(mine), Some(theirs), Relation::Less | Relation::AtMost) => mine <= theirs,
            (Some(mine), Some(theirs), Relation::Greater | Relation::AtLeast) => mine >= theirs,
            _ => false,
        }
    }

    /// Whether it says which users, roles or accounts it is met by.
    #[must_use]
    pub fn names_callers(&self) -> bool {
        let is_name = matches!(self.key.as_str(), "aws:principalarn" | "aws:principalaccount");
        let is_positive = matches!(
            self.test,
            Test::String { negated: false, .. } | Test::Arn { negated: false, .. }
        );
        is_name && is_positive && self.strictness == Strictness::Firm
    }

    /// Whether it says that callers are of the account that the role is in.
    #[must_use]
    pub fn names_own_account(&self) -> bool {
        let is_own = |it: &Operand| {
            it.as_text().is_some_and(|it| it.eq_ignore_ascii_case("${aws:ResourceAccount}"))
        };
        self.key == "aws:principalaccount" && self.names_callers() && {
            !self.operands.is_empty() && self.operands.iter().all(is_own)
        }
    }

    /// Whether some value of it is a pattern.
    #[must_use]
    pub fn has_wildcards(&self) -> bool {
        self.takes_patterns() && self.operands.iter().any(Operand::has_wildcards)
    }

    /// How many seconds ago the second factor may have been used, where that is limited.
    #[must_use]
    pub fn max_age(&self) -> Option<f64> {
        let Test::Numeric(Relation::Less | Relation::AtMost) = self.test else { return None };
        let bounds = self.operands.iter().filter_map(|it| it.as_text()?.parse::<f64>().ok());
        bounds.filter(|_| self.guard == Guard::Mfa).max_by(f64::total_cmp)
    }

    /// Whether it is about the same thing as another, with other values or otherwise meant.
    #[must_use]
    pub fn is_about(&self, other: &Self) -> bool {
        let is_one_thing = matches!(self.guard, Guard::Mfa | Guard::Organisation);
        self.guard == other.guard && (self.key == other.key || is_one_thing)
    }

    /// The demand in words: `an ExternalId (sha256:1f2e3d4c)`.
    #[must_use]
    pub fn display(&self) -> String {
        let values: Vec<String> = self.operands.iter().map(Operand::display).collect();
        let values = listed(&values, "or");
        let key = match self.key.rsplit_once(':') {
            Some((provider, claim)) => format!("{}:{}", inline(host_of(provider)), inline(claim)),
            None => inline(&self.key),
        };
        let words = self.guard.words();
        match (self.guard, self.max_age()) {
            (Guard::Mfa, Some(age)) => format!("{words} not older than {age} seconds"),
            (Guard::Mfa | Guard::Deny, _) => words.to_owned(),
            _ if self.test == Test::Null => format!("{words} (some {key})"),
            (Guard::ExternalId, _) => format!("{words} ({values})"),
            _ if self.test.is_negated() => format!("{words} ({key} other than {values})"),
            _ => format!("{words} ({key} {values})"),
        }
    }
}

fn flipped(operand: &Operand) -> Operand {
    match operand.as_text() {
        Some(text) if text.eq_ignore_ascii_case("true") => {
            Operand::Text(crate::text::Text::clip("false"))
        }
        Some(text) if text.eq_ignore_ascii_case("false") => {
            Operand::Text(crate::text::Text::clip("true"))
        }
        _ => operand.clone(),
    }
}
