//! The operators of conditions.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::Text;

/// An operator, with its prefix and suffix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Operator {
    /// `ForAllValues:` or `ForAnyValue:`.
    pub set: Option<Set>,
    /// The test itself.
    pub test: Test,
    /// `…IfExists`: holds where the request does not have the key.
    pub if_exists: bool,
}

/// How many values of a request have to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Set {
    /// Every one, and so also none.
    All,
    /// At least one.
    Any,
}

/// A test of a value of the request against those of the policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Test {
    /// `StringEquals` and its kin.
    String {
        /// Whether `*` and `?` are wildcards.
        like: bool,
        /// Whether case is ignored.
        ignore_case: bool,
        /// Whether it holds where nothing matches.
        negated: bool,
    },
    /// `ArnEquals` and `ArnLike`, which are the same, and their negations.
    Arn {
        /// The name ends in `Like`.
        like: bool,
        /// Whether it holds where nothing matches.
        negated: bool,
    },
    /// `Numeric…`
    Numeric(Relation),
    /// `Date…`
    Date(Relation),
    /// `IpAddress` and `NotIpAddress`.
    Ip {
        /// Whether it holds where nothing matches.
        negated: bool,
    },
    /// `Bool`
    Bool,
    /// `BinaryEquals`
    Binary,
    /// `Null`: whether the request lacks the key.
    Null,
    /// A name that is no operator of the language as it is known here.
    Unknown(Text),
}

/// How two numbers or dates compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// `Equals`
    Equal,
    /// `NotEquals`
    NotEqual,
    /// `LessThan`
    Less,
    /// `LessThanEquals`
    AtMost,
    /// `GreaterThan`
    Greater,
    /// `GreaterThanEquals`
    AtLeast,
}

const fn string(like: bool, ignore_case: bool, negated: bool) -> Test {
    Test::String { like, ignore_case, negated }
}

/// Every operator, by name.
const TESTS: &[(&str, Test)] = &[
    ("StringEquals", string(false, false, false)),
    ("StringNotEquals", string(false, false, true)),
    ("StringEqualsIgnoreCase", string(false, true, false)),
    ("StringNotEqualsIgnoreCase", string(false, true, true)),
    ("StringLike", string(true, false, false)),
    ("StringNotLike", string(true, false, true)),
    ("ArnEquals", Test::Arn { like: false, negated: false }),
    ("ArnLike", Test::Arn { like: true, negated: false }),
    ("ArnNotEquals", Test::Arn { like: false, negated: true }),
    ("ArnNotLike", Test::Arn { like: true, negated: true }),
    ("NumericEquals", Test::Numeric(Relation::Equal)),
    ("NumericNotEquals", Test::Numeric(Relation::NotEqual)),
    ("NumericLessThan", Test::Numeric(Relation::Less)),
    ("NumericLessThanEquals", Test::Numeric(Relation::AtMost)),
    ("NumericGreaterThan", Test::Numeric(Relation::Greater)),
    ("NumericGreaterThanEquals", Test::Numeric(Relation::AtLeast)),
    ("DateEquals", Test::Date(Relation::Equal)),
    ("DateNotEquals", Test::Date(Relation::NotEqual)),
    ("DateLessThan", Test::Date(Relation::Less)),
    ("DateLessThanEquals", Test::Date(Relation::AtMost)),
    ("DateGreaterThan", Test::Date(Relation::Greater)),
    ("DateGreaterThanEquals", Test::Date(Relation::AtLeast)),
    ("IpAddress", Test::Ip { negated: false }),
    ("NotIpAddress", Test::Ip { negated: true }),
    ("Bool", Test::Bool),
    ("BinaryEquals", Test::Binary),
    ("Null", Test::Null),
];

impl Test {
    /// Whether it holds where nothing matches.
    #[must_use]
    pub fn is_negated(&self) -> bool {
        match self {
            Self::String { negated, .. } | Self::Arn { negated, .. } | Self::Ip { negated } => {
                *negated
            }
            Self::Numeric(relation) | Self::Date(relation) => *relation == Relation::NotEqual,
            Self::Bool | Self::Binary | Self::Null | Self::Unknown(_) => false,
        }
    }

    /// The test that holds where this one does not, where there is one.
    #[must_use]
    pub fn opposite(&self) -> Option<Self> {
        Some(match self {
            Self::String { like, ignore_case, negated } => string(*like, *ignore_case, !negated),
            Self::Arn { like, negated } => Self::Arn { like: *like, negated: !negated },
            Self::Ip { negated } => Self::Ip { negated: !negated },
            Self::Numeric(relation) => Self::Numeric(relation.opposite()),
            Self::Date(relation) => Self::Date(relation.opposite()),
            Self::Bool | Self::Null => self.clone(),
            Self::Binary | Self::Unknown(_) => return None,
        })
    }
}

impl Relation {
    fn opposite(self) -> Self {
        match self {
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::Less => Self::AtLeast,
            Self::AtMost => Self::Greater,
            Self::Greater => Self::AtMost,
            Self::AtLeast => Self::Less,
        }
    }
}

impl Operator {
    /// Reads an operator. Names are compared without regard to case, for a policy that IAM took
    /// means something by them.
    #[must_use]
    pub fn read(name: &str) -> Self {
        let unknown =
            || Self { set: None, test: Test::Unknown(Text::clip(name)), if_exists: false };
        let (set, rest) = match name.split_once(':') {
            Some((set, rest)) if set.eq_ignore_ascii_case("ForAllValues") => (Some(Set::All), rest),
            Some((set, rest)) if set.eq_ignore_ascii_case("ForAnyValue") => (Some(Set::Any), rest),
            Some(_) => return unknown(),
            None => (None, name),
        };
        let by_name = |name: &str| {
            let found = TESTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
            found.map(|(_, test)| test.clone())
        };
        if let Some(test) = by_name(rest) {
            return Self { set, test, if_exists: false };
        }
        let cut = rest.len().saturating_sub("IfExists".len());
        let (stem, suffix) = rest.split_at_checked(cut).unwrap_or((rest, ""));
        match by_name(stem).filter(|test| *test != Test::Null) {
            Some(test) if suffix.eq_ignore_ascii_case("IfExists") => {
                Self { set, test, if_exists: true }
            }
            _ => unknown(),
        }
    }

    /// The operator as AWS spells it; one that is unknown as it was written.
    #[must_use]
    pub fn name(&self) -> String {
        if let Test::Unknown(name) = &self.test {
            return name.as_str().to_owned();
        }
        let set = match self.set {
            Some(Set::All) => "ForAllValues:",
            Some(Set::Any) => "ForAnyValue:",
            None => "",
        };
        let test = TESTS.iter().find(|(_, test)| *test == self.test).map_or("", |(name, _)| name);
        let suffix = if self.if_exists { "IfExists" } else { "" };
        format!("{set}{test}{suffix}")
    }

    /// Whether it holds where the request does not have the key. `Null` is about that itself.
    #[must_use]
    pub fn holds_without_key(&self) -> bool {
        match self.set {
            _ if self.if_exists => true,
            Some(Set::All) => true,
            Some(Set::Any) => false,
            None => self.test.is_negated(),
        }
    }
}

impl Serialize for Operator {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name())
    }
}

impl<'de> Deserialize<'de> for Operator {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Ok(Self::read(&name))
    }
}
