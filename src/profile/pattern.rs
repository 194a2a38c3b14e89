//! Patterns: globs on paths of a tree, and the pattern that reads a variable's value from a package name.
//!
//! In a glob `*` and `?` do not cross a `/`, `**` does; `{a,b}` and `[a-z]` are as in a shell.
//!
//! Source: design, "The profile"; the `globset` crate's syntax.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};

use super::value::{Invalid, is_plain_line};
use crate::path::TreePath;

const WANTED_TREE_GLOB: &str =
    "a pattern of paths (beginning with `/`; `*` within a name, `**` across directories)";
const WANTED_RELATIVE_GLOB: &str =
    "a pattern of relative paths (not beginning with `/`; `*` within a name, `**` across directories)";
const WANTED_VALUE_PATTERN: &str = "a pattern of package names (exactly one `*`, which stands for the value)";

/// The longest pattern, in bytes: what it is compiled to grows with it.
const MAX_PATTERN: usize = 1024;

/// A glob over the paths of a tree or of a directory.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: Box<str>,
    matcher: GlobMatcher,
}

impl Pattern {
    /// A pattern of paths from the root of the tree, beginning with a slash.
    pub fn of_tree(text: &str) -> Result<Self, Invalid> {
        let compiled = text.strip_prefix('/').and_then(compile);
        let matcher = compiled.ok_or_else(|| Invalid::new(text, WANTED_TREE_GLOB))?;
        Ok(Self { text: text.into(), matcher })
    }

    /// A pattern of paths below some directory, without a leading slash.
    pub fn relative(text: &str) -> Result<Self, Invalid> {
        let compiled = if text.starts_with('/') { None } else { compile(text) };
        let matcher = compiled.ok_or_else(|| Invalid::new(text, WANTED_RELATIVE_GLOB))?;
        Ok(Self { text: text.into(), matcher })
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `path`, from the root or below the directory the pattern is for, matches as a whole.
    #[must_use]
    pub fn matches(&self, path: &TreePath) -> bool {
        self.matcher.is_match(path.as_str())
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn compile(text: &str) -> Option<GlobMatcher> {
    let names_fit = text.split('/').all(|name| !matches!(name, "" | "." | ".."));
    if !names_fit || text.len() > MAX_PATTERN || !is_plain_line(text) {
        return None;
    }
    let glob = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build().ok()?;
    Some(glob.compile_matcher())
}

/// `php*-fpm`: what of a package's name is a variable's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValuePattern {
    prefix: Box<str>,
    suffix: Box<str>,
}

impl ValuePattern {
    /// Parses a pattern with exactly one `*`.
    pub fn new(text: &str) -> Result<Self, Invalid> {
        let is_name = |text: &str| text.chars().all(super::names::is_package_name_char);
        match text.split_once('*') {
            Some((prefix, suffix)) if is_name(prefix) && is_name(suffix) => {
                Ok(Self { prefix: prefix.into(), suffix: suffix.into() })
            }
            _ => Err(Invalid::new(text, WANTED_VALUE_PATTERN)),
        }
    }

    /// A value that could be: what stands alone is a name, what stands in one is taken for a number.
    pub(super) fn invented(&self) -> &'static str {
        if self.prefix.is_empty() && self.suffix.is_empty() { "x" } else { "0" }
    }

    /// What the `*` stands for in the name of `package`; nothing if the name does not fit.
    #[must_use]
    pub fn value_in<'a>(&self, package: &'a str) -> Option<&'a str> {
        let value = package.strip_prefix(&*self.prefix)?.strip_suffix(&*self.suffix)?;
        (!value.is_empty()).then_some(value)
    }
}

impl fmt::Display for ValuePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}*{}", self.prefix, self.suffix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Pattern::of_tree(pattern).unwrap().matches(&TreePath::absolute(path).unwrap())
    }

    #[test]
    fn one_star_stays_in_a_name_and_two_cross_directories() {
        assert!(matches("/usr/share/man/**", "/usr/share/man/man1/ls.1"));
        assert!(!matches("/usr/share/man/**", "/usr/share/man"));
        assert!(matches("/usr/lib/*.a", "/usr/lib/libc.a"));
        assert!(!matches("/usr/lib/*.a", "/usr/lib/x/libc.a"));
        assert!(matches("/**/*.pyc", "/a/b/c.pyc"));
        assert!(matches("/etc/{passwd,group}", "/etc/group"));
    }

    #[test]
    fn a_relative_pattern_is_for_paths_below_a_directory() {
        let pattern = Pattern::relative("**/.git/**").unwrap();
        assert!(pattern.matches(&TreePath::relative("a/.git/config").unwrap()));
        assert!(pattern.matches(&TreePath::relative(".git/config").unwrap()));
        assert!(!pattern.matches(&TreePath::relative("a/git").unwrap()));
        assert!(Pattern::relative("/a").is_err());
    }

    #[test]
    fn a_pattern_that_could_leave_or_cannot_be_compiled_is_refused() {
        let nested = format!("/{}{}", "{a,".repeat(300), "}".repeat(300));
        for text in ["", "/", "usr/**", "/a/../b", "/a//b", "/a[", "/a{", "/a\n", &"/a".repeat(600), &nested]
        {
            assert!(Pattern::of_tree(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_star_of_a_value_pattern_is_the_value() {
        let pattern = ValuePattern::new("php*-fpm").unwrap();
        assert_eq!(pattern.value_in("php83-fpm"), Some("83"));
        assert_eq!(pattern.value_in("php-fpm"), None);
        assert_eq!(pattern.value_in("php83-cgi"), None);
        assert_eq!(ValuePattern::new("ab*ba").unwrap().value_in("aba"), None);
        for text in ["", "php", "*a*", "php */", "php[0-9]*"] {
            assert!(ValuePattern::new(text).is_err(), "{text}");
        }
    }
}
