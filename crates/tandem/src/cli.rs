//! The command line: what there is, and which file does it.
//!
//! Data goes to stdout, talk to stderr; with `--json` both are objects. Exit codes are those of
//! `failure::Exit`; a wrong command line is 2.

mod agent;
mod ask;
mod audit;
mod call;
mod change;
mod check;
mod compare;
mod completions;
mod config;
mod context;
mod contract;
mod corpus;
mod describe;
mod help;
mod init;
mod ls;
mod manage;
mod open;
mod pairs;
mod reload;
mod run;
mod settings;
mod sides;
mod status;
mod store;
mod target;
mod trace;
mod version;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use tandem_config::Tnd;
use tandem_config::document::units::parse_listen_address;

pub(crate) use self::call::find as find_method;
pub(crate) use self::contract::from_file as contract_from_file;
use crate::client::Admin;
use crate::compile;
use crate::failure::{Exit, Failure};
use crate::output::{self, Form};

/// Runs the Rust and the Go services of one backend behind one contract.
#[derive(Debug, Parser)]
#[command(
    name = "tandem",
    version,
    after_help = "Examples:\n  tandem init --from rust=127.0.0.1:50051 --from go=127.0.0.1:50052\n  \
                  tandem run\n  tandem run --upstream go=127.0.0.1:50051\n\n\
                  Exit codes: tandem help exit-codes",
    disable_help_subcommand = true
)]
struct CommandLine {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Args)]
struct Common {
    /// Print objects for machines.
    #[arg(long, global = true, help_heading = "Everywhere")]
    json: bool,
    /// Time for an answer, in seconds.
    #[arg(long, global = true, help_heading = "Everywhere", default_value_t = 10, value_name = "SECONDS",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// When to colour: `auto` looks at the terminal, NO_COLOR and CLICOLOR_FORCE.
    #[arg(long, global = true, help_heading = "Everywhere", value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    color: Colour,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Colour {
    Auto,
    Always,
    Never,
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
    /// Asks services what they serve, and writes the files to run them by.
    Init(init::Arguments),
    /// Checks the files of the platform and of the teams; changes nothing.
    Check(check::Arguments),
    /// Reads and changes the settings of a service.
    #[command(subcommand)]
    Settings(settings::Settings),
    /// Shows what files say otherwise than what is live.
    Diff(change::Diff),
    /// Checks files on the gateway and makes them live.
    Apply(change::Apply),
    /// Makes a draft live.
    Publish(change::Publish),
    /// Lists versions, the newest first.
    History(change::History),
    /// Prints a version as its author wrote it.
    Show(change::Show),
    /// Makes an older version live again.
    Rollback(change::Rollback),
    /// Says what the live pairs of a method show, and what is open.
    Verdict(pairs::VerdictArguments),
    /// Shows where the answers of a method's live pairs differ.
    Diffs(pairs::Diffs),
    /// Differences of live pairs that mean nothing.
    #[command(subcommand)]
    Noise(pairs::Noise),
    /// Makes, lists and shows namespaces.
    #[command(subcommand, name = "ns")]
    Namespaces(manage::Namespaces),
    /// Who holds which role in a namespace.
    #[command(subcommand)]
    Member(manage::Members),
    /// The API keys of callers.
    #[command(subcommand)]
    Key(manage::Keys),
    /// The tokens of the admin API.
    #[command(subcommand)]
    Token(manage::Tokens),
    /// The secrets of a namespace.
    #[command(subcommand)]
    Secret(manage::Secrets),
    /// What is kept of answers.
    #[command(subcommand)]
    Cache(manage::Caches),
    /// Who did what; whether the log is whole.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Dumps, fills and checks the store of a gateway that has stopped.
    #[command(subcommand)]
    Store(store::Stores),
    /// Which gateway commands ask.
    #[command(subcommand)]
    Context(context::Contexts),
    /// Prints a link to the page that signs in once.
    Open(open::Arguments),
    /// Lists what a running gateway serves, a line a method.
    Ls(ls::Arguments),
    /// Shows a service, a method or a message as the contract has it.
    Describe(describe::Arguments),
    /// Calls a method through a gateway, or services directly, by reflection.
    Call(call::Arguments),
    /// Measures two implementations of the same methods against each other.
    Compare(Box<compare::Arguments>),
    /// Looks into files of recorded calls, and makes smaller ones.
    #[command(subcommand)]
    Corpus(corpus::Corpora),
    /// Reads what services here use, for a `compare` on another machine, until SIGTERM.
    Agent(agent::Arguments),
    /// Shows what holds and where it comes from; what may be written.
    #[command(subcommand)]
    Config(config::Configs),
    /// Compares what services promise.
    #[command(subcommand)]
    Contract(contract::Contracts),
    /// Lets a running gateway read its files again; with a fault in them the old ones go on.
    Reload(reload::Arguments),
    /// Shows what a running gateway does.
    Status(status::Arguments),
    /// Shows the way of a call as a tree.
    Trace(trace::Arguments),
    /// Prints the script by which a shell completes commands and flags.
    Completions(completions::Arguments),
    /// Names methods for the script of `completions`.
    #[command(hide = true)]
    CompleteMethods(completions::Methods),
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

/// Where a running gateway's admin API is: a flag or the environment, else the context, else this
/// machine.
#[derive(Debug, Args)]
struct AdminArguments {
    /// The admin listener; 127.0.0.1:9080 unless the context names another.
    #[arg(long, env = "TANDEM_ADMIN", value_name = "ADDR")]
    admin: Option<SocketAddr>,
    /// The file of its token; data/admin.token unless the context names another.
    #[arg(long, env = "TANDEM_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The context, in the place of the one in use.
    #[arg(long, env = "TANDEM_CONTEXT", value_name = "NAME")]
    context: Option<String>,
}

impl AdminArguments {
    /// # Errors
    /// A context that is not there, or a file of contexts that cannot be read.
    fn client(&self, timeout: Duration) -> Result<Admin, Failure> {
        let context = match (&self.admin, &self.token_file) {
            (Some(_), Some(_)) => None,
            _ => context::in_use(self.context.as_deref())?,
        };
        let address = self.admin.or(context.as_ref().and_then(|context| context.admin));
        let of_context = context.and_then(|context| context.token_file);
        let file = self.token_file.clone().or(of_context);
        let file = file.unwrap_or_else(|| PathBuf::from("data/admin.token"));
        Ok(Admin {
            address: address.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 9080))),
            token: std::fs::read_to_string(file).ok().map(|token| token.trim().to_owned()),
            timeout,
        })
    }
}

