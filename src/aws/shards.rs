//! All shards of a Kinesis stream, read side by side and each in its order.
//!
//! A shard that was split or merged ends, and others go on in its place. They are read once all
//! of their parents are, so that what was put first is read first.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::ProvideErrorMetadata;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::{Shard, ShardIteratorType};
use jiff::Timestamp;

/// Kinesis answers five times a second for each shard; others read it too.
pub const PAUSE: Duration = Duration::from_millis(250);

/// Where reading begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the oldest record that the stream still holds.
    Oldest,
    /// With what is put from now on.
    Latest,
}

/// Why a stream could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ReadError(String);

/// One round over all shards.
#[derive(Debug, Default)]
pub struct Polled {
    /// The records, those of a shard in the order in which they were put.
    pub records: Vec<Put>,
    /// Whether some shard holds more that could be read at once.
    pub is_behind: bool,
    /// Why a shard, or what follows those that ended, cannot be read any more. The records above
    /// were read, and nothing would bring them again.
    pub failed: Option<ReadError>,
}

/// A record that somebody put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Put {
    /// The shard it is in.
    pub shard: String,
    /// Its place there.
    pub sequence_number: String,
    /// When the stream took it.
    pub time: Timestamp,
    /// The record itself.
    pub data: Vec<u8>,
}

/// A reading of a stream.
#[derive(Debug)]
pub struct Shards {
    client: Client,
    stream: String,
    plan: Plan,
    open: Vec<Reading>,
}

/// A shard that is being read.
#[derive(Debug)]
struct Reading {
    id: String,
    position: Position,
    iterator: Option<String>,
}

/// Where in a shard reading goes on.
#[derive(Debug, Clone, PartialEq)]
enum Position {
    Oldest,
    Latest,
    After(String),
    /// Nothing was there when it was read at this time.
    At(SystemTime),
}

impl Shards {
    /// Finds the shards of a stream.
    ///
    /// # Errors
    /// There is no such stream, or it cannot be asked.
    pub async fn open(client: Client, stream: &str, start: Start) -> Result<Self, ReadError> {
        let stream = stream.to_owned();
        let mut shards = Self { client, stream, plan: Plan::default(), open: Vec::new() };
        let listed = shards.list().await?;
        match start {
            Start::Oldest => shards.plan.extend(&listed),
            Start::Latest => {
                let (closed, open): (Vec<Shard>, Vec<Shard>) =
                    listed.into_iter().partition(has_ended);
                closed.iter().for_each(|shard| shards.plan.skip(shard.shard_id()));
                shards.plan.extend(&open);
            }
        }
        let first = match start {
            Start::Oldest => Position::Oldest,
            Start::Latest => Position::Latest,
        };
        shards.begin(&first);
        // From here on what is put is read, and not only from the first round on.
        for at in 0..shards.open.len() {
            shards.iterator(at).await?;
        }
        Ok(shards)
    }

    /// How many shards are read at present.
    #[must_use]
    pub fn count(&self) -> usize {
        self.open.len()
    }

    /// Reads each shard once. One that fails, though the SDK asked again, keeps nothing from the
    /// others.
    pub async fn poll(&mut self) -> Polled {
        let mut polled = Polled::default();
        let mut ended = BTreeSet::new();
        for at in 0..self.open.len() {
            if let Err(error) = self.poll_one(at, &mut polled, &mut ended).await {
                polled.failed.get_or_insert(error);
            }
        }
        if !ended.is_empty() {
            self.open.retain(|shard| !ended.contains(&shard.id));
            ended.iter().for_each(|id| self.plan.finish(id));
            match self.list().await {
                Ok(listed) => self.plan.extend(&listed),
                Err(error) => drop(polled.failed.get_or_insert(error)),
            }
            self.begin(&Position::Oldest);
            polled.is_behind = true;
        }
        polled
    }

    fn begin(&mut self, position: &Position) {
        let ready = self.plan.begin_ready().into_iter();
        self.open.extend(ready.map(|id| Reading {
            id,
            position: position.clone(),
            iterator: None,
        }));
    }

    async fn poll_one(
        &mut self,
        at: usize,
        polled: &mut Polled,
        ended: &mut BTreeSet<String>,
    ) -> Result<(), ReadError> {
        let asked = now();
        let iterator = self.iterator(at).await?;
        let answer = self.client.get_records().shard_iterator(iterator).send().await;
        let Some(shard) = self.open.get_mut(at) else { return Ok(()) };
        let answer = match answer.map_err(aws_sdk_kinesis::error::SdkError::into_service_error) {
            Ok(answer) => answer,
            Err(error) if error.is_expired_iterator_exception() => {
                shard.iterator = None;
                polled.is_behind = true;
                return Ok(());
            }
            // Others read the shard as well: the next round may have more luck.
            Err(error) if error.is_provisioned_throughput_exceeded_exception() => {
                polled.is_behind = true;
                return Ok(());
            }
            // A shard that ended is forgotten once its records are too old. Where it is the stream
            // that is gone, listing what follows fails.
            Err(error) if error.is_resource_not_found_exception() => {
                ended.insert(shard.id.clone());
                return Ok(());
            }
            Err(error) => return Err(failed(&error)),
        };
        shard.position = match (answer.records().last(), &shard.position) {
            (Some(last), _) => Position::After(last.sequence_number().to_owned()),
            (None, Position::Latest | Position::At(_)) => Position::At(asked),
            (None, position) => position.clone(),
        };
        polled.is_behind |= answer.millis_behind_latest().unwrap_or(0) > 0;
        polled.records.extend(answer.records.into_iter().map(|it| Put {
            shard: shard.id.clone(),
            time: it.approximate_arrival_timestamp.map_or(Timestamp::MAX, arrival),
            sequence_number: it.sequence_number,
            data: it.data.into_inner(),
        }));
        shard.iterator = answer.next_shard_iterator;
        if shard.iterator.is_none() {
            ended.insert(shard.id.clone());
        }
        Ok(())
    }

