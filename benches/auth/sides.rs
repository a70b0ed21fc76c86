//! The servers that are compared, and how each is called.

use std::path::{Path, PathBuf};
use std::process::Command;

use tonic::metadata::AsciiMetadataValue;

use crate::BoxError;
use crate::steward::{self, Steward};

/// One user, whose password is `secret`, with the least cost that bcrypt has: it is asked once and then remembered.
const USERS: &str = "bench:$2y$04$CCCCCCCCCCCCCCCCCCCCC.4K7lyz.nKATbsiu/RcZjqWyDNnj87qG\n";
const PASSWORD: &str = "secret";
const BASIC: &str = "Basic YmVuY2g6c2VjcmV0";
/// Rules as a small site has them.
const RIGHTS: &str = "
@ops     = alice, bob
@builders = bench, carol
@ops       *         *          admin
node-7     lock      pull/*     read,write  as node-7
*          artifact  public     read
@builders  lock      grpc       read,write  as client-*
@builders  restic    backups    read,write
";

/// One way to be served, by a server of its own: what one has done in its turn it may still be busy with in the next.
pub(crate) struct Side {
    pub(crate) name: &'static str,
    pub(crate) server: usize,
    pub(crate) authorization: Option<AsciiMetadataValue>,
    /// Whether it is one that the others are compared with.
    pub(crate) is_yardstick: bool,
}

/// Sides that are compared.
pub(crate) struct Sides {
    pub(crate) list: Vec<Side>,
    servers: Vec<Steward>,
    directory: PathBuf,
}

/// What a side is made of.
struct Kind {
    name: &'static str,
    settings: String,
    /// Whether callers are asked who they are.
    has_users: bool,
    sent: Sent,
}

/// What clients say of themselves with each call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sent {
    Nothing,
    Password,
    Token,
}

impl Sides {
    /// Starts a server for each below a directory, which is emptied, beginning with the one of this number. Besides the
    /// sides without users, only those take part whose names have one of the words in them; without words, all.
    ///
    /// Who calls a server without users sends a password all the same, which nobody looks at: what is compared is what
    /// the servers do with it. A token is longer, so what it costs to read it is the token's.
    pub(crate) async fn start(directory: &Path, words: &[String], first: usize) -> Result<Self, BoxError> {
        let users = directory.join("users");
        // What earlier servers left; it may not be there.
        let _ = std::fs::remove_dir_all(directory);
        std::fs::create_dir_all(directory)?;
        std::fs::write(&users, USERS)?;
        let mut kinds = kinds(&users);
        let is_named = |kind: &Kind| words.is_empty() || words.iter().any(|word| kind.name.contains(word.as_str()));
        kinds.retain(|kind| !kind.has_users || is_named(kind));
        let mut sides = Sides { list: Vec::new(), servers: Vec::new(), directory: directory.to_owned() };
        let first = first % kinds.len();
        for kind in kinds[first..].iter().chain(&kinds[..first]) {
            let side = sides.start_one(kind).await?;
            sides.list.push(side);
        }
        sides.list.rotate_right(first);
        Ok(sides)
    }

    async fn start_one(&mut self, kind: &Kind) -> Result<Side, BoxError> {
        let index = self.servers.len();
        let server = steward::start(&data(&self.directory, index), &kind.settings).await?;
        let authorization = match kind.sent {
            Sent::Nothing => None,
            Sent::Password => Some(AsciiMetadataValue::from_static(BASIC)),
            Sent::Token => Some(token(&server, &self.directory)?),
        };
        self.servers.push(server);
        let is_yardstick = !kind.has_users && kind.sent != Sent::Nothing;
        Ok(Side { name: kind.name, server: index, authorization, is_yardstick })
    }

    pub(crate) fn server(&self, side: &Side) -> &Steward {
        &self.servers[side.server]
    }

    /// Where its server keeps its data.
    pub(crate) fn data(&self, side: &Side) -> PathBuf {
        data(&self.directory, side.server)
    }
}

fn kinds(users: &Path) -> Vec<Kind> {
    let guarded =
        format!("[server]\nopen_metrics = true\n[auth]\nhtpasswd = '{}'\nrights = '''{RIGHTS}'''\n", users.display());
    let no_audit = "[audit]\nenabled = false\n";
    let plain = |name, sent| Kind { name, settings: no_audit.to_owned(), has_users: false, sent };
    let kind = |name, settings, sent| Kind { name, settings, has_users: true, sent };
    vec![
        plain("no users", Sent::Password),
        plain("no users, once more", Sent::Password),
        plain("no users, nothing sent", Sent::Nothing),
        kind("rights, password", format!("{guarded}{no_audit}"), Sent::Password),
        kind("rights, token", format!("{guarded}{no_audit}"), Sent::Token),
        kind("token and audit", guarded.clone(), Sent::Token),
        kind("token and synced audit", format!("{guarded}[audit]\nwait = \"synced\"\n"), Sent::Token),
    ]
}

fn data(directory: &Path, server: usize) -> PathBuf {
    directory.join(server.to_string())
}

/// What a caller says with a token that is for its work alone.
fn token(server: &Steward, home: &Path) -> Result<AsciiMetadataValue, BoxError> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_steward"));
    command.args(["token", "create", "--json", "--server", &format!("http://{}", server.grpc)]);
    command.args(["--scope", "lock:grpc:read,write", "--scope", "restic:backups:read,write"]);
    command.env("HOME", home).env("STEWARD_USER", "bench").env("STEWARD_PASSWORD", PASSWORD);
    let output = command.output()?;
    if !output.status.success() {
        return Err(format!("no token: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let made: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let secret = made["secret"].as_str().ok_or("an answer without a token")?;
    Ok(format!("Bearer {secret}").parse()?)
}
