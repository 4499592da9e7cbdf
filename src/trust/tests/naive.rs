//! A plain evaluator, written from the documentation for a small part of the language, and the
//! stored form.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

use crate::event::{Principal, PrincipalKind};
use crate::id::ExternalId;
use crate::text::Text;
use crate::trust::{Answer, Ask, Known, Request, TrustPolicy};

const ACCOUNTS: [&str; 2] = ["111122223333", "444455556666"];
const USERS: [&str; 2] = ["alice", "bob"];

/// Who asks, and what the request's context holds: `None` is absent.
#[derive(Debug, Clone)]
struct Asker {
    account: &'static str,
    user: &'static str,
    external_id: Option<&'static str>,
    mfa: Option<bool>,
    session: &'static str,
    tags: Vec<&'static str>,
}

fn asker() -> impl Strategy<Value = Asker> {
    (
        prop::sample::select(&ACCOUNTS[..]),
        prop::sample::select(&USERS[..]),
        prop::option::of(prop::sample::select(&["one", "two"][..])),
        prop::option::of(any::<bool>()),
        prop::sample::select(&["ab", "b", "abc"][..]),
        prop::collection::vec(prop::sample::select(&["x", "y"][..]), 0..3),
    )
        .prop_map(|(account, user, external_id, mfa, session, tags)| Asker {
            account,
            user,
            external_id,
            mfa,
            session,
            tags,
        })
}

fn condition() -> impl Strategy<Value = Value> {
    let suffix = || prop::sample::select(&["", "IfExists"][..]);
    let boolean = || prop::sample::select(&["true", "false"][..]);
    let secrets = prop::collection::vec(prop::sample::select(&["one", "two", "three"][..]), 1..3);
    let patterns = prop::collection::vec("[ab*?]{1,3}", 1..3);
    let tags = prop::collection::vec(prop::sample::select(&["x", "y", "?", "z"][..]), 1..3);
    prop_oneof![
        (prop::sample::select(&["StringEquals", "StringNotEquals"][..]), suffix(), secrets)
            .prop_map(|(it, end, ids)| json!({format!("{it}{end}"): {"sts:ExternalId": ids}})),
        (suffix(), boolean()).prop_map(
            |(end, it)| json!({format!("Bool{end}"): {"aws:MultiFactorAuthPresent": it}})
        ),
        (prop::sample::select(&["StringLike", "StringNotLike"][..]), patterns)
            .prop_map(|(it, names)| json!({it: {"sts:RoleSessionName": names}})),
        (
            prop::sample::select(&["ForAllValues:", "ForAnyValue:"][..]),
            prop::sample::select(&["StringLike", "StringNotLike"][..]),
            suffix(),
            tags,
        )
            .prop_map(|(set, it, end, tags)| {
                json!({format!("{set}{it}{end}"): {"aws:TagKeys": tags}})
            }),
        (prop::sample::select(&["sts:ExternalId", "aws:MultiFactorAuthPresent"][..]), boolean())
            .prop_map(|(key, it)| json!({"Null": {key: it}})),
    ]
}

fn statement() -> impl Strategy<Value = Value> {
    let principal = prop_oneof![
        Just(json!("*")),
        prop::sample::select(&ACCOUNTS[..]).prop_map(|it| json!({"AWS": it})),
        (prop::sample::select(&ACCOUNTS[..]), prop::sample::select(&USERS[..])).prop_map(
            |(account, user)| json!({"AWS": format!("arn:aws:iam::{account}:user/{user}")})
        ),
    ];
    let action = prop::sample::select(&["sts:AssumeRole", "sts:*", "sts:TagSession"][..]);
    let words = (
        prop::sample::select(&["Allow", "Allow", "Deny"][..]),
        prop::sample::select(&["Principal", "Principal", "NotPrincipal"][..]),
        prop::sample::select(&["Action", "NotAction"][..]),
    );
    (words, principal, action, prop::collection::vec(condition(), 0..3)).prop_map(
        |((effect, who, what), principal, action, conditions)| {
            let mut merged = serde_json::Map::new();
            for (operator, keys) in conditions.iter().filter_map(Value::as_object).flatten() {
                merged.entry(operator.clone()).or_insert_with(|| keys.clone());
            }
            json!({"Effect": effect, who: principal, what: [action], "Condition": merged})
        },
    )
}

