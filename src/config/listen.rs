//! Where a port is: `host:port`, `:port` for every address of the machine, or `unix:/path`.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Where a port is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A TCP port; 0 picks a free one.
    Tcp {
        /// A name or an address; empty: every address of the machine.
        host: String,
        /// Its number.
        port: u16,
    },
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl Listen {
    /// Other machines can reach it, as far as can be told without asking for names.
    pub fn is_exposed(&self) -> bool {
        match self {
            Listen::Unix(_) => false,
            Listen::Tcp { host, .. } if host == "localhost" => false,
            Listen::Tcp { host, .. } => !host.parse().is_ok_and(|address: IpAddr| address.to_canonical().is_loopback()),
        }
    }
}

impl From<SocketAddr> for Listen {
    fn from(address: SocketAddr) -> Self {
        Listen::Tcp { host: address.ip().to_string(), port: address.port() }
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let malformed = || format!("\"{}\" is not host:port, :port or unix:/path", text.escape_debug());
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(malformed()) } else { Ok(Listen::Unix(path.into())) };
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(malformed)?;
        let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.parse().ok().filter(|_| is_number).ok_or_else(malformed)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let odd = |byte: u8| byte.is_ascii_whitespace() || byte.is_ascii_control() || b"[]/".contains(&byte);
        // The colons of an IPv6 address would be taken for that of the port.
        if bracketed.is_none() && host.contains(':') || bracketed.unwrap_or(host).bytes().any(odd) {
            return Err(malformed());
        }
        Ok(Listen::Tcp { host: bracketed.unwrap_or(host).to_owned(), port })
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Listen::Tcp { host, port } => write!(f, "{host}:{port}"),
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Serialize for Listen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Several ports: a list, or a text in which they are separated by commas, as the environment and flags have it. An
/// empty text is none.
pub(super) fn several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Listen>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Text(String),
        List(Vec<Listen>),
    }
    match Given::deserialize(deserializer)? {
        Given::List(list) => Ok(list),
        Given::Text(text) => text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(|part| part.parse().map_err(de::Error::custom))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_alike() {
        for text in [":8000", "127.0.0.1:0", "localhost:80", "[::1]:8000", "backup.example:65535", "unix:/run/s.sock"] {
            let listen: Listen = text.parse().expect(text);
            assert_eq!(listen.to_string(), text);
        }
        for odd in ["", "8000", "host", "host:", "host:+1", "host:65536", "::1:8000", "[::1]", "unix:", "a b:1", "[:1"]
        {
            odd.parse::<Listen>().expect_err(odd);
        }
    }

    #[test]
    fn only_what_is_surely_local_is_not_exposed() {
        for (text, is_exposed) in [
            (":8000", true),
            ("0.0.0.0:1", true),
            ("[::]:1", true),
            ("backup.example:1", true),
            ("localhost:1", false),
            ("127.8.0.1:1", false),
            ("[::1]:1", false),
            ("[::ffff:127.0.0.1]:1", false),
            ("unix:/run/s.sock", false),
        ] {
            assert_eq!(text.parse::<Listen>().expect(text).is_exposed(), is_exposed, "{text}");
        }
    }
}
