//! One condition: an operator, a key, and the values of which one has to fit.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::context::Known;
use super::evaluate::Answer;
use super::operand::{Operand, network};
use super::operator::{Operator, Relation, Set, Test};
use crate::glob::Glob;
use crate::text::Text;

/// `{"<operator>": {"<key>": [<operands>]}}`
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Condition {
    /// How the values are compared.
    pub operator: Operator,
    /// What of the request is compared, in lower case: IAM reads keys without regard to case.
    pub key: Text,
    /// With what. One that fits is enough, or none for a negated operator.
    pub operands: Vec<Operand>,
}

impl Condition {
    /// Whether it holds for a request of which `known` says what the key's value is.
    /// `has_variables` is that of the policy.
    pub(super) fn holds(&self, known: &Known, has_variables: bool) -> Answer {
        let Operator { set, test, if_exists } = &self.operator;
        match (known, test) {
            (_, Test::Unknown(_)) | (Known::Unknown, _) => Answer::CannotTell,
            (_, Test::Null) => self.is_null(matches!(known, Known::Absent)),
            (Known::Absent, _) => self.operator.holds_without_key().into(),
            (Known::Secret(_), _) => self.passes(known, has_variables),
            (Known::Values(values), _) => {
                let mut each = values
                    .iter()
                    .map(|value| self.passes(&Known::Values(vec![value.clone()]), has_variables));
                match set {
                    _ if values.is_empty() && *if_exists => Answer::Yes,
                    Some(Set::All) => each.fold(Answer::Yes, Answer::and),
                    Some(Set::Any) => each.fold(Answer::No, Answer::or),
                    // AWS does not say what a test without a set means for several values.
                    None if values.len() == 1 => each.next().unwrap_or(Answer::CannotTell),
                    None => Answer::CannotTell,
                }
            }
        }
    }

    fn is_null(&self, is_absent: bool) -> Answer {
        let any = self.operands.iter().map(|operand| match operand.as_text() {
            Some(text) if text.eq_ignore_ascii_case("true") => is_absent.into(),
            Some(text) if text.eq_ignore_ascii_case("false") => (!is_absent).into(),
            _ => Answer::CannotTell,
        });
        any.fold(Answer::No, Answer::or)
    }

    /// Whether one value passes the test.
    fn passes(&self, value: &Known, has_variables: bool) -> Answer {
        let fits = self.operands.iter().map(|operand| self.fits(operand, value, has_variables));
        let any = fits.fold(Answer::No, Answer::or);
        if self.operator.test.is_negated() { any.not() } else { any }
    }

    /// Whether a value fits one operand, negation apart.
    fn fits(&self, operand: &Operand, value: &Known, has_variables: bool) -> Answer {
        let test = &self.operator.test;
        match (operand, value) {
            (Operand::Secret(wanted), Known::Secret(sent)) => match test {
                Test::String { .. } if wanted == sent => Answer::Yes,
                Test::String { ignore_case: false, .. } => Answer::No,
                _ => Answer::CannotTell,
            },
            (Operand::SecretPattern { takes_all: true, .. }, Known::Secret(_)) => Answer::Yes,
            (Operand::Text(operand), Known::Values(values)) => match values.first() {
                _ if has_variables && operand.as_str().contains("${") => Answer::CannotTell,
                Some(value) => fits_text(test, operand.as_str(), value),
                None => Answer::No,
            },
            _ => Answer::CannotTell,
        }
    }

    /// The values of the condition, for a sentence.
    #[must_use]
    pub fn display_operands(&self) -> String {
        let shown: Vec<String> = self.operands.iter().map(Operand::display).collect();
        shown.join(" or ")
    }
}

fn fits_text(test: &Test, operand: &str, value: &str) -> Answer {
    match test {
        Test::String { like: true, .. } => Glob::new(operand).matches(value).into(),
        Test::String { ignore_case: true, .. } => {
            (operand.to_lowercase() == value.to_lowercase()).into()
        }
        Test::String { .. } | Test::Binary => (operand == value).into(),
        Test::Arn { .. } => fits_arn(operand, value),
        Test::Ip { .. } => match (network(operand), network(value)) {
            (Some(block), Some(address)) => block.contains(&address).into(),
            _ => Answer::CannotTell,
        },
        Test::Bool => match (boolean(operand), boolean(value)) {
            (Some(wanted), Some(given)) => (wanted == given).into(),
            _ => Answer::CannotTell,
        },
        Test::Numeric(relation) => match (operand.parse::<f64>(), value.parse::<f64>()) {
            (Ok(bound), Ok(number)) => relation.fits(&number, &bound),
            _ => Answer::CannotTell,
        },
        Test::Date(relation) => match (date(operand), date(value)) {
            (Some(bound), Some(time)) => relation.fits(&time, &bound),
            _ => Answer::CannotTell,
        },
        Test::Null | Test::Unknown(_) => Answer::CannotTell,
    }
}

impl Relation {
    /// Whether a value stands in the relation to a bound; `NotEquals` is the negation of
    /// `Equals`, which the caller makes.
    fn fits<T: PartialOrd>(self, value: &T, bound: &T) -> Answer {
        match self {
            Self::Equal | Self::NotEqual => (value == bound).into(),
            Self::Less => (value < bound).into(),
            Self::AtMost => (value <= bound).into(),
            Self::Greater => (value > bound).into(),
            Self::AtLeast => (value >= bound).into(),
        }
    }
}

/// ARNs are compared part by part; the last part may hold colons of its own.
fn fits_arn(operand: &str, value: &str) -> Answer {
    let parts = |arn: &str| arn.splitn(6, ':').map(str::to_owned).collect::<Vec<_>>();
    let (wanted, given) = (parts(operand), parts(value));
    if wanted.len() != 6 {
        return Answer::CannotTell;
    }
    let fits = given.len() == 6
        && wanted.iter().zip(&given).all(|(wanted, given)| Glob::new(wanted).matches(given));
    fits.into()
}

fn boolean(text: &str) -> Option<bool> {
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    if is("true") { Some(true) } else { is("false").then_some(false) }
}

/// A time as RFC 3339, a date, or seconds since 1970.
pub(super) fn date(text: &str) -> Option<Timestamp> {
    let seconds = || Timestamp::from_second(text.parse().ok()?).ok();
    let day = || {
        let day: jiff::civil::Date = text.parse().ok()?;
        Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
    };
    text.parse().ok().or_else(seconds).or_else(day)
}
