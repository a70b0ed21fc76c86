//! `VideoService`.

use std::collections::HashSet;

use bytes::Bytes;
use steward_proto::transcode::v1 as api;
use steward_proto::transcode::v1::video_service_server::VideoService;
use tonic::{Request, Response, Status, Streaming};

use super::fields::MAX_NAMED;
use super::page::{self, Asked};
use super::rights::reach;
use super::{Answers, FarmServer, answer, seen};
use crate::auth::rights::Right;
use crate::error::Failure;
use crate::fields::Fields;
use crate::transcode::convert::{self, revision, total};
use crate::transcode::error::Error;
use crate::transcode::index::{VideoFilter, VideoSort};
use crate::transcode::lists::PageOf;
use crate::transcode::model::{VideoId, VideoRecord, VideoStatus, library_of};
use crate::transcode::reach::Reach;
use crate::transcode::videos::Registration;
use crate::transcode::watch::VideoStep;

/// The most videos of one request.
const MAX_VIDEOS: usize = 1000;
/// The longest name of a codec or container, in bytes.
const MAX_WORD_BYTES: usize = 64;

impl FarmServer {
    async fn handle_list_videos(
        &self,
        request: &api::ListVideosRequest,
        reach: &Reach,
    ) -> Result<api::ListVideosResponse, Failure> {
        let mut fields = Fields::default();
        let asked = Asked { size: request.page_size, token: &request.page_token, number: request.page };
        let (start, size) = page::read(&mut fields, &asked);
        let sort = fields.video_sort(&request.sort_by);
        let order = fields.known("order", request.order);
        let filter = VideoFilter {
            statuses: fields.several("statuses", &request.statuses),
            is_vr: request.is_vr,
            codecs: fields.codecs(&request.codecs),
            min_bitrate: request.min_bitrate_k,
            max_bitrate: request.max_bitrate_k,
            min_size: request.min_size_bytes,
            max_size: request.max_size_bytes,
            library: (!request.library.is_empty()).then(|| request.library.clone()),
        };
        fields.check()?;
        let listed = self.farm.list_videos(filter, PageOf { sort, order, start, size }, reach).await?;
        Ok(api::ListVideosResponse {
            videos: listed.rows.iter().map(|(id, video)| convert::video(*id, video)).collect(),
            next_page_token: page::token(listed.next),
            total_size: total(listed.total),
        })
    }

    async fn handle_get_video(
        &self,
        request: &api::GetVideoRequest,
        reach: &Reach,
    ) -> Result<api::GetVideoResponse, Failure> {
        let mut fields = Fields::default();
        let id = fields.video_id(request.id);
        fields.check()?;
        let video = self.farm.get_video(id).await?;
        if !reach.has_path(Right::Read, &video.path) {
            return Err(Error::VideoNotFound(id.0).into());
        }
        Ok(api::GetVideoResponse { video: Some(convert::video(id, &video)) })
    }

    async fn handle_register_videos(
        &self,
        request: api::RegisterVideosRequest,
        reach: &Reach,
    ) -> Result<api::RegisterVideosResponse, Failure> {
        let mut fields = Fields::default();
        if request.videos.is_empty() || request.videos.len() > MAX_VIDEOS {
            fields.reject("videos", format!("have to be between 1 and {MAX_VIDEOS}"));
        }
        let mut paths = HashSet::new();
        if !request.videos.iter().all(|video| paths.insert(video.video_path.as_str())) {
            fields.reject("videos", "have a path twice");
        }
        let mut videos = Vec::with_capacity(request.videos.len().min(MAX_VIDEOS));
        for (place, video) in request.videos.iter().enumerate().take(MAX_VIDEOS) {
            // Who sends many has to know which of them is wrong.
            let mut own = Fields::default();
            videos.push(own.video(video));
            fields.take_in(&format!("videos[{place}]"), own);
        }
        fields.check()?;
        if !reach.is_everything() {
            let libraries: HashSet<&str> = paths.iter().map(|path| library_of(path)).collect();
            libraries.into_iter().try_for_each(|library| reach.require_library(Right::Write, library))?;
        }
        let (ids, added) = self.farm.register_videos(videos).await?;
        Ok(api::RegisterVideosResponse { ids: ids.into_iter().map(|id| id.0).collect(), added: total(added) })
    }

