use std::sync::Arc;
use std::time::Duration;

use super::super::super::factory::TargetFactory;
use super::super::super::testing::{CHUNK, Counting, Kept, Memory, limits};
use super::super::super::{BlobRef, TargetError};
use super::super::fake::{Do, Fake, Manners};
use super::{push, push_from, push_with, target_by, target_of};

fn keeping() -> Manners {
    Manners { keeps_broken_uploads: true, ..Manners::default() }
}

fn has(fake: &Fake, name: &str, source: &Memory) -> bool {
    fake.with(|state| state.blobs.get(&format!("{name}@{}", source.blob().digest)) == Some(&source.0))
}

#[tokio::test]
async fn a_blob_goes_in_chunks_and_each_is_noted() {
    let fake = Fake::start(Manners::default()).await;
    let target = target_by(&super::factory(), &format!("{}/mirror/", fake.url()), "", "").await;
    let source = Memory::of(3 * CHUNK + 17);
    let (sessions, meter) = (Kept::default(), Counting::default());

    let pushed = push_with(&*target, &source, &sessions, &meter).await.unwrap();

    assert!(has(&fake, "mirror/nginx", &source));
    assert_eq!((pushed.sent, pushed.resumed_from, pushed.mounted), (source.blob().size, 0, false));
    assert_eq!(meter.sent_bytes(), source.blob().size);
    let offsets: Vec<u64> = sessions.saved.lock().iter().map(|session| session.offset).collect();
    assert_eq!(offsets, [CHUNK, 2 * CHUNK, 3 * CHUNK, 3 * CHUNK + 17]);
    assert!(sessions.now.lock().is_empty(), "a finished upload is forgotten");
}

#[tokio::test]
async fn a_blob_that_fits_into_a_chunk_needs_two_requests() {
    let fake = Fake::start(Manners { relative_locations: true, ..Manners::default() }).await;
    let target = target_of(&fake).await;
    for length in [0, 1, CHUNK] {
        let before = fake.with(|state| state.seen.len());
        let source = Memory::of(length);
        push(&*target, &source).await.unwrap();
        assert!(has(&fake, "nginx", &source));
        assert_eq!(fake.with(|state| state.seen.len()) - before, 2, "{length} bytes");
    }
}

#[tokio::test]
async fn a_cut_inside_of_a_chunk_costs_at_most_that_chunk_if_the_registry_keeps_the_upload() {
    let fake = Fake::start(keeping()).await;
    let target = target_of(&fake).await;
    let source = Memory::of(5 * CHUNK);
    let meter = Counting::default();
    fake.on("POST", Do::Answer(500, vec![], String::new()));
    fake.on("PATCH", Do::Cut(10_000));

    let pushed = push_with(&*target, &source, &Kept::default(), &meter).await.unwrap();

    assert!(has(&fake, "nginx", &source));
    assert!(pushed.sent <= source.blob().size + CHUNK, "{} bytes were sent", pushed.sent);
    assert_eq!(meter.sent_bytes(), pushed.sent);
    assert_eq!(meter.log.lock().len(), 2, "each failure is told: {:?}", meter.log.lock());
}

#[tokio::test]
async fn an_answer_that_is_lost_costs_nothing() {
    let fake = Fake::start(keeping()).await;
    let target = target_of(&fake).await;
    let source = Memory::of(3 * CHUNK);
    fake.on("PATCH", Do::ThenCut);
    let pushed = push(&*target, &source).await.unwrap();
    assert!(has(&fake, "nginx", &source));
    assert_eq!(pushed.sent, source.blob().size);
}

#[tokio::test]
async fn an_upload_that_the_registry_forgets_begins_anew() {
    let fake = Fake::start(Manners::default()).await;
    let target = target_of(&fake).await;
    let source = Memory::of(3 * CHUNK);
    push(&*target, &Memory::of(1)).await.unwrap();
    fake.on("PATCH", Do::Cut(10_000));
    let pushed = push(&*target, &source).await.unwrap();
    assert!(has(&fake, "nginx", &source));
    assert!(pushed.sent <= source.blob().size + CHUNK);
}

#[tokio::test]
async fn a_registry_that_forgets_every_upload_is_given_up() {
    let fake = Fake::start(Manners::default()).await;
    let target = target_of(&fake).await;
    for _ in 0..20 {
        fake.on("PATCH", Do::Answer(404, vec![], String::new()));
    }
    let sessions = Kept::default();
    let error = push_with(&*target, &Memory::of(3 * CHUNK), &sessions, &Counting::default()).await.unwrap_err();
    assert!(matches!(error, TargetError::Refused(_)), "{error:?}");
    assert!(fake.seen("PATCH").len() <= 5);
}

