//! `[[role]]`: what is expected of the roles that a pattern names.

use std::net::IpAddr;

use ipnet::IpNet;

use super::fault::{Faults, instead_of, quoted};
use super::principal::PrincipalPattern;
use super::section::{Item, Section};
use crate::glob::{Glob, Shape};
use crate::id::ExternalId;
use crate::severity::Severity;
use crate::text::inline;

/// Whether a role may be taken without MFA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MfaExpectation {
    /// Every call has to prove MFA, itself or by its session's origin.
    Required,
    /// Calls without MFA are as they should be.
    NotRequired,
}

/// One `[[role]]`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Role {
    pub(super) pattern: Glob,
    pub(super) mfa: Option<MfaExpectation>,
    pub(super) principals: Option<Vec<PrincipalPattern>>,
    pub(super) external_ids: Option<Vec<ExternalId>>,
    pub(super) networks: Option<Vec<IpNet>>,
    pub(super) max_chain_depth: Option<u32>,
    pub(super) severity: Option<Severity>,
}

/// What a `[[role]]` may set.
const EXPECTATIONS: [&str; 6] =
    ["mfa", "principals", "external_ids", "networks", "max_chain_depth", "severity"];

impl Role {
    pub(super) const KEYS: &[&str] =
        &["match", "mfa", "principals", "external_ids", "networks", "max_chain_depth", "severity"];

    /// Reads one section; `None` where it has no usable pattern.
    pub(super) fn read(section: &Section<'_>, faults: &mut Faults) -> Option<Self> {
        section.demand("match", "write the role ARN it is for, with `*` and `?`", faults);
        if section.has_only("match") {
            let message =
                format!("this `[[role]]` expects nothing: set one of {}", quoted(&EXPECTATIONS));
            faults.warning(section.at, message);
        }
        let pattern = section.text("match", faults).and_then(|item| role_glob(item, faults));
        let role = Self {
            mfa: section.text("mfa", faults).and_then(|item| mfa(item, faults)),
            principals: section.list("principals", faults, distinct(principal)),
            external_ids: section.list("external_ids", faults, distinct(external_id)),
            networks: section.list("networks", faults, distinct(network)),
            // A session that nobody chained has depth 1. IAM ends a chain after an hour a link.
            max_chain_depth: section.integer("max_chain_depth", 1..=100, faults),
            severity: section.text("severity", faults).and_then(|item| severity(item, faults)),
            pattern: pattern?,
        };
        Some(role)
    }
}

/// Reads a role pattern that some role could fit.
pub(super) fn role_glob(item: Item<'_>, faults: &mut Faults) -> Option<Glob> {
    let glob = Glob::new(item.text);
    if glob.can_match(&Shape::role(None, None)) {
        return Some(glob);
    }
    let shown = inline(item.text);
    let hint = if item.text.contains(":assumed-role/") {
        "; an assumed-role ARN names a session"
    } else {
        ""
    };
    let message = format!(
        "no role has an ARN like `{shown}`: one looks like \
         `arn:aws:iam::111122223333:role/path/Name`{hint}"
    );
    faults.error(item.at, message);
    None
}

/// Reads a principal pattern.
pub(super) fn principal(item: Item<'_>, faults: &mut Faults) -> Option<PrincipalPattern> {
    match PrincipalPattern::parse(item.text) {
        Ok(pattern) => {
            if pattern.is_root_user() {
                let message = format!(
                    "`{}` is the root user alone: for everybody of an account write \
                     `account:111122223333`",
                    inline(item.text)
                );
                faults.warning(item.at, message);
            }
            Some(pattern)
        }
        Err(message) => {
            faults.error(item.at, message);
            None
        }
    }
}

