//! How an upstream is spoken to over TLS; certificates and keys are read, not named.
//!
//! Not here: whether key and certificate belong together, which only the TLS library can say
//! (`tandem-gateway`).

use std::sync::Arc;

use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

/// `upstreams.NAME.tls`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Whom the server's certificate must come from. One or more.
    pub roots: Vec<CertificateDer<'static>>,
    /// The name that the server's certificate must have; `None`: that of its address.
    pub name: Option<ServerName<'static>>,
    /// Who the gateway is to the server; `None`: nobody.
    pub identity: Option<Identity>,
}

/// A certificate, those that lead from it to its root, and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    // Shared, because a key has no copies that nobody knows of.
    pub key: Arc<PrivateKeyDer<'static>>,
}
