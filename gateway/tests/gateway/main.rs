//! The gateway against a scripted lock service: statuses, headers and bodies of every documented answer.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails has failed the test")]

mod artifact;
mod caller;
mod cut_off;
mod enveloped;
mod events;
mod fake;
mod http;
mod lock;
mod network;
mod replication;
mod repositories;
mod restic;
mod routes;
mod status;
mod subscribe;
mod transcode;
mod unlock;
mod volumes;
mod whole_bodies;