/// Reads the items of a list with `read`, and notes those that are there already. An item is
/// named by its line only, as it may be a secret.
pub(super) fn distinct<T: PartialEq + Clone>(
    mut read: impl FnMut(Item<'_>, &mut Faults) -> Option<T>,
) -> impl FnMut(Item<'_>, &mut Faults) -> Option<T> {
    let mut seen: Vec<(T, usize)> = Vec::new();
    move |item, faults| {
        let value = read(item, faults)?;
        match seen.iter().find(|(it, _)| *it == value) {
            Some((_, at)) => {
                let line = faults.line(*at);
                let message = if line == faults.line(item.at) {
                    "this stands in the list twice".to_owned()
                } else {
                    format!("this stands in the list already, on line {line}")
                };
                faults.warning(item.at, message);
                None
            }
            None => {
                seen.push((value.clone(), item.at));
                Some(value)
            }
        }
    }
}

fn mfa(item: Item<'_>, faults: &mut Faults) -> Option<MfaExpectation> {
    match item.text {
        "required" => Some(MfaExpectation::Required),
        "not_required" => Some(MfaExpectation::NotRequired),
        other => {
            let instead = instead_of(other, &["required", "not_required"]);
            faults.error(item.at, format!("`mfa` cannot be `{}`: {instead}", inline(other)));
            None
        }
    }
}

fn severity(item: Item<'_>, faults: &mut Faults) -> Option<Severity> {
    let severity = item.text.parse().ok();
    if severity.is_none() {
        let instead = instead_of(item.text, &Severity::ALL.map(Severity::as_str));
        faults.error(item.at, format!("`severity` cannot be `{}`: {instead}", inline(item.text)));
    }
    severity
}

/// Reads an ExternalId, of which no message shows anything.
fn external_id(item: Item<'_>, faults: &mut Faults) -> Option<ExternalId> {
    let is_hex = |digits: &str| digits.bytes().all(|b| b.is_ascii_hexdigit());
    let digits = item.text.split_once(':').filter(|(it, _)| it.eq_ignore_ascii_case("sha256"));
    if let Some((_, digits)) = digits {
        let id = ExternalId::from_hex(digits).ok().filter(|_| is_hex(digits));
        if id.is_none() {
            let count = digits.chars().count();
            let message = format!(
                "`sha256:` wants 64 hexadecimal digits, {}",
                if is_hex(digits) { format!("not {count}") } else { "and some are none".into() }
            );
            faults.error(item.at, message);
        }
        return id;
    }
    // What STS accepts.
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c);
    let count = item.text.chars().count();
    if !(2..=1_224).contains(&count) || !item.text.chars().all(allowed) {
        faults.error(
            item.at,
            "this cannot be an ExternalId: one has 2 to 1,224 letters, digits and `_+=,.@:/-`",
        );
        return None;
    }
    if count == 64 && is_hex(item.text) {
        let message = "this looks like a SHA-256, and is taken for the ExternalId itself: write \
                       `sha256:` before it if it is one";
        faults.warning(item.at, message);
    }
    Some(ExternalId::hash(item.text))
}

fn network(item: Item<'_>, faults: &mut Faults) -> Option<IpNet> {
    let shown = inline(item.text);
    let alone = item.text.parse::<IpAddr>().map(IpNet::from);
    let Ok(network) = alone.or_else(|_| item.text.parse::<IpNet>()) else {
        let message =
            format!("`{shown}` is no network: write one like `10.0.0.0/8` or `2001:db8::/32`");
        faults.error(item.at, message);
        return None;
    };
    if network.addr() != network.network() {
        let meant = network.trunc();
        let address = network.addr();
        let message = format!(
            "`{shown}` has bits beyond its prefix: write `{meant}` for the network, or `{address}` \
             for the one address"
        );
        faults.error(item.at, message);
        return None;
    }
    if let IpNet::V6(v6) = network
        && v6.addr().to_ipv4_mapped().is_some()
    {
        let message = format!("`{shown}` stands for IPv4 addresses: write their IPv4 network");
        faults.error(item.at, message);
        return None;
    }
    Some(network)
}

/// Notes what never counts because an earlier `[[role]]` sets it for the same roles and more.
pub(super) fn warn_of_shadowed(roles: &[(Section<'_>, Role)], faults: &mut Faults) {
    for (nth, (section, role)) in roles.iter().enumerate() {
        let earlier = roles.get(..nth).unwrap_or_default();
        let set = EXPECTATIONS.iter().filter(|key| section.has(key));
        let shadowed: Vec<(&str, usize)> = set
            .clone()
            .filter_map(|key| {
                let winner = earlier
                    .iter()
                    .find(|(above, wide)| above.has(key) && wide.pattern.covers(&role.pattern))?;
                Some((*key, faults.line(winner.0.at)))
            })
            .collect();
        if !shadowed.is_empty() && shadowed.len() == set.count() {
            let keys: Vec<&str> = shadowed.iter().map(|(key, _)| *key).collect();
            let message = format!(
                "this `[[role]]` never counts: for all of its roles {} {} set {} already; the \
                 first that matches wins, so put this one before, or take it out",
                quoted(&keys),
                if keys.len() == 1 { "is" } else { "are" },
                lines(&shadowed)
            );
            faults.warning(section.at, message);
            continue;
        }
        for (key, line) in shadowed {
            let message = format!(
                "`{key}` never counts here: line {line} sets it for all of these roles already; \
                 the first that matches wins, so put this one before, or take the key out"
            );
            faults.warning(section.at(key), message);
        }
    }
}

fn lines(shadowed: &[(&str, usize)]) -> String {
    let mut lines: Vec<usize> = shadowed.iter().map(|(_, line)| *line).collect();
    lines.sort_unstable();
    lines.dedup();
    let numbers: Vec<String> = lines.iter().map(usize::to_string).collect();
    let word = if numbers.len() == 1 { "on line" } else { "on lines" };
    format!("{word} {}", numbers.join(", "))
}
