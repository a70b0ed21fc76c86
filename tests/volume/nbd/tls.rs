//! NBD over TLS.

use std::fs;

use crate::common::certificates::Certificates;
use crate::common::server::{Server, Setup};
use crate::tool::Tool;
use crate::vocabulary::{MIB, Volumes, noise};
use crate::wire::{Handshake, Nbd};

async fn start(certificates: &Certificates, more: &str) -> Server {
    let config = format!(
        "[tls]\ncert = {:?}\nkey = {:?}\nports = {{ grpc = 'plain' }}\n[volumes]\nmin_size = 4096\n{more}",
        certificates.cert(),
        certificates.key(),
    );
    // libnbd looks for this name.
    fs::copy(certificates.ca(), certificates.directory().join("ca-cert.pem")).expect("a file can be copied");
    Setup::default().config(&config).nbd_listen().start().await
}

fn uri(server: &Server, certificates: &Certificates) -> String {
    format!("nbds://{}/a?tls-certificates={}", server.nbd(), certificates.directory().display())
}

#[tokio::test]
async fn a_volume_is_copied_over_tls_and_back() {
    let Some(nbdcopy) = Tool::find("nbdcopy", "nbd::tls") else { return };
    let certificates = Certificates::new();
    let server = start(&certificates, "").await;
    let volumes = Volumes::of(&server);
    volumes.create("/a", 8 * MIB).await;
    let image = certificates.directory().join("image");
    fs::write(&image, noise(1, 8 * MIB)).expect("a file can be written");

    nbdcopy.ok(&[image.to_str().expect("UTF-8"), &uri(&server, &certificates)]).await;

    let mut device = Nbd::open(&server, "/a").await;
    assert!(device.read(0, 8 << 20).await == noise(1, 8 * MIB), "over the socket, which needs no TLS");
    let back = certificates.directory().join("back");
    nbdcopy.ok(&[&uri(&server, &certificates), back.to_str().expect("UTF-8")]).await;
    assert!(fs::read(&back).expect("it is there") == noise(1, 8 * MIB));
    let plain = Handshake::tcp(server.nbd()).await.expect("a greeting").go("/a").await;
    plain.expect("TLS is offered and not required");
    let strangers = Certificates::new();
    fs::copy(strangers.ca(), strangers.directory().join("ca-cert.pem")).expect("a file can be copied");
    let refused = nbdcopy.run(&[&uri(&server, &strangers), back.to_str().expect("UTF-8")]).await;
    assert_ne!(refused.code, Some(0), "the server's certificate is not theirs");
}

#[tokio::test]
async fn where_tls_is_required_nothing_goes_without_it() {
    let Some(nbdinfo) = Tool::find("nbdinfo", "nbd::tls") else { return };
    let certificates = Certificates::new();
    let server = start(&certificates, "nbd_require_tls = true").await;
    let volumes = Volumes::of(&server);
    volumes.create("/a", MIB).await;
    let plain = Handshake::tcp(server.nbd()).await.expect("a greeting").go("/a").await;
    let refusal = plain.err().and_then(|failure| failure.number());
    assert_eq!(refusal, Some((1 << 31) + 5), "NBD_REP_ERR_TLS_REQD");
    nbdinfo.ok(&["--size", &uri(&server, &certificates)]).await;
    assert_eq!(Nbd::open(&server, "/a").await.size(), MIB, "a socket of this machine needs none");
}
