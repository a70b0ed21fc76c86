//! `steward volume` against a real server.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::command::{command, volume, volume_ok};
use crate::common::server::Server;
use crate::common::wait::{eventually, within};
use crate::vocabulary::{MIB, Volumes, noise, small};
use crate::wire::Nbd;

/// The values of one key of the objects that a command wrote.
async fn column(server: &Server, args: &[&str], key: &str) -> Vec<Value> {
    let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
    volume_ok(server, &args).await.objects().iter().map(|object| object[key].clone()).collect()
}

#[tokio::test]
async fn a_volume_lives_its_life_at_a_shell() {
    let server = small().start().await;
    volume_ok(&server, &["mkdir", "/vm", "--owner", "alice"]).await;
    volume_ok(&server, &["create", "/vm/disk", "--size", "16M", "--label", "env=prod", "--as", "alice"]).await;
    let mut device = Nbd::open(&server, "/vm/disk").await;
    device.write(0, &noise(1, MIB)).await;
    volume_ok(&server, &["snapshot", "create", "/vm/disk@s"]).await;
    volume_ok(&server, &["clone", "/vm/disk@s", "/vm/copy"]).await;
    assert_eq!(column(&server, &["list", "/vm"], "path").await, ["/vm/copy", "/vm/disk"]);
    assert_eq!(column(&server, &["list", "-r", "--label", "env=prod"], "path").await, ["/vm/disk"]);
    let tree = volume_ok(&server, &["tree", "/vm"]).await;
    assert!(tree.out().contains("@s") && tree.out().contains("copy"), "{tree:?}");

    volume_ok(&server, &["flatten", "/vm/copy"]).await;
    volume_ok(&server, &["snapshot", "delete", "/vm/disk@s", "--wait"]).await;
    assert!(Nbd::open(&server, "/vm/copy").await.read(0, 1 << 20).await == noise(1, MIB));
    volume_ok(&server, &["rename", "/vm/disk", "/vm/root"]).await;
    volume_ok(&server, &["resize", "/vm/root", "+16M"]).await;
    assert_eq!(Volumes::of(&server).get("/vm/root").await.size_bytes, 32 * MIB);
    let shown = volume_ok(&server, &["show", "/vm/root"]).await;
    assert!(shown.out().contains("alice") && shown.out().contains("env=prod"), "{shown:?}");
    let in_use = volume(&server, &["delete", "/vm/root"]).await;
    assert_eq!(in_use.code, Some(1), "{in_use:?}");
    device.close().await;
    eventually("it can be deleted", async || {
        (volume(&server, &["delete", "/vm/root"]).await.code == Some(0)).then_some(())
    })
    .await;
    assert_eq!(column(&server, &["trash"], "original_path").await, ["/vm/root"]);
    volume_ok(&server, &["restore", "/vm/root", "--to", "/vm/again"]).await;
    assert!(Nbd::open(&server, "/vm/again").await.read(0, 1 << 20).await == noise(1, MIB));
    let scrubbed = volume_ok(&server, &["scrub"]).await;
    assert!(!scrubbed.out().contains("mismatch"), "{scrubbed:?}");
}

#[tokio::test]
async fn what_is_wrong_is_said_on_standard_error() {
    let server = small().start().await;
    for (args, code, word) in [
        (&["show", "/nowhere"][..], 1, "/nowhere"),
        (&["create", "/a", "--size", "much"], 2, "much"),
        (&["create", "relative", "--size", "1G"], 2, "relative"),
        (&["create", "/a/b", "--size", "1G"], 1, "/a"),
        (&["snapshot", "create", "/nowhere@s"], 1, "/nowhere"),
        (&["restore", "/nowhere"], 1, "/nowhere"),
        (&["operation", "show", "de06df66-b9e4-44df-ba3d-ac94ddee0b28"], 1, "de06df66"),
        (&["purge", "--all"], 2, "--yes"),
    ] {
        let said = volume(&server, args).await;
        assert_eq!(said.code, Some(code), "{args:?}: {said:?}");
        assert!(said.err.contains(word) && said.bytes.is_empty(), "{args:?}: {said:?}");
    }
}

