//! Writing the index of a repository, as `apk index` does.
//!
//! Packages are sorted by name without regard to case, versions of one name in ascending order. A stanza
//! has apk's fields in apk's order; `T`, `U` and `L` are there even if empty, the others only if they say
//! something. The same packages give the same bytes.
//!
//! Source: spec apk v2, "APKINDEX.tar.gz"; the order and the empty fields measured with apk-tools 2.14.4.

use std::fmt::Write as _;
use std::io;

use super::members::{self, SmallFile, TarEnd};
use super::package::PackageHead;
use super::package_info::PackageInfo;
use super::sign::{SignError, SigningKey};
use super::version;
use crate::archive::gzip_write;
use crate::archive::tar_write::TarWriteError;
use crate::digest::Identity;
use crate::kind::{Explain, Kind};

/// The longest description of a repository, in bytes.
const MAX_DESCRIPTION: usize = 160;

/// A package as an index lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedPackage {
    /// What the package says of itself.
    pub info: PackageInfo,
    /// Its identity.
    pub identity: Identity,
    /// The size of its file, in bytes.
    pub size: u64,
}

/// What an index says beside its packages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndexNotes {
    /// What the repository is, by its own words: `v3.22.1-10-g123456` with Alpine.
    pub description: Option<String>,
    /// When the index was made, in seconds since 1970. Nothing means the newest build time of its packages.
    pub time: Option<i64>,
}

/// Why an index cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteIndexError {
    /// The description is too long, or not one line.
    #[error("the description {0:?} is longer than {MAX_DESCRIPTION} bytes, or is not one line")]
    Description(String),
    /// A package is there twice.
    #[error("{0} is listed twice")]
    Twice(String),
    /// A text of a package would become fields of its own.
    #[error("{package} has a control character in `{field}`")]
    ControlCharacter {
        /// The package, as `name-version`.
        package: String,
        /// The letter of the field.
        field: char,
    },
    /// It cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// Its tar cannot be written.
    #[error("cannot write the index: {0}")]
    Tar(#[from] TarWriteError),
    /// It cannot be compressed.
    #[error("cannot compress the index: {0}")]
    Compress(io::Error),
}

impl Explain for WriteIndexError {
    fn kind(&self) -> Kind {
        match self {
            Self::Description(_) | Self::Twice(_) | Self::ControlCharacter { .. } => Kind::Profile,
            Self::Sign(error) => error.kind(),
            Self::Tar(error) => error.kind(),
            Self::Compress(_) => Kind::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Sign(error) => error.hint(),
            _ => None,
        }
    }
}

impl IndexedPackage {
    /// The entry for the package whose head is `head`, in a file of `size` bytes.
    pub fn of(head: PackageHead, size: u64) -> Self {
        Self { identity: head.identity(), info: head.info, size }
    }

    /// `name-version`.
    pub fn label(&self) -> String {
        format!("{}-{}", self.info.name, self.info.version)
    }

    /// Appends its stanza and the blank line behind it.
    fn append(&self, out: &mut String) -> Result<(), WriteIndexError> {
        let info = &self.info;
        let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
        let time = info.build_time.filter(|time| *time != 0).map(|time| time.to_string());
        let fields = [
            ('C', self.identity.to_string()),
            ('P', info.name.clone()),
            ('V', info.version.clone()),
            ('A', info.arch.clone()),
            ('S', self.size.to_string()),
            ('I', info.installed_size.to_string()),
            ('T', info.description.clone()),
            ('U', info.url.clone()),
            ('L', info.license.clone()),
            ('o', info.origin.clone()),
            ('m', info.maintainer.clone()),
            ('t', time.unwrap_or_default()),
            ('c', info.commit.clone()),
            ('k', number(info.provider_priority.filter(|priority| *priority != 0).map(u64::from))),
            ('D', info.depends.join(" ")),
            ('p', info.provides.join(" ")),
            ('i', info.install_if.join(" ")),
        ];
        for (letter, value) in fields {
            if value.chars().any(char::is_control) {
                return Err(WriteIndexError::ControlCharacter {
                    package: self.label().escape_debug().to_string(),
                    field: letter,
                });
            }
            if !value.is_empty() || matches!(letter, 'T' | 'U' | 'L') {
                // Writing to a String cannot fail.
                let _ = writeln!(out, "{letter}:{value}");
            }
        }
        out.push('\n');
        Ok(())
    }
}

