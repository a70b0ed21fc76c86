//! Clusters.

use steward_proto::replication::v1::{Cluster, ClusterSpec, ClusterStatus, ClusterType};

use super::world::{World, refusal};
use crate::auth::Grants;
use crate::engine::Engine as _;
use crate::replication::clusters::Which;
use crate::replication::error::Error;
use crate::replication::health_engine::HealthEngine;
use crate::replication::target::TargetError;
use crate::store::Table;

fn spec(name: &str) -> ClusterSpec {
    ClusterSpec {
        name: name.to_owned(),
        url: "http://127.0.0.1:8081/replication".to_owned(),
        username: "admin".to_owned(),
        password: Some("hunter2".to_owned()),
        ..ClusterSpec::default()
    }
}

fn center(name: &str) -> ClusterSpec {
    ClusterSpec { r#type: ClusterType::Center.into(), ..spec(name) }
}

async fn create(world: &World, spec: ClusterSpec) -> Result<Cluster, Error> {
    world.replication.create_cluster(spec, "ann").await
}

#[tokio::test]
async fn a_cluster_is_known_by_its_name_and_its_id_until_it_is_forgotten() {
    let world = World::new();
    let west = create(&world, spec("west")).await.expect("a cluster");
    assert_eq!(
        (west.r#type(), west.status(), west.has_password),
        (ClusterType::Standalone, ClusterStatus::Healthy, true)
    );
    assert_eq!(world.reach.asked.lock().as_slice(), ["http://127.0.0.1:8081"], "without the path");
    assert_eq!(refusal(create(&world, spec("west")).await), ("CLUSTER_EXISTS".into(), "west".into()));
    let get = async |which: Which<'_>| world.replication.get_cluster(which).await;
    assert_eq!(get(Which::Id(&west.id)).await.unwrap(), west);
    assert_eq!(get(Which::Name("west")).await.unwrap(), west);
    assert!(world.replication.cluster_exists("west").await.unwrap());
    let address = world.replication.cluster_address(&west.id).await.unwrap();
    assert_eq!((address.url.as_str(), address.password.as_str()), ("http://127.0.0.1:8081", "hunter2"));
    world.replication.delete_cluster(&west.id).await.expect("deleted");
    assert_eq!(
        refusal(world.replication.delete_cluster(&west.id).await),
        ("CLUSTER_NOT_FOUND".into(), west.id.clone())
    );
    assert_eq!(refusal(get(Which::Name("west")).await), ("CLUSTER_NOT_FOUND".into(), "west".into()));
    assert!(world.rows(Table::ClusterCertificate).await.is_empty());
    create(&world, spec("west")).await.expect("the name is free again");
}

#[tokio::test]
async fn what_is_no_cluster_is_refused() {
    let world = World::new();
    let long = "n".repeat(257);
    for (spec, arg) in [
        (spec("w"), "name"),
        (spec(&long), "name"),
        (ClusterSpec { url: "west.example.org".into(), ..spec("west") }, "url"),
        (ClusterSpec { r#type: 9, ..spec("west") }, "type"),
        (ClusterSpec { detect_type: 9, ..spec("west") }, "detectType"),
        (ClusterSpec { certificate: "x".into(), ..spec("west") }, "certificate"),
        (ClusterSpec { app_id: "a".repeat(257), ..spec("west") }, "appId"),
    ] {
        assert_eq!(refusal(create(&world, spec).await), ("PARAMETER_INVALID".into(), arg.into()));
    }
    world.reach.down.lock().insert("http://", TargetError::Unreachable("refused".into()));
    assert_eq!(refusal(create(&world, spec("west")).await), ("CLUSTER_UNREACHABLE".into(), "west".into()));
    let unasked = create(&world, ClusterSpec { ping: Some(false), ..spec("west") }).await.expect("a cluster");
    assert_eq!(unasked.status(), ClusterStatus::Unspecified);
}

#[tokio::test]
async fn there_is_one_center_at_most() {
    let world = World::new();
    let first = create(&world, center("first")).await.expect("a center");
    assert_eq!(refusal(create(&world, center("second")).await), ("CENTER_EXISTS".into(), String::new()));
    let edge = create(&world, ClusterSpec { r#type: ClusterType::Edge.into(), ..spec("second") }).await.unwrap();
    let update = async |spec| world.replication.update_cluster(spec, "eve").await;
    assert_eq!(refusal(update(center("second")).await).0, "CENTER_EXISTS");
    update(spec("first")).await.expect("no center any more");
    let second = update(center("second")).await.expect("the center now");
    assert_eq!(world.replication.get_cluster(Which::Center).await.unwrap(), second);
    assert_eq!(second.id, edge.id);
    let page =
        world.replication.list_clusters("", ClusterType::Unspecified, None, 10, &Grants::everything()).await.unwrap();
    assert_eq!(page.clusters.iter().map(|cluster| cluster.name.as_str()).collect::<Vec<_>>(), ["first", "second"]);
    world.replication.delete_cluster(&second.id).await.unwrap();
    assert_eq!(refusal(world.replication.get_cluster(Which::Center).await).0, "CLUSTER_NOT_FOUND");
    update(center("first")).await.expect("the center again");
    assert_eq!(world.replication.get_cluster(Which::Center).await.unwrap().id, first.id);
}

#[tokio::test]
async fn an_update_keeps_a_password_that_is_not_said_for_the_same_place() {
    let world = World::new();
    let west = create(&world, spec("west")).await.unwrap();
    let update = async |spec| world.replication.update_cluster(spec, "eve").await;
    let password = async || world.replication.cluster_address(&west.id).await.unwrap().password;
    let unsaid = ClusterSpec { password: None, username: "bob".into(), ..spec("west") };
    let changed = update(unsaid.clone()).await.expect("changed");
    assert_eq!((changed.username.as_str(), changed.modified_by.as_str(), &changed.id), ("bob", "eve", &west.id));
    assert_eq!(password().await, "hunter2");
    let elsewhere = ClusterSpec { url: "http://127.0.0.2:8081".into(), ..unsaid.clone() };
    assert_eq!(refusal(update(elsewhere).await), ("PARAMETER_MISSING".into(), "password".into()));
    update(ClusterSpec { password: Some(String::new()), ..unsaid }).await.expect("changed");
    assert_eq!(password().await, "");
    assert_eq!(refusal(update(spec("east")).await), ("CLUSTER_NOT_FOUND".into(), "east".into()));
    for (_, value) in world.rows(Table::Cluster).await {
        assert!(!value.windows(7).any(|part| part == b"hunter2"));
    }
}

#[tokio::test]
async fn clusters_are_listed_by_pages_and_filters() {
    let world = World::new();
    for name in ["west", "east", "north-west"] {
        create(&world, spec(name)).await.unwrap();
    }
    create(&world, center("west-center")).await.unwrap();
    let list = async |contains: &str, of_type, after: Option<&str>, limit| {
        let page =
            world.replication.list_clusters(contains, of_type, after, limit, &Grants::everything()).await.unwrap();
        (page.clusters.into_iter().map(|cluster| cluster.name).collect::<Vec<_>>(), page.total, page.next)
    };
    let (first, total, next) = list("west", ClusterType::Unspecified, None, 2).await;
    assert_eq!((first, total), (vec!["north-west".to_owned(), "west".to_owned()], 3));
    let (second, total, next) = list("west", ClusterType::Unspecified, next.as_deref(), 2).await;
    assert_eq!((second, total, next), (vec!["west-center".to_owned()], 3, None));
    assert_eq!(list("", ClusterType::Center, None, 9).await.0, ["west-center"]);
}

#[tokio::test]
async fn whether_a_cluster_is_there_is_found_out_now_and_then() {
    let world = World::new();
    let west = create(&world, spec("west")).await.unwrap();
    create(&world, center("center")).await.unwrap();
    let mut engine = HealthEngine::new(world.replication.clone());
    let get = async || world.replication.get_cluster(Which::Id(&west.id)).await.unwrap();
    world.reach.asked.lock().clear();
    engine.activate().await.unwrap();
    assert!(world.reach.asked.lock().is_empty(), "it was asked a moment ago");
    world.reach.down.lock().insert("http://", TargetError::Unreachable("x".repeat(1000)));
    world.pass(71);
    engine.activate().await.unwrap();
    assert_eq!(world.reach.asked.lock().len(), 1, "the center is not asked");
    let down = get().await;
    assert_eq!(down.status(), ClusterStatus::Unhealthy);
    assert!((1..=300).contains(&down.error_reason.len()));
    assert_eq!(refusal(world.replication.try_connect("west").await), ("CLUSTER_UNREACHABLE".into(), "west".into()));
    assert_eq!(refusal(world.replication.try_connect("east").await), ("CLUSTER_NOT_FOUND".into(), "east".into()));
    world.reach.down.lock().clear();
    let up = world.replication.try_connect("west").await.expect("there");
    assert_eq!((up.status(), up.error_reason.as_str()), (ClusterStatus::Healthy, ""));
    assert_ne!(up.last_report_time, west.last_report_time);
}
