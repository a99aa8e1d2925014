//! TLS towards upstreams: 1.2 and 1.3, HTTP/2 by ALPN, the server always verified.
//!
//! Built once for each description of an upstream. What cannot be built (a key that is not its
//! certificate's) does not stop the others: the upstream cannot be reached, and says why.
//!
//! Not here: which files the certificates come from (`tandem-config`).

use std::sync::Arc;

use rustls::{AlertDescription, ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tandem_config::document::{Identity, Tls};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// Why hands were not shaken; in words for the log.
#[derive(Debug, thiserror::Error)]
pub enum ShakeError {
    /// What is configured cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// The server shows a certificate that is not accepted.
    #[error("{0}")]
    Certificate(String),
    /// What came is no TLS.
    #[error("{0}")]
    NotTls(String),
    /// TLS, and something went wrong on either side.
    #[error("{0}")]
    Failed(String),
    #[error("the server does not offer HTTP/2 by ALPN")]
    NoHttp2,
}

impl ShakeError {
    fn of(error: &std::io::Error) -> ShakeError {
        let what = error.to_string();
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(rustls::Error::InvalidCertificate(_)) => ShakeError::Certificate(what),
            Some(rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)) => {
                ShakeError::NoHttp2
            }
            Some(rustls::Error::InvalidMessage(_)) => ShakeError::NotTls(what),
            Some(_) => ShakeError::Failed(what),
            // The connection ended: who closes before a word of TLS speaks something else.
            None => ShakeError::NotTls(what),
        }
    }
}

/// How to speak TLS to one upstream.
#[derive(Debug, Clone)]
pub struct Client {
    /// Or why there is none, for the log.
    config: Result<Arc<ClientConfig>, String>,
    name: Result<ServerName<'static>, String>,
    /// What is spoken in it.
    alpn: &'static [u8],
}

impl Client {
    /// By what is configured; `host` is the name in the certificate where none was written.
    pub fn new(tls: &Tls, host: &str) -> Client {
        Client::speaking(HTTP2, tls, host)
    }

    /// The same, for a server that is asked by HTTP/1.
    pub(super) fn http1(tls: &Tls, host: &str) -> Client {
        Client::speaking(HTTP1, tls, host)
    }

    fn speaking(alpn: &'static [u8], tls: &Tls, host: &str) -> Client {
        let Tls { roots, name, identity } = tls;
        let config = config(alpn, roots, identity.as_ref()).map(Arc::new);
        let name = match name {
            Some(name) => Ok(name.clone()),
            None => ServerName::try_from(host.to_owned()).map_err(|error| error.to_string()),
        };
        Client { config: config.map_err(|error| error.to_string()), name, alpn }
    }

    /// Shakes hands over `stream`.
    ///
    /// # Errors
    /// A certificate that is not accepted, on either side; a server that speaks no TLS, or no
    /// HTTP/2 in it.
    pub(super) async fn shake(
        &self,
        stream: TcpStream,
    ) -> Result<TlsStream<TcpStream>, ShakeError> {
        let config = self.config.clone().map_err(ShakeError::Unusable)?;
        let name = self.name.clone().map_err(ShakeError::Unusable)?;
        let connected = TlsConnector::from(config).connect(name, stream).await;
        let stream = connected.map_err(|error| ShakeError::of(&error))?;
        match stream.get_ref().1.alpn_protocol() {
            Some(agreed) if agreed == self.alpn => Ok(stream),
            // Older servers know HTTP/1 and no ALPN.
            None if self.alpn == HTTP1 => Ok(stream),
            Some(_) | None => Err(ShakeError::NoHttp2),
        }
    }
}

fn config(
    alpn: &[u8],
    roots: &[rustls_pki_types::CertificateDer<'static>],
    identity: Option<&Identity>,
) -> Result<ClientConfig, rustls::Error> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone())?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(store);
    let mut config = match identity {
        Some(Identity { chain, key }) => {
            builder.with_client_auth_cert(chain.clone(), key.clone_key())?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(config)
}
