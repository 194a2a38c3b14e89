//! An answer before it is on the wire.

use std::fmt::Write as _;

/// Status, headers and body. What the headers say need not be true of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// Names and values, in their order.
    pub(crate) headers: Vec<(String, String)>,
    /// The body, also in the answer to a `HEAD`, which leaves it out.
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// An answer with a body, and the header that says how long that is.
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let length = ("Content-Length".to_owned(), body.len().to_string());
        Self { status, headers: vec![length], body }
    }

    /// The page that a web server shows for a status.
    pub(crate) fn page(status: u16) -> Self {
        let body = format!("<html><body><h1>{status} {}</h1></body></html>\n", phrase(status));
        Self::new(status, body).with("Content-Type", "text/html")
    }

    /// One that leads elsewhere.
    pub(crate) fn redirect(status: u16, location: &str) -> Self {
        Self::page(status).with("Location", location)
    }

    /// With `value` for the header `name`, in place of the one it has.
    pub(crate) fn with(self, name: &str, value: impl Into<String>) -> Self {
        let mut changed = self.without(name);
        changed.headers.push((name.to_owned(), value.into()));
        changed
    }

    /// Without the header `name`.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(header, _)| !header.eq_ignore_ascii_case(name));
        self
    }

    /// The value of the header `name`.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// With what `change` makes of its body, and the header that says how long that is.
    pub(crate) fn with_body(mut self, change: impl FnOnce(&mut Vec<u8>)) -> Self {
        change(&mut self.body);
        let length = self.body.len().to_string();
        self.with("Content-Length", length)
    }

    /// Everything before the body, as it is on the wire.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, phrase(self.status));
        for (name, value) in &self.headers {
            // Writing to a string does not fail.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

/// What a status is called (RFC 9110, section 15).
fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        416 => "Range Not Satisfiable",
        425 => "Too Early",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Other",
    }
}
