//! A file system on a real block device of the kernel: NBD, a file by FUSE, a loop device, a mount.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::process::Child;

use crate::common::program;
use crate::common::server::Server;
use crate::common::temporary;
use crate::common::wait::eventually;
use crate::scrub::assert_clean;
use crate::tool::{Tool, ended, uri};
use crate::vocabulary::{MIB, Volumes, digest, noise, small};

/// What is needed beside the permission to use it.
#[derive(Clone)]
struct Tools {
    nbdfuse: Tool,
    fusermount: Tool,
    losetup: Tool,
    mkfs: Tool,
}

impl Tools {
    fn find(needed_by: &str) -> Option<Self> {
        if !program::may_make_block_devices(needed_by) {
            return None;
        }
        Some(Tools {
            nbdfuse: Tool::find("nbdfuse", needed_by)?,
            fusermount: Tool::find("fusermount3", needed_by)?,
            losetup: Tool::find("losetup", needed_by)?,
            mkfs: Tool::find("mkfs.ext4", needed_by)?,
        })
    }
}

/// A volume as a mounted file system; all of it is undone at the end, also when a test fails.
struct Mounted {
    place: PathBuf,
    device: String,
    fuse: PathBuf,
    nbdfuse: Child,
}

impl Mounted {
    async fn new(tools: &Tools, server: &Server, name: &str, home: &Path, format: bool) -> Self {
        let directory = home.join(name.replace(['/', '@'], "_"));
        let (fuse, place) = (directory.join("fuse"), directory.join("mounted"));
        for directory in [&fuse, &place] {
            fs::create_dir_all(directory).expect("a directory can be made");
        }
        let file = fuse.join("disk");
        let nbdfuse = tools.nbdfuse.start(&[file.to_str().expect("UTF-8"), &uri(server, name)]);
        let mut mounted = Mounted { place, device: String::new(), fuse, nbdfuse };
        eventually("the file is there", async || file.exists().then_some(())).await;
        if format {
            tools.mkfs.ok(&["-q", "-F", file.to_str().expect("UTF-8")]).await;
        }
        let device = tools.losetup.ok(&["--find", "--show", file.to_str().expect("UTF-8")]).await;
        device.trim().clone_into(&mut mounted.device);
        let mount = Command::new("mount").arg(&mounted.device).arg(&mounted.place).output().expect("it can be started");
        assert!(mount.status.success(), "{}", String::from_utf8_lossy(&mount.stderr));
        mounted
    }

    fn write(&self, seed: u64) {
        for number in 0..10 {
            fs::write(self.place.join(format!("file-{number}")), noise(seed * 10 + number, MIB))
                .expect("there is room");
        }
        self.sync();
    }

    fn sync(&self) {
        let directory = fs::File::open(&self.place).expect("it is mounted");
        rustix::fs::syncfs(directory).expect("it can be synced");
    }

    fn assert_holds(&self, seed: u64) {
        for number in 0..10 {
            let found = fs::read(self.place.join(format!("file-{number}"))).expect("it is there");
            assert_eq!(digest(&found), digest(&noise(seed * 10 + number, MIB)), "file {number}");
        }
    }

    async fn unmount(mut self, tools: &Tools) {
        run("umount", &[self.place.as_os_str()]).expect("it can be unmounted");
        tools.losetup.ok(&["-d", &self.device]).await;
        self.device.clear();
        tools.fusermount.ok(&["-u", self.fuse.to_str().expect("UTF-8")]).await;
        crate::common::wait::within("nbdfuse ends", self.nbdfuse.wait()).await.expect("a child can be waited for");
    }
}

fn run(program: &str, args: &[&std::ffi::OsStr]) -> io::Result<()> {
    let status = Command::new(program).args(args).stderr(std::process::Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{program}: {status}"))) }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // After `unmount` there is nothing left to undo, and these fail.
        if !self.device.is_empty() {
            let _ = run("umount", &["-l".as_ref(), self.place.as_os_str()]);
            let _ = run("losetup", &["-d".as_ref(), self.device.as_ref()]);
        }
        let _ = run("fusermount3", &["-u".as_ref(), "-z".as_ref(), self.fuse.as_os_str()]);
    }
}

#[tokio::test]
async fn a_mounted_file_system_is_snapshotted_cloned_and_flattened_under_load() {
    let needed_by = "mounted::a_mounted_file_system";
    let (Some(tools), Some(fio)) = (Tools::find(needed_by), Tool::find("fio", needed_by)) else { return };
    let server = small().start().await;
    let volumes = Volumes::of(&server);
    let home = temporary::directory();
    volumes.create("/a", 128 * MIB).await;
    let parent = Mounted::new(&tools, &server, "/a", home.path(), true).await;
    parent.write(1);
    volumes.snapshot("/a@s").await;
    parent.write(2);
    volumes.clone_of("/a@s", "/b").await;

    // The clone was not unmounted: its journal is played back, as after a power loss.
    let clone = Mounted::new(&tools, &server, "/b", home.path(), false).await;
    clone.assert_holds(1);
    parent.assert_holds(2);
    let file = format!("--filename={}", clone.place.join("fio").display());
    let state = format!("--aux-path={}", home.path().display());
    let load = fio.start(&[
        "--name=load",
        "--ioengine=psync",
        &file,
        &state,
        "--rw=randwrite",
        "--bs=4k",
        "--size=16M",
        "--verify=crc32c",
        "--do_verify=1",
        "--fsync=32",
        "--verify_fatal=1",
        "--loops=2",
    ]);
    volumes.flatten("/b").await;
    let said = ended(load).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    parent.unmount(&tools).await;
    volumes.delete_snapshot("/a@s").await;
    eventually("the parent can be deleted", async || volumes.delete("/a").await.ok()).await;

    clone.assert_holds(1);
    clone.write(3);
    clone.unmount(&tools).await;
    let again = Mounted::new(&tools, &server, "/b", home.path(), false).await;
    again.assert_holds(3);
    again.unmount(&tools).await;
    eventually("nobody has it open", async || (volumes.get("/b").await.open_sessions == 0).then_some(())).await;
    assert_clean(&volumes).await;
}
