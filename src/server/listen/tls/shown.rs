//! The certificate that a client has shown, which counts for as long as it is good.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use steward_gateway::ClientUser;
use tokio_rustls::rustls::pki_types::CertificateDer;

use super::authority::Authority;

/// The certificate of one connection.
#[derive(Debug)]
pub(in crate::server::listen) struct Shown {
    /// Whom it names, if anybody.
    user: Option<ClientUser>,
    /// With those that the client has sent along.
    chain: Vec<CertificateDer<'static>>,
    authority: Arc<Authority>,
    is_refused: AtomicBool,
}

impl Shown {
    pub(super) fn new(
        user: Option<ClientUser>,
        chain: Vec<CertificateDer<'static>>,
        authority: Arc<Authority>,
    ) -> Self {
        Shown { user, chain, authority, is_refused: AtomicBool::new(false) }
    }

    pub(in crate::server::listen) fn user(&self) -> Option<&ClientUser> {
        self.user.as_ref()
    }

    /// Returns when the certificate has expired, or is of none of the authorities that there are then.
    pub(in crate::server::listen) async fn until_disowned(&self) {
        self.authority.until_disowned(&self.chain).await;
    }

    /// From now on nothing that comes over the connection is answered.
    pub(in crate::server::listen) fn refuse(&self) {
        self.is_refused.store(true, Ordering::Relaxed);
    }

    pub(in crate::server::listen) fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
impl Shown {
    /// One that is not good any more.
    pub(in crate::server::listen) fn refused() -> Self {
        let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a pair");
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), pair.cert.pem()).expect("written");
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let clock = Arc::new(crate::clock::ManualClock::new());
        let authority = Authority::load(file.path().to_owned(), provider, clock).expect("an authority");
        let shown = Shown::new(None, vec![pair.cert.der().clone()], Arc::new(authority));
        shown.refuse();
        shown
    }
}
