//! What judging by habit takes into account, one by one, so that each can be left out.

/// One thing that is taken into account. Some say something about a call, some say how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ingredient {
    /// Who takes a role for the first time.
    Principal,
    /// From which network.
    Network,
    /// Names of sessions, and software.
    Names,
    /// What the caller usually does, beside what the role usually sees.
    Caller,
    /// Who began the chain that led to the call.
    Origin,
    /// What those take who take the same roles as the caller.
    Colleagues,
    /// Whom a trust policy names that raised no alert.
    Trust,
    /// How much one thing can add at most.
    Caps,
    /// A key that was used elsewhere hours before.
    TwoPlaces,
    /// A key that was not used for days.
    Absence,
    /// A role that nobody takes.
    Disuse,
    /// A role that is an administrator's by its name.
    Privilege,
    /// A session that is used elsewhere than it was made.
    Moved,
    /// A place from which nobody of the caller's kind ever called.
    NotOfCircle,
    /// The first caller of its kind.
    NewKind,
    /// A token for another branch or environment than ever before.
    OtherPurpose,
    /// That an alert teaches nothing until it came often enough.
    Probation,
    /// That what belongs to one story is told once.
    Stories,
}

impl Ingredient {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 18] = [
        Self::Principal,
        Self::Network,
        Self::Names,
        Self::Caller,
        Self::Origin,
        Self::Colleagues,
        Self::Trust,
        Self::Caps,
        Self::TwoPlaces,
        Self::Absence,
        Self::Disuse,
        Self::Privilege,
        Self::Moved,
        Self::NotOfCircle,
        Self::NewKind,
        Self::OtherPurpose,
        Self::Probation,
        Self::Stories,
    ];

    /// As the configuration writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Principal => "principal",
            Self::Network => "network",
            Self::Names => "names",
            Self::Caller => "caller",
            Self::Origin => "origin",
            Self::Colleagues => "colleagues",
            Self::Trust => "trust",
            Self::Caps => "caps",
            Self::TwoPlaces => "two_places",
            Self::Absence => "absence",
            Self::Disuse => "disuse",
            Self::Privilege => "privilege",
            Self::Moved => "moved",
            Self::NotOfCircle => "not_of_circle",
            Self::NewKind => "new_kind",
            Self::OtherPurpose => "other_purpose",
            Self::Probation => "probation",
            Self::Stories => "stories",
        }
    }

    /// The one that is written so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == name)
    }
}

/// Ingredients that are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Without(u32);

impl Without {
    /// Whether one is left out.
    #[must_use]
    pub fn has(self, ingredient: Ingredient) -> bool {
        self.0 & 1 << ingredient as u32 != 0
    }

    /// The same without one more.
    #[must_use]
    pub fn and(self, ingredient: Ingredient) -> Self {
        Self(self.0 | 1 << ingredient as u32)
    }
}

impl FromIterator<Ingredient> for Without {
    fn from_iter<I: IntoIterator<Item = Ingredient>>(all: I) -> Self {
        all.into_iter().fold(Self::default(), Self::and)
    }
}
