//! A request as it stands on the wire.
//!
//! Source: RFC 9112, sections 2.2 to 5. Requests with a body are none that are made here.

use std::io::BufRead;

/// The longest line that is read, in bytes.
const MAX_LINE: u64 = 64 * 1024;

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    /// `GET`, `HEAD` or `CONNECT`.
    pub(crate) method: String,
    /// As it stands: `/a/b?c`, to a proxy `http://host/a/b?c`, for a tunnel `host:port`.
    pub(crate) target: String,
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub(crate) version: String,
    /// Names and values, in their order.
    pub(crate) headers: Vec<(String, String)>,
}

impl Request {
    /// The next request; nothing when the client is done, or says what is none.
    pub(crate) fn read(stream: &mut impl BufRead) -> Option<Self> {
        let line = line(stream)?;
        let mut words = line.split(' ').map(str::to_owned);
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        let mut headers = Vec::new();
        loop {
            let line = self::line(stream)?;
            if line.is_empty() {
                return Some(Self { method, target, version, headers });
            }
            let (name, value) = line.split_once(':')?;
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// The value of the header `name`, in whatever case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The path that is asked for, without a slash at its beginning, and nothing else of the target.
    pub(crate) fn path(&self) -> String {
        let path = match self.target.split_once("://") {
            Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
            None => self.target.trim_start_matches('/'),
        };
        decoded(path.split('?').next().unwrap_or_default())
    }

    /// Whether the connection is to stay.
    pub(crate) fn is_persistent(&self) -> bool {
        let asks_for = |word| self.header("Connection").is_some_and(|value| value.eq_ignore_ascii_case(word));
        if self.version == "HTTP/1.0" { asks_for("keep-alive") } else { !asks_for("close") }
    }
}

/// The next line without its end.
fn line(stream: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    std::io::Read::take(stream, MAX_LINE).read_line(&mut line).ok()?;
    let line = line.strip_suffix('\n')?;
    Some(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

/// `path` with `%2F` and its like decoded; what is no such code stays.
fn decoded(path: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = path.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| byte == b'%').and_then(|code| std::str::from_utf8(code).ok());
        let decoded = code.and_then(|code| u8::from_str_radix(code, 16).ok());
        bytes.push(decoded.unwrap_or(byte));
        rest = if decoded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
