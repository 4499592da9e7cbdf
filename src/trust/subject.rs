//! Whom of an OIDC provider a door lets in: the subject, and whether it is pinned to an owner.

use super::demand::{Demand, Guard};
use super::door::{Door, Who};
use super::principal::host_of;

/// Providers that anybody can have tokens of: a door without a pinned subject is open to the
/// world. Of a cluster's or a company's own provider only its own workloads have tokens.
const PUBLIC: &[&str] = &[
    "token.actions.githubusercontent.com",
    "gitlab.com",
    "app.terraform.io",
    "agent.buildkite.com",
    "oidc.vercel.com",
    "api.bitbucket.org",
    "accounts.google.com",
    "cognito-identity.amazonaws.com",
    "www.amazon.com",
    "graph.facebook.com",
];

/// Audiences that every workload of a provider may ask for.
const COMMON_AUDIENCES: &[&str] =
    &["sts.amazonaws.com", "sts.amazonaws.com.cn", "aws.workload.identity"];

/// How far a provider's door is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Openness {
    /// To a subject, or the subjects of one owner.
    Pinned,
    /// To all of a provider that only its owner's people and workloads have tokens of.
    Provider,
    /// To anybody in the world.
    World,
}

/// How far a door for a provider that is not SAML is open.
pub(super) fn openness(door: &Door) -> Option<Openness> {
    let Who::Federated(provider) = &door.who else { return None };
    let provider = provider.as_str();
    if provider.contains(":saml-provider/") {
        return None;
    }
    let is_pinned = |demand: &Demand| {
        let values = || demand.operands.iter().map(|it| it.as_text().unwrap_or_default());
        demand.narrows()
            && match demand.guard {
                Guard::Subject => values().all(|it| pins_owner(it, demand.takes_patterns())),
                Guard::Audience => {
                    demand.key.ends_with(":aud")
                        && !values().any(|it| COMMON_AUDIENCES.contains(&it))
                }
                _ => false,
            }
    };
    Some(if door.demands.iter().any(is_pinned) {
        Openness::Pinned
    } else if is_public(door) {
        Openness::World
    } else {
        Openness::Provider
    })
}

/// Whether anybody can have tokens of the provider that a door is for.
pub(super) fn is_public(door: &Door) -> bool {
    matches!(&door.who, Who::Federated(it) if PUBLIC.contains(&host_of(it.as_str())))
}

/// Whether a pattern of subjects names its owner in full before its first wildcard:
/// `repo:acme/*` does, `repo:*`, `repo:acme*` and `*:ref:refs/heads/main` do not.
fn pins_owner(subject: &str, takes_patterns: bool) -> bool {
    if !takes_patterns || !subject.contains(['*', '?']) {
        return true;
    }
    owner_of(subject.split(['*', '?']).next().unwrap_or_default()).is_some()
}

/// The owner in what is fixed of a subject: `repo:acme` of `repo:acme/app:`. A service account's
/// owner is its namespace.
fn owner_of(fixed: &str) -> Option<&str> {
    let parts = if fixed.starts_with("system:serviceaccount:") { 3 } else { 2 };
    let mut ends = fixed.match_indices([':', '/']).map(|(at, _)| at);
    let end = ends.nth(parts - 1)?;
    fixed.get(..end).filter(|owner| !owner.ends_with([':', '/']))
}

/// Who a provider's door lets in, as names by which it is known elsewhere: the provider with
/// the owners of the subjects; the provider alone where only its owner has tokens of it.
pub(super) fn parties(door: &Door) -> Vec<String> {
    let Who::Federated(provider) = &door.who else { return Vec::new() };
    let host = host_of(provider.as_str());
    if !is_public(door) {
        return vec![format!("provider:{}", provider.as_str())];
    }
    let pins = door
        .demands
        .iter()
        .filter(|it| it.narrows() && matches!(it.guard, Guard::Subject | Guard::Audience));
    let owners = pins.flat_map(|pin| &pin.operands).filter_map(|it| {
        let text = it.as_text().filter(|it| !COMMON_AUDIENCES.contains(it))?;
        let fixed = text.split(['*', '?']).next().unwrap_or_default();
        let end = format!("{fixed}:");
        let owner = owner_of(fixed).or_else(|| owner_of(&end).filter(|_| fixed == text));
        Some(format!("provider:{host}/{}", owner.unwrap_or(text)))
    });
    owners.collect()
}

/// Whether a provider's door is for one subject, or for those of one repository or project:
/// nothing but a run's own details is left open.
pub(super) fn names_one(door: &Door) -> bool {
    let mut subjects = door.demands.iter().filter(|it| it.guard == Guard::Subject && it.narrows());
    subjects.any(|demand| {
        demand.operands.iter().all(|it| {
            let text = it.as_text().unwrap_or("*");
            let fixed = text.split(['*', '?']).next().unwrap_or_default();
            !demand.takes_patterns() || fixed == text || fixed.ends_with(':')
        }) && pins_all(demand)
    })
}

fn pins_all(demand: &Demand) -> bool {
    let mut values = demand.operands.iter().filter_map(|it| it.as_text());
    values.all(|it| pins_owner(it, demand.takes_patterns()))
}