/// The text of an index, `APKINDEX`. Sorts `packages`.
pub fn index_text(packages: &mut [IndexedPackage]) -> Result<String, WriteIndexError> {
    packages.sort_by(|a, b| {
        let folded = |package: &IndexedPackage| package.info.name.to_ascii_lowercase();
        folded(a)
            .cmp(&folded(b))
            .then_with(|| a.info.name.cmp(&b.info.name))
            .then_with(|| version::compare(&a.info.version, &b.info.version))
    });
    for pair in packages.windows(2) {
        if let [a, b] = pair
            && (&a.info.name, &a.info.version) == (&b.info.name, &b.info.version)
        {
            return Err(WriteIndexError::Twice(a.label()));
        }
    }
    let mut text = String::new();
    packages.iter().try_for_each(|package| package.append(&mut text))?;
    Ok(text)
}

/// The bytes of `APKINDEX.tar.gz`, signed if there is a key. Sorts `packages`.
pub fn write_index(
    packages: &mut [IndexedPackage],
    notes: &IndexNotes,
    key: Option<&SigningKey>,
) -> Result<Vec<u8>, WriteIndexError> {
    let text = index_text(packages)?;
    let newest = packages.iter().filter_map(|package| package.info.build_time).max();
    let mtime = notes.time.or(newest).unwrap_or(0);
    let mut files = Vec::new();
    if let Some(description) = &notes.description {
        if description.len() > MAX_DESCRIPTION || description.chars().any(char::is_control) {
            return Err(WriteIndexError::Description(description.clone()));
        }
        files.push(SmallFile { name: "DESCRIPTION", mode: 0o644, mtime, bytes: description.as_bytes() });
    }
    files.push(SmallFile { name: "APKINDEX", mode: 0o644, mtime, bytes: text.as_bytes() });
    let tar = members::small_tar(&files, TarEnd::Closed)?;
    let mut member = gzip_write::member(&tar).map_err(WriteIndexError::Compress)?;
    let mut bytes = match key {
        Some(key) => key.signature_member(&member)?,
        None => Vec::new(),
    };
    bytes.append(&mut member);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apk::index::Index;
    use crate::digest::Sha1;

    fn package(name: &str, version: &str) -> IndexedPackage {
        let info = PackageInfo {
            name: name.to_owned(),
            version: version.to_owned(),
            arch: "x86_64".to_owned(),
            build_time: Some(5),
            installed_size: 1,
            ..PackageInfo::default()
        };
        IndexedPackage { info, identity: Identity::new(Sha1::of(b"")), size: 2 }
    }

    /// The order that apk 2.14.4 gave these names and versions.
    #[test]
    fn packages_are_in_the_order_of_apk_index() {
        let mut packages: Vec<_> = ["aB", "ab", "aA", "aa-b", "aa.b", "a_b", "a"]
            .map(|name| package(name, "1-r0"))
            .into_iter()
            .chain(["1.9-r0", "1.10-r0", "1.2-r0"].map(|version| package("multi", version)))
            .collect();

        let text = index_text(&mut packages).unwrap();

        let index = Index::parse("index", text.into_bytes()).unwrap();
        let order: Vec<String> = index.packages().map(|package| package.to_string()).collect();
        assert_eq!(
            order,
            [
                "a-1-r0",
                "a_b-1-r0",
                "aA-1-r0",
                "aa-b-1-r0",
                "aa.b-1-r0",
                "aB-1-r0",
                "ab-1-r0",
                "multi-1.2-r0",
                "multi-1.9-r0",
                "multi-1.10-r0"
            ]
        );
    }

    #[test]
    fn empty_fields_are_left_out_but_for_three() {
        let text = index_text(&mut [package("a", "1")]).unwrap();
        assert_eq!(
            text,
            "C:Q12jmj7l5rSw0yVb/vlWAYkK/YBwk=\nP:a\nV:1\nA:x86_64\nS:2\nI:1\nT:\nU:\nL:\nt:5\n\n"
        );
    }

    #[test]
    fn a_package_listed_twice_is_refused() {
        let twice = index_text(&mut [package("a", "1"), package("b", "1"), package("a", "1")]);
        assert!(matches!(twice, Err(WriteIndexError::Twice(label)) if label == "a-1"));
    }

    #[test]
    fn a_text_of_several_lines_becomes_no_fields() {
        let mut sly = package("a", "1");
        sly.info.description = "x\nP:other".to_owned();
        assert!(matches!(index_text(&mut [sly]), Err(WriteIndexError::ControlCharacter { field: 'T', .. })));
        let notes = IndexNotes { description: Some("x".repeat(161)), time: None };
        assert!(matches!(write_index(&mut [], &notes, None), Err(WriteIndexError::Description(_))));
    }
}
