//! The URLs of targets.

use std::fmt;
use std::net::Ipv4Addr;

use super::address_policy::{AddressPolicy, literal};
use super::error::Error;
use super::settings::PrivateTargets;

/// How long a URL may be, in bytes.
const MAX_BYTES: usize = 1024;
/// How long the name of a host may be.
const MAX_HOST_BYTES: usize = 255;

/// How a target is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Http,
    Https,
}

/// The URL of a target, which was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TargetUrl {
    scheme: Scheme,
    /// As it stands in the URL: an address of IPv6 is in brackets.
    host: String,
    port: Option<u16>,
    /// Empty, or with a slash in front.
    path: String,
}

impl Scheme {
    fn text(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    fn port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// Whether a registry is named without saying how it is spoken to.
pub(super) fn has_no_scheme(text: &str) -> bool {
    !text.contains("://")
}

fn invalid(problem: impl Into<String>) -> Error {
    Error::invalid("url", problem)
}

impl TargetUrl {
    /// Reads a URL, and says whether this server goes there as far as that can be told without asking for its address.
    pub(super) fn parse(text: &str, policy: &AddressPolicy, private: PrivateTargets) -> Result<Self, Error> {
        let url = Self::read(text)?;
        let host = &*url.host;
        let is_local_allowed = private == PrivateTargets::Allowed;
        let may_be_short = policy.names(host) || (is_local_allowed && host.eq_ignore_ascii_case("localhost"));
        check_host(host, may_be_short)?;
        policy.check_host(host).map_err(|forbidden| Error::TargetForbidden(forbidden.0))?;
        Ok(url)
    }

    /// The place of a URL that was taken once, wherever this server goes now.
    pub(super) fn place_of(text: &str) -> Option<String> {
        Self::read(text).ok().map(|url| url.place())
    }

    fn read(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_BYTES {
            return Err(invalid(format!("has {} bytes; the limit is {MAX_BYTES}", text.len())));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid("has a character that URLs do not have"));
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| invalid("has to begin with http:// or https://"))?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            _ => return Err(invalid("has to begin with http:// or https://")),
        };
        if rest.contains(['?', '#', '@', '\\']) {
            return Err(invalid("must not have a user, a query or a fragment"));
        }
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        if path.split('/').any(|part| matches!(part, "." | "..")) {
            return Err(invalid("has a path that goes up"));
        }
        let (host, port) = split_port(authority)?;
        Ok(TargetUrl { scheme, host: host.to_owned(), port, path: path.to_owned() })
    }

    /// The same without its path.
    pub(super) fn origin(&self) -> String {
        TargetUrl { path: String::new(), ..self.clone() }.to_string()
    }

    /// Which service it is, always in the same words: what is said to one is said to the other.
    pub(super) fn place(&self) -> String {
        let port = self.port.unwrap_or(self.scheme.port());
        format!("{}://{}:{port}", self.scheme.text(), self.host.to_ascii_lowercase())
    }
}

impl fmt::Display for TargetUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.text(), self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)
    }
}

fn split_port(authority: &str) -> Result<(&str, Option<u16>), Error> {
    let end_of_host = authority.rfind(']').map_or(0, |at| at + 1);
    let Some(colon) = authority.get(end_of_host..).and_then(|rest| rest.find(':')) else {
        return Ok((authority, None));
    };
    let (host, port) = authority.split_at(end_of_host + colon);
    let digits = port.trim_start_matches(':');
    let port = digits.parse().ok().filter(|port| *port != 0 && !digits.starts_with('+'));
    port.map(|port| (host, Some(port))).ok_or_else(|| invalid("has a port that is none"))
}

