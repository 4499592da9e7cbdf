//! What a sound configuration says about roles and findings. What is wrong with unsound ones is
//! in `tests/config.rs`.

use super::*;
use crate::event::PrincipalKind;
use crate::text::Text;

fn sound(toml: &str) -> Config {
    let parsed = Config::parse(toml);
    parsed.config.unwrap_or_else(|| panic!("{:?}", parsed.faults))
}

fn role(name: &str) -> RoleArn {
    format!("arn:aws:iam::111122223333:role/{name}").parse().unwrap()
}

fn user(name: &str) -> Principal {
    Principal {
        arn: Some(Text::clip(&format!("arn:aws:iam::111122223333:user/{name}"))),
        account: Some("111122223333".parse().unwrap()),
        ..Principal::of_kind(PrincipalKind::IamUser)
    }
}

#[test]
fn nothing_is_expected_by_default() {
    let config = Config::default();
    assert_eq!(config.expected(&role("x")), Expected::default());
    assert_eq!(config, sound(""));
    assert_eq!(*config.tuning(), Tuning::default());
}

#[test]
fn the_first_role_that_matches_wins_per_key() {
    let config = sound(
        r#"
        [[role]]
        match = "arn:aws:iam::*:role/admin/*"
        severity = "critical"
        [[role]]
        match = "arn:aws:iam::*:role/admin/Org*"
        mfa = "required"
        networks = ["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"]
        max_chain_depth = 2
        [[role]]
        match = "*"
        mfa = "not_required"
        external_ids = ["hunter2"]
        principals = ["account:111122223333"]
        "#,
    );
    let all = config.expected(&role("x"));
    assert_eq!(all.mfa, Some(MfaExpectation::NotRequired));
    assert_eq!((all.severity, all.networks), (None, None));
    assert_eq!(all.external_ids, Some(&[ExternalId::hash("hunter2")][..]));
    let admin = config.expected(&role("admin/x"));
    assert_eq!(admin.severity, Some(Severity::Critical));
    assert_eq!(admin.mfa, Some(MfaExpectation::NotRequired));
    let org = config.expected(&role("admin/OrgAdmin"));
    assert_eq!(org.mfa, Some(MfaExpectation::Required));
    assert_eq!(org.max_chain_depth, Some(2));
    assert_eq!(org.principals.map(<[_]>::len), Some(1));
    let networks: Vec<String> = org.networks.unwrap().iter().map(IpNet::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"]);
}

#[test]
fn a_hashed_external_id_is_the_one_in_clear() {
    let digits = ExternalId::hash("hunter2").to_hex().to_uppercase();
    let config = sound(&format!("[[role]]\nmatch = '*'\nexternal_ids = ['sha256:{digits}']\n"));
    let role = role("x");
    assert_eq!(config.expected(&role).external_ids, Some(&[ExternalId::hash("hunter2")][..]));
}

const EXEMPT: &str = r#"
    [[exempt]]
    rules = ["missing_mfa", "new_network"]
    role = "arn:aws:iam::*:role/ci-*"
    principal = "arn:aws:iam::111122223333:user/ci"
    until = 2027-01-31
    reason = "ticket 4711"
    [[exempt]]
    rules = ["root_session"]
    principal = "account:111122223333"
    until = 2027-06-30
    reason = "break-glass exercise"
"#;

#[test]
fn an_exemption_holds_for_what_it_names() {
    let config = sound(EXEMPT);
    let (ci, time) = (user("ci"), "2027-01-01T00:00:00Z".parse().unwrap());
    let build = role("ci-build");
    let exempt = config.exempt("missing_mfa", Some(&build), &ci, time).unwrap();
    assert_eq!(exempt.reason().as_str(), "ticket 4711");
    assert_eq!(exempt.rules(), ["missing_mfa", "new_network"]);
    assert!(config.exempt("new_network", Some(&build), &ci, time).is_some());
    assert!(config.exempt("new_account", Some(&build), &ci, time).is_none());
    assert!(config.exempt("missing_mfa", Some(&role("x")), &ci, time).is_none());
    assert!(config.exempt("missing_mfa", Some(&build), &user("alice"), time).is_none());
    assert!(config.exempt("missing_mfa", None, &ci, time).is_none());
    assert!(config.exempt("root_session", None, &ci, time).is_some());
    let poor = Principal { arn: None, kind: PrincipalKind::AwsAccount, ..ci };
    assert!(config.exempt("missing_mfa", Some(&build), &poor, time).is_none());
}

#[test]
fn the_last_day_of_an_exemption_counts_and_is_one_of_utc() {
    let config = sound(EXEMPT);
    for (time, holds) in [
        ("2020-01-01T00:00:00Z", true),
        ("2027-01-31T23:59:59Z", true),
        ("2027-02-01T01:00:00+02:00", true),
        ("2027-02-01T00:00:00Z", false),
    ] {
        let time = time.parse().unwrap();
        let exempt = config.exempt("missing_mfa", Some(&role("ci-x")), &user("ci"), time);
        assert_eq!(exempt.is_some(), holds, "{time}");
    }
}

#[test]
fn what_has_expired_is_told_by_its_line() {
    let config = sound(EXEMPT);
    let on = |date: &str| -> Vec<String> {
        config.expired(date.parse().unwrap()).iter().map(Fault::to_string).collect()
    };
    assert!(on("2027-01-31").is_empty());
    assert_eq!(
        on("2027-02-01"),
        [
            "line 6: warning: this exemption ended on 2027-01-31 (ticket 4711): set a later `until`, \
          or take it out"
        ]
    );
    assert_eq!(on("2028-01-01").len(), 2);
}

#[test]
fn tuning_keeps_defaults_for_what_is_not_set() {
    let config = sound("[tuning]\nperson_threshold_bits = 11\ndormant_days = 45\n");
    let expected = Tuning { person_threshold_bits: 11.0, dormant_days: 45, ..Tuning::default() };
    assert_eq!(*config.tuning(), expected);
}

#[test]
fn every_expectation_can_be_set_and_every_key_is_known() {
    assert!(RULE_IDS.iter().all(|id| id.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    let mut distinct = RULE_IDS.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), RULE_IDS.len());
    for key in Tuning::KEYS {
        let value = if *key == "without" { "['moved']" } else { "13" };
        let parsed = Config::parse(&format!("[tuning]\n{key} = {value}\n"));
        assert_ne!(*parsed.config.unwrap().tuning(), Tuning::default(), "{key}");
    }
}

#[test]
fn what_is_left_out_is_called_by_its_name() {
    for ingredient in Ingredient::ALL {
        let name = ingredient.as_str();
        let config = sound(&format!("[tuning]\nwithout = ['{name}']\n"));
        let left_out = |it: &Ingredient| config.tuning().without.has(*it);
        let left_out: Vec<_> = Ingredient::ALL.into_iter().filter(left_out).collect();
        assert_eq!(left_out, [ingredient], "{name}");
    }
    let parsed = Config::parse("[tuning]\nwithout = ['privilege',\n 'two places']\n");
    let [fault] = parsed.faults.as_slice() else { panic!("{:?}", parsed.faults) };
    assert_eq!(fault.line, 3);
    assert!(fault.message.contains("did you mean `two_places`?"), "{}", fault.message);
}
