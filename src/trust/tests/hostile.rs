//! Documents that somebody made to break a reader, or by mistake.

use serde_json::json;

use crate::event::{Principal, PrincipalKind};
use crate::trust::{
    Answer, Ask, Effect, Known, MAX_BYTES, Principals, Request, TrustPolicy, Trusted, Unreadable,
    doors,
};

fn notes(document: &str) -> Vec<String> {
    let policy = TrustPolicy::read(document).unwrap();
    policy.notes().map(|it| it.as_str().to_owned()).collect()
}

fn of_statement(statement: &str) -> Vec<String> {
    notes(&format!(r#"{{"Statement": [{statement}]}}"#))
}

#[test]
fn what_is_no_policy_is_refused_and_says_why() {
    for (document, error) in [
        ("", Unreadable::NoJson),
        (r#"{"Statement": [{"Effect": "Allow", "Princ"#, Unreadable::NoJson),
        ("[]", Unreadable::NoPolicy),
        ("7", Unreadable::NoPolicy),
        (r#"{"Version": "2012-10-17"}"#, Unreadable::NoPolicy),
        ("%7B%22Statement%22%3", Unreadable::NoJson),
        ("%+7B", Unreadable::NoJson),
    ] {
        assert_eq!(TrustPolicy::read(document), Err(error), "{document}");
    }
    assert_eq!(TrustPolicy::read(&" ".repeat(MAX_BYTES + 1)), Err(Unreadable::TooLong));
}

#[test]
fn ten_kilobytes_of_nesting_end_in_an_error_and_a_thousand_conditions_in_a_note() {
    let deep = format!(r#"{{"Statement": {}{}}}"#, "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(TrustPolicy::read(&deep), Err(Unreadable::NoJson));
    let nested = format!("{}1{}", r#"{"StringLike":"#.repeat(100), "}".repeat(100));
    let statement =
        format!(r#"{{"Effect":"Allow","Principal":"*","Action":"sts:*","Condition":{nested}}}"#);
    assert!(of_statement(&statement).contains(&"a value of `stringlike` is an object".to_owned()));
    let many: Vec<String> = (0..1_000).map(|n| format!(r#""k{n}": "v""#)).collect();
    let statement = format!(
        r#"{{"Effect":"Allow","Principal":"*","Action":"*","Condition":{{"Bool":{{{}}}}}}}"#,
        many.join(",")
    );
    assert_eq!(of_statement(&statement), ["a condition holds 1000 items, and 512 were read"]);
}

#[test]
fn what_is_not_understood_is_said() {
    for (statement, note) in [
        ("7", "a statement is a number"),
        (r#"{"Effect": "allow"}"#, "the effect is neither `Allow` nor `Deny`"),
        (r#"{"Effect": "Allow"}"#, "`Principal` is missing"),
        (r#"{"Effect": "Allow", "Principal": 7}"#, "the principal is a number"),
        (r#"{"Effect": "Allow", "Principal": {"AWS": 111122223333}}"#, "a principal is a number"),
        (r#"{"Effect": "Allow", "Principal": {"AWS": {"a": 1}}}"#, "a principal is an object"),
        (
            r#"{"Effect": "Allow", "Principal": {"CanonicalUser": "79a5"}}"#,
            "a principal of kind `CanonicalUser` has a form that is not known",
        ),
        (
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/*"}}"#,
            "a principal of kind `AWS` has a form that is not known",
        ),
        (r#"{"Effect": "Allow", "Principal": "*", "NotPrincipal": "*"}"#, "stand together"),
        (r#"{"Effect": "Allow", "Effect": "Deny"}"#, "`Effect` is there twice"),
        (r#"{"Effect": "Allow", "Action": [["sts:*"]]}"#, "an action is a list"),
        (r#"{"Effect": "Allow", "Condition": "x"}"#, "the condition is a text"),
        (r#"{"Effect": "Allow", "Condition": {"Bool": "x"}}"#, "a text where keys belong"),
        (
            r#"{"Effect": "Allow", "Condition": {"Bool": {"aws:userid": [null]}}}"#,
            "a value of `aws:userid` is null",
        ),
        (r#"{"Effect": "Allow", "Condition": {"BoolIf": {"a": "b"}}}"#, "`BoolIf` is not known"),
        (r#"{"Effect": "Allow", "Condition": {"NullIfExists": {"a": "b"}}}"#, "is not known"),
        (r#"{"Effect": "Allow", "Condition": {"Some:Bool": {"a": "b"}}}"#, "is not known"),
        (r#"{"Effect": "Allow", "Resource": "*"}"#, "`Resource` is no element of a trust policy"),
        (r#"{"Effect": "Allow", "\u001b[2J": 1}"#, "`\\u{1b}[2J` is no element"),
    ] {
        let notes = of_statement(statement).join("\n");
        assert!(notes.contains(note), "{statement}: {notes}");
    }
    let twice = r#"{"Statement": [], "statement": []}"#;
    assert_eq!(notes(twice), ["`statement` is there twice"]);
}

#[test]
fn booleans_and_numbers_are_taken_for_their_texts_as_iam_does() {
    let statement = r#"{"Effect": "Allow", "Principal": "*", "Action": "sts:*", "Condition":
        {"Bool": {"aws:MultiFactorAuthPresent": true}, "NumericLessThan": {"aws:MultiFactorAuthAge": 3600}}}"#;
    assert_eq!(of_statement(statement), [""; 0]);
}

#[test]
fn a_doubted_statement_neither_admits_nor_keeps_out_for_certain() {
    let caller = Principal {
        account: "111122223333".parse().ok(),
        ..Principal::of_kind(PrincipalKind::IamUser)
    };
    let request = Request {
        ask: Ask::AssumeRole,
        caller: &caller,
        context: [("sts:externalid".to_owned(), Known::Absent)].into(),
    };
    let answer = |document: &str| TrustPolicy::read(document).unwrap().admits(&request).answer;
    let allow = r#"{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole""#;
    for (document, expected) in [
        (format!(r#"{{"Statement": {allow}}}}}"#), Answer::Yes),
        (format!(r#"{{"Statement": {allow}, "What": 1}}}}"#), Answer::CannotTell),
        (format!(r#"{{"What": 1, "Statement": {allow}}}}}"#), Answer::CannotTell),
        (
            format!(r#"{{"Statement": {allow}, "Condition": {{"New": {{"a": "b"}}}}}}}}"#),
            Answer::CannotTell,
        ),
        (
            format!(
                r#"{{"Statement": [{allow}}}, {{"Effect": "Block", "Principal": "*", "Action": "*"}}]}}"#
            ),
            Answer::CannotTell,
        ),
        (r#"{"Statement": []}"#.to_owned(), Answer::No),
    ] {
        assert_eq!(answer(&document), expected, "{document}");
    }
}

#[test]
fn the_encoded_answer_of_iam_reads_like_the_plain_request() {
    let plain = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}]}"#;
    let encoded: String =
        plain
            .bytes()
            .map(|b| {
                if b.is_ascii_alphanumeric() {
                    (b as char).to_string()
                } else {
                    format!("%{b:02X}")
                }
            })
            .collect();
    assert_eq!(TrustPolicy::read(&encoded), TrustPolicy::read(plain));
}

#[test]
fn every_form_of_a_principal_is_read() {
    let document = json!({"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {
        "AWS": [
            "*", "111122223333", "arn:aws-us-gov:iam::444455556666:root",
            "arn:aws:iam::111122223333:user/a/alice", "arn:aws:sts::111122223333:assumed-role/R/s",
            "arn:aws:sts::111122223333:federated-user/f", "AROAEXAMPLEEXAMPLE123",
        ],
        "Service": "ec2.amazonaws.com", "Federated": "accounts.google.com",
    }}});
    let policy = TrustPolicy::read(&document.to_string()).unwrap();
    let Principals::Only(named) = &policy.statements[0].principals else { panic!() };
    let shown: Vec<String> = named.iter().map(Trusted::display).collect();
    assert_eq!(
        shown,
        [
            "anybody",
            "the whole account 111122223333",
            "the whole account 444455556666",
            "arn:aws:iam::111122223333:user/a/alice",
            "arn:aws:sts::111122223333:assumed-role/R/s",
            "arn:aws:sts::111122223333:federated-user/f",
            "the unique id AROAEXAMPLEEXAMPLE123",
            "the identity provider accounts.google.com",
            "the service ec2.amazonaws.com",
        ]
    );
    assert_eq!(policy.statements[0].effect, Effect::Allow);
    // A provider is not called by sts:AssumeRole.
    assert_eq!(doors(&policy).len(), 8);
}
