//! Calls that set modes and times: made by the supervisor, and only on what is below the root directory.
//!
//! They change the disk and are not recorded. The caller's path is resolved once, and the inode that was checked (see
//! [`super::root_mounts`]) is the one that is changed.
//!
//! Source: chmod(2), utimensat(2), utime(2), futimesat(2); the flags of `fchmodat2`.

use std::os::fd::{AsFd as _, AsRawFd as _};

use libc::c_long;
use rustix::fs::{AtFlags, Mode, Timespec, Timestamps, UTIME_NOW};
use rustix::io::Errno;

use super::answers::{Answers, Caller, Place, flag, look, lower, number, only};
use crate::sandbox::calls::FCHMODAT2;
use crate::sandbox::system::{Answer, Notification};

/// The flags that `fchmodat2` and `utimensat` accept.
const FLAGS: i32 = libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH;
/// Sets both times to the current time.
const NOW: Timestamps = Timestamps {
    last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
    last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
};
/// Microseconds in a second.
#[cfg(target_arch = "x86_64")]
const MICROSECONDS: i64 = 1_000_000;

impl Answers<'_> {
    /// The answer, if the call sets a mode or times.
    pub(super) fn set_metadata(&self, call: &Notification, of: Caller<'_>) -> Option<Result<Answer, Errno>> {
        let [a, b, c, d, ..] = call.arguments;
        let here = |path| Place::Path { directory: libc::AT_FDCWD, path, follows: true, may_be_empty: false };
        let open = Place::Descriptor(number(a));
        let at = |path, flags: u64| Place::Path {
            directory: number(a),
            path,
            follows: flags & flag(libc::AT_SYMLINK_NOFOLLOW) == 0,
            may_be_empty: flags & flag(libc::AT_EMPTY_PATH) != 0,
        };
        let this = c_long::from(call.call);
        Some(match this {
            #[cfg(target_arch = "x86_64")]
            libc::SYS_chmod => self.set_mode(of, here(a), b),
            libc::SYS_fchmod => self.set_mode(of, open, b),
            libc::SYS_fchmodat => self.set_mode(of, at(b, 0), c),
            _ if this == c_long::from(FCHMODAT2) => {
                only(d, FLAGS).and_then(|()| self.set_mode(of, at(b, d), c))
            }
            #[cfg(target_arch = "x86_64")]
            libc::SYS_utime => of_seconds(of, b).and_then(|times| self.set_times(of, here(a), &times)),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_utimes => of_microseconds(of, b).and_then(|times| self.set_times(of, here(a), &times)),
            #[cfg(target_arch = "x86_64")]
            libc::SYS_futimesat => of_microseconds(of, c).and_then(|times| {
                let place = if b == 0 { open } else { at(b, 0) };
                self.set_times(of, place, &times)
            }),
            libc::SYS_utimensat => self.utimensat(of, if b == 0 { open } else { at(b, d) }, c, d),
            _ => return None,
        })
    }

    fn utimensat(&self, of: Caller<'_>, place: Place, times: u64, flags: u64) -> Result<Answer, Errno> {
        let times = of_nanoseconds(of, times)?;
        if times.last_access.tv_nsec == libc::UTIME_OMIT
            && times.last_modification.tv_nsec == libc::UTIME_OMIT
        {
            return Ok(Answer::Value(0));
        }
        only(flags, if matches!(place, Place::Descriptor(_)) { 0 } else { FLAGS })?;
        self.set_times(of, place, &times)
    }

    fn set_mode(&self, of: Caller<'_>, place: Place, mode: u64) -> Result<Answer, Errno> {
        let mode = Mode::from_raw_mode(lower(mode) & 0o7777);
        self.change(of, place, |path| rustix::fs::chmodat(self.proc, path, mode, AtFlags::empty()))
    }

    fn set_times(&self, of: Caller<'_>, place: Place, times: &Timestamps) -> Result<Answer, Errno> {
        self.change(of, place, |path| rustix::fs::utimensat(self.proc, path, times, AtFlags::empty()))
    }

    /// Applies `change` to what the place names, through its path below `/proc`.
    fn change(
        &self,
        of: Caller<'_>,
        place: Place,
        change: impl FnOnce(&str) -> Result<(), Errno>,
    ) -> Result<Answer, Errno> {
        let file = self.open_to_change(of, place)?;
        let (_, status) = look(file.as_fd())?;
        if !self.root_mounts.contain(&status) {
            return Err(Errno::PERM);
        }
        change(&format!("self/fd/{}", file.as_raw_fd())).map(|()| Answer::Value(0))
    }
}

/// The two times at `address`, in seconds and nanoseconds each; the current time if the address is null.
fn of_nanoseconds(of: Caller<'_>, address: u64) -> Result<Timestamps, Errno> {
    let Some([access, access_part, modification, modification_part]) = numbers(of, address)? else {
        return Ok(NOW);
    };
    Ok(Timestamps {
        last_access: Timespec { tv_sec: access, tv_nsec: access_part },
        last_modification: Timespec { tv_sec: modification, tv_nsec: modification_part },
    })
}

/// The same, in seconds and microseconds.
#[cfg(target_arch = "x86_64")]
fn of_microseconds(of: Caller<'_>, address: u64) -> Result<Timestamps, Errno> {
    let Some([access, access_part, modification, modification_part]) = numbers(of, address)? else {
        return Ok(NOW);
    };
    let time = |seconds, part: i64| {
        let is_part = (0..MICROSECONDS).contains(&part);
        is_part.then_some(Timespec { tv_sec: seconds, tv_nsec: part * 1000 }).ok_or(Errno::INVAL)
    };
    Ok(Timestamps {
        last_access: time(access, access_part)?,
        last_modification: time(modification, modification_part)?,
    })
}

/// The same, in seconds.
#[cfg(target_arch = "x86_64")]
fn of_seconds(of: Caller<'_>, address: u64) -> Result<Timestamps, Errno> {
    let Some([access, modification]) = numbers(of, address)? else { return Ok(NOW) };
    Ok(Timestamps {
        last_access: Timespec { tv_sec: access, tv_nsec: 0 },
        last_modification: Timespec { tv_sec: modification, tv_nsec: 0 },
    })
}

/// `COUNT` numbers of 8 bytes at `address`; `None` if the address is null.
fn numbers<const COUNT: usize>(of: Caller<'_>, address: u64) -> Result<Option<[i64; COUNT]>, Errno> {
    if address == 0 {
        return Ok(None);
    }
    let bytes = of.memory.bytes(address, COUNT * 8)?;
    let mut numbers = [0; COUNT];
    for (number, bytes) in numbers.iter_mut().zip(bytes.chunks_exact(8)) {
        *number = i64::from_ne_bytes(bytes.try_into().map_err(|_| Errno::FAULT)?);
    }
    Ok(Some(numbers))
}