pub(crate) fn main() -> ExitCode {
    let CommandLine { common, command } = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => return ExitCode::from(not_parsed(&error) as u8),
    };
    output::colour(match common.color {
        Colour::Auto => anstream::ColorChoice::Auto,
        Colour::Always => anstream::ColorChoice::Always,
        Colour::Never => anstream::ColorChoice::Never,
    });
    let form = common.form();
    let Some(command) = command else {
        output::data(help::FIRST_DAY);
        return ExitCode::from(Exit::Fine as u8);
    };
    let outcome = match command {
        Command::Run(arguments) => run::run(&arguments, form, common.timeout()),
        Command::Init(arguments) => init::init(&arguments, form, common.timeout()),
        Command::Check(arguments) => check::check(&arguments, form),
        Command::Settings(command) => {
            on_a_loop(settings::settings(command, form, common.timeout()))
        }
        Command::Diff(arguments) => on_a_loop(change::diff(arguments, form, common.timeout())),
        Command::Apply(arguments) => on_a_loop(change::apply(arguments, form, common.timeout())),
        Command::Publish(arguments) => {
            on_a_loop(change::publish(arguments, form, common.timeout()))
        }
        Command::History(arguments) => {
            on_a_loop(change::history(arguments, form, common.timeout()))
        }
        Command::Show(arguments) => on_a_loop(change::show(arguments, form, common.timeout())),
        Command::Rollback(arguments) => {
            on_a_loop(change::rollback(arguments, form, common.timeout()))
        }
        Command::Verdict(arguments) => on_a_loop(pairs::verdict(arguments, form, common.timeout())),
        Command::Diffs(arguments) => on_a_loop(pairs::diffs(arguments, form, common.timeout())),
        Command::Noise(command) => on_a_loop(pairs::noise(command, form, common.timeout())),
        Command::Namespaces(command) => {
            on_a_loop(manage::namespaces(command, form, common.timeout()))
        }
        Command::Member(command) => on_a_loop(manage::members(command, form, common.timeout())),
        Command::Key(command) => on_a_loop(manage::keys(command, form, common.timeout())),
        Command::Token(command) => on_a_loop(manage::tokens(command, form, common.timeout())),
        Command::Secret(command) => on_a_loop(manage::secrets(command, form, common.timeout())),
        Command::Cache(command) => on_a_loop(manage::caches(command, form, common.timeout())),
        Command::Audit(command) => on_a_loop(audit::audit(command, form, common.timeout())),
        Command::Store(command) => store::store(command, form),
        Command::Context(command) => context::context(command, form),
        Command::Open(arguments) => on_a_loop(open::open(arguments, form, common.timeout())),
        Command::Ls(arguments) => on_a_loop(ls::ls(arguments, form, common.timeout())),
        Command::Describe(arguments) => {
            on_a_loop(describe::describe(arguments, form, common.timeout()))
        }
        Command::Call(arguments) => on_a_loop(call::call(arguments, form, common.timeout())),
        Command::Compare(arguments) => compare::compare(*arguments, form, common.timeout()),
        Command::Corpus(command) => corpus::corpora(command, form, common.timeout()),
        Command::Agent(arguments) => agent::agent(&arguments, form),
        Command::Config(configs) => config::config(&configs, form),
        Command::Reload(arguments) => on_a_loop(reload::reload(arguments, form, common.timeout())),
        Command::Status(arguments) => on_a_loop(status::status(arguments, form, common.timeout())),
        Command::Trace(arguments) => on_a_loop(trace::trace(arguments, form, common.timeout())),
        Command::Contract(contracts) => contract::contract(contracts, form, common.timeout()),
        Command::CompileProtos { workplace } => return compile::child(workplace.as_deref()),
        Command::Completions(arguments) => completions::completions(&arguments),
        Command::CompleteMethods(arguments) => {
            on_a_loop(completions::methods(arguments, common.timeout()))
        }
        Command::Version => version::version(form),
        Command::Help(arguments) => help::help(&arguments, form),
    };
    let exit = match outcome {
        Ok(exit) => exit,
        Err(failure) => {
            say(&failure, form);
            failure.exit
        }
    };
    ExitCode::from(exit as u8)
}

