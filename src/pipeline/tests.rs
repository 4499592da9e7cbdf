use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::cloudtrail;
use crate::dead_letter::Kind;
use crate::memory::WorkingSet;

/// Takes everything, and notes what it took.
#[derive(Default)]
struct All {
    alerts: Vec<String>,
    buried: Vec<(usize, Vec<Lost>)>,
    full: bool,
}

impl Topics for All {
    type Error = &'static str;

    async fn publish(&mut self, alerts: &[&Alert]) -> Result<(), (usize, &'static str)> {
        self.alerts.extend(alerts.iter().map(|alert| alert.id.clone()));
        Ok(())
    }
}

impl DeadLetters for All {
    type Error = &'static str;

    async fn bury(&mut self, unit: usize, lost: &[Lost], _: u64) -> Result<(), &'static str> {
        if self.full {
            return Err("the queue is away");
        }
        self.buried.push((unit, lost.to_vec()));
        Ok(())
    }
}

fn event(n: u32) -> Event {
    let record: Value = json!({
        "eventSource": "sts.amazonaws.com",
        "eventName": "AssumeRoot",
        "eventTime": format!("2026-03-04T05:{:02}:00Z", n),
        "eventID": format!("event-{n}"),
        "recipientAccountId": "111122223333",
        "sourceIPAddress": "203.0.113.77",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": format!("AIDAEXAMPLE{n}"),
            "arn": format!("arn:aws:iam::111122223333:user/user{n}"),
            "accountId": "111122223333",
            "userName": format!("user{n}"),
        },
        "requestParameters": {"targetPrincipal": "444455556666"},
    });
    cloudtrail::read(&record).unwrap().expect("a record of ours")
}

fn run(events: &[Event], lost: &[Lost], taken: &mut All) -> (Report, WorkingSet, Option<usize>) {
    let (mut memory, mut report) = (WorkingSet::default(), Report::default());
    let units: Vec<Unit<'_>> = events
        .iter()
        .enumerate()
        .map(|(at, event)| Unit {
            events: std::slice::from_ref(event),
            numbers: &[7],
            other: 1,
            lost: if at == 1 { lost } else { &[] },
            more_lost: 0,
        })
        .collect();
    let mut letters = All { full: taken.full, ..All::default() };
    let ports = Ports { topics: taken, letters: &mut letters, baselines: &mut MemoryAlone };
    let config = Config::default();
    // The second event meets a bug.
    let decide = |state: &mut State<'_>, event: &Event| {
        let verdict = advance(state, &config, event, &|_| Mode::Watch);
        assert!(event.call().principal.name.as_ref().unwrap().as_str() != "user1", "a bug");
        verdict
    };
    let result = drive(transact_by(decide, &mut memory, &units, ports, &mut report));
    taken.buried = letters.buried;
    (report, memory, result.err().map(|failure| failure.unit))
}

#[test]
fn a_panic_costs_its_own_record_and_is_buried_as_a_bug() {
    let events: Vec<Event> = (0..3).map(event).collect();
    let undecodable = Lost { record: Some(2), kind: Kind::Undecodable, reason: "bent".into() };
    let mut taken = All::default();
    let (report, memory, failed) = run(&events, std::slice::from_ref(&undecodable), &mut taken);
    assert_eq!(failed, None);
    assert_eq!(taken.alerts.len(), 2, "the neighbours alert");
    let [(1, lost)] = &taken.buried[..] else { panic!("{:?}", taken.buried) };
    assert_eq!(lost[0], undecodable);
    assert_eq!((lost[1].record, lost[1].kind), (Some(7), Kind::Bug));
    assert_eq!((report.undecodable, report.other, report.records()), (2, 3, 7));
    assert!(!memory.has_seen(&events[1].call().key), "it can be judged once the bug is gone");
    assert!(memory.has_seen(&events[2].call().key));
}

#[test]
fn a_queue_that_is_away_stops_the_batch_at_the_record() {
    let events: Vec<Event> = (0..3).map(event).collect();
    let mut taken = All { full: true, ..All::default() };
    let (report, memory, failed) = run(&events, &[], &mut taken);
    assert_eq!(failed, Some(1));
    assert!(memory.has_seen(&events[0].call().key));
    assert!(!memory.has_seen(&events[2].call().key), "it comes again");
    assert_eq!((report.undecodable, report.records()), (0, 2), "only what is done is counted");
}

/// A clock for topics and queue, which give up when it has run to its end.
struct Clock<'c> {
    time: &'c Cell<u32>,
    end: u32,
    done: BTreeSet<String>,
}

