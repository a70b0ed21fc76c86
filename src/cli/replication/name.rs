//! How tasks and runs are named on the command line: `p1/images/mirror`, `63043f3ff0cad86bddf5e215`.

use std::fmt;
use std::str::FromStr;

use crate::cli::console::printable;
use crate::cli::repository_name::RepositoryName;

const EXECUTION_DIGITS: usize = 24;

/// A task. What else is wrong with the names is the server's to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TaskName {
    pub(super) project: String,
    pub(super) repository: String,
    pub(super) name: String,
}

/// A run, or a task in the place of its latest run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Task(TaskName),
    Execution(String),
}

/// A project, or a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) project: String,
    /// Empty: all of the project.
    pub(super) repository: String,
}

impl FromStr for TaskName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match RepositoryName::split(text) {
            Some((RepositoryName { project, name: repository }, Some(name)))
                if !name.is_empty() && !name.contains('/') =>
            {
                Ok(TaskName { project, repository, name: name.to_owned() })
            }
            Some(_) | None => Err("not a task; write it as PROJECT/REPO/NAME".to_owned()),
        }
    }
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() == EXECUTION_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Which::Execution(text.to_ascii_lowercase()));
        }
        let wrong =
            |_| "neither a task nor a run; write it as PROJECT/REPO/NAME, or as 24 hexadecimal digits".to_owned();
        text.parse().map(Which::Task).map_err(wrong)
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (project, repository) = text.split_once('/').unwrap_or((text, ""));
        if project.is_empty() || repository.trim_end_matches('/').contains('/') {
            return Err("write it as PROJECT or PROJECT/REPO".to_owned());
        }
        Ok(Scope { project: project.to_owned(), repository: repository.trim_end_matches('/').to_owned() })
    }
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TaskName { project, repository, name } = self;
        write!(f, "{}/{}/{}", printable(project), printable(repository), printable(name))
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Which::Task(task) => task.fmt(f),
            Which::Execution(id) => printable(id).fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_has_three_names() {
        assert_eq!("p1/images/mirror".parse::<TaskName>().unwrap().to_string(), "p1/images/mirror");
        for wrong in ["", "p1/images", "p1/images/", "p1/images/a/b", "/images/a"] {
            assert!(wrong.parse::<TaskName>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_run_has_24_digits() {
        let id = "63043F3ff0cad86bddf5e215";
        assert_eq!(id.parse(), Ok(Which::Execution(id.to_ascii_lowercase())));
        assert!(matches!("p1/images/mirror".parse(), Ok(Which::Task(_))));
        assert!("63043f".parse::<Which>().is_err());
    }

    #[test]
    fn tasks_are_listed_by_project_or_repository() {
        let scope = |repository: &str| Ok(Scope { project: "p1".to_owned(), repository: repository.to_owned() });
        assert_eq!("p1".parse(), scope(""));
        assert_eq!("p1/".parse(), scope(""));
        assert_eq!("p1/images/".parse(), scope("images"));
        assert!("p1/images/mirror".parse::<Scope>().is_err() && "/a".parse::<Scope>().is_err());
    }
}
