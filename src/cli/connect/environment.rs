//! What the environment says of the server and of who asks.

use std::collections::HashMap;
use std::path::PathBuf;

use super::address::Address;
use super::settings::Layer;
use crate::cli::sign_in::{Secret, parse_user, token_of};

/// The variables that are looked at.
#[derive(Clone, Default)]
pub(super) struct Environment(HashMap<String, String>);

impl Environment {
    pub(super) fn of_process() -> Self {
        let pairs = std::env::vars_os();
        let texts = pairs.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let is_ours = |name: &str| name.starts_with("STEWARD_") || ["XDG_CONFIG_HOME", "HOME"].contains(&name);
        Environment(texts.filter(|(name, _)| is_ours(name)).collect())
    }

    #[cfg(test)]
    pub(super) fn of<const N: usize>(pairs: [(&str, &str); N]) -> Self {
        Environment(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// What a variable says; one that is empty says nothing.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Where profiles are.
    pub(super) fn profiles(&self) -> Option<PathBuf> {
        let directory = |name: &str| self.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let configuration = directory("XDG_CONFIG_HOME").or_else(|| Some(directory("HOME")?.join(".config")))?;
        Some(configuration.join("steward").join("profile.toml"))
    }

    /// All that it says of the server and of who asks.
    pub(super) fn layer(&self) -> Result<Layer, String> {
        let wrong = |name: &str, problem: String| format!("{name}: {problem}");
        let server = self.get("STEWARD_SERVER").map(Address::parse).transpose();
        let user = self.get("STEWARD_USER").map(parse_user).transpose();
        let token = self.get("STEWARD_TOKEN").map(token_of).transpose();
        let file = |name: &str| self.get(name).map(PathBuf::from);
        Ok(Layer {
            source: "the environment",
            server: server.map_err(|problem| format!("the address of STEWARD_SERVER {problem}"))?,
            user: user.map_err(|problem| wrong("STEWARD_USER", problem.to_owned()))?,
            // An empty one may be meant.
            password: self.0.get("STEWARD_PASSWORD").map(Secret::new),
            token: token.map_err(|problem| wrong("STEWARD_TOKEN", problem))?,
            ca: file("STEWARD_CA"),
            cert: file("STEWARD_CERT"),
            key: file("STEWARD_KEY"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_are_where_configuration_is() {
        let of = |pairs| Environment::of(pairs).profiles();
        let (xdg, home) = (("XDG_CONFIG_HOME", "/xdg"), ("HOME", "/home/a"));
        assert_eq!(of([xdg, home]), Some("/xdg/steward/profile.toml".into()));
        assert_eq!(of([("XDG_CONFIG_HOME", ""), home]), Some("/home/a/.config/steward/profile.toml".into()));
        assert_eq!(of([("XDG_CONFIG_HOME", "relative"), ("HOME", "relative")]), None);
    }
}
