//! Every shape that a record can have, and what rolewatch reads from it.
//!
//! `fixtures/wire/` holds one record a file; `fixtures/wire/read.txt` holds what is read from
//! each. `UPDATE_FIXTURES=1 cargo test` renews it; the difference is for a person to judge.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test may fail loudly"
)]

mod support;

use std::fmt::Write;

use rolewatch::cloudtrail;
use rolewatch::event::{Assumption, Event, SignIn, SignInKind, Target, TrustChange};
use support::{assert_golden, files_in, fixture};

fn describe(event: &Event) -> String {
    let call = event.call();
    let principal = &call.principal;
    let mut text = format!(
        "{:?} {} at {}, key {}\n  by {:?} = {}, {:?}",
        call.outcome,
        call.name,
        call.time,
        match call.event_id() {
            Some(id) => format!("{:?}/{id}", call.account),
            None => "digest".to_owned(),
        },
        principal.kind,
        principal.key().map_or_else(|| "nobody".into(), |key| key.as_str().to_owned()),
        principal.credential,
    );
    let shown = principal.display();
    let _ = write!(text, "\n  shown as `{shown}`, mfa {:?}, from {:?}", call.mfa, call.address);
    for (name, value) in [
        ("session", principal.session_name.as_ref().map(|it| it.as_str().to_owned())),
        ("issuer", principal.issuer.as_ref().map(ToString::to_string)),
        ("provider", principal.provider.as_ref().map(|it| it.as_str().to_owned())),
        ("invoked by", principal.invoked_by.as_ref().map(|it| it.as_str().to_owned())),
        ("shared id", call.shared_id.as_ref().map(ToString::to_string)),
    ] {
        if let Some(value) = value {
            let _ = write!(text, ", {name} {value}");
        }
    }
    text.push_str("\n  ");
    text.push_str(&match event {
        Event::Assumption(it) => describe_assumption(it),
        Event::TrustChange(it) => describe_trust_change(it),
        Event::SignIn(it) => describe_sign_in(it),
    });
    text
}

fn describe_assumption(it: &Assumption) -> String {
    let target = match &it.target {
        Target::Role { arn, id } => format!("role {arn} {id:?}"),
        Target::Root { account, task_policy } => format!("root of {account:?} for {task_policy:?}"),
        Target::Unknown => "an unnamed role".to_owned(),
    };
    let session = &it.session;
    format!(
        "asked for {target}, session {:?}, issued {:?} until {:?}, source identity {:?}, ExternalId {:?}",
        session.name,
        session.access_key_id,
        session.expires,
        session.source_identity,
        it.external_id
    )
}

fn describe_trust_change(it: &TrustChange) -> String {
    let policy = it.policy.as_ref().map(|policy| policy.as_json().len());
    format!("{:?} {:?} {:?}, policy of {policy:?} bytes", it.kind, it.role_name, it.role)
}

fn describe_sign_in(it: &SignIn) -> String {
    match &it.kind {
        SignInKind::FederationToken { scope, name } => {
            format!("federation token {name:?}, {scope:?}")
        }
        kind => format!("{kind:?}"),
    }
}

#[test]
fn every_shape_is_read_as_it_should_be() {
    let mut all = String::new();
    for path in files_in("wire", "json") {
        let bytes = std::fs::read(&path).unwrap();
        let record: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let read = match cloudtrail::read(&record) {
            Ok(Some(event)) => describe(&event),
            Ok(None) => "not ours".to_owned(),
            Err(error) => format!("cannot be read: {error}"),
        };
        assert!(!read.contains("FAKE-SESSION-TOKEN"), "{read}");
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        // One record is as large as CloudTrail lets it be; what is read of it is not.
        assert!(read.len() < 8_000, "{name}: {} bytes", read.len());
        let _ = write!(all, "{name}\n  {read}\n\n");
    }
    assert_golden(&fixture("wire/read.txt"), &all);
}
