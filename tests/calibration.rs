//! Whether the estimated chance of something new is the chance: values are drawn by known laws, and
//! what the estimator expects is held to what comes.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail loudly, and tells what it measured"
)]

use std::collections::BTreeSet;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use rolewatch::baseline::{Caller, Dimension};

/// By which law the values of a day come.
#[derive(Debug, Clone, Copy)]
enum Law {
    /// Some values every day, and now and then one that never comes again.
    Visitors { steady: u32, chance: f64 },
    /// Of so many values the n-th comes with a weight of n to the power of minus this.
    Zipf { values: u32, exponent: f64, draws: u32 },
    /// Pitman and Yor's: whoever came often comes again, and the discount makes room for new ones.
    PitmanYor { discount: f64, strength: f64, draws: u32 },
    /// One value for some days, then another one for good.
    Moves { days: u32 },
}

/// One history that goes on by a law.
struct Source {
    law: Law,
    rng: Rng,
    counts: Vec<u32>,
    total: u32,
    next: u32,
}

impl Source {
    fn new(law: Law, seed: u64) -> Self {
        Self { law, rng: Rng::with_seed(seed), counts: Vec::new(), total: 0, next: 0 }
    }

    fn day(&mut self, day: u32) -> BTreeSet<u32> {
        match self.law {
            Law::Visitors { steady, chance } => {
                let mut values: BTreeSet<u32> = (0..steady).collect();
                if self.rng.f64() < chance {
                    self.next += 1;
                    values.insert(steady + self.next);
                }
                values
            }
            Law::Zipf { values, exponent, draws } => {
                let weights = (1..=values).map(|n| f64::from(n).powf(-exponent));
                let sums: Vec<f64> = weights
                    .scan(0.0, |sum, weight| {
                        *sum += weight;
                        Some(*sum)
                    })
                    .collect();
                let all = *sums.last().unwrap();
                let draw = |rng: &mut Rng| {
                    let at = rng.f64() * all;
                    u32::try_from(sums.partition_point(|sum| *sum < at)).unwrap()
                };
                (0..draws).map(|_| draw(&mut self.rng)).collect()
            }
            Law::PitmanYor { discount, strength, draws } => {
                (0..draws).map(|_| self.seat(discount, strength)).collect()
            }
            Law::Moves { days } => {
                if day.is_multiple_of(days) {
                    self.next += 1;
                }
                BTreeSet::from([self.next])
            }
        }
    }

    fn seat(&mut self, discount: f64, strength: f64) -> u32 {
        let tables = u32::try_from(self.counts.len()).unwrap();
        let mut at = self.rng.f64() * (f64::from(self.total) + strength);
        self.total += 1;
        for (n, count) in self.counts.iter_mut().enumerate() {
            at -= f64::from(*count) - discount;
            if at < 0.0 {
                *count += 1;
                return u32::try_from(n).unwrap();
            }
        }
        self.counts.push(1);
        tables
    }
}

/// What was expected and what came in some days, over many histories.
#[derive(Debug, Clone, Copy, Default)]
struct Block {
    expected: f64,
    came: f64,
    value_days: f64,
    /// Value-days that the tables had seen before, summed.
    seen: f64,
    days: f64,
}

const DAYS: u32 = 120;
const BLOCK: u32 = 10;

fn blocks(law: Law) -> Vec<Block> {
    const HISTORIES: u64 = 150;
    let mut blocks = vec![Block::default(); (DAYS / BLOCK) as usize];
    for seed in 0..HISTORIES {
        let (mut source, mut caller) = (Source::new(law, seed), Caller::default());
        let mut known = BTreeSet::new();
        for day in 0..DAYS {
            let block = &mut blocks[(day / BLOCK) as usize];
            let turnover = caller.habits().turnover(Dimension::Network);
            let values = source.day(day);
            block.expected += turnover.chance_of_new() * values.len() as f64;
            block.came += values.iter().filter(|it| known.insert(**it)).count() as f64;
            block.value_days += values.len() as f64;
            block.seen += f64::from(turnover.value_days);
            block.days += 1.0;
            let time = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * i64::from(day));
            let values = values.iter().map(|it| (Dimension::Network, it.to_string().into()));
            values.for_each(|value| caller.learn(&[value], time));
        }
    }
    blocks
}

/// How the expected rate stands to the observed one, where there is something to compare.
fn ratios(law: Law) -> Vec<(f64, f64, f64)> {
    let told = blocks(law).into_iter().filter(|it| it.came > 0.0).map(|it| {
        let (rate, seen) = (it.came / it.value_days, it.seen / it.days);
        (rate, 20.0 / seen.max(1.0), it.expected / it.came)
    });
    told.collect()
}

const LAWS: &[Law] = &[
    Law::Visitors { steady: 1, chance: 0.05 },
    Law::Visitors { steady: 1, chance: 0.3 },
    Law::Visitors { steady: 3, chance: 0.5 },
    Law::Visitors { steady: 8, chance: 0.9 },
    Law::Zipf { values: 20, exponent: 1.0, draws: 3 },
    Law::Zipf { values: 200, exponent: 0.8, draws: 2 },
    Law::Zipf { values: 1_000, exponent: 1.2, draws: 4 },
    Law::Zipf { values: 10_000, exponent: 1.0, draws: 5 },
    Law::PitmanYor { discount: 0.3, strength: 1.0, draws: 3 },
    Law::PitmanYor { discount: 0.5, strength: 1.0, draws: 3 },
    Law::PitmanYor { discount: 0.5, strength: 5.0, draws: 6 },
    Law::PitmanYor { discount: 0.8, strength: 1.0, draws: 2 },
];

#[test]
fn the_expected_rate_is_within_a_factor_of_two_and_an_upper_bound_where_news_is_rare() {
    let (mut compared, mut bounded) = (0, 0);
    for law in LAWS {
        for (rate, least, ratio) in ratios(*law) {
            println!("{law:?}: rate {rate:.4}, 20/U {least:.4}, expected/observed {ratio:.2}");
            if (least..=0.5).contains(&rate) {
                compared += 1;
                assert!((0.5..=2.0).contains(&ratio), "{law:?}: {rate:.4} {ratio:.2}");
            } else if rate < least {
                bounded += 1;
                assert!(ratio >= 0.95, "{law:?}: {rate:.4} {ratio:.2}");
            }
        }
    }
    assert!(compared > 40 && bounded > 20, "{compared} {bounded}");
}

/// What comes for days and then goes for good is no such law, and is expected too seldom: the
/// limit that `novelty.rs` tells of.
#[test]
fn what_moves_for_good_is_expected_too_seldom_and_within_a_factor_of_six() {
    for days in [2, 5, 10] {
        let late = ratios(Law::Moves { days });
        let (rate, least, ratio) = *late.last().unwrap();
        println!("every {days} days: rate {rate:.3}, 20/U {least:.3}, {ratio:.2}");
        assert!((1.0 / 6.0..=1.0).contains(&ratio), "every {days} days: {ratio:.2}");
    }
}
