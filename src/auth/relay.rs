//! What a gateway on its own passes on to its server: as a proxy does, only what may be believed.

use http::{HeaderName, HeaderValue, Request};

use super::Error;
use super::authenticator::parse_header;
use super::origin::{FORWARDED_FOR, Proxies, peer};
use crate::config;

/// Cleans the calls of a gateway: the server takes the gateway's word for the user and for the client's address, so
/// what strangers wrote there must not come through.
#[derive(Clone, Debug)]
pub struct Relay {
    proxies: Proxies,
    user_header: Option<HeaderName>,
}

impl Relay {
    /// With the proxies that are in front of the gateway.
    pub fn from_config(auth: &config::Auth) -> Result<Self, Error> {
        let user_header = auth.proxy_header.as_deref().map(parse_header).transpose()?;
        Ok(Relay { proxies: Proxies::from_config(auth)?, user_header })
    }

    /// The header in which a proxy names the user, if one does.
    pub fn user_header(&self) -> Option<HeaderName> {
        self.user_header.clone()
    }

    /// Drops what the peer may not say, and adds the peer to the addresses of the way.
    pub fn clean<B>(&self, mut request: Request<B>) -> Request<B> {
        let peer = peer(request.extensions());
        let headers = request.headers_mut();
        if !self.proxies.trust(peer) {
            headers.remove(FORWARDED_FOR);
            if let Some(name) = &self.user_header {
                headers.remove(name);
            }
        }
        let address = peer.and_then(|peer| peer.0).and_then(|address| HeaderValue::try_from(address.to_string()).ok());
        if let Some(address) = address {
            headers.append(FORWARDED_FOR, address);
        }
        request
    }
}

#[cfg(test)]
mod tests {
    use steward_gateway::Peer;

    use super::*;

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
}
