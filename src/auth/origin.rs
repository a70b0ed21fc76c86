//! Where a request comes from, and which proxies are believed when they say so.

use std::net::IpAddr;

use http::{Extensions, HeaderMap, HeaderName};
use ipnet::IpNet;
use steward_gateway::{ClientAddress, Peer};
use tonic::transport::server::{TcpConnectInfo, UdsConnectInfo};

use super::Error;
use crate::config;

/// What proxies write the addresses of clients into.
pub(super) const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Who is at the other end of the connection of a request; `None` when that is not known.
pub(super) fn peer(extensions: &Extensions) -> Option<Peer> {
    // Only the gateway of this process can set it: nothing that comes over the network becomes an extension.
    if let Some(peer) = extensions.get::<Peer>() {
        return Some(Peer(peer.0.map(|address| address.to_canonical())));
    }
    if let Some(info) = extensions.get::<TcpConnectInfo>() {
        return info.remote_addr.map(|address| Peer(Some(address.ip().to_canonical())));
    }
    extensions.get::<UdsConnectInfo>().map(|_| Peer(None))
}

/// The proxies that are believed.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    networks: Vec<IpNet>,
    is_loopback_trusted: bool,
    is_unix_trusted: bool,
}

impl Proxies {
    /// Those of the settings.
    pub fn from_config(auth: &config::Auth) -> Result<Self, Error> {
        // Without a list, a header that names users is believed of this machine alone.
        let is_implied = auth.proxy_header.is_some() && auth.trusted_proxies.is_empty();
        let mut proxies =
            Proxies { networks: Vec::new(), is_loopback_trusted: is_implied, is_unix_trusted: is_implied };
        for entry in auth.trusted_proxies.iter().map(|entry| entry.trim()) {
            if entry == "unix" {
                proxies.is_unix_trusted = true;
                continue;
            }
            let network = entry.parse::<IpAddr>().map(IpNet::from).or_else(|_| entry.parse());
            proxies.networks.push(network.map_err(|_| Error::TrustedProxies { entry: entry.to_owned() })?);
        }
        Ok(proxies)
    }

    /// Notes in a request where it comes from.
    pub fn note<B>(&self, mut request: http::Request<B>) -> http::Request<B> {
        let client = self.client(peer(request.extensions()), request.headers());
        request.extensions_mut().insert(ClientAddress(client));
        request
    }

    /// Whether what `peer` says of others is believed.
    pub(super) fn trust(&self, peer: Option<Peer>) -> bool {
        match peer {
            None => false,
            Some(Peer(None)) => self.is_unix_trusted,
            Some(Peer(Some(address))) => self.trust_address(address),
        }
    }

    fn trust_address(&self, address: IpAddr) -> bool {
        (self.is_loopback_trusted && address.is_loopback())
            || self.networks.iter().any(|network| network.contains(&address))
    }

    /// The client of a request that `peer` sent: the last address that no trusted proxy has.
    pub(super) fn client(&self, peer: Option<Peer>, headers: &HeaderMap) -> Option<IpAddr> {
        let mut client = peer?.0;
        if !self.trust(peer) {
            return client;
        }
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        for hop in lines.flat_map(|line| line.to_str().unwrap_or("?").rsplit(',')) {
            // Behind what makes no sense, anybody can have written anything.
            let Some(address) = parse_hop(hop.trim()) else { break };
            client = Some(address);
            if !self.trust_address(address) {
                break;
            }
        }
        client
    }
}

