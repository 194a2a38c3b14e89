//! The small tars of packages and indexes, as bytes: signatures, control, index.

use crate::archive::tar_write::{self, Entry, EntryKind, TarWriteError};

/// Whether a member ends the tar that it is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TarEnd {
    /// Another member goes on with the same tar, so there are no end-of-archive blocks.
    Open,
    /// The tar ends here.
    Closed,
}

/// A file of a small tar, owned by root.
#[derive(Debug, Clone, Copy)]
pub(super) struct SmallFile<'a> {
    pub(super) name: &'a str,
    pub(super) mode: u32,
    pub(super) mtime: i64,
    pub(super) bytes: &'a [u8],
}

/// The tar of `files`, in their order.
pub(super) fn small_tar(files: &[SmallFile<'_>], end: TarEnd) -> Result<Vec<u8>, TarWriteError> {
    let mut tar = Vec::new();
    for file in files {
        let size = file.bytes.len() as u64;
        let entry = Entry {
            mode: file.mode,
            mtime: file.mtime,
            user: "root",
            group: "root",
            ..Entry::new(file.name, EntryKind::File { size })
        };
        entry.append_head(&mut tar)?;
        tar.extend_from_slice(file.bytes);
        tar.extend_from_slice(tar_write::padding(size));
    }
    if end == TarEnd::Closed {
        tar.extend_from_slice(tar_write::END);
    }
    Ok(tar)
}
