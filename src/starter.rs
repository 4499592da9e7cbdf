//! Starter expectations: what the roles of an account demand today, as a `rolewatch.toml` to
//! read, correct and keep.

use std::fmt::Write;

use crate::authorization::AuthorizedRole;
use crate::id::{AccountId, RoleArn};
use crate::text::{inline, plural};
use crate::trust::{Door, Guard, MfaDemand, Operand, Who, doors};

/// The expectations for the roles that are worth them: the powerful, and those that outside
/// accounts may take.
#[must_use]
pub fn toml(roles: &[AuthorizedRole]) -> String {
    let mut text = String::from(
        "# Starter expectations, derived from what the trust policies demand today.\n\
         # Read every role: a policy that is too wide makes an expectation that is too wide.\n",
    );
    let sections = roles.iter().filter_map(|role| Some((&role.arn, section(role)?)));
    let mut sections: Vec<(&RoleArn, String)> = sections.collect();
    sections.sort_unstable();
    let others = roles.len() - sections.len();
    sections.iter().for_each(|(_, section)| text.push_str(section));
    let others = plural(others as u64, "role has", "roles have");
    let _ = write!(
        text,
        "\n# {others} neither great power nor outside callers, and nothing is expected of them.\n"
    );
    text
}

fn section(role: &AuthorizedRole) -> Option<String> {
    // Who takes a service's own role is decided by the service.
    if role.arn.is_service_linked() {
        return None;
    }
    let doors = doors(&role.trust);
    let own = role.arn.account();
    let outside = |door: &&Door| door.who.account().is_some_and(|it| Some(it) != own);
    if role.powers.is_empty() && !doors.iter().any(|it| outside(&it)) {
        return None;
    }
    let mut text = format!("\n# {}\n", why(&role.powers, doors.iter().find(outside)));
    for note in role.trust.notes() {
        let _ = writeln!(text, "# Not understood in its trust policy: {}", inline(note.as_str()));
    }
    let _ = writeln!(text, "[[role]]\nmatch = {}", quoted(role.arn.as_str()));
    text.push_str(&mfa(&doors));
    text.push_str(&principals(&role.arn, &doors));
    text.push_str(&external_ids(&doors));
    if !role.powers.is_empty() {
        text.push_str("severity = \"high\"\n");
    }
    Some(text)
}

fn why(powers: &[String], outside: Option<&Door>) -> String {
    let outside = outside.map(|door| format!("lets in {}", door.who.display()));
    let all: Vec<&str> = powers.iter().map(String::as_str).chain(outside.as_deref()).collect();
    format!("It {}.", all.join("; "))
}

/// MFA is expected where every door for people demands it.
fn mfa(doors: &[Door]) -> String {
    let people = || doors.iter().filter(|it| matches!(it.who, Who::Account(_) | Who::Arn(_)));
    match people().map(Door::mfa).min() {
        Some(MfaDemand::Firm) => "mfa = \"required\"\n".to_owned(),
        Some(MfaDemand::IfPresent) => "mfa = \"required\"  # the trust policy says BoolIfExists, \
                                       which lets in a long-term key without MFA: write Bool\n"
            .to_owned(),
        Some(MfaDemand::None) | None => String::new(),
    }
}

fn principals(role: &RoleArn, doors: &[Door]) -> String {
    let mut patterns: Vec<String> = Vec::new();
    let mut remarks = String::new();
    for door in doors {
        match &door.who {
            Who::Account(account) => patterns.push(format!("account:{account}")),
            Who::Arn(arn) => patterns.push(arn.as_str().to_owned()),
            Who::Service(name) => patterns.push(format!("service:{}", name.as_str())),
            Who::Federated(provider) if provider.as_str().contains(":saml-provider/") => {
                patterns.push("saml:*".to_owned());
            }
            Who::Federated(_) => patterns.extend(subjects(door)),
            Who::Gone(_) => {}
            wide @ (Who::Anybody | Who::AnybodyBut(_) | Who::Other(_)) => {
                let _ = writeln!(
                    remarks,
                    "# {} lets in {}: write down who is meant",
                    inline(role.name()),
                    wide.display()
                );
            }
        }
    }
    patterns.sort_unstable();
    patterns.dedup();
    // A list that leaves somebody out would call them unexpected.
    if patterns.is_empty() || !remarks.is_empty() {
        return remarks;
    }
    list("principals", &patterns)
}

fn subjects(door: &Door) -> Vec<String> {
    let pins = door.demands.iter().filter(|it| it.guard == Guard::Subject && it.narrows());
    let values: Vec<String> = pins
        .flat_map(|pin| &pin.operands)
        .filter_map(|it| Some(format!("oidc:{}", it.as_text()?)))
        .collect();
    if values.is_empty() { vec!["oidc:*".to_owned()] } else { values }
}

fn external_ids(doors: &[Door]) -> String {
    let demands = doors.iter().flat_map(|door| &door.demands);
    let of_id = demands.filter(|it| it.guard == Guard::ExternalId);
    let mut ids: Vec<String> = of_id
        .flat_map(|it| &it.operands)
        .filter_map(|it| match it {
            Operand::Secret(id) => Some(format!("sha256:{}", id.to_hex())),
            _ => None,
        })
        .collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() { String::new() } else { list("external_ids", &ids) }
}

fn list(key: &str, values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(|it| quoted(it)).collect();
    match values.as_slice() {
        [one] => format!("{key} = [{one}]\n"),
        many => format!("{key} = [\n    {},\n]\n", many.join(",\n    ")),
    }
}

/// A TOML string. ARNs and subjects come from policies, so all that TOML gives a meaning is
/// escaped.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if crate::text::is_hostile(c) => {
                let _ = write!(quoted, "\\U{:08X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// The accounts that the files are about, for a sentence.
#[must_use]
pub fn accounts(roles: &[AuthorizedRole]) -> Vec<AccountId> {
    let mut accounts: Vec<AccountId> = roles.iter().filter_map(|role| role.arn.account()).collect();
    accounts.sort_unstable();
    accounts.dedup();
    accounts
}
