//! What is measured of the bytes of artifacts.

use std::sync::Once;

use metrics::{counter, describe_counter, describe_gauge, gauge};

/// Says what the measures are, once.
pub(super) fn describe() {
    static DESCRIBED: Once = Once::new();
    DESCRIBED.call_once(|| {
        describe_gauge!("steward_artifact_blobs", "Stored blobs, as the last round of the sweep has counted them.");
        describe_gauge!("steward_artifact_blob_bytes", "Their bytes.");
        describe_gauge!("steward_artifact_uploads", "Uploads that are under way.");
        describe_counter!("steward_artifact_swept_total", "What the sweep has removed, by what it was.");
        describe_counter!("steward_artifact_swept_bytes_total", "The bytes of the blobs that it has removed.");
    });
}

/// How many uploads are under way.
pub(super) fn uploads(count: usize) {
    gauge!("steward_artifact_uploads").set(float(count as u64));
}

/// How many blobs there are, and their bytes.
pub(super) fn blobs(count: u64, bytes: u64) {
    gauge!("steward_artifact_blobs").set(float(count));
    gauge!("steward_artifact_blob_bytes").set(float(bytes));
}

/// Something was swept.
pub(super) fn swept(what: &'static str, count: u64) {
    counter!("steward_artifact_swept_total", "what" => what).increment(count);
}

/// A blob was swept.
pub(super) fn swept_blob(bytes: u64) {
    swept("blob", 1);
    counter!("steward_artifact_swept_bytes_total").increment(bytes);
}

#[expect(clippy::cast_precision_loss, reason = "a gauge is a float; counts and bytes are exact enough")]
fn float(value: u64) -> f64 {
    value as f64
}
