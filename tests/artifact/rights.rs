//! Two tenants, and what each of them sees of the other.

use std::fs;

use serde_json::{Value, json};
use steward_proto::artifact::v1::artifact_service_client::ArtifactServiceClient;
use steward_proto::artifact::v1::{
    CreateProjectRequest, CreateRepositoryRequest, DownloadBlobRequest, GetProjectRequest, ImageName,
    ListChangesRequest, ListProjectsRequest, ListRepositoriesRequest, RepositoryType,
};
use steward_proto::replication::v1::replication_service_client::ReplicationServiceClient;
use steward_proto::replication::v1::{
    Config, CreateConfigsRequest, ListConfigsRequest, RegistryTarget, Target, target,
};
use tonic::{Code, Request};

use crate::common::http::Answer;
use crate::common::server::{Server, Setup};
use crate::common::users::htpasswd;
use crate::common::{temporary, users};
use crate::layout::{Layout, digest};
use crate::tool::Tool;

const TABLE: &str = "
root      *           *      admin
alice     artifact    alice  admin
alice     replication alice  write
bob       artifact    bob    admin
bob       replication alice  write
bob       replication bob    write
carol     artifact    alice/files/dir read
*         artifact    public read
anonymous artifact    public read
";
const USERS: [(&str, &str); 4] = [("root", "toor"), ("alice", "wonder"), ("bob", "builder"), ("carol", "singer")];
const PROJECTS: [&str; 3] = ["alice", "bob", "public"];

/// The header by which a user signs in; nobody has none.
fn basic(user: &str) -> Option<String> {
    let password = USERS.iter().find(|(name, _)| *name == user)?.1;
    Some(users::basic(user, password))
}

fn by<M>(user: &str, message: M) -> Request<M> {
    users::signed(&basic(user).unwrap_or_default(), message)
}

/// A server with a project for each tenant and one for everybody, and a repository of images in each.
struct Shared(Server);

impl Shared {
    async fn start() -> Self {
        let home = temporary::directory();
        let config = format!("[auth]\nhtpasswd = {:?}\nrights = '''{TABLE}'''", htpasswd(home.path(), &USERS));
        let shared = Shared(Setup::default().config(&config).start_in(home).await);
        for project in PROJECTS {
            shared.create(project).await;
        }
        shared
    }

    async fn create(&self, name: &str) {
        let mut client = ArtifactServiceClient::new(self.0.channel());
        let project = CreateProjectRequest { name: name.to_owned(), ..CreateProjectRequest::default() };
        client.create_project(by("root", project)).await.expect("a project can be created");
        let repository = CreateRepositoryRequest {
            project: name.to_owned(),
            name: "img".to_owned(),
            r#type: RepositoryType::Oci.into(),
            ..CreateRepositoryRequest::default()
        };
        client.create_repository(by("root", repository)).await.expect("a repository can be created");
    }

    fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.0.http().0)
    }

    async fn ask(&self, method: &str, path: &str, authorization: Option<&str>) -> Answer {
        let headers: Vec<(&str, &str)> = authorization.iter().map(|value| ("Authorization", *value)).collect();
        self.0.http().request(method, path, &headers, b"").await
    }

    /// The token that a user gets for some scopes.
    async fn token(&self, user: &str, scopes: &[&str]) -> String {
        let scopes: Vec<String> = scopes.iter().map(|scope| format!("&scope={scope}")).collect();
        let path = format!("/v2/auth?service=steward{}", scopes.concat());
        let answer = self.ask("GET", &path, basic(user).as_deref()).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!((&answer["token"], &answer["expires_in"]), (&answer["access_token"], &json!(300)));
        format!("Bearer {}", answer["token"].as_str().expect("a token"))
    }

    /// Copies an image to the server.
    async fn push(&self, skopeo: &Tool, user: &str, name: &str) -> Layout {
        let layout = Layout::image(&[name.as_bytes()]);
        let password = USERS.iter().find(|(known, _)| *known == user).expect("a user").1;
        let (from, to) = (format!("oci:{}:latest", layout.path()), format!("docker://{}", self.image(name)));
        let creds = format!("--dest-creds={user}:{password}");
        skopeo.ok(&[&COPY[..], &[&creds, &from, &to]].concat()).await;
        layout
    }
}

