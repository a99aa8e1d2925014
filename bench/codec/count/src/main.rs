//! Instructions of the codec: they repeat where times do not.
//!
//! `./x bench codec --instructions [--accept]` counts each scenario, and fails when one takes over
//! 3 % more than `bench/results/codec-instructions.json` says. `./x bench codec --hostile
//! [--short]` counts each attack at growing sizes, and fails when one grows faster than its
//! input, costs too much a byte, takes too much memory or ends the program.
//!
//! The counter is valgrind's callgrind, on this very program: for each conversion it starts
//! itself anew with the words `scenario NAME` or `attack NAME SIZE`, and only what happens inside
//! `Codec::counted_call` counts.
//!
//! Not here: times (`tandem-bench-codec`), memory (`tandem-bench-peak`).

mod counter;
mod hostile;
mod regression;

use std::hint::black_box;
use std::process::ExitCode;

use tandem_bench_payload::call::Codec;
use tandem_bench_payload::{NODE, ORDER, hostile as attacks, scenario};
use tandem_transcode::{JsonOptions, Limits};

/// A fault that ends the program, as a sentence.
pub(crate) type Outcome<T> = Result<T, String>;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["--instructions"] => regression::run(false),
        ["--instructions", "--accept"] => regression::run(true),
        ["--hostile"] => hostile::run(false),
        ["--hostile", "--short"] => hostile::run(true),
        ["scenario", name] => call_scenario(name),
        ["attack", name, size] => call_attack(name, size),
        ["repeat", name, times] => repeat(name, times),
        _ => Err("usage: ./x bench codec --instructions [--accept] | --hostile [--short]".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

/// One conversion as it is on a warm path.
fn call_scenario(name: &str) -> Outcome<()> {
    let scenario = scenario::named(name).ok_or("no such scenario")?;
    let codec = Codec::new(ORDER, JsonOptions::default(), Limits::default());
    // The first call finds out what the processor can do, and touches the heap.
    let warm = codec.convert(scenario.direction, scenario.input());
    let counted = codec.counted_call(scenario.direction, scenario.input());
    (warm == counted).then_some(()).ok_or("two answers to one input")?;
    counted.map(drop).map_err(|fault| fault.to_string())
}

/// One conversion very often, for a profiler to look at: `perf record tandem-bench-count repeat
/// medium-in 100000`.
fn repeat(name: &str, times: &str) -> Outcome<()> {
    let scenario = scenario::named(name).ok_or("no such scenario")?;
    let codec = Codec::new(ORDER, JsonOptions::default(), Limits::default());
    for _ in 0..times.parse::<u32>().map_err(|_| "the times are no number")? {
        let input = black_box(scenario.input());
        black_box(codec.convert(scenario.direction, input)).map_err(|fault| fault.to_string())?;
    }
    Ok(())
}

/// One conversion, on a stack as small as a data thread's; says how it ended.
fn call_attack(name: &str, size: &str) -> Outcome<()> {
    let attack =
        attacks::all().into_iter().find(|attack| attack.name == name).ok_or("no such attack")?;
    let size = size.parse().map_err(|_| "the size is no number")?;
    let input = attack.input(size);
    let codec = Codec::new(NODE, attack.options, attack.limits);
    let output = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(2 << 20);
        let call = || codec.counted_call(attack.direction, &input);
        thread.spawn_scoped(scope, call).map(|thread| thread.join())
    })
    .map_err(|error| error.to_string())?
    .map_err(|_| "the conversion panicked")?;
    println!("{}", counter::Ending::line(input.len(), &output));
    Ok(())
}
