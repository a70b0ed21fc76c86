//! Keeps an export open.

use std::time::Duration;

use steward_proto::volume::v1 as pb;
use steward_proto::volume::v1::export_service_client::ExportServiceClient;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::cli::backoff::Backoff;
use crate::cli::connect::Channel;
use crate::cli::error;
use crate::cli::volume::session::Session;

/// An export that is kept open in the background until this is dropped.
pub(super) struct Lease {
    keeper: JoinHandle<String>,
}

impl Lease {
    /// Keeps the export `uuid`, which was opened just now for `ttl`.
    pub(super) fn keep(uuid: String, ttl: Duration, session: &Session<'_>) -> Self {
        let request = pb::KeepExportAliveRequest { user: session.user(), uuid };
        Lease { keeper: tokio::spawn(keep(session.exports(), request, ttl)) }
    }

    /// Returns when the export is lost, and says why.
    pub(super) async fn lost(&mut self) -> String {
        (&mut self.keeper).await.unwrap_or_else(|error| error.to_string())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// Asks three times a TTL, and more often when that fails. Returns why it came to an end.
async fn keep(mut exports: ExportServiceClient<Channel>, request: pb::KeepExportAliveRequest, ttl: Duration) -> String {
    let mut end = Instant::now() + ttl;
    let mut backoff = Backoff::new();
    sleep(ttl / 3).await;
    loop {
        let asked = Instant::now();
        match timeout(ttl / 3, exports.keep_export_alive(request.clone())).await {
            Ok(Ok(_)) => {
                // The server counts from a moment between the question and the answer.
                end = asked + ttl;
                backoff = Backoff::new();
                sleep(ttl / 3).await;
            }
            Ok(Err(status)) if !error::is_transient(&status) => return error::describe(&status),
            Ok(Err(_)) | Err(_) if Instant::now() >= end => return "the server was away for too long".to_owned(),
            Ok(Err(_)) | Err(_) => backoff.pause().await,
        }
    }
}
