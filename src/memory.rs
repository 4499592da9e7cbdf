//! The working set: what is remembered between batches, shared by whoever judges and whoever
//! refreshes it, and bounded.

mod bounded;

use std::sync::Arc;

use jiff::Timestamp;

use crate::baseline::{Caller, RoleBaseline};
use crate::event::{EventKey, PrincipalKey};
use crate::id::{AccountId, EventId, RoleArn, RoleKey};
use crate::lineage::{CallId, Place, Session};
use crate::pipeline::Remember;
use crate::state::{Clock, FirstCopy, Lost, Memory, Overlay, TraceBounds, Traces, Waiter};
use crate::trust::History;

use bounded::{Fifo, Weighed};

/// How much is remembered at most.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Values, refusals and folds over all roles; as many over all callers; and as many
    /// statements, principals and conditions over all trust policies. One weighs about 300
    /// bytes, its share of maps and keys included.
    pub weight: usize,
    /// Records remembered for dropping duplicates, and calls for joining their copies.
    pub recent: usize,
    /// Known accounts; as many of ours, names of people, and parties of trust policies.
    pub names: usize,
    /// Live sessions, and calls that wait for the record of theirs.
    pub traces: TraceBounds,
}

impl Bounds {
    /// Bytes of one value of a role's or a caller's baseline, or of a trust policy, with its
    /// share of the tables.
    const PER_VALUE: usize = 300;
    /// Bytes of a record that was read lately, and of the first copy of a call.
    const PER_RECENT: usize = 600;
    /// Bytes of a waiting call.
    const PER_WAITING: usize = 3_000;

    /// The same room for a working set over a shared table: of what was changed, what the table
    /// says is held beside it, so that only the difference is written.
    #[must_use]
    pub fn beside_a_table(self) -> Self {
        Self { weight: self.weight / 2, names: self.names / 2, ..self }
    }

    /// As much as finds room in so many bytes: nearly half of it for baselines, nearly half for
    /// live sessions, and the rest for what is kept for minutes.
    #[must_use]
    pub fn within(bytes: usize) -> Self {
        let part = |percent: usize| bytes / 100 * percent;
        let most = Self::default();
        Self {
            weight: (part(44) / 3 / Self::PER_VALUE).min(most.weight),
            recent: (part(5) / Self::PER_RECENT).min(most.recent),
            names: (part(1) / 100).min(most.names),
            traces: TraceBounds {
                sessions: part(44).min(most.traces.sessions),
                waiting: (part(6) / Self::PER_WAITING).min(most.traces.waiting),
            },
        }
    }
}

impl Default for Bounds {
    /// Half a million values each for roles, callers and trust policies, about 450 MB when all
    /// are full: some twenty thousand roles with three principals and eight networks.
    fn default() -> Self {
        let traces = TraceBounds { sessions: 1_400_000_000, waiting: 20_000 };
        Self { weight: 500_000, recent: 100_000, names: 100_000, traces }
    }
}

/// What is remembered.
#[derive(Debug)]
pub struct WorkingSet {
    bounds: Bounds,
    roles: Weighed<RoleArn, RoleBaseline>,
    callers: Weighed<PrincipalKey, Caller>,
    seen: Fifo<EventKey, ()>,
    copies: Fifo<EventId, Arc<FirstCopy>>,
    accounts: Fifo<AccountId, ()>,
    people: Fifo<Arc<str>, ()>,
    traces: Traces,
    trust: Weighed<RoleKey, History>,
    parties: Fifo<Arc<str>, ()>,
    ours: Fifo<AccountId, ()>,
    evicted: u64,
}

impl Default for WorkingSet {
    fn default() -> Self {
        Self::bounded(Bounds::default())
    }
}

impl WorkingSet {
    /// An empty working set.
    #[must_use]
    pub fn bounded(bounds: Bounds) -> Self {
        Self {
            bounds,
            roles: Weighed::default(),
            callers: Weighed::default(),
            seen: Fifo::default(),
            copies: Fifo::default(),
            accounts: Fifo::default(),
            people: Fifo::default(),
            traces: Traces::default(),
            trust: Weighed::default(),
            parties: Fifo::default(),
            ours: Fifo::default(),
            evicted: 0,
        }
    }

