//! Which calls a statement is about.

use serde::{Deserialize, Serialize};

use crate::glob::Glob;
use crate::text::Text;

/// A call that ends in a session of the role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ask {
    /// `sts:AssumeRole`, by AWS principals and services.
    AssumeRole,
    /// `sts:AssumeRoleWithSAML`.
    WithSaml,
    /// `sts:AssumeRoleWithWebIdentity`.
    WithWebIdentity,
}

impl Ask {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::AssumeRole, Self::WithSaml, Self::WithWebIdentity];

    /// The action, in lower case: actions are compared without regard to case.
    fn action(self) -> &'static str {
        match self {
            Self::AssumeRole => "sts:assumerole",
            Self::WithSaml => "sts:assumerolewithsaml",
            Self::WithWebIdentity => "sts:assumerolewithwebidentity",
        }
    }

    /// The call by the name that CloudTrail gives it.
    #[must_use]
    pub fn by_event_name(name: &str) -> Option<Self> {
        match name {
            "AssumeRole" => Some(Self::AssumeRole),
            "AssumeRoleWithSAML" => Some(Self::WithSaml),
            "AssumeRoleWithWebIdentity" => Some(Self::WithWebIdentity),
            _ => None,
        }
    }
}

/// `Action` or `NotAction`: patterns as they were written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actions {
    /// These.
    Only(Vec<Text>),
    /// All but these.
    AllBut(Vec<Text>),
}

impl Actions {
    /// Whether a call is among them.
    #[must_use]
    pub fn include(&self, ask: Ask) -> bool {
        let any = |patterns: &[Text]| {
            let mut globs = patterns.iter().map(|it| Glob::new(&it.as_str().to_lowercase()));
            globs.any(|glob| glob.matches(ask.action()))
        };
        match self {
            Self::Only(patterns) => any(patterns),
            Self::AllBut(patterns) => !any(patterns),
        }
    }
}
