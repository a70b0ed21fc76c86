//! What a gateway on its own passes on to its server: as a proxy does, only what may be believed.

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Request};
use steward_gateway::ClientUser;

use super::Error;
use super::origin::{FORWARDED_FOR, Proxies, peer};
use super::vouch::{VOUCHED_IDENTITY, Vouched, Voucher, unknown};
use super::ways::parse_header;
use crate::config;

/// Cleans the calls of a gateway: the server takes the gateway's word for the user and for the client's address, so
/// what strangers wrote there must not come through.
#[derive(Clone, Debug)]
pub struct Relay {
    proxies: Proxies,
    user_header: Option<HeaderName>,
    voucher: Option<Arc<Voucher>>,
}

impl Relay {
    /// With the proxies that are in front of the gateway. Reads the key that it signs with.
    pub fn from_config(auth: &config::Auth) -> Result<Self, Error> {
        let user_header = auth.proxy_header.as_deref().map(parse_header).transpose()?;
        let voucher = auth.gateway_key.as_deref().map(Voucher::open).transpose()?.map(Arc::new);
        Ok(Relay { proxies: Proxies::from_config(auth)?, user_header, voucher })
    }

    /// The header in which a proxy names the user, if one does.
    pub fn user_header(&self) -> Option<HeaderName> {
        self.user_header.clone()
    }

    /// Drops what the peer may not say, adds the peer to the addresses of the way, and says whether its certificate says
    /// who it is.
    pub fn clean<B>(&self, mut request: Request<B>) -> Request<B> {
        let peer = peer(request.extensions());
        let client = self.proxies.client(peer, request.headers());
        let headers = request.headers_mut();
        let mut is_passed_on = false;
        if self.proxies.trust(peer) {
            let user_header = self.user_header.as_ref();
            is_passed_on = user_header.into_iter().chain([&FORWARDED_FOR]).any(|name| headers.contains_key(name));
        } else {
            headers.remove(FORWARDED_FOR);
            if let Some(name) = &self.user_header {
                headers.remove(name);
            }
        }
        let address = peer.and_then(|peer| peer.0).and_then(|address| HeaderValue::try_from(address.to_string()).ok());
        if let Some(address) = address {
            headers.append(FORWARDED_FOR, address);
        }
        // A proxy that passes on a call of others has shown a certificate of its own.
        let certified = request.extensions().get().filter(|_| !is_passed_on);
        let user = certified.map(|ClientUser(user)| user.as_ref().to_owned());
        let path = request.uri().path();
        let word = self.voucher.as_ref().map(|voucher| voucher.vouch(&Vouched { user, address: client }, path));
        // Whatever stood there is replaced.
        request.headers_mut().insert(VOUCHED_IDENTITY, word.unwrap_or_else(unknown));
        request
    }
}

#[cfg(test)]
mod tests {
    use steward_gateway::Peer;

    use super::*;
    use crate::auth::Vouching;
    use crate::clock::{Clock as _, SystemClock};

    fn cleaned(peer: Option<Peer>) -> (Vec<String>, bool) {
        let auth = config::Auth {
            proxy_header: Some("X-User".to_owned()),
            trusted_proxies: vec!["10.0.0.0/8".to_owned()],
            ..config::Auth::default()
        };
        let mut request = Request::builder().header("x-forwarded-for", "6.6.6.6").header("x-user", "root");
        if let Some(peer) = peer {
            request = request.extension(peer);
        }
        let request = Relay::from_config(&auth).unwrap().clean(request.body(()).unwrap());
        let hops = request.headers().get_all(FORWARDED_FOR).iter().map(|hop| hop.to_str().unwrap().to_owned());
        (hops.collect(), request.headers().contains_key("x-user"))
    }

    #[test]
    fn a_stranger_cannot_name_a_user_through_the_gateway() {
        let address = |text: &str| Some(Peer(Some(text.parse().unwrap())));
        assert_eq!(cleaned(address("9.9.9.9")), (vec!["9.9.9.9".to_owned()], false));
        assert_eq!(cleaned(address("10.0.0.1")), (vec!["6.6.6.6".to_owned(), "10.0.0.1".to_owned()], true));
        assert_eq!(cleaned(None), (vec![], false));
    }

    #[test]
    fn only_the_certificate_of_the_peer_says_who_it_is() {
        let key = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(key.path(), "a key that only the two of them know").unwrap();
        let auth = config::Auth {
            proxy_header: Some("X-User".to_owned()),
            trusted_proxies: vec!["10.0.0.0/8".to_owned()],
            gateway_key: Some(key.path().to_owned()),
            ..config::Auth::default()
        };
        let relay = Relay::from_config(&auth).unwrap();
        let server = Vouching::open(Some(key.path())).unwrap();
        let path = "/steward.lock.v1.LockService/Acquire";
        let said = |from: &str, certificate: Option<&str>, headers: &[(&str, &str)]| {
            let mut request = Request::builder().uri(path).extension(Peer(Some(from.parse().unwrap())));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            if let Some(user) = certificate {
                request = request.extension(ClientUser(user.into()));
            }
            let request = relay.clean(request.body(()).unwrap());
            let heard = server.read(request.headers(), path, || SystemClock::default().now());
            let Vouched { user, address } = heard.expect("something is said").expect("and believed");
            (user.unwrap_or_else(|| "-".to_owned()), address.unwrap().to_string())
        };
        let caller = |user: &str, address: &str| (user.to_owned(), address.to_owned());
        let forged = [("x-steward-identity", "1;1;AAAA;1;-;root;AAAA")];
        assert_eq!(said("9.9.9.9", None, &forged), caller("-", "9.9.9.9"));
        assert_eq!(said("10.0.0.1", None, &forged), caller("-", "10.0.0.1"), "not even a proxy");
        assert_eq!(said("9.9.9.9", Some("alice"), &forged), caller("alice", "9.9.9.9"));
        assert_eq!(said("9.9.9.9", Some("alice"), &[("x-forwarded-for", "6.6.6.6")]), caller("alice", "9.9.9.9"));
        assert_eq!(said("9.9.9.9", Some("alice"), &[("x-user", "root")]), caller("alice", "9.9.9.9"));
        assert_eq!(said("10.0.0.1", Some("proxy"), &[("x-forwarded-for", "6.6.6.6")]), caller("-", "6.6.6.6"));
        assert_eq!(said("10.0.0.1", Some("alice"), &[]), caller("alice", "10.0.0.1"));
        assert_eq!(said("10.0.0.1", Some("proxy"), &[("x-user", "alice")]), caller("-", "10.0.0.1"));
        assert_eq!(said("9.9.9.9", Some("no;body"), &[]), caller("-", "9.9.9.9"));
    }
}
