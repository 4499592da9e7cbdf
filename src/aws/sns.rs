//! Alerts to SNS: several topics, each with its format, and an alert is accepted when every
//! topic has taken it.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use aws_sdk_sns::types::{MessageAttributeValue, PublishBatchRequestEntry};
use serde_json::json;

use super::Aws;
use crate::alert::shorten::shorten;
use crate::alert::{Alert, SCHEMA, chat, ocsf, text, to_line};
use crate::pipeline::Topics;

/// Most entries, and bytes of them together, of one PublishBatch.
const MOST_ENTRIES: usize = 10;
const MOST_BYTES: usize = 256 * 1024;

/// How long one call may take, so that a connection that died in its sleep costs no more.
const LONGEST_CALL: Duration = Duration::from_secs(5);

/// How long to wait after the first pass that left something over, and at most.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// What a topic's subscribers read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicFormat {
    /// rolewatch's own JSON.
    Native,
    /// An e-mail.
    Text,
    /// A notification of Amazon Q Developer in chat applications.
    Chat,
    /// An OCSF Detection Finding.
    Ocsf,
}

impl TopicFormat {
    const ALL: [Self; 4] = [Self::Native, Self::Text, Self::Chat, Self::Ocsf];

    /// The word that settings use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Text => "text",
            Self::Chat => "chat",
            Self::Ocsf => "ocsf",
        }
    }

    fn render(self, alert: &Alert) -> String {
        match self {
            Self::Native => to_line(alert),
            Self::Text => text::to_text(alert),
            Self::Chat => chat::to_json(alert),
            Self::Ocsf => ocsf::to_line(alert),
        }
    }
}

impl std::str::FromStr for TopicFormat {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|it| it.as_str() == word);
        found.ok_or_else(|| format!("`{word}` is no format: use native, text, chat or ocsf"))
    }
}

/// A topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    /// Its ARN.
    pub arn: String,
    /// The region in it, where it takes messages.
    pub region: String,
    /// What its subscribers read.
    pub format: TopicFormat,
}

/// Why an alert was not accepted.
#[derive(Debug)]
pub struct TopicError(String);

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The topics, for one batch.
pub struct Publisher<'a, F> {
    /// The way to AWS.
    pub aws: &'a Aws,
    /// The topics.
    pub topics: &'a [Topic],
    /// Clients that were made, by region.
    pub clients: &'a mut BTreeMap<String, aws_sdk_sns::Client>,
    /// When to give up.
    pub deadline: Instant,
    /// Told of every alert when the last topic has taken it.
    pub accepted: F,
}

/// What one topic has not taken yet.
struct Left<'t> {
    topic: &'t Topic,
    alerts: Vec<usize>,
    why: String,
}

impl<F: FnMut(&Alert)> Topics for Publisher<'_, F> {
    type Error = TopicError;

    async fn publish(&mut self, alerts: &[&Alert]) -> Result<(), (usize, TopicError)> {
        let mut left: Vec<Left<'_>> = self
            .topics
            .iter()
            .map(|topic| Left { topic, alerts: (0..alerts.len()).collect(), why: String::new() })
            .collect();
        let mut waiting = vec![self.topics.len(); alerts.len()];
        let mut wait = FIRST_WAIT;
        loop {
            for one in &mut left {
                self.pass(one, alerts, &mut waiting).await;
            }
            left.retain(|one| !one.alerts.is_empty());
            let now = Instant::now();
            if left.is_empty() || now + wait >= self.deadline {
                break;
            }
            tokio::time::sleep(jittered(wait)).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        let first = left.iter().min_by_key(|one| one.alerts.first().copied());
        match first {
            None => Ok(()),
            Some(one) => {
                let at = one.alerts.first().copied().unwrap_or(0);
                Err((at, TopicError(format!("{}: {}", one.topic.arn, one.why))))
            }
        }
    }
}

