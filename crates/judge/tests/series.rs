//! Whole series through floor, intervals and rows: false alarms and power (compare T-4, T-5).

#![expect(clippy::print_stdout, reason = "a test says its seed and what it found")]

mod simulated;

use std::io::Read as _;

use simulated::{Model, quartets};
use tandem_judge::cost::{
    Metric, Quartet, Side, floor, idle_at_one_rate, measure, series_of_text, slope,
};
use tandem_judge::stats::draws::Draws;
use tandem_judge::verdict::{Cell, CellInput, cells};

/// What the headline rows of a window say, with a floor from an A/A run of twelve quartets.
fn judged(window: &[Quartet], aa: &[Quartet], metrics: &[Metric], draws: &mut Draws) -> Vec<Cell> {
    let inputs: Vec<CellInput> = metrics
        .iter()
        .map(|metric| {
            let found = measure(window, *metric, draws).unwrap_or_else(|| panic!("{metric:?}"));
            let floor = floor(aa, *metric, draws).map_or(0.0, |floor| floor.log);
            CellInput {
                id: metric.id().into(),
                ratio: found.ratio,
                interval: found.interval,
                p: found.p,
                quartets: found.quartets,
                smaller_is_better: metric.smaller_is_better(),
                margin: if *metric == Metric::Cpu { 0.03 } else { 0.1 },
                floor,
                headline: true,
                counts: true,
            }
        })
        .collect();
    cells(&inputs).into_iter().map(|row| row.cell).collect()
}

#[test]
fn compare_t_4_two_processes_of_one_build_are_told_apart_in_at_most_five_percent_of_windows() {
    const SEED: u64 = 4;
    let mut draws = Draws::new(SEED);
    let series = quartets(&Model::equal(), 600, &mut draws);
    let metrics = [Metric::Cpu, Metric::Throughput, Metric::P99];
    let mut alarms = [0; 3];
    for _ in 0..100 {
        let window = |draws: &mut Draws| {
            let start = draws.below(series.len() - 12);
            &series[start..start + 12]
        };
        let (seen, aa) = (window(&mut draws), window(&mut draws));
        let cells = judged(seen, aa, &metrics, &mut draws);
        for (alarm, cell) in alarms.iter_mut().zip(cells) {
            *alarm += u32::from(matches!(cell, Cell::Better | Cell::Worse));
        }
    }
    println!("seed {SEED}: false alarms of cpu, throughput, p99: {alarms:?} of 100");
    assert!(alarms.iter().all(|alarm| *alarm <= 5), "seed {SEED}: {alarms:?}");
}

