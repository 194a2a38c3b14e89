//! The text of the installed database: `lib/apk/db/installed`.
//!
//! An index stanza per package, then what only an installed package has: `r` replaces, `q`
//! its priority, `s` the tag it is pinned to, `f` flags, and its directories and files with owners
//! and checksums. [`InstalledText`] is the text as read, which the solver looks at as at an index;
//! [`InstalledPackage`] is one package as a value that can be changed and written again.
//!
//! Source: spec apk v2, "Installed database".

use std::collections::HashMap;
use std::fmt::Write as _;

use super::dependency::{Dependency, Provide, Tag};
use super::index::{Index, IndexError, LineFlaw, Package};
use super::index_read::{FieldUse, Reader};
use crate::digest::Sha1;
use crate::path::TreePath;

/// The order in which apk writes the fields of a stanza.
const FIELD_ORDER: &str = "CPVASITULomtckDpi";

/// The fields that are lists, which may come in several lines. Of every other field the last line counts.
const LISTS: [char; 3] = ['D', 'p', 'i'];

/// The letter in `f:` of a package of which a script failed.
const FAILED_SCRIPT: char = 's';
/// The letter in `f:` that stands before it.
const FAILED_FILES: char = 'f';

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InstalledPackage {
    /// The fields it shares with an index, by letter, each once, in any order.
    pub fields: Vec<(char, String)>,
    /// `r:`, what it may overwrite.
    pub replaces: Vec<String>,
    /// `q:`.
    pub replaces_priority: u32,
    /// `s:`, the tagged repository it is pinned to.
    pub tag: Option<Tag>,
    /// `f:`, what went wrong with it, as apk's letters.
    pub flags: String,
    /// Its directories, with their files.
    pub directories: Vec<InstalledDirectory>,
}

/// A directory of an installed package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledDirectory {
    /// Where it is.
    pub path: TreePath,
    /// Owner and mode.
    pub access: Access,
    /// The package's files in it.
    pub files: Vec<InstalledFile>,
}

/// A file, link or device of an installed package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledFile {
    /// Its name in its directory.
    pub name: String,
    /// Owner and mode.
    pub access: Access,
    /// The SHA-1 of its content; of a symbolic link, that of its target.
    pub checksum: Option<Sha1>,
}

/// Owner, mode and the digest of the extended attributes, as the database records them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The permission bits.
    pub mode: u32,
    /// See [`xattr_digest`].
    pub xattrs: Option<Sha1>,
}

impl Access {
    /// What a directory has that the database says nothing about.
    pub const DIRECTORY: Self = Self { uid: 0, gid: 0, mode: 0o755, xattrs: None };
    /// What a file has that the database says nothing about.
    pub const FILE: Self = Self { uid: 0, gid: 0, mode: 0o644, xattrs: None };

    fn parse(value: &str) -> Option<Self> {
        let mut parts = value.split(':');
        let uid = parts.next()?.parse().ok()?;
        let gid = parts.next()?.parse().ok()?;
        let mode = u32::from_str_radix(parts.next()?, 8).ok().filter(|mode| *mode <= 0o7777)?;
        let xattrs = parts.next().map(Sha1::from_q1).transpose().ok()?;
        parts.next().is_none().then_some(Self { uid, gid, mode, xattrs })
    }

    fn write(self, letter: char, unless: Self, out: &mut String) {
        if self == unless {
            return;
        }
        let _ = write!(out, "{letter}:{}:{}:{:o}", self.uid, self.gid, self.mode);
        if let Some(digest) = self.xattrs {
            let _ = write!(out, ":{}", digest.to_q1());
        }
        out.push('\n');
    }
}

/// The digest by which the database records extended attributes: SHA-1 over them by name, each as length
/// and bytes of name and value, lengths in four bytes, most significant first.
pub fn xattr_digest<'a>(xattrs: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Option<Sha1> {
    let mut sorted: Vec<_> = xattrs.into_iter().collect();
    sorted.sort_unstable();
    if sorted.is_empty() {
        return None;
    }
    let mut message = Vec::new();
    for (name, value) in sorted {
        for part in [name.as_bytes(), value] {
            message.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            message.extend_from_slice(part);
        }
    }
    Some(Sha1::of(&message))
}

impl InstalledPackage {
    /// A package about to be installed: what its index entry says, and nothing else yet.
    pub fn of_index(package: Package<'_>) -> Self {
        let mut fields: Vec<(char, String)> = Vec::new();
        for (letter, value) in package.fields().filter(|(letter, _)| FIELD_ORDER.contains(*letter)) {
            match fields.iter_mut().find(|(known, _)| *known == letter) {
                Some((_, list)) if LISTS.contains(&letter) => {
                    list.push(' ');
                    list.push_str(value);
                }
                Some((_, before)) => value.clone_into(before),
                None => fields.push((letter, value.to_owned())),
            }
        }
        Self { fields, ..Self::default() }
    }

