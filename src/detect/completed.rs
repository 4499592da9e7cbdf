//! An event as it is judged: as its record tells it, or with what other records tell of it.

use std::borrow::Cow;
use std::sync::Arc;

use crate::event::{Assumption, Event};

/// The same with more of a call for a role. What was read stays as it is.
pub(super) fn with<'e>(
    event: Cow<'e, Event>,
    more: impl FnOnce(&mut Assumption),
) -> Cow<'e, Event> {
    let mut event = event.into_owned();
    if let Event::Assumption(it) = &mut event {
        more(Arc::make_mut(it));
    }
    Cow::Owned(event)
}
