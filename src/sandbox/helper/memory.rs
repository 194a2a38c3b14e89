//! What a system call's arguments point at: texts and bytes in the memory of the thread that made it.
//!
//! Each is copied once and looked at afterwards, so that a thread that changes it meanwhile changes nothing.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::sandbox::system;

/// The longest path, in bytes, with the zero that ends it.
const PATH_MAX: usize = 4096;
/// Memory is there or not in pieces of this size, at least.
const PAGE: u64 = 4096;

/// The memory of a thread.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory<'a> {
    /// The thread, as this process sees it.
    pub(super) thread: i32,
    /// What the system says of processes.
    pub(super) proc: BorrowedFd<'a>,
}

impl Memory<'_> {
    /// The text at `address`, which ends with a zero, as a path may be.
    pub(super) fn path(self, address: u64) -> Result<Vec<u8>, Errno> {
        self.text(address, PATH_MAX, Errno::NAMETOOLONG)
    }

    /// The text at `address`, of `longest` bytes at most with the zero that ends it; else `too_long`.
    pub(super) fn text(self, address: u64, longest: usize, too_long: Errno) -> Result<Vec<u8>, Errno> {
        let mut text = Vec::new();
        while text.len() < longest {
            let at = address.checked_add(text.len() as u64).ok_or(Errno::FAULT)?;
            let to_boundary = usize::try_from(PAGE - at % PAGE).unwrap_or(1);
            let piece = self.bytes(at, to_boundary.min(longest - text.len()))?;
            match piece.iter().position(|byte| *byte == 0) {
                Some(end) => {
                    text.extend(piece.into_iter().take(end));
                    return Ok(text);
                }
                None => text.extend(piece),
            }
        }
        Err(too_long)
    }

    /// `length` bytes at `address`.
    pub(super) fn bytes(self, address: u64, length: usize) -> Result<Vec<u8>, Errno> {
        let mut bytes = vec![0; length];
        let read = match system::read_memory(self.thread, address, &mut bytes) {
            Err(error) if is_refused(&error) => {
                rustix::io::pread(self.file(OFlags::RDONLY)?, bytes.as_mut_slice(), address)
            }
            read => read.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::FAULT)),
        };
        match read {
            Ok(count) if count == length => Ok(bytes),
            // Where nothing is there is nothing to read.
            Ok(_) | Err(Errno::IO) => Err(Errno::FAULT),
            Err(error) => Err(error),
        }
    }

    /// Puts `bytes` at `address`.
    pub(super) fn put(self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        if bytes.is_empty() {
            return Ok(());
        }
        match system::write_memory(self.thread, address, bytes) {
            Err(error) if is_refused(&error) => {
                let written = rustix::io::pwrite(self.file(OFlags::WRONLY)?, bytes, address);
                if written == Ok(bytes.len()) { Ok(()) } else { Err(Errno::FAULT) }
            }
            written => written.map_err(|_| Errno::FAULT),
        }
    }

    /// The memory as a file, whose offsets are addresses.
    fn file(self, flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = format!("{}/mem", self.thread);
        rustix::fs::openat(self.proc, path, flags | OFlags::CLOEXEC, Mode::empty())
    }
}

/// Whether the call itself is refused, as Docker's older filters do, and not this memory.
fn is_refused(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::PERM | Errno::NOSYS))
}
