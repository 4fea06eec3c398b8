//! What a server's answer to a request for a file, or for the rest of it, means. Pure.

use hyper::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap, HeaderName, LOCATION};
use hyper::{StatusCode, Uri};

/// What to do with an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Its body goes on where the part ends.
    Rest,
    /// Its body is the whole file: what is there is thrown away.
    Whole,
    /// The range was not understood: ask for the whole file.
    AskForWhole,
    /// The file is elsewhere.
    Elsewhere(Uri),
    /// It redirects to nowhere.
    Nowhere,
    /// The file there has another size, this one.
    OtherSize(u64),
    /// Not now; it may pass.
    Later,
    /// No.
    Never,
}

/// Reads the answer to a request for all bytes from `from` on (RFC 9110, sections 14 and 15) of a file of `size`.
/// `asked` is the address that answered.
pub(super) fn read_answer(
    status: StatusCode,
    headers: &HeaderMap,
    asked: &Uri,
    from: u64,
    size: u64,
) -> Answer {
    match status {
        StatusCode::OK => match text(headers, &CONTENT_LENGTH).and_then(|length| length.parse().ok()) {
            Some(length) if length != size => Answer::OtherSize(length),
            _ => Answer::Whole,
        },
        StatusCode::PARTIAL_CONTENT => match text(headers, &CONTENT_RANGE).and_then(content_range) {
            Some((_, Some(total))) if total != size => Answer::OtherSize(total),
            Some((first, _)) if first == from => Answer::Rest,
            _ => Answer::AskForWhole,
        },
        StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => Answer::AskForWhole,
        StatusCode::MOVED_PERMANENTLY
        | StatusCode::FOUND
        | StatusCode::SEE_OTHER
        | StatusCode::TEMPORARY_REDIRECT
        | StatusCode::PERMANENT_REDIRECT => text(headers, &LOCATION)
            .and_then(|to| resolve(asked, to))
            .map_or(Answer::Nowhere, Answer::Elsewhere),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Answer::Later,
        _ if status.is_server_error() => Answer::Later,
        _ => Answer::Never,
    }
}

/// Whether bytes may be asked of this address: HTTPS, or HTTP on this machine.
pub(super) fn is_trusted(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let loopback = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    match uri.scheme_str() {
        Some("https") => !host.is_empty(),
        Some("http") => loopback,
        _ => false,
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// First byte and total size of `bytes 5-9/10`; the total is unknown in `bytes 5-9/*`.
fn content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _last) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    Some((first.trim().parse().ok()?, total))
}

/// A redirect's target: a whole address, or a path on the host that answered.
fn resolve(asked: &Uri, location: &str) -> Option<Uri> {
    if !location.starts_with('/') {
        return location.parse().ok().filter(|uri: &Uri| uri.scheme().is_some());
    }
    let scheme = asked.scheme_str()?;
    match location.strip_prefix("//") {
        Some(rest) => format!("{scheme}://{rest}").parse().ok(),
        None => format!("{scheme}://{}{location}", asked.authority()?).parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;
    use proptest::prelude::*;

    fn answer(status: u16, header: Option<(HeaderName, &str)>, from: u64) -> Answer {
        let status = StatusCode::from_u16(status).expect("a status");
        let mut headers = HeaderMap::new();
        if let Some((name, value)) = header {
            headers.insert(name, HeaderValue::from_str(value).expect("a header"));
        }
        read_answer(status, &headers, &Uri::from_static("https://hub.test/a/b"), from, 100)
    }

    #[test]
    fn a_server_that_ignores_the_range_gives_the_whole_file() {
        assert_eq!(answer(200, None, 40), Answer::Whole);
        assert_eq!(answer(200, Some((CONTENT_LENGTH, "100")), 40), Answer::Whole);
    }

    #[test]
    fn a_part_is_taken_only_from_where_it_was_asked() {
        assert_eq!(answer(206, Some((CONTENT_RANGE, "bytes 40-99/100")), 40), Answer::Rest);
        assert_eq!(answer(206, Some((CONTENT_RANGE, "bytes 40-99/*")), 40), Answer::Rest);
        assert_eq!(answer(206, Some((CONTENT_RANGE, "bytes 39-99/100")), 40), Answer::AskForWhole);
        assert_eq!(answer(206, Some((CONTENT_RANGE, "lines 40-99/100")), 40), Answer::AskForWhole);
        assert_eq!(answer(206, None, 40), Answer::AskForWhole);
    }

    #[test]
    fn a_file_of_another_size_is_seen_before_its_bytes_come() {
        assert_eq!(answer(200, Some((CONTENT_LENGTH, "99")), 0), Answer::OtherSize(99));
        assert_eq!(answer(206, Some((CONTENT_RANGE, "bytes 40-100/101")), 40), Answer::OtherSize(101));
    }

    #[test]
    fn an_unsatisfiable_range_asks_for_the_whole_once() {
        assert_eq!(answer(416, None, 40), Answer::AskForWhole);
        assert_eq!(answer(416, None, 0), Answer::Never);
    }

    #[test]
    fn redirects_are_resolved_against_the_address_that_answered() {
        let to = |location: &'static str| answer(302, Some((LOCATION, location)), 0);
        assert_eq!(to("/c?d=e"), Answer::Elsewhere(Uri::from_static("https://hub.test/c?d=e")));
        assert_eq!(to("//cdn.test/c"), Answer::Elsewhere(Uri::from_static("https://cdn.test/c")));
        assert_eq!(to("http://cdn.test/c"), Answer::Elsewhere(Uri::from_static("http://cdn.test/c")));
        assert_eq!(to("c"), Answer::Nowhere);
        assert_eq!(answer(302, None, 0), Answer::Nowhere);
    }

    #[test]
    fn what_may_pass_is_told_from_what_will_not() {
        for status in [408, 429, 500, 503] {
            assert_eq!(answer(status, None, 0), Answer::Later);
        }
        for status in [204, 304, 401, 403, 404, 410] {
            assert_eq!(answer(status, None, 0), Answer::Never);
        }
    }

    #[test]
    fn plain_http_is_trusted_on_this_machine_only() {
        for good in ["https://hub.test/a", "http://127.0.0.1:80/a", "http://localhost/a", "http://[::1]:9/a"]
        {
            assert!(is_trusted(&good.parse().expect("a uri")), "{good}");
        }
        for bad in ["http://hub.test/a", "ftp://127.0.0.1/a", "/a", "http://127.0.0.1.test/a"] {
            assert!(!is_trusted(&bad.parse().expect("a uri")), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_a_panic(value in "[ -~]{0,40}", from in 0..200u64) {
            for status in [200, 206, 302] {
                for name in [CONTENT_LENGTH, CONTENT_RANGE, LOCATION] {
                    answer(status, Some((name, &value)), from);
                }
            }
        }
    }
}
