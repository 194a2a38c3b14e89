//! Emitting: the squashed image, written where it is wanted.
//!
//! Files take their names only when all outputs are complete, so a failure leaves none.

use std::io::{self, BufWriter, Write};

use super::output::{Destination, Output, OutputKind};
use super::squash::SquashError;
use crate::image::{Archive, Image, ImageError, ImageReference, Layer};
use crate::report::{Reporter, Step};
use crate::root::{AtomicFile, FileError};

/// How much is gathered before it is written.
const BUFFER: usize = 256 * 1024;

/// An image ready to be written.
pub struct Emitted<'a> {
    /// The layer as it was planned, for outputs that are the root filesystem itself.
    pub layer: &'a Layer<'a>,
    /// The image, if an output wants it: see [`OutputKind::is_compressed`].
    pub image: Option<&'a Image>,
    /// Its names.
    pub references: &'a [ImageReference],
}

/// Writes all `outputs`.
pub fn emit(emitted: &Emitted<'_>, outputs: &[Output], reporter: &dyn Reporter) -> Result<(), SquashError> {
    let mut complete = Vec::new();
    for output in outputs {
        match &output.destination {
            Destination::File(path) => {
                let mut file = AtomicFile::create(path)?;
                let mut out = BufWriter::with_capacity(BUFFER, file.file());
                emitted.write(output.kind, reporter, &mut out)?;
                out.flush().map_err(FileError::on("write", path))?;
                drop(out);
                complete.push(file);
            }
            Destination::Stdout => {
                // A pipe cannot be taken back: everything is read and checked once before the first byte.
                if emitted.image.is_none() {
                    emitted.layer.write_tar(reporter, &mut io::sink())?;
                }
                let mut out = BufWriter::with_capacity(BUFFER, io::stdout().lock());
                emitted.write(output.kind, reporter, &mut out)?;
                out.flush().map_err(|error| ImageError::Write { what: "standard output", error })?;
            }
        }
    }
    for file in complete {
        file.commit()?;
    }
    Ok(())
}

impl Emitted<'_> {
    fn write(
        &self,
        kind: OutputKind,
        reporter: &dyn Reporter,
        out: &mut impl Write,
    ) -> Result<(), SquashError> {
        match kind {
            OutputKind::Archive => {
                let image = self.image.ok_or(SquashError::NoImage)?;
                Archive::new(image, self.references)?.write(reporter, out)?;
            }
            OutputKind::Tar => {
                self.layer.write_tar(&Emitting(reporter), out)?;
            }
        }
        Ok(())
    }
}

/// Reports as emitting what is squashed and written in one.
struct Emitting<'a>(&'a dyn Reporter);

impl Reporter for Emitting<'_> {
    fn begin(&self, _step: Step, total: u64) {
        self.0.begin(Step::Emit, total);
    }

    fn advance(&self, _step: Step, amount: u64, object: &str) {
        self.0.advance(Step::Emit, amount, object);
    }

    fn end(&self, _step: Step) {
        self.0.end(Step::Emit);
    }

    fn note(&self, message: &str) {
        self.0.note(message);
    }

    fn warn(&self, message: &str) {
        self.0.warn(message);
    }

    fn interrupted(&self) -> bool {
        self.0.interrupted()
    }
}
