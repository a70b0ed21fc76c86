//! How a command says who it acts for.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

/// The longest token, in bytes.
const LONGEST_TOKEN: usize = 8 * 1024;

/// A password or a token. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl Secret {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Secret(text.into())
    }

    /// The secret in an environment variable, if it is set.
    pub(super) fn from_variable(name: &str) -> Option<Self> {
        std::env::var(name).ok().map(Secret)
    }

    /// For another system, in a message that is not shown.
    pub(super) fn reveal(self) -> String {
        self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// Reads the first line of a file.
// Once, while the command line is read: the file may be a pipe.
#[expect(clippy::needless_pass_by_value, reason = "clap gives it so")]
pub(super) fn read_secret(path: PathBuf) -> io::Result<Secret> {
    first_line(&path)
}

fn first_line(path: &Path) -> io::Result<Secret> {
    let content = std::fs::read_to_string(path)?;
    Ok(Secret(content.lines().next().unwrap_or_default().to_owned()))
}

/// A secret in a file, or what is wrong with the file.
pub(super) fn secret_in(path: &Path) -> Result<Secret, String> {
    first_line(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// A token, or `@` and the name of a file whose first line it is.
pub(super) fn token_of(text: &str) -> Result<Secret, String> {
    let Secret(token) = match text.strip_prefix('@') {
        Some(path) => secret_in(Path::new(path))?,
        None => Secret::new(text),
    };
    let token = token.trim();
    let is_one = !token.is_empty() && token.len() <= LONGEST_TOKEN && token.bytes().all(|byte| byte.is_ascii_graphic());
    if is_one { Ok(Secret::new(token)) } else { Err("a token has visible characters alone, and some".to_owned()) }
}

pub(super) fn parse_user(name: &str) -> Result<String, &'static str> {
    if name.is_empty() || name.contains(':') {
        Err("a user name is not empty and has no colon")
    } else {
        Ok(name.to_owned())
    }
}

/// Adds the credentials to each call.
#[derive(Clone, Debug, Default)]
pub(crate) struct SignIn(Option<MetadataValue<Ascii>>);

impl SignIn {
    pub(super) fn with_password(user: &str, Secret(password): &Secret) -> Self {
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        SignIn::with(format!("Basic {encoded}").parse().expect("base64 is ASCII"))
    }

    /// With a token that [`token_of`] returned.
    pub(super) fn with_token(Secret(token): &Secret) -> Self {
        SignIn::with(format!("Bearer {token}").parse().expect("visible characters are ASCII"))
    }

    /// Whether there is something that others must not see.
    pub(super) fn has_secret(&self) -> bool {
        self.0.is_some()
    }

    fn with(mut value: MetadataValue<Ascii>) -> Self {
        // Kept out of what is printed, and out of the tables of HTTP/2.
        value.set_sensitive(true);
        SignIn(Some(value))
    }
}

impl Interceptor for SignIn {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}
