//! What the supervisor answers to each system call that it is asked about.
//!
//! An owner, a device or an attribute that is given is recorded of the inode, and told to whoever asks; modes and times
//! are made ([`super::metadata`]). Paths are resolved here as the kernel would for the caller: from its directories, below the same
//! root, by one lookup whose result is held, so that nothing changes between a look and what is done.
//!
//! A call that only asks and of which nothing is recorded is made by the kernel. Then the caller may change its
//! arguments after they were looked at; what it wins is that it is told what is on the disk.
//!
//! Source: `seccomp_unotify(2)`, chown(2), stat(2), statx(2), mknod(2), setxattr(2), listxattr(2).

use std::ffi::CString;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use libc::c_long;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags};
use rustix::io::Errno;

use super::memory::Memory;
use super::pins::Pins;
use super::root_mounts::RootMounts;
use super::{MACHINE_NAME, census};
use crate::archive::table;
use crate::sandbox::records::{InodeKey, Record, RecordedDevice, Records};
use crate::sandbox::system::{self, Answer, Notification};

/// The longest name and value of an extended attribute, and of all names together, in bytes.
const MAX_XATTR_NAME: usize = 256;
const MAX_XATTR_VALUE: u64 = 64 * 1024;
/// How many extended attributes an inode may have.
const MAX_XATTRS: usize = 64;
/// The spaces that names of attributes are in; there are no access control lists, which are in another one.
const SPACES: [&str; 3] = ["security", "trusted", USERS];
const USERS: &str = "user";
/// What the kernel takes from a file when its owner changes.
const CAPABILITY: &str = "security.capability";

/// Answers the calls of one program.
pub(super) struct Answers<'a> {
    /// Where calls wait.
    pub(super) listener: BorrowedFd<'a>,
    /// What the system says of processes.
    pub(super) proc: BorrowedFd<'a>,
    /// What may be changed.
    pub(super) root_mounts: &'a RootMounts,
    /// What is recorded.
    pub(super) records: &'a mut Records,
    /// What was recorded last is held.
    pub(super) pins: &'a mut Pins,
}

/// A file that a call names.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// By a descriptor.
    Descriptor(i32),
    /// By a path from a directory; whether a link at its end is followed, and whether an empty path is the directory.
    Path { directory: i32, path: u64, follows: bool, may_be_empty: bool },
}

/// Which of the calls that differ in little it is.
#[derive(Debug, Clone, Copy)]
enum Form {
    Stat,
    Statx { mask: u32 },
}

