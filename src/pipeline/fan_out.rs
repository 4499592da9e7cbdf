//! Several topics, each offered a few alerts at a time, until the time is over.
//!
//! The topics are served in turn, a call each, for only what all of them have taken is accepted:
//! so the accepted alerts grow from the front, however slow one of the topics is. What a topic
//! refuses is offered again after a pause that grows, while the others go on.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::Topics;
use crate::alert::Alert;
use crate::id::hex;

/// How long a topic rests after it has left something over, and at most.
const FIRST_REST: Duration = Duration::from_millis(100);
const LONGEST_REST: Duration = Duration::from_secs(5);

/// The way to several topics.
#[expect(async_fn_in_trait, reason = "one task drives the transaction, so nothing has to be Send")]
pub trait Post {
    /// Offers a topic the alerts at `numbers`, from the first on so many as one call takes.
    async fn offer(&mut self, topic: usize, numbers: &[usize], alerts: &[&Alert]) -> Offered;

    /// What is left of the time, and no call begins where nothing is.
    fn left(&self) -> Duration;

    /// Waits.
    async fn pause(&mut self, wait: Duration);

    /// About `wait`, so that those who were refused together do not come back together.
    fn about(&self, wait: Duration) -> Duration {
        wait
    }

    /// What people call a topic.
    fn name(&self, topic: usize) -> String;

    /// Is told of an alert when the last topic has taken it.
    fn accepted(&mut self, alert: &Alert);
}

/// What came of one call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offered {
    /// How many alerts the call was about.
    pub count: usize,
    /// The numbers of those that were not taken, as far as one can know.
    pub refused: Vec<usize>,
    /// Why they were not.
    pub why: String,
}

/// Why an alert was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotTaken {
    /// The topic that has not taken it.
    pub topic: String,
    /// Why, in its words.
    pub why: String,
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.topic, self.why)
    }
}

/// What was taken lately, and by which receivers. A record may raise more alerts than one
/// invocation can send: when it comes again they go on where they stopped. What is forgotten,
/// for want of room or with the environment, is sent again under the same id.
#[derive(Debug)]
pub struct Taken {
    most: usize,
    by: BTreeMap<String, u128>,
    order: VecDeque<String>,
}

impl Taken {
    /// Remembers so many at most.
    #[must_use]
    pub fn bounded(most: usize) -> Self {
        Self { most, by: BTreeMap::new(), order: VecDeque::new() }
    }

    /// Whether `receiver` has taken it.
    #[must_use]
    pub fn has(&self, what: &str, receiver: usize) -> bool {
        self.by.get(what).is_some_and(|by| by & bit(receiver) != 0)
    }

    /// Remembers that `receiver` has taken it.
    pub fn add(&mut self, what: &str, receiver: usize) {
        match self.by.get_mut(what) {
            Some(by) => *by |= bit(receiver),
            None => {
                self.by.insert(what.to_owned(), bit(receiver));
                self.order.push_back(what.to_owned());
            }
        }
        while self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.by.remove(&oldest);
        }
    }
}

/// Receivers beyond these are not told apart, and nothing is remembered of them.
fn bit(receiver: usize) -> u128 {
    u32::try_from(receiver).ok().and_then(|n| 1_u128.checked_shl(n)).unwrap_or(0)
}

/// What tells an alert from another, for whoever receives it: judged again over what others have
/// saved meanwhile it may say more, or know more of its chain.
fn told(alert: &Alert) -> String {
    let said = serde_json::to_string(&(&alert.findings, &alert.chain)).unwrap_or_default();
    let said = hex(&Sha256::digest(said));
    format!("{} {} {} {said}", alert.id, alert.revision, alert.severity.as_str())
}

/// The topics, for one batch. An alert is accepted when every topic has taken it.
#[derive(Debug)]
pub struct FanOut<'t, P> {
    /// How many topics there are.
    pub topics: usize,
    /// The way to them.
    pub post: P,
    /// What they took before.
    pub taken: &'t mut Taken,
}

/// One topic, and what it has not taken yet.
struct Queue {
    topic: usize,
    /// What is to be offered, in order.
    next: VecDeque<usize>,
    /// What was refused since the topic rested.
    again: Vec<usize>,
    why: String,
    rest: Duration,
    /// It rests until no more time than this is left.
    until: Duration,
}

