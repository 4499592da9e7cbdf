//! Whom of an OIDC provider a door lets in: the subject, and whether it is pinned to an owner.

use super::demand::{Demand, Guard};
use super::door::{Door, Who};
use super::operand::Operand;
use super::principal::host_of;

/// A provider that anybody can have tokens of: a door for it without a pinned owner is open to
/// the world. Of a cluster's or a company's own provider only its own workloads have tokens.
struct Public {
    host: &'static str,
    /// What a subject begins with, or holds after a colon, before it names its owner; empty where
    /// the whole subject is one.
    subjects: &'static [&'static str],
    /// Claims of which no two owners have the same value, with the subject's word for that.
    claims: &'static [(&'static str, &'static str)],
}

/// The audience is missing where whoever asks for a token chooses it, and where it is that of an
/// application that anybody can sign in to.
const PUBLIC: &[Public] = &[
    Public {
        host: "token.actions.githubusercontent.com",
        subjects: &[
            "repo",
            "repository",
            "repository_id",
            "repository_owner",
            "repository_owner_id",
            "enterprise",
            "enterprise_id",
        ],
        claims: &[
            ("repository", "repo"),
            ("repository_id", "repository_id"),
            ("repository_owner", "repo"),
            ("repository_owner_id", "repository_owner_id"),
            ("enterprise", "enterprise"),
            ("enterprise_id", "enterprise_id"),
        ],
    },
    Public {
        host: "gitlab.com",
        subjects: &["project_path", "project_id", "namespace_path", "namespace_id"],
        claims: &[
            ("project_path", "project_path"),
            ("project_id", "project_id"),
            ("namespace_path", "project_path"),
            ("namespace_id", "namespace_id"),
        ],
    },
    Public {
        host: "app.terraform.io",
        subjects: &["organization"],
        claims: &[
            ("terraform_organization_id", "organization_id"),
            ("terraform_organization_name", "organization"),
            ("terraform_project_id", "project_id"),
            ("terraform_workspace_id", "workspace_id"),
        ],
    },
    Public {
        host: "agent.buildkite.com",
        subjects: &["organization"],
        claims: &[
            ("organization_slug", "organization"),
            ("organization_id", "organization_id"),
            ("pipeline_id", "pipeline_id"),
        ],
    },
    Public {
        host: "oidc.vercel.com",
        subjects: &["owner"],
        claims: &[("aud", "aud"), ("owner", "owner"), ("owner_id", "owner_id")],
    },
    Public { host: "accounts.google.com", subjects: &[], claims: &[] },
    Public { host: "cognito-identity.amazonaws.com", subjects: &[], claims: &[("aud", "aud")] },
    Public { host: "www.amazon.com", subjects: &[], claims: &[("user_id", "user_id")] },
    Public { host: "graph.facebook.com", subjects: &[], claims: &[("id", "id")] },
];

/// Claims that name one repository, project or workspace.
const SINGLE: &[&str] = &[
    "repository",
    "repository_id",
    "project_path",
    "project_id",
    "pipeline_id",
    "terraform_workspace_id",
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
    if provider.as_str().contains(":saml-provider/") {
        return None;
    }
    let public = public(door);
    let host = host_of(provider.as_str());
    Some(if door.demands.iter().any(|it| owners(it, public, host).is_some()) {
        Openness::Pinned
    } else if public.is_some() {
        Openness::World
    } else {
        Openness::Provider
    })
}

/// Whether anybody can have tokens of the provider that a door is for.
pub(super) fn is_public(door: &Door) -> bool {
    public(door).is_some()
}

fn public(door: &Door) -> Option<&'static Public> {
    let Who::Federated(provider) = &door.who else { return None };
    let host = host_of(provider.as_str()).trim_end_matches('/').to_ascii_lowercase();
    PUBLIC.iter().find(|it| it.host == host)
}

/// The claim that a demand is about: `sub` of `gitlab.com:sub`.
fn claim(demand: &Demand) -> &str {
    demand.key.rsplit_once(':').map_or("", |(_, claim)| claim)
}

