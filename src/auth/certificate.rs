//! Whom a client certificate names.

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::is_user_name;
use crate::clock::Timestamp;
use crate::config::CertificateName;

/// The user that a certificate in DER names, which somebody has verified; or why it names nobody.
///
/// It has to have exactly one name of the kind: which of several was meant, only its maker knows.
pub fn user_of_certificate(der: &[u8], kind: CertificateName) -> Result<String, &'static str> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| "it cannot be read")?;
    let name = match kind {
        CertificateName::Cn => common_name(&certificate)?,
        CertificateName::Dns | CertificateName::Email | CertificateName::Uri => alternative_name(&certificate, kind)?,
    };
    if is_user_name(&name) { Ok(name) } else { Err("its name is none that a user can have") }
}

/// When a certificate in DER is not good any more; `None` for one that cannot be read.
pub fn end_of_certificate(der: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    // It is good to the end of that second.
    let seconds = certificate.validity().not_after.timestamp().saturating_add(1);
    Some(Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000)))
}

fn common_name(certificate: &X509Certificate<'_>) -> Result<String, &'static str> {
    let mut names = certificate.subject().iter_common_name();
    match (names.next(), names.next()) {
        (Some(name), None) => name.as_str().map(str::to_owned).map_err(|_| "its common name is no text"),
        (None, _) => Err("it has no common name"),
        (Some(_), Some(_)) => Err("it has several common names"),
    }
}

fn alternative_name(certificate: &X509Certificate<'_>, kind: CertificateName) -> Result<String, &'static str> {
    let names = certificate.subject_alternative_name().map_err(|_| "its alternative names cannot be read")?;
    let names = names.into_iter().flat_map(|names| &names.value.general_names);
    let mut names = names.filter_map(|name| match (kind, name) {
        (CertificateName::Dns, GeneralName::DNSName(name))
        | (CertificateName::Email, GeneralName::RFC822Name(name)) => Some(*name),
        (CertificateName::Uri, GeneralName::URI(uri)) => Some(user_of_uri(uri)),
        _ => None,
    });
    match (names.next(), names.next()) {
        (Some(name), None) => Ok(name.to_owned()),
        (None, _) => Err("it has no alternative name of the kind that auth.certificates asks for"),
        (Some(_), Some(_)) => Err("it has several alternative names of the kind that auth.certificates asks for"),
    }
}

/// The last part of the path of a URI with an authority; any other is taken whole.
fn user_of_uri(uri: &str) -> &str {
    let path = uri.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
    path.map_or(uri, |(_, path)| path.rsplit('/').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn named(common_names: &[&str], alternative_names: Vec<SanType>) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for name in common_names {
            params.distinguished_name.push(DnType::CommonName, *name);
        }
        params.subject_alt_names = alternative_names;
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn uri(text: &str) -> SanType {
        SanType::URI(text.try_into().unwrap())
    }

    #[test]
    fn each_kind_of_name_names_the_user() {
        let names = vec![
            SanType::DnsName("alice.example.org".try_into().unwrap()),
            SanType::Rfc822Name("alice@example.org".try_into().unwrap()),
            uri("spiffe://example.org/team/alice"),
        ];
        let der = named(&["Alice-王"], names);
        for (kind, user) in [
            (CertificateName::Cn, "Alice-王"),
            (CertificateName::Dns, "alice.example.org"),
            (CertificateName::Email, "alice@example.org"),
            (CertificateName::Uri, "alice"),
        ] {
            assert_eq!(user_of_certificate(&der, kind), Ok(user.to_owned()));
        }
    }

    #[test]
    fn a_certificate_with_no_name_an_odd_one_or_several_names_nobody() {
        for names in [&[][..], &["a/b"], &["a b"], &[".."], &["*.example.org"]] {
            user_of_certificate(&named(names, vec![]), CertificateName::Cn).unwrap_err();
        }
        let names = vec![uri("spiffe://a/x"), uri("spiffe://a/y")];
        user_of_certificate(&named(&["a"], names), CertificateName::Uri).unwrap_err();
        user_of_certificate(&named(&["a"], vec![]), CertificateName::Dns).unwrap_err();
        user_of_certificate(b"0\x03no!", CertificateName::Cn).unwrap_err();
    }

    #[test]
    fn a_uri_names_a_user_by_the_end_of_its_path_or_as_a_whole() {
        for (uri, user) in [
            ("spiffe://example.org/alice", "alice"),
            ("spiffe://example.org/ns/a/sa/alice", "alice"),
            ("alice", "alice"),
            ("spiffe://example.org/alice/", ""),
            ("spiffe://alice", "spiffe://alice"),
            ("urn:user:alice", "urn:user:alice"),
            ("https://example.org/a?user=root", "a?user=root"),
        ] {
            assert_eq!(user_of_uri(uri), user, "{uri}");
        }
    }
}
