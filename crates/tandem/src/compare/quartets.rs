//! Quartets: four blocks, ABBA or BAAB by coin, at one rate and with the same calls. With `--duet`
//! four times both at once, each on cores of its own: then what drifts meets both alike, order means
//! nothing, and a coin says only which of two calls of one moment goes first.
//!
//! A void block is sent once more in its place: where one in five does not count, four in a row seldom
//! all do. A quartet in which one still is void is sent again, up to as many again as were planned. Its
//! answers are compared all the same: what was answered does not depend on when it was sent. Where no answers
//! are looked at it ends at its void block, for it cannot count any more.
//!
//! Not here: what follows from them (`tandem_judge::cost`).

use std::time::{Duration, Instant};

use tandem_judge::cost::{self, Block, Quartet};
use tandem_judge::report;
use tandem_judge::stats::draws::Draws;
use tandem_measure::load::{Clock as _, Recorded};

use super::answers::Answers;
use super::blocks::{Generator, Order, Sent};
use super::side::Side;
use super::streams::{self, Seen};
use crate::failure::Failure;

/// Answers that are compared of each block, about.
const COMPARED: u64 = 100;

/// A series of quartets of two sides.
#[derive(Default)]
pub(crate) struct Series {
    pub(crate) quartets: Vec<Quartet>,
    /// Every block, void ones included, as the report shows it.
    pub(crate) blocks: Vec<report::Block>,
    /// By side: the times of all blocks that count.
    pub(crate) recorded: [Recorded; 2],
    /// The worst of the generator's lag, as p99 of a block, in microseconds.
    pub(crate) lags_us: Vec<u64>,
    pub(crate) steals: Vec<f64>,
    /// By side, then by method: what was read of streams.
    pub(crate) streams: [Vec<Seen>; 2],
    /// CPU time of the machine in all blocks, and what of it somebody answers for.
    pub(crate) busy: (Duration, Duration),
}

/// How a series is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) rate: f64,
    pub(crate) block: Duration,
    pub(crate) restart: u32,
    pub(crate) duet: bool,
}

/// One step of a quartet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    One(cost::Side),
    /// Both, the one that goes first.
    Both(cost::Side),
}

/// The steps of a quartet: four, whichever way.
fn steps(duet: bool, draws: &mut Draws) -> [Step; 4] {
    match duet {
        false => cost::order(draws).map(Step::One),
        true => [(); 4].map(|()| {
            Step::Both(if draws.coin() { cost::Side::Primary } else { cost::Side::Candidate })
        }),
    }
}

/// Whom a series is about: the primary, and the other one. `None`: the primary itself.
pub(crate) struct Pair<'s> {
    pub(crate) primary: &'s mut Side,
    pub(crate) other: Option<&'s mut Side>,
}

impl Series {
    /// Quartets that count.
    pub(crate) fn valid(&self) -> u32 {
        self.quartets.iter().filter(|quartet| quartet.is_valid()).count() as u32
    }

    /// Blocks that do not count.
    pub(crate) fn void(&self) -> u64 {
        self.blocks.iter().filter(|block| block.void.is_some()).count() as u64
    }

    /// Sends one quartet more; answers are compared where there is somebody to do it.
    ///
    /// # Errors
    /// Nobody is there any more.
    pub(crate) async fn send(
        &mut self,
        generator: &Generator,
        pair: &mut Pair<'_>,
        pace: Pace,
        draws: &mut Draws,
        answers: Option<&mut Answers>,
    ) -> Result<(), Failure> {
        let (seed, first) = (draws.next(), draws.next() >> 16);
        let order = Order {
            rate: pace.rate,
            length: pace.block,
            seed,
            first,
            keep: if answers.is_some() { COMPARED } else { 0 },
        };
        let mut sent: Vec<Sent> = Vec::new();
        // One process against itself is called twice in turns, whatever is asked for.
        for step in steps(pace.duet && pair.other.is_some(), draws) {
            let again = generator.clock().is_awake();
            let send = async || send_step(generator, pair, step, &order).await;
            let (void, blocks) = until_it_counts(again, send, |blocks| is_void(blocks)).await?;
            for sent in void.iter().flatten() {
                self.keep(sent, pace, false);
            }
            sent.extend(blocks);
            if answers.is_none() && is_void(&sent) {
                break;
            }
        }
        if let Some(answers) = answers {
            compare(generator, &sent, draws, answers);
        }
        let blocks: Vec<Block> = sent.iter().map(|sent| sent.block.clone()).collect();
        let quartet = Quartet { restart: pace.restart, offered: pace.rate, blocks };
        for sent in &sent {
            self.keep(sent, pace, quartet.is_valid());
        }
        self.quartets.push(quartet);
        Ok(())
    }

