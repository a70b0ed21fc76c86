//! Who has what open, what that keeps others from, and what is read and written over it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::create::CreateVolume;
use super::driver::{LayerId, Repair};
use super::error::Error;
use super::exports::{NbdAddresses, OpenExport};
use super::nbd::{Caller, Exports as _, OpenError, Peer, PeerAddress};
use super::nbd_exports::{NbdAccess, NbdExports, NbdUsers};
use super::open_volume::{Opener, Wish};
use super::scrub::Wrong;
use super::session::Session;
use super::snapshot_delete::Children;
use super::snapshots::{SnapshotFilter, WhichSnapshot};
use super::streams::{Part, ReadVolume};
use super::testing::{GIB, World, at, path, user};
use crate::auth::rights::Scopes;
use crate::auth::{Authenticator, Identity};
use crate::config;

/// A world with a volume `/a` and an NBD port.
async fn world() -> (World, u64) {
    let world = World::new().await;
    let tcp = vec![("127.0.0.1:10809".parse().expect("an address"), false)];
    world.catalog.set_nbd_addresses(NbdAddresses { tcp, unix: Vec::new() });
    let id = create(&world, "/a").await;
    (world, id)
}

/// Makes a volume; returns its id.
async fn create(world: &World, at: &str) -> u64 {
    let what = CreateVolume {
        path: path(at),
        size_bytes: GIB,
        stripe_unit: 0,
        stripe_count: 0,
        pool: String::new(),
        labels: HashMap::new(),
        checksums: false,
    };
    world.catalog.create_volume(&user("ann"), what).await.expect("a volume").0.record.id
}

async fn open(world: &World, wish: Wish) -> Result<Session, Error> {
    world.catalog.open_volume(&at("/a"), Opener { user: user("ann"), ..Opener::server(wish, "test") }).await
}

fn export(exclusive: bool) -> OpenExport {
    let (ttl, caller) = (Duration::from_mins(1), Identity { user: Some("ann".to_owned()), ..Identity::default() });
    OpenExport { volume: at("/a"), snapshot: None, read_only: false, exclusive, ttl, caller }
}

#[tokio::test]
async fn all_sessions_of_a_volume_share_a_view_that_goes_with_the_last() {
    let (world, id) = world().await;
    let first = open(&world, Wish::WriteIfPossible).await.expect("a session");
    let second = open(&world, Wish::Read).await.expect("a session");
    assert_eq!(world.catalog.open.sessions(id), 2);
    assert!(!first.is_read_only() && second.is_read_only());
    let device = second.device().expect("a device");
    let refused = device.write_at(&[1], 0).expect_err("no write");
    assert_eq!(refused.kind(), std::io::ErrorKind::PermissionDenied);
    drop(device);
    drop(first);
    world.settle().await;
    assert!(world.catalog.open.is_used(id));
    drop(second);
    world.settle().await;
    assert!(!world.catalog.open.is_used(id) && world.catalog.open.view(id).is_none());
}

