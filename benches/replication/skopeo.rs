//! skopeo as a client.

use std::net::SocketAddr;
use std::path::Path;

use tokio::process::Command;

use crate::BoxError;

async fn run(arguments: &[&str]) -> Result<(), BoxError> {
    let output = Command::new("skopeo").arg("--insecure-policy").args(arguments).output().await;
    let output = output.map_err(|error| format!("skopeo: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("skopeo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
}

/// Copies an image out of a layout.
pub(crate) async fn push(layout: &Path, address: SocketAddr, name: &str) -> Result<(), BoxError> {
    let (from, to) = (format!("oci:{}:1", layout.display()), format!("docker://{address}/{name}:1"));
    run(&["copy", "--quiet", "--dest-tls-verify=false", &from, &to]).await
}

/// Copies an image into a directory.
pub(crate) async fn pull(address: SocketAddr, name: &str, directory: &Path) -> Result<(), BoxError> {
    let (from, to) = (format!("docker://{address}/{name}:1"), format!("dir:{}", directory.display()));
    run(&["copy", "--quiet", "--src-tls-verify=false", &from, &to]).await
}

/// Copies all tags of an image to another registry.
pub(crate) async fn sync(from: SocketAddr, name: &str, to: SocketAddr, place: &str) -> Result<(), BoxError> {
    let (from, to) = (format!("{from}/{name}"), format!("{to}/{place}"));
    run(&[
        "sync",
        "--src",
        "docker",
        "--dest",
        "docker",
        "--src-tls-verify=false",
        "--dest-tls-verify=false",
        &from,
        &to,
    ])
    .await
}
