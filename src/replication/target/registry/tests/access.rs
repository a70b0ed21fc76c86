use std::net::IpAddr;
use std::sync::Arc;

use steward_proto::artifact::v1::RepositoryType;

use super::super::super::factory::TargetFactory;
use super::super::super::testing::{Allowed, CHUNK, Certificate, Counting, Kept, Memory, factory, limits};
use super::super::super::{Target, TargetError};
use super::super::fake::{Asks, Do, Fake, Manners};
use super::{config, image, push, push_with, put, target_by, target_of};

fn asking(asks: Asks) -> Manners {
    Manners { asks, ..Manners::default() }
}

fn bearer(field: &'static str, uses: usize) -> Manners {
    asking(Asks::Bearer { realm: None, field, uses })
}

async fn secure(fake: &Fake, certificate: &str) -> Result<Arc<dyn Target>, TargetError> {
    let config = config(&format!("https://{}", fake.address), "user", certificate);
    factory().target(&config, Some("sesame".to_owned()), None, RepositoryType::Docker).await
}

#[tokio::test]
async fn a_password_is_sent_when_it_is_asked_for_and_not_before() {
    let fake = Fake::start(asking(Asks::Basic("user:sesame"))).await;
    let target = target_by(&factory(), &fake.url(), "user", "sesame").await;
    target.prepare().await.unwrap();
    push(&*target, &Memory::of(3 * CHUNK)).await.unwrap();
    let seen = fake.seen("");
    assert!(seen[0].authorization.is_none());
    assert!(seen[1..].iter().all(|seen| seen.authorization.is_some()), "the registry need not ask again");
}

#[tokio::test]
async fn a_wrong_password_is_told_of_without_it() {
    let fake = Fake::start(asking(Asks::Basic("user:sesame"))).await;
    let target = target_by(&factory(), &fake.url(), "user", "s3cr3t").await;
    let text = r#"{"errors":[{"code":"UNAUTHORIZED","message":"s3cr3t dXNlcjpzM2NyM3Q= is wrong"}]}"#;
    fake.on("GET /v2/", Do::Answer(401, vec![("www-authenticate", "Basic realm=x".to_owned())], text.to_owned()));
    fake.on("GET /v2/", Do::Answer(401, vec![("www-authenticate", "Basic realm=x".to_owned())], text.to_owned()));
    let error = target.prepare().await.unwrap_err();
    assert!(matches!(&error, TargetError::Denied(text) if text.contains("is wrong")), "{error:?}");
    let text = error.to_string();
    assert!(!text.contains("s3cr3t") && !text.contains("dXNlcjpzM2NyM3Q="), "{text}");
    assert_eq!(fake.seen("GET").len(), 2, "a wrong password is not tried again");
}

#[tokio::test]
async fn tokens_are_fetched_by_either_name_and_again_when_they_end() {
    for field in ["token", "access_token"] {
        let fake = Fake::start(bearer(field, 2)).await;
        let target = target_by(&factory(), &fake.url(), "user", "sesame").await;
        target.prepare().await.unwrap();
        let source = Memory::of(5 * CHUNK);
        push(&*target, &source).await.unwrap();
        put(&*target, &image("a"), &["1"]).await.unwrap();
        let tokens = fake.seen("GET /token");
        assert!(tokens.len() > 3, "{field}: {} tokens", tokens.len());
        assert!(tokens.iter().all(|seen| seen.authorization.as_deref() == Some("Basic dXNlcjpzZXNhbWU=")));
        assert!(tokens.last().unwrap().line.contains("service=fake&scope=repository:nginx:pull,push"));
    }
}

#[tokio::test]
async fn nobody_is_somebody_who_gets_tokens_too() {
    let fake = Fake::start(bearer("token", 100)).await;
    let target = target_of(&fake).await;
    push(&*target, &Memory::of(1)).await.unwrap();
    assert!(fake.seen("GET /token").iter().all(|seen| seen.authorization.is_none()));
}

