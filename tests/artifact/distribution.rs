//! The distribution protocol, row by row, as the suite of its specification checks it: against the real server, by raw
//! requests. The suite itself runs beside it where it can be had.

mod blobs;
mod manifests;
mod referrers;
mod table;
mod tags;
mod uploads;

use self::table::{Algorithm, Table};
use crate::registry::Registry;

#[tokio::test]
async fn every_row_of_the_protocol_holds() {
    let mut table = Table::start().await;
    base(&mut table).await;
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        blobs::check(&mut table, algorithm).await;
        blobs::check_mounts(&mut table, algorithm).await;
        uploads::check(&mut table, algorithm).await;
        uploads::check_order(&mut table, algorithm).await;
        manifests::check(&mut table, algorithm).await;
        manifests::check_refusals(&mut table, algorithm).await;
        referrers::check(&mut table, algorithm).await;
        tags::check(&mut table, algorithm).await;
        tags::check_deletes(&mut table, algorithm).await;
    }
    table.end();
}

#[tokio::test]
async fn who_does_not_sign_in_is_asked_to() {
    let registry = Registry::start_with_user().await;
    let asked = registry.http().get("/v2/").await;
    assert_eq!(asked.status, 401, "{}", asked.text());
    assert!(asked.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer ")));
    let signed_in = registry.http().request("GET", "/v2/", &[("Authorization", crate::registry::ALICE)], b"").await;
    assert_eq!(signed_in.status, 200, "{}", signed_in.text());
}

async fn base(table: &mut Table) {
    table.area("base");
    for path in ["/v2/", "/v2"] {
        let answer = table.ask("GET", path, &[], b"").await;
        table.row(&format!("ping of {path}"), &answer, &[200]);
    }
    let answer = table.ask("GET", "/v2/p1/img/unknown/tags/list", &[], b"").await;
    table.row("tags of an unknown image", &answer, &[200, 404]);
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let path = format!("/v2/p1/img/unknown/referrers/{}", algorithm.of(b"nothing"));
        referrers::none(table, "referrers in an unknown image", &path).await;
    }
    let answer = table.ask("GET", "/v2/p1/img/unknown/manifests/latest", &[], b"").await;
    table.row("manifest of an unknown image", &answer, &[404]);
    let answer = table.ask("POST", "/v2/p1/img/UPPER/blobs/uploads/", &[], b"").await;
    table.row("a name in upper case", &answer, &[400, 404]);
    let answer = table.ask("POST", "/v2/short/blobs/uploads/", &[], b"").await;
    table.row("a name that is too short", &answer, &[400, 404]);
    let endless = format!("/v2/p1/img/{}/blobs/uploads/", "a/".repeat(2000));
    let answer = table.ask("POST", &endless, &[], b"").await;
    table.row("an endless name", &answer, &[400, 404, 414]);
    let answer = table.ask("GET", "/v2/p1/img/c1/manifests/latest/../../x", &[], b"").await;
    table.row("dots in a path", &answer, &[400, 404]);
    let answer = table.ask("DELETE", "/v2/", &[], b"").await;
    table.row("a method that is not there", &answer, &[405]);
}
