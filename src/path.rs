//! Paths inside a root filesystem that cannot leave it.
//!
//! A [`TreePath`] is relative to the root of a tree, `/`-separated, without empty, `.` or `..`
//! components, control characters or names that an image layer gives a meaning of its own (`.wh.*`).
//! The root itself is the empty path. Not for paths of the host: those are `std::path::Path`.
//!
//! Source: design, "Trust"; OCI image specification, "Whiteouts".

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The longest path, in bytes, that is accepted: Linux' `PATH_MAX`.
const MAX_PATH: usize = 4096;
/// How much of a path that is none is shown, in characters.
const MAX_SHOWN: usize = 300;
/// The longest name, in bytes, that is accepted: Linux' `NAME_MAX`.
const MAX_NAME: usize = 255;

/// A valid path inside a root filesystem. Orders by components, so a directory comes directly before
/// what it contains.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TreePath(Arc<str>);

/// Why a text is not a path inside a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathFlaw {
    /// It begins with a slash where a relative path is wanted.
    #[error("is absolute")]
    Absolute,
    /// It does not begin with a slash where an absolute path is wanted.
    #[error("is not absolute")]
    NotAbsolute,
    /// It has a `..` component.
    #[error("leaves the root through `..`")]
    Leaves,
    /// It has an empty or `.` component.
    #[error("has an empty or `.` component")]
    EmptyComponent,
    /// It has a control character.
    #[error("has a control character")]
    ControlCharacter,
    /// It is not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// A component begins with `.wh.`, by which layers delete files.
    #[error("has a name that deletes files in an image (`.wh.`)")]
    Whiteout,
    /// It, or one of its names, is longer than Linux allows.
    #[error("is too long")]
    TooLong,
}

/// A text that is not a path inside a tree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the path `{path}` {flaw}")]
pub struct PathError {
    /// The beginning of the text, control characters escaped.
    pub path: String,
    /// What is wrong with it.
    pub flaw: PathFlaw,
}

impl PathError {
    fn new(path: &str, flaw: PathFlaw) -> Self {
        let mut shown: String = path.chars().take(MAX_SHOWN).flat_map(char::escape_debug).collect();
        if path.chars().nth(MAX_SHOWN).is_some() {
            shown.push_str("...");
        }
        Self { path: shown, flaw }
    }
}

impl TreePath {
    /// The root of the tree.
    #[must_use]
    pub fn root() -> Self {
        Self(Arc::from(""))
    }

    /// Parses a path relative to the root. One trailing slash is allowed; the empty text is the root.
    pub fn relative(text: &str) -> Result<Self, PathError> {
        let fail = |flaw| Err(PathError::new(text, flaw));
        if text.starts_with('/') {
            return fail(PathFlaw::Absolute);
        }
        let trimmed = text.strip_suffix('/').unwrap_or(text);
        if trimmed.len() >= MAX_PATH {
            return fail(PathFlaw::TooLong);
        }
        if trimmed.is_empty() {
            return if text.is_empty() { Ok(Self::root()) } else { fail(PathFlaw::EmptyComponent) };
        }
        for name in trimmed.split('/') {
            if let Some(flaw) = flaw_of_name(name) {
                return fail(flaw);
            }
        }
        Ok(Self(Arc::from(trimmed)))
    }

    /// Parses a path as people write it, beginning with a slash.
    pub fn absolute(text: &str) -> Result<Self, PathError> {
        match text.strip_prefix('/') {
            Some(rest) => Self::relative(rest).map_err(|error| PathError::new(text, error.flaw)),
            None => Err(PathError::new(text, PathFlaw::NotAbsolute)),
        }
    }

    /// Parses the bytes of a relative path, which must be UTF-8.
    pub fn relative_bytes(bytes: &[u8]) -> Result<Self, PathError> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::relative(text),
            Err(_) => Err(PathError::new(&String::from_utf8_lossy(bytes), PathFlaw::NotUtf8)),
        }
    }

    /// The path without a leading slash; empty for the root.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The directory that contains this, or nothing for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        Some(Self(Arc::from(self.0.rsplit_once('/').map_or("", |(parent, _)| parent))))
    }

    /// The last component; empty for the root.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// The components from the root down.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|name| !name.is_empty())
    }

    /// This directory's child called `name`.
    pub fn join(&self, name: &str) -> Result<Self, PathError> {
        if self.is_root() { Self::relative(name) } else { Self::relative(&format!("{}/{name}", self.0)) }
    }

    /// What sorts behind this and all that is below it, and before everything else. No name of a tree equals it.
    pub(crate) fn behind_contents(&self) -> Self {
        // No name has a control character, and a slash sorts before all that names have.
        Self(Arc::from(format!("{}\u{1}", self.0)))
    }

    /// The directories above this, from the root down, this one excluded.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        let mut all: Vec<Self> = std::iter::successors(self.parent(), Self::parent).collect();
        all.reverse();
        all.into_iter()
    }

    /// Whether this is `directory` or lies below it.
    #[must_use]
    pub fn is_below(&self, directory: &Self) -> bool {
        directory.is_root()
            || self.0.strip_prefix(&*directory.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// The root.
impl Default for TreePath {
    fn default() -> Self {
        Self::root()
    }
}

fn flaw_of_name(name: &str) -> Option<PathFlaw> {
    match name {
        "" | "." => Some(PathFlaw::EmptyComponent),
        ".." => Some(PathFlaw::Leaves),
        _ if name.len() > MAX_NAME => Some(PathFlaw::TooLong),
        _ if name.chars().any(char::is_control) => Some(PathFlaw::ControlCharacter),
        _ if name.starts_with(".wh.") => Some(PathFlaw::Whiteout),
        _ => None,
    }
}

impl Ord for TreePath {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        const BLOCK: usize = 16;
        let (one, two) = (self.0.as_bytes(), other.0.as_bytes());
        // Long paths that lie close to each other have much in common, which is passed over block by block.
        let blocks = one.chunks_exact(BLOCK).zip(two.chunks_exact(BLOCK));
        let common = blocks.take_while(|(one, two)| one == two).count() * BLOCK;
        // '/' must sort before every other byte for a directory to be followed by its contents.
        let key = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
        let one = one.get(common..).unwrap_or_default();
        let two = two.get(common..).unwrap_or_default();
        one.iter().map(key).cmp(two.iter().map(key))
    }
}

impl PartialOrd for TreePath {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// As people write it: with a leading slash.
impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0)
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TreePath({self})")
    }
}