#[tokio::test]
async fn a_password_does_not_go_to_a_token_server_without_tls_elsewhere() {
    let other = Fake::start(bearer("token", 100)).await;
    let realm = format!("http://localhost:{}/token", other.address.port());
    let asks = Asks::Bearer { realm: Some(realm), field: "token", uses: 100 };
    let fake = Fake::start(asking(asks)).await;
    let target = target_by(&factory(), &fake.url(), "user", "sesame").await;
    let error = target.prepare().await.unwrap_err();
    assert!(matches!(&error, TargetError::Denied(text) if text.contains("without TLS")), "{error:?}");
    assert!(other.seen("").is_empty());
}

#[tokio::test]
async fn a_registry_with_tls_cannot_have_the_password_sent_without() {
    let certificate = Certificate::new();
    let other = Fake::start(bearer("token", 100)).await;
    let asks = Asks::Bearer { realm: Some(format!("{}/token", other.url())), field: "token", uses: 1 };
    let fake = Fake::start_with(asking(asks), Some(&certificate)).await;
    let target = secure(&fake, &certificate.authority).await.unwrap();
    assert!(matches!(target.prepare().await, Err(TargetError::Denied(_))));
    assert!(other.seen("").is_empty());
}

#[tokio::test]
async fn credentials_do_not_follow_to_another_host() {
    let other = Fake::start(Manners::default()).await;
    let fake = Fake::start(asking(Asks::Basic("user:sesame"))).await;
    let target = target_by(&factory(), &fake.url(), "user", "sesame").await;
    target.prepare().await.unwrap();
    let elsewhere = format!("http://{}/elsewhere/blob", other.address);
    fake.on("HEAD /v2/nginx/blobs/", Do::Answer(307, vec![("location", elsewhere)], String::new()));
    let blobs = [Memory::of(1).blob()];
    assert!(target.missing_blobs("nginx", &blobs).await.unwrap().is_empty(), "it is there, only elsewhere");
    let seen = other.seen("HEAD /elsewhere/blob");
    assert_eq!(seen.len(), 1);
    assert!(seen.iter().all(|seen| seen.authorization.is_none()));
}

#[tokio::test]
async fn uploads_go_where_the_registry_says_but_without_credentials() {
    let other = Fake::start(Manners::default()).await;
    let upload = format!("{}/v2/other/blobs/uploads/", other.url());
    let fake = Fake::start(asking(Asks::Basic("user:sesame"))).await;
    let target = target_by(&factory(), &fake.url(), "user", "sesame").await;
    target.prepare().await.unwrap();
    let begun = factory().reach(&upload, "").await;
    assert_eq!(begun, Ok(()));
    let source = Memory::of(10);
    let there = format!("{upload}nothing?_state=x");
    for _ in 0..2 {
        fake.on("POST", Do::Answer(202, vec![("location", there.clone())], String::new()));
    }
    other.on("PUT /v2/other/blobs/uploads/nothing", Do::Answer(201, vec![], String::new()));
    push(&*target, &source).await.unwrap();
    let seen = other.seen("PUT");
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].authorization.clone(), seen[0].bytes), (None, 10));
}

#[tokio::test]
async fn what_is_sent_is_not_redirected_to_another_host() {
    let other = Fake::start(Manners::default()).await;
    let fake = Fake::start(Manners::default()).await;
    let target = target_of(&fake).await;
    let elsewhere = format!("{}/v2/nginx/manifests/1", other.url());
    fake.on("PUT", Do::Answer(307, vec![("location", elsewhere)], String::new()));
    let error = put(&*target, &image("a"), &["1"]).await.unwrap_err();
    assert!(matches!(&error, TargetError::Refused(text) if text.contains("redirects")), "{error:?}");
    assert!(other.seen("").is_empty());
}

