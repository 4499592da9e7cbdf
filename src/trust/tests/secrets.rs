//! No ExternalId is kept or shown, wherever under a `Condition` somebody wrote it.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

use crate::trust::{Before, Standing, TrustPolicy, World, compare};

const SECRET: &str = "hunter2-the-vendors-secret";
const NUMBER: u64 = 987_654_321_987;
/// Keys that are known, and whose values are no secrets.
const PUBLIC: [&str; 3] = ["aws:PrincipalOrgID", "sts:RoleSessionName", "gitlab.com:sub"];

/// All that is kept of a policy with this condition, and all that is said about it.
fn kept_and_shown(condition: &Value) -> String {
    kept_and_shown_of(&json!({"Effect": "Allow", "Principal": {"AWS": "444455556666"},
        "Action": "sts:AssumeRole", "Condition": condition}))
}

fn kept_and_shown_of(statement: &Value) -> String {
    let without = json!({"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"});
    let read = |it: &Value| {
        let document = json!({"Version": "2012-10-17", "Statement": it}).to_string();
        TrustPolicy::read(&document).unwrap()
    };
    let (policy, other) = (read(statement), read(&without));
    let world = World {
        time: "2026-03-02T09:00:00Z".parse().unwrap(),
        role_account: None,
        standing: &|_| Standing::Stranger,
        knows_party: &|_| false,
        knows_id: &|_| false,
    };
    let stored = serde_json::to_string(&policy).unwrap();
    let found = [
        compare(Before::Nothing, &policy, &world),
        compare(Before::Policy(&other), &policy, &world),
        compare(Before::Policy(&policy), &other, &world),
    ];
    format!("{stored} {policy:?} {found:?}")
}

fn shows_a_secret(shown: &str) -> bool {
    shown.to_lowercase().contains("hunter2") || shown.contains(&NUMBER.to_string())
}

#[test]
fn no_external_id_is_kept_or_shown() {
    for condition in [
        json!({"StringEquals": {"sts:ExternalId": SECRET}}),
        json!({"StringLike": {"sts:externalID": [SECRET, format!("{SECRET}*")]}}),
        json!({"ForAnyValue:StringEqualsIgnoreCase": {"STS:ExternalId": SECRET}}),
        json!({"StringResembles": {"sts:ExternalId": {SECRET: SECRET}}}),
        json!({"StringResembles": {"sts:ExternalId": SECRET}}),
        json!({"StringEquals": {"sts:ExternalId": format!("{SECRET}${{aws:username}}")}}),
        json!({"ArnLike": {"sts:ExternalId": SECRET}}),
        json!({"Null": {"sts:ExternalId": SECRET}}),
        json!({"Bool": {"sts:ExternalId": [SECRET, NUMBER, true, {SECRET: 1}]}}),
        json!({"StringEquals": {"sts:ExternalId ": SECRET}}),
        json!({"StringEquals": {"sts: external-id": SECRET}}),
        json!({"StringEquals": {"ExternalId": NUMBER}}),
        json!({"sts:ExternalId": {"StringEquals": SECRET}}),
        json!({"sts:ExternalId": {"aws:PrincipalOrgID": SECRET}}),
        json!({"sts:ExternalId": SECRET}),
        json!({"StringEquals": {SECRET: "sts:ExternalId"}}),
        json!({"StringEquals": {"hunter2.example:x": "sts:ExternalId"}}),
        json!({SECRET: {"StringEquals": "sts:ExternalId"}}),
        json!({format!("ForAnyValue:{SECRET}"): {SECRET: [[SECRET]]}}),
        json!([{"StringEquals": {"sts:ExternalId": SECRET}}]),
    ] {
        let shown = kept_and_shown(&condition);
        assert!(!shows_a_secret(&shown), "{condition}: {shown}");
    }
    let known = json!({"StringLike": {"aws:PrincipalOrgID": SECRET}});
    assert!(shows_a_secret(&kept_and_shown(&known)), "what is known to be none is shown");
}

