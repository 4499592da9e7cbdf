//! `[[exempt]]`: what is known and accepted, with a reason and an end.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::RULE_IDS;
use super::fault::{Faults, closest, quoted};
use super::principal::{Comparison, PrincipalPattern};
use super::role::{distinct, principal, role_glob};
use super::section::{Item, Section};
use crate::event::Principal;
use crate::glob::Glob;
use crate::id::RoleArn;
use crate::text::{Text, inline};

/// Findings that somebody knows of and accepts for a while.
#[derive(Debug, Clone, PartialEq)]
pub struct Exemption {
    rules: Vec<&'static str>,
    role: Option<Glob>,
    principal: Option<PrincipalPattern>,
    until: Date,
    reason: Text,
    /// The line of `until`.
    line: usize,
}

/// Rules about calls that are for no role.
const WITHOUT_ROLE: [&str; 2] = ["root_session", "federation_token"];

impl Exemption {
    pub(super) const KEYS: &[&str] = &["rules", "role", "principal", "until", "reason"];

    /// The rules whose findings are accepted.
    #[must_use]
    pub fn rules(&self) -> &[&'static str] {
        &self.rules
    }

    /// The last day on which they are, in UTC.
    #[must_use]
    pub fn until(&self) -> Date {
        self.until
    }

    /// Why they are. Whoever prints it escapes it.
    #[must_use]
    pub fn reason(&self) -> &Text {
        &self.reason
    }

    /// Where the exemption's end is written in its file, counted from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// Whether a finding is accepted. Somebody who cannot be compared with the principal that is
    /// named is not exempt, nor is a call for no role where a role is named.
    pub(super) fn holds(
        &self,
        rule: &str,
        role: Option<&RoleArn>,
        principal: &Principal,
        time: Timestamp,
    ) -> bool {
        let its_role = |wanted: &Glob| role.is_some_and(|role| wanted.matches(role.as_str()));
        let its_principal =
            |wanted: &PrincipalPattern| wanted.matches(principal) == Comparison::Matches;
        self.rules.contains(&rule)
            && self.role.as_ref().is_none_or(its_role)
            && self.principal.as_ref().is_none_or(its_principal)
            && time.to_zoned(TimeZone::UTC).date() <= self.until
    }

    /// Reads one section; `None` where something in it cannot be used.
    pub(super) fn read(section: &Section<'_>, faults: &mut Faults) -> Option<Self> {
        section.demand("rules", "list the rules it accepts findings of", faults);
        section.demand("until", "write the last day, like `until = 2027-01-31`", faults);
        section.demand("reason", "say who accepted it and why, or name the ticket", faults);
        let anchored = section.has("role") || section.has("principal");
        if !anchored {
            let message = "`[[exempt]]` has no `role` and no `principal`: name one at least";
            faults.error(section.at, message);
        }
        let role = section.text("role", faults).and_then(|item| role_glob(item, faults));
        let principal = section.text("principal", faults).and_then(|item| principal(item, faults));
        let rules = section.list("rules", faults, distinct(rule));
        let until = section.date("until", faults);
        let reason = section.text("reason", faults).and_then(|item| reason(item, faults));
        let exemption = Self {
            line: faults.line(section.at("until")),
            rules: rules?,
            role,
            principal,
            until: until?,
            reason: reason?,
        };
        exemption.warn_of_reach(section, faults);
        Some(exemption)
    }

    fn warn_of_reach(&self, section: &Section<'_>, faults: &mut Faults) {
        let every_role = !section.has("role") || self.role.as_ref().is_some_and(matches_all);
        let everybody = !section.has("principal")
            || self.principal.as_ref().is_some_and(PrincipalPattern::is_anybody);
        if every_role && everybody && (self.role.is_some() || self.principal.is_some()) {
            let message = format!(
                "this exempts everybody on every role from {}: narrow `role` or `principal`",
                quoted(&self.rules)
            );
            faults.warning(section.at, message);
        }
        let lost: Vec<&str> =
            self.rules.iter().copied().filter(|rule| WITHOUT_ROLE.contains(rule)).collect();
        if section.has("role") && !lost.is_empty() {
            let message = format!(
                "findings of {} are about no role, so that none is exempt by one: give them an \
                 `[[exempt]]` with `principal` alone",
                quoted(&lost)
            );
            faults.warning(section.at("role"), message);
        }
    }

    fn same_scope(&self, other: &Self) -> bool {
        let contains = |a: &Self, b: &Self| a.rules.iter().all(|rule| b.rules.contains(rule));
        self.role == other.role
            && self.principal == other.principal
            && contains(self, other)
            && contains(other, self)
    }
}

fn matches_all(role: &Glob) -> bool {
    role.covers(&Glob::new("arn:aws*:iam::*:role/*"))
}

fn rule(item: Item<'_>, faults: &mut Faults) -> Option<&'static str> {
    let known = RULE_IDS.iter().copied().find(|id| *id == item.text);
    if known.is_none() {
        let instead = match closest(item.text, RULE_IDS) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "`rolewatch rules` lists them".to_owned(),
        };
        faults.error(item.at, format!("there is no rule `{}`: {instead}", inline(item.text)));
    }
    known
}

fn reason(item: Item<'_>, faults: &mut Faults) -> Option<Text> {
    if item.text.trim().is_empty() {
        faults.error(item.at, "`reason` is empty: say who accepted it and why");
        return None;
    }
    Some(Text::clip(item.text))
}

/// Notes exemptions that an earlier one repeats.
pub(super) fn warn_of_repeated(exemptions: &[(usize, Exemption)], faults: &mut Faults) {
    for (nth, (at, exemption)) in exemptions.iter().enumerate() {
        let earlier = exemptions.get(..nth).unwrap_or_default();
        if let Some((first, _)) = earlier.iter().find(|(_, it)| it.same_scope(exemption)) {
            let line = faults.line(*first);
            let message = format!(
                "line {line} exempts the same: keep one `[[exempt]]`, with the later `until`"
            );
            faults.warning(*at, message);
        }
    }
}
