//! Users: the files that they are in, and how they sign in.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tonic::Request;

/// The least that bcrypt allows: a test has no time for more.
const COST: u32 = 4;

/// Writes a file of users and passwords, as htpasswd would.
pub(crate) fn htpasswd(directory: &Path, users: &[(&str, &str)]) -> String {
    let file = directory.join("htpasswd");
    let lines: String = users.iter().map(|(user, password)| line(user, password)).collect();
    fs::write(&file, lines).expect("a file can be written");
    file.to_str().expect("UTF-8").to_owned()
}

/// Settings with users whose passwords are their names, and a table of rights.
pub(crate) fn settings(directory: &Path, users: &[&str], rights: &str) -> String {
    let users: Vec<(&str, &str)> = users.iter().map(|user| (*user, *user)).collect();
    format!("[auth]\nhtpasswd = {:?}\nrights = '''{rights}'''\n", htpasswd(directory, &users))
}

/// The line of a user.
pub(crate) fn line(user: &str, password: &str) -> String {
    let hash = bcrypt::hash_with_result(password, COST).expect("a password can be hashed");
    format!("{user}:{}\n", hash.format_for_version(bcrypt::Version::TwoY))
}

/// The header by which somebody signs in with a password.
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// A request of who says this in the header by which callers sign in; or says nothing at all.
pub(crate) fn signed<T>(authorization: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if !authorization.is_empty() {
        request.metadata_mut().insert("authorization", authorization.parse().expect("a header"));
    }
    request
}

/// A request of a user whose password is its name.
pub(crate) fn by<T>(user: &str, message: T) -> Request<T> {
    signed(&basic(user, user), message)
}
