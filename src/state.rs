//! Everything that a decision may depend on, as values; and the changes a decision asks for.
//!
//! Judging reads a [`State`] and changes nothing. What it wants remembered it returns as
//! [`Changes`]. A state is an overlay: what a batch has changed so far, over a [`Memory`] that
//! knows nothing of it until the batch's alerts are out and the overlay is committed.

mod copies;
mod traces;

use std::collections::BTreeSet;
use std::hash::Hash;
use std::sync::Arc;

use jiff::Timestamp;

use crate::baseline::{Caller, FoldKey, Folds, Label, Repeat, RoleBaseline, Value};
use crate::event::{CallerClass, EventKey, PrincipalKey};
use crate::id::{AccountId, EventId, Network, RoleArn, RoleKey, UniqueId};
use crate::lineage::{CallId, CredentialKey, Place, Session, Sessions};
use crate::map::{Map, Set};
use crate::severity::Severity;
use crate::trust::{History, Moment, Version};

pub use copies::{FirstCopy, SharedCall};
use traces::View;
pub use traces::{Clock, Lost, TraceBounds, TraceChanges, Traces, Waiter};

/// What is remembered from one batch to the next.
pub trait Memory {
    /// What is normal for a role.
    fn role(&self, role: &RoleArn) -> Option<Arc<RoleBaseline>>;
    /// What is normal for a caller.
    fn caller(&self, caller: &PrincipalKey) -> Option<Arc<Caller>>;
    /// Whether a record was judged before.
    fn has_seen(&self, key: &EventKey) -> bool;
    /// The first copy of a call that several accounts receive, by its shared event id.
    fn first_copy(&self, shared_id: &EventId) -> Option<Arc<FirstCopy>>;
    /// Whether somebody of the account was ever seen to take a role, or to receive records.
    fn knows_account(&self, account: AccountId) -> bool;
    /// Whether this, in lower case, is a name that people go by.
    fn is_person(&self, name: &str) -> bool;
    /// Sessions, and what waits for them.
    fn traces(&self) -> &Traces;
    /// The trust policies of a role.
    fn trust(&self, role: &RoleKey) -> Option<Arc<History>>;
    /// Whether a trust policy that raised no alert lets this party in: `account:444455556666`,
    /// or a name of [`crate::trust::trusted_parties`].
    fn knows_party(&self, party: &str) -> bool;
    /// Whether the account is one of ours: records of its own trail have come.
    fn is_ours(&self, account: AccountId) -> bool;
}

/// Whose folds an alert is kept with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An alert on a role.
    Role(RoleArn),
    /// An alert that is about a caller and no role.
    Caller(PrincipalKey),
}

/// One thing to remember.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The record was seen.
    Saw(EventKey),
    /// A copy of a call was judged that other accounts may have copies of.
    SawCopy {
        /// What the copies share.
        shared_id: EventId,
        /// What was found so far.
        copy: Arc<FirstCopy>,
    },
    /// A call taught a role's baseline.
    LearnRole {
        /// The role.
        role: RoleArn,
        /// Its unique id, where the call told it.
        id: Option<UniqueId>,
        /// The class of the caller.
        class: CallerClass,
        /// What it taught.
        values: Vec<Value>,
        /// When the call was made.
        time: Timestamp,
    },
    /// A call taught a caller's baseline.
    LearnCaller {
        /// The caller.
        caller: PrincipalKey,
        /// What it taught.
        values: Vec<Value>,
        /// When the call was made.
        time: Timestamp,
    },
    /// A record told what a caller is called.
    Name {
        /// The caller.
        caller: PrincipalKey,
        /// What it is called.
        label: Label,
    },
    /// A caller made a session for itself.
    SignedIn {
        /// The caller.
        caller: PrincipalKey,
        /// When.
        time: Timestamp,
        /// From where.
        network: Network,
    },
    /// A caller was refused a role.
    Refused {
        /// The caller.
        caller: PrincipalKey,
        /// The role.
        role: RoleArn,
        /// When.
        time: Timestamp,
        /// The mark of the record that says so.
        mark: u32,
    },
    /// An event of this time was judged.
    Reached(Timestamp),
    /// A session was opened, or more is known of it.
    Issued(CallId, Arc<Session>),
    /// A call waits for what is missing of its chain.
    Waits(CallId, Arc<Waiter>),
    /// Nothing is missing any more.
    Answered(CallId),
    /// A record told where a person was.
    Told(CallId, Arc<Place>),
    /// A role's trust policy was written, or the role deleted.
    Write {
        /// The role.
        role: RoleKey,
        /// When, and by which record.
        moment: Moment,
        /// What was written.
        version: Arc<Version>,
    },
    /// A grant showed that a remembered policy is not what is in force.
    Refute {
        /// The role.
        role: RoleKey,
        /// The policy.
        moment: Moment,
        /// When the grant was.
        time: Timestamp,
    },
    /// A record told a role's ARN.
    NameRole {
        /// The role.
        role: RoleKey,
        /// Its ARN.
        arn: RoleArn,
    },
    /// A trust policy lets this party in.
    KnowParty(Arc<str>),
    /// A record of the account's own trail came.
    Own(AccountId),
    /// An account takes part in what is normal.
    KnowAccount(AccountId),
    /// A person goes by this name, in lower case.
    KnowPerson(Arc<str>),
    /// An alert was raised, and sent or counted as a repeat.
    Fold {
        /// Whose.
        subject: Subject,
        /// The kind.
        key: FoldKey,
        /// How urgent it was.
        severity: Severity,
        /// When the call was made.
        time: Timestamp,
        /// Which record it was about.
        event_id: Option<EventId>,
        /// What was done with it.
        repeat: Repeat,
    },
}

