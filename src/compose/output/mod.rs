//! Where an image goes, and in which form.
//!
//! An output is a kind with its options and a destination, written as buildx writes it:
//! `type=archive,dest=x.tar,compression=zstd`. Nothing appears under its final name before it is complete.
//!
//! Source: design, "The command line"; buildx' `--output`.

mod check;
mod error;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::archive::codec::Codec;
use crate::image::{Compression, MediaTypes};

pub use check::check;
pub use error::OutputError;

/// An output of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// In which form.
    pub kind: OutputKind,
    /// Where to.
    pub destination: Destination,
}

/// The form of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputKind {
    /// One tar that every engine loads: an OCI layout and a Docker archive at once.
    Archive(ImageForm),
    /// A directory that is an OCI layout.
    Oci(ImageForm),
    /// The root filesystem as a tar, uncompressed: for `docker import`.
    Tar,
    /// The root filesystem as a directory.
    Local,
    /// A directory that `docker build` makes the same image of.
    Dockerfile,
}

/// How an image is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageForm {
    /// In which form its layers are.
    pub compression: Compression,
    /// Under which names its parts go.
    pub media_types: MediaTypes,
}

/// gzip under OCI's names, which everything reads.
impl Default for ImageForm {
    fn default() -> Self {
        Self { compression: Compression::Compressed(Codec::GZIP), media_types: MediaTypes::Oci }
    }
}

impl OutputKind {
    /// The name on the command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Archive(_) => "archive",
            Self::Oci(_) => "oci",
            Self::Tar => "tar",
            Self::Local => "local",
            Self::Dockerfile => "dockerfile",
        }
    }

    /// How the image is stored in it; nothing if it is no image but the root filesystem.
    pub const fn image_form(self) -> Option<ImageForm> {
        match self {
            Self::Archive(form) | Self::Oci(form) => Some(form),
            Self::Tar | Self::Local | Self::Dockerfile => None,
        }
    }

    /// Whether it is a directory.
    pub const fn is_directory(self) -> bool {
        match self {
            Self::Oci(_) | Self::Local | Self::Dockerfile => true,
            Self::Archive(_) | Self::Tar => false,
        }
    }
}

/// Where an output goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A file or directory.
    Path(PathBuf),
    /// Standard output.
    Stdout,
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Stdout => f.write_str("standard output"),
        }
    }
}

impl FromStr for Output {
    type Err = OutputError;

    fn from_str(text: &str) -> Result<Self, OutputError> {
        if text.is_empty() {
            return Err(OutputError::NoDestination(text.to_owned()));
        }
        if !text.contains('=') {
            let kind = OutputKind::Archive(ImageForm::default());
            return Ok(Self { kind, destination: destination(text) });
        }
        let mut said = Said::default();
        for part in text.split(',') {
            said.take(part)?;
        }
        let destination =
            said.destination.take().ok_or_else(|| OutputError::NoDestination(text.to_owned()))?;
        let kind = said.kind()?;
        if kind.is_directory() && destination == Destination::Stdout {
            return Err(OutputError::DirectoryToStdout(kind.as_str()));
        }
        Ok(Self { kind, destination })
    }
}

fn destination(text: &str) -> Destination {
    if text == "-" { Destination::Stdout } else { Destination::Path(text.into()) }
}

/// What was said of an output, before it is clear what it comes to.
#[derive(Default)]
struct Said {
    kind: Kind,
    destination: Option<Destination>,
    compression: Option<Compression>,
    level: Option<u8>,
    media_types: Option<MediaTypes>,
    /// The first option that only images have.
    of_images: Option<&'static str>,
    /// Whether an OCI layout is to be a tar.
    tar: Option<bool>,
}

/// A kind of output without its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    #[default]
    Archive,
    Oci,
    Tar,
    Local,
    Dockerfile,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Archive, Self::Oci, Self::Tar, Self::Local, Self::Dockerfile];

    const fn with(self, form: ImageForm) -> OutputKind {
        match self {
            Self::Archive => OutputKind::Archive(form),
            Self::Oci => OutputKind::Oci(form),
            Self::Tar => OutputKind::Tar,
            Self::Local => OutputKind::Local,
            Self::Dockerfile => OutputKind::Dockerfile,
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.with(ImageForm::default()).as_str() == name)
    }
}

