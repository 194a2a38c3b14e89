//! Where packages come from: repository entries, mirrors, and the lines an image keeps.
//!
//! An entry is read by its form alone: with `://` a URL; beginning `/`, `./` or `../` a directory relative
//! to the profile; first part `edge`, `latest-stable` or `vN.N` below the mirror; one word below the
//! release's branch. A `file:` URL is the directory it names, so that a [`Url`] is always http or https.
//!
//! Source: design, "The profile" and "Trust".

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::origin::{Location, Origin, ProfilePath};
use super::release::Branch;
use super::value::{Invalid, is_plain_line};
use crate::apk::dependency::Tag;

const WANTED_ENTRY: &str = "a repository (\"main\", \"edge/community\", \"v3.22/main\", a URL, or a directory \
                            beginning with `/`, `./` or `../`; `@tag ` may stand before it)";
const WANTED_MIRROR: &str = "a mirror (an http or https URL, a file: URL, or a directory)";
const WANTED_URL: &str = "a URL (http:// or https://)";
const WANTED_LINE: &str = "a line of /etc/apk/repositories (an http or https URL without credentials, or an absolute path; `@tag ` may \
     stand before it)";

/// The mirror that serves everybody.
pub const DEFAULT_MIRROR: &str = "https://dl-cdn.alpinelinux.org/alpine";

/// An http or https URL. Its text form hides credentials; [`Url::with_credentials`] does not.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Url(Box<str>);

/// A repository that a profile names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryEntry {
    /// Where it lies.
    pub location: RepositoryLocation,
    /// The tag it is pinned to: only packages asked for with the tag come from it.
    pub tag: Option<Tag>,
    /// If not empty, exactly these keys are accepted for it.
    pub keys: Vec<ProfilePath>,
    /// Where it was stated.
    pub origin: Origin,
}

/// Where a repository lies. `ARCH/APKINDEX.tar.gz` is below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RepositoryLocation {
    /// At a URL of its own.
    Url(Url),
    /// In a directory, on disk or of a built-in profile.
    Directory(ProfilePath),
    /// Alpine's own, on each mirror, in the branch named.
    BelowMirror {
        /// The first part.
        branch: Branch,
        /// What follows it: `community`.
        name: RepositoryName,
    },
    /// Alpine's own, on each mirror, in the branch of the profile's release.
    BelowRelease(RepositoryName),
}

/// The path of one of Alpine's repositories below its branch: `main`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName(Box<str>);

/// A place laid out like Alpine's mirrors: branches, and in them releases and repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mirror {
    /// Over the network.
    Url(Url),
    /// In a directory.
    Directory(ProfilePath),
}

/// A line that the image's `/etc/apk/repositories` is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryLine {
    /// The tag.
    pub tag: Option<Tag>,
    /// The URL or absolute path.
    pub location: Box<str>,
}

impl Url {
    /// The whole URL, for the one who opens it. Never for logs, locks, images or messages.
    #[must_use]
    pub fn with_credentials(&self) -> &str {
        &self.0
    }

    /// The user name and password that it carries, decoded.
    #[must_use]
    pub fn credentials(&self) -> Option<(String, String)> {
        let (credentials, _) = authority(&self.0)?.rsplit_once('@')?;
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        Some((percent_decoded(user)?, percent_decoded(password)?))
    }

    /// Whether it carries a user name or password.
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        authority(&self.0).is_some_and(|authority| authority.contains('@'))
    }

    /// The host, without credentials and port.
    #[must_use]
    pub fn host(&self) -> &str {
        let authority = authority(&self.0).unwrap_or_default();
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        match host.rsplit_once(':') {
            Some((name, _port)) if !host.ends_with(']') => name,
            _ => host,
        }
    }
}

fn authority(url: &str) -> Option<&str> {
    url.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next())
}

