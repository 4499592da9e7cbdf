//! Expectations (`rolewatch.toml`): what an organisation declares about its roles, what it
//! knows and accepts, and how far it tunes what is unusual.
//!
//! A file is checked once, as a whole: [`Config::parse`] reports every fault with its line, and
//! gives a configuration only where none of them is an error. Nothing in it can fail later. An
//! ExternalId is hashed while it is read; no message and no `Debug` shows one.

mod exempt;
mod fault;
mod ingredient;
mod principal;
mod role;
mod section;
mod tuning;

use ipnet::IpNet;
use jiff::Timestamp;
use jiff::civil::Date;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use self::fault::{Faults, instead_of};
use self::role::Role;
use self::section::Section;
use crate::event::Principal;
use crate::id::{ExternalId, RoleArn};
use crate::severity::Severity;
use crate::text::inline;

pub use self::exempt::Exemption;
pub use self::fault::{Fault, FaultKind};
pub use self::ingredient::{Ingredient, Without};
pub use self::principal::{Comparison, PrincipalPattern};
pub use self::role::MfaExpectation;
pub use self::tuning::Tuning;

/// The ids of all rules, which are promised: what an exemption may name, whether this version
/// has the rule or not.
pub const RULE_IDS: &[&str] = &[
    "missing_mfa",
    "unexpected_principal",
    "wrong_external_id",
    "new_network",
    "new_session_name",
    "new_account",
    "chain_depth",
    "chain_cycle",
    "credential_hop",
    "dormant_role",
    "trust_policy_weakened",
    "role_enumeration",
    "root_session",
    "federation_token",
];

/// A configuration without errors. The default expects nothing and exempts nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    roles: Vec<Role>,
    exemptions: Vec<Exemption>,
    tuning: Tuning,
}

/// What reading a configuration gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The configuration, unless a fault is an error.
    pub config: Option<Config>,
    /// Everything wrong with it, in the order of the file.
    pub faults: Vec<Fault>,
}

/// What is declared for one role; `None` where nothing is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Expected<'a> {
    /// Whether calls have to prove MFA.
    pub mfa: Option<MfaExpectation>,
    /// Who takes the role.
    pub principals: Option<&'a [PrincipalPattern]>,
    /// The ExternalIds it is taken with.
    pub external_ids: Option<&'a [ExternalId]>,
    /// Where it is taken from.
    pub networks: Option<&'a [IpNet]>,
    /// AssumeRole hops to a session of it, at most; a session that nobody chained has one.
    pub max_chain_depth: Option<u32>,
    /// The least severity of findings on it.
    pub severity: Option<Severity>,
}

impl Config {
    /// Reads a configuration and checks it as a whole.
    #[must_use]
    pub fn parse(toml: &str) -> Parsed {
        let mut faults = Faults::of(toml);
        let (document, errors) = DeTable::parse_recoverable(toml);
        let sound = note_syntax(toml, &errors, &mut faults);
        let mut config = Self::default();
        if sound {
            let mut meaning = Faults::of(toml);
            config = Self::read(document.get_ref(), &mut meaning);
            faults.add_elsewhere(meaning);
        }
        let faults = faults.into_sorted();
        let usable = faults.iter().all(|fault| fault.kind != FaultKind::Error);
        Parsed { config: usable.then_some(config), faults }
    }

    fn read(document: &DeTable<'_>, faults: &mut Faults) -> Self {
        let mut config = Self::default();
        for (key, value) in document {
            match &**key.get_ref() {
                "role" => config.roles = read_roles(key.span().start, value, faults),
                "exempt" => config.exemptions = read_exemptions(key.span().start, value, faults),
                "tuning" => {
                    let section = Section::open("[tuning]", Tuning::KEYS, value, faults);
                    config.tuning = section.map(|it| Tuning::read(&it, faults)).unwrap_or_default();
                }
                other => {
                    let instead = instead_of(other, &["role", "exempt", "tuning"]);
                    let message = format!("unknown section `{}`: {instead}", inline(other));
                    faults.error(key.span().start, message);
                }
            }
        }
        config
    }