impl Said {
    fn take(&mut self, part: &str) -> Result<(), OutputError> {
        let unknown = || OutputError::Key(part.to_owned());
        let (key, value) = part.split_once('=').ok_or_else(unknown)?;
        let bad = |wanted| OutputError::Value { option: part.to_owned(), wanted };
        match key {
            "type" => self.kind = Kind::named(value).ok_or_else(|| OutputError::Kind(value.to_owned()))?,
            "dest" if !value.is_empty() => self.destination = Some(destination(value)),
            "compression" => {
                self.compression = Some(match value {
                    "gzip" => Compression::Compressed(Codec::GZIP),
                    "zstd" => Compression::Compressed(Codec::ZSTD),
                    "uncompressed" => Compression::Uncompressed,
                    _ => return Err(bad("gzip, zstd or uncompressed")),
                });
                self.of_images.get_or_insert("compression");
            }
            "compression-level" => {
                self.level = Some(value.parse().map_err(|_| bad("a number"))?);
                self.of_images.get_or_insert("compression-level");
            }
            "oci-mediatypes" => {
                let is_oci = boolean(value).ok_or_else(|| bad("true or false"))?;
                self.media_types = Some(if is_oci { MediaTypes::Oci } else { MediaTypes::Docker });
                self.of_images.get_or_insert("oci-mediatypes");
            }
            "tar" => self.tar = Some(boolean(value).ok_or_else(|| bad("true or false"))?),
            _ => return Err(unknown()),
        }
        Ok(())
    }

    fn kind(&self) -> Result<OutputKind, OutputError> {
        let form = self.form()?;
        let kind = self.kind.with(form);
        let not_of_it = |option| OutputError::NotOfKind { option, kind: kind.as_str() };
        match (self.tar, self.kind) {
            (Some(true), Kind::Oci) => return Err(OutputError::OciTar),
            (Some(_), Kind::Archive | Kind::Tar | Kind::Local | Kind::Dockerfile) => {
                return Err(not_of_it("tar"));
            }
            (Some(false), Kind::Oci) | (None, _) => {}
        }
        if self.kind == Kind::Oci && form.media_types == MediaTypes::Docker {
            return Err(OutputError::OciOfDocker);
        }
        match (self.of_images, kind.image_form()) {
            (Some(option), None) => Err(not_of_it(option)),
            _ => Ok(kind),
        }
    }