/// An address, or a name of several labels; of one only if it `may_be_short`.
fn check_host(host: &str, may_be_short: bool) -> Result<(), Error> {
    let is_bracketed = host.starts_with('[');
    if let Some(ip) = literal(host) {
        return if ip.is_ipv6() == is_bracketed { Ok(()) } else { Err(invalid("has a host that is none")) };
    }
    let labels: Vec<&str> = host.split('.').collect();
    let is_label = |label: &&str| {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len())
            && label.bytes().all(is_inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if host.len() > MAX_HOST_BYTES || !labels.iter().all(is_label) {
        return Err(invalid("has a host that is none"));
    }
    // Resolvers read `127.1`, `0x7f.1` and the like as addresses too.
    let last = labels.last().copied().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.to_ascii_lowercase().starts_with("0x");
    if is_number && host.parse::<Ipv4Addr>().is_err() {
        return Err(invalid("has a host that is none"));
    }
    if (labels.len() < 2 || host.len() < 3) && !may_be_short {
        return Err(invalid(format!("{host} is a short name, which the operator has to allow")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replication::settings::Settings;

    fn parse_under(private: PrivateTargets, allowed: &[&str], text: &str) -> Result<TargetUrl, Error> {
        let settings = Settings {
            private_targets: private,
            allowed_targets: allowed.iter().map(|host| (*host).to_owned()).collect(),
            ..Settings::default()
        };
        TargetUrl::parse(text, &AddressPolicy::from(&settings), private)
    }

    fn parse(text: &str) -> Result<TargetUrl, Error> {
        parse_under(PrivateTargets::Loopback, &[], text)
    }

    #[test]
    fn urls_of_targets_are_read_and_written_again() {
        for text in [
            "https://registry.example.org",
            "http://127.0.0.1:5055/mirror",
            "https://[2606:4700::1]:8443/a/b/",
            "https://a_b.example-1.org/",
        ] {
            assert_eq!(parse(text).expect("a URL").to_string(), text);
        }
        assert_eq!(parse("HTTPS://h.example.org:443/x").unwrap().origin(), "https://h.example.org:443");
    }

    #[test]
    fn what_is_no_url_of_a_target_is_refused() {
        let long = format!("https://{}.org", "a".repeat(1100));
        for text in [
            "",
            "registry.example.org",
            "ftp://h.example.org",
            "https://",
            "https:///path",
            "https://h.example.org\r\nX: y",
            "https://h.example.org/a b",
            "https://user:pw@h.example.org",
            "https://h.example.org?x=1",
            "https://h.example.org/#f",
            "https://h.example.org:0",
            "https://h.example.org:66000",
            "https://h.example.org:",
            "https://h.example.org:+80",
            "https://-h.example.org",
            "https://h..example.org",
            "https://h.example.org.",
            "http://127.1",
            "http://0x7f.0x1",
            "http://1.2.3.4.5",
            "http://::1/",
            "http://[127.0.0.1]/",
            "http://[::1",
            "http://localhost:5000",
            "http://registry",
            "https://h.example.org/a/../b",
            &long,
        ] {
            let read = parse(text);
            assert!(matches!(&read, Err(Error::Invalid { arg, .. }) if arg == "url"), "{text:?}: {read:?}");
        }
    }

    #[test]
    fn short_names_are_hosts_if_the_operator_says_so() {
        assert!(parse_under(PrivateTargets::Refused, &["localhost"], "http://localhost:5000").is_ok());
        assert!(parse_under(PrivateTargets::Refused, &["registry"], "http://registry:5000").is_ok());
        assert!(parse_under(PrivateTargets::Allowed, &[], "http://localhost:5000").is_ok());
        assert!(parse_under(PrivateTargets::Allowed, &[], "http://registry:5000").is_err());
    }

    #[test]
    fn addresses_that_this_server_does_not_go_to_are_told_apart() {
        for text in ["http://127.0.0.1:5000", "http://169.254.169.254/", "http://[::1]/", "http://10.0.0.1"] {
            let read = parse_under(PrivateTargets::Refused, &[], text);
            assert!(matches!(read, Err(Error::TargetForbidden(_))), "{text}: {read:?}");
        }
        assert!(parse("http://127.0.0.1:5000").is_ok());
    }

    #[test]
    fn the_same_place_is_the_same_scheme_host_and_port() {
        let same = |a: &str, b: &str| parse(a).unwrap().place() == parse(b).unwrap().place();
        assert!(same("https://h.example.org/a", "https://H.example.org:443/b"));
        assert!(!same("https://h.example.org", "http://h.example.org"));
        assert!(!same("https://h.example.org", "https://h.example.org:8443"));
        assert!(!same("https://h.example.org", "https://g.example.org"));
    }
}
