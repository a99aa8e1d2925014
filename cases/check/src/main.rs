//! Drives running implementations of a case, of whatever language, against a naive model and
//! against each other. It knows the contract and nothing else of them.
//!
//! ```text
//! case-check catalogue --golden DIR --side rust=PATH --side go=PATH [--ops N] [--seeds K] …
//! ```
//!
//! Not here: what goes through the gateway, which is the gateway's to test.

mod answers;
mod draw;
mod faces;
mod figures;
mod filter;
mod kills;
mod model;
mod pages;
mod random;
mod side;
mod states;
mod words;

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;

use side::Program;

#[allow(missing_docs, clippy::all, dead_code)]
mod protos {
    include!(concat!(env!("OUT_DIR"), "/protos.rs"));
}

use protos::google;
use protos::tandem::cases::admin::v1 as admin;
use protos::tandem::cases::catalogue::record::v1 as record;
use protos::tandem::cases::catalogue::v1 as contract;
use protos::tandem::runtime::v1 as runtime;

/// Whatever ends a check: an answer that is wrong, a process that does not start.
type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Drives running implementations of a case against a model, and against each other.
#[derive(Debug, Parser)]
struct CommandLine {
    /// The case.
    #[arg(value_parser = ["catalogue"])]
    case: String,
    /// An implementation: its name and its program. More than one are compared.
    #[arg(long, value_parser = program, required = true)]
    side: Vec<Program>,
    /// Random calls in all.
    #[arg(long, default_value_t = 6_000)]
    ops: usize,
    /// Seeds that share them.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// The first seed; the others follow it.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// How often each implementation is killed under load.
    #[arg(long, default_value_t = 5)]
    kills: u32,
    /// The folder of the golden files.
    #[arg(long)]
    golden: std::path::PathBuf,
    /// Write the golden files in the place of comparing with them.
    #[arg(long)]
    write: bool,
}

fn program(text: &str) -> Result<Program, String> {
    let (name, path) = text.split_once('=').ok_or("wants NAME=PATH")?;
    Ok(Program { name: name.into(), path: path.into() })
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments = CommandLine::parse();
    match check(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("error: {fault}");
            ExitCode::FAILURE
        }
    }
}

async fn check(arguments: &CommandLine) -> Result<(), Fault> {
    let CommandLine { case: _, side, ops, seeds, first, kills, golden, write } = arguments;
    let names: Vec<&str> = side.iter().map(|program| program.name.as_str()).collect();
    println!("  sides      {}", names.join(", "));
    let began = Instant::now();
    let done = |what: &str, told: String| {
        println!("  {what:<10} {told}   {:.1} s", began.elapsed().as_secs_f64());
    };
    done("states", states::run(side, golden, *write).await?);
    done("figures", figures::run(side).await?);
    done("faces", faces::run(side, golden, *write).await?);
    for seed in *first..first + seeds {
        let calls = ops / usize::try_from(*seeds)?.max(1);
        let counts = random::run(side, seed, calls).await?;
        let random::Counts { calls, refused, products } = counts;
        done(
            "random",
            format!(
                "seed {seed}: {calls} calls, {refused} refused, {products} products, all as the model"
            ),
        );
    }
    done("pages", pages::run(side).await?);
    done("stops", kills::stops(side).await?);
    done("kills", kills::run(side, *kills).await?);
    Ok(())
}
