//! What is remembered of a role's trust policy: the versions that were written last.
//!
//! A history is a set of versions by the moment of their writing, so two copies of it join in
//! any order, any number of times, to the same history, and a record that comes late takes its
//! place. It keeps the last [`History::VERSIONS`], and beside them the last one that raised no
//! alert: what a policy explains is measured against that one, however often it was rewritten.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::TrustPolicy;
use crate::event::PrincipalKey;
use crate::id::{RoleArn, UniqueId};
use crate::severity::Severity;
use crate::text::Text;

/// How long IAM takes at most until a changed policy is enforced everywhere. It says "seconds";
/// minutes were seen.
pub const PROPAGATION: SignedDuration = SignedDuration::from_mins(5);

/// When a version was written, and by which record: what tells two versions apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Moment {
    /// When.
    pub time: Timestamp,
    /// The id of alerts about the call, or `import`.
    pub record: Text,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// The role was deleted.
    Deleted,
    /// A policy that could not be read.
    Unreadable,
    /// A policy.
    Policy(Arc<TrustPolicy>),
}

/// By what a policy was weakened, so far as an alert said so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Weakening {
    /// When.
    pub time: Timestamp,
    /// How much it matters.
    pub severity: Severity,
    /// By whom, in a few words. It is text of a log.
    pub by: Text,
    /// The id of the alert.
    pub alert: Text,
    /// What was opened, in words.
    pub words: Text,
}

/// One version of a role's trust policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version {
    /// What was written.
    pub content: Content,
    /// The role's unique id, where the record told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_id: Option<UniqueId>,
    /// Who wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer: Option<PrincipalKey>,
    /// Who wrote it, in a few words. It is text of a log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Text>,
    /// The alert that it raised, or that an earlier version did which it is no narrower than.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weakening: Option<Weakening>,
    /// When a grant showed that another policy was in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refuted: Option<Timestamp>,
}

impl Version {
    /// A version of which nothing else is known.
    #[must_use]
    pub fn of(content: Content) -> Self {
        let (role_id, writer, by, weakening, refuted) = (None, None, None, None, None);
        Self { content, role_id, writer, by, weakening, refuted }
    }

    /// The policy, where it could be read.
    #[must_use]
    pub fn policy(&self) -> Option<&Arc<TrustPolicy>> {
        match &self.content {
            Content::Policy(policy) => Some(policy),
            Content::Deleted | Content::Unreadable => None,
        }
    }

    /// What both copies of one version know.
    fn join(&mut self, other: &Self) {
        let Self { content, role_id, writer, by, weakening, refuted } = other.clone();
        let older = |mine: &Content| *mine < content;
        if older(&self.content) {
            self.content = content;
        }
        self.role_id = self.role_id.take().max(role_id);
        self.writer = self.writer.take().max(writer);
        self.by = self.by.take().max(by);
        self.weakening = self.weakening.take().max(weakening);
        self.refuted = self.refuted.max(refuted);
    }

    fn weight(&self) -> usize {
        1 + self.policy().map_or(0, |policy| policy.weight())
    }
}

/// The versions of one role's trust policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The role's ARN, which an update does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    arn: Option<RoleArn>,
    #[serde(with = "as_list")]
    versions: BTreeMap<Moment, Version>,
    /// The last policy that raised no alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    clean: Option<(Moment, Version)>,
}

impl History {
    /// Versions kept.
    pub const VERSIONS: usize = 4;

    /// The role's ARN, where a record told it.
    #[must_use]
    pub fn arn(&self) -> Option<&RoleArn> {
        self.arn.as_ref()
    }

    /// Takes in what the role's ARN is. Of two, which only a forged record can tell, the
    /// greater stands.
    pub fn name(&mut self, arn: RoleArn) {
        self.arn = self.arn.take().max(Some(arn));
    }

