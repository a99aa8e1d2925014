//! Whom a command calls: one address, found out to speak h2c or TLS (experience UX-12).

use std::time::Duration;

use clap::Args;
use tandem_config::Tnd;
use tandem_contract::Contract;
use tandem_gateway::upstream::Upstream;
use tandem_gateway::upstream::direct::DirectError;
use tandem_gateway::upstream::reflection::{self, ReflectionError};

use crate::discover::{self, Trust, TrustArguments};
use crate::failure::{Exit, Failure};

/// A server that is called directly.
#[derive(Debug, Args)]
pub(super) struct ServerArguments {
    /// A gateway whose listener offers reflection, or a service: HOST:PORT.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080", env = "TANDEM_SERVER")]
    pub(super) server: String,
    #[command(flatten)]
    pub(super) trust: TrustArguments,
}

impl ServerArguments {
    /// The server, as it is to be called.
    pub(super) async fn reach(&self, timeout: Duration) -> Result<Upstream, Failure> {
        reach(&self.server, &self.trust.read()?, timeout).await
    }
}

/// The server at `HOST:PORT`, as it is to be called.
pub(super) async fn reach(
    server: &str,
    trust: &Trust,
    timeout: Duration,
) -> Result<Upstream, Failure> {
    let address = discover::address_of(server).map_err(|(why, fix)| {
        Failure::new(Exit::Usage, format!("`{server}` is no address"))
            .coded(Tnd::WrongAddress)
            .because(why)
            .fix(fix)
    })?;
    let (_, upstream) = discover::reach("server", &address, trust, timeout).await?;
    Ok(upstream)
}

/// The contract of the server at `HOST:PORT`, by reflection.
pub(super) async fn contract_at(server: &str, timeout: Duration) -> Result<Contract, Failure> {
    let upstream = reach(server, &Trust::default(), timeout).await?;
    contract_of(&upstream, server).await
}

/// The contract of `upstream`, which people call `server`, by reflection.
pub(super) async fn contract_of(upstream: &Upstream, server: &str) -> Result<Contract, Failure> {
    let reflected = reflection::fetch(upstream).await.map_err(|error| match &error {
        ReflectionError::Unreachable { .. } => {
            Failure::new(Exit::Unreachable, format!("{server} cannot be reached"))
                .coded(Tnd::Unreachable)
                .because(error.to_string())
                .fix("name a running gateway or service with `--server ADDR`")
        }
        ReflectionError::NotOffered { .. } | ReflectionError::Unusable { .. } => {
            Failure::new(Exit::Failed, format!("{server} does not say what it serves"))
                .coded(Tnd::NoReflection)
                .because(error.to_string())
                .fix("offer reflection on that listener: `offer: { reflection: true }`")
        }
    })?;
    Contract::from_file_descriptors(&reflected.files).map_err(|faults| {
        Failure::new(Exit::Failed, "the contract cannot be used")
            .coded(Tnd::ContractUnusable)
            .because(faults.to_string())
    })
}

/// A call that got no answer.
pub(super) fn unanswered(error: &DirectError) -> Failure {
    Failure::new(Exit::Unreachable, format!("{} cannot be reached", error.address))
        .coded(Tnd::Unreachable)
        .because(error.to_string())
        .fix("name a running gateway or service with `--server ADDR`")
}
