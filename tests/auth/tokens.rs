//! Tokens: who makes, sees and revokes them, and what they are good for.

use std::time::Duration;

use steward_proto::access::{Area, Right};
use steward_proto::auth::v1::rights_service_client::RightsServiceClient;
use steward_proto::auth::v1::token_service_client::TokenServiceClient;
use steward_proto::auth::v1::{
    CheckRightRequest, CreateTokenRequest, GetCallerRequest, ListTokensRequest, RevokeTokensRequest, Token,
};
use tonic::{Code, Request, Status};

use crate::common::server::{Server, Setup};
use crate::common::users::{basic, htpasswd};
use crate::common::wait::eventually;
use crate::common::{temporary, users};

const RIGHTS: &str = "
root   *        *          admin
alice  lock     *          write
helper admin    token/bob  admin
";
const USERS: [(&str, &str); 4] = [("root", "toor"), ("alice", "wonder"), ("bob", "builder"), ("helper", "help")];

struct Site(Server);

/// Who calls, as a header says it.
#[derive(Clone, Debug)]
struct Who(String);

fn user(name: &str) -> Who {
    let password = USERS.iter().find(|(user, _)| *user == name).expect("a user").1;
    Who(basic(name, password))
}

fn bearer(secret: &str) -> Who {
    Who(format!("Bearer {secret}"))
}

fn by<M>(who: &Who, message: M) -> Request<M> {
    users::signed(&who.0, message)
}

impl Site {
    async fn start() -> Self {
        let home = temporary::directory();
        let users = htpasswd(home.path(), &USERS);
        let config = format!("[auth]\nhtpasswd = {users:?}\nrights = '''{RIGHTS}'''");
        Site(Setup::default().config(&config).start_in(home).await)
    }

    fn tokens(&self) -> TokenServiceClient<tonic::transport::Channel> {
        TokenServiceClient::new(self.0.channel())
    }

    async fn create(&self, who: &Who, request: CreateTokenRequest) -> Result<(Who, Token), Status> {
        let made = self.tokens().create_token(by(who, request)).await?.into_inner();
        Ok((bearer(&made.secret), made.token.expect("a token")))
    }

    async fn list(&self, who: &Who, of: &str) -> Vec<String> {
        let request = ListTokensRequest { user: of.to_owned(), ..ListTokensRequest::default() };
        let listed = self.tokens().list_tokens(by(who, request)).await.expect("a list").into_inner();
        listed.tokens.into_iter().map(|token| token.user).collect()
    }

    async fn revoke(&self, who: &Who, ids: &[&str], of: &str) -> Result<Vec<String>, Code> {
        let request = RevokeTokensRequest { ids: ids.iter().map(ToString::to_string).collect(), user: of.to_owned() };
        let revoked = self.tokens().revoke_tokens(by(who, request)).await;
        revoked.map(|answer| answer.into_inner().ids).map_err(|status| status.code())
    }

    /// Who somebody is to the server.
    async fn caller(&self, who: &Who) -> Result<String, Code> {
        let asked = RightsServiceClient::new(self.0.channel()).get_caller(by(who, GetCallerRequest {})).await;
        asked.map(|answer| answer.into_inner().user).map_err(|status| status.code())
    }

    async fn may(&self, who: &Who, of: &str) -> Result<bool, Code> {
        let request = CheckRightRequest {
            user: of.to_owned(),
            area: Area::Lock.into(),
            right: Right::Write.into(),
            resource: "pull/x".to_owned(),
            ..CheckRightRequest::default()
        };
        let asked = RightsServiceClient::new(self.0.channel()).check_right(by(who, request)).await;
        asked.map(|answer| answer.into_inner().allowed).map_err(|status| status.code())
    }
}

fn for_user(name: &str) -> CreateTokenRequest {
    CreateTokenRequest { user: name.to_owned(), ..CreateTokenRequest::default() }
}

