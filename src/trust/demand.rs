//! What a statement demands beside being the right principal.

use ipnet::IpNet;
use serde::Serialize;

use super::Ask;
use super::condition::Condition;
use super::denial::Denial;
use super::door::Who;
use super::operand::{Operand, network};
use super::operator::{Operator, Relation, Test};
use super::principal::{account_of, host_of};
use crate::id::AccountId;
use crate::text::{Text, inline, listed};

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
            // By these EKS says which pod it is that a role is taken for.
            "aws:requesttag/eks-cluster-arn"
            | "aws:requesttag/eks-cluster-name"
            | "aws:requesttag/kubernetes-namespace"
            | "aws:requesttag/kubernetes-service-account" => Self::Caller,
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
            Self::Subject => "a subject",
            Self::Audience => "an audience",
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
    /// Who lacks the key would pass, but of those who come every request has it.
    AsGiven,
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
    /// The key, in lower case; empty of a `Deny` that is kept whole.
    pub key: String,
    /// The test that has to hold.
    pub test: Test,
    /// Whether the key has to be there.
    pub strictness: Strictness,
    /// The values that the test is against.
    pub operands: Vec<Operand>,
    /// The `Deny`, where it is kept whole.
    pub denial: Option<Denial>,
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
        Some(Self { guard, key: key.to_owned(), test, strictness, operands, denial: None })
    }

    /// To pass a `Deny` that is kept whole.
    pub(super) fn to_pass(denial: Denial) -> Self {
        let (guard, key, test) = (Guard::Deny, String::new(), Test::Null);
        let (strictness, operands, denial) = (Strictness::Firm, Vec::new(), Some(denial));
        Self { guard, key, test, strictness, operands, denial }
    }

    /// The demand as it is made of those who come through a door: whoever would pass without the
    /// key is nobody, where all of them have it.
    pub(super) fn asked_of(mut self, who: &Who) -> Self {
        if self.strictness == Strictness::IfPresent && is_always_there(&self.key, who) {
            self.strictness = Strictness::AsGiven;
        }
        self
    }

    /// Whether `*` and `?` in its values are wildcards.
    #[must_use]
    pub fn takes_patterns(&self) -> bool {
        matches!(self.test, Test::String { like: true, .. } | Test::Arn { .. })
    }

    /// The demand, made of those who lack the key as well.
    pub(super) fn as_firm(&self) -> Self {
        Self { strictness: Strictness::Firm, ..self.clone() }
    }

    /// Whether whoever comes through a door and meets this demand meets `other` too.
    #[must_use]
    pub fn implies(&self, other: &Self, who: &Who) -> bool {
        if self == other {
            return true;
        }
        if let Some(denial) = &other.denial {
            return match &self.denial {
                Some(mine) => mine.covers(denial, who),
                None => denial.is_passed_by(self, who),
            };
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
            // What acts for a resource acts for its account.
            let is_wider =
                (self.key.as_str(), other.key.as_str()) == ("aws:sourcearn", "aws:sourceaccount");
            let accounts =
                self.source_accounts(true).filter(|_| is_wider && !other.test.is_negated());
            return accounts.is_some_and(|it| it.iter().all(|it| other.takes_account(*it)));
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

    /// Whether every value of `other` is among the values of this one. Blocks of addresses that
    /// lie side by side are one.
    fn takes_all_of(&self, other: &Self) -> bool {
        if let (Test::Ip { .. }, Some(mine), Some(theirs)) =
            (&self.test, blocks(self), blocks(other))
        {
            let mine = IpNet::aggregate(&mine);
            return theirs.iter().all(|block| mine.iter().any(|it| it.contains(block)));
        }
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

    /// Whether a value of the other demand's stands among or within the values of this one.
    pub(super) fn takes_of(&self, operand: &Operand, other: &Self) -> bool {
        self.takes(operand, other.takes_patterns())
    }

    /// Whether an account meets a demand that is about accounts.
    pub(super) fn takes_account(&self, account: AccountId) -> bool {
        self.takes(&Operand::Text(Text::clip(&account.to_string())), false)
    }

    /// The accounts to which a demand on the source ties a service, where every value names one.
    /// `is_certain` leaves out a pattern of which only the place tells that it is one: a `*`
    /// before it may take more than a region.
    pub(super) fn source_accounts(&self, is_certain: bool) -> Option<Vec<AccountId>> {
        let of_arn = |text: &str| -> Option<AccountId> {
            let is_by_parts = matches!(self.test, Test::Arn { negated: false, .. });
            match is_certain && !is_by_parts && self.takes_patterns() {
                true => account_of(text),
                false => text.split(':').nth(4)?.parse().ok(),
            }
        };
        let named = |it: &Operand| match self.key.as_str() {
            "aws:sourcearn" => of_arn(it.as_text()?),
            "aws:sourceaccount" => it.as_text()?.parse().ok(),
            _ => None,
        };
        let accounts: Option<Vec<AccountId>> = self.operands.iter().map(named).collect();
        accounts.filter(|it| {
            !it.is_empty() && !self.test.is_negated() && self.strictness == Strictness::Firm
        })
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
        is_name && is_positive && self.strictness > Strictness::IfPresent
    }

    /// Whether it says that callers are of the account that the role is in.
    #[must_use]
    pub fn names_own_account(&self) -> bool {
        let other = match self.key.as_str() {
            "aws:principalaccount" if self.names_callers() => "${aws:ResourceAccount}",
            "aws:resourceaccount" if self.narrows() => "${aws:PrincipalAccount}",
            _ => return false,
        };
        let is_own = |it: &Operand| it.as_text().is_some_and(|it| it.eq_ignore_ascii_case(other));
        !self.operands.is_empty() && self.operands.iter().all(is_own)
    }

    /// Whether everybody who comes through a door bears one of the names that it asks for.
    #[must_use]
    pub fn is_met_by(&self, who: &Who) -> bool {
        self.names_callers()
            && match (self.key.as_str(), who) {
                ("aws:principalaccount", _) => {
                    who.account().is_some_and(|it| self.takes_account(it))
                }
                (_, Who::Arn(arn)) => self.takes(&Operand::Text(arn.clone()), true),
                _ => false,
            }
    }

    /// Whether it is met by others than a user or role, whose ARN this is. Of a session it is the
    /// role's that a request bears.
    pub(super) fn keeps_out(&self, arn: &Text) -> bool {
        let is_borne = arn.as_str().split(':').nth(2) == Some("iam");
        let is_about_arns = self.key == "aws:principalarn" && self.test.is_negated();
        is_borne && is_about_arns && self.takes(&Operand::Text(arn.clone()), false)
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
        if self.denial.is_some() || other.denial.is_some() {
            return self == other;
        }
        let is_one_thing = matches!(self.guard, Guard::Mfa | Guard::Organisation);
        self.guard == other.guard && (self.key == other.key || is_one_thing)
    }

    /// The demand in words: `an ExternalId (sha256:1f2e3d4c)`. Of whom an identity provider
    /// vouches for the provider is told already, unless it is another one.
    #[must_use]
    pub fn display(&self, who: &Who) -> String {
        if let Some(denial) = &self.denial {
            return denial.display();
        }
        let values: Vec<String> = self.operands.iter().map(Operand::display).collect();
        let values = listed(&values, "or");
        let key = match self.key.rsplit_once(':') {
            Some((_, claim)) if is_claim_of(&self.key, who) => inline(claim),
            Some((provider, claim)) => format!("{}:{}", inline(host_of(provider)), inline(claim)),
            None => inline(&self.key),
        };
        let words = match key.as_str() {
            "sub" | "aud" => self.guard.words(),
            _ if is_claim_of(&self.key, who) => "a claim",
            _ => self.guard.words(),
        };
        match (self.guard, self.max_age()) {
            (Guard::Mfa, Some(age)) => format!("{words} not older than {age} seconds"),
            (Guard::Mfa, _) => words.to_owned(),
            _ if self.test == Test::Null => format!("{words} (some {key})"),
            _ if self.test.is_negated() => format!("{words} ({key} other than {values})"),
            (Guard::ExternalId, _) => format!("{words} ({values})"),
            _ if matches!(key.as_str(), "sub" | "aud") => format!("{words} ({values})"),
            _ => format!("{words} ({key} {values})"),
        }
    }
}

/// Whether a key is a claim of the provider that a door is for.
fn is_claim_of(key: &str, who: &Who) -> bool {
    let Who::Federated(provider) = who else { return false };
    let Some((host, _)) = key.rsplit_once(':') else { return false };
    match who.ask() {
        Ask::WithSaml => host == "saml",
        _ => host.eq_ignore_ascii_case(host_of(provider.as_str())),
    }
}

/// Whether every request of those who come through a door has a key: each token has a subject
/// and an audience, and each call by an IAM principal is signed by one.
fn is_always_there(key: &str, who: &Who) -> bool {
    match who {
        Who::Federated(_) => {
            let claim = key.rsplit_once(':').map_or("", |(_, claim)| claim);
            is_claim_of(key, who) && matches!(claim, "sub" | "aud")
        }
        Who::Service(_) | Who::AnyProvider(_) | Who::Other(_) => false,
        _ => matches!(key, "aws:principalarn" | "aws:principalaccount" | "aws:userid"),
    }
}

/// The blocks of addresses that a demand is about, where every value is one.
fn blocks(demand: &Demand) -> Option<Vec<IpNet>> {
    demand.operands.iter().map(|it| network(it.as_text()?).map(|it| it.trunc())).collect()
}

fn flipped(operand: &Operand) -> Operand {
    match operand.as_text() {
        Some(text) if text.eq_ignore_ascii_case("true") => Operand::Text(Text::clip("false")),
        Some(text) if text.eq_ignore_ascii_case("false") => Operand::Text(Text::clip("true")),
        _ => operand.clone(),
    }
}
