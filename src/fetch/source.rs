//! The places bytes come from, and the one way to reach them.
//!
//! A [`Source`] is the root of a mirror, or of a repository given by itself. Everything below it is named
//! by relative paths with `/`. That something is not there is no error here: who asked knows whether
//! another place may have it.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::kind::{Explain, Kind};
use crate::root::{FileError, Root};

/// The longest branch name that a file in place of a link may hold, in bytes.
const MAX_LINK: u64 = 64;

/// A place bytes come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A directory of this machine.
    Directory(PathBuf),
    /// Files compiled into the program.
    Embedded(&'static Embedded),
}

/// Files compiled into the program.
#[derive(Debug)]
pub struct Embedded {
    /// What the place is called in messages.
    pub name: &'static str,
    /// Paths and contents.
    pub files: &'static [(&'static str, &'static [u8])],
}

/// Something to read.
pub(super) struct Opened {
    pub(super) reader: Box<dyn Read + Send>,
    /// How long it is, in bytes.
    pub(super) length: u64,
}

/// A text that names no place bytes could come from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// It is a URL of http.
    #[error("cannot read {url}: http mirrors are not supported yet")]
    Http {
        /// The URL.
        url: String,
    },
    /// It is a URL of something else.
    #[error("cannot read {url}: `{scheme}:` is not a kind of address a mirror can have")]
    Scheme {
        /// The URL.
        url: String,
        /// The part before the colon.
        scheme: String,
    },
    /// It is a malformed `file:` URL.
    #[error("`{url}` is malformed: a file: URL is written file:///absolute/path")]
    File {
        /// The URL.
        url: String,
    },
}

impl Explain for SourceError {
    fn kind(&self) -> Kind {
        match self {
            Self::Http { .. } => Kind::Missing,
            Self::Scheme { .. } | Self::File { .. } => Kind::Profile,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Http { .. } => Some("give --mirror a directory or a file: URL".to_owned()),
            Self::Scheme { .. } => Some("give a directory or a file: URL".to_owned()),
            Self::File { .. } => None,
        }
    }
}

impl Source {
    /// The place that `text` names: a `file:` URL, or a directory, which may be relative to `below`.
    pub fn parse(text: &str, below: &Path) -> Result<Self, SourceError> {
        let Some((scheme, rest)) = split_scheme(text) else { return Ok(Self::Directory(below.join(text))) };
        match scheme.to_ascii_lowercase().as_str() {
            "http" | "https" => Err(SourceError::Http { url: without_credentials(text) }),
            "file" => {
                file_url(rest).map(Self::Directory).ok_or_else(|| SourceError::File { url: text.to_owned() })
            }
            _ => Err(SourceError::Scheme { url: without_credentials(text), scheme: scheme.to_owned() }),
        }
    }

    /// What `path` below this place is called in messages.
    pub fn locate(&self, path: &str) -> String {
        match self {
            Self::Directory(directory) => directory.join(path).display().to_string(),
            Self::Embedded(embedded) => format!("{}/{path}", embedded.name),
        }
    }

    /// Opens the file at `path`; nothing if it is not there.
    pub(super) fn open(&self, path: &str) -> Result<Option<Opened>, FileError> {
        match self {
            Self::Directory(directory) => open_below(directory, path),
            Self::Embedded(embedded) => Ok(embedded
                .file(path)
                .map(|bytes| Opened { reader: Box::new(bytes), length: bytes.len() as u64 })),
        }
    }

    /// Reads the file at `path`, which may have `limit` bytes; nothing if it is not there.
    pub(super) fn read(&self, path: &str, limit: u64) -> Result<Option<Vec<u8>>, FileError> {
        let Some(opened) = self.open(path)? else { return Ok(None) };
        let location = PathBuf::from(self.locate(path));
        let mut bytes = Vec::new();
        opened
            .reader
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(FileError::on("read", &location))?;
        if bytes.len() as u64 > limit {
            let error =
                io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {limit} bytes"));
            return Err(FileError::on("read", &location)(error));
        }
        Ok(Some(bytes))
    }

