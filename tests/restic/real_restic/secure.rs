//! Restics over TLS.

use crate::common::certificates::Certificates;
use crate::common::rest_server::RestServer;
use crate::common::server::Setup;
use crate::fixture;
use crate::restic::{Files, Restic};

async fn back_up_and_restore(restic: &Restic) {
    let data = Files::new();
    restic.backup(data.path()).await;
    restic.ok(&["check", "--read-data"]).await;
    restic.assert_restores(data.path()).await;
}

#[tokio::test]
async fn a_repository_is_reached_over_tls() {
    for restic in Restic::all("real_restic::a_repository_is_reached_over_tls") {
        let certificates = Certificates::new();
        let [key, cert, ca] = [certificates.key(), certificates.cert(), certificates.ca()];
        let setup = RestServer::open().flags(["--tls", "--tls-cert", &cert, "--tls-key", &key]);
        let server = setup.start().await;
        fixture::make_in(server.path());
        let restic = restic.on(format!("rest:https://{}/", server.http().0));

        back_up_and_restore(&restic.clone().option(["--cacert", &ca])).await;

        restic.complains(&["snapshots"], "x509").await;
    }
}

#[tokio::test]
async fn both_ports_of_a_server_of_everything_speak_tls() {
    let Some(restic) = Restic::newest("real_restic::both_ports_of_a_server_of_everything_speak_tls") else { return };
    let certificates = Certificates::new();
    let config = format!("[tls]\ncert = {:?}\nkey = {:?}", certificates.cert(), certificates.key());
    let server = Setup::default().config(&config).restic_listen().start().await;
    for (name, url) in [("a", format!("{}/restic/a/", server.http().0)), ("b", format!("{}/b/", server.restic().0))] {
        fixture::make_in(&server.data().join("restic").join(name));
        back_up_and_restore(&restic.on(format!("rest:https://{url}")).option(["--cacert", &certificates.ca()])).await;
    }
}
