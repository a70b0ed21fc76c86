//! Sends an image.

use std::io;
use std::pin::pin;

use futures::{Stream, stream};
use steward_proto::volume::v1 as pb;
use steward_proto::volume::v1::write_volume_request::Part as Message;
use tokio::sync::{mpsc, oneshot};

use crate::cli::error::Error;
use crate::cli::progress::Progress;
use crate::cli::volume::image::{Part, Source};
use crate::cli::volume::name::VolumePath;
use crate::cli::volume::session::Session;

/// How many parts may wait to be sent: no more memory is needed than these take.
const WAITING_PARTS: usize = 8;

/// Sends `source`. Returns how many bytes went as data, when all are durable.
pub(super) async fn upload(source: Source, path: &VolumePath, session: &Session<'_>) -> Result<u64, Error> {
    let progress = Progress::stderr();
    progress.begin(&path.to_string(), source.size().unwrap_or_default());
    let (sender, parts) = mpsc::channel(WAITING_PARTS);
    let send = move |part| sender.blocking_send(part).map_err(|_| io::ErrorKind::BrokenPipe.into());
    let (done, mut read) = oneshot::channel();
    // A thread that nobody waits for: standard input may say nothing for ever after the server has refused.
    std::thread::spawn(move || done.send(source.read(send)));
    let start = pb::WriteStart { user: session.user(), volume: Some(path.to_proto()) };
    let mut volumes = session.volumes();
    let mut call = pin!(volumes.write_volume(messages(start, parts, progress.clone())));
    let answer = tokio::select! {
        // The server may refuse while the image is read.
        biased;
        answer = &mut call => answer,
        read = &mut read => match read.map_err(io::Error::other).flatten() {
            Ok(()) => call.await,
            // The reader found nobody to give its parts to: the answer says why.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => call.await,
            // Leaving lets go of the call: the server is never told that this was all.
            Err(error) => return Err(Error::Local(format!("cannot read the image: {error}; {path} is not complete"))),
        },
    };
    progress.clear();
    Ok(session.take(answer)?.data_bytes)
}

/// The start, then the parts. It ends only after [`Part::End`], for its end tells the server that it has everything.
fn messages(
    start: pb::WriteStart,
    parts: mpsc::Receiver<Part>,
    progress: Progress,
) -> impl Stream<Item = pb::WriteVolumeRequest> + Send + 'static {
    let next = |(start, mut parts, progress): (Option<pb::WriteStart>, mpsc::Receiver<Part>, Progress)| async move {
        let message = match start {
            Some(start) => Message::Start(start),
            None => match parts.recv().await {
                Some(Part::Data { offset, bytes }) => {
                    progress.advance(bytes.len() as u64);
                    Message::Data(pb::VolumeData { offset, data: bytes })
                }
                Some(Part::Zeros { offset, length }) => {
                    progress.advance(length);
                    Message::Zeros(pb::Extent { offset, length, is_zero: true })
                }
                Some(Part::End) => return None,
                None => std::future::pending().await,
            },
        };
        Some((pb::WriteVolumeRequest { part: Some(message) }, (None, parts, progress)))
    };
    stream::unfold((Some(start), parts, progress), next)
}
