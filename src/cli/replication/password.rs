//! The password for a target. It is never on the command line, where others could see it.

use std::io::{self, BufRead, IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;

use clap::Args;
use clap::builder::{PathBufValueParser, TypedValueParser as _};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

use crate::cli::error::Error;
use crate::cli::sign_in::{self, Secret};

const VARIABLE: &str = "STEWARD_TARGET_PASSWORD";
const LONGEST: usize = 4096;
/// What a terminal sends for Ctrl-C.
const INTERRUPT: u8 = 0x03;

/// How to be let in at a target.
#[derive(Args, Debug)]
pub(super) struct TargetLogin {
    /// The user at the target. The password comes from --target-password-file, from `STEWARD_TARGET_PASSWORD`, or is asked
    /// for at a terminal.
    #[arg(long = "username", visible_alias = "target-user", value_name = "USER")]
    pub(super) username: Option<String>,

    /// A file whose first line is the password for the target.
    #[arg(long, value_name = "FILE", value_parser = PathBufValueParser::new().try_map(sign_in::read_secret))]
    target_password_file: Option<Secret>,

    /// Certificates in PEM that are trusted at the target beside those of the system.
    #[arg(long = "target-ca", value_name = "FILE")]
    certificate: Option<PathBuf>,
}

impl TargetLogin {
    /// The password; nothing if none is given. It is asked for only if there is a `user`.
    pub(super) fn password(&self, user: &str, target: &str) -> Result<Option<String>, Error> {
        if let Some(password) = self.target_password_file.clone().or_else(|| Secret::from_variable(VARIABLE)) {
            return Ok(Some(password.reveal()));
        }
        if user.is_empty() || !io::stdin().is_terminal() {
            return Ok(None);
        }
        let asked = ask(&format!("password of {user} at {target} (empty: none, or as before): "));
        let password = asked.map_err(|source| Error::System { what: "cannot ask for the password", source })?;
        Ok(Some(password).filter(|password| !password.is_empty()))
    }

    /// The certificates; nothing if none are named.
    pub(super) fn certificate(&self) -> Result<Option<String>, Error> {
        let Some(path) = &self.certificate else { return Ok(None) };
        let read = std::fs::read_to_string(path);
        read.map(Some).map_err(|error| Error::Local(format!("cannot read {}: {error}", path.display())))
    }
}

/// Reads a line from the terminal without showing it.
fn ask(question: &str) -> io::Result<String> {
    let hidden = Hidden::begin()?;
    let mut error = io::stderr();
    write!(error, "{question}").and_then(|()| error.flush())?;
    let line = read_line(&mut io::stdin().lock());
    drop(hidden);
    writeln!(error)?;
    line
}

/// Byte by byte: what comes behind the line is not ours.
fn read_line(input: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    for byte in input.by_ref().bytes() {
        match byte? {
            b'\n' => break,
            INTERRUPT => return Err(io::ErrorKind::Interrupted.into()),
            _ if line.len() == LONGEST => return Err(io::Error::other("it is too long")),
            byte => line.push(byte),
        }
    }
    String::from_utf8(line).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// The terminal shows nothing of what is typed as long as this lives.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> io::Result<Self> {
        let usual = tcgetattr(io::stdin())?;
        let mut modes = usual.clone();
        modes.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        // Instead of ending us, which would leave the terminal so, Ctrl-C ends the line.
        modes.special_codes[SpecialCodeIndex::VEOL] = INTERRUPT;
        tcsetattr(io::stdin(), OptionalActions::Flush, &modes)?;
        Ok(Hidden(usual))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that went away shows nothing anyway.
        let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_one_line() {
        assert_eq!(read_line(&mut &b"geheim\nmore"[..]).unwrap(), "geheim");
        assert_eq!(read_line(&mut &b""[..]).unwrap(), "");
    }

    #[test]
    fn a_question_can_be_left() {
        assert_eq!(read_line(&mut &b"geh\x03"[..]).unwrap_err().kind(), io::ErrorKind::Interrupted);
        assert!(read_line(&mut &[b'a'; LONGEST + 1][..]).is_err());
    }
}
