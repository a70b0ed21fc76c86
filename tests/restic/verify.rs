//! Damage is found, told and put right where it can be.

use std::fs;
use std::path::PathBuf;

use steward_proto::restic::v1::finding::Problem;
use steward_proto::restic::v1::{ObjectKey, ObjectType};

use crate::command::{self, Said};
use crate::common::server::{Server, Setup};
use crate::native::{Objects, Repair};
use crate::tree::file_of;
use crate::vocabulary::{Blob, Repo, assert_ok, blob, noise};

const CONFIG: &[u8] = b"the config";

struct Filled {
    server: Server,
    repo: Repo,
    blobs: [Blob; 3],
}

impl Filled {
    async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    async fn with(setup: Setup) -> Self {
        let server = setup.start().await;
        let repo = Repo::at(server.http(), "/restic/a/");
        assert_ok(&repo.post("config", CONFIG).await);
        let blobs = [1, 2, 3].map(|seed| blob(noise(seed, 100_000)));
        for blob in &blobs {
            repo.store("data", blob).await;
        }
        Filled { server, repo, blobs }
    }

    fn file(&self, number: usize) -> PathBuf {
        file_of(&self.server.data().join("restic/a"), "data", &self.blobs[number].name)
    }

    /// As a bad disk would: the size stays.
    fn flip_a_byte(&self, number: usize) {
        let mut bytes = fs::read(self.file(number)).expect("the file");
        bytes[77_777] ^= 1;
        let file = self.file(number);
        let mut permissions = fs::metadata(&file).expect("the file").permissions();
        #[expect(clippy::permissions_set_readonly_false, reason = "a file of the test's own")]
        permissions.set_readonly(false);
        fs::set_permissions(&file, permissions).expect("the file can be made writable");
        fs::write(file, bytes).expect("the file can be written");
    }

    /// What is wrong, with which object.
    async fn findings(&self, repair: Repair) -> Vec<(Problem, String)> {
        let (findings, progress) = Objects::of(&self.server).verify("a", repair).await;
        assert_eq!(usize::try_from(progress.finding_count).expect("few"), findings.len());
        let name = |key: Option<ObjectKey>| key.map(|key| key.name).unwrap_or_default();
        findings.into_iter().map(|finding| (finding.problem(), name(finding.key))).collect()
    }
}

async fn verify(server: &Server, args: &[&str]) -> Said {
    command::restic(server, &[&["verify"], args].concat()).await
}

#[tokio::test]
async fn a_sound_repository_is_found_sound() {
    let filled = Filled::start().await;
    let (findings, progress) = Objects::of(&filled.server).verify("a", Repair::NotWanted).await;
    assert_eq!(findings, []);
    // The config counts.
    assert_eq!((progress.object_count, progress.object_bytes), (4, 300_010));
    assert_eq!((progress.total_count, progress.total_bytes), (4, 300_010));
    assert_eq!(verify(&filled.server, &["a"]).await.code, Some(0));
}

#[tokio::test]
async fn a_flipped_bit_is_found() {
    let filled = Filled::start().await;
    filled.flip_a_byte(1);

    assert_eq!(filled.findings(Repair::NotWanted).await, [(Problem::Damaged, filled.blobs[1].name.clone())]);

    let output = verify(&filled.server, &["a"]).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.out.contains(&filled.blobs[1].name), "{output:?}");
}

#[tokio::test]
async fn a_file_that_is_gone_is_missed() {
    let filled = Filled::start().await;
    // It is verified against what the index knows: so the directory must not have been looked at in between.
    fs::remove_file(filled.file(0)).expect("the file");

    assert_eq!(filled.findings(Repair::NotWanted).await, [(Problem::Missing, filled.blobs[0].name.clone())]);
}

#[tokio::test]
async fn a_file_that_is_cut_short_is_damaged() {
    let filled = Filled::start().await;
    let file = filled.file(2);
    let bytes = fs::read(&file).expect("the file");
    fs::remove_file(&file).expect("the file");
    fs::write(&file, &bytes[..50_000]).expect("a file can be written");

    assert_eq!(filled.findings(Repair::NotWanted).await, [(Problem::Damaged, filled.blobs[2].name.clone())]);
}