/// Without the leading slash.
impl serde::Serialize for TreePath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for TreePath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::relative(&text).map_err(serde::de::Error::custom)
    }
}

impl AsRef<str> for TreePath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// For maps keyed by paths that are looked up by text. Equality and hash agree with `str`; order does
/// not, so this serves hash maps only.
impl Borrow<str> for TreePath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaw(text: &str) -> PathFlaw {
        TreePath::relative(text).unwrap_err().flaw
    }

    #[test]
    fn a_path_that_could_leave_the_root_is_refused() {
        assert_eq!(flaw("/etc"), PathFlaw::Absolute);
        assert_eq!(flaw("a/../b"), PathFlaw::Leaves);
        assert_eq!(flaw(".."), PathFlaw::Leaves);
        assert_eq!(flaw("./a"), PathFlaw::EmptyComponent);
        assert_eq!(flaw("a//b"), PathFlaw::EmptyComponent);
        assert_eq!(flaw("a/b//"), PathFlaw::EmptyComponent);
        assert_eq!(flaw("a\nb"), PathFlaw::ControlCharacter);
        assert_eq!(flaw("a/.wh.b"), PathFlaw::Whiteout);
        assert_eq!(flaw("a/.wh..wh..opq"), PathFlaw::Whiteout);
        assert_eq!(flaw(&"a/".repeat(3000)), PathFlaw::TooLong);
        assert_eq!(flaw(&"a".repeat(256)), PathFlaw::TooLong);
        assert_eq!(TreePath::relative_bytes(b"a\xff").unwrap_err().flaw, PathFlaw::NotUtf8);
        assert_eq!(TreePath::absolute("etc").unwrap_err().flaw, PathFlaw::NotAbsolute);
    }

    #[test]
    fn a_directory_sorts_directly_before_what_it_contains() {
        let mut paths: Vec<TreePath> = ["a-b", "a/z", "a", "a.b", "", "a/b/c", "a/b"]
            .iter()
            .map(|p| TreePath::relative(p).unwrap())
            .collect();
        paths.sort();
        let sorted: Vec<&str> = paths.iter().map(TreePath::as_str).collect();
        assert_eq!(sorted, ["", "a", "a/b", "a/b/c", "a/z", "a-b", "a.b"]);
    }

    #[test]
    fn paths_with_long_beginnings_in_common_sort_by_what_comes_after() {
        for length in 0..40 {
            let beginning = "n".repeat(length);
            let sorted = ["", "/a", "/a/b", "-a", "a", "a/b", "aa"]
                .map(|end| TreePath::relative(&format!("{beginning}m{end}")).unwrap());
            assert!(sorted.is_sorted(), "{length}");
            let [directory, .., last] = &sorted;
            let behind = directory.behind_contents();
            assert!(sorted.iter().all(|path| (*path < behind) == path.is_below(directory)), "{length}");
            assert!(behind < *last);
        }
    }

    #[test]
    fn parents_names_and_ancestors_follow_the_components() {
        let path = TreePath::absolute("/usr/lib/x").unwrap();
        assert_eq!(path.name(), "x");
        assert_eq!(path.parent().unwrap().as_str(), "usr/lib");
        let above: Vec<String> = path.ancestors().map(|p| p.to_string()).collect();
        assert_eq!(above, ["/", "/usr", "/usr/lib"]);
        assert!(path.is_below(&TreePath::absolute("/usr").unwrap()));
        assert!(!path.is_below(&TreePath::absolute("/us").unwrap()));
        assert_eq!(TreePath::root().to_string(), "/");
        assert_eq!(TreePath::root().join("etc").unwrap().as_str(), "etc");
    }
}