/// What one decision asks to be remembered.
pub type Changes = Vec<Change>;

/// What a batch has changed, for a memory to take in.
#[derive(Debug, Clone, Default)]
pub struct Overlay {
    /// Roles, as they are now.
    pub roles: Map<RoleArn, Arc<RoleBaseline>>,
    /// Callers, as they are now.
    pub callers: Map<PrincipalKey, Arc<Caller>>,
    /// Records judged, in order.
    pub seen: Vec<EventKey>,
    seen_index: Set<EventKey>,
    /// First copies, as they are now, in the order in which they came.
    pub copies: Vec<EventId>,
    copy_index: Map<EventId, Arc<FirstCopy>>,
    /// Accounts that were not known.
    pub accounts: BTreeSet<AccountId>,
    /// Names of people that were not known.
    pub people: BTreeSet<Arc<str>>,
    /// Sessions, and what waits for them.
    pub traces: TraceChanges,
    /// Trust policies, as they are now.
    pub trust: Map<RoleKey, Arc<History>>,
    /// Parties that trust policies let in, and that were not known.
    pub parties: BTreeSet<Arc<str>>,
    /// Accounts that were not known to be ours.
    pub ours: BTreeSet<AccountId>,
    /// Copies that somebody else saved while this batch was judged.
    crossed: Vec<(EventId, Arc<FirstCopy>)>,
}

impl Overlay {
    /// Takes out the baselines, and what others have saved, and leaves the rest.
    #[must_use]
    pub fn take_baselines(&mut self) -> Self {
        let (roles, callers) = (std::mem::take(&mut self.roles), std::mem::take(&mut self.callers));
        let trust = std::mem::take(&mut self.trust);
        let crossed = std::mem::take(&mut self.crossed);
        let copies = crossed.iter().map(|(id, _)| id.clone()).collect();
        let copy_index = crossed.into_iter().collect();
        Self { roles, callers, trust, copies, copy_index, ..Self::default() }
    }

    /// Puts the first copy that somebody else saved meanwhile in the place of this batch's.
    pub fn cross(&mut self, shared_id: EventId, theirs: &FirstCopy) {
        self.copies.retain(|it| *it != shared_id);
        self.copy_index.remove(&shared_id);
        let theirs = FirstCopy { crossed: true, ..theirs.clone() };
        self.crossed.push((shared_id, Arc::new(theirs)));
    }

    /// Takes out the first copies that this batch has changed, in the order in which they came.
    pub fn take_copies(&mut self) -> impl Iterator<Item = (EventId, Arc<FirstCopy>)> {
        let index = &mut self.copy_index;
        self.copies.drain(..).filter_map(|id| index.remove_entry(&id))
    }

    /// A first copy that this batch has changed.
    #[must_use]
    pub fn first_copy(&self, shared_id: &EventId) -> Option<&Arc<FirstCopy>> {
        self.copy_index.get(shared_id)
    }
}

/// What is remembered, with what the running batch has changed.
pub struct State<'m> {
    memory: &'m dyn Memory,
    overlay: Overlay,
    /// How far time has come, the overlay included.
    clock: Clock,
}