#[test]
fn no_external_id_is_kept_or_shown_of_the_rest_of_a_statement() {
    let with = |name: &str, value: Value| {
        let mut statement = json!({"Effect": "Allow", "Principal": {"AWS": "444455556666"},
            "Action": "sts:AssumeRole"});
        statement.as_object_mut().unwrap().insert(name.to_owned(), value);
        statement
    };
    for statement in [
        with("Principal", json!({"AWS": "444455556666", "ExternalId": SECRET})),
        with("Principal", json!({"AWS": "444455556666", SECRET: "sts:ExternalId"})),
        with("Principal", json!({"AWS": ["444455556666", SECRET]})),
        with("Principal", json!({"CanonicalUser": SECRET})),
        json!({"Effect": "Deny", "NotPrincipal": {"ExternalId": SECRET}, "NotAction": SECRET}),
        with("Action", json!(["sts:AssumeRole", format!("sts:ExternalId:{SECRET}")])),
        with("Action", json!([SECRET, NUMBER])),
        with("Action", json!({SECRET: SECRET})),
        with("Sid", json!(format!("ExternalId{SECRET}"))),
    ] {
        let shown = kept_and_shown_of(&statement);
        assert!(!shows_a_secret(&shown), "{statement}: {shown}");
    }
    for (name, value, kept) in [
        ("Action", json!(["STS:assume*", "sts:SetContext"]), "STS:assume*"),
        ("Action", json!("*"), "\"*\""),
        ("Principal", json!({"AWS": "arn:aws:iam::111122223333:role/*"}), "111122223333:role/*"),
        ("Principal", json!({"CanonicalUser": "ab12".repeat(16)}), "ab12ab12"),
        ("Sid", json!("TrustOfTheVendor"), "TrustOfTheVendor"),
    ] {
        let shown = kept_and_shown_of(&with(name, value));
        assert!(shown.contains(kept), "{name}: {shown}");
    }
}

/// The condition with every value that a reader may take for what it is made harmless.
fn without_public_values(mut condition: Value) -> Value {
    for (operator, keys) in condition.as_object_mut().into_iter().flatten() {
        let is_about_it = operator.to_lowercase().contains("external");
        for (key, values) in keys.as_object_mut().into_iter().flatten() {
            if PUBLIC.contains(&key.as_str()) && !is_about_it {
                *values = json!("harmless");
            }
        }
    }
    condition
}

/// Pieces of conditions, put together at random, with secrets among them.
fn condition() -> impl Strategy<Value = Value> {
    let names = prop_oneof![
        prop::sample::select(
            &[
                "StringEquals",
                "stringlike",
                "Null",
                "Bool",
                "ForAnyValue:StringLike",
                "StringResembles",
                "sts:ExternalId",
                "STS:EXTERNALID ",
                "sts::ExternalId",
                "ExternalId",
                "aws:ExternalId",
                "x",
            ][..]
        )
        .prop_map(str::to_owned),
        prop::sample::select(&PUBLIC[..]).prop_map(str::to_owned),
        "[ :*${}]{0,2}hunter2-the[ :*?.}]{0,2}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        Just(Value::from(NUMBER)),
        names.clone().prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(2, 12, 4, {
        let names = names.clone();
        move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((names.clone(), inner), 0..4)
                    .prop_map(|it| it.into_iter().collect()),
            ]
        }
    });
    let keys = prop::collection::vec((names.clone(), value.clone()), 0..3)
        .prop_map(|it| it.into_iter().collect::<Value>());
    let operators =
        prop::collection::vec((names, prop_oneof![4 => keys, 1 => value.clone()]), 0..3)
            .prop_map(|it| it.into_iter().collect::<Value>());
    prop_oneof![8 => operators, 1 => value]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4_000,
        rng_seed: RngSeed::Fixed(4_714),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_is_not_known_to_be_no_secret_is_hashed(condition in condition()) {
        let condition = without_public_values(condition);
        let shown = kept_and_shown(&condition);
        prop_assert!(!shows_a_secret(&shown), "{condition}: {shown}");
    }
}
