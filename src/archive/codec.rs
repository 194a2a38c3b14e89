//! How a chunk is compressed: into one gzip member or one zstd frame, always to the same bytes.
//!
//! A chunk is compressed by *one* call into an output buffer of sufficient size: given smaller buffers the
//! deflater cuts its blocks elsewhere. Nor is an encoder used twice. The header of a gzip member is constant:
//! no name, no time, unknown system. The encoders are pinned, and tests hold what they make against recorded
//! digests.
//!
//! Source: design, "Bytes"; RFC 1952; RFC 8878.

use std::fmt;
use std::io;
use std::ops::RangeInclusive;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use crate::kind::{Explain, Kind};

/// RFC 1952: magic, deflate, no flags, no time, no hint, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// The checksum and length at a member's end.
const TRAILER: usize = 8;

/// A way to compress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// gzip, which everything reads.
    Gzip,
    /// zstd, which is smaller and faster to read.
    Zstd,
}

impl Algorithm {
    /// Its name, in media types too.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }

    /// The levels it has, from the fastest to the smallest.
    pub const fn levels(self) -> RangeInclusive<u8> {
        match self {
            Self::Gzip => 0..=9,
            Self::Zstd => 1..=22,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A level that an algorithm does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{algorithm} has no level {level}, but {} to {}", .algorithm.levels().start(), .algorithm.levels().end())]
pub struct NoSuchLevel {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The level that was asked for.
    pub level: u8,
}

/// An algorithm at a level that it has. The same codec gives the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Codec {
    algorithm: Algorithm,
    level: u8,
}

impl Codec {
    /// gzip at its usual level.
    pub const GZIP: Self = Self { algorithm: Algorithm::Gzip, level: 6 };
    /// zstd at its usual level.
    pub const ZSTD: Self = Self { algorithm: Algorithm::Zstd, level: 3 };

    /// `algorithm` at `level`.
    pub fn new(algorithm: Algorithm, level: u8) -> Result<Self, NoSuchLevel> {
        if algorithm.levels().contains(&level) {
            Ok(Self { algorithm, level })
        } else {
            Err(NoSuchLevel { algorithm, level })
        }
    }

    /// The algorithm.
    pub const fn algorithm(self) -> Algorithm {
        self.algorithm
    }

    /// Compresses all of `input` into the beginning of `output`, which is made longer where it has to be, and
    /// returns how many bytes that are.
    pub fn compress(self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, CompressError> {
        match self.algorithm {
            Algorithm::Gzip => self.gzip(input, output),
            Algorithm::Zstd => self.zstd(input, output),
        }
    }

    fn gzip(self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, CompressError> {
        let length = input.len();
        make_room(output, HEADER.len() + zlib_rs::compress_bound(length) + TRAILER);
        let (header, rest) = output.split_at_mut(HEADER.len());
        header.copy_from_slice(&HEADER);

        let mut deflater = Compress::new(Compression::new(self.level.into()), false);
        let status = deflater
            .compress(input, rest, FlushCompress::Finish)
            .map_err(|error| CompressError::Deflate { length, error })?;
        let made = usize::try_from(deflater.total_out()).unwrap_or(usize::MAX);
        let trailer = rest.get_mut(made..).and_then(<[u8]>::first_chunk_mut::<TRAILER>);
        match (status, trailer) {
            (Status::StreamEnd, Some(trailer)) => *trailer = trailer_of(input),
            _ => return Err(CompressError::Unfinished { length }),
        }
        Ok(HEADER.len() + made + TRAILER)
    }

    fn zstd(self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, CompressError> {
        let length = input.len();
        make_room(output, zstd::zstd_safe::compress_bound(length));
        let failed = |error| CompressError::Zstd { length, error };
        let mut encoder = zstd::bulk::Compressor::new(self.level.into()).map_err(failed)?;
        encoder.compress_to_buffer(input, output.as_mut_slice()).map_err(failed)
    }
}

/// New bytes are zeroed by the system, page by page as they are used: the worst case is address space only.
fn make_room(output: &mut Vec<u8>, worst: usize) {
    if output.len() < worst {
        *output = vec![0; worst];
    }
}

fn trailer_of(input: &[u8]) -> [u8; TRAILER] {
    let mut crc = Crc::new();
    crc.update(input);
    let mut trailer = [0; TRAILER];
    let (sum, length) = trailer.split_at_mut(4);
    sum.copy_from_slice(&crc.sum().to_le_bytes());
    length.copy_from_slice(&crc.amount().to_le_bytes());
    trailer
}

/// Why a stream could not be compressed. None of these is the fault of the data.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompressError {
    /// A chunk does not fit where its worst case should.
    #[error("compressing {length} bytes did not end where it must")]
    Unfinished {
        /// The chunk's length, in bytes.
        length: usize,
    },
    /// The deflater refused to work.
    #[error("cannot deflate {length} bytes: {error}")]
    Deflate {
        /// The chunk's length, in bytes.
        length: usize,
        /// What it said.
        error: flate2::CompressError,
    },
    /// The zstd encoder refused to work.
    #[error("cannot compress {length} bytes with zstd: {error}")]
    Zstd {
        /// The chunk's length, in bytes.
        length: usize,
        /// What it said.
        error: io::Error,
    },
    /// The encoder broke off by a panic, whose message is on standard error.
    #[error("the encoder broke off")]
    Panicked,
    /// The system gives no thread.
    #[error("cannot start a thread for compression: {0}")]
    Thread(io::Error),
}

impl Explain for CompressError {
    fn kind(&self) -> Kind {
        match self {
            Self::Unfinished { .. } | Self::Deflate { .. } | Self::Zstd { .. } | Self::Panicked => {
                Kind::Internal
            }
            Self::Thread(_) => Kind::Limit,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unfinished { .. } | Self::Deflate { .. } | Self::Zstd { .. } | Self::Panicked => None,
            Self::Thread(_) => Some("use fewer threads with --jobs".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::archive::chunked::CHUNK;

    /// Bytes that nothing makes shorter.
    fn noise() -> Vec<u8> {
        let mut state: u64 = 88_172_645_463_325_252;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[4]
        };
        (0..CHUNK).map(|_| next()).collect()
    }

    fn codecs() -> impl Iterator<Item = Codec> {
        let of =
            |algorithm: Algorithm| algorithm.levels().map(move |level| Codec::new(algorithm, level).unwrap());
        of(Algorithm::Gzip).chain(of(Algorithm::Zstd))
    }

    fn inflated(codec: Codec, bytes: &[u8]) -> Vec<u8> {
        let mut inflated = Vec::new();
        match codec.algorithm() {
            Algorithm::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut inflated).unwrap(),
            Algorithm::Zstd => zstd::Decoder::new(bytes).unwrap().read_to_end(&mut inflated).unwrap(),
        };
        inflated
    }

    #[test]
    fn noise_fits_at_every_level_where_the_worst_case_should_and_reads_back() {
        let noise = noise();
        let mut output = Vec::new();
        for codec in codecs() {
            let length = codec.compress(&noise, &mut output).unwrap();
            assert!(inflated(codec, &output[..length]) == noise, "{codec:?}");
        }
    }

    #[test]
    fn what_a_buffer_was_used_for_before_changes_no_byte() {
        let mut used = Vec::new();
        for codec in codecs() {
            let before = codec.compress(&noise(), &mut used).unwrap();
            let length = codec.compress(b"text, text, text", &mut used).unwrap();
            let mut new = Vec::new();
            assert_eq!(codec.compress(b"text, text, text", &mut new).unwrap(), length);
            assert!(used[..length] == new[..length] && length < before, "{codec:?}");
        }
    }

    #[test]
    fn levels_that_there_are_not_are_refused_in_words() {
        let message = |algorithm, level| Codec::new(algorithm, level).unwrap_err().to_string();
        assert_eq!(message(Algorithm::Gzip, 10), "gzip has no level 10, but 0 to 9");
        assert_eq!(message(Algorithm::Zstd, 0), "zstd has no level 0, but 1 to 22");
        assert_eq!(message(Algorithm::Zstd, 23), "zstd has no level 23, but 1 to 22");
    }
}