#[tokio::test]
async fn everybody_looks_after_their_own_tokens_and_others_need_a_right() {
    let site = Site::start().await;
    let [root, alice, bob, helper] = USERS.map(|(name, _)| user(name));
    let (of_alice, alices) = site.create(&alice, CreateTokenRequest::default()).await.expect("her own");
    let (_, bobs) = site.create(&helper, for_user("bob")).await.expect("by right");
    assert_eq!((alices.created_by.as_str(), bobs.created_by.as_str()), ("alice", "helper"));
    let refused = site.create(&bob, for_user("alice")).await.expect_err("no right");
    assert_eq!(refused.code(), Code::PermissionDenied);

    assert_eq!(site.list(&alice, "").await, ["alice"]);
    assert_eq!(site.list(&helper, "").await, ["bob"]);
    assert_eq!(site.list(&root, "").await, ["alice", "bob"]);
    assert!(site.list(&bob, "alice").await.is_empty());

    // Bob is not told which ids there are, nor who has tokens.
    assert_eq!(site.revoke(&bob, &[&alices.id, "absent"], "").await, Ok(vec![]));
    for of in ["alice", "root", "nobody"] {
        assert_eq!(site.revoke(&bob, &[], of).await, Err(Code::PermissionDenied), "{of}");
    }
    assert_eq!(site.caller(&of_alice).await.as_deref(), Ok("alice"));
    assert_eq!(site.revoke(&alice, &[], "alice").await, Ok(vec![alices.id]));
    assert_eq!(site.caller(&of_alice).await, Err(Code::Unauthenticated), "at once");
}

#[tokio::test]
async fn a_token_is_good_for_its_scopes_and_shows_nothing_of_the_others() {
    let site = Site::start().await;
    let alice = user("alice");
    let request = |scope: &str| CreateTokenRequest { scopes: vec![scope.to_owned()], ..CreateTokenRequest::default() };
    let (narrow, _) = site.create(&alice, request("lock:push:write")).await.expect("a token");
    let (wide, _) = site.create(&alice, request("*:*:admin")).await.expect("a token");
    let (other, others) = site.create(&alice, CreateTokenRequest::default()).await.expect("a token");

    assert_eq!([site.may(&alice, "").await, site.may(&other, "").await], [Ok(true), Ok(true)]);
    for of in ["", "alice"] {
        assert_eq!(site.may(&narrow, of).await, Ok(false), "what the token may, not what alice may");
    }
    assert!(site.list(&narrow, "").await.is_empty());
    assert_eq!(site.revoke(&narrow, &[], "alice").await, Err(Code::PermissionDenied));
    assert_eq!(site.revoke(&narrow, &[&others.id], "").await, Err(Code::PermissionDenied));
    let widened = site.create(&wide, CreateTokenRequest::default()).await.expect_err("alice has no such right");
    assert_eq!(widened.code(), Code::PermissionDenied);
    assert_eq!(site.may(&wide, "bob").await, Err(Code::PermissionDenied));
}

#[tokio::test]
async fn a_token_that_is_revoked_is_refused_over_the_connection_that_has_just_brought_it() {
    let site = Site::start().await;
    let alice = user("alice");
    let (who, token) = site.create(&alice, CreateTokenRequest::default()).await.expect("a token");
    let mut client = RightsServiceClient::new(site.0.channel());
    let mut caller = async || client.get_caller(by(&who, GetCallerRequest {})).await.map_err(|status| status.code());
    for _ in 0..3 {
        assert_eq!(caller().await.expect("a caller").into_inner().user, "alice");
    }
    assert_eq!(site.revoke(&alice, &[&token.id], "").await, Ok(vec![token.id]));
    assert_eq!(caller().await.map(|_| ()), Err(Code::Unauthenticated));
}

#[tokio::test]
async fn a_token_ends_when_its_time_is_over_and_a_revoked_one_stays_so_after_a_restart() {
    let mut site = Site::start().await;
    let alice = user("alice");
    let short = CreateTokenRequest { ttl: Duration::from_secs(1).try_into().ok(), ..CreateTokenRequest::default() };
    let (short, _) = site.create(&alice, short).await.expect("a token");
    eventually("it expires", async || (site.caller(&short).await == Err(Code::Unauthenticated)).then_some(())).await;
    let (kept, _) = site.create(&alice, CreateTokenRequest::default()).await.expect("a token");
    let (revoked, token) = site.create(&alice, CreateTokenRequest::default()).await.expect("a token");
    assert_eq!(site.revoke(&alice, &[&token.id], "").await, Ok(vec![token.id]));
    site.0.restart().await;
    assert_eq!(site.caller(&kept).await.as_deref(), Ok("alice"));
    assert_eq!(site.caller(&revoked).await, Err(Code::Unauthenticated));
}
