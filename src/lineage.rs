//! Where a session came from: the calls that led to it, origin first.
//!
//! A session is remembered when its credentials are issued. A later call is joined to it by the
//! access key, which is scoped by the account because key ids repeat; or, for the many callers
//! that do not use the key that was issued (a console, a service, a record without a key), by
//! the role's unique id, the session's name and the second of its creation. The second way is
//! many-to-many, so where it leads to sessions of different descent nobody is chosen: the chain
//! is then incomplete, its depth a lower bound, and it says so.
//!
//! A lineage holds what it needs of its ancestors, so it survives their expiry.

mod id;
mod join;
mod shelf;
mod trace;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::event::{Assumption, Mfa, PrincipalKey, PrincipalKind};
use crate::id::{AccessKeyId, Address, EventId, RoleArn, UniqueId};
use crate::text::Text;

pub use id::{
    CallId, CredentialKey, awaited, findable, issued, next_use, places_of, sharing_a_set, told_by,
    used_by,
};
pub use shelf::{Found, Perishable, Shelf};
pub use trace::{CROWD, Sessions, Trace, origin_of, trace};

/// Most links kept of one chain: the first, and the latest of the others.
pub const MOST_LINKS: usize = 16;

/// How far the clocks of the two accounts' copies of one call differ at most. About a minute
/// was seen.
pub const SKEW: SignedDuration = SignedDuration::from_secs(90);

/// How late a record may come: CloudTrail takes ten minutes at most.
pub const LATENESS: SignedDuration = SignedDuration::from_mins(15);

/// Until when a record may come that is about something else, by the clocks of both.
pub const GRACE: SignedDuration = SignedDuration::from_secs(LATENESS.as_secs() + SKEW.as_secs());

/// The longest that credentials of a role live.
const LONGEST: SignedDuration = SignedDuration::from_hours(12);

/// How long credentials live that a session of another role asked for.
const CHAINED: SignedDuration = SignedDuration::from_hours(1);

/// Bytes of a session without its keys and links, of one of its keys, and of a link without its
/// text, the places in the maps included. Measured in `tests/lineage_memory.rs`.
const PER_SESSION: usize = 550;
const PER_KEY: usize = 130;
const PER_LINK: usize = 300;

/// One call of a chain: somebody took a role. Of a call that was not seen only that is known
/// which its session's later call tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// The role that was taken. Absent where another account's role was not told.
    pub role: Option<RoleArn>,
    /// Its unique id.
    pub role_id: Option<UniqueId>,
    /// What kind of caller took it.
    pub kind: PrincipalKind,
    /// Who took it, in a few words; absent where the call was not seen.
    pub principal: Option<Text>,
    /// When.
    pub time: Option<Timestamp>,
    /// From where: the person's own address where another record told it.
    pub address: Option<Address>,
    /// The record that showed it.
    pub event_id: Option<EventId>,
    /// When the credentials end, at the latest.
    pub expires: Option<Timestamp>,
}

impl Link {
    /// Whether the call itself was seen.
    #[must_use]
    pub fn was_seen(&self) -> bool {
        self.principal.is_some()
    }

    fn weight(&self) -> usize {
        let texts = [
            self.role.as_ref().map(RoleArn::as_str),
            self.role_id.as_ref().map(UniqueId::as_str),
            self.principal.as_ref().map(Text::as_str),
            self.address.as_ref().and_then(Address::as_name),
        ];
        let event_id = self.event_id.as_ref().map_or(0, EventId::text_len);
        PER_LINK + event_id + texts.into_iter().flatten().map(str::len).sum::<usize>()
    }

    /// Whether both are calls for the same role.
    fn is_same_role(&self, other: &Self) -> bool {
        match (&self.role_id, &other.role_id) {
            (Some(one), Some(other)) => one == other,
            _ => self.role.is_some() && self.role == other.role,
        }
    }
}

/// Where a session, or a call for one, comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lineage {
    /// How many roles were taken one from the other, this one included. A lower bound where the
    /// chain is not complete. A role taken by its own session is not counted again.
    pub depth: u32,
    /// Whether every call back to the origin was seen.
    pub complete: bool,
    /// The calls, origin first, this one last; at most [`MOST_LINKS`].
    pub links: Vec<Arc<Link>>,
    /// Calls between the first link and the second that are not kept.
    #[serde(default)]
    pub omitted: u32,
    /// What is known of MFA here: of the call itself, else of its origin.
    pub mfa: Mfa,
    /// Who is at the origin, where it was seen.
    pub origin: Option<PrincipalKey>,
    /// Whether no record that may still come can change any of this.
    #[serde(default)]
    pub settled: bool,
}

