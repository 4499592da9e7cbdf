//! Credentials that were delivered to a machine are used somewhere else.

use super::{Case, Finding, Ground, Rule, experience, numbers};
use crate::baseline::Dimension;
use crate::event::{Assumption, PrincipalKind};
use crate::severity::Severity;
use crate::surprise::SignKind;
use crate::text::{Text, inline};

pub(super) const RULE: Rule = Rule {
    id: "credential_hop",
    title: "Credentials of a machine used elsewhere",
    severities: &[Severity::Medium, Severity::High],
    mitre: &["T1552.005", "T1078.004"],
    sees: "The session of an EC2 instance, or one that a service was seen to deliver to a \
           function or a task, takes another role from a block of networks where neither the \
           machine's role nor this role's callers nor any other workload ever were. All private \
           addresses are one block.",
    why: "Whoever reaches the metadata service of an instance, through a forged request or a \
          shell, can carry its credentials away. Using them from elsewhere is what a thief does \
          next, and an instance does not.",
    harmless: "The instances were moved behind another gateway, or to another network of yours.",
    first: "Compare the address with the instance's own. If it is not yours, attach \
            AWSRevokeOlderSessions to both roles, and look for what was done with the \
            credentials and for how they were taken from the instance.",
    check,
};

/// Bits from which a network is none of the machine's.
const ELSEWHERE: f64 = 4.0;

fn check(case: &Case<'_>) -> Option<Finding> {
    let it = case.granted_assumption()?;
    let machine = machine(case, it)?;
    let surprise = case.surprise?;
    let part = surprise.part(Dimension::NetworkBlock).filter(|part| part.bits >= ELSEWHERE)?;
    // A gateway that was replaced is a place that other workloads are soon seen at too.
    surprise.sign(SignKind::NotOfCircle)?;
    let who = it.call.principal.name.as_ref().map_or("", Text::as_str);
    let role = inline(it.role()?.name());
    let mut evidence = numbers(part, surprise);
    evidence.insert(machine.kind.to_owned(), machine.name.into());
    Some(Finding {
        rule: RULE.id.into(),
        severity: case.severity_of_sum(surprise).unwrap_or(Severity::Medium),
        phrase: format!("with {} credentials from elsewhere", machine.whose).into(),
        summary: format!(
            "the credentials of {} {} ({}) took {role} from {}, where neither is known: {}",
            machine.kind,
            inline(machine.name),
            inline(who),
            it.call.address.display(),
            experience(part)
        ),
        evidence,
        ground: Ground::Habit,
    })
}

/// What the credentials were delivered to.
struct Machine<'a> {
    kind: &'static str,
    whose: &'static str,
    name: &'a str,
}

/// The machine whose session makes the call: an instance by the session's name, or whatever a
/// service was seen to deliver the session to.
fn machine<'a>(case: &Case<'a>, it: &'a Assumption) -> Option<Machine<'a>> {
    if let Some(name) = instance(it) {
        return Some(Machine { kind: "instance", whose: "an instance's", name });
    }
    let parent = case.lineage?.parent()?;
    let name = it.call.principal.session_name.as_ref().map(Text::as_str)?;
    let delivered = parent.kind == PrincipalKind::Service;
    delivered.then_some(Machine { kind: "workload", whose: "a workload's", name })
}

/// The instance whose session makes the call: EC2 names sessions after instances.
fn instance(it: &Assumption) -> Option<&str> {
    let principal = &it.call.principal;
    let name = principal.session_name.as_ref().map(Text::as_str)?;
    let id = name.strip_prefix("i-")?;
    let is_instance = principal.kind == PrincipalKind::Role
        && matches!(id.len(), 8 | 17)
        && id.bytes().all(|b| b.is_ascii_hexdigit());
    is_instance.then_some(name)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::scene::{Scene, call, session, user, with};
    use super::RULE;
    use crate::severity::Severity;

    fn instance(address: &str) -> Value {
        let identity = session("worker", "i-0123456789abcdef0");
        with(call(), &[("/userIdentity", identity), ("/sourceIPAddress", json!(address))])
    }

    #[test]
    fn fires_where_the_instance_never_was() {
        let mut scene = Scene::default().daily(30, &instance("10.1.2.3"));
        assert_eq!(scene.then(RULE.id, &instance("203.0.113.9")), Some(Severity::Medium));
    }

    #[test]
    fn is_silent_in_the_same_block_and_for_what_is_no_instance() {
        let mut scene = Scene::default().daily(30, &instance("10.1.2.3"));
        assert_eq!(scene.then(RULE.id, &instance("10.77.0.1")), None);
        let pod = |address: &str| {
            let identity = session("worker", "pod-7f9c");
            with(call(), &[("/userIdentity", identity), ("/sourceIPAddress", json!(address))])
        };
        let mut scene = Scene::default().daily(30, &pod("10.1.2.3"));
        assert_eq!(scene.then(RULE.id, &pod("203.0.113.9")), None);
    }

    /// A function's role is delivered to it every day, and with it the function takes `Target`.
    fn with_function(days: u32, deliverer: &Value) -> Scene {
        let mut scene = Scene::default();
        for day in 0..days {
            assert_eq!(scene.then(RULE.id, &delivery(day, deliverer)), None);
            assert_eq!(scene.then(RULE.id, &function(day, "10.1.2.3")), None);
            scene = scene.quiet(1);
        }
        scene.then(RULE.id, &delivery(days, deliverer));
        scene
    }

    fn delivery(day: u32, deliverer: &Value) -> Value {
        let role = json!("arn:aws:iam::111122223333:role/worker");
        let answer = json!({
            "credentials": {"accessKeyId": format!("ASIAEXAMPLEDAY{day}")},
            "assumedRoleUser": {"assumedRoleId": session("worker", "resize")["principalId"]},
        });
        let record = with(call(), &[("/userIdentity", deliverer.clone())]);
        let changes = [
            ("/requestParameters/roleArn", role),
            ("/requestParameters/roleSessionName", json!("resize")),
            ("/responseElements", answer),
        ];
        with(record, &changes)
    }

    fn function(day: u32, address: &str) -> Value {
        let mut identity = session("worker", "resize");
        identity["accessKeyId"] = json!(format!("ASIAEXAMPLEDAY{day}"));
        with(call(), &[("/userIdentity", identity), ("/sourceIPAddress", json!(address))])
    }

    #[test]
    fn fires_for_what_a_service_delivered_and_not_for_what_a_user_took() {
        let lambda = json!({"type": "AWSService", "invokedBy": "lambda.amazonaws.com"});
        let mut scene = with_function(30, &lambda);
        assert_eq!(scene.then(RULE.id, &function(30, "203.0.113.9")), Some(Severity::Medium));
        let mut scene = with_function(30, &user("alice", "111122223333"));
        assert_eq!(scene.then(RULE.id, &function(30, "203.0.113.9")), None);
    }
}
