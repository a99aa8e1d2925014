//! The binary: command line and admin API.
//!
//! One file a command under `cli`. The daemon (`run`) puts the gateway and the admin listener on
//! one side runtime and drains on SIGTERM; `agent` is the other daemon, for `compare` from elsewhere.
//!
//! Not here: what a gateway does (`tandem-gateway`), what documents mean (`tandem-config`).

mod admin;
mod admit;
mod agent;
mod cli;
mod client;
mod compare;
mod compile;
mod discover;
mod documents;
mod draft;
mod failure;
mod files;
mod kept;
mod output;
mod page;
mod pairs;
mod people;
mod reload;
mod stored;
mod token;

use std::process::ExitCode;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    cli::main()
}