/// A command line that is no command: told as any failure where machines read.
fn not_parsed(error: &clap::Error) -> Exit {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if asked || !std::env::args_os().any(|word| word == "--json") {
        // A reader that has gone away is no fault.
        let _ = error.print();
    } else {
        let told = error.render().to_string();
        let mut parts = told.trim_start_matches("error: ").split("\n\n");
        let what = parts.next().unwrap_or_default().trim();
        say(&Failure::new(Exit::Usage, what).fix("tandem help COMMAND"), Form::Json);
    }
    if asked { Exit::Fine } else { Exit::Usage }
}

fn say(failure: &Failure, form: Form) {
    match form {
        Form::Text => output::talk(&failure.text()),
        Form::Json => output::talk(&failure.json()),
    }
}

/// Says all of them; the exit code is that of the first.
fn say_all(failures: &[Failure], form: Form) -> Exit {
    for failure in failures {
        say(failure, form);
    }
    failures.first().map_or(Exit::Fine, |failure| failure.exit)
}

/// An address to listen on that `flag` gave.
fn address_of_listener(flag: &str, text: &str) -> Result<SocketAddr, Failure> {
    parse_listen_address(text).map_err(|fault| {
        Failure::new(Exit::Usage, format!("`{text}` is no address to listen on"))
            .coded(Tnd::WrongAddress)
            .at(flag)
            .because(fault.wrong)
            .fix(fault.right)
    })
}

/// Rows in columns, the last of which may be any length.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |text: &str| text.chars().count();
    let mut widest = [0; N];
    for row in rows {
        for (most, cell) in widest.iter_mut().zip(row) {
            *most = width(cell).max(*most);
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::from("  ");
        for (most, cell) in widest.iter().zip(row) {
            line.push_str(&plain(cell));
            line.push_str(&" ".repeat(most.saturating_sub(width(cell)) + 3));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Names, paths and answers are a stranger's text: it moves no cursor.
fn plain(text: &str) -> String {
    text.chars()
        .flat_map(|letter| match letter.is_control() {
            true => letter.escape_default().collect::<Vec<_>>(),
            false => vec![letter],
        })
        .collect()
}

/// Runs a command that talks to somebody.
fn on_a_loop<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
            Failure::new(Exit::Failed, "no loop can be made").because(error.to_string())
        })?;
    runtime.block_on(command)
}
