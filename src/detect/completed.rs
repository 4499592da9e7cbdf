//! An event as it is judged: as its record tells it, or with what other records tell of it.

use std::ops::Deref;

use crate::event::{Assumption, Event};

/// An event that is changed in a copy of its own. What [`std::borrow::Cow`] does, but for its size:
/// an event is large, most are judged as they are, and each is handed on several times.
pub(super) enum Completed<'e> {
    /// As its record tells it.
    AsRead(&'e Event),
    /// With what other records tell.
    Otherwise(Box<Event>),
}

impl Completed<'_> {
    /// The same with more of a call for a role.
    pub(super) fn with(self, more: impl FnOnce(&mut Assumption)) -> Self {
        let mut event = match self {
            Self::AsRead(event) => Box::new(event.clone()),
            Self::Otherwise(event) => event,
        };
        if let Event::Assumption(it) = event.as_mut() {
            more(it);
        }
        Self::Otherwise(event)
    }
}

impl Deref for Completed<'_> {
    type Target = Event;

    fn deref(&self) -> &Event {
        match self {
            Self::AsRead(event) => event,
            Self::Otherwise(event) => event,
        }
    }
}
