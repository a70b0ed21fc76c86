//! The settings of TLS.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The certificate of the ports. Without one they are plain.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// The certificate and its chain, PEM. Read again when it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<PathBuf>,
    /// Its private key, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// The oldest version of TLS that is spoken.
    pub min_version: TlsVersion,
    /// The authorities that sign the certificates of clients, PEM. Read again when it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
    /// Whether clients are asked for a certificate, on the ports of which `ports` says nothing else.
    pub clients: ClientCertificates,
    /// What holds for single ports.
    pub ports: TlsPorts,
}

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificates {
    /// They are not.
    #[default]
    Off,
    /// They are; one that has none is served all the same, one with a wrong one is not.
    Optional,
    /// They are, and need one.
    Required,
}

/// What holds for single ports; nothing: what holds for all.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields, default)]
pub struct TlsPorts {
    /// For gRPC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<PortTls>,
    /// For HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<PortTls>,
    /// For repositories alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restic: Option<PortTls>,
    /// For volumes over NBD.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbd: Option<PortTls>,
}

/// How one port is spoken to.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum PortTls {
    /// Without TLS.
    Plain,
    /// Over TLS; clients are not asked for a certificate.
    Off,
    /// Over TLS; clients may have a certificate.
    Optional,
    /// Over TLS; clients need a certificate.
    Required,
}

/// A port of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// All services.
    Grpc,
    /// The translated APIs.
    Http,
    /// Repositories alone.
    Restic,
    /// Volumes.
    Nbd,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, clap::ValueEnum)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    #[serde(rename = "1.2")]
    #[value(name = "1.2")]
    V1_2,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    #[value(name = "1.3")]
    V1_3,
}

impl Port {
    /// Every one.
    pub const ALL: [Port; 4] = [Port::Grpc, Port::Http, Port::Restic, Port::Nbd];

    /// What it is called in logs, in metrics, and by programs that start the server.
    pub fn name(self) -> &'static str {
        match self {
            Port::Grpc => "grpc",
            Port::Http => "http",
            Port::Restic => "restic",
            Port::Nbd => "nbd",
        }
    }
}

impl Tls {
    /// What clients of a port are asked for; `None`: it has no TLS.
    pub fn clients_of(&self, port: Port) -> Option<ClientCertificates> {
        self.cert.as_ref()?;
        self.wished(port)
    }

    /// The same, although there may be no certificate.
    fn wished(&self, port: Port) -> Option<ClientCertificates> {
        let own = match port {
            Port::Grpc => self.ports.grpc,
            Port::Http => self.ports.http,
            Port::Restic => self.ports.restic,
            Port::Nbd => self.ports.nbd,
        };
        match own {
            None => Some(self.clients),
            Some(PortTls::Plain) => None,
            Some(PortTls::Off) => Some(ClientCertificates::Off),
            Some(PortTls::Optional) => Some(ClientCertificates::Optional),
            Some(PortTls::Required) => Some(ClientCertificates::Required),
        }
    }

    /// Clients of one port at least are asked for a certificate: that is a way to say who they are.
    pub fn asks_for_certificates(&self) -> bool {
        let asks = |port| self.wished(port).is_some_and(|clients| clients != ClientCertificates::Off);
        Port::ALL.into_iter().any(asks)
    }

    /// Nobody gets past the handshake of a port without a certificate.
    pub fn requires_certificates(&self, port: Port) -> bool {
        self.clients_of(port) == Some(ClientCertificates::Required)
    }

    /// Says which setting is wrong, and why.
    pub(super) fn problem(&self) -> Option<(&'static str, &'static str)> {
        let (asks, has_cert) = (self.asks_for_certificates(), self.cert.is_some());
        let wrong = [
            ("tls.key", "is missing, and tls.cert is of no use without it", has_cert && self.key.is_none()),
            ("tls.cert", "is missing, and tls.key is of no use without it", !has_cert && self.key.is_some()),
            ("tls.cert", "is missing, and clients cannot be asked for certificates without it", asks && !has_cert),
            ("tls.client_ca", "is missing, and clients are asked for certificates", asks && self.client_ca.is_none()),
            ("tls.client_ca", "is of no use while tls.clients is off", !asks && self.client_ca.is_some()),
        ];
        wrong.into_iter().find(|(_, _, is_wrong)| *is_wrong).map(|(setting, problem, _)| (setting, problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls(more: &str) -> Tls {
        toml::from_str(&format!("cert = 'c'\nkey = 'k'\n{more}")).expect("settings")
    }

    #[test]
    fn a_port_has_what_it_says_or_what_all_have() {
        let all =
            tls("client_ca = 'ca'\nclients = 'optional'\n[ports]\ngrpc = 'required'\nhttp = 'plain'\nnbd = 'off'");
        assert_eq!(all.clients_of(Port::Grpc), Some(ClientCertificates::Required));
        assert_eq!(all.clients_of(Port::Http), None);
        assert_eq!(all.clients_of(Port::Restic), Some(ClientCertificates::Optional));
        assert_eq!(all.clients_of(Port::Nbd), Some(ClientCertificates::Off));
        assert!(all.problem().is_none() && all.requires_certificates(Port::Grpc));
        assert_eq!(Tls::default().clients_of(Port::Grpc), None);
        let printed = toml::to_string(&all).expect("settings print");
        assert_eq!(toml::from_str::<Tls>(&printed).expect("and read back"), all);
    }

    #[test]
    fn what_is_of_no_use_is_named() {
        let setting = |more: &str| tls(more).problem().expect("something is wrong").0;
        assert_eq!(setting("clients = 'required'"), "tls.client_ca");
        assert_eq!(setting("[ports]\nnbd = 'optional'"), "tls.client_ca");
        assert_eq!(setting("client_ca = 'ca'"), "tls.client_ca");
        let without_certificate = Tls { clients: ClientCertificates::Required, ..Tls::default() };
        assert_eq!(without_certificate.problem().expect("something is wrong").0, "tls.cert");
    }
}
