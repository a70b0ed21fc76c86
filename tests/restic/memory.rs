//! How much memory transfers take: as much as they have in flight, not as much as they carry.

use futures::future::join_all;
use sha2::{Digest as _, Sha256};

use crate::common::http::head;
use crate::common::rest_server::RestServer;
use crate::vocabulary::{Repo, noise};

const MIB: u64 = 1024 * 1024;
const AT_ONCE: u64 = 16;
/// How much more than idle all transfers together may take.
const GROWTH: u64 = 64 * MIB;
/// An object is one piece again and again.
const PIECE: usize = 64 * 1024;

#[derive(Clone, Debug)]
struct Large {
    name: String,
    piece: Vec<u8>,
    pieces: u64,
}

impl Large {
    fn new(seed: u64, bytes: u64) -> Self {
        let piece = noise(seed, PIECE);
        let pieces = bytes / PIECE as u64;
        let mut hash = Sha256::new();
        (0..pieces).for_each(|_| hash.update(&piece));
        Large { name: format!("{:x}", hash.finalize()), piece, pieces }
    }

    fn length(&self) -> u64 {
        self.pieces * PIECE as u64
    }

    async fn upload(self, repo: Repo) {
        let mut connection = repo.port.connect().await;
        let length = self.length().to_string();
        let head = head("POST", &format!("{}data/{}", repo.path, self.name), &[("Content-Length", &length)]);
        connection.send_bytes(head.as_bytes()).await.expect("the server reads");
        for _ in 0..self.pieces {
            connection.send_bytes(&self.piece).await.expect("the server reads");
        }
        assert_eq!(connection.answer("POST").await.status, 200);
    }

    async fn download(self, repo: Repo) {
        let mut connection = repo.port.connect().await;
        let head = head("GET", &format!("{}data/{}", repo.path, self.name), &[]);
        connection.send_bytes(head.as_bytes()).await.expect("the server reads");
        assert_eq!(connection.read_head().await.status, 200);
        let (mut buffer, mut left) = (vec![0; PIECE], self.length());
        while left > 0 {
            let count = connection.read_some(&mut buffer).await as u64;
            assert!(count > 0, "{left} bytes are missing");
            left -= count;
        }
    }
}

async fn measure(bytes: u64) {
    let server = RestServer::start().await;
    let repo = Repo::at(server.http(), "/");
    repo.create().await;
    let objects: Vec<Large> = (0..AT_ONCE).map(|seed| Large::new(seed, bytes)).collect();
    let idle = server.proc().resident_bytes();

    server.proc().forget_peak();
    let uploads = objects.iter().map(|object| tokio::spawn(object.clone().upload(repo.clone())));
    for upload in join_all(uploads).await {
        upload.expect("an upload succeeds");
    }
    let up = server.proc().peak_bytes() - idle;
    server.proc().forget_peak();
    let downloads = objects.iter().map(|object| tokio::spawn(object.clone().download(repo.clone())));
    for download in join_all(downloads).await {
        download.expect("a download succeeds");
    }
    let down = server.proc().peak_bytes().saturating_sub(idle);

    let whose = format!("{AT_ONCE} transfers of {} MiB", bytes / MIB);
    println!("{whose}: idle {} KiB, up {} KiB more, down {} KiB more", idle / 1024, up / 1024, down / 1024);
    assert!(up < GROWTH && down < GROWTH, "{whose}: up {} KiB, down {} KiB", up / 1024, down / 1024);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfers_take_as_much_memory_as_they_have_in_flight() {
    measure(16 * MIB).await;
}

#[ignore = "takes minutes without optimisation: `scripts/bench memory` runs it"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_transfers_of_128_mib_take_less_than_64_mib() {
    measure(128 * MIB).await;
}
