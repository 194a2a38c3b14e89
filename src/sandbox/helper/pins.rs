//! Inodes of which something was just recorded, held open for a moment.
//!
//! An inode is known by its number and the time of its birth. A file that is removed may leave its number to the next one,
//! and the clock that births are taken from goes in steps: of two files in one step nothing would tell the second from the
//! first, and it would get what was recorded of that. The number of what is held is not given away.
//!
//! Source: inode(7), statx(2).

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit};

use crate::sandbox::records::InodeKey;

/// How long one is held: some steps of the slowest clock, which has 100 in a second.
const STEP: Duration = Duration::from_millis(50);

/// Inodes that are held.
pub(super) struct Pins {
    held: VecDeque<(Instant, InodeKey, OwnedFd)>,
    most: usize,
}

impl Pins {
    /// Nothing is held yet. Half of the files that this process may have open are for it.
    pub(super) fn new() -> Self {
        let mut limit = rustix::process::getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        // Where that is not allowed, the limit that there is will do.
        let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { ..limit });
        let most = rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(1 << 20) / 2;
        Self { held: VecDeque::new(), most: usize::try_from(most).unwrap_or(usize::MAX).max(1) }
    }

    /// Holds the inode `key`, which `file` is; waits if as many are held as may be.
    pub(super) fn hold(&mut self, key: InodeKey, file: OwnedFd) {
        self.release();
        if self.held.len() >= self.most {
            if let Some((since, key, _)) = self.held.front()
                && key.born != 0
            {
                std::thread::sleep(STEP.saturating_sub(since.elapsed()));
            }
            self.held.pop_front();
        }
        self.held.push_back((Instant::now(), key, file));
    }

    /// Lets those go whose numbers cannot be mistaken any more. Where births are not told that is never certain.
    fn release(&mut self) {
        while let Some((since, key, _)) = self.held.front()
            && key.born != 0
            && since.elapsed() > STEP
        {
            self.held.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(pins: &mut Pins, born: i64) {
        let file = std::fs::File::open("/dev/null").unwrap();
        pins.hold(InodeKey { device: 1, inode: 2, born }, file.into());
    }

    #[test]
    fn what_was_born_long_ago_is_let_go_and_the_others_are_bounded() {
        let mut pins = Pins { held: VecDeque::new(), most: 3 };
        pin(&mut pins, 1);
        std::thread::sleep(STEP * 2);
        pin(&mut pins, 2);
        assert_eq!(pins.held.len(), 1);
        let begun = Instant::now();
        for born in 3..6 {
            pin(&mut pins, born);
        }
        assert!(pins.held.len() <= 3 && begun.elapsed() >= STEP / 2);
        let mut pins = Pins { held: VecDeque::new(), most: 3 };
        pin(&mut pins, 0);
        std::thread::sleep(STEP * 2);
        pin(&mut pins, 0);
        assert_eq!(pins.held.len(), 2);
    }
}
