//! A tar as somebody stored it: plain, or compressed with gzip or zstd, whichever its first bytes say.
//!
//! gzip may be of several members and zstd of several frames; their data is one stream. The last of them ends
//! where the input ends: what is behind it is an error. What other ways of compression make is named in the
//! refusal, for it is a common mistake and no damage.
//!
//! Source: RFC 1952; RFC 8878; POSIX.1-2017, "ustar Interchange Format".

use std::io::{self, BufRead, Chain, Cursor, Read};

use super::gzip::{GzipError, Member};
use crate::kind::{Explain, Kind};

/// How many bytes are looked at to see what it is: the first block of a tar.
const HEAD: usize = 512;
/// Where a tar says what it is.
const USTAR: std::ops::Range<usize> = 257..262;

/// Why bytes are not the stored form of a tar.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecompressError {
    /// It is something else.
    #[error("it is no tar, and none compressed with gzip or zstd: it begins with \"{}\"", .begins.escape_ascii())]
    Unknown {
        /// The first bytes.
        begins: Vec<u8>,
    },
    /// It is compressed otherwise.
    #[error("it is compressed with {0}, which is not read")]
    Unsupported(&'static str),
    /// It is malformed gzip.
    #[error("it is malformed: {0}")]
    Gzip(GzipError),
    /// It is malformed zstd.
    #[error("it is malformed: the zstd data is damaged or cut off ({0})")]
    Zstd(io::Error),
    /// The data is larger than it may be.
    #[error("it is larger than {limit} bytes when inflated")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// There is something behind the compressed data.
    #[error("there is something behind the compressed data it is made of")]
    Trailing,
    /// It could not be read.
    #[error("it cannot be read: {0}")]
    Read(io::Error),
}

impl DecompressError {
    /// What an error met while reading through [`Decompressed`] as a `Read` really is.
    pub fn of_io(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(error) => error,
            Err(error) => Self::Read(error),
        }
    }
}

impl Explain for DecompressError {
    fn kind(&self) -> Kind {
        match self {
            Self::Gzip(GzipError::Read(error)) | Self::Read(error) => Kind::of_io(error),
            Self::TooLarge { .. } => Kind::Limit,
            Self::Unknown { .. } | Self::Unsupported(_) | Self::Gzip(_) | Self::Zstd(_) | Self::Trailing => {
                Kind::Integrity
            }
        }
    }
}

/// Reads the tar in `R`, which may be compressed.
pub struct Decompressed<R: BufRead> {
    state: State<Chain<Cursor<Vec<u8>>, R>>,
    limit: u64,
    left: u64,
}

enum State<R: BufRead> {
    Plain(R),
    Gzip(Member<R>),
    Zstd(Box<zstd::stream::read::Decoder<'static, R>>),
    End,
}

impl<R: BufRead> Decompressed<R> {
    /// Looks at the first bytes. More than `limit` bytes of tar are an error.
    pub fn open(mut input: R, limit: u64) -> Result<Self, DecompressError> {
        let mut head = Vec::with_capacity(HEAD);
        input.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(DecompressError::Read)?;
        let form = Form::of(&head);
        let input = Cursor::new(head).chain(input);
        let state = match form {
            Form::Tar => State::Plain(input),
            Form::Gzip => State::Gzip(Member::open(input, limit).map_err(DecompressError::Gzip)?),
            Form::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(input);
                State::Zstd(Box::new(decoder.map_err(DecompressError::Zstd)?))
            }
            Form::Other(name) => return Err(DecompressError::Unsupported(name)),
            Form::Unknown => {
                let (mut head, _) = input.into_inner();
                let begins = head.get_mut().drain(..).take(8).collect();
                return Err(DecompressError::Unknown { begins });
            }
        };
        Ok(Self { state, limit, left: limit })
    }

    fn read_inner(&mut self, buffer: &mut [u8]) -> Result<usize, DecompressError> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let count = match &mut self.state {
                State::Plain(input) => input.read(buffer).map_err(DecompressError::Read)?,
                State::Gzip(member) => {
                    member.read(buffer).map_err(|error| self.gzip_error(GzipError::of_io(error)))?
                }
                State::Zstd(decoder) => decoder.read(buffer).map_err(DecompressError::Zstd)?,
                State::End => return Ok(0),
            };
            if count > 0 {
                let left = self.left.checked_sub(count as u64);
                self.left = left.ok_or(DecompressError::TooLarge { limit: self.limit })?;
                return Ok(count);
            }
            if !self.next_member()? {
                return Ok(0);
            }
        }
    }

    /// Goes on to the member behind the one that has ended, if there is one.
    fn next_member(&mut self) -> Result<bool, DecompressError> {
        let State::Gzip(member) = std::mem::replace(&mut self.state, State::End) else { return Ok(false) };
        let mut input = member.finish().map_err(|error| self.gzip_error(error))?;
        match input.fill_buf().map_err(DecompressError::Read)?.first() {
            None => return Ok(false),
            Some(0x1f) => {}
            Some(_) => return Err(DecompressError::Trailing),
        }
        let member = Member::open(input, self.left).map_err(|error| self.gzip_error(error))?;
        self.state = State::Gzip(member);
        Ok(true)
    }

    fn gzip_error(&self, error: GzipError) -> DecompressError {
        match error {
            GzipError::TooLarge { .. } => DecompressError::TooLarge { limit: self.limit },
            error => DecompressError::Gzip(error),
        }
    }
}

