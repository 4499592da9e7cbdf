//! Reading a record without copying it.
//!
//! A tree of [`serde_json::Value`] costs some fifty allocations a record, of which one field in
//! three is ever looked at. [`Json`] is a place in a record that is either such a tree or a
//! [`Tape`]: a list of where the values of the text begin and end.

mod marks;
mod tape;

use std::borrow::Cow;

use serde_json::Value;

pub(crate) use marks::{BracesAndN, Mark, Marks, Only, Windows};
pub use tape::{Node, Record, Tape};

/// A value somewhere in a record.
#[derive(Debug, Clone, Copy)]
pub enum Json<'a> {
    /// In a tree.
    Tree(&'a Value),
    /// In the text of a record.
    Flat(Node<'a>),
}

/// What stands where nothing stands.
static NOTHING: Value = Value::Null;

/// The kinds of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`, or nothing at all.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl<'a> From<&'a Value> for Json<'a> {
    fn from(value: &'a Value) -> Self {
        Self::Tree(value)
    }
}

impl<'a> Json<'a> {
    /// The member of an object: of several of one name the last, as in a tree. Null where there
    /// is none.
    #[must_use]
    #[inline(always)]
    pub fn get(self, name: &str) -> Self {
        match self {
            Self::Tree(value) => Self::Tree(value.get(name).unwrap_or(&NOTHING)),
            Self::Flat(node) => node.member(name).map_or(Self::Tree(&NOTHING), Self::Flat),
        }
    }

    /// The kind of value.
    #[must_use]
    #[inline]
    pub fn kind(self) -> Kind {
        match self {
            Self::Tree(Value::Null) => Kind::Null,
            Self::Tree(Value::Bool(_)) => Kind::Bool,
            Self::Tree(Value::Number(_)) => Kind::Number,
            Self::Tree(Value::String(_)) => Kind::String,
            Self::Tree(Value::Array(_)) => Kind::Array,
            Self::Tree(Value::Object(_)) => Kind::Object,
            Self::Flat(node) => node.kind(),
        }
    }

    /// Whether it is `null` or missing.
    #[must_use]
    #[inline]
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// A string.
    #[must_use]
    #[inline]
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Tree(value) => value.as_str().map(Cow::Borrowed),
            Self::Flat(node) => node.string(),
        }
    }

    /// A truth value.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        match self {
            Self::Tree(value) => value.as_bool(),
            Self::Flat(node) => (node.kind() == Kind::Bool).then(|| node.raw() == "true"),
        }
    }

    /// The elements of an array; of anything else none.
    pub fn elements(self) -> impl Iterator<Item = Json<'a>> {
        let (tree, flat) = match self {
            Self::Tree(Value::Array(elements)) => (elements.as_slice(), None),
            Self::Tree(_) => (&[][..], None),
            Self::Flat(node) => (&[][..], Some(node)),
        };
        let flat = flat.into_iter().flat_map(Node::elements).map(Json::Flat);
        tree.iter().map(Json::Tree).chain(flat)
    }

    /// The value as a tree of its own.
    #[must_use]
    pub fn to_value(self) -> Value {
        match self {
            Self::Tree(value) => value.clone(),
            // What a tape has taken is JSON.
            Self::Flat(node) => serde_json::from_str(&node.json()).unwrap_or_default(),
        }
    }
}
