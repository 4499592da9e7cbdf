//! Whoever is let in comes through a door.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

use crate::event::{Principal, PrincipalKind};
use crate::glob::Glob;
use crate::text::Text;
use crate::trust::{Answer, Ask, Known, Request, TrustPolicy, Who, doors};

const ACCOUNTS: [&str; 2] = ["111122223333", "777788889999"];
const ARNS: [&str; 12] = [
    "arn:aws:iam::111122223333:user/alice",
    "arn:aws:iam::777788889999:role/x",
    "arn:aws:iam::777788889999:role/path/R",
    "arn:aws:iam::777788889999:root",
    "arn:aws:sts::777788889999:assumed-role/R/s",
    "arn:aws:iam::777788889999:ROLE/X",
    "arn:aws:iam::777788889999:*",
    "arn:aws:iam::*:role/*",
    "arn:aws:iam::*:role/x",
    "arn:aws:iam::7777*",
    "arn:*:iam::*:user/a*",
    "*:role/?",
];
const NAMES: [&str; 6] =
    ["111122223333", "777788889999", "7777*", "77778888999?", "777788889999*", "*"];

fn principal() -> impl Strategy<Value = Value> {
    let one = prop_oneof![
        Just("*"),
        prop::sample::select(&ACCOUNTS[..]),
        prop::sample::select(&ARNS[..6]),
        Just("AROAEXAMPLEEXAMPLE123"),
    ];
    prop::collection::vec(one, 1..3).prop_map(|named| json!({"AWS": named}))
}

fn condition() -> impl Strategy<Value = Value> {
    let ends = || prop::sample::select(&["", "", "", "IfExists"][..]);
    let word = || {
        let words = &[
            "StringEquals",
            "StringNotEquals",
            "StringLike",
            "StringNotLike",
            "StringEqualsIgnoreCase",
            "StringNotEqualsIgnoreCase",
            "ArnLike",
            "ArnNotEquals",
        ];
        prop::sample::select(&words[..])
    };
    let arns = prop::collection::vec(prop::sample::select(&ARNS[..]), 1..3);
    let names = prop::collection::vec(prop::sample::select(&NAMES[..]), 1..3);
    let services = &["aws:PrincipalIsAWSService", "aws:ViaAWSService"][..];
    prop_oneof![
        (word(), ends(), arns)
            .prop_map(|(it, end, arns)| json!({format!("{it}{end}"): {"aws:PrincipalArn": arns}})),
        (word(), ends(), names).prop_map(
            |(it, end, names)| json!({format!("{it}{end}"): {"aws:PrincipalAccount": names}})
        ),
        (ends(), prop::sample::select(services), any::<bool>())
            .prop_map(|(end, key, it)| json!({format!("Bool{end}"): {key: it}})),
    ]
}

fn statement() -> impl Strategy<Value = Value> {
    let words = (
        prop::sample::select(&["Allow", "Allow", "Deny"][..]),
        prop::sample::select(&["Principal", "Principal", "NotPrincipal"][..]),
    );
    (words, principal(), prop::collection::vec(condition(), 0..3)).prop_map(
        |((effect, who), principal, conditions)| {
            let mut merged = serde_json::Map::new();
            for (operator, keys) in conditions.iter().filter_map(Value::as_object).flatten() {
                let entry = merged.entry(operator.clone()).or_insert_with(|| json!({}));
                let keys = keys.as_object().unwrap().clone();
                entry.as_object_mut().unwrap().extend(keys);
            }
            json!({"Effect": effect, who: principal, "Action": "sts:*", "Condition": merged})
        },
    )
}

fn caller() -> impl Strategy<Value = Principal> {
    let user = Principal {
        account: "111122223333".parse().ok(),
        arn: Some(Text::clip(ARNS[0])),
        id: "AIDAEXAMPLEEXAMPLE123".parse().ok(),
        ..Principal::of_kind(PrincipalKind::IamUser)
    };
    let session = |role: &str, arn: &str| Principal {
        account: "777788889999".parse().ok(),
        arn: Some(Text::clip(arn)),
        issuer: role.parse().ok(),
        id: "AROAEXAMPLEEXAMPLE123".parse().ok(),
        ..Principal::of_kind(PrincipalKind::Role)
    };
    let x = session(ARNS[1], "arn:aws:sts::777788889999:assumed-role/x/t");
    prop::sample::select(vec![user, x, session(ARNS[2], ARNS[4])])
}

fn borne(caller: &Principal) -> String {
    let role = caller.issuer.as_ref().map(|it| it.as_str().to_owned());
    role.unwrap_or_else(|| caller.arn.as_ref().unwrap().as_str().to_owned())
}

fn request(caller: &Principal) -> Request<'_> {
    let no = || Known::value("false");
    let context = [
        ("aws:principalarn", Known::value(&borne(caller))),
        ("aws:principalaccount", Known::value(&caller.account.unwrap().to_string())),
        ("aws:principalisawsservice", no()),
        ("aws:viaawsservice", no()),
    ];
    let context = context.into_iter().map(|(key, known)| (key.to_owned(), known)).collect();
    Request { ask: Ask::AssumeRole, caller, context }
}

/// Whether a caller is one of those who come through a door.
fn comes(who: &Who, caller: &Principal) -> bool {
    match who {
        Who::Anybody => true,
        Who::AnybodyBut(spared) => !spared.iter().any(|it| it.is(caller) == Answer::Yes),
        Who::Account(account) => caller.account == Some(*account),
        Who::Arn(arn) => {
            let own = caller.arn.as_ref().unwrap().as_str();
            Glob::new(arn.as_str()).matches(&borne(caller)) || arn.as_str() == own
        }
        Who::Id(id) => caller.id.as_ref() == Some(id),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 20_000,
        rng_seed: RngSeed::Fixed(4_716),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whoever_is_admitted_comes_through_a_door(
        statements in prop::collection::vec(statement(), 1..4), caller in caller(),
    ) {
        let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let policy = TrustPolicy::read(&document).unwrap();
        if policy.admits(&request(&caller)).answer == Answer::Yes {
            let doors = doors(&policy);
            prop_assert!(doors.iter().any(|it| comes(&it.who, &caller)), "{document} {doors:?}");
        }
    }
}
