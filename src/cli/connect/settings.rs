//! Which of several sources counts: the command line before the environment, that before the profile.

use std::path::PathBuf;

use super::Server;
use super::address::Address;
use super::environment::Environment;
use super::profile;
use crate::cli::sign_in::{Secret, SignIn};
use crate::tls_client::{Files, Pair, TlsConnector};

const DEFAULT_PROFILE: &str = "default";

/// What one source says of the server and of who asks.
#[derive(Debug, Default)]
pub(super) struct Layer {
    /// Its name, for errors.
    pub(super) source: &'static str,
    pub(super) server: Option<Address>,
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) token: Option<Secret>,
    pub(super) ca: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
}

/// Finds out which server is asked and as whom, and reads the files that takes.
pub(super) fn settle(flags: Layer, profile: Option<String>, environment: &Environment) -> Result<Server, String> {
    let variables = environment.layer()?;
    let said = flags.server.as_ref().or(variables.server.as_ref());
    let profile = find_profile(profile, said, environment)?;
    let layers = [flags, variables, profile];

    let address = layers.iter().find_map(|layer| layer.server.clone()).unwrap_or_else(Address::usual);
    let tls = tls(&layers, &address)?;
    let sign_in = sign_in(&layers)?;
    Ok(Server { address, tls, sign_in })
}

/// The profile that is named, or else the usual one. What is kept for one server is not shown to another by mistake: only
/// who names the profile on the command line may send it elsewhere.
fn find_profile(flag: Option<String>, said: Option<&Address>, environment: &Environment) -> Result<Layer, String> {
    let is_for_any = flag.is_some();
    let named = flag.or_else(|| environment.get("STEWARD_PROFILE").map(str::to_owned));
    let name = named.as_deref().unwrap_or(DEFAULT_PROFILE);
    let path = environment.profiles();
    let found = path.as_deref().map_or(Ok(None), |path| profile::read(path, name))?;
    match (found, path) {
        (None, _) if named.is_none() => Ok(Layer::default()),
        (None, Some(path)) => Err(format!("there is no profile {name:?} in {}", path.display())),
        (None, None) => Err(format!("there is no profile {name:?}: neither HOME nor XDG_CONFIG_HOME says where")),
        (Some(found), _) => {
            let own = found.server.clone().unwrap_or_else(Address::usual);
            let is_its = is_for_any || said.is_none_or(|said| said.is_same(&own));
            Ok(if is_its { found } else { Layer::default() })
        }
    }
}

/// The strongest source that says who it is decides that.
fn sign_in(layers: &[Layer]) -> Result<Option<SignIn>, String> {
    for layer in layers {
        let user = match (&layer.token, &layer.user) {
            (Some(_), Some(_)) => return Err(format!("{} names both a token and a user: one is enough", layer.source)),
            (Some(token), None) => return Ok(Some(SignIn::with_token(token))),
            (None, None) => continue,
            (None, Some(user)) => user,
        };
        // The password of one user is not shown as that of another.
        let is_theirs = |layer: &&Layer| layer.user.as_ref().is_none_or(|of| of == user);
        let password = layers.iter().filter(is_theirs).find_map(|layer| layer.password.as_ref());
        return Ok(password.map(|password| SignIn::with_password(user, password)));
    }
    Ok(Some(SignIn::default()))
}

fn tls(layers: &[Layer], address: &Address) -> Result<Option<TlsConnector>, String> {
    let ca = layers.iter().find_map(|layer| layer.ca.clone());
    // A certificate and its key are said together.
    let pair = layers.iter().find(|layer| layer.cert.is_some() || layer.key.is_some());
    let pair = match pair.map(|layer| (layer.cert.clone(), layer.key.clone(), layer.source)) {
        None | Some((None, None, _)) => None,
        Some((Some(cert), Some(key), _)) => Some(Pair { cert, key }),
        Some((Some(_), None, source)) => return Err(format!("{source} names a certificate without its key")),
        Some((None, Some(_), source)) => return Err(format!("{source} names a key without its certificate")),
    };
    let files = Files { ca, pair };
    if address.is_secure() {
        return TlsConnector::open(files).map(Some).map_err(|error| error.to_string());
    }
    if files != Files::default() {
        return Err(format!("certificates are of no use at {}: say https:// if it speaks TLS", address.url));
    }
    Ok(None)
}
