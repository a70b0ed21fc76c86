use super::super::protocol::{device_flags, handshake};
use super::client::{queries, wanted};
use super::device::MemoryDevice;
use super::{DEVICE_BYTES, TestServer, empty};
use std::sync::Arc;

const BASE_FLAGS: u16 = device_flags::HAS_FLAGS
    | device_flags::SEND_FLUSH
    | device_flags::SEND_FUA
    | device_flags::SEND_CACHE
    | device_flags::CAN_MULTI_CONN;
const WRITE_FLAGS: u16 = device_flags::SEND_TRIM | device_flags::SEND_WRITE_ZEROES | device_flags::SEND_FAST_ZERO;

#[test]
fn going_to_a_device_tells_its_size_and_what_it_can_do() {
    let (server, _) = empty();
    let mut client = server.connect();
    client.greet();
    assert_eq!(client.go("/disk"), (DEVICE_BYTES, BASE_FLAGS | WRITE_FLAGS));

    let mut client = server.connect();
    client.greet();
    client.agree_on_structured_replies();
    assert_eq!(client.go("disk"), (DEVICE_BYTES, BASE_FLAGS | WRITE_FLAGS | device_flags::SEND_DF));
}

#[test]
fn a_read_only_device_says_so() {
    let server = TestServer::start(Arc::new(MemoryDevice::read_only(DEVICE_BYTES)));
    let mut client = server.connect();
    client.greet();
    assert_eq!(client.go("/disk").1, BASE_FLAGS | device_flags::READ_ONLY);
}

#[test]
fn the_oldest_option_is_followed_by_zeros_unless_the_client_does_without() {
    let (server, _) = empty();
    for (flags, zeros) in [(1, 124), (3, 0)] {
        let mut client = server.connect();
        client.greet_with(flags);
        client.option(handshake::OPT_EXPORT_NAME, b"/disk");
        assert_eq!(client.receive_u64(), DEVICE_BYTES);
        assert_eq!(client.receive_u16(), BASE_FLAGS | WRITE_FLAGS);
        assert_eq!(client.receive(zeros), vec![0; zeros]);
        assert_eq!(client.error_of(3, 0, 0, 0), 0, "it is open");
    }
    let mut client = server.connect();
    client.greet();
    client.option(handshake::OPT_EXPORT_NAME, b"/other");
    client.expect_end();
}

#[test]
fn every_information_that_is_asked_for_is_given() {
    let (server, _) = empty();
    let mut client = server.connect();
    client.greet();
    for option in [handshake::OPT_INFO, handshake::OPT_GO] {
        client.option(option, &wanted("disk", &[3, 2, 1, 999]));
        let mut infos = Vec::new();
        loop {
            match client.reply(option) {
                (handshake::REP_INFO, data) => infos.push(data),
                (kind, _) => break assert_eq!(kind, handshake::REP_ACK),
            }
        }
        assert_eq!(infos.len(), 4);
        assert_eq!(infos[0][..2], [0, 0]);
        assert_eq!(infos[1], b"\0\x01/disk");
        assert_eq!(infos[2], b"\0\x02a disk");
        assert_eq!(infos[3], [0, 3, 0, 0, 0, 1, 0, 0, 16, 0, 2, 0, 0, 0]);
    }
    server.wait_for_sessions(1);
    assert_eq!(server.exports.peers.lock().len(), 1, "asking and going on opens it once");
}

#[test]
fn a_refusal_says_why_and_the_client_may_try_another_device() {
    let (server, _) = empty();
    let mut client = server.connect();
    client.greet();
    for (name, kind, message) in [
        ("/other", handshake::REP_ERR_UNKNOWN, "there is no such volume"),
        ("/denied", handshake::REP_ERR_POLICY, "not yours"),
        ("/busy", handshake::REP_ERR_POLICY, "somebody else has it"),
        ("/stopping", handshake::REP_ERR_SHUTDOWN, "come back later"),
        ("/broken", handshake::REP_ERR_PLATFORM, "it is broken"),
    ] {
        let reply = client.ask(handshake::OPT_GO, &wanted(name, &[]));
        assert_eq!(reply, (kind, message.as_bytes().to_vec()), "{name}");
    }
    client.go("/disk");
}

