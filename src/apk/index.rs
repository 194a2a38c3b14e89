//! What a repository offers: the text of an `APKINDEX`, read into records.
//!
//! An [`Index`] keeps the text it was read from; a record is a set of places in it, so that twenty
//! thousand packages cost little more than their text. Dependencies stay text until somebody asks for
//! them, because a solution looks at few of them.
//!
//! Real indexes hold entries that are wrong, and one wrong entry must not cost the others: what is wrong
//! with a package is its [`Flaw`], by which the solver refuses that package alone. What is wrong with the
//! form of the index is an [`IndexError`].
//!
//! Not for trust: who hands a text in here has verified it (see [`super::keys`]).
//!
//! Source: spec apk v2, "APKINDEX.tar.gz".

use std::fmt;
use std::ops::Range;

use super::dependency::{Dependency, DependencyError, Provide};
use super::index_names::{Mention, Names};
use super::index_read::{Reader, of_index};
use crate::digest::Identity;
use crate::kind::{Explain, Kind};

/// The longest index text that is read, in bytes. Alpine's largest is 8 MB.
pub const MAX_INDEX_TEXT: u64 = 256 << 20;
/// The installed size of a package without files, as abuild measured it up to Alpine 3.19.
const EMPTY_DIRECTORY: u64 = 4096;
/// The file of a package without files is shorter, in bytes. The longest of Alpine 3.19 has 1,536; a file of
/// 4,096 bytes takes more.
const MAX_WITHOUT_FILES: u64 = 2048;

/// The text of an index is malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of {name} is malformed: {flaw}")]
pub struct IndexError {
    /// What was read: the repository's index, or the installed database.
    pub name: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub flaw: LineFlaw,
}

/// What is wrong with a line of an index.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineFlaw {
    /// It is not a letter, a colon and a value.
    #[error("it is not of the form `X:value`")]
    Form,
    /// The package name has a character that names do not have.
    #[error("`{0}` is not a package name")]
    Name(String),
    /// A field that holds a number holds something else.
    #[error("`{0}` is not a number")]
    Number(String),
    /// The stanza that ends here has no `P:` or no `V:`.
    #[error("the stanza that ends here has no {0}: field")]
    Incomplete(char),
    /// The text is not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// The text is too long to be an index.
    #[error("the text is longer than {MAX_INDEX_TEXT} bytes")]
    TooLong,
    /// A field of the installed database stands where it has no meaning.
    #[error("the field `{0}:` has nothing to belong to")]
    Misplaced(char),
    /// An owner and mode, or a checksum, of the installed database is malformed.
    #[error("`{0}` is malformed")]
    Value(String),
}

impl Explain for IndexError {
    fn kind(&self) -> Kind {
        Kind::Integrity
    }
}

/// Why a package, though listed, cannot be installed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// Its stanza has a field this program does not know and that must not be ignored.
    #[error("its index entry has the unknown field `{0}:`")]
    UnknownField(char),
    /// One of its dependencies is malformed.
    #[error("its index entry is malformed: {0}")]
    Depends(DependencyError),
    /// Its identity is one that no apk can check, or, where it is to be fetched, it has none.
    #[error("its index entry has no usable identity (`C:` with Q1 and a SHA-1)")]
    Identity,
}

/// A place in the text of an index.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Span {
    pub(super) start: u32,
    end: u32,
}

impl Span {
    pub(super) fn of(range: Range<usize>) -> Self {
        // MAX_INDEX_TEXT keeps both far below u32::MAX.
        let number = |number| u32::try_from(number).unwrap_or(u32::MAX);
        Self { start: number(range.start), end: number(range.end) }
    }

    /// Whether a field stands there; its value may be empty. None begins at 0, where its letter would be.
    pub(super) fn is_set(self) -> bool {
        self.end > 0
    }