    /// The value of an index field; empty if it has none.
    pub fn field(&self, letter: char) -> &str {
        self.fields.iter().find(|(field, _)| *field == letter).map_or("", |(_, value)| value)
    }

    /// `P:`.
    pub fn name(&self) -> &str {
        self.field('P')
    }

    /// `V:`.
    pub fn version(&self) -> &str {
        self.field('V')
    }

    /// `o:`; empty if it has none.
    pub fn origin(&self) -> &str {
        self.field('o')
    }

    /// Whether it, or something it provides, satisfies `dependency`, which is no conflict.
    pub fn provides(&self, dependency: &Dependency) -> bool {
        let constraint = &dependency.constraint;
        let identity = || self.field('C').parse().ok();
        if *dependency.name == *self.name() && constraint.accepts(Some(self.version()), identity) {
            return true;
        }
        let mut provided = self.field('p').split_ascii_whitespace().filter_map(Provide::split);
        provided.any(|(name, version)| *name == *dependency.name && constraint.accepts(version, identity))
    }

    /// Notes that a script of it failed.
    pub fn mark_failed_script(&mut self) {
        if !self.flags.contains(FAILED_SCRIPT) {
            self.flags.insert(usize::from(self.flags.starts_with(FAILED_FILES)), FAILED_SCRIPT);
        }
    }

    /// Everything it owns that is no directory, with the directory it is in.
    pub fn files(&self) -> impl Iterator<Item = (&TreePath, &InstalledFile)> {
        self.directories
            .iter()
            .flat_map(|directory| directory.files.iter().map(|file| (&directory.path, file)))
    }

    /// What it records of its file at `path`.
    pub fn file(&self, path: &TreePath) -> Option<&InstalledFile> {
        let parent = path.parent()?;
        let directory = self.directories.iter().find(|directory| directory.path == parent)?;
        directory.files.iter().find(|file| file.name == path.name())
    }

    /// Appends its stanza, the blank line included.
    pub fn write(&self, out: &mut String) {
        for letter in FIELD_ORDER.chars() {
            if let Some((_, value)) = self.fields.iter().find(|(field, _)| *field == letter) {
                let _ = writeln!(out, "{letter}:{value}");
            }
        }
        if !self.replaces.is_empty() {
            let _ = writeln!(out, "r:{}", self.replaces.join(" "));
        }
        if self.replaces_priority != 0 {
            let _ = writeln!(out, "q:{}", self.replaces_priority);
        }
        if let Some(tag) = &self.tag {
            let _ = writeln!(out, "s:{}", tag.as_str());
        }
        if !self.flags.is_empty() {
            let _ = writeln!(out, "f:{}", self.flags);
        }
        for directory in &self.directories {
            let _ = writeln!(out, "F:{}", directory.path.as_str());
            directory.access.write('M', Access::DIRECTORY, out);
            for file in &directory.files {
                let _ = writeln!(out, "R:{}", file.name);
                file.access.write('a', Access::FILE, out);
                if let Some(checksum) = file.checksum {
                    let _ = writeln!(out, "Z:{}", checksum.to_q1());
                }
            }
        }
        out.push('\n');
    }
}

/// An installed database as it was read.
#[derive(Debug)]
pub struct InstalledText {
    index: Index,
    packages: Vec<InstalledPackage>,
}

impl InstalledText {
    /// Reads the text; `name` says in errors where it is from.
    pub fn parse(name: &str, text: impl AsRef<[u8]>) -> Result<Self, IndexError> {
        let text = text.as_ref();
        let mut packages: Vec<InstalledPackage> = Vec::new();
        let mut places = Places::default();
        let mut reader = Reader::new(name, text.len(), |number, letter, value: &str| {
            if packages.len() <= number {
                packages.resize_with(number + 1, InstalledPackage::default);
                places = Places::default();
            }
            let package = packages.last_mut().ok_or(LineFlaw::Misplaced(letter))?;
            take_field(package, &mut places, letter, value)
        });
        reader.take(text)?;
        let index = reader.finish()?;
        packages.resize_with(index.len(), InstalledPackage::default);
        for (package, entry) in packages.iter_mut().zip(index.packages()) {
            package.fields = InstalledPackage::of_index(entry).fields;
        }
        Ok(Self { index, packages })
    }

