use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{
    self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
};
use serde_json::{Value, json};
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;

use super::*;
use crate::clock::ManualClock;
use crate::config::TokenAlgorithm;

const ISSUER: &str = "https://issuer.example.org/realms/one";
/// When the clock of tests starts.
const NOW: i64 = 1_700_000_000;

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Signs tokens with a key of each kind.
struct Issuer {
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
    rsa: RsaKeyPair,
}

impl Issuer {
    fn new() -> Self {
        let random = SystemRandom::new();
        let scheme = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let ec = EcdsaKeyPair::generate_pkcs8(scheme, &random).unwrap();
        let ed = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let PrivateKeyDer::Pkcs8(rsa) = PrivateKeyDer::from_pem_slice(include_bytes!("tests/rsa.pem")).unwrap() else {
            panic!("a key in PKCS#8")
        };
        Issuer {
            ec: EcdsaKeyPair::from_pkcs8(scheme, ec.as_ref(), &random).unwrap(),
            ed: Ed25519KeyPair::from_pkcs8(ed.as_ref()).unwrap(),
            rsa: RsaKeyPair::from_pkcs8(rsa.secret_pkcs8_der()).unwrap(),
        }
    }

    /// Its public keys.
    fn keys(&self) -> Value {
        let (x, y) = self.ec.public_key().as_ref()[1..].split_at(32);
        let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(self.rsa.public());
        json!({"keys": [
            {"kty": "EC", "crv": "P-256", "kid": "ec", "use": "sig", "x": encoded(x), "y": encoded(y)},
            {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": encoded(self.ed.public_key())},
            {"kty": "RSA", "kid": "rsa", "n": encoded(&n), "e": encoded(&e)},
            {"kty": "RSA", "kid": "enc", "use": "enc", "n": encoded(&n), "e": encoded(&e)},
            {"kty": "RSA", "kid": "only-ps", "alg": "PS256", "n": encoded(&n), "e": encoded(&e)},
            {"kty": "oct", "kid": "oct", "k": encoded("secret")},
            {"kty": "EC", "crv": "secp256k1", "kid": "odd", "x": encoded(x), "y": encoded(y)},
            {"kty": "new"},
        ]})
    }

    fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let rsa = |scheme: &'static dyn RsaEncoding| {
            let mut signed = vec![0; self.rsa.public().modulus_len()];
            self.rsa.sign(scheme, &random, message, &mut signed).unwrap();
            signed
        };
        match algorithm {
            "ES256" => self.ec.sign(&random, message).unwrap().as_ref().to_vec(),
            "EdDSA" => self.ed.sign(message).as_ref().to_vec(),
            "RS256" => rsa(&signature::RSA_PKCS1_SHA256),
            "RS512" => rsa(&signature::RSA_PKCS1_SHA512),
            "PS256" => rsa(&signature::RSA_PSS_SHA256),
            "none" => Vec::new(),
            // A secret that everybody knows.
            "HS256" => {
                let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, self.ec.public_key().as_ref());
                ring::hmac::sign(&key, message).as_ref().to_vec()
            }
            other => panic!("no algorithm: {other}"),
        }
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        let signed = self.sign(header["alg"].as_str().unwrap(), message.as_bytes());
        format!("{message}.{}", encoded(signed))
    }
}

fn header(algorithm: &str, id: &str) -> Value {
    json!({"alg": algorithm, "kid": id, "typ": "JWT"})
}

/// Good claims, and `others` in their place; `null` takes one away.
fn claims(others: &Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": "steward", "sub": "alice", "exp": NOW + 300, "iat": NOW, "groups": ["staff", "ops"],
    });
    for (name, value) in others.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

struct Fixture {
    issuer: Issuer,
    directory: tempfile::TempDir,
    clock: Arc<ManualClock>,
    config: config::Oidc,
}

impl Fixture {
    fn new() -> Self {
        let (issuer, directory) = (Issuer::new(), tempfile::tempdir().unwrap());
        let file = directory.path().join("keys.json");
        std::fs::write(&file, issuer.keys().to_string()).unwrap();
        let config = config::Oidc {
            issuer: ISSUER.to_owned(),
            audience: "steward".to_owned(),
            keys: Some(file),
            ..config::Oidc::default()
        };
        let clock = Arc::new(ManualClock::new());
        Fixture { issuer, directory, clock, config }
    }

    fn file(&self) -> PathBuf {
        self.directory.path().join("keys.json")
    }

    fn oidc(&self) -> Oidc {
        Oidc::open(&self.config, Arc::clone(&self.clock) as Arc<dyn Clock>).unwrap()
    }

    async fn check(&self, header: &Value, claims: &Value) -> Option<Result<Proven, Failure>> {
        let (oidc, token) = (self.oidc(), self.issuer.token(header, claims));
        assert_eq!(oidc.recall(&token), None, "nobody has looked at it");
        let outcome = oidc.check(&token).await;
        let proven = outcome.as_ref().and_then(|outcome| outcome.as_ref().ok());
        assert_eq!(oidc.recall(&token).as_ref(), proven, "what is known at once is the same");
        outcome
    }

