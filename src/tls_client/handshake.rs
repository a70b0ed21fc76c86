//! How a connection becomes one of TLS.

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{self, ClientConfig};

/// Why it does not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HandshakeError {
    /// The certificate is not trusted, or the two do not come to terms.
    #[error("{0}")]
    Untrusted(String),
    /// What answers does not speak TLS.
    #[error("{0}")]
    NotTls(String),
    /// The connection broke.
    #[error("{0}")]
    Broken(String),
}

/// Speaks TLS with `host` over a connection to it.
pub(crate) async fn shake_hands(
    config: Arc<ClientConfig>,
    host: &str,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, HandshakeError> {
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| HandshakeError::Untrusted(format!("{host:?} is not a name that certificates have")))?;
    let handshake = tokio_rustls::TlsConnector::from(config).connect(name, stream);
    handshake.await.map_err(|error| handshake_failed(host, &error))
}

fn handshake_failed(host: &str, error: &io::Error) -> HandshakeError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(problem)) => {
            HandshakeError::Untrusted(format!("the certificate of {host} is not trusted: {problem}"))
        }
        Some(rustls::Error::InvalidMessage(_)) => HandshakeError::NotTls(format!("{host} does not speak TLS there")),
        Some(error) => HandshakeError::Untrusted(format!("no TLS with {host}: {error}")),
        None => HandshakeError::Broken(format!("{host} broke off before TLS was spoken: {error}")),
    }
}