impl Answers<'_> {
    /// What the call comes to.
    pub(super) fn answer(&mut self, call: &Notification) -> Answer {
        match self.decide(call) {
            Ok(answer) => answer,
            Err(error) => Answer::Error(error.raw_os_error()),
        }
    }

    #[expect(clippy::many_single_char_names, reason = "what an argument is is different for each call")]
    fn decide(&mut self, call: &Notification) -> Result<Answer, Errno> {
        let [a, b, c, d, e, _] = call.arguments;
        let of = Caller { memory: Memory { thread: call.thread, proc: self.proc }, id: call.id };
        if let Some(answer) = self.set_metadata(call, of) {
            return answer;
        }
        let here =
            |path, follows| Place::Path { directory: libc::AT_FDCWD, path, follows, may_be_empty: false };
        let open = Place::Descriptor(number(a));
        let at = |path, flags: u64, default_follows: bool| Place::Path {
            directory: number(a),
            path,
            follows: default_follows && flags & flag(libc::AT_SYMLINK_NOFOLLOW) == 0,
            may_be_empty: flags & flag(libc::AT_EMPTY_PATH) != 0,
        };
        match c_long::from(call.call) {
            #[cfg(target_arch = "x86_64")]
            libc::SYS_chown => self.chown(of, here(a, true), b, c),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_lchown => self.chown(of, here(a, false), b, c),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_stat => self.stat(of, here(a, true), Form::Stat, b),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_lstat => self.stat(of, here(a, false), Form::Stat, b),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_mknod => self.mknod(of, libc::AT_FDCWD, a, b, c),
            libc::SYS_fchown => self.chown(of, open, b, c),
            libc::SYS_fchownat => {
                only(e, libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH)?;
                self.chown(of, at(b, e, true), c, d)
            }
            libc::SYS_fstat => self.stat(of, open, Form::Stat, b),
            libc::SYS_newfstatat => self.stat(of, at(b, d, true), Form::Stat, c),
            libc::SYS_statx => self.stat(of, at(b, c, true), Form::Statx { mask: lower(d) }, e),
            libc::SYS_mknodat => self.mknod(of, number(a), b, c, d),
            libc::SYS_setxattr => self.set_xattr(of, here(a, true), b, (c, d), e),
            libc::SYS_lsetxattr => self.set_xattr(of, here(a, false), b, (c, d), e),
            libc::SYS_fsetxattr => self.set_xattr(of, open, b, (c, d), e),
            libc::SYS_getxattr => self.get_xattr(of, here(a, true), b, (c, d)),
            libc::SYS_lgetxattr => self.get_xattr(of, here(a, false), b, (c, d)),
            libc::SYS_fgetxattr => self.get_xattr(of, open, b, (c, d)),
            libc::SYS_listxattr => self.list_xattrs(of, here(a, true), (b, c)),
            libc::SYS_llistxattr => self.list_xattrs(of, here(a, false), (b, c)),
            libc::SYS_flistxattr => self.list_xattrs(of, open, (b, c)),
            libc::SYS_uname => {
                let bytes = system::uname_bytes(MACHINE_NAME).map_err(|_| Errno::FAULT)?;
                self.put(of, a, &bytes)?;
                Ok(Answer::Value(0))
            }
            libc::SYS_removexattr => self.remove_xattr(of, here(a, true), b),
            libc::SYS_lremovexattr => self.remove_xattr(of, here(a, false), b),
            libc::SYS_fremovexattr => self.remove_xattr(of, open, b),
            _ => Ok(Answer::Error(libc::ENOSYS)),
        }
    }

    fn chown(&mut self, of: Caller<'_>, place: Place, uid: u64, gid: u64) -> Result<Answer, Errno> {
        let file = self.open_to_change(of, place)?;
        let (key, status) = look(file.as_fd())?;
        self.find_room(key, 0)?;
        self.records.change(key, |record| {
            // All bits set leaves it as it is.
            record.uid = Some(lower(uid)).filter(|uid| *uid != u32::MAX).unwrap_or(record.uid);
            record.gid = Some(lower(gid)).filter(|gid| *gid != u32::MAX).unwrap_or(record.gid);
            if FileType::from_raw_mode(status.stx_mode.into()) != FileType::Directory {
                record.xattrs.remove(CAPABILITY);
            }
        });
        let taken = self.take_set_id_bits(file.as_fd(), &status);
        self.pins.hold(key, file);
        taken.map(|()| Answer::Value(0))
    }

    /// That more can be recorded of an inode, as a disk may be full.
    fn find_room(&self, key: InodeKey, bytes: u64) -> Result<(), Errno> {
        if self.records.have_room(key, bytes) { Ok(()) } else { Err(Errno::NOSPC) }
    }

    /// The kernel takes the set-user-ID bit of a file that gets an owner, and the set-group-ID bit if its group may
    /// execute it.
    fn take_set_id_bits(&self, file: BorrowedFd<'_>, status: &Statx) -> Result<(), Errno> {
        let mode = Mode::from_raw_mode(status.stx_mode.into());
        if FileType::from_raw_mode(status.stx_mode.into()) != FileType::RegularFile {
            return Ok(());
        }
        let mut kept = mode & !Mode::SUID;
        if mode.contains(Mode::XGRP) {
            kept &= !Mode::SGID;
        }
        if kept == mode || !self.root_mounts.contain(status) {
            return Ok(());
        }
        let path = format!("self/fd/{}", file.as_raw_fd());
        rustix::fs::chmodat(self.proc, path, Mode::from_raw_mode(kept.bits() & 0o7777), AtFlags::empty())
    }

    fn stat(&mut self, of: Caller<'_>, place: Place, form: Form, address: u64) -> Result<Answer, Errno> {
        // Whatever is wrong with the path, the kernel says it best.
        let Ok(file) = self.open_to_look(of, place) else { return Ok(Answer::Continue) };
        let (key, status) = look(file.as_fd())?;
        let record = self.records.get(key);
        // What belongs to nobody inside, as the system's devices do, belongs to root as far as a program is told.
        if record.is_none() && status.stx_uid == 0 && status.stx_gid == 0 {
            return Ok(Answer::Continue);
        }
        let (uid, gid, device) =
            record.map_or((0, 0, None), |record| (record.uid, record.gid, record.device));
        let kind = |device: &RecordedDevice| if device.block { libc::S_IFBLK } else { libc::S_IFCHR };
        let bytes = match form {
            Form::Stat => {
                let device =
                    device.map(|device| (kind(&device), rustix::fs::makedev(device.major, device.minor)));
                system::stat_bytes(file.as_fd(), uid, gid, device)
            }
            Form::Statx { mask } => {
                let device = device.map(|device| (kind(&device), device.major, device.minor));
                system::statx_bytes(file.as_fd(), mask, (uid, gid), device)
            }
        };
        let bytes = bytes.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::FAULT))?;
        self.put(of, address, &bytes)?;
        Ok(Answer::Value(0))
    }

    /// Records a device; on the disk there is an empty file.
    fn mknod(
        &mut self,
        of: Caller<'_>,
        directory: i32,
        path: u64,
        mode: u64,
        device: u64,
    ) -> Result<Answer, Errno> {
        let path = of.memory.path(path)?;
        let (parent, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => path.split_at(slash + 1),
            None => (&b"."[..], path.as_slice()),
        };
        if name.is_empty() || name == b"." || name == b".." {
            return Err(if path.is_empty() { Errno::NOENT } else { Errno::EXIST });
        }
        let parent = self.lookup(of, directory, parent, true)?;
        let mask = census::file_mask(self.proc, of.memory.thread);
        self.check(of)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let permissions = Mode::from_raw_mode(lower(mode) & 0o7777 & !mask);
        let name = CString::new(name).map_err(|_| Errno::INVAL)?;
        let file = rustix::fs::openat(&parent, name, flags, permissions)?;
        let (key, _) = look(file.as_fd())?;
        self.find_room(key, 0)?;
        let number = lower(device);
        let device = RecordedDevice {
            block: lower(mode) & libc::S_IFMT == libc::S_IFBLK,
            major: number >> 8 & 0xfff,
            minor: number & 0xff | number >> 12 & 0xf_ff00,
        };
        self.records.set(key, Record { device: Some(device), ..Record::default() });
        self.pins.hold(key, file);
        Ok(Answer::Value(0))
    }

    fn set_xattr(
        &mut self,
        of: Caller<'_>,
        place: Place,
        name: u64,
        (value, length): (u64, u64),
        flags: u64,
    ) -> Result<Answer, Errno> {
        only(flags, libc::XATTR_CREATE | libc::XATTR_REPLACE)?;
        let name = xattr_name(of, name)?;
        if length > MAX_XATTR_VALUE {
            return Err(Errno::TOOBIG);
        }
        let value = of.memory.bytes(value, usize::try_from(length).map_err(|_| Errno::TOOBIG)?)?;
        let file = self.open_to_change(of, place)?;
        let (key, status) = look(file.as_fd())?;
        may_have(&status, &name, Errno::PERM)?;
        if table::is_of_overlay(&name) {
            return Err(Errno::PERM);
        }
        if &*name == CAPABILITY && !is_capability(&value) {
            return Err(Errno::INVAL);
        }
        let xattrs = self.records.get(key).map(|record| &record.xattrs);
        let is_there = xattrs.is_some_and(|xattrs| xattrs.contains_key(&name));
        if lower(flags) & libc::XATTR_CREATE.unsigned_abs() != 0 && is_there {
            return Err(Errno::EXIST);
        }
        if lower(flags) & libc::XATTR_REPLACE.unsigned_abs() != 0 && !is_there {
            return Err(Errno::NODATA);
        }
        if !is_there && xattrs.is_some_and(|xattrs| xattrs.len() >= MAX_XATTRS) {
            return Err(Errno::NOSPC);
        }
        self.find_room(key, (name.len() + value.len()) as u64)?;
        self.records.change(key, |record| drop(record.xattrs.insert(name, value)));
        self.pins.hold(key, file);
        Ok(Answer::Value(0))
    }

    fn get_xattr(
        &mut self,
        of: Caller<'_>,
        place: Place,
        name: u64,
        (address, room): (u64, u64),
    ) -> Result<Answer, Errno> {
        let name = xattr_name(of, name)?;
        let file = self.open_to_look(of, place)?;
        let (key, status) = look(file.as_fd())?;
        may_have(&status, &name, Errno::NODATA)?;
        let value = self.records.get(key).and_then(|record| record.xattrs.get(&name)).cloned();
        match value {
            Some(value) => self.hand_out(of, &value, address, room),
            None => Err(Errno::NODATA),
        }
    }

    fn list_xattrs(
        &mut self,
        of: Caller<'_>,
        place: Place,
        (address, room): (u64, u64),
    ) -> Result<Answer, Errno> {
        let file = self.open_to_look(of, place)?;
        let (key, _) = look(file.as_fd())?;
        let names = self.records.get(key).into_iter().flat_map(|record| record.xattrs.keys());
        let list: Vec<u8> = names.flat_map(|name| name.bytes().chain([0])).collect();
        self.hand_out(of, &list, address, room)
    }

    fn remove_xattr(&mut self, of: Caller<'_>, place: Place, name: u64) -> Result<Answer, Errno> {
        let name = xattr_name(of, name)?;
        let file = self.open_to_change(of, place)?;
        let (key, status) = look(file.as_fd())?;
        may_have(&status, &name, Errno::PERM)?;
        let mut was_there = false;
        self.records.change(key, |record| was_there = record.xattrs.remove(&name).is_some());
        if was_there { Ok(Answer::Value(0)) } else { Err(Errno::NODATA) }
    }

    /// Gives the caller `bytes`, or, if it has no room, only their number.
    fn hand_out(&self, of: Caller<'_>, bytes: &[u8], address: u64, room: u64) -> Result<Answer, Errno> {
        if room != 0 {
            if room < bytes.len() as u64 {
                return Err(Errno::RANGE);
            }
            self.put(of, address, bytes)?;
        }
        Ok(Answer::Value(i64::try_from(bytes.len()).unwrap_or(i64::MAX)))
    }

    fn put(&self, of: Caller<'_>, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.check(of)?;
        of.memory.put(address, bytes)
    }

    /// That the thread whose memory was read is still the one that made the call.
    fn check(&self, of: Caller<'_>) -> Result<(), Errno> {
        if system::is_waiting(self.listener, of.id) { Ok(()) } else { Err(Errno::SRCH) }
    }

    /// What the place names, as a descriptor that is good for nothing but to name it. What is behind a link of `/proc` is
    /// somebody's open file, and is left to the kernel.
    fn open_to_look(&self, of: Caller<'_>, place: Place) -> Result<OwnedFd, Errno> {
        self.open(of, place, |_| None)
    }

    /// The same for a call that changes something, which cannot be left to the kernel: the links that lead to the caller's
    /// own open files are followed.
    pub(super) fn open_to_change(&self, of: Caller<'_>, place: Place) -> Result<OwnedFd, Errno> {
        self.open(of, place, own_descriptor)
    }

    /// What the place names; `descriptor` says of a path that is followed which open file it leads to, if it does.
    fn open(
        &self,
        of: Caller<'_>,
        place: Place,
        descriptor: impl FnOnce(&[u8]) -> Option<i32>,
    ) -> Result<OwnedFd, Errno> {
        let file = match place {
            Place::Descriptor(number) => self.descriptor(of, number)?,
            Place::Path { directory, path, follows, may_be_empty } => {
                let path = of.memory.path(path)?;
                match Some(&path).filter(|_| follows).and_then(|path| descriptor(path)) {
                    Some(number) => self.descriptor(of, number)?,
                    None if path.is_empty() && may_be_empty => self.directory(of, directory)?,
                    None => self.lookup(of, directory, &path, follows)?,
                }
            }
        };
        self.check(of)?;
        Ok(file)
    }

    fn lookup(&self, of: Caller<'_>, directory: i32, path: &[u8], follows: bool) -> Result<OwnedFd, Errno> {
        let from = if path.first() == Some(&b'/') { None } else { Some(self.directory(of, directory)?) };
        let mut flags = OFlags::PATH | OFlags::CLOEXEC;
        if !follows {
            flags |= OFlags::NOFOLLOW;
        }
        let from = from.as_ref().map_or(rustix::fs::CWD, OwnedFd::as_fd);
        rustix::fs::openat2(from, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
    }

    fn directory(&self, of: Caller<'_>, number: i32) -> Result<OwnedFd, Errno> {
        if number == libc::AT_FDCWD {
            return self.of_process(of, "cwd");
        }
        self.descriptor(of, number)
    }

    fn descriptor(&self, of: Caller<'_>, number: i32) -> Result<OwnedFd, Errno> {
        match self.of_process(of, &format!("fd/{number}")) {
            Err(Errno::NOENT) => Err(Errno::BADF),
            opened => opened,
        }
    }

    fn of_process(&self, of: Caller<'_>, what: &str) -> Result<OwnedFd, Errno> {
        let path = format!("{}/{what}", of.memory.thread);
        rustix::fs::openat(self.proc, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
    }
}

/// The thread that made a call, and the call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller<'a> {
    pub(super) memory: Memory<'a>,
    id: u64,
}

