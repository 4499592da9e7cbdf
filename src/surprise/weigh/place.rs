//! From where a call came, and what speaks of credentials that are where they do not belong.

use jiff::{SignedDuration, Timestamp};

use super::{CAP, MANY, Weighing, days_between, is_for_emergencies};
use crate::baseline::{Caller, Dimension, Habits, Seen, Turnover};
use crate::event::{Assumption, Credential, PrincipalKind};
use crate::id::Address;
use crate::lineage::Lineage;
use crate::profile;
use crate::surprise::{Part, Sign, SignKind, Surprise, TRAVEL, UNUSUAL};
use crate::trust::Named;

/// Bits from which a new place is worth a second look.
const DOUBTFUL: f64 = 1.5;
/// Days and places from which the places of a key's owner are known.
const HISTORY: u32 = 4;

impl Weighing<'_> {
    /// Where the call came from.
    pub(super) fn network(&mut self, is_new_pair: bool) {
        self.circle();
        let call = &self.it.call;
        if !profile::has_network_of_its_own(call) {
            return;
        }
        let (block, network) = (call.block(), call.network());
        let seen = |dimension, value: &str| {
            self.caller().is_some_and(|it| it.seen(dimension, value).is_some())
        };
        if seen(Dimension::NetworkBlock, block.as_str())
            || seen(Dimension::Network, network.as_str())
        {
            return;
        }
        let of_class = self.known.role.habits(self.class);
        let dimension = Dimension::NetworkBlock;
        let table = of_class.and_then(|it| it.table(dimension));
        let turnover = table.map_or_else(Turnover::default, |it| it.turnover());
        let is_known = table.is_some_and(|it| it.get(block.as_str()).is_some());
        let of_role = if is_known { 0.0 } else { turnover.bits_of_new() };
        let own = self.caller().map_or_else(Turnover::default, |it| it.turnover(dimension));
        let newcomers = self.known.role.turnover_of_all(Dimension::Principal).values;
        let is_one_more = self.is_person && is_new_pair && newcomers > MANY;
        let bits = match own.value_days {
            // Whoever came just now is known by the role alone.
            0 if turnover.value_days == 0 => 0.0,
            // A new user alone is the vendor's affair, and so is a new place.
            0 if self.is_new_of_vendor => 1.5 * of_role,
            0 if self.is_person && turnover.values > MANY => of_role.min(3.0),
            0 => of_role,
            days if self.known.named == Some(Named::Itself) && days < 5 => 0.0,
            _ if is_known => own.bits_of_new().min(2.0),
            _ if is_one_more => own.bits_of_new().min(3.5),
            _ => own.bits_of_new(),
        };
        // What is unusual by itself stays so.
        let least = if bits < UNUSUAL { 0.0 } else { UNUSUAL };
        let bits = (bits - self.excuse(block.as_str())).max(least);
        let bits = self.at_most(bits, CAP);
        let calls = table.map_or(0, |it| it.calls());
        let (value, of_caller) = (block.as_str().to_owned(), Some(own.bits_of_new()));
        self.push(Part { dimension, value, of_role, of_caller, turnover, calls, bits });
        if bits > DOUBTFUL {
            self.two_places(block.as_str(), turnover);
            self.absence();
        }
        self.moved(block.as_str());
    }

    /// Bits that a person's new place is worth less: where colleagues are customers too it is
    /// likelier to be a journey, and whoever has no key but signs in has proved more.
    fn excuse(&self, block: &str) -> f64 {
        const EACH: f64 = 0.5;
        let is_known = |it: &Caller| it.habits().seen(Dimension::NetworkBlock, block).is_some();
        let excuses = [self.known.people.is_some_and(is_known), !is_with_key(self.it)];
        match self.is_person {
            true => excuses.into_iter().filter(|it| *it).map(|_| EACH).sum(),
            false => 0.0,
        }
    }

    /// Nobody who comes by this provider, or no workload, ever called from there.
    fn circle(&mut self) {
        let Some((dimension, block)) = profile::block_of_circle(&self.it.call) else { return };
        let habits = self.known.circles.map(|it| it.map(Caller::habits));
        let [Some(own), workloads] = habits else { return };
        let is_known = |it: &Habits| it.seen(dimension, &block).is_some();
        let of_saml = self.it.call.principal.kind == PrincipalKind::Saml;
        let is_callers = !of_saml && self.caller().is_some_and(is_known);
        if is_known(own) || workloads.is_some_and(is_known) || is_callers {
            return;
        }
        let bits = self.at_most(own.turnover(dimension).bits_of_new(), CAP);
        let (bits, words) = match of_saml {
            true => (bits * 1.5, "nobody came by this identity provider from there before"),
            false => (bits, "nobody of its kind called from there before"),
        };
        self.sign(SignKind::NotOfCircle, bits, words);
    }

    /// A long-term key that was used elsewhere hours before. Whoever travels is a day under way.
    fn two_places(&mut self, block: &str, of_role: Turnover) {
        if !self.is_person || !self.known.is_ours || !is_with_key(self.it) {
            return;
        }
        let table = self.caller().and_then(|it| it.table(Dimension::NetworkBlock));
        let others =
            table.into_iter().flat_map(|it| it.iter()).filter(|(other, _)| *other != block);
        let Some(last) = others.map(|(_, seen)| seen.last).max() else { return };
        let own =
            self.caller().map_or_else(Turnover::default, |it| it.turnover(Dimension::NetworkBlock));
        let since = self.it.call.time.duration_since(last);
        let is_only_place = own.values == 1 && of_role.values == 1;
        if own.value_days > HISTORY
            && let Some((bits, words)) = in_two_places(self.it, since, is_only_place)
        {
            self.sign(SignKind::TwoPlaces, bits, words);
        }
    }

    /// A long-term key that was not used for days, and is used again from elsewhere.
    fn absence(&mut self) {
        const DAYS: i64 = 6;
        const FEW: u32 = 4;
        let last = self.known.caller.and_then(last_role_taken).filter(|_| is_with_key(self.it));
        // Whoever came on a few days and stayed away has no habit of coming.
        let days_here = self.caller().map_or(0, |it| it.days(Dimension::Call, self.it.call.name));
        let last = last.filter(|_| days_here > FEW);
        let Some(days) = last.map(|last| days_between(last, self.it.call.time)) else { return };
        if days > DAYS {
            // A holiday ends after a week or two; each day more is one more on which it would have
            // been used.
            let bits = self.at_most(days as f64 / 3.0, CAP);
            self.sign(SignKind::Absence, bits, format!("the key took no role for {days} days"));
        }
    }

    /// A session that is used elsewhere than it was made: a traveller makes theirs where they
    /// are, a thief uses one that is made.
    fn moved(&mut self, block: &str) {
        if let Some(sign) = moved_token(self.it, self.known.caller) {
            self.sign(sign.kind, sign.bits, sign.words);
            return;
        }
        let parent = self.known.lineage.and_then(Lineage::parent);
        let parent = parent.filter(|it| {
            !matches!(
                it.kind,
                PrincipalKind::Saml | PrincipalKind::Service | PrincipalKind::Unknown
            )
        });
        let Some(made) = parent.and_then(|it| it.address.as_ref()) else { return };
        if matches!(made, Address::Ip(_)) && made.block().as_str() != block {
            let words = format!("the session was made from {}", made.display());
            self.sign(SignKind::Moved, CAP, words);
        }
    }
}