    pub(super) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// The fields of a stanza.
#[derive(Debug, Clone, Default)]
pub(super) struct Record {
    pub(super) stanza: Span,
    pub(super) name: Span,
    pub(super) version: Span,
    pub(super) arch: Span,
    pub(super) depends: Span,
    pub(super) provides: Span,
    pub(super) install_if: Span,
    pub(super) origin: Span,
    pub(super) identity: Span,
    pub(super) size: u64,
    pub(super) installed_size: u64,
    pub(super) build_time: Option<i64>,
    pub(super) provider_priority: u32,
    pub(super) unknown_field: Option<char>,
}

/// The packages of a repository, in its order.
pub struct Index {
    text: Box<str>,
    records: Vec<Record>,
    /// The names that packages have and provide.
    provided: Names,
    /// The names that packages wait for, to come by themselves.
    awaited: Names,
}

/// That a package has or provides a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Provider<'a> {
    /// The package.
    pub package: PackageNumber,
    /// In which version; its own name in its own.
    pub version: Option<&'a str>,
}

/// The number of a package in its [`Index`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PackageNumber(pub u32);

impl Index {
    /// Reads the text of an index; `name` says in errors what it is.
    pub fn parse(name: &str, text: impl AsRef<[u8]>) -> Result<Self, IndexError> {
        let text = text.as_ref();
        let mut reader = Reader::new(name, text.len(), of_index);
        reader.take(text)?;
        reader.finish()
    }

    pub(super) fn of(text: Box<str>, records: Vec<Record>, provided: Names, awaited: Names) -> Self {
        Self { text, records, provided, awaited }
    }

    /// All packages.
    pub fn packages(&self) -> impl ExactSizeIterator<Item = Package<'_>> {
        self.records.iter().map(|record| Package { text: &self.text, record })
    }

    /// How many packages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The package with this number.
    #[must_use]
    pub fn package(&self, number: PackageNumber) -> Option<Package<'_>> {
        self.records.get(number.0 as usize).map(|record| Package { text: &self.text, record })
    }

    /// The packages of that name, in the index's order.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Package<'a>> {
        let providers = self.providers(name);
        let packages = providers.filter_map(|provider| self.package(provider.package));
        packages.filter(move |package| package.name() == name)
    }

    /// Who has or provides that name, in the index's order, a package's own name before what it provides.
    pub fn providers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Provider<'a>> {
        self.provided.of(name).filter_map(move |mention| {
            let package = PackageNumber(mention.package);
            let record = self.records.get(mention.package as usize)?;
            let word = self.word(mention);
            if mention.start == record.name.start {
                let version = self.text.get(record.version.range())?;
                return (word == name).then_some(Provider { package, version: Some(version) });
            }
            let (provided, version) = Provide::split(word)?;
            (provided == name).then_some(Provider { package, version })
        })
    }

    /// The name that is mentioned and what belongs to it: a version, a bound.
    fn word(&self, mention: Mention) -> &str {
        let rest = self.text.get(mention.start as usize..).unwrap_or_default();
        let end = rest.bytes().position(|byte| byte.is_ascii_whitespace()).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    /// The packages that wait for that name, in the index's order, once for each time they state it. Whether their
    /// conditions hold, or are even well-formed, is another question; a condition that the name is absent does not count.
    pub fn awaiting<'a>(&'a self, name: &'a str) -> impl Iterator<Item = PackageNumber> {
        self.awaited.of(name).filter_map(move |mention| {
            let word = self.word(mention);
            let waits = !word.starts_with('!') && Dependency::name_in(word) == name;
            waits.then_some(PackageNumber(mention.package))
        })
    }

    /// All names that packages have or provide, some more than once, in no order.
    pub fn provided_names(&self) -> impl Iterator<Item = &str> {
        self.provided.all().filter_map(|mention| Provide::split(self.word(mention))).map(|(name, _)| name)
    }
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Index({} packages)", self.records.len())
    }
}

/// A package as an index describes it.
#[derive(Clone, Copy)]
pub struct Package<'a> {
    text: &'a str,
    record: &'a Record,
}

