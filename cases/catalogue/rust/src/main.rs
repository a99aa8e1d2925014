//! The catalogue in Rust: products on SQLite behind gRPC.

mod administration;
mod dataset;
mod filter;
mod mask;
mod migrate;
mod page;
mod records;
mod service;
mod store;
mod validate;
mod watch;

use std::sync::Arc;

use case_service::start::{self, Options};
use clap::Parser;

#[allow(missing_docs, clippy::all, dead_code)]
mod protos {
    include!(concat!(env!("OUT_DIR"), "/protos.rs"));
}

use protos::tandem::cases::catalogue::record::v1 as record;
use protos::tandem::cases::catalogue::v1 as contract;

const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb"));
const SERVICE: &str = "tandem.cases.catalogue.v1.Catalogue";

/// The catalogue: products on SQLite behind gRPC.
#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    options: Options,
    /// Take the time from the metadata `x-tandem-now` instead of the clock.
    #[arg(long)]
    test_clock: bool,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let CommandLine { options, test_clock } = CommandLine::parse();
    start::run(&options, async {
        let store = Arc::new(store::Store::open(&options.data, options.sync)?);
        let (begin_stop, stopping) = start::stopping();
        let service = service::Service::new(Arc::clone(&store), test_clock, stopping);
        let routes = tonic::service::Routes::new(
            contract::catalogue_server::CatalogueServer::new(service)
                .max_decoding_message_size(4 << 20),
        );
        let admin = administration::Administration::new(store);
        start::serve(&options, routes, admin, DESCRIPTORS, SERVICE, begin_stop).await
    })
}
