//! The file of profiles: what somebody at a shell would otherwise say with each command.
//!
//! ```toml
//! [default]
//! server = "https://steward.example:50051"
//! ca = "ca.pem"
//! token_file = "token"
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::address::Address;
use super::settings::Layer;
use crate::cli::sign_in::{Secret, parse_user, secret_in, token_of};

/// How long the file may be, in bytes.
const MAX_BYTES: u64 = 64 * 1024;

/// Who may change the file besides its owner could send secrets elsewhere.
const WRITTEN_BY_OTHERS: u32 = 0o022;
const USED_BY_OTHERS: u32 = 0o077;

/// One table of the file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Profile {
    server: Option<String>,
    user: Option<String>,
    password: Option<String>,
    password_file: Option<PathBuf>,
    token: Option<String>,
    token_file: Option<PathBuf>,
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
}

/// What the profile `name` says; `None` if there is no such profile.
pub(super) fn read(path: &Path, name: &str) -> Result<Option<Layer>, String> {
    let wrong = |problem: String| format!("{}: {problem}", path.display());
    let Some((text, mode)) = content(path).map_err(wrong)? else { return Ok(None) };
    let mut profiles = parse(&text).map_err(wrong)?;
    let has_secrets = profiles.values().any(|profile| profile.password.is_some() || profile.token.is_some());
    let forbidden = if has_secrets { USED_BY_OTHERS } else { WRITTEN_BY_OTHERS };
    if mode & forbidden != 0 {
        let what = if has_secrets { "read a file that has secrets in it" } else { "change it" };
        return Err(wrong(format!("others than its owner may {what} (mode {mode:o}): set its mode to 600")));
    }
    let directory = path.parent().unwrap_or(Path::new("/"));
    let layer = profiles.remove(name).map(|profile| profile.layer(directory)).transpose();
    layer.map_err(|problem| wrong(format!("[{name}]: {problem}")))
}

/// The text of the file and its mode, if it is there.
fn content(path: &Path) -> Result<Option<(String, u32)>, String> {
    let mut file = match File::open(path) {
        Ok(file) => file.take(MAX_BYTES),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => return Err(format!("cannot be read: {error}")),
    };
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let mode = file.get_ref().metadata().map_err(unreadable)?.permissions().mode() & 0o777;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(unreadable)?;
    Ok(Some((text, mode)))
}

fn parse(text: &str) -> Result<BTreeMap<String, Profile>, String> {
    toml::from_str(text).map_err(|error| {
        // What the parser says has the text in it, and that may have a secret in it.
        let start = error.span().map_or(0, |span| span.start);
        let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
        format!(
            "line {line} is not what a profile has: server, user, password, password_file, token, token_file, ca, cert \
             and key, each a text in quotes, below a [NAME]"
        )
    })
}

impl Profile {
    /// As one of the sources of settings. Files are beside that of the profiles.
    fn layer(self, directory: &Path) -> Result<Layer, String> {
        let place = |path: PathBuf| directory.join(path);
        let server = self.server.as_deref().map(Address::parse).transpose();
        let user = self.user.as_deref().map(parse_user).transpose();
        let password = match (self.password, self.password_file) {
            (Some(_), Some(_)) => return Err("has both password and password_file".to_owned()),
            (Some(password), None) => Some(Secret::new(password)),
            (None, file) => file.map(|file| secret_in(&place(file))).transpose()?,
        };
        let token = match (self.token, self.token_file) {
            (Some(_), Some(_)) => return Err("has both token and token_file".to_owned()),
            (Some(token), None) => Some(token_of(&token).map_err(|problem| format!("token: {problem}"))?),
            (None, file) => file.map(|file| token_of(&format!("@{}", place(file).display()))).transpose()?,
        };
        Ok(Layer {
            source: "the profile",
            server: server.map_err(|problem| format!("the address of server {problem}"))?,
            user: user.map_err(|problem| format!("user: {problem}"))?,
            password,
            token,
            ca: self.ca.map(place),
            cert: self.cert.map(place),
            key: self.key.map(place),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str, mode: u32) -> Result<Option<Layer>, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("profile.toml");
        std::fs::write(directory.path().join("secret"), "from-a-file\nmore").unwrap();
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        read(&path, "default")
    }

    #[test]
    fn a_profile_is_a_table_and_its_files_are_beside_it() {
        let text = "[other]\nuser = \"bob\"\n[default]\nserver = \"https://a:1\"\nuser = \"alice\"\n\
                    password_file = \"secret\"\nca = \"ca.pem\"\nkey = \"/etc/key.pem\"\n";
        let profile = with(text, 0o644).unwrap().unwrap();
        assert_eq!(profile.server.unwrap().url, "https://a:1");
        assert_eq!(profile.user.as_deref(), Some("alice"));
        assert_eq!(profile.password, Some(Secret::new("from-a-file")));
        assert!(profile.ca.unwrap().is_absolute());
        assert_eq!(profile.key, Some("/etc/key.pem".into()));
        let profile = with("[default]\ntoken_file = \"secret\"", 0o600).unwrap().unwrap();
        assert_eq!(profile.token, Some(Secret::new("from-a-file")));
    }

    #[test]
    fn without_a_file_or_its_table_there_is_no_profile() {
        assert!(with("[other]\nuser = \"bob\"", 0o600).unwrap().is_none());
        assert!(read(Path::new("/nowhere/profile.toml"), "default").unwrap().is_none());
    }

    #[test]
    fn a_file_that_others_may_read_or_change_is_refused() {
        let secret = "[default]\nserver = \"a:1\"\n[other]\ntoken = \"geheim\"";
        for mode in [0o640, 0o604, 0o660] {
            let refused = with(secret, mode).unwrap_err();
            assert!(refused.contains("600") && !refused.contains("geheim"), "{refused}");
        }
        assert!(with(secret, 0o600).is_ok());
        assert!(with("[default]\nserver = \"a:1\"", 0o664).is_err());
        assert!(with("[default]\nserver = \"a:1\"", 0o644).is_ok());
    }

    #[test]
    fn what_makes_no_sense_is_named_and_not_shown() {
        for (text, line) in [
            ("[default]\ntokn = \"geheim\"", "line 2"),
            ("\n\ndefault = \"geheim\"", "line 3"),
            ("[default]\npassword = geheim", "line 2"),
            ("[default]\npassword = [\"geheim\"]", "line 2"),
            ("[default]\nserver = \"http://a:geheim@b\"", "[default]"),
            ("[default]\ntoken = \"geheim geheim\"", "[default]"),
            ("[default]\ntoken = \"geheim\"\ntoken_file = \"secret\"", "[default]"),
        ] {
            let Err(refused) = with(text, 0o600) else { panic!("{text:?} makes no sense") };
            assert!(refused.contains(line) && !refused.contains("geheim"), "{text:?}: {refused}");
        }
    }
}
