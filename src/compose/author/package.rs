//! A package from its description, a directory and scripts.

use std::io::{self, BufWriter, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use super::directory::{self, OwnerRule};
use super::{AuthorError, KeyFile};
use crate::apk::package::{ScriptKind, Scripts};
use crate::apk::package_info::PackageInfo;
use crate::apk::write_package::{write_data, write_head};
use crate::digest::Identity;
use crate::kind::nearest;
use crate::root::{self, AtomicFile, FileError};

/// The longest description that is read, in bytes.
const MAX_INFO: u64 = 1 << 20;
/// The longest script that is read, in bytes; longer ones are refused by name when they are written.
const MAX_SCRIPT: u64 = 1 << 20;
/// The keys of a description: apk's, and one that abuild writes and apk ignores.
const KEYS: [&str; 20] = [
    "pkgname",
    "pkgver",
    "pkgdesc",
    "url",
    "builddate",
    "packager",
    "size",
    "arch",
    "origin",
    "commit",
    "maintainer",
    "license",
    "provider_priority",
    "replaces",
    "replaces_priority",
    "depend",
    "provides",
    "install_if",
    "triggers",
    "datahash",
];

/// What a package is made of.
#[derive(Debug, Clone)]
pub struct PackageRequest {
    /// Its description, in the form of `.PKGINFO`. `size` and `datahash` in it are replaced by the true ones.
    pub info: PathBuf,
    /// The directory whose content becomes its files; a package may have none.
    pub files: Option<PathBuf>,
    /// Its scripts.
    pub scripts: Vec<(ScriptKind, PathBuf)>,
    /// Owners that are not root; later rules win.
    pub owners: Vec<OwnerRule>,
    /// When it was built, in seconds since 1970, whatever its description says: `SOURCE_DATE_EPOCH`.
    pub time: Option<i64>,
    /// The key that signs it.
    pub key: Option<KeyFile>,
    /// Where it goes: a file, or a directory in which it gets its proper name.
    pub output: PathBuf,
}

/// A package that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenPackage {
    /// `name-version`.
    pub label: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its size, in bytes.
    pub size: u64,
    /// Its identity.
    pub identity: Identity,
    /// How many files it has, directories counted.
    pub files: usize,
}

/// Makes a package.
pub fn package(request: &PackageRequest) -> Result<WrittenPackage, AuthorError> {
    let info = read_info(request)?;
    let scripts = read_scripts(&request.scripts)?;
    let key = request.key.as_ref().map(KeyFile::read).transpose()?;
    let mtime = info.build_time.unwrap_or(0);
    let mut files = match &request.files {
        Some(directory) => directory::files(directory, &request.owners, mtime)?,
        None => Vec::new(),
    };
    let label = format!("{}-{}", info.name, info.version);
    let path = if request.output.is_dir() {
        request.output.join(format!("{label}.apk"))
    } else {
        request.output.clone()
    };

    // The head states the hash of the data, so the data waits beside until its length does not matter.
    let mut waiting = AtomicFile::create(&path)?;
    let data = write_data(&mut files, BufWriter::new(waiting.file()))?;
    let head = write_head(&info, &scripts, &data, key.as_ref())?;

    let written = |error| FileError::on("write", &path)(error);
    let mut output = AtomicFile::create(&path)?;
    output.file().write_all(&head.bytes).map_err(written)?;
    waiting.file().rewind().map_err(written)?;
    io::copy(waiting.file(), output.file()).map_err(written)?;
    output.commit()?;
    Ok(WrittenPackage {
        label,
        size: data.length + head.bytes.len() as u64,
        identity: head.identity,
        files: files.len(),
        path,
    })
}

fn read_info(request: &PackageRequest) -> Result<PackageInfo, AuthorError> {
    let path = &request.info;
    let text = root::read_file(path, MAX_INFO)?;
    check_keys(path, &text)?;
    let mut info =
        PackageInfo::parse(&text).map_err(|error| AuthorError::Info { path: path.clone(), error })?;
    info.build_time = request.time.or(info.build_time);
    if info.build_time.is_none() {
        return Err(AuthorError::NoBuildDate { path: path.clone() });
    }
    Ok(info)
}

/// apk skips keys it does not know; who writes a description means what he writes.
fn check_keys(path: &Path, text: &[u8]) -> Result<(), AuthorError> {
    for (number, line) in String::from_utf8_lossy(text).lines().enumerate() {
        let Some((key, _)) = line.split_once('=').filter(|_| !line.starts_with('#')) else { continue };
        let key = key.trim();
        if !KEYS.contains(&key) {
            return Err(AuthorError::UnknownKey {
                path: path.to_owned(),
                line: number + 1,
                key: key.escape_debug().to_string(),
                near: nearest(key, KEYS),
            });
        }
    }
    Ok(())
}

fn read_scripts(paths: &[(ScriptKind, PathBuf)]) -> Result<Scripts, AuthorError> {
    paths.iter().map(|(kind, path)| Ok((*kind, root::read_file(path, MAX_SCRIPT)?))).collect()
}
