use super::*;

const SHA256: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn name(image: &str) -> ImageName {
    ImageName { project: "p1".to_owned(), repository: "img".to_owned(), image: image.to_owned() }
}

fn digest() -> Digest {
    Digest(SHA256.to_owned())
}

#[test]
fn paths_are_read_from_their_end() {
    let upload = |image: &str, id: &str| Target::Upload(UploadName { image: name(image), id: id.to_owned() });
    for (path, expected) in [
        ("/v2", Target::Base),
        ("/v2/", Target::Base),
        ("/v2/_catalog", Target::Catalog),
        ("/v2/p1/img/nginx/tags/list", Target::Tags(name("nginx"))),
        ("/v2/p1/img/tools/jq/tags/list", Target::Tags(name("tools/jq"))),
        ("/v2/p1/img/a/manifests/1.0", Target::Manifest(name("a"), Reference::Tag("1.0".to_owned()))),
        ("/v2/p1/img/a/manifests/list", Target::Manifest(name("a"), Reference::Tag("list".to_owned()))),
        (&format!("/v2/p1/img/a/manifests/{SHA256}"), Target::Manifest(name("a"), Reference::Digest(digest()))),
        (&format!("/v2/p1/img/a/blobs/{SHA256}"), Target::Blob(name("a"), digest())),
        (&format!("/v2/p1/img/a/blobs/{}", SHA256.replace(':', "%3A")), Target::Blob(name("a"), digest())),
        (&format!("/v2/p1/img/a/referrers/{SHA256}"), Target::Referrers(name("a"), digest())),
        ("/v2/p1/img/a/blobs/uploads", Target::Uploads(name("a"))),
        ("/v2/p1/img/a/blobs/uploads/", Target::Uploads(name("a"))),
        ("/v2/p1/img/a/blobs/uploads/x-1", upload("a", "x-1")),
        ("/v2/p1/img/blobs/blobs/uploads/x", upload("blobs", "x")),
        ("/v2/p1/img/tags/list/tags/list", Target::Tags(name("tags/list"))),
        ("/v2/p1/img/a/manifests/manifests/x", Target::Manifest(name("a/manifests"), Reference::Tag("x".to_owned()))),
    ] {
        assert_eq!(parse(path), Ok(expected), "{path}");
    }
}

#[test]
fn paths_that_name_nothing_say_why() {
    for (path, expected) in [
        ("/v2/x", Error::NoSuchPath),
        ("/v2/p1/img/a", Error::NoSuchPath),
        ("/v2/p1/img/a/tags", Error::NoSuchPath),
        ("/v2/p1/img/a/tags/list/", Error::NoSuchPath),
        ("/v2/p1/img%2Fa/tags/list", Error::NoSuchPath),
        ("/v2/%zz/img/a/tags/list", Error::NoSuchPath),
        ("/v2/a/tags/list", Error::ShortName),
        ("/v2/p1/img/tags/list", Error::ShortName),
        ("/v2/p1/img/blobs/uploads/", Error::ShortName),
        ("/v2/p1/img//tags/list", Error::BadName),
        ("/v2//img/a/tags/list", Error::BadName),
        ("/v2/p1/img/A/tags/list", Error::BadName),
        ("/v2/p1/img/a..b/tags/list", Error::BadName),
        ("/v2/p1/img/../tags/list", Error::BadName),
        ("/v2/p1/img/a___b/tags/list", Error::BadName),
        ("/v2/p1/img/-a/tags/list", Error::BadName),
        ("/v2/p%201/img/a/tags/list", Error::BadName),
        (&format!("/v2/p1/img/{}/tags/list", "a".repeat(249)), Error::BadName),
        ("/v2/p1/img/a/blobs/sha256:baddigeststring", Error::BadDigest),
        ("/v2/p1/img/a/manifests/sha256:baddigeststring", Error::BadDigest),
        (&format!("/v2/p1/img/a/blobs/{}", SHA256.to_uppercase()), Error::BadDigest),
        (&format!("/v2/p1/img/a/blobs/{}A", &SHA256[..70]), Error::BadDigest),
        (&format!("/v2/p1/img/a/blobs/{}", SHA256.replace("256", "512")), Error::BadDigest),
        ("/v2/p1/img/a/referrers/x", Error::BadDigest),
        ("/v2/p1/img/a/manifests/", Error::BadTag),
        ("/v2/p1/img/a/manifests/.x", Error::BadTag),
        ("/v2/p1/img/a/manifests/%C3%A4", Error::BadTag),
        (&format!("/v2/p1/img/a/manifests/{}", "x".repeat(129)), Error::BadTag),
        (&format!("/v2/p1/img/a/blobs/uploads/{}", "x".repeat(256)), Error::BadUpload),
    ] {
        assert_eq!(parse(path), Err(expected), "{path}");
    }
}

#[test]
fn names_may_be_as_long_and_as_odd_as_the_specification_has_it() {
    for image in ["a", "0", "a.b", "a_b", "a__b", "a---b", "a/b/c", "a-1.2_3"] {
        assert_eq!(parse_name(&format!("p1/img/{image}")), Ok(name(image)), "{image}");
    }
    let longest = "a".repeat(MAX_NAME_BYTES - "p1/img/".len());
    assert_eq!(parse_name(&format!("p1/img/{longest}")), Ok(name(&longest)));
    assert!(Digest::parse(&format!("sha512:{}", "0".repeat(128))).is_ok());
}