impl<'m> State<'m> {
    /// A state that knows what `memory` knows.
    #[must_use]
    pub fn over(memory: &'m dyn Memory) -> Self {
        Self { memory, overlay: Overlay::default(), clock: memory.traces().clock.clone() }
    }

    /// The same with what was read before: no event of it has moved the time.
    #[must_use]
    pub fn resumed(memory: &'m dyn Memory, overlay: Overlay) -> Self {
        Self { memory, overlay, clock: memory.traces().clock.clone() }
    }

    /// The same with room for what so many events change.
    #[must_use]
    pub fn over_with_room(memory: &'m dyn Memory, events: usize) -> Self {
        /// Those of one batch mostly have fewer roles, and fewer callers.
        const MOST: usize = 256;
        let room = events.min(MOST);
        let mut state = Self::over(memory);
        state.overlay.seen.reserve(room);
        state.overlay.seen_index.reserve(room);
        state.overlay.roles.reserve(room);
        state.overlay.callers.reserve(room);
        state.overlay.traces.reserve(room);
        state
    }

    /// What is normal for a role.
    #[must_use]
    pub fn role(&self, role: &RoleArn) -> Option<Arc<RoleBaseline>> {
        self.overlay.roles.get(role).cloned().or_else(|| self.memory.role(role))
    }

    /// What is normal for a caller.
    #[must_use]
    pub fn caller(&self, caller: &PrincipalKey) -> Option<Arc<Caller>> {
        self.overlay.callers.get(caller).cloned().or_else(|| self.memory.caller(caller))
    }

    /// Whether a record was judged before.
    #[must_use]
    pub fn has_seen(&self, key: &EventKey) -> bool {
        self.overlay.seen_index.contains(key) || self.memory.has_seen(key)
    }

    /// The first copy of a call that several accounts receive.
    #[must_use]
    pub fn first_copy(&self, shared_id: &EventId) -> Option<Arc<FirstCopy>> {
        let changed = self.overlay.first_copy(shared_id).cloned();
        changed.or_else(|| self.memory.first_copy(shared_id))
    }

    /// Whether the account takes part in what is normal.
    #[must_use]
    pub fn knows_account(&self, account: AccountId) -> bool {
        self.overlay.accounts.contains(&account) || self.memory.knows_account(account)
    }

    /// Whether this, in lower case, is a name that people go by.
    #[must_use]
    pub fn is_person(&self, name: &str) -> bool {
        self.overlay.people.contains(name) || self.memory.is_person(name)
    }

    /// The trust policies of a role.
    #[must_use]
    pub fn trust(&self, role: &RoleKey) -> Option<Arc<History>> {
        self.overlay.trust.get(role).cloned().or_else(|| self.memory.trust(role))
    }

    /// Whether a trust policy that raised no alert lets this party in.
    #[must_use]
    pub fn knows_party(&self, party: &str) -> bool {
        self.overlay.parties.contains(party) || self.memory.knows_party(party)
    }

    /// Whether the account is one of ours.
    #[must_use]
    pub fn is_ours(&self, account: AccountId) -> bool {
        self.overlay.ours.contains(&account) || self.memory.is_ours(account)
    }

    /// The session that a call opened.
    #[must_use]
    pub fn session(&self, id: &CallId) -> Option<Arc<Session>> {
        self.traces().session(id)
    }

    /// A call that waits.
    #[must_use]
    pub fn waiter(&self, id: &CallId) -> Option<Arc<Waiter>> {
        self.traces().waiter(id)
    }

    /// The calls that wait under a key; one that does both in the memory and anew comes twice.
    pub fn waiting_under(&self, key: &CredentialKey) -> impl Iterator<Item = CallId> {
        let (new, old) = (&self.overlay.traces, &self.memory.traces().waiting);
        new.waiting_under(key).iter().chain(old.under(key)).copied()
    }

