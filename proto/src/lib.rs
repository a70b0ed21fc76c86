//! Steward's protocol: generated messages, clients and servers, and the descriptor set for reflection.
//!
//! The sources are the commented `.proto` files beside this crate; the top-level `build.rs` compiles them.

pub mod access;

/// Generated from `proto/steward/artifact/v1`.
pub mod artifact {
    /// Version 1.
    #[expect(clippy::large_enum_variant, reason = "a generated oneof has the sizes that the protocol gives it")]
    pub mod v1 {
        tonic::include_proto!("steward.artifact.v1");
    }
}

/// Generated from `proto/steward/audit/v1`.
pub mod audit {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("steward.audit.v1");
    }
}

/// Generated from `proto/steward/auth/v1`: who may call what, tokens, and stored secrets.
pub mod auth {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("steward.auth.v1");
    }
}

/// Generated from `proto/steward/lock/v1`.
pub mod lock {
    /// Version 1.
    #[expect(clippy::large_enum_variant, reason = "a generated oneof has the sizes that the protocol gives it")]
    pub mod v1 {
        tonic::include_proto!("steward.lock.v1");
    }
}

/// Generated from `proto/steward/replication/v1`.
pub mod replication {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("steward.replication.v1");
    }
}

/// Generated from `proto/steward/restic/v1`.
pub mod restic {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("steward.restic.v1");
    }
}

/// Generated from `proto/steward/store/v1`: what the store keeps.
pub mod store {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("steward.store.v1");
    }
}

/// Generated from `proto/steward/transcode/v1`.
pub mod transcode {
    /// Version 1.
    #[expect(clippy::large_enum_variant, reason = "a generated oneof has the sizes that the protocol gives it")]
    pub mod v1 {
        tonic::include_proto!("steward.transcode.v1");
    }
}

/// Generated from `proto/steward/volume/v1`.
pub mod volume {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("steward.volume.v1");
    }
}

/// The encoded `FileDescriptorSet` of all packages, comments included.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// In the place of what a secret field says.
struct Secret<T>(T);

impl<T> std::fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(…)")
    }
}

include!(concat!(env!("OUT_DIR"), "/secrecy.rs"));