    /// What is declared for a role: of all `[[role]]` that match it, the first that sets a key
    /// decides that key.
    #[must_use]
    pub fn expected(&self, role: &RoleArn) -> Expected<'_> {
        let mut expected = Expected::default();
        for it in self.roles.iter().filter(|it| it.pattern.matches(role.as_str())) {
            expected.mfa = expected.mfa.or(it.mfa);
            expected.principals = expected.principals.or(it.principals.as_deref());
            expected.external_ids = expected.external_ids.or(it.external_ids.as_deref());
            expected.networks = expected.networks.or(it.networks.as_deref());
            expected.max_chain_depth = expected.max_chain_depth.or(it.max_chain_depth);
            expected.severity = expected.severity.or(it.severity);
        }
        expected
    }

    /// The exemption under which a finding of `rule` is known and accepted, if there is one.
    /// `time` is that of the event.
    #[must_use]
    pub fn exempt(
        &self,
        rule: &str,
        role: Option<&RoleArn>,
        principal: &Principal,
        time: Timestamp,
    ) -> Option<&Exemption> {
        self.exemptions.iter().find(|it| it.holds(rule, role, principal, time))
    }

    /// A warning for each exemption whose last day is before `today` (in UTC).
    #[must_use]
    pub fn expired(&self, today: Date) -> Vec<Fault> {
        let expired = self.exemptions.iter().filter(|it| it.until() < today);
        let warning = |it: &Exemption| Fault {
            line: it.line(),
            kind: FaultKind::Warning,
            message: format!(
                "this exemption ended on {} ({}): set a later `until`, or take it out",
                it.until(),
                inline(it.reason().as_str())
            ),
        };
        expired.map(warning).collect()
    }

    /// The numbers that decide what is unusual.
    #[must_use]
    pub fn tuning(&self) -> &Tuning {
        &self.tuning
    }

    /// How many `[[role]]` there are.
    #[must_use]
    pub fn roles(&self) -> usize {
        self.roles.len()
    }

    /// How many `[[exempt]]` there are.
    #[must_use]
    pub fn exemptions(&self) -> usize {
        self.exemptions.len()
    }
}

/// Faults that stay on their line: the reader skips the value and finds its way again. After any
/// other the rest of the file is guesswork.
const LOCAL_FAULTS: &[&str] = &[
    "duplicate key",
    "invalid basic string",
    "invalid date",
    "invalid float",
    "invalid integer",
    "invalid literal string",
    "invalid time",
    "missing escaped value",
    "string values must be quoted",
];

/// Notes where the file is no TOML, and tells whether what was read of it can be relied on.
fn note_syntax(toml: &str, errors: &[toml::de::Error], faults: &mut Faults) -> bool {
    let at = |error: &toml::de::Error| error.span().map_or(0, |span| span.start);
    let is_local = |error: &&toml::de::Error| {
        LOCAL_FAULTS.iter().any(|start| error.message().starts_with(start))
    };
    let mut errors: Vec<_> = errors.iter().collect();
    errors.sort_by_key(|error| at(error));
    let sound = errors.iter().all(is_local);
    let first = if sound { errors.len() } else { 1 };
    let mut last_line = 0;
    for error in errors.into_iter().take(first) {
        let line = faults.line(at(error));
        if line == last_line {
            continue;
        }
        last_line = line;
        let key = error.span().filter(|_| error.message() == "duplicate key");
        let message = match key.and_then(|span| toml.get(span)) {
            Some(key) => format!("duplicate key `{}`: keep one", inline(key)),
            None => format!("this is not TOML: {}", error.message()),
        };
        faults.error(at(error), message);
    }
    sound
}

fn read_roles(at: usize, value: &Spanned<DeValue<'_>>, faults: &mut Faults) -> Vec<Role> {
    let mut roles = Vec::new();
    for value in entries("[[role]]", at, value, faults) {
        let Some(section) = Section::open("[[role]]", Role::KEYS, value, faults) else { continue };
        if let Some(role) = Role::read(&section, faults) {
            roles.push((section, role));
        }
    }
    role::warn_of_shadowed(&roles, faults);
    roles.into_iter().map(|(_, role)| role).collect()
}

fn read_exemptions(at: usize, value: &Spanned<DeValue<'_>>, faults: &mut Faults) -> Vec<Exemption> {
    let mut exemptions = Vec::new();
    for value in entries("[[exempt]]", at, value, faults) {
        let section = Section::open("[[exempt]]", Exemption::KEYS, value, faults);
        let Some(section) = section else { continue };
        if let Some(exemption) = Exemption::read(&section, faults) {
            exemptions.push((section.at, exemption));
        }
    }
    exempt::warn_of_repeated(&exemptions, faults);
    exemptions.into_iter().map(|(_, exemption)| exemption).collect()
}

/// The tables of a list of tables. One that was written with single brackets is checked too.
fn entries<'a>(
    name: &str,
    at: usize,
    value: &'a Spanned<DeValue<'a>>,
    faults: &mut Faults,
) -> Vec<&'a Spanned<DeValue<'a>>> {
    match value.get_ref() {
        DeValue::Array(array) => array.iter().collect(),
        DeValue::Table(_) => {
            faults.error(at, format!("there may be several of these: write `{name}`"));
            vec![value]
        }
        _ => {
            faults.error(at, format!("this is no section: write `{name}` on a line of its own"));
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests;
