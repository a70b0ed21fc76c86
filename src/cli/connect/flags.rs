//! What the command line says of the server and of who asks.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command, FromArgMatches};

use super::Server;
use super::address::{Address, AddressParser};
use super::environment::Environment;
use super::settings::{Layer, settle};
use crate::cli::sign_in::{self, Secret};

/// A server, and as whom it is asked. What is not said here is looked for in the environment, and then in a profile.
// A command may have a word of its own called `key`, so the names are not those of the options.
#[derive(Args, Clone, Debug)]
struct Flags {
    /// The server's gRPC address, `http://…` or `https://…`; or `STEWARD_SERVER`. [default: 127.0.0.1:50051]
    #[arg(long = "server", global = true, value_name = "URL", value_parser = AddressParser)]
    server_address: Option<Address>,

    /// Who to log in as; or `STEWARD_USER`. The password comes from `STEWARD_PASSWORD` or from a file.
    #[arg(long, global = true, value_name = "NAME", value_parser = sign_in::parse_user)]
    user: Option<String>,

    /// A file whose first line is the password.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        value_parser = PathBufValueParser::new().try_map(sign_in::read_secret)
    )]
    password_file: Option<Secret>,

    /// A token to log in with, better said as `@FILE`, because others can see what is written here; or `STEWARD_TOKEN`.
    #[arg(long = "token", global = true, value_name = "@FILE", value_parser = TokenParser)]
    sign_in_token: Option<Secret>,

    /// Certificates in PEM that are trusted instead of those of the system; or `STEWARD_CA`.
    #[arg(long = "ca", global = true, value_name = "FILE")]
    server_ca: Option<PathBuf>,

    /// The certificate to log in with, in PEM; or `STEWARD_CERT`.
    #[arg(long = "cert", global = true, value_name = "FILE")]
    client_cert: Option<PathBuf>,

    /// Its private key, in PEM; or `STEWARD_KEY`.
    #[arg(long = "key", global = true, value_name = "FILE")]
    client_key: Option<PathBuf>,

    /// The part of the file of profiles to go by; or `STEWARD_PROFILE`. [default: default]
    #[arg(long = "profile", global = true, value_name = "NAME")]
    server_profile: Option<String>,
}

impl Flags {
    fn settle(self, environment: &Environment) -> Result<Server, String> {
        let layer = Layer {
            source: "the command line",
            server: self.server_address,
            user: self.user,
            password: self.password_file,
            token: self.sign_in_token,
            ca: self.server_ca,
            cert: self.client_cert,
            key: self.client_key,
        };
        settle(layer, self.server_profile, environment)
    }
}

impl FromArgMatches for Server {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Flags::from_arg_matches(matches).and_then(settled)
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, clap::Error> {
        Flags::from_arg_matches_mut(matches).and_then(settled)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn settled(flags: Flags) -> Result<Server, clap::Error> {
    let settled = flags.settle(&Environment::of_process());
    settled.map_err(|problem| clap::Error::raw(ErrorKind::ValueValidation, format!("{problem}\n")))
}

impl Args for Server {
    fn augment_args(command: Command) -> Command {
        Flags::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Flags::augment_args_for_update(command)
    }
}

/// Reads tokens without showing one, as clap would.
#[derive(Clone, Debug)]
struct TokenParser;

impl TypedValueParser for TokenParser {
    type Value = Secret;

    fn parse_ref(&self, command: &Command, _: Option<&clap::Arg>, value: &OsStr) -> Result<Secret, clap::Error> {
        let parsed = value.to_str().ok_or_else(|| "it is not UTF-8".to_owned()).and_then(sign_in::token_of);
        parsed.map_err(|problem| {
            let message = format!("the token of --token is of no use: {problem}\n");
            clap::Error::raw(ErrorKind::ValueValidation, message).with_cmd(command)
        })
    }
}
