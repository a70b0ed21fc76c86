//! Images and their tags.

use bytes::Bytes;
use serde_json::json;
use steward_proto::artifact::v1 as pb;

use super::*;

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

fn manifest(digest: &str, content_size: i64) -> pb::Manifest {
    pb::Manifest {
        digest: digest.to_owned(),
        media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
        size: 500,
        content_size,
        ..pb::Manifest::default()
    }
}

/// With the image `nginx`, its tags `1.0`, `1.1` and `latest`.
fn fake_with_image() -> Fake {
    let fake = Fake::start();
    fake.change(|state| {
        for name in ["1.0", "1.1", "latest"] {
            let manifest = Some(manifest("sha256:0123456789abcdef", 3 << 20));
            state.versions.push(pb::PackageVersion { name: name.to_owned(), manifest, ..Default::default() });
        }
        let package = pb::Package { name: "nginx".to_owned(), version_count: 3, ..pb::Package::default() };
        state.packages.push(pb::Package { latest: "1.1".to_owned(), key: "docker://nginx".to_owned(), ..package });
        let content = json!({"config": {"mediaType": CONFIG, "digest": "sha256:c0", "size": 40},
                             "layers": [{"digest": "sha256:1a", "size": 3_145_728}]});
        let content = Bytes::from(content.to_string());
        state.manifests.insert("1.1".to_owned(), (manifest("sha256:0123456789abcdef", 3 << 20), content));
        let config = Bytes::from_static(br#"{"os":"linux","architecture":"amd64"}"#);
        state.blobs.insert("sha256:c0".to_owned(), config);
    });
    fake
}

#[tokio::test]
async fn images_and_tags_are_listed() {
    let fake = fake_with_image();
    assert_eq!(said(&fake, &["ls", "p1/images"]).await, "nginx\n");
    let table = said(&fake, &["ls", "p1/images", "-l"]).await;
    assert_eq!(table, "IMAGE  TAGS  LATEST  CHANGED\nnginx  3     1.1     -\n");
    assert_eq!(said(&fake, &["tags", "p1/images/nginx"]).await, "1.0\n1.1\nlatest\n");
    assert_eq!(said(&fake, &["ls", "p1/images/nginx"]).await, "1.0\n1.1\nlatest\n");
    assert_eq!(fake.asked::<pb::ListVersionsRequest>()[0].key, "docker://nginx");
    let table = said(&fake, &["ls", "p1/images/nginx", "--long"]).await;
    assert!(table.contains("\n1.1  sha256:0123456789ab  3.0 MiB  -       -\n"), "{table}");
    assert_eq!(objects_of(&said(&fake, &["tags", "p1/images/nginx", "--json"]).await)[0], json!({"name": "1.0"}));
}

#[tokio::test]
async fn an_image_is_shown_with_its_platform_and_its_referrers() {
    let fake = fake_with_image();
    fake.change(|state| {
        for kind in ["signature", "sbom", "other"] {
            let digest = format!("sha256:{kind}");
            state.referrers.push(pb::Descriptor { artifact_type: kind.to_owned(), digest, ..Default::default() });
        }
    });
    let expected = "\
p1/images/nginx:1.1
  digest         sha256:0123456789abcdef
  media type     application/vnd.oci.image.manifest.v1+json
  size           3.0 MiB, its manifest 500 B
  layers         1
  platforms      linux/amd64

REFERRED TO BY  SIZE  DIGEST
signature       0 B   sha256:signature
sbom            0 B   sha256:sbom
other           0 B   sha256:other
";
    assert_eq!(said(&fake, &["show", "p1/images/nginx:1.1"]).await, expected);
    let shown = objects_of(&said(&fake, &["show", "p1/images/nginx:1.1", "--json"]).await).remove(0);
    assert_eq!(shown["platforms"][0]["platform"], "linux/amd64");
    assert_eq!(
        (&shown["layers"][0]["digest"], &shown["referrers"][1]["artifact_type"]),
        (&json!("sha256:1a"), &json!("sbom"))
    );
    assert!(failure(&fake, &["show", "p1/images/nginx"]).await.contains("MANIFEST_NOT_FOUND"), "no tag `latest`");
}

#[tokio::test]
async fn an_index_is_shown_with_its_images() {
    let fake = fake_with_image();
    fake.change(|state| {
        let part = |arch, digest| json!({"digest": digest, "platform": {"os": "linux", "architecture": arch}});
        let content = json!({"manifests": [part("amd64", "sha256:a1"), part("arm64", "sha256:a2")], "layers": null});
        let content = Bytes::from(content.to_string());
        state.manifests.insert("all".to_owned(), (manifest("sha256:ff", 900), content));
        state.manifests.insert("sha256:a1".to_owned(), (manifest("sha256:a1", 2 << 20), Bytes::new()));
    });
    let text = said(&fake, &["show", "p1/images/nginx:all"]).await;
    assert!(
        text.contains("  size           2.0 MiB, its manifest 500 B\n  platforms      linux/amd64, linux/arm64\n"),
        "{text}"
    );
    let table = "PLATFORM     SIZE      DIGEST\nlinux/amd64  2.0 MiB   sha256:a1\nlinux/arm64  not here  sha256:a2\n";
    assert!(text.ends_with(table), "{text}");
}

#[tokio::test]
async fn a_tag_is_deleted_and_written_on() {
    let fake = fake_with_image();
    assert!(failure(&fake, &["rm", "p1/images/nginx"]).await.contains("say which tag"));
    assert_eq!(said(&fake, &["rm", "p1/images/nginx:1.1"]).await, "p1/images/nginx:1.1: deleted\n");
    assert_eq!(said(&fake, &["meta", "p1/images/nginx:1.0", "a=1"]).await, "a=1\n");
    let asked = fake.asked::<pb::UpdateVersionMetadataRequest>();
    assert_eq!((asked[0].key.as_str(), asked[0].version.as_str()), ("docker://nginx", "1.0"));
    assert!(failure(&fake, &["meta", "p1/images/nginx@sha256:ab", "a=1"]).await.contains("on tags"));
}
