//! Trust policies from the command line: imported, compared, believed or not, and derived from.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly"
)]

mod support;

use std::path::Path;

use serde_json::{Value, json};
use support::{Run, assert_golden, fixture, run};

const AS_OF: &str = "2026-03-01T00:00:00Z";

fn import(into: &Path, files: &[&Path]) -> Run {
    let mut args = vec!["baseline".into(), "import".into(), "--as-of".into(), AS_OF.into()];
    for file in files {
        args.extend(["--trust".into(), file.as_os_str().to_owned()]);
    }
    args.extend(["--into".into(), into.as_os_str().to_owned()]);
    run(args)
}

fn home() -> std::path::PathBuf {
    fixture("authorization/home.json")
}

/// The alerts on records that come after the import.
fn alerts(records: &[Value]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let (baseline, log) = (folder.path().join("baseline"), folder.path().join("log.jsonl"));
    let imported = import(&baseline, &[&home(), &fixture("authorization/prod.json")]);
    assert_eq!(imported.status, 0, "{}", imported.err);
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    std::fs::write(&log, lines.join("\n")).unwrap();
    let args = ["replay", "--format", "jsonl", "--baseline"].map(Into::into);
    let replayed = run(args.into_iter().chain([baseline.into_os_string(), log.into_os_string()]));
    assert_eq!(replayed.status, 0, "{}", replayed.err);
    let (total, sum) = replayed.sum();
    assert_eq!((total, sum), (records.len() as u64, records.len() as u64));
    replayed.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn user(name: &str) -> Value {
    json!({
        "type": "IAMUser", "principalId": format!("AIDAEXAMPLE{}", name.to_uppercase()),
        "arn": format!("arn:aws:iam::111122223333:user/{name}"), "accountId": "111122223333",
        "accessKeyId": format!("AKIAEXAMPLE{}", name.to_uppercase()), "userName": name,
    })
}

fn update(role: &str, document: &str) -> Value {
    json!({
        "eventSource": "iam.amazonaws.com", "eventName": "UpdateAssumeRolePolicy",
        "eventTime": "2026-03-02T09:00:00Z", "eventID": format!("update-{role}"),
        "recipientAccountId": "111122223333", "sourceIPAddress": "198.51.100.7",
        "userIdentity": user("alice"),
        "requestParameters": {"roleName": role, "policyDocument": document},
    })
}

fn assume(role: &str, minute: u32, identity: Value) -> Value {
    json!({
        "eventSource": "sts.amazonaws.com", "eventName": "AssumeRole",
        "eventTime": format!("2026-03-02T10:{minute:02}:00Z"), "eventID": format!("{role}-{minute}"),
        "recipientAccountId": "111122223333", "sourceIPAddress": "198.51.100.7",
        "userIdentity": identity,
        "requestParameters": {
            "roleArn": format!("arn:aws:iam::111122223333:role/{role}"),
            "roleSessionName": "s", "externalId": "acme-7f3a91c2",
        },
    })
}

fn finding<'a>(alert: &'a Value, rule: &str) -> &'a Value {
    let findings = alert["findings"].as_array().unwrap();
    findings.iter().find(|it| it["rule"] == rule).unwrap_or(&Value::Null)
}

#[test]
fn policies_of_several_accounts_are_imported_and_again_as_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("baseline");
    let files = [home(), fixture("authorization/prod.json")];
    let files: Vec<&Path> = files.iter().map(|it| &**it).collect();
    let first = import(&into, &files);
    let said = "8 trust policies of 2 accounts";
    assert!(
        first.err.contains(said) && first.err.contains(": 8 new or changed, 0 as"),
        "{}",
        first.err
    );
    let again = import(&into, &files);
    assert!(again.err.contains(": 0 new or changed, 8 as remembered"), "{}", again.err);
    let saved = std::fs::read_to_string(&into).unwrap();
    assert!(!saved.contains("acme-7f3a91c2"), "an ExternalId is saved in clear");
}