impl<'a> Package<'a> {
    fn field(self, span: Span) -> &'a str {
        self.text.get(span.range()).unwrap_or_default()
    }

    /// `P:`, its name.
    #[must_use]
    pub fn name(self) -> &'a str {
        self.field(self.record.name)
    }

    /// `V:`, its version, which need not be valid.
    #[must_use]
    pub fn version(self) -> &'a str {
        self.field(self.record.version)
    }

    /// `A:`, its architecture; empty if the stanza has none.
    #[must_use]
    pub fn arch(self) -> &'a str {
        self.field(self.record.arch)
    }

    /// `o:`, the source package; empty if the stanza has none.
    #[must_use]
    pub fn origin(self) -> &'a str {
        self.field(self.record.origin)
    }

    /// `C:`, if there is a usable one.
    #[must_use]
    pub fn identity(self) -> Option<Identity> {
        self.field(self.record.identity).parse().ok()
    }

    /// `S:`, the size of the package file in bytes.
    #[must_use]
    pub fn size(self) -> u64 {
        self.record.size
    }

    /// `I:`, the bytes it takes when installed.
    #[must_use]
    pub fn installed_size(self) -> u64 {
        self.record.installed_size
    }

    /// `I:0`: there is no file to fetch; the stanza is all there is of the package.
    #[must_use]
    pub fn is_virtual(self) -> bool {
        self.record.installed_size == 0
    }

    /// Whether it has no files, as far as its sizes tell. Its file then holds a signature and `.PKGINFO` alone; it
    /// is indexed with an installed size of 0, up to Alpine 3.19 with that of an empty directory.
    #[must_use]
    pub fn has_no_files(self) -> bool {
        match self.installed_size() {
            0 => true,
            EMPTY_DIRECTORY => self.size() < MAX_WITHOUT_FILES,
            _ => false,
        }
    }

    /// `t:`, when it was built, in seconds since 1970.
    #[must_use]
    pub fn build_time(self) -> Option<i64> {
        self.record.build_time
    }

    /// `k:`, 0 if the stanza has none.
    #[must_use]
    pub fn provider_priority(self) -> u32 {
        self.record.provider_priority
    }

    /// `D:`, as text.
    pub fn depends(self) -> impl Iterator<Item = &'a str> {
        self.field(self.record.depends).split_ascii_whitespace()
    }

    /// `p:`, as text.
    pub fn provides(self) -> impl Iterator<Item = &'a str> + Clone {
        self.field(self.record.provides).split_ascii_whitespace()
    }

    /// `i:`, as text.
    pub fn install_if(self) -> impl Iterator<Item = &'a str> {
        self.field(self.record.install_if).split_ascii_whitespace()
    }

    /// `D:`, parsed. An error makes the package uninstallable.
    pub fn parse_depends(self) -> Result<Vec<Dependency>, DependencyError> {
        self.depends().map(Dependency::of_index).collect()
    }

    /// The names it holds where it is installed, each with the version in which it does: its own name first, then what it
    /// provides; what is no provide is left out.
    pub fn held(self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> + Clone {
        let own = (self.name(), Some(self.version()));
        std::iter::once(own).chain(self.provides().filter_map(Provide::split))
    }

    /// `i:`, parsed; empty if one condition is malformed, as apk then has no `install_if`.
    #[must_use]
    pub fn parse_install_if(self) -> Vec<Dependency> {
        self.install_if().map(Dependency::of_index).collect::<Result<_, _>>().unwrap_or_default()
    }

    /// Why it cannot be installed, if something is wrong with its entry.
    #[must_use]
    pub fn flaw(self) -> Option<Flaw> {
        if let Some(field) = self.record.unknown_field {
            return Some(Flaw::UnknownField(field));
        }
        // Where nothing is stated there is nothing to be fetched either, which is another's to say.
        if !self.field(self.record.identity).is_empty() && self.identity().is_none() {
            return Some(Flaw::Identity);
        }
        self.parse_depends().err().map(Flaw::Depends)
    }

    /// The stanza's lines, field by field, in the index's order. Where a letter repeats, the parts are one list if it is
    /// `D`, `p` or `i`; otherwise the last one counts.
    pub fn fields(self) -> impl Iterator<Item = (char, &'a str)> {
        self.field(self.record.stanza).split('\n').filter_map(|line| {
            let (field, value) = line.split_once(':')?;
            Some((field.chars().next()?, value))
        })
    }

    /// The value of the last field with that letter.
    #[must_use]
    pub fn last_field(self, letter: char) -> Option<&'a str> {
        self.fields().filter(|(field, _)| *field == letter).last().map(|(_, value)| value)
    }
}

/// `name-version`, as apk writes packages.
impl fmt::Display for Package<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.name(), self.version())
    }
}

