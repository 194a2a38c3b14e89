//! Image names: short as people write them, `x:1`, and full as engines store them,
//! `docker.io/library/x:1`.
//!
//! An [`ImageReference`] always has a registry, a path and a tag. Digests have no place in the name of
//! an image that is only being made.
//!
//! Source: the grammar of `distribution/reference`, and its `ParseNormalizedNamed` and `FamiliarString`.

use std::fmt;
use std::str::FromStr;

use crate::kind::{Explain, Kind};

const DEFAULT_REGISTRY: &str = "docker.io";
const OLD_DEFAULT_REGISTRY: &str = "index.docker.io";
const OFFICIAL: &str = "library/";
const DEFAULT_TAG: &str = "latest";
/// The longest name without its tag.
const MAX_NAME: usize = 255;
const MAX_TAG: usize = 128;

/// The name of an image, complete.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageReference {
    registry: String,
    path: String,
    tag: String,
}

/// A text that is no name for an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a name for an image: {flaw}")]
pub struct ReferenceError {
    /// The text as it was given.
    pub text: String,
    /// What is wrong with it.
    pub flaw: ReferenceFlaw,
}

/// What is wrong with a text that is no name for an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceFlaw {
    /// It has a digest.
    #[error("it has a digest, which only a finished image has")]
    Digest,
    /// The registry is not a host name with an optional port.
    #[error("`{0}` is not a registry")]
    Registry(String),
    /// A part of the path has other characters than are allowed.
    #[error(
        "`{0}` may have only lower-case letters and digits, with one `.`, one or two `_` or any number of `-` between them"
    )]
    Path(String),
    /// The tag has other characters than are allowed, or is too long.
    #[error(
        "the tag `{0}` may have only up to {MAX_TAG} letters, digits, `_`, `.` and `-`, and begins with neither of the last two"
    )]
    Tag(String),
    /// It is too long.
    #[error("it is longer than {MAX_NAME} characters")]
    TooLong,
    /// It looks like an image ID.
    #[error("64 hexadecimal digits are an image ID")]
    LooksLikeId,
}

impl Explain for ReferenceError {
    fn kind(&self) -> Kind {
        Kind::Profile
    }

    fn hint(&self) -> Option<String> {
        let lower = self.text.to_lowercase();
        (lower.parse::<ImageReference>().is_ok()).then(|| format!("write it as `{lower}`"))
    }
}

impl ImageReference {
    /// The full name, as engines store it: `docker.io/library/x:1`.
    #[must_use]
    pub fn full(&self) -> String {
        format!("{}/{}:{}", self.registry, self.path, self.tag)
    }

    /// The short name, as people write it and docker shows it: `x:1`.
    #[must_use]
    pub fn familiar(&self) -> String {
        if self.registry != DEFAULT_REGISTRY {
            return self.full();
        }
        let path = match self.path.strip_prefix(OFFICIAL) {
            Some(name) if !name.contains('/') => name,
            _ => &self.path,
        };
        format!("{path}:{}", self.tag)
    }

    /// The tag alone: `1`.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }
}

/// The short name.
impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.familiar())
    }
}

impl FromStr for ImageReference {
    type Err = ReferenceError;

    /// Parses a short or a full name; the tag is `latest` if there is none.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        parse(text).map_err(|flaw| ReferenceError { text: text.to_owned(), flaw })
    }
}

fn parse(text: &str) -> Result<ImageReference, ReferenceFlaw> {
    if text.contains('@') {
        return Err(ReferenceFlaw::Digest);
    }
    if text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(ReferenceFlaw::LooksLikeId);
    }
    let (name, tag) = match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (text, DEFAULT_TAG),
    };
    let (registry, path) = match name.split_once('/') {
        Some((first, rest)) if is_meant_as_registry(first) => (first, rest),
        _ => (DEFAULT_REGISTRY, name),
    };
    let registry = if registry == OLD_DEFAULT_REGISTRY { DEFAULT_REGISTRY } else { registry };
    let official = registry == DEFAULT_REGISTRY && !path.contains('/');
    let path = if official { format!("{OFFICIAL}{path}") } else { path.to_owned() };

    if !is_registry(registry) {
        return Err(ReferenceFlaw::Registry(registry.to_owned()));
    }
    if let Some(part) = path.split('/').find(|part| !is_path_part(part)) {
        return Err(ReferenceFlaw::Path(part.to_owned()));
    }
    if !is_tag(tag) {
        return Err(ReferenceFlaw::Tag(tag.to_owned()));
    }
    if registry.len() + 1 + path.len() > MAX_NAME {
        return Err(ReferenceFlaw::TooLong);
    }
    Ok(ImageReference { registry: registry.to_owned(), path, tag: tag.to_owned() })
}