    async fn iterator(&mut self, at: usize) -> Result<String, ReadError> {
        let Some(shard) = self.open.get(at) else {
            return Err(ReadError("a shard was lost".to_owned()));
        };
        if let Some(iterator) = &shard.iterator {
            return Ok(iterator.clone());
        }
        let request = self.client.get_shard_iterator().stream_name(&self.stream);
        let request = request.shard_id(&shard.id);
        let request = match &shard.position {
            Position::Oldest => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
            Position::Latest => request.shard_iterator_type(ShardIteratorType::Latest),
            Position::After(number) => request
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .starting_sequence_number(number),
            Position::At(time) => request
                .shard_iterator_type(ShardIteratorType::AtTimestamp)
                .timestamp(DateTime::from(*time)),
        };
        let answer = request.send().await.map_err(|error| failed(&error))?;
        let iterator = answer.shard_iterator.unwrap_or_default();
        if let Some(shard) = self.open.get_mut(at) {
            shard.iterator = Some(iterator.clone());
        }
        Ok(iterator)
    }

    async fn list(&self) -> Result<Vec<Shard>, ReadError> {
        let mut shards = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let request = self.client.list_shards();
            // The name of the stream stands in the token.
            let request = match token.take() {
                None => request.stream_name(&self.stream),
                token => request.set_next_token(token),
            };
            let answer = request.send().await.map_err(|error| failed(&error))?;
            shards.extend(answer.shards.unwrap_or_default());
            token = answer.next_token;
            if token.is_none() {
                return Ok(shards);
            }
        }
    }
}

fn has_ended(shard: &Shard) -> bool {
    shard.sequence_number_range().is_some_and(|range| range.ending_sequence_number().is_some())
}

fn arrival(time: DateTime) -> Timestamp {
    let milliseconds = time.to_millis().unwrap_or(i64::MAX);
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::MAX)
}

fn failed(error: &(impl ProvideErrorMetadata + std::error::Error)) -> ReadError {
    ReadError(super::why(error))
}

#[expect(clippy::disallowed_methods, reason = "a place in a stream that was empty is a time")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// Which shard is read when.
#[derive(Debug, Default)]
struct Plan {
    /// Shards that wait for their parents, in the order in which they were listed.
    waiting: Vec<(String, Vec<String>)>,
    /// Shards that are read, or were.
    begun: BTreeSet<String>,
    /// Those of them that were.
    finished: BTreeSet<String>,
}

impl Plan {
    /// Takes in shards that it does not know yet.
    fn extend(&mut self, shards: &[Shard]) {
        for shard in shards {
            let parents = [shard.parent_shard_id(), shard.adjacent_parent_shard_id()];
            let parents = parents.into_iter().flatten().map(str::to_owned).collect();
            self.add(shard.shard_id(), parents);
        }
    }

    fn add(&mut self, id: &str, parents: Vec<String>) {
        let known = self.begun.contains(id) || self.waiting.iter().any(|(known, _)| known == id);
        if !known {
            self.waiting.push((id.to_owned(), parents));
        }
    }

    /// Never reads this one.
    fn skip(&mut self, id: &str) {
        self.begun.insert(id.to_owned());
        self.finished.insert(id.to_owned());
    }

    fn finish(&mut self, id: &str) {
        self.finished.insert(id.to_owned());
    }

    /// The shards whose turn it is: a parent that is not listed any more has expired.
    fn begin_ready(&mut self) -> Vec<String> {
        let waiting: BTreeSet<String> = self.waiting.iter().map(|(id, _)| id.clone()).collect();
        let is_unread = |id: &String| {
            waiting.contains(id) || (self.begun.contains(id) && !self.finished.contains(id))
        };
        let (later, ready): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|(_, parents)| parents.iter().any(is_unread));
        self.waiting = later;
        let ready: Vec<String> = ready.into_iter().map(|(id, _)| id).collect();
        self.begun.extend(ready.iter().cloned());
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(plan: &mut Plan, id: &str, parents: &[&str]) {
        plan.add(id, parents.iter().map(|&it| it.to_owned()).collect());
    }

    #[test]
    fn children_are_read_after_all_their_parents() {
        let mut plan = Plan::default();
        add(&mut plan, "merged", &["left", "right"]);
        add(&mut plan, "left", &["root"]);
        add(&mut plan, "right", &["root"]);
        add(&mut plan, "root", &["expired"]);
        assert_eq!(plan.begin_ready(), ["root"]);
        assert_eq!(plan.begin_ready(), [""; 0]);
        plan.finish("root");
        assert_eq!(plan.begin_ready(), ["left", "right"]);
        plan.finish("right");
        assert_eq!(plan.begin_ready(), [""; 0]);
        add(&mut plan, "left", &["root"]);
        plan.finish("left");
        assert_eq!(plan.begin_ready(), ["merged"]);
    }

    #[test]
    fn what_ended_before_the_start_is_not_read() {
        let mut plan = Plan::default();
        plan.skip("root");
        add(&mut plan, "root", &[]);
        add(&mut plan, "left", &["root"]);
        assert_eq!(plan.begin_ready(), ["left"]);
    }
}