impl Queue {
    fn first(&self) -> Option<usize> {
        self.again.iter().chain(&self.next).min().copied()
    }

    /// Offers all that is left from the front again, after a rest.
    fn rest(&mut self, left: Duration, rest: Duration) {
        let refused = std::mem::take(&mut self.again);
        refused.into_iter().rev().for_each(|number| self.next.push_front(number));
        self.until = left.saturating_sub(rest);
        self.rest = (self.rest * 2).min(LONGEST_REST);
    }
}

impl<P: Post> Topics for FanOut<'_, P> {
    type Error = NotTaken;

    async fn publish(&mut self, alerts: &[&Alert]) -> Result<(), (usize, NotTaken)> {
        let told: Vec<String> = alerts.iter().map(|alert| told(alert)).collect();
        let mut queues: Vec<Queue> =
            (0..self.topics).map(|topic| self.queue(topic, &told)).collect();
        let mut waiting = vec![0_usize; alerts.len()];
        for &number in queues.iter().flat_map(|queue| &queue.next) {
            waiting.get_mut(number).into_iter().for_each(|count| *count += 1);
        }
        loop {
            let mut is_idle = true;
            queues.retain(|queue| queue.first().is_some());
            for queue in &mut queues {
                let left = self.post.left();
                if left.is_zero() || left > queue.until {
                    continue;
                }
                is_idle = false;
                for number in self.offer(queue, alerts).await {
                    let Some(words) = told.get(number) else { continue };
                    self.taken.add(words, queue.topic);
                    let (Some(count), Some(alert)) = (waiting.get_mut(number), alerts.get(number))
                    else {
                        continue;
                    };
                    *count = count.saturating_sub(1);
                    if *count == 0 {
                        self.post.accepted(alert);
                    }
                }
            }
            // All that are left rest; one that would rest beyond the end is not tried again.
            if is_idle {
                let soonest = queues.iter().map(|queue| queue.until).max().unwrap_or_default();
                let left = self.post.left();
                if queues.is_empty() || left.is_zero() || soonest.is_zero() {
                    break;
                }
                self.post.pause(left.saturating_sub(soonest)).await;
            }
        }
        let first = queues.iter().filter_map(|queue| Some((queue.first()?, queue)));
        let Some((at, queue)) = first.min_by_key(|(at, _)| *at) else { return Ok(()) };
        let why = match queue.why.as_str() {
            "" => "no time was left for it",
            why => why,
        };
        Err((at, NotTaken { topic: self.post.name(queue.topic), why: why.to_owned() }))
    }
}

impl<P: Post> FanOut<'_, P> {
    fn queue(&self, topic: usize, told: &[String]) -> Queue {
        let next = told.iter().enumerate().filter(|(_, words)| !self.taken.has(words, topic));
        Queue {
            topic,
            next: next.map(|(number, _)| number).collect(),
            again: Vec::new(),
            why: String::new(),
            rest: FIRST_REST,
            until: Duration::MAX,
        }
    }

    /// One call. Returns what was taken.
    async fn offer(&mut self, queue: &mut Queue, alerts: &[&Alert]) -> Vec<usize> {
        let numbers = queue.next.make_contiguous();
        let Offered { count, refused, why } = self.post.offer(queue.topic, numbers, alerts).await;
        // A call about nothing would be made for ever.
        let offered: Vec<usize> = queue.next.drain(..count.clamp(1, queue.next.len())).collect();
        let (refused, taken): (Vec<usize>, Vec<usize>) =
            offered.into_iter().partition(|number| count == 0 || refused.contains(number));
        match (refused.is_empty(), taken.is_empty()) {
            (true, _) => queue.rest = FIRST_REST,
            (false, _) => queue.why = why,
        }
        queue.again.extend(refused);
        // Where nothing is taken, what stands behind it would not be either.
        if taken.is_empty() || (queue.next.is_empty() && !queue.again.is_empty()) {
            let rest = self.post.about(queue.rest);
            queue.rest(self.post.left(), rest);
        }
        taken
    }
}
