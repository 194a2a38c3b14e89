//! A package file: its members, its control, and the proof that it is the one the index speaks of.
//!
//! A package is up to three gzip members: signatures, control, data. [`PackageHead::read`] reads the first
//! two; [`VerifiedPackage::check`] then holds the whole against the index and the keyring, link by link,
//! on the compressed bytes, before a byte of the data is inflated. Only a [`VerifiedPackage`] is ever
//! expanded or placed. Reading the files is [`super::data`]'s.
//!
//! Source: spec apk v2, ".apk" and "Verification and trust"; design, "Trust".

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use super::index::Package;
use super::keys::{KeyName, Keyring, MessageDigests, SignatureError};
use super::package_info::{PackageInfo, PackageInfoError};
use super::signature::{self, Signature, SignatureMemberError};
use crate::archive::gzip::{self, GzipError};
use crate::archive::tar_read::{EntryKind, TarError, TarReader};
use crate::content::{self, ReadAt};
use crate::digest::{Identity, Sha256};
use crate::kind::{Explain, Kind};

/// The longest script, in bytes.
pub(super) const MAX_SCRIPT: u64 = 256 * 1024;
/// The longest `.PKGINFO`, in bytes.
const MAX_INFO: u64 = 4 << 20;
/// The most a control member may inflate to, in bytes: its scripts, its info, and room for headers.
const MAX_CONTROL: u64 = 8 << 20;
/// How much of a package is looked at first to find its head; nearly every head is smaller.
const FIRST_LOOK: u64 = 64 * 1024;
/// The longest head, compressed, in bytes.
const MAX_HEAD: u64 = 16 << 20;

/// When a script of a package runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ScriptKind {
    /// Before the package's files are there.
    PreInstall,
    /// After the package's files are there.
    PostInstall,
    /// Before the package is removed.
    PreDeinstall,
    /// After the package was removed.
    PostDeinstall,
    /// Before the files of another version are replaced.
    PreUpgrade,
    /// After the files of another version were replaced.
    PostUpgrade,
    /// When directories that it watches changed.
    Trigger,
}

impl ScriptKind {
    /// All of them, in apk's order.
    pub const ALL: [Self; 7] = [
        Self::PreInstall,
        Self::PostInstall,
        Self::PreDeinstall,
        Self::PostDeinstall,
        Self::PreUpgrade,
        Self::PostUpgrade,
        Self::Trigger,
    ];

    /// apk's name, without the dot of the file in the control member.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreInstall => "pre-install",
            Self::PostInstall => "post-install",
            Self::PreDeinstall => "pre-deinstall",
            Self::PostDeinstall => "post-deinstall",
            Self::PreUpgrade => "pre-upgrade",
            Self::PostUpgrade => "post-upgrade",
            Self::Trigger => "trigger",
        }
    }

    /// The kind with that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for ScriptKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The scripts of a package.
pub type Scripts = BTreeMap<ScriptKind, Vec<u8>>;

/// What a package file is held against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// `P:`.
    pub name: String,
    /// `V:`.
    pub version: String,
    /// `A:`.
    pub arch: String,
    /// `C:`.
    pub identity: Identity,
    /// `S:`, in bytes.
    pub size: u64,
}

impl Expected {
    /// What the index says of `package`; nothing if it has no identity.
    pub fn of(package: Package<'_>) -> Option<Self> {
        Some(Self {
            name: package.name().to_owned(),
            version: package.version().to_owned(),
            arch: package.arch().to_owned(),
            identity: package.identity()?,
            size: package.size(),
        })
    }
}

/// `name-version`, as apk writes packages.
impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.name, self.version)
    }
}

