//! What a command costs, and what several runs of it come to.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::files;

/// The cost of one run of a command with everything it started and waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    /// Seconds from start to end.
    pub(crate) wall: f64,
    /// Seconds of processor time, user and system, to a hundredth.
    pub(crate) cpu: f64,
    /// The most memory that one of its processes had resident at a time, in MiB.
    pub(crate) peak: f64,
}

/// Runs `command`, whose output is taken, and gives what it cost; or what it said if it failed. `notes` is a file
/// that may be written.
///
/// It is run by GNU time, which is small: a process inherits the peak of the one it was forked from.
pub(crate) fn measure(command: &Command, notes: &Path) -> Result<Figures, String> {
    let mut timed = Command::new("/usr/bin/time");
    timed.args(["--quiet", "--format", "%U %S %M", "--output"]).arg(notes);
    timed.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => timed.env(name, value),
            None => timed.env_remove(name),
        };
    }
    let begin = Instant::now();
    let output =
        timed.stdin(Stdio::null()).output().map_err(|error| format!("cannot run /usr/bin/time: {error}"))?;
    let wall = begin.elapsed().as_secs_f64();
    if !output.status.success() {
        return Err(format!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    let written = files::read_text(notes);
    let numbers: Vec<f64> = written.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    let [user, system, kibibytes] = numbers[..] else { return Err(format!("time wrote `{written}`")) };
    Ok(Figures { wall, cpu: user + system, peak: kibibytes / 1024.0 })
}

/// The least, the middle and the greatest of some numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    /// The least.
    pub(crate) min: f64,
    /// The middle one; of an even number the mean of the two in the middle.
    pub(crate) median: f64,
    /// The greatest.
    pub(crate) max: f64,
}

impl Spread {
    /// The spread of `numbers`, of which there is at least one.
    pub(crate) fn of(numbers: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len();
        let median = f64::midpoint(sorted[(count - 1) / 2], sorted[count / 2]);
        Self { min: sorted[0], median, max: sorted[count - 1] }
    }

    /// The spread of the ratios of `numbers` to `base`, pair by pair: what disturbed a round disturbed both.
    pub(crate) fn of_ratios(numbers: &[f64], base: &[f64]) -> Self {
        Self::of(numbers.iter().zip(base).map(|(number, base)| number / base))
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>7.3} {:>7.3} {:>7.3}", self.min, self.median, self.max)
    }
}