#[tokio::test]
async fn a_volume_that_is_open_or_exported_is_not_deleted() {
    let (world, _) = world().await;
    let session = open(&world, Wish::Read).await.expect("a session");
    let refused = world.catalog.delete_volume(&user("ann"), &at("/a")).await;
    assert!(matches!(refused, Err(Error::VolumeInUse(_))));
    drop(session);
    world.settle().await;
    let export = world.catalog.open_export(&user("ann"), export(false)).await.expect("an export");
    let refused = world.catalog.delete_volume(&user("ann"), &at("/a")).await;
    assert!(matches!(refused, Err(Error::VolumeInUse(_))));
    world.catalog.close_export(&user("ann"), export.uuid).expect("closed");
    world.catalog.delete_volume(&user("ann"), &at("/a")).await.expect("deleted");
    assert!(matches!(open(&world, Wish::Read).await, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn an_export_lives_as_long_as_somebody_keeps_it_alive() {
    let (world, id) = world().await;
    let export = world.catalog.open_export(&user("ann"), export(false)).await.expect("an export");
    assert_eq!(export.uris, [format!("nbd://127.0.0.1:10809/export%3A{}", export.uuid)]);
    world.pass(Duration::from_secs(50));
    world.catalog.keep_export_alive(&user("ann"), export.uuid).await.expect("alive");
    world.pass(Duration::from_secs(50));
    assert!(world.catalog.open.is_used(id));
    let other = world.catalog.keep_export_alive(&user("bob"), export.uuid).await;
    assert!(matches!(other, Err(Error::InvalidUser { .. })));
    world.pass(Duration::from_secs(10));
    assert!(!world.catalog.open.is_used(id));
    let late = world.catalog.keep_export_alive(&user("ann"), export.uuid).await;
    assert!(matches!(late, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn one_caller_has_a_quarter_of_all_exports_at_most() {
    let (world, _) = world().await;
    let eva = Identity { user: Some("eva".to_owned()), ..Identity::default() };
    let export_of = |caller: &Identity| OpenExport { caller: caller.clone(), ..export(false) };
    let first = world.catalog.open_export(&user("ann"), export_of(&eva)).await.expect("an export");
    let _more: Vec<_> = std::iter::from_fn(|| world.catalog.open.place_of_export(&eva).ok()).collect();
    let refused = world.catalog.open_export(&user("ann"), export_of(&eva)).await.expect_err("no export");
    assert_eq!(refused.to_string(), "2500 exports of one caller are open already, which is the limit");
    world.catalog.open_export(&user("ann"), export(false)).await.expect("an export for somebody else");
    world.catalog.close_export(&user("ann"), first.uuid).expect("closed");
    world.catalog.open_export(&user("ann"), export_of(&eva)).await.expect("there is a place again");
}

#[tokio::test]
async fn beside_an_exclusive_export_others_only_read() {
    let (world, _) = world().await;
    let writer = open(&world, Wish::WriteIfPossible).await.expect("a session");
    let refused = world.catalog.open_export(&user("ann"), export(true)).await;
    assert!(matches!(refused, Err(Error::VolumeInUse(_))));
    drop(writer);
    let export = world.catalog.open_export(&user("ann"), export(true)).await.expect("an export");
    assert!(open(&world, Wish::WriteIfPossible).await.expect("a session").is_read_only());
    let opener = Opener { export: Some(export.uuid), ..Opener::server(Wish::WriteIfPossible, "test") };
    let own = world.catalog.open_volume(&at("/a"), opener).await.expect("a session");
    assert!(!own.is_read_only());
    world.catalog.close_export(&user("ann"), export.uuid).expect("closed");
    assert!(own.stop().is_cancelled());
}

#[tokio::test]
async fn exports_and_sessions_are_listed_to_those_whose_they_are() {
    let (world, id) = world().await;
    let session = open(&world, Wish::WriteIfPossible).await.expect("a session");
    session.device().expect("a device").write_at(&[0; 8192], 0).expect("written");
    world.catalog.open_export(&user("ann"), export(false)).await.expect("an export");
    let listed = world.catalog.list_exports(&user("ann"), Some(&at("/a"))).await.expect("a list");
    assert_eq!(listed.len(), 2);
    let shown = listed.iter().find(|shown| shown.expires.is_none()).expect("the session");
    assert_eq!((shown.volume, shown.path.as_str(), shown.written_bytes), (id, "/a", 8192));
    assert!(world.catalog.list_exports(&user("bob"), None).await.expect("a list").is_empty());
    assert_eq!(world.catalog.list_exports(&user("root"), None).await.expect("a list").len(), 2);
}

#[tokio::test]
async fn a_stream_is_written_only_into_a_volume_that_nobody_has_open() {
    let (world, id) = world().await;
    let session = open(&world, Wish::Read).await.expect("a session");
    let refused = world.catalog.write_volume(&user("ann"), &at("/a"), "test").await;
    assert!(matches!(refused, Err(Error::VolumeInUse(_))));
    drop(session);
    world.settle().await;
    let mut writing = world.catalog.write_volume(&user("ann"), &at("/a"), "test").await.expect("a stream");
    assert!(open(&world, Wish::WriteIfPossible).await.expect("a session").is_read_only());
    writing.write(Part::Data(4096, Bytes::from_static(&[7; 100]))).await.expect("written");
    writing.write(Part::Zeros(0, 4096)).await.expect("written");
    let beyond = writing.write(Part::Zeros(GIB, 1)).await;
    assert!(matches!(beyond, Err(Error::SizeOutOfRange(_))));
    assert_eq!(writing.finish().await.expect("durable"), 100);
    world.settle().await;
    assert!(!world.catalog.open.is_used(id));
}

#[tokio::test]
async fn a_volume_in_use_is_read_from_a_snapshot_that_nobody_is_left_with() {
    let (world, _) = world().await;
    let session = open(&world, Wish::WriteIfPossible).await.expect("a session");
    let what = ReadVolume { volume: at("/a"), snapshot: None, offset: 4096, length: 0 };
    let mut reading = world.catalog.read_volume(&user("ann"), what, "test").await.expect("a stream");
    assert_eq!((reading.size, reading.data_bytes), (GIB, 0));
    let hidden = SnapshotFilter { with_hidden: true, is_deleting: Some(false), ..SnapshotFilter::default() };
    let count = async || world.catalog.list_snapshots(&user("root"), &hidden, 0, 10).await.expect("a list").1;
    assert_eq!(count().await, 1);
    assert_eq!(reading.next().await.expect("a part"), Some(Part::Zeros(4096, GIB - 4096)));
    assert_eq!(reading.next().await.expect("the end"), None);
    drop(reading);
    world.settle().await;
    assert_eq!(count().await, 0);
    drop(session);
}

#[tokio::test]
async fn who_goes_away_before_a_stream_begins_leaves_no_snapshot() {
    let (world, _) = world().await;
    let session = open(&world, Wish::WriteIfPossible).await.expect("a session");
    let what = ReadVolume { volume: at("/a"), snapshot: None, offset: 0, length: 0 };
    let ann = user("ann");
    {
        let mut reading = std::pin::pin!(world.catalog.read_volume(&ann, what, "test"));
        assert!(futures::poll!(&mut reading).is_pending());
    }
    // One task begins the next one, so there may be moments without any.
    let gone = async {
        loop {
            world.settle().await;
            if hidden(&world).await.is_empty() {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), gone).await.expect("the snapshot is let go");
    drop(session);
}

#[tokio::test]
async fn a_snapshot_that_somebody_has_open_is_not_deleted_and_keeps_its_layers() {
    let (world, _) = world().await;
    let what = super::snapshot_create::CreateSnapshot { name: "s".to_owned(), ..Default::default() };
    let made = world.catalog.create_snapshot(&user("ann"), at("/a"), what).await.expect("a snapshot");
    let layer = made.snapshots[0].record.layer;
    let session = world.catalog.open_snapshot(&at("/a"), "s", Opener::server(Wish::Read, "test")).await;
    let session = session.expect("a session");
    assert!(world.catalog.busy_layers.contains(layer));

    let which = WhichSnapshot::Named(path("/a"), "s".to_owned());
    let refused = world.catalog.delete_snapshot(&user("ann"), &which, Children::Fail).await;
    assert!(matches!(refused, Err(Error::SnapshotInUse(_))));

    drop(session);
    world.settle().await;
    assert!(!world.catalog.busy_layers.contains(layer));
    world.catalog.delete_snapshot(&user("ann"), &which, Children::Fail).await.expect("nobody has it open");
    let late = world.catalog.open_snapshot(&at("/a"), "s", Opener::server(Wish::Read, "test")).await;
    assert!(matches!(late, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn a_hidden_snapshot_is_nobodys_to_name_and_stays_while_it_is_read() {
    let (world, _) = world().await;
    let record = world.catalog.hidden_snapshot(&at("/a"), "read").await.expect("a snapshot");
    let uuid = super::operation::uuid_of(&record.uuid).expect("a UUID");
    let opened = world.catalog.open_snapshot(&at("/a"), &record.uuid, Opener::server(Wish::Read, "test")).await;
    assert!(matches!(opened, Err(Error::NotFound(_))));
    let read = world.catalog.get_snapshot(&user("root"), &WhichSnapshot::Uuid(uuid)).await;
    assert!(matches!(read, Err(Error::NotFound(_))));

    let session = world.catalog.open_hidden(&record, "test").await.expect("a session");
    let another = super::snapshot_create::CreateSnapshot { name: "s".to_owned(), ..Default::default() };
    world.catalog.create_snapshot(&user("ann"), at("/a"), another).await.expect("a snapshot");
    world.catalog.drop_hidden(&record).await.expect("let go");
    world.catalog.tidy_all().await.expect("tidied");
    assert!(world.driver.size_of(record.layer).is_some(), "it is read");
    drop(session);
    world.settle().await;
    world.catalog.tidy_all().await.expect("tidied");
    assert_eq!(hidden(&world).await.len(), 0);
}

#[tokio::test]
async fn a_write_that_nobody_waits_for_any_more_is_over_before_its_volume_is_closed() {
    let (world, id) = world().await;
    let mut writing = world.catalog.write_volume(&user("ann"), &at("/a"), "test").await.expect("a stream");
    let gate = world.driver.stop_writers();
    let come = Arc::clone(&gate);
    let stream = tokio::spawn(async move { writing.write(Part::Data(0, Bytes::from_static(&[7; 100]))).await });
    tokio::task::spawn_blocking(move || come.wait()).await.expect("it is about to write");
    stream.abort();
    assert!(stream.await.expect_err("cancelled").is_cancelled());
    assert!(matches!(open(&world, Wish::WriteAlone).await, Err(Error::VolumeInUse(_))));
    tokio::task::spawn_blocking(move || gate.wait()).await.expect("it writes");
    eventually(|| !world.catalog.open.is_used(id)).await;
    open(&world, Wish::WriteAlone).await.expect("nobody writes any more");
}

/// Waits until something is so that the end of a task makes so.
async fn eventually(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::task::yield_now().await;
    }
}

/// The snapshots that nobody sees and that are not being deleted.
async fn hidden(world: &World) -> Vec<super::snapshots::ShownSnapshot> {
    let filter = SnapshotFilter { with_hidden: true, is_deleting: Some(false), ..SnapshotFilter::default() };
    let (all, _) = world.catalog.list_snapshots(&user("root"), &filter, 0, 10).await.expect("a list");
    all.into_iter().filter(|shown| shown.record.hidden).collect()
}

/// Users with these rights.
fn users(rights: &str) -> NbdAccess {
    let auth = config::Auth { rights: rights.to_owned(), ..config::Auth::default() };
    let authenticator = Authenticator::from_config(&auth).expect("rights");
    NbdAccess::Users(NbdUsers { certificates: auth.certificates, authenticator })
}

#[tokio::test]
async fn a_client_of_nbd_with_a_certificate_opens_what_its_user_may() {
    let (world, _) = world().await;
    create(&world, "/b").await;
    for volume in ["/a", "/b"] {
        let what = super::snapshot_create::CreateSnapshot { name: "s".to_owned(), ..Default::default() };
        world.catalog.create_snapshot(&user("ann"), at(volume), what).await.expect("a snapshot");
    }
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name.push(rcgen::DnType::CommonName, "eva");
    let certificate = params.self_signed(&rcgen::KeyPair::generate().expect("a key")).expect("a certificate");
    let eva = Peer { address: PeerAddress::Unix, certificate: Some(certificate.der().to_vec()) };
    let nbd = |right: &str| NbdExports::new(world.catalog.clone(), users(&format!("eva volume a {right}")));

    for (right, is_read_only) in [("read", true), ("read,write", false)] {
        let session = nbd(right).open("a", &eva).await.expect("a session");
        assert_eq!(session.device.is_read_only(), is_read_only, "{right}");
        drop(session);
        let session = nbd("read").open("a@s", &eva).await.expect("a session");
        assert!(session.device.is_read_only());
        let listed = nbd("read").list(&eva).await;
        assert_eq!(listed.into_iter().map(|listed| listed.name).collect::<Vec<_>>(), ["/a"]);
    }
    for name in ["b", "b@s", "nothing", "nothing@s"] {
        let refused = nbd("admin").open(name, &eva).await.expect_err("no session");
        assert!(matches!(refused, OpenError::Denied(_)), "{name}: what is there is not told: {refused}");
    }
    assert_eq!(nbd("read").caller("b", &eva), Caller { user: "eva".to_owned(), proof: "certificate" });
    let stranger = Peer { address: PeerAddress::Unix, certificate: None };
    assert_eq!(nbd("read").caller("a", &stranger), Caller::default());
    assert!(matches!(nbd("read,write").open("a", &stranger).await, Err(OpenError::Denied(_))));
}

#[tokio::test]
async fn a_client_of_nbd_names_a_volume_a_snapshot_or_an_export() {
    let (world, _) = world().await;
    let what = super::snapshot_create::CreateSnapshot { name: "s".to_owned(), ..Default::default() };
    world.catalog.create_snapshot(&user("ann"), at("/a"), what).await.expect("a snapshot");
    let peer = Peer { address: PeerAddress::Unix, certificate: None };
    let everybody = NbdExports::new(world.catalog.clone(), NbdAccess::Everybody);
    for (name, is_read_only) in [("a", false), ("/a", false), ("/a@s", true)] {
        let session = everybody.open(name, &peer).await.expect("a session");
        assert_eq!(session.device.is_read_only(), is_read_only, "{name}");
    }
    for name in ["", "b", "/a@t", "export:7", "clone"] {
        let refused = everybody.open(name, &peer).await.expect_err("no session");
        assert!(matches!(refused, OpenError::Unknown(_)), "{name}");
    }
    let names: Vec<String> = everybody.list(&peer).await.into_iter().map(|listed| listed.name).collect();
    assert_eq!(names, ["/a"]);
    let export = world.catalog.open_export(&user("ann"), export(false)).await.expect("an export");
    let closed = NbdExports::new(world.catalog.clone(), users("ann volume * read,write"));
    assert!(matches!(closed.open("a", &peer).await, Err(OpenError::Denied(_))));
    assert!(closed.list(&peer).await.is_empty());
    for name in [format!("export:{}", export.uuid), format!("a?export={}", export.uuid)] {
        let session = closed.open(&name, &peer).await.expect("a session");
        assert!(!session.device.is_read_only());
        assert!(!session.shown_name.contains(&export.uuid.to_string()), "{}", session.shown_name);
        assert_eq!(closed.caller(&name, &peer), Caller { user: "ann".to_owned(), proof: "export" });
    }
}

#[tokio::test]
async fn an_export_opens_what_its_user_may_open_at_that_time() {
    let (world, _) = world().await;
    let what = super::snapshot_create::CreateSnapshot { name: "s".to_owned(), ..Default::default() };
    world.catalog.create_snapshot(&user("ann"), at("/a"), what).await.expect("a snapshot");
    let peer = Peer { address: PeerAddress::Unix, certificate: None };
    let caller = Identity { user: Some("eva".to_owned()), groups: vec!["ops".to_owned()], ..Identity::default() };
    let scopes = |scope: &str| Some(Arc::new(Scopes::parse([scope]).expect("scopes")));
    let scoped = Identity { scopes: scopes("volume:a:read"), ..caller.clone() };
    let export = async |caller: &Identity| {
        let what = OpenExport { caller: caller.clone(), ..export(false) };
        world.catalog.open_export(&user("ann"), what).await.expect("an export").uuid
    };
    let (whole, narrow) = (export(&caller).await, export(&scoped).await);
    let opens = async |rights: &str, name: String| {
        let session = NbdExports::new(world.catalog.clone(), users(rights)).open(&name, &peer).await;
        session.map(|session| session.device.is_read_only())
    };
    for name in [format!("export:{whole}"), format!("a?export={whole}")] {
        let (both, read) = ("@ops volume a read,write as ann", "eva volume a read as ann");
        assert!(matches!(opens(both, name.clone()).await, Ok(false)), "{name}");
        assert!(matches!(opens(read, name.clone()).await, Ok(true)), "{name}");
        for none in ["eva volume a read", "eva volume b admin", "ann volume a admin", "eva volume a write as ann"] {
            assert!(matches!(opens(none, name.clone()).await, Err(OpenError::Denied(_))), "{name}: {none}");
        }
    }
    let snapshot = format!("a@s?export={whole}");
    assert!(matches!(opens("eva volume a read as ann", snapshot.clone()).await, Ok(true)));
    assert!(matches!(opens("eva volume b read as ann", snapshot).await, Err(OpenError::Denied(_))));
    assert!(matches!(opens("eva volume a admin", format!("export:{narrow}")).await, Ok(true)), "its scope is to read");
}

#[tokio::test]
async fn an_export_opens_snapshots_of_its_own_volume_alone_and_ends_them() {
    let (world, _) = world().await;
    create(&world, "/b").await;
    for (volume, name) in [("/a", "s"), ("/a", "t"), ("/b", "s")] {
        let what = super::snapshot_create::CreateSnapshot { name: name.to_owned(), ..Default::default() };
        world.catalog.create_snapshot(&user("ann"), at(volume), what).await.expect("a snapshot");
    }
    let peer = Peer { address: PeerAddress::Unix, certificate: None };
    let nbd = NbdExports::new(world.catalog.clone(), users("ann volume * read,write"));
    let volume = world.catalog.open_export(&user("ann"), export(false)).await.expect("an export").uuid;
    let of_snapshot = OpenExport { snapshot: Some("s".to_owned()), ..export(false) };
    let snapshot = world.catalog.open_export(&user("ann"), of_snapshot).await.expect("an export").uuid;

    for name in [format!("b@s?export={volume}"), format!("b@s?export={snapshot}"), format!("a@t?export={snapshot}")] {
        let refused = nbd.open(&name, &peer).await.expect_err("no session");
        assert!(matches!(refused, OpenError::Unknown(_)), "{name}: {refused}");
    }
    for (export, name) in [(volume, "a@t"), (snapshot, "a@s")] {
        let session = nbd.open(&format!("{name}?export={export}"), &peer).await.expect("a session");
        assert!(session.device.is_read_only());
        world.catalog.close_export(&user("ann"), export).expect("closed");
        assert!(session.stop.is_cancelled(), "{name} ends with its export");
    }
}

#[tokio::test]
async fn a_scrub_finds_and_mends_wrong_counts_and_names_layers_that_nobody_knows() {
    let (world, id) = world().await;
    let top = world.record(id).await.expect("a volume").top_layer;
    let mut layer = crate::store::tx::Tx::new(world.store()).layer(top).await.expect("a layer");
    layer.child_count = 3;
    let wrong = &layer;
    let put = world.catalog.decide("a layer", |mut tx| async move {
        tx.put_layer(wrong);
        Ok(tx.answer(()))
    });
    put.await.expect("a wrong record");
    world.driver.set_used(9999, 1);
    let mut found = Vec::new();
    let mut steps = world.catalog.scrub(&user("root"), None, Repair::Yes).await.expect("a scrub");
    while let Some(step) = steps.recv().await {
        let step = step.expect("a step");
        found.extend(step.findings.into_iter().map(|finding| (finding.kind, finding.layer, finding.is_repaired)));
    }
    assert_eq!(found, [(Wrong::ReferenceCount, LayerId(top), true), (Wrong::OrphanLayer, LayerId(9999), false)]);
    assert_eq!(crate::store::tx::Tx::new(world.store()).layer(top).await.expect("a layer").child_count, 0);
}