    fn form(&self) -> Result<ImageForm, OutputError> {
        let media_types = self.media_types.unwrap_or_default();
        let usual = self.compression.unwrap_or(ImageForm::default().compression);
        let compression = match (usual, self.level) {
            (usual, None) => usual,
            (Compression::Uncompressed, Some(_)) => return Err(OutputError::LevelOfNothing),
            (Compression::Compressed(codec), Some(level)) => {
                Compression::Compressed(Codec::new(codec.algorithm(), level)?)
            }
        };
        if media_types.layer(compression.algorithm()).is_none() {
            return Err(OutputError::DockerZstd);
        }
        Ok(ImageForm { compression, media_types })
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// The directory a file is in; `.` for a bare name.
pub fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Where temporary files of a build go: beside the first output that is written; for pipes, where all do.
pub fn spool_directory(outputs: &[Output]) -> PathBuf {
    let beside = outputs.iter().find_map(|output| match &output.destination {
        Destination::Path(path) => Some(directory_of(path).to_owned()),
        Destination::Stdout => None,
    });
    beside.unwrap_or_else(std::env::temp_dir)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::codec::Algorithm;

    fn parsed(text: &str) -> Output {
        text.parse().unwrap()
    }

    fn error(text: &str) -> OutputError {
        text.parse::<Output>().unwrap_err()
    }

    fn form(text: &str) -> ImageForm {
        parsed(text).kind.image_form().unwrap()
    }

    #[test]
    fn outputs_are_written_as_buildx_writes_them() {
        let archive = |path: &str| Output {
            kind: OutputKind::Archive(ImageForm::default()),
            destination: Destination::Path(path.into()),
        };
        assert_eq!(parsed("x.tar"), archive("x.tar"));
        assert_eq!(parsed("type=archive,dest=x.tar"), archive("x.tar"));
        assert_eq!(parsed("dest=x.tar,compression=gzip,oci-mediatypes=true"), archive("x.tar"));
        let stdout = Output { kind: OutputKind::Tar, destination: Destination::Stdout };
        assert_eq!(parsed("type=tar,dest=-"), stdout);
        for name in ["archive", "oci", "tar", "local", "dockerfile"] {
            assert_eq!(parsed(&format!("type={name},dest=x")).kind.as_str(), name);
        }
        assert_eq!(parsed("type=oci,tar=false,dest=x"), parsed("type=oci,dest=x"));
        assert_eq!(error("type=zip,dest=x"), OutputError::Kind("zip".to_owned()));
        assert_eq!(error("type=tar"), OutputError::NoDestination("type=tar".to_owned()));
        assert_eq!(error("dest="), OutputError::Key("dest=".to_owned()));
        assert_eq!(error("format=x,dest=y"), OutputError::Key("format=x".to_owned()));
    }

    #[test]
    fn an_image_is_compressed_as_it_is_asked_for() {
        let compressed = |algorithm, level| Compression::Compressed(Codec::new(algorithm, level).unwrap());
        let compression = |text: &str| form(&format!("type=oci,dest=x,{text}")).compression;
        assert_eq!(compression("compression=zstd"), compressed(Algorithm::Zstd, 3));
        assert_eq!(compression("compression=zstd,compression-level=19"), compressed(Algorithm::Zstd, 19));
        assert_eq!(compression("compression-level=9"), compressed(Algorithm::Gzip, 9));
        assert_eq!(compression("compression=uncompressed"), Compression::Uncompressed);
        assert_eq!(form("dest=x,oci-mediatypes=false").media_types, MediaTypes::Docker);
    }

    #[test]
    fn options_that_contradict_each_other_or_the_kind_are_refused() {
        let refused = |text: &str| error(&format!("dest=x,{text}")).to_string();
        insta::assert_snapshot!(
            [
                "compression=xz",
                "compression=gzip,compression-level=high",
                "compression=gzip,compression-level=10",
                "compression=uncompressed,compression-level=1",
                "compression=zstd,oci-mediatypes=false",
                "oci-mediatypes=maybe",
                "type=tar,compression=gzip",
                "type=local,oci-mediatypes=true",
                "type=dockerfile,compression-level=3",
                "type=archive,tar=true",
                "type=oci,tar=true",
                "type=oci,oci-mediatypes=false",
                "type=oci,dest=-",
                "type=local,dest=-",
            ]
            .map(|text| format!("{text}: {}", refused(text)))
            .join("\n"),
            @r"
        compression=xz: `compression=xz` is not gzip, zstd or uncompressed
        compression=gzip,compression-level=high: `compression-level=high` is not a number
        compression=gzip,compression-level=10: gzip has no level 10, but 0 to 9
        compression=uncompressed,compression-level=1: compression-level says nothing about layers that are not compressed
        compression=zstd,oci-mediatypes=false: oci-mediatypes=false and compression=zstd do not go together: Docker's media types have none for zstd
        oci-mediatypes=maybe: `oci-mediatypes=maybe` is not true or false
        type=tar,compression=gzip: `compression` says nothing about type=tar
        type=local,oci-mediatypes=true: `oci-mediatypes` says nothing about type=local
        type=dockerfile,compression-level=3: `compression-level` says nothing about type=dockerfile
        type=archive,tar=true: `tar` says nothing about type=archive
        type=oci,tar=true: type=oci is a directory
        type=oci,oci-mediatypes=false: type=oci has OCI's media types: skopeo and podman read no others in an OCI layout
        type=oci,dest=-: type=oci is a directory, which standard output cannot take
        type=local,dest=-: type=local is a directory, which standard output cannot take
        "
        );
    }
}