    async fn handle_requeue(
        &self,
        request: &api::RequeueVideosRequest,
        reach: &Reach,
    ) -> Result<api::RequeueVideosResponse, Failure> {
        let mut fields = Fields::default();
        if request.ids.is_empty() || request.ids.len() > MAX_VIDEOS {
            fields.reject("ids", format!("have to be between 1 and {MAX_VIDEOS}"));
        }
        let priority = fields.priority(request.priority);
        fields.check()?;
        let mut ids = Vec::with_capacity(request.ids.len());
        for id in request.ids.iter().copied().map(VideoId) {
            if self.may_change_video(reach, id).await? {
                ids.push(id);
            }
        }
        let requeued = self.farm.requeue(ids, priority, request.force).await?;
        Ok(api::RequeueVideosResponse { requeued: total(requeued) })
    }

    fn open_watch_videos(
        &self,
        request: api::WatchVideosRequest,
        reach: Reach,
    ) -> Result<Answers<api::WatchVideosResponse>, Failure> {
        let mut fields = Fields::default();
        let from = fields.revision(request.from_revision);
        fields.check()?;
        let place = self.watcher(&reach)?;
        let sees = move |step: &VideoStep| match step {
            VideoStep::Begin(_) => true,
            VideoStep::Changed(_, video, _) => reach.has_path(Right::Read, &video.path),
        };
        Ok(seen(self.farm.watch_videos(from, place), sees, video_response))
    }
}

impl Fields {
    fn video_sort(&mut self, sort_by: &str) -> VideoSort {
        match sort_by {
            "" | "update_time" => VideoSort::Updated,
            "id" => VideoSort::Id,
            "video_path" => VideoSort::Path,
            "codec" => VideoSort::Codec,
            "bitrate_k" => VideoSort::Bitrate,
            "pixels" => VideoSort::Pixels,
            "size_bytes" => VideoSort::Size,
            "fps" => VideoSort::Fps,
            "transcode_status" => VideoSort::Status,
            other => {
                self.reject("sort_by", format!("{other:?} is not one of the fields that videos are sorted by"));
                VideoSort::Updated
            }
        }
    }

    /// Codecs of a filter. Those that no video can have are wrong too, so that what is compared is short.
    fn codecs(&mut self, codecs: &[String]) -> Vec<String> {
        if codecs.len() > MAX_NAMED || codecs.iter().any(|codec| codec.len() > MAX_WORD_BYTES) {
            self.reject("codecs", format!("have to be at most {MAX_NAMED} of at most {MAX_WORD_BYTES} bytes"));
        }
        codecs.iter().take(MAX_NAMED).cloned().collect()
    }

    /// A video whose properties the caller has found.
    fn video(&mut self, video: &api::Video) -> Registration {
        self.video_path(&video.video_path);
        self.text("codec", &video.codec, MAX_WORD_BYTES);
        self.text("container", &video.container, MAX_WORD_BYTES);
        self.text("audio_codec", &video.audio_codec, MAX_WORD_BYTES);
        let status: VideoStatus = self.known("transcode_status", video.transcode_status);
        if matches!(status, VideoStatus::Claimed | VideoStatus::Transcoding) {
            self.reject("transcode_status", "has to be not needed, waiting, completed or failed");
        }
        let resolution = video.resolution.unwrap_or_default();
        let numbers = [video.bitrate_k, resolution.width, resolution.height];
        if video.size_bytes < 0 || numbers.iter().any(|number| *number < 0) {
            self.reject("size_bytes", "is negative, or the bitrate or the resolution is");
        }
        let is_number = |number: f64| number.is_finite() && number >= 0.0;
        if !is_number(video.fps) || !is_number(video.duration) {
            self.reject("fps", "is no positive number, or the duration is none");
        }
        let priority = self.priority(Some(video.priority)).unwrap_or(0);
        Registration {
            record: VideoRecord {
                path: video.video_path.clone(),
                codec: video.codec.to_ascii_lowercase(),
                bitrate_k: video.bitrate_k,
                size_bytes: video.size_bytes,
                fps: video.fps,
                width: resolution.width,
                height: resolution.height,
                is_vr: video.is_vr,
                status: status as i32,
                duration: video.duration,
                container: video.container.clone(),
                audio_codec: video.audio_codec.clone(),
                fingerprint: Bytes::from(self.fingerprint(&video.fingerprint)),
                modify_nanos: video.modify_time.and_then(convert::timestamp).map_or(0, crate::clock::Timestamp::nanos),
                priority,
                ..VideoRecord::default()
            },
        }
    }

