//! What differs between two listings, and what of it is allowed to.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Debug};

use super::{Entry, Kind, Listing};

/// What about an entry differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Field {
    /// Only one of the trees has it.
    Presence,
    /// The kind of thing. Nothing else of such an entry is compared.
    Kind,
    /// The mode.
    Mode,
    /// The owner or the group.
    Owner,
    /// The target of a symbolic link.
    Link,
    /// The other names of the file.
    HardLinks,
    /// The content.
    Content,
    /// The extended attributes.
    Xattrs,
    /// The numbers of a device.
    Device,
    /// When it was modified. Compared for regular files alone: apk sets no times on directories and
    /// links, so theirs say when the test ran.
    Modified,
}

/// One difference.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Difference<'a> {
    /// Where.
    pub(crate) path: &'a str,
    /// What of it.
    pub(crate) field: Field,
    /// The entry there should be.
    pub(crate) expected: Option<&'a Entry>,
    /// The entry there is.
    pub(crate) got: Option<&'a Entry>,
}

/// A named rule for a difference that is no mistake.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Exception {
    /// What it is about, in a few words.
    pub(crate) name: &'static str,
    /// Why that may differ.
    pub(crate) reason: &'static str,
    /// Whether it covers a difference.
    pub(crate) covers: fn(&Difference<'_>) -> bool,
}

/// What differs between the trees `expected` and `got` and is covered by none of `exceptions`, a line each
/// with both sides; and the exceptions that covered nothing, because a rule that is not needed hides the
/// day it would be.
pub(crate) fn diff(expected: &Listing, got: &Listing, exceptions: &[Exception]) -> Vec<String> {
    let mut used = BTreeSet::new();
    let mut lines = Vec::new();
    for difference in differences(expected, got) {
        let covering: Vec<_> =
            exceptions.iter().filter(|rule| (rule.covers)(&difference)).map(|rule| rule.name).collect();
        if covering.is_empty() {
            lines.push(difference.to_string());
        }
        used.extend(covering);
    }
    let unused = exceptions.iter().filter(|rule| !used.contains(rule.name));
    lines.extend(
        unused.map(|rule| format!("the exception `{}` ({}) covered nothing", rule.name, rule.reason)),
    );
    lines
}

/// Everything that differs, by path.
fn differences<'a>(expected: &'a Listing, got: &'a Listing) -> Vec<Difference<'a>> {
    let paths: BTreeSet<&str> =
        expected.entries().chain(got.entries()).map(|entry| entry.path.as_str()).collect();
    paths
        .into_iter()
        .flat_map(|path| {
            let (expected, got) = (expected.get(path), got.get(path));
            fields(expected, got).into_iter().map(move |field| Difference { path, field, expected, got })
        })
        .collect()
}

/// In what two entries for one path differ.
fn fields(expected: Option<&Entry>, got: Option<&Entry>) -> Vec<Field> {
    let (Some(expected), Some(got)) = (expected, got) else { return vec![Field::Presence] };
    if expected.kind != got.kind {
        return vec![Field::Kind];
    }
    let is_file = expected.kind == Kind::File;
    let differs = [
        (Field::Mode, expected.mode != got.mode),
        (Field::Owner, (expected.uid, expected.gid) != (got.uid, got.gid)),
        (Field::Link, expected.link != got.link),
        (Field::HardLinks, expected.hard_links != got.hard_links),
        (Field::Content, expected.content != got.content),
        (Field::Xattrs, expected.xattrs != got.xattrs),
        (Field::Device, expected.device != got.device),
        (Field::Modified, is_file && expected.modified != got.modified),
    ];
    differs.into_iter().filter_map(|(field, differs)| differs.then_some(field)).collect()
}

impl fmt::Display for Difference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path;
        let (expected, got) = match (self.expected, self.got) {
            (Some(expected), Some(got)) => (expected, got),
            (Some(expected), None) => return write!(f, "{path}: missing, expected a {expected}"),
            (None, Some(got)) => return write!(f, "{path}: unexpected, got a {got}"),
            (None, None) => return write!(f, "{path}: in neither tree"),
        };
        let show = |entry: &Entry| match self.field {
            Field::Presence => entry.to_string(),
            Field::Kind => format!("a {entry}"),
            Field::Mode => format!("{:o}", entry.mode),
            Field::Owner => format!("{}:{}", entry.uid, entry.gid),
            Field::Link => shown(entry.link.as_ref()),
            Field::HardLinks => shown(entry.hard_links.as_ref()),
            Field::Content => format!("{} bytes, SHA-256 {}", entry.size(), entry.sha256()),
            Field::Xattrs => shown_xattrs(&entry.xattrs),
            Field::Device => shown(entry.device.as_ref()),
            Field::Modified => entry.modified.to_string(),
        };
        let field = self.field.name();
        write!(f, "{path}: {field}: expected {}, got {}", show(expected), show(got))?;
        if self.field == Field::Content {
            write!(f, "{}", first_line_that_differs(&expected.content, &got.content))?;
        }
        Ok(())
    }
}

impl Field {
    /// The field in words.
    fn name(self) -> &'static str {
        match self {
            Self::Presence => "presence",
            Self::Kind => "kind",
            Self::Mode => "mode",
            Self::Owner => "owner",
            Self::Link => "link target",
            Self::HardLinks => "first hard link",
            Self::Content => "content",
            Self::Xattrs => "extended attributes",
            Self::Device => "device",
            Self::Modified => "time",
        }
    }
}

/// A value that may be missing.
fn shown<T: Debug>(value: Option<&T>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| format!("{value:?}"))
}

/// Extended attributes with their values in an escaped form.
fn shown_xattrs(xattrs: &BTreeMap<String, Vec<u8>>) -> String {
    if xattrs.is_empty() {
        return "none".to_owned();
    }
    let each: Vec<_> =
        xattrs.iter().map(|(name, value)| format!("{name}={}", value.escape_ascii())).collect();
    each.join(" ")
}

/// Where two texts part: the number of the line and both lines. Empty for what is not text.
fn first_line_that_differs(expected: &[u8], got: &[u8]) -> String {
    let (Ok(expected), Ok(got)) = (std::str::from_utf8(expected), std::str::from_utf8(got)) else {
        return String::new();
    };
    let (expected, got): (Vec<_>, Vec<_>) = (expected.lines().collect(), got.lines().collect());
    let same = expected.iter().zip(&got).take_while(|(expected, got)| expected == got).count();
    let line = |lines: &[&str]| shown(lines.get(same));
    format!("; line {}: expected {}, got {}", same + 1, line(&expected), line(&got))
}
