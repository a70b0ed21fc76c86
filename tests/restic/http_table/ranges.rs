//! `Range` of an object.

use crate::common::http::Answer;
use crate::vocabulary::{Everywhere, assert_refused, blob, noise};

/// What a range of an object of a thousand bytes is answered with.
enum Expected {
    /// The bytes from the first to the last.
    Part(usize, usize),
    /// There are none in it.
    Unsatisfiable,
    /// It is no range.
    Malformed,
}
use Expected::{Malformed, Part, Unsatisfiable};

const TABLE: [(&str, Expected); 30] = [
    ("bytes=0-", Part(0, 999)),
    ("bytes=0-0", Part(0, 0)),
    ("bytes=10-19", Part(10, 19)),
    ("bytes=999-", Part(999, 999)),
    ("bytes=999-999", Part(999, 999)),
    ("bytes=0-999", Part(0, 999)),
    ("bytes=990-1500", Part(990, 999)),
    ("bytes=990-9223372036854775807", Part(990, 999)),
    ("bytes=990-18446744073709551615", Part(990, 999)),
    ("bytes=-1", Part(999, 999)),
    ("bytes=-100", Part(900, 999)),
    ("bytes=-1000", Part(0, 999)),
    ("bytes=-2000", Part(0, 999)),
    ("bytes= 10-19", Part(10, 19)),
    ("bytes=1000-", Unsatisfiable),
    ("bytes=1000-1099", Unsatisfiable),
    ("bytes=9223372036854775807-", Unsatisfiable),
    ("bytes=-0", Unsatisfiable),
    ("bytes=5-3", Malformed),
    ("bytes=abc", Malformed),
    ("bytes=-", Malformed),
    ("bytes=", Malformed),
    ("bytes=1-2-3", Malformed),
    ("bytes=+1-2", Malformed),
    ("bytes=0x1-2", Malformed),
    ("items=0-5", Malformed),
    ("0-5", Malformed),
    ("bytes=0-1,5-6", Malformed),
    ("bytes=18446744073709551616-", Malformed),
    ("bytes=0-18446744073709551616", Malformed),
];

#[track_caller]
fn assert_unsatisfiable(answer: &Answer, size: usize) {
    assert_eq!(answer.parts(), (416, ""));
    assert_eq!(answer.header("content-range"), Some(format!("bytes */{size}").as_str()));
    assert_eq!(answer.header("content-length"), Some("0"));
    assert_eq!(answer.header("accept-ranges"), Some("bytes"));
}

#[tokio::test]
async fn ranges_are_answered_as_the_table_says() {
    let everywhere = Everywhere::start().await;
    let object = blob(noise(1, 1000));
    let path = format!("data/{}", object.name);
    for repo in everywhere.repos() {
        repo.store("data", &object).await;
        for (range, expected) in &TABLE {
            let answer = repo.range(&path, range).await;
            println!("{range} is answered {}", answer.status);
            match *expected {
                Part(first, last) => {
                    assert_eq!(answer.status, 206);
                    let told = format!("bytes {first}-{last}/1000");
                    assert_eq!(answer.header("content-range"), Some(told.as_str()));
                    assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
                    assert_eq!(answer.header("accept-ranges"), Some("bytes"));
                    assert_eq!(answer.body, object.bytes[first..=last]);
                }
                Unsatisfiable => assert_unsatisfiable(&answer, 1000),
                Malformed => assert_refused(&answer, 400),
            }
        }
    }
}

#[tokio::test]
async fn there_is_no_range_in_an_object_of_no_bytes() {
    let everywhere = Everywhere::start().await;
    let object = blob("");
    for repo in everywhere.repos() {
        repo.store("data", &object).await;
        for range in ["bytes=0-", "bytes=0-0", "bytes=-100", "bytes=-0"] {
            assert_unsatisfiable(&repo.range(&format!("data/{}", object.name), range).await, 0);
        }
    }
}

#[tokio::test]
async fn a_range_of_what_is_not_there_is_not_found() {
    let everywhere = Everywhere::start().await;
    for repo in everywhere.repos() {
        let answer = repo.range(&format!("data/{}", blob("nowhere").name), "bytes=0-").await;
        assert_refused(&answer, 404);
    }
}

#[tokio::test]
async fn a_measurement_ignores_the_range() {
    let everywhere = Everywhere::start().await;
    let object = blob(noise(1, 1000));
    for repo in everywhere.repos() {
        repo.store("data", &object).await;
        for range in ["bytes=10-19", "bytes=2000-", "nonsense"] {
            let answer = repo.request("HEAD", &format!("data/{}", object.name), &[("Range", range)], b"").await;
            assert_eq!((answer.status, answer.header("content-length")), (200, Some("1000")), "{range}");
        }
    }
}

#[tokio::test]
async fn small_ranges_on_one_connection_do_not_wait_for_one_another() {
    const READS: u32 = 500;
    let everywhere = Everywhere::start().await;
    let object = blob(noise(2, 1_000_000));
    for repo in everywhere.repos() {
        repo.store("data", &object).await;
        let path = format!("{}data/{}", repo.path, object.name);
        let mut connection = repo.port.connect().await;
        let start = std::time::Instant::now();
        for number in 0..READS {
            let first = (number as usize * 7919) % 990_000;
            let range = format!("bytes={first}-{}", first + 4095);
            let answer = connection.request("GET", &path, &[("Range", &range)], b"").await;
            assert!(answer.status == 206 && answer.body == object.bytes[first..first + 4096], "{range}");
        }
        // Without TCP_NODELAY each of them takes 40 ms.
        assert!(start.elapsed().as_millis() < 20 * u128::from(READS), "{:?}", start.elapsed());
    }
}
