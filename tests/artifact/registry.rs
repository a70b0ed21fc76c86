//! A server with a repository of images.

use std::net::SocketAddr;

use serde_json::Value;
use steward_proto::artifact::v1::artifact_service_client::ArtifactServiceClient;
use steward_proto::artifact::v1::{CreateProjectRequest, CreateRepositoryRequest, RepositoryType};
use tonic::Request;

use crate::common::http::{Answer, HttpPort};
use crate::common::server::{Server, Setup};
use crate::common::users::htpasswd;
use crate::common::{temporary, users};

/// `alice:wonder` for the header of basic authentication.
pub(crate) const ALICE: &str = "Basic YWxpY2U6d29uZGVy";

/// A server with the repository `p1/img`.
#[derive(Debug)]
pub(crate) struct Registry(Server);

impl Registry {
    pub(crate) async fn start() -> Self {
        let registry = Registry(Server::start().await);
        registry.create().await;
        registry
    }

    /// One that knows `alice` with the password `wonder`, and nobody else.
    pub(crate) async fn start_with_user() -> Self {
        let home = temporary::directory();
        let config = format!("[auth]\nhtpasswd = {:?}", htpasswd(home.path(), &[("alice", "wonder")]));
        let registry = Registry(Setup::default().config(&config).start_in(home).await);
        registry.create().await;
        registry
    }

    async fn create(&self) {
        let mut client = ArtifactServiceClient::new(self.0.channel());
        let project = CreateProjectRequest { name: "p1".to_owned(), ..CreateProjectRequest::default() };
        client.create_project(signed(project)).await.expect("a project can be created");
        let repository = CreateRepositoryRequest {
            project: "p1".to_owned(),
            name: "img".to_owned(),
            r#type: RepositoryType::Oci.into(),
            ..CreateRepositoryRequest::default()
        };
        client.create_repository(signed(repository)).await.expect("a repository can be created");
    }

    /// Where it speaks HTTP.
    pub(crate) fn http(&self) -> HttpPort {
        self.0.http()
    }

    /// The server itself, to be killed and looked at.
    pub(crate) fn server(&mut self) -> &mut Server {
        &mut self.0
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.0.http().0
    }

    /// The name of an image, as programs take it.
    pub(crate) fn image(&self, name: &str) -> String {
        format!("{}/p1/img/{name}", self.address())
    }

    /// An answer about an image, as `manifests/latest` of `nginx`.
    pub(crate) async fn ask(&self, method: &str, name: &str, what: &str) -> Answer {
        self.0.http().request(method, &format!("/v2/p1/img/{name}/{what}"), &[("Authorization", ALICE)], b"").await
    }

    /// The digest of what a tag names.
    pub(crate) async fn digest(&self, name: &str, tag: &str) -> Option<String> {
        let answer = self.ask("HEAD", name, &format!("manifests/{tag}")).await;
        (answer.status == 200).then(|| answer.header("docker-content-digest").expect("a digest").to_owned())
    }

    /// All tags of an image.
    pub(crate) async fn tags(&self, name: &str) -> Vec<String> {
        let answer = self.ask("GET", name, "tags/list").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let list: Value = serde_json::from_slice(&answer.body).expect("JSON");
        serde_json::from_value(list["tags"].clone()).expect("a list of tags")
    }
}

/// A request of `alice`.
fn signed<M>(message: M) -> Request<M> {
    users::signed(ALICE, message)
}