/// What is wrong with a package file. The package's name is the caller's to add: see [`PackageError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageFlaw {
    /// It is in the format of apk-tools 3.
    #[error("it is in the ADB format (apk v3), which apkcompose does not read")]
    Adb,
    /// It could not be read.
    #[error("it cannot be read: {0}")]
    Read(io::Error),
    /// Its signature member is malformed.
    #[error("its front, where its signatures should be, is malformed: {0}")]
    SignatureMember(SignatureMemberError),
    /// Its control member is no gzip member.
    #[error("its control member is malformed: {0}")]
    ControlGzip(GzipError),
    /// Its control member is no acceptable tar.
    #[error("its control member is malformed: {0}")]
    ControlTar(TarError),
    /// Its control member has something that may not be there.
    #[error("its control member holds `{0}`, which may not be there")]
    ControlEntry(String),
    /// Its `.PKGINFO` is malformed.
    #[error("{0}")]
    Info(PackageInfoError),
    /// There is no `.PKGINFO`.
    #[error("it has no .PKGINFO")]
    NoInfo,
    /// Its signature is not accepted.
    #[error("{0}")]
    Signature(SignatureError),
    /// It is not the package the index speaks of.
    #[error("it is another package than the index lists: its identity is {got}, listed is {expected}")]
    Identity {
        /// The index's.
        expected: Identity,
        /// The file's.
        got: Identity,
    },
    /// Its length is not the index's.
    #[error("it has {got} bytes, the index lists {expected}")]
    Size {
        /// The index's.
        expected: u64,
        /// The file's.
        got: u64,
    },
    /// A field of `.PKGINFO` is not the index's.
    #[error("its {field} is `{got}`, the index lists `{expected}`")]
    Field {
        /// Which field.
        field: &'static str,
        /// The index's.
        expected: String,
        /// The file's.
        got: String,
    },
    /// The data is not what the control member says.
    #[error("its data has SHA-256 {got}, its control member states {expected}")]
    Datahash {
        /// The control member's.
        expected: Sha256,
        /// The data's.
        got: Sha256,
    },
    /// There is data, and nothing says what it must be.
    #[error("its control member has no datahash for its data")]
    NoDatahash,
}

/// A package that cannot be accepted.
#[derive(Debug, thiserror::Error)]
#[error("{package} cannot be trusted\n  {flaw}")]
pub struct PackageError {
    /// The package, as `name-version`, or the file.
    pub package: String,
    /// What is wrong with it.
    pub flaw: PackageFlaw,
}

impl Explain for PackageError {
    fn kind(&self) -> Kind {
        match &self.flaw {
            PackageFlaw::Read(error) => Kind::of_io(error),
            PackageFlaw::ControlTar(error) => error.kind(),
            PackageFlaw::ControlGzip(GzipError::TooLarge { .. })
            | PackageFlaw::Info(PackageInfoError::TooMany) => Kind::Limit,
            _ => Kind::Integrity,
        }
    }

    fn hint(&self) -> Option<String> {
        match &self.flaw {
            PackageFlaw::Signature(error) => error.hint().or_else(|| {
                Some("the file is damaged, or not what its owner published: use another mirror".to_owned())
            }),
            PackageFlaw::Size { .. } | PackageFlaw::Identity { .. } | PackageFlaw::Field { .. } => Some(
                "the mirror's index and packages do not belong together: it may be half updated, or damaged"
                    .to_owned(),
            ),
            PackageFlaw::Info(PackageInfoError::TooMany) => {
                Some("leave the package out, and report it to its owner".to_owned())
            }
            PackageFlaw::Adb => Some("use a repository with v2 packages, as Alpine's own are".to_owned()),
            _ => Some("the file is damaged: fetch it again, or use another mirror".to_owned()),
        }
    }
}

/// The first two members of a package, read and not yet judged.
#[derive(Debug, Clone)]
pub struct PackageHead {
    /// The signatures, if there are any.
    pub signatures: Vec<Signature>,
    /// The digests of the compressed control member.
    pub control: MessageDigests,
    /// `.PKGINFO`.
    pub info: PackageInfo,
    /// The scripts.
    pub scripts: Scripts,
    /// Where the data member begins in the file, in bytes.
    pub data_offset: u64,
}

