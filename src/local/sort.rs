//! Events in the one order of judging, however many there are.
//!
//! As many as fit are held. When there are more, those are sorted and set aside as a run in a
//! file, and at the end the runs are merged: copies of one record become neighbours, and what is
//! held is bounded by the room and by one event a run. The files have no name, so nothing is left
//! of them, whatever ends the program.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, Write};

use crate::event::Event;

/// Events held at once, about 20 MB of them.
const ROOM: usize = 16_384;

/// Runs that are merged at once; each has an open file and a buffer.
const MOST_RUNS: usize = 64;

/// The order of judging. The text decides between records that claim one identity and differ, so
/// that the outcome does not depend on the order of the files.
fn compare(a: &Event, b: &Event) -> Ordering {
    a.order().cmp(&b.order()).then_with(|| {
        if a == b { Ordering::Equal } else { format!("{a:?}").cmp(&format!("{b:?}")) }
    })
}

/// Takes events in any order.
#[derive(Debug)]
pub struct Sorter {
    held: Vec<Event>,
    runs: Vec<File>,
    room: usize,
    count: u64,
}

impl Default for Sorter {
    fn default() -> Self {
        Self::with_room(ROOM)
    }
}

impl Sorter {
    fn with_room(room: usize) -> Self {
        Self { held: Vec::new(), runs: Vec::new(), room, count: 0 }
    }

    /// Takes some events.
    ///
    /// # Errors
    /// There was no room for a run in the folder for temporary files.
    pub fn push(&mut self, events: Vec<Event>) -> io::Result<()> {
        self.count += events.len() as u64;
        self.held.extend(events);
        if self.held.len() < self.room {
            return Ok(());
        }
        self.held.sort_by(compare);
        let run = set_aside(std::mem::take(&mut self.held).into_iter().map(Ok))?;
        self.runs.push(run);
        if self.runs.len() == MOST_RUNS {
            let runs = std::mem::take(&mut self.runs);
            let merged = set_aside(Sorted::of(Vec::new(), runs, 0)?)?;
            self.runs.push(merged);
        }
        Ok(())
    }

    /// All of them in order.
    ///
    /// # Errors
    /// A run that was set aside could not be read.
    pub fn finish(mut self) -> io::Result<Sorted> {
        self.held.sort_by(compare);
        Sorted::of(self.held, self.runs, self.count)
    }
}

/// Writes a run, an event a line.
fn set_aside(events: impl Iterator<Item = io::Result<Event>>) -> io::Result<File> {
    let mut file = BufWriter::new(tempfile::tempfile()?);
    for event in events {
        serde_json::to_writer(&mut file, &event?)?;
        file.write_all(b"\n")?;
    }
    let mut file = file.into_inner()?;
    file.rewind()?;
    Ok(file)
}

/// Events in the order of judging.
#[derive(Debug)]
pub struct Sorted {
    held: std::vec::IntoIter<Event>,
    runs: Vec<BufReader<File>>,
    /// The next event of each source.
    next: BinaryHeap<Reverse<Next>>,
    count: u64,
}

/// The next event of a source: of a run, or of what is held.
#[derive(Debug)]
struct Next {
    event: Event,
    run: Option<usize>,
}

impl Ord for Next {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.event, &other.event).then_with(|| self.run.cmp(&other.run))
    }
}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Next {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Next {}

impl Sorted {
    fn of(held: Vec<Event>, runs: Vec<File>, count: u64) -> io::Result<Self> {
        let runs = runs.into_iter().map(BufReader::new).collect();
        let mut all = Self { held: held.into_iter(), runs, next: BinaryHeap::new(), count };
        if !all.runs.is_empty() {
            all.refill(None)?;
            (0..all.runs.len()).try_for_each(|run| all.refill(Some(run)))?;
        }
        Ok(all)
    }

    /// How many there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.count
    }

    /// The next event.
    #[must_use]
    pub fn first(&self) -> Option<&Event> {
        let set_aside = self.next.peek().map(|Reverse(next)| &next.event);
        set_aside.or_else(|| self.held.as_slice().first())
    }

    /// The next events, up to so many; none at the end.
    ///
    /// # Errors
    /// A run that was set aside could not be read.
    pub fn take_batch(&mut self, most: usize) -> io::Result<Vec<Event>> {
        self.take(most).collect()
    }

    fn refill(&mut self, run: Option<usize>) -> io::Result<()> {
        let event = match run.and_then(|run| self.runs.get_mut(run)) {
            None => self.held.next(),
            Some(run) => read_line(run)?,
        };
        self.next.extend(event.map(|event| Reverse(Next { event, run })));
        Ok(())
    }
}

fn read_line(run: &mut BufReader<File>) -> io::Result<Option<Event>> {
    let mut line = String::new();
    match run.read_line(&mut line)? {
        0 => Ok(None),
        _ => Ok(Some(serde_json::from_str(&line)?)),
    }
}

impl Iterator for Sorted {
    type Item = io::Result<Event>;

    fn next(&mut self) -> Option<io::Result<Event>> {
        if self.runs.is_empty() {
            return self.held.next().map(Ok);
        }
        let Reverse(Next { event, run }) = self.next.pop()?;
        match self.refill(run) {
            Ok(()) => Some(Ok(event)),
            Err(error) => Some(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn events(count: u64) -> Vec<Event> {
        let event = |number: u64| {
            let spread = number * 7_919 % count.max(1);
            let record = json!({
                "eventSource": "sts.amazonaws.com",
                "eventName": if number.is_multiple_of(5) { "GetSessionToken" } else { "AssumeRole" },
                "eventTime": format!("2026-03-04T05:{:02}:{:02}Z", spread / 60 % 60, spread % 60),
                "eventID": format!("{}", spread / 2),
                "recipientAccountId": "111122223333",
                "userIdentity": { "type": "IAMUser", "userName": format!("user{number}") },
                "requestParameters": { "roleArn": "arn:aws:iam::111122223333:role/x" },
            });
            crate::cloudtrail::read(&record).unwrap().expect("ours")
        };
        (0..count).map(event).collect()
    }

    #[test]
    fn runs_are_merged_to_the_order_of_one_sort() {
        for (count, room) in [(0, 5), (3, 5), (100, 100), (100, 7), (500, 4)] {
            let mut all = events(count);
            let mut sorter = Sorter::with_room(room);
            for part in all.chunks(3) {
                sorter.push(part.to_vec()).unwrap();
            }
            let mut sorted = sorter.finish().unwrap();
            assert_eq!(sorted.total(), count);
            let found = sorted.take_batch(usize::MAX).unwrap();
            all.sort_by(compare);
            assert!(found == all, "{count} events with room for {room}");
        }
    }
}