fn is_with_key(it: &Assumption) -> bool {
    matches!(it.call.principal.credential, Credential::LongTerm(_))
}

/// Bits and words for two uses of a key in two places; the earlier one came first by `since`, or
/// followed if that is negative.
fn in_two_places(
    it: &Assumption,
    since: SignedDuration,
    is_only_place: bool,
) -> Option<(f64, String)> {
    if since.abs() >= TRAVEL {
        return None;
    }
    let hours = since.abs().as_hours();
    let mut words = match (since.is_negative(), hours) {
        (false, 0) => "within the hour before the key was used elsewhere".to_owned(),
        (false, 1) => "an hour before the key was used elsewhere".to_owned(),
        (false, _) => format!("{hours} hours before the key was used elsewhere"),
        (true, 0) => "within the hour the key was used again where it was before".to_owned(),
        (true, 1) => "an hour later the key was used again where it was before".to_owned(),
        (true, _) => format!("{hours} hours later the key was used again where it was before"),
    };
    // The longer between them, the more likely it is that the owner has travelled.
    let mut bits = 6.5 - hours as f64 / 4.0;
    // People travel; the scripts that bear such keys, and the roles made for them, do not.
    if is_only_place {
        words.push_str(", the one place where it and the role were ever used");
        bits += 2.5;
    }
    // An emergency finds people wherever they are.
    if it.role().is_some_and(|role| is_for_emergencies(role.as_str())) {
        bits /= 2.0;
    }
    Some((bits, words))
}

/// Whether what a key's owner does next may tell more of a call from a new place: a thief who comes
/// first is in two places only once the owner is back.
pub(in crate::surprise) fn is_doubtful(it: &Assumption, surprise: &Surprise) -> bool {
    let part = surprise.part(Dimension::Network);
    surprise.is_person
        && is_with_key(it)
        && part.is_some_and(|part| part.bits > DOUBTFUL)
        && surprise.sign(SignKind::TwoPlaces).is_none()
}

/// A key that was used in a new place, and hours later where it was before; or hours before, where
/// that record came late. Of the call from the new place.
pub(in crate::surprise) fn came_back(
    it: &Assumption,
    surprise: &Surprise,
    caller: &Caller,
) -> Option<Sign> {
    let part = surprise.part(Dimension::Network)?;
    let (time, block) = (it.call.time, it.call.block());
    let table = caller.habits().table(Dimension::NetworkBlock)?;
    if table.turnover().value_days <= HISTORY {
        return None;
    }
    let others = table.iter().filter(|(other, _)| *other != block.as_str());
    let others: Vec<Seen> = others.map(|(_, seen)| seen).collect();
    let known = others.iter().filter(|seen| seen.first < time);
    let since = known.map(|seen| time.duration_since(seen.last)).min_by_key(|it| it.abs())?;
    let is_only_place = others.len() == 1 && part.turnover.values == 1;
    let (bits, words) = in_two_places(it, since, is_only_place)?;
    Some(Sign { kind: SignKind::TwoPlaces, bits, words })
}

/// A token that its user made elsewhere.
fn moved_token(it: &Assumption, caller: Option<&Caller>) -> Option<Sign> {
    let Credential::Temporary { created: Some(created), .. } = it.call.principal.credential else {
        return None;
    };
    let made = caller?.signed_in_from(created)?;
    (*made != it.call.address.network()).then(|| Sign {
        kind: SignKind::Moved,
        bits: 10.0,
        words: format!("the session was made from {}", crate::text::inline(made.as_str())),
    })
}

fn last_role_taken(caller: &Caller) -> Option<Timestamp> {
    caller.habits().table(Dimension::Role)?.iter().map(|(_, seen)| seen.last).max()
}