impl<F: FnMut(&Alert)> Publisher<'_, F> {
    /// Offers a topic once what it has not taken yet.
    async fn pass(&mut self, left: &mut Left<'_>, alerts: &[&Alert], waiting: &mut [usize]) {
        let client = match self.clients.get(&left.topic.region) {
            Some(client) => client.clone(),
            None => {
                let client = self.aws.sns(Some(&left.topic.region)).await;
                self.clients.insert(left.topic.region.clone(), client.clone());
                client
            }
        };
        let mut offered = std::mem::take(&mut left.alerts).into_iter().peekable();
        while offered.peek().is_some() {
            let (mut numbers, mut entries, mut bytes) = (Vec::new(), Vec::new(), 0);
            while let Some(&number) = offered.peek() {
                let Some(alert) = alerts.get(number) else { break };
                let (entry, size) = entry(left.topic.format, alert, number);
                if !entries.is_empty() && bytes + size > MOST_BYTES {
                    break;
                }
                bytes += size;
                offered.next();
                numbers.push(number);
                entries.extend(entry);
                if numbers.len() == MOST_ENTRIES {
                    break;
                }
            }
            let refused = self.call(&client, left, &numbers, entries).await;
            for number in numbers {
                if refused.contains(&number) {
                    left.alerts.push(number);
                } else if let (Some(count), Some(alert)) =
                    (waiting.get_mut(number), alerts.get(number))
                {
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        (self.accepted)(alert);
                    }
                }
            }
        }
    }

    /// One PublishBatch. Returns what was not taken, as far as one can know.
    async fn call(
        &self,
        client: &aws_sdk_sns::Client,
        left: &mut Left<'_>,
        numbers: &[usize],
        entries: Vec<PublishBatchRequestEntry>,
    ) -> Vec<usize> {
        let until = self.deadline.min(Instant::now() + LONGEST_CALL);
        let batch = client.publish_batch().topic_arn(&left.topic.arn);
        // On the heap: the SDK's futures are large.
        let sending = Box::pin(batch.set_publish_batch_request_entries(Some(entries)).send());
        let until = tokio::time::Instant::from_std(until);
        let answer = match tokio::time::timeout_at(until, sending).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                left.why = super::why(&error);
                return numbers.to_vec();
            }
            Err(_) => {
                "the topic did not answer in time".clone_into(&mut left.why);
                return numbers.to_vec();
            }
        };
        for failed in answer.failed() {
            left.why = format!("{} {}", failed.code(), failed.message().unwrap_or_default());
        }
        // Only what the answer names as taken is taken.
        let taken: Vec<&str> = answer.successful().iter().filter_map(|it| it.id()).collect();
        let is_taken = |number: &&usize| taken.contains(&number.to_string().as_str());
        numbers.iter().filter(|number| !is_taken(number)).copied().collect()
    }
}

/// The entry for an alert, with its size as SNS counts it.
fn entry(
    format: TopicFormat,
    alert: &Alert,
    number: usize,
) -> (Option<PublishBatchRequestEntry>, usize) {
    let subject = text::subject(alert);
    let attributes = attributes(alert);
    let beside: usize = subject.len()
        + attributes
            .iter()
            .map(|(name, kind, value)| name.len() + kind.len() + value.len())
            .sum::<usize>();
    let mut body = deliverable(format.render(alert));
    if body.len() + beside > MOST_BYTES {
        let short = shorten(alert, MOST_BYTES - beside, |alert| format.render(alert).len());
        body = deliverable(format.render(&short));
    }
    let size = body.len() + beside;
    let attributes = attributes.into_iter().filter_map(|(name, kind, value)| {
        let value =
            MessageAttributeValue::builder().data_type(kind).string_value(value).build().ok()?;
        Some((name.to_owned(), value))
    });
    let entry = PublishBatchRequestEntry::builder()
        .id(number.to_string())
        .subject(subject)
        .message(body)
        .set_message_attributes(Some(attributes.collect()))
        .build();
    (entry.ok(), size)
}