#[tokio::test]
async fn a_registry_that_redirects_in_circles_is_left() {
    let fake = Fake::start(Manners::default()).await;
    let target = target_of(&fake).await;
    for _ in 0..20 {
        fake.on("GET /v2/", Do::Answer(302, vec![("location", "/v2/".to_owned())], String::new()));
    }
    assert!(matches!(target.prepare().await, Err(TargetError::Refused(_))));
    assert!(fake.seen("GET").len() <= 7);
}

#[tokio::test]
async fn addresses_are_asked_for_at_each_connection() {
    let refused: IpAddr = "127.0.0.1".parse().unwrap();
    let addresses = Arc::new(Allowed { refused: vec![refused], ..Allowed::default() });
    let factory = TargetFactory::with_limits(limits(Arc::clone(&addresses)), std::time::Duration::ZERO);
    let fake = Fake::start(Manners::default()).await;
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("http://{host}:{}", fake.address.port());
        let target = target_by(&factory, &url, "", "").await;
        let error = target.prepare().await.unwrap_err();
        // Where `localhost` is `::1` too, nobody listens there.
        assert!(matches!(error, TargetError::Forbidden(_) | TargetError::Unreachable(_)), "{error:?}");
        assert!(addresses.asked.lock().contains(&(host.to_owned(), refused)));
    }
    assert!(fake.seen("").is_empty());
}

#[tokio::test]
async fn redirects_are_checked_like_urls() {
    let refused: IpAddr = "127.0.0.2".parse().unwrap();
    let addresses = Arc::new(Allowed { refused: vec![refused], ..Allowed::default() });
    let factory = TargetFactory::with_limits(limits(addresses), std::time::Duration::ZERO);
    let fake = Fake::start(Manners::default()).await;
    let target = target_by(&factory, &fake.url(), "", "").await;
    let inside = format!("http://127.0.0.2:{}/latest/meta-data", fake.address.port());
    fake.on("HEAD", Do::Answer(307, vec![("location", inside)], String::new()));
    let error = target.missing_blobs("nginx", &[Memory::of(1).blob()]).await.unwrap_err();
    assert!(matches!(error, TargetError::Forbidden(_)), "{error:?}");
}

#[tokio::test]
async fn a_certificate_is_trusted_by_the_authority_of_the_task_alone() {
    let certificate = Certificate::new();
    let manners = Manners { relative_locations: true, ..Manners::default() };
    let fake = Fake::start_with(manners, Some(&certificate)).await;

    let error = secure(&fake, "").await.unwrap().prepare().await.unwrap_err();
    assert!(matches!(&error, TargetError::Tls(text) if text.contains("not trusted")), "{error:?}");
    let error = secure(&fake, &Certificate::new().authority).await.unwrap().prepare().await.unwrap_err();
    assert!(matches!(error, TargetError::Tls(_)), "{error:?}");
    assert!(fake.seen("").is_empty());

    let target = secure(&fake, &certificate.authority).await.unwrap();
    target.prepare().await.unwrap();
    let source = Memory::of(3 * CHUNK);
    push(&*target, &source).await.unwrap();
    put(&*target, &image("a"), &["1"]).await.unwrap();
    assert!(matches!(secure(&fake, "no PEM").await, Err(TargetError::Refused(_))));
}

#[tokio::test]
async fn a_certificate_that_is_its_own_authority_is_trusted_if_the_task_brings_it_for_its_name_alone() {
    let certificate = Certificate::of_itself("127.0.0.1");
    let fake = Fake::start_with(Manners::default(), Some(&certificate)).await;
    assert!(matches!(secure(&fake, "").await.unwrap().prepare().await, Err(TargetError::Tls(_))));
    secure(&fake, &certificate.authority).await.unwrap().prepare().await.unwrap();

    let other = Certificate::of_itself("other.example");
    let fake = Fake::start_with(Manners::default(), Some(&other)).await;
    assert!(matches!(secure(&fake, &other.authority).await.unwrap().prepare().await, Err(TargetError::Tls(_))));
}

