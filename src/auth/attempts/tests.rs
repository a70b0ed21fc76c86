use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[expect(clippy::unnecessary_wraps, reason = "so the tests read as the calls do")]
fn address(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

fn admit(attempts: &mut Attempts, here: Option<IpAddr>, guess: (&str, &str), now: Instant) -> Result<Attempt, TooMany> {
    attempts.admit(here, &Credentials::new(guess.0, guess.1), now)
}

/// One that was made before those that are checked, so that it is admitted whatever there is.
fn fail(attempts: &mut Attempts, here: Option<IpAddr>, user: &str, now: Instant) -> Duration {
    let (user, guess) = (attempts.hasher.hash_one(user), 0);
    attempts.fail(Attempt { client: Client::of(here), user, guess, wait: None }, now)
}

fn succeed(attempts: &mut Attempts, here: Option<IpAddr>, user: &str, now: Instant) {
    let (user, guess) = (attempts.hasher.hash_one(user), 0);
    attempts.succeed(Attempt { client: Client::of(here), user, guess, wait: None }, now);
}

#[test]
fn delays_double_up_to_the_longest_and_end_with_the_minute() {
    let (mut attempts, start, here) = (Attempts::default(), Instant::now(), address("9.9.9.9"));
    let mut fail = |seconds: u32| fail(&mut attempts, here, "a", start + SECOND * seconds).as_millis();
    let delays: Vec<_> = (0..14).map(&mut fail).collect();
    assert_eq!(delays, [0, 0, 0, 0, 0, 250, 500, 1000, 2000, 4000, 8000, 10000, 10000, 10000]);
    assert_eq!(fail(13 + 60), 0);
}

#[test]
fn others_pay_nothing() {
    let (mut attempts, now) = (Attempts::default(), Instant::now());
    for _ in 0..20 {
        fail(&mut attempts, address("2001:db8::1"), "a", now);
    }
    assert_eq!(fail(&mut attempts, address("2001:db8:0:1::1"), "a", now), Duration::ZERO);
    assert_eq!(fail(&mut attempts, address("9.9.9.9"), "a", now), Duration::ZERO);
    assert_eq!(fail(&mut attempts, None, "a", now), Duration::ZERO);
    assert_eq!(fail(&mut attempts, address("2001:db8::ffff:1"), "a", now), LONGEST_DELAY, "the same network");
}

#[test]
fn a_success_forgives_one_name_at_one_address() {
    let (mut attempts, now) = (Attempts::default(), Instant::now());
    let (here, there) = (address("9.9.9.9"), address("8.8.8.8"));
    for _ in 0..5 {
        fail(&mut attempts, here, "a", now);
        fail(&mut attempts, here, "b", now);
        fail(&mut attempts, there, "a", now);
    }
    succeed(&mut attempts, here, "a", now);
    assert_eq!(fail(&mut attempts, here, "c", now), FIRST_DELAY, "five of b are left");
    assert_eq!(fail(&mut attempts, there, "c", now), FIRST_DELAY);
    succeed(&mut attempts, there, "nobody", now);
    assert_eq!(fail(&mut attempts, there, "c", now), FIRST_DELAY * 2);
}

#[test]
fn who_does_not_wait_gets_no_further_attempts() {
    let (mut attempts, start, here) = (Attempts::default(), Instant::now(), address("9.9.9.9"));
    for _ in 0..12 {
        fail(&mut attempts, here, "a", start);
    }
    let mut booked = Vec::new();
    for _ in 0..MAX_WAITS {
        booked.push(admit(&mut attempts, here, ("a", "1"), start).unwrap());
    }
    assert_eq!(admit(&mut attempts, here, ("a", "1"), start), Err(TooMany));
    assert!(admit(&mut attempts, address("8.8.8.8"), ("a", "1"), start).is_ok());
    attempts.abandon(booked[0]);
    let last = admit(&mut attempts, here, ("a", "1"), start).expect("what nobody found out about costs no wait");
    attempts.fail(last, start);
    assert_eq!(admit(&mut attempts, here, ("a", "1"), start), Err(TooMany), "a failure does");
    assert!(admit(&mut attempts, here, ("a", "1"), start + LONGEST_DELAY).is_ok());
}

#[test]
fn guesses_at_once_count_as_failures_until_they_succeed() {
    let (mut attempts, now, here) = (Attempts::default(), Instant::now(), address("9.9.9.9"));
    let guess = |number: usize| Credentials::new("a", number.to_string());
    let admitted: Vec<_> = (0..100).map_while(|number| attempts.admit(here, &guess(number), now).ok()).collect();
    assert_eq!(admitted.len(), FREE_FAILURES + MAX_WAITS);
    for attempt in admitted {
        attempts.succeed(attempt, now);
    }
    assert!(attempts.clients.is_empty(), "nothing is left of them");
}

#[test]
fn equal_logins_at_once_are_one_guess_but_not_without_end() {
    let (mut attempts, now, here) = (Attempts::default(), Instant::now(), address("9.9.9.9"));
    let admitted = (0..100).map_while(|_| admit(&mut attempts, here, ("a", "right"), now).ok()).count();
    assert_eq!(admitted, MAX_CHECKS);
}

#[test]
fn who_logged_in_here_has_tries_that_nobody_else_can_use_up() {
    let (mut attempts, now, here) = (Attempts::default(), Instant::now(), address("9.9.9.9"));
    succeed(&mut attempts, here, "alice", now);
    for number in 0..FREE_FAILURES + MAX_WAITS {
        assert!(admit(&mut attempts, here, ("mallory", &number.to_string()), now).is_ok());
    }
    assert_eq!(admit(&mut attempts, here, ("bob", "right"), now), Err(TooMany));
    for number in 0..TRIES_OF_KNOWN {
        let attempt = admit(&mut attempts, here, ("alice", &number.to_string()), now).expect("a try");
        assert!(admit(&mut attempts, here, ("alice", &number.to_string()), now).is_ok(), "the same once more");
        attempts.fail(attempt, now);
    }
    assert_eq!(admit(&mut attempts, here, ("alice", "other"), now), Err(TooMany), "only so many");
    assert_eq!(admit(&mut attempts, address("8.8.8.8"), ("alice", "x"), now).map(drop), Ok(()));
}

#[test]
fn the_table_stays_small_and_drops_the_oldest() {
    let (mut attempts, start) = (Attempts::default(), Instant::now());
    let nth = |number: u32| Some(IpAddr::from(number.to_be_bytes()));
    for number in 0..u32::try_from(MAX_CLIENTS).unwrap() + 10 {
        fail(&mut attempts, nth(number), "a", start + Duration::from_micros(number.into()));
    }
    assert_eq!(attempts.clients.len(), MAX_CLIENTS);
    assert!(!attempts.clients.contains_key(&Client(nth(9))) && attempts.clients.contains_key(&Client(nth(10))));
    fail(&mut attempts, nth(u32::MAX), "a", start + WINDOW * 2);
    assert_eq!(attempts.clients.len(), 1);
    for number in 0..u32::try_from(MAX_KNOWN).unwrap() + 10 {
        succeed(&mut attempts, nth(number), "a", start);
    }
    assert_eq!(attempts.known.len(), MAX_KNOWN);
}

proptest! {
    /// However it mixes names, one address alone, always waiting, guesses a few times a minute at most.
    #[test]
    fn guesses_are_few(names in prop::collection::vec(0_u8..4, 200)) {
        let (mut attempts, start, here) = (Attempts::default(), Instant::now(), address("9.9.9.9"));
        let (mut now, mut guesses) = (start, 0);
        for name in names {
            if now > start + SECOND * 600 {
                break;
            }
            now += fail(&mut attempts, here, &name.to_string(), now);
            guesses += 1;
        }
        prop_assert!(guesses <= 150, "{} guesses", guesses);
    }
}
