//! Hashes of bytes that are made while the bytes go by.

use std::fmt;

use md5::Md5;
use sha2::{Digest as _, Sha256, Sha512};

use super::digest::{Algorithm, Digest, hex};

/// Makes those hashes that were asked for.
#[derive(Clone, Default)]
pub(crate) struct Hasher {
    sha256: Option<Sha256>,
    sha512: Option<Sha512>,
    checksums: Option<(Md5, crc64fast::Digest)>,
}

/// Checksums that people ask for beside digests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checksums {
    /// The MD5 in hexadecimal digits.
    pub(crate) md5: String,
    /// The CRC-64/XZ in decimal digits.
    pub(crate) crc64ecma: String,
}

impl Hasher {
    /// Makes one digest.
    pub(crate) fn digest_of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Hasher { sha256: Some(Sha256::new()), ..Hasher::default() },
            Algorithm::Sha512 => Hasher { sha512: Some(Sha512::new()), ..Hasher::default() },
        }
    }

    /// Makes the checksums too.
    #[must_use]
    pub(crate) fn with_checksums(self) -> Self {
        Hasher { checksums: Some((Md5::new(), crc64fast::Digest::new())), ..self }
    }

    /// Takes the next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        if let Some(hash) = &mut self.sha256 {
            hash.update(bytes);
        }
        if let Some(hash) = &mut self.sha512 {
            hash.update(bytes);
        }
        if let Some((md5, crc)) = &mut self.checksums {
            md5.update(bytes);
            crc.write(bytes);
        }
    }

    /// The SHA-256 so far; `None`: it was not asked for.
    pub(crate) fn sha256(&self) -> Option<[u8; 32]> {
        self.sha256.clone().map(|hash| hash.finalize().into())
    }

    /// A digest so far; `None`: it was not asked for.
    pub(crate) fn digest(&self, algorithm: Algorithm) -> Option<Digest> {
        match algorithm {
            Algorithm::Sha256 => self.sha256().map(Digest::sha256),
            Algorithm::Sha512 => self.sha512.clone().map(|hash| Digest::sha512(hash.finalize().into())),
        }
    }

    /// The checksums so far; `None`: they were not asked for.
    pub(crate) fn checksums(&self) -> Option<Checksums> {
        let (md5, crc) = self.checksums.clone()?;
        Some(Checksums { md5: hex(&md5.finalize()), crc64ecma: crc.sum64().to_string() })
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_is_made_however_the_bytes_are_cut() {
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let mut hasher = Hasher::digest_of(algorithm).with_checksums();
            for part in ["1234", "", "56789"] {
                hasher.update(part.as_bytes());
            }
            assert_eq!(hasher.digest(algorithm), Some(Digest::of(algorithm, b"123456789")));
            // The check value of CRC-64/XZ, and the MD5 that md5sum tells.
            let checksums = hasher.checksums().unwrap();
            assert_eq!(checksums.crc64ecma, 0x995d_c9bb_df19_39fa_u64.to_string());
            assert_eq!(checksums.md5, "25f9e794323b453885f5181f1b624d0b");
        }
        assert!(Hasher::digest_of(Algorithm::Sha512).sha256().is_none());
        assert!(Hasher::default().checksums().is_none());
    }
}
