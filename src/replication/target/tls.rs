//! Whom a task trusts.

use std::sync::Arc;

use tokio::sync::OnceCell;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::TargetError;
use crate::tls_client::{read_certificates, speaking, system_roots};

/// The certificates that the system trusts, read when they are needed first.
#[derive(Debug, Default)]
pub(super) struct SystemRoots(OnceCell<Arc<RootCertStore>>);

impl SystemRoots {
    async fn get(&self) -> Arc<RootCertStore> {
        let read = || async {
            let roots = tokio::task::spawn_blocking(system_roots).await;
            Arc::new(roots.unwrap_or_else(|_| RootCertStore::empty()))
        };
        Arc::clone(self.0.get_or_init(read).await)
    }

    /// How TLS is spoken by those who trust `certificate`, in PEM, beside what the system trusts.
    pub(super) async fn config(&self, certificate: &str, protocols: &[&str]) -> Result<Arc<ClientConfig>, TargetError> {
        let bad = |problem| TargetError::Refused(format!("the certificate of the task is not one in PEM: {problem}"));
        let own = match certificate.trim() {
            "" => Vec::new(),
            certificate => read_certificates(certificate.as_bytes()).map_err(bad)?,
        };
        let roots = RootCertStore::clone(&*self.get().await);
        speaking(roots, own, None, protocols).map(Arc::new).map_err(bad)
    }
}