    /// Why these claims are refused.
    async fn refusal(&self, header: &Value, others: &Value) -> String {
        let refused = self.check(header, &claims(others)).await.expect("it is of our issuer");
        format!("{:?}", refused.expect_err(&others.to_string()))
    }

    async fn user(&self, others: &Value) -> String {
        self.check(&header("ES256", "ec"), &claims(others)).await.unwrap().unwrap().user
    }
}

#[tokio::test]
async fn a_token_is_taken_however_the_issuer_signs_it() {
    let fixture = Fixture::new();
    for (algorithm, id) in [("ES256", "ec"), ("EdDSA", "ed"), ("RS256", "rsa"), ("PS256", "rsa"), ("PS256", "only-ps")]
    {
        let proven = fixture.check(&header(algorithm, id), &claims(&json!({}))).await.unwrap().unwrap();
        assert_eq!((proven.user.as_str(), proven.scopes.is_none()), ("alice", true), "{algorithm}");
        assert_eq!(proven.groups, ["staff", "ops"]);
    }
    let without_id = json!({"alg": "ES256"});
    assert!(fixture.check(&without_id, &claims(&json!({}))).await.unwrap().is_ok(), "any of the keys may fit");
}

#[tokio::test]
async fn a_token_that_is_not_signed_by_a_key_of_the_issuer_is_refused() {
    let fixture = Fixture::new();
    for (algorithm, id) in [
        ("none", "ec"),
        ("HS256", "ec"),
        ("HS256", "oct"),
        ("RS512", "rsa"),
        ("RS256", "only-ps"),
        ("PS256", "enc"),
        ("ES256", "rsa"),
        ("EdDSA", "ec"),
        ("ES256", "unknown"),
    ] {
        let refused = fixture.refusal(&header(algorithm, id), &json!({})).await;
        assert!(refused.contains("Unauthenticated"), "{algorithm} {id}: {refused}");
    }
    let stranger = Issuer::new().token(&header("ES256", "ec"), &claims(&json!({})));
    assert!(fixture.oidc().check(&stranger).await.unwrap().is_err(), "another key of the same name");
    let good = fixture.issuer.token(&header("ES256", "ec"), &claims(&json!({})));
    let other = encoded(claims(&json!({"sub": "root"})).to_string());
    let parts: Vec<_> = good.split('.').collect();
    for forged in [
        format!("{}.{other}.{}", parts[0], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}.{}", encoded(r#"{"alg":"NONE"}"#), parts[1], parts[2]),
        format!("{}.{}.{}", encoded("{}"), parts[1], parts[2]),
    ] {
        assert!(fixture.oidc().check(&forged).await.unwrap().is_err(), "{forged}");
    }
    let demanding = json!({"alg": "ES256", "kid": "ec", "crit": ["b64"], "b64": false});
    assert!(fixture.refusal(&demanding, &json!({})).await.contains("demands"));
}

#[tokio::test]
async fn a_token_for_somebody_else_or_for_another_time_is_refused() {
    let fixture = Fixture::new();
    let es256 = header("ES256", "ec");
    for (others, told) in [
        (json!({"aud": "other"}), "somebody else"),
        (json!({"aud": ["other"]}), "somebody else"),
        (json!({"aud": null}), "somebody else"),
        (json!({"aud": {"steward": true}}), "somebody else"),
        (json!({"exp": null}), "has no end"),
        (json!({"exp": NOW - 60}), "has expired"),
        (json!({"exp": "tomorrow"}), "makes no sense"),
        (json!({"exp": -1}), "makes no sense"),
        (json!({"nbf": NOW + 61}), "not valid yet"),
        (json!({"nbf": "never"}), "makes no sense"),
        (json!({"iat": NOW + 61}), "in the future"),
        (json!({"sub": null}), "names no user"),
        (json!({"sub": 7}), "names no user"),
        (json!({"sub": ""}), "names no user"),
        (json!({"sub": "a/b"}), "names no user"),
        (json!({"sub": "a".repeat(300)}), "names no user"),
    ] {
        let refused = fixture.refusal(&es256, &others).await;
        assert!(refused.contains(told), "{others}: {refused}");
    }
    for others in [
        json!({"exp": NOW - 59}),
        json!({"exp": 1.7e9 + 0.5}),
        json!({"exp": 1e300}),
        json!({"nbf": NOW + 60}),
        json!({"iat": null}),
        json!({"aud": ["other", "steward"]}),
    ] {
        let taken = fixture.check(&es256, &claims(&others)).await.unwrap();
        assert_eq!(taken.is_ok(), others["exp"] != json!(1e300), "{others}: {taken:?}");
    }
}