impl Topics for Clock<'_> {
    type Error = &'static str;

    async fn publish(&mut self, alerts: &[&Alert]) -> Result<(), (usize, &'static str)> {
        for (at, alert) in alerts.iter().enumerate() {
            if self.time.get() >= self.end {
                return Err((at, "time is up"));
            }
            self.time.set(self.time.get() + 1);
            self.done.insert(alert.id.clone());
        }
        Ok(())
    }
}

impl DeadLetters for Clock<'_> {
    type Error = &'static str;

    async fn bury(&mut self, _: usize, _: &[Lost], _: u64) -> Result<(), &'static str> {
        if self.time.get() < self.end { Ok(()) } else { Err("time is up") }
    }
}

/// However long publishing takes, what stands before it is done: else a batch with something
/// broken in it would come again for ever.
#[test]
fn what_is_broken_is_buried_though_publishing_takes_all_the_time() {
    let events: Vec<Event> = (0..9).map(event).collect();
    let lost = [Lost { record: Some(2), kind: Kind::Undecodable, reason: "bent".into() }];
    let unit = |(at, event)| Unit {
        events: std::slice::from_ref(event),
        lost: if at % 2 == 1 { &lost } else { &[] },
        ..Unit::default()
    };
    let units: Vec<Unit<'_>> = events.iter().enumerate().map(unit).collect();
    let (mut memory, mut report) = (WorkingSet::default(), Report::default());
    let config = Config::default();
    let watch = Watch { config: &config, learn_until: None };
    let (mut from, mut invocations, mut alerts) = (0, 0, BTreeSet::new());
    while from < units.len() {
        invocations += 1;
        assert!(invocations < 10, "it does not end: {from} are done");
        let time = Cell::new(0);
        let clock = || Clock { time: &time, end: 3, done: BTreeSet::new() };
        let (mut topics, mut letters) = (clock(), clock());
        let ports =
            Ports { topics: &mut topics, letters: &mut letters, baselines: &mut MemoryAlone };
        let done = drive(transact(&mut memory, watch, &units[from..], ports, &mut report));
        from += done.map_or_else(|failure| failure.unit, |()| units.len() - from);
        alerts.extend(topics.done);
    }
    assert_eq!((alerts.len(), report.records(), report.undecodable), (9, 13, 4));
}

/// Topics that take so many alerts at once and so long for it, by a clock of their own.
struct Slow {
    left: Duration,
    took: [Duration; 2],
    /// Topics that are away.
    away: [bool; 2],
    /// Numbers that the first topic refuses once.
    refused: Vec<usize>,
    offered: Vec<(usize, Vec<usize>)>,
    accepted: Vec<String>,
}

impl Slow {
    fn new(left: u64, took: [u64; 2]) -> Self {
        Self {
            left: Duration::from_secs(left),
            took: took.map(Duration::from_secs),
            away: [false; 2],
            refused: Vec::new(),
            offered: Vec::new(),
            accepted: Vec::new(),
        }
    }

    fn count(&self, topic: usize) -> usize {
        self.offered.iter().filter(|call| call.0 == topic).map(|call| call.1.len()).sum()
    }
}

impl Post for Slow {
    async fn offer(&mut self, topic: usize, numbers: &[usize], _: &[&Alert]) -> Offered {
        assert!(!self.left.is_zero(), "nothing is offered when the time is over");
        let numbers = &numbers[..numbers.len().min(5)];
        self.offered.push((topic, numbers.to_vec()));
        // One that answers after the end is not waited for.
        let is_late = self.took[topic] > self.left;
        self.left = self.left.saturating_sub(self.took[topic]);
        let is_refused = |number: &usize| {
            is_late || self.away[topic] || (topic == 0 && self.refused.contains(number))
        };
        let refused = numbers.iter().copied().filter(is_refused).collect();
        self.refused.clear();
        Offered { count: numbers.len(), refused, why: "no".to_owned() }
    }

    fn left(&self) -> Duration {
        self.left
    }

    async fn pause(&mut self, wait: Duration) {
        self.left = self.left.saturating_sub(wait);
    }

    fn name(&self, topic: usize) -> String {
        format!("topic {topic}")
    }

    fn accepted(&mut self, alert: &Alert) {
        self.accepted.push(alert.id.clone());
    }
}

struct Kept<'a>(&'a mut Vec<Alert>);

impl Alerts for Kept<'_> {
    type Error = std::convert::Infallible;

    fn publish(&mut self, alert: &Alert) -> Result<(), Self::Error> {
        self.0.push(alert.clone());
        Ok(())
    }
}

