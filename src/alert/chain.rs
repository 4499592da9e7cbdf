//! The chain of calls that an alert is the end of.

use jiff::Timestamp;
use serde::Serialize;

use super::Alert;
use crate::id::{EventId, RoleArn};
use crate::lineage::{Lineage, Link};
use crate::text::Text;

/// Where a call came from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChainView {
    /// Roles taken one from the other, this one included; at least so many where it is not
    /// complete.
    pub depth: u32,
    /// Whether every call back to the origin was seen.
    pub complete: bool,
    /// Calls between the first link and the second that are not told.
    #[serde(skip_serializing_if = "is_zero")]
    pub omitted: u32,
    /// The calls, origin first. Of one that was not seen there is no more than the role.
    pub links: Vec<LinkView>,
    /// The chain in one line.
    #[serde(skip)]
    pub compact: String,
}

/// One call of a chain.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LinkView {
    /// The role that was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleArn>,
    /// Who took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<Text>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// From where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Text>,
    /// The record that showed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_id: Option<EventId>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl ChainView {
    /// What of a lineage is told.
    #[must_use]
    pub fn of(lineage: &Lineage) -> Self {
        Self {
            depth: lineage.depth,
            complete: lineage.complete,
            omitted: lineage.omitted,
            links: lineage.links.iter().map(|link| link_view(link)).collect(),
            compact: lineage.compact(),
        }
    }
}

fn link_view(link: &Link) -> LinkView {
    LinkView {
        role: link.role.clone(),
        principal: link.principal.clone(),
        time: link.time,
        address: link.address.as_ref().map(|it| Text::clip(&it.to_text())),
        event_id: link.event_id.clone(),
    }
}

impl Alert {
    /// The alert with the chain that it is the end of. An alert that is about no session has none.
    #[must_use]
    pub fn with_chain(self, lineage: Option<&Lineage>) -> Self {
        let chain = lineage.filter(|_| self.session.is_some()).map(ChainView::of);
        Self { chain, ..self }
    }
}