/// The text without the two characters that SQS refuses and that may stand in any of our formats;
/// the control characters that it refuses as well are escaped in all of them. SNS would take them,
/// and drop the message on its way to a queue.
fn deliverable(body: String) -> String {
    const REFUSED: [char; 2] = ['\u{FFFE}', '\u{FFFF}'];
    if body.contains(REFUSED) { body.replace(REFUSED, "\u{FFFD}") } else { body }
}

/// What subscribers filter by, without what is empty.
fn attributes(alert: &Alert) -> Vec<(&'static str, &'static str, String)> {
    let rules: Vec<&str> = alert.findings.iter().map(|finding| &*finding.rule).collect();
    let role = alert.role.as_ref();
    let account = role.and_then(|role| role.account.clone()).unwrap_or_default();
    let name = role.map(|role| role.name.clone()).unwrap_or_default();
    let all = [
        ("severity", "String", alert.severity.as_str().to_owned()),
        ("rules", "String.Array", json!(rules).to_string()),
        ("role_account", "String", account),
        ("role_name", "String", name),
        ("schema", "String", SCHEMA.to_owned()),
    ];
    all.into_iter().filter(|(_, _, value)| !value.is_empty()).collect()
}

/// Between half of `wait` and all of it, so that environments that were throttled together do
/// not come back together.
fn jittered(wait: Duration) -> Duration {
    let random = RandomState::new().hash_one(());
    wait / 2 + wait.mul_f64((random % 1_000) as f64 / 2_000.0)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::alert::Message;
    use crate::finding::{Finding, Ground};

    fn alert(evidence: &Value) -> Alert {
        let record = json!({
            "eventSource": "sts.amazonaws.com", "eventName": "AssumeRoot", "eventID": "e",
            "eventTime": "2026-03-04T05:06:07Z", "recipientAccountId": "111122223333",
            "userAgent": "not\u{ffff}delivered",
            "userIdentity": {"type": "IAMUser", "accountId": "111122223333", "userName": "alice"},
        });
        let event = crate::cloudtrail::read(&record).unwrap().expect("a record of ours");
        let finding = Finding {
            rule: "root_session".into(),
            severity: crate::severity::Severity::High,
            phrase: "".into(),
            summary: "what is found".into(),
            evidence: serde_json::Map::from_iter([("policy".to_owned(), evidence.clone())]),
            ground: Ground::Fact,
        };
        Alert::new(&event, vec![finding], None, Message::first()).unwrap()
    }

    #[test]
    fn an_entry_is_within_the_limit_and_says_what_was_left_out() {
        let large = alert(&json!("x".repeat(400_000)));
        for format in TopicFormat::ALL {
            let (entry, size) = entry(format, &large, 7);
            let entry = entry.unwrap();
            assert!(size <= MOST_BYTES, "{format:?}: {size}");
            let mut told = entry.subject().unwrap().len() + entry.message().len();
            for (name, value) in entry.message_attributes().unwrap() {
                told += name.len() + value.data_type().len() + value.string_value().unwrap().len();
            }
            assert_eq!(size, told, "{format:?}");
            let is_noted = entry.message().contains("left out: 400002 bytes");
            // What is written for people shows no evidence.
            let is_for_machines = matches!(format, TopicFormat::Native | TopicFormat::Ocsf);
            assert_eq!(is_noted, is_for_machines, "{format:?}");
            assert!(entry.message().contains("root_session"), "{format:?}");
            assert!(!entry.message().contains('\u{ffff}'), "{format:?}");
        }
    }

    #[test]
    fn environments_that_were_throttled_together_come_back_apart() {
        let wait = Duration::from_secs(4);
        let waits: Vec<Duration> = (0..50).map(|_| jittered(wait)).collect();
        assert!(waits.iter().all(|it| (wait / 2..=wait).contains(it)));
        assert!(waits.iter().any(|it| *it != waits[0]));
    }
}
