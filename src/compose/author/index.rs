//! The index of a directory of packages.

use std::path::{Path, PathBuf};

use super::{AuthorError, KeyFile};
use crate::apk::keys::Keyring;
use crate::apk::package::{PackageError, PackageFlaw, PackageHead};
use crate::apk::write_index::{IndexNotes, IndexedPackage, write_index};
use crate::arch::Arch;
use crate::content::{OpenFile, ReadAt};
use crate::root::{self, FileError};

/// Whose packages may be listed.
#[derive(Debug, Clone)]
pub enum PackageTrust {
    /// Those signed by one of these keys.
    SignedBy(Keyring),
    /// All that are whole. apkcompose itself does not install unsigned ones.
    Anybody,
}

/// What an index is made of.
#[derive(Debug, Clone)]
pub struct IndexRequest {
    /// The package files.
    pub packages: Vec<PathBuf>,
    /// Whose packages may be listed.
    pub trust: PackageTrust,
    /// What the index says beside them.
    pub notes: IndexNotes,
    /// The architecture under which `noarch` packages are listed, so that apk looks for them in its
    /// directory; packages of any other are then refused. Nothing lists each under its own.
    pub arch: Option<Arch>,
    /// The key that signs it.
    pub key: Option<KeyFile>,
    /// Where it goes, as a rule `APKINDEX.tar.gz`.
    pub output: PathBuf,
}

/// An index that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenIndex {
    /// Where it is.
    pub path: PathBuf,
    /// Its size, in bytes.
    pub size: u64,
    /// The packages in it, as `name-version`, in its order.
    pub packages: Vec<String>,
}

/// Makes an index. Every package is read to its last byte, and one that is damaged is an error.
pub fn index(request: &IndexRequest) -> Result<WrittenIndex, AuthorError> {
    let key = request.key.as_ref().map(KeyFile::read).transpose()?;
    let mut packages = request
        .packages
        .iter()
        .map(|path| indexed(path, &request.trust, request.arch))
        .collect::<Result<Vec<_>, _>>()?;
    let bytes = write_index(&mut packages, &request.notes, key.as_ref())?;
    root::write_file(&request.output, &bytes)?;
    Ok(WrittenIndex {
        path: request.output.clone(),
        size: bytes.len() as u64,
        packages: packages.iter().map(IndexedPackage::label).collect(),
    })
}

fn indexed(path: &Path, trust: &PackageTrust, arch: Option<Arch>) -> Result<IndexedPackage, AuthorError> {
    let file = root::open_file(path)?;
    let file = OpenFile::new(file, path.to_owned()).map_err(FileError::on("look at", path))?;
    let flawed = |flaw: PackageFlaw| PackageError { package: path.display().to_string(), flaw };
    let head = PackageHead::read(&file).map_err(flawed)?;
    match trust {
        PackageTrust::SignedBy(keyring) => {
            let verified = keyring.verify(&head.signatures, &head.control);
            verified.map_err(PackageFlaw::Signature).map_err(flawed)?;
        }
        PackageTrust::Anybody => {}
    }
    head.check_data(&file).map_err(flawed)?;

    let mut package = IndexedPackage::of(head, file.length());
    let expected = format!("{}.apk", package.label());
    if path.file_name().is_none_or(|name| name != expected.as_str()) {
        return Err(AuthorError::FileName { path: path.to_owned(), expected });
    }
    match arch {
        Some(arch) if package.info.arch == "noarch" => arch.as_str().clone_into(&mut package.info.arch),
        Some(arch) if package.info.arch != arch.as_str() => {
            return Err(AuthorError::Arch {
                path: path.to_owned(),
                expected: arch.as_str(),
                got: package.info.arch,
            });
        }
        _ => {}
    }
    Ok(package)
}
