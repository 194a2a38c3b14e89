//! Writing `.PKGINFO`, strictly: what apk would skip, misread or refuse to install is not written.
//!
//! The counterpart of [`super::package_info`], which reads what others wrote and is lenient. The keys
//! come in abuild's order, one value a line.
//!
//! Source: spec apk v2, "control" and "Dependencies and versions".

use std::fmt::Write as _;

use super::dependency::{Dependency, DependencyError, Provide, is_package_name};
use super::package_info::PackageInfo;
use super::version;
use crate::arch::Arch;
use crate::kind::{Explain, Kind};

/// Why a `.PKGINFO` cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InfoFlaw {
    /// The name is none a package can have.
    #[error("`{0}` cannot be the name of a package (letters, digits and `._+-`, a letter or digit first)")]
    Name(String),
    /// The version is not valid.
    #[error("`{0}` is not a version apk can order, as 1.2.3_rc1-r0 is")]
    Version(String),
    /// The architecture is unknown.
    #[error("`{0}` is not an architecture (nor `noarch`)")]
    Arch(String),
    /// A dependency, a provide or what is replaced is malformed.
    #[error("{key} is malformed: {error}")]
    Dependency {
        /// The key.
        key: &'static str,
        /// What is wrong.
        error: DependencyError,
    },
    /// A trigger watches something that is no directory.
    #[error("the trigger `{0}` is not an absolute path, with or without a `+` before it")]
    Trigger(String),
    /// A text goes over more than one line, or has other control characters.
    #[error("{key} has a control character: {text:?}")]
    Text {
        /// The key.
        key: &'static str,
        /// The text.
        text: String,
    },
}

impl Explain for InfoFlaw {
    fn kind(&self) -> Kind {
        Kind::Profile
    }
}

/// The text of `.PKGINFO`.
pub fn write_info(info: &PackageInfo) -> Result<String, InfoFlaw> {
    check(info)?;
    let mut text = String::new();
    let mut line = |key: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{key} = {value}");
    };
    line("pkgname", &info.name);
    line("pkgver", &info.version);
    line("pkgdesc", &info.description);
    line("url", &info.url);
    if let Some(time) = info.build_time {
        line("builddate", &time.to_string());
    }
    line("size", &info.installed_size.to_string());
    line("arch", &info.arch);
    for (key, value) in [("origin", &info.origin), ("commit", &info.commit), ("maintainer", &info.maintainer)]
    {
        if !value.is_empty() {
            line(key, value);
        }
    }
    line("license", &info.license);
    if let Some(priority) = info.provider_priority {
        line("provider_priority", &priority.to_string());
    }
    if info.replaces_priority != 0 {
        line("replaces_priority", &info.replaces_priority.to_string());
    }
    for (key, values) in [
        ("replaces", &info.replaces),
        ("depend", &info.depends),
        ("provides", &info.provides),
        // These two abuild writes on one line.
        ("install_if", &one_line(&info.install_if)),
        ("triggers", &one_line(&info.triggers)),
    ] {
        for value in values {
            line(key, value);
        }
    }
    if let Some(datahash) = info.datahash {
        line("datahash", &datahash.to_string());
    }
    Ok(text)
}

fn one_line(values: &[String]) -> Vec<String> {
    if values.is_empty() { Vec::new() } else { vec![values.join(" ")] }
}

