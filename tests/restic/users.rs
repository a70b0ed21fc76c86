//! Files of users.

use std::fs;
use std::path::Path;

/// The least that bcrypt allows: a test has no time for more.
const COST: u32 = 4;

/// Writes a file of users and passwords, as htpasswd would.
pub(crate) fn htpasswd(directory: &Path, users: &[(&str, &str)]) -> String {
    let file = directory.join("htpasswd");
    let lines: String = users.iter().map(|(user, password)| line(user, password)).collect();
    fs::write(&file, lines).expect("a file can be written");
    file.to_str().expect("UTF-8").to_owned()
}

/// The line of a user.
pub(crate) fn line(user: &str, password: &str) -> String {
    let hash = bcrypt::hash_with_result(password, COST).expect("a password can be hashed");
    format!("{user}:{}\n", hash.format_for_version(bcrypt::Version::TwoY))
}
