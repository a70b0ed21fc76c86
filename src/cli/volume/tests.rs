//! The commands against small services: what they print, what they ask for, and how they end.

mod images;
mod snapshots;
mod work;

use clap::Parser;
use steward_proto::volume::v1 as pb;

use super::fake::{Fake, State};
use super::*;
use crate::cli::testing::{self, Output, console_of};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    volume: VolumeArgs,
}

async fn execute(url: &str, words: &[&str], output: &Output) -> Result<Exit, Error> {
    let cli = Cli::parse_from(["steward", "--server", url].iter().chain(words));
    let mut console = console_of(words, output);
    let user = cli.volume.on_behalf_of.unwrap_or_default();
    answer(cli.volume.command, user, cli.volume.client.server(), &mut console).await
}

/// The end and the output of a command.
async fn run(fake: &Fake, words: &[&str]) -> (Exit, String) {
    let output = Output::new();
    let exit = execute(&fake.url(), words, &output).await.unwrap();
    (exit, output.text())
}

async fn said(fake: &Fake, words: &[&str]) -> String {
    let (exit, text) = run(fake, words).await;
    assert_eq!(exit, Exit::DONE, "{text}");
    text
}

async fn failure(fake: &Fake, words: &[&str]) -> String {
    execute(&fake.url(), words, &Output::new()).await.unwrap_err().to_string()
}

