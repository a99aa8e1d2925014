//! Contracts that services tell, held against what the store grants and what others claim.
//!
//! A contract that comes by reflection is checked as if the live version were published with it,
//! and what it claims beyond that version becomes the namespace's own before anything of it is
//! served (security T-1). So the older claim wins, whoever is asked first after a start.
//!
//! While one is judged and taken nobody publishes, and a version is not published by a contract
//! that does not serve any more: what is stored of a namespace's claims is never less than what is
//! served of it.
//!
//! Not here: asking services, what serves instead (`tandem_gateway`).

use tandem_config::ActFault;
use tandem_config::Namespace;
use tandem_config::document::ContractSource;
use tandem_config::history::HistoryFault;
use tandem_gateway::{AdmitContracts, NotTaken};

use super::*;
use crate::admit::{FIX, refused};

impl AdmitContracts for Stored {
    fn admit(
        &self,
        namespace: &Namespace,
        contract: &Arc<Contract>,
        take: &mut dyn FnMut() -> Result<(), String>,
    ) -> Result<(), NotTaken> {
        let _alone = self.alone();
        let failed = |why: String| NotTaken::Failed(why);
        let name = NamespaceName::new(&namespace.namespace)
            .ok_or_else(|| failed(format!("`{}` is no name", namespace.namespace)))?;
        // Of a file that is not version 1 nothing is served, and its claims are its own by then.
        let Some(live) = self.live(&name) else { return take().map_err(failed) };
        let basis = self.basis().map_err(|fault| failed(fault.to_string()))?;
        let checked = Checked::namespace(&basis, &name, &live.text, contract, None);
        let checked = checked.map_err(|problems| NotTaken::Refused(refused(&problems)))?;
        let gateway = Principal::gateway();
        let digest = tandem_protocol::identity::hex(contract.digest());
        let why = format!("its service tells the contract {digest}");
        let act = Act { principal: &gateway, source: Source::Gateway, when: now(), why: &why };
        match History::new(&*self.store).claim(act, &checked, live.version.number) {
            Ok(()) => take().map_err(failed),
            Err(ActFault::Act(HistoryFault::Claimed(conflict))) => {
                Err(NotTaken::Refused(format!("{conflict}; {FIX}")))
            }
            Err(fault) => Err(failed(fault.to_string())),
        }
    }
}

impl Stored {
    /// Held while the contract of a namespace, or its live version, moves.
    pub(super) fn alone(&self) -> MutexGuard<'_, ()> {
        self.alone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether another contract serves than the one that `checked` was checked with.
    pub(super) fn contract_moved(&self, checked: &Checked) -> Result<bool, StoreFault> {
        let Scope::Namespace(name) = checked.scope() else { return Ok(false) };
        let file = format!("teams/{name}.yaml");
        let Ok(loaded) = self.basis()?.load(&[(&file, checked.text())]) else { return Ok(false) };
        let Some((document, _)) = loaded.namespaces.first() else { return Ok(false) };
        let ContractSource::Reflection(upstream) = &document.contract else { return Ok(false) };
        let serves = self.served_contract(document, upstream);
        Ok(serves.is_some_and(|serves| Some(serves.digest()) != checked.contract_digest()))
    }
}
