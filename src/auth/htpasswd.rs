//! The file of users, as Apache's `htpasswd` writes it: `name:hash` a line, bcrypt or `{SHA}`.
//!
//! Weaker schemes (crypt, MD5, plain text) are refused line by line.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bcrypt::HashParts;
use hashbrown::HashMap;
use sha1::{Digest as _, Sha1};
use subtle::ConstantTimeEq as _;

use super::fresh_file::Content;
use super::user_name::is_user_name;

/// What `htpasswd` allows at most. Each step doubles the time of a login; beyond it takes minutes.
const MAX_COST: u32 = 17;

/// The stored form of a password. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Hash {
    Bcrypt { text: String, cost: u32 },
    Sha1([u8; 20]),
}

impl Hash {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if ["$2a$", "$2b$", "$2y$"].iter().any(|prefix| text.starts_with(prefix)) {
            let parts: HashParts = text.parse().map_err(|_| "the bcrypt hash is damaged")?;
            return match parts.get_cost() {
                cost @ 4..=MAX_COST => Ok(Hash::Bcrypt { text: text.to_owned(), cost }),
                _ => Err("the cost of the bcrypt hash is not between 4 and 17"),
            };
        }
        if let Some(encoded) = text.strip_prefix("{SHA}") {
            let decoded = STANDARD.decode(encoded).ok().and_then(|bytes| bytes.try_into().ok());
            return decoded.map(Hash::Sha1).ok_or("the SHA hash is damaged");
        }
        Err("the hash is neither bcrypt nor {SHA}; make one with `htpasswd -B`")
    }

    /// One that no password has, and that takes as long as one of `cost`.
    fn nobodys(cost: Option<u32>) -> Self {
        match cost {
            Some(cost) => Hash::Bcrypt { text: format!("$2b${cost:02}${}", ".".repeat(53)), cost },
            None => Hash::Sha1([0; 20]),
        }
    }

    /// Whether it is the hash of `password`. Slow on purpose. Like its peers, bcrypt looks at the first 72 bytes only.
    pub(super) fn is_of(&self, password: &[u8]) -> bool {
        match self {
            Hash::Bcrypt { text, .. } => {
                let is_equal = bcrypt::verify(password, text).unwrap_or(false);
                // bcrypt repeats the password with a NUL between, so `a` and `a\0a` would be one.
                is_equal && !password.contains(&0)
            }
            Hash::Sha1(expected) => {
                let actual: [u8; 20] = Sha1::digest(password).into();
                actual.ct_eq(expected).into()
            }
        }
    }

    /// What tells it from others.
    pub(super) fn as_bytes(&self) -> &[u8] {
        match self {
            Hash::Bcrypt { text, .. } => text.as_bytes(),
            Hash::Sha1(bytes) => bytes,
        }
    }

    #[cfg(test)]
    pub(super) fn rounds(&self) -> u32 {
        self.cost().map_or(0, |cost| 1 << cost)
    }

    fn cost(&self) -> Option<u32> {
        match self {
            Hash::Bcrypt { cost, .. } => Some(*cost),
            Hash::Sha1(_) => None,
        }
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Hash(…)")
    }
}

/// Something odd about a line. Its content may be secret, so only its place is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Remark {
    pub(super) number: usize,
    pub(super) problem: &'static str,
}

/// All who can log in.
#[derive(Clone, Debug)]
pub(super) struct Users {
    /// Nobody who asks chooses these names, so that a fast hash is good enough.
    hashes: HashMap<String, Arc<Hash>>,
    /// The cost of the slowest hash; `None` when none is slow.
    slowest: Option<u32>,
}

impl Users {
    /// Reads a file. Of two lines for one user the later counts.
    pub(super) fn parse(file: &[u8]) -> (Self, Vec<Remark>) {
        let mut hashes = HashMap::new();
        let mut remarks = Vec::new();
        for (index, line) in file.split(|byte| *byte == b'\n').enumerate() {
            let number = index + 1;
            match parse_line(line) {
                Ok(None) => {}
                Ok(Some((user, hash))) => {
                    if hashes.insert(user, Arc::new(hash)).is_some() {
                        remarks.push(Remark { number, problem: "the user has an earlier line, which is ignored" });
                    }
                }
                Err(problem) => remarks.push(Remark { number, problem }),
            }
        }
        let slowest = hashes.values().filter_map(|hash| hash.cost()).max();
        (Users { hashes, slowest }, remarks)
    }

    /// The hash of a user's password.
    pub(super) fn find(&self, user: &str) -> Option<&Arc<Hash>> {
        self.hashes.get(user)
    }

    /// Hashes of no password: compared after `hash`, or instead of that of a user who is not known, they make every
    /// failure as slow as one of the slowest hash.
    pub(super) fn nobodys_hashes(&self, hash: Option<&Arc<Hash>>) -> Vec<Hash> {
        let Some(slowest) = self.slowest else { return vec![Hash::nobodys(None)] };
        match hash.and_then(|hash| hash.cost()) {
            // Each cost takes as long as all those below it and once more the lowest.
            Some(cost) => (cost..slowest).map(|cost| Hash::nobodys(Some(cost))).collect(),
            None => vec![Hash::nobodys(Some(slowest))],
        }
    }

    pub(super) fn len(&self) -> usize {
        self.hashes.len()
    }
}

fn parse_line(line: &[u8]) -> Result<Option<(String, Hash)>, &'static str> {
    let line = std::str::from_utf8(line).map_err(|_| "the line is not UTF-8")?.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (user, rest) = line.split_once(':').ok_or("the line has no colon")?;
    if !is_user_name(user) {
        return Err("the user name has other characters than letters, digits and @ . _ -, or is too long");
    }
    // Apache allows further fields.
    let hash = rest.split(':').next().unwrap_or_default();
    Ok(Some((user.to_owned(), Hash::parse(hash)?)))
}

impl Content for Users {
    const SETTING: &'static str = "auth.htpasswd";
    const NAME: &'static str = "file of users";

    /// Lines that make no sense are told and left out: the others can log in all the same.
    fn parse(path: &Path, content: &[u8]) -> io::Result<Self> {
        let (users, remarks) = Users::parse(content);
        for remark in remarks {
            tracing::warn!(path = %path.display(), line = remark.number, "the file of users: {}", remark.problem);
        }
        if users.len() == 0 {
            tracing::warn!(path = %path.display(), "the file of users has none: nobody can log in");
        }
        Ok(users)
    }
}

#[cfg(test)]
mod tests;
