//! Makes certificates.

use std::time::Duration;

use jiff::tz::TimeZone;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};

use crate::clock::{Clock as _, SystemClock, Timestamp};

const DAY: Duration = Duration::from_hours(24);

/// Signs certificates.
pub(super) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    days: u16,
}

/// A certificate and its key, PEM.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Authority {
    /// A new one; it and what it signs are good for so many days.
    pub(super) fn new(days: u16) -> Result<Self, rcgen::Error> {
        let mut params = params("Steward development authority", days);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Authority { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate()?)?, days })
    }

    pub(super) fn certificate(&self) -> String {
        self.issuer.pem()
    }

    pub(super) fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// For a server that has these names and addresses.
    pub(super) fn server(&self, hosts: Vec<String>) -> Result<Pair, rcgen::Error> {
        let mut params = params("Steward development server", self.days);
        params.subject_alt_names = CertificateParams::new(hosts)?.subject_alt_names;
        self.sign(params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// For a user, whom every kind of name in it names that can.
    pub(super) fn client(&self, user: &str) -> Result<Pair, rcgen::Error> {
        let mut params = params(user, self.days);
        if let Ok(uri) = format!("spiffe://localhost/user/{user}").try_into() {
            params.subject_alt_names.push(SanType::URI(uri));
        }
        if let (true, Ok(address)) = (user.contains('@'), user.try_into()) {
            params.subject_alt_names.push(SanType::Rfc822Name(address));
        }
        self.sign(params, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn sign(&self, mut params: CertificateParams, usage: ExtendedKeyUsagePurpose) -> Result<Pair, rcgen::Error> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Pair { certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

/// From yesterday on, because clocks differ.
fn params(common_name: &str, days: u16) -> CertificateParams {
    let now = SystemClock::default().now();
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    let yesterday = Timestamp::from_nanos(now.nanos().saturating_sub(DAY.as_nanos().try_into().unwrap_or(0)));
    let ((year, month, day), (last_year, last_month, last_day)) =
        (date(yesterday), date(now.plus(DAY * (u32::from(days) + 1))));
    params.not_before = date_time_ymd(year, month, day);
    params.not_after = date_time_ymd(last_year, last_month, last_day);
    params
}

/// The year, month and day.
fn date(time: Timestamp) -> (i32, u8, u8) {
    // Every time that the clock can tell is one of jiff's.
    let time = jiff::Timestamp::from_nanosecond(i128::from(time.nanos())).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let date = time.to_zoned(TimeZone::UTC).date();
    (i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
}