impl Lineage {
    /// The first call of the chain that is known.
    #[must_use]
    pub fn first(&self) -> Option<&Link> {
        self.links.first().map(Arc::as_ref)
    }

    /// The call that the lineage is of.
    #[must_use]
    pub fn last(&self) -> Option<&Link> {
        self.links.last().map(Arc::as_ref)
    }

    /// The call that issued the credentials which made this call.
    #[must_use]
    pub fn parent(&self) -> Option<&Link> {
        let nth = self.links.len().checked_sub(2)?;
        self.links.get(nth).map(Arc::as_ref)
    }

    /// The earlier call for the same role, with another role between the two: `A → B → A`.
    #[must_use]
    pub fn returns_to(&self) -> Option<&Link> {
        let (last, before) = self.links.split_last()?;
        let away = before.iter().rposition(|link| !link.is_same_role(last))?;
        before.iter().take(away).map(Arc::as_ref).find(|link| link.is_same_role(last))
    }

    /// How often the last role of the chain was taken by its own session, in a row.
    #[must_use]
    pub fn renewals(&self) -> usize {
        let Some((last, before)) = self.links.split_last() else { return 0 };
        before.iter().rev().take_while(|link| link.is_same_role(last)).count()
    }

    /// When the first session that was seen ended, if it had ended when a later session of the
    /// chain made this call: the lineage is kept alive by taking roles in turn. What a session
    /// does itself is no proof that it had ended.
    #[must_use]
    pub fn outlived(&self) -> Option<Timestamp> {
        let (last, before) = self.links.split_last()?;
        let (_maker, before) = before.split_last()?;
        let expires = before.iter().find(|link| link.was_seen())?.expires?;
        (last.time?.duration_since(expires) > SKEW).then_some(expires)
    }

    /// The chain in one line: `alice@198.51.100.7 → Dev → Deploy → ProdAdmin`. It holds text
    /// from a log.
    #[must_use]
    pub fn compact(&self) -> String {
        let mut parts = Vec::with_capacity(self.links.len() + 2);
        match self.first() {
            Some(first) if first.was_seen() => parts.push(origin(first)),
            _ => parts.push("…".to_owned()),
        }
        for (n, link) in self.links.iter().enumerate() {
            if n == 1 && self.omitted > 0 {
                parts.push(format!("({} more)", self.omitted));
            }
            parts.push(link.role.as_ref().map_or("?", RoleArn::name).to_owned());
        }
        // A name may hold an arrow, and feign a hop.
        parts.iter_mut().for_each(|part| *part = part.replace('→', "\\u{2192}"));
        parts.join(" → ")
    }

    /// Whether `now` tells another origin than this, or one that this did not know.
    #[must_use]
    pub fn tells_otherwise(&self, now: &Self) -> bool {
        let first =
            |it: &Self| it.first().map(|link| (link.principal.clone(), link.event_id.clone()));
        self.complete != now.complete || (self.complete && first(self) != first(now))
    }

    /// Whether both lineages are of calls with the same descent.
    fn has_same_parents(&self, other: &Self) -> bool {
        let parents = |it: &Self| it.links.len().saturating_sub(1);
        let callers = |it: &Self| {
            let last = it.last()?;
            Some((last.kind, last.principal.clone(), last.address.clone(), it.mfa))
        };
        (self.depth, self.complete, self.omitted) == (other.depth, other.complete, other.omitted)
            && callers(self) == callers(other)
            && self.links.iter().take(parents(self)).eq(other.links.iter().take(parents(other)))
    }
}

fn origin(first: &Link) -> String {
    let who = first.principal.as_ref().map_or("?", Text::as_str);
    match first.address.as_ref().map(Address::to_text) {
        Some(address) if !address.is_empty() && address != who => format!("{who}@{address}"),
        _ => who.to_owned(),
    }
}

