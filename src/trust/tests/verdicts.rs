//! `fixtures/trust`: policies before and after, and what a specialist would say.

use serde_json::{Value, json};

use crate::severity::Severity;
use crate::trust::{Before, Standing, TrustPolicy, World, compare};

#[derive(Default, Debug)]
struct Case {
    name: String,
    before: Vec<String>,
    after: Vec<String>,
    verdict: String,
    says: Option<String>,
    is_without_organisations: bool,
}

fn cases() -> Vec<Case> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/trust");
    let mut cases: Vec<Case> = Vec::new();
    for file in ["principals.txt", "conditions.txt", "providers-and-services.txt"] {
        for line in std::fs::read_to_string(folder.join(file)).unwrap().lines() {
            let case = cases.last_mut();
            match line.split_once(' ') {
                Some(("#", name)) => {
                    cases.push(Case { name: name.to_owned(), ..Case::default() });
                }
                Some(("before:", statement)) => case.unwrap().before.push(statement.to_owned()),
                Some(("after:", statement)) => case.unwrap().after.push(statement.to_owned()),
                Some(("verdict:", verdict)) => case.unwrap().verdict = verdict.to_owned(),
                Some(("known:", "no organisation")) => {
                    case.unwrap().is_without_organisations = true
                }
                Some(("says:", said)) => case.unwrap().says = Some(said.to_owned()),
                _ => assert!(line.is_empty(), "{file}: {line}"),
            }
        }
    }
    cases
}

/// A policy of statements without what is the same in all of them.
pub(super) fn policy(statements: &[String]) -> TrustPolicy {
    let statements: Vec<Value> = statements
        .iter()
        .map(|text| {
            let mut it: Value = serde_json::from_str(text).unwrap_or_else(|_| panic!("{text}"));
            let provider = it["Principal"]["Federated"].to_string();
            let action = match provider.as_str() {
                "null" => "sts:AssumeRole",
                saml if saml.contains("saml-provider") => "sts:AssumeRoleWithSAML",
                _ => "sts:AssumeRoleWithWebIdentity",
            };
            let object = it.as_object_mut().unwrap();
            object.entry("Effect").or_insert(json!("Allow"));
            if !object.contains_key("NotAction") {
                object.entry("Action").or_insert(json!(action));
            }
            it
        })
        .collect();
    let document = json!({"Version": "2012-10-17", "Statement": statements});
    TrustPolicy::read(&document.to_string()).unwrap()
}

fn knows_party(party: &str) -> bool {
    matches!(
        party,
        "org:" | "org:o-a1b2c3d4e5" | "provider:token.actions.githubusercontent.com/repo:acme"
    )
}

fn world() -> World<'static> {
    World {
        time: "2026-03-02T09:00:00Z".parse().unwrap(),
        role_account: "111122223333".parse().ok(),
        standing: &|account| match account.to_string().as_str() {
            "222233334444" => Standing::Ours,
            "444455556666" => Standing::Known,
            "555566667777" => Standing::Regular,
            "666677778888" => Standing::Declared,
            _ => Standing::Stranger,
        },
        knows_party: &knows_party,
        knows_id: &|id| id.as_str() == "AIDAEXAMPLEOFOURALICE",
    }
}

#[test]
fn every_verdict_is_that_of_a_specialist() {
    let cases = cases();
    let mut wrong = Vec::new();
    for case in &cases {
        let after = policy(&case.after);
        let known = policy(
            &case.before.iter().filter(|it| it.starts_with('{')).cloned().collect::<Vec<_>>(),
        );
        let before = match case.before.first().map(String::as_str) {
            None => Before::Nothing,
            Some("unknown") => Before::Unknown,
            Some(_) => Before::Policy(&known),
        };
        let world = match case.is_without_organisations {
            true => {
                World { knows_party: &|it| !it.starts_with("org:") && knows_party(it), ..world() }
            }
            false => world(),
        };
        let found = compare(before, &after, &world);
        let worst = found.iter().filter_map(|it| it.severity).max();
        let verdict = worst.map_or("none", Severity::as_str);
        let words: Vec<&str> = found.iter().map(|it| it.words.as_str()).collect();
        let notes: Vec<&str> = after.notes().map(|it| it.as_str()).collect();
        let said = [words.join("\n"), notes.join("\n")].join("\n");
        if verdict != case.verdict || case.says.as_ref().is_some_and(|it| !said.contains(it)) {
            wrong.push(format!(
                "{}\n   found {verdict}, wanted {}; wanted to read: {:?}\n   {}",
                case.name,
                case.verdict,
                case.says,
                said.trim().replace('\n', "\n   ")
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    assert!(cases.len() >= 60, "only {} cases", cases.len());
}

#[test]
fn a_policy_is_no_weaker_than_itself() {
    for case in cases() {
        let policy = policy(&case.after);
        let found = compare(Before::Policy(&policy), &policy, &world());
        assert_eq!(found, [], "{}", case.name);
    }
}
