//! The libraries of the fake.

use futures::{StreamExt as _, stream};
use steward_proto::transcode::v1::library_service_server::LibraryService;
use steward_proto::transcode::v1::*;
use tonic::{Request, Response};

use super::{Service, not_found};
use crate::cli::testing::{Answer, AnswerStream};

#[tonic::async_trait]
impl LibraryService for Service {
    type ScanLibraryStream = AnswerStream<ScanLibraryResponse>;

    async fn put_library(&self, request: Request<PutLibraryRequest>) -> Answer<PutLibraryResponse> {
        let request = request.into_inner();
        let library = request.library.clone().unwrap();
        self.take(&request, |state| {
            state.libraries.retain(|known| known.name != library.name);
            state.libraries.push(library.clone());
        });
        Ok(Response::new(PutLibraryResponse { library: Some(library) }))
    }

    async fn list_libraries(&self, request: Request<ListLibrariesRequest>) -> Answer<ListLibrariesResponse> {
        let libraries = self.take(request.get_ref(), |state| state.libraries.clone());
        Ok(Response::new(ListLibrariesResponse { libraries }))
    }

    async fn remove_library(&self, request: Request<RemoveLibraryRequest>) -> Answer<RemoveLibraryResponse> {
        let request = request.into_inner();
        self.take(&request, |state| {
            let before = state.libraries.len();
            state.libraries.retain(|library| library.name != request.name);
            if state.libraries.len() == before {
                return Err(not_found("LIBRARY_NOT_FOUND"));
            }
            Ok(Response::new(RemoveLibraryResponse {}))
        })
    }

    async fn scan_library(&self, request: Request<ScanLibraryRequest>) -> Answer<Self::ScanLibraryStream> {
        let scan = self.take(request.get_ref(), |state| state.scan.clone());
        Ok(Response::new(stream::iter(scan).map(Ok).boxed()))
    }
}