#[tokio::test]
async fn what_is_no_token_of_the_issuer_is_left_to_others() {
    let fixture = Fixture::new();
    let es256 = header("ES256", "ec");
    for others in
        [json!({"iss": "https://issuer.example.org/realms/two"}), json!({"iss": null}), json!({"iss": [ISSUER]})]
    {
        assert!(fixture.check(&es256, &claims(&others)).await.is_none(), "{others}");
    }
    let good = fixture.issuer.token(&es256, &claims(&json!({})));
    for other in ["", ".", "..", "a.b.c", "steward-token", "a.b.c.d", &format!("{good}.x"), &"a.".repeat(10_000)] {
        assert!(fixture.oidc().check(other).await.is_none(), "{other}");
    }
    let long = claims(&json!({"sub": "alice", "more": "x".repeat(MAX_TOKEN_BYTES)}));
    assert!(fixture.check(&es256, &long).await.is_none());
}

#[tokio::test]
async fn the_user_is_in_the_claim_that_the_settings_name_and_has_a_prefix() {
    let mut fixture = Fixture::new();
    fixture.config.user_prefix = "oidc-".to_owned();
    assert_eq!(fixture.user(&json!({})).await, "oidc-alice");
    fixture.config.user_claim = "email".to_owned();
    let mail = json!({"email": "a@example.org"});
    assert_eq!(fixture.user(&mail).await, "oidc-a@example.org");
    let unverified = json!({"email": "a@example.org", "email_verified": false});
    assert!(fixture.refusal(&header("ES256", "ec"), &unverified).await.contains("not verified"));
    fixture.config.user_claim = "profile.name".to_owned();
    assert_eq!(fixture.user(&json!({"profile": {"name": "ann"}})).await, "oidc-ann");
}

#[tokio::test]
async fn groups_are_a_list_or_one_and_what_is_none_is_left_out() {
    let mut fixture = Fixture::new();
    let many: Vec<_> = (0..1000).map(|number| number.to_string()).collect();
    for (groups, count) in [
        (json!(["a", 1, "", "b c", "/b", "x".repeat(256)]), 2),
        (json!("a"), 1),
        (json!({"a": 1}), 0),
        (json!(null), 0),
        (json!(many), 256),
    ] {
        let proven = fixture.check(&header("ES256", "ec"), &claims(&json!({"groups": groups}))).await.unwrap().unwrap();
        assert_eq!(proven.groups.len(), count, "{groups}");
    }
    fixture.config.groups_claim = "realm_access.roles".to_owned();
    let roles = claims(&json!({"realm_access": {"roles": ["ops"]}}));
    assert_eq!(fixture.check(&header("ES256", "ec"), &roles).await.unwrap().unwrap().groups, ["ops"]);
}

#[tokio::test]
async fn a_token_that_was_right_ends_with_its_time_and_with_its_key() {
    let fixture = Fixture::new();
    let oidc = fixture.oidc();
    let token = fixture.issuer.token(&header("ES256", "ec"), &claims(&json!({"exp": NOW + 10})));
    let is_taken = async || oidc.check(&token).await.unwrap().is_ok();
    assert!(is_taken().await && is_taken().await);
    fixture.clock.advance(Duration::from_secs(69));
    assert!(is_taken().await);
    fixture.clock.advance(Duration::from_secs(1));
    assert!(!is_taken().await, "its end and the leeway are over");

    let token = fixture.issuer.token(&header("ES256", "ec"), &claims(&json!({"exp": NOW + 9999})));
    let is_taken = async || oidc.check(&token).await.unwrap().is_ok();
    assert!(is_taken().await);
    std::fs::write(fixture.file(), Issuer::new().keys().to_string()).unwrap();
    let (shutdown, tasks) = (CancellationToken::new(), TaskTracker::new());
    oidc.start(&shutdown, &tasks).unwrap();
    while is_taken().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    std::fs::write(fixture.file(), "no keys").unwrap();
    shutdown.cancel();
}

#[test]
fn settings_and_files_that_cannot_be_used_are_named() {
    let fixture = Fixture::new();
    let open = |config: &config::Oidc| Oidc::open(config, Arc::clone(&fixture.clock) as Arc<dyn Clock>);
    for content in ["", "{}", "[]", r#"{"keys": []}"#, r#"{"keys": [{"kty": "oct", "k": "AAAA"}]}"#] {
        std::fs::write(fixture.file(), content).unwrap();
        let error = open(&fixture.config).expect_err(content).to_string();
        assert!(error.contains("auth.oidc.keys") && error.contains("keys.json"), "{error}");
    }
    let nowhere = config::Oidc { keys: None, ca: Some("/nowhere".into()), ..fixture.config.clone() };
    assert!(open(&nowhere).unwrap_err().to_string().contains("auth.oidc.ca"));
    assert_eq!(TokenAlgorithm::ES256, serde_json::from_str("\"ES256\"").unwrap());
    for never in ["none", "HS256", "HS512", "ES256K"] {
        assert!(serde_json::from_value::<TokenAlgorithm>(json!(never)).is_err(), "{never}");
    }
}

proptest::proptest! {
    #[test]
    fn garbage_is_nobodys_token(garbage in "[ -~]{0,40}(\\.[ -~]{0,40}){2}") {
        let fixture = Fixture::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let checked = runtime.block_on(fixture.oidc().check(&garbage));
        proptest::prop_assert!(checked.is_none());
    }
}
