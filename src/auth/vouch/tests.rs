use std::sync::Arc;

use tonic::Code;

use super::*;

const ACQUIRE: &str = "/steward.lock.v1.LockService/Acquire";
const RELEASE: &str = "/steward.lock.v1.LockService/Release";
const KEY: &str = "a key that only the two of them know";

#[derive(Debug)]
struct Still(Timestamp);

#[async_trait::async_trait]
impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }

    async fn sleep_until(&self, _: Timestamp) {
        std::future::pending::<()>().await;
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos(seconds * 1_000_000_000)
}

fn gateway(key: &str, seconds: i64) -> Voucher {
    Voucher::new(Keys::parse(key).unwrap(), Arc::new(Still(at(seconds)))).unwrap()
}

fn server(key: &str, since: i64) -> Vouching {
    Vouching::new(Keys::parse(key).ok(), at(since), Arc::new(Still(at(1000))))
}

fn alice() -> Vouched {
    caller("alice")
}

fn caller(user: &str) -> Vouched {
    Vouched { user: Some(user.to_owned()), address: None }
}

fn headers<const N: usize>(values: [&HeaderValue; N]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(VOUCHED_IDENTITY, value.clone());
    }
    headers
}

/// What becomes of a word: the user, or the code and the message of the refusal.
fn heard(server: &Vouching, value: &HeaderValue, path: &str, seconds: i64) -> Result<Option<String>, (Code, String)> {
    let heard = server.read(&headers([value]), path, || at(seconds)).expect("something is said");
    heard.map(|vouched| vouched.user).map_err(|failure| {
        let status = tonic::Status::from(failure);
        (status.code(), status.message().to_owned())
    })
}

#[test]
fn a_word_is_believed_once_and_for_its_own_call() {
    let (gateway, server) = (gateway(KEY, 1000), server(KEY, 0));
    let alice = Vouched { address: Some("192.0.2.7".parse().unwrap()), ..alice() };
    let word = gateway.vouch(&alice, ACQUIRE);
    assert_eq!(heard(&server, &word, RELEASE, 1000).unwrap_err().0, Code::Unauthenticated, "another method");
    let vouched = server.read(&headers([&word]), ACQUIRE, || at(1000)).unwrap().unwrap();
    assert_eq!(vouched, alice);
    let (code, problem) = heard(&server, &word, ACQUIRE, 1000).unwrap_err();
    assert!(code == Code::Unauthenticated && problem.contains("said before"), "{problem}");
    for user in ["alice", "王小明"] {
        let next = gateway.vouch(&caller(user), ACQUIRE);
        assert_eq!(heard(&server, &next, ACQUIRE, 1000), Ok(Some(user.to_owned())));
    }
}

#[test]
fn a_word_is_good_for_a_minute() {
    let gateway = gateway(KEY, 1000);
    for (seconds, is_good) in [(939, false), (940, true), (1060, true), (1061, false)] {
        let word = gateway.vouch(&alice(), ACQUIRE);
        assert_eq!(heard(&server(KEY, 0), &word, ACQUIRE, seconds).is_ok(), is_good, "{seconds}");
    }
    let word = gateway.vouch(&alice(), ACQUIRE);
    assert_eq!(heard(&server(KEY, 1001), &word, ACQUIRE, 1002).unwrap_err().0, Code::Unavailable, "said before");
}

#[test]
fn without_the_key_nobody_is_believed() {
    let word = gateway(KEY, 1000).vouch(&alice(), ACQUIRE);
    let none = Vouching::new(None, at(0), Arc::new(Still(at(1000))));
    assert_eq!(heard(&none, &word, ACQUIRE, 1000).unwrap_err().0, Code::Unauthenticated);
    let other = server("a key that somebody else has, who is not asked", 0);
    assert_eq!(heard(&other, &word, ACQUIRE, 1000).unwrap_err().0, Code::Unauthenticated);
    let server = server(KEY, 0);
    assert!(server.read(&HeaderMap::new(), ACQUIRE, || at(1000)).is_none(), "nothing is said");
    assert!(server.read(&headers([&word, &word]), ACQUIRE, || at(1000)).unwrap().is_err(), "two say something");
    for odd in ["", "1", "1;2;3", "alice", ";;;;;;;", "1;1000000000;AAAA;1;-;root;AAAA"] {
        let odd = HeaderValue::from_static(odd);
        assert_eq!(heard(&server, &odd, ACQUIRE, 1000).unwrap_err().0, Code::Unauthenticated, "{odd:?}");
    }
    assert_eq!(heard(&server, &word, ACQUIRE, 1000), Ok(Some("alice".to_owned())), "nothing of this counted");
}

#[test]
fn who_is_not_known_is_nobody_and_not_the_gateway() {
    let (gateway, server) = (gateway(KEY, 1000), server(KEY, 0));
    let none = Vouching::new(None, at(0), Arc::new(Still(at(1000))));
    for unknown in [caller("a;b"), caller(""), Vouched::default()] {
        let word = gateway.vouch(&unknown, ACQUIRE);
        assert_eq!(heard(&server, &word, ACQUIRE, 1000), Ok(None));
    }
    for server in [&server, &none] {
        assert_eq!(heard(server, &unknown(), ACQUIRE, 1000), Ok(None), "a gateway without a key");
        assert_eq!(heard(server, &unknown(), ACQUIRE, 9000), Ok(None), "as often as it likes");
    }
    let word = Word { micros: 1_000_000_000, instance: [1; 16], number: 1, address: None, user: "a b".to_owned() };
    let word = HeaderValue::try_from(word.sign(&Keys::parse(KEY).unwrap(), ACQUIRE)).unwrap();
    assert_eq!(heard(&server, &word, ACQUIRE, 1000).unwrap_err().0, Code::Unauthenticated);
}

#[test]
fn the_certificate_of_a_gateway_is_not_its_callers() {
    let (gateway, server) = (gateway(KEY, 1000), server(KEY, 0));
    let known = |header: Option<HeaderValue>| {
        let mut request = Request::builder().uri(ACQUIRE).extension(ClientUser("gateway".into()));
        if let Some(value) = header {
            request = request.header(VOUCHED_IDENTITY, value);
        }
        server.known(&request.body(()).unwrap(), None).map(|known| known.user).ok()
    };
    let user = |name: &str| Some(Some(name.to_owned()));
    assert_eq!(known(None), user("gateway"), "a caller of its own");
    assert_eq!(known(Some(gateway.vouch(&alice(), ACQUIRE))), user("alice"));
    assert_eq!(known(Some(gateway.vouch(&Vouched::default(), ACQUIRE))), Some(None));
    assert_eq!(known(Some(unknown())), Some(None));
    assert_eq!(known(Some(gateway.vouch(&alice(), RELEASE))), None, "refused");
}
