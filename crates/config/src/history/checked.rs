//! A text that passed the check, with what its publication needs: the only thing that can become
//! a version (ARCHITECTURE, "checked whole before it is stored").
//!
//! A team's document is checked beside the platform's and no other team's, so that nobody's fault
//! keeps another from publishing and no message tells of one; what two teams both want is settled
//! by their claims when it is stored.
//!
//! Not here: the rules (`crate::check`), the comparison of claims (`crate::access::claims`).

use std::collections::BTreeMap;
use std::sync::Arc;

use tandem_contract::Contract;

use crate::access::Claims;
use crate::check::check;
use crate::load::{Loaded, from_texts, with_grants};
use crate::problem::{Problem, Severity, Tnd};
use crate::store::{Digest, Key, NamespaceName, Revision, Scope, View};

/// The platform's document that a team's is checked against.
#[derive(Debug, Clone)]
pub struct PlatformBasis {
    text: Arc<str>,
    /// In whose place the `namespaces` of `text` are: those of the platform's live version
    /// (experience UX-22).
    grants: Option<Arc<str>>,
    /// `None`: it comes from a file. Otherwise when its live version changed last.
    revision: Option<Option<Revision>>,
}

impl PlatformBasis {
    /// A text that stands in no store; it does not move while the process runs.
    pub fn of_file(text: impl Into<Arc<str>>) -> PlatformBasis {
        PlatformBasis { text: text.into(), grants: None, revision: None }
    }

    /// A text made from the live version that `view` holds (`Key::live` of the platform must have
    /// been asked for): what is checked against it is not published once that has moved.
    pub fn of_store(text: impl Into<Arc<str>>, view: &View) -> PlatformBasis {
        let revision = view.revision_of(&Key::live(&Scope::Platform));
        PlatformBasis { text: text.into(), grants: None, revision: Some(revision) }
    }

    /// The process's own text, with the grants of the platform's live version in `view`
    /// (`Key::live` of the platform must have been asked for).
    pub fn with_grants(
        text: impl Into<Arc<str>>,
        grants: impl Into<Arc<str>>,
        view: &View,
    ) -> PlatformBasis {
        PlatformBasis { grants: Some(grants.into()), ..PlatformBasis::of_store(text, view) }
    }

    /// The documents of the process with these of the teams.
    ///
    /// # Errors
    /// Everything that is wrong with one of them by itself.
    pub fn load(&self, teams: &[(&str, &str)]) -> Result<Loaded, Vec<Problem>> {
        with_grants(&self.text, self.grants.as_deref(), teams)
    }
}

/// A document that may become a version.
#[derive(Debug, Clone)]
pub struct Checked {
    scope: Scope,
    text: Arc<str>,
    contract: Option<Arc<[u8]>>,
    claims: Option<Claims>,
    /// SHA-256 of the contract that it was checked with.
    contract_digest: Option<[u8; 32]>,
    platform_revision: Option<Option<Revision>>,
    warnings: Vec<Problem>,
}

impl Checked {
    /// Checks a team's document beside the platform's and the contract that it will be served
    /// with. `descriptor_set` is what the contract was read from where the document names files;
    /// it is kept with the version.
    ///
    /// # Errors
    /// Everything that is wrong, each at its place.
    pub fn namespace(
        platform: &PlatformBasis,
        name: &NamespaceName,
        text: &str,
        contract: &Arc<Contract>,
        descriptor_set: Option<Arc<[u8]>>,
    ) -> Result<Checked, Vec<Problem>> {
        let file = format!("teams/{name}.yaml");
        let loaded = platform.load(&[(&file, text)])?;
        let contracts = BTreeMap::from([(name.to_string(), Arc::clone(contract))]);
        let problems = check(&loaded, &contracts);
        if problems.iter().any(|problem| problem.severity == Severity::Error) {
            return Err(problems);
        }
        let [(document, _)] = loaded.namespaces.as_slice() else {
            unreachable!("one text was read without a problem");
        };
        let (served, _) = document.served(contract);
        let claims = Claims::of(document, &served, &loaded.platform.limits);
        Ok(Checked {
            scope: Scope::Namespace(name.clone()),
            text: text.into(),
            contract: descriptor_set,
            claims: Some(claims),
            contract_digest: Some(*contract.digest()),
            platform_revision: platform.revision,
            warnings: problems,
        })
    }

    /// Checks the platform's document. What teams have live beside it is checked when it is built
    /// into a snapshot: a grant may be taken away.
    ///
    /// # Errors
    /// Everything that is wrong, each at its place.
    pub fn platform(text: &str) -> Result<Checked, Vec<Problem>> {
        let loaded = from_texts(text, &[])?;
        let unwanted = |name: &&String| NamespaceName::new(name).is_none();
        if let Some(name) = loaded.platform.namespaces.keys().find(unwanted) {
            let what = format!("`{}` is no name", crate::source::cut(name));
            return Err(vec![Problem::error(Tnd::WrongType, what).in_file("tandem.yaml")]);
        }
        Ok(Checked {
            scope: Scope::Platform,
            text: text.into(),
            contract: None,
            claims: None,
            contract_digest: None,
            platform_revision: None,
            warnings: Vec::new(),
        })
    }

    /// Whose document it is.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// As its author wrote it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What may be published all the same.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// What it claims; nothing for the platform's.
    pub fn claims(&self) -> Option<&Claims> {
        self.claims.as_ref()
    }

    /// The digest of the contract that it was checked with; none for the platform's.
    pub fn contract_digest(&self) -> Option<&[u8; 32]> {
        self.contract_digest.as_ref()
    }

    pub(super) fn contract(&self) -> Option<&[u8]> {
        self.contract.as_deref()
    }

    pub(super) fn text_digest(&self) -> Digest {
        Digest::of(self.text.as_bytes())
    }

    pub(super) fn platform_revision(&self) -> Option<Option<Revision>> {
        self.platform_revision
    }
}

#[cfg(test)]
impl Checked {
    /// As if a document with these claims had passed.
    pub(crate) fn for_tests(scope: &Scope, text: &str, claims: Claims) -> Checked {
        Checked {
            scope: scope.clone(),
            text: text.into(),
            contract: None,
            claims: Some(claims),
            contract_digest: None,
            platform_revision: None,
            warnings: Vec::new(),
        }
    }
}