/// Whether the first part of a name is a registry rather than a part of the path.
fn is_meant_as_registry(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':']) || first.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port_is_good =
        port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host_is_good = match address {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(is_host_part),
    };
    port_is_good && host_is_good
}

fn is_host_part(part: &str) -> bool {
    !part.is_empty()
        && !part.starts_with('-')
        && !part.ends_with('-')
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_path_part(part: &str) -> bool {
    let alphanumeric = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
    let separators_are_good = part
        .split(alphanumeric)
        .all(|between| matches!(between, "" | "." | "_" | "__") || between.bytes().all(|byte| byte == b'-'));
    separators_are_good && part.starts_with(alphanumeric) && part.ends_with(alphanumeric)
}

fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|byte| word(byte) || matches!(byte, b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaw(text: &str) -> ReferenceFlaw {
        text.parse::<ImageReference>().unwrap_err().flaw
    }

    #[test]
    fn names_are_completed_and_shortened_as_docker_does() {
        // Expected: `docker tag` and `docker images` of 20.10; `distribution/reference`'s own tests.
        for (text, full, familiar) in [
            ("x", "docker.io/library/x:latest", "x:latest"),
            ("x:1", "docker.io/library/x:1", "x:1"),
            ("docker.io/library/x:1", "docker.io/library/x:1", "x:1"),
            ("docker.io/x", "docker.io/library/x:latest", "x:latest"),
            ("index.docker.io/a/b:2", "docker.io/a/b:2", "a/b:2"),
            ("example/php-fpm:8.3", "docker.io/example/php-fpm:8.3", "example/php-fpm:8.3"),
            ("library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
            ("localhost/x", "localhost/x:latest", "localhost/x:latest"),
            ("localhost:5000/x", "localhost:5000/x:latest", "localhost:5000/x:latest"),
            ("localhost:5000", "docker.io/library/localhost:5000", "localhost:5000"),
            (
                "ghcr.io/o/r__x/y-z---w:v1.0_2-3",
                "ghcr.io/o/r__x/y-z---w:v1.0_2-3",
                "ghcr.io/o/r__x/y-z---w:v1.0_2-3",
            ),
            ("Registry/x:1", "Registry/x:1", "Registry/x:1"),
            ("[fd00::1]:5000/x:1", "[fd00::1]:5000/x:1", "[fd00::1]:5000/x:1"),
        ] {
            let reference: ImageReference = text.parse().unwrap();
            assert_eq!(reference.full(), full);
            assert_eq!(reference.familiar(), familiar);
            assert_eq!(reference.full().parse(), Ok(reference));
        }
    }

    #[test]
    fn what_docker_refuses_is_refused_with_the_part_that_is_wrong() {
        assert_eq!(flaw(""), ReferenceFlaw::Path(String::new()));
        assert_eq!(flaw("X:1"), ReferenceFlaw::Path("X".to_owned()));
        assert_eq!(flaw("a//b"), ReferenceFlaw::Path(String::new()));
        assert_eq!(flaw("a/-b"), ReferenceFlaw::Path("-b".to_owned()));
        assert_eq!(flaw("a/b___c"), ReferenceFlaw::Path("b___c".to_owned()));
        assert_eq!(flaw("a/b..c"), ReferenceFlaw::Path("b..c".to_owned()));
        assert_eq!(flaw("a b"), ReferenceFlaw::Path("a b".to_owned()));
        assert_eq!(flaw("x:"), ReferenceFlaw::Tag(String::new()));
        assert_eq!(flaw("x:-1"), ReferenceFlaw::Tag("-1".to_owned()));
        assert_eq!(flaw("x:1+2"), ReferenceFlaw::Tag("1+2".to_owned()));
        assert_eq!(flaw(&format!("x:{}", "a".repeat(129))), ReferenceFlaw::Tag("a".repeat(129)));
        assert_eq!(flaw("-a.io/x"), ReferenceFlaw::Registry("-a.io".to_owned()));
        assert_eq!(flaw("a.io:5x/x"), ReferenceFlaw::Registry("a.io:5x".to_owned()));
        assert_eq!(flaw(&format!("x@sha256:{}", "0".repeat(64))), ReferenceFlaw::Digest);
        assert_eq!(flaw(&"0a".repeat(32)), ReferenceFlaw::LooksLikeId);
        assert_eq!(flaw(&["a"; 130].join("/")), ReferenceFlaw::TooLong);
    }

    #[test]
    fn an_upper_case_name_is_answered_with_the_lower_case_one() {
        let error = "MyApp:1".parse::<ImageReference>().unwrap_err();
        assert_eq!(error.hint().unwrap(), "write it as `myapp:1`");
        assert_eq!("x:+".parse::<ImageReference>().unwrap_err().hint(), None);
    }
}
