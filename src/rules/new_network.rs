//! A role was taken from a network that is not the caller's.

use super::{Case, Finding, Ground, Rule, evidence, experience, json, numbers, signs};
use crate::baseline::Dimension;
use crate::event::{Assumption, Credential};
use crate::profile;
use crate::severity::Severity;
use crate::surprise::{Part, SignKind, Surprise, UNUSUAL};
use crate::text::inline;

pub(super) const RULE: Rule = Rule {
    id: "new_network",
    title: "Role assumed from a new network",
    severities: &[Severity::Low, Severity::Medium, Severity::High],
    mitre: &["T1078.004"],
    sees: "A granted assumption from outside the declared networks (high), or from a network \
           that is new to the role and to the caller. The latter is medium with a long-term key, or \
           where the session was made elsewhere, else low, and more where more is unusual about \
           the call: that a key was used elsewhere hours before, or again hours later, the less \
           time its owner had to travel the more, and most for one that was only ever used from \
           one place, as scripts are; or that it was not used for longer than a holiday. Roles \
           and callers whose networks always change are quiet by themselves; addresses of services \
           and of identity providers are not looked at.",
    why: "A stolen credential is used from where the thief is.",
    harmless: "A journey, a new office, a new provider at home, a build service that has moved.",
    first: "Ask the person, on another way than the account in question, whether they are where \
            the address is. If not, revoke the role's sessions and the credential.",
    check,
};

fn check(case: &Case<'_>) -> Option<Finding> {
    let it = case.granted_assumption()?;
    match case.expected.networks {
        Some(networks) => declared(networks, it),
        None => by_baseline(case, it),
    }
}

fn declared(networks: &[ipnet::IpNet], it: &Assumption) -> Option<Finding> {
    let address = it.call.address.plain_ip()?;
    let is_inside = networks.iter().any(|network| network.contains(&address));
    if is_inside || !profile::has_network_of_its_own(&it.call) {
        return None;
    }
    let who = it.who();
    let role = inline(it.role()?.name());
    Some(Finding {
        rule: RULE.id.into(),
        severity: Severity::High,
        phrase: "from outside its networks".into(),
        summary: format!("{who} took {role} from {address}, outside the networks declared for it"),
        evidence: evidence(json!({
            "address": address.to_string(),
            "declared": networks.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })),
        ground: Ground::Fact,
    })
}

/// What says beside a new network that credentials are not where they belong.
const SIGNS: &[SignKind] =
    &[SignKind::TwoPlaces, SignKind::Absence, SignKind::Moved, SignKind::NotOfCircle];

/// Networks of a role that is taken from the same few places.
const FEW: u32 = 3;

fn by_baseline(case: &Case<'_>, it: &Assumption) -> Option<Finding> {
    let surprise = case.surprise?;
    let Some(part) = surprise.part(Dimension::Network) else {
        return by_circle(case, it, surprise);
    };
    let long_term = matches!(it.call.principal.credential, Credential::LongTerm(_));
    // A role that is taken from everywhere tells nothing of one network more.
    let is_steady = part.turnover.values <= FEW;
    let both_sides =
        is_steady && part.of_caller.is_some_and(|bits| bits.min(part.of_role) >= UNUSUAL);
    let is_telling = part.bits + surprise.bits_of_place() >= 2.0 * UNUSUAL;
    let sum = case.severity_of_sum(surprise).filter(|_| part.bits >= 1.0 || is_telling);
    let severity = match sum {
        Some(severity) => severity,
        None if long_term && both_sides => Severity::Medium,
        None => case.unusual(Dimension::Network).map(|_| Severity::Low)?,
    };
    Some(Finding {
        rule: RULE.id.into(),
        severity,
        phrase: "from a network never seen".into(),
        summary: summary(it, surprise, part)?,
        evidence: numbers(part, surprise),
        ground: Ground::Habit,
    })
}

/// What was unusual, the most telling first.
fn summary(it: &Assumption, surprise: &Surprise, part: &Part) -> Option<String> {
    let who = it.who();
    let role = inline(it.role()?.name());
    let from = it.call.address.display();
    let is_newcomer = surprise.part(Dimension::Principal).is_some_and(|it| it.bits >= 2.0);
    let newcomer = if is_newcomer { ", to whom the role is new," } else { "" };
    let known = if part.of_role > 0.0 { "neither is known" } else { "the caller is not known" };
    let place = format!("; {known} there: {}", experience(part));
    let signs_of_it = surprise.signs.iter().filter(|sign| SIGNS.contains(&sign.kind));
    let is_beside = signs_of_it.map(|sign| sign.bits).sum::<f64>() <= part.bits;
    let signs = signs(surprise, SIGNS);
    let reasons = if is_beside { [place, signs] } else { [signs, place] };
    Some(format!("{who}{newcomer} took {role} from {from}{}", reasons.concat()))
}

