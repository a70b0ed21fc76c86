//! URLs of targets, and those that targets answer with.

use std::fmt;

use http::Uri;

use super::TargetError;

/// How long a URL may be.
const MAX_BYTES: usize = 8 * 1024;

/// An `http` or `https` URL. Shown without its query: those that registries answer with have secrets in it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Url {
    secure: bool,
    host: String,
    port: u16,
    path: String,
    query: Option<String>,
}

impl Url {
    /// Reads one with a scheme.
    pub(super) fn parse(text: &str) -> Result<Self, TargetError> {
        let bad = |problem: &str| TargetError::Refused(format!("{:?} is not a URL: {problem}", shown(text)));
        if text.len() > MAX_BYTES {
            return Err(bad("it is too long"));
        }
        let text = text.split('#').next().unwrap_or_default();
        let uri: Uri = text.parse().map_err(|_| bad("it cannot be read"))?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(bad("it has to begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| bad("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(bad("a user and password do not belong into it"));
        }
        let host = authority.host().to_ascii_lowercase();
        let is_port_wrong = authority.port_u16().is_none() && authority.as_str().len() > host.len();
        if host.is_empty() || is_port_wrong {
            return Err(bad("it has no host, or a port that is none"));
        }
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let path = match uri.path() {
            "" => "/".to_owned(),
            path => path.to_owned(),
        };
        Ok(Url { secure, host, port, path, query: uri.query().map(str::to_owned) })
    }

    /// What a reference in an answer from here stands for: a whole URL, or one that begins at the host or here.
    pub(super) fn join(&self, reference: &str) -> Result<Self, TargetError> {
        let begins_with_scheme = reference.split(['/', '?', '#']).next().is_some_and(|head| head.contains(':'));
        if begins_with_scheme {
            return Url::parse(reference);
        }
        let scheme = self.scheme();
        if reference.starts_with("//") {
            return Url::parse(&format!("{scheme}:{reference}"));
        }
        let origin = self.origin();
        if reference.starts_with('/') {
            return Url::parse(&format!("{origin}{reference}"));
        }
        if reference.starts_with('?') {
            return Url::parse(&format!("{origin}{}{reference}", self.path));
        }
        let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        Url::parse(&format!("{origin}{folder}/{reference}"))
    }

    /// The same place with another path and without a query.
    pub(super) fn at(&self, path: &str) -> Result<Self, TargetError> {
        Url::parse(&format!("{}{path}", self.origin()))
    }

    /// With a parameter more.
    #[must_use]
    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        let mut query = self.query.take().map(|query| format!("{query}&")).unwrap_or_default();
        query.push_str(name);
        query.push('=');
        query.push_str(&encoded(value));
        self.query = Some(query);
        self
    }

    /// Whether TLS is spoken there.
    pub(super) fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host: a name, or an address, one of IPv6 in brackets.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// The path, with a slash in front.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Scheme, host and port.
    pub(super) fn origin(&self) -> String {
        let default = if self.secure { 443 } else { 80 };
        if self.port == default {
            return format!("{}://{}", self.scheme(), self.host);
        }
        format!("{}://{}:{}", self.scheme(), self.host, self.port)
    }

    /// Whether both are at the same scheme, host and port: credentials of one are not for anybody else.
    pub(super) fn has_origin_of(&self, other: &Url) -> bool {
        self.secure == other.secure && self.host == other.host && self.port == other.port
    }

    /// All of it, for requests and for what is stored; never for people.
    pub(super) fn whole(&self) -> String {
        let query = self.query.as_ref().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{}{}{query}", self.origin(), self.path)
    }

    fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path == "/" { "" } else { &self.path };
        write!(f, "{}{path}", self.origin())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What may be shown of a text that was to be a URL: neither a query nor what is in front of an `@`.
fn shown(text: &str) -> String {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let text = text.rsplit('@').next().unwrap_or_default();
    text.chars().take(100).collect()
}

/// A value as a query has it.
pub(super) fn encoded(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:,".contains(&byte);
    let encode = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    value.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_reference_is_read_from_where_it_was_answered() {
        let here = url("http://registry.example:5001/v2/a/blobs/uploads/");
        let table = [
            ("/v2/x?_state=s", "http://registry.example:5001/v2/x?_state=s"),
            ("x?_state=s", "http://registry.example:5001/v2/a/blobs/uploads/x?_state=s"),
            ("?_state=s", "http://registry.example:5001/v2/a/blobs/uploads/?_state=s"),
            ("//other.example/x", "http://other.example/x"),
            ("https://other.example:8443/x?y=/z:1", "https://other.example:8443/x?y=/z:1"),
        ];
        for (reference, whole) in table {
            assert_eq!(here.join(reference).unwrap().whole(), whole, "{reference}");
        }
        assert!(here.join("ftp://other.example/x").is_err());
    }

    #[test]
    fn what_is_shown_has_neither_query_nor_user() {
        assert_eq!(url("https://registry.example/v2/?_state=secret").to_string(), "https://registry.example/v2/");
        let error = Url::parse("http://user:secret@registry.example/?x=secret").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let here = url("https://registry.example/a");
        assert!(here.has_origin_of(&url("https://Registry.example:443/b")));
        for other in ["http://registry.example/a", "https://registry.example:8443/a", "https://other.example/a"] {
            assert!(!here.has_origin_of(&url(other)), "{other}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused() {
        for text in ["", "registry.example", "ftp://x.example", "http://", "http://x:port/", "http://a b/"] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn parameters_are_appended_and_encoded() {
        let location = url("http://x.example/u?_state=s").with("digest", "sha256:ab").with("from", "a&b");
        assert_eq!(location.whole(), "http://x.example/u?_state=s&digest=sha256:ab&from=a%26b");
    }
}