impl PackageHead {
    /// Reads the front of a package file.
    pub fn read(file: &dyn ReadAt) -> Result<Self, PackageFlaw> {
        let mut length = FIRST_LOOK.min(file.length());
        loop {
            let mut front = vec![0; usize::try_from(length).unwrap_or(0)];
            file.read_exact_at(&mut front, 0).map_err(PackageFlaw::Read)?;
            match Self::parse(&front) {
                // The head may go on behind what was looked at.
                Err(flaw) if length < file.length() && length < MAX_HEAD => {
                    if !flaw.may_be_truncation() {
                        return Err(flaw);
                    }
                    length = (length * 4).min(file.length()).min(MAX_HEAD);
                }
                other => return other,
            }
        }
    }

    /// Reads the head of a package from its first bytes.
    pub fn parse(front: &[u8]) -> Result<Self, PackageFlaw> {
        if front.starts_with(b"ADB") {
            return Err(PackageFlaw::Adb);
        }
        let (signatures, rest) = signature::split(front).map_err(PackageFlaw::SignatureMember)?;
        let mut behind = rest;
        let tar = gzip::inflate_member(&mut behind, MAX_CONTROL).map_err(PackageFlaw::ControlGzip)?;
        let member = rest.get(..rest.len() - behind.len()).unwrap_or_default();
        let (info, scripts) = read_control(&tar)?;
        Ok(Self {
            signatures,
            control: MessageDigests::of(member),
            info,
            scripts,
            data_offset: (front.len() - behind.len()) as u64,
        })
    }

    /// The package's identity.
    pub fn identity(&self) -> Identity {
        Identity::new(self.control.sha1)
    }

    /// Checks that the data member of `file`, whose head this is, is the one the head states.
    pub fn check_data(&self, file: &dyn ReadAt) -> Result<(), PackageFlaw> {
        let expected = match self.info.datahash {
            Some(datahash) => datahash,
            None if self.data_offset == file.length() => return Ok(()),
            None => return Err(PackageFlaw::NoDatahash),
        };
        let got = content::sha256_from(file, self.data_offset).map_err(PackageFlaw::Read)?;
        if got == expected { Ok(()) } else { Err(PackageFlaw::Datahash { expected, got }) }
    }
}

impl PackageFlaw {
    fn may_be_truncation(&self) -> bool {
        matches!(
            self,
            Self::ControlGzip(GzipError::Truncated)
                | Self::SignatureMember(SignatureMemberError::Gzip(GzipError::Truncated))
        )
    }
}

fn read_control(tar: &[u8]) -> Result<(PackageInfo, Scripts), PackageFlaw> {
    let mut reader = TarReader::new(tar);
    let mut info = None;
    let mut scripts = Scripts::new();
    while let Some(entry) = reader.next_entry().map_err(PackageFlaw::ControlTar)? {
        let name = String::from_utf8_lossy(&entry.path).escape_debug().to_string();
        let forbidden = || PackageFlaw::ControlEntry(name.clone());
        let name = name.strip_prefix('.').ok_or_else(forbidden)?;
        let script = ScriptKind::named(name);
        if name == "INSTALL" || (entry.kind != EntryKind::File && (script.is_some() || name == "PKGINFO")) {
            return Err(forbidden());
        }
        if name == "PKGINFO" {
            let text = reader.read_small(MAX_INFO).map_err(PackageFlaw::ControlTar)?;
            if info.replace(PackageInfo::parse(&text).map_err(PackageFlaw::Info)?).is_some() {
                return Err(forbidden());
            }
        } else if let Some(kind) = script {
            let text = reader.read_small(MAX_SCRIPT).map_err(PackageFlaw::ControlTar)?;
            if scripts.insert(kind, text).is_some() {
                return Err(forbidden());
            }
        }
    }
    Ok((info.ok_or(PackageFlaw::NoInfo)?, scripts))
}

/// A package file whose every link to the index and to a key was checked.
#[derive(Debug, Clone)]
pub struct VerifiedPackage {
    info: PackageInfo,
    scripts: Scripts,
    identity: Identity,
    data_offset: u64,
    key: KeyName,
}

