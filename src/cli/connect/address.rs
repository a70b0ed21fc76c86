//! Where a server is.

use std::ffi::OsStr;
use std::net::IpAddr;
use std::time::Duration;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use http::Uri;
use tonic::transport::Endpoint;

pub(super) const DEFAULT_SERVER: &str = "http://127.0.0.1:50051";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
// Without these a connection that was cut silently is never noticed, and a watch or a wait hangs for ever.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a server is.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) url: String,
    pub(super) endpoint: Endpoint,
}

impl Address {
    /// Reads a URL, or a host and a port. What is wrong is told without what may be a password.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let url = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        if url.contains('@') {
            return Err("has a user in it: name the user with --user or STEWARD_USER, and put the password into \
                        STEWARD_PASSWORD or a --password-file"
                .to_owned());
        }
        let uri: Uri = url.parse().map_err(|error| format!("{text:?} is not a URL: {error}"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(format!("{text:?} is not served: only http:// and https:// are"));
        }
        if uri.host().is_none_or(str::is_empty) {
            return Err(format!("{text:?} has no host"));
        }
        let endpoint = Endpoint::from(uri)
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        Ok(Address { url, endpoint })
    }

    /// Where a server is if nobody says.
    pub(super) fn usual() -> Self {
        Self::parse(DEFAULT_SERVER).expect("it is a URL")
    }

    pub(super) fn is_secure(&self) -> bool {
        self.endpoint.uri().scheme_str() == Some("https")
    }

    /// Whether others are on the way to it, as far as can be told without asking for names.
    pub(super) fn is_elsewhere(&self) -> bool {
        let host = self.endpoint.uri().host().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host != "localhost" && !address.is_ok_and(|address| address.to_canonical().is_loopback())
    }

    /// Whether both are the same, though one may be written otherwise.
    pub(super) fn is_same(&self, other: &Address) -> bool {
        let (one, other) = (self.endpoint.uri(), other.endpoint.uri());
        (one.scheme(), one.authority()) == (other.scheme(), other.authority())
    }
}

/// Reads addresses without showing one that may have a password in it, as clap would.
#[derive(Clone, Debug)]
pub(super) struct AddressParser;

impl TypedValueParser for AddressParser {
    type Value = Address;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Self::Value, clap::Error> {
        let parsed = value.to_str().ok_or_else(|| "is not UTF-8".to_owned()).and_then(Address::parse);
        parsed.map_err(|problem| {
            let message = format!("the address of --server {problem}\n");
            clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_needs_no_scheme() {
        assert_eq!(Address::parse("127.0.0.1:50051").unwrap().url, "http://127.0.0.1:50051");
        assert_eq!(Address::parse("http://[::1]:7").unwrap().url, "http://[::1]:7");
        assert!(!Address::parse("a:1").unwrap().is_secure());
        assert!(Address::parse("https://a").unwrap().is_secure());
    }

    #[test]
    fn only_what_is_surely_local_is_not_elsewhere() {
        for (address, is_elsewhere) in
            [("127.0.0.1:1", false), ("[::1]:7", false), ("localhost", false), ("10.0.0.1:1", true), ("a:1", true)]
        {
            assert_eq!(Address::parse(address).unwrap().is_elsewhere(), is_elsewhere, "{address}");
        }
    }

    #[test]
    fn other_schemes_and_nonsense_are_refused() {
        for wrong in ["unix:/a", "ftp://a", "http://", "https://:1", "a b"] {
            assert!(Address::parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn one_server_has_several_spellings() {
        let address = |text| Address::parse(text).unwrap();
        assert!(address("a:1").is_same(&address("http://A:1/")));
        assert!(!address("a:1").is_same(&address("https://a:1")));
        assert!(!address("a:1").is_same(&address("a:2")));
    }
}
