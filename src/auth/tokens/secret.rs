//! What a token looks like: `stw_ID_SECRET`.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

/// What all tokens begin with, so that those who look for lost secrets find them.
const PREFIX: &str = "stw_";
/// The random bytes of an id.
const ID_BYTES: usize = 8;
/// The random bytes of a secret: nobody tries them all, so a fast digest keeps it. A token is sent and read with every
/// call, so it has no more of them.
const SECRET_BYTES: usize = 20;
/// How many digits secrets have; those of the first tokens had more.
const SECRET_DIGITS: [usize; 2] = [2 * SECRET_BYTES, 64];

/// The text of a token, of its own or of who brings it. It is never shown but to who makes it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret<'a> {
    id: Cow<'a, str>,
    secret: Cow<'a, str>,
}

/// Whether a text could be a token of this kind.
pub(super) fn is_like_one(text: &str) -> bool {
    text.starts_with(PREFIX)
}

impl Secret<'static> {
    /// A new one.
    pub(super) fn new() -> Result<Self, getrandom::Error> {
        Ok(Secret { id: random::<ID_BYTES>()?.into(), secret: random::<SECRET_BYTES>()?.into() })
    }
}

impl<'a> Secret<'a> {
    /// Reads one; `None` when it is no token of this kind. Whether all of it are digits shows when it is not found.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (id, rest) = text.strip_prefix(PREFIX)?.split_at_checked(2 * ID_BYTES)?;
        let secret = rest.strip_prefix('_').filter(|secret| SECRET_DIGITS.contains(&secret.len()))?;
        Some(Secret { id: Cow::Borrowed(id), secret: Cow::Borrowed(secret) })
    }

    /// Which token it is.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// What is kept of it.
    pub(super) fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.secret.as_bytes()).into()
    }

    /// Whether a digest that is kept is its own. That takes as long whether it is or not.
    pub(super) fn is_of(&self, digest: &[u8]) -> bool {
        let own = self.digest();
        if digest.len() != own.len() {
            return false;
        }
        // Word by word, which is an eighth of the work.
        let words = own.as_chunks().0.iter().zip(digest.as_chunks().0);
        let are_same = words.map(|(own, kept)| u64::from_ne_bytes(*own).ct_eq(&u64::from_ne_bytes(*kept)));
        are_same.fold(Choice::from(1), |all, word| all & word).into()
    }

    /// All of it, for who makes it.
    pub(super) fn reveal(&self) -> String {
        format!("{PREFIX}{}_{}", self.id, self.secret)
    }
}

impl fmt::Debug for Secret<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Secret({PREFIX}{}_…)", self.id)
    }
}

fn random<const BYTES: usize>() -> Result<String, getrandom::Error> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)?;
    let mut text = String::with_capacity(2 * BYTES);
    for byte in bytes {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_is_not_shown() {
        let secret = Secret::new().unwrap();
        assert_eq!(Secret::parse(&secret.reveal()), Some(secret.clone()));
        assert_ne!(Secret::new().unwrap(), secret);
        let shown = format!("{secret:?}");
        assert!(shown.contains(secret.id()) && !shown.contains(&*secret.secret), "{shown}");
    }

    #[test]
    fn only_its_own_digest_is_that_of_a_secret() {
        let secret = Secret::new().unwrap();
        let digest = secret.digest();
        assert!(secret.is_of(&digest));
        for at in [0, 15, 16, 31] {
            let mut other = digest;
            other[at] ^= 1;
            assert!(!secret.is_of(&other), "{at}");
        }
        assert!(!secret.is_of(&digest[..31]) && !secret.is_of(&[&digest[..], &[0]].concat()) && !secret.is_of(&[]));
    }

    #[test]
    fn the_longer_tokens_of_before_are_known() {
        let (id, secret) = ("0123456789abcdef", "01234567".repeat(8));
        let text = format!("{PREFIX}{id}_{secret}");
        assert_eq!(Secret::parse(&text).unwrap().digest(), <[u8; 32]>::from(Sha256::digest(secret)));
    }

    #[test]
    fn what_is_no_token_is_left_to_others() {
        let good = Secret::new().unwrap().reveal();
        let split = format!("{PREFIX}{}ä{}", &good[4..19], &good[21..]);
        for odd in ["", "stw_", "stw__", "secret", &good[1..], &good[..good.len() - 1], &good.to_uppercase(), &split] {
            assert_eq!(Secret::parse(odd), None, "{odd}");
        }
    }
}
