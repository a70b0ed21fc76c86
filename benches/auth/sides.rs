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
}

/// All of them; those without users are what the others are compared with.
pub(crate) struct Sides {
    pub(crate) all: Vec<Side>,
    servers: Vec<Steward>,
    directory: PathBuf,
}

impl Side {
    /// Whether nobody is asked.
    pub(crate) fn is_plain(&self) -> bool {
        self.authorization.is_none()
    }
}

impl Sides {
    /// Starts the servers, each below a directory. Besides those without users, only the sides take turns whose names
    /// have one of the words in them; without words, all.
    pub(crate) async fn start(directory: &Path, words: &[String]) -> Result<Self, BoxError> {
        let users = directory.join("users");
        std::fs::create_dir_all(directory)?;
        std::fs::write(&users, USERS)?;
        let guarded = format!(
            "[server]\nopen_metrics = true\n[auth]\nhtpasswd = '{}'\nrights = '''{RIGHTS}'''\n",
            users.display()
        );
        let no_audit = "[audit]\nenabled = false\n";
        let settings = [
            no_audit.to_owned(),
            no_audit.to_owned(),
            format!("{guarded}{no_audit}"),
            format!("{guarded}{no_audit}"),
            guarded.clone(),
            format!("{guarded}[audit]\nwait = \"synced\"\n"),
        ];
        let mut servers = Vec::new();
        for (index, settings) in settings.iter().enumerate() {
            servers.push(steward::start(&data(directory, index), settings).await?);
        }
        let basic = Some(AsciiMetadataValue::from_static(BASIC));
        let side = |name, server, authorization| Side { name, server, authorization };
        let mut all = vec![
            side("no users", 0, None),
            side("no users, once more", 1, None),
            side("rights, password", 2, basic),
            side("rights, token", 3, Some(token(&servers[3], directory)?)),
            side("token and audit", 4, Some(token(&servers[4], directory)?)),
            side("token and synced audit", 5, Some(token(&servers[5], directory)?)),
        ];
        let is_named = |side: &Side| words.is_empty() || words.iter().any(|word| side.name.contains(word.as_str()));
        all.retain(|side| side.is_plain() || is_named(side));
        Ok(Sides { all, servers, directory: directory.to_owned() })
    }

    pub(crate) fn server(&self, side: &Side) -> &Steward {
        &self.servers[side.server]
    }

    /// Where its server keeps its data.
    pub(crate) fn data(&self, side: &Side) -> PathBuf {
        data(&self.directory, side.server)
    }

    pub(crate) fn version(&self) -> &str {
        self.servers.first().map_or("", |server| server.peer.version.as_str())
    }
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