    /// Takes in a version.
    pub fn write(&mut self, moment: Moment, version: Version) {
        if version.policy().is_some() && version.weakening.is_none() {
            let candidate = Some((moment.clone(), version.clone()));
            match &mut self.clean {
                Some((at, known)) if *at == moment => known.join(&version),
                clean => *clean = clean.take().max(candidate),
            }
        }
        match self.versions.get_mut(&moment) {
            Some(known) => known.join(&version),
            None => drop(self.versions.insert(moment, version)),
        }
        while self.versions.len() > Self::VERSIONS {
            self.versions.pop_first();
        }
    }

    /// The last version written before a moment, for comparing with what is written then.
    #[must_use]
    pub fn before(&self, moment: &Moment) -> Option<&Version> {
        self.versions.range(..moment).next_back().map(|(_, version)| version)
    }

    /// When the last policy before a moment was written.
    #[must_use]
    pub fn time_before(&self, moment: &Moment) -> Option<Timestamp> {
        let mut earlier = self.versions.range(..moment).rev();
        let kept = earlier.find(|(_, it)| it.policy().is_some()).map(|(at, _)| at.time);
        let clean = self.clean.as_ref().filter(|(at, _)| at < moment);
        kept.or_else(|| clean.map(|(at, _)| at.time))
    }

    /// The last policy before a moment that raised no alert.
    #[must_use]
    pub fn clean_before(&self, moment: &Moment) -> Option<&Version> {
        self.clean.as_ref().filter(|(at, _)| at < moment).map(|(_, version)| version)
    }

    /// The last policy written before a moment, deletions and what could not be read apart: what
    /// a role that is made again is compared with.
    #[must_use]
    pub fn policy_before(&self, moment: &Moment) -> Option<&Version> {
        let mut earlier = self.versions.range(..moment).rev().map(|(_, version)| version);
        earlier.find(|it| it.policy().is_some()).or_else(|| self.clean_before(moment))
    }

    /// Whether the role was deleted since the last policy before a moment.
    #[must_use]
    pub fn was_deleted_before(&self, moment: &Moment) -> bool {
        let earlier = self.versions.range(..moment).rev().map(|(_, version)| &version.content);
        let mut since = earlier.take_while(|it| !matches!(it, Content::Policy(_)));
        since.any(|it| *it == Content::Deleted)
    }

    /// The versions that may have been in force at a time, the likeliest first: the last one
    /// written, and the one before it while IAM may still enforce that.
    #[must_use]
    pub fn in_force(&self, time: Timestamp) -> Vec<(&Moment, &Version)> {
        let mut earlier = self.versions.iter().rev().filter(|(at, _)| at.time <= time);
        let Some(last) = earlier.next() else { return Vec::new() };
        let is_fresh = time.duration_since(last.0.time) < PROPAGATION;
        let before = earlier.next().filter(|_| is_fresh);
        [Some(last), before].into_iter().flatten().collect()
    }

    /// The version written last.
    #[must_use]
    pub fn last(&self) -> Option<(&Moment, &Version)> {
        self.versions.last_key_value()
    }

    /// When the role was deleted, if that is the last that is known of it.
    #[must_use]
    pub fn deleted(&self) -> Option<Timestamp> {
        let (moment, version) = self.last()?;
        (version.content == Content::Deleted).then_some(moment.time)
    }

    /// Forgets all but the last `most` versions, and the last one that raised no alert.
    pub fn shrink(&mut self, most: usize) {
        while self.versions.len() > most.max(1) {
            self.versions.pop_first();
        }
    }

    /// Notes that a version was not what was in force.
    pub fn refute(&mut self, moment: &Moment, time: Timestamp) {
        if let Some(version) = self.versions.get_mut(moment) {
            version.refuted = version.refuted.max(Some(time));
        }
    }

    /// Statements, conditions and values kept: what the history weighs in memory.
    #[must_use]
    pub fn weight(&self) -> usize {
        let clean = self.clean.as_ref().map_or(0, |(_, version)| version.weight());
        1 + clean + self.versions.values().map(Version::weight).sum::<usize>()
    }

    /// When it was last written, for deciding which history goes first.
    #[must_use]
    pub fn last_active(&self) -> Option<Timestamp> {
        self.last().map(|(moment, _)| moment.time)
    }

