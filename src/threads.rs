//! Starting threads where the system may allow no more of them.
//!
//! A limit of processes (`ulimit -u`, or `pids.max` of a container) is no reason to fail where the same work can be done
//! with fewer threads, only later. A thread that is indispensable is started with [`std::thread::Builder`], and its
//! failure is an error with a name. `std::thread::spawn` and `Scope::spawn`, which panic, are not used
//! (`tests/it/limits.rs` checks it).

use std::panic;
use std::thread;

/// What `first` and `second` give: done at the same time if a thread can be started, otherwise one after the other.
pub fn both<A: Send, B>(first: impl Fn() -> A + Sync, second: impl FnOnce() -> B) -> (A, B) {
    thread::scope(|scope| match thread::Builder::new().spawn_scoped(scope, &first) {
        Ok(other) => {
            let second = second();
            (other.join().unwrap_or_else(|payload| panic::resume_unwind(payload)), second)
        }
        Err(_) => (first(), second()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_done() {
        let (name, mut count) = (String::from("ab"), 0);
        let second = || {
            count += 1;
            count
        };
        assert_eq!(both(|| name.len(), second), (2, 1));
    }

    #[test]
    fn a_panic_in_the_thread_is_the_callers() {
        let panicked = panic::catch_unwind(|| both(|| -> u32 { panic!("so it goes") }, || 1));
        assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"so it goes"));
    }
}