fn like(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => (0..=text.len()).any(|cut| like(rest, &text[cut..])),
        Some((wanted, rest)) => text
            .split_first()
            .is_some_and(|(c, text)| (*wanted == '?' || wanted == c) && like(rest, text)),
    }
}

fn likes(pattern: &str, text: &str) -> bool {
    let chars = |it: &str| it.chars().collect::<Vec<_>>();
    like(&chars(pattern), &chars(text))
}

fn holds(operator: &str, key: &str, wanted: &[&str], asker: &Asker) -> bool {
    let values: Vec<String> = match key {
        "sts:ExternalId" => asker.external_id.into_iter().map(str::to_owned).collect(),
        "aws:MultiFactorAuthPresent" => asker.mfa.into_iter().map(|it| it.to_string()).collect(),
        "sts:RoleSessionName" => vec![asker.session.to_owned()],
        "aws:TagKeys" => asker.tags.iter().map(|&it| it.to_owned()).collect(),
        other => panic!("{other}"),
    };
    let stem = operator.trim_end_matches("IfExists");
    if stem == "Null" {
        return wanted.iter().any(|it| (*it == "true") == values.is_empty());
    }
    let test = stem.rsplit(':').next().unwrap();
    let matches = |value: &str| match test {
        "StringLike" | "StringNotLike" => wanted.iter().any(|it| likes(it, value)),
        _ => wanted.contains(&value),
    };
    let passes = |value: &String| matches(value) != test.contains("Not");
    if values.is_empty() && (stem != operator || stem.starts_with("ForAllValues:")) {
        return true;
    }
    match stem.split_once(':') {
        Some(("ForAllValues", _)) => values.iter().all(passes),
        Some((_, _)) => values.iter().any(passes),
        None if values.is_empty() => test.contains("Not"),
        None => passes(&values[0]),
    }
}

fn applies(statement: &Value, asker: &Asker) -> bool {
    let arn = format!("arn:aws:iam::{}:user/{}", asker.account, asker.user);
    let is = |it: &Value| {
        *it == json!("*") || it["AWS"] == json!(asker.account) || it["AWS"] == json!(arn)
    };
    let named = match (statement.get("Principal"), statement.get("NotPrincipal")) {
        (Some(these), _) => is(these),
        (_, Some(these)) => !is(these),
        _ => false,
    };
    let asks = |it: &Value| it[0] == "sts:AssumeRole" || it[0] == "sts:*";
    let asked = match (statement.get("Action"), statement.get("NotAction")) {
        (Some(these), _) => asks(these),
        (_, Some(these)) => !asks(these),
        _ => false,
    };
    let conditions = statement["Condition"].as_object().unwrap();
    named
        && asked
        && conditions.iter().all(|(operator, keys)| {
            keys.as_object().unwrap().iter().all(|(key, values)| {
                let wanted: Vec<&str> = match values {
                    Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
                    one => one.as_str().into_iter().collect(),
                };
                holds(operator, key, &wanted, asker)
            })
        })
}

fn principal(asker: &Asker) -> Principal {
    Principal {
        account: asker.account.parse().ok(),
        arn: Some(Text::clip(&format!("arn:aws:iam::{}:user/{}", asker.account, asker.user))),
        ..Principal::of_kind(PrincipalKind::IamUser)
    }
}