/// The owners to whom a demand pins the subjects, where it does so by every value.
fn owners(demand: &Demand, public: Option<&Public>, host: &str) -> Option<Vec<String>> {
    let is_of_provider = matches!(demand.guard, Guard::Subject | Guard::Audience);
    if !is_of_provider || !demand.narrows() {
        return None;
    }
    let owner = |operand: &Operand| {
        let text = operand.as_text()?;
        let fixed = match demand.takes_patterns() {
            true => text.split(['*', '?']).next().unwrap_or_default(),
            false => text,
        };
        let is_whole = fixed == text;
        match (public, claim(demand)) {
            (Some(public), "sub") => owner_in(public, fixed, is_whole),
            (Some(public), claim) => {
                let (_, word) = public.claims.iter().find(|(it, _)| *it == claim)?;
                let owner = fixed.split('/').next().filter(|it| !it.is_empty())?;
                let is_named = is_whole || fixed.len() > owner.len();
                // An address has slashes before it names anybody.
                let owner = if *word == "aud" { text } else { owner };
                (is_named && (is_whole || *word != "aud")).then(|| format!("{word}:{owner}"))
            }
            (None, "sub") => pins_prefix(fixed, is_whole).then(|| text.to_owned()),
            (None, _) if demand.guard == Guard::Audience => {
                // Some providers of one customer have that customer for their audience.
                let workspace = text.rsplit('/').next().unwrap_or_default();
                let is_common = COMMON_AUDIENCES.contains(&text)
                    || text.starts_with("ari:cloud:bitbucket::workspace/")
                    || host.split('/').any(|part| part == workspace);
                (demand.key.ends_with(":aud") && !is_common).then(|| text.to_owned())
            }
            (None, _) => pins_prefix(fixed, is_whole).then(|| text.to_owned()),
        }
    };
    demand.operands.iter().map(owner).collect()
}

/// The owner that the fixed part of a public provider's subject names in full: `repo:acme` of
/// `repo:acme/app:*`, and nothing of `repo:acme*`, `*` or `environment:production`.
fn owner_in(public: &Public, fixed: &str, is_whole: bool) -> Option<String> {
    if public.subjects.is_empty() {
        return (is_whole && !fixed.is_empty()).then(|| fixed.to_owned());
    }
    let starts = |word: &&str| {
        let inside = || fixed.find(&format!(":{word}:")).map(|at| at + 1);
        let at = if fixed.starts_with(&format!("{word}:")) { 0 } else { inside()? };
        Some((at, at + word.len() + 1))
    };
    let (at, from) = public.subjects.iter().filter_map(starts).min()?;
    let rest = fixed.get(from..)?;
    let end = rest.find(['/', ':']).or_else(|| is_whole.then_some(rest.len()))?;
    fixed.get(at..from + end).filter(|_| end > 0).map(str::to_owned)
}

/// Whether a subject of a private provider is named up to a part of its own; a service account's
/// is its namespace.
fn pins_prefix(fixed: &str, is_whole: bool) -> bool {
    let parts = if fixed.starts_with("system:serviceaccount:") { 3 } else { 2 };
    let mut ends = fixed.match_indices([':', '/']).map(|(at, _)| at);
    let owner = ends.nth(parts - 1).and_then(|end| fixed.get(..end));
    !fixed.is_empty() && (is_whole || owner.is_some_and(|it| !it.ends_with([':', '/'])))
}

/// Who a provider's door lets in, as names by which it is known elsewhere: the provider with
/// the owners of the subjects; the provider alone where only its owner has tokens of it.
pub(super) fn parties(door: &Door) -> Vec<String> {
    let Who::Federated(provider) = &door.who else { return Vec::new() };
    let host = host_of(provider.as_str());
    let Some(public) = public(door) else {
        return vec![format!("provider:{}", provider.as_str())];
    };
    // Every pin has to be met, so the one that names fewest says enough.
    let pins = door.demands.iter().filter_map(|it| owners(it, Some(public), host));
    let owners = pins.min_by_key(Vec::len).unwrap_or_default();
    owners.into_iter().map(|owner| format!("provider:{host}/{owner}")).collect()
}

/// Whether a provider's door is for one subject, or for those of one repository or project:
/// nothing but a run's own details is left open.
pub(super) fn names_one(door: &Door) -> bool {
    let Who::Federated(provider) = &door.who else { return false };
    let (public, host) = (public(door), host_of(provider.as_str()));
    let mut pins = door.demands.iter().filter(|it| owners(it, public, host).is_some());
    pins.any(|demand| {
        let claim = claim(demand);
        demand.operands.iter().all(|it| {
            let text = it.as_text().unwrap_or("*");
            let fixed = text.split(['*', '?']).next().unwrap_or_default();
            let is_whole = !demand.takes_patterns() || fixed == text;
            match public {
                Some(_) if claim != "sub" => is_whole && SINGLE.contains(&claim),
                _ if demand.guard != Guard::Subject => false,
                _ => is_whole || fixed.ends_with(':'),
            }
        })
    })
}
