//! The id of a request, as the envelope tells it: 32 hexadecimal digits.

use http::HeaderMap;
use uuid::Uuid;

/// That of the trace that the client is in, or of the request, or a new one.
pub(super) fn of(headers: &HeaderMap) -> String {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let of_trace = header("traceparent").and_then(|parent| parent.split('-').nth(1)).filter(|id| is_trace(id));
    let of_request = header("x-request-id").and_then(|id| Uuid::parse_str(id).ok());
    match (of_trace, of_request) {
        (Some(id), _) => id.to_owned(),
        (None, Some(id)) => id.simple().to_string(),
        (None, None) => Uuid::new_v4().simple().to_string(),
    }
}

fn is_trace(id: &str) -> bool {
    let is_hex = id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    id.len() == 32 && is_hex && id.bytes().any(|byte| byte != b'0')
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    #[test]
    fn a_trace_is_told_before_the_request() {
        let of = |pairs: &[(&'static str, &str)]| {
            let pairs =
                pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("a value")));
            super::of(&pairs.collect())
        };
        let request = ("x-request-id", "0af76519-16cd-43dd-8448-eb211c80319c");
        assert_eq!(of(&[request]), "0af7651916cd43dd8448eb211c80319c");
        let trace = ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        assert_eq!(of(&[request, trace]), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(of(&[request, ("traceparent", "00-odd-x-01")]), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(of(&[("x-request-id", "mine")]).len(), 32);
    }
}
