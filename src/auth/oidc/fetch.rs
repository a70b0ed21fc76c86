//! Asks an issuer for its keys, over HTTPS alone, and follows it nowhere else.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_util::task::AbortOnDropHandle;

use super::keys::Keys;

/// How long an issuer may take for an answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may be.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// How long a URL may be.
const MAX_URL_BYTES: usize = 2048;

/// What an issuer says of itself.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// Fetches the keys of an issuer.
pub(super) async fn keys(issuer: &str, ca: Option<&Path>) -> Result<Keys, String> {
    let tls = Arc::new(tls(ca.map(Path::to_owned)).await?);
    let place = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let answer = get(&place, &tls).await?;
    let told: Discovery =
        serde_json::from_slice(&answer).map_err(|_| format!("{place} does not say where the keys are"))?;
    if told.issuer != issuer {
        return Err(format!("{place} is of another issuer, {:?}", shortened(&told.issuer)));
    }
    let answer = get(&told.jwks_uri, &tls).await?;
    Keys::parse(&answer).map_err(|problem| format!("{}: {problem}", shortened(&told.jwks_uri)))
}

async fn get(url: &str, tls: &Arc<ClientConfig>) -> Result<Bytes, String> {
    let asked = tokio::time::timeout(TIMEOUT, ask(url, Arc::clone(tls))).await;
    let failed = |problem: String| format!("{}: {problem}", shortened(url));
    asked.map_err(|_| failed(format!("no answer in {TIMEOUT:?}")))?.map_err(failed)
}

async fn ask(url: &str, tls: Arc<ClientConfig>) -> Result<Bytes, String> {
    let uri: Uri = url.parse().map_err(|_| "is no URL".to_owned())?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'));
    let (Some(authority), Some("https"), true) = (authority, uri.scheme_str(), url.len() <= MAX_URL_BYTES) else {
        return Err("is no https URL".to_owned());
    };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host.clone()).map_err(|_| "has no host that certificates have".to_owned())?;
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(443))).await.map_err(|e| e.to_string())?;
    let stream = TlsConnector::from(tls).connect(name, stream).await.map_err(|e| e.to_string())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(HOST, authority.as_str())
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, concat!("steward/", env!("CARGO_PKG_VERSION")))
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|e| e.to_string())?;
    let answer = sender.send_request(request).await.map_err(|e| e.to_string())?;
    // A redirect too: whoever can send us elsewhere could name the keys.
    if answer.status() != StatusCode::OK {
        return Err(format!("answers {}", answer.status()));
    }
    let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
    Ok(body.map_err(|error| format!("the answer cannot be read: {error}"))?.to_bytes())
}

/// How TLS is spoken: with those whom the operator names, or whom the system trusts.
async fn tls(ca: Option<PathBuf>) -> Result<ClientConfig, String> {
    let reading = tokio::task::spawn_blocking(move || match ca {
        Some(ca) => read_roots(&ca),
        None => Ok(system_roots()),
    });
    let roots = reading.await.map_err(|error| error.to_string())??;
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| error.to_string())?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// The certificates of a file.
pub(super) fn read_roots(path: &Path) -> Result<RootCertStore, String> {
    let failed = |problem: String| format!("{}: {problem}", path.display());
    let pem = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| failed(error.to_string()))?;
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    if roots.is_empty() { Err(failed("has no certificate in PEM".to_owned())) } else { Ok(roots) }
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn shortened(text: &str) -> &str {
    &text[..text.floor_char_boundary(200)]
}