fn alerts(count: u32) -> Vec<Alert> {
    let events: Vec<Event> = (0..count).map(event).collect();
    let (mut memory, mut report, mut all) = (WorkingSet::default(), Report::default(), Vec::new());
    let config = Config::default();
    let watch = Watch { config: &config, learn_until: None };
    run_batch(&mut memory, watch, &events, &mut Kept(&mut all), &mut report).unwrap();
    assert_eq!(all.len(), events.len());
    all
}

fn publish_all(post: &mut FanOut<'_, Slow>, alerts: &[Alert]) -> Result<(), (usize, NotTaken)> {
    drive(post.publish(&alerts.iter().collect::<Vec<_>>()))
}

/// What all topics have taken grows from the front, though one of them takes its time.
#[test]
fn a_slow_topic_does_not_starve_the_others() {
    let alerts = alerts(40);
    for took in [[3, 1], [1, 3]] {
        let mut taken = Taken::bounded(100);
        let mut post = FanOut { topics: 2, post: Slow::new(20, took), taken: &mut taken };
        let (at, why) = publish_all(&mut post, &alerts).unwrap_err();
        assert_eq!((at, why.why.as_str()), (25, "no time was left for it"), "{took:?}");
        assert_eq!(post.post.accepted.len(), 25);
    }
}

/// A record that raises more than one invocation can send ends, and nothing is counted twice.
#[test]
fn what_was_taken_is_not_offered_again() {
    let (alerts, mut taken) = (alerts(40), Taken::bounded(100));
    let (mut accepted, mut offered) = (Vec::new(), 0);
    for invocation in 0.. {
        assert!(invocation < 8, "it does not end");
        let mut post = FanOut { topics: 2, post: Slow::new(5, [1, 1]), taken: &mut taken };
        let result = publish_all(&mut post, &alerts);
        offered += post.post.count(0) + post.post.count(1);
        accepted.extend(post.post.accepted);
        if result.is_ok() {
            break;
        }
    }
    assert_eq!((offered, accepted.len()), (80, 40));
    assert!(accepted.iter().eq(alerts.iter().map(|alert| &alert.id)), "in their order, each once");
}

#[test]
fn what_was_taken_is_remembered_within_a_bound() {
    let mut taken = Taken::bounded(2);
    taken.add("a", 0);
    taken.add("a", 127);
    taken.add("b", 1);
    assert!(taken.has("a", 0) && taken.has("a", 127) && !taken.has("a", 1));
    taken.add("c", 1_000);
    assert!(!taken.has("a", 0) && taken.has("b", 1));
    assert!(!taken.has("c", 1_000), "of so many receivers not all are told apart");
}

/// One topic that is away keeps nothing from the other, and is asked with pauses that grow.
#[test]
fn a_topic_that_is_away_is_told_and_the_other_goes_on() {
    let (alerts, mut taken) = (alerts(20), Taken::bounded(100));
    let mut slow = Slow::new(60, [0, 1]);
    slow.away = [false, true];
    let mut post = FanOut { topics: 2, post: slow, taken: &mut taken };
    let (at, why) = publish_all(&mut post, &alerts).unwrap_err();
    assert_eq!((at, why.to_string().as_str()), (0, "topic 1: no"));
    assert_eq!((post.post.count(0), post.post.accepted.len()), (20, 0));
    let calls = post.post.offered.iter().filter(|call| call.0 == 1).count();
    assert!((8..20).contains(&calls), "{calls}");
    let mut post = FanOut { topics: 2, post: Slow::new(60, [1, 1]), taken: &mut taken };
    assert_eq!(publish_all(&mut post, &alerts), Ok(()));
    assert_eq!((post.post.count(0), post.post.count(1), post.post.accepted.len()), (0, 20, 20));
}

#[test]
fn entries_that_are_refused_are_offered_again_by_themselves() {
    let (alerts, mut taken) = (alerts(12), Taken::bounded(100));
    let mut slow = Slow::new(60, [1, 1]);
    slow.refused = vec![1, 3];
    let mut post = FanOut { topics: 1, post: slow, taken: &mut taken };
    assert_eq!(publish_all(&mut post, &alerts), Ok(()));
    let offered: Vec<usize> = post.post.offered.iter().map(|call| call.1.len()).collect();
    assert_eq!(offered, [5, 5, 2, 2]);
    assert_eq!(post.post.offered[3].1, [1, 3]);
    assert_eq!(post.post.accepted.len(), 12);
}
