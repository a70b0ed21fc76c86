//! What becomes of videos.

use steward_proto::transcode::v1 as pb;

use super::*;

#[tokio::test]
async fn a_video_is_replaced_by_its_result() {
    let scene = Scene::with_video("v.mp4");
    let before = fs::read(scene.film("v.mp4")).unwrap();
    let worker = scene.start();
    scene.fake.assign(1, "films/v.mp4").await;
    let end = scene.fake.end_of(1).await;
    assert_eq!((end.status(), end.error_message.as_str()), (pb::TaskStatus::Completed, ""));
    assert_eq!((end.lease_token.as_str(), end.output_path.as_str()), ("lease-1", ""));
    worker.finish().await;

    let after = fs::metadata(scene.film("v.mp4")).unwrap().len();
    assert_eq!(end.output_bytes, i64::try_from(after).unwrap());
    assert!(after < before.len() as u64);
    let media = media_of(&scene.film("v.mp4")).await;
    assert_eq!(codecs(&media, StreamKind::Video), ["hevc"]);
    assert_eq!(codecs(&media, StreamKind::Audio), ["aac"]);
    let files = scene.files();
    assert_eq!(files.len(), 2, "{files:?}");
    assert!(files[0].starts_with(".steward/trash/2") && files[0].ends_with("/v.mp4"), "{files:?}");
    assert_eq!(fs::read(scene.film(&files[0])).unwrap(), before);
    assert_eq!(fs::read_dir(scene.path("state/tasks")).unwrap().count(), 0);
    scene.fake.look(|state| {
        assert!(state.lines()[0].log_message.starts_with("FFmpeg command: "), "{:?}", state.lines());
        let first = state.progress()[0];
        assert_eq!((first.lease_token.as_str(), first.progress), ("lease-1", 0.0));
        assert!(state.farewell_count > 0);
    });
}

#[tokio::test]
async fn a_container_that_cannot_hold_hevc_becomes_matroska_and_the_path_is_told() {
    let scene = Scene::new();
    fs::create_dir(scene.film("a")).unwrap();
    make_video(&scene.film("a/v.avi"), 2, &["-c:a", "mp3"]);
    let worker = scene.start();
    scene.fake.assign(1, "films/a/v.avi").await;
    let end = scene.fake.end_of(1).await;
    assert_eq!((end.error_message.as_str(), end.output_path.as_str()), ("", "films/a/v.mkv"));
    worker.finish().await;
    assert!(scene.film("a/v.mkv").exists() && !scene.film("a/v.avi").exists());
}

#[tokio::test]
async fn results_can_go_to_a_directory_of_their_own() {
    let scene = Scene::with_video("v.mkv");
    let settings = Settings {
        delivery: Delivery::Directory(scene.path("out")),
        temp: Some(scene.path("temp")),
        decoding: Decoding::Quick,
        ..scene.settings()
    };
    let worker = scene.start_with(settings);
    scene.fake.assign(1, "films/v.mkv").await;
    let end = scene.fake.end_of(1).await;
    assert_eq!((end.error_message.as_str(), end.output_path.as_str()), ("", ""));
    worker.finish().await;
    assert_eq!(scene.files(), ["v.mkv"]);
    let media = media_of(&scene.path("out/films/v.mkv")).await;
    assert_eq!(codecs(&media, StreamKind::Video), ["hevc"]);
    assert_eq!(fs::read_dir(scene.path("temp")).unwrap().count(), 0);
}

