//! A layer as files of a directory: what unpacking it would give, without a tar in between.
//!
//! As root everything is exact: owners, modes, times, attributes, hard links. Whoever may not give files
//! away, or set what only root may set, gets the rest, and is told what is missing ([`Lost`]): a file that
//! could not be given to its owner has no set-user-ID and set-group-ID bits either, which would lend its maker's
//! rights to everybody.
//!
//! Directories get their modes and times last, from the deepest up, because what is made in them changes
//! their times, and some keep everybody out.
//!
//! Source: design, "Bytes"; chown(2), capabilities(7).

use std::io::{self, Write as _};

use crate::content::Content;
use crate::path::TreePath;
use crate::report::{Reporter, Step};
use crate::root::{DirectoryWriter, FileError, Node};
use crate::tree::{Inode, InodeKind, Mode, Owner};

use super::layer::Planned;
use super::{ImageError, Layer};

/// How much of a file is copied at a time.
const BUFFER: usize = 128 * 1024;
/// Set-user-ID and set-group-ID.
const SET_ID: u32 = 0o6000;

/// What of a layer could not be made, because only root can, or the file system does not have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lost {
    /// How many files, directories and links belong to somebody else than they should.
    pub owners: usize,
    /// How many files are without their set-user-ID or set-group-ID bits for that.
    pub set_ids: usize,
    /// How many extended attributes are missing.
    pub attributes: usize,
    /// How many devices are missing.
    pub devices: usize,
}

impl Layer<'_> {
    /// Writes the layer's files into an empty directory. Reports [`Step::Emit`] in bytes of files.
    pub fn write_directory(
        &self,
        reporter: &dyn Reporter,
        out: &mut DirectoryWriter,
    ) -> Result<Lost, ImageError> {
        reporter.begin(Step::Emit, self.content_size());
        let mut unpacking = Unpacking { out, reporter, lost: Lost::default(), buffer: vec![0; BUFFER] };
        // Nobody else looks into it before everything is as it should be.
        unpacking.out.set_mode("", 0o700)?;
        for planned in self.entries() {
            unpacking.make(planned)?;
            if !planned.inode.is_directory() {
                unpacking.describe(planned, self.mtime(planned))?;
            }
        }
        let directories = self.entries().iter().rev().filter(|planned| planned.inode.is_directory());
        let mut has_root = false;
        for planned in directories {
            has_root |= planned.path.is_root();
            unpacking.describe(planned, self.mtime(planned))?;
        }
        if !has_root {
            let root = (Owner::ROOT, Mode::DIRECTORY);
            unpacking.own("", root.0)?;
            unpacking.out.set_mode("", root.1.bits())?;
            unpacking.out.set_time("", self.epoch().seconds())?;
        }
        reporter.end(Step::Emit);
        Ok(unpacking.lost)
    }
}

struct Unpacking<'a> {
    out: &'a mut DirectoryWriter,
    reporter: &'a dyn Reporter,
    lost: Lost,
    buffer: Vec<u8>,
}

impl Unpacking<'_> {
    /// Makes an entry, which says nothing of itself yet.
    fn make(&mut self, planned: &Planned<'_>) -> Result<(), ImageError> {
        let path = planned.path.as_str();
        if let Some(first) = planned.first_name {
            // Of a device that could not be made there is nothing to link.
            return match self.out.hard_link(path, first.as_str()) {
                Err(error) if error.is_not_found() && is_node(planned.inode) => {
                    self.lost.devices += 1;
                    Ok(())
                }
                other => Ok(other?),
            };
        }
        match &planned.inode.kind {
            InodeKind::Directory if path.is_empty() => Ok(()),
            InodeKind::Directory => Ok(self.out.directory(path)?),
            InodeKind::File(content) => self.copy(planned.path, content),
            InodeKind::Symlink(target) => Ok(self.out.symlink(path, target)?),
            InodeKind::Fifo => Ok(self.out.node(path, Node::Fifo)?),
            InodeKind::CharacterDevice(device) => {
                self.device(path, Node::CharacterDevice(device.major, device.minor))
            }
            InodeKind::BlockDevice(device) => {
                self.device(path, Node::BlockDevice(device.major, device.minor))
            }
        }
    }

    fn copy(&mut self, path: &TreePath, content: &Content) -> Result<(), ImageError> {
        let mut file = self.out.file(path.as_str())?;
        let mut reader = content.reader();
        loop {
            if self.reporter.interrupted() {
                return Err(ImageError::Interrupted { what: "the root filesystem" });
            }
            let filled = reader
                .fill(&mut self.buffer)
                .map_err(|error| ImageError::File { path: path.clone(), error: Box::new(error) })?;
            if filled == 0 {
                return Ok(());
            }
            file.write_all(self.buffer.get(..filled).unwrap_or_default())
                .map_err(FileError::on("write", &self.out.path().join(path.as_str())))?;
            self.reporter.advance(Step::Emit, filled as u64, path.as_str());
        }
    }

    fn device(&mut self, path: &str, node: Node) -> Result<(), ImageError> {
        self.lost.devices += usize::from(!allowed(self.out.node(path, node))?);
        Ok(())
    }

    /// Says of an entry whose it is, and everything else.
    fn describe(&mut self, planned: &Planned<'_>, mtime: i64) -> Result<(), ImageError> {
        // Another name has what the first one was given.
        if planned.first_name.is_some() {
            return Ok(());
        }
        let (path, inode) = (planned.path.as_str(), planned.inode);
        let is_owned = match self.own(path, inode.owner) {
            // A device that could not be made has nothing to be said of.
            Err(error) if error.is_not_found() && is_node(inode) => return Ok(()),
            other => other?,
        };
        for (name, value) in &inode.xattrs {
            self.lost.attributes += usize::from(!allowed(self.out.set_attribute(path, name, value))?);
        }
        if !matches!(inode.kind, InodeKind::Symlink(_)) {
            let mode = self.mode(inode, is_owned);
            self.out.set_mode(path, mode)?;
        }
        Ok(self.out.set_time(path, mtime)?)
    }

    /// The mode that an inode may have.
    fn mode(&mut self, inode: &Inode, is_owned: bool) -> u32 {
        let mode = inode.mode.bits();
        if is_owned || mode & SET_ID == 0 || inode.is_directory() {
            return mode;
        }
        self.lost.set_ids += 1;
        mode & !SET_ID
    }

    /// Gives something to its owner; whether that was allowed.
    fn own(&mut self, path: &str, owner: Owner) -> Result<bool, FileError> {
        let is_owned = allowed(self.out.set_owner(path, owner.uid, owner.gid))?;
        self.lost.owners += usize::from(!is_owned);
        Ok(is_owned)
    }
}

fn is_node(inode: &Inode) -> bool {
    matches!(inode.kind, InodeKind::CharacterDevice(_) | InodeKind::BlockDevice(_))
}

/// Whether something was done; not if the user may not do it, or the file system cannot.
fn allowed(result: Result<(), FileError>) -> Result<bool, FileError> {
    match result {
        Ok(()) => Ok(true),
        // A number that the user's namespace does not have is an invalid argument.
        Err(error)
            if matches!(
                error.error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported | io::ErrorKind::InvalidInput
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}
