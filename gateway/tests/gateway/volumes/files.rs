//! `CreateFile`, `DeleteFile` and `ListFile`.

use steward_proto::volume::v1::*;

use super::fake::Fake;
use super::{TIME, ask, coded, done, invalid, list, malformed, refusal};

#[tokio::test]
async fn volume_is_created() {
    for (query, expected) in [
        (
            "CreateFile&User=curve&File=/test1&Size=100",
            CreateVolumeRequest { size_bytes: 100 << 30, ..CreateVolumeRequest::default() },
        ),
        (
            "CreateFile&User=curve&File=%2Ftest1&Size=1GB&StripeUnit=16384&StripeCount=64&PoolSet=ssd",
            CreateVolumeRequest {
                size_bytes: 1 << 30,
                stripe_unit: 16384,
                stripe_count: 64,
                pool: "ssd".to_owned(),
                ..CreateVolumeRequest::default()
            },
        ),
        (
            "CreateFile&User=curve&File=/test1&Size=-1&StripeUnit=&StripeCount=&PoolSet=",
            CreateVolumeRequest { size_bytes: u64::MAX - ((1 << 30) - 1), ..CreateVolumeRequest::default() },
        ),
    ] {
        let fake = Fake::default();
        assert_eq!(ask(&fake.router(), query).await, done(), "{query}");
        let expected = CreateVolumeRequest { user: "curve".to_owned(), path: "/test1".to_owned(), ..expected };
        assert_eq!(fake.only::<CreateVolumeRequest>(), expected, "{query}");
    }
}

#[tokio::test]
async fn volume_needs_a_user_a_path_and_a_size() {
    let fake = Fake::default();
    for query in [
        "CreateFile&File=/a&Size=1",
        "CreateFile&User=u&Size=1",
        "CreateFile&User=u&File=/a",
        "CreateFile&User=&File=/a&Size=1",
        "CreateFile&User=u&File=&Size=1",
        "CreateFile&User=u&File=/a&Size=",
        "CreateFile&User=u&File=/a&Size=x",
        "CreateFile&User=u&File=/a&Size=99999999999999999999",
        "CreateFile&User=u&File=/a&Size=0&StripeUnit=x",
        "CreateFile&User=u&File=/a&Size=1&StripeCount=x",
        "CreateFile&User=u&File=/%FF&Size=1",
        "DeleteFile&User=u",
        "DeleteFile&File=/a",
        "ListFile&User=u",
        "ListFile&User=u&Dir=",
        "ListFile&File=/a",
        "ListFile&User=u&File=/a&Limit=x",
        "ListFile&User=u&Dir=/&Offset=x",
    ] {
        assert_eq!(ask(&fake.router(), query).await, malformed(), "{query}");
    }
    for query in [
        "CreateFile&User=u&File=/a&Size=0",
        "CreateFile&User=u&File=/a&Size=0GB",
        "DeleteFile&User=u&File=/",
        "ListFile&User=u&File=",
        "ListFile&User=u&File=&Dir=/",
    ] {
        assert_eq!(ask(&fake.router(), query).await, invalid(), "{query}");
    }
    assert_eq!(fake.count(), 0);
}

#[tokio::test]
async fn volume_is_deleted_also_when_it_is_not_there() {
    let fake = Fake::default();
    assert_eq!(ask(&fake.router(), "DeleteFile&User=curve&File=/test1").await, done());
    let message = fake.only::<DeleteVolumeRequest>();
    assert_eq!((message.user.as_str(), message.volume.unwrap().path.as_str()), ("curve", "/test1"));
    let router = Fake::refusing(refusal("NOT_FOUND")).router();
    assert_eq!(ask(&router, "DeleteFile&User=curve&File=/test1").await, done());
}

#[tokio::test]
async fn errors_of_volumes_have_their_codes() {
    let fake = Fake::default();
    let router = fake.router();
    let create = "CreateFile&User=u&File=/a/b&Size=1";
    let delete = "DeleteFile&User=u&File=/a/b";
    let file = "ListFile&User=u&File=/a";
    let dir = "ListFile&User=u&Dir=/a";
    for (query, reason, code) in [
        (create, "INVALID_PATH", -24),
        (create, "INVALID_ARGUMENT", -24),
        (create, "NOT_FOUND", -8),
        (create, "NOT_A_DIRECTORY", -9),
        (create, "INVALID_USER", -7),
        (create, "SIZE_OUT_OF_RANGE", -21),
        (create, "QUOTA_EXCEEDED", -21),
        (create, "DISK_FULL", -21),
        (create, "ALREADY_EXISTS", -19),
        (delete, "INVALID_PATH", -24),
        (delete, "INVALID_USER", -7),
        (delete, "HAS_SNAPSHOTS", -22),
        (delete, "VOLUME_IN_USE", -23),
        (delete, "BAD_STATE", -23),
        (delete, "PROTECTED", -9),
        (delete, "DIRECTORY_NOT_EMPTY", -21),
        (file, "NOT_FOUND", -8),
        (file, "INVALID_USER", -7),
        (file, "INVALID_PATH", -24),
        (dir, "NOT_FOUND", -8),
        (dir, "NOT_A_DIRECTORY", -24),
    ] {
        fake.refuse(Some(refusal(reason)));
        assert_eq!(ask(&router, query).await, coded(code), "{query} {reason}");
    }
}

