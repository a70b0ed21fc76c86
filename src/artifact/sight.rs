//! What of the artifacts a caller gets to see.

use crate::auth::rights::{Area, Right};
use crate::auth::{Grants, Identity};
use crate::error::Failure;

/// The eyes of a caller.
#[derive(Clone, Debug)]
pub(super) struct Sight(Grants);

/// The eyes of a caller on one repository.
#[derive(Clone, Debug)]
pub(super) struct View {
    grants: Grants,
    /// `project/repository`.
    place: String,
    /// Nothing in it has to be asked about by itself.
    is_whole: bool,
}

impl Sight {
    pub(super) fn of(grants: Grants) -> Self {
        Sight(grants)
    }

    /// Who the caller is.
    pub(super) fn caller(&self) -> &Identity {
        self.0.caller()
    }

    /// Sees everything there is.
    #[cfg(test)]
    pub(super) fn everything() -> Self {
        Sight(Grants::everything())
    }

    /// Sees what a table of rights lets the user `a` see.
    #[cfg(test)]
    pub(super) fn by_table(table: &str) -> Self {
        let table = crate::auth::rights::Table::parse(table).expect("a table");
        let caller = crate::auth::Identity { user: Some("a".to_owned()), ..Default::default() };
        Sight::of(Grants::new(caller, std::sync::Arc::new(table)))
    }

    /// Whether everything is seen, in all repositories.
    pub(super) fn is_unbounded(&self) -> bool {
        self.0.are_everything() || self.0.allow(Area::Artifact, Right::Read, "")
    }

    /// Whether something of a project may be seen.
    pub(super) fn has_project(&self, project: &str) -> bool {
        self.0.are_everything() || self.0.allow_within(Area::Artifact, Right::Read, project)
    }

    /// Whether something of a repository may be seen.
    pub(super) fn has_repository(&self, project: &str, repository: &str) -> bool {
        self.has_project(&format!("{project}/{repository}"))
    }

    /// Refuses a project of which nothing may be seen, whether it is there or not.
    pub(super) fn project(&self, project: &str) -> Result<(), Failure> {
        self.0.require_within(Area::Artifact, Right::Read, project)
    }

    /// A repository of which something may be seen; refuses others, whether they are there or not.
    pub(super) fn repository(&self, project: &str, repository: &str) -> Result<View, Failure> {
        let place = format!("{project}/{repository}");
        self.project(&place)?;
        Ok(self.view(place))
    }

    /// A repository, whatever may be seen of it.
    pub(super) fn on(&self, project: &str, repository: &str) -> View {
        self.view(format!("{project}/{repository}"))
    }

    /// The same of `project/repository/`.
    pub(super) fn within(&self, place: &str) -> View {
        self.view(place.trim_end_matches('/').to_owned())
    }

    fn view(&self, place: String) -> View {
        // Whoever may read something may read all that is below it.
        let is_whole = self.0.are_everything() || self.0.allow(Area::Artifact, Right::Read, &place);
        View { grants: self.0.clone(), place, is_whole }
    }
}

impl View {
    /// Whether all of the repository may be seen.
    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Whether a file or an image may be seen.
    pub(super) fn has(&self, path: &str) -> bool {
        self.is_whole || self.grants.allow(Area::Artifact, Right::Read, &self.resource(path))
    }

    /// Whether a folder, or something in it, may be seen.
    pub(super) fn has_folder(&self, path: &str) -> bool {
        self.is_whole || self.grants.allow_within(Area::Artifact, Right::Read, &self.resource(path))
    }

    /// Refuses a file or an image that may not be seen, whether it is there or not.
    pub(super) fn require(&self, path: &str) -> Result<(), Failure> {
        if self.has(path) {
            return Ok(());
        }
        self.grants.require(Area::Artifact, Right::Read, &self.resource(path))
    }

    /// Refuses a folder of which nothing may be seen, whether it is there or not.
    pub(super) fn require_folder(&self, path: &str) -> Result<(), Failure> {
        if self.has_folder(path) {
            return Ok(());
        }
        self.grants.require_within(Area::Artifact, Right::Read, &self.resource(path))
    }

    /// Paths of files begin with a slash, and names of images do not.
    fn resource(&self, path: &str) -> String {
        format!("{}/{}", self.place, path.trim_start_matches('/'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_is_seen_as_leads_to_what_may_be_read() {
        let sight =
            Sight::by_table("a artifact p/files/dir read\na artifact p/images/tools/* read\na artifact q write");
        assert!(sight.has_project("p") && !sight.has_project("q") && !sight.has_project("pp"));
        assert!(sight.has_repository("p", "files") && !sight.has_repository("p", "others"));
        assert!(sight.repository("p", "others").is_err() && sight.project("q").is_err() && !sight.is_unbounded());
        let files = sight.repository("p", "files").expect("something may be read");
        assert!(files.has("/dir/a.txt") && files.has("/dir/sub/b.txt") && !files.has("/a.txt"));
        assert!(files.has_folder("/") && files.has_folder("/dir") && !files.has_folder("/other"));
        let images = sight.on("p", "images");
        assert!(images.has("tools/jq") && !images.has("jq") && images.require("jq").is_err());
    }

    #[test]
    fn whoever_may_read_a_repository_sees_all_of_it() {
        let view = Sight::by_table("a artifact p/files read").repository("p", "files").expect("it may be read");
        assert!(view.is_whole && view.has("/a") && view.has_folder("/dir"));
        assert!(Sight::by_table("a artifact * read").is_unbounded() && Sight::everything().is_unbounded());
    }
}
