//! The files of an image: in a directory, or in an archive that the store holds inflated.
//!
//! Names lead to regular files in it and nowhere else. In an archive links are followed as `docker save`
//! makes them, for layers that are the same.

use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;

use super::error::{BaseImageError, BaseImageFlaw};
use crate::archive::table::TableKind;
use crate::content::Content;
use crate::digest::Sha256;
use crate::fetch::FetchError;
use crate::fetch::source::Opened;
use crate::path::TreePath;
use crate::root::{FileError, Root};
use crate::store::Expanded;

/// The largest document that is read, in bytes.
const MAX_DOCUMENT: u64 = 4 << 20;
/// How many links may lead to a file of an archive.
const MAX_LINKS: usize = 8;

/// Where the files of an image are.
pub(super) enum Files {
    /// In a directory.
    Directory(Root),
    /// In an archive.
    Archive(Archive),
}

/// The files of an archive.
pub(super) struct Archive {
    location: String,
    expanded: Expanded,
    kinds: HashMap<TreePath, TableKind>,
}

impl Archive {
    /// The files of `expanded`, which is called `location` in messages.
    pub(super) fn new(expanded: &Expanded, location: &Path) -> Self {
        let kinds = expanded.table().entries().map(|entry| (entry.path, entry.kind)).collect();
        Self { location: location.display().to_string(), expanded: expanded.clone(), kinds }
    }

    /// The file at `path`, if there is one.
    pub(super) fn content(&self, path: &str) -> Option<Content> {
        let mut path = TreePath::relative(path).ok()?;
        for _ in 0..MAX_LINKS {
            match self.kinds.get(&path)? {
                TableKind::File(place) => return Some(self.expanded.content(place)),
                TableKind::HardLink(target) => path = target.clone(),
                TableKind::Symlink(target) => path = beside(&path, target)?,
                TableKind::Directory
                | TableKind::CharacterDevice(..)
                | TableKind::BlockDevice(..)
                | TableKind::Fifo => return None,
            }
        }
        None
    }
}

/// Where a link at `path` leads, if that is in the archive: relative, and not out of it.
fn beside(path: &TreePath, target: &str) -> Option<TreePath> {
    let mut there = path.parent()?;
    for name in target.split('/') {
        there = match name {
            "" => return None,
            "." => there,
            ".." => there.parent()?,
            name => there.join(name).ok()?,
        };
    }
    Some(there)
}

impl Files {
    /// What it is called in messages.
    pub(super) fn location(&self) -> String {
        match self {
            Self::Directory(root) => root.path().display().to_string(),
            Self::Archive(archive) => archive.location.clone(),
        }
    }

    /// An error about it.
    pub(super) fn error(&self, flaw: BaseImageFlaw) -> FetchError {
        BaseImageError { location: self.location(), flaw }.into()
    }

    /// Opens the file at `path`; nothing if it is not there.
    pub(super) fn open(&self, path: &str) -> Result<Option<Opened<'static>>, FetchError> {
        match self {
            Self::Directory(root) => {
                let file = match root.open_file(Path::new(path)) {
                    Err(error) if error.is_not_found() => return Ok(None),
                    other => other?,
                };
                let length =
                    file.metadata().map_err(FileError::on("look at", &root.path().join(path)))?.len();
                Ok(Some(Opened { reader: Box::new(file), length: Some(length) }))
            }
            Self::Archive(archive) => Ok(archive.content(path).map(|content| Opened {
                length: Some(content.length()),
                reader: Box::new(ReadContent { content, at: 0 }),
            })),
        }
    }

    /// Reads the document at `path`; nothing if it is not there.
    pub(super) fn document(&self, path: &str) -> Result<Option<Vec<u8>>, FetchError> {
        let Some(opened) = self.open(path)? else { return Ok(None) };
        let (mut bytes, location) = (Vec::new(), self.location());
        let read = opened.reader.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes);
        read.map_err(FileError::on("read", &Path::new(&location).join(path)))?;
        let size = opened.length.unwrap_or_default().max(bytes.len() as u64);
        if size > MAX_DOCUMENT {
            let name = path.to_owned();
            return Err(self.error(BaseImageFlaw::TooLarge { name, size, limit: MAX_DOCUMENT }));
        }
        Ok(Some(bytes))
    }

    /// What the file at `path` is, where that is known without reading it: its digest and its length.
    pub(super) fn known(&self, path: &str) -> Option<(Sha256, u64)> {
        match self {
            Self::Directory(_) => None,
            Self::Archive(archive) => {
                archive.content(path).map(|content| (content.digest(), content.length()))
            }
        }
    }
}

/// Reads content that owns itself. Whoever reads it knows its digest and checks it.
struct ReadContent {
    content: Content,
    at: u64,
}

impl Read for ReadContent {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.content.length().saturating_sub(self.at);
        let wanted = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let part = buffer.get_mut(..wanted).unwrap_or_default();
        self.content.peek(part, self.at).map_err(io::Error::other)?;
        self.at = self.at.saturating_add(wanted as u64);
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_an_archive_lead_to_what_is_in_it() {
        let from = TreePath::relative("b/layer.tar").unwrap();
        let there = |target: &str| beside(&from, target).map(|path| path.as_str().to_owned());
        assert_eq!(there("../a/layer.tar").unwrap(), "a/layer.tar");
        assert_eq!(there("./other").unwrap(), "b/other");
        for outside in ["../../a", "/etc/passwd", "..//a", "../.wh.a"] {
            assert_eq!(there(outside), None, "{outside}");
        }
    }
}