fn check(info: &PackageInfo) -> Result<(), InfoFlaw> {
    let begins_well = info.name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !is_package_name(&info.name) || !begins_well {
        return Err(InfoFlaw::Name(info.name.escape_debug().to_string()));
    }
    if !version::is_valid(&info.version) {
        return Err(InfoFlaw::Version(info.version.escape_debug().to_string()));
    }
    // Arch also reads the names that OCI has; apk does not.
    if info.arch != "noarch" && !Arch::ALL.iter().any(|arch| arch.as_str() == info.arch) {
        return Err(InfoFlaw::Arch(info.arch.escape_debug().to_string()));
    }
    for (key, text) in [
        ("pkgdesc", &info.description),
        ("url", &info.url),
        ("license", &info.license),
        ("origin", &info.origin),
        ("maintainer", &info.maintainer),
        ("commit", &info.commit),
    ] {
        if text.chars().any(char::is_control) {
            return Err(InfoFlaw::Text { key, text: text.clone() });
        }
    }
    for (key, dependencies) in
        [("depend", &info.depends), ("install_if", &info.install_if), ("replaces", &info.replaces)]
    {
        for text in dependencies {
            Dependency::of_index(text).map_err(|error| InfoFlaw::Dependency { key, error })?;
        }
    }
    for text in &info.provides {
        Provide::of_index(text).map_err(|error| InfoFlaw::Dependency { key: "provides", error })?;
    }
    for glob in &info.triggers {
        let path = glob.strip_prefix('+').unwrap_or(glob);
        if !path.starts_with('/') || path.chars().any(|c| c.is_control() || c == ' ') {
            return Err(InfoFlaw::Trigger(glob.escape_debug().to_string()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Sha256;

    fn full() -> PackageInfo {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        PackageInfo {
            name: "a".to_owned(),
            version: "1.2-r3".to_owned(),
            arch: "x86_64".to_owned(),
            description: "what it is".to_owned(),
            url: "https://example.org/?a=b".to_owned(),
            license: "MIT".to_owned(),
            origin: "source".to_owned(),
            maintainer: "A B <a@b>".to_owned(),
            commit: "0123".to_owned(),
            installed_size: 4096,
            build_time: Some(1_700_000_000),
            provider_priority: Some(10),
            depends: words("b c>=1 !d so:x.so.1"),
            provides: words("e=1 cmd:f /bin/sh"),
            install_if: words("g h=1-r0"),
            replaces: words("i j<2"),
            replaces_priority: 3,
            triggers: words("/usr/lib/* +/etc"),
            datahash: Some(Sha256::of(b"")),
        }
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let text = write_info(&full()).unwrap();
        assert_eq!(PackageInfo::parse(text.as_bytes()).unwrap(), full());
    }

    #[test]
    fn what_apk_would_misread_is_not_written() {
        type Change = fn(&mut PackageInfo);
        type Expectation = fn(&InfoFlaw) -> bool;
        let changes: [(Change, Expectation); 9] = [
            (|info| info.name = "a b".to_owned(), |flaw| matches!(flaw, InfoFlaw::Name(_))),
            (|info| info.name = "-a".to_owned(), |flaw| matches!(flaw, InfoFlaw::Name(_))),
            (|info| info.version = "v1".to_owned(), |flaw| matches!(flaw, InfoFlaw::Version(_))),
            (|info| info.arch = "amd64".to_owned(), |flaw| matches!(flaw, InfoFlaw::Arch(_))),
            (
                |info| info.description = "x\ndepend = evil".to_owned(),
                |flaw| matches!(flaw, InfoFlaw::Text { key: "pkgdesc", .. }),
            ),
            (
                |info| info.depends.push("x=".to_owned()),
                |flaw| matches!(flaw, InfoFlaw::Dependency { key: "depend", .. }),
            ),
            (
                |info| info.depends.push("x@edge".to_owned()),
                |flaw| matches!(flaw, InfoFlaw::Dependency { key: "depend", .. }),
            ),
            (
                |info| info.provides.push("x>1".to_owned()),
                |flaw| matches!(flaw, InfoFlaw::Dependency { key: "provides", .. }),
            ),
            (|info| info.triggers.push("usr".to_owned()), |flaw| matches!(flaw, InfoFlaw::Trigger(_))),
        ];
        for (number, (change, is_flaw)) in changes.into_iter().enumerate() {
            let mut info = full();
            change(&mut info);
            let flaw = write_info(&info).unwrap_err();
            assert!(is_flaw(&flaw), "{number}: {flaw}");
        }
    }
}
