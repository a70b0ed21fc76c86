use tonic::Status;

use super::*;
use crate::auth::rights::{Area, Right};
use crate::clock::ManualClock;
use crate::store::suite::{self, Harness as _};

struct Fixture {
    store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
    tokens: Arc<Tokens>,
}

impl Fixture {
    async fn new() -> Self {
        let (store, clock) = (suite::Memory::default().open(1000) as Arc<dyn Store>, Arc::new(ManualClock::new()));
        let tokens = Tokens::open(Arc::clone(&store), Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();
        Fixture { store, clock, tokens }
    }

    /// As after a restart.
    async fn reopen(&mut self) {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        self.tokens = Tokens::open(Arc::clone(&self.store), clock).await.unwrap();
    }

    async fn create(&self, user: &str, scopes: &[&str]) -> (String, String) {
        let wanted = Wanted {
            user: user.to_owned(),
            scopes: scopes.iter().map(ToString::to_string).collect(),
            ttl: Duration::from_hours(1),
            description: "a test".to_owned(),
            created_by: "root".to_owned(),
        };
        let (secret, token) = self.tokens.create(wanted).await.unwrap();
        (secret, token.record.id.clone())
    }

    async fn check(&self, token: &str) -> Result<Proven, String> {
        let outcome = self.tokens.check(token).await.expect("a token of this kind");
        assert_eq!(self.tokens.recall(token), outcome.as_ref().ok().cloned(), "what is known at once is the same");
        outcome.map_err(|failure| Status::from(failure).message().to_owned())
    }
}

#[tokio::test]
async fn a_token_proves_its_user_and_its_scopes_also_after_a_restart() {
    let mut fixture = Fixture::new().await;
    let (wide, _) = fixture.create("alice", &[]).await;
    let (narrow, _) = fixture.create("bob", &["lock:pull:write"]).await;
    for _ in 0..2 {
        let alice = fixture.check(&wide).await.unwrap();
        assert_eq!((alice.user.as_str(), alice.scopes), ("alice", None));
        let bob = fixture.check(&narrow).await.unwrap();
        assert!(bob.scopes.unwrap().give(Area::Lock, Right::Write, Some("pull/x"), None));
        fixture.reopen().await;
    }
    assert!(fixture.tokens.check("Zm9v.Zm9v.Zm9v").await.is_none(), "somebody else's kind");
}

#[tokio::test]
async fn a_token_that_is_revoked_expired_or_wrong_is_refused() {
    let mut fixture = Fixture::new().await;
    let (first, id) = fixture.create("alice", &[]).await;
    let (second, _) = fixture.create("alice", &[]).await;
    let (_, secret) = second.rsplit_once('_').unwrap();
    assert_eq!(fixture.check(&format!("stw_{id}_{secret}")).await.unwrap_err(), "the token is not known");
    fixture.tokens.revoke(&[id, "unknown".to_owned()]).await.unwrap();
    assert_eq!(fixture.check(&first).await.unwrap_err(), "the token is not known");
    fixture.reopen().await;
    assert_eq!(fixture.check(&first).await.unwrap_err(), "the token is not known");
    fixture.clock.advance(Duration::from_hours(1));
    assert_eq!(fixture.check(&second).await.unwrap_err(), "the token has expired");
}

#[tokio::test]
async fn the_store_has_no_secret() {
    let fixture = Fixture::new().await;
    let (token, id) = fixture.create("alice", &[]).await;
    let stored = fixture.store.get(&key(&id)).await.unwrap().unwrap().value;
    let (_, secret) = token.rsplit_once('_').unwrap();
    assert!(!stored.windows(secret.len()).any(|part| part == secret.as_bytes()));
}

#[tokio::test]
async fn lists_go_on_where_they_ended_and_old_tokens_leave_them() {
    let fixture = Fixture::new().await;
    for user in ["bob", "alice", "bob"] {
        fixture.create(user, &[]).await;
        fixture.clock.advance(Duration::from_millis(1));
    }
    let first = fixture.tokens.list(None, 2, |_| true);
    let users: Vec<&str> = first.iter().map(|token| token.record.user.as_str()).collect();
    assert_eq!(users, ["alice", "bob"]);
    let rest = fixture.tokens.list(Some(&first[1].place()), 2, |_| true);
    assert_eq!(rest.len(), 1);
    assert_eq!(fixture.tokens.list(None, 9, |token| token.user == "bob").len(), 2);
    fixture.clock.advance(Duration::from_hours(1) + LISTED_TIME);
    fixture.create("carol", &[]).await;
    assert_eq!(fixture.tokens.list(None, 9, |_| true).len(), 1, "only the new one");
}

#[tokio::test]
async fn a_user_has_only_so_many_tokens_that_are_good_and_those_that_have_expired_make_room() {
    let fixture = Fixture::new().await;
    for _ in 0..MAX_TOKENS_OF_USER {
        fixture.create("ci", &[]).await;
    }
    let refused = fixture.tokens.make_room("ci").unwrap_err();
    assert_eq!(Status::from(refused).code(), tonic::Code::ResourceExhausted);
    assert!(fixture.tokens.make_room("alice").is_ok(), "others have room");
    fixture.clock.advance(Duration::from_hours(1));
    for _ in 0..2 * SWEPT {
        fixture.create("ci", &[]).await;
    }
    let listed = fixture.tokens.list(None, 2 * MAX_TOKENS_OF_USER, |_| true).len();
    assert!(listed <= MAX_TOKENS_OF_USER, "{listed} are listed");
}
