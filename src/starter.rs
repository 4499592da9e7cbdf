//! Starter expectations: what the roles of an account demand today, as a `rolewatch.toml` to
//! read, correct and keep.

use std::fmt::Write;

use crate::authorization::AuthorizedRole;
use crate::config::{Config, PrincipalPattern};
use crate::id::{AccountId, RoleArn};
use crate::text::{inline, plural};
use crate::trust::{Demand, Door, Guard, MfaDemand, Operand, Test, Who, doors};

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
    let others = roles.len() - sections.len();
    sections.sort_unstable();
    // Two files may be of one account.
    sections.dedup_by_key(|(arn, _)| *arn);
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
    let outside = |door: &&Door| door.who.account().is_some_and(|it| it != own);
    if role.powers.is_empty() && !doors.iter().any(|it| outside(&it)) {
        return None;
    }
    let mut text = format!("# {}\n", why(&role.powers, doors.iter().find(outside)));
    for note in role.trust.notes() {
        let _ = writeln!(text, "# Not understood in its trust policy: {}", inline(note.as_str()));
    }
    let _ = writeln!(text, "[[role]]\nmatch = {}", quoted(role.arn.as_str()));
    text.push_str(&mfa(&doors));
    text.push_str(&principals(&role.arn, &doors));
    text.push_str(&external_ids(&doors, own));
    if !role.powers.is_empty() {
        text.push_str("severity = \"high\"\n");
    }
    Some(format!("\n{}", checked(text)))
}

/// A section that `config check` has nothing against; any other one as a comment, with the reason.
fn checked(section: String) -> String {
    let faults = Config::parse(&section).faults;
    let Some(fault) = faults.first() else { return section };
    let mut text = String::new();
    for line in section.lines() {
        let mark = if line.starts_with('#') { "" } else { "# " };
        let _ = writeln!(text, "{mark}{line}");
    }
    let _ = writeln!(text, "# Left out: {}", inline(&fault.message));
    text
}

fn why(powers: &[String], outside: Option<&Door>) -> String {
    let outside = outside.map(|door| format!("lets in {}", door.who.display()));
    let all: Vec<&str> = powers.iter().map(String::as_str).chain(outside.as_deref()).collect();
    format!("It {}.", all.join("; "))
}

/// MFA is expected where every door for people demands it.
fn mfa(doors: &[Door]) -> String {
    let people = || doors.iter().filter(|it| is_people(&it.who));
    match people().map(Door::mfa).min() {
        Some(MfaDemand::Firm) => "mfa = \"required\"\n".to_owned(),
        Some(MfaDemand::IfPresent) => "mfa = \"required\"  # the trust policy says BoolIfExists, \
                                       which lets in a long-term key without MFA: write Bool\n"
            .to_owned(),
        Some(MfaDemand::None) | None => String::new(),
    }
}

/// Whether a user may be among them.
fn is_people(who: &Who) -> bool {
    matches!(who, Who::Anybody | Who::AnybodyBut(_) | Who::Account(_) | Who::Arn(_) | Who::Id(_))
}

fn principals(role: &RoleArn, doors: &[Door]) -> String {
    let mut patterns: Vec<String> = Vec::new();
    let mut remarks: Vec<String> = Vec::new();
    for door in doors {
        let found = match &door.who {
            Who::Account(account) => vec![format!("account:{account}")],
            Who::Arn(arn) => vec![arn.as_str().to_owned()],
            Who::Service(name) => vec![format!("service:{}", name.as_str())],
            Who::Federated(provider) if provider.as_str().contains(":saml-provider/") => {
                vec!["saml:*".to_owned()]
            }
            Who::Federated(_) => subjects(door),
            // Of a principal that is there IAM writes the ARN: this one was deleted.
            Who::Id(_) => Vec::new(),
            Who::Anybody | Who::AnybodyBut(_) | Who::AnyProvider(_) | Who::Other(_) => Vec::new(),
        };
        let is_wide = match &door.who {
            Who::Service(name) => name.as_str().contains('*'),
            who => matches!(
                who,
                Who::Anybody | Who::AnybodyBut(_) | Who::AnyProvider(_) | Who::Other(_)
            ),
        };
        if is_wide || !found.iter().all(|it| is_sound(it)) {
            let (role, who) = (inline(role.name()), door.who.display());
            remarks.push(format!("# {role} lets in {who}: write down who is meant\n"));
        }
        patterns.extend(found);
    }
    patterns.sort_unstable();
    patterns.dedup();
    remarks.dedup();
    // A list that leaves somebody out would call them unexpected.
    match remarks.is_empty() && !patterns.is_empty() {
        true => list("principals", &patterns),
        false => remarks.concat(),
    }
}

