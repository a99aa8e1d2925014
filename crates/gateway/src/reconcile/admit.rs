//! Contracts that services tell, judged before anything of them serves.
//!
//! What a document claims is judged when it is published. A service that tells another contract
//! claims more by the same document: paths, methods, whole services (security T-1). Whoever knows
//! what is granted and what others claim is asked each time, and a contract that he refuses is as
//! good as none: what was good last goes on.
//!
//! Not here: the judgement itself, which rests on documents and a store (the binary).

use std::fmt;
use std::sync::Arc;

use tandem_config::Namespace;
use tandem_contract::Contract;

use super::{ContractState, KEPT, Reconciler, known};

/// Says whether a contract that a service tells may serve.
pub trait AdmitContracts: Send + Sync {
    /// Judges `contract` as it would be judged if the document of `namespace` were published with
    /// it, and runs `take` once, at most, while nothing can move that the judgement rests on.
    /// Blocks; called where that holds nobody up.
    ///
    /// # Errors
    /// Why it is not taken; with what `take` said, if that failed.
    fn admit(
        &self,
        namespace: &Namespace,
        contract: &Arc<Contract>,
        take: &mut dyn FnMut() -> Result<(), String>,
    ) -> Result<(), NotTaken>;
}

/// Why a contract is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotTaken {
    /// By what it says: the contract, the document or what others claim must change first.
    Refused(String),
    /// It was not told, waits for its team's word, could not be judged or not be put in place.
    Failed(String),
}

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotTaken::Refused(why) | NotTaken::Failed(why) => f.write_str(why),
        }
    }
}

impl Reconciler {
    /// Serves a contract that came, if it is admitted.
    pub(super) async fn accept(
        self: &Arc<Self>,
        generation: u64,
        namespace: &Namespace,
        contract: &Arc<Contract>,
        how: String,
    ) -> Result<(), NotTaken> {
        let (this, namespace, contract) =
            (Arc::clone(self), namespace.clone(), Arc::clone(contract));
        let judged = tokio::task::spawn_blocking(move || {
            let mut take = || this.take(generation, &namespace, &contract, &how);
            this.admit.admit(&namespace, &contract, &mut take)
        });
        judged.await.unwrap_or_else(|error| Err(NotTaken::Failed(error.to_string())))
    }

    fn take(
        &self,
        generation: u64,
        namespace: &Namespace,
        contract: &Arc<Contract>,
        how: &str,
    ) -> Result<(), String> {
        // Compiled before the lock is taken: it may take a while.
        let state = ContractState::Known(known(namespace, contract, how.to_owned(), &[]));
        let mut wanted = self.wanted();
        if wanted.generation != generation {
            // Other documents have come; whoever serves them asks for himself.
            return Ok(());
        }
        let mut next = wanted.clone();
        next.states.insert(namespace.namespace.clone(), state);
        self.swap(&next)?;
        *wanted = next;
        drop(wanted);
        if let Some(keeper) = self.keeper.as_ref().filter(|_| how != KEPT) {
            keeper.keep(&namespace.namespace, &contract.descriptor_set());
        }
        Ok(())
    }
}