/// An address, perhaps with a port, perhaps in brackets.
fn parse_hop(hop: &str) -> Option<IpAddr> {
    let bare = || hop.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || hop.parse().ok().map(|address: std::net::SocketAddr| address.ip());
    hop.parse().ok().or_else(with_port).or_else(bare).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn proxies(header: bool, trusted: &[&str]) -> Proxies {
        let auth = config::Auth {
            proxy_header: header.then(|| "x-user".to_owned()),
            trusted_proxies: trusted.iter().map(ToString::to_string).collect(),
            ..config::Auth::default()
        };
        Proxies::from_config(&auth).unwrap()
    }

    #[expect(clippy::unnecessary_wraps, reason = "so the tests read as the calls do")]
    fn at(address: &str) -> Option<Peer> {
        Some(Peer(Some(address.parse().unwrap())))
    }

    fn client(proxies: &Proxies, peer: Option<Peer>, lines: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().unwrap());
        }
        proxies.client(peer, &headers).map(|address| address.to_string())
    }

    #[test]
    fn networks_addresses_and_unix_sockets_can_be_trusted() {
        let some = proxies(true, &["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "unix"]);
        for peer in [at("10.1.2.3"), at("192.0.2.7"), at("2001:db8::1"), Some(Peer(None))] {
            assert!(some.trust(peer), "{peer:?}");
        }
        for peer in [None, at("192.0.2.8"), at("127.0.0.1"), at("::1"), at("11.0.0.1")] {
            assert!(!some.trust(peer), "{peer:?}");
        }
        assert!(!proxies(true, &["10.0.0.0/8"]).trust(Some(Peer(None))));
    }

    #[test]
    fn without_a_list_only_a_header_makes_this_machine_trusted() {
        let implied = proxies(true, &[]);
        assert!(implied.trust(at("127.0.0.9")) && implied.trust(at("::1")) && implied.trust(Some(Peer(None))));
        assert!(!implied.trust(at("10.0.0.1")) && !implied.trust(None));
        let none = proxies(false, &[]);
        assert!(!none.trust(at("127.0.0.1")) && !none.trust(Some(Peer(None))));
    }

    #[test]
    fn an_odd_entry_is_an_error_that_names_the_setting() {
        for odd in ["", "10.0.0.0/33", "proxy.example", "10.0.0"] {
            let auth = config::Auth { trusted_proxies: vec![odd.to_owned()], ..config::Auth::default() };
            let error = Proxies::from_config(&auth).unwrap_err();
            assert!(error.to_string().contains("auth.trusted_proxies"), "{error}");
        }
    }

    #[test]
    fn the_client_is_the_last_address_that_is_not_trusted() {
        let some = proxies(false, &["10.0.0.0/8"]);
        assert_eq!(client(&some, at("10.0.0.1"), &["1.1.1.1, 2.2.2.2, 10.0.0.2"]).as_deref(), Some("2.2.2.2"));
        assert_eq!(client(&some, at("10.0.0.1"), &["6.6.6.6", "2.2.2.2"]).as_deref(), Some("2.2.2.2"));
        assert_eq!(client(&some, at("10.0.0.1"), &["10.0.0.3,10.0.0.2"]).as_deref(), Some("10.0.0.3"));
        assert_eq!(client(&some, at("10.0.0.1"), &["[2001:db8::5]:443"]).as_deref(), Some("2001:db8::5"));
        assert_eq!(client(&some, at("10.0.0.1"), &["2.2.2.2:80"]).as_deref(), Some("2.2.2.2"));
        assert_eq!(client(&some, at("10.0.0.1"), &["6.6.6.6, unknown"]).as_deref(), Some("10.0.0.1"));
        assert_eq!(client(&some, at("10.0.0.1"), &[]).as_deref(), Some("10.0.0.1"));
        let unix = proxies(true, &[]);
        assert_eq!(client(&unix, Some(Peer(None)), &["2.2.2.2"]).as_deref(), Some("2.2.2.2"));
    }

    #[test]
    fn nobody_else_is_believed() {
        assert_eq!(client(&proxies(false, &[]), at("127.0.0.1"), &["6.6.6.6"]).as_deref(), Some("127.0.0.1"));
        assert_eq!(client(&proxies(false, &["10.0.0.0/8"]), at("9.9.9.9"), &["6.6.6.6"]).as_deref(), Some("9.9.9.9"));
        assert_eq!(client(&proxies(true, &[]), None, &["6.6.6.6"]), None);
        assert_eq!(client(&proxies(false, &[]), Some(Peer(None)), &["6.6.6.6"]), None);
    }

    #[test]
    fn an_address_counts_the_same_when_it_is_mapped() {
        let mut extensions = Extensions::new();
        extensions.insert(Peer(Some("::ffff:10.0.0.1".parse().unwrap())));
        assert_eq!(peer(&extensions), at("10.0.0.1"));
        let mut extensions = Extensions::new();
        let remote_addr = Some("[::ffff:10.0.0.1]:9".parse().unwrap());
        extensions.insert(TcpConnectInfo { local_addr: None, remote_addr });
        assert_eq!(peer(&extensions), at("10.0.0.1"));
        assert_eq!(peer(&Extensions::new()), None);
    }

    proptest! {
        #[test]
        fn a_client_cannot_choose_its_address(forged in "[0-9a-f.:, \\[\\]]{0,60}", real: std::net::Ipv4Addr) {
            prop_assume!(real.octets()[0] != 10);
            let some = proxies(true, &["10.0.0.0/8"]);
            let seen = client(&some, at("10.0.0.1"), &[&format!("{forged}, {real}")]);
            prop_assert_eq!(seen, Some(real.to_string()));
        }
    }
}