#[test]
fn the_remembered_policy_is_shown_in_words_and_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let into = folder.path().join("baseline");
    assert_eq!(import(&into, &[&home()]).status, 0);
    let show = |role: &[&str]| {
        let mut args = vec!["baseline", "show", into.to_str().unwrap()];
        args.extend(role);
        run(args)
    };
    let all = show(&[]).out;
    assert!(all.contains("role/VendorAudit: no use of it was learned"), "{all}");
    for role in ["VendorAudit", "arn:aws:iam::111122223333:role/VendorAudit"] {
        let one = show(&[role]).out;
        for part in [
            "  trust policy imported 2026-03-01T00:00:00Z\n",
            "    the whole account 444455556666 is let in with ",
            "an ExternalId (sha256:e1d92476)",
            "MFA",
            " by statement 1\n",
        ] {
            assert!(one.contains(part), "{part}: {one}");
        }
        assert_eq!(one.lines().count(), 3, "{one}");
    }
    assert_eq!(show(&["NoSuchRole"]).status, 2);
}

#[test]
fn an_update_is_explained_beside_the_policy_before() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log.jsonl");
    let policy = |who: &str| {
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
            "Principal": {"AWS": who}, "Action": "sts:AssumeRole"}]})
        .to_string()
    };
    let first = update("web", &policy("111122223333"));
    let mut second = update("web", &policy("*"));
    second["eventTime"] = json!("2026-03-02T11:00:00Z");
    second["eventID"] = json!("second");
    std::fs::write(&log, format!("{first}\n{second}")).unwrap();
    let explained = run(["explain".as_ref(), "second".as_ref(), log.as_os_str()]).out;
    let before = "What was normal then\n  trust policy written 2026-03-02T09:00:00Z by alice\n    \
                  the whole account 111122223333 is let in without any condition by statement 1\n";
    assert!(explained.contains(before), "{explained}");
}

#[test]
fn an_update_is_compared_with_what_was_imported() {
    let without = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::444455556666:root"}, "Action": "sts:AssumeRole"}]});
    let alerts = alerts(&[update("vendoraudit", &without.to_string())]);
    let found = finding(&alerts[0], "trust_policy_weakened");
    assert_eq!(
        (&found["severity"], &found["evidence"]["previous"]),
        (&json!("high"), &json!("known"))
    );
    let opened = found["evidence"]["opened"].to_string();
    assert!(opened.contains("no longer needs an ExternalId (sha256:e1d92476)"), "{opened}");
    assert!(opened.contains("no longer needs MFA"), "{opened}");
}

/// Whoever imports policies vouches for the organisations that they name, and for no other.
#[test]
fn an_imported_organisation_is_known() {
    let of = |id: &str| {
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*",
            "Action": "sts:AssumeRole", "Condition": {"StringEquals": {"aws:PrincipalOrgID": id}}}]})
    };
    let folder = tempfile::tempdir().unwrap();
    let [baseline, log, file] = ["b", "l.jsonl", "a.json"].map(|it| folder.path().join(it));
    let roles = ["o-a1b2c3d4e5", "o-bbbbbbbbbb"].map(|id| {
        json!({"RoleName": id, "RoleId": format!("AROA{}", id[2..].to_uppercase()), "Path": "/",
            "Arn": format!("arn:aws:iam::111122223333:role/{id}"),
            "AssumeRolePolicyDocument": of(id)})
    });
    std::fs::write(&file, json!({"RoleDetailList": roles}).to_string()).unwrap();
    assert_eq!(import(&baseline, &[&file]).status, 0);
    let severities = |id: &str| {
        let record = update("web", &of(id).to_string());
        std::fs::write(&log, record.to_string()).unwrap();
        let args = ["replay", "--format", "jsonl", "--baseline"].map(Into::into);
        let files = [baseline.clone().into_os_string(), log.clone().into_os_string()];
        let replayed = run(args.into_iter().chain(files));
        let alert: Value = serde_json::from_str(&replayed.out).unwrap();
        finding(&alert, "trust_policy_weakened")["severity"].clone()
    };
    let found = ["o-a1b2c3d4e5", "o-bbbbbbbbbb", "o-zzzzzzzzzz"].map(severities);
    assert_eq!(found, [json!("medium"), json!("medium"), json!("high")]);
}

