//! What is learnt of a call on its way to a service, for whoever records it: an extension of the request.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

/// Filled on the way in, read when the call has ended. Of each only the first word counts.
#[derive(Clone, Debug, Default)]
pub struct Trail(Arc<Learnt>);

#[derive(Debug, Default)]
struct Learnt {
    address: OnceLock<Option<IpAddr>>,
    user: OnceLock<String>,
    claimed: OnceLock<String>,
    proof: OnceLock<&'static str>,
    resource: OnceLock<String>,
    admission: OnceLock<()>,
    change: OnceLock<()>,
}

impl Trail {
    /// Notes where the call comes from.
    pub fn write_address(&self, address: Option<IpAddr>) {
        let _ = self.0.address.set(address);
    }

    /// Notes who the caller claims to be, and by what.
    pub fn write_claim(&self, user: &str, proof: &'static str) {
        let _ = self.0.claimed.set(user.to_owned());
        let _ = self.0.proof.set(proof);
    }

    /// Notes who the caller has turned out to be.
    pub fn write_user(&self, user: Option<&str>) {
        let _ = self.0.user.set(user.unwrap_or_default().to_owned());
    }

    /// Notes what the call is about.
    pub fn write_resource(&self, resource: &str) {
        if !resource.is_empty() && self.0.resource.get().is_none() {
            let _ = self.0.resource.set(resource.to_owned());
        }
    }

    /// Notes that the call is let through to its service.
    pub fn write_admission(&self) {
        let _ = self.0.admission.set(());
    }

    /// Whether the call was let through to its service.
    pub fn is_admitted(&self) -> bool {
        self.0.admission.get().is_some()
    }

    /// Notes that the call changes something, though its method need not.
    pub fn write_change(&self) {
        let _ = self.0.change.set(());
    }

    /// Whether that was noted.
    pub fn is_change(&self) -> bool {
        self.0.change.get().is_some()
    }

    /// Where the call comes from, if that is known.
    pub fn address(&self) -> Option<IpAddr> {
        self.0.address.get().copied().flatten()
    }

    /// The user, or who claims to be one, or nothing.
    pub fn user(&self) -> &str {
        self.0.user.get().or_else(|| self.0.claimed.get()).map_or("", String::as_str)
    }

    /// How the user proved who they are, or tried to.
    pub fn proof(&self) -> &'static str {
        self.0.proof.get().copied().unwrap_or_default()
    }

    /// What the call is about, or nothing.
    pub fn resource(&self) -> &str {
        self.0.resource.get().map_or("", String::as_str)
    }
}
