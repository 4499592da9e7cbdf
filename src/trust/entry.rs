//! By which door a caller came in, and what that proves.

use jiff::Timestamp;

use super::demand::MfaDemand;
use super::door::{Door, Who, doors};
use super::evaluate::{Admission, Answer};
use super::history::{History, Moment, Version, Weakening};
use super::principal::Trusted;
use super::subject::names_one;
use super::{Request, TrustPolicy, is_understood};
use crate::event::{Assumption, Principal, PrincipalKey};
use crate::glob::Glob;
use crate::id::RoleArn;
use crate::text::{Text, listed};

/// How closely a policy names a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Named {
    /// As one of many that nothing else tells apart.
    Widely,
    /// By its account.
    ByAccount,
    /// By itself.
    Itself,
}

/// What the remembered policy says to a call that was granted.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The version it is about.
    pub moment: Moment,
    /// Whether the policy admits the call.
    pub answer: Answer,
    /// The statements by which it came in, by name, and whom they let in.
    pub statements: Vec<String>,
    /// How closely they name the caller.
    pub named: Named,
    /// How strictly every statement that may have admitted the call demands MFA.
    pub mfa: MfaDemand,
    /// The alert about the policy, if it raised one.
    pub weakening: Option<Weakening>,
    /// Whether the last policy that raised no alert would certainly not have admitted the call:
    /// then the caller came in by what the alert was about. `None` where no such policy is known.
    pub is_by_the_opening: Option<bool>,
    /// Who wrote the policy, in a few words. It is text of a log.
    pub written_by: Option<Text>,
    /// Who wrote it, by key.
    pub writer: Option<PrincipalKey>,
    /// Whether the caller wrote it, itself or as another session of the same principal.
    pub is_own_work: bool,
    /// Whether an earlier grant showed that the policy is not what is in force.
    pub is_refuted: bool,
}

impl Entry {
    /// The entry of a call, where something is remembered that was in force. Of several policies
    /// that may have been, one that admits it.
    #[must_use]
    pub fn of(history: &History, it: &Assumption) -> Option<Self> {
        let in_force = history.in_force(it.call.time);
        // Of most roles nothing was written, and this is asked of every call.
        if in_force.is_empty() {
            return None;
        }
        let request = Request::of(it)?;
        let of_another = |version: &Version| matches!((&version.role_id, it.role_id()), (Some(known), Some(id)) if known != id);
        let in_force = in_force.into_iter().filter(|(_, version)| !of_another(version));
        let entries = in_force.filter_map(|(moment, version)| {
            let policy = version.policy()?;
            let entry = Self::through(policy, moment, version, &request);
            let clean = history.clean_before(moment).and_then(Version::policy);
            let refuses = clean.map(|it| it.admits(&request).answer == Answer::No);
            let is_by_the_opening = refuses.filter(|_| entry.weakening.is_some());
            Some(Self { is_by_the_opening, ..entry })
        });
        // Of equals `max_by_key` takes the last, and the likeliest comes first.
        let mut entries: Vec<Self> = entries.collect();
        entries.reverse();
        entries.into_iter().max_by_key(|it| it.answer)
    }

    fn through(
        policy: &TrustPolicy,
        moment: &Moment,
        version: &Version,
        request: &Request<'_>,
    ) -> Self {
        let admission = policy.admits(request);
        let doors = doors(policy);
        let of = |statement: usize| {
            let at = doors.iter().filter(move |it| it.statement == statement);
            at.filter(|it| it.who.is(request.caller) != Answer::No)
        };
        let mfa = admission.possible.iter().flat_map(|it| of(*it)).map(Door::mfa).min();
        let statements = admission.statements.iter().map(|it| {
            let who: Vec<String> = of(*it).map(|door| door.who.display()).collect();
            match policy.name_of(*it) {
                name if who.is_empty() => name,
                name => format!("{name}, which lets in {}", listed(&who, "and")),
            }
        });
        let is_own = version.writer.is_some() && version.writer.as_ref() == request.caller.key();
        Self {
            moment: moment.clone(),
            answer: admission.answer,
            statements: statements.collect(),
            named: named(&admission, &doors, request.caller),
            mfa: mfa.filter(|_| is_understood(policy)).unwrap_or(MfaDemand::None),
            weakening: version.weakening.clone(),
            is_by_the_opening: None,
            written_by: version.by.clone(),
            writer: version.writer.clone(),
            is_own_work: is_own,
            is_refuted: version.refuted.is_some(),
        }
    }

