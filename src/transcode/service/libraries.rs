//! `LibraryService`.

use std::path::PathBuf;
use std::time::Duration;

use futures::StreamExt as _;
use steward_proto::transcode::v1 as api;
use steward_proto::transcode::v1::library_service_server::LibraryService;
use tonic::{Request, Response, Status};

use super::rights::reach;
use super::{Answers, FarmServer, answer};
use crate::auth::rights::Right;
use crate::error::{Category, Failure};
use crate::fields::Fields;
use crate::transcode::convert;
use crate::transcode::libraries::PutLibrary;
use crate::transcode::library::{Progress, Rules};
use crate::transcode::reach::Reach;

/// The longest name, in bytes.
const MAX_NAME_BYTES: usize = 64;
/// The longest path, in bytes.
const MAX_PATH_BYTES: usize = 1024;
/// How often a library can be scanned, when it is not never.
const INTERVAL: (Duration, Duration) = (Duration::ZERO, Duration::from_hours(365 * 24));
/// The least of them.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

impl FarmServer {
    async fn handle_put_library(
        &self,
        request: api::PutLibraryRequest,
        reach: &Reach,
    ) -> Result<api::PutLibraryResponse, Failure> {
        let mut fields = Fields::default();
        let library = request.library.unwrap_or_default();
        fields.library_name("library.name", &library.name);
        if !library.path.starts_with('/') || library.path.len() > MAX_PATH_BYTES || library.path.contains('\0') {
            fields.reject("library.path", format!("has to be an absolute path of at most {MAX_PATH_BYTES} bytes"));
        }
        let rules = library.rules.unwrap_or_default();
        if let Err(violations) = Rules::new(&rules) {
            for (field, problem) in violations {
                fields.reject(field, problem);
            }
        }
        fields.rules_of_work(&rules);
        let scan_interval = fields.duration("library.scan_interval", library.scan_interval, INTERVAL);
        if scan_interval.is_some_and(|interval| !interval.is_zero() && interval < SHORTEST_INTERVAL) {
            fields.reject("library.scan_interval", "is shorter than a second");
        }
        fields.check()?;
        let command = PutLibrary {
            name: library.name,
            path: PathBuf::from(library.path),
            rules,
            scan_interval,
            is_paused: library.paused,
        };
        self.farm.require_place(reach, &command.name, &command.path).await?;
        let view = self.farm.put_library(command).await?;
        Ok(api::PutLibraryResponse { library: Some(convert::library(&view)) })
    }

    async fn handle_list_libraries(&self, reach: &Reach) -> Result<api::ListLibrariesResponse, Failure> {
        let mut libraries = self.farm.all_libraries();
        libraries.retain(|view| reach.is_everything() || reach.has_library(Right::Read, &view.name));
        let libraries = libraries.iter().map(convert::library).collect();
        self.farm.settled().await?;
        Ok(api::ListLibrariesResponse { libraries })
    }

    async fn handle_remove_library(
        &self,
        request: api::RemoveLibraryRequest,
    ) -> Result<api::RemoveLibraryResponse, Failure> {
        let mut fields = Fields::default();
        fields.library_name("name", &request.name);
        fields.check()?;
        self.farm.remove_library(request.name).await?;
        Ok(api::RemoveLibraryResponse {})
    }

    fn open_scan(&self, request: &api::ScanLibraryRequest) -> Result<Answers<api::ScanLibraryResponse>, Failure> {
        let mut fields = Fields::default();
        fields.library_name("name", &request.name);
        fields.check()?;
        self.farm.library(&request.name)?;
        let unavailable = || Failure::new(Category::Unavailable, "SHUTTING_DOWN", "the scanner does not run");
        let scanner = self.farm.scanner.get().ok_or_else(unavailable)?;
        let mut progress = scanner.scan(&request.name, request.reprobe).ok_or_else(unavailable)?;
        // The first answer says how it stands already.
        progress.mark_changed();
        let shutdown = self.farm.shutdown.clone();
        let answers = futures::stream::unfold(Some(progress), move |progress| {
            let shutdown = shutdown.clone();
            async move {
                let mut progress = progress?;
                tokio::select! {
                    () = shutdown.cancelled() => return None,
                    changed = progress.changed() => changed.ok()?,
                }
                let now = progress.borrow_and_update().clone();
                let is_done = now.done;
                Some((Ok(scan_response(&now)), (!is_done).then_some(progress)))
            }
        });
        Ok(answers.boxed())
    }
}

impl Fields {
    fn library_name(&mut self, field: &'static str, name: &str) {
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !is_plain || name.starts_with('.') {
            let rule = "has to be letters, digits, '-', '_' and '.', and not to begin with a dot";
            self.reject(field, format!("{rule}; 1 to {MAX_NAME_BYTES}"));
        }
    }
}

fn scan_response(progress: &Progress) -> api::ScanLibraryResponse {
    let Progress { seen, added, changed, missing, moved, errors, unstable, current, done, error } = progress.clone();
    api::ScanLibraryResponse { seen, added, changed, missing, moved, errors, unstable, current, done, error }
}

#[tonic::async_trait]
impl LibraryService for FarmServer {
    async fn put_library(
        &self,
        request: Request<api::PutLibraryRequest>,
    ) -> Result<Response<api::PutLibraryResponse>, Status> {
        let reach = reach(&request)?;
        answer(self.handle_put_library(request.into_inner(), &reach).await)
    }

    async fn list_libraries(
        &self,
        request: Request<api::ListLibrariesRequest>,
    ) -> Result<Response<api::ListLibrariesResponse>, Status> {
        let reach = reach(&request)?;
        answer(self.handle_list_libraries(&reach).await)
    }

    async fn remove_library(
        &self,
        request: Request<api::RemoveLibraryRequest>,
    ) -> Result<Response<api::RemoveLibraryResponse>, Status> {
        answer(self.handle_remove_library(request.into_inner()).await)
    }

    type ScanLibraryStream = Answers<api::ScanLibraryResponse>;

    async fn scan_library(
        &self,
        request: Request<api::ScanLibraryRequest>,
    ) -> Result<Response<Self::ScanLibraryStream>, Status> {
        answer(self.open_scan(request.get_ref()))
    }
}