#[tokio::test]
async fn a_blob_whose_end_was_heard_is_not_sent_again() {
    let fake = Fake::start(Manners::default()).await;
    let target = target_of(&fake).await;
    let source = Memory::of(2 * CHUNK);
    fake.on("PUT", Do::ThenCut);
    let pushed = push(&*target, &source).await.unwrap();
    assert!(has(&fake, "nginx", &source));
    assert_eq!(pushed.sent, source.blob().size);
}

#[tokio::test]
async fn a_later_run_goes_on_where_the_one_before_was_broken_off() {
    let fake = Fake::start(Manners::default()).await;
    let target = target_of(&fake).await;
    let source = Memory::of(4 * CHUNK);
    let sessions = Kept::default();
    fake.on("PATCH /v2/nginx/blobs/uploads/upload-1?_state=secret-2", Do::Answer(403, vec![], String::new()));
    let error = push_with(&*target, &source, &sessions, &Counting::default()).await.unwrap_err();
    assert!(matches!(error, TargetError::Denied(_)), "{error:?}");

    let after_a_restart = target_of(&fake).await;
    let pushed = push_with(&*after_a_restart, &source, &sessions, &Counting::default()).await.unwrap();

    assert!(has(&fake, "nginx", &source));
    assert_eq!((pushed.resumed_from, pushed.sent), (2 * CHUNK, 2 * CHUNK));
}

#[tokio::test]
async fn a_blob_is_taken_from_another_image_if_the_registry_can() {
    let fake = Fake::start(Manners { mounts: true, ..Manners::default() }).await;
    let target = target_of(&fake).await;
    let source = Memory::of(2 * CHUNK);
    fake.with(|state| state.blobs.insert(format!("redis@{}", source.blob().digest), source.0.clone()));
    let from = ["redis".to_owned()];
    let (sessions, meter) = (Kept::default(), Counting::default());
    let pushed = push_from(&*target, &source, &sessions, &meter, &from).await.unwrap();
    assert!(has(&fake, "nginx", &source));
    assert_eq!((pushed.sent, pushed.mounted), (0, true));

    let other = Memory::of(CHUNK + 1);
    let pushed = push_from(&*target, &other, &sessions, &meter, &from).await.unwrap();
    assert_eq!((pushed.sent, pushed.mounted), (CHUNK + 1, false));
    assert_eq!(fake.seen("POST").len(), 2, "the answer to what cannot be mounted is an upload");
}

#[tokio::test]
async fn a_few_images_are_asked_for_a_blob_and_no_upload_is_left_behind() {
    let fake = Fake::start(Manners { mounts: true, ..Manners::default() }).await;
    let target = target_of(&fake).await;
    let (source, other) = (Memory::of(2 * CHUNK), Memory::of(CHUNK + 1));
    fake.with(|state| state.blobs.insert(format!("redis@{}", source.blob().digest), source.0.clone()));
    let (sessions, meter) = (Kept::default(), Counting::default());
    let from = ["gone", "lost", "redis", "never-asked"].map(str::to_owned);
    let pushed = push_from(&*target, &source, &sessions, &meter, &from).await.unwrap();
    assert_eq!((pushed.sent, pushed.mounted), (0, true));
    assert!(has(&fake, "nginx", &source));
    assert_eq!((fake.seen("POST").len(), fake.seen("DELETE").len(), fake.uploads()), (3, 2, 0));

    let pushed = push_from(&*target, &other, &sessions, &meter, &from).await.unwrap();
    assert_eq!((pushed.sent, pushed.mounted), (CHUNK + 1, false));
    assert_eq!((fake.seen("POST").len(), fake.seen("DELETE").len(), fake.uploads()), (6, 4, 0));
}

#[tokio::test]
async fn chunks_are_as_long_as_the_registry_wants_them() {
    let fake = Fake::start(Manners { min_chunk: Some(2 * CHUNK), ..Manners::default() }).await;
    let target = target_of(&fake).await;
    push(&*target, &Memory::of(5 * CHUNK)).await.unwrap();
    let lengths: Vec<usize> = fake.seen("PATCH").iter().map(|seen| seen.bytes).collect();
    let chunk = usize::try_from(CHUNK).unwrap();
    assert_eq!(lengths, [2 * chunk, 2 * chunk, chunk]);

    let greedy = Fake::start(Manners { min_chunk: Some(1 << 40), ..Manners::default() }).await;
    let error = push(&*target_of(&greedy).await, &Memory::of(5 * CHUNK)).await.unwrap_err();
    assert!(matches!(error, TargetError::Refused(_)), "{error:?}");
}