/// What a copy to or from a server without TLS needs.
const COPY: [&str; 5] =
    ["--insecure-policy", "copy", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false"];

#[tokio::test]
async fn skopeo_pushes_and_pulls_what_is_its_own_and_what_is_everybody_s() {
    let Some(skopeo) = Tool::find("skopeo", "skopeo_pushes_and_pulls_what_is_its_own_and_what_is_everybody_s") else {
        return;
    };
    let shared = Shared::start().await;
    shared.push(&skopeo, "alice", "alice/img/app:1").await;
    shared.push(&skopeo, "root", "public/img/base:1").await;
    let pull = async |creds: &str, name: &str, number: &str| {
        let to = format!("dir:{}", skopeo.home().join(number).display());
        let from = format!("docker://{}", shared.image(name));
        let output = skopeo.run(&[&COPY[..], &[creds, &from, &to]].concat()).await;
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for (number, creds, name, expected) in [
        ("0", "--src-creds=alice:wonder", "alice/img/app:1", true),
        ("1", "--src-creds=bob:builder", "alice/img/app:1", false),
        ("2", "--src-no-creds", "alice/img/app:1", false),
        ("3", "--src-creds=bob:builder", "public/img/base:1", true),
        ("4", "--src-no-creds", "public/img/base:1", true),
        ("5", "--src-creds=bob:wrong", "public/img/base:1", false),
    ] {
        let (is_pulled, problem) = pull(creds, name, number).await;
        assert_eq!(is_pulled, expected, "{creds} {name}: {problem}");
    }
    let layout = Layout::image(&[b"bad"]);
    let from = format!("oci:{}:latest", layout.path());
    for name in ["alice/img/app:2", "public/img/base:2", "nowhere/img/x:1"] {
        let to = format!("docker://{}", shared.image(name));
        skopeo.fails(&[&COPY[..], &["--dest-creds=bob:builder", &from, &to]].concat()).await;
    }
}

#[tokio::test]
async fn crane_signs_in_and_lists_what_it_may_read() {
    let test = "crane_signs_in_and_lists_what_it_may_read";
    let (Some(crane), Some(skopeo)) = (Tool::find("crane", test), Tool::find("skopeo", test)) else { return };
    let shared = Shared::start().await;
    shared.push(&skopeo, "bob", "bob/img/app:1").await;
    shared.push(&skopeo, "root", "public/img/base:1").await;
    let address = shared.0.http().0.to_string();
    assert_eq!(crane.ok(&["digest", &shared.image("public/img/base:1")]).await.trim().len(), 71, "as nobody");
    crane.ok(&["auth", "login", &address, "-u", "alice", "-p", "wonder"]).await;
    let layout = Layout::image(&[b"one", b"two"]);
    crane.ok(&["push", layout.path(), &shared.image("alice/img/app:1")]).await;
    crane.ok(&["copy", &shared.image("alice/img/app:1"), &shared.image("alice/img/copy:1")]).await;
    crane.ok(&["copy", &shared.image("public/img/base:1"), &shared.image("alice/img/base:1")]).await;
    let all = crane.ok(&["catalog", &address]).await;
    assert_eq!(all, "alice/img/app\nalice/img/base\nalice/img/copy\npublic/img/base\n");
    crane.fails(&["digest", &shared.image("bob/img/app:1")]).await;
    crane.fails(&["copy", &shared.image("alice/img/app:1"), &shared.image("bob/img/stolen:1")]).await;
    crane.ok(&["delete", &shared.image("alice/img/copy:1")]).await;
}

#[tokio::test]
async fn oras_attaches_to_what_is_its_own() {
    let Some(oras) = Tool::find("oras", "oras_attaches_to_what_is_its_own") else { return };
    let shared = Shared::start().await;
    fs::write(oras.home().join("notes.txt"), "some notes").unwrap();
    let push = async |user: &str, password: &str, name: &str| {
        let image = shared.image(name);
        let login = ["push", "--plain-http", "-u", user, "-p", password, &image];
        oras.run(&[&login[..], &["notes.txt"]].concat()).await.status.success()
    };
    assert!(push("alice", "wonder", "alice/img/notes:1").await);
    assert!(!push("alice", "wonder", "bob/img/notes:1").await);
    assert!(!push("alice", "wrong", "alice/img/notes:2").await);
}

#[tokio::test]
async fn strangers_are_told_where_to_get_a_token_and_what_for() {
    let shared = Shared::start().await;
    // What the requests of these tests say in `Host`.
    let host = "steward";
    for (method, path, scope) in [
        ("GET", "/v2/", ""),
        ("GET", "/v2/alice/img/app/tags/list", ",scope=\"repository:alice/img/app:pull\""),
        ("GET", "/v2/nowhere/img/app/tags/list", ",scope=\"repository:nowhere/img/app:pull\""),
        ("POST", "/v2/public/img/app/blobs/uploads/", ",scope=\"repository:public/img/app:pull,push\""),
    ] {
        let answer = shared.ask(method, path, None).await;
        assert_eq!(answer.status, 401, "{path}");
        let expected = format!("Bearer realm=\"http://{host}/v2/auth\",service=\"steward\"{scope}");
        assert_eq!(answer.header("www-authenticate"), Some(expected.as_str()));
        let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_eq!(body["errors"][0]["code"], "UNAUTHORIZED", "{path}");
    }
    let wrong = users::basic("alice", "wrong");
    assert_eq!(shared.ask("GET", "/v2/auth?service=steward", Some(&wrong)).await.status, 401);
}

#[tokio::test]
async fn what_belongs_to_others_looks_the_same_whether_it_is_there_or_not() {
    let Some(skopeo) = Tool::find("skopeo", "what_belongs_to_others_looks_the_same_whether_it_is_there_or_not") else {
        return;
    };
    let shared = Shared::start().await;
    let layout = shared.push(&skopeo, "alice", "alice/img/app:1").await;
    let token = shared.token("bob", &["repository:alice/img/app:pull,push"]).await;
    for authorization in [basic("bob").unwrap(), token] {
        for name in ["alice/img/app", "alice/img/nothing", "nowhere/img/app"] {
            let paths = [format!("manifests/{}", layout.digest), "manifests/1".to_owned(), "tags/list".to_owned()];
            for what in paths {
                let answer = shared.ask("GET", &format!("/v2/{name}/{what}"), Some(&authorization)).await;
                let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
                assert_eq!((answer.status, &body["errors"][0]["code"]), (403, &json!("DENIED")), "{name} {what}");
            }
        }
    }
    // A blob of somebody else is not mounted: an upload begins.
    let blob = &layout.digest;
    let mount = format!("/v2/bob/img/app/blobs/uploads/?mount={blob}&from=alice/img/app");
    assert_eq!(shared.ask("POST", &mount, basic("bob").as_deref()).await.status, 202);
    let whole = format!("/v2/bob/img/app/blobs/uploads/?mount={blob}");
    assert_eq!(shared.ask("POST", &whole, basic("bob").as_deref()).await.status, 202);
}

#[tokio::test]
async fn a_token_is_for_what_it_was_asked_for_and_gets_no_other_token() {
    let shared = Shared::start().await;
    let token = shared.token("alice", &["repository:alice/img/app:pull", "repository:bob/img/app:pull,push"]).await;
    let upload = |name: &str| format!("/v2/{name}/blobs/uploads/");
    assert_eq!(shared.ask("POST", &upload("alice/img/app"), Some(&token)).await.status, 403, "only to pull");
    assert_eq!(shared.ask("GET", "/v2/alice/img/app/tags/list", Some(&token)).await.status, 404);
    assert_eq!(shared.ask("GET", "/v2/alice/img/other/tags/list", Some(&token)).await.status, 403);
    assert_eq!(shared.ask("GET", "/v2/auth?scope=repository:alice/img/app:push", Some(&token)).await.status, 403);
    let form =
        b"grant_type=password&service=steward&username=alice&password=wonder&scope=repository:alice/img/app:pull,push";
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let answer = shared.0.http().request("POST", "/v2/auth", &headers, form).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let token = format!("Bearer {}", answer["access_token"].as_str().expect("a token"));
    assert_eq!(shared.ask("POST", &upload("alice/img/app"), Some(&token)).await.status, 202);
    assert_eq!(shared.ask("GET", "/v2/", Some(&token)).await.status, 200);
}

#[tokio::test]
async fn lists_have_what_the_caller_may_read() {
    let shared = Shared::start().await;
    let mut client = ArtifactServiceClient::new(shared.0.channel());
    for (user, expected) in
        [("root", &PROJECTS[..]), ("alice", &["alice", "public"]), ("bob", &["bob", "public"]), ("", &["public"])]
    {
        let listed = client.list_projects(by(user, ListProjectsRequest::default())).await.expect("a list").into_inner();
        let names: Vec<&str> = listed.projects.iter().map(|project| project.name.as_str()).collect();
        assert_eq!((&names[..], listed.total_size), (expected, i64::try_from(expected.len()).unwrap()), "{user}");
    }
    for project in ["alice", "nowhere"] {
        let get = GetProjectRequest { name: project.to_owned() };
        assert_eq!(client.get_project(by("bob", get)).await.unwrap_err().code(), Code::PermissionDenied);
        let list = ListRepositoriesRequest { project: project.to_owned(), ..ListRepositoriesRequest::default() };
        assert_eq!(client.list_repositories(by("bob", list)).await.unwrap_err().code(), Code::PermissionDenied);
        let (project, repository) = (project.to_owned(), "img".to_owned());
        let changes = ListChangesRequest { project, repository, ..ListChangesRequest::default() };
        assert_eq!(client.list_changes(by("bob", changes)).await.unwrap_err().code(), Code::PermissionDenied);
    }
}

#[tokio::test]
async fn a_file_is_read_by_whom_its_folder_is_shown() {
    let shared = Shared::start().await;
    let mut client = ArtifactServiceClient::new(shared.0.channel());
    let repository = CreateRepositoryRequest {
        project: "alice".to_owned(),
        name: "files".to_owned(),
        r#type: RepositoryType::Generic.into(),
        ..CreateRepositoryRequest::default()
    };
    client.create_repository(by("alice", repository)).await.expect("a repository can be created");
    let put = async |path: &str, bytes: &[u8]| {
        let authorization = basic("alice").expect("a user");
        let headers = [("Authorization", authorization.as_str())];
        let answer = shared.0.http().request("PUT", &format!("/generic/alice/files/{path}"), &headers, bytes).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    put("dir/a", b"shown").await;
    put("other", b"hidden").await;

    for (user, path, expected) in [
        ("carol", "dir/a", 200),
        ("carol", "other", 403),
        ("carol", "dir/nothing", 404),
        ("bob", "dir/a", 403),
        ("bob", "dir/nothing", 403),
    ] {
        for method in ["GET", "HEAD"] {
            let answer = shared.ask(method, &format!("/generic/alice/files/{path}"), basic(user).as_deref()).await;
            assert_eq!(answer.status, expected, "{user} {method} {path}: {}", answer.text());
        }
    }
    let (shown, hidden) = (digest(b"shown"), digest(b"hidden"));
    for (path, image, digest, expected) in [
        ("dir/a", "", &shown, Code::Ok),
        ("/dir//a/", "", &shown, Code::InvalidArgument),
        // What a file elsewhere has is not got by a path that may be read.
        ("dir/a", "", &hidden, Code::NotFound),
        ("dir/nothing", "", &shown, Code::NotFound),
        ("other", "", &hidden, Code::PermissionDenied),
        ("../other", "", &hidden, Code::PermissionDenied),
        ("", "", &shown, Code::PermissionDenied),
        ("", "dir", &shown, Code::FailedPrecondition),
        ("a", "dir", &shown, Code::InvalidArgument),
    ] {
        let (project, repository, image) = ("alice".to_owned(), "files".to_owned(), image.to_owned());
        let name = Some(ImageName { project, repository, image });
        let (digest, path) = (digest.clone(), path.to_owned());
        let request = DownloadBlobRequest { name, digest, path: path.clone(), ..DownloadBlobRequest::default() };
        let answer = client.download_blob(by("carol", request)).await;
        assert_eq!(answer.map_or_else(|status| status.code(), |_| Code::Ok), expected, "{path}");
    }
}

#[tokio::test]
async fn what_may_not_be_read_is_not_replicated() {
    let shared = Shared::start().await;
    let mut client = ReplicationServiceClient::new(shared.0.channel());
    let registry = RegistryTarget { registry: "http://127.0.0.1:9".to_owned(), ..RegistryTarget::default() };
    let target = Some(Target { target: Some(target::Target::Registry(registry)) });
    let config = Config { name: "copy".to_owned(), target, ..Config::default() };
    let create = |project: &str| CreateConfigsRequest {
        project: project.to_owned(),
        repository: "img".to_owned(),
        configs: vec![config.clone()],
    };
    // He may have tasks there, but not read what they would carry off.
    let refused = client.create_configs(by("bob", create("alice"))).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied, "{}", refused.message());
    // Hers only fails because nobody is at the other end.
    let unreachable = client.create_configs(by("alice", create("alice"))).await.unwrap_err();
    assert_ne!(unreachable.code(), Code::PermissionDenied, "{}", unreachable.message());
    let list = ListConfigsRequest::default();
    assert_eq!(client.list_configs(by("bob", list)).await.map(|_| ()).unwrap_err().code(), Code::PermissionDenied);
}
