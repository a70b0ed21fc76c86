//! Lists: tags, images, and what refers to a manifest.

use std::collections::HashMap;

use steward_proto::artifact::v1::{
    Descriptor, ImageName, ListImagesRequest, ListImagesResponse, ListReferrersRequest, ListReferrersResponse,
    ListTagsRequest, ListTagsResponse,
};
use tonic::Code;

use super::fake::Fake;
use super::{SHA256, answer, error};
use crate::restic::{ask, refusal};

const TAGS: &str = "/v2/p1/img/nginx/tags/list";
const INDEX: &str = "content-type: application/vnd.oci.image.index.v1+json";

fn json(body: &str, further: &[&str]) -> String {
    let length = format!("content-length: {}", body.len());
    answer(200, &[&[length.as_str(), "content-type: application/json"], further].concat(), body)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn image() -> Option<ImageName> {
    Some(ImageName { project: "p1".to_owned(), repository: "img".to_owned(), image: "nginx".to_owned() })
}

#[tokio::test]
async fn tags_are_listed_in_pages() {
    let link = |link: &str| format!("link: <{link}>; rel=\"next\"");
    for (query, tags, has_more, page_size, after, body, next) in [
        ("", &["1", "2"][..], false, 10_000, "", r#"["1","2"]"#, None),
        ("?n=2", &["1", "2"], true, 2, "", r#"["1","2"]"#, Some(link(&format!("{TAGS}?n=2&last=2")))),
        ("?n=2&last=2", &["3"], false, 2, "2", r#"["3"]"#, None),
        ("?n=99999", &["1"], true, 10_000, "", r#"["1"]"#, Some(link(&format!("{TAGS}?n=10000&last=1")))),
        ("?n=0", &["1"], true, 1, "", "[]", None),
        ("?last=x", &[], false, 10_000, "x", "[]", None),
    ] {
        let fake = Fake::default().answering(ListTagsResponse { tags: names(tags), has_more });
        let body = format!(r#"{{"name":"p1/img/nginx","tags":{body}}}"#);
        let further: Vec<&str> = next.iter().map(String::as_str).collect();
        assert_eq!(ask(&fake.router(), "GET", &format!("{TAGS}{query}"), &[]).await, json(&body, &further), "{query}");
        fake.expect(&[ListTagsRequest { name: image(), page_size, after: after.to_owned() }]);
    }
    let wrong = ask(&Fake::default().router(), "GET", &format!("{TAGS}?n=-1"), &[]).await;
    assert_eq!(wrong, error(400, "PAGINATION_NUMBER_INVALID", "n is not a number of names"));
}

#[tokio::test]
async fn images_are_listed_in_pages() {
    let page = ListImagesResponse { names: names(&["p1/img/a", "p1/img/b"]), has_more: true };
    let fake = Fake::default().answering(page);
    let answer = ask(&fake.router(), "GET", "/v2/_catalog?n=2&last=p1/img/0", &[]).await;
    let link = "link: </v2/_catalog?n=2&last=p1/img/b>; rel=\"next\"";
    assert_eq!(answer, json(r#"{"repositories":["p1/img/a","p1/img/b"]}"#, &[link]));
    fake.expect(&[ListImagesRequest { page_size: 2, after: "p1/img/0".to_owned() }]);
    let none = ask(&Fake::default().router(), "GET", "/v2/_catalog", &[]).await;
    assert_eq!(none, json(r#"{"repositories":[]}"#, &[]));
}

fn referrers(body: &str, further: &[&str]) -> String {
    let body =
        format!(r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":{body}}}"#);
    let length = format!("content-length: {}", body.len());
    answer(200, &[&[length.as_str(), INDEX], further].concat(), &body)
}

#[tokio::test]
async fn referrers_are_an_index_that_may_be_filtered() {
    let path = format!("/v2/p1/img/nginx/referrers/{SHA256}");
    let annotations = HashMap::from([("b".to_owned(), "2".to_owned()), ("a".to_owned(), "\"1\"".to_owned())]);
    let page = ListReferrersResponse {
        referrers: vec![
            Descriptor {
                media_type: "m".to_owned(),
                digest: SHA256.to_owned(),
                size: 7,
                artifact_type: "t/x".to_owned(),
                annotations,
            },
            Descriptor { media_type: "m".to_owned(), digest: SHA256.to_owned(), size: 8, ..Descriptor::default() },
        ],
        next_page_token: "a b".to_owned(),
    };
    let entries = format!(
        concat!(
            r#"[{{"mediaType":"m","digest":"{}","size":7,"artifactType":"t/x","annotations":{{"a":"\"1\"","b":"2"}}}},"#,
            r#"{{"mediaType":"m","digest":"{}","size":8}}]"#,
        ),
        SHA256, SHA256
    );
    let fake = Fake::default().answering(page);
    let link = format!("link: <{path}?next=a%20b>; rel=\"next\"");
    assert_eq!(ask(&fake.router(), "GET", &path, &[]).await, referrers(&entries, &[&link]));

    let filtered = ask(&fake.router(), "GET", &format!("{path}?artifactType=t%2Fx%2By&next=token"), &[]).await;
    let link = format!("link: <{path}?next=a%20b&artifactType=t%2Fx%2By>; rel=\"next\"");
    assert_eq!(filtered, referrers(&entries, &[&link, "oci-filters-applied: artifactType"]));
    assert_eq!(
        fake.asked::<ListReferrersRequest>()[1],
        ListReferrersRequest {
            name: image(),
            subject: SHA256.to_owned(),
            artifact_type: "t/x+y".to_owned(),
            page_size: 500,
            page_token: "token".to_owned(),
        }
    );
}

#[tokio::test]
async fn nothing_refers_to_what_is_not_there() {
    let path = format!("/v2/p1/img/nginx/referrers/{SHA256}");
    assert_eq!(ask(&Fake::default().router(), "GET", &path, &[]).await, referrers("[]", &[]));
    let unknown = Fake::default().refusing("*", refusal(Code::NotFound, "IMAGE_NOT_FOUND", "no such image"));
    assert_eq!(ask(&unknown.router(), "GET", &path, &[]).await, referrers("[]", &[]));
    let unknown = Fake::default().refusing("*", refusal(Code::NotFound, "REPOSITORY_NOT_FOUND", "no repository"));
    assert_eq!(ask(&unknown.router(), "GET", &path, &[]).await, error(404, "NAME_UNKNOWN", "no repository"));
}
