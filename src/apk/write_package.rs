//! Writing a package: signature, control and data members.
//!
//! The data member comes first, because the control member states its hash: [`write_data`] streams it to
//! wherever the caller keeps it and returns what [`write_head`] needs for the rest. Everything is sorted and
//! every time is given, so the same package always has the same bytes.
//!
//! Members 1 and 2 carry no end-of-archive blocks, member 3 does. Files and symbolic links carry their
//! SHA-1 in a PAX record, as abuild's do; apk refuses a file without. What apk would skip or refuse (an
//! entry that begins with a dot, one without its directory) is an error here.
//!
//! Source: spec apk v2, ".apk".

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use super::members::{self, SmallFile, TarEnd};
use super::package::{MAX_SCRIPT, ScriptKind, Scripts};
use super::package_info::PackageInfo;
use super::sign::{SignError, SigningKey};
use super::write_info::{InfoFlaw, write_info};
use crate::archive::gzip_write::{self, MemberWriter};
use crate::archive::tar_write::{self, Entry, EntryKind, TarWriteError};
use crate::content::{Content, ContentError};
use crate::digest::{Identity, Sha1, Sha1Hasher, Sha256, Sha256Hasher};
use crate::kind::{Explain, Kind, SystemWords, hint_of_io};
use crate::path::TreePath;

/// The PAX record that holds a checksum.
const CHECKSUM: &str = "APK-TOOLS.checksum.SHA1";
/// What a package with entries, none of which has bytes, states as its size: 0 would tell apk that there is
/// nothing to fetch.
const SMALLEST_SIZE: u64 = 4096;
/// How much of a file is hashed at a time.
const BUFFER: usize = 64 * 1024;

/// A file of a package.
#[derive(Debug, Clone)]
pub struct PackageFile {
    /// Where it belongs.
    pub path: TreePath,
    /// What it is.
    pub kind: PackageFileKind,
    /// Permission bits.
    pub mode: u32,
    /// Whom it belongs to.
    pub owner: PackageOwner,
    /// When it was modified, in seconds since 1970.
    pub mtime: i64,
    /// Its extended attributes.
    pub xattrs: BTreeMap<Box<str>, Box<[u8]>>,
}

/// What a file of a package is.
#[derive(Debug, Clone)]
pub enum PackageFileKind {
    /// A directory.
    Directory,
    /// A regular file.
    File(Content),
    /// Another name of a file that sorts before.
    HardLink(TreePath),
    /// A symbolic link and its target.
    Symlink(Box<str>),
    /// A character device, major and minor.
    CharacterDevice(u32, u32),
    /// A block device, major and minor.
    BlockDevice(u32, u32),
    /// A named pipe.
    Fifo,
}

/// Whom a file of a package belongs to. apk looks for the names in the target's `passwd` and `group` first,
/// and takes the numbers if they are not there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PackageOwner {
    /// The user's name.
    pub user: Box<str>,
    /// The group's name.
    pub group: Box<str>,
    /// The user's number.
    pub uid: u32,
    /// The group's number.
    pub gid: u32,
}

impl PackageOwner {
    /// `root:root`.
    pub fn root() -> Self {
        Self { user: "root".into(), group: "root".into(), uid: 0, gid: 0 }
    }
}

/// What became of the files: their member is written, this is for the control member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSummary {
    /// The SHA-256 of the compressed data member.
    pub datahash: Sha256,
    /// The length of the compressed data member, in bytes.
    pub length: u64,
    /// The bytes the files take when installed.
    pub installed_size: u64,
}

/// The front of a package, up to its data member.
#[derive(Debug, Clone)]
pub struct WrittenHead {
    /// The signature member, if there is one, and the control member.
    pub bytes: Vec<u8>,
    /// The package's identity.
    pub identity: Identity,
}

/// Why a package cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WritePackageError {
    /// What the package says of itself is not acceptable.
    #[error("{package}: {flaw}")]
    Info {
        /// The package, as `name-version`.
        package: String,
        /// What is wrong.
        flaw: InfoFlaw,
    },
    /// A script is longer than apk reads.
    #[error("the {script} script has {length} bytes; apk reads {MAX_SCRIPT}")]
    LongScript {
        /// Which script.
        script: ScriptKind,
        /// Its length, in bytes.
        length: usize,
    },
    /// A path stands twice.
    #[error("{path} is in the package twice")]
    Twice {
        /// The path.
        path: TreePath,
    },
    /// A file comes without its directory.
    #[error("{path} is in the package without the directory it is in")]
    NoDirectory {
        /// The file's path.
        path: TreePath,
    },
    /// apk keeps names with a dot in front to itself.
    #[error("{path} begins with a dot; apk does not install such a file")]
    Dot {
        /// The path.
        path: TreePath,
    },
    /// A hard link's target does not sort before it, or is no file.
    #[error("the hard link {path} points at {target}, which is no file of the package that sorts before it")]
    HardLink {
        /// The link's path.
        path: TreePath,
        /// Where it points.
        target: TreePath,
    },
    /// The bytes of a file cannot be read.
    #[error("{path}: {error}")]
    Content {
        /// The file's path.
        path: TreePath,
        /// What is wrong.
        error: ContentError,
    },
    /// An entry cannot be said in a tar.
    #[error("cannot write the package: {0}")]
    Tar(#[from] TarWriteError),
    /// It cannot be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// The bytes cannot be written to where they should go.
    #[error("cannot write the package: {}", SystemWords(.0))]
    Write(io::Error),
}

