//! The shared table on DynamoDB.
//!
//! An item has a partition key `key`, its version `v`, what it says as `b` (see
//! [`crate::store::codec`]), and `expires`, the second from which on DynamoDB may delete it. It
//! may do so days later, so expiry is checked on reading too.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemOutput;
use aws_sdk_dynamodb::operation::batch_get_item::builders::BatchGetItemFluentBuilder;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConsumedCapacity, KeysAndAttributes, ReturnConsumedCapacity,
};
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::Aws;
use crate::store::{Item, Key, Page, Table, Write, Written, codec};

/// Most keys of one read: `BatchGetItem` takes 100.
const MOST_KEYS: usize = 100;

/// Reads under way at once, of which each may bring 16 MB.
const PAGES_AT_ONCE: usize = 4;

/// Writes under way at once. One takes some five milliseconds.
const AT_ONCE: usize = 32;

/// How long one call may take, so that a connection that died in its sleep costs no more.
const LONGEST_CALL: Duration = Duration::from_secs(5);

/// Bytes from which on an answer may be incomplete for want of room: 1 MB of one partition, with
/// what names and keys take.
const FULL: usize = 900 << 10;

/// How long to wait before the first further attempt, and at most.
const FIRST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Why the table could not be asked.
#[derive(Debug)]
pub struct TableError(String);

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TableError {}

/// What reading and writing has cost, in the units that AWS counts.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Units {
    /// Read units: 4 KB read consistently, or 8 KB that may be out of date.
    pub read: f64,
    /// Write units: 1 KB.
    pub written: f64,
}

/// A table of DynamoDB.
#[derive(Debug)]
pub struct DynamoTable {
    name: Arc<str>,
    client: Option<Client>,
    aws: Arc<Aws>,
    deadline: Instant,
    units: Units,
}

impl DynamoTable {
    /// The table of this name. Nothing is connected before it is first asked.
    #[must_use]
    pub fn named(name: &str, aws: Arc<Aws>) -> Self {
        let deadline = Instant::now();
        Self { name: name.into(), client: None, aws, deadline, units: Units::default() }
    }

    /// Gives up what is not answered by then.
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// What was used since this was last asked.
    pub fn take_units(&mut self) -> Units {
        std::mem::take(&mut self.units)
    }

    async fn client(&mut self) -> Client {
        match &self.client {
            Some(client) => client.clone(),
            None => {
                let client = self.aws.dynamodb().await;
                self.client.insert(client).clone()
            }
        }
    }