#[tokio::test]
async fn blobs_that_are_there_are_not_missing() {
    let fake = Fake::start(Manners::default()).await;
    let target = target_of(&fake).await;
    let blobs: Vec<BlobRef> = (0..30).map(|length| Memory::of(length).blob()).collect();
    for blob in blobs.iter().step_by(3) {
        fake.with(|state| state.blobs.insert(format!("nginx@{}", blob.digest), bytes::Bytes::new()));
    }
    let missing = target.missing_blobs("nginx", &blobs).await.unwrap();
    let expected: Vec<&BlobRef> =
        blobs.iter().enumerate().filter(|(at, _)| at % 3 != 0).map(|(_, blob)| blob).collect();
    assert_eq!(missing, expected);
}

#[tokio::test]
async fn what_has_other_bytes_than_its_digest_says_is_a_mismatch_and_leaves_no_upload_behind() {
    let fake = Fake::start(Manners::default()).await;
    let target = target_of(&fake).await;
    let source = Memory::of(2 * CHUNK);
    let blob = BlobRef { digest: Memory::of(7).blob().digest, ..source.blob() };
    let (sessions, meter) = (Kept::default(), Counting::default());
    let push = super::BlobPush {
        image: "nginx",
        blob: &blob,
        mount_from: &[],
        source: &source,
        sessions: &sessions,
        meter: &meter,
    };
    let error = target.push_blob(push).await.unwrap_err();
    assert!(matches!(error, TargetError::Mismatch(_)), "{error:?}");
    assert!(sessions.now.lock().is_empty());
    assert!(!error.to_string().contains("secret"), "{error}");
}

/// A source that ends before it should.
struct Short(Memory);
#[async_trait::async_trait]
impl super::super::super::BlobSource for Short {
    async fn read(
        &self,
        offset: u64,
        _length: u64,
    ) -> Result<futures::stream::BoxStream<'static, Result<bytes::Bytes, TargetError>>, TargetError> {
        self.0.read(offset, CHUNK.saturating_sub(offset)).await
    }
}

#[tokio::test]
async fn a_source_that_ends_early_is_told_of() {
    let fake = Fake::start(Manners::default()).await;
    let target = target_of(&fake).await;
    let source = Short(Memory::of(2 * CHUNK));
    let blob = source.0.blob();
    let (sessions, meter) = (Kept::default(), Counting::default());
    let push = super::BlobPush {
        image: "nginx",
        blob: &blob,
        mount_from: &[],
        source: &source,
        sessions: &sessions,
        meter: &meter,
    };
    let error = target.push_blob(push).await.unwrap_err();
    assert!(matches!(error, TargetError::Source(_)), "{error:?}");
}

#[tokio::test]
async fn a_run_that_is_stopped_does_not_wait_for_the_target() {
    let fake = Fake::start(Manners::default()).await;
    let target = target_of(&fake).await;
    let meter = Arc::new(Counting::default());
    fake.on("PATCH", Do::Hang);
    let work = {
        let meter = Arc::clone(&meter);
        tokio::spawn(async move {
            let sessions = Kept::default();
            push_with(&*target, &Memory::of(2 * CHUNK), &sessions, &meter).await
        })
    };
    while fake.seen("PATCH").is_empty() {
        tokio::task::yield_now().await;
    }
    meter.stop.cancel();
    assert_eq!(work.await.unwrap(), Err(TargetError::Cancelled));
}

#[tokio::test]
async fn a_registry_that_falls_silent_is_given_up() {
    let fake = Fake::start(Manners::default()).await;
    let mut limits = limits(Arc::default());
    limits.idle_timeout = Duration::from_millis(100);
    limits.attempts = 1;
    let factory = TargetFactory::with_limits(limits, Duration::ZERO);
    let target = target_by(&factory, &fake.url(), "", "").await;
    fake.on("GET /v2/", Do::Hang);
    let error = target.prepare().await.unwrap_err();
    assert!(matches!(&error, TargetError::Unreachable(text) if text.contains("silent")), "{error:?}");
}
