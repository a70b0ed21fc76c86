//! How fast it is beside qemu-nbd. Nothing is asserted: run it alone, optimized, and read what it prints.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Arc;

use super::TestServer;
use crate::volume::device::{Device, Extent, ExtentKind, Wait, Zero};

const SIZE: u64 = 1024 * 1024 * 1024;

/// A file as a device, without anything between.
struct FileDevice(File);

impl Device for FileDevice {
    fn size(&self) -> u64 {
        SIZE
    }

    fn is_read_only(&self) -> bool {
        false
    }

    fn read_at(&self, into: &mut [u8], offset: u64, _: Wait) -> io::Result<()> {
        self.0.read_exact_at(into, offset)
    }

    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }

    fn zero(&self, _: u64, _: u64, _: Zero) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn trim(&self, _: u64, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn prefetch(&self, _: u64, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn extents(&self, _: u64, length: u64, _: usize) -> io::Result<Vec<Extent>> {
        Ok(vec![Extent { length, kind: ExtentKind::Data, depth: Some(0) }])
    }
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Clock ticks of the processor that a process has used.
fn ticks(id: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Runs fio; returns requests in a second.
fn fio(uri: &str, rw: &str, block: &str, depth: u32, aux: &Path) -> f64 {
    let output = Command::new("fio")
        .args(["--name=x", "--ioengine=nbd", "--time_based", "--runtime=4", "--size=1g", "--output-format=terse"])
        .args([format!("--uri={uri}"), format!("--rw={rw}"), format!("--bs={block}"), format!("--iodepth={depth}")])
        .arg(format!("--aux-path={}", aux.display()))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let fields: Vec<&str> = text.lines().last().unwrap_or_default().split(';').collect();
    let field = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
    field(7).max(field(48))
}

#[test]
#[ignore = "a measurement, which wants an optimized build and a quiet machine"]
fn beside_qemu_nbd() {
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let path = directory.path().join("disk");
    let mut file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    for _ in 0..SIZE / 1_048_576 {
        file.write_all(&vec![0x5a; 1_048_576]).unwrap();
    }
    let server = TestServer::start(Arc::new(FileDevice(file)));
    let ours = format!("nbd+unix:///disk?socket={}", server.path().display());
    let peer_socket = directory.path().join("peer");
    let theirs = format!("nbd+unix:///?socket={}", peer_socket.display());
    let cases =
        [("randread", "4k", 1), ("randread", "4k", 32), ("randwrite", "4k", 32), ("read", "1m", 8), ("write", "1m", 8)];
    for (rw, block, depth) in cases {
        let mut best = [(0.0_f64, 0.0_f64); 2];
        for _ in 0..3 {
            let peer = Command::new("qemu-nbd")
                .args(["-f", "raw", "-t", "-e", "8", "--cache=writeback", "-k"])
                .args([&peer_socket, &path])
                .spawn()
                .map(Ended)
                .unwrap();
            while std::os::unix::net::UnixStream::connect(&peer_socket).is_err() {
                std::thread::yield_now();
            }
            for (at, uri, id) in [(0, &ours, std::process::id()), (1, &theirs, peer.0.id())] {
                let before = ticks(id);
                let rate = fio(uri, rw, block, depth, directory.path());
                #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
                let micros = (ticks(id) - before) as f64 * 10_000.0 / (rate * 4.0);
                if rate > best[at].0 {
                    best[at] = (rate, micros);
                }
            }
        }
        let [(rate, micros), (peer_rate, peer_micros)] = best;
        let _ = writeln!(
            io::stderr(),
            "{rw} {block} q{depth}: {rate:.0}/s {micros:.1} us of CPU; qemu-nbd {peer_rate:.0}/s {peer_micros:.1} us; \
             x{:.2} at {:.2} of the CPU",
            rate / peer_rate,
            micros / peer_micros,
        );
    }
}
