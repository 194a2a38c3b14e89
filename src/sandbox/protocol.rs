//! What composer and helper tell one another: messages, and descriptors beside them, through a pair of sockets.
//!
//! A message is its length in four bytes and its text in JSON; descriptors travel with the length. Both ends are this
//! program, of one build, so the form is nobody's contract. The helper is believed: what a program that it runs says
//! never comes through here.
//!
//! Source: unix(7).

use std::fmt::{self, Display};
use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, Timespec};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::records::{InodeKey, Record};
use super::{Ended, Limits};

/// The longest message, in bytes: the owners of a tree of a million files.
const MAX_MESSAGE: usize = 256 << 20;

/// What the composer asks for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// Make ready; the working directory is the place for it. Answered by [`Reply::Ready`].
    Begin(Beginning),
    /// Let this much more be written. Answered by [`Reply::Reserved`].
    Reserve(Room),
    /// Run a program; the descriptor with it gets what it prints. Answered by [`Reply::Done`].
    Run(Task),
}

/// How programs are shut in, and where the workroot is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) enum Beginning {
    /// In namespaces, on a file system in memory of that size.
    InMemory(Room),
    /// In namespaces, in the working directory.
    OnDisk,
    /// Without namespaces, in the working directory.
    Chroot,
}

/// How much there is room for.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Room {
    /// Bytes of files.
    pub(super) bytes: u64,
    /// Files, directories and links.
    pub(super) entries: u64,
}

/// A program to run.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Task {
    pub(super) name: String,
    pub(super) text: Vec<u8>,
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) limits: Limits,
    /// How many bytes of the space for all programs have been used by earlier ones.
    pub(super) spent: u64,
    /// What was recorded of the workroot since the last run.
    pub(super) records: Vec<(InodeKey, Record)>,
}

/// What the helper answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// Programs can run; the descriptor with it is the workroot's root directory.
    Ready {
        /// Whether there are devices in `/dev`, and not files in their places.
        has_devices: bool,
    },
    /// There is room.
    Reserved,
    /// The program and everything it started is dead.
    Done {
        /// How it ended.
        ended: Ended,
        /// What it recorded.
        records: Vec<(InodeKey, Record)>,
        /// Whether a file was mapped as shared memory.
        maps_files: bool,
    },
    /// It cannot be done.
    Failed(Failure),
}

/// What went wrong, and at what.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Failure {
    attempt: String,
    error: String,
}

impl Failure {
    /// A failed attempt. The result is a function, for `map_err`.
    pub(super) fn at<E: Into<io::Error>>(attempt: impl Display) -> impl FnOnce(E) -> Self {
        move |error| Self { attempt: attempt.to_string(), error: error.into().to_string() }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempt, error } = self;
        write!(f, "cannot {attempt}: {error}")
    }
}

/// Sends a message with descriptors.
pub(super) fn send(
    socket: &UnixStream,
    message: &impl Serialize,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let length = u32::try_from(text.len()).map_err(|_| io::ErrorKind::InvalidInput)?.to_ne_bytes();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    rustix::net::sendmsg(socket, &[IoSlice::new(&length)], &mut control, SendFlags::NOSIGNAL)?;
    let mut socket = socket;
    socket.write_all(&text)
}

/// Receives a message and the descriptors with it; nothing if the other end is closed.
pub(super) fn receive<T: DeserializeOwned>(socket: &UnixStream) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
    let mut length = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let parts = &mut [IoSliceMut::new(&mut length)];
    let received = rustix::net::recvmsg(socket.as_fd(), parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    let mut socket = socket;
    let Some(missing) = length.get_mut(received.bytes..).filter(|_| received.bytes > 0) else {
        return Ok(None);
    };
    socket.read_exact(missing)?;
    let length = usize::try_from(u32::from_ne_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_MESSAGE {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut text = vec![0; length];
    socket.read_exact(&mut text)?;
    Ok(Some((serde_json::from_slice(&text)?, descriptors)))
}

/// Waits until there is something of one of `descriptors`, a moment at most; a signal may end that too.
pub(super) fn wait_for(descriptors: &mut [PollFd<'_>], moment: Duration) -> io::Result<()> {
    let moment = Timespec::try_from(moment).map_err(|_| io::ErrorKind::InvalidInput)?;
    match rustix::event::poll(descriptors, Some(&moment)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_and_its_descriptor_arrive() {
        let (one, other) = UnixStream::pair().unwrap();
        let (reading, writing) = rustix::pipe::pipe().unwrap();
        let room = Room { bytes: u64::MAX, entries: 2 };
        send(&one, &Request::Reserve(room), &[writing.as_fd()]).unwrap();
        drop(writing);
        let (request, mut descriptors) = receive::<Request>(&other).unwrap().unwrap();
        assert!(matches!(request, Request::Reserve(Room { bytes: u64::MAX, entries: 2 })));
        rustix::io::write(descriptors.pop().unwrap(), b"x").unwrap();
        assert_eq!(rustix::io::read(reading, &mut [0; 2]).unwrap(), 1);
        drop(one);
        assert!(receive::<Request>(&other).unwrap().is_none());
    }
}
