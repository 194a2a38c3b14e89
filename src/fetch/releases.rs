//! `latest-releases.yaml`: what a mirror's directory of releases says is in it.
//!
//! The file has one fixed shape, and only that is read: a list of releases, each with lines of
//! `  key: value`, and texts over several lines (`desc: |`), which are skipped. Anything else is an error.
//! The file is not signed; what it states is worth what a checksum beside the file is worth.
//!
//! Source: `releases/x86_64/latest-releases.yaml` of Alpine 3.19 as published.

use std::collections::BTreeMap;

use super::branch::Branch;
use super::error::{FetchError, ReleaseListFlaw};
use super::release::ReleaseVersion;
use super::source::Source;
use crate::arch::Arch;
use crate::digest::{Sha256, Sha512};

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
    pub(super) branch: String,
    pub(super) version: ReleaseVersion,
    pub(super) file: String,
    pub(super) size: u64,
    pub(super) sha256: Sha256,
    pub(super) sha512: Sha512,
}

impl ReleaseList {
    /// The list in `branch`, a directory of `mirror`, if there is one.
    pub(super) fn fetch(mirror: &Source, branch: &str, arch: Arch) -> Result<Option<Self>, FetchError> {
        let path = format!("{branch}/releases/{arch}/latest-releases.yaml");
        let location = mirror.locate(&path);
        let Some(bytes) = mirror.read(&path, MAX_LIST)? else { return Ok(None) };
        match parse(&bytes, arch) {
            Ok(minirootfs) => Ok(Some(Self { location, minirootfs })),
            Err(flaw) => Err(FetchError::ReleaseList { location, flaw }),
        }
    }

    /// Where it was read.
    pub(super) fn location(&self) -> &str {
        &self.location
    }

    /// The newest of `branch`. A list of another branch is an error.
    pub(super) fn newest(&self, branch: Branch) -> Result<Option<&ListedMinirootfs>, FetchError> {
        if let Some(other) = self.minirootfs.iter().find(|listed| !listed.is_of(branch)) {
            let flaw = ReleaseListFlaw::Branch { branch: other.branch.clone(), expected: branch };
            return Err(FetchError::ReleaseList { location: self.location.clone(), flaw });
        }
        Ok(self.minirootfs.iter().max_by(|a, b| a.version.cmp(&b.version)))
    }

    /// The one with that version.
    pub(super) fn exactly(&self, version: &ReleaseVersion) -> Option<&ListedMinirootfs> {
        self.minirootfs.iter().find(|listed| listed.version == *version)
    }

    /// The branch it is of.
    pub(super) fn branch(&self) -> Result<Branch, FetchError> {
        self.minirootfs.first().and_then(|listed| listed.branch.parse().ok()).ok_or_else(|| {
            let flaw = ReleaseListFlaw::Value { key: "branch" };
            FetchError::ReleaseList { location: self.location.clone(), flaw }
        })
    }
}

impl ListedMinirootfs {
    fn is_of(&self, branch: Branch) -> bool {
        self.branch == branch.to_string() && self.version.is_of(branch)
    }

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
        Ok(Self {
            branch: value("branch")?.to_owned(),
            version: value("version")?.parse().map_err(|_| ReleaseListFlaw::Value { key: "version" })?,
            file: file.to_owned(),
            size: value("size")?.parse().ok().ok_or_else(wrong("size"))?,
            sha256: plain(value("sha256")?, Sha256::to_hex).ok_or_else(wrong("sha256"))?,
            sha512: plain(value("sha512")?, Sha512::to_hex).ok_or_else(wrong("sha512"))?,
        })
    }
}

/// A digest that is written as it would be written here: in lower case.
pub(super) fn plain<D: std::str::FromStr + Copy>(text: &str, to_hex: impl FnOnce(D) -> String) -> Option<D> {
    let digest: D = text.parse().ok()?;
    (to_hex(digest) == text).then_some(digest)
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
        assert_eq!((found[0].branch.as_str(), found[0].version.as_str()), ("v3.19", "3.19.4"));
        assert_eq!((found[0].size, found[0].sha256.to_hex()), (3_299_369, "ab".repeat(32)));
    }

    #[test]
    fn the_newest_is_so_by_version_not_by_place() {
        let list = list();
        let text: String =
            ["3.19.10", "3.19.9", "3.19.10_rc1"].iter().map(|v| list.replace("3.19.4", v)).collect();
        let minirootfs = parse(text.as_bytes(), Arch::X86_64).unwrap();
        let list = ReleaseList { location: "list".to_owned(), minirootfs };
        let v3_19 = Branch::Stable { major: 3, minor: 19 };
        assert_eq!(list.newest(v3_19).unwrap().unwrap().version.as_str(), "3.19.10");
        assert!(list.exactly(&"3.19.9".parse().unwrap()).is_some());
        assert!(matches!(list.newest(Branch::Edge), Err(FetchError::ReleaseList { .. })));
        assert_eq!(list.branch().unwrap(), v3_19);
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
            ("size", "size: 3", "size: x"),
            ("sha256", "sha256: ab", "sha256: AB"),
            ("sha512", "sha512: cd", "sha512: "),
        ] {
            assert_eq!(flaw(&list.replace(from, to)), ReleaseListFlaw::Value { key });
        }
    }
}
