//! `steward lock run`: a command that runs only while its lock is held.

mod hand_back;
mod held;
mod loss;
mod notices;
mod obtain;
mod schedule;
mod supervise;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io;
use std::time::{Duration, Instant};

use clap::Args;
use steward_proto::lock::v1 as pb;

use self::hand_back::{Verdict, hand_back};
use self::held::Held;
use self::notices::Notices;
use self::obtain::{Applicant, Limits, Obtained};
use self::supervise::{End, supervise};
use super::acquire::completion_policy;
use super::mode::ModeArgs;
use super::{key, text};
use crate::cli::command::Running;
use crate::cli::connect::Server;
use crate::cli::error::Error;
use crate::cli::exit::Exit;
use crate::cli::signals::Signals;
use crate::cli::{duration, identity, time};

/// Runs a command while it holds a lock.
#[derive(Args, Debug)]
#[command(after_help = AFTER_HELP)]
pub(super) struct RunArgs {
    /// What to lock: TYPE/RESOURCE.
    #[arg(value_name = "KEY", value_parser = key::parse)]
    key: pb::LockKey,

    /// Wait at the most so long for the lock; 0s does not wait. Default: for ever.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    timeout: Option<Duration>,

    /// How long the lock outlives this process, should it crash.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = parse_ttl)]
    ttl: Duration,

    /// How long the command may take to end after SIGTERM when the lock is lost.
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse_grace)]
    kill_grace: Duration,

    /// Who asks. Default: this host and process.
    #[arg(long, env = "STEWARD_OWNER")]
    owner: Option<String>,

    /// Do nothing and succeed when somebody has completed the work.
    #[arg(long)]
    skip_completed: bool,

    #[command(flatten)]
    mode: ModeArgs,

    /// What to run, with its arguments.
    #[arg(value_name = "COMMAND", required = true, last = true)]
    command: Vec<OsString>,
}

const AFTER_HELP: &str = "\
The command finds STEWARD_LOCK_KEY, STEWARD_LOCK_FENCING_TOKEN and STEWARD_LOCK_GRANT_ID in its environment.
Exit status 0 is recorded as success (of an exclusive lock), anything else as failure.

The lock is renewed three times a TTL. When it is lost, the command and all that it started are stopped: SIGTERM, and
SIGKILL after the grace. SIGINT, SIGTERM, SIGHUP and SIGQUIT are handed on to them. When standard input is a terminal,
the command stays in the foreground to read it, and then only the command itself is stopped, not what it started.

Exit codes: the command's own, or 128 and the signal that killed it; and
  0    not run: the work was completed already (--skip-completed)
  1    error
  2    wrong usage
  69   the server cannot be reached
  75   the lock was not free within --timeout
  76   the lock was lost and the command was stopped
  126  the command cannot be executed
  127  there is no such command";

const SHORTEST_TTL: Duration = Duration::from_millis(10);
const LONGEST_TTL: Duration = Duration::from_hours(30 * 24);
const LONGEST_GRACE: Duration = Duration::from_hours(24);

pub(super) async fn run(args: RunArgs, server: &Server) -> Exit {
    let notices = Notices::start(io::stderr());
    let exit = match Signals::listen() {
        Ok(signals) => run_with(&args, server, signals, &notices).await,
        Err(source) => fail(&Error::System { what: "cannot catch signals", source }, &notices),
    };
    notices.finish();
    exit
}

async fn run_with(args: &RunArgs, server: &Server, mut signals: Signals, notices: &Notices) -> Exit {
    match take_and_run(args, server, &mut signals, notices).await {
        Ok(exit) => exit,
        Err(error) => fail(&error, notices),
    }
}

fn fail(error: &Error, notices: &Notices) -> Exit {
    notices.error(error.to_string());
    match error {
        Error::Unreachable { .. } => Exit::UNREACHABLE,
        Error::NoPassword
        | Error::Refused(_)
        | Error::Nonsense(_)
        | Error::Local(_)
        | Error::Output(_)
        | Error::System { .. } => Exit::ERROR,
    }
}

