//! Nobody comes in unseen: whom a new policy admits and the old one did not is told of.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

use crate::event::{Principal, PrincipalKind};
use crate::text::Text;
use crate::trust::{Answer, Ask, Before, Known, Request, Standing, TrustPolicy, World, compare};

/// All of an outside account, so that nobody is a colleague whom it is harmless to add.
const ARNS: [&str; 3] = [
    "arn:aws:iam::777788889999:user/alice",
    "arn:aws:iam::777788889999:user/ben",
    "arn:aws:iam::444455556666:user/carol",
];

/// Who asks, from where, with what.
#[derive(Debug, Clone)]
struct Asker {
    arn: &'static str,
    team: Option<&'static str>,
    address: &'static str,
    mfa: Option<bool>,
    region: &'static str,
}

fn askers() -> Vec<Asker> {
    let mut askers = Vec::new();
    for arn in ARNS {
        for team in [None, Some("red"), Some("blue")] {
            for address in ["198.51.100.1", "198.51.100.200", "203.0.113.1"] {
                for mfa in [None, Some(false), Some(true)] {
                    let of = |region| Asker { arn, team, address, mfa, region };
                    askers.extend([of("eu"), of("us")]);
                }
            }
        }
    }
    askers
}

fn condition() -> impl Strategy<Value = Value> {
    let word = |words: &'static [&'static str]| prop::sample::select(words);
    let some =
        |values: &'static [&'static str]| prop::collection::vec(prop::sample::select(values), 1..3);
    let strings = &["StringEquals", "StringNotEquals", "StringLike", "StringNotLike"][..];
    let sets = &["", "", "", "ForAllValues:", "ForAnyValue:"][..];
    let ends = &["", "", "IfExists"][..];
    let networks = &[
        "198.51.100.0/24",
        "198.51.100.0/25",
        "198.51.100.128/25",
        "203.0.113.0/24",
        "198.51.100.1/32",
    ][..];
    prop_oneof![
        (word(sets), word(strings), word(ends), some(&["red", "blue", "r*"][..])).prop_map(
            |(set, it, end, v)| json!({format!("{set}{it}{end}"): {"aws:PrincipalTag/team": v}})
        ),
        (word(strings), some(&["eu", "us"][..]))
            .prop_map(|(it, v)| json!({it: {"aws:RequestedRegion": v}})),
        (word(&["IpAddress", "NotIpAddress"][..]), some(networks))
            .prop_map(|(it, v)| json!({it: {"aws:SourceIp": v}})),
        word(ends).prop_map(|end| json!({format!("Bool{end}"): {"aws:MultiFactorAuthPresent": 1}})),
        (word(&["ArnLike", "ArnNotLike", "ArnEquals", "ArnNotEquals"][..]), some(&ARNS[..]))
            .prop_map(|(it, v)| json!({it: {"aws:PrincipalArn": v}})),
    ]
}

/// The operator by which a condition protects: what lets pass whoever lacks the key is no demand
/// that can be lost.
fn protecting(effect: &str, operator: &str) -> String {
    match effect {
        "Allow" => operator.replace("IfExists", "").replace("ForAllValues:", ""),
        _ => operator.replace("ForAnyValue:", ""),
    }
}

fn statement() -> impl Strategy<Value = Value> {
    let one = prop_oneof![
        3 => prop::sample::select(&ARNS[..]),
        1 => Just("777788889999"),
        1 => Just("*"),
    ];
    let conditions = prop::collection::vec(condition(), 0..3);
    let effect = prop::sample::select(&["Allow", "Deny"][..]);
    let who = prop_oneof![4 => Just("Principal"), 1 => Just("NotPrincipal")];
    (effect, who, prop::collection::vec(one, 1..3), conditions).prop_map(
        |(effect, who, named, conditions)| {
            let who = if effect == "Allow" { "Principal" } else { who };
            let mut merged = json!({});
            for (operator, keys) in conditions.iter().filter_map(Value::as_object).flatten() {
                let entry = &mut merged[protecting(effect, operator)];
                for (key, values) in keys.as_object().unwrap() {
                    let is_mfa = key == "aws:MultiFactorAuthPresent";
                    let mfa = json!((effect == "Allow").to_string());
                    entry[key] = if is_mfa { mfa } else { values.clone() };
                }
            }
            json!({"Effect": effect, who: {"AWS": named}, "Action": "sts:*", "Condition": merged})
        },
    )
}

/// A policy, and what somebody made of it who took a statement or a condition away, or put one in.
fn change() -> impl Strategy<Value = (Vec<Value>, Vec<Value>)> {
    let statements = || prop::collection::vec(statement(), 1..4);
    (statements(), statements(), any::<[bool; 4]>(), any::<bool>()).prop_map(
        |(old, other, kept, is_bare)| {
            let mut new: Vec<Value> =
                old.iter().zip(kept).filter(|(_, kept)| *kept).map(|(it, _)| it.clone()).collect();
            new.extend(other.into_iter().take(1));
            if let (true, Some(last)) = (is_bare, new.first_mut()) {
                last["Condition"] = json!({});
            }
            (old, new)
        },
    )
}

fn read(statements: &[Value]) -> TrustPolicy {
    let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
    TrustPolicy::read(&document).unwrap()
}

fn admits(policy: &TrustPolicy, asker: &Asker) -> Answer {
    let account = asker.arn.split(':').nth(4).unwrap();
    let caller = Principal {
        account: account.parse().ok(),
        arn: Some(Text::clip(asker.arn)),
        ..Principal::of_kind(PrincipalKind::IamUser)
    };
    let known = |it: Option<&str>| it.map_or(Known::Absent, Known::value);
    let mfa = asker.mfa.map(|it| it.to_string());
    let context = [
        ("aws:principalarn", known(Some(asker.arn))),
        ("aws:principaltag/team", known(asker.team)),
        ("aws:requestedregion", known(Some(asker.region))),
        ("aws:sourceip", known(Some(asker.address))),
        ("aws:multifactorauthpresent", known(mfa.as_deref())),
    ];
    let context = context.into_iter().map(|(key, known)| (key.to_owned(), known)).collect();
    policy.admits(&Request { ask: Ask::AssumeRole, caller: &caller, context }).answer
}

fn world() -> World<'static> {
    World {
        time: "2026-03-02T09:00:00Z".parse().unwrap(),
        role_account: "111122223333".parse().ok(),
        standing: &|_| Standing::Stranger,
        knows_party: &|_| false,
        knows_id: &|_| false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 3_000,
        rng_seed: RngSeed::Fixed(4_717),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whoever_is_newly_admitted_is_told_of((old, new) in change()) {
        let (before, after) = (read(&old), read(&new));
        let came = |asker: &Asker| {
            admits(&before, asker) == Answer::No && admits(&after, asker) == Answer::Yes
        };
        if let Some(asker) = askers().into_iter().find(came) {
            let found = compare(Before::Policy(&before), &after, &world());
            let told = found.iter().any(|it| it.severity.is_some());
            prop_assert!(told, "{asker:?}\n{}\n{}\n{found:?}", json!(old), json!(new));
        }
    }
    #[test]
    fn a_further_deny_is_no_weakening(
        old in prop::collection::vec(statement(), 1..4), deny in statement(),
    ) {
        if deny["Effect"] == "Deny" {
            let new = [old.as_slice(), &[deny]].concat();
            let found = compare(Before::Policy(&read(&old)), &read(&new), &world());
            let told = found.iter().find(|it| it.severity.is_some());
            prop_assert!(told.is_none(), "{}\n{}\n{found:?}", json!(old), json!(new));
        }
    }
}
