use serde_json::{Value, json};

use super::*;
use crate::cloudtrail;
use crate::memory::WorkingSet;

/// Takes everything, and notes what it took.
#[derive(Default)]
struct Taken {
    alerts: Vec<String>,
    buried: Vec<(usize, Vec<Lost>)>,
    full: bool,
}

impl Topics for Taken {
    type Error = &'static str;

    async fn publish(&mut self, alerts: &[&Alert]) -> Result<(), (usize, &'static str)> {
        self.alerts.extend(alerts.iter().map(|alert| alert.id.clone()));
        Ok(())
    }
}

impl DeadLetters for Taken {
    type Error = &'static str;

    async fn bury(&mut self, unit: usize, lost: &[Lost]) -> Result<(), &'static str> {
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

fn run(events: &[Event], lost: &[Lost], taken: &mut Taken) -> (Report, WorkingSet, Option<usize>) {
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
    let mut letters = Taken { full: taken.full, ..Taken::default() };
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
    let mut taken = Taken::default();
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
    let mut taken = Taken { full: true, ..Taken::default() };
    let (report, memory, failed) = run(&events, &[], &mut taken);
    assert_eq!(failed, Some(1));
    assert!(memory.has_seen(&events[0].call().key));
    assert!(!memory.has_seen(&events[2].call().key), "it comes again");
    assert_eq!((report.undecodable, report.records()), (0, 2), "only what is done is counted");
}
