//! A role was taken, or tried, with another ExternalId than its own.

use jiff::SignedDuration;

use super::{Case, Finding, Ground, Rule, evidence, json};
use crate::baseline::{Denials, Dimension, Habits, Seen, Table, Turnover};
use crate::config::Comparison;
use crate::event::{Assumption, CallerClass, Event, ExternalIdUse};
use crate::id::AccountId;
use crate::profile;
use crate::severity::Severity;
use crate::text::inline;
use crate::trust::{Entry, Named};

/// Days on which a caller's account has to have been seen for its ExternalId to be steady.
const STEADY_DAYS: u32 = 5;
/// How new ExternalIds come at most for the known one to be steady: one in eight.
const STEADY_BITS: f64 = 3.0;
/// Refusals of one role within [`PROBING_WINDOW`] from which they are more than a mistake.
const PROBING: u32 = Denials::PROBING;
const PROBING_WINDOW: SignedDuration = SignedDuration::from_hours(1);

pub(super) const RULE: Rule = Rule {
    id: "wrong_external_id",
    title: "Wrong ExternalId",
    severities: &[Severity::Low, Severity::Medium, Severity::High],
    mitre: &["T1199", "T1078.004"],
    sees: "Proved: a granted assumption with an ExternalId, or without one, that contradicts the \
           declared ones or the one that the same account has steadily sent (high), or with one \
           that another account sends for the same role (medium). Suspected: \
           an outside caller refused a role that is always taken with an ExternalId (low, medium \
           from the fifth refusal within an hour). A refusal does not tell its reason, so it is \
           never more than suspected.",
    why: "The ExternalId is what keeps one customer of a vendor from acting as another (the \
          confused deputy). A grant without the right one means that the trust policy does not \
          demand it.",
    harmless: "The vendor has changed the value and told somebody, or uses several.",
    first: "Read the role's trust policy: does it demand sts:ExternalId? If not, that is the \
            hole; close it. Then ask the vendor whether the call was theirs.",
    check,
};

fn check(case: &Case<'_>) -> Option<Finding> {
    let Event::Assumption(it) = case.event else { return None };
    if it.call.principal.class(it.role_account()) != CallerClass::ExternalAccount {
        return None;
    }
    if !it.call.granted() {
        return suspected(case, it);
    }
    declared(case, it).or_else(|| against_habit(case, it)).or_else(|| shared(case, it))
}

fn declared(case: &Case<'_>, it: &Assumption) -> Option<Finding> {
    let expected = case.expected.external_ids?;
    let sent = match it.external_id {
        ExternalIdUse::Unknown => return None,
        ExternalIdUse::Given(id) if expected.contains(&id) => return None,
        ExternalIdUse::Given(id) => id.to_string(),
        ExternalIdUse::Absent => "none".to_owned(),
    };
    let declared: Vec<String> = expected.iter().map(ToString::to_string).collect();
    let reason = format!("declared is {}", declared.join(" or "));
    let evidence = json!({ "proved": true, "sent": sent, "declared": declared });
    Some(proved(it, &sent, &reason, evidence, Ground::Fact))
}

fn against_habit(case: &Case<'_>, it: &Assumption) -> Option<Finding> {
    if case.expected.external_ids.is_some() {
        return None;
    }
    let value = profile::external_id(it)?;
    let habits = case.habits(it)?;
    if habits.has_seen(Dimension::ExternalId, value) {
        return None;
    }
    let account = it.call.principal.account?;
    let of_account = || sent_by(habits, account);
    let turnover = Turnover::of(of_account().map(|(_, seen)| seen));
    let days = of_account().map(|(_, seen)| seen.days.count()).max().unwrap_or(0);
    if days < STEADY_DAYS || turnover.bits_of_new() < STEADY_BITS {
        return None;
    }
    let usual = of_account().max_by_key(|(_, seen)| seen.days.count()).map(|(id, _)| shown(id))?;
    let sent = value.split_once(' ').map_or("none".to_owned(), |(_, id)| shown(id));
    let reason = format!("the account {account} has sent {usual} on {days} days");
    let evidence = json!({
        "proved": true, "sent": sent, "usual": usual, "days": days, "values": turnover.values,
    });
    Some(proved(it, &sent, &reason, evidence, Ground::Habit))
}

