//! Series of quartets with stated noise, for tests of what judges them.

use tandem_judge::cost::{Block, Quartet, Side, order};
use tandem_judge::stats::counts::Counts;
use tandem_judge::stats::draws::Draws;

/// What a side does, and how the machine disturbs it. The defaults are what a two-core virtual
/// machine with other load has shown: throughput of blocks drifts by 47 %, CPU a call by 2.6 %.
#[derive(Clone, Copy)]
pub(crate) struct Model {
    pub(crate) cpu_us: [f64; 2],
    pub(crate) latency_us: [f64; 2],
    pub(crate) peak_bytes: [f64; 2],
    pub(crate) drift: f64,
    pub(crate) cpu_noise: f64,
    pub(crate) rate: f64,
}

impl Model {
    /// Two processes of one build.
    pub(crate) fn equal() -> Model {
        Model {
            cpu_us: [50.0; 2],
            latency_us: [700.0; 2],
            peak_bytes: [40e6; 2],
            drift: 0.47,
            cpu_noise: 0.026,
            rate: 2_000.0,
        }
    }
}

/// `count` quartets of two-second blocks, with a restart every eight.
pub(crate) fn quartets(model: &Model, count: u32, draws: &mut Draws) -> Vec<Quartet> {
    // What drifts is the machine: one walk through all blocks, which pulls back to the middle.
    let mut walk = 0.0;
    let mut restart_noise = [0.0; 2];
    (0..count)
        .map(|number| {
            if number % 8 == 0 {
                restart_noise = [0, 1].map(|_| 0.003 * draws.normal());
            }
            let sides = order(draws);
            let blocks = sides.iter().map(|side| {
                walk = 0.9 * walk + model.drift * 0.19_f64.sqrt() * draws.normal();
                let noise = restart_noise[place(*side)];
                block(model, *side, walk, noise, draws)
            });
            Quartet { restart: number / 8, offered: model.rate, blocks: blocks.collect() }
        })
        .collect()
}

fn place(side: Side) -> usize {
    usize::from(side == Side::Candidate)
}

fn block(model: &Model, side: Side, walk: f64, restart: f64, draws: &mut Draws) -> Block {
    let place = place(side);
    let speed = (-walk).exp();
    let calls = (model.rate * 2.0 * speed).max(100.0) as u64;
    let cpu_us = model.cpu_us[place] * (restart + model.cpu_noise * draws.normal()).exp();
    let latency = (0..400).map(|_| {
        let value = model.latency_us[place] * (0.02 * walk + 0.5 * draws.normal()).exp();
        // As a histogram keeps it: about two digits.
        let step = 10_f64.powf(value.log10().floor() - 1.0);
        ((value / step).round() * step, calls / 400)
    });
    Block {
        side,
        seconds: 2.0,
        calls,
        cpu_s: Some(cpu_us * calls as f64 / 1e6),
        idle_cpu_s: Some(0.002),
        latency_us: Counts::new(latency.map(|(value, count)| (value as u64, count))),
        peak_bytes: Some((model.peak_bytes[place] * (0.01 * draws.normal()).exp()) as u64),
        allocations: None,
        void: None,
    }
}
