//! Digests, as the image specification writes them: `sha256:…`.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256, Sha512};

/// How a digest is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Its name in digests.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        }
    }

    /// How many bytes its digests have.
    fn length(self) -> usize {
        match self {
            Algorithm::Sha256 => 32,
            Algorithm::Sha512 => 64,
        }
    }
}

/// The digest of some bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    bytes: Box<[u8]>,
}

impl Digest {
    /// The digest of these bytes.
    pub fn of(algorithm: Algorithm, content: &[u8]) -> Self {
        let bytes = match algorithm {
            Algorithm::Sha256 => Box::from(&*Sha256::digest(content)),
            Algorithm::Sha512 => Box::from(&*Sha512::digest(content)),
        };
        Digest { algorithm, bytes }
    }

    /// A SHA-256 that was made elsewhere.
    pub fn sha256(bytes: [u8; 32]) -> Self {
        Digest { algorithm: Algorithm::Sha256, bytes: Box::from(bytes) }
    }

    /// A SHA-512 that was made elsewhere.
    pub fn sha512(bytes: [u8; 64]) -> Self {
        Digest { algorithm: Algorithm::Sha512, bytes: Box::from(bytes) }
    }

    /// How it was made.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its bytes: 32 or 64.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its bytes in lower-case hexadecimal digits.
    pub fn hex(&self) -> String {
        hex(&self.bytes)
    }

    /// As a part of keys: a byte for the algorithm, then its bytes. No digest is the beginning of another.
    pub fn key(&self) -> Vec<u8> {
        let algorithm = match self.algorithm {
            Algorithm::Sha256 => 1,
            Algorithm::Sha512 => 2,
        };
        [&[algorithm], &*self.bytes].concat()
    }

    /// Reads what [`Digest::key`] has written at the beginning of some bytes, and what is behind it.
    pub fn from_key(key: &[u8]) -> Option<(Self, &[u8])> {
        let (algorithm, rest) = key.split_first()?;
        let algorithm = match algorithm {
            1 => Algorithm::Sha256,
            2 => Algorithm::Sha512,
            _ => return None,
        };
        let (bytes, rest) = rest.split_at_checked(algorithm.length())?;
        Some((Digest { algorithm, bytes: Box::from(bytes) }, rest))
    }
}

/// Bytes in lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Why a text is no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseDigestError {
    /// It is not of the form `algorithm:hex`.
    #[error("is not a digest: `sha256:` or `sha512:` and lower-case hexadecimal digits")]
    Malformed,
    /// Its algorithm is not one of ours.
    #[error("has an algorithm other than sha256 and sha512")]
    Algorithm,
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        let (algorithm, hex) = text.split_once(':').ok_or(ParseDigestError::Malformed)?;
        let algorithm = match algorithm {
            "sha256" => Algorithm::Sha256,
            "sha512" => Algorithm::Sha512,
            _ => return Err(ParseDigestError::Algorithm),
        };
        let is_hex = hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if !is_hex || hex.len() != 2 * algorithm.length() {
            return Err(ParseDigestError::Malformed);
        }
        let byte = |index: usize| u8::from_str_radix(&hex[2 * index..2 * index + 2], 16);
        let bytes: Result<Box<[u8]>, _> = (0..algorithm.length()).map(byte).collect();
        Ok(Digest { algorithm, bytes: bytes.map_err(|_| ParseDigestError::Malformed)? })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_back_as_it_is_written() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let digest = Digest::of(algorithm, b"abc");
            assert_eq!(digest.to_string().parse(), Ok(digest.clone()));
            let key = [digest.key(), b"rest".to_vec()].concat();
            assert_eq!(Digest::from_key(&key), Some((digest, &b"rest"[..])));
        }
        let abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Digest::of(Algorithm::Sha256, b"abc").to_string(), abc);
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        let short = format!("sha256:{}", "a".repeat(63));
        let upper = format!("sha256:{}", "A".repeat(64));
        for text in ["", "sha256", "sha256:", &short, &upper, "sha256:baddigeststring"] {
            assert_eq!(text.parse::<Digest>(), Err(ParseDigestError::Malformed), "{text}");
        }
        assert_eq!(format!("md5:{}", "a".repeat(32)).parse::<Digest>(), Err(ParseDigestError::Algorithm));
    }
}
