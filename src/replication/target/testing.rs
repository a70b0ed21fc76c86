//! What the tests of targets have in common: servers on loopback that do as they are told, and the other ends of the
//! traits.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use super::address::Addresses;
use super::factory::TargetFactory;
use super::limits::Limits;
use super::{BlobRef, BlobSource, Meter, Session, Sessions, TargetError};
use crate::blob::{Algorithm, Digest};

/// Cuts the connection that a request came over.
#[derive(Clone, Debug)]
pub(super) struct Cut(CancellationToken);

impl Cut {
    /// The connection is gone; so is whoever calls this.
    pub(super) async fn now(&self) -> ! {
        self.0.cancel();
        std::future::pending().await
    }
}

/// A certificate for 127.0.0.1.
pub(super) struct Certificate {
    pub(super) authority: String,
    config: Arc<ServerConfig>,
}

impl Certificate {
    /// One of an authority that nobody knows.
    pub(super) fn new() -> Self {
        let mut authority = CertificateParams::new([]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        Certificate { authority: authority.pem(), config: config(cert.der().clone(), &key) }
    }

    /// One that is its own authority, as `openssl req -x509` makes it, for a name or address.
    pub(super) fn of_itself(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let cert = params.self_signed(&key).unwrap();
        Certificate { authority: cert.pem(), config: config(cert.der().clone(), &key) }
    }
}

fn config(cert: CertificateDer<'static>, key: &KeyPair) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

/// Serves a router on a free port of loopback, as long as the runtime of the test lives.
pub(super) async fn serve(router: Router, tls: Option<&Certificate>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = tls.map(|tls| TlsAcceptor::from(Arc::clone(&tls.config)));
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            let (router, acceptor) = (router.clone(), acceptor.clone());
            tokio::spawn(async move {
                let cut = CancellationToken::new();
                let with = cut.clone();
                let service = router.map_request(move |mut request: axum::extract::Request<_>| {
                    request.extensions_mut().insert(Cut(with.clone()));
                    request
                });
                let service = TowerToHyperService::new(service);
                let server = auto::Builder::new(TokioExecutor::new());
                let work = async {
                    match acceptor {
                        Some(acceptor) => {
                            let Ok(stream) = acceptor.accept(stream).await else { return };
                            let _ = server.serve_connection(TokioIo::new(stream), service).await;
                        }
                        None => {
                            let _ = server.serve_connection(TokioIo::new(stream), service).await;
                        }
                    }
                };
                cut.run_until_cancelled(work).await;
            });
        }
    });
    address
}

/// Allows all addresses but some, and tells which it was asked for.
#[derive(Debug, Default)]
pub(super) struct Allowed {
    pub(super) refused: Vec<IpAddr>,
    pub(super) asked: Mutex<Vec<(String, IpAddr)>>,
}

impl Addresses for Allowed {
    fn allows(&self, host: &str, ip: IpAddr) -> Result<(), String> {
        self.asked.lock().push((host.to_owned(), ip));
        if self.refused.contains(&ip) { Err(format!("{host} is at {ip}, which is private")) } else { Ok(()) }
    }
}

pub(super) const CHUNK: u64 = 64 * 1024;

pub(super) fn limits(addresses: Arc<Allowed>) -> Limits {
    Limits {
        chunk_bytes: CHUNK,
        attempts: 5,
        connect_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(30),
        first_delay: Duration::from_millis(1),
        addresses,
        memory: Limits::memory(),
    }
}

pub(super) fn factory() -> TargetFactory {
    TargetFactory::with_limits(limits(Arc::default()), Duration::from_millis(1))
}

/// A blob in memory.
#[derive(Clone)]
pub(super) struct Memory(pub(super) Bytes);

impl Memory {
    pub(super) fn of(length: u64) -> Self {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let bytes = (0..length).map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_be_bytes()[0]
        });
        Memory(bytes.collect())
    }

    pub(super) fn blob(&self) -> BlobRef {
        let digest = Digest::of(Algorithm::Sha256, &self.0).to_string();
        BlobRef { digest, size: self.0.len() as u64 }
    }
}

#[async_trait]
impl BlobSource for Memory {
    async fn read(
        &self,
        offset: u64,
        length: u64,
    ) -> Result<BoxStream<'static, Result<Bytes, TargetError>>, TargetError> {
        let range = usize::try_from(offset).unwrap()..usize::try_from(offset + length).unwrap();
        let bytes = self.0.slice(range);
        // Pieces that fit to nothing.
        let pieces: Vec<_> = bytes.chunks(10_007).map(|piece| Ok(bytes.slice_ref(piece))).collect();
        Ok(futures::stream::iter(pieces).boxed())
    }
}

/// Sessions in memory, with all that were ever saved.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) now: Mutex<HashMap<(String, String), Session>>,
    pub(super) saved: Mutex<Vec<Session>>,
}

#[async_trait]
impl Sessions for Kept {
    async fn load(&self, place: &str, digest: &str) -> Result<Option<Session>, TargetError> {
        Ok(self.now.lock().get(&(place.to_owned(), digest.to_owned())).cloned())
    }

    async fn save(&self, place: &str, digest: &str, session: &Session) -> Result<(), TargetError> {
        self.now.lock().insert((place.to_owned(), digest.to_owned()), session.clone());
        self.saved.lock().push(session.clone());
        Ok(())
    }

    async fn clear(&self, place: &str, digest: &str) -> Result<(), TargetError> {
        self.now.lock().remove(&(place.to_owned(), digest.to_owned()));
        Ok(())
    }
}

/// Counts, and allows everything until it is stopped.
#[derive(Debug, Default)]
pub(super) struct Counting {
    pub(super) allowed: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) log: Mutex<Vec<String>>,
    pub(super) stop: CancellationToken,
}

impl Counting {
    pub(super) fn sent_bytes(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Meter for Counting {
    async fn allow(&self, bytes: u64) -> Result<(), TargetError> {
        if self.stop.is_cancelled() {
            return Err(TargetError::Cancelled);
        }
        self.allowed.fetch_add(bytes, Ordering::SeqCst);
        Ok(())
    }

    fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::SeqCst);
    }

    async fn cancelled(&self) {
        self.stop.cancelled().await;
    }

    fn log(&self, _level: &'static str, text: String) {
        self.log.lock().push(text);
    }
}
