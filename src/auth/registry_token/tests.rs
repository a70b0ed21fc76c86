use steward_proto::auth::v1 as api;
use steward_proto::auth::v1::registry_token_service_server::RegistryTokenService as _;
use tonic::{Code, Request};

use super::*;
use crate::auth::Grants;
use crate::auth::rights::{Area, Right, Table};
use crate::clock::ManualClock;

const TABLE: &str = "a artifact team/* read,write\na artifact public/* read\nanonymous artifact public/* read";

struct World {
    clock: Arc<ManualClock>,
    tokens: RegistryTokens,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new());
        let tokens = RegistryTokens::new(Secrets::of_tests(&[1]), Arc::clone(&clock) as Arc<dyn Clock>);
        World { clock, tokens }
    }

    async fn ask(&self, caller: Identity, scopes: &[(&str, &str)]) -> Result<api::IssueRegistryTokenResponse, Code> {
        let scopes = scopes.iter().map(|(name, actions)| {
            let (r#type, name) = if *name == "catalog" { ("registry", name) } else { ("repository", name) };
            let actions = actions.split(',').map(str::to_owned).collect();
            api::RegistryScope { r#type: r#type.to_owned(), name: (*name).to_owned(), actions }
        });
        let mut request = Request::new(api::IssueRegistryTokenRequest { scopes: scopes.collect() });
        request.extensions_mut().insert(grants(caller));
        let issued = RegistryTokenServer::new(self.tokens.clone()).issue_registry_token(request).await;
        issued.map(tonic::Response::into_inner).map_err(|status| status.code())
    }

    /// Who comes with a token.
    async fn caller(&self, token: &str) -> Option<Identity> {
        let proven = self.tokens.check(token).await.and_then(Result::ok);
        assert_eq!(self.tokens.recall(token), proven, "what is known at once is the same");
        Some(proven?.identity(None))
    }
}

fn grants(caller: Identity) -> Grants {
    Grants::new(caller, Arc::new(Table::parse(TABLE).unwrap()))
}

fn user(name: &str, scopes: Option<&[&str]>) -> Identity {
    let scopes = scopes.map(|scopes| Arc::new(Scopes::parse(scopes).unwrap()));
    let user = (!name.is_empty()).then(|| name.to_owned());
    Identity { user, groups: vec!["g".to_owned()], scopes, ..Identity::default() }
}

#[tokio::test]
async fn a_token_is_for_what_was_asked_and_is_allowed() {
    let world = World::new();
    let asked =
        [("team/img/app", "pull,push"), ("public/img/x", "pull,push"), ("other/img/x", "pull"), ("team/*", "*")];
    let issued = world.ask(user("a", None), &asked).await.unwrap();
    let granted: Vec<String> =
        issued.granted.iter().map(|scope| format!("{} {}", scope.name, scope.actions.join(","))).collect();
    assert_eq!(granted, ["team/img/app pull,push", "public/img/x pull"]);
    let caller = world.caller(&issued.token).await.unwrap();
    assert_eq!((caller.user.as_deref(), &*caller.groups), (Some("a"), &["g".to_owned()][..]));
    let grants = grants(caller);
    for (right, image, expected) in [
        (Right::Write, "team/img/app", true),
        (Right::Read, "team/img/app", true),
        (Right::Read, "team/img/other", false),
        (Right::Read, "public/img/x", true),
        (Right::Write, "public/img/x", false),
    ] {
        assert_eq!(grants.allow(Area::Artifact, right, image), expected, "{image}");
    }
}

#[tokio::test]
async fn a_token_ends_and_is_not_renewed_by_itself() {
    let world = World::new();
    let token = world.ask(user("a", None), &[("team/img/app", "pull")]).await.unwrap().token;
    let caller = world.caller(&token).await.unwrap();
    assert_eq!(world.ask(caller, &[("team/img/app", "pull")]).await.unwrap_err(), Code::PermissionDenied);
    world.clock.advance(LIFETIME);
    assert_eq!(world.caller(&token).await, None);
}

#[tokio::test]
async fn nobody_else_makes_a_token_or_changes_one() {
    let world = World::new();
    let token = world.ask(user("a", None), &[("team/img/app", "pull")]).await.unwrap().token;
    let other = RegistryTokens::new(Secrets::of_tests(&[2]), Arc::clone(&world.clock) as Arc<dyn Clock>);
    assert!(other.check(&token).await.unwrap().is_err());
    for at in PREFIX.len()..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        // The last letter has bits that mean nothing.
        assert!(at + 1 == token.len() || world.caller(&changed).await.is_none(), "{at}");
    }
    assert!(world.tokens.check("another kind").await.is_none());
    assert!(world.tokens.check(PREFIX).await.unwrap().is_err());
}

#[tokio::test]
async fn whoever_has_not_signed_in_stays_nobody() {
    let world = World::new();
    let issued = world.ask(user("", None), &[("public/img/x", "pull"), ("team/img/app", "pull")]).await.unwrap();
    assert_eq!(issued.granted.len(), 1);
    assert_eq!(world.caller(&issued.token).await.unwrap().user, None);
}

#[tokio::test]
async fn the_names_of_all_images_are_no_more_than_the_caller_s_own_token_is_for() {
    let world = World::new();
    let narrow = user("a", Some(&["artifact:team/img:read,write", "lock:*:read"]));
    for (caller, team) in [(user("a", None), true), (narrow, false)] {
        let token = world.ask(caller, &[("catalog", "*")]).await.unwrap().token;
        let grants = grants(world.caller(&token).await.unwrap());
        assert!(grants.allow(Area::Artifact, Right::Read, "team/img/app"));
        assert_eq!(grants.allow(Area::Artifact, Right::Read, "team/other/app"), team);
        assert!(!grants.allow(Area::Artifact, Right::Write, "team/img/app"));
    }
}

#[tokio::test]
async fn too_many_scopes_are_refused() {
    let world = World::new();
    let many = vec![("team/img/app", "pull"); 17];
    assert_eq!(world.ask(user("a", None), &many).await.unwrap_err(), Code::InvalidArgument);
}