/// An identity provider's answers have no place of the person's, and yet one of their own.
fn by_circle(case: &Case<'_>, it: &Assumption, surprise: &Surprise) -> Option<Finding> {
    let sign = surprise.sign(SignKind::NotOfCircle)?;
    let severity = match case.severity_of_sum(surprise) {
        Some(severity) => severity,
        None if sign.bits >= UNUSUAL => Severity::Low,
        None => return None,
    };
    let role = inline(it.role()?.name());
    Some(Finding {
        rule: RULE.id.into(),
        severity,
        phrase: "from a network never seen".into(),
        summary: format!(
            "{} took {role} from {}; {}",
            it.who(),
            it.call.address.display(),
            sign.words
        ),
        evidence: evidence(json!({
            "network": it.call.address.network().as_str(),
            "bits": sign.bits,
            "bits_of_call": surprise.total(),
        })),
        ground: Ground::Habit,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::scene::{Scene, call, with};
    use super::RULE;
    use crate::severity::Severity;

    fn at(address: &str) -> Value {
        with(call(), &[("/sourceIPAddress", json!(address))])
    }

    const OFFICE: &str = "[[role]]\nmatch = '*:role/Target'\nnetworks = ['198.51.100.0/24']";

    #[test]
    fn fires_outside_the_declared_networks_and_where_nobody_ever_was() {
        let mut scene = Scene::declaring(OFFICE);
        assert_eq!(scene.then(RULE.id, &at("203.0.113.9")), Some(Severity::High));
        assert_eq!(scene.then(RULE.id, &at("::ffff:203.0.113.10")), None, "a repeat");
        let mut scene = Scene::default().daily(30, &call());
        assert_eq!(scene.then(RULE.id, &at("203.0.113.9")), Some(Severity::Medium));
    }

    /// Alice's key on a journey from place to place, and then where it was on most of it.
    fn on_the_move() -> Scene {
        let days = (0..20).chain((0..56).map(|day| day % 14));
        days.fold(Scene::default(), |scene, place| {
            scene.daily(1, &at(&format!("203.{place}.113.7")))
        })
    }

    #[test]
    fn an_unused_key_in_a_new_place_is_news_after_more_than_a_holiday() {
        let after = |days| on_the_move().quiet(days).then(RULE.id, &at("192.0.2.1"));
        assert_eq!(after(0), None, "it is often elsewhere");
        assert_eq!(after(12), None, "a holiday");
        assert_eq!(after(20), Some(Severity::Medium));
    }

    #[test]
    fn a_key_in_two_places_is_the_less_news_the_longer_its_owner_could_travel() {
        let later = |hours| {
            let mut scene = on_the_move();
            scene.then(RULE.id, &at("203.0.113.7"));
            scene.later(hours).then(RULE.id, &at("192.0.2.1"))
        };
        assert_eq!(later(0), Some(Severity::Medium));
        assert_eq!(later(9), None);
    }

    #[test]
    fn a_scripts_key_in_two_places_is_urgent() {
        let elsewhere_after = |hours| {
            let mut scene = Scene::default().daily(30, &call());
            scene.then(RULE.id, &call());
            scene.later(hours).then(RULE.id, &at("203.0.113.9"))
        };
        assert_eq!(elsewhere_after(1), Some(Severity::High));
        assert_eq!(elsewhere_after(12), Some(Severity::Medium), "time to move a server");
    }

    #[test]
    fn is_low_for_a_session_made_where_it_is_used() {
        let traveller = |address: &str, created: &str| {
            let context =
                json!({"attributes": {"creationDate": created, "mfaAuthenticated": "true"}});
            let key = ("/userIdentity/accessKeyId", json!("ASIAEXAMPLE"));
            with(at(address), &[key, ("/userIdentity/sessionContext", context)])
        };
        let mut scene =
            Scene::default().daily(30, &traveller("198.51.100.7", "2026-01-01T00:00:00Z"));
        let abroad = traveller("203.0.113.9", "2026-02-04T08:00:00Z");
        assert_eq!(scene.then(RULE.id, &abroad), Some(Severity::Low));
    }

    #[test]
    fn is_silent_at_home_and_where_networks_always_change() {
        assert_eq!(Scene::declaring(OFFICE).then(RULE.id, &at("198.51.100.200")), None);
        assert_eq!(Scene::declaring(OFFICE).then(RULE.id, &at("ec2.amazonaws.com")), None);
        let mut scene = Scene::default();
        for n in 0..40 {
            scene = scene.daily(1, &at(&format!("100.{}.0.1", 64 + n)));
        }
        assert_eq!(scene.then(RULE.id, &at("100.127.0.1")), None);
    }
}