#[test]
fn the_list_has_every_device() {
    let (server, _) = empty();
    let mut client = server.connect();
    client.greet();
    assert_eq!(client.ask(handshake::OPT_LIST, b"x").0, handshake::REP_ERR_INVALID);
    client.option(handshake::OPT_LIST, &[]);
    let (kind, data) = client.reply(handshake::OPT_LIST);
    assert_eq!((kind, &data[..]), (handshake::REP_SERVER, &b"\0\0\0\x05/diskabout /disk"[..]));
    let (kind, data) = client.reply(handshake::OPT_LIST);
    assert_eq!((kind, &data[..]), (handshake::REP_SERVER, &b"\0\0\0\x0a/disk@snapabout /disk@snap"[..]));
    assert_eq!(client.reply(handshake::OPT_LIST).0, handshake::REP_ACK);
}

#[test]
fn an_unknown_option_is_refused_and_its_data_skipped() {
    let (server, _) = empty();
    let mut client = server.connect();
    client.greet();
    for option in [0, 4, 11, 12345, u32::MAX] {
        assert_eq!(client.ask(option, &[7; 1000]).0, handshake::REP_ERR_UNSUP);
    }
    client.go("/disk");
}

#[test]
fn an_abort_is_acknowledged_and_ends_the_connection() {
    let (server, _) = empty();
    let mut client = server.connect();
    client.greet();
    assert_eq!(client.ask(handshake::OPT_ABORT, &[]).0, handshake::REP_ACK);
    client.expect_end();
}

#[test]
fn contexts_need_structured_replies_and_a_device() {
    let (server, _) = empty();
    let mut client = server.connect();
    client.greet();
    let option = handshake::OPT_SET_META_CONTEXT;
    assert_eq!(client.ask(option, &queries("/disk", &["base:allocation"])).0, handshake::REP_ERR_INVALID);
    client.agree_on_structured_replies();
    assert_eq!(client.ask(option, &queries("/other", &["base:allocation"])).0, handshake::REP_ERR_UNKNOWN);
    assert_eq!(client.choose_contexts("/disk", &["x:y"]), []);
    let chosen = client.choose_contexts("/disk", &["steward:depth", "base:allocation", "base:allocation"]);
    assert_eq!(chosen, [(1, "base:allocation".to_owned()), (2, "steward:depth".to_owned())]);
}

#[test]
fn contexts_are_listed_by_name_by_namespace_or_all() {
    let (server, _) = empty();
    let mut client = server.connect();
    client.greet();
    client.agree_on_structured_replies();
    let option = handshake::OPT_LIST_META_CONTEXT;
    for (asked, expected) in [
        (&[][..], &["base:allocation", "steward:depth"][..]),
        (&["base:"], &["base:allocation"]),
        (&["steward:depth"], &["steward:depth"]),
        (&["steward:", "base:"], &["base:allocation", "steward:depth"]),
        (&["other:"], &[]),
    ] {
        client.option(option, &queries("/disk", asked));
        for name in expected {
            assert_eq!(client.reply(option), (handshake::REP_META_CONTEXT, [b"\0\0\0\0", name.as_bytes()].concat()));
        }
        assert_eq!(client.reply(option).0, handshake::REP_ACK);
    }
}

#[test]
fn options_whose_lengths_do_not_fit_are_invalid() {
    let (server, _) = empty();
    let mut client = server.connect();
    client.greet();
    client.agree_on_structured_replies();
    let good = wanted("/disk", &[3]);
    let longer = [&good[..], &[0]].concat();
    let long_name = wanted(&"x".repeat(4097), &[]);
    let huge = [0xff; 40];
    for data in [&good[..good.len() - 1], &longer, &long_name, &huge, &[], b"\0\0\0\x01\xff\0\0"] {
        for option in [handshake::OPT_INFO, handshake::OPT_GO] {
            assert_eq!(client.ask(option, data).0, handshake::REP_ERR_INVALID, "{data:?}");
        }
    }
    let good = queries("/disk", &["base:allocation"]);
    let many = [&good[..9], &[0xff; 4], &good[13..]].concat();
    for data in [&good[..good.len() - 1], &many, &huge, &[]] {
        for option in [handshake::OPT_LIST_META_CONTEXT, handshake::OPT_SET_META_CONTEXT] {
            assert_eq!(client.ask(option, data).0, handshake::REP_ERR_INVALID, "{data:?}");
        }
    }
    client.go("/disk");
}
