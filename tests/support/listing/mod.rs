//! A root filesystem as a sorted list of entries, read from a directory or from a tar, and what differs
//! between two of them.
//!
//! Whatever it was read from, an entry says the same: a hard link is a name like the first one, the owner
//! is in numbers, and the content is the content. The root directory itself is not listed, because not
//! everything that holds a tree has an entry for it.

mod difference;
mod disk;
mod tar;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

pub(crate) use self::difference::{Difference, Exception, Field, diff};

/// What kind of thing a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A named pipe.
    Pipe,
    /// A socket, which only a directory can have.
    Socket,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Directory => "directory",
            Self::Link => "link",
            Self::CharacterDevice => "character device",
            Self::BlockDevice => "block device",
            Self::Pipe => "pipe",
            Self::Socket => "socket",
        })
    }
}

/// One name of a tree and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Relative to the root, without a slash at either end.
    pub(crate) path: String,
    /// The kind of thing.
    pub(crate) kind: Kind,
    /// Permissions with set-id and sticky bits.
    pub(crate) mode: u32,
    /// The owner's number.
    pub(crate) uid: u32,
    /// The group's number.
    pub(crate) gid: u32,
    /// The target of a symbolic link, verbatim.
    pub(crate) link: Option<String>,
    /// Of several names for one file the first in order; nothing if the file has one name.
    pub(crate) hard_links: Option<String>,
    /// The content of a regular file; empty for everything else.
    pub(crate) content: Arc<[u8]>,
    /// Extended attributes by name.
    pub(crate) xattrs: BTreeMap<String, Vec<u8>>,
    /// Major and minor number of a device.
    pub(crate) device: Option<(u32, u32)>,
    /// When it was modified, in whole seconds since the epoch.
    pub(crate) modified: i64,
}

impl Entry {
    /// The length of the content in bytes.
    pub(crate) fn size(&self) -> usize {
        self.content.len()
    }

    /// The SHA-256 of the content in hex.
    pub(crate) fn sha256(&self) -> String {
        use std::fmt::Write as _;
        Sha256::digest(&self.content).iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("a string takes everything");
            hex
        })
    }

    /// The content as text; it must be UTF-8.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.content)
            .unwrap_or_else(|error| panic!("{} is not UTF-8: {error}", self.path))
    }
}

/// As `ls -l` would show it, with what identifies the content.
impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, mode, uid, gid, .. } = self;
        write!(f, "{kind} {mode:o} {uid}:{gid}")?;
        if let Some(target) = &self.link {
            write!(f, " -> {target}")?;
        }
        if let Some((major, minor)) = self.device {
            write!(f, " {major},{minor}")?;
        }
        if self.kind == Kind::File {
            write!(f, " of {} bytes", self.size())?;
        }
        if let Some(first) = &self.hard_links {
            write!(f, " linked with {first}")?;
        }
        if !self.xattrs.is_empty() {
            write!(f, " with {:?}", self.xattrs.keys())?;
        }
        Ok(())
    }
}

/// The entries of a tree.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listing {
    entries: BTreeMap<String, Entry>,
    order: Vec<String>,
}

impl Listing {
    /// A listing of `entries`, each with the number of its inode, in the order they were met.
    fn of(entries: impl IntoIterator<Item = (u64, Entry)>) -> Self {
        let mut listing = Self::default();
        let mut names: BTreeMap<u64, Vec<String>> = BTreeMap::new();
        for (inode, entry) in entries {
            let path = entry.path.clone();
            listing.order.push(path.clone());
            names.entry(inode).or_default().push(path.clone());
            let earlier = listing.entries.insert(path, entry);
            assert!(
                earlier.is_none(),
                "{} is listed twice",
                earlier.map(|entry| entry.path).unwrap_or_default()
            );
        }
        for mut group in names.into_values().filter(|group| group.len() > 1) {
            group.sort();
            let first = group[0].clone();
            for name in group {
                if let Some(entry) = listing.entries.get_mut(&name) {
                    entry.hard_links = Some(first.clone());
                }
            }
        }
        listing
    }

    /// What `layers` make when each is put over those before it: whiteouts delete, other things replace.
    pub(crate) fn overlaid(layers: impl IntoIterator<Item = Self>) -> Self {
        let mut whole = Self::default();
        for layer in layers {
            for entry in layer.entries() {
                let (directory, name) = entry.path.rsplit_once('/').unwrap_or(("", &entry.path));
                let at = |name: &str| format!("{directory}/{name}").trim_start_matches('/').to_owned();
                match name.strip_prefix(".wh.") {
                    Some(".wh..opq") => whole.remove_below(directory),
                    Some(name) => whole.remove(&at(name)),
                    None => {}
                }
            }
            for entry in layer.entries().filter(|entry| !entry.path.contains(".wh.")) {
                let is_directory = |entry: &Entry| entry.kind == Kind::Directory;
                if whole.get(&entry.path).is_some_and(|there| is_directory(there) != is_directory(entry)) {
                    whole.remove(&entry.path);
                }
                whole.entries.insert(entry.path.clone(), entry.clone());
            }
        }
        whole.order = whole.entries.keys().cloned().collect();
        whole
    }

    fn remove(&mut self, path: &str) {
        self.entries.remove(path);
        self.remove_below(path);
    }

    fn remove_below(&mut self, directory: &str) {
        let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        self.entries.retain(|path, _| !path.starts_with(&prefix));
    }

    /// The entries, sorted by path.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The paths in the order in which a tar had them; in a walk's order for a directory.
    pub(crate) fn order(&self) -> &[String] {
        &self.order
    }

    /// The entry at `path`, if there is one.
    pub(crate) fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// The entry at `path`, which must be there.
    pub(crate) fn entry(&self, path: &str) -> &Entry {
        self.get(path).unwrap_or_else(|| panic!("{path} is not in the tree"))
    }

    /// The text of the file at `path`, which must be there.
    pub(crate) fn text(&self, path: &str) -> &str {
        self.entry(path).text()
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What is below the directory `path`, as a tree of its own.
    pub(crate) fn below(self, path: &str) -> Self {
        let prefix = format!("{path}/");
        let inner = |outer: &str| outer.strip_prefix(&prefix).map(str::to_owned);
        let entries = self.entries.into_values().filter_map(|entry| {
            let hard_links = entry.hard_links.as_deref().and_then(inner);
            inner(&entry.path).map(|path| (path.clone(), Entry { path, hard_links, ..entry }))
        });
        Self {
            entries: entries.collect(),
            order: self.order.iter().filter_map(|outer| inner(outer)).collect(),
        }
    }
}