impl Explain for WritePackageError {
    fn kind(&self) -> Kind {
        match self {
            Self::Info { .. }
            | Self::LongScript { .. }
            | Self::Twice { .. }
            | Self::NoDirectory { .. }
            | Self::Dot { .. }
            | Self::HardLink { .. } => Kind::Profile,
            Self::Content { error, .. } => error.kind(),
            Self::Tar(error) => error.kind(),
            Self::Sign(error) => error.kind(),
            Self::Write(error) => Kind::of_io(error),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Sign(error) => error.hint(),
            Self::Write(error) => hint_of_io(error),
            Self::NoDirectory { .. } => Some("add an entry for each directory above it".to_owned()),
            _ => None,
        }
    }
}

/// Writes the data member: `files`, sorted by path here.
pub fn write_data(files: &mut [PackageFile], out: impl Write) -> Result<DataSummary, WritePackageError> {
    files.sort_by(|a, b| a.path.cmp(&b.path));
    check_files(files)?;
    let mut member = MemberWriter::new(Hashing::of(out)).map_err(WritePackageError::Write)?;
    let mut head = Vec::new();
    for file in files.iter() {
        head.clear();
        append_head(file, &mut head)?;
        member.write_all(&head).map_err(WritePackageError::Write)?;
        if let PackageFileKind::File(content) = &file.kind {
            copy_content(&file.path, content, &mut member)?;
        }
    }
    member.write_all(tar_write::END).map_err(WritePackageError::Write)?;
    let written = member.finish().map_err(WritePackageError::Write)?;
    Ok(DataSummary {
        datahash: written.hasher.finish(),
        length: written.length,
        installed_size: installed_size(files),
    })
}

/// Writes what goes before the data member. `info`'s size and datahash are `data`'s.
pub fn write_head(
    info: &PackageInfo,
    scripts: &Scripts,
    data: &DataSummary,
    key: Option<&SigningKey>,
) -> Result<WrittenHead, WritePackageError> {
    let mut info = info.clone();
    info.datahash = Some(data.datahash);
    info.installed_size = data.installed_size;
    if info.installed_size == 0 && !scripts.is_empty() {
        info.installed_size = SMALLEST_SIZE;
    }
    let control = control_member(&info, scripts)?;
    let identity = Identity::new(Sha1::of(&control));
    let mut bytes = match key {
        Some(key) => key.signature_member(&control)?,
        None => Vec::new(),
    };
    bytes.extend_from_slice(&control);
    Ok(WrittenHead { bytes, identity })
}

/// A whole package in memory, for small ones.
pub fn write_package(
    info: &PackageInfo,
    scripts: &Scripts,
    files: &mut [PackageFile],
    key: Option<&SigningKey>,
) -> Result<Vec<u8>, WritePackageError> {
    let mut data = Vec::new();
    let summary = write_data(files, &mut data)?;
    let mut package = write_head(info, scripts, &summary, key)?.bytes;
    package.append(&mut data);
    Ok(package)
}

fn control_member(info: &PackageInfo, scripts: &Scripts) -> Result<Vec<u8>, WritePackageError> {
    let text = write_info(info).map_err(|flaw| WritePackageError::Info {
        package: format!("{}-{}", info.name, info.version).escape_debug().to_string(),
        flaw,
    })?;
    let mtime = info.build_time.unwrap_or(0);
    let names: Vec<String> = scripts.keys().map(|script| format!(".{script}")).collect();
    let mut members = vec![SmallFile { name: ".PKGINFO", mode: 0o644, mtime, bytes: text.as_bytes() }];
    for ((script, bytes), name) in scripts.iter().zip(&names) {
        if bytes.len() as u64 > MAX_SCRIPT {
            return Err(WritePackageError::LongScript { script: *script, length: bytes.len() });
        }
        members.push(SmallFile { name, mode: 0o755, mtime, bytes });
    }
    let tar = members::small_tar(&members, TarEnd::Open)?;
    gzip_write::member(&tar).map_err(WritePackageError::Write)
}

