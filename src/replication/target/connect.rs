//! Connections to targets: names are resolved, addresses checked and connected to, and TLS spoken, all in one place, so
//! that what was checked is what is connected to. Proxies of the environment are not asked: they would connect
//! unchecked.

use std::error::Error as StdError;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::rustls::ClientConfig;
use tower::Service;

use super::TargetError;
use super::address::Addresses;
use crate::tls_client::{HandshakeError, shake_hands};

/// Makes connections.
#[derive(Clone)]
pub(super) struct Connector(Arc<Parts>);

struct Parts {
    addresses: Arc<dyn Addresses>,
    tls: Arc<ClientConfig>,
    /// How long a host may take to be reached, and again to shake hands.
    patience: Duration,
}

impl Connector {
    pub(super) fn new(addresses: Arc<dyn Addresses>, tls: Arc<ClientConfig>, patience: Duration) -> Self {
        Connector(Arc::new(Parts { addresses, tls, patience }))
    }
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ConnectError {
    /// No address of the host is one that this server goes to.
    #[error("{0}")]
    Forbidden(String),
    /// The certificate is not trusted.
    #[error("{0}")]
    Untrusted(String),
    /// What answers does not speak TLS.
    #[error("{0}")]
    NotTls(String),
    /// Nobody answers.
    #[error("{0}")]
    Unreachable(String),
}

impl From<&ConnectError> for TargetError {
    fn from(error: &ConnectError) -> Self {
        let text = error.to_string();
        match error {
            ConnectError::Forbidden(_) => TargetError::Forbidden(text),
            ConnectError::Untrusted(_) => TargetError::Tls(text),
            ConnectError::NotTls(_) | ConnectError::Unreachable(_) => TargetError::Unreachable(text),
        }
    }
}

impl ConnectError {
    /// The one that is behind an error of a client.
    pub(super) fn behind<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a ConnectError> {
        let mut error = Some(error);
        while let Some(current) = error {
            if let Some(found) = current.downcast_ref() {
                return Some(found);
            }
            error = current.source();
        }
        None
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Wire>;
    type Error = ConnectError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let parts = Arc::clone(&self.0);
        Box::pin(async move { parts.connect(&uri).await.map(TokioIo::new) })
    }
}

impl Parts {
    async fn connect(&self, uri: &Uri) -> Result<Wire, ConnectError> {
        let host = uri.host().unwrap_or_default();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let is_secure = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let stream = self.reach(host, port).await?;
        // Small requests wait for their answers; there is nothing to be gathered.
        let _ = stream.set_nodelay(true);
        if is_secure { self.secure(host, stream).await } else { Ok(Wire { io: Box::new(stream), is_h2: false }) }
    }

    async fn reach(&self, host: &str, port: u16) -> Result<TcpStream, ConnectError> {
        let allowed = self.allowed(host, self.resolve(host, port).await?)?;
        let mut problem = String::new();
        for address in allowed {
            match timeout(self.patience, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => problem = error.to_string(),
                Err(_) => problem = format!("no answer within {:?}", self.patience),
            }
        }
        Err(ConnectError::Unreachable(format!("{host}:{port} cannot be reached: {problem}")))
    }

    async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, ConnectError> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let unknown = |problem: &str| ConnectError::Unreachable(format!("{host} cannot be resolved: {problem}"));
        let found = timeout(self.patience, tokio::net::lookup_host((host, port))).await;
        let found = found.map_err(|_| unknown("no answer in time"))?.map_err(|error| unknown(&error.to_string()))?;
        Ok(found.take(16).collect())
    }

    /// Those of the addresses that are gone to.
    fn allowed(&self, host: &str, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, ConnectError> {
        let mut allowed = Vec::new();
        let mut problem = format!("{host} has no address");
        for address in found {
            match self.addresses.allows(host, address.ip()) {
                Ok(()) => allowed.push(address),
                Err(why) => problem = why,
            }
        }
        if allowed.is_empty() { Err(ConnectError::Forbidden(problem)) } else { Ok(allowed) }
    }

    async fn secure(&self, host: &str, stream: TcpStream) -> Result<Wire, ConnectError> {
        let handshake = shake_hands(Arc::clone(&self.tls), host, stream);
        let stream = timeout(self.patience, handshake).await.map_err(|_| {
            ConnectError::Unreachable(format!("{host} does not answer to TLS within {:?}", self.patience))
        })??;
        let is_h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Wire { io: Box::new(stream), is_h2 })
    }
}

impl From<HandshakeError> for ConnectError {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Untrusted(problem) => ConnectError::Untrusted(problem),
            HandshakeError::NotTls(problem) => ConnectError::NotTls(problem),
            HandshakeError::Broken(problem) => ConnectError::Unreachable(problem),
        }
    }
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection, with TLS or without.
pub(super) struct Wire {
    io: Box<dyn Io>,
    is_h2: bool,
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        if self.is_h2 { Connected::new().negotiated_h2() } else { Connected::new() }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
