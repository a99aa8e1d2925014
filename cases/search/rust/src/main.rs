//! Search in Rust: full text over the catalogue's products, which it follows by gRPC.

mod follow;
mod index;
mod service;

use std::sync::Arc;

use case_service::start::{self, Options, Serving};
use clap::Parser;
use clap::error::ErrorKind;

#[allow(missing_docs, clippy::all, dead_code)]
mod protos {
    include!(concat!(env!("OUT_DIR"), "/protos.rs"));
}

use protos::tandem::cases::catalogue::v1 as catalogue;
use protos::tandem::cases::search::v1 as contract;

const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb"));
const SERVICE: &str = "tandem.cases.search.v1.Search";
const PROGRAM: &str = "search-rust";

/// Search: full text over the catalogue's products.
#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    options: Options,
    /// Follow the catalogue's changes through the gateway's internal listener.
    #[arg(long)]
    follow: bool,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let CommandLine { options, follow } = CommandLine::parse();
    let internal = match (follow, options.internal) {
        (true, None) => {
            use clap::CommandFactory as _;
            let what = "--follow needs --internal ADDR, the gateway's internal listener";
            CommandLine::command().error(ErrorKind::MissingRequiredArgument, what).exit();
        }
        (_, internal) => internal,
    };
    start::run(&options, async {
        let settings = case_service::settings::watch(
            &options,
            SERVICE,
            PROGRAM,
            Some(Box::new(service::bearable)),
        )?;
        let index = Arc::new(index::Index::open(&options.data)?);
        let (begin_stop, mut stopping) = start::stopping();
        let upstream = internal.map(follow::Upstream::new).transpose()?;
        if follow && let Some(upstream) = &upstream {
            let following = follow::follow(Arc::clone(&index), upstream.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = following => {}
                    () = stopping.begun() => {}
                }
            });
        }
        let service = service::Service::new(Arc::clone(&index), upstream.clone(), settings);
        let routes =
            tonic::service::Routes::new(contract::search_server::SearchServer::new(service));
        let serving = Serving {
            routes,
            admin: service::Administration::new(index),
            descriptors: DESCRIPTORS,
            service: SERVICE,
            program: PROGRAM,
            faces: Vec::new(),
            begin_stop,
        };
        start::serve(&options, serving).await
    })
}
