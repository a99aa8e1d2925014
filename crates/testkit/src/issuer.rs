//! An issuer of tokens: its keys behind https, and the tokens that it signs.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey};
use rcgen::KeyPair;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

use crate::acceptor::Acceptor;
use crate::tls::{Authority, TlsFront};

/// A key of an issuer, for ES256.
pub struct SigningKey {
    pub id: String,
    pair: KeyPair,
}

impl SigningKey {
    pub fn new(id: &str) -> SigningKey {
        SigningKey { id: id.to_owned(), pair: KeyPair::generate().expect("a key") }
    }

    /// As it stands in a key set.
    pub fn public(&self) -> String {
        let point = self.pair.public_key_raw();
        let [x, y] = [&point[1..33], &point[33..65]].map(|number| URL_SAFE_NO_PAD.encode(number));
        let id = &self.id;
        format!(r#"{{"kty":"EC","crv":"P-256","kid":"{id}","use":"sig","x":"{x}","y":"{y}"}}"#)
    }

    /// The token of this header and these claims, which are JSON.
    pub fn token(&self, header: &str, claims: &str) -> String {
        let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        let key = EncodingKey::from_ec_der(&self.pair.serialize_der());
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::ES256);
        format!("{signed}.{}", signature.expect("a signature"))
    }
}

/// The set of these keys.
pub fn key_set(keys: &[&SigningKey]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| key.public()).collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

/// What the issuer answers when it is asked for its keys.
#[derive(Debug, Clone)]
pub enum KeyAnswer {
    Keys(String),
    /// Status, further head lines, body.
    Other(u16, &'static str, String),
    /// Takes the question and says nothing.
    Silence,
}

struct Shared {
    answer: Mutex<KeyAnswer>,
    description: Mutex<Option<String>>,
    asked: watch::Sender<usize>,
}

/// A running issuer; ends when it is dropped.
pub struct Issuer {
    /// `https://127.0.0.1:PORT`
    pub url: String,
    pub key: SigningKey,
    authority: Authority,
    shared: Arc<Shared>,
    _front: TlsFront,
    _back: Acceptor,
}

impl Issuer {
    /// One whose description is found where it should be, with one key, `k1`.
    pub fn start() -> Issuer {
        let (authority, key) = (Authority::new(), SigningKey::new("k1"));
        let shared = Arc::new(Shared {
            answer: Mutex::new(KeyAnswer::Keys(key_set(&[&key]))),
            description: Mutex::default(),
            asked: watch::channel(0).0,
        });
        let served = Arc::clone(&shared);
        let back = Acceptor::start(move |mut stream| {
            let shared = Arc::clone(&served);
            async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_gone) => return,
                    }
                }
                let head = String::from_utf8_lossy(&head).into_owned();
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let lock = |answer: &Mutex<KeyAnswer>| {
                    answer.lock().unwrap_or_else(PoisonError::into_inner).clone()
                };
                let (status, more, body) = match &*path {
                    "/.well-known/openid-configuration" => {
                        let description = &shared.description;
                        let text = description.lock().unwrap_or_else(PoisonError::into_inner);
                        (200, "", text.clone().unwrap_or_default())
                    }
                    "/keys" => {
                        shared.asked.send_modify(|asked| *asked += 1);
                        match lock(&shared.answer) {
                            KeyAnswer::Keys(keys) => (200, "", keys),
                            KeyAnswer::Other(status, more, body) => (status, more, body),
                            KeyAnswer::Silence => {
                                // Until whoever asked goes away.
                                let _ = stream.read_u8().await;
                                return;
                            }
                        }
                    }
                    _ => (404, "", String::new()),
                };
                let answer = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\n{more}\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        let identity = authority.signs(&["127.0.0.1"]);
        let front = TlsFront::start(back.address, &identity, &["http/1.1"], None);
        let url = format!("https://{}", front.address);
        let issuer = Issuer { url, key, authority, shared, _front: front, _back: back };
        issuer.describe(&issuer.url, &format!("{}/keys", issuer.url));
        issuer
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self._front.address
    }

    /// What its description says.
    pub fn describe(&self, issuer: &str, keys: &str) {
        let text = format!(r#"{{"issuer":"{issuer}","jwks_uri":"{keys}"}}"#);
        *self.shared.description.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    /// What it answers from now on.
    pub fn answers(&self, answer: KeyAnswer) {
        *self.shared.answer.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    /// How often it was asked for its keys.
    pub fn asked(&self) -> usize {
        *self.shared.asked.borrow()
    }

    /// Waits until it was asked so often.
    pub async fn was_asked(&self, times: usize) {
        let mut asked = self.shared.asked.subscribe();
        let wait = asked.wait_for(|asked| *asked >= times);
        tokio::time::timeout(Duration::from_secs(20), wait)
            .await
            .expect("in time")
            .expect("it runs");
    }

    /// For `identity.jwt` of the platform: `NAME: { … }`, with `more` keys.
    pub fn document(&self, name: &str, more: &str) -> String {
        let pem = self.authority.pem().replace('\n', "\\n");
        format!("{name}: {{ issuer: {:?}, audience: [api], ca: \"{pem}\"{more} }}", self.url)
    }

    /// Claims of somebody, an hour long, with `more` members in front: `"scope":"a",`.
    pub fn claims(&self, subject: &str, more: &str) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970");
        let (from, end) = (now.as_secs() - 10, now.as_secs() + 3600);
        let url = &self.url;
        format!(r#"{{{more}"iss":"{url}","aud":"api","sub":"{subject}","nbf":{from},"exp":{end}}}"#)
    }

    /// A good token of somebody.
    pub fn token(&self, subject: &str, more: &str) -> String {
        self.key.token(r#"{"alg":"ES256","kid":"k1"}"#, &self.claims(subject, more))
    }
}
