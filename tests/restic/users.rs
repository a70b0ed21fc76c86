//! Files of users.

use std::fs;
use std::path::Path;

/// The least that bcrypt allows: a test has no time for more.
const COST: u32 = 4;

/// Writes a file of users and passwords, as htpasswd would.
pub(crate) fn htpasswd(directory: &Path, users: &[(&str, &str)]) -> String {
    let file = directory.join("htpasswd");
    let line = |(user, password): &(&str, &str)| {
        let hash = bcrypt::hash_with_result(password, COST).expect("a password can be hashed");
        format!("{user}:{}\n", hash.format_for_version(bcrypt::Version::TwoY))
    };
    fs::write(&file, users.iter().map(line).collect::<String>()).expect("a file can be written");
    file.to_str().expect("UTF-8").to_owned()
}