/// A value that another account has sent for the same role: whoever gives one value to all its
/// customers, or has learned another's, can be made to act for the wrong one.
fn shared(case: &Case<'_>, it: &Assumption) -> Option<Finding> {
    let ExternalIdUse::Given(id) = it.external_id else { return None };
    let (habits, account) = (case.habits(it)?, it.call.principal.account?);
    let is_known = habits.has_seen(Dimension::ExternalId, profile::external_id(it)?);
    let is_declared = case.expected.principals.is_some_and(|expected| {
        Comparison::with_any(expected, &it.call.principal) == Comparison::Matches
    });
    let is_trusted = |entry: &Entry| entry.explains() >= Some(Named::ByAccount);
    if is_known || is_declared || case.entry.is_some_and(is_trusted) {
        return None;
    }
    // That the account was let in was told of when the policy was written.
    let is_told = case.is_opened_by_pipeline;
    let table = habits.table(Dimension::ExternalId)?;
    let senders = table.iter().filter_map(|(value, _)| value.split_once(' '));
    let mut others: Vec<&str> = senders.filter(|it| it.1 == id.to_hex()).map(|it| it.0).collect();
    others.sort_unstable();
    let listed = if others.is_empty() { return None } else { others.join(" and ") };
    let role = inline(it.role()?.name());
    Some(Finding {
        rule: RULE.id.into(),
        severity: if is_told { Severity::Low } else { Severity::Medium },
        phrase: "with another account's ExternalId".into(),
        summary: format!(
            "{} took {role} from account {account} with the ExternalId {id}, which is that of \
             {listed}",
            it.who()
        ),
        evidence: evidence(json!({ "proved": true, "sent": id.to_string(), "sent_by": others })),
        ground: Ground::Habit,
    })
}

fn proved(
    it: &Assumption,
    sent: &str,
    reason: &str,
    facts: serde_json::Value,
    ground: Ground,
) -> Finding {
    let who = it.who();
    let role = inline(it.role().map_or("", crate::id::RoleArn::name));
    let (phrase, with) = if sent == "none" {
        ("without its ExternalId", "without an ExternalId".to_owned())
    } else {
        ("with a wrong ExternalId", format!("with the ExternalId {sent}"))
    };
    Finding {
        rule: RULE.id.into(),
        severity: Severity::High,
        phrase: phrase.into(),
        summary: format!("{who} was granted {role} {with}, but {reason}"),
        evidence: evidence(facts),
        ground,
    }
}

/// A refusal of a role that outside callers always take with an ExternalId.
fn suspected(case: &Case<'_>, it: &Assumption) -> Option<Finding> {
    let role = it.role()?;
    let habits = case.role.and_then(|role| role.habits(CallerClass::ExternalAccount));
    let table = habits.and_then(|habits| habits.table(Dimension::ExternalId));
    let sent = || table.into_iter().flat_map(Table::iter).map(|(id, seen)| (shown_of(id), seen));
    let with = sent().filter(|(id, _)| id != "none").map(|(_, seen)| seen.days.count());
    let days = with.max().unwrap_or(0);
    let because = if case.expected.external_ids.is_some() {
        "an ExternalId is declared for the role"
    } else if days >= STEADY_DAYS && sent().all(|(id, _)| id != "none") {
        "the role is always taken with an ExternalId"
    } else {
        return None;
    };
    // Where the record was judged before, in another environment, it is one of them already.
    let mut denials = case.caller.map(|caller| caller.denials.clone()).unwrap_or_default();
    denials.record(role, it.call.time, it.call.key.mark());
    let refusals = denials.of_role(role, it.call.time, PROBING_WINDOW);
    let who = it.who();
    Some(Finding {
        rule: RULE.id.into(),
        severity: if refusals >= PROBING { Severity::Medium } else { Severity::Low },
        phrase: "perhaps for a wrong ExternalId".into(),
        summary: format!(
            "{who} was refused {} {} within an hour; {because}, so a wrong one is suspected, \
             though the refusal does not tell",
            inline(role.name()),
            crate::text::plural(u64::from(refusals), "time", "times"),
        ),
        evidence: evidence(json!({ "proved": false, "refusals": refusals, "days": days })),
        ground: Ground::Fact,
    })
}

