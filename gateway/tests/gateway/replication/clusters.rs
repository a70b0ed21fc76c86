//! Clusters.

use steward_proto::replication::v1::get_cluster_request::Which;
use steward_proto::replication::v1::*;
use tonic::Code;

use super::TIME;
use crate::artifact::fake::Fake;
use crate::enveloped::{ask, done, expect_without_call, invalid, missing, ok, refused, refusing, unreadable};

fn path(what: &str) -> String {
    format!("/replication/api/cluster/{what}")
}

fn cluster() -> Cluster {
    Cluster {
        id: "c1".to_owned(),
        name: "there".to_owned(),
        r#type: ClusterType::Standalone.into(),
        url: "http://there.test:1".to_owned(),
        username: "u".to_owned(),
        detect_type: DetectType::Ping.into(),
        status: ClusterStatus::Unhealthy.into(),
        error_reason: "no answer".to_owned(),
        created_by: "me".to_owned(),
        create_time: Some(TIME),
        modified_by: "you".to_owned(),
        modify_time: Some(TIME),
        has_password: true,
        ..Cluster::default()
    }
}

const SHOWN: &str = r#"{
    "id" : "c1",
    "name" : "there",
    "status" : "UNHEALTHY",
    "errorReason" : "no answer",
    "type" : "STANDALONE",
    "url" : "http://there.test:1",
    "username" : "u",
    "certificate" : null,
    "appId" : null,
    "accessKey" : null,
    "udpPort" : null,
    "createdBy" : "me",
    "extension" : null,
    "createdDate" : "2022-08-23T10:45:19.79",
    "lastModifiedBy" : "you",
    "lastModifiedDate" : "2022-08-23T10:45:19.79",
    "detectType" : "PING",
    "lastReportTime" : null
  }"#;

fn indented(shown: &str) -> String {
    shown.replace('\n', "\n  ")
}

