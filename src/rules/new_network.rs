//! A role was taken from a network that is not the caller's.

use super::{Case, Finding, Ground, Rule, evidence, experience, json, numbers};
use crate::baseline::Dimension;
use crate::event::{Assumption, Credential};
use crate::id::Network;
use crate::profile;
use crate::severity::Severity;
use crate::surprise::UNUSUAL;
use crate::text::inline;

pub(super) const RULE: Rule = Rule {
    id: "new_network",
    title: "Role assumed from a new network",
    severities: &[Severity::Low, Severity::Medium, Severity::High],
    mitre: &["T1078.004"],
    sees: "A granted assumption from outside the declared networks (high), or from a network \
           that is new to the role and to the caller. The latter is medium with a long-term key, or \
           where the session was made elsewhere, else low, and more where more is unusual about \
           the call. Roles and callers whose \
           networks always change are quiet by themselves; addresses of services and of identity \
           providers are not looked at.",
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

fn by_baseline(case: &Case<'_>, it: &Assumption) -> Option<Finding> {
    let who = it.who();
    let role = inline(it.role()?.name());
    let from = it.call.address.display();
    let moved = moved_session(case, it);
    let (part, surprise) = match moved {
        Some(_) => (case.surprise?.part(Dimension::Network)?, case.surprise?),
        None => case.unusual(Dimension::Network)?,
    };
    let long_term = matches!(it.call.principal.credential, Credential::LongTerm(_));
    let alone = match moved {
        Some(_) => Severity::Medium,
        None if long_term && part.bits() >= UNUSUAL => Severity::Medium,
        None => Severity::Low,
    };
    let mut evidence = numbers(part, surprise);
    let because = match moved {
        Some(origin) => {
            evidence.insert("session_made_from".to_owned(), origin.as_str().into());
            format!(", though the session was made from {}", inline(origin.as_str()))
        }
        None => String::new(),
    };
    Some(Finding {
        rule: RULE.id.into(),
        severity: case.severity_of_sum(surprise).unwrap_or(alone).max(alone),
        phrase: "from a network never seen".into(),
        summary: format!(
            "{who} took {role} from {from}{because}; neither is known there: {}",
            experience(part)
        ),
        evidence,
        ground: Ground::Habit,
    })
}

/// Where the calling session was made, if that is elsewhere than where it is used now, and the
/// latter is new. A traveller makes their session where they are; a thief uses one that is made.
fn moved_session<'a>(case: &Case<'a>, it: &Assumption) -> Option<&'a Network> {
    const MOVED: f64 = 4.0;
    let Credential::Temporary { created: Some(created), .. } = it.call.principal.credential else {
        return None;
    };
    let origin = case.caller?.signed_in_from(created)?;
    let is_new = case.surprise?.part(Dimension::Network)?.bits() >= MOVED;
    (is_new && *origin != it.call.address.network()).then_some(origin)
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
