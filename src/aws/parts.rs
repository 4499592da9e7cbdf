//! A batch in parts: so much at once as the memory and the time of an invocation allow.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::kinesis::{Arrived, Unpacked, unpack_part};

/// Time kept for saying how far a batch came. An invocation that is cut off says nothing, and
/// takes the environment and its memory with it.
const RESERVE: Duration = Duration::from_secs(1);

/// Most time kept for burying, and for saving, what was published just before the time was over.
const LONGEST_SHARE: Duration = Duration::from_secs(5);

/// Most events of one Kinesis record that are judged at once. A record may inflate to a hundred
/// times its size, and what is judged takes more memory than its text.
const AT_ONCE: usize = 5_000;

/// Events after which no further record is unpacked before they are judged. So many find room in
/// a processor's own cache with all that judging makes of them: ten times as many take a sixth
/// longer each (`cargo bench --bench speed`), and the first alert waits for all of them.
pub(super) const ENOUGH: usize = 250;

/// The same where what was learned is saved after each part: whatever many of them change is
/// written once.
pub(super) const ENOUGH_TO_SAVE: usize = 2_500;

/// Records that are remembered as judged in part.
const MOST_BEGUN: usize = 64;

/// When the steps of an invocation have to be over. Each has time of its own, for nothing is done
/// before all are: publishing that takes all there is would let no record ever be acknowledged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// Unpacking, a share of what is left for publishing; at least one record is.
    unpack: Instant,
    /// Publishing, and before this another part begins.
    pub(super) publish: Instant,
    /// Burying what was lost.
    pub(super) bury: Instant,
    /// Saving, and all of it.
    pub(super) save: Instant,
}

impl Times {
    /// For an invocation that begins now and is cut off at `deadline`.
    pub(super) fn until(deadline: Instant, now: Instant) -> Self {
        let all = deadline.saturating_duration_since(now).saturating_sub(RESERVE);
        let share = (all / 8).min(LONGEST_SHARE);
        let after = |time: Duration| now.checked_add(time).unwrap_or(now);
        let publish = all.saturating_sub(share * 2);
        Self {
            unpack: after(publish / 4),
            publish: after(publish),
            bury: after(all.saturating_sub(share)),
            save: after(all),
        }
    }
}

/// How many events are done of records that are judged in parts. A record that comes again in the
/// middle goes on there; in another environment it begins anew, and raises the same alerts.
#[derive(Debug, Default)]
pub(super) struct Begun(VecDeque<(String, usize)>);

impl Begun {
    fn name(arrived: &Arrived<'_>) -> String {
        let stream = arrived.stream.unwrap_or_default();
        format!("{stream} {} {}", arrived.shard, arrived.sequence_number)
    }

    fn of(&self, arrived: &Arrived<'_>) -> usize {
        if self.0.is_empty() {
            return 0;
        }
        let name = Self::name(arrived);
        self.0.iter().find(|(begun, _)| *begun == name).map_or(0, |(_, events)| *events)
    }

