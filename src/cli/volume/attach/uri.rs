//! Where an export is.

use std::ffi::OsString;
use std::path::Path;

/// The parts of an NBD URI.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Address {
    Unix { socket: String, name: String },
    Tcp { host: String, port: String, name: String },
}

const DEFAULT_PORT: &str = "10809";
/// A size that every tool and file system can work with.
const BLOCK_SIZE: &str = "4096";

/// The best way to connect from this machine: a socket that is here, or else the network.
pub(super) fn choose(uris: &[String]) -> Option<&str> {
    let is_here =
        |uri: &&String| matches!(parse(uri), Some(Address::Unix { socket, .. }) if Path::new(&socket).exists());
    let is_network = |uri: &&String| !uri.starts_with("nbd+unix:") && !uri.starts_with("nbds+unix:");
    let best = uris.iter().find(is_here).or_else(|| uris.iter().find(is_network)).or(uris.first());
    best.map(String::as_str)
}

/// Reads `nbd://host:port/name` and `nbd+unix:///name?socket=path`; nothing of those with TLS.
pub(super) fn parse(uri: &str) -> Option<Address> {
    if let Some(rest) = uri.strip_prefix("nbd+unix:///") {
        let (name, query) = rest.split_once('?')?;
        let socket = query.split('&').find_map(|pair| pair.strip_prefix("socket="))?;
        return Some(Address::Unix { socket: decode(socket)?, name: decode(name)? });
    }
    let (place, name) = uri.strip_prefix("nbd://")?.split_once('/')?;
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        Some(_) | None => (place, DEFAULT_PORT),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some(Address::Tcp { host: host.to_owned(), port: port.to_owned(), name: decode(name)? })
}

impl Address {
    /// What `nbd-client` is told to connect `device`.
    pub(super) fn arguments(&self, device: &Path, is_read_only: bool) -> Vec<OsString> {
        let (place, name) = match self {
            Address::Unix { socket, name } => (["-unix", socket], name),
            Address::Tcp { host, port, name } => ([host.as_str(), port], name),
        };
        let mut words: Vec<OsString> = place.into_iter().map(OsString::from).collect();
        words.push(device.into());
        words.extend(["-N", name, "-b", BLOCK_SIZE].map(OsString::from));
        if is_read_only {
            words.push("-R".into());
        }
        words
    }
}

/// Undoes `%2F` and the like.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            let digits = std::str::from_utf8(&digits).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: &str, name: &str) -> Address {
        Address::Tcp { host: host.to_owned(), port: port.to_owned(), name: name.to_owned() }
    }

    #[test]
    fn uris_are_read_with_what_is_encoded_in_them() {
        let unix = Address::Unix { socket: "/run/a b".to_owned(), name: "/vm/disk1@x".to_owned() };
        for (uri, address) in [
            ("nbd+unix:///%2Fvm/disk1%40x?socket=/run/a%20b", unix),
            ("nbd://10.0.0.1:7/%2fvm", tcp("10.0.0.1", "7", "/vm")),
            ("nbd://[::1]/vm", tcp("::1", "10809", "vm")),
            ("nbd://[::1]:8//vm", tcp("::1", "8", "/vm")),
        ] {
            assert_eq!(parse(uri), Some(address), "{uri}");
        }
        for wrong in ["nbds://a/b", "nbd://a", "nbd+unix:///a", "nbd://a/%f", "nbd://a/%zz", ""] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_socket_that_is_here_is_better_than_the_network() {
        let socket = tempfile::NamedTempFile::new().unwrap();
        let here = format!("nbd+unix:///vm?socket={}", socket.path().display());
        let (elsewhere, network) = ("nbd+unix:///vm?socket=/not/there".to_owned(), "nbd://a/vm".to_owned());
        assert_eq!(choose(&[network.clone(), here.clone()]), Some(here.as_str()));
        assert_eq!(choose(&[elsewhere.clone(), network.clone()]), Some("nbd://a/vm"));
        assert_eq!(choose(std::slice::from_ref(&elsewhere)), Some(elsewhere.as_str()));
        assert_eq!(choose(&[]), None);
    }

    #[test]
    fn the_client_of_the_kernel_is_told_where_and_what() {
        let words = tcp("h", "7", "/vm").arguments(Path::new("/dev/nbd0"), true);
        assert_eq!(words, ["h", "7", "/dev/nbd0", "-N", "/vm", "-b", "4096", "-R"]);
    }
}
