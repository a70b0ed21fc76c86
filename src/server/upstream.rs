//! The way of a gateway on its own to its server.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

use super::running::BoxError;
use crate::config::Upstream;
use crate::tls_client::{Files, Pair, TlsConnector};

/// How long the gateway tries to reach its upstream.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often an idle connection is asked whether the other side is there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// How long it may take to answer.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many bytes of one answer may wait for whoever asked for it.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// The same of all answers: as many as HTTP/2 knows, because who does not read one must not hold up those of others.
const CONNECTION_WINDOW_BYTES: u32 = (1 << 31) - 1;

/// A channel to the server at `url`, connected when it is first used, and again when that breaks.
pub(super) fn channel(url: &str, config: &Upstream) -> Result<Channel, BoxError> {
    let endpoint = Endpoint::from_shared(url.to_owned())
        .map_err(|error| format!("--upstream: {url:?} is not a URL: {error}"))?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .tcp_nodelay(true);
    let files = files(config);
    match endpoint.uri().scheme_str() {
        Some("https") => {
            let tls = TlsConnector::open(files).map_err(|error| format!("configuration: gateway.upstream: {error}"))?;
            Ok(endpoint.connect_with_connector_lazy(tls))
        }
        Some("http") if files == Files::default() => Ok(endpoint.connect_lazy()),
        Some("http") => Err("configuration: gateway.upstream: is of use for an upstream with https:// alone".into()),
        Some(_) | None => Err(format!("--upstream: {url:?} is neither http:// nor https://").into()),
    }
}

fn files(config: &Upstream) -> Files {
    let Upstream { ca, cert, key } = config.clone();
    // The configuration was checked: there are both or neither.
    Files { ca, pair: cert.zip(key).map(|(cert, key)| Pair { cert, key }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_upstream_that_cannot_be_is_refused() {
        let with_ca = Upstream { ca: Some("/nowhere.pem".into()), ..Upstream::default() };
        for (url, config, told) in [
            ("ftp://a", Upstream::default(), "ftp://a"),
            ("a b", Upstream::default(), "a b"),
            ("http://a:1", with_ca.clone(), "gateway.upstream"),
            ("https://a:1", with_ca, "/nowhere.pem"),
        ] {
            let Err(error) = channel(url, &config) else { panic!("{url} cannot be") };
            assert!(error.to_string().contains(told), "{error}");
        }
        assert!(channel("http://a:1", &Upstream::default()).is_ok());
    }
}