#[tokio::test]
async fn cluster_is_created_with_all_that_is_said_of_it() {
    let plain = ClusterSpec {
        name: "there".to_owned(),
        url: "http://there.test:1".to_owned(),
        r#type: ClusterType::Standalone.into(),
        detect_type: DetectType::Ping.into(),
        ..ClusterSpec::default()
    };
    let full = ClusterSpec {
        r#type: ClusterType::Center.into(),
        certificate: "PEM".to_owned(),
        username: "u".to_owned(),
        password: Some(String::new()),
        app_id: "a".to_owned(),
        access_key: "k".to_owned(),
        secret_key: Some("s".to_owned()),
        ping: Some(false),
        detect_type: DetectType::Report.into(),
        udp_port: 9,
        ..plain.clone()
    };
    for (fields, expected) in [
        ("", plain.clone()),
        (r#","type":null,"detectType":null,"username":null,"password":null,"udpPort":null"#, plain.clone()),
        (r#","ping":null"#, ClusterSpec { ping: Some(false), ..plain.clone() }),
        (
            r#","type":"CENTER","certificate":"PEM","username":"u","password":"","appId":"a","accessKey":"k",
            "secretKey":"s","ping":false,"detectType":"REPORT","udpPort":9,"unknown":1"#,
            full,
        ),
    ] {
        let body = format!(r#"{{"name":"there","url":"http://there.test:1"{fields}}}"#);
        let fake = Fake::default().answering(UpdateClusterResponse { cluster: Some(cluster()) });
        assert_eq!(ask(&fake.router(), "POST", &path("create"), &body).await, done());
        assert_eq!(ask(&fake.router(), "POST", &path("update"), &body).await, ok(SHOWN));
        fake.expect(&[CreateClusterRequest { cluster: Some(expected.clone()) }]);
        fake.expect(&[UpdateClusterRequest { cluster: Some(expected) }]);
    }
}

#[tokio::test]
async fn bodies_that_are_none_are_refused() {
    for body in [
        "",
        "{}",
        r#"{"name":"there"}"#,
        r#"{"url":"http://there.test"}"#,
        r#"{"name":null,"url":"http://there.test"}"#,
        r#"{"name":"there","url":"http://there.test","type":"BIG"}"#,
        r#"{"name":"there","url":"http://there.test","detectType":"GUESS"}"#,
    ] {
        for what in ["create", "update"] {
            expect_without_call("POST", &path(what), body, &unreadable()).await;
        }
    }
}

#[tokio::test]
async fn cluster_is_found_by_its_id_or_name_or_as_the_center() {
    for (what, which) in [
        ("info/c1", Which::Id("c1".to_owned())),
        ("info?name=a%20b", Which::Name("a b".to_owned())),
        ("info/center", Which::Center(true)),
    ] {
        let fake = Fake::default().answering(GetClusterResponse { cluster: Some(cluster()) });
        assert_eq!(ask(&fake.router(), "GET", &path(what), "").await, ok(SHOWN));
        fake.expect(&[GetClusterRequest { which: Some(which) }]);
        let gone = refusing(Code::NotFound, "CLUSTER_NOT_FOUND");
        assert_eq!(ask(&gone.router(), "GET", &path(what), "").await, done(), "{what}");
    }
    for (method, what) in [("GET", "info"), ("GET", "exist"), ("POST", "tryConnect")] {
        expect_without_call(method, &path(what), "", &missing("name")).await;
    }
}

#[tokio::test]
async fn clusters_are_listed() {
    let name_contains = "a b".to_owned();
    let all = ListClustersRequest { page_size: 1000, ..ListClustersRequest::default() };
    for (what, expected) in [
        ("list", all.clone()),
        ("list?name=a+b", ListClustersRequest { name_contains, ..all.clone() }),
        ("list?type=REMOTE", ListClustersRequest { r#type: ClusterType::Remote.into(), ..all.clone() }),
        ("list/edge", ListClustersRequest { r#type: ClusterType::Edge.into(), ..all }),
    ] {
        let fake = Fake::default().answering(ListClustersResponse { clusters: vec![cluster()], ..Default::default() });
        let shown = format!("[ {SHOWN} ]");
        assert_eq!(ask(&fake.router(), "GET", &path(what), "").await, ok(&shown), "{what}");
        fake.expect(&[expected]);
    }
    expect_without_call("GET", &path("list?type=BIG"), "", &invalid("type")).await;
}

#[tokio::test]
async fn pages_are_numbered() {
    let answer = |count| ListClustersResponse { clusters: vec![cluster(); count], total_size: 5, ..Default::default() };
    let fake = Fake::default().answering(answer(1));
    let shown = indented(SHOWN);
    let page = |number, size, pages| {
        ok(&format!(
            "{{\n    \"pageNumber\" : {number},\n    \"pageSize\" : {size},\n    \"totalRecords\" : 5,\n    \
             \"totalPages\" : {pages},\n    \"count\" : 1,\n    \"records\" : [ {shown} ]\n  }}"
        ))
    };
    assert_eq!(ask(&fake.router(), "GET", &path("page"), "").await, page(1, 20, 1));
    let fake = fake.answering(answer(3));
    assert_eq!(ask(&fake.router(), "GET", &path("page?pageNumber=2&pageSize=2"), "").await, page(2, 2, 3));
    let asked = |page_size| ListClustersRequest { page_size, ..ListClustersRequest::default() };
    fake.expect(&[asked(20), asked(4)]);
    for (query, name) in [
        ("pageSize=0", "pageSize"),
        ("pageSize=1001", "pageSize"),
        ("pageSize=x", "pageSize"),
        ("pageNumber=10001", "pageNumber"),
        ("type=BIG", "type"),
    ] {
        expect_without_call("GET", &path(&format!("page?{query}")), "", &invalid(name)).await;
    }
}

#[tokio::test]
async fn cluster_is_asked_for_tried_and_deleted() {
    let fake = Fake::default().answering(ClusterExistsResponse { exists: true });
    assert_eq!(ask(&fake.router(), "GET", &path("exist?name=there"), "").await, ok("true"));
    fake.expect(&[ClusterExistsRequest { name: "there".to_owned() }]);
    for method in ["GET", "POST"] {
        assert_eq!(ask(&fake.router(), method, &path("tryConnect?name=there"), "").await, done());
    }
    fake.expect(&[TryConnectRequest { name: "there".to_owned() }, TryConnectRequest { name: "there".to_owned() }]);
    assert_eq!(ask(&fake.router(), "DELETE", &path("delete/c1"), "").await, done());
    fake.expect(&[DeleteClusterRequest { id: "c1".to_owned() }]);
}

#[tokio::test]
async fn cluster_that_is_to_be_changed_has_to_be_there() {
    let router = refusing(Code::NotFound, "CLUSTER_NOT_FOUND").router();
    let body = r#"{"name":"there","url":"http://there.test"}"#;
    for (method, what) in [("POST", "update"), ("DELETE", "delete/c1"), ("POST", "tryConnect?name=there")] {
        let expected = refused(400, 250_306, "cluster node [x] is not found");
        assert_eq!(ask(&router, method, &path(what), body).await, expected, "{what}");
    }
}
