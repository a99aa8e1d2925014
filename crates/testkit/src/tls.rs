//! Certificates made for one test, and a TLS front before a backend that speaks clear text.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tandem_config::document::Identity;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::acceptor::Acceptor;

/// Who signs certificates; gone with the test.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names are good names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Authority(CertifiedIssuer::self_signed(params, key).expect("it signs itself"))
    }

    /// Its own certificate, in PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate of these names and addresses, with its key.
    pub fn signs(&self, names: &[&str]) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).expect("names");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("it is signed");
        let chain = vec![certificate.der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        Identity { chain, key: Arc::new(key) }
    }

    fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }
}

impl Default for Authority {
    fn default() -> Authority {
        Authority::new()
    }
}

/// A running front; ends when it is dropped.
pub struct TlsFront {
    pub address: SocketAddr,
    shaken: Arc<AtomicUsize>,
    _front: Acceptor,
}

impl TlsFront {
    /// Speaks TLS as `identity` with these ALPN names before `backend`. With `clients` it takes
    /// only those whom that authority has signed.
    pub fn start(
        backend: SocketAddr,
        identity: &Identity,
        alpn: &[&str],
        clients: Option<&Authority>,
    ) -> TlsFront {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.der()).expect("a root");
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
            }
        };
        let Identity { chain, key } = identity;
        let mut config = builder.with_single_cert(chain.clone(), key.clone_key()).expect("a pair");
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let shaken: Arc<AtomicUsize> = Arc::default();
        let counted = Arc::clone(&shaken);
        let front = Acceptor::start(move |stream| {
            let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
            async move {
                let Ok(mut tls) = acceptor.accept(stream).await else { return };
                counted.fetch_add(1, Ordering::Relaxed);
                let Ok(mut backend) = TcpStream::connect(backend).await else { return };
                // Either side may go at any time.
                let _ = tokio::io::copy_bidirectional(&mut tls, &mut backend).await;
            }
        });
        TlsFront { address: front.address, shaken, _front: front }
    }

    /// Connections on which hands were shaken.
    pub fn shaken(&self) -> usize {
        self.shaken.load(Ordering::Relaxed)
    }
}