impl VerifiedPackage {
    /// Checks the package in `file` against what the index says of it and against the keyring of its
    /// repository: identity, signature, size, name, version, architecture, datahash.
    pub fn check(file: &dyn ReadAt, expected: &Expected, keyring: &Keyring) -> Result<Self, PackageError> {
        let verify = |head: &PackageHead| keyring.verify(&head.signatures, &head.control);
        check_head(file, expected, verify)
            .and_then(|(head, key)| {
                head.check_data(file)?;
                Ok(Self::of(head, key))
            })
            .map_err(|flaw| PackageError { package: expected.to_string(), flaw })
    }

    /// Recalls a [`Self::check`] of `file` that succeeded before, by the signature of the key with
    /// `fingerprint`. Identity, size and fields are checked again, and that the keyring would let that key
    /// decide. Not again: the signature itself, which takes milliseconds, and the hash of the data.
    ///
    /// Only for files that were checked whole when they came in, that nobody else could write to since, and
    /// whose data will *not* be inflated again: the store, where the data is read from an expanded copy,
    /// every slice of which is hashed when it is copied. Whoever inflates the data calls [`Self::check`].
    pub fn recall(
        file: &dyn ReadAt,
        expected: &Expected,
        keyring: &Keyring,
        fingerprint: Sha256,
    ) -> Result<Self, PackageError> {
        let verify = |head: &PackageHead| match keyring.recall(&head.signatures, fingerprint) {
            Some(key) => Ok(key),
            None => keyring.verify(&head.signatures, &head.control),
        };
        check_head(file, expected, verify)
            .map(|(head, key)| Self::of(head, key))
            .map_err(|flaw| PackageError { package: expected.to_string(), flaw })
    }

    fn of(head: PackageHead, key: KeyName) -> Self {
        Self {
            identity: head.identity(),
            info: head.info,
            scripts: head.scripts,
            data_offset: head.data_offset,
            key,
        }
    }

    /// What the package says of itself.
    pub fn info(&self) -> &PackageInfo {
        &self.info
    }

    /// Its scripts.
    pub fn scripts(&self) -> &Scripts {
        &self.scripts
    }

    /// Its identity.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Where its data member begins in the file, in bytes.
    pub fn data_offset(&self) -> u64 {
        self.data_offset
    }

    /// The key that signed it.
    pub fn key(&self) -> &KeyName {
        &self.key
    }
}

impl fmt::Display for VerifiedPackage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.info.name, self.info.version)
    }
}

/// Checks everything but the data; `verify` finds the key whose signature is good.
fn check_head(
    file: &dyn ReadAt,
    expected: &Expected,
    verify: impl FnOnce(&PackageHead) -> Result<KeyName, SignatureError>,
) -> Result<(PackageHead, KeyName), PackageFlaw> {
    let size = file.length();
    if size != expected.size {
        return Err(PackageFlaw::Size { expected: expected.size, got: size });
    }
    let head = PackageHead::read(file)?;
    if head.identity() != expected.identity {
        return Err(PackageFlaw::Identity { expected: expected.identity, got: head.identity() });
    }
    let key = verify(&head).map_err(PackageFlaw::Signature)?;
    check_fields(&head.info, expected)?;
    Ok((head, key))
}

fn check_fields(info: &PackageInfo, expected: &Expected) -> Result<(), PackageFlaw> {
    let same = [("name", &expected.name, &info.name), ("version", &expected.version, &info.version)];
    for (field, expected, got) in same {
        if expected != got {
            return Err(PackageFlaw::Field { field, expected: expected.clone(), got: got.clone() });
        }
    }
    // Alpine's indexes list a noarch package under the repository's architecture.
    if info.arch != expected.arch && info.arch != "noarch" {
        return Err(PackageFlaw::Field {
            field: "architecture",
            expected: expected.arch.clone(),
            got: info.arch.clone(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