    /// Where `name` points, if it is a link in this place, or a small file in place of one.
    pub(super) fn link_name(&self, name: &str) -> Option<String> {
        if let Self::Directory(directory) = self
            && let Ok(target) = fs::read_link(directory.join(name))
        {
            return target.file_name().map(|name| name.to_string_lossy().into_owned());
        }
        // An error means that it is a directory, or a file that holds something else.
        let text = self.read(name, MAX_LINK).ok()??;
        Some(String::from_utf8_lossy(&text).trim().to_owned())
    }
}

impl Embedded {
    fn file(&self, path: &str) -> Option<&'static [u8]> {
        self.files.iter().find(|(name, _)| *name == path).map(|(_, bytes)| *bytes)
    }
}

fn open_below(directory: &Path, path: &str) -> Result<Option<Opened>, FileError> {
    let opened = Root::open(directory).and_then(|root| root.open_file(Path::new(path)));
    let file = match opened {
        // Part of the path may be a file where another mirror has a directory.
        Err(error) if error.is_not_found() || error.error.kind() == io::ErrorKind::NotADirectory => {
            return Ok(None);
        }
        other => other?,
    };
    let length = file.metadata().map_err(FileError::on("look at", &directory.join(path)))?.len();
    Ok(Some(Opened { reader: Box::new(file), length }))
}

/// `scheme` and what follows its colon; nothing for a path.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    // A directory may have a colon in its name; only `file:` is known without slashes.
    (is_scheme && (rest.starts_with("//") || scheme.eq_ignore_ascii_case("file"))).then_some((scheme, rest))
}

/// The path of a `file:` URL: `///path`, `//localhost/path` or `/path`, percent-decoded.
fn file_url(rest: &str) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;
    let path = match rest.strip_prefix("//") {
        Some(with_host) => with_host.strip_prefix("localhost").unwrap_or(with_host),
        None => rest,
    };
    if !path.starts_with('/') {
        return None;
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut left = path.bytes();
    while let Some(byte) = left.next() {
        bytes.push(if byte == b'%' {
            hex_digit(left.next()?)? << 4 | hex_digit(left.next()?)?
        } else {
            byte
        });
    }
    (!bytes.contains(&0)).then(|| PathBuf::from(std::ffi::OsString::from_vec(bytes)))
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// A URL as it may be shown: without a user and password.
fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(text: &str) -> PathBuf {
        match Source::parse(text, Path::new("/here")) {
            Ok(Source::Directory(path)) => path,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn directories_and_file_urls_are_places() {
        for (text, path) in [
            ("/mirror", "/mirror"),
            ("mirror", "/here/mirror"),
            ("./a:b", "/here/./a:b"),
            ("a:b", "/here/a:b"),
            ("file:///mir%20ror/x", "/mir ror/x"),
            ("file://localhost/m", "/m"),
            ("file:/m", "/m"),
            ("FILE:///m", "/m"),
        ] {
            assert_eq!(directory(text), Path::new(path), "{text}");
        }
    }

    #[test]
    fn other_addresses_are_refused_in_words_and_without_passwords() {
        let message = |text| Source::parse(text, Path::new("/here")).unwrap_err();
        let http = message("https://me:secret@example.org/alpine");
        assert_eq!(
            http.to_string(),
            "cannot read https://example.org/alpine: http mirrors are not supported yet"
        );
        assert_eq!(http.hint().unwrap(), "give --mirror a directory or a file: URL");
        assert_eq!(http.kind(), Kind::Missing);
        assert!(matches!(message("ftp://x/y"), SourceError::Scheme { .. }));
        for text in ["file://host/x", "file:x", "file:///%", "file:///%zz", "file:///%00"] {
            assert!(matches!(message(text), SourceError::File { .. }), "{text}");
        }
    }
}
