//! What the library tells whoever runs it while it works: steps, progress, notes and warnings.
//!
//! The library prints nothing. The command line implements [`Reporter`] with progress bars; a program
//! that needs none uses [`Silent`].

use std::fmt;

/// A step of the pipeline, in the words a user knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// Reading and verifying indexes.
    Indexes,
    /// Fetching and verifying packages and the base.
    Fetch,
    /// Placing packages in the tree.
    Stage,
    /// Compressing the layer.
    Squash,
    /// Writing the outputs.
    Emit,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Indexes => "indexes",
            Self::Fetch => "fetch",
            Self::Stage => "stage",
            Self::Squash => "squash",
            Self::Emit => "emit",
        })
    }
}

/// Receives what happens. All methods do nothing by default; calls come from several threads.
pub trait Reporter: Send + Sync {
    /// `step` begins; `total` is how much there is to do, in bytes or pieces.
    fn begin(&self, step: Step, total: u64) {
        let _ = (step, total);
    }

    /// `amount` more of `step` is done; `object` is what it was about.
    fn advance(&self, step: Step, amount: u64, object: &str) {
        let _ = (step, amount, object);
    }

    /// Of `step`, the file `object` begins to come; it has `total` bytes, if that is known. Of [`Step::Stage`] it is a
    /// script that begins to run.
    fn begin_file(&self, step: Step, object: &str, total: Option<u64>) {
        let _ = (step, object, total);
    }

    /// `amount` more bytes of the file `object` came; or 0 where time passes.
    fn advance_file(&self, step: Step, amount: u64, object: &str) {
        let _ = (step, amount, object);
    }

    /// The file `object` came, or does not come any more; the script is over.
    fn end_file(&self, step: Step, object: &str) {
        let _ = (step, object);
    }

    /// `step` is over. One that failed does not end.
    fn end(&self, step: Step) {
        let _ = step;
    }

    /// A program that runs in the image, called `program` (`name-version.post-install`), printed `line`.
    fn output(&self, program: &str, line: &str) {
        let _ = (program, line);
    }

    /// Something worth knowing that is no fault.
    fn note(&self, message: &str) {
        let _ = message;
    }

    /// Something that may be a fault, though the work goes on.
    fn warn(&self, message: &str) {
        let _ = message;
    }

    /// Whether the user asked to stop. Long work asks now and then and ends with an error of kind
    /// [`crate::kind::Kind::Interrupted`].
    fn interrupted(&self) -> bool {
        false
    }
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Reporter for Silent {}
