//! The data member of a package: which of its entries are files of the package.
//!
//! Source: spec apk v2, "Data tar" and "Links etc.".

use std::io::{BufReader, Read, Write};

use super::package::VerifiedPackage;
use crate::archive::gzip::{GzipError, Member};
use crate::archive::table::{Admission, Admitted, Rules, Table, TableError, read_table};
use crate::archive::tar_read::{Entry, EntryKind, TarError};
use crate::content::{ReadAt, ReadFrom};
use crate::digest::Sha1;
use crate::kind::{Explain, Kind};
use crate::path::TreePath;

/// The PAX record that holds a file's SHA-1.
const CHECKSUM: &str = "APK-TOOLS.checksum.SHA1";
/// The most bytes a data member may inflate to.
const MAX_DATA: u64 = 64 << 30;
/// A data member may inflate to this much whatever the package states.
const FREE_DATA: u64 = 64 << 20;
/// How often the stated installed size a data member may inflate to: headers and small files take more in
/// a tar than they count when installed.
const MAX_RATIO: u64 = 16;
/// How much of the file is read at a time.
const BUFFER: usize = 128 * 1024;

/// The data of a package cannot be taken.
#[derive(Debug, thiserror::Error)]
#[error("{package} cannot be trusted\n  {flaw}")]
pub struct DataError {
    /// The package, as `name-version`.
    pub package: String,
    /// What is wrong.
    pub flaw: DataFlaw,
}

/// What is wrong with the data of a package.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataFlaw {
    /// An entry may not be there, or the tar is malformed.
    #[error(transparent)]
    Table(TableError),
    /// The data is no gzip member.
    #[error("its data member is malformed: {0}")]
    Gzip(GzipError),
    /// There is another member behind the data.
    #[error("there is something behind its data member")]
    Trailing,
}

impl Explain for DataError {
    /// The data is as the signed control member states it: what is wrong with it, was wrong when it was signed.
    fn hint(&self) -> Option<String> {
        match &self.flaw {
            DataFlaw::Table(TableError::Write(_)) | DataFlaw::Gzip(GzipError::Read(_)) => None,
            DataFlaw::Table(_) | DataFlaw::Gzip(_) | DataFlaw::Trailing => Some(
                "the package was signed so, and fetching it again does not help: leave it out, and tell its owner"
                    .to_owned(),
            ),
        }
    }

    fn kind(&self) -> Kind {
        match &self.flaw {
            DataFlaw::Table(error) => error.kind(),
            DataFlaw::Gzip(GzipError::Read(error)) => Kind::of_io(error),
            DataFlaw::Gzip(GzipError::TooLarge { .. }) => Kind::Limit,
            DataFlaw::Gzip(_) | DataFlaw::Trailing => Kind::Integrity,
        }
    }
}

/// Inflates the data member of `package`, read from `file`, into `copy` and returns its table.
pub fn expand(package: &VerifiedPackage, file: &dyn ReadAt, copy: impl Write) -> Result<Table, DataError> {
    let fail = |flaw| DataError { package: package.to_string(), flaw };
    if package.data_offset() == file.length() {
        return Ok(Table::default());
    }
    let limit =
        package.info().installed_size.saturating_mul(MAX_RATIO).saturating_add(FREE_DATA).min(MAX_DATA);
    let input = BufReader::with_capacity(BUFFER, ReadFrom::new(file, package.data_offset()));
    let mut member = Member::open(input, limit).map_err(|error| fail(DataFlaw::Gzip(error)))?;
    let table = read_table(&mut member, copy, &PackageRules).map_err(|error| fail(table_flaw(error)))?;
    let mut behind = member.finish().map_err(|error| fail(DataFlaw::Gzip(error)))?;
    match behind.read(&mut [0]) {
        Ok(0) => Ok(table),
        Ok(_) => Err(fail(DataFlaw::Trailing)),
        Err(error) => Err(fail(DataFlaw::Gzip(GzipError::Read(error)))),
    }
}

/// An error of the gzip member surfaces as one of reading the tar; say what it is.
fn table_flaw(error: TableError) -> DataFlaw {
    match error {
        TableError::Tar(TarError::Read(error)) => DataFlaw::Gzip(GzipError::of_io(error)),
        other => DataFlaw::Table(other),
    }
}

/// What may be in the data member of a package.
struct PackageRules;

impl Rules for PackageRules {
    fn admit(&self, entry: &Entry) -> Result<Admission, TableError> {
        // apk keeps names with a dot in front to itself.
        if entry.path.first() == Some(&b'.') {
            return Ok(Admission::Skipped);
        }
        let path = TreePath::relative_bytes(&entry.path)?;
        let hard_link_target = match entry.kind {
            EntryKind::HardLink => Some(TreePath::relative_bytes(&entry.target)?),
            _ => None,
        };
        let sha1 = match entry.kind {
            EntryKind::File => Some(checksum(entry)?),
            _ => None,
        };
        Ok(Admission::Taken(Admitted { path, hard_link_target, sha1 }))
    }

    fn wants_directories_first(&self) -> bool {
        true
    }
}

fn checksum(entry: &Entry) -> Result<Sha1, TableError> {
    let path = || String::from_utf8_lossy(&entry.path).escape_debug().to_string();
    let hex = entry.vendor.get(CHECKSUM).ok_or_else(|| TableError::NoChecksum { path: path() })?;
    std::str::from_utf8(hex)
        .ok()
        .and_then(|hex| hex.parse().ok())
        .ok_or_else(|| TableError::MalformedChecksum { path: path() })
}