    fn take_in(&mut self, mut overlay: Overlay) {
        overlay.take_copies().for_each(|(id, copy)| self.copies.insert(id, copy));
        overlay.seen.into_iter().for_each(|key| self.seen.insert(key, ()));
        overlay.roles.into_iter().for_each(|(role, it)| self.roles.insert(role, it));
        overlay.callers.into_iter().for_each(|(key, it)| self.callers.insert(key, it));
        overlay.trust.into_iter().for_each(|(role, it)| self.trust.insert(role, it));
        overlay.accounts.into_iter().for_each(|it| self.accounts.insert(it, ()));
        overlay.people.into_iter().for_each(|it| self.people.insert(it, ()));
        overlay.parties.into_iter().for_each(|it| self.parties.insert(it, ()));
        overlay.ours.into_iter().for_each(|it| self.ours.insert(it, ()));
        self.traces.take_in(overlay.traces);
    }

    /// Forgets what has no room, and counts what may be missed.
    fn cut(&mut self) {
        let Bounds { weight, recent, names, traces } = self.bounds;
        // These are kept for minutes, and mostly over by then.
        self.copies.cut(recent);
        self.seen.cut(recent);
        let evicted = self.roles.evict(weight)
            + self.callers.evict(weight)
            + self.trust.evict(weight)
            + self.accounts.cut(names)
            + self.people.cut(names)
            + self.parties.cut(names)
            + self.ours.cut(names);
        self.evicted += evicted;
        self.traces.cut(traces);
    }

    /// Roles, callers, trust policies and names that had to go for want of room.
    #[must_use]
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Everything that had to go for want of room: baselines, names, sessions and waiting calls.
    #[must_use]
    pub fn forgotten(&self) -> u64 {
        let Lost { sessions, waiting, unanswered: _ } = self.lost();
        self.evicted() + sessions + waiting
    }

    /// Sessions and waiting calls that went without having been of use.
    #[must_use]
    pub fn lost(&self) -> Lost {
        self.traces.lost
    }

    /// Prepares for events from `time` on, which may be earlier than what was read before.
    pub fn go_back_to(&mut self, time: Timestamp) {
        self.traces.clock.go_back_to(time);
    }

    /// What all roles, all callers and all trust policies weigh, in values.
    #[must_use]
    pub fn weight(&self) -> [usize; 3] {
        [self.roles.weight(), self.callers.weight(), self.trust.weight()]
    }

    /// All roles, in order.
    #[must_use]
    pub fn roles(&self) -> Vec<(RoleArn, Arc<RoleBaseline>)> {
        self.roles.sorted()
    }

    /// All roles of which a trust policy is remembered, in order.
    #[must_use]
    pub fn trust_policies(&self) -> Vec<(RoleKey, Arc<History>)> {
        self.trust.sorted()
    }

    /// Everything that is remembered, in order.
    #[must_use]
    pub fn parts(&self) -> Parts {
        let copies = self.copies.keys();
        Parts {
            roles: self.roles.sorted(),
            callers: self.callers.sorted(),
            accounts: self.accounts.sorted(),
            people: self.people.sorted(),
            recent: self.seen.keys().cloned().collect(),
            copies: copies.filter_map(|id| Some((id.clone(), self.first_copy(id)?))).collect(),
            sessions: self.traces.sessions.sorted(),
            waiting: self.traces.waiting.sorted(),
            places: self.traces.places.sorted(),
            clock: self.traces.clock.clone(),
            trust: self.trust.sorted(),
            parties: self.parties.sorted(),
            ours: self.ours.sorted(),
        }
    }

    /// A working set that remembers `parts`, within the default bounds.
    #[must_use]
    pub fn of(parts: Parts) -> Self {
        let mut memory = Self::default();
        parts.roles.into_iter().for_each(|(key, value)| memory.roles.insert(key, value));
        parts.callers.into_iter().for_each(|(key, value)| memory.callers.insert(key, value));
        parts.accounts.into_iter().for_each(|it| memory.accounts.insert(it, ()));
        parts.people.into_iter().for_each(|it| memory.people.insert(it, ()));
        parts.recent.into_iter().for_each(|key| memory.seen.insert(key, ()));
        parts.copies.into_iter().for_each(|(id, copy)| memory.copies.insert(id, copy));
        let traces = &mut memory.traces;
        parts.sessions.into_iter().for_each(|(id, it)| traces.sessions.put(id, it));
        parts.waiting.into_iter().for_each(|(id, it)| traces.waiting.put(id, it));
        parts.places.into_iter().for_each(|(id, it)| traces.places.put(id, it));
        traces.clock = parts.clock;
        parts.trust.into_iter().for_each(|(key, value)| memory.trust.insert(key, value));
        parts.parties.into_iter().for_each(|it| memory.parties.insert(it, ()));
        parts.ours.into_iter().for_each(|it| memory.ours.insert(it, ()));
        memory.copies.cut(memory.bounds.recent);
        memory.seen.cut(memory.bounds.recent);
        memory
    }
}

