//! A queue in Postgres, as one would write it: `FOR UPDATE SKIP LOCKED`, fitting indexes, one statement for a claim
//! and one for a completion, prepared, driven by its own pgbench. Durability is as it comes: every commit is flushed.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::BoxError;
use crate::load::Load;
use crate::process::{Process, free_address, listening};
use crate::table::Peer;

/// Where Debian puts its versions.
const VERSIONS: &str = "/usr/lib/postgresql";

const SCHEMA: &str = "
CREATE TABLE video (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, video_path text NOT NULL UNIQUE, codec text NOT NULL,
  bitrate_k int NOT NULL, size_bytes bigint NOT NULL, fps real NOT NULL, width int NOT NULL, height int NOT NULL,
  is_vr bool NOT NULL, status smallint NOT NULL, task_id int, attempts int NOT NULL DEFAULT 0,
  not_before timestamptz, update_time timestamptz NOT NULL DEFAULT now());
CREATE TABLE task (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, task_id uuid NOT NULL DEFAULT gen_random_uuid(),
  video_id int NOT NULL, worker_id int NOT NULL, status smallint NOT NULL, progress real NOT NULL DEFAULT 0,
  start_time timestamptz NOT NULL DEFAULT now(), end_time timestamptz);
";

const INDEXES: &str = "
CREATE INDEX ON video (bitrate_k DESC, id) WHERE status = 1 AND NOT is_vr;
CREATE UNIQUE INDEX ON task (task_id);
CREATE INDEX ON task (status, start_time);
VACUUM ANALYZE;
";

/// A claim makes a task of the most urgent video; a completion ends both. Each is a transaction.
const PAIR: &str = "
WITH claimed AS (
  UPDATE video SET status = 2, attempts = attempts + 1, update_time = now() WHERE id = (
    SELECT id FROM video WHERE status = 1 AND NOT is_vr ORDER BY bitrate_k DESC, id LIMIT 1 FOR UPDATE SKIP LOCKED)
  RETURNING id)
INSERT INTO task (video_id, worker_id, status) SELECT id, :client_id, 0 FROM claimed RETURNING id AS task, video_id AS video \\gset
WITH done AS (UPDATE task SET status = 2, progress = 100, end_time = now() WHERE id = :task RETURNING video_id)
UPDATE video SET status = 4, task_id = NULL, update_time = now() FROM done WHERE video.id = done.video_id;
";

/// The directory of the newest version's programs.
pub(crate) fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir(VERSIONS).ok()?.filter_map(|entry| Some(entry.ok()?.path().join("bin")));
    versions.filter(|bin| bin.join("pgbench").is_file() && bin.join("initdb").is_file()).max()
}

/// A running server with videos that wait.
#[derive(Debug)]
pub(crate) struct PostgreSql {
    programs: PathBuf,
    directory: PathBuf,
    address: SocketAddr,
    _process: Process,
}

pub(crate) async fn start(programs: &Path, directory: &Path, videos: u32) -> Result<PostgreSql, BoxError> {
    eprintln!("making {videos} rows for PostgreSQL");
    fs::create_dir_all(directory)?;
    if rustix::process::getuid().is_root() {
        // It refuses to run as root.
        done(Command::new("chown").args(["postgres"]).arg(directory))?;
    }
    let data = directory.join("data");
    done(as_itself(&programs.join("initdb")).args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "-D"]).arg(&data))?;
    let address = free_address()?;
    let mut server = as_itself(&programs.join("postgres"));
    server.arg("-D").arg(&data).args(["-p", &address.port().to_string(), "-h", "127.0.0.1"]);
    // Room to work in; what makes commits durable stays as it comes.
    for setting in ["unix_socket_directories=", "shared_buffers=1GB", "max_wal_size=4GB", "max_connections=200"] {
        server.args(["-c", setting]);
    }
    let process = Process::start(&mut server, &directory.join("server.log"))?;
    listening(address).await?;
    let peer = PostgreSql { programs: programs.into(), directory: directory.into(), address, _process: process };
    peer.ready().await?;
    peer.sql(SCHEMA)?;
    peer.sql(&format!(
        "INSERT INTO video (video_path, codec, bitrate_k, size_bytes, fps, width, height, is_vr, status)
         SELECT format('lib/series %s/season %s/episode %s.mkv', n / 500, n / 25 % 20, n), 'h264',
                1000 + (n::bigint * 2654435761 % 4294967296) / 256 % 20000, 104857600 + n, 25, 1920, 1080, false, 1
         FROM generate_series(1, {videos}) AS n"
    ))?;
    // VACUUM stands alone.
    INDEXES.split_inclusive(';').map(str::trim).filter(|line| !line.is_empty()).try_for_each(|line| peer.sql(line))?;
    Ok(peer)
}

impl PostgreSql {
    /// Claims and completions, by pgbench.
    pub(crate) fn measure(&self, load: Load) -> Result<Peer, BoxError> {
        eprintln!("measuring PostgreSQL");
        let script = self.directory.join("pair.sql");
        fs::write(&script, PAIR)?;
        let seconds = load.time.as_secs().max(1);
        self.pgbench(&script, load.clients, (seconds / 4).max(1))?;
        let said = self.pgbench(&script, load.clients, seconds)?;
        let number = |prefix: &str| {
            let rest = said.lines().find_map(|line| line.strip_prefix(prefix));
            rest.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok())
        };
        let rate = number("tps = ").ok_or_else(|| format!("pgbench said no rate: {said}"))?;
        let failed = number("number of failed transactions: ").unwrap_or_default();
        if failed > 0.0 {
            return Err(format!("transactions failed: {said}").into());
        }
        Ok(Peer {
            name: "PostgreSQL",
            pairs_per_second: rate,
            latency: number("latency average = "),
            note: "SKIP LOCKED",
        })
    }

    fn pgbench(&self, script: &Path, clients: usize, seconds: u64) -> Result<String, BoxError> {
        let mut command = Command::new(self.programs.join("pgbench"));
        command.args(["-n", "-M", "prepared", "-j", "2", "-c", &clients.to_string(), "-T", &seconds.to_string()]);
        command.args(self.connection()).arg("-f").arg(script).arg("postgres");
        let output = done(&mut command)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn sql(&self, statements: &str) -> Result<(), BoxError> {
        let mut command = Command::new(self.programs.join("psql"));
        command.args(self.connection()).args(["-q", "-v", "ON_ERROR_STOP=1", "-c", statements, "postgres"]);
        done(&mut command).map(drop)
    }

    /// It listens a while before it answers.
    async fn ready(&self) -> Result<(), BoxError> {
        const ATTEMPTS: usize = 100;
        for _ in 1..ATTEMPTS {
            if self.sql("SELECT 1").is_ok() {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        self.sql("SELECT 1")
    }

    fn connection(&self) -> [String; 6] {
        let port = self.address.port().to_string();
        ["-h", "127.0.0.1", "-p", &port, "-U", "postgres"].map(str::to_owned)
    }
}

/// A program that runs as the user `postgres` where it would be root.
fn as_itself(program: &Path) -> Command {
    if !rustix::process::getuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]).arg(program);
    command
}

/// Runs a program that has to succeed.
fn done(command: &mut Command) -> Result<Output, BoxError> {
    // A directory that everybody may stand in.
    let output = command.current_dir("/").output()?;
    if output.status.success() {
        return Ok(output);
    }
    let program = command.get_program().display().to_string();
    Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr)).into())
}
