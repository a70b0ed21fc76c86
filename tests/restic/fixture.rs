//! A new repository as `restic init` makes it, whose password is `secret`.
//!
//! restic makes its keys so that every command takes half a second of work to open the repository. The key here was
//! wrapped again with scrypt of N = 1024, r = 1, p = 1, which takes none. It protects nothing but the noise of tests.

use std::fs;
use std::path::Path;

use crate::vocabulary::{Blob, Repo, TYPES, assert_ok, blob};

const CONFIG: &[u8] = include_bytes!("fixture/config");
const KEY: &[u8] = include_bytes!("fixture/key");

fn key() -> Blob {
    blob(KEY)
}

/// Makes it through a server.
pub(crate) async fn make_at(repo: &Repo) {
    repo.create().await;
    repo.store("keys", &key()).await;
    assert_ok(&repo.post("config", CONFIG).await);
}

/// Makes it without a server, as restic does.
pub(crate) fn make_in(directory: &Path) {
    for kind in TYPES {
        fs::create_dir_all(directory.join(kind)).expect("a directory can be made");
    }
    for fan_out in 0..=255 {
        fs::create_dir_all(directory.join(format!("data/{fan_out:02x}"))).expect("a directory can be made");
    }
    fs::write(directory.join("keys").join(key().name), KEY).expect("a file can be written");
    fs::write(directory.join("config"), CONFIG).expect("a file can be written");
}