fn objects_of(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn is_refused(words: &[&str]) -> bool {
    Cli::try_parse_from(["steward"].iter().chain(words)).is_err()
}

fn disk(id: u64, path: &str) -> pb::Volume {
    pb::Volume {
        id,
        path: path.to_owned(),
        kind: pb::VolumeKind::Volume.into(),
        owner: "alice".to_owned(),
        state: pb::VolumeState::Ready.into(),
        size_bytes: 10 << 30,
        etag: format!("etag of {id}"),
        ..pb::Volume::default()
    }
}

fn snapshot(volume: &pb::Volume, seq: u64, name: &str) -> pb::Snapshot {
    pb::Snapshot {
        uuid: format!("uuid of {name}"),
        name: name.to_owned(),
        volume_path: volume.path.clone(),
        volume_id: volume.id,
        owner: "alice".to_owned(),
        seq,
        state: pb::SnapshotState::Done.into(),
        size_bytes: volume.size_bytes,
        ..pb::Snapshot::default()
    }
}

fn with_disks(state: &mut State) {
    state.volumes = vec![disk(2, "/vm/a"), disk(3, "/vm/b"), disk(4, "/vm/c")];
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory as _;
    Cli::command().debug_assert();
}

#[tokio::test]
async fn a_volume_is_created_on_behalf_of_a_user() {
    let fake = Fake::with(|_| {});
    let words = ["create", "/vm/a", "--size", "10G", "--label", "env=prod", "--checksums", "--as", "alice"];
    assert_eq!(said(&fake, &words).await, "created /vm/a, 10.0 GiB\n");
    assert_eq!(said(&fake, &words).await, "/vm/a is there already, 10.0 GiB\n");
    let request = fake.asked::<pb::CreateVolumeRequest>().remove(0);
    assert_eq!((request.user.as_str(), request.size_bytes, request.checksums), ("alice", 10 << 30, true));
    assert_eq!(request.labels["env"], "prod");
    assert!(is_refused(&["create", "vm/a", "--size", "1G"]) && is_refused(&["create", "/vm/a"]));
    assert_eq!(said(&fake, &["mkdir", "/vm"]).await, "created /vm\n");
}

#[tokio::test]
async fn a_list_goes_through_all_pages() {
    let fake = Fake::with(|state| {
        with_disks(state);
        state.volumes[1].path = "/vm/\x1bb".to_owned();
        state.volumes[2].kind = pb::VolumeKind::Directory.into();
        state.volumes[2].entry_count = 7;
    });
    assert_eq!(
        said(&fake, &["list", "/vm"]).await,
        "PATH         SIZE      SNAPSHOTS  OPEN  OWNER  STATE\n\
         /vm/a        10.0 GiB  0          0     alice  ready\n\
         /vm/\\u{1b}b  10.0 GiB  0          0     alice  ready\n\
         /vm/c/       -         -          -     alice  7 entries\n"
    );
    let listed = objects_of(&said(&fake, &["list", "-r", "--usage", "--label", "a=b", "--json"]).await);
    assert_eq!((listed.len(), &listed[0]["state"]), (3, &"ready".into()));
    let request = fake.asked::<pb::ListVolumesRequest>().pop().unwrap();
    assert!(request.recursive && request.with_usage && request.labels["a"] == "b");
    assert!(said(&fake, &["list", "--usage"]).await.starts_with("PATH         SIZE      USED"));
}

#[tokio::test]
async fn a_volume_is_shown_with_its_snapshots_and_who_has_it_open() {
    let fake = Fake::with(|state| {
        with_disks(state);
        state.volumes[0].protected = true;
        state.snapshots = vec![snapshot(&state.volumes[0], 1, "before"), snapshot(&state.volumes[1], 1, "other")];
        let (user, peer) = ("bob".to_owned(), "10.0.0.7:1".to_owned());
        state.exports = vec![pb::Export { user, peer, exclusive: true, read_bytes: 1024, ..Default::default() }];
    });
    let text = said(&fake, &["show", "/vm/a"]).await;
    assert!(
        text.starts_with("/vm/a\n  id             2\n  state          ready\n  size           10.0 GiB\n"),
        "{text}"
    );
    let end = "  @before  10.0 GiB    done\n  open by bob at 10.0.0.7:1: 1.0 KiB read, 0 B written, exclusive\n";
    assert!(text.contains("  options        protected\n") && text.ends_with(end), "{text}");
    assert!(fake.asked::<pb::GetVolumeRequest>()[0].with_usage);
    let shown = objects_of(&said(&fake, &["show", "/vm/a", "--json"]).await).remove(0);
    assert_eq!((&shown["volume"]["id"], &shown["snapshots"][0]["name"]), (&2.into(), &"before".into()));
    assert_eq!(failure(&fake, &["show", "/vm/z"]).await, "refused by the fake (NOT_FOUND)");
}

#[tokio::test]
async fn volumes_are_renamed_and_made_longer() {
    let fake = Fake::with(with_disks);
    assert_eq!(said(&fake, &["resize", "/vm/a", "+2G"]).await, "/vm/a has 12.0 GiB now\n");
    assert_eq!(said(&fake, &["resize", "/vm/a", "20G"]).await, "/vm/a has 20.0 GiB now\n");
    assert_eq!(said(&fake, &["rename", "/vm/a", "/vm/z"]).await, "/vm/a is /vm/z now\n");
}

#[tokio::test]
async fn labels_are_changed_also_when_others_are_quicker() {
    let fake = Fake::with(|state| {
        with_disks(state);
        state.volumes[0].labels =
            [("a", "1"), ("b", "2")].map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        state.quicker = 2;
    });
    assert_eq!(said(&fake, &["label", "/vm/a", "b-", "c=3"]).await, "/vm/a: a=1 c=3\n");
    let requests = fake.asked::<pb::UpdateVolumeRequest>();
    assert_eq!((requests.len(), requests[2].etag.as_str()), (3, "etag of 2"));
    let busy = Fake::with(|state| {
        with_disks(state);
        state.quicker = 100;
    });
    assert_eq!(failure(&busy, &["label", "/vm/a", "c=3"]).await, "refused by the fake (ETAG_MISMATCH)");
    assert_eq!(busy.asked::<pb::UpdateVolumeRequest>().len(), 5);
}

#[tokio::test]
async fn volumes_and_snapshots_are_protected() {
    let fake = Fake::with(|state| {
        with_disks(state);
        state.snapshots = vec![snapshot(&state.volumes[0], 1, "before")];
    });
    let text = said(&fake, &["protect", "/vm/a", "/vm/a@before"]).await;
    assert_eq!(text, "/vm/a is protected\n/vm/a@before is protected\n");
    assert!(fake.look(|state| state.volumes[0].protected && state.snapshots[0].protected));
    assert_eq!(said(&fake, &["unprotect", "/vm/a"]).await, "/vm/a can be deleted\n");
}

#[tokio::test]
async fn what_is_deleted_can_be_brought_back_or_purged() {
    let fake = Fake::with(with_disks);
    // One that is not there does not keep the others.
    let (exit, text) = run(&fake, &["delete", "/vm/a", "/vm/z", "/vm/b"]).await;
    let gone = "/vm/a is in the trash (volume 2)\n/vm/b is in the trash (volume 3)\n";
    assert_eq!((exit, text.as_str()), (Exit::ERROR, gone));
    let trash =
        "ID  WAS    SIZE      OWNER  PURGED\n2   /vm/a  10.0 GiB  alice  never\n3   /vm/b  10.0 GiB  alice  never\n";
    assert_eq!(said(&fake, &["trash"]).await, trash);
    assert_eq!(said(&fake, &["restore", "2"]).await, "restored /vm/a\n");
    assert_eq!(said(&fake, &["restore", "/RecycleBin/3", "--to", "/vm/d"]).await, "restored /vm/d\n");
    assert_eq!(said(&fake, &["purge", "--older-than", "7d"]).await, "purged 2 volumes\n");
    assert_eq!(fake.asked::<pb::PurgeTrashRequest>()[0].older_than.unwrap().seconds, 7 * 24 * 3600);
    assert!(
        is_refused(&["purge"]) && is_refused(&["purge", "--all"]) && is_refused(&["purge", "/a", "--all", "--yes"])
    );
    assert!(!is_refused(&["purge", "--all", "--yes"]));
}

#[tokio::test]
async fn the_tree_goes_from_volumes_over_snapshots_to_clones() {
    let fake = Fake::with(|state| {
        with_disks(state);
        state.volumes[1].parent_snapshot = "uuid of before".to_owned();
        state.volumes[1].state = pb::VolumeState::Flattening.into();
        state.volumes[1].progress_percent = 42;
        state.snapshots = vec![snapshot(&state.volumes[0], 1, "before")];
    });
    let expected = "\
/vm/a  10.0 GiB  ready
└─ @before  10.0 GiB
   └─ /vm/b  10.0 GiB  flattening 42%
/vm/c  10.0 GiB  ready
";
    assert_eq!(said(&fake, &["tree"]).await, expected);
    let entries = objects_of(&said(&fake, &["tree", "--json"]).await);
    assert_eq!((&entries[2]["volume"]["depth"], &entries[2]["volume"]["volume"]["path"]), (&2.into(), &"/vm/b".into()));
}

#[tokio::test]
async fn a_watch_tells_what_is_and_what_changes() {
    let event = |kind: pb::VolumeEventType, volume, revision| pb::VolumeEvent { r#type: kind.into(), volume, revision };
    let fake = Fake::with(|state| {
        state.volume_events = vec![
            event(pb::VolumeEventType::Current, Some(disk(2, "/vm/a")), 7),
            event(pb::VolumeEventType::Progress, None, 8),
            event(pb::VolumeEventType::Purged, Some(disk(2, "/vm/a")), 9),
        ];
        let before = snapshot(&disk(2, "/vm/a"), 1, "before");
        let kind = pb::SnapshotEventType::Changed.into();
        state.snapshot_events = vec![pb::SnapshotEvent { r#type: kind, snapshot: Some(before), revision: 9 }];
    });
    let output = Output::new();
    testing::watch(execute(&fake.url(), &["watch"], &output), &output, |text| text.contains("  gone ")).await;
    assert!(output.text().contains("Z  now      /vm/a  10.0 GiB  ready\n"), "{}", output.text());
    assert_eq!(output.text().lines().count(), 2);
    let output = Output::new();
    let words = ["watch", "--snapshots", "--json", "--from", "5"];
    testing::watch(execute(&fake.url(), &words, &output), &output, |text| text.ends_with('\n')).await;
    let told = objects_of(&output.text());
    assert_eq!((&told[0]["revision"], &told[0]["type"]), (&9.into(), &"changed".into()));
    assert_eq!(fake.asked::<pb::WatchSnapshotsRequest>()[0].revision, 5);
}
