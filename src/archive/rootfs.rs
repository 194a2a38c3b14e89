//! A root filesystem as a tar, as `alpine-minirootfs` is one, and the layers that images are made of:
//! inflated once, with their tables.
//!
//! Nothing in such an archive states checksums, so they are computed; it is trusted, or not, as a whole,
//! by its digest. Paths may begin with `./`, and the root itself may be an entry.
//!
//! A layer says beside what it has also what of the layers below it is gone (whiteouts); in a root filesystem
//! such names are refused.
//!
//! Source: alpine-minirootfs 3.19.4, as published; OCI image specification, "Image Layer Filesystem
//! Changeset"; design, "The store".

use std::io::{self, BufRead, BufReader, Read, Write};

use super::decompress::{DecompressError, Decompressed};
use super::table::{Admission, Admitted, Rules, Table, TableError, Whiteout, read_table};
use super::tar_read::{Entry, EntryKind, TarError};
use crate::digest::{DiffId, Sha256Hasher};
use crate::kind::{Explain, Kind};
use crate::path::{PathError, TreePath};

/// An archive may inflate to this much, in bytes, whatever its size.
const FREE: u64 = 256 << 20;
/// Beyond that, how often its size it may inflate to.
const MAX_RATIO: u64 = 64;
/// How much is inflated at a time.
const BUFFER: usize = 64 * 1024;
/// What the names of whiteouts begin with.
const WHITEOUT: &[u8] = b".wh.";
/// What takes away everything that is in a directory, without what the names begin with.
const OPAQUE: &[u8] = b".wh..opq";

/// Why an archive is not a root filesystem, or a layer of one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootfsError {
    /// It is no tar, or badly compressed.
    #[error(transparent)]
    Stored(DecompressError),
    /// Its tar is malformed, or an entry may not be there.
    #[error(transparent)]
    Table(TableError),
}

impl RootfsError {
    /// An error of the compressed data surfaces as one of reading the tar; say what it is.
    fn of_table(error: TableError) -> Self {
        match error {
            TableError::Tar(TarError::Read(error)) => Self::Stored(DecompressError::of_io(error)),
            other => Self::Table(other),
        }
    }
}

impl Explain for RootfsError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Stored(DecompressError::Read(_)) | Self::Table(TableError::Write(_)) => None,
            Self::Stored(DecompressError::Unsupported(program)) => {
                Some(format!("compress it with gzip or zstd: {program} -dc FILE | gzip >FILE.gz"))
            }
            Self::Stored(_) | Self::Table(_) => Some(
                "take alpine-minirootfs, another root filesystem as a tar, or an image, from where you trust it"
                    .to_owned(),
            ),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Stored(error) => error.kind(),
            Self::Table(error) => error.kind(),
        }
    }
}

/// How many bytes archives of `length` bytes may inflate to.
pub fn inflated_limit(length: u64) -> u64 {
    length.saturating_mul(MAX_RATIO).max(FREE)
}

/// Inflates the archive of `length` bytes that `input` reads into `copy`, and returns its table.
pub fn expand(input: impl BufRead, length: u64, copy: impl Write) -> Result<Table, RootfsError> {
    let inflated = Decompressed::open(input, inflated_limit(length)).map_err(RootfsError::Stored)?;
    let inflated = BufReader::with_capacity(BUFFER, inflated);
    read_table(inflated, copy, &RootfsRules).map_err(RootfsError::of_table)
}

/// Inflates the layer that `input` reads, which may have `limit` bytes then, into `copy`, and returns its
/// table and the digest of its tar.
pub fn expand_layer(
    input: impl BufRead,
    limit: u64,
    copy: impl Write,
) -> Result<(Table, DiffId), RootfsError> {
    let inflated = Decompressed::open(input, limit).map_err(RootfsError::Stored)?;
    let mut hashing = Hashing { input: inflated, hasher: Sha256Hasher::default() };
    let inflated = BufReader::with_capacity(BUFFER, &mut hashing);
    let table = read_table(inflated, copy, &LayerRules).map_err(RootfsError::of_table)?;
    Ok((table, DiffId(hashing.hasher.finish())))
}

/// Hashes what is read.
struct Hashing<R> {
    input: R,
    hasher: Sha256Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

/// What may be in a layer.
struct LayerRules;

impl Rules for LayerRules {
    fn admit(&self, entry: &Entry) -> Result<Admission, TableError> {
        match whiteout(entry)? {
            Some(whiteout) => Ok(Admission::Whiteout(whiteout)),
            None => RootfsRules.admit(entry),
        }
    }

    fn wants_directories_first(&self) -> bool {
        false
    }