    /// How closely a policy that raised no alert names the caller. That somebody else came in
    /// against it says that it was changed or widened since, and takes back nothing from whom it
    /// names.
    #[must_use]
    pub fn explains(&self) -> Option<Named> {
        let is_clean = self.weakening.is_none() && !self.is_own_work;
        (is_clean && self.answer != Answer::No).then_some(self.named)
    }

    /// Whether the policy may be believed: it raised no alert, no grant has refuted it, and it
    /// is not the caller's own work.
    #[must_use]
    pub fn is_trustworthy(&self) -> bool {
        self.answer != Answer::No
            && self.weakening.is_none()
            && !self.is_refuted
            && !self.is_own_work
    }

    /// Whether the grant proves that there was a second factor: by every way in it is demanded,
    /// and STS enforced that.
    #[must_use]
    pub fn proves_mfa(&self) -> bool {
        self.answer != Answer::No && !self.is_refuted && self.mfa == MfaDemand::Firm
    }

    /// How long before the call the policy was weakened, and by what.
    #[must_use]
    pub fn weakened_before(&self, time: Timestamp) -> Option<(&Weakening, jiff::SignedDuration)> {
        let weakening = self.weakening.as_ref()?;
        Some((weakening, time.duration_since(weakening.time)))
    }
}

/// By the statements that admitted a caller for certain one that names it is enough; of those
/// that may have, all have to.
fn named(admission: &Admission, doors: &[Door], caller: &Principal) -> Named {
    let of = |statement: &usize| {
        let at = doors.iter().filter(|it| it.statement == *statement);
        let mine = at.filter(|it| it.who.is(caller) == Answer::Yes);
        mine.map(|door| how_closely(door, caller)).max().unwrap_or(Named::Widely)
    };
    let closely = admission.statements.iter().map(of);
    let is_certain = admission.answer == Answer::Yes;
    let closely = if is_certain { closely.max() } else { closely.min() };
    closely.unwrap_or(Named::Widely)
}

fn how_closely(door: &Door, caller: &Principal) -> Named {
    match &door.who {
        Who::Service(name) if !name.as_str().contains('*') => Named::Itself,
        Who::Federated(_) if names_one(door) => Named::Itself,
        who if who.is_one() => Named::Itself,
        Who::Account(account) if caller.account == Some(*account) => Named::ByAccount,
        Who::Arn(_) => Named::ByAccount,
        _ => Named::Widely,
    }
}

impl Who {
    /// Whether a caller is among these, as far as its record tells who it is.
    fn is(&self, caller: &Principal) -> Answer {
        let trusted = match self {
            Self::Anybody => Trusted::Anybody,
            Self::AnybodyBut(spared) => {
                let spared = spared.iter().fold(Answer::No, |any, it| any.or(it.is(caller)));
                return Trusted::Anybody.is(caller).and(spared.not());
            }
            Self::Account(account) => Trusted::Account(*account),
            Self::Arn(pattern) if !self.is_one() => {
                let own = caller.arn.as_ref().map(Text::as_str);
                let role = caller.issuer.as_ref().map(RoleArn::as_str);
                let glob = Glob::new(pattern.as_str());
                return match (own, role) {
                    (None, None) => Answer::CannotTell,
                    known => {
                        let mut known = [known.0, known.1].into_iter().flatten();
                        known.any(|arn| glob.matches(arn)).into()
                    }
                };
            }
            Self::Arn(arn) => Trusted::Arn(arn.clone()),
            Self::Id(id) => Trusted::Id(id.clone()),
            Self::AnyProvider(_) => Trusted::Anybody,
            Self::Service(name) => Trusted::Service(name.clone()),
            Self::Federated(provider) => Trusted::Federated(provider.clone()),
            Self::Other(_) => return Answer::CannotTell,
        };
        trusted.is(caller)
    }
}