#[tokio::test]
async fn subtitles_covers_and_several_tracks_of_sound_are_kept() {
    let scene = Scene::new();
    let (subtitles, cover) = (scene.path("s.srt"), scene.path("c.png"));
    fs::write(&subtitles, "1\n00:00:00,500 --> 00:00:01,500\nhello\n").unwrap();
    let picture = ["-v", "error", "-f", "lavfi", "-i", "color=size=64x64", "-frames:v", "1"];
    std::process::Command::new(program("ffmpeg")).args(picture).arg(&cover).status().unwrap();
    let inputs = [subtitles.as_path(), cover.as_path()];
    let tracks = ["-map", "0", "-map", "1", "-map", "1", "-map", "2", "-map", "3", "-c:v:1", "copy"];
    let make = |name: &str, more: &[&str]| {
        let options = [&tracks[..], &["-disposition:v:1", "attached_pic"], more].concat();
        make_video_with(&scene.film(name), 2, &inputs, &options);
    };
    make("v.mp4", &["-c:s", "mov_text"]);
    make("w.mkv", &["-c:s", "srt", "-attach", subtitles.to_str().unwrap(), "-metadata:s:t", "mimetype=text/plain"]);
    make("x.mov", &["-c:s", "mov_text", "-timecode", "01:00:00:00"]);
    let worker = scene.start();
    for (number, name, subtitle, pictures) in
        [(1, "v.mp4", "mov_text", &["png"][..]), (2, "w.mkv", "subrip", &[]), (3, "x.mov", "mov_text", &[])]
    {
        scene.fake.assign(number, &format!("films/{name}")).await;
        assert_eq!(scene.fake.end_of(number).await.error_message, "", "{name}");
        let media = media_of(&scene.film(name)).await;
        assert_eq!(codecs(&media, StreamKind::Video), ["hevc"], "{name}");
        assert_eq!(codecs(&media, StreamKind::Audio), ["aac", "aac"], "{name}");
        assert_eq!(codecs(&media, StreamKind::Subtitle), [subtitle], "{name}");
        assert_eq!(codecs(&media, StreamKind::Picture), pictures, "{name}");
    }
    worker.finish().await;
}

#[tokio::test]
async fn a_video_that_is_not_there_fails_and_a_library_that_is_not_there_is_declined() {
    let scene = Scene::with_video("v.mp4");
    let worker = scene.start();
    scene.fake.assign(1, "films/w.mp4").await;
    let end = scene.fake.end_of(1).await;
    assert_eq!((end.status(), end.declined), (pb::TaskStatus::Failed, false));
    assert!(end.error_message.starts_with("视频文件不存在: /"), "{}", end.error_message);

    fs::remove_file(scene.film("v.mp4")).unwrap();
    scene.fake.assign(2, "films/v.mp4").await;
    let end = scene.fake.end_of(2).await;
    assert!(end.declined && end.error_message.contains("is empty"), "{end:?}");
    // The next video would fare no better.
    scene.fake.until(|state| state.free_slots() == Some(0)).await;
    worker.finish().await;
}

#[tokio::test]
async fn a_broken_video_fails_with_the_reason_and_stays() {
    let scene = Scene::with_video("v.mp4");
    fs::write(scene.film("broken.mp4"), vec![b'x'; 5000]).unwrap();
    fs::write(scene.film("sound.mp4"), "").unwrap();
    make_video(&scene.film("sound.mp4"), 1, &["-map", "1"]);
    let worker = scene.start();
    for (number, name, reason) in [(1, "broken.mp4", "Invalid data"), (2, "sound.mp4", "no video stream")] {
        scene.fake.assign(number, &format!("films/{name}")).await;
        let end = scene.fake.end_of(number).await;
        assert!(end.error_message.contains(reason) && !end.declined, "{end:?}");
    }
    worker.finish().await;
    assert_eq!(scene.files(), ["broken.mp4", "sound.mp4", "v.mp4"]);
}

#[tokio::test]
async fn a_result_that_is_not_smaller_is_thrown_away_unless_it_may_be_larger() {
    let scene = Scene::new();
    make_video(&scene.film("v.mp4"), 2, &["-c:v", "libx264", "-crf", "51", "-preset", "medium"]);
    let before = fs::metadata(scene.film("v.mp4")).unwrap().len();
    let profile = Profile { crf: 4, ..scene.settings().profile };
    let worker = scene.start_with(Settings { profile: profile.clone(), ..scene.settings() });
    scene.fake.assign(1, "films/v.mp4").await;
    let end = scene.fake.end_of(1).await;
    let expected = format!("the source {before} bytes");
    assert!(end.error_message.starts_with("the result is not smaller: "), "{end:?}");
    assert!(end.error_message.ends_with(&expected) && !end.declined, "{end:?}");
    worker.finish().await;
    assert_eq!(scene.files(), ["v.mp4"]);

    let worker = scene.start_with(Settings { profile, allow_larger: true, ..scene.settings() });
    scene.fake.until(|state| state.hellos.len() == 2).await;
    scene.fake.assign(2, "films/v.mp4").await;
    assert_eq!(scene.fake.end_of(2).await.error_message, "");
    worker.finish().await;
}