/// What one account has sent.
fn sent_by(habits: &Habits, account: AccountId) -> impl Iterator<Item = (&str, Seen)> {
    let table = habits.table(Dimension::ExternalId);
    let prefix = format!("{account} ");
    let values = table.into_iter().flat_map(Table::iter);
    values.filter_map(move |(value, seen)| Some((value.strip_prefix(&prefix)?, seen)))
}

/// An ExternalId of the baseline as alerts may show it.
fn shown(stored: &str) -> String {
    match crate::id::ExternalId::from_hex(stored) {
        Ok(id) => id.to_string(),
        Err(_) => "none".to_owned(),
    }
}

fn shown_of(value: &str) -> String {
    value.split_once(' ').map_or_else(|| "none".to_owned(), |(_, id)| shown(id))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::scene::{Scene, call, user, with};
    use super::RULE;
    use crate::severity::Severity;

    fn vendor(external_id: Value) -> Value {
        let identity = user("scanner", "444455556666");
        with(call(), &[("/userIdentity", identity), ("/requestParameters/externalId", external_id)])
    }

    fn refused(record: Value) -> Value {
        with(record, &[("/errorCode", json!("AccessDenied"))])
    }

    const DECLARED: &str = "[[role]]\nmatch = '*:role/Target'\nexternal_ids = ['right']";

    #[test]
    fn fires_on_a_wrong_one_and_on_none_by_habit_and_declaration() {
        for wrong in [json!("wrong"), Value::Null] {
            let mut scene = Scene::default().daily(10, &vendor(json!("right")));
            assert_eq!(scene.then(RULE.id, &vendor(wrong.clone())), Some(Severity::High));
            let mut scene = Scene::declaring(DECLARED);
            assert_eq!(scene.then(RULE.id, &vendor(wrong)), Some(Severity::High));
        }
    }

    #[test]
    fn suspects_refusals_of_a_role_that_is_taken_with_one() {
        let mut scene = Scene::default().daily(10, &vendor(json!("right")));
        let guess = refused(vendor(json!("guess")));
        assert_eq!(scene.then(RULE.id, &guess), Some(Severity::Low));
        let more: Vec<_> = (0..4).map(|_| scene.then(RULE.id, &guess)).collect();
        assert_eq!(more, [None, None, None, Some(Severity::Medium)]);
    }

    #[test]
    fn fires_on_one_value_of_two_accounts() {
        let other =
            || with(vendor(json!("right")), &[("/userIdentity", user("other", "777788889999"))]);
        let mut scene = Scene::default().daily(3, &vendor(json!("right")));
        assert_eq!(scene.then(RULE.id, &other()), Some(Severity::Medium));
        let both = "[[role]]\nmatch = '*:role/Target'\n\
                    principals = ['account:444455556666', 'account:777788889999']";
        let mut scene = Scene::declaring(both).daily(3, &vendor(json!("right")));
        assert_eq!(scene.then(RULE.id, &other()), None);
    }

    #[test]
    fn is_silent_on_the_right_one_on_changing_ones_and_within_the_account() {
        let mut scene = Scene::default().daily(10, &vendor(json!("right")));
        assert_eq!(scene.then(RULE.id, &vendor(json!("right"))), None);
        assert_eq!(Scene::declaring(DECLARED).then(RULE.id, &vendor(json!("right"))), None);
        assert_eq!(Scene::declaring(DECLARED).then(RULE.id, &call()), None);
        let mut scene = Scene::default();
        for n in 0..20 {
            scene = scene.daily(1, &vendor(json!(format!("customer {n}"))));
        }
        assert_eq!(scene.then(RULE.id, &vendor(json!("customer 99"))), None);
        assert_eq!(Scene::default().then(RULE.id, &refused(vendor(json!("x")))), None);
    }

    #[test]
    fn suspects_refusals_of_a_role_for_which_one_is_declared() {
        let guess = refused(vendor(json!("guess")));
        assert_eq!(Scene::declaring(DECLARED).then(RULE.id, &guess), Some(Severity::Low));
    }
}