    /// Takes in what another copy of the same history knows.
    pub fn join(&mut self, other: &Self) {
        self.arn = self.arn.take().max(other.arn.clone());
        for (moment, version) in &other.versions {
            match self.versions.get_mut(moment) {
                Some(known) => known.join(version),
                None => drop(self.versions.insert(moment.clone(), version.clone())),
            }
        }
        while self.versions.len() > Self::VERSIONS {
            self.versions.pop_first();
        }
        match (&mut self.clean, &other.clean) {
            (Some((mine, known)), Some((theirs, version))) if mine == theirs => known.join(version),
            (clean, theirs) => *clean = clean.take().max(theirs.clone()),
        }
    }
}

/// A map whose keys are no texts, as a list of pairs.
mod as_list {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Moment, Version};

    pub(super) fn serialize<S: Serializer>(
        versions: &BTreeMap<Moment, Version>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(versions)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Moment, Version>, D::Error> {
        let pairs: Vec<(Moment, Version)> = Vec::deserialize(deserializer)?;
        Ok(pairs.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    fn moment(second: i64, record: &str) -> Moment {
        let time = Timestamp::from_second(1_767_225_600 + second).unwrap();
        Moment { time, record: Text::clip(record) }
    }

    fn version(account: u8, is_weak: bool) -> Version {
        let json = format!(
            r#"{{"Statement":{{"Effect":"Allow","Principal":{{"AWS":"{account:012}"}},"Action":"*"}}}}"#
        );
        let policy = Arc::new(TrustPolicy::read(&json).unwrap());
        let weakening = Weakening {
            time: moment(0, "").time,
            severity: Severity::High,
            by: Text::clip("eve"),
            alert: Text::clip("a"),
            words: Text::clip("w"),
        };
        Version { weakening: is_weak.then_some(weakening), ..Version::of(Content::Policy(policy)) }
    }

    #[test]
    fn a_late_version_takes_its_place_and_the_last_clean_one_is_kept() {
        let mut history = History::default();
        history.write(moment(0, "first"), version(1, false));
        for second in 2..10 {
            history.write(moment(second, "later"), version(2, true));
        }
        history.write(moment(5, "late"), version(3, true));
        let now = moment(20, "now");
        assert_eq!(history.versions.len(), History::VERSIONS);
        assert_eq!(history.before(&now), Some(&version(2, true)));
        assert_eq!(history.clean_before(&now), Some(&version(1, false)));
        assert_eq!(history.before(&moment(6, "")), None, "what is gone is not made up");
    }

    #[test]
    fn while_iam_may_not_have_heard_both_policies_are_in_force() {
        let mut history = History::default();
        history.write(moment(0, "a"), version(1, false));
        history.write(moment(1_000, "b"), version(2, false));
        let at = |second| history.in_force(moment(second, "").time).len();
        assert_eq!((at(-1), at(0), at(1_000), at(1_299), at(1_300)), (0, 1, 2, 2, 1));
    }

    fn history() -> impl Strategy<Value = History> {
        let write = (0_i64..6, 0_u8..3, any::<bool>(), any::<bool>(), 0_u8..3);
        prop::collection::vec(write, 0..8).prop_map(|writes| {
            let mut history = History::default();
            for (second, account, is_weak, is_refuted, kind) in writes {
                let moment = moment(second, "r");
                let version = match kind {
                    0 => Version::of(Content::Deleted),
                    _ => version(account, is_weak),
                };
                history.write(moment.clone(), version);
                if is_refuted {
                    history.refute(&moment, moment.time);
                }
            }
            history
        })
    }

    fn joined(one: &History, other: &History) -> History {
        let mut joined = one.clone();
        joined.join(other);
        joined
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 2_000,
            rng_seed: RngSeed::Fixed(4_713),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn histories_join(a in history(), b in history(), c in history()) {
            prop_assert_eq!(joined(&a, &b), joined(&b, &a));
            prop_assert_eq!(joined(&joined(&a, &b), &c), joined(&a, &joined(&b, &c)));
            prop_assert_eq!(joined(&a, &a), a.clone());
            let stored = serde_json::to_string(&a).unwrap();
            prop_assert_eq!(serde_json::from_str::<History>(&stored).unwrap(), a);
        }
    }
}
