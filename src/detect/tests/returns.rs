//! A key in two places, whichever use of it comes first.

use serde_json::{Value, json};

use super::advanced;
use super::stories::{AWAY, HOME, taken, user};
use crate::config::Config;
use crate::detect::Judged;
use crate::memory::WorkingSet;
use crate::severity::Severity;

fn carol() -> Value {
    let mut user = user("carol");
    user["accessKeyId"] = json!("AKIAIOSFODNN7CAROL00");
    user
}

const ROLE: &str = "arn:aws:iam::111122223333:role/Billing";
const OTHER: &str = "arn:aws:iam::111122223333:role/Reports";

/// Somebody who takes two roles from home, and travels now and then.
struct Owner {
    memory: WorkingSet,
    count: u32,
    config: Config,
}

impl Owner {
    fn new(config: &str) -> Self {
        let config = Config::parse(config).config.unwrap();
        let mut owner = Self { memory: WorkingSet::default(), count: 0, config };
        for day in 0..30 {
            let place = if day % 10 == 5 { format!("100.{}.0.1", 64 + day) } else { HOME.into() };
            owner.take(24 * day, ROLE, &place);
            owner.take(24 * day + 1, OTHER, &place);
        }
        owner
    }

    fn take(&mut self, hour: i64, role: &str, address: &str) -> Judged {
        self.count += 1;
        self.judge(&taken(self.count, hour, &carol(), role, address))
    }

    fn judge(&mut self, record: &Value) -> Judged {
        advanced(&mut self.memory, &self.config, record)
    }
}

const MONTH: i64 = 24 * 30;

/// What is told of the call from elsewhere once the owner is back, so many hours later.
fn told_after(hours: i64, config: &str) -> Option<(Severity, String, bool)> {
    let mut owner = Owner::new(config);
    let away = owner.take(MONTH, ROLE, AWAY);
    assert!(away.alert.as_ref().is_none_or(|it| it.severity == Severity::Low), "one more journey");
    let back = owner.take(MONTH + hours, OTHER, HOME);
    assert!(back.alert.is_none(), "of the owner nothing is told");
    let alert = back.late.first()?.alert.as_deref()?;
    let summary = alert.findings.first().unwrap().summary.clone();
    assert!(owner.take(MONTH + hours + 1, OTHER, HOME).late.is_empty(), "it is told once");
    Some((alert.severity, summary, alert.source.address == AWAY))
}

#[test]
fn a_thief_who_comes_first_is_told_of_once_the_owner_is_back() {
    let (severity, summary, is_of_the_thief) = told_after(2, "").unwrap();
    assert_eq!(severity, Severity::Medium);
    assert!(summary.contains("2 hours later the key was used again where it was before"));
    assert!(is_of_the_thief, "{summary}");
}

#[test]
fn whoever_had_time_to_travel_back_is_not() {
    assert_eq!(told_after(11, ""), None);
    assert_eq!(told_after(2, "[tuning]\nwithout = ['two_places']\n"), None);
}

#[test]
fn another_place_that_is_new_too_says_nothing() {
    let mut owner = Owner::new("");
    owner.take(MONTH, ROLE, AWAY);
    assert!(owner.take(MONTH + 2, ROLE, "233.252.0.1").late.is_empty(), "a journey goes on");
}

#[test]
fn a_use_before_that_arrives_after_counts_too() {
    let mut owner = Owner::new("");
    owner.take(MONTH, ROLE, AWAY);
    let mut early = taken(900, MONTH - 1, &carol(), OTHER, HOME);
    early["eventID"] = json!("late-record");
    let late = owner.judge(&early).late;
    let alert = late.first().and_then(|it| it.alert.as_deref()).unwrap();
    assert!(alert.findings[0].summary.contains("an hour before the key was used elsewhere"));
}
