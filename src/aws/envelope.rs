//! Records as CloudWatch Logs puts them into a stream: gzip envelopes, each of one log stream.

use std::iter::Peekable;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::dead_letter::gzip;

/// Most bytes of messages in an envelope. Packed they are surely below the 1 MiB that Kinesis
/// takes, and a Lambda that unpacks some of them at once needs little memory.
const MESSAGES: usize = 768 << 10;

/// One message of a log stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The account that the log is of.
    pub owner: Arc<str>,
    /// The log stream it stands in.
    pub log_stream: Arc<str>,
    /// When it was written, in milliseconds since 1970.
    pub timestamp: i64,
    /// Its text: a CloudTrail record.
    pub text: String,
}

/// What becomes one record of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The log stream, which is the partition key: a log stream stays in its order.
    pub log_stream: Arc<str>,
    /// How many messages are in it.
    pub messages: u64,
    /// The envelope, packed.
    pub data: Vec<u8>,
}

/// Packs messages into envelopes. The order is kept: an envelope ends where the next message is
/// of another log stream, for a reader of the whole stream shall meet them in the order given.
pub fn pack(messages: impl Iterator<Item = Message>) -> impl Iterator<Item = Envelope> {
    let mut packing = Packing { messages: messages.peekable(), packed: 0 };
    std::iter::from_fn(move || packing.next_envelope())
}

struct Packing<I: Iterator<Item = Message>> {
    messages: Peekable<I>,
    packed: u64,
}

impl<I: Iterator<Item = Message>> Packing<I> {
    fn next_envelope(&mut self) -> Option<Envelope> {
        let first = self.messages.next()?;
        let (owner, log_stream) = (first.owner.clone(), first.log_stream.clone());
        let mut bytes = first.text.len();
        let mut events = vec![self.event(&first)];
        while let Some(next) = self.messages.next_if(|next| {
            next.log_stream == log_stream
                && next.owner == owner
                && bytes + next.text.len() <= MESSAGES
        }) {
            bytes += next.text.len();
            events.push(self.event(&next));
        }
        let messages = events.len() as u64;
        let envelope = json!({
            "messageType": "DATA_MESSAGE",
            "owner": *owner,
            "logGroup": "rolewatch-feed",
            "logStream": *log_stream,
            "subscriptionFilters": ["rolewatch-feed"],
            "logEvents": events,
        });
        Some(Envelope { log_stream, messages, data: gzip(envelope.to_string().as_bytes()) })
    }

    fn event(&mut self, message: &Message) -> Value {
        // CloudWatch Logs gives ids of 56 digits that grow with time.
        let id = format!("{:014}{:042}", message.timestamp.max(0), self.packed);
        self.packed += 1;
        json!({ "id": id, "timestamp": message.timestamp, "message": message.text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::{Limits, decode};

    fn message(log_stream: &str, timestamp: i64, text: &str) -> Message {
        Message {
            owner: "111122223333".into(),
            log_stream: log_stream.into(),
            timestamp,
            text: text.into(),
        }
    }

    fn record(n: usize) -> String {
        let padding = "x".repeat(100_000);
        format!(
            r#"{{"eventVersion":"1.1","eventSource":"sts.amazonaws.com","eventName":"AssumeRole","n":{n},"p":"{padding}"}}"#
        )
    }

    #[test]
    fn envelopes_keep_the_order_and_their_log_stream() {
        let messages = ["a", "a", "b", "a"].iter().enumerate();
        let messages = messages.map(|(n, log)| message(log, n as i64, &record(n)));
        let envelopes: Vec<Envelope> = pack(messages).collect();
        let shape: Vec<(&str, u64)> =
            envelopes.iter().map(|it| (&*it.log_stream, it.messages)).collect();
        assert_eq!(shape, [("a", 2), ("b", 1), ("a", 1)]);
        let numbers = envelopes.iter().flat_map(|it| {
            let decoded = decode(&it.data, Limits::default());
            assert_eq!(decoded.faults, []);
            decoded.records.into_iter().map(|(_, record)| record["n"].as_u64().unwrap())
        });
        assert_eq!(numbers.collect::<Vec<_>>(), [0, 1, 2, 3]);
    }

    #[test]
    fn an_envelope_is_bounded_and_a_large_message_is_alone() {
        let messages = (0..20).map(|n| message("a", 0, &record(n)));
        let sizes: Vec<u64> = pack(messages).map(|it| it.messages).collect();
        assert_eq!(sizes, [7, 7, 6]);
        let large = format!("{}{}", record(0), " ".repeat(MESSAGES));
        let messages = [record(1), large, record(2)].map(|text| message("a", 0, &text));
        let sizes: Vec<u64> = pack(messages.into_iter()).map(|it| it.messages).collect();
        assert_eq!(sizes, [1, 1, 1]);
        assert_eq!(pack(std::iter::empty()).count(), 0);
    }
}