#[tokio::test]
async fn a_scheme_is_found_out() {
    let certificate = Certificate::new();
    let plain = Fake::start(Manners::default()).await;
    let secure = Fake::start_with(Manners::default(), Some(&certificate)).await;
    let factory = factory();
    let (plain, secure) = (plain.address.to_string(), secure.address.to_string());
    assert_eq!(factory.with_scheme(&plain, "").await, Ok(format!("http://{plain}")));
    // A certificate that is not trusted is no reason to go without TLS.
    assert_eq!(factory.with_scheme(&secure, "").await, Ok(format!("https://{secure}")));
    assert_eq!(factory.with_scheme("http://x.example/a", "").await, Ok("http://x.example/a".to_owned()));
}

#[tokio::test]
async fn whoever_answers_to_http_is_reached() {
    let fake = Fake::start(Manners::default()).await;
    fake.on("HEAD /", Do::Cut(0));
    fake.on("HEAD /", Do::Answer(500, vec![], String::new()));
    assert_eq!(factory().reach(&fake.url(), "").await, Ok(()));
    assert_eq!(fake.seen("HEAD").len(), 2);

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = factory().reach(&format!("http://{closed}"), "").await.unwrap_err();
    assert!(matches!(error, TargetError::Unreachable(_)), "{error:?}");
}

#[tokio::test]
async fn a_busy_registry_is_asked_again_when_it_wants_to_be() {
    let fake = Fake::start(Manners::default()).await;
    let target = target_of(&fake).await;
    let meter = Counting::default();
    let busy = || Do::Answer(429, vec![("retry-after", "0".to_owned())], "slowly".to_owned());
    let date = "Sat, 21 Nov 2026 20:00:00 GMT".to_owned();
    fake.on("POST", busy());
    fake.on("PATCH", Do::Answer(503, vec![("retry-after", date.clone()), ("date", date)], String::new()));
    fake.on("PUT", Do::Answer(502, vec![], "<html>bad gateway</html>".to_owned()));
    push_with(&*target, &Memory::of(2 * CHUNK), &Kept::default(), &meter).await.unwrap();
    let log = meter.log.lock().join("\n");
    assert!(log.contains("429") && log.contains("slowly") && log.contains("503") && log.contains("502"), "{log}");
    assert!(!log.contains("secret"), "{log}");

    for _ in 0..9 {
        fake.on("GET /v2/", busy());
    }
    let error = target.prepare().await.unwrap_err();
    assert!(matches!(error, TargetError::Busy { after: Some(_), .. }), "{error:?}");
    assert_eq!(fake.seen("GET /v2/ ").len() + fake.seen("GET /v2/").len(), 5 + fake.seen("GET /v2/nginx").len());
}

#[tokio::test]
async fn a_refusal_is_told_in_the_words_of_the_registry_and_not_tried_again() {
    let fake = Fake::start(Manners::default()).await;
    let target = target_of(&fake).await;
    let text = r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown","detail":"sha256:ab"}]}"#;
    fake.on("PUT", Do::Answer(400, vec![], text.to_owned()));
    let error = put(&*target, &image("a"), &["1"]).await.unwrap_err();
    assert!(matches!(&error, TargetError::Refused(text) if text.contains("MANIFEST_BLOB_UNKNOWN")), "{error:?}");
    assert_eq!(fake.seen("PUT").len(), 1);
}

#[tokio::test]
async fn what_is_no_registry_is_told_apart() {
    let fake = Fake::start(Manners::default()).await;
    fake.on("GET /v2/", Do::Answer(404, vec![], "nothing here".to_owned()));
    let error = target_of(&fake).await.prepare().await.unwrap_err();
    assert!(matches!(&error, TargetError::Refused(text) if text.contains("not a registry")), "{error:?}");
}