#[tokio::test]
async fn a_flatten_is_steered_from_a_shell() {
    let server = small().start().await;
    volume_ok(&server, &["create", "/a", "--size", "16M"]).await;
    let mut device = Nbd::open(&server, "/a").await;
    for piece in 0..8 {
        device.write(piece * MIB, &noise(piece, MIB)).await;
    }
    device.close().await;
    volume_ok(&server, &["snapshot", "create", "/a@s"]).await;
    volume_ok(&server, &["clone", "/a@s", "/b"]).await;
    volume_ok(&server, &["flatten", "/b", "--detach", "--limit", "1M/s"]).await;
    let live = volume_ok(&server, &["operation", "list", "--live", "--json"]).await.objects();
    let flatten = live.iter().find(|operation| operation["type"].as_str().is_some_and(|t| t.contains("flatten")));
    let uuid = flatten.unwrap_or_else(|| panic!("{live:?}"))["uuid"].as_str().expect("a UUID").to_owned();
    let waited = volume(&server, &["operation", "wait", &uuid, "--timeout", "100ms"]).await;
    assert_eq!(waited.code, Some(75), "{waited:?}");
    for verb in ["pause", "resume"] {
        volume_ok(&server, &["operation", verb, &uuid]).await;
    }
    volume_ok(&server, &["operation", "speed", &uuid, "max"]).await;
    volume_ok(&server, &["operation", "wait", &uuid]).await;
    assert_eq!(column(&server, &["list", "/"], "path").await.len(), 4, "the two of the system, and the two volumes");
}

#[tokio::test]
async fn an_attached_volume_is_open_as_long_as_its_command_runs() {
    let server = small().start().await;
    volume_ok(&server, &["create", "/a", "--size", "16M"]).await;
    let said = volume_ok(&server, &["attach", "/a", "--", "sh", "-c", "echo \"uri: $STEWARD_NBD_URI\""]).await;
    assert!(said.out().contains("uri: nbd+unix://") || said.out().contains("uri: nbd://"), "{said:?}");
    let code = volume(&server, &["attach", "/a", "--", "sh", "-c", "exit 7"]).await;
    assert_eq!(code.code, Some(7), "{code:?}");
    Volumes::of(&server).delete("/a").await.expect("nobody has it open any more");
}

#[tokio::test]
async fn policies_quotas_and_usage_are_set_and_shown() {
    let server = small().start().await;
    volume_ok(&server, &["create", "/a", "--size", "16M", "--as", "alice"]).await;
    volume_ok(&server, &["policy", "set", "hourly", "--schedule", "0 * * * *", "--keep-last", "3"]).await;
    volume_ok(&server, &["policy", "attach", "hourly", "/a"]).await;
    assert_eq!(Volumes::of(&server).get("/a").await.policies, ["hourly"]);
    assert_eq!(column(&server, &["policy", "list"], "name").await, ["hourly"]);
    volume_ok(&server, &["policy", "detach", "hourly", "/a"]).await;
    volume_ok(&server, &["policy", "delete", "hourly"]).await;
    volume_ok(&server, &["quota", "set", "alice", "--bytes", "20M"]).await;
    let refused = volume(&server, &["create", "/b", "--size", "16M", "--as", "alice"]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let usage = volume_ok(&server, &["usage", "alice"]).await;
    assert!(usage.out().contains("alice"), "{usage:?}");
}

#[tokio::test]
async fn a_watch_shows_changes_as_they_come() {
    let server = small().start().await;
    let mut child = command(&server, &["watch", "--json"]).spawn().expect("the binary can be started");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    volume_ok(&server, &["create", "/a", "--size", "16M"]).await;
    let about_it = async {
        while let Some(line) = lines.next_line().await.expect("text") {
            if line.contains("\"/a\"") {
                return;
            }
        }
        panic!("the watch ended");
    };
    within("the event", about_it).await;
    child.kill().await.expect("it goes on");
}
