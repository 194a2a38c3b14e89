//! A root filesystem as a gzipped tar, as `alpine-minirootfs` is one: inflated once, with its table.
//!
//! Nothing in such an archive states checksums, so they are computed; it is trusted, or not, as a whole,
//! by its digest. Paths may begin with `./`, and the root itself may be an entry. One gzip member, with
//! nothing behind it.
//!
//! Source: alpine-minirootfs 3.19.4, as published; design, "The store".

use std::io::{BufRead, BufReader, Write};

use super::gzip::{GzipError, Member};
use super::table::{Admitted, Rules, Table, TableError, read_table};
use super::tar_read::{Entry, EntryKind, TarError};
use crate::kind::{Explain, Kind};
use crate::path::{PathError, TreePath};

/// An archive may inflate to this much, in bytes, whatever its size.
const FREE: u64 = 256 << 20;
/// Beyond that, how often its size it may inflate to.
const MAX_RATIO: u64 = 64;
/// How much is inflated at a time.
const BUFFER: usize = 64 * 1024;

/// Why an archive is not a root filesystem.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootfsError {
    /// It is no gzip member.
    #[error("it is malformed: {0}")]
    Gzip(GzipError),
    /// Its tar is malformed, or an entry may not be there.
    #[error(transparent)]
    Table(TableError),
    /// There is something behind the archive.
    #[error("there is something behind the gzip member it is made of")]
    Trailing,
}

impl Explain for RootfsError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Gzip(GzipError::Read(_)) | Self::Table(TableError::Write(_)) => None,
            Self::Gzip(_) | Self::Table(_) | Self::Trailing => Some(
                "take alpine-minirootfs, or a tar with gzip of a root filesystem, from where you trust it"
                    .to_owned(),
            ),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Gzip(GzipError::Read(error)) | Self::Table(TableError::Write(error)) => Kind::of_io(error),
            Self::Gzip(GzipError::TooLarge { .. }) => Kind::Limit,
            Self::Gzip(_) | Self::Table(_) | Self::Trailing => Kind::Integrity,
        }
    }
}

/// Inflates the archive of `length` bytes that `input` reads into `copy`, and returns its table.
pub fn expand(input: impl BufRead, length: u64, copy: impl Write) -> Result<Table, RootfsError> {
    let limit = length.saturating_mul(MAX_RATIO).max(FREE);
    let mut member = Member::open(input, limit).map_err(RootfsError::Gzip)?;
    let inflated = BufReader::with_capacity(BUFFER, &mut member);
    let table = read_table(inflated, copy, &RootfsRules).map_err(|error| match error {
        // An error of the gzip member surfaces as one of reading the tar; say what it is.
        TableError::Tar(TarError::Read(error)) => RootfsError::Gzip(GzipError::of_io(error)),
        other => RootfsError::Table(other),
    })?;
    let mut behind = member.finish().map_err(RootfsError::Gzip)?;
    match behind.read(&mut [0]) {
        Ok(0) => Ok(table),
        Ok(_) => Err(RootfsError::Trailing),
        Err(error) => Err(RootfsError::Gzip(GzipError::Read(error))),
    }
}

/// What may be in a root filesystem.
struct RootfsRules;

impl Rules for RootfsRules {
    fn admit(&self, entry: &Entry) -> Result<Option<Admitted>, TableError> {
        let hard_link_target = match entry.kind {
            EntryKind::HardLink => Some(path(&entry.target)?),
            _ => None,
        };
        Ok(Some(Admitted { path: path(&entry.path)?, hard_link_target, sha1: None }))
    }

    fn wants_directories_first(&self) -> bool {
        false
    }
}