/// One binary against itself, as `tandem compare` measured it on two shared cores of a virtual machine
/// while three others built on them (load 6 to 11, a third of the CPU theirs): the 600 quartets that
/// counted, of 623 that were sent. From the `series.csv` of
/// `compare Catalogue/GetProduct --primary one=exec:… --candidate other=exec:… --stateful
/// cases/catalogue/fill.sh --data plan:cases/catalogue/load.yaml --seed 600 --rate 300 --block 500ms
/// --quartets 600 --restarts 6 --budget 50m`, both sides the catalogue in Rust.
fn recorded() -> Vec<Quartet> {
    let packed = include_bytes!("recorded/one-binary.csv.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).expect("it was packed so");
    series_of_text(&text).expect("it was written so")
}

#[test]
fn compare_t_5_windows_of_a_recorded_run_of_one_binary_are_told_apart_in_at_most_five_percent() {
    const SEED: u64 = 600;
    let mut draws = Draws::new(SEED);
    let series: Vec<Quartet> = recorded().into_iter().filter(Quartet::is_valid).collect();
    assert!(series.len() == 600, "{}", series.len());
    let metrics = [Metric::Cpu, Metric::P99, Metric::PeakMemory];
    let (mut alarms, mut called) = ([0; 3], 0);
    for _ in 0..100 {
        let window = |draws: &mut Draws| {
            let start = draws.below(series.len() - 11);
            &series[start..start + 12]
        };
        let (seen, aa) = (window(&mut draws), window(&mut draws));
        let cells = judged(seen, aa, &metrics, &mut draws);
        let is_alarm = |cell: &Cell| matches!(cell, Cell::Better | Cell::Worse);
        called += u32::from(cells.iter().any(is_alarm));
        for (alarm, cell) in alarms.iter_mut().zip(&cells) {
            *alarm += u32::from(is_alarm(cell));
        }
    }
    println!("seed {SEED}: {called} of 100 windows; of cpu, p99, peak memory: {alarms:?}");
    assert!(called <= 5, "seed {SEED}: {called} windows, {alarms:?}");
}

#[test]
fn compare_t_5_ten_percent_more_cpu_is_found_within_thirty_quartets() {
    const SEED: u64 = 5;
    let dearer = Model { cpu_us: [50.0, 55.0], ..Model::equal() };
    let mut needed = Vec::new();
    for seed in SEED * 100..SEED * 100 + 40 {
        let mut draws = Draws::new(seed);
        let series = quartets(&dearer, 30, &mut draws);
        let aa = quartets(&Model::equal(), 12, &mut draws);
        let found = (12..=30).find(|count| {
            judged(&series[..*count], &aa, &[Metric::Cpu], &mut draws) == [Cell::Worse]
        });
        assert!(found.is_some(), "seed {seed}");
        needed.extend(found);
    }
    needed.sort_unstable();
    println!("seeds {}…: quartets needed: median {}, most {}", SEED * 100, needed[20], needed[39]);
}

#[test]
fn a_percentile_that_is_a_third_higher_is_found_and_one_quartet_that_is_void_is_left_out() {
    const SEED: u64 = 6;
    let mut draws = Draws::new(SEED);
    let slower = Model { latency_us: [700.0, 930.0], ..Model::equal() };
    let mut series = quartets(&slower, 31, &mut draws);
    series[7].blocks[0].void = Some(tandem_judge::cost::Void::Steal);
    let aa = quartets(&Model::equal(), 12, &mut draws);
    assert_eq!(judged(&series, &aa, &[Metric::P99], &mut draws), [Cell::Worse], "seed {SEED}");
    assert_eq!(measure(&series, Metric::P99, &mut draws).map(|found| found.quartets), Some(30));
    let few = measure(&series[..11], Metric::Cpu, &mut draws).map(|found| found.interval);
    assert_eq!(few, Some(None), "eleven quartets have no interval");
}

#[test]
fn compare_a_11_idle_and_marginal_cpu_are_told_apart() {
    const SEED: u64 = 9;
    let mut draws = Draws::new(SEED);
    let mut series = Vec::new();
    for rate in [1_000.0, 2_000.0, 3_000.0, 4_000.0] {
        let model = Model { rate, drift: 0.0, ..Model::equal() };
        let mut quartets = quartets(&model, 12, &mut draws);
        for block in quartets.iter_mut().flat_map(|quartet| &mut quartet.blocks) {
            // The candidate burns a twentieth of a core whatever it is asked.
            if block.side == Side::Candidate {
                block.cpu_s = block.cpu_s.map(|cpu| cpu + 0.05 * block.seconds);
            } else {
                block.idle_cpu_s = Some(0.05 * block.seconds);
            }
        }
        series.extend(quartets);
    }
    let found = slope(&series, Side::Candidate, &mut draws).unwrap_or_else(|| panic!("four rates"));
    println!("seed {SEED}: {found:?}");
    assert!((found.marginal / 50e-6 - 1.0).abs() < 0.05, "seed {SEED}: {found:?}");
    assert!((found.idle - 0.05).abs() < 0.01, "seed {SEED}: {found:?}");
    assert!(found.interval.0 < 50e-6 && 50e-6 < found.interval.1, "seed {SEED}: {found:?}");
    assert_eq!(slope(&series[..24], Side::Candidate, &mut draws), None, "two rates are no line");
    let one = idle_at_one_rate(&series[..12], Side::Candidate).unwrap_or(0.0);
    assert!((one / 50e-6 - 1.0).abs() < 0.05, "{one}");
}
