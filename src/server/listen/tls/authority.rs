//! The authorities that sign the certificates of clients, read again when they change.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_rustls::rustls::client::danger::HandshakeSignatureValid;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{self, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};

use super::file::{self, Error};
use crate::auth::end_of_certificate;
use crate::clock::{Clock, Timestamp};
use crate::followed::{LastRead, Stamp};

const SETTING: &str = "tls.client_ca";

/// The authorities and where they come from.
#[derive(Debug)]
pub(super) struct Authority {
    path: PathBuf,
    provider: Arc<CryptoProvider>,
    clock: Arc<dyn Clock>,
    last: Mutex<LastRead<Option<Stamp>>>,
    current: watch::Sender<Arc<dyn ClientCertVerifier>>,
}

impl Authority {
    pub(super) fn load(path: PathBuf, provider: Arc<CryptoProvider>, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let last = Mutex::new(LastRead::new(Stamp::at(&path)));
        let current = watch::Sender::new(read(&path, &provider)?);
        Ok(Authority { path, provider, clock, last, current })
    }

    /// Takes over what is new. A file that cannot be used changes nothing.
    pub(super) fn look(&self) {
        match self.last.lock().again(Stamp::at(&self.path), || read(&self.path, &self.provider)) {
            None => {}
            Some(Ok(verifier)) => {
                self.current.send_replace(verifier);
                tracing::info!(client_ca = %self.path.display(), "the authorities of clients were read again");
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "the new authorities of clients cannot be used, the old ones stay");
            }
        }
    }

    fn current(&self) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.current.borrow())
    }

    /// Returns when they do not vouch any more for who has shown this chain: it has expired, or they are others.
    pub(super) async fn until_disowned(&self, chain: &[CertificateDer<'static>]) {
        let mut current = self.current.subscribe();
        loop {
            let (verifier, now) = (Arc::clone(&current.borrow_and_update()), self.clock.now());
            if !is_good(&*verifier, chain, now) {
                return;
            }
            // An error would be that there is no authority any more, while it is borrowed here.
            tokio::select! {
                _ = current.changed() => {}
                () = self.reach(next_end(chain, now)) => {}
            }
        }
    }

    async fn reach(&self, time: Timestamp) {
        while self.clock.now() < time {
            self.clock.sleep_until(time).await;
        }
    }
}

fn is_good(verifier: &dyn ClientCertVerifier, chain: &[CertificateDer<'_>], now: Timestamp) -> bool {
    let Some((end_entity, intermediates)) = chain.split_first() else { return false };
    let now = UnixTime::since_unix_epoch(Duration::from_micros(now.micros()));
    verifier.verify_client_cert(end_entity, intermediates, now).is_ok()
}

/// When the next certificate of a chain expires. Who sent it along may not have needed it.
fn next_end(chain: &[CertificateDer<'_>], now: Timestamp) -> Timestamp {
    let ends = chain.iter().filter_map(|certificate| end_of_certificate(certificate));
    ends.filter(|end| *end > now).min().unwrap_or(Timestamp::MAX)
}

fn read(path: &std::path::Path, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let failed = |problem: String| Error { setting: SETTING, path: path.to_owned(), problem };
    let mut roots = RootCertStore::empty();
    for certificate in file::certificates(SETTING, path)? {
        roots.add(certificate).map_err(|error| failed(error.to_string()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let verifier = builder.build().map_err(|error| failed(error.to_string()))?;
    Ok(verifier)
}

/// Asks the clients of a port for a certificate of the authorities that there are just then.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) authority: Arc<Authority>,
    pub(super) is_required: bool,
}

impl ClientCertVerifier for Asking {
    fn client_auth_mandatory(&self) -> bool {
        self.is_required
    }

    /// None: what is lent here cannot be replaced. A client that has a certificate sends it all the same.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.authority.current().verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authority.current().verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.authority.current().verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authority.current().supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
    use tokio_rustls::rustls::crypto::ring;

    use super::*;
    use crate::clock::ManualClock;

    struct Fixture {
        directory: tempfile::TempDir,
        authority: Authority,
        clock: Arc<ManualClock>,
        chain: Vec<CertificateDer<'static>>,
    }

    fn issuer() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::new([]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
    }

    impl Fixture {
        /// An authority, and a certificate of it that is good until 2024.
        fn new() -> Self {
            let (issuer, directory) = (issuer(), tempfile::tempdir().expect("a directory"));
            let mut params = CertificateParams::default();
            params.not_after = date_time_ymd(2024, 1, 1);
            let key = KeyPair::generate().expect("a key");
            let chain = vec![params.signed_by(&key, &issuer).expect("a certificate").der().clone()];
            let path = directory.path().join("ca.pem");
            std::fs::write(&path, issuer.pem()).expect("written");
            // It begins in November of 2023.
            let clock = Arc::new(ManualClock::new());
            let provider = Arc::new(ring::default_provider());
            let authority = Authority::load(path, provider, Arc::clone(&clock) as _).expect("an authority");
            Fixture { directory, authority, clock, chain }
        }

        fn path(&self) -> PathBuf {
            self.directory.path().join("ca.pem")
        }
    }

    #[tokio::test]
    async fn a_certificate_is_disowned_when_it_expires() {
        let fixture = Fixture::new();
        let mut disowned = pin!(fixture.authority.until_disowned(&fixture.chain));
        assert!(futures::poll!(&mut disowned).is_pending());
        fixture.clock.advance(Duration::from_hours(24));
        assert!(futures::poll!(&mut disowned).is_pending(), "it is good still");
        fixture.clock.advance(Duration::from_hours(24 * 60));
        disowned.await;
    }

    #[tokio::test]
    async fn a_certificate_is_disowned_when_its_authority_goes_and_not_when_another_comes() {
        let fixture = Fixture::new();
        let mut disowned = pin!(fixture.authority.until_disowned(&fixture.chain));
        assert!(futures::poll!(&mut disowned).is_pending());
        let (own, other) = (std::fs::read_to_string(fixture.path()).expect("read"), issuer().pem());
        std::fs::write(fixture.path(), format!("{other}{own}")).expect("written");
        fixture.authority.look();
        assert!(futures::poll!(&mut disowned).is_pending(), "both are there");
        std::fs::write(fixture.path(), other).expect("written");
        fixture.authority.look();
        disowned.await;
    }
}