fn request<'a>(asker: &Asker, caller: &'a Principal) -> Request<'a> {
    let absent_or = |value: Option<Known>| value.unwrap_or(Known::Absent);
    let tags = asker.tags.iter().map(|&it| it.to_owned()).collect::<Vec<_>>();
    let external_id = asker.external_id.map(|it| Known::Secret(ExternalId::hash(it)));
    let context = [
        ("sts:externalid", absent_or(external_id)),
        (
            "aws:multifactorauthpresent",
            absent_or(asker.mfa.map(|it| Known::value(&it.to_string()))),
        ),
        ("sts:rolesessionname", Known::value(asker.session)),
        ("aws:tagkeys", if tags.is_empty() { Known::Absent } else { Known::Values(tags) }),
    ];
    let context = context.into_iter().map(|(key, known)| (key.to_owned(), known)).collect();
    Request { ask: Ask::AssumeRole, caller, context }
}

fn document(statements: &[Value]) -> String {
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4_000,
        rng_seed: RngSeed::Fixed(4_712),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn it_admits_whom_a_plain_evaluator_admits(
        statements in prop::collection::vec(statement(), 1..4), asker in asker(),
    ) {
        let policy = TrustPolicy::read(&document(&statements)).unwrap();
        prop_assert!(policy.notes().next().is_none());
        let by_effect = |effect: &str| {
            statements.iter().any(|it| it["Effect"] == effect && applies(it, &asker))
        };
        let expected = by_effect("Allow") && !by_effect("Deny");
        let caller = principal(&asker);
        let admission = policy.admits(&request(&asker, &caller));
        prop_assert_eq!(admission.answer, Answer::from(expected));
    }

    #[test]
    fn not_knowing_a_key_changes_no_answer_but_to_cannot_tell(
        statements in prop::collection::vec(statement(), 1..4), asker in asker(), hidden in 0_usize..4,
    ) {
        let policy = TrustPolicy::read(&document(&statements)).unwrap();
        let caller = principal(&asker);
        let full = request(&asker, &caller);
        let mut keys: Vec<String> = full.context.keys().cloned().collect();
        keys.sort();
        let mut poor = full.clone();
        poor.context.remove(&keys[hidden]);
        let (known, unknown) = (policy.admits(&full).answer, policy.admits(&poor).answer);
        prop_assert!(unknown == known || unknown == Answer::CannotTell, "{known:?} {unknown:?}");
    }

    #[test]
    fn the_stored_form_is_the_same_when_it_is_read_again(
        statements in prop::collection::vec(statement(), 0..4),
    ) {
        let policy = TrustPolicy::read(&document(&statements)).unwrap();
        let stored = serde_json::to_string(&policy).unwrap();
        let again: TrustPolicy = serde_json::from_str(&stored).unwrap();
        prop_assert_eq!(&again, &policy);
        prop_assert_eq!(serde_json::to_string(&again).unwrap(), stored);
    }

    #[test]
    fn any_json_at_all_is_read_and_stored(json in any_json()) {
        let document = json!({"Statement": json}).to_string();
        let policy = TrustPolicy::read(&document).unwrap();
        let stored = serde_json::to_string(&policy).unwrap();
        prop_assert_eq!(serde_json::from_str::<TrustPolicy>(&stored).unwrap(), policy);
    }
}

/// Values that look like pieces of a policy, put together at random.
fn any_json() -> impl Strategy<Value = Value> {
    let words = &[
        "Effect",
        "Allow",
        "Deny",
        "Principal",
        "NotPrincipal",
        "AWS",
        "Federated",
        "*",
        "Action",
        "sts:AssumeRole",
        "Condition",
        "StringLike",
        "ForAllValues:StringLike",
        "sts:ExternalId",
        "NumericLessThan",
        "111122223333",
        "arn:aws:iam::111122223333:root",
        "AROAEXAMPLEEXAMPLE",
    ][..];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        prop::sample::select(words).prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(words), inner), 0..6).prop_map(|members| {
                members.into_iter().map(|(name, it)| (name.to_owned(), it)).collect()
            }),
        ]
    })
}
