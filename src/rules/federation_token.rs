//! A user made a federation token.

use super::{Case, Finding, Ground, Rule, evidence, json};
use crate::baseline::Dimension;
use crate::event::{Event, FederationScope, SignInKind};
use crate::severity::Severity;
use crate::text::{Text, inline};

/// Days on which a caller has to have been seen for its first federation token to be unusual
/// rather than merely new.
const KNOWN_DAYS: u32 = 3;

pub(super) const RULE: Rule = Rule {
    id: "federation_token",
    title: "Federation token",
    severities: &[Severity::Low, Severity::Medium, Severity::High],
    mitre: &["T1550.001", "T1098.001"],
    sees: "A granted GetFederationToken whose session policy allows every action on every \
           resource (high), or that cannot be read or comes from a caller well known for other \
           calls (medium), or from a caller of whom nothing is known yet (low, once).",
    why: "The token goes on working for up to 36 hours after the key that made it was \
          deactivated, and it can be used to sign in to the console. A policy that allows \
          everything is what somebody writes who wants to keep what they have stolen.",
    harmless: "An older application that hands out federation tokens to its users. It does so \
               with a narrow policy, regularly, and is soon known for it.",
    first: "Ask the owner of the user. If nobody knows of it, deactivating the key is not \
            enough: deny everything to the user with an inline policy, for the token has no more \
            than the user has.",
    check,
};

fn check(case: &Case<'_>) -> Option<Finding> {
    let Event::SignIn(it) = case.event else { return None };
    let SignInKind::FederationToken { scope, name } = &it.kind else { return None };
    if !it.call.granted() {
        return None;
    }
    let known_for_it = case
        .caller
        .is_some_and(|caller| caller.habits().seen(Dimension::Call, it.call.name).is_some());
    let known_days = case.caller.map_or(0, |caller| {
        let calls = caller.habits().table(Dimension::Call);
        calls.map_or(0, |table| table.iter().map(|(_, seen)| seen.days.count()).max().unwrap_or(0))
    });
    let who = it.call.principal.display();
    let named = inline(name.as_ref().map_or("", Text::as_str));
    let token = format!("{who} made a federation token named `{named}`");
    let (severity, ground, phrase, summary) = judge(*scope, known_for_it, known_days, &token)?;
    Some(Finding {
        rule: RULE.id.into(),
        severity,
        phrase: phrase.into(),
        summary,
        evidence: evidence(json!({
            "scope": match scope {
                FederationScope::Everything => "everything",
                FederationScope::Limited => "limited",
                FederationScope::Nothing => "nothing",
                FederationScope::Unreadable => "unreadable",
            },
            "name": named,
            "caller_known_days": known_days,
        })),
        ground,
    })
}

type Judgement = (Severity, Ground, &'static str, String);

fn judge(
    scope: FederationScope,
    known_for_it: bool,
    known_days: u32,
    token: &str,
) -> Option<Judgement> {
    Some(match scope {
        FederationScope::Everything => (
            Severity::High,
            Ground::Fact,
            "that allows everything",
            format!("{token} whose policy allows everything that the caller may do"),
        ),
        FederationScope::Unreadable => (
            Severity::Medium,
            Ground::Fact,
            "with a policy that cannot be read",
            format!("{token} whose policy is not valid JSON"),
        ),
        FederationScope::Limited | FederationScope::Nothing if known_for_it => return None,
        FederationScope::Limited | FederationScope::Nothing if known_days >= KNOWN_DAYS => (
            Severity::Medium,
            Ground::Habit,
            "for the first time",
            format!("{token} and never did before, though it was seen on {known_days} days"),
        ),
        FederationScope::Limited | FederationScope::Nothing => (
            Severity::Low,
            Ground::Habit,
            "for the first time",
            format!("{token}, which was not seen of this caller before"),
        ),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::scene::{Scene, call, with};
    use super::RULE;
    use crate::severity::Severity;

    fn token(policy: &str) -> Value {
        let request = json!({"name": "x", "policy": policy});
        with(
            call(),
            &[("/eventName", json!("GetFederationToken")), ("/requestParameters", request)],
        )
    }

    const NARROW: &str =
        r#"{"Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}}"#;
    const ALL: &str = r#"{"Statement":[{"Effect":"Allow","Action":["*"],"Resource":"*"}]}"#;

    #[test]
    fn fires_on_everything_on_nonsense_and_on_a_first_time() {
        for (policy, severity) in [(ALL, Severity::High), ("{", Severity::Medium)] {
            let mut scene = Scene::default().daily(10, &token(NARROW));
            assert_eq!(scene.then(RULE.id, &token(policy)), Some(severity), "{policy}");
        }
        let mut scene = Scene::default().daily(10, &call());
        assert_eq!(scene.then(RULE.id, &token(NARROW)), Some(Severity::Medium));
        assert_eq!(Scene::default().then(RULE.id, &token(NARROW)), Some(Severity::Low));
    }

    #[test]
    fn is_silent_for_those_who_always_did_and_on_refusals() {
        let mut scene = Scene::default().daily(10, &token(NARROW));
        assert_eq!(scene.then(RULE.id, &token(NARROW)), None);
        let refused = with(token(ALL), &[("/errorCode", json!("AccessDenied"))]);
        assert_eq!(scene.then(RULE.id, &refused), None);
    }
}
