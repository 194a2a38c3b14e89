//! `latest-releases.yaml`: what a mirror's directory of releases says is in it.
//!
//! The file has one fixed shape, and only that is read: a list of releases, each with lines of
//! `  key: value`, and texts over several lines (`desc: |`), which are skipped. Anything else is an error.
//! The file is not signed; what it states is worth what a checksum beside the file is worth.
//!
//! Source: `releases/x86_64/latest-releases.yaml` of Alpine 3.19 as published.

use std::collections::BTreeMap;

use super::document::Keeping;
use super::error::{FetchError, ReleaseListFlaw};
use super::fetcher::Fetcher;
use super::source::Source;
use crate::arch::Arch;
use crate::digest::{Sha256, Sha512, plain};
use crate::profile::release::{Branch, Release, ReleaseVersion};

/// The largest list that is read, in bytes. Alpine's has 5,000.
const MAX_LIST: u64 = 1 << 20;
/// The flavor of the one kind of release that is looked for.
const FLAVOR: &str = "alpine-minirootfs";

/// A list of releases.
#[derive(Debug)]
pub(super) struct ReleaseList {
    location: String,
    minirootfs: Vec<ListedMinirootfs>,
}

/// A minirootfs, as a list of releases has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListedMinirootfs {
    pub(super) branch: Branch,
    pub(super) version: ReleaseVersion,
    pub(super) file: String,
    pub(super) size: u64,
    pub(super) sha256: Sha256,
    pub(super) sha512: Sha512,
}

impl ReleaseList {
    /// The list in `branch`, a directory of `mirror`, if there is one.
    pub(super) fn fetch(
        fetcher: &Fetcher<'_>,
        mirror: &Source,
        branch: Branch,
        arch: Arch,
        keeping: Keeping<'_>,
    ) -> Result<Option<Self>, FetchError> {
        let path = format!("{branch}/releases/{arch}/latest-releases.yaml");
        mirror.read(fetcher, &path, MAX_LIST, keeping, |bytes| {
            let location = mirror.locate(&path);
            match parse(bytes, arch) {
                Ok(minirootfs) => Ok(Self { location, minirootfs }),
                Err(flaw) => Err(FetchError::ReleaseList { location, flaw }),
            }
        })
    }

    /// Where it was read.
    pub(super) fn location(&self) -> &str {
        &self.location
    }

    /// Of those that may serve as `release`, the greatest. A list of another branch than `branch`, in whose
    /// directory it lies, is an error.
    pub(super) fn greatest(
        &self,
        release: &Release,
        branch: Branch,
    ) -> Result<Option<&ListedMinirootfs>, FetchError> {
        if let Some(other) = self.minirootfs.iter().find(|listed| listed.branch != branch) {
            let flaw = ReleaseListFlaw::Branch { branch: other.branch, expected: branch };
            return Err(FetchError::ReleaseList { location: self.location.clone(), flaw });
        }
        let acceptable = self.minirootfs.iter().filter(|listed| release.accepts(&listed.version));
        Ok(acceptable.max_by(|a, b| a.version.cmp(&b.version)))
    }

    /// The branch it is of.
    pub(super) fn branch(&self) -> Result<Branch, FetchError> {
        self.minirootfs.first().map(|listed| listed.branch).ok_or_else(|| {
            let flaw = ReleaseListFlaw::Value { key: "branch" };
            FetchError::ReleaseList { location: self.location.clone(), flaw }
        })
    }
}

impl ListedMinirootfs {
    fn of(fields: &BTreeMap<&str, &str>, arch: Arch) -> Result<Self, ReleaseListFlaw> {
        let value = |key| fields.get(key).copied().ok_or(ReleaseListFlaw::Value { key });
        let wrong = |key| move || ReleaseListFlaw::Value { key };
        if value("arch")? != arch.as_str() {
            return Err(ReleaseListFlaw::Value { key: "arch" });
        }
        let file = value("file")?;
        if file.contains('/') || file.starts_with('.') || file.chars().any(char::is_control) {
            return Err(ReleaseListFlaw::Value { key: "file" });
        }
        let version: ReleaseVersion = value("version")?.parse().map_err(|_| wrong("version")())?;
        // `latest-stable` is no branch of its own.
        let branch = value("branch")?.parse().ok().filter(|branch| *branch == version.branch());
        Ok(Self {
            branch: branch.ok_or_else(wrong("branch"))?,
            version,
            file: file.to_owned(),
            size: value("size")?.parse().ok().ok_or_else(wrong("size"))?,
            sha256: plain(value("sha256")?).ok_or_else(wrong("sha256"))?,
            sha512: plain(value("sha512")?).ok_or_else(wrong("sha512"))?,
        })
    }
}

fn parse(bytes: &[u8], arch: Arch) -> Result<Vec<ListedMinirootfs>, ReleaseListFlaw> {
    let text = std::str::from_utf8(bytes).map_err(|_| ReleaseListFlaw::NotUtf8)?;
    let releases = releases(text)?;
    releases
        .iter()
        .filter(|fields| fields.get("flavor") == Some(&FLAVOR))
        .map(|fields| ListedMinirootfs::of(fields, arch))
        .collect()
}

