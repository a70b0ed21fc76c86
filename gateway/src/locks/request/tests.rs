use std::time::Duration;

use super::{LockRequest, Subject, UnlockRequest};
use crate::go::json::decode;

fn subject(r#type: &str, resource_id: &str, node_id: &str) -> Subject {
    Subject { r#type: r#type.to_owned(), resource_id: resource_id.to_owned(), node_id: node_id.to_owned() }
}

#[test]
fn bodies_are_decoded_as_go_decodes_them() {
    let full = subject("pull", "sha256:x", "A");
    let only_type = |r#type| subject(r#type, "", "");
    let cases: &[(&[u8], Subject)] = &[
        (br#"{"type":"pull","resource_id":"sha256:x","node_id":"A"}"#, full.clone()),
        (b" \t\r\n{\"type\" : \"pull\" , \"resource_id\":\"sha256:x\",\n\"node_id\":\"A\"}\n", full.clone()),
        (br#"{"TYPE":"pull","Resource_Id":"sha256:x","nodE_iD":"A"}"#, full.clone()),
        ("{\"type\":\"pull\",\"reſource_id\":\"sha256:x\",\"node_id\":\"A\"}".as_bytes(), full.clone()),
        (br#"{"type":"pull","resource_id":"sha256:x","node_id":"A"}{"type":"x"}"#, full.clone()),
        (br#"{"type":"pull","resource_id":"sha256:x","node_id":"A"} garbage }{"#, full),
        (b"{}", Subject::default()),
        (b"null", Subject::default()),
        (b"null, and more", Subject::default()),
        (br#"{"type":null}"#, Subject::default()),
        (br#"{"type":"a","type":"b"}"#, only_type("b")),
        (br#"{"TYPE":"a","type":"b"}"#, only_type("b")),
        (br#"{"type":"a","TYPE":"b"}"#, only_type("b")),
        (br#"{"type":"a","type":null}"#, only_type("a")),
        (br#"{"type":"a","type":""}"#, only_type("")),
        (br#"{"type":" "}"#, only_type(" ")),
        (br#"{"type":"a","other":{"type":[1,2,{"x":null}]},"n":1e999,"l":"\ud800"}"#, only_type("a")),
        (br#"{"type":"a","success":"x","error":1,"ttl_seconds":[]}"#, only_type("a")),
        (br#"{"type ":"b","_type":"c"}"#, only_type("")),
        (br#"{"\u0074ype":"\u9501\ud83d\ude00\\\/\n"}"#, only_type("锁😀\\/\n")),
        ("{\"type\":\"锁\"}".as_bytes(), only_type("锁")),
        (b"{\"type\":\"a\xffb\xe9\"}", only_type("a\u{fffd}b\u{fffd}")),
        (br#"{"type":"\ud800"}"#, only_type("\u{fffd}")),
        (br#"{"type":"\uDC00x\ud83d\ud83d\ude00\ud800A"}"#, only_type("\u{fffd}x\u{fffd}😀\u{fffd}A")),
        (br#"{"type":"\\ud800\\\ud800"}"#, only_type("\\ud800\\\u{fffd}")),
    ];
    for (body, expected) in cases {
        let decoded: Subject = decode(body).unwrap();
        assert_eq!(&decoded, expected, "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn what_go_cannot_decode_is_refused() {
    let cases: &[&[u8]] = &[
        b"",
        b" \n",
        b"{",
        b"}",
        b"[]",
        b"\"pull\"",
        b"12",
        b"true",
        b"nul",
        b"type=pull",
        b"\xef\xbb\xbf{}",
        br#"{"type":"a""#,
        br#"{"type":"a",}"#,
        br"{'type':'a'}",
        br#"{"type":1}"#,
        br#"{"type":true}"#,
        br#"{"type":["a"]}"#,
        br#"{"type":{"a":"b"}}"#,
        br#"{"type":1,"type":"a"}"#,
        br#"{"other":tru}"#,
        br#"{"other":01}"#,
        br#"{"other":"\x"}"#,
        br#"{"type":"\u12"}"#,
        br#"{"type":"\ud800\u+123"}"#,
        b"{\"type\":\"a\nb\"}",
        b"{\"type\":\"\\",
        b"{\"type\":\"\\ud800",
    ];
    for body in cases {
        assert!(decode::<Subject>(body).is_err(), "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn ttl_is_a_number_of_seconds_that_may_have_a_fraction() {
    for (json, expected) in [
        ("{}", None),
        (r#"{"ttl_seconds":null}"#, None),
        (r#"{"ttl_seconds":0}"#, None),
        (r#"{"ttl_seconds":-0.0}"#, None),
        (r#"{"ttl_seconds":30}"#, Some(Duration::from_secs(30))),
        (r#"{"TTL_Seconds":1.5}"#, Some(Duration::from_millis(1500))),
        (r#"{"ttl_seconds":5e-2}"#, Some(Duration::from_millis(50))),
        (r#"{"ttl_seconds":2592000}"#, Some(Duration::from_hours(720))),
        (r#"{"ttl_seconds":5,"ttl_seconds":null}"#, Some(Duration::from_secs(5))),
        (r#"{"ttl_seconds":5,"ttl_seconds":0}"#, None),
    ] {
        assert_eq!(decode::<LockRequest>(json.as_bytes()).unwrap().ttl, expected, "{json}");
    }
}

#[test]
fn ttl_that_is_no_sensible_number_is_refused() {
    for json in [
        r#"{"ttl_seconds":"30"}"#,
        r#"{"ttl_seconds":true}"#,
        r#"{"ttl_seconds":-1}"#,
        r#"{"ttl_seconds":-0.001}"#,
        r#"{"ttl_seconds":2592000.001}"#,
        r#"{"ttl_seconds":1e300}"#,
        r#"{"ttl_seconds":1e999}"#,
        r#"{"ttl_seconds":NaN}"#,
    ] {
        assert!(decode::<LockRequest>(json.as_bytes()).is_err(), "{json}");
    }
}

#[test]
fn unlock_knows_success_and_error() {
    for (json, success, error) in [
        ("{}", None, ""),
        (r#"{"success":null,"error":null}"#, None, ""),
        (r#"{"success":true}"#, Some(true), ""),
        (r#"{"Success":false,"ERROR":"x"}"#, Some(false), "x"),
        (r#"{"success":true,"success":false}"#, Some(false), ""),
        (r#"{"success":true,"success":null,"error":"a","error":"b"}"#, Some(true), "b"),
    ] {
        let request: UnlockRequest = decode(json.as_bytes()).unwrap();
        assert_eq!((request.success, request.error.as_str()), (success, error), "{json}");
    }
    for json in [r#"{"success":1}"#, r#"{"success":"true"}"#, r#"{"error":false}"#] {
        assert!(decode::<UnlockRequest>(json.as_bytes()).is_err(), "{json}");
    }
}
