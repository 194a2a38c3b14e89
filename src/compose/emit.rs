//! Emitting: the squashed images, written where they are wanted.
//!
//! Files and directories take their names only when all outputs are complete, so a failure leaves none.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::FileType;
use rustix::io::Errno;

use super::output::{Destination, ImageForm, Output, OutputKind};
use super::squash::SquashError;
use crate::arch::Arch;
use crate::digest::{Sha256, Sha256Hasher};
use crate::image::{
    Archive, Dockerfile, Image, ImageConfig, ImageError, ImageReference, Layer, Layout, Lost, ROOTFS,
};
use crate::report::{Reporter, Step};
use crate::root::{AtomicDirectory, AtomicFile, DirectoryWriter, FileError};

/// How much is gathered before it is written.
const BUFFER: usize = 256 * 1024;
/// What `docker build` reads first.
const DOCKERFILE: &str = "Dockerfile";

/// What is ready to be written.
pub struct Emitted<'a> {
    /// One for each architecture. Outputs that hold a root filesystem hold the first one's.
    pub architectures: Vec<EmittedArch<'a>>,
    /// The names of the image.
    pub references: &'a [ImageReference],
}

/// What is ready to be written for one architecture.
pub struct EmittedArch<'a> {
    /// The architecture.
    pub arch: Arch,
    /// The layer as it was planned, for outputs that are the root filesystem itself.
    pub layer: &'a Layer<'a>,
    /// What the image is configured to do.
    pub config: &'a ImageConfig,
    /// The image in every form that an output wants.
    pub images: BTreeMap<ImageForm, Image>,
}

/// What was written to an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// By which digest the image is known in it: of the manifest, or of the list of several architectures'.
    pub manifest: Option<Sha256>,
    /// The digest of the file, if it is one file.
    pub sha256: Option<Sha256>,
}

/// Something complete that does not have its name yet.
enum Complete {
    File(AtomicFile),
    Directory(AtomicDirectory),
}

/// Writes all `outputs`, and says of each what it is.
pub fn emit(
    emitted: &Emitted<'_>,
    outputs: &[Output],
    reporter: &dyn Reporter,
) -> Result<Vec<Written>, SquashError> {
    let mut complete = Vec::new();
    let mut written = Vec::new();
    for output in outputs {
        written.push(match &output.destination {
            Destination::Path(path) if output.kind.is_directory() => {
                let directory = AtomicDirectory::create(path)?;
                let written = emitted.write_directory(output, &directory, reporter)?;
                complete.push(Complete::Directory(directory));
                written
            }
            Destination::Path(path) => {
                let mut file = AtomicFile::create(path)?;
                let mut out = BufWriter::with_capacity(BUFFER, file.file());
                let written = emitted.write_file(output, reporter, &mut out)?;
                out.flush().map_err(FileError::on("write", path))?;
                drop(out);
                complete.push(Complete::File(file));
                written
            }
            Destination::Stdout => {
                // A pipe cannot be taken back: everything is read and checked once before the first byte.
                if output.kind.image_form().is_none() {
                    emitted.first()?.layer.write_tar(reporter, &mut io::sink())?;
                }
                let mut out = BufWriter::with_capacity(BUFFER, StandardOutput::new(reporter));
                let written = emitted.write_file(output, reporter, &mut out).and_then(|written| {
                    let destination = output.destination.to_string();
                    out.flush().map_err(|error| SquashError::Write { destination, error })?;
                    Ok(written)
                });
                // Nobody is going to read what is left in the buffer.
                drop(out.into_parts());
                written.map_err(|error| {
                    let interrupted = || ImageError::Interrupted { what: "the output" }.into();
                    if reporter.interrupted() { interrupted() } else { error }
                })?
            }
        });
    }
    for complete in complete {
        match complete {
            Complete::File(file) => file.commit()?,
            Complete::Directory(directory) => directory.commit()?,
        }
    }
    Ok(written)
}

/// Standard output, for much data. Its reader may stop reading; the wait for it ends when the user asks to stop.
struct StandardOutput<'a> {
    reporter: &'a dyn Reporter,
    /// How much may be written at a time without a further wait.
    most: usize,
}

impl<'a> StandardOutput<'a> {
    /// What a pipe takes at once if it takes anything (pipe(7), `PIPE_BUF`).
    const OF_A_PIPE: usize = 4096;
    /// How often is looked whether the user wants to stop.
    const GLANCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

    fn new(reporter: &'a dyn Reporter) -> Self {
        let status = rustix::fs::fstat(rustix::stdio::stdout());
        let is_file =
            status.is_ok_and(|status| FileType::from_raw_mode(status.st_mode) == FileType::RegularFile);
        Self { reporter, most: if is_file { BUFFER } else { Self::OF_A_PIPE } }
    }
}