/// The vendor's account copy does not tell of MFA, but the policy in force lets nobody in
/// without, so there was some; of a user whose record does tell, the record is believed.
#[test]
fn a_grant_proves_what_the_policy_demands() {
    let vendor = json!({"type": "AWSAccount", "principalId": "AIDAEXAMPLEVENDOR",
        "accountId": "444455556666"});
    let stranger = json!({"type": "AWSAccount", "principalId": "AIDAEXAMPLEOTHER",
        "accountId": "777788889999"});
    let declared = "[[role]]\nmatch = '*:role/VendorAudit'\nnetworks = ['10.0.0.0/8']\n";
    let folder = tempfile::tempdir().unwrap();
    let [baseline, log, config] = ["b", "l.jsonl", "c.toml"].map(|it| folder.path().join(it));
    assert_eq!(import(&baseline, &[&home()]).status, 0);
    std::fs::write(&config, declared).unwrap();
    let records = [assume("VendorAudit", 1, vendor), assume("VendorAudit", 2, stranger)];
    std::fs::write(&log, records.map(|it| it.to_string()).join("\n")).unwrap();
    let mut args: Vec<std::ffi::OsString> =
        vec!["replay".into(), "--format".into(), "jsonl".into()];
    args.extend([
        "--config".into(),
        config.into(),
        "--baseline".into(),
        baseline.into(),
        log.into(),
    ]);
    let replayed = run(args);
    let mfa: Vec<Value> = replayed
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["mfa"].clone())
        .collect();
    assert_eq!(mfa, ["present", "unknown"], "{}", replayed.err);
}

#[test]
fn a_grant_that_the_policy_would_refuse_makes_it_stale_and_no_alert() {
    let stranger = json!({"type": "AWSAccount", "principalId": "AIDAEXAMPLEOTHER",
        "accountId": "777788889999"});
    let narrow = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::444455556666:root"}, "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": "acme-7f3a91c2"}}}]});
    let mut late = update("VendorAudit", &narrow.to_string());
    late["eventTime"] = json!("2026-03-02T11:00:00Z");
    let alerts = alerts(&[assume("VendorAudit", 1, stranger), late]);
    let worst: Vec<&Value> = alerts.iter().map(|it| &it["severity"]).collect();
    assert_eq!(worst, ["high"], "the loss of MFA alone");
    assert_eq!(finding(&alerts[0], "trust_policy_weakened")["evidence"]["previous"], "stale");
}

#[test]
fn a_document_that_cannot_be_read_is_told() {
    let nested = format!("{}1{}", r#"{"StringLike":"#.repeat(600), "}".repeat(600));
    let document = format!(r#"{{"Statement":{{"Effect":"Allow","Condition":{nested}}}}}"#);
    assert!(document.len() > 8_000);
    let numbers =
        r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":7},"Action":8,"Condition":9}]}"#;
    let alerts = alerts(&[update("web", &document), update("Legacy", numbers)]);
    assert_eq!(alerts.len(), 2);
    for alert in alerts {
        let found = finding(&alert, "trust_policy_weakened");
        assert_eq!(found["severity"], "low", "{alert}");
        let said = found["summary"].as_str().unwrap();
        assert!(said.contains("could not be read") || said.contains("is a number"), "{said}");
    }
}

#[test]
fn starter_expectations_are_sound_and_hold_no_secret() {
    let derived = run([
        "config".as_ref(),
        "derive".as_ref(),
        home().as_os_str(),
        fixture("authorization/prod.json").as_os_str(),
    ]);
    assert_eq!((derived.status, derived.err.as_str()), (0, ""));
    assert_golden(&fixture("authorization/rolewatch.toml"), &derived.out);
    assert!(!derived.out.contains("acme-7f3a91c2"));
    let checked = run([
        "config".as_ref(),
        "check".as_ref(),
        fixture("authorization/rolewatch.toml").as_os_str(),
    ]);
    assert!(checked.out.ends_with("6 roles, 0 exemptions, no faults\n"), "{}", checked.err);
}

#[test]
fn what_is_no_answer_of_iam_stops_and_a_role_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authz.json");
    for (json, status, said) in [
        ("{", 2, "is no JSON"),
        ("{}", 2, "holds no `RoleDetailList`"),
        (r#"{"RoleDetailList": [{"Arn": "x"}]}"#, 1, "a role has the ARN `x`"),
    ] {
        std::fs::write(&file, json).unwrap();
        for command in
            [&["config", "derive"][..], &["baseline", "import", "--into", "b", "--trust"]]
        {
            let mut args: Vec<std::ffi::OsString> = command.iter().map(Into::into).collect();
            for arg in &mut args {
                if arg == "b" {
                    *arg = folder.path().join("b").into_os_string();
                }
            }
            args.push(file.clone().into_os_string());
            let ran = run(args);
            assert_eq!(ran.status, status, "{json}: {}", ran.err);
            assert!(ran.err.contains(said), "{}", ran.err);
        }
    }
}
