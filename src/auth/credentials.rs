//! What a caller brings along to prove who they are: a name and a password, as HTTP's Basic scheme has them.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

/// The longest header that is looked at.
const MAX_HEADER_BYTES: usize = 8 * 1024;
/// The longest password that is looked at.
const MAX_PASSWORD_BYTES: usize = 1024;

// Some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A password. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Password(Vec<u8>);

impl Password {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(…)")
    }
}

/// A name and a password that nobody has checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: Password,
}

impl Credentials {
    #[cfg(test)]
    pub(super) fn new(user: &str, password: &str) -> Self {
        Credentials { user: user.to_owned(), password: Password(password.as_bytes().to_vec()) }
    }

    /// The credentials of a request; `None` when there are none, several, empty ones, or ones that make no sense.
    pub(super) fn read(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        Self::parse(value)
    }

    fn parse(value: &HeaderValue) -> Option<Self> {
        if value.len() > MAX_HEADER_BYTES {
            return None;
        }
        let (scheme, encoded) = value.to_str().ok()?.trim().split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = BASE64.decode(encoded.trim()).ok()?;
        let colon = decoded.iter().position(|byte| *byte == b':')?;
        let (user, password) = (&decoded[..colon], &decoded[colon + 1..]);
        // restic sends `Basic Og==`, an empty name and an empty password, when it was given none.
        if user.is_empty() || password.len() > MAX_PASSWORD_BYTES {
            return None;
        }
        let user = std::str::from_utf8(user).ok()?.to_owned();
        Some(Credentials { user, password: Password(password.to_vec()) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(value: &str) -> Option<Credentials> {
        Credentials::read(&HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]))
    }

    #[test]
    fn a_name_ends_at_the_first_colon() {
        assert_eq!(read("Basic YTpiOmM="), Some(Credentials::new("a", "b:c")));
        assert_eq!(read("bAsIc  YTpiOmM"), Some(Credentials::new("a", "b:c")), "no padding, any case, more space");
        assert_eq!(read("Basic YTo="), Some(Credentials::new("a", "")));
    }

    #[test]
    fn what_makes_no_sense_is_no_credentials() {
        for odd in
            ["", "Basic", "Basic ", "Basic Og==", "Basic OnB3", "Basic !!!!", "Basic YWI=", "Bearer YTpi", "YTpi"]
        {
            assert_eq!(read(odd), None, "{odd:?}");
        }
        assert_eq!(read("Basic /zpi"), None, "a name that is not UTF-8");
        let long = |length| read(&format!("Basic {}", BASE64.encode(format!("a:{}", "b".repeat(length)))));
        assert!(long(MAX_PASSWORD_BYTES).is_some());
        assert!(long(MAX_PASSWORD_BYTES + 1).is_none());
        let mut twice = HeaderMap::new();
        twice.append(AUTHORIZATION, "Basic YTpi".parse().unwrap());
        twice.append(AUTHORIZATION, "Basic YTpi".parse().unwrap());
        assert_eq!(Credentials::read(&twice), None, "two headers");
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
            let expected = Credentials { user, password: Password(password) };
            prop_assert_eq!(read(&format!("Basic {written}")), Some(expected));
        }

        #[test]
        fn garbage_does_no_harm(garbage in "[ -~]{0,64}") {
            let _ = read(&garbage);
            let _ = read(&format!("Basic {garbage}"));
        }
    }
}