#[tokio::test]
async fn a_source_of_which_half_is_missing_is_found_out() {
    let scene = Scene::with_video("v.mp4");
    make_video(&scene.film("long.mp4"), 9, &["-movflags", "+faststart"]);
    let whole = fs::read(scene.film("long.mp4")).unwrap();
    fs::write(scene.film("long.mp4"), &whole[..whole.len() / 2]).unwrap();
    let worker = scene.start();
    scene.fake.assign(1, "films/long.mp4").await;
    let end = scene.fake.end_of(1).await;
    assert!(end.error_message.contains("the source 9.") && end.error_message.contains("apart"), "{end:?}");
    worker.finish().await;
    assert_eq!(scene.files(), ["long.mp4", "v.mp4"]);
}

/// Makes nothing of the pictures of a video after `seconds`, as bad sectors do.
fn spoil_pictures_after(path: &Path, seconds: f64) {
    let packets = std::process::Command::new(program("ffprobe"))
        .args(["-v", "error", "-select_streams", "v", "-show_entries", "packet=pts_time,size,pos", "-of", "csv=p=0"])
        .arg(path)
        .output()
        .unwrap();
    let mut bytes = fs::read(path).unwrap();
    for packet in String::from_utf8(packets.stdout).unwrap().lines() {
        let fields: Vec<&str> = packet.split(',').collect();
        let (size, start): (usize, usize) = (fields[1].parse().unwrap(), fields[2].parse().unwrap());
        if fields[0].parse::<f64>().unwrap() > seconds {
            bytes[start..start + size].fill(0);
        }
    }
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_source_whose_pictures_stop_before_its_sound_is_found_out() {
    let scene = Scene::new();
    let names = ["v.mp4", "w.mkv"];
    for name in names {
        make_video(&scene.film(name), 20, &[]);
        spoil_pictures_after(&scene.film(name), 8.0);
    }
    let before = names.map(|name| fs::read(scene.film(name)).unwrap());
    let worker = scene.start();
    for (number, name) in [(1, names[0]), (2, names[1])] {
        scene.fake.assign(number, &format!("films/{name}")).await;
        let end = scene.fake.end_of(number).await;
        assert!(end.error_message.starts_with("the video of the result ends at 8."), "{end:?}");
        assert!(end.error_message.contains("that of the source at 20.") && !end.declined, "{end:?}");
    }
    worker.finish().await;
    assert_eq!(scene.files(), names);
    assert_eq!(names.map(|name| fs::read(scene.film(name)).unwrap()), before);
}

#[tokio::test]
async fn a_file_that_is_not_the_one_that_was_scanned_is_declined() {
    let scene = Scene::with_video("v.mp4");
    let worker = scene.start();
    scene.fake.assign_scanned(1, "films/v.mp4", 7).await;
    let end = scene.fake.end_of(1).await;
    assert!(end.declined && end.error_message.contains("not the file that was scanned"), "{end:?}");
    worker.finish().await;
    assert_eq!(scene.files(), ["v.mp4"]);
}

#[tokio::test]
async fn a_list_of_other_files_is_no_video() {
    let scene = Scene::with_video("v.mp4");
    let list = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nv.mp4\n#EXT-X-ENDLIST\n";
    fs::write(scene.film("list.mp4"), list).unwrap();
    let worker = scene.start();
    scene.fake.assign(1, "films/list.mp4").await;
    let end = scene.fake.end_of(1).await;
    assert!(!end.error_message.is_empty() && !end.declined, "{end:?}");
    worker.finish().await;
    assert_eq!(scene.files(), ["list.mp4", "v.mp4"]);
}

#[tokio::test]
async fn a_result_in_a_directory_is_never_overwritten() {
    let scene = Scene::with_video("v.mkv");
    fs::create_dir_all(scene.path("out/films")).unwrap();
    fs::write(scene.path("out/films/v.mkv"), "mine").unwrap();
    let worker = scene.start_with(Settings { delivery: Delivery::Directory(scene.path("out")), ..scene.settings() });
    scene.fake.assign(1, "films/v.mkv").await;
    let end = scene.fake.end_of(1).await;
    assert!(end.error_message.contains("there is a file already") && !end.declined, "{end:?}");
    worker.finish().await;
    assert_eq!(fs::read(scene.path("out/films/v.mkv")).unwrap(), b"mine");
}