fn path(bytes: &[u8]) -> Result<TreePath, PathError> {
    match bytes {
        b"." | b"./" => Ok(TreePath::root()),
        _ => TreePath::relative_bytes(bytes.strip_prefix(b"./").unwrap_or(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::gzip_write;
    use crate::archive::table::TableKind;
    use tar::{Builder, EntryType, Header};

    fn header(kind: EntryType, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o755);
        for set in [Header::set_uid, Header::set_gid, Header::set_mtime] {
            set(&mut header, 0);
        }
        header
    }

    /// A tar of entries whose names stand in it as they are given.
    fn tar(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
        let mut tar = Builder::new(Vec::new());
        for (kind, path, rest) in entries {
            let data = if *kind == EntryType::Regular { rest.as_bytes() } else { b"" };
            let mut header = header(*kind, data.len() as u64);
            let old = header.as_old_mut();
            old.name[..path.len()].copy_from_slice(path.as_bytes());
            if *kind != EntryType::Regular {
                old.linkname[..rest.len()].copy_from_slice(rest.as_bytes());
            }
            header.set_cksum();
            tar.append(&header, data).unwrap();
        }
        tar.into_inner().unwrap()
    }

    fn expand_bytes(bytes: &[u8], copy: &mut Vec<u8>) -> Result<Table, RootfsError> {
        expand(bytes, bytes.len() as u64, copy)
    }

    fn expand_tar(entries: &[(EntryType, &str, &str)]) -> Result<Table, RootfsError> {
        expand_bytes(&gzip_write::member(&tar(entries)).unwrap(), &mut Vec::new())
    }

    #[test]
    fn the_prefix_of_paths_goes_and_the_copy_is_verbatim() {
        let tar = tar(&[
            (EntryType::Directory, "./", ""),
            (EntryType::Directory, "./etc/", ""),
            (EntryType::Regular, "./etc/a", "text"),
            (EntryType::Link, "./etc/b", "./etc/a"),
            (EntryType::Regular, "./.dockerenv", ""),
            (EntryType::Regular, "usr/lib/without/its/directories", "x"),
        ]);
        let mut copy = Vec::new();

        let table = expand_bytes(&gzip_write::member(&tar).unwrap(), &mut copy).unwrap();

        assert_eq!(copy, tar);
        let paths: Vec<&str> = table.entries.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, ["", "etc", "etc/a", "etc/b", ".dockerenv", "usr/lib/without/its/directories"]);
        assert_eq!(table.entries[3].kind, TableKind::HardLink(TreePath::relative("etc/a").unwrap()));
        let TableKind::File(place) = &table.entries[2].kind else { panic!("no file") };
        let range =
            usize::try_from(place.offset).unwrap()..usize::try_from(place.offset + place.length).unwrap();
        assert_eq!(&copy[range], b"text");
    }

    #[test]
    fn a_path_that_leaves_the_root_or_deletes_is_refused() {
        for path in ["/etc/a", "../a", "./../a", "a/../../b", "./a/.wh.b", ".wh..wh..opq", "././a", "a\n"] {
            let result = expand_tar(&[(EntryType::Regular, path, "x")]);
            assert!(matches!(result, Err(RootfsError::Table(TableError::Path(_)))), "{path}: {result:?}");
        }
        for target in ["./../a", "/a", "./missing"] {
            let entries = [(EntryType::Regular, "./a", "x"), (EntryType::Link, "./b", target)];
            assert!(matches!(expand_tar(&entries), Err(RootfsError::Table(_))), "{target}");
        }
        let twice = expand_tar(&[(EntryType::Regular, "./a", "x"), (EntryType::Regular, "a", "y")]);
        assert!(matches!(twice, Err(RootfsError::Table(TableError::Twice { .. }))));
    }

    #[test]
    fn what_is_cut_short_goes_on_or_grows_out_of_proportion_is_refused() {
        let member = gzip_write::member(&tar(&[(EntryType::Regular, "./a", "text")])).unwrap();
        for length in 0..member.len() {
            assert!(expand_bytes(&member[..length], &mut Vec::new()).is_err(), "cut at {length}");
        }
        let two = [member.as_slice(), &member].concat();
        assert!(matches!(expand_bytes(&two, &mut Vec::new()), Err(RootfsError::Trailing)));
        let zeros = [member.as_slice(), b"\0"].concat();
        assert!(matches!(expand_bytes(&zeros, &mut Vec::new()), Err(RootfsError::Trailing)));
        let bomb = gzip_write::member(&vec![0; usize::try_from(FREE).unwrap() + 512]).unwrap();
        let error = expand_bytes(&bomb, &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), Kind::Limit, "{error}");
    }
}
