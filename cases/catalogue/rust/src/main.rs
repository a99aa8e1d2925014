//! The catalogue in Rust: products on SQLite behind gRPC.

mod administration;
mod dataset;
mod filter;
mod json;
mod mask;
mod migrate;
mod page;
mod records;
mod rest;
mod service;
mod store;
mod team;
mod validate;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;

use case_service::start::{self, Options, Serving};
use clap::Parser;

#[allow(missing_docs, clippy::all, dead_code)]
mod protos {
    include!(concat!(env!("OUT_DIR"), "/protos.rs"));
}

use protos::tandem::cases::catalogue::record::v1 as record;
use protos::tandem::cases::catalogue::v1 as contract;

const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb"));
const SERVICE: &str = "tandem.cases.catalogue.v1.Catalogue";
const PROGRAM: &str = "catalogue-rust";

/// The catalogue: products on SQLite behind gRPC.
#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    options: Options,
    /// Where the plain REST face listens, if it is wanted; port 0 takes a free one.
    #[arg(long)]
    rest: Option<SocketAddr>,
    /// Take the time from the metadata `x-tandem-now` instead of the clock.
    #[arg(long)]
    test_clock: bool,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let CommandLine { options, rest, test_clock } = CommandLine::parse();
    start::run(&options, async {
        let store = Arc::new(store::Store::open(&options.data, options.sync)?);
        let (begin_stop, stopping) = start::stopping();
        let settings = case_service::settings::watch(
            &options,
            SERVICE,
            PROGRAM,
            Some(Box::new(team::bearable)),
        )?;
        let team = team::Team::new(settings);
        let service = service::Service::new(Arc::clone(&store), test_clock, stopping.clone(), team);
        let face = rest::Face::bind(rest, service.clone(), options.workers)?;
        let routes = tonic::service::Routes::new(
            contract::catalogue_server::CatalogueServer::new(service)
                .max_decoding_message_size(4 << 20),
        );
        let serving = Serving {
            routes,
            admin: administration::Administration::new(store),
            descriptors: DESCRIPTORS,
            service: SERVICE,
            program: PROGRAM,
            faces: face.address().map(|address| ("rest", address)).into_iter().collect(),
            begin_stop,
        };
        let face = async { face.serve(stopping).await.map_err(Into::into) };
        tokio::try_join!(start::serve(&options, serving), face).map(drop)
    })
}