    /// Its packages as the solver looks at them.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Its packages, numbered as in [`Self::index`].
    pub fn packages(&self) -> &[InstalledPackage] {
        &self.packages
    }
}

/// Where the directories and files of the stanza that is read are in its package. One that comes twice is one.
#[derive(Default)]
struct Places {
    directories: HashMap<TreePath, usize>,
    files: HashMap<TreePath, usize>,
    /// The directory that was named last.
    directory: Option<usize>,
    /// The file that was named last, in that directory.
    file: Option<usize>,
}

impl Places {
    fn directory<'a>(&self, package: &'a mut InstalledPackage) -> Option<&'a mut InstalledDirectory> {
        package.directories.get_mut(self.directory?)
    }

    fn file<'a>(&self, package: &'a mut InstalledPackage) -> Option<&'a mut InstalledFile> {
        self.directory(package)?.files.get_mut(self.file?)
    }

    fn begin_directory(&mut self, package: &mut InstalledPackage, path: TreePath) {
        let number = *self.directories.entry(path).or_insert_with_key(|path| {
            let (path, access) = (path.clone(), Access::DIRECTORY);
            package.directories.push(InstalledDirectory { path, access, files: Vec::new() });
            package.directories.len() - 1
        });
        (self.directory, self.file) = (Some(number), None);
    }

    /// Nothing if it is in no directory, or its name is none.
    fn begin_file(&mut self, package: &mut InstalledPackage, name: &str) -> Option<Result<(), LineFlaw>> {
        let directory = self.directory(package)?;
        let path = directory.path.join(name).ok().filter(|path| path.name() == name);
        let Some(path) = path else { return Some(Err(LineFlaw::Value(name.to_owned()))) };
        let number = *self.files.entry(path).or_insert_with(|| {
            let (name, access) = (name.to_owned(), Access::FILE);
            directory.files.push(InstalledFile { name, access, checksum: None });
            directory.files.len() - 1
        });
        self.file = Some(number);
        Some(Ok(()))
    }
}

fn take_field(
    package: &mut InstalledPackage,
    places: &mut Places,
    letter: char,
    value: &str,
) -> Result<FieldUse, LineFlaw> {
    let malformed = || LineFlaw::Value(value.to_owned());
    let misplaced = || LineFlaw::Misplaced(letter);
    match letter {
        'r' => package.replaces.extend(value.split_ascii_whitespace().map(str::to_owned)),
        'q' => package.replaces_priority = value.parse().map_err(|_| LineFlaw::Number(value.to_owned()))?,
        's' => package.tag = Some(Tag::new(value).ok_or_else(malformed)?),
        'f' => value.clone_into(&mut package.flags),
        'F' => places.begin_directory(package, TreePath::relative(value).map_err(|_| malformed())?),
        'M' => {
            places.directory(package).ok_or_else(misplaced)?.access =
                Access::parse(value).ok_or_else(malformed)?;
        }
        'R' => places.begin_file(package, value).ok_or_else(misplaced)??,
        'a' => {
            places.file(package).ok_or_else(misplaced)?.access =
                Access::parse(value).ok_or_else(malformed)?;
        }
        'Z' => {
            let checksum = Sha1::from_q1(value).map_err(|_| malformed())?;
            places.file(package).ok_or_else(misplaced)?.checksum = Some(checksum);
        }
        _ if letter.is_ascii_uppercase() => return Ok(FieldUse::Unknown),
        _ => {}
    }
    Ok(FieldUse::Known)
}