impl<R: BufRead> Read for Decompressed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_inner(buffer).map_err(io::Error::other)
    }
}

/// What the first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Tar,
    Gzip,
    Zstd,
    Other(&'static str),
    Unknown,
}

impl Form {
    fn of(head: &[u8]) -> Self {
        // An archive without entries is nothing but zeros.
        let is_tar =
            head.get(USTAR) == Some(b"ustar") || (head.len() == HEAD && head.iter().all(|byte| *byte == 0));
        match head {
            _ if is_tar => Self::Tar,
            [0x1f, 0x8b, ..] => Self::Gzip,
            // A frame, or one that is to be skipped, with which parallel compressors begin.
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Other("xz"),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Other("bzip2"),
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::gzip_write;
    use crate::archive::tar_write::{END, Entry, EntryKind};

    const LIMIT: u64 = 1 << 20;

    fn tar() -> Vec<u8> {
        let mut tar = Vec::new();
        Entry::new("a", EntryKind::Fifo).append_head(&mut tar).unwrap();
        tar.extend(END);
        tar
    }

    fn zstd(data: &[u8]) -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.include_checksum(true).unwrap();
        io::Write::write_all(&mut encoder, data).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: &[u8], limit: u64) -> Result<Vec<u8>, DecompressError> {
        let mut data = Vec::new();
        Decompressed::open(bytes, limit)?.read_to_end(&mut data).map_err(DecompressError::of_io)?;
        Ok(data)
    }

    #[test]
    fn every_stored_form_reads_back_in_one_piece_or_several() {
        let tar = tar();
        let (one, two) = tar.split_at(700);
        let gzip = |data| gzip_write::member(data).unwrap();
        let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"xyz"].concat();
        for (name, stored) in [
            ("plain", tar.clone()),
            ("gzip", gzip(&tar)),
            ("gzip of members", [gzip(one), gzip(b""), gzip(two)].concat()),
            ("zstd", zstd(&tar)),
            ("zstd of frames", [skipped, zstd(one), zstd(b""), zstd(two)].concat()),
        ] {
            assert_eq!(read(&stored, LIMIT).unwrap(), tar, "{name}");
        }
    }

    #[test]
    fn an_archive_without_entries_is_one() {
        assert_eq!(read(END, LIMIT).unwrap(), END);
        assert!(matches!(read(&END[..100], LIMIT), Err(DecompressError::Unknown { .. })));
    }

    #[test]
    fn what_is_cut_off_or_goes_on_is_refused() {
        let tar = tar();
        for stored in [gzip_write::member(&tar).unwrap(), zstd(&tar)] {
            for length in 0..stored.len() {
                assert!(read(&stored[..length], LIMIT).is_err(), "cut at {length}");
            }
            for behind in [&b"\0"[..], b"text", &tar] {
                let error = read(&[&stored, behind].concat(), LIMIT).unwrap_err();
                assert_eq!(error.kind(), Kind::Integrity, "{error}");
            }
        }
    }

    #[test]
    fn a_flipped_bit_of_compressed_data_is_refused_or_changes_nothing() {
        let tar = tar();
        for stored in [gzip_write::member(&tar).unwrap(), zstd(&tar)] {
            for at in 0..stored.len() {
                let mut flipped = stored.clone();
                flipped[at] ^= 1;
                assert!(read(&flipped, LIMIT).map_or(true, |data| data == tar), "byte {at}");
            }
        }
    }

    #[test]
    fn more_than_the_limit_is_refused_whatever_the_form() {
        let tar = tar();
        let gzip = gzip_write::member(&tar).unwrap();
        for stored in [tar.clone(), gzip.clone(), [&gzip[..], &gzip].concat(), zstd(&tar)] {
            let limit = tar.len() as u64 - 1;
            let error = read(&stored, limit).unwrap_err();
            assert_eq!(error.kind(), Kind::Limit, "{error}");
            assert_eq!(error.to_string(), format!("it is larger than {limit} bytes when inflated"));
        }
    }

    #[test]
    fn other_forms_are_named() {
        let message = |bytes: &[u8]| read(bytes, LIMIT).unwrap_err().to_string();
        assert_eq!(message(b"\xfd7zXZ\0\0"), "it is compressed with xz, which is not read");
        assert_eq!(message(b"BZh91AY"), "it is compressed with bzip2, which is not read");
        assert_eq!(
            message(b"<html><head>"),
            "it is no tar, and none compressed with gzip or zstd: it begins with \"<html><h\""
        );
    }
}