fn entry(path: &str, owner: &str, kind: VolumeKind) -> Volume {
    Volume {
        path: path.to_owned(),
        owner: owner.to_owned(),
        kind: kind.into(),
        state: VolumeState::Ready.into(),
        progress_percent: 100,
        create_time: Some(TIME),
        ..Volume::default()
    }
}

#[tokio::test]
async fn directory_is_listed_as_documented() {
    let volumes = vec![
        entry("/RecycleBin", "root", VolumeKind::Directory),
        entry("/clone", "root", VolumeKind::Directory),
        Volume { size_bytes: 107_374_182_400, ..entry("/test1", "curve", VolumeKind::Volume) },
    ];
    let fake = Fake::default().answering(ListVolumesResponse { volumes, total_size: 3, ..Default::default() });
    let row = |file: &'static str, length, r#type, user| -> Vec<&str> {
        vec![
            file,
            length,
            "\"Progress\" : 100",
            "\"Readonly\" : false",
            "\"Status\" : 0",
            "\"StripeCount\" : 0",
            "\"StripeUnit\" : 0",
            "\"Time\" : 1696761378914477",
            r#type,
            user,
        ]
    };
    let directory = "\"Type\" : 1";
    let rows = [
        row("\"File\" : \"/RecycleBin\"", "\"FileLength\" : 0", directory, "\"User\" : \"root\""),
        row("\"File\" : \"/clone\"", "\"FileLength\" : 0", directory, "\"User\" : \"root\""),
        row("\"File\" : \"/test1\"", "\"FileLength\" : 107374182400", "\"Type\" : 0", "\"User\" : \"curve\""),
    ];
    let rows: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
    let answered = ask(&fake.router(), "ListFile&User=curve&Dir=/&Limit=10&Offset=0").await;
    assert_eq!(answered, list("FileInfos", &rows, 3));
    let expected = ListVolumesRequest {
        user: "curve".to_owned(),
        directory: "/".to_owned(),
        page_size: 10,
        ..ListVolumesRequest::default()
    };
    assert_eq!(fake.only::<ListVolumesRequest>(), expected);
}

#[tokio::test]
async fn empty_directory_has_null_for_a_list() {
    let router = Fake::default().router();
    let expected = concat!(
        "200 {\n\t\"Code\" : \"0\",\n\t\"FileInfos\" : null,\n\t\"Message\" : \"Exec success.\",\n",
        "\t\"RequestId\" : \"ID\",\n\t\"TotalCount\" : 0\n}\n"
    );
    assert_eq!(ask(&router, "ListFile&User=curve&Dir=/empty").await, expected);
}

#[tokio::test]
async fn volume_is_listed_in_every_state() {
    let volume = Volume {
        size_bytes: 1 << 30,
        read_only: true,
        stripe_unit: 16384,
        stripe_count: 64,
        progress_percent: 100,
        ..entry("/卷", "a\"b", VolumeKind::Volume)
    };
    for (state, progress, kind, expected) in [
        (VolumeState::Ready, 100, VolumeKind::Volume, (0, 100, 0)),
        (VolumeState::Flattening, 42, VolumeKind::Volume, (1, 42, 0)),
        (VolumeState::Flattening, 100, VolumeKind::Volume, (1, 99, 0)),
        (VolumeState::Unflattened, 42, VolumeKind::Volume, (2, 0, 0)),
        (VolumeState::Trashed, 42, VolumeKind::Volume, (0, 100, 0)),
        (VolumeState::Unspecified, 0, VolumeKind::Unspecified, (0, 100, 2)),
    ] {
        let volume = Volume { state: state.into(), kind: kind.into(), progress_percent: progress, ..volume.clone() };
        let fake = Fake::default().answering(GetVolumeResponse { volume: Some(volume) });
        let (status, progress, r#type) = expected;
        let row: &[&str] = &[
            "\"File\" : \"/\\u5377\"",
            "\"FileLength\" : 1073741824",
            &format!("\"Progress\" : {progress}"),
            "\"Readonly\" : true",
            &format!("\"Status\" : {status}"),
            "\"StripeCount\" : 64",
            "\"StripeUnit\" : 16384",
            "\"Time\" : 1696761378914477",
            &format!("\"Type\" : {type}"),
            "\"User\" : \"a\\\"b\"",
        ];
        let answered = ask(&fake.router(), "ListFile&User=u&File=/%E5%8D%B7&Dir=/").await;
        assert_eq!(answered, list("FileInfos", &[row], 1), "{state:?}");
        let message = fake.only::<GetVolumeRequest>();
        assert_eq!((message.user.as_str(), message.volume.unwrap().path.as_str()), ("u", "/卷"));
    }
}