    /// All that is known of roles: what is normal for them, and their trust policies, page by page.
    ///
    /// # Errors
    /// The table cannot be read, or an item of it.
    pub async fn scan(&mut self, mut each: impl FnMut(Item)) -> Result<(), TableError> {
        let client = self.client().await;
        let mut from = None;
        loop {
            let request = client
                .scan()
                .table_name(&*self.name)
                .filter_expression("begins_with(#k, :r) OR begins_with(#k, :t)")
                .expression_attribute_names("#k", "key")
                .expression_attribute_values(":r", AttributeValue::S(Key::ROLES.to_owned()))
                .expression_attribute_values(":t", AttributeValue::S(Key::TRUST.to_owned()))
                .set_exclusive_start_key(from);
            // However many pages there are, each has to come.
            let answer = tokio::time::timeout(LONGEST_CALL, Box::pin(request.send())).await;
            let page = answer.map_err(|_| self.late())?.map_err(|error| self.why(&error.into()))?;
            for item in page.items.unwrap_or_default() {
                let text = item.get("key").and_then(|key| key.as_s().ok());
                if let Some(key) = text.and_then(|text| Key::of_a_role(text)) {
                    each(self.item(key, &item)?);
                }
            }
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    /// One role's item, or another one, read consistently.
    ///
    /// # Errors
    /// The table cannot be read, or the item.
    pub async fn one(&mut self, key: &Key) -> Result<Option<Item>, TableError> {
        let page = self.get(std::slice::from_ref(key), true).await?;
        Ok(page.items.into_iter().next())
    }

    fn item(
        &self,
        key: Key,
        attributes: &HashMap<String, AttributeValue>,
    ) -> Result<Item, TableError> {
        let number = |name| attributes.get(name).and_then(|it: &AttributeValue| it.as_n().ok());
        let version = number("v").and_then(|version| version.parse().ok()).unwrap_or(0);
        let until = number("expires").and_then(|until| until.parse().ok());
        let until = until.and_then(|seconds| Timestamp::from_second(seconds).ok());
        let bytes = attributes.get("b").and_then(|bytes| bytes.as_b().ok());
        let bytes = bytes.map_or(&[][..], |bytes| bytes.as_ref());
        let body = match codec::decode(&key, bytes) {
            Ok(body) => Some(body),
            Err(codec::CodecError::Damaged(why)) => {
                // It is made anew from what is known: one bad item must not hold up a shard.
                tracing::error!(table = &*self.name, why, "a damaged item is replaced");
                None
            }
            Err(newer @ codec::CodecError::Newer(_)) => {
                return Err(TableError(format!("an item of table {}: {newer}", self.name)));
            }
        };
        Ok(Item { key, version, until, body })
    }

    /// The request for at most [`MOST_KEYS`] items.
    fn page(
        &self,
        client: &Client,
        keys: &[Key],
        consistent: bool,
    ) -> Result<BatchGetItemFluentBuilder, TableError> {
        let mut wanted = KeysAndAttributes::builder().consistent_read(consistent);
        for key in keys {
            wanted = wanted.keys(HashMap::from([key_of(key)]));
        }
        let wanted = wanted.build().map_err(|error| TableError(error.to_string()))?;
        let request = client.batch_get_item().request_items(&*self.name, wanted);
        Ok(request.return_consumed_capacity(ReturnConsumedCapacity::Total))
    }

    fn answered(&mut self, keys: &[Key], answer: BatchGetItemOutput) -> Result<Page, TableError> {
        self.count(answer.consumed_capacity(), false);
        let by_text: HashMap<String, &Key> = keys.iter().map(|key| (key.to_text(), key)).collect();
        let known = |item: &HashMap<String, AttributeValue>| {
            let text = item.get("key")?.as_s().ok()?;
            by_text.get(text).map(|key| (*key).clone())
        };
        let mut page = Page::default();
        let mut size = 0;
        for item in answer.responses.iter().flat_map(HashMap::values).flatten() {
            size += item.get("b").and_then(|it| it.as_b().ok()).map_or(0, |it| it.as_ref().len());
            if let Some(key) = known(item) {
                page.items.push(self.item(key, item)?);
            }
        }
        let left = answer.unprocessed_keys.unwrap_or_default();
        let left = left.into_values().flat_map(|it| it.keys);
        page.unprocessed = left.filter_map(|key| known(&key)).collect();
        page.is_full = size >= FULL;
        Ok(page)
    }

    fn count(&mut self, capacity: &[ConsumedCapacity], is_write: bool) {
        let units: f64 = capacity.iter().filter_map(|it| it.capacity_units).sum();
        let counted = if is_write { &mut self.units.written } else { &mut self.units.read };
        *counted += units;
    }

    /// What is wrong, and what to do about it where somebody has to do something.
    fn why(&self, error: &aws_sdk_dynamodb::Error) -> TableError {
        let name = &self.name;
        let hint = match error.code() {
            Some("ResourceNotFoundException") => {
                format!("there is no table {name}: create it, or correct ROLEWATCH_TABLE; ")
            }
            Some("AccessDeniedException" | "AccessDenied") => format!(
                "the function's role may not use table {name}: it needs dynamodb:BatchGetItem and \
                 dynamodb:PutItem on it; "
            ),
            Some("ValidationException")
                if error.message().is_some_and(|it| it.contains("size")) =>
            {
                format!("an item has no room in table {name}, which is a bug of rolewatch; ")
            }
            Some("ValidationException") => {
                format!("table {name} has another form: its partition key is `key`, a string; ")
            }
            _ => String::new(),
        };
        TableError(format!("{hint}{}", DisplayErrorContext(error)))
    }

    fn late(&self) -> TableError {
        TableError(format!("table {} did not answer in time", self.name))
    }
}

/// When a call that begins now is given up.
fn until(deadline: Instant) -> tokio::time::Instant {
    deadline.min(Instant::now() + LONGEST_CALL).into()
}

fn is_throttled(code: Option<&str>) -> bool {
    matches!(
        code,
        Some(
            "ProvisionedThroughputExceededException"
                | "ThrottlingException"
                | "RequestLimitExceeded"
                | "TransactionConflictException"
        )
    )
}

fn key_of(key: &Key) -> (String, AttributeValue) {
    ("key".to_owned(), AttributeValue::S(key.to_text()))
}

impl Table for DynamoTable {
    type Error = TableError;

    async fn get(&mut self, keys: &[Key], consistent: bool) -> Result<Page, TableError> {
        let client = self.client().await;
        let (room, deadline) = (Arc::new(Semaphore::new(PAGES_AT_ONCE)), self.deadline);
        let mut running = JoinSet::new();
        for page in keys.chunks(MOST_KEYS) {
            let request = self.page(&client, page, consistent)?;
            let (room, keys) = (Arc::clone(&room), page.to_vec());
            running.spawn(async move {
                // Nobody closes it.
                let _held = room.acquire().await;
                (keys, tokio::time::timeout_at(until(deadline), request.send()).await)
            });
        }
        let mut all = Page { is_full: true, ..Page::default() };
        let mut answered = 0;
        while let Some(done) = running.join_next().await {
            let Ok((keys, answer)) = done else { return Err(self.late()) };
            answered += usize::from(answer.is_ok());
            let page = match answer {
                // It is asked for again, as long as others came.
                Err(_) => Page { unprocessed: keys, ..Page::default() },
                Ok(Err(error)) if is_throttled(error.code()) => {
                    Page { unprocessed: keys, ..Page::default() }
                }
                Ok(Err(error)) => return Err(self.why(&error.into())),
                Ok(Ok(answer)) => self.answered(&keys, answer)?,
            };
            all.is_full &= page.is_full || page.unprocessed.is_empty();
            all.items.extend(page.items);
            all.unprocessed.extend(page.unprocessed);
        }
        if answered == 0 && !all.unprocessed.is_empty() { Err(self.late()) } else { Ok(all) }
    }

    async fn put(&mut self, writes: &[Write]) -> Vec<Result<Written, TableError>> {
        let client = self.client().await;
        let (room, deadline) = (Arc::new(Semaphore::new(AT_ONCE)), self.deadline);
        let mut running = JoinSet::new();
        for (at, write) in writes.iter().enumerate() {
            let request = request(&client, &self.name, write);
            let room = Arc::clone(&room);
            running.spawn(async move {
                // Nobody closes it.
                let _held = room.acquire().await;
                (at, tokio::time::timeout_at(until(deadline), request.send()).await)
            });
        }
        let mut outcomes: Vec<_> = writes.iter().map(|_| Err(self.late())).collect();
        while let Some(done) = running.join_next().await {
            let Ok((at, answer)) = done else { continue };
            let outcome = match answer {
                Err(_) => Err(self.late()),
                Ok(Ok(answer)) => {
                    self.count(answer.consumed_capacity.as_slice(), true);
                    Ok(Written::Done)
                }
                Ok(Err(error)) if is_throttled(error.code()) => Ok(Written::Throttled),
                Ok(Err(error)) => match error.code() {
                    Some("ConditionalCheckFailedException") => Ok(Written::Conflict),
                    _ => Err(self.why(&error.into())),
                },
            };
            if let Some(place) = outcomes.get_mut(at) {
                *place = outcome;
            }
        }
        outcomes
    }

    async fn pause(&mut self, attempt: u32) -> Result<(), TableError> {
        let wait = FIRST_WAIT.saturating_mul(1 << attempt.min(10)).min(LONGEST_WAIT);
        // Environments that were throttled together must not come back together.
        let wait = super::sns::jittered(wait);
        if Instant::now() + wait >= self.deadline {
            return Err(self.late());
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

/// The request that writes an item on its condition.
fn request(client: &Client, table: &str, write: &Write) -> PutItemFluentBuilder {
    let (name, key) = key_of(&write.key);
    let version = AttributeValue::N(write.version.to_string());
    let request = client
        .put_item()
        .table_name(table)
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .item(name, key)
        .item("v", version)
        .item("b", AttributeValue::B(Blob::new(codec::encode(&write.body))))
        .expression_attribute_names("#v", "v");
    let request = match write.until {
        Some(until) => request.item("expires", AttributeValue::N(until.as_second().to_string())),
        None => request,
    };
    if write.expected == 0 {
        return request.condition_expression("attribute_not_exists(#v)");
    }
    let expected = AttributeValue::N(write.expected.to_string());
    request.condition_expression("#v = :v").expression_attribute_values(":v", expected)
}