    /// Takes in what became of a part, of which the unit at `failed`, if any, is the first that
    /// is not done. Returns how many whole records are.
    pub(super) fn take_in(
        &mut self,
        part: &[Arrived<'_>],
        unpacked: &[Unpacked],
        failed: Option<usize>,
    ) -> usize {
        let mut whole = 0;
        for (arrived, unpacked) in part.iter().zip(unpacked).take(failed.unwrap_or(part.len())) {
            let before = self.of(arrived);
            if before > 0 {
                let name = Self::name(arrived);
                self.0.retain(|(begun, _)| *begun != name);
            }
            if unpacked.left == 0 {
                whole += 1;
                continue;
            }
            self.0.push_back((Self::name(arrived), before + unpacked.events.len()));
            if self.0.len() > MOST_BEGUN {
                self.0.pop_front();
            }
        }
        whole
    }
}

/// Unpacks the first records, until they hold `enough` events and one at least; of one that holds
/// more than are judged at once, what is next.
pub(super) fn unpack_some(
    arrived: &[Arrived<'_>],
    begun: &Begun,
    enough: usize,
    times: Times,
) -> Vec<Unpacked> {
    // Decoding again for each part what does not fit costs time, and later parts have less of it.
    let until = times.unpack.max(Instant::now() + (times.publish - times.unpack) / 8);
    let mut unpacked: Vec<Unpacked> = Vec::new();
    let mut events = 0;
    for record in arrived {
        let one = unpack_part(record, begun.of(record), AT_ONCE);
        events += one.events.len();
        let is_cut = one.left > 0;
        unpacked.push(one);
        if is_cut || events >= enough || Instant::now() >= until {
            break;
        }
    }
    unpacked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(events: usize) -> Vec<u8> {
        let event = |n: usize| {
            format!(
                "{{\"eventSource\":\"sts.amazonaws.com\",\"eventName\":\"AssumeRoot\",\
                 \"eventTime\":\"2026-03-04T05:06:07Z\",\"eventID\":\"e{n}\",\
                 \"recipientAccountId\":\"111122223333\",\
                 \"userIdentity\":{{\"type\":\"Root\",\"accountId\":\"111122223333\"}}}}\n"
            )
        };
        crate::dead_letter::gzip((0..events).map(event).collect::<String>().as_bytes())
    }

    fn arrived<'a>(data: &'a [u8], sequence_number: &'a str) -> Arrived<'a> {
        let time = "2026-03-04T05:06:07Z".parse().unwrap();
        Arrived { stream: Some("s"), shard: "0", sequence_number, time, data }
    }

    fn soon() -> Times {
        let now = Instant::now();
        Times::until(now + Duration::from_secs(600), now)
    }

    /// Whoever publishes until the last moment leaves time to bury and to save.
    #[test]
    fn each_step_has_time_of_its_own() {
        let now = Instant::now();
        for seconds in [2, 3, 10, 60, 900] {
            let times = Times::until(now + Duration::from_secs(seconds), now);
            assert!(now < times.unpack && times.unpack < times.publish, "{seconds}");
            let least = Duration::from_secs(seconds - 1) / 10;
            for (earlier, later) in [(times.publish, times.bury), (times.bury, times.save)] {
                assert!(later - earlier >= least.min(LONGEST_SHARE), "{seconds}");
            }
            assert!(times.publish - now >= Duration::from_secs(seconds - 1) / 2, "{seconds}");
            assert_eq!(now + Duration::from_secs(seconds) - times.save, RESERVE);
        }
        let over = Times::until(now, now + Duration::from_secs(1));
        assert!(over.save <= now + Duration::from_secs(1));
    }

    #[test]
    fn a_large_record_is_judged_in_parts_and_goes_on_where_it_stopped() {
        let (large, small) = (envelope(AT_ONCE * 2 + 7), envelope(3));
        let batch = [arrived(&small, "1"), arrived(&large, "2"), arrived(&small, "3")];
        let mut begun = Begun::default();
        let sizes = |unpacked: &[Unpacked]| -> Vec<usize> {
            unpacked.iter().map(|it| it.events.len()).collect()
        };
        let first = unpack_some(&batch, &begun, ENOUGH, soon());
        assert_eq!(sizes(&first), [3, AT_ONCE]);
        assert_eq!(begun.take_in(&batch[..2], &first, Some(1)), 1);
        let rest = &batch[1..];
        let again = unpack_some(rest, &begun, ENOUGH, soon());
        assert_eq!(sizes(&again), [AT_ONCE], "what failed is judged again");
        assert_eq!(begun.take_in(&rest[..1], &again, None), 0, "it is not done yet");
        let second = unpack_some(rest, &begun, ENOUGH, soon());
        assert_eq!((sizes(&second), second[0].left), (vec![AT_ONCE], 7));
        assert_eq!(begun.take_in(&rest[..1], &second, None), 0);
        let last = unpack_some(rest, &begun, ENOUGH, soon());
        assert_eq!(sizes(&last), [7, 3]);
        assert_eq!(begun.take_in(rest, &last, None), 2);
        assert_eq!(
            sizes(&unpack_some(rest, &begun, ENOUGH, soon())),
            [AT_ONCE],
            "it is known no more"
        );
    }

    #[test]
    fn records_are_judged_together_until_there_are_enough() {
        let data = envelope(100);
        let batch = [arrived(&data, "1"); 40];
        let parts = |enough| unpack_some(&batch, &Begun::default(), enough, soon()).len();
        assert_eq!([ENOUGH, ENOUGH_TO_SAVE].map(parts), [3, 25]);
    }

    #[test]
    fn unpacking_ends_when_its_time_is_over() {
        let data = envelope(3);
        let batch = [arrived(&data, "1"), arrived(&data, "2")];
        let now = Instant::now();
        let over = Times { unpack: now, publish: now, bury: now, save: now };
        assert_eq!(unpack_some(&batch, &Begun::default(), ENOUGH, over).len(), 1);
        assert_eq!(unpack_some(&batch, &Begun::default(), ENOUGH, soon()).len(), 2);
    }
}
