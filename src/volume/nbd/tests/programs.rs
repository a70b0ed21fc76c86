//! Real clients. Where one is missing, its test says so and passes.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::device::MemoryDevice;
use super::{DEVICE_BYTES, TestServer, empty, pattern};
use crate::volume::device::Device as _;

fn uri(server: &TestServer) -> String {
    format!("nbd+unix:///disk?socket={}", server.path().display())
}

/// What a program prints, if it is installed.
fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let output = match Command::new(program).args(arguments).output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let _ = writeln!(std::io::stderr(), "skipped: {program}: {error}");
            return None;
        }
        // Taken for missing, it would be missed by what comes after the first call.
        Err(error) => panic!("{program} cannot be started: {error}"),
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {text}{errors}");
    Some(text)
}

#[test]
fn nbdinfo_sees_the_device_its_map_and_the_list() {
    let device = Arc::new(MemoryDevice::new(DEVICE_BYTES));
    device.write_at(&[1; 8192], 4096).unwrap();
    // It lists with one connection and looks at what it found with others, which takes as long as the machine likes.
    let server = TestServer::with(device, |settings| settings.handshake_timeout = Duration::from_hours(1));
    // What is on the device it would ask another program, over a file.
    let Some(text) = run("nbdinfo", &["--no-content", &uri(&server)]) else { return };
    for line in
        ["export-size: 8388608", "base:allocation", "steward:depth", "can_fast_zero: true", "a disk", "can_df: true"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
    let map = run("nbdinfo", &["--map", &uri(&server)]).expect("it is there");
    let words: Vec<Vec<&str>> = map.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        words,
        [
            vec!["0", "4096", "3", "hole,zero"],
            vec!["4096", "8192", "0", "data"],
            vec!["12288", "8376320", "3", "hole,zero"]
        ]
    );
    let list = run("nbdinfo", &["--list", "--json", &format!("nbd+unix:///?socket={}", server.path().display())]);
    assert!(list.is_none_or(|list| list.contains("/disk@snap")));
}

#[test]
fn qemu_io_reads_what_it_wrote() {
    let (server, device) = empty();
    let commands = [
        "write -P 0xa5 4096 65536",
        "write -f -P 0x5a 1M 1M",
        "read -P 0xa5 4096 65536",
        "read -P 0x5a 1M 1M",
        "write -z 1M 64k",
        "read -P 0 1M 64k",
        "discard 4096 4096",
        "read -P 0 4096 4096",
        "flush",
        "aio_read -P 0xa5 8192 4096",
        "aio_flush",
    ];
    let mut arguments = vec!["-f", "raw"];
    for command in &commands {
        arguments.extend(["-c", command]);
    }
    let uri = uri(&server);
    arguments.push(&uri);
    let Some(text) = run("qemu-io", &arguments) else { return };
    assert!(!text.contains("Pattern verification failed"), "{text}");
    assert_eq!(device.bytes(8192, 4096), [0xa5; 4096]);
    assert!(device.flushes() >= 2);
}

#[test]
fn nbdcopy_copies_in_both_directions() {
    let (server, device) = empty();
    let directory = tempfile::tempdir().unwrap();
    let (from, to) = (directory.path().join("from"), directory.path().join("to"));
    let mut data = vec![0; usize::try_from(DEVICE_BYTES).unwrap()];
    data[100_000..3_100_000].copy_from_slice(&pattern(1, 3_000_000));
    std::fs::write(&from, &data).unwrap();
    let path = |path: &Path| path.display().to_string();
    if run("nbdcopy", &["--flush", &path(&from), &uri(&server)]).is_none() {
        return;
    }
    assert!(device.bytes(0, data.len()) == data, "it arrived");
    run("nbdcopy", &[&uri(&server), &path(&to)]);
    assert!(std::fs::read(&to).unwrap() == data, "and came back");
}

#[test]
fn fio_verifies_what_it_wrote() {
    let (server, _) = empty();
    let uri = format!("--uri={}", uri(&server));
    let directory = tempfile::tempdir().unwrap();
    let aux = format!("--aux-path={}", directory.path().display());
    let arguments = [
        "--name=verify",
        "--ioengine=nbd",
        "--rw=randwrite",
        "--bs=4k",
        "--iodepth=32",
        "--size=8m",
        "--verify=crc32c",
        "--verify_state_save=0",
        &uri,
        &aux,
    ];
    let engines = run("fio", &["--enghelp"]);
    if engines.is_none_or(|engines| !engines.contains("nbd")) {
        return;
    }
    let text = run("fio", &arguments).expect("it is there");
    assert!(text.contains("err= 0"), "{text}");
}
