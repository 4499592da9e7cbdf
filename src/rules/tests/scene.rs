//! Small scenes for the tests of rules: some days of quiet use, then one call, and what is found.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::cloudtrail;
use crate::config::Config;
use crate::detect::{Mode, Verdict, advance};
use crate::memory::WorkingSet;
use crate::pipeline::Remember;
use crate::severity::Severity;
use crate::state::State;

/// A granted AssumeRole of `Target` in 111122223333 by alice's long-term key with MFA, from the
/// office, to be changed into what a test needs.
pub(in crate::rules) fn call() -> Value {
    json!({
        "eventSource": "sts.amazonaws.com",
        "eventName": "AssumeRole",
        "recipientAccountId": "111122223333",
        "sourceIPAddress": "198.51.100.7",
        "userAgent": "aws-cli/2.1",
        "userIdentity": user("alice", "111122223333"),
        "requestParameters": {
            "roleArn": "arn:aws:iam::111122223333:role/Target",
            "roleSessionName": "alice",
            "serialNumber": "arn:aws:iam::111122223333:mfa/alice",
        },
    })
}

/// The identity of an IAM user with a long-term key.
pub(in crate::rules) fn user(name: &str, account: &str) -> Value {
    json!({
        "type": "IAMUser",
        "principalId": format!("AIDAEXAMPLE{}", name.to_uppercase()),
        "arn": format!("arn:aws:iam::{account}:user/{name}"),
        "accountId": account,
        "accessKeyId": format!("AKIAEXAMPLE{}", name.to_uppercase()),
        "userName": name,
    })
}

/// The identity of a session of a role.
pub(in crate::rules) fn session(role: &str, name: &str) -> Value {
    let id = format!("AROAEXAMPLE{}", role.to_uppercase().replace('-', ""));
    json!({
        "type": "AssumedRole",
        "principalId": format!("{id}:{name}"),
        "arn": format!("arn:aws:sts::111122223333:assumed-role/{role}/{name}"),
        "accountId": "111122223333",
        "accessKeyId": "ASIAEXAMPLESESSION",
        "sessionContext": {"sessionIssuer": {
            "type": "Role", "principalId": id, "userName": role,
            "arn": format!("arn:aws:iam::111122223333:role/{role}"),
        }},
    })
}

/// `record` with the value at each JSON pointer replaced; a missing last key is added.
pub(in crate::rules) fn with(mut record: Value, changes: &[(&str, Value)]) -> Value {
    for (path, value) in changes {
        let (parent, key) = path.rsplit_once('/').unwrap();
        record.pointer_mut(parent).unwrap()[key] = value.clone();
    }
    record
}

/// A memory that events are judged against, one after the other.
#[derive(Default)]
pub(in crate::rules) struct Scene {
    memory: WorkingSet,
    config: Config,
    records: u32,
    hour: i64,
    /// Minutes of a scene that tells its own time.
    minutes: Option<i64>,
}

impl Scene {
    /// A scene in which something is declared.
    pub(in crate::rules) fn declaring(toml: &str) -> Self {
        let config = Config::parse(toml).config.unwrap();
        Self { config, ..Self::default() }
    }

    /// One call a day for so many days.
    pub(in crate::rules) fn daily(mut self, days: u32, record: &Value) -> Self {
        for _ in 0..days {
            self.judge(record);
            self.hour += 24;
        }
        self
    }

    /// Days in which nothing happens.
    pub(in crate::rules) fn quiet(mut self, days: i64) -> Self {
        self.hour += 24 * days;
        self
    }

    /// Hours in which nothing happens.
    pub(in crate::rules) fn later(mut self, hours: i64) -> Self {
        self.hour += hours;
        self
    }

    /// What `rule` finds in one more call, some minutes after the last.
    pub(in crate::rules) fn then(&mut self, rule: &str, record: &Value) -> Option<Severity> {
        let found = self.judge(record);
        found.into_iter().find(|(id, _)| id == rule).map(|(_, severity)| severity)
    }

    fn judge(&mut self, record: &Value) -> Vec<(String, Severity)> {
        self.records += 1;
        let start: Timestamp = "2026-01-05T09:00:00Z".parse().unwrap();
        let minutes = 60 * self.hour + i64::from(self.records % 50);
        let minutes = self.minutes.unwrap_or(minutes);
        let mut record = record.clone();
        record["eventTime"] = json!((start + SignedDuration::from_mins(minutes)).to_string());
        record["eventID"] = json!(format!("event-{}", self.records));
        let event = cloudtrail::read(&record).unwrap().expect("ours");
        let mut state = State::over(&self.memory);
        let verdict = advance(&mut state, &self.config, &event, &|_| Mode::Watch);
        let Verdict::Judged(judged) = verdict else { panic!("a duplicate") };
        let overlay = state.into_overlay();
        self.memory.commit(overlay);
        let findings = judged.alert.map(|alert| alert.findings).unwrap_or_default();
        findings.into_iter().map(|it| (it.rule.into_owned(), it.severity)).collect()
    }
}

/// alice takes a role, and with its session the next: each call is seen, and each session lives
/// for an hour.
pub(in crate::rules) struct Chain {
    scene: Scene,
    minutes: i64,
    /// The session in hand: its role, its key, and when it was made.
    held: Option<(String, String, Timestamp)>,
    first: Value,
}

impl Chain {
    pub(in crate::rules) fn new(scene: Scene) -> Self {
        Self::from(scene, call())
    }

    /// A chain that begins with a call like this one.
    pub(in crate::rules) fn from(scene: Scene, first: Value) -> Self {
        Self { scene, minutes: 0, held: None, first }
    }

    /// Takes the next role some minutes later; tells what `rule` finds.
    pub(in crate::rules) fn take(
        &mut self,
        role: &str,
        minutes: i64,
        rule: &str,
    ) -> Option<Severity> {
        self.minutes += minutes;
        let start: Timestamp = "2026-01-05T09:00:00Z".parse().unwrap();
        let time = start + SignedDuration::from_mins(self.minutes);
        let mut record = self.first.clone();
        if let Some((from, key, created)) = self.held.take() {
            record = with(call(), &[("/userIdentity", session(&from, "alice"))]);
            record["requestParameters"]["serialNumber"] = Value::Null;
            record["userIdentity"]["accessKeyId"] = json!(key);
            record["userIdentity"]["sessionContext"]["attributes"] =
                json!({"creationDate": created.to_string(), "mfaAuthenticated": "false"});
        }
        let key = format!("ASIAEXAMPLE{}", self.minutes);
        let arn = format!("arn:aws:iam::111122223333:role/{role}");
        record["requestParameters"]["roleArn"] = json!(arn);
        let id = session(role, "alice")["principalId"].clone();
        record["responseElements"] = json!({
            "credentials": {
                "accessKeyId": key,
                "expiration": (time + SignedDuration::from_mins(60)).to_string(),
            },
            "assumedRoleUser": {"assumedRoleId": id},
        });
        self.scene.minutes = Some(self.minutes);
        let found = self.scene.then(rule, &record);
        self.held = Some((role.to_owned(), key, time));
        found
    }
}
