//! The command line: what there is, and which file does it.
//!
//! Data goes to stdout, talk to stderr; with `--json` both are objects. Exit codes are those of
//! `failure::Exit`; a wrong command line is 2.

mod call;
mod check;
mod contract;
mod help;
mod reload;
mod run;
mod status;
mod trace;
mod version;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::client::Admin;
use crate::compile;
use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

/// Runs the Rust and the Go services of one backend behind one contract.
#[derive(Debug, Parser)]
#[command(
    name = "tandem",
    version,
    arg_required_else_help = true,
    after_help = "Examples:\n  tandem check tandem.yaml\n  tandem run --config tandem.yaml\n\n\
                  Exit codes: tandem help exit-codes",
    disable_help_subcommand = true
)]
struct CommandLine {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Common {
    /// Print objects for machines.
    #[arg(long, global = true)]
    json: bool,
    /// Time for an answer, in seconds.
    #[arg(long, global = true, default_value_t = 10, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
}

impl Common {
    fn form(&self) -> Form {
        if self.json { Form::Json } else { Form::Text }
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the gateway until SIGTERM, then drains.
    Run(run::Arguments),
    /// Checks the files of the platform and of the teams; changes nothing.
    Check(check::Arguments),
    /// Calls a method through a gateway, or a service directly, by reflection.
    Call(call::Arguments),
    /// Compares what services promise.
    #[command(subcommand)]
    Contract(contract::Contracts),
    /// Lets a running gateway read its files again; with a fault in them the old ones go on.
    Reload(reload::Arguments),
    /// Shows what a running gateway does.
    Status(status::Arguments),
    /// Shows the way of a call as a tree.
    Trace(trace::Arguments),
    /// Says what this binary is.
    Version,
    /// Compiles .proto text from stdin under limits; started by this program only.
    #[command(name = compile::COMMAND, hide = true)]
    CompileProtos {
        /// The folder of the files, for programs that read files.
        workplace: Option<PathBuf>,
    },
    /// Explains a topic or a code: `tandem help exit-codes`, `tandem help TND0101`.
    Help(help::Arguments),
}

/// Where a running gateway's admin API is.
#[derive(Debug, Args)]
struct AdminArguments {
    /// The admin listener.
    #[arg(long, default_value = "127.0.0.1:9080", env = "TANDEM_ADMIN")]
    admin: SocketAddr,
    /// The file of its token.
    #[arg(long, default_value = "data/admin.token", env = "TANDEM_TOKEN_FILE")]
    token_file: PathBuf,
}

impl AdminArguments {
    fn client(&self, timeout: Duration) -> Admin {
        let token = std::fs::read_to_string(&self.token_file).ok();
        Admin { address: self.admin, token: token.map(|token| token.trim().to_owned()), timeout }
    }
}

pub(crate) fn main() -> ExitCode {
    let CommandLine { common, command } = CommandLine::parse();
    let form = common.form();
    let outcome = match command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Check(arguments) => check::check(&arguments, form),
        Command::Call(arguments) => on_a_loop(call::call(arguments, form, common.timeout())),
        Command::Reload(arguments) => on_a_loop(reload::reload(arguments, form, common.timeout())),
        Command::Status(arguments) => on_a_loop(status::status(arguments, form, common.timeout())),
        Command::Trace(arguments) => on_a_loop(trace::trace(arguments, form, common.timeout())),
        Command::Contract(contracts) => contract::contract(contracts, form, common.timeout()),
        Command::CompileProtos { workplace } => return compile::child(workplace.as_deref()),
        Command::Version => version::version(form),
        Command::Help(arguments) => help::help(&arguments),
    };
    let exit = match outcome {
        Ok(exit) => exit,
        Err(failure) => {
            match form {
                Form::Text => output::talk(&failure.text()),
                Form::Json => output::talk(&failure.json()),
            }
            failure.exit
        }
    };
    ExitCode::from(exit as u8)
}

/// Runs a command that talks to somebody.
fn on_a_loop<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
            Failure::new(Exit::Failed, "no loop can be made").because(error.to_string())
        })?;
    runtime.block_on(command)
}
