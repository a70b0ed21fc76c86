//! Connections of TLS for a gRPC channel.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tower::Service;

use super::files::{Error, Files, FollowedFiles};
use super::handshake::{HandshakeError, shake_hands};

/// Where `https` is when its address does not say.
const DEFAULT_PORT: u16 = 443;

/// Makes connections that speak TLS, each as the files have it at that time.
#[derive(Clone)]
pub(crate) struct TlsConnector(Arc<FollowedFiles>);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// Nobody answers there.
    #[error("{0}")]
    Unreachable(String),
    /// It does not become one of TLS.
    #[error("{0}")]
    Handshake(HandshakeError),
}

impl TlsConnector {
    /// Reads the files. Blocks.
    pub(crate) fn open(files: Files) -> Result<Self, Error> {
        FollowedFiles::open(files).map(|files| TlsConnector(Arc::new(files)))
    }

    async fn connect(self, uri: Uri) -> Result<TlsStream<TcpStream>, ConnectError> {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let stream = reach(host, uri.port_u16().unwrap_or(DEFAULT_PORT))
            .await
            .map_err(|error| ConnectError::Unreachable(error.to_string()))?;
        let config = tokio::task::spawn_blocking(move || self.0.look())
            .await
            .map_err(|error| ConnectError::Unreachable(error.to_string()))?;
        shake_hands(config, host, stream).await.map_err(ConnectError::Handshake)
    }
}

async fn reach(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    // Small requests wait for their answers; there is nothing to be gathered.
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsConnector")
    }
}

impl Service<Uri> for TlsConnector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = ConnectError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect(uri).await.map(TokioIo::new) })
    }
}
