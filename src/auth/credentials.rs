//! What a caller brings along to prove who they are: a name and a password, or a token, as HTTP's schemes have them.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

/// The longest header that is looked at: tokens of issuers can be long.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// The longest password that is looked at: it may be a token.
const MAX_PASSWORD_BYTES: usize = 8 * 1024;

// Some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A name and a password that nobody has checked. The password is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    user: String,
    /// As they came: the name, a colon, and the password.
    came: Vec<u8>,
}

impl Credentials {
    /// Those of a text with a name, a colon and a password.
    fn parse(came: Vec<u8>) -> Option<Self> {
        let colon = came.iter().position(|byte| *byte == b':')?;
        let user = std::str::from_utf8(&came[..colon]).ok().filter(|user| !user.is_empty())?.to_owned();
        let credentials = Credentials { user, came };
        (credentials.password().len() <= MAX_PASSWORD_BYTES).then_some(credentials)
    }

    /// The name.
    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// The name alone.
    pub(super) fn into_user(self) -> String {
        self.user
    }

    /// The password.
    pub(super) fn password(&self) -> &[u8] {
        &self.came[self.user.len() + 1..]
    }

    /// The same, if it is text.
    pub(super) fn password_text(&self) -> Option<&str> {
        std::str::from_utf8(self.password()).ok()
    }

    /// Both, with a colon between, which is in no name: no others are the same bytes.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.came
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A token of its bearer. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token(Box<str>);

impl Token {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}

/// What a request brings along to prove who sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// Nothing; also an empty name with an empty password, which restic sends when it was given none.
    Nothing,
    /// Several headers, or one that makes no sense.
    Odd,
    /// HTTP's Basic scheme.
    Password(Credentials),
    /// HTTP's Bearer scheme.
    Token(Token),
}

impl Proof {
    /// That of a request.
    pub(super) fn read(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        match (values.next(), values.next()) {
            (None, _) => Proof::Nothing,
            (Some(value), None) => Self::parse(value).unwrap_or(Proof::Odd),
            (Some(_), Some(_)) => Proof::Odd,
        }
    }

    fn parse(value: &HeaderValue) -> Option<Self> {
        if value.len() > MAX_HEADER_BYTES {
            return None;
        }
        let (scheme, rest) = parted(value)?;
        if scheme.eq_ignore_ascii_case("bearer") {
            return Some(Proof::Token(Token(rest.into())));
        }
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = BASE64.decode(rest).ok()?;
        if decoded == b":" {
            return Some(Proof::Nothing);
        }
        Credentials::parse(decoded).map(Proof::Password)
    }
}

/// The scheme of a header, and what is behind it.
fn parted(value: &HeaderValue) -> Option<(&str, &str)> {
    let text = std::str::from_utf8(value.as_bytes()).ok().filter(|text| text.is_ascii())?.trim_ascii();
    let (scheme, rest) = text.split_at(text.bytes().position(|byte| byte == b' ')?);
    Some((scheme, rest.trim_ascii_start()))
}

#[cfg(test)]
impl Credentials {
    pub(super) fn new(user: &str, password: impl AsRef<[u8]>) -> Self {
        Credentials::parse([user.as_bytes(), b":", password.as_ref()].concat()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn proof(value: &str) -> Proof {
        Proof::read(&HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_bytes(value.as_bytes()).unwrap())]))
    }

    fn read(value: &str) -> Option<Credentials> {
        match proof(value) {
            Proof::Password(credentials) => Some(credentials),
            Proof::Nothing | Proof::Odd | Proof::Token(_) => None,
        }
    }

    #[test]
    fn a_name_ends_at_the_first_colon() {
        assert_eq!(read("Basic YTpiOmM="), Some(Credentials::new("a", "b:c")));
        assert_eq!(read("bAsIc  YTpiOmM"), Some(Credentials::new("a", "b:c")), "no padding, any case, more space");
        assert_eq!(read("Basic YTo="), Some(Credentials::new("a", "")));
    }

    #[test]
    fn what_makes_no_sense_is_no_credentials() {
        for odd in [
            "",
            "Bearer ä",
            "Basic",
            "Basic ",
            "Basic OnB3",
            "Basic !!!!",
            "Basic YWI=",
            "Digest YTpi",
            "Bearer",
            "YTpi",
        ] {
            assert_eq!(proof(odd), Proof::Odd, "{odd:?}");
        }
        assert_eq!(proof("Basic Og=="), Proof::Nothing, "restic without a name and a password");
        assert_eq!(Proof::read(&HeaderMap::new()), Proof::Nothing);
        assert_eq!(read("Basic /zpi"), None, "a name that is not UTF-8");
        let long = |length| read(&format!("Basic {}", BASE64.encode(format!("a:{}", "b".repeat(length)))));
        assert!(long(MAX_PASSWORD_BYTES).is_some());
        assert!(long(MAX_PASSWORD_BYTES + 1).is_none());
        let mut twice = HeaderMap::new();
        twice.append(AUTHORIZATION, "Basic YTpi".parse().unwrap());
        twice.append(AUTHORIZATION, "Basic YTpi".parse().unwrap());
        assert_eq!(Proof::read(&twice), Proof::Odd, "two headers");
    }

    #[test]
    fn a_token_is_read_and_not_shown() {
        let Proof::Token(token) = proof("bearer  geheim") else { panic!("no token") };
        assert_eq!(token.as_str(), "geheim");
        assert!(!format!("{token:?}").contains("geheim"));
    }

    #[test]
    fn a_password_is_not_shown() {
        let shown = format!("{:?}", Credentials::new("a", "geheim"));
        assert!(shown.contains('a') && !shown.contains("geheim") && !shown.contains("103"), "{shown}");
    }

    proptest! {
        #[test]
        fn credentials_read_back_as_they_were_written(user in "[^:]{1,40}", password in any::<Vec<u8>>()) {
            let written = BASE64.encode([user.as_bytes(), b":", &password].concat());
            let read = read(&format!("Basic {written}")).unwrap();
            prop_assert_eq!((read.user(), read.password()), (&*user, &*password));
        }

        #[test]
        fn garbage_does_no_harm(garbage in "[ -~]{0,64}") {
            let _ = read(&garbage);
            let _ = read(&format!("Basic {garbage}"));
        }
    }
}