    fn keep(&mut self, sent: &Sent, pace: Pace, counts: bool) {
        let Sent { block, offered, kept: _, streams, start_s, busy } = sent;
        if let Some((busy, answered)) = busy {
            self.busy.0 += *busy;
            self.busy.1 += *answered;
        }
        let readings = offered.readings();
        let place = match block.side {
            cost::Side::Primary => 0,
            cost::Side::Candidate => 1,
        };
        streams::add_all(&mut self.streams[place], streams);
        if counts {
            self.recorded[place].merge(&offered.recorded);
        }
        self.lags_us.push(readings.lag_p99_us);
        self.steals.extend(readings.steal);
        self.blocks.push(report::Block {
            role: role(block.side).to_owned(),
            restart: pace.restart,
            start_s: *start_s,
            seconds: block.seconds,
            rate: pace.rate,
            calls: block.calls,
            cpu_s: block.cpu_s,
            p99_s: block.latency_us.quantile(0.99).map(|us| us as f64 / 1e6),
            memory_bytes: block.peak_bytes,
            steal: readings.steal.into_iter().fold(0.0, f64::max),
            set_aside: readings.set_aside,
            void: block.void.map(|void| void.to_string()),
        });
    }
}

async fn send_step(
    generator: &Generator,
    pair: &mut Pair<'_>,
    step: Step,
    order: &Order,
) -> Result<Vec<Sent>, Failure> {
    let Pair { primary, other } = pair;
    Ok(match (step, other.as_deref_mut()) {
        (Step::Both(first), Some(other)) => {
            generator.send_both(first, primary, other, order).await?.into()
        }
        (Step::One(which @ cost::Side::Candidate), Some(other)) => {
            vec![generator.send(which, other, Some(primary), order).await?]
        }
        (Step::One(which) | Step::Both(which), off) => {
            vec![generator.send(which, primary, off, order).await?]
        }
    })
}

/// What counts of one sending, or of a second one where `again` allows it, with the first. A generator
/// that sleeps is late as a rule, and would be again.
async fn until_it_counts<T, E>(
    again: bool,
    mut send: impl AsyncFnMut() -> Result<T, E>,
    is_void: impl Fn(&T) -> bool,
) -> Result<(Option<T>, T), E> {
    let first = send().await?;
    if !again || !is_void(&first) {
        return Ok((None, first));
    }
    Ok((Some(first), send().await?))
}

fn is_void(sent: &[Sent]) -> bool {
    sent.iter().any(|sent| sent.block.void.is_some())
}

pub(crate) fn role(side: cost::Side) -> &'static str {
    match side {
        cost::Side::Primary => "primary",
        cost::Side::Candidate => "candidate",
    }
}

/// Compares what the blocks of a quartet answered to the same calls.
fn compare(generator: &Generator, sent: &[Sent], draws: &mut Draws, answers: &mut Answers) {
    let of = |side| sent.iter().filter(move |sent| sent.block.side == side);
    let primaries: Vec<&Sent> = of(cost::Side::Primary).collect();
    let candidates: Vec<&Sent> = of(cost::Side::Candidate).collect();
    let ([first, second, ..], [one, other, ..]) = (&primaries[..], &candidates[..]) else {
        return;
    };
    let calls = &generator.calls;
    for (number, primary) in &first.kept {
        let candidate = if draws.coin() { one } else { other };
        let (Some(candidate), Some(twin)) = (candidate.kept.get(number), second.kept.get(number))
        else {
            continue;
        };
        let call = &calls[(number % calls.len() as u64) as usize];
        answers.observe(call.method, primary, candidate, Some(twin));
    }
}

/// Time by which a run has to be over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) until: Instant,
}

impl Budget {
    /// What is left of it.
    pub(crate) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Whether there is time for `more`.
    pub(crate) fn allows(&self, more: Duration) -> bool {
        Instant::now() + more <= self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn compare_l_4_what_does_not_count_is_sent_once_more_and_not_a_third_time() {
        // Numbers below ten are void.
        for (again, sendings, void, counts, left) in [
            (true, vec![10, 11], None, 10, 1),
            (true, vec![1, 10, 11], Some(1), 10, 1),
            (true, vec![1, 2, 10], Some(1), 2, 1),
            (false, vec![1, 10], None, 1, 1),
        ] {
            let mut sendings = sendings.into_iter();
            let send = async || sendings.next().ok_or("nobody is there");
            let found = until_it_counts(again, send, |number| *number < 10).await;
            assert_eq!(found, Ok((void, counts)));
            assert_eq!(sendings.count(), left);
        }
        let gone = until_it_counts(true, async || Err::<u32, _>("gone"), |_| true).await;
        assert_eq!(gone, Err("gone"));
    }

    #[test]
    fn compare_i_3_a_duet_is_four_times_both_and_a_coin_says_who_goes_first() {
        use cost::Side::{Candidate, Primary};
        let mut draws = Draws::new(7);
        let mut firsts = [0, 0];
        for _ in 0..100 {
            for step in steps(true, &mut draws) {
                let Step::Both(first) = step else { panic!("{step:?}") };
                firsts[first as usize] += 1;
            }
        }
        assert!(firsts.iter().all(|count| (150..250).contains(count)), "{firsts:?}");
        for _ in 0..10 {
            let turns = steps(false, &mut draws);
            let abba = [Primary, Candidate, Candidate, Primary].map(Step::One);
            let baab = [Candidate, Primary, Primary, Candidate].map(Step::One);
            assert!(turns == abba || turns == baab, "{turns:?}");
        }
    }
}
