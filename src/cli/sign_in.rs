//! How a command says who it acts for.

use std::fmt;
use std::io;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

const PASSWORD_VARIABLE: &str = "STEWARD_PASSWORD";

/// A password. It is never shown, and never on the command line, where others could see it.
#[derive(Clone)]
pub(crate) struct Password(String);

impl Password {
    pub(super) fn from_environment() -> Option<Self> {
        Password::from_variable(PASSWORD_VARIABLE)
    }

    /// The password in an environment variable, if it is set.
    pub(super) fn from_variable(name: &str) -> Option<Self> {
        std::env::var(name).ok().map(Password)
    }

    /// For another system, in a message that is not shown.
    pub(super) fn reveal(self) -> String {
        self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Password(…)")
    }
}

/// Reads the first line of a file.
// Once, while the command line is read: the file may be a pipe.
pub(super) fn read_password(path: PathBuf) -> io::Result<Password> {
    let content = std::fs::read_to_string(path)?;
    Ok(Password(content.lines().next().unwrap_or_default().to_owned()))
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
    pub(super) fn new(user: &str, Password(password): &Password) -> Self {
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        let mut value: MetadataValue<Ascii> = format!("Basic {encoded}").parse().expect("base64 is ASCII");
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
