//! What every measurement through the gateway needs: the orders, a backend, a folder, a loop.

use std::path::{Path, PathBuf};

use serde_json::Map;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

use crate::backend::Backend;
use crate::orders::{self, Orders};
use crate::peer::{Peer, Speaks, Target};
use crate::process::{Folder, Outcome, stay_on_load_core};
use crate::round::{Length, Scenario};
use crate::{bar, report, round};

pub(crate) struct Bench {
    pub(crate) root: PathBuf,
    pub(crate) orders: Orders,
    pub(crate) backend: Backend,
    folder: Folder,
    runtime: Runtime,
    local: LocalSet,
}

impl Bench {
    /// To be made before there is any thread.
    pub(crate) fn new() -> Outcome<Bench> {
        stay_on_load_core()?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
        let folder = Folder::new()?;
        orders::write_descriptors(&root, &folder.0.join("orders.binpb"))?;
        let orders = Orders::new();
        let backend = Backend::start(&orders)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Bench { root, orders, backend, folder, runtime, local: LocalSet::new() })
    }

    pub(crate) fn target(&self, peer: Peer, speaks: Speaks) -> Outcome<Target> {
        Target::start(peer, speaks, &self.root, &self.folder, self.backend.address)
    }

    pub(crate) fn targets(&self, peers: &[(Peer, Speaks)]) -> Outcome<Vec<(Speaks, Target)>> {
        peers.iter().map(|(peer, speaks)| Ok((*speaks, self.target(*peer, *speaks)?))).collect()
    }

    /// Everything from the versions to the file, for what consists of rounds and no more.
    pub(crate) fn measure(
        &self,
        name: &str,
        quick: bool,
        length: Length,
        peers: &[(Peer, Speaks)],
        scenarios: &[Scenario],
    ) -> Outcome<()> {
        let surroundings = report::surroundings(&self.root, peers);
        report::print_surroundings(&surroundings);
        let targets = self.targets(peers)?;
        let samples = self.wait(round::run(&targets, scenarios, length))?;
        let ratios = round::ratios(scenarios, &samples);
        report::print(scenarios, &samples, &ratios);
        bar::print(&ratios);
        let results = report::results(length, scenarios, &samples, &ratios);
        report::write(&self.root, name, quick, [surroundings, results, Map::new()])
    }

    /// Carries out what calls.
    pub(crate) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.local.block_on(&self.runtime, work)
    }
}