impl Write for StandardOutput<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let out = rustix::stdio::stdout();
        loop {
            if self.reporter.interrupted() {
                return Err(io::Error::other("interrupted"));
            }
            let mut there = [PollFd::new(&out, PollFlags::OUT)];
            match rustix::event::poll(&mut there, Some(&Self::GLANCE)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(rustix::io::write(out, bytes.get(..self.most).unwrap_or(bytes))?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> Emitted<'a> {
    fn first(&self) -> Result<&EmittedArch<'a>, SquashError> {
        self.architectures.first().ok_or(SquashError::NoImage)
    }

    /// The layout of the images in a form, and the one that Docker's own list has: this machine's, as that is
    /// where it will most likely be loaded, else the first.
    fn layout(&self, form: ImageForm) -> Result<(Layout, &Image), SquashError> {
        let images: Vec<Image> =
            self.architectures.iter().filter_map(|arch| arch.images.get(&form).cloned()).collect();
        let (first, others) = images.split_first().ok_or(SquashError::NoImage)?;
        let layout = Layout::new(first, others, self.references)?;
        let ours = Arch::of_this_machine();
        let loaded =
            self.architectures.iter().find(|arch| Some(arch.arch) == ours).or(self.architectures.first());
        let loaded = loaded.and_then(|arch| arch.images.get(&form)).ok_or(SquashError::NoImage)?;
        Ok((layout, loaded))
    }

    fn write_file(
        &self,
        output: &Output,
        reporter: &dyn Reporter,
        out: &mut impl Write,
    ) -> Result<Written, SquashError> {
        let named = |error| named(error, &output.destination);
        match output.kind {
            OutputKind::Archive(form) => {
                let (layout, loaded) = self.layout(form)?;
                let mut hashing = Hashing { out, hasher: Sha256Hasher::default() };
                Archive::new(&layout, loaded, self.references)?
                    .write(reporter, &mut hashing)
                    .map_err(named)?;
                Ok(Written { manifest: Some(layout.digest()), sha256: Some(hashing.hasher.finish()) })
            }
            OutputKind::Tar => {
                let diff_id = self.first()?.layer.write_tar(&Emitting(reporter), out).map_err(named)?;
                Ok(Written { sha256: Some(diff_id.0), ..Written::default() })
            }
            OutputKind::Oci(_) | OutputKind::Local | OutputKind::Dockerfile => Err(SquashError::NoImage),
        }
    }

    fn write_directory(
        &self,
        output: &Output,
        directory: &AtomicDirectory,
        reporter: &dyn Reporter,
    ) -> Result<Written, SquashError> {
        let mut out = directory.writer()?;
        match output.kind {
            OutputKind::Oci(form) => {
                let (layout, _) = self.layout(form)?;
                layout.write_directory(reporter, &mut out)?;
                Ok(Written { manifest: Some(layout.digest()), ..Written::default() })
            }
            OutputKind::Local => {
                let lost = self.first()?.layer.write_directory(reporter, &mut out)?;
                warn_of_lost(lost, &output.destination, reporter);
                Ok(Written::default())
            }
            OutputKind::Dockerfile => {
                let arch = self.first()?;
                let text = Dockerfile::of(arch.config)?.to_string();
                let whole = out.path().join(DOCKERFILE);
                write_all(&mut out, DOCKERFILE, |file| {
                    Ok(file.write_all(text.as_bytes()).map_err(FileError::on("write", &whole))?)
                })?;
                write_all(&mut out, ROOTFS, |file| {
                    let written = arch.layer.write_tar(&Emitting(reporter), file);
                    written.map(drop).map_err(|error| named(error, &output.destination))
                })?;
                Ok(Written::default())
            }
            OutputKind::Archive(_) | OutputKind::Tar => Err(SquashError::NoImage),
        }
    }
}

/// Makes the file `name` and lets `write` fill it.
fn write_all(
    out: &mut DirectoryWriter,
    name: &str,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<(), SquashError>,
) -> Result<(), SquashError> {
    let mut file = BufWriter::with_capacity(BUFFER, out.file(name)?);
    write(&mut file)?;
    Ok(file.flush().map_err(FileError::on("write", &out.path().join(name)))?)
}

/// Says of a failure to write, which the image knows only as that, where it was.
fn named(error: ImageError, destination: &Destination) -> SquashError {
    match error {
        ImageError::Write { error, .. } => SquashError::Write { destination: destination.to_string(), error },
        other => SquashError::Image(other),
    }
}

/// Says once what of a root filesystem only root could have made.
fn warn_of_lost(lost: Lost, destination: &Destination, reporter: &dyn Reporter) {
    let count = |count: usize, one: &str, several: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        count => Some(format!("{count} {several}")),
    };
    let parts: Vec<String> = [
        count(
            lost.owners,
            "file, directory or link belongs to you and not to its owner",
            "files, directories and links belong to you and not to their owners",
        ),
        count(
            lost.set_ids,
            "of them lost its set-user-ID or set-group-ID bit",
            "of them lost their set-user-ID or set-group-ID bits",
        ),
        count(lost.attributes, "extended attribute is missing", "extended attributes are missing"),
        count(lost.devices, "device is missing", "devices are missing"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !parts.is_empty() {
        reporter.warn(&format!(
            "{destination} lacks what only root can make, on a file system that keeps it: {}",
            parts.join("; ")
        ));
    }
}

/// Hashes what passes through.
struct Hashing<'a, W> {
    out: &'a mut W,
    hasher: Sha256Hasher,
}

impl<W: Write> Write for Hashing<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
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
