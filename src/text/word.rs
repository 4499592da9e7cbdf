//! A text that many hold.

use std::ops::Deref;
use std::sync::Arc;

/// A word of ours, or a text that a call shares. Many are taken of every call, as values of its
/// baselines, and neither has to be written anew.
#[derive(Debug, Clone)]
pub enum Word {
    /// A word of ours, like `absent`.
    Own(&'static str),
    /// A text of the call.
    Shared(Arc<str>),
}

impl Deref for Word {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Own(text) => text,
            Self::Shared(text) => text,
        }
    }
}

impl PartialEq for Word {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        Self::Shared(text.into())
    }
}

impl From<Arc<str>> for Word {
    fn from(text: Arc<str>) -> Self {
        Self::Shared(text)
    }
}

impl From<String> for Word {
    fn from(text: String) -> Self {
        Self::Shared(text.into())
    }
}
