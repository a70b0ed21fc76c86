//! Whatever bytes come, the server lives and lets go of the device.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;

use parking_lot::Mutex;
use proptest::prelude::*;

use super::super::protocol::command;
use super::client::{Client, request, wanted};
use super::{DEVICE_BYTES, PATIENCE, TestServer, empty};

fn server() -> &'static Mutex<TestServer> {
    static SERVER: OnceLock<Mutex<TestServer>> = OnceLock::new();
    SERVER.get_or_init(|| Mutex::new(empty().0))
}

/// Says all of it, and takes what comes until the end.
fn say(server: &TestServer, before: impl FnOnce(&mut Client), bytes: &[u8]) {
    let stream = UnixStream::connect(server.path()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut client = Client { io: Box::new(stream.try_clone().unwrap()) };
    before(&mut client);
    let mut taking = stream.try_clone().unwrap();
    let taker = std::thread::spawn(move || {
        let mut buffer = vec![0; 65536];
        loop {
            match taking.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
            }
        }
    });
    // The server may have hung up by then.
    let _ = (&stream).write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    assert!(taker.join().unwrap(), "the server hangs up");
    server.wait_for_sessions(0);
}

fn option() -> impl Strategy<Value = Vec<u8>> {
    let data = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..80),
        Just(wanted("/disk", &[0, 1, 2, 3])),
        Just(super::client::queries("/disk", &["base:allocation", "steward:depth"])),
    ];
    (0..12_u32, data, 0..9_u32).prop_map(|(option, data, longer)| {
        // Mostly the length is true.
        let length = u32::try_from(data.len()).unwrap() + longer.saturating_sub(6);
        [b"IHAVEOPT", &option.to_be_bytes()[..], &length.to_be_bytes(), &data].concat()
    })
}

fn any_request() -> impl Strategy<Value = Vec<u8>> {
    let offset = prop_oneof![0..DEVICE_BYTES, any::<u64>(), Just(DEVICE_BYTES - 4096)];
    let length = prop_oneof![0..70_000_u32, any::<u32>(), Just(4096)];
    (0..10_u16, 0..40_u16, any::<u64>(), offset, length).prop_map(|(command, flags, cookie, offset, length)| {
        let mut bytes = request(command, flags, cookie, offset, length);
        if command == command::WRITE && length <= 70_000 {
            bytes.extend(vec![0x5a; length as usize]);
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_at_the_handshake_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        say(&server().lock(), |_| {}, &bytes);
        say(&server().lock(), Client::greet, &bytes);
    }

    #[test]
    fn any_options_do_no_harm(options in proptest::collection::vec(option(), 0..12)) {
        say(&server().lock(), Client::greet, &options.concat());
    }

    #[test]
    fn any_bytes_for_requests_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let open = |client: &mut Client| {
            client.greet();
            client.go("/disk");
        };
        say(&server().lock(), open, &bytes);
    }

    #[test]
    fn any_requests_do_no_harm(requests in proptest::collection::vec(any_request(), 0..40), is_structured: bool) {
        let open = |client: &mut Client| {
            client.greet();
            if is_structured {
                client.agree_on_structured_replies();
                client.choose_contexts("/disk", &["base:allocation"]);
            }
            client.go("/disk");
        };
        say(&server().lock(), open, &requests.concat());
        let mut client = server().lock().simple();
        assert_eq!(client.error_of(command::FLUSH, 0, 0, 0), 0);
    }
}