/// restic cannot open such a repository, so nothing may say that it was put right.
#[tokio::test]
async fn a_config_that_is_gone_is_missed_and_no_repair_brings_it() {
    let filled = Filled::start().await;
    fs::remove_file(filled.server.data().join("restic/a/config")).expect("the file");

    for repair in [Repair::NotWanted, Repair::Wanted] {
        let (findings, _) = Objects::of(&filled.server).verify("a", repair).await;
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!(findings[0].problem(), Problem::Missing);
        assert_eq!(findings[0].key.as_ref().map(ObjectKey::r#type), Some(ObjectType::Config));
        assert!(!findings[0].repaired && !findings[0].restored, "{findings:?}");
    }
    assert_eq!(verify(&filled.server, &["a"]).await.code, Some(1));
}

#[tokio::test]
async fn a_repository_of_nothing_lacks_nothing() {
    let server = Server::start().await;
    Repo::at(server.http(), "/restic/new/").create().await;
    let (findings, _) = Objects::of(&server).verify("new", Repair::NotWanted).await;
    assert_eq!(findings, []);
    assert_eq!(verify(&server, &["new"]).await.code, Some(0));
}

#[tokio::test]
async fn what_is_no_object_is_told() {
    let filled = Filled::start().await;
    let stray = filled.file(0).with_file_name("notes.txt");
    fs::write(&stray, "not restic's").expect("a file can be written");

    let (findings, _) = Objects::of(&filled.server).verify("a", Repair::NotWanted).await;

    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].problem(), Problem::Foreign);
    assert!(findings[0].detail.contains("notes.txt"), "{}", findings[0].detail);
}

#[tokio::test]
async fn after_a_repair_restic_is_no_longer_told_what_is_not_so() {
    let filled = Filled::start().await;
    filled.flip_a_byte(0);
    fs::remove_file(filled.file(1)).expect("the file");

    let mut found = filled.findings(Repair::Wanted).await;

    found.sort_by_key(|(problem, _)| *problem as i32);
    let names = filled.blobs.each_ref().map(|blob| blob.name.clone());
    assert_eq!(found, [(Problem::Damaged, names[0].clone()), (Problem::Missing, names[1].clone())]);
    assert_eq!(filled.repo.names("data").await, [names[2].clone()]);
    assert_eq!(filled.findings(Repair::NotWanted).await, []);
    // A new backup may bring the bytes again.
    filled.repo.store("data", &filled.blobs[0]).await;
    filled.repo.store("data", &filled.blobs[1]).await;
    assert_eq!(filled.findings(Repair::NotWanted).await, []);
}

#[tokio::test]
async fn a_repair_takes_a_good_copy_from_what_was_deleted() {
    let filled = Filled::with(Setup::default().config("[restic]\nundelete = \"1h\"")).await;
    let path = format!("data/{}", filled.blobs[0].name);
    assert_ok(&filled.repo.delete(&path).await);
    filled.repo.store("data", &filled.blobs[0]).await;
    filled.flip_a_byte(0);

    let (findings, _) = Objects::of(&filled.server).verify("a", Repair::Wanted).await;

    assert!(findings.len() == 1 && findings[0].repaired && findings[0].restored, "{findings:?}");
    assert!(filled.repo.get(&path).await.body == filled.blobs[0].bytes);
    assert_eq!(verify(&filled.server, &["a"]).await.code, Some(0));
}

#[tokio::test]
async fn the_command_repairs_when_told_to() {
    let filled = Filled::start().await;
    filled.flip_a_byte(0);
    verify(&filled.server, &["a", "--repair"]).await;
    assert_eq!(filled.repo.list("data").await.len(), 2);
    assert_eq!(verify(&filled.server, &["a"]).await.code, Some(0));
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_no_success() {
    let filled = Filled::start().await;
    let output = verify(&filled.server, &["nowhere"]).await;
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(output.err.contains("nowhere"), "{output:?}");
}
