//! What is learnt of a call on its way to a service, for whoever records it: an extension of the request.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use crate::error::Failure;

/// Filled on the way in, read when the call has ended. Of each only the first word counts. By default nobody records the
/// call, and nothing is kept.
#[derive(Clone, Debug, Default)]
pub struct Trail(Option<Arc<Learnt>>);

#[derive(Debug, Default)]
struct Learnt {
    address: OnceLock<Option<IpAddr>>,
    user: OnceLock<String>,
    claimed: OnceLock<String>,
    proof: OnceLock<&'static str>,
    resource: OnceLock<String>,
    named_resource: OnceLock<String>,
    admission: OnceLock<()>,
    change: OnceLock<()>,
    no_changes: OnceLock<Failure>,
}

impl Trail {
    /// One that keeps what is learnt.
    pub fn kept() -> Self {
        Trail(Some(Arc::default()))
    }

    /// Notes where the call comes from.
    pub fn write_address(&self, address: Option<IpAddr>) {
        let Some(learnt) = &self.0 else { return };
        let _ = learnt.address.set(address);
    }

    /// Notes who the caller claims to be, and by what.
    pub fn write_claim(&self, user: &str, proof: &'static str) {
        let Some(learnt) = &self.0 else { return };
        let _ = learnt.claimed.set(user.to_owned());
        let _ = learnt.proof.set(proof);
    }

    /// Notes who the caller has turned out to be.
    pub fn write_user(&self, user: Option<&str>) {
        let Some(learnt) = &self.0 else { return };
        let _ = learnt.user.set(user.unwrap_or_default().to_owned());
    }

    /// Notes what the call is about.
    pub fn write_resource(&self, resource: &str) {
        let Some(learnt) = self.0.as_ref().filter(|learnt| learnt.resource.get().is_none()) else { return };
        if !resource.is_empty() {
            let _ = learnt.resource.set(resource.to_owned());
        }
    }

    /// Notes what the message of the call names, for where nobody asks what it is about.
    pub fn write_named_resource(&self, resource: String) {
        let Some(learnt) = &self.0 else { return };
        let _ = learnt.named_resource.set(resource);
    }

    /// Whether anything is kept.
    pub fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Notes that the call is let through to its service.
    pub fn write_admission(&self) {
        let Some(learnt) = &self.0 else { return };
        let _ = learnt.admission.set(());
    }

    /// Whether the call was let through to its service.
    pub fn is_admitted(&self) -> bool {
        self.0.as_ref().is_some_and(|learnt| learnt.admission.get().is_some())
    }

    /// Notes that the call may not change anything, and why.
    pub fn refuse_changes(&self, why: Failure) {
        let Some(learnt) = &self.0 else { return };
        let _ = learnt.no_changes.set(why);
    }

    /// Notes that the call changes something, though its method need not; unless it may not.
    pub fn write_change(&self) -> Result<(), Failure> {
        let Some(learnt) = &self.0 else { return Ok(()) };
        if let Some(why) = learnt.no_changes.get() {
            return Err(why.clone());
        }
        let _ = learnt.change.set(());
        Ok(())
    }

    /// Whether that was noted.
    pub fn is_change(&self) -> bool {
        self.0.as_ref().is_some_and(|learnt| learnt.change.get().is_some())
    }

    /// Where the call comes from, if that is known.
    pub fn address(&self) -> Option<IpAddr> {
        self.0.as_ref()?.address.get().copied().flatten()
    }

    /// The user, or who claims to be one, or nothing.
    pub fn user(&self) -> &str {
        let user = self.0.as_ref().and_then(|learnt| learnt.user.get().or_else(|| learnt.claimed.get()));
        user.map_or("", String::as_str)
    }

    /// How the user proved who they are, or tried to.
    pub fn proof(&self) -> &'static str {
        self.0.as_ref().and_then(|learnt| learnt.proof.get()).copied().unwrap_or_default()
    }

    /// What the call is about, as somebody has asked, or as its message names it; or nothing.
    pub fn resource(&self) -> &str {
        let resource = self.0.as_ref().and_then(|learnt| learnt.resource.get().or_else(|| learnt.named_resource.get()));
        resource.map_or("", String::as_str)
    }
}
