//! What a client writes on a file, in the headers of its upload.
//!
//! Quirk: `X-BKREPO-META-{key}` has one value, and its key is taken in lower case; `X-BKREPO-META` has all of them as
//! `k1=v1&k2=v2` in base64. Values are escaped as in URLs.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;

use super::path::unescape_bytes;
use super::refusal::Refusal;

const ALL: &str = "x-bkrepo-meta";
const ONE: &str = "x-bkrepo-meta-";

/// Reads it.
pub(super) fn read(headers: &HeaderMap) -> Result<HashMap<String, String>, Refusal> {
    let mut metadata = HashMap::new();
    for (name, value) in headers {
        let name = name.as_str();
        if name == ALL {
            let pairs = STANDARD.decode(value.as_bytes()).ok().and_then(|pairs| String::from_utf8(pairs).ok());
            for pair in pairs.ok_or(Refusal::invalid("X-BKREPO-META"))?.split('&').filter(|pair| !pair.is_empty()) {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                let pair = (text(key.as_bytes()), text(value.as_bytes()));
                let (Some(key), Some(value)) = pair else { return Err(Refusal::invalid("X-BKREPO-META")) };
                metadata.insert(key.trim().to_lowercase(), value);
            }
        } else if let Some(key) = name.strip_prefix(ONE).filter(|key| !key.is_empty()) {
            let value = text(value.as_bytes()).ok_or(Refusal::invalid("X-BKREPO-META"))?;
            metadata.insert(key.to_owned(), value);
        }
    }
    Ok(metadata)
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(unescape_bytes(std::str::from_utf8(bytes).ok()?)?).ok()
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn read_all(headers: &[(&'static str, &'static str)]) -> Option<Vec<(String, String)>> {
        let pairs =
            headers.iter().map(|(name, value)| (HeaderName::try_from(*name).unwrap(), HeaderValue::from_static(value)));
        let mut read: Vec<_> = read(&pairs.collect()).ok()?.into_iter().collect();
        read.sort();
        Some(read)
    }

    #[test]
    fn metadata_is_read_from_either_kind_of_header() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        for (headers, expected) in [
            (&[][..], Some(vec![])),
            (&[("X-BKREPO-META-Author", "me")], Some(vec![pair("author", "me")])),
            (&[("X-BKREPO-META-k", "%E4%B8%AD+%2B")], Some(vec![pair("k", "中++")])),
            (&[("X-BKREPO-META-", "x")], Some(vec![])),
            // K1=v1&k2=a%3Db&k3
            (
                &[("X-BKREPO-META", "SzE9djEmazI9YSUzRGImazM=")],
                Some(vec![pair("k1", "v1"), pair("k2", "a=b"), pair("k3", "")]),
            ),
            (&[("X-BKREPO-META", "!")], None),
            (&[("X-BKREPO-META-k", "%z")], None),
        ] {
            assert_eq!(read_all(headers), expected, "{headers:?}");
        }
    }
}