/// Trailing slashes go, so that a path can be appended.
impl FromStr for Url {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let url = Self(text.trim_end_matches('/').into());
        let fits = (text.starts_with("http://") || text.starts_with("https://"))
            && !url.host().is_empty()
            && text.len() <= 2048
            && text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\\' | '`' | '#'));
        if fits { Ok(url) } else { Err(Invalid::new(&without_credentials(text), WANTED_URL)) }
    }
}

/// `text` with the credentials of every URL in it hidden.
pub fn without_credentials(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let end = after.find(['/', '?', '#', ' ']).unwrap_or(after.len());
        let (authority, tail) = after.split_at(end);
        match authority.rsplit_once('@') {
            Some((_, host)) => {
                shown.push_str("***@");
                shown.push_str(host);
            }
            None => shown.push_str(authority),
        }
        rest = tail;
    }
    shown + rest
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_credentials(&self.0))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

impl RepositoryName {
    /// The path, without slashes at its ends.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn new(text: &str) -> Option<Self> {
        let is_name = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphanumeric())
                && name.chars().all(super::names::is_package_name_char)
        };
        text.trim_end_matches('/').split('/').all(is_name).then(|| Self(text.trim_end_matches('/').into()))
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl RepositoryEntry {
    /// Parses an entry as a profile writes it in one string: `[@tag ]location`.
    pub fn parse(text: &str, origin: &Origin) -> Result<Self, Invalid> {
        let invalid = || Invalid::new(&without_credentials(text), WANTED_ENTRY);
        let (tag, location) = split_tag(text).ok_or_else(invalid)?;
        let location = RepositoryLocation::parse(location, origin).map_err(|_| invalid())?;
        Ok(Self { location, tag, keys: Vec::new(), origin: origin.clone() })
    }
}

/// `@tag rest` or `@tag=rest`, or everything without a tag; nothing if the tag is none.
pub fn split_tag(text: &str) -> Option<(Option<Tag>, &str)> {
    let Some(tagged) = text.strip_prefix('@') else {
        return Some((None, text));
    };
    let (tag, rest) = tagged.split_once([' ', '='])?;
    Some((Some(Tag::new(tag)?), rest.trim_start_matches(' ')))
}

impl RepositoryLocation {
    /// Reads where a repository lies, by the form of `text`. A relative directory is relative to what
    /// `origin` says.
    pub fn parse(text: &str, origin: &Origin) -> Result<Self, Invalid> {
        let invalid = || Invalid::new(&without_credentials(text), WANTED_ENTRY);
        if let Some(rest) = text.strip_prefix("file:") {
            return directory_of_file_url(rest).map(Self::Directory).ok_or_else(invalid);
        }
        if text.contains("://") {
            return text.parse().map(Self::Url).map_err(|_| invalid());
        }
        if text.starts_with('/') || text.starts_with("./") || text.starts_with("../") {
            return directory(text, origin).map(Self::Directory).ok_or_else(invalid);
        }
        let parts = text.split_once('/');
        let branch = parts.and_then(|(first, rest)| Some((first.parse().ok()?, rest)));
        if let Some((branch, rest)) = branch {
            let name = RepositoryName::new(rest).ok_or_else(invalid)?;
            return Ok(Self::BelowMirror { branch, name });
        }
        // A branch alone is no repository; a path below no branch is nothing at all.
        if parts.is_some() || text.parse::<Branch>().is_ok() {
            return Err(invalid());
        }
        RepositoryName::new(text).map(Self::BelowRelease).ok_or_else(invalid)
    }

    /// Whether it is one of Alpine's own, named by branch and not by URL or path.
    #[must_use]
    pub fn is_official(&self) -> bool {
        match self {
            Self::BelowMirror { .. } | Self::BelowRelease(_) => true,
            Self::Url(_) | Self::Directory(_) => false,
        }
    }
}

impl fmt::Display for RepositoryLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => write!(f, "{url}"),
            Self::Directory(path) => write!(f, "{path}"),
            Self::BelowMirror { branch, name } => write!(f, "{branch}/{name}"),
            Self::BelowRelease(name) => write!(f, "{name}"),
        }
    }
}

/// A path on disk or of a built-in profile.
fn directory(text: &str, origin: &Origin) -> Option<ProfilePath> {
    let fits = !text.is_empty() && is_plain_line(text) && text.len() < 4096;
    fits.then(|| ProfilePath { location: origin.location(), path: PathBuf::from(text) })
}

/// The directory that a `file:` URL names, given what follows its scheme.
fn directory_of_file_url(rest: &str) -> Option<ProfilePath> {
    let path = match rest.strip_prefix("//") {
        Some(after) => after.strip_prefix("localhost").unwrap_or(after),
        None => rest,
    };
    let decoded = percent_decoded(path).filter(|path| path.starts_with('/') && is_plain_line(path))?;
    Some(ProfilePath { location: Location::Directory(PathBuf::from("/")), path: decoded.into() })
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let (high, low) = (digit()?, digit()?);
        bytes.push(u8::try_from(high * 16 + low).ok()?);
    }
    String::from_utf8(bytes).ok()
}

impl Mirror {
    /// Reads a mirror; a relative directory is relative to what `origin` says.
    pub fn parse(text: &str, origin: &Origin) -> Result<Self, Invalid> {
        let invalid = || Invalid::new(&without_credentials(text), WANTED_MIRROR);
        if let Some(rest) = text.strip_prefix("file:") {
            return directory_of_file_url(rest).map(Self::Directory).ok_or_else(invalid);
        }
        if text.contains("://") {
            return text.parse().map(Self::Url).map_err(|_| invalid());
        }
        directory(text, origin).map(Self::Directory).ok_or_else(invalid)
    }
}

impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => write!(f, "{url}"),
            Self::Directory(path) => write!(f, "{path}"),
        }
    }
}

impl FromStr for RepositoryLine {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new(&without_credentials(text), WANTED_LINE);
        let (tag, location) = split_tag(text).ok_or_else(invalid)?;
        let url = || location.parse::<Url>().is_ok_and(|url| !url.has_credentials());
        let path =
            || location.starts_with('/') && location.chars().all(|c| !c.is_control() && !c.is_whitespace());
        if path() || url() { Ok(Self { tag, location: location.into() }) } else { Err(invalid()) }
    }
}

/// The line as it is written.
impl fmt::Display for RepositoryLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tag) = &self.tag {
            write!(f, "{tag} ")?;
        }
        f.write_str(&self.location)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> Result<RepositoryEntry, Invalid> {
        RepositoryEntry::parse(text, &Origin::Default)
    }

    #[test]
    fn an_entry_is_read_by_its_form() {
        let location = |text: &str| entry(text).unwrap().location;
        assert!(
            matches!(location("main"), RepositoryLocation::BelowRelease(name) if name.as_str() == "main")
        );
        assert!(matches!(location("iso-3.19.1"), RepositoryLocation::BelowRelease(_)));
        for text in ["edge/community", "v3.19/main", "latest-stable/main"] {
            assert!(matches!(location(text), RepositoryLocation::BelowMirror { .. }), "{text}");
            assert_eq!(location(text).to_string(), text);
            assert!(location(text).is_official());
        }
        for text in ["/srv/x", "./local", "../x", "file:///srv/x"] {
            assert!(matches!(location(text), RepositoryLocation::Directory(_)), "{text}");
        }
        assert!(matches!(location("https://x.org/alpine/"), RepositoryLocation::Url(_)));
        assert_eq!(location("https://x.org/alpine/").to_string(), "https://x.org/alpine");
    }

    #[test]
    fn a_tag_stands_before_the_entry() {
        let tagged = entry("@edge edge/community").unwrap();
        assert_eq!(tagged.tag.unwrap().as_str(), "edge");
        assert!(tagged.location.is_official());
    }

    #[test]
    fn what_is_no_repository_is_refused() {
        for text in [
            "",
            "edge",
            "v3.19",
            "latest-stable",
            "foo/bar",
            "a b",
            "@x",
            "@ main",
            "@a/b main",
            "ftp://x/y",
            "https://",
            "file://host/x",
            "file:x",
            "edge/",
            "edge/../x",
            "v3/main",
            "main\n",
            "https://x y",
            "/a\u{1b}",
            "~/x",
        ] {
            assert!(entry(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_url_is_the_directory_it_names() {
        for text in ["file:///srv/a%20b", "file:/srv/a%20b", "file://localhost/srv/a%20b"] {
            let Mirror::Directory(path) = Mirror::parse(text, &Origin::Default).unwrap() else {
                panic!("{text}");
            };
            assert_eq!(path.to_string(), "/srv/a b");
        }
        assert!(Mirror::parse("file:///a%zz", &Origin::Default).is_err());
        assert!(Mirror::parse("file:///a%0a", &Origin::Default).is_err());
    }

    #[test]
    fn credentials_are_never_shown() {
        let url: Url = "https://me:secret@x.org:8443/alpine".parse().unwrap();
        assert_eq!(url.to_string(), "https://***@x.org:8443/alpine");
        assert_eq!(format!("{url:?}"), "Url(https://***@x.org:8443/alpine)");
        assert_eq!(url.host(), "x.org");
        assert!(url.has_credentials());
        let refused = entry("https://me:secret@x.org/a b").unwrap_err().to_string();
        assert!(!refused.contains("secret"), "{refused}");
        assert!("https://me:secret@x.org/a".parse::<RepositoryLine>().is_err());
    }

    #[test]
    fn a_line_of_the_image_is_a_url_or_an_absolute_path() {
        for text in
            ["https://dl-cdn.alpinelinux.org/alpine/v3.22/main", "@edge https://x.org/edge", "/media/apks"]
        {
            assert_eq!(text.parse::<RepositoryLine>().unwrap().to_string(), text);
        }
        for text in ["", "main", "./x", "file:///x", "/a b", "/a\nhttps://x"] {
            assert!(text.parse::<RepositoryLine>().is_err(), "{text}");
        }
    }
}
