//! `.PKGINFO`: what a package says of itself.
//!
//! Lines of `key = value`; `#` begins a comment; keys may repeat. Lines that are neither are skipped, as
//! real packages have some (a licence that goes on over lines). Not authenticated by itself: it is part of
//! the control member, whose SHA-1 is the package's identity.
//!
//! Source: spec apk v2, "control".

use crate::digest::Sha256;

/// What a package says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PackageInfo {
    /// `pkgname`.
    pub name: String,
    /// `pkgver`.
    pub version: String,
    /// `arch`, which may be `noarch`.
    pub arch: String,
    /// `pkgdesc`.
    pub description: String,
    /// `url`.
    pub url: String,
    /// `license`.
    pub license: String,
    /// `origin`; empty if not stated.
    pub origin: String,
    /// `maintainer`; empty if not stated.
    pub maintainer: String,
    /// `commit`; empty if not stated.
    pub commit: String,
    /// `size`, the bytes it takes when installed.
    pub installed_size: u64,
    /// `builddate`, in seconds since 1970.
    pub build_time: Option<i64>,
    /// `provider_priority`.
    pub provider_priority: Option<u32>,
    /// `depend`, in order.
    pub depends: Vec<String>,
    /// `provides`, in order.
    pub provides: Vec<String>,
    /// `install_if`, in order.
    pub install_if: Vec<String>,
    /// `replaces`, in order.
    pub replaces: Vec<String>,
    /// `replaces_priority`.
    pub replaces_priority: u32,
    /// `triggers`: globs of directories.
    pub triggers: Vec<String>,
    /// `datahash`: the SHA-256 of the compressed data member. A package without files may have none.
    pub datahash: Option<Sha256>,
}

/// The most words that its lists may have together: dependencies, provided names, triggers and so on.
const MAX_WORDS: usize = 200_000;

/// Why a `.PKGINFO` is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackageInfoError {
    /// It is not UTF-8.
    #[error(".PKGINFO is not UTF-8")]
    NotUtf8,
    /// A value does not have its form.
    #[error("line {line} of .PKGINFO is malformed: `{value}` is no value for {key}")]
    Value {
        /// The line, counted from 1.
        line: usize,
        /// The key.
        key: &'static str,
        /// The value.
        value: String,
    },
    /// There are too many words in its lists.
    #[error(".PKGINFO lists more dependencies, provided names and triggers than the limit of {MAX_WORDS}")]
    TooMany,
    /// A key without which there is no package is missing.
    #[error(".PKGINFO has no {0}")]
    Missing(&'static str),
}

impl PackageInfo {
    /// Reads the text.
    pub fn parse(text: &[u8]) -> Result<Self, PackageInfoError> {
        let text = std::str::from_utf8(text).map_err(|_| PackageInfoError::NotUtf8)?;
        let mut info = Self::default();
        for (number, line) in text.lines().enumerate() {
            if line.starts_with('#') {
                continue;
            }
            if let Some((key, value)) = line.split_once('=') {
                info.take(number + 1, key.trim(), value.trim())?;
            }
            if info.words() > MAX_WORDS {
                return Err(PackageInfoError::TooMany);
            }
        }
        for (key, value) in [("pkgname", &info.name), ("pkgver", &info.version), ("arch", &info.arch)] {
            if value.is_empty() {
                return Err(PackageInfoError::Missing(key));
            }
        }
        Ok(info)
    }

    fn words(&self) -> usize {
        let lists = [&self.depends, &self.provides, &self.install_if, &self.replaces, &self.triggers];
        lists.iter().map(|list| list.len()).sum()
    }

    fn take(&mut self, line: usize, key: &str, value: &str) -> Result<(), PackageInfoError> {
        fn parse<T: std::str::FromStr>(
            line: usize,
            key: &'static str,
            value: &str,
        ) -> Result<T, PackageInfoError> {
            value.parse().map_err(|_| PackageInfoError::Value { line, key, value: value.to_owned() })
        }
        let words = || value.split_ascii_whitespace().take(MAX_WORDS + 1).map(str::to_owned);
        match key {
            "pkgname" => value.clone_into(&mut self.name),
            "pkgver" => value.clone_into(&mut self.version),
            "arch" => value.clone_into(&mut self.arch),
            "pkgdesc" => value.clone_into(&mut self.description),
            "url" => value.clone_into(&mut self.url),
            "license" => value.clone_into(&mut self.license),
            "origin" => value.clone_into(&mut self.origin),
            "maintainer" => value.clone_into(&mut self.maintainer),
            "commit" => value.clone_into(&mut self.commit),
            "size" => self.installed_size = parse(line, "size", value)?,
            "builddate" => self.build_time = Some(parse(line, "builddate", value)?),
            "provider_priority" => self.provider_priority = Some(parse(line, "provider_priority", value)?),
            "replaces_priority" => self.replaces_priority = parse(line, "replaces_priority", value)?,
            "datahash" => self.datahash = Some(parse(line, "datahash", value)?),
            "depend" => self.depends.extend(words()),
            "provides" => self.provides.extend(words()),
            "install_if" => self.install_if.extend(words()),
            "replaces" => self.replaces.extend(words()),
            "triggers" => self.triggers.extend(words()),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_repeat_and_foreign_lines_are_skipped() {
        let text = "# made by abuild\npkgname = a\npkgver = 1-r0\narch = noarch\nsize = 4096\n\
            license = MIT AND\n\tBSD-3-Clause\ndepend = b\ndepend = so:c.so.1 /bin/sh\n\
            triggers = /usr/lib/* /etc\nunknown = x\n";
        let info = PackageInfo::parse(text.as_bytes()).unwrap();
        assert_eq!((info.name.as_str(), info.installed_size), ("a", 4096));
        assert_eq!(info.depends, ["b", "so:c.so.1", "/bin/sh"]);
        assert_eq!(info.triggers.len(), 2);
    }

    #[test]
    fn a_malformed_value_is_named_by_its_line() {
        let error = PackageInfo::parse(b"pkgname = a\nsize = huge\n").unwrap_err();
        assert_eq!(error, PackageInfoError::Value { line: 2, key: "size", value: "huge".to_owned() });
        assert_eq!(PackageInfo::parse(b"pkgname = a\n"), Err(PackageInfoError::Missing("pkgver")));
        assert_eq!(PackageInfo::parse(b"\xff"), Err(PackageInfoError::NotUtf8));
    }
}
