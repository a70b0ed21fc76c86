//! Who runs a command.

use std::env;

/// A lock owner of this process: `host:pid`.
pub(crate) fn owner() -> String {
    format!("{}:{}", host(), std::process::id())
}

/// The person, for audit logs: `user@host`.
pub(crate) fn actor() -> String {
    let user = ["USER", "LOGNAME"].iter().find_map(|name| env::var(name).ok().filter(|user| !user.is_empty()));
    let user = user.unwrap_or_else(|| format!("uid{}", rustix::process::getuid().as_raw()));
    format!("{user}@{}", host())
}

/// The name of this machine.
pub(crate) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_names_the_host_and_the_process() {
        let owner = owner();
        let (host, pid) = owner.rsplit_once(':').unwrap();
        assert!(!host.is_empty());
        assert_eq!(pid, std::process::id().to_string());
    }

    #[test]
    fn an_actor_names_the_user_and_the_host() {
        assert!(actor().split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty()));
    }
}