/// The open file of a process that the path leads to through its own `/proc`.
fn own_descriptor(path: &[u8]) -> Option<i32> {
    let own = [&b"/proc/self/fd/"[..], b"/proc/thread-self/fd/", b"/dev/fd/"];
    let number = own.iter().find_map(|prefix| path.strip_prefix(*prefix))?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// Which inode it is, and what the disk says of it.
pub(super) fn look(file: BorrowedFd<'_>) -> Result<(InodeKey, Statx), Errno> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::BTIME | StatxFlags::MNT_ID;
    let status = rustix::fs::statx(file, c"", AtFlags::EMPTY_PATH, wanted)?;
    Ok((InodeKey::of(&status), status))
}

fn xattr_name(of: Caller<'_>, address: u64) -> Result<Box<str>, Errno> {
    let name = of.memory.text(address, MAX_XATTR_NAME, Errno::RANGE)?;
    if name.is_empty() {
        return Err(Errno::RANGE);
    }
    Ok(String::from_utf8(name).map_err(|_| Errno::INVAL)?.into())
}

/// That what `status` describes may have an attribute of that name. Those of users are for files and directories; for
/// anything else the error is `otherwise`.
fn may_have(status: &Statx, name: &str, otherwise: Errno) -> Result<(), Errno> {
    let (space, rest) = name.split_once('.').ok_or(Errno::OPNOTSUPP)?;
    if !SPACES.contains(&space) {
        return Err(Errno::OPNOTSUPP);
    }
    if rest.is_empty() {
        return Err(Errno::INVAL);
    }
    let kind = FileType::from_raw_mode(status.stx_mode.into());
    if space == USERS && !matches!(kind, FileType::RegularFile | FileType::Directory) {
        return Err(otherwise);
    }
    Ok(())
}

/// Whether it has the length of its version, as the kernel asks of capabilities that are given.
fn is_capability(value: &[u8]) -> bool {
    match value.first_chunk().map(|first| u32::from_le_bytes(*first) >> 24) {
        Some(2) => value.len() == 20,
        Some(3) => value.len() == 24,
        _ => false,
    }
}

/// That no flags are set but `known` ones.
pub(super) fn only(flags: u64, known: i32) -> Result<(), Errno> {
    if lower(flags) & !known.unsigned_abs() == 0 { Ok(()) } else { Err(Errno::INVAL) }
}

/// The lower half of an argument.
pub(super) fn lower(argument: u64) -> u32 {
    u32::try_from(argument & u64::from(u32::MAX)).unwrap_or_default()
}

/// A descriptor's number.
pub(super) fn number(argument: u64) -> i32 {
    lower(argument).cast_signed()
}

pub(super) fn flag(flag: i32) -> u64 {
    u64::from(flag.unsigned_abs())
}