/// What a reader of the package would stumble over. The files are sorted.
fn check_files(files: &[PackageFile]) -> Result<(), WritePackageError> {
    let mut seen: HashMap<&TreePath, &PackageFileKind> = HashMap::new();
    for file in files {
        let path = || file.path.clone();
        if file.path.as_str().starts_with('.') {
            return Err(WritePackageError::Dot { path: path() });
        }
        let parent = file.path.parent().filter(|parent| !parent.is_root());
        let has_directory =
            parent.is_none_or(|parent| matches!(seen.get(&parent), Some(PackageFileKind::Directory)));
        if !has_directory {
            return Err(WritePackageError::NoDirectory { path: path() });
        }
        if let PackageFileKind::HardLink(target) = &file.kind {
            let is_file =
                matches!(seen.get(target), Some(PackageFileKind::File(_) | PackageFileKind::HardLink(_)));
            if !is_file {
                return Err(WritePackageError::HardLink { path: path(), target: target.clone() });
            }
        }
        if seen.insert(&file.path, &file.kind).is_some() {
            return Err(WritePackageError::Twice { path: path() });
        }
    }
    Ok(())
}

fn installed_size(files: &[PackageFile]) -> u64 {
    let bytes = files.iter().fold(0_u64, |sum, file| match &file.kind {
        PackageFileKind::File(content) => sum.saturating_add(content.length()),
        PackageFileKind::Symlink(target) => sum.saturating_add(target.len() as u64),
        PackageFileKind::Directory
        | PackageFileKind::HardLink(_)
        | PackageFileKind::CharacterDevice(..)
        | PackageFileKind::BlockDevice(..)
        | PackageFileKind::Fifo => sum,
    });
    if bytes == 0 && !files.is_empty() { SMALLEST_SIZE } else { bytes }
}

fn append_head(file: &PackageFile, out: &mut Vec<u8>) -> Result<(), WritePackageError> {
    let checksum = match &file.kind {
        PackageFileKind::File(content) => Some(sha1_of(&file.path, content)?),
        // As abuild has it; apk does not ask for it.
        PackageFileKind::Symlink(target) => Some(Sha1::of(target.as_bytes())),
        PackageFileKind::Directory
        | PackageFileKind::HardLink(_)
        | PackageFileKind::CharacterDevice(..)
        | PackageFileKind::BlockDevice(..)
        | PackageFileKind::Fifo => None,
    };
    let checksum = checksum.map(Sha1::to_hex);
    let records: Vec<(&str, &str)> = checksum.iter().map(|hex| (CHECKSUM, hex.as_str())).collect();
    let entry = Entry {
        mode: file.mode,
        uid: file.owner.uid.into(),
        gid: file.owner.gid.into(),
        user: &file.owner.user,
        group: &file.owner.group,
        mtime: file.mtime,
        xattrs: Some(&file.xattrs),
        records: &records,
        ..Entry::new(file.path.as_str(), entry_kind(&file.kind))
    };
    Ok(entry.append_head(out)?)
}

fn entry_kind(kind: &PackageFileKind) -> EntryKind<'_> {
    match kind {
        PackageFileKind::Directory => EntryKind::Directory,
        PackageFileKind::File(content) => EntryKind::File { size: content.length() },
        PackageFileKind::HardLink(target) => EntryKind::HardLink { target: target.as_str() },
        PackageFileKind::Symlink(target) => EntryKind::Symlink { target },
        PackageFileKind::CharacterDevice(major, minor) => {
            EntryKind::CharacterDevice { major: *major, minor: *minor }
        }
        PackageFileKind::BlockDevice(major, minor) => EntryKind::BlockDevice { major: *major, minor: *minor },
        PackageFileKind::Fifo => EntryKind::Fifo,
    }
}

fn sha1_of(path: &TreePath, content: &Content) -> Result<Sha1, WritePackageError> {
    let mut hasher = Sha1Hasher::default();
    let mut reader = content.reader();
    let mut buffer = vec![0; BUFFER];
    loop {
        let filled = reader
            .fill(&mut buffer)
            .map_err(|error| WritePackageError::Content { path: path.clone(), error })?;
        if filled == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(buffer.get(..filled).unwrap_or_default());
    }
}

fn copy_content(
    path: &TreePath,
    content: &Content,
    member: &mut impl Write,
) -> Result<(), WritePackageError> {
    content.copy_to(member).map_err(|error| match error {
        ContentError::Write(error) => WritePackageError::Write(error),
        error => WritePackageError::Content { path: path.clone(), error },
    })?;
    member.write_all(tar_write::padding(content.length())).map_err(WritePackageError::Write)
}

/// Hashes and counts what goes through it.
struct Hashing<W> {
    out: W,
    hasher: Sha256Hasher,
    length: u64,
}

impl<W> Hashing<W> {
    fn of(out: W) -> Self {
        Self { out, hasher: Sha256Hasher::default(), length: 0 }
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.hasher.update(bytes.get(..count).unwrap_or_default());
        self.length += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests;
