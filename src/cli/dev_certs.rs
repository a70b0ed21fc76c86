//! `steward dev-certs`: an authority, and certificates of it, for trying TLS out.
//!
//! - `issue` makes them, `files` writes them.
//!
//! The files of a user have the names that qemu and libnbd look for in a directory.

mod files;
mod issue;

use std::path::{Path, PathBuf};

use clap::Args;

use self::files::{File, Kind};
use self::issue::Authority;
use crate::auth::is_user_name;

/// What is to be made.
#[derive(Args, Clone, Debug)]
pub struct DevCertsArgs {
    /// Where the files go. None of them may be there yet.
    #[arg(value_name = "DIR", default_value = "certs")]
    directory: PathBuf,
    /// A further name or address of the server. Always: `localhost`, `127.0.0.1`, `::1`.
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// Somebody who gets a client certificate; can be given several times.
    #[arg(long = "user", value_name = "NAME", value_parser = parse_user)]
    users: Vec<String>,
    /// For how many days they are good.
    #[arg(long, value_name = "DAYS", default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: u16,
}

fn parse_user(name: &str) -> Result<String, String> {
    if is_user_name(name) { Ok(name.to_owned()) } else { Err("a user has letters, digits and @ . _ -".to_owned()) }
}

/// Makes the certificates and says what to do with them.
pub fn run(args: &DevCertsArgs) -> Result<(), String> {
    let directory = std::path::absolute(&args.directory).map_err(|error| error.to_string())?;
    let files = make(args).map_err(|error| format!("cannot make certificates: {error}"))?;
    files::write(&directory, &files)?;
    print!("{}", instructions(&directory, &args.users));
    Ok(())
}

fn make(args: &DevCertsArgs) -> Result<Vec<File>, rcgen::Error> {
    let authority = Authority::new(args.days)?;
    let hosts = ["localhost", "127.0.0.1", "::1"].into_iter().chain(args.hosts.iter().map(String::as_str));
    let server = authority.server(hosts.map(str::to_owned).collect())?;
    let mut files = vec![
        File::new("ca-cert.pem", Kind::Public, authority.certificate()),
        File::new("ca-key.pem", Kind::Secret, authority.key()),
        File::new("server-cert.pem", Kind::Public, server.certificate),
        File::new("server-key.pem", Kind::Secret, server.key),
    ];
    for user in &args.users {
        let client = authority.client(user)?;
        let of = Path::new("users").join(user);
        files.push(File::new(of.join("ca-cert.pem"), Kind::Public, authority.certificate()));
        files.push(File::new(of.join("client-cert.pem"), Kind::Public, client.certificate));
        files.push(File::new(of.join("client-key.pem"), Kind::Secret, client.key));
    }
    Ok(files)
}

fn instructions(directory: &Path, users: &[String]) -> String {
    let at = |name: &str| directory.join(name).display().to_string();
    let (ca, cert, key) = (at("ca-cert.pem"), at("server-cert.pem"), at("server-key.pem"));
    let mut text = format!("# the configuration of the server\n[tls]\ncert = {cert:?}\nkey = {key:?}\n");
    let Some(user) = users.first() else {
        return text + &format!("\n# a client\ncurl --cacert {ca} https://localhost:8080/healthz\n");
    };
    let of = directory.join("users").join(user).display().to_string();
    let (client_cert, client_key) = (format!("{of}/client-cert.pem"), format!("{of}/client-key.pem"));
    let identity = format!("--cert {client_cert} --key {client_key}");
    text.extend([
        format!("client_ca = {ca:?}\nclients = \"optional\"\n\n# clients, as {user}\n"),
        format!("curl --cacert {ca} {identity} https://localhost:8080/healthz\n"),
        format!("steward lock list --server https://localhost:50051 --ca {ca} {identity}\n"),
        format!("grpcurl -cacert {ca} -cert {client_cert} -key {client_key} localhost:50051 list\n"),
        format!("nbdinfo 'nbds://localhost/PATH?tls-certificates={of}'\n"),
    ]);
    text
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use clap::Parser as _;

    use super::*;
    use crate::auth::user_of_certificate;
    use crate::config::{CertificateName, Config};

    #[derive(Debug, clap::Parser)]
    struct Command {
        #[command(flatten)]
        args: DevCertsArgs,
    }

    fn args(directory: &Path, more: &[&str]) -> DevCertsArgs {
        let directory = directory.to_str().expect("UTF-8");
        Command::try_parse_from([&["dev-certs", directory], more].concat()).expect("arguments").args
    }

    #[test]
    fn keys_are_for_their_owner_alone_and_nothing_is_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let args = args(directory.path(), &["--user", "alice", "--host", "steward.example.org"]);
        run(&args).unwrap();
        for name in ["ca-key.pem", "server-key.pem", "users/alice/client-key.pem"] {
            let file = directory.path().join(name).metadata().unwrap();
            assert_eq!(file.permissions().mode() & 0o777, 0o600, "{name}");
        }
        std::fs::remove_file(directory.path().join("ca-cert.pem")).unwrap();
        let before = std::fs::read(directory.path().join("server-cert.pem")).unwrap();
        let refused = run(&args).unwrap_err();
        assert!(refused.contains("ca-key.pem"), "{refused}");
        assert_eq!(std::fs::read(directory.path().join("server-cert.pem")).unwrap(), before);
        assert!(!directory.path().join("ca-cert.pem").exists(), "nothing at all is written");
    }

    #[test]
    fn what_is_printed_is_a_configuration_and_the_certificate_names_the_user() {
        let directory = tempfile::tempdir().unwrap();
        run(&args(directory.path(), &["--user", "alice@example.org"])).unwrap();
        let text = instructions(directory.path(), &["alice@example.org".to_owned()]);
        let (config, _) = text.split_once("\n# clients").unwrap();
        let config: Config = toml::from_str(config).unwrap();
        config.check().unwrap();
        assert!(config.tls.asks_for_certificates());
        let pem = std::fs::read(directory.path().join("users/alice@example.org/client-cert.pem")).unwrap();
        let (_, certificate) = x509_parser::pem::parse_x509_pem(&pem).unwrap();
        for kind in [CertificateName::Cn, CertificateName::Email, CertificateName::Uri] {
            assert_eq!(user_of_certificate(&certificate.contents, kind).unwrap(), "alice@example.org");
        }
    }

    #[test]
    fn nobody_is_called_what_no_user_can_be() {
        for name in ["", "a/b", ".."] {
            Command::try_parse_from(["dev-certs", "--user", name]).unwrap_err();
        }
    }
}
