//! Root was used: at the console, by its keys, or through `AssumeRoot`.

use super::{Case, Finding, Ground, Rule, evidence, json};
use crate::event::{Assumption, Event, Mfa, PrincipalKind, SignIn, SignInKind, Target};
use crate::severity::Severity;
use crate::text::{Text, inline};

pub(super) const RULE: Rule = Rule {
    id: "root_session",
    title: "Root session",
    severities: &[Severity::Low, Severity::Medium, Severity::High],
    mitre: &["T1078.004", "T1548.005"],
    sees: "A console sign-in of the root user or its GetSessionToken (high without MFA, medium \
           with, low with MFA from where people of yours call from), or an AssumeRoot into a \
           member account (medium, low if refused or if the task can only look). Sign-ins that \
           failed are nothing: anybody can try who knows an e-mail address.",
    why: "No policy but an organisation's limits root, and hardly any task needs it. An \
          AssumeRoot session can unlock what everybody is locked out of, which is its purpose.",
    harmless: "The few tasks that only root can do (account closure, a bucket or queue policy \
               that locks everybody out), planned and announced.",
    first: "Find the ticket that planned it. Without one, treat the account as taken over: \
            change root's password, remove its keys, check its MFA devices and e-mail address, \
            and read what root did since.",
    check,
};

fn check(case: &Case<'_>) -> Option<Finding> {
    match case.event {
        Event::SignIn(it) if it.call.principal.kind == PrincipalKind::Root => sign_in(case, it),
        Event::Assumption(it) => match &it.target {
            Target::Root { account, task_policy } => {
                let account =
                    account.map_or_else(|| "an unnamed account".to_owned(), |a| a.to_string());
                Some(assume_root(it, &account, task_policy.as_ref()))
            }
            _ => None,
        },
        _ => None,
    }
}

/// The task policy that lets root's credentials be looked at and nothing be changed.
const READS_ONLY: &str = "IAMAuditRootUserCredentials";

fn sign_in(case: &Case<'_>, it: &SignIn) -> Option<Finding> {
    let did = match it.kind {
        SignInKind::ConsoleLogin => "signed in to the console",
        SignInKind::SessionToken => "took a session token",
        _ => return None,
    };
    if !it.call.granted() {
        return None;
    }
    let (severity, phrase, mfa) = match it.call.mfa {
        Mfa::Absent => (Severity::High, "without MFA", "without MFA"),
        Mfa::Present if case.is_peoples_place => {
            (Severity::Low, "with MFA", "with MFA, from where people of yours work")
        }
        Mfa::Present => (Severity::Medium, "with MFA", "with MFA"),
        Mfa::Unknown | Mfa::Inherited | Mfa::NotApplicable => {
            (Severity::Medium, "", "and the record does not tell whether with MFA")
        }
    };
    let who = it.call.principal.display();
    let from = it.call.address.display();
    Some(Finding {
        rule: RULE.id.into(),
        severity,
        phrase: phrase.into(),
        summary: format!("{who} {did} from {from} {mfa}"),
        evidence: evidence(json!({ "call": it.call.name, "mfa": it.call.mfa.as_str() })),
        ground: Ground::Fact,
    })
}

fn assume_root(it: &Assumption, account: &str, task_policy: Option<&Text>) -> Finding {
    let task = task_policy
        .map_or("no task policy", |arn| arn.as_str().rsplit('/').next().unwrap_or_default());
    let who = it.call.principal.display();
    let (severity, phrase, summary) = if it.call.granted() {
        let summary =
            format!("{who} became root of {account}, limited to the task {}", inline(task));
        let severity = if task == READS_ONLY { Severity::Low } else { Severity::Medium };
        (severity, "through AssumeRoot", summary)
    } else {
        let summary = format!("{who} tried to become root of {account} and was refused");
        (Severity::Low, "refused", summary)
    };
    Finding {
        rule: RULE.id.into(),
        severity,
        phrase: phrase.into(),
        summary,
        evidence: evidence(json!({
            "call": it.call.name,
            "target_account": account,
            "task_policy": task_policy.map(Text::as_str),
        })),
        ground: Ground::Habit,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::scene::{Scene, call, session, with};
    use super::RULE;
    use crate::severity::Severity;

    fn sign_in(mfa: &str) -> Value {
        let root =
            json!({"type": "Root", "principalId": "111122223333", "accountId": "111122223333"});
        let changes = [
            ("/eventSource", json!("signin.amazonaws.com")),
            ("/eventName", json!("ConsoleLogin")),
            ("/userIdentity", root),
            ("/requestParameters", Value::Null),
            ("/additionalEventData", json!({"MFAUsed": mfa})),
        ];
        with(call(), &changes)
    }

    #[test]
    fn fires_on_root_at_the_console_and_on_assume_root() {
        assert_eq!(Scene::default().then(RULE.id, &sign_in("No")), Some(Severity::High));
        assert_eq!(Scene::default().then(RULE.id, &sign_in("Yes")), Some(Severity::Medium));
        let request = json!({"targetPrincipal": "444455556666"});
        let changes = [
            ("/eventName", json!("AssumeRoot")),
            ("/userIdentity", session("Root", "alice")),
            ("/requestParameters", request),
        ];
        let root = with(call(), &changes);
        assert_eq!(Scene::default().then(RULE.id, &root), Some(Severity::Medium));
        let refused = with(root, &[("/errorCode", json!("AccessDenied"))]);
        assert_eq!(Scene::default().then(RULE.id, &refused), Some(Severity::Low));
    }

    #[test]
    fn is_silent_on_failed_sign_ins_and_on_others() {
        let failed = with(sign_in("No"), &[("/errorMessage", json!("Failed authentication"))]);
        assert_eq!(Scene::default().then(RULE.id, &failed), None);
        let alice = super::super::tests::scene::user("alice", "111122223333");
        let person = with(sign_in("No"), &[("/userIdentity", alice)]);
        assert_eq!(Scene::default().then(RULE.id, &person), None);
    }
}