/// A session whose credentials were issued.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Under what later calls may be found to be its.
    pub keys: Vec<CredentialKey>,
    /// The issued key.
    pub access_key_id: Option<AccessKeyId>,
    /// When nobody can use it any more.
    pub expires: Timestamp,
    /// Whether its holder is given other keys than the one that was issued: at a console, or by
    /// a service.
    pub changes_keys: bool,
    /// Whether the record named its caller in full.
    pub is_full: bool,
    /// Whether one of the keys is the session's name.
    pub is_named: bool,
    /// The one of the keys that it shares with everybody who uses a permission set then.
    pub set: Option<CredentialKey>,
    /// Where it came from. The call that opened it may wait with the same.
    pub lineage: Arc<Lineage>,
}

impl Session {
    /// The session that a granted call for a role opened; `None` for a refusal, and where no
    /// later call could be found to be its.
    #[must_use]
    pub fn issued(it: &Assumption, lineage: &Arc<Lineage>) -> Option<Self> {
        if !it.call.granted() || it.role().is_none() {
            return None;
        }
        let keys = issued(it);
        let kind = it.call.principal.kind;
        (!keys.is_empty()).then(|| Self {
            keys,
            access_key_id: it.session.access_key_id.clone(),
            expires: expires(it, lineage.depth),
            changes_keys: id::changes_keys(it),
            is_full: kind != PrincipalKind::AwsAccount,
            is_named: it.session.name.is_some(),
            set: sharing_a_set(it),
            lineage: Arc::clone(lineage),
        })
    }

    /// When it was opened.
    #[must_use]
    pub fn created(&self) -> Option<Timestamp> {
        self.lineage.last()?.time
    }

    /// What this and what is found later tell together: the fuller record of a call stands, for
    /// the session is as old as that one says, and what is found later of the same one knows more.
    #[must_use]
    pub fn renewed_by(&self, later: &Self) -> Self {
        let (full, poor) =
            if later.is_full >= self.is_full { (later, self) } else { (self, later) };
        Self { expires: full.expires.max(poor.expires), ..full.clone() }
    }

    /// What two environments know of one session: what the one knows that knows more.
    #[must_use]
    pub fn join(&self, other: &Self) -> Self {
        let rank = |it: &Self| {
            let lineage = &it.lineage;
            (it.is_full, lineage.complete, lineage.settled, lineage.depth, lineage.links.len())
        };
        // Either may be the one that asks, so that it has to be the same whoever does.
        let words = |it: &Self| serde_json::to_string(it).unwrap_or_default();
        let order = rank(self).cmp(&rank(other));
        let is_more = order.then_with(|| words(self).cmp(&words(other))).is_gt();
        let (more, less) = if is_more { (self, other) } else { (other, self) };
        Self { expires: more.expires.max(less.expires), ..more.clone() }
    }

    /// Whether another record may tell more of where it came from.
    #[must_use]
    pub fn lacks_something(&self) -> bool {
        !self.is_full || !self.lineage.complete
    }
}

/// When the credentials of a granted call end: as the record says, and not later than they can.
fn expires(it: &Assumption, depth: u32) -> Timestamp {
    let latest = it.call.time + LONGEST;
    // The console renews what it was issued for as long as the role allows.
    if it.call.address.is_internal() && it.call.principal.kind != PrincipalKind::Service {
        return latest;
    }
    let unsaid = if depth > 1 { it.call.time + CHAINED } else { latest };
    it.session.expires.unwrap_or(unsaid).clamp(it.call.time, latest)
}

impl Perishable for Session {
    fn until(&self) -> Timestamp {
        self.expires + GRACE
    }

    /// Bytes in memory, at most: as if no link were shared with another session.
    fn weight(&self) -> usize {
        let links = self.lineage.links.iter().map(|link| link.weight());
        PER_SESSION + PER_KEY * self.keys.len() + links.sum::<usize>()
    }

    fn keys(&self) -> &[CredentialKey] {
        &self.keys
    }
}

/// Where a person was when a session of theirs was opened from inside AWS: told by `SwitchRole`
/// and `ConsoleLogin`, and by Identity Center.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// What it is about.
    pub keys: Vec<CredentialKey>,
    /// When it was told.
    pub time: Timestamp,
    /// The address.
    pub address: Address,
    /// The browser or tool.
    pub user_agent: Text,
    /// Whose it is, where the record tells: the principal that switched role.
    pub of: Option<Text>,
}

impl Perishable for Place {
    fn until(&self) -> Timestamp {
        self.time + GRACE
    }

    fn keys(&self) -> &[CredentialKey] {
        &self.keys
    }
}