/// Everything that a working set remembers, as values in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parts {
    /// Roles.
    pub roles: Vec<(RoleArn, Arc<RoleBaseline>)>,
    /// Callers.
    pub callers: Vec<(PrincipalKey, Arc<Caller>)>,
    /// Accounts that take part in what is normal.
    pub accounts: Vec<AccountId>,
    /// Names of people.
    pub people: Vec<Arc<str>>,
    /// The records judged last, oldest first.
    pub recent: Vec<EventKey>,
    /// The calls of which copies may still come, oldest first.
    pub copies: Vec<(EventId, Arc<FirstCopy>)>,
    /// Live sessions, the one that ends first first.
    pub sessions: Vec<(CallId, Arc<Session>)>,
    /// Calls that wait for the record of their session.
    pub waiting: Vec<(CallId, Arc<Waiter>)>,
    /// Places of people.
    pub places: Vec<(CallId, Arc<Place>)>,
    /// How far time has come.
    pub clock: Clock,
    /// Trust policies.
    pub trust: Vec<(RoleKey, Arc<History>)>,
    /// Parties that trust policies let in.
    pub parties: Vec<Arc<str>>,
    /// Our accounts.
    pub ours: Vec<AccountId>,
}

impl Remember for WorkingSet {
    fn learn(&mut self, overlay: Overlay) {
        self.take_in(overlay);
    }

    fn commit(&mut self, overlay: Overlay) {
        self.take_in(overlay);
        self.cut();
    }
}

impl Memory for WorkingSet {
    fn role(&self, role: &RoleArn) -> Option<Arc<RoleBaseline>> {
        self.roles.get(role)
    }

    fn caller(&self, caller: &PrincipalKey) -> Option<Arc<Caller>> {
        self.callers.get(caller)
    }

    fn has_seen(&self, key: &EventKey) -> bool {
        self.seen.contains(key)
    }

    fn first_copy(&self, shared_id: &EventId) -> Option<Arc<FirstCopy>> {
        self.copies.get(shared_id).cloned()
    }

    fn knows_account(&self, account: AccountId) -> bool {
        self.accounts.contains(&account)
    }

    fn is_person(&self, name: &str) -> bool {
        self.people.contains(name)
    }

    fn traces(&self) -> &Traces {
        &self.traces
    }

    fn trust(&self, role: &RoleKey) -> Option<Arc<History>> {
        self.trust.get(role)
    }

    fn knows_party(&self, party: &str) -> bool {
        self.parties.contains(party)
    }

    fn is_ours(&self, account: AccountId) -> bool {
        self.ours.contains(&account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Change, State};

    fn key(n: usize) -> EventKey {
        EventKey::Id(None, n.to_string().parse().unwrap())
    }

    #[test]
    fn what_was_seen_is_remembered_within_a_bound() {
        let mut memory = WorkingSet::bounded(Bounds { recent: 100, ..Bounds::default() });
        for n in 0..=100 {
            let mut state = State::over(&memory);
            state.apply(&[Change::Saw(key(n)), Change::Saw(key(n))]);
            assert!(state.has_seen(&key(n)));
            let overlay = state.into_overlay();
            assert!(!memory.has_seen(&key(n)), "nothing reaches the memory before the commit");
            memory.commit(overlay);
        }
        assert!(!memory.has_seen(&key(0)));
        assert!(memory.has_seen(&key(1)) && memory.has_seen(&key(100)));
        assert_eq!(memory.parts().recent.len(), 100);
    }

    #[test]
    fn what_was_learned_for_a_batch_stays_for_the_batch_and_names_that_go_are_counted() {
        let mut memory = WorkingSet::bounded(Bounds { weight: 1, names: 2, ..Bounds::default() });
        let role: RoleArn = "arn:aws:iam::111122223333:role/a".parse().unwrap();
        let mut overlay = Overlay::default();
        overlay.roles.insert(role.clone(), Arc::default());
        let other = "arn:aws:iam::111122223333:role/b".parse().unwrap();
        overlay.roles.insert(other, Arc::default());
        for account in ["111122223333", "444455556666", "777788889999"] {
            overlay.accounts.insert(account.parse().unwrap());
        }
        memory.learn(overlay);
        assert!(memory.role(&role).is_some() && memory.evicted() == 0);
        assert!(memory.knows_account("777788889999".parse().unwrap()));
        memory.commit(Overlay::default());
        assert_eq!(memory.evicted(), 2, "a role and a name");
        assert!(!memory.knows_account("111122223333".parse().unwrap()), "the first one went");
        assert!(memory.knows_account("777788889999".parse().unwrap()));
    }
}
