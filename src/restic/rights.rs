//! Who may do what: decided from the settings, the user and the path alone.

use std::collections::BTreeMap;

use super::error::Error;
use super::name::RepositoryPath;
use crate::config::{Access, ResticUser};

/// The rules.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    /// Nobody deletes anything but locks.
    pub(super) append_only: bool,
    /// Users get only at what starts with their names.
    pub(super) private_repositories: bool,
    /// Single users.
    pub(super) users: BTreeMap<String, ResticUser>,
}

impl Rules {
    /// How much `user` may change in the repository at `path`. Without authentication there is no user, and anybody
    /// may do what the settings leave.
    pub(super) fn access(&self, user: Option<&str>, path: &RepositoryPath) -> Access {
        let granted = match user {
            None => Access::Admin,
            Some(user) => match self.users.get(user).map_or(Access::Modify, |user| user.access) {
                Access::Admin => Access::Admin,
                _ if self.private_repositories && path.first_segment() != user => Access::None,
                access => access,
            },
        };
        if self.append_only { granted.min(Access::Append) } else { granted }
    }

    /// Refuses who has not at least `needed`.
    pub(super) fn require(&self, user: Option<&str>, path: &RepositoryPath, needed: Access) -> Result<(), Error> {
        let granted = self.access(user, path);
        if granted >= needed {
            return Ok(());
        }
        // Who may not even read is not told whether there is such a repository.
        if granted >= Access::Read && needed == Access::Modify {
            return Err(Error::AppendOnly(path.clone()));
        }
        Err(Error::Forbidden(format!("you may not {} repository {path}", verb(needed))))
    }

    /// Refuses who may not set quotas; that is no change of what a repository has.
    pub(super) fn require_admin(&self, user: Option<&str>, path: &RepositoryPath) -> Result<(), Error> {
        let unbound = Rules { append_only: false, ..self.clone() };
        unbound.require(user, path, Access::Admin)
    }

    /// How many bytes the repositories of `user` may have together; 0: no limit.
    pub(super) fn max_bytes(&self, user: &str) -> u64 {
        self.users.get(user).map_or(0, |user| user.max_bytes)
    }

    /// Whether any user has a quota.
    pub(super) fn has_user_quotas(&self) -> bool {
        self.users.values().any(|user| user.max_bytes > 0)
    }
}

fn verb(access: Access) -> &'static str {
    match access {
        Access::None | Access::Read => "read",
        Access::Append => "add to",
        Access::Modify => "delete from",
        Access::Admin => "administer",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        let user = |access| ResticUser { access, max_bytes: 0 };
        let users = [("root", Access::Admin), ("host", Access::Append), ("eye", Access::Read), ("no", Access::None)];
        Rules { users: users.map(|(name, access)| (name.to_owned(), user(access))).into(), ..Rules::default() }
    }

    fn path(path: &str) -> RepositoryPath {
        RepositoryPath::parse(path).unwrap()
    }

    #[test]
    fn users_have_what_they_were_given_and_others_may_modify() {
        let rules = rules();
        let access = |user| rules.access(Some(user), &path("any"));
        assert_eq!(access("host"), Access::Append);
        assert_eq!(access("eye"), Access::Read);
        assert_eq!(access("no"), Access::None);
        assert_eq!(access("alice"), Access::Modify);
        assert_eq!(rules.access(None, &path("any")), Access::Admin);
    }

    #[test]
    fn append_only_binds_everybody_and_still_lets_an_admin_set_quotas() {
        let rules = Rules { append_only: true, ..rules() };
        for user in [None, Some("root"), Some("alice")] {
            assert_eq!(rules.access(user, &path("any")), Access::Append, "{user:?}");
        }
        assert_eq!(rules.access(Some("eye"), &path("any")), Access::Read);
        assert!(rules.require_admin(Some("root"), &path("any")).is_ok());
        assert!(rules.require_admin(Some("alice"), &path("any")).is_err());
        assert!(matches!(rules.require(None, &path("any"), Access::Modify), Err(Error::AppendOnly(_))));
    }

    #[test]
    fn private_repositories_belong_to_the_user_they_start_with() {
        let rules = Rules { private_repositories: true, ..rules() };
        assert_eq!(rules.access(Some("alice"), &path("alice")), Access::Modify);
        assert_eq!(rules.access(Some("alice"), &path("alice/laptop")), Access::Modify);
        assert_eq!(rules.access(Some("host"), &path("host/x")), Access::Append);
        for other in ["", "bob", "alice2", "bob/alice"] {
            assert_eq!(rules.access(Some("alice"), &path(other)), Access::None, "{other}");
            assert!(matches!(rules.require(Some("alice"), &path(other), Access::Read), Err(Error::Forbidden(_))));
        }
    }
}