async fn take_and_run(
    args: &RunArgs,
    server: &Server,
    signals: &mut Signals,
    notices: &Notices,
) -> Result<Exit, Error> {
    let until = args.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let locks = tokio::select! {
        locks = server.connect_locks() => locks?,
        signal = signals.next() => return Ok(Exit::of_signal(signal)),
    };
    let limits = Limits { ttl: args.ttl, grace: args.kill_grace, until };
    let applicant = Applicant::new(args.request(), limits, server, locks, notices);
    match applicant.obtain(signals).await? {
        Obtained::Held(held) => run_under(*held, args, server, signals, notices).await,
        Obtained::Skipped(completion) => {
            let completion = text::completion(completion.as_ref(), time::now());
            notices.say(format!("{} was {completion}; nothing to do", key::text(&args.key)));
            Ok(Exit::DONE)
        }
        Obtained::TimedOut => {
            notices.error(format!("{} was not free in time", key::text(&args.key)));
            Ok(Exit::NOT_IN_TIME)
        }
        Obtained::Interrupted(signal) => Ok(Exit::of_signal(signal)),
    }
}

async fn run_under(
    held: Held,
    args: &RunArgs,
    server: &Server,
    signals: &mut Signals,
    notices: &Notices,
) -> Result<Exit, Error> {
    let grant = held.grant().clone();
    let (exit, verdict) = match Running::start(&args.command, &environment(&args.key, &grant)) {
        Ok(mut running) => {
            let end = supervise(&mut running, held, args.kill_grace, server, signals, notices).await;
            match end.map_err(|source| Error::System { what: "cannot wait for the command", source })? {
                End::Exited(status) => (Exit::of_command(status), Verdict::of(status)),
                End::Lost => return Ok(Exit::LOST),
            }
        }
        Err(failure) => {
            let name = args.command.first().map(|name| name.to_string_lossy()).unwrap_or_default();
            notices.error(format!("cannot run {name}: {failure}"));
            let is_missing = failure.kind() == io::ErrorKind::NotFound;
            let exit = if is_missing { Exit::NOT_FOUND } else { Exit::NOT_EXECUTABLE };
            (exit, Verdict::Failed(format!("the command did not start: {failure}")))
        }
    };
    if let Err(cause) = hand_back(&grant, &verdict, args.mode.mode, args.ttl, server, signals).await {
        notices.say(format!("warning: cannot give {} back: {cause}", key::text(&args.key)));
    }
    Ok(exit)
}

impl RunArgs {
    fn request(&self) -> pb::AcquireRequest {
        self.mode.apply(pb::AcquireRequest {
            key: Some(self.key.clone()),
            owner: self.owner.clone().unwrap_or_else(identity::owner),
            completion_policy: completion_policy(self.skip_completed).into(),
            ..pb::AcquireRequest::default()
        })
    }
}

fn environment(key: &pb::LockKey, grant: &pb::Grant) -> [(&'static str, String); 3] {
    [
        ("STEWARD_LOCK_KEY", format!("{}/{}", key.r#type, key.resource_id)),
        ("STEWARD_LOCK_FENCING_TOKEN", grant.fencing_token.to_string()),
        ("STEWARD_LOCK_GRANT_ID", grant.grant_id.clone()),
    ]
}

fn parse_ttl(text: &str) -> Result<Duration, String> {
    let ttl = duration::parse(text)?;
    let is_allowed = (SHORTEST_TTL..=LONGEST_TTL).contains(&ttl);
    is_allowed.then_some(ttl).ok_or_else(|| "has to be between 10ms and 720h".to_owned())
}

fn parse_grace(text: &str) -> Result<Duration, String> {
    let grace = duration::parse(text)?;
    (grace <= LONGEST_GRACE).then_some(grace).ok_or_else(|| "has to be 24h or less".to_owned())
}
