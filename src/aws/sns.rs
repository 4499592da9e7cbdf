//! Alerts to SNS: several topics, each with its format, and an alert is accepted when every
//! topic has taken it.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use aws_sdk_sns::types::{MessageAttributeValue, PublishBatchRequestEntry};
use serde_json::json;

use super::Aws;
use crate::alert::shorten::shorten;
use crate::alert::{Alert, SCHEMA, chat, ocsf, plain, text, to_line};
use crate::pipeline::{Offered, Post};
use crate::text::deliverable;

/// Most entries, and bytes of them together, of one PublishBatch.
const MOST_ENTRIES: usize = 10;
const MOST_BYTES: usize = 256 * 1024;

/// How long one call may take, so that a connection that died in its sleep costs no more.
const LONGEST_CALL: Duration = Duration::from_secs(5);

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

impl<F: FnMut(&Alert)> Post for Publisher<'_, F> {
    async fn offer(&mut self, topic: usize, numbers: &[usize], alerts: &[&Alert]) -> Offered {
        let Some(topic) = self.topics.get(topic) else {
            let why = "there is no such topic".to_owned();
            return Offered { count: numbers.len(), refused: numbers.to_vec(), why };
        };
        let client = self.client(&topic.region).await;
        let render = |alert: &Alert| topic.format.render(alert);
        let (mut entries, mut count, mut bytes) = (Vec::new(), 0, 0);
        for &number in numbers.iter().take(MOST_ENTRIES) {
            let Some(alert) = alerts.get(number) else { break };
            let (entry, size) = sure_entry(topic.format, &render, alert, number);
            if count > 0 && bytes + size > MOST_BYTES {
                break;
            }
            bytes += size;
            count += 1;
            entries.extend(entry);
        }
        let numbers = numbers.get(..count).unwrap_or(numbers);
        let (refused, why) = self.call(&client, &topic.arn, numbers, entries).await;
        Offered { count, refused, why }
    }

    fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    async fn pause(&mut self, wait: Duration) {
        tokio::time::sleep(wait).await;
    }

    fn about(&self, wait: Duration) -> Duration {
        jittered(wait)
    }

    fn name(&self, topic: usize) -> String {
        self.topics.get(topic).map(|topic| topic.arn.clone()).unwrap_or_default()
    }

    fn accepted(&mut self, alert: &Alert) {
        (self.accepted)(alert);
    }
}

impl<F> Publisher<'_, F> {
    async fn client(&mut self, region: &str) -> aws_sdk_sns::Client {
        match self.clients.get(region) {
            Some(client) => client.clone(),
            None => {
                let client = self.aws.sns(Some(region)).await;
                self.clients.insert(region.to_owned(), client.clone());
                client
            }
        }
    }

    /// One PublishBatch. Returns what was not taken, as far as one can know, and why.
    async fn call(
        &self,
        client: &aws_sdk_sns::Client,
        arn: &str,
        numbers: &[usize],
        entries: Vec<PublishBatchRequestEntry>,
    ) -> (Vec<usize>, String) {
        let until = self.deadline.min(Instant::now() + LONGEST_CALL);
        let batch = client.publish_batch().topic_arn(arn);
        // On the heap: the SDK's futures are large.
        let sending = Box::pin(batch.set_publish_batch_request_entries(Some(entries)).send());
        let until = tokio::time::Instant::from_std(until);
        let answer = match tokio::time::timeout_at(until, sending).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return (numbers.to_vec(), super::why(&error)),
            Err(_) => return (numbers.to_vec(), "the topic did not answer in time".to_owned()),
        };
        let why = answer
            .failed()
            .last()
            .map(|failed| format!("{} {}", failed.code(), failed.message().unwrap_or_default()));
        // Only what the answer names as taken is taken.
        let taken: Vec<&str> = answer.successful().iter().filter_map(|it| it.id()).collect();
        let is_taken = |number: &&usize| taken.contains(&number.to_string().as_str());
        let refused = numbers.iter().filter(|number| !is_taken(number)).copied().collect();
        (refused, why.unwrap_or_default())
    }
}

/// The entry for an alert, with its size as SNS counts it. Where a bug of rolewatch keeps it from
/// finding the words, the alert goes out in plain ones: the batch would come again for ever.
fn sure_entry(
    format: TopicFormat,
    render: &dyn Fn(&Alert) -> String,
    alert: &Alert,
    number: usize,
) -> (Option<PublishBatchRequestEntry>, usize) {
    let made = catch_unwind(AssertUnwindSafe(|| {
        let subject = text::subject(alert);
        entry(render, &subject, alert, number)
    }));
    made.unwrap_or_else(|_| {
        let plainly = |alert: &Alert| match format {
            TopicFormat::Native => plain::native(alert),
            TopicFormat::Text => plain::text(alert),
            TopicFormat::Chat => plain::chat(alert),
            TopicFormat::Ocsf => plain::ocsf(alert),
        };
        entry(&plainly, &plain::subject(alert), alert, number)
    })
}

fn entry(
    render: &dyn Fn(&Alert) -> String,
    subject: &str,
    alert: &Alert,
    number: usize,
) -> (Option<PublishBatchRequestEntry>, usize) {
    let attributes = attributes(alert);
    let beside: usize = subject.len()
        + attributes
            .iter()
            .map(|(name, kind, value)| name.len() + kind.len() + value.len())
            .sum::<usize>();
    let mut body = deliverable(render(alert));
    if body.len() + beside > MOST_BYTES {
        let short = shorten(alert, MOST_BYTES - beside, |alert| render(alert).len());
        body = deliverable(render(&short));
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

/// What subscribers filter by, without what is empty.
fn attributes(alert: &Alert) -> Vec<(&'static str, &'static str, String)> {
    let rules: Vec<&str> = alert.findings.iter().map(|finding| &*finding.rule).collect();
    let role = alert.role.as_ref();
    let account = role.and_then(|role| role.account.clone()).unwrap_or_default();
    // SNS refuses a message for one character of an attribute, and IAM has no such name.
    let is_name = |name: &String| name.bytes().all(|b| b.is_ascii_graphic());
    let name = role.map(|role| role.name.clone()).filter(is_name).unwrap_or_default();
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
pub(super) fn jittered(wait: Duration) -> Duration {
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
            let render = |alert: &Alert| format.render(alert);
            let (entry, size) = sure_entry(format, &render, &large, 7);
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

    /// A bug in a format costs its words and not the alert, nor the batch that it stands in.
    #[test]
    fn an_alert_that_cannot_be_rendered_goes_out_in_plain_words() {
        let alert = alert(&json!({}));
        let bug = |_: &Alert| -> String { panic!("a bug") };
        for format in TopicFormat::ALL {
            let (entry, size) = sure_entry(format, &bug, &alert, 7);
            let entry = entry.unwrap();
            let message = entry.message();
            assert!(size <= MOST_BYTES && message.contains(&alert.id), "{message}");
            assert!(message.contains("root_session"), "{message}");
            let attributes = entry.message_attributes().unwrap();
            assert_eq!(attributes["severity"].string_value(), Some("high"));
            let subject = entry.subject().unwrap();
            assert!(subject.len() < 100 && subject.starts_with("[high] "), "{subject}");
            let json = serde_json::from_str::<Value>(message);
            match format {
                TopicFormat::Native => assert_eq!(json.unwrap()["schema"], SCHEMA),
                TopicFormat::Chat => assert_eq!(json.unwrap()["source"], "custom"),
                TopicFormat::Ocsf => assert_eq!(json.unwrap()["class_uid"], 2004),
                TopicFormat::Text => assert!(json.is_err()),
            }
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
