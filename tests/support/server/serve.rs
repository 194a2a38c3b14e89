//! The right answer to a request.
//!
//! Source: RFC 9110, sections 8.8 (validators), 13 (conditional requests) and 14 (ranges). A request for several
//! ranges gets the whole, as section 14.2 allows.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use super::answer::Answer;
use super::date;
use super::request::Request;
use super::site::{File, Found, Site};

/// What `site` answers to `request`.
pub(crate) fn answer(site: &Site, request: &Request) -> Answer {
    if !matches!(request.method.as_str(), "GET" | "HEAD") {
        return Answer::page(405).with("Allow", "GET, HEAD");
    }
    let path = request.path();
    match site.find(path.trim_end_matches('/')) {
        Some(Found::Directory(names)) if path.is_empty() || path.ends_with('/') => listing(&names),
        Some(Found::Directory(_)) => Answer::redirect(301, &format!("/{path}/")),
        Some(Found::File(file)) if !path.ends_with('/') => of_file(file, request),
        Some(Found::File(_)) | None => Answer::page(404),
    }
}

fn listing(names: &[String]) -> Answer {
    let mut page = "<html><body><a href=\"../\">../</a>\n".to_owned();
    for name in names {
        // Writing to a string does not fail.
        let _ = writeln!(page, "<a href=\"{name}\">{name}</a>");
    }
    Answer::new(200, page + "</body></html>\n").with("Content-Type", "text/html")
}

fn of_file(file: File, request: &Request) -> Answer {
    let with_validators = |answer: Answer| {
        answer.with("ETag", file.etag.as_str()).with("Last-Modified", date::written(file.modified))
    };
    if is_unchanged(&file, request) {
        return with_validators(Answer::new(304, "").without("Content-Length"));
    }
    let length = file.bytes.len();
    let range = request.header("Range").filter(|_| may_be_ranged(&file, request));
    let answer = match range.map(|range| Range::of(range, length)) {
        None | Some(Range::Ignored) => Answer::new(200, file.bytes),
        Some(Range::Unsatisfiable) => {
            return Answer::page(416).with("Content-Range", format!("bytes */{length}"));
        }
        Some(Range::Part { first, last }) => Answer::new(206, &file.bytes[first..=last])
            .with("Content-Range", format!("bytes {first}-{last}/{length}")),
    };
    with_validators(answer.with("Content-Type", "application/octet-stream").with("Accept-Ranges", "bytes"))
}

/// Whether the client has this very file, as far as it asks (RFC 9110, section 13.2.2).
fn is_unchanged(file: &File, request: &Request) -> bool {
    if let Some(tags) = request.header("If-None-Match") {
        let is_it = |tag: &str| tag.trim() == "*" || tag.trim().trim_start_matches("W/") == file.etag;
        return tags.split(',').any(is_it);
    }
    // To the second, because more is not written.
    let since_1970 = file.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    let modified = UNIX_EPOCH + Duration::from_secs(since_1970.as_secs());
    request.header("If-Modified-Since").and_then(date::read).is_some_and(|since| modified <= since)
}

/// Whether `If-Range`, if it is there, allows a part (RFC 9110, section 13.1.5: exactly, and strongly).
fn may_be_ranged(file: &File, request: &Request) -> bool {
    request
        .header("If-Range")
        .is_none_or(|validator| validator == file.etag || validator == date::written(file.modified))
}

/// What `Range` comes to.
#[derive(Debug, PartialEq, Eq)]
enum Range {
    /// It is none, or several.
    Ignored,
    /// Nothing of it is there.
    Unsatisfiable,
    /// The bytes from `first` to `last`.
    Part { first: usize, last: usize },
}

impl Range {
    fn of(header: &str, length: usize) -> Self {
        let Some((first, last)) = header.strip_prefix("bytes=").and_then(|range| range.split_once('-'))
        else {
            return Self::Ignored;
        };
        let range = match (first.parse::<usize>(), last.parse::<usize>()) {
            (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(length),
            (Ok(first), Err(_)) if last.is_empty() => first..length,
            // The last so many bytes.
            (Err(_), Ok(count)) if first.is_empty() => length - count.min(length)..length,
            _ => return Self::Ignored,
        };
        if range.is_empty() {
            return Self::Unsatisfiable;
        }
        Self::Part { first: range.start, last: range.end - 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 9110, section 14.1.2, for a file of 10,000 bytes, and what is none.
    #[test]
    fn a_range_is_what_the_standard_says() {
        for (range, expected) in [
            ("bytes=0-499", Range::Part { first: 0, last: 499 }),
            ("bytes=500-999", Range::Part { first: 500, last: 999 }),
            ("bytes=-500", Range::Part { first: 9500, last: 9999 }),
            ("bytes=9500-", Range::Part { first: 9500, last: 9999 }),
            ("bytes=9999-20000", Range::Part { first: 9999, last: 9999 }),
            ("bytes=-20000", Range::Part { first: 0, last: 9999 }),
            ("bytes=10000-", Range::Unsatisfiable),
            ("bytes=-0", Range::Unsatisfiable),
            ("bytes=0-0,-1", Range::Ignored),
            ("bytes=2-1", Range::Ignored),
            ("bytes=-", Range::Ignored),
            ("lines=1-2", Range::Ignored),
        ] {
            assert_eq!(Range::of(range, 10_000), expected, "{range}");
        }
    }
}