    fn traces(&self) -> View<'_> {
        let now = self.clock.now();
        View { memory: self.memory.traces(), changes: &self.overlay.traces, now }
    }

    /// Takes in what a decision asked for. Nothing of it reaches the memory.
    pub fn apply(&mut self, changes: &[Change]) {
        changes.iter().for_each(|change| self.apply_one(change));
    }

    /// What was changed, for the memory to take in.
    #[must_use]
    pub fn into_overlay(self) -> Overlay {
        self.overlay
    }

    fn apply_one(&mut self, change: &Change) {
        match change {
            Change::Saw(key) => {
                if self.overlay.seen_index.insert(key.clone()) {
                    self.overlay.seen.push(key.clone());
                }
            }
            Change::SawCopy { shared_id, copy } => {
                let copy = Arc::clone(copy);
                let known = self.overlay.copy_index.insert(shared_id.clone(), copy);
                if known.is_none() {
                    self.overlay.copies.push(shared_id.clone());
                }
            }
            Change::LearnRole { role, id, class, values, time } => {
                self.change_role(role, |it| it.learn(id.as_ref(), *class, values, *time));
            }
            Change::LearnCaller { caller, values, time } => {
                self.change_caller(caller, |it| it.learn(values, *time));
            }
            Change::Name { caller, label } => {
                self.change_caller(caller, |it| it.name(label.clone()));
            }
            Change::SignedIn { caller, time, network } => {
                self.change_caller(caller, |it| it.sign_in(*time, network.clone()));
            }
            Change::Refused { caller, role, time, mark } => {
                self.change_caller(caller, |it| it.denials.record(role, *time, *mark));
            }
            Change::Reached(time) => {
                self.clock.reach(*time);
                self.overlay.traces.reach(*time);
            }
            Change::Issued(id, session) => self.overlay.traces.issue(*id, Arc::clone(session)),
            Change::Waits(id, waiter) => self.overlay.traces.wait(*id, Arc::clone(waiter)),
            Change::Answered(id) => self.overlay.traces.answer(*id),
            Change::Told(id, place) => self.overlay.traces.tell(*id, Arc::clone(place)),
            Change::Write { role, moment, version } => {
                let version = Version::clone(version);
                self.change_trust(role, |it| it.write(moment.clone(), version));
            }
            Change::Refute { role, moment, time } => {
                self.change_trust(role, |it| it.refute(moment, *time));
            }
            Change::NameRole { role, arn } => {
                self.change_trust(role, |it| it.name(arn.clone()));
            }
            Change::KnowParty(party) => drop(self.overlay.parties.insert(Arc::clone(party))),
            Change::Own(account) => drop(self.overlay.ours.insert(*account)),
            Change::KnowAccount(account) => drop(self.overlay.accounts.insert(*account)),
            Change::KnowPerson(name) => drop(self.overlay.people.insert(Arc::clone(name))),
            Change::Fold { subject, key, severity, time, event_id, repeat } => {
                let record = |folds: &mut Folds| {
                    folds.record(key, *severity, *time, event_id.as_ref(), repeat);
                };
                match subject {
                    Subject::Role(role) => self.change_role(role, |it| record(&mut it.folds)),
                    Subject::Caller(caller) => {
                        self.change_caller(caller, |it| record(&mut it.folds));
                    }
                }
            }
        }
    }

    fn change_role(&mut self, role: &RoleArn, change: impl FnOnce(&mut RoleBaseline)) {
        changed(&mut self.overlay.roles, role, || self.memory.role(role), change);
    }

    fn change_trust(&mut self, role: &RoleKey, change: impl FnOnce(&mut History)) {
        changed(&mut self.overlay.trust, role, || self.memory.trust(role), change);
    }

    fn change_caller(&mut self, caller: &PrincipalKey, change: impl FnOnce(&mut Caller)) {
        changed(&mut self.overlay.callers, caller, || self.memory.caller(caller), change);
    }
}

/// Changes what a batch has of a key, which begins with what was `known` before. Most keys are
/// there already, and are not taken a share of to find that.
fn changed<K: Clone + Eq + Hash, V: Clone + Default>(
    overlay: &mut Map<K, Arc<V>>,
    key: &K,
    known: impl FnOnce() -> Option<Arc<V>>,
    change: impl FnOnce(&mut V),
) {
    if let Some(shared) = overlay.get_mut(key) {
        return change(Arc::make_mut(shared));
    }
    let mut shared = known().unwrap_or_default();
    change(Arc::make_mut(&mut shared));
    overlay.insert(key.clone(), shared);
}

impl Sessions for State<'_> {
    fn issued_under(&self, key: &CredentialKey) -> Vec<Arc<Session>> {
        self.traces().sessions(key)
    }

    fn count_under(&self, key: &CredentialKey) -> usize {
        self.traces().count(key)
    }

    fn places_under(&self, key: &CredentialKey) -> Vec<Arc<Place>> {
        self.traces().places(key)
    }
}
