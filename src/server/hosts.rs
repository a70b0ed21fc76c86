//! By which names a server may be called that asks nobody who they are.
//!
//! The owner of a name can let it stand for this machine while a page of that name is open. To a browser the page is then
//! one of the server's own, which may read and change everything. A page cannot do that with an address, nor with a
//! name that has no dots, which nobody can register.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::Request;
use axum::http::header::{HOST, HeaderValue};
use axum::http::uri::Authority;
use steward_gateway::Peer;

use crate::config::Config;

/// Whether callers are asked who they are, as far as that is known yet. Clones are the same.
#[derive(Clone, Debug)]
pub(super) struct Asking(Arc<AtomicBool>);

impl Asking {
    pub(super) fn new(is_asked: bool) -> Self {
        Asking(Arc::new(AtomicBool::new(is_asked)))
    }

    /// What has turned out.
    pub(super) fn set(&self, is_asked: bool) {
        self.0.store(is_asked, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The names, and whether it comes to them.
#[derive(Clone, Debug)]
pub(super) struct Hosts {
    names: Arc<[String]>,
    asking: Asking,
}

impl Hosts {
    /// Those of the settings, which matter while nobody is asked.
    pub(super) fn new(config: &Config, asking: Asking) -> Self {
        Hosts { names: config.server.hosts.clone().into(), asking }
    }

    /// Whether a request calls the server by a name that may be a stranger's.
    pub(super) fn refuse(&self, request: &Request) -> bool {
        // No browser comes through a Unix socket.
        let is_of_socket = matches!(request.extensions().get(), Some(Peer(None)));
        let host = called(request);
        !self.asking.get() && !is_of_socket && !host.is_empty() && !self.know(host)
    }

    fn know(&self, host: &[u8]) -> bool {
        let Ok(authority) = Authority::try_from(host) else { return false };
        let name = authority.host();
        let name = name.strip_suffix('.').unwrap_or(name);
        let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
        address.parse::<IpAddr>().is_ok()
            || !name.contains('.')
            || name.to_ascii_lowercase().ends_with(".localhost")
            || self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// What a request calls the server: a name or an address, mostly with a port. Nothing: it does not say.
pub(super) fn called(request: &Request) -> &[u8] {
    match request.uri().authority() {
        Some(authority) => authority.as_str().as_bytes(),
        None => request.headers().get(HOST).map(HeaderValue::as_bytes).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn hosts(is_asked: bool) -> Hosts {
        let mut config = Config::default();
        config.server.hosts = vec!["storage.example.org".to_owned()];
        Hosts::new(&config, Asking::new(is_asked))
    }

    fn request(host: Option<&str>) -> Request {
        let request = Request::builder().uri("/lock");
        let request = host.into_iter().fold(request, |request, host| request.header(HOST, host));
        request.body(Body::empty()).expect("a request")
    }

    #[test]
    fn a_server_that_asks_nobody_is_called_by_addresses_and_names_of_its_own() {
        for host in [
            "127.0.0.1:8080",
            "192.0.2.7",
            "[::1]:8080",
            "[2001:db8::1]",
            "localhost:8080",
            "LOCALHOST.",
            "a.localhost:1",
            "steward:8080",
            "Storage.Example.org:8080",
            "storage.example.org.",
            "",
        ] {
            assert!(!hosts(false).refuse(&request(Some(host))), "{host:?}");
        }
        assert!(!hosts(false).refuse(&request(None)), "HTTP/1.0");
        for host in [
            "evil.example:8080",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "notlocalhost.example.",
            "a.storage.example.org",
            "evil.example:8080@127.0.0.1.example",
            "127.0.0.1 evil.example",
        ] {
            assert!(hosts(false).refuse(&request(Some(host))), "{host:?}");
        }
        let full = Request::builder().uri("http://evil.example/lock").header(HOST, "localhost").body(Body::empty());
        assert!(hosts(false).refuse(&full.expect("a request")), "a target with a name in it");
    }

    #[test]
    fn names_do_not_matter_where_callers_are_asked_or_no_browser_can_come() {
        let hosts = hosts(true);
        let mut foreign = request(Some("evil.example"));
        assert!(!hosts.refuse(&foreign));
        hosts.asking.set(false);
        assert!(hosts.refuse(&foreign), "it turned out otherwise");
        foreign.extensions_mut().insert(Peer(Some("127.0.0.1".parse().expect("an address"))));
        assert!(hosts.refuse(&foreign));
        foreign.extensions_mut().insert(Peer(None));
        assert!(!hosts.refuse(&foreign));
    }
}
