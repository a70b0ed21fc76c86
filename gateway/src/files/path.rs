//! Paths of files.
//!
//! Quirk: slashes that follow one another are one, and one at the end is none.

use super::refusal::Refusal;

/// Where a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileName {
    pub(super) project: String,
    pub(super) repository: String,
    /// With a slash in front.
    pub(super) path: String,
}

impl FileName {
    /// The last part of the path.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

/// Reads a raw path, from `/generic` on.
pub(super) fn parse(raw: &str) -> Result<FileName, Refusal> {
    let rest = raw.strip_prefix("/generic/").unwrap_or_default();
    let mut segments = rest.split('/').filter(|segment| !segment.is_empty());
    let project = segments.next().and_then(unescape).ok_or(Refusal::invalid("projectId"))?;
    let repository = segments.next().and_then(unescape).ok_or(Refusal::invalid("repoName"))?;
    let mut path = String::with_capacity(rest.len());
    for segment in segments {
        path.push('/');
        path.push_str(&unescape(segment).ok_or(Refusal::invalid("fullPath"))?);
    }
    if path.is_empty() { Err(Refusal::invalid("fullPath")) } else { Ok(FileName { project, repository, path }) }
}

/// Reads a segment; `None` when it could not be the name of anything.
fn unescape(segment: &str) -> Option<String> {
    let segment = unescape_bytes(segment)?;
    let segment = String::from_utf8(segment).ok()?;
    let is_odd = matches!(segment.as_str(), "." | "..") || segment.contains(|c: char| c.is_control() || c == '/');
    (!is_odd).then_some(segment)
}

/// Reads escapes; `None` when one is broken.
pub(super) fn unescape_bytes(text: &str) -> Option<Vec<u8>> {
    let mut unescaped = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        unescaped.push(if byte == b'%' { hex(bytes.next()?)? << 4 | hex(bytes.next()?)? } else { byte });
    }
    Some(unescaped)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_unescaped_and_have_one_slash_between_their_parts() {
        for (raw, expected) in [
            ("/generic/p1/gen/a.txt", "/a.txt"),
            ("/generic/p1/gen/dir/sub/a.txt", "/dir/sub/a.txt"),
            ("/generic//p1/gen//dir//a.txt/", "/dir/a.txt"),
            ("/generic/p1/gen/a%20b%2B+c.txt", "/a b++c.txt"),
            ("/generic/p1/gen/%E4%B8%AD.txt", "/中.txt"),
            ("/generic/p1/gen/...", "/..."),
            ("/generic/p1/gen/a\\b", "/a\\b"),
        ] {
            let name = parse(raw).unwrap();
            assert_eq!((name.project.as_str(), name.repository.as_str()), ("p1", "gen"), "{raw}");
            assert_eq!(name.path, expected, "{raw}");
        }
        assert_eq!(parse("/generic/p1/gen/dir/a.txt").unwrap().name(), "a.txt");
    }

    #[test]
    fn paths_of_nothing_are_refused() {
        for raw in [
            "/generic/",
            "/generic/p1",
            "/generic/p1/gen",
            "/generic/p1/gen/",
            "/generic/p1/gen/../a",
            "/generic/p1/gen/%2e%2e/a",
            "/generic/p1/gen/a%2Fb",
            "/generic/p1/gen/a%00",
            "/generic/p1/gen/%zz",
            "/generic/p1/gen/%FF",
            "/generic/p1/../x",
        ] {
            assert!(parse(raw).is_err(), "{raw}");
        }
    }
}