    fn links_may_lead_below(&self) -> bool {
        true
    }
}

/// What an entry takes away from the layers below, if its name says that it does.
fn whiteout(entry: &Entry) -> Result<Option<Whiteout>, TableError> {
    let path = entry.path.strip_suffix(b"/").unwrap_or(&entry.path);
    let name_at = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let (directory, name) = path.split_at(name_at);
    let Some(gone) = name.strip_prefix(WHITEOUT) else { return Ok(None) };
    if entry.kind != EntryKind::File || gone.is_empty() {
        let path = String::from_utf8_lossy(path).escape_debug().to_string();
        return Err(TableError::Whiteout { path });
    }
    let directory = self::path(directory)?;
    if gone == OPAQUE {
        return Ok(Some(Whiteout::Contents(directory)));
    }
    // A name by itself: `.wh..` would take the directory away that it is in.
    let gone = TreePath::relative_bytes(gone)?;
    Ok(Some(Whiteout::Path(directory.join(gone.as_str())?)))
}

/// What may be in a root filesystem.
struct RootfsRules;

impl Rules for RootfsRules {
    fn admit(&self, entry: &Entry) -> Result<Admission, TableError> {
        let hard_link_target = match entry.kind {
            EntryKind::HardLink => Some(path(&entry.target)?),
            _ => None,
        };
        Ok(Admission::Taken(Admitted { path: path(&entry.path)?, hard_link_target, sha1: None }))
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
        let paths: Vec<String> = table.entries().map(|entry| entry.path.to_string()).collect();
        assert_eq!(
            paths,
            ["/", "/etc", "/etc/a", "/etc/b", "/.dockerenv", "/usr/lib/without/its/directories"]
        );
        let entries: Vec<_> = table.entries().collect();
        assert_eq!(entries[3].kind, TableKind::HardLink(TreePath::relative("etc/a").unwrap()));
        let TableKind::File(place) = &entries[2].kind else { panic!("no file") };
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
        let two = expand_bytes(&[member.as_slice(), &member].concat(), &mut Vec::new());
        assert!(
            matches!(two, Err(RootfsError::Table(TableError::Tar(TarError::Trailing { .. })))),
            "{two:?}"
        );
        let zeros = expand_bytes(&[member.as_slice(), b"\0"].concat(), &mut Vec::new());
        assert!(matches!(zeros, Err(RootfsError::Stored(DecompressError::Trailing))), "{zeros:?}");
        let bomb = gzip_write::member(&vec![0; usize::try_from(FREE).unwrap() + 512]).unwrap();
        let error = expand_bytes(&bomb, &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), Kind::Limit, "{error}");
    }

    fn expand_layer_of(entries: &[(EntryType, &str, &str)]) -> Result<(Table, DiffId), RootfsError> {
        expand_layer(&*tar(entries), FREE, &mut Vec::new())
    }

    #[test]
    fn a_layer_says_what_it_takes_away_and_a_root_filesystem_may_not() {
        let entries = [
            (EntryType::Regular, "./etc/.wh.passwd", ""),
            (EntryType::Regular, ".wh.var", ""),
            (EntryType::Regular, "usr/.wh..wh..opq", ""),
            (EntryType::Regular, ".wh..wh..opq", ""),
            (EntryType::Regular, "usr/new", "x"),
            (EntryType::Link, "usr/link", "usr/below"),
        ];
        let path = |text| TreePath::relative(text).unwrap();

        let (table, diff_id) = expand_layer_of(&entries).unwrap();

        assert_eq!(diff_id.0, crate::digest::Sha256::of(&tar(&entries)));
        assert_eq!(
            table.whiteouts,
            [
                Whiteout::Path(path("etc/passwd")),
                Whiteout::Path(path("var")),
                Whiteout::Contents(path("usr")),
                Whiteout::Contents(TreePath::root()),
            ]
        );
        let listed: Vec<_> = table.entries().collect();
        let kinds: Vec<_> = listed.iter().map(|entry| (entry.path.as_str(), &entry.kind)).collect();
        assert!(matches!(kinds[0], ("usr/new", TableKind::File(_))));
        assert_eq!(kinds[1], ("usr/link", &TableKind::HardLink(path("usr/below"))));
        assert!(expand_tar(&entries[..1]).is_err() && expand_tar(&entries[5..]).is_err());
    }

    #[test]
    fn whiteouts_that_delete_nothing_nameable_or_are_no_files_are_refused() {
        for (kind, path) in [
            (EntryType::Regular, ".wh."),
            (EntryType::Regular, "etc/.wh."),
            (EntryType::Regular, ".wh.."),
            (EntryType::Regular, "etc/.wh..."),
            (EntryType::Regular, "../.wh.x"),
            (EntryType::Regular, "/.wh.x"),
            (EntryType::Regular, ".wh..wh.plnk"),
            (EntryType::Regular, ".wh.x/y"),
            (EntryType::Directory, ".wh.x/"),
            (EntryType::Symlink, ".wh.x"),
            (EntryType::Link, ".wh.x"),
        ] {
            let refused = expand_layer_of(&[(kind, path, "")]);
            assert!(matches!(refused, Err(RootfsError::Table(_))), "{path}: {refused:?}");
        }
    }
}
