//! Signals: which of them end the program, and how.
//!
//! The first Ctrl-C asks the work to stop and clean up, the second ends the program at once. Work that does not look whether
//! it was asked, because the system keeps it waiting (for the reader of a pipe, a lock, a file system that does not answer),
//! is ended after [`PATIENCE`]; what it leaves behind is removed by the next run, or named by its error.

use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};

use crate::kind::Kind;

/// For how long work need not look whether it was asked to stop. It does so ten times a second at least.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether somebody asked the program to stop.
#[derive(Debug, Clone, Default)]
pub(super) struct Interrupt {
    asked: Arc<AtomicBool>,
    /// Whether the work knows.
    known: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens from now on. `message` is what is said where the work itself cannot.
    pub(super) fn listen(message: String) -> Self {
        let interrupt = Self::default();
        let telling = interrupt.watch(message);
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let asked = || Arc::clone(&interrupt.asked);
            // Without handlers the signal ends the program as it always does; only cleaning up is lost.
            let _ = signal_hook::flag::register_conditional_shutdown(signal, 130, asked());
            let _ = signal_hook::flag::register(signal, asked());
            if let Some(telling) = telling.as_ref().and_then(|telling| telling.try_clone().ok()) {
                let _ = signal_hook::low_level::pipe::register(signal, telling);
            }
        }
        interrupt
    }

    /// Whether somebody asked.
    pub(super) fn is_asked(&self) -> bool {
        let is_asked = self.asked.load(Ordering::Relaxed);
        if is_asked {
            self.known.store(true, Ordering::Relaxed);
        }
        is_asked
    }

    /// Starts the thread that ends the program where the work does not. What is written to the result wakes it; without it,
    /// because there may be no more threads, a second signal is needed there.
    fn watch(&self, message: String) -> Option<UnixStream> {
        let (mut waking, telling) = UnixStream::pair().ok()?;
        let known = Arc::clone(&self.known);
        let watching = thread::Builder::new().name("interrupt".to_owned()).spawn(move || {
            if waking.read_exact(&mut [0]).is_ok() {
                thread::sleep(PATIENCE);
                if !known.load(Ordering::Relaxed) {
                    say(&message);
                    std::process::exit(Kind::Interrupted.exit_code().into());
                }
            }
        });
        watching.is_ok().then_some(telling)
    }
}

/// Lets a file that becomes larger than a file may be fail the write, which names it, instead of ending the program.
/// Programs that are started have the signal's usual effect again, as it is handled and not ignored.
pub(super) fn outlive_the_limit_of_file_sizes() {
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
}

/// Writes to standard error unless that, too, keeps others waiting: the work may hold its lock.
fn say(text: &str) {
    let error = rustix::stdio::stderr();
    let mut there = [PollFd::new(&error, PollFlags::OUT)];
    if rustix::event::poll(&mut there, Some(&Timespec::default())) == Ok(1) {
        let _ = rustix::io::write(error, text.as_bytes());
    }
}