/// Sorts packages as apk 3 writes them: by name, without regard to case.
pub fn sort_by_name(packages: &mut [&InstalledPackage]) {
    packages.sort_by_cached_key(|package| (package.name().to_ascii_lowercase(), package.name().to_owned()));
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "C:Q1RWLMZH10kdz0zUmHb2dljdFhLlQ=\nP:busybox\nV:1.36.1-r19\nA:x86_64\nS:1\nI:2\nT:d\nU:u\nL:l\n\
        o:busybox\nt:1718173719\nk:3\nD:so:libc\np:/bin/sh\ni:a b\nr:busybox-initscripts mdev\nq:2\ns:edge\nf:S\n\
        F:\nR:top\nZ:Q1RWLMZH10kdz0zUmHb2dljdFhLlQ=\nF:bin\nM:0:10:2750:Q1RWLMZH10kdz0zUmHb2dljdFhLlQ=\n\
        R:busybox\na:0:0:755\nZ:Q1RWLMZH10kdz0zUmHb2dljdFhLlQ=\n\n";

    fn parse(text: &str) -> Result<InstalledText, IndexError> {
        InstalledText::parse("db", text.as_bytes())
    }

    #[test]
    fn a_database_is_written_as_it_was_read() {
        let database = parse(TEXT).unwrap();
        let mut out = String::new();
        database.packages()[0].write(&mut out);
        assert_eq!(out, TEXT);
        assert_eq!(database.index().packages().next().unwrap().flaw(), None);
    }

    /// As apk-tools 2.14.4 reads it: lists are joined, of every other field the last line counts, and a file that comes twice
    /// is one. A directory that comes twice is one here too; apk's list of files is then damaged.
    #[test]
    fn fields_that_come_twice_are_read_as_apk_reads_them() {
        let twice = "C:Q1RWLMZH10kdz0zUmHb2dljdFhLlQ=\nP:one\nP:uno\nV:1\nV:2\nA:x86_64\nS:1\nI:10\nT:first\nT:second\n\
            D:two\nD:three\np:pa\np:pb\ni:x\ni:y\nr:ra\nr:rb\nq:1\nq:2\ns:t1\ns:t2\nf:f\nf:s\n\
            F:etc\nM:0:0:700\nM:0:0:711\nF:usr\nF:etc\nR:a\na:0:0:600\na:0:0:640\n\
            Z:Q1RWLMZH10kdz0zUmHb2dljdFhLlQ=\nZ:Q1kis01JA7doQmGHoolFDCc7ggBcs=\nR:b\nR:a\n\n";
        let once = "C:Q1RWLMZH10kdz0zUmHb2dljdFhLlQ=\nP:uno\nV:2\nA:x86_64\nS:1\nI:10\nT:second\n\
            D:two three\np:pa pb\ni:x y\nr:ra rb\nq:2\ns:t2\nf:s\n\
            F:etc\nM:0:0:711\nR:a\na:0:0:640\nZ:Q1kis01JA7doQmGHoolFDCc7ggBcs=\nR:b\nF:usr\n\n";

        let database = parse(twice).unwrap();

        let mut out = String::new();
        database.packages()[0].write(&mut out);
        assert_eq!(out, once);
        let package = database.index().packages().next().unwrap();
        assert_eq!(package.to_string(), "uno-2");
        assert_eq!((package.depends().count(), package.held().count()), (2, 3));
    }

    #[test]
    fn what_was_read_is_read_again_from_what_is_written() {
        for text in [
            // The first version is lost, and a second name with its own follows.
            "P:busybox\nV:\nP:b\nV:1\n\n",
            "P:a\nV:1\r\nT:x\r\nf:\r\n\n",
            "P:a\nV:1\nD:\nD:b\n\n",
        ] {
            let database = parse(text).unwrap();
            let mut out = String::new();
            database.packages().iter().for_each(|package| package.write(&mut out));
            let again = parse(&out).unwrap();
            assert_eq!(again.packages(), database.packages(), "{text:?}");
        }
    }

    #[test]
    fn a_failed_script_is_noted_once_among_the_other_flags() {
        for (before, after) in [("", "s"), ("f", "fs"), ("x", "sx"), ("fsS", "fsS")] {
            let mut package = InstalledPackage { flags: before.to_owned(), ..InstalledPackage::default() };
            package.mark_failed_script();
            assert_eq!(package.flags, after);
        }
    }

    #[test]
    fn a_field_in_the_wrong_place_is_named() {
        let flaw = |lines: &str| parse(&format!("P:a\nV:1\n{lines}")).unwrap_err().flaw;
        assert_eq!(flaw("M:0:0:755\n"), LineFlaw::Misplaced('M'));
        assert_eq!(flaw("F:a\na:0:0:755\n"), LineFlaw::Misplaced('a'));
        assert_eq!(flaw("R:x\n"), LineFlaw::Misplaced('R'));
        assert_eq!(flaw("F:a\nR:../x\n"), LineFlaw::Value("../x".to_owned()));
        assert_eq!(flaw("F:a\nR:b/c\n"), LineFlaw::Value("b/c".to_owned()));
        assert_eq!(flaw("F:/etc\n"), LineFlaw::Value("/etc".to_owned()));
        assert_eq!(flaw("F:a\nM:0:0\n"), LineFlaw::Value("0:0".to_owned()));
        assert_eq!(flaw("F:a\nM:0:0:99999\n"), LineFlaw::Value("0:0:99999".to_owned()));
    }

    #[test]
    fn the_digest_of_attributes_does_not_depend_on_their_order() {
        let one = [("user.a", b"1".as_slice()), ("security.capability", b"\x01\x00".as_slice())];
        let other = [one[1], one[0]];
        assert_eq!(xattr_digest(one), xattr_digest(other));
        assert_eq!(xattr_digest([]), None);
    }
}
