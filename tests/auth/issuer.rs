//! An issuer of tokens, over HTTPS on this machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring as provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::common::certificates::Certificates;

/// For whom its tokens are.
pub(crate) const AUDIENCE: &str = "steward";

/// A key that signs tokens.
pub(crate) struct Key {
    id: String,
    pair: EcdsaKeyPair,
}

impl Key {
    pub(crate) fn new(id: &str) -> Self {
        let (random, scheme) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let made = EcdsaKeyPair::generate_pkcs8(scheme, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(scheme, made.as_ref(), &random).expect("a key");
        Key { id: id.to_owned(), pair }
    }

    fn public(&self) -> Value {
        let (x, y) = self.pair.public_key().as_ref()[1..].split_at(32);
        json!({"kty": "EC", "crv": "P-256", "kid": self.id, "use": "sig", "x": encoded(x), "y": encoded(y)})
    }

    /// A token that is good for five minutes, with other claims where `others` says so.
    pub(crate) fn token(&self, issuer: &str, user: &str, others: &Value) -> String {
        let mut claims = json!({"iss": issuer, "aud": AUDIENCE, "sub": user, "exp": now() + 300, "iat": now()});
        claims.as_object_mut().expect("an object").extend(others.as_object().expect("an object").clone());
        let header = json!({"alg": "ES256", "kid": self.id});
        let message = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        let signed = self.pair.sign(&SystemRandom::new(), message.as_bytes()).expect("a signature");
        format!("{message}.{}", encoded(signed))
    }
}

/// The set of these keys.
pub(crate) fn key_set(keys: &[&Key]) -> String {
    json!({"keys": keys.iter().map(|key| key.public()).collect::<Vec<_>>()}).to_string()
}

pub(crate) fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Seconds since 1970.
#[expect(clippy::disallowed_methods, reason = "tokens of the tests are for the real server's time")]
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// What the issuer answers.
#[derive(Debug, Default)]
struct Told {
    keys: Mutex<String>,
    /// Where it says that its keys are, in the place of here.
    elsewhere: Mutex<Option<String>>,
    /// How often it was asked for its keys.
    asked: AtomicUsize,
}

/// An issuer that answers.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) certificates: Certificates,
    url: String,
    told: Arc<Told>,
    serving: JoinHandle<()>,
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Issuer {
    pub(crate) async fn start(keys: &[&Key]) -> Self {
        let certificates = Certificates::new();
        let chain = CertificateDer::pem_file_iter(certificates.cert()).expect("a file");
        let chain = chain.collect::<Result<Vec<_>, _>>().expect("certificates");
        let key = PrivateKeyDer::from_pem_file(certificates.key()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(provider::default_provider()));
        let config = config.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
        let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(chain, key).expect("a pair")));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("https://{}/realm", listener.local_addr().expect("an address"));
        let told = Arc::new(Told::default());
        let serving = tokio::spawn(serve(listener, acceptor, url.clone(), Arc::clone(&told)));
        let issuer = Issuer { certificates, url, told, serving };
        issuer.publish(keys);
        issuer
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Has these keys from now on.
    pub(crate) fn publish(&self, keys: &[&Key]) {
        *self.told.keys.lock() = key_set(keys);
    }

    /// Says that its keys are there.
    pub(crate) fn point_to(&self, url: &str) {
        *self.told.elsewhere.lock() = Some(url.to_owned());
    }

    pub(crate) fn asked(&self) -> usize {
        self.told.asked.load(Ordering::Relaxed)
    }

    /// The settings of a server that takes its tokens.
    pub(crate) fn settings(&self) -> String {
        let (url, ca) = (self.url(), self.certificates.ca());
        format!("[auth.oidc]\nissuer = {url:?}\naudience = {AUDIENCE:?}\nca = {ca:?}\n")
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, url: String, told: Arc<Told>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let (acceptor, url, told) = (acceptor.clone(), url.clone(), Arc::clone(&told));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            if stream.read_line(&mut line).await.is_err() {
                return;
            }
            let mut header = String::new();
            while stream.read_line(&mut header).await.is_ok_and(|length| length > 2) {
                header.clear();
            }
            let answer = answer(line.split(' ').nth(1).unwrap_or_default(), &url, &told);
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        });
    }
}

fn answer(path: &str, url: &str, told: &Told) -> String {
    let ok = |body: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    match path {
        "/realm/.well-known/openid-configuration" => {
            let keys = told.elsewhere.lock().clone().unwrap_or_else(|| format!("{url}/keys"));
            ok(&json!({"issuer": url, "jwks_uri": keys}).to_string())
        }
        "/realm/keys" => {
            told.asked.fetch_add(1, Ordering::Relaxed);
            ok(&told.keys.lock())
        }
        "/realm/moved" => format!("HTTP/1.1 302 Found\r\nLocation: {url}/keys\r\nContent-Length: 0\r\n\r\n"),
        _ => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
    }
}