/// Whether `rolewatch.toml` takes a pattern, and it is not that of everybody.
fn is_sound(pattern: &str) -> bool {
    pattern != "*" && PrincipalPattern::parse(pattern).is_ok_and(|it| !it.is_root_user())
}

fn subjects(door: &Door) -> Vec<String> {
    let is_subject = |it: &&Demand| it.guard == Guard::Subject && it.key.ends_with(":sub");
    let pins = door.demands.iter().filter(is_subject).filter(|it| it.narrows());
    // Other spellings of it may come, and an expectation is of one.
    let pins = pins.filter(|it| !matches!(it.test, Test::String { ignore_case: true, .. }));
    let values: Vec<String> = pins
        .flat_map(|pin| &pin.operands)
        .filter_map(|it| Some(format!("oidc:{}", it.as_text()?)))
        .collect();
    if values.is_empty() { vec!["oidc:*".to_owned()] } else { values }
}

/// The ExternalIds, where whoever comes from outside has to send one: the list is for all of
/// them, and would call wrong who needs none.
fn external_ids(doors: &[Door], own: AccountId) -> String {
    let of_door = |door: &Door| -> Option<Vec<String>> {
        let of_id = |it: &&Demand| it.guard == Guard::ExternalId && it.narrows();
        let operands: Vec<&Operand> =
            door.demands.iter().filter(of_id).flat_map(|it| &it.operands).collect();
        let ids = operands.iter().map(|it| match it {
            Operand::Secret(id) => Some(format!("sha256:{}", id.to_hex())),
            _ => None,
        });
        ids.collect::<Option<Vec<String>>>().filter(|ids| !ids.is_empty())
    };
    let is_outside = |door: &&Door| match &door.who {
        Who::Service(_) | Who::Federated(_) | Who::AnyProvider(_) | Who::Id(_) => false,
        who => who.account().is_none_or(|it| it != own),
    };
    let outside: Vec<&Door> = doors.iter().filter(is_outside).collect();
    let demanding = outside.iter().filter(|it| it.demands(Guard::ExternalId)).count();
    match outside.iter().map(|it| of_door(it)).collect::<Option<Vec<Vec<String>>>>() {
        _ if demanding == 0 => String::new(),
        Some(ids) => {
            let mut ids = ids.concat();
            ids.sort_unstable();
            ids.dedup();
            list("external_ids", &ids)
        }
        None if demanding == outside.len() => {
            "# An ExternalId is demanded by a pattern, which cannot be expected\n".to_owned()
        }
        None => format!(
            "# An ExternalId is demanded of {demanding} of {} principals from outside, and the list \
             is for all of them: none is expected\n",
            outside.len()
        ),
    }
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
    let mut accounts: Vec<AccountId> = roles.iter().map(|role| role.arn.account()).collect();
    accounts.sort_unstable();
    accounts.dedup();
    accounts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;
    use serde_json::{Value, json};

    use super::*;
    use crate::trust::TrustPolicy;

    fn role(statements: &[Value]) -> AuthorizedRole {
        let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        AuthorizedRole {
            arn: "arn:aws:iam::111122223333:role/a/Target".parse().unwrap(),
            id: None,
            trust: TrustPolicy::read(&document).unwrap(),
            powers: vec!["has AdministratorAccess".to_owned()],
        }
    }

    fn admits(principal: Value, condition: Value) -> Value {
        json!({"Effect": "Allow", "Action": "*", "Principal": principal, "Condition": condition})
    }

    #[test]
    fn external_ids_are_expected_only_where_everybody_from_outside_needs_one() {
        let id = |it: &str| json!({"StringEquals": {"sts:ExternalId": it}});
        let one = admits(json!({"AWS": "444455556666"}), id("one"));
        let two = admits(json!({"AWS": "777788889999"}), id("two"));
        let without = admits(json!({"AWS": "arn:aws:iam::777788889999:role/x"}), json!({}));
        let optional = admits(
            json!({"AWS": "777788889999"}),
            json!({"StringEqualsIfExists": {"sts:ExternalId": "two"}}),
        );
        let pattern = admits(
            json!({"AWS": "777788889999"}),
            json!({"StringLike": {"sts:ExternalId": "acme-two-*"}}),
        );
        let own = admits(json!({"AWS": "111122223333"}), json!({}));
        let text = |statements: &[Value]| toml(&[role(statements)]);
        let both = text(&[one.clone(), two.clone(), own]);
        assert_eq!(both.matches("sha256:").count(), 2, "{both}");
        let some = text(&[one.clone(), two, without]);
        assert!(some.contains("# An ExternalId is demanded of 2 of 3 principals"), "{some}");
        assert!(!some.contains("external_ids"), "{some}");
        assert!(!text(&[one.clone(), optional]).contains("external_ids"));
        assert!(text(&[one, pattern]).contains("demanded by a pattern"));
    }

    #[test]
    fn mfa_is_expected_only_where_nobody_at_all_passes_without() {
        let own = admits(
            json!({"AWS": "111122223333"}),
            json!({"Bool": {"aws:MultiFactorAuthPresent": "true"}}),
        );
        let org =
            admits(json!("*"), json!({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}));
        assert!(toml(&[role(std::slice::from_ref(&own))]).contains("mfa = "));
        assert!(!toml(&[role(&[own, org])]).contains("mfa = "));
    }

    #[test]
    fn a_subject_in_any_case_is_no_pattern() {
        let host = "token.actions.githubusercontent.com";
        let provider = format!("arn:aws:iam::111122223333:oidc-provider/{host}");
        let condition = json!({"StringEqualsIgnoreCase": {format!("{host}:sub"): "repo:ACME/a:x"}});
        let text = toml(&[role(&[admits(json!({"Federated": provider}), condition)])]);
        assert!(text.contains("oidc:*") && !text.contains("ACME"), "{text}");
    }

    fn statement() -> impl Strategy<Value = Value> {
        let odd = "[*?:/a-c\"\\\\\\n\u{1b}\u{202e} ü]{0,6}";
        let arn = prop::sample::select(
            &[
                "*",
                "*:role/x",
                "foo*",
                "arn:aws:iam::111122223333:*",
                "arn:aws:iam::*",
                "arn:*:iam::*:role/x",
                "arn:aws:iam::*:root",
                "arn:aws:iam::11112222*:role/x",
                "arn:aws:iam::444455556666:root",
                "arn:aws:sts::111122223333:assumed-role/R/s",
                "arn:aws:sts::111122223333:federated-user/bob",
                "arn:aws-cn:iam::444455556666:user/x",
                "AROAEXAMPLEEXAMPLE123",
                "444455556666",
            ][..],
        );
        let host = "token.actions.githubusercontent.com";
        let provider = format!("arn:aws:iam::111122223333:oidc-provider/{host}");
        prop_oneof![
            (arn.clone(), odd).prop_map(|(arn, end)| admits(
                json!({"AWS": [arn, format!("{arn}{end}")]}),
                json!({})
            )),
            (arn, odd).prop_map(|(arn, end)| admits(
                json!({"AWS": "*"}),
                json!({"StringLike": {"aws:PrincipalArn": [arn, format!("{arn}{end}")]}})
            )),
            odd.prop_map(|name| admits(json!({"Service": name}), json!({}))),
            (odd, any::<bool>()).prop_map(move |(subject, is_pattern)| {
                let operator = if is_pattern { "StringLike" } else { "StringEquals" };
                let claim = format!("{host}:sub");
                admits(json!({"Federated": provider}), json!({operator: {claim: subject}}))
            }),
            odd.prop_map(|kind| admits(json!({kind: "x"}), json!({}))),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 2_000,
            rng_seed: RngSeed::Fixed(4_715),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn config_check_has_nothing_against_what_is_derived(
            statements in prop::collection::vec(statement(), 1..4),
        ) {
            let one = role(&statements);
            let text = toml(&[role(&statements), one]);
            let parsed = Config::parse(&text);
            prop_assert!(parsed.faults.is_empty(), "{:?} {text}", parsed.faults);
            prop_assert!(!text.chars().any(|c| c != '\n' && crate::text::is_hostile(c)), "{text}");
        }
    }
}