impl fmt::Debug for Package<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Package({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MUSL: &str = "C:Q1RWLMZH10kdz0zUmHb2dljdFhLlQ=\nP:musl\nV:1.2.4-r4\nA:x86_64\nS:406784\nI:667648\n\
        T:the musl c library\nU:https://musl.libc.org/\nL:MIT\no:musl\nm:A B <a@b>\nt:1700000000\nc:ab\n\
        k:10\nD:so:x !y\np:so:libc.musl-x86_64.so.1=1 cmd:ldd\ni:a b=1\n";

    fn index(text: &str) -> Index {
        Index::parse("index", text.as_bytes()).unwrap()
    }

    fn flaw(text: &str) -> (usize, LineFlaw) {
        let error = Index::parse("index", text.as_bytes()).unwrap_err();
        (error.line, error.flaw)
    }

    #[test]
    fn every_field_is_read() {
        let index = index(MUSL);
        let musl = index.packages().next().unwrap();
        assert_eq!(musl.to_string(), "musl-1.2.4-r4");
        assert_eq!((musl.arch(), musl.origin()), ("x86_64", "musl"));
        assert_eq!((musl.size(), musl.installed_size()), (406_784, 667_648));
        assert_eq!((musl.build_time(), musl.provider_priority()), (Some(1_700_000_000), 10));
        assert_eq!(musl.depends().collect::<Vec<_>>(), ["so:x", "!y"]);
        assert_eq!(musl.held().count(), 3);
        assert_eq!(musl.parse_install_if().len(), 2);
        assert_eq!(musl.last_field('T'), Some("the musl c library"));
        assert_eq!(musl.flaw(), None);
    }

    #[test]
    fn the_last_blank_line_may_be_missing_and_blank_lines_may_repeat() {
        let two = format!("{MUSL}\n\n\n{MUSL}");
        assert_eq!(index(&two).len(), 2);
        assert_eq!(index("").len(), 0);
        assert_eq!(index("\n\n").len(), 0);
    }

    #[test]
    fn an_unknown_lower_case_field_is_skipped_and_an_upper_case_one_spoils_its_package() {
        let index = index(&format!("z:1\n{MUSL}\nX:1\n{MUSL}"));
        let flaws: Vec<Option<Flaw>> = index.packages().map(Package::flaw).collect();
        assert_eq!(flaws, [None, Some(Flaw::UnknownField('X'))]);
    }

    #[test]
    fn malformed_entries_of_real_indexes_spoil_no_more_than_themselves() {
        let text = "C:Q1RWLMZH10kdz0zUmHb2dljdFhLlQ=\nP:a\nV:0.99f7-r2\nD:librasterlite2=1.1.0b1-r7\np:pc:librtmp=v2.4 ok=1\ni:x=v1 y\n";
        let index = index(text);
        let package = index.packages().next().unwrap();
        assert!(matches!(package.flaw(), Some(Flaw::Depends(_))));
        assert_eq!(package.held().skip(1).map(|(name, _)| name).collect::<Vec<_>>(), ["pc:librtmp", "ok"]);
        assert!(package.parse_install_if().is_empty());
    }

    #[test]
    fn a_malformed_line_is_named_by_its_number() {
        assert_eq!(flaw("P:a\nnonsense\n"), (2, LineFlaw::Form));
        assert_eq!(flaw("P:a b\n"), (1, LineFlaw::Name("a b".to_owned())));
        assert_eq!(flaw("P:a\nV:1\nS:many\n"), (3, LineFlaw::Number("many".to_owned())));
        assert_eq!(flaw("P:a\n\nP:b\n"), (2, LineFlaw::Incomplete('V')));
        assert_eq!(flaw("V:1\n"), (1, LineFlaw::Incomplete('P')));
        let error = Index::parse("index", b"P:a\nV:\xff\n").unwrap_err();
        assert_eq!((error.line, error.flaw), (2, LineFlaw::NotUtf8));
    }

    #[test]
    fn a_package_with_an_identity_that_is_no_sha1_cannot_be_installed() {
        let index = index("P:a\nV:1\n\nC:Q2RWLMZH10kdz0zUmHb2dljdFhLlQ=\nP:b\nV:1\n");
        let flaws: Vec<Option<Flaw>> = index.packages().map(Package::flaw).collect();
        assert_eq!(flaws, [None, Some(Flaw::Identity)]);
        assert!(index.packages().all(|package| package.identity().is_none()));
    }
}