fn releases(text: &str) -> Result<Vec<BTreeMap<&str, &str>>, ReleaseListFlaw> {
    let mut releases: Vec<BTreeMap<&str, &str>> = Vec::new();
    let mut in_text = false;
    for (number, line) in text.lines().enumerate() {
        let form = ReleaseListFlaw::Form { line: number + 1 };
        if line.is_empty() || line == "---" || (in_text && line.starts_with("    ")) {
            continue;
        }
        in_text = false;
        let field = match line.strip_prefix("- ") {
            Some(field) => {
                releases.push(BTreeMap::new());
                field
            }
            None if line == "-" => {
                releases.push(BTreeMap::new());
                continue;
            }
            None => line.strip_prefix("  ").ok_or(form.clone())?,
        };
        let (key, value) = field.split_once(':').ok_or(form.clone())?;
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(form);
        }
        let value = value.trim();
        in_text = matches!(value, "|" | ">" | "|-" | ">-");
        let release = releases.last_mut().ok_or(form)?;
        if release.insert(key, unquoted(value)).is_some() {
            return Err(ReleaseListFlaw::Twice { line: number + 1, key: key.to_owned() });
        }
    }
    Ok(releases)
}

fn unquoted(value: &str) -> &str {
    ['"', '\''].into_iter().find_map(|quote| value.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Alpine publishes it, shortened to two releases and with shortened texts.
    fn list() -> String {
        let (sha256, sha512) = ("ab".repeat(32), "cd".repeat(64));
        format!(
            "---\n-\n  title: \"Netboot\"\n  desc: |\n    Kernel, initramfs: and\n    modloop.\n  flavor: alpine-netboot\n\
             -\n  title: \"Mini root filesystem\"\n  desc: |\n    Minimal root filesystem.\n  branch: v3.19\n  arch: x86_64\n  \
             version: 3.19.4\n  flavor: alpine-minirootfs\n  file: alpine-minirootfs-3.19.4-x86_64.tar.gz\n  \
             time: 12:04:04\n  size: 3299369\n  sha256: {sha256}\n  sha512: {sha512}\n"
        )
    }

    fn flaw(text: &str) -> ReleaseListFlaw {
        parse(text.as_bytes(), Arch::X86_64).unwrap_err()
    }

    #[test]
    fn the_minirootfs_of_a_list_is_found() {
        let found = parse(list().as_bytes(), Arch::X86_64).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].file, "alpine-minirootfs-3.19.4-x86_64.tar.gz");
        assert_eq!((found[0].branch.to_string().as_str(), found[0].version.as_str()), ("v3.19", "3.19.4"));
        assert_eq!((found[0].size, found[0].sha256.to_hex()), (3_299_369, "ab".repeat(32)));
    }

    #[test]
    fn the_greatest_that_may_serve_is_taken_wherever_it_stands() {
        let list = list();
        let text: String = ["3.19.10", "3.19.9", "3.19.11_rc1"]
            .iter()
            .map(|version| list.replace("3.19.4", version))
            .collect();
        let minirootfs = parse(text.as_bytes(), Arch::X86_64).unwrap();
        let list = ReleaseList { location: "list".to_owned(), minirootfs };
        let branch = list.branch().unwrap();
        assert_eq!(branch.to_string(), "v3.19");
        for (release, version) in [
            ("3.19", Some("3.19.10")),
            ("3.19.9", Some("3.19.9")),
            ("3.19.11_rc1", Some("3.19.11_rc1")),
            ("latest-stable", Some("3.19.10")),
            ("3.19.3", None),
        ] {
            let greatest = list.greatest(&release.parse().unwrap(), branch).unwrap();
            assert_eq!(greatest.map(|listed| listed.version.as_str()), version, "{release}");
        }
        let elsewhere = list.greatest(&Release::Edge, Branch::Edge);
        assert!(matches!(elsewhere, Err(FetchError::ReleaseList { .. })));
    }

    #[test]
    fn a_line_of_another_shape_is_named() {
        assert_eq!(flaw("  version: 1\n"), ReleaseListFlaw::Form { line: 1 });
        assert_eq!(flaw("-\n\tversion: 1\n"), ReleaseListFlaw::Form { line: 2 });
        assert_eq!(flaw("-\n    version: 1\n"), ReleaseListFlaw::Form { line: 2 });
        assert_eq!(flaw("-\n  {a: b}\n"), ReleaseListFlaw::Form { line: 2 });
        assert_eq!(flaw("-\n  a: b\n  a: c\n"), ReleaseListFlaw::Twice { line: 3, key: "a".to_owned() });
        assert_eq!(parse(b"-\n  a: \xff\n", Arch::X86_64), Err(ReleaseListFlaw::NotUtf8));
        assert_eq!(parse(b"", Arch::X86_64), Ok(Vec::new()));
    }

    #[test]
    fn a_value_that_is_none_is_named() {
        let list = list();
        for (key, from, to) in [
            ("arch", "arch: x86_64", "arch: s390x"),
            ("file", "file: alpine", "file: ../alpine"),
            ("version", "version: 3", "version: x"),
            ("branch", "branch: v3.19", "branch: v3.18"),
            ("size", "size: 3", "size: x"),
            ("sha256", "sha256: ab", "sha256: AB"),
            ("sha512", "sha512: cd", "sha512: "),
        ] {
            assert_eq!(flaw(&list.replace(from, to)), ReleaseListFlaw::Value { key });
        }
    }
}