    /// 16 bytes in hexadecimal digits, or nothing.
    fn fingerprint(&mut self, text: &str) -> Vec<u8> {
        let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
        let bytes = digits.unwrap_or_default();
        let bytes: Vec<u8> =
            bytes.chunks_exact(2).filter_map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect();
        if !text.is_empty() && (text.len() != 32 || bytes.len() != 16) {
            self.reject("fingerprint", "is not 32 hexadecimal digits");
        }
        bytes
    }
}

fn video_response(step: VideoStep) -> api::WatchVideosResponse {
    let (at, video) = match step {
        VideoStep::Begin(at) => (at, None),
        VideoStep::Changed(id, video, at) => (at, Some(convert::video(id, &video))),
    };
    api::WatchVideosResponse { revision: revision(at), video }
}

#[tonic::async_trait]
impl VideoService for FarmServer {
    async fn list_videos(
        &self,
        request: Request<api::ListVideosRequest>,
    ) -> Result<Response<api::ListVideosResponse>, Status> {
        let reach = reach(&request)?;
        answer(self.handle_list_videos(request.get_ref(), &reach).await)
    }

    async fn get_video(
        &self,
        request: Request<api::GetVideoRequest>,
    ) -> Result<Response<api::GetVideoResponse>, Status> {
        let reach = reach(&request)?;
        answer(self.handle_get_video(request.get_ref(), &reach).await)
    }

    async fn register_videos(
        &self,
        request: Request<api::RegisterVideosRequest>,
    ) -> Result<Response<api::RegisterVideosResponse>, Status> {
        let reach = reach(&request)?;
        answer(self.handle_register_videos(request.into_inner(), &reach).await)
    }

    async fn requeue_videos(
        &self,
        request: Request<api::RequeueVideosRequest>,
    ) -> Result<Response<api::RequeueVideosResponse>, Status> {
        let reach = reach(&request)?;
        answer(self.handle_requeue(request.get_ref(), &reach).await)
    }

    type WatchVideosStream = Answers<api::WatchVideosResponse>;

    async fn watch_videos(
        &self,
        request: Request<api::WatchVideosRequest>,
    ) -> Result<Response<Self::WatchVideosStream>, Status> {
        let reach = reach(&request)?;
        answer(self.open_watch_videos(request.into_inner(), reach))
    }

    type ReadSourceStream = Answers<api::ReadSourceResponse>;

    async fn read_source(
        &self,
        request: Request<api::ReadSourceRequest>,
    ) -> Result<Response<Self::ReadSourceStream>, Status> {
        let reach = reach(&request)?;
        answer(self.open_source(request.get_ref(), &reach).await)
    }

    async fn get_result(
        &self,
        request: Request<api::GetResultRequest>,
    ) -> Result<Response<api::GetResultResponse>, Status> {
        let reach = reach(&request)?;
        answer(self.handle_get_result(request.get_ref(), &reach).await)
    }

    async fn write_result(
        &self,
        request: Request<Streaming<api::WriteResultRequest>>,
    ) -> Result<Response<api::WriteResultResponse>, Status> {
        let reach = reach(&request)?;
        answer(self.handle_write_result(request.into_inner(), &reach).await)
    }
}
