//! One gzip member at a time, with the exact place in the compressed bytes where it ends.
//!
//! Packages and indexes are several gzip members one after the other, each with a meaning of its own and
//! hashed as it stands, compressed. So a member is read to its end and not a byte further. What a member
//! may say beside its data is held tight: a header without reserved bits, a right checksum and length, and
//! nothing hidden in the bits after the last code ([`unused_bits_are_zero`]).
//!
//! Source: RFC 1952 (gzip), RFC 1951 (deflate).

use std::io::{self, BufRead, Read};

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

use super::gzip_write;

/// The most a header's extra field, name or comment may take together, in bytes.
const MAX_HEADER: usize = 64 * 1024;
/// The checksum and length at a member's end.
const TRAILER: usize = 8;

/// Why compressed bytes are not a gzip member.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GzipError {
    /// It does not begin as a gzip member does.
    #[error("it is not gzip data, it begins with \"{}\"", .begins.escape_ascii())]
    Magic {
        /// The first bytes.
        begins: [u8; 3],
    },
    /// The header has flags that mean nothing.
    #[error("the gzip header has unknown flags ({flags:#04x})")]
    Flags {
        /// The flag byte.
        flags: u8,
    },
    /// The header's texts are too long.
    #[error("the gzip header is longer than {MAX_HEADER} bytes")]
    LongHeader,
    /// The compressed data ends too early.
    #[error("the compressed data ends too early")]
    Truncated,
    /// The compressed data is malformed.
    #[error("the compressed data is malformed: {0}")]
    Malformed(io::Error),
    /// The checksum at the end is not that of the data.
    #[error("the data has CRC-32 {got:08x}, its gzip member says {expected:08x}")]
    Checksum {
        /// What the member says.
        expected: u32,
        /// What the data has.
        got: u32,
    },
    /// The length at the end is not that of the data.
    #[error("the data has {got} bytes (modulo 2^32), its gzip member says {expected}")]
    Length {
        /// What the member says.
        expected: u32,
        /// What the data has.
        got: u32,
    },
    /// The data is larger than it may be.
    #[error("the data is larger than {limit} bytes when inflated")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The compressed bytes could not be read.
    #[error("cannot read the compressed data: {0}")]
    Read(io::Error),
}

impl GzipError {
    /// What an error met while reading through [`Member`] as a `Read` really is.
    pub fn of_io(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(gzip) => gzip,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Self::Truncated,
            Err(error)
                if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) =>
            {
                Self::Malformed(error)
            }
            Err(error) => Self::Read(error),
        }
    }
}

/// Reads the inflated bytes of one member; stops at its end, with the input directly behind it.
pub struct Member<R: BufRead> {
    decoder: Option<DeflateDecoder<R>>,
    input: Option<R>,
    crc: Crc,
    limit: u64,
    left: u64,
}

impl<R: BufRead> Member<R> {
    /// Reads the header of the member that begins here. More than `limit` inflated bytes are an error.
    pub fn open(mut input: R, limit: u64) -> Result<Self, GzipError> {
        read_header(&mut input)?;
        Ok(Self {
            decoder: Some(DeflateDecoder::new(input)),
            input: None,
            crc: Crc::new(),
            limit,
            left: limit,
        })
    }

    /// Reads what is left, and returns the input behind the member.
    pub fn finish(mut self) -> Result<R, GzipError> {
        io::copy(&mut self, &mut io::sink()).map_err(GzipError::of_io)?;
        self.input.take().ok_or(GzipError::Truncated)
    }

    fn read_inner(&mut self, buffer: &mut [u8]) -> Result<usize, GzipError> {
        let Some(decoder) = &mut self.decoder else { return Ok(0) };
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = decoder.read(buffer).map_err(GzipError::of_io)?;
        if count > 0 {
            self.crc.update(buffer.get(..count).unwrap_or_default());
            self.left =
                self.left.checked_sub(count as u64).ok_or(GzipError::TooLarge { limit: self.limit })?;
            return Ok(count);
        }
        if let Some(decoder) = self.decoder.take() {
            let mut input = decoder.into_inner();
            self.check_trailer(&mut input)?;
            self.input = Some(input);
        }
        Ok(0)
    }

    fn check_trailer(&self, input: &mut R) -> Result<(), GzipError> {
        let mut checksum = [0; 4];
        let mut length = [0; 4];
        input.read_exact(&mut checksum).map_err(GzipError::of_io)?;
        input.read_exact(&mut length).map_err(GzipError::of_io)?;
        let (expected, got) = (u32::from_le_bytes(checksum), self.crc.sum());
        if expected != got {
            return Err(GzipError::Checksum { expected, got });
        }
        let (expected, got) = (u32::from_le_bytes(length), self.crc.amount());
        if expected != got {
            return Err(GzipError::Length { expected, got });
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Member<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_inner(buffer).map_err(io::Error::other)
    }
}

/// Inflates the member that begins here into memory; `input` is directly behind it afterwards.
pub fn inflate_member(input: &mut impl BufRead, limit: u64) -> Result<Vec<u8>, GzipError> {
    let mut data = Vec::new();
    let mut member = Member::open(input, limit)?;
    member.read_to_end(&mut data).map_err(GzipError::of_io)?;
    Ok(data)
}

fn read_header(input: &mut impl BufRead) -> Result<(), GzipError> {
    const HEADER_CHECKSUM: u8 = 0b0_0010;
    const EXTRA: u8 = 0b0_0100;
    const NAME: u8 = 0b0_1000;
    const COMMENT: u8 = 0b1_0000;
    const KNOWN: u8 = HEADER_CHECKSUM | EXTRA | NAME | COMMENT;

    let [magic0, magic1, method, flags] = read_array(input)?;
    if [magic0, magic1, method] != [0x1f, 0x8b, 8] {
        return Err(GzipError::Magic { begins: [magic0, magic1, method] });
    }
    if flags & !KNOWN != 0 {
        return Err(GzipError::Flags { flags });
    }
    let _time_level_system: [u8; 6] = read_array(input)?;
    if flags & EXTRA != 0 {
        let length = u64::from(u16::from_le_bytes(read_array(input)?));
        let copied = io::copy(&mut input.by_ref().take(length), &mut io::sink()).map_err(GzipError::of_io)?;
        if copied != length {
            return Err(GzipError::Truncated);
        }
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            skip_text(input)?;
        }
    }
    if flags & HEADER_CHECKSUM != 0 {
        let _checksum: [u8; 2] = read_array(input)?;
    }
    Ok(())
}

fn read_array<const N: usize>(input: &mut impl BufRead) -> Result<[u8; N], GzipError> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes).map_err(GzipError::of_io)?;
    Ok(bytes)
}

fn skip_text(input: &mut impl BufRead) -> Result<(), GzipError> {
    let mut text = Vec::new();
    input.by_ref().take(MAX_HEADER as u64).read_until(0, &mut text).map_err(GzipError::of_io)?;
    match text.last() {
        Some(0) => Ok(()),
        _ if text.len() == MAX_HEADER => Err(GzipError::LongHeader),
        _ => Err(GzipError::Truncated),
    }
}

/// Whether the bits behind the last code of `member`, which no checksum covers, are all zero, as every
/// encoder leaves them.
///
/// The highest bit that is set in the last byte belongs to a code exactly if the data is another, or ends
/// elsewhere, without it.
pub fn unused_bits_are_zero(member: &[u8]) -> bool {
    let Some(last_at) = member.len().checked_sub(TRAILER + 1) else { return false };
    let mut changed = member.to_vec();
    let Some(last) = changed.get_mut(last_at) else { return false };
    let Some(highest) = last.checked_ilog2() else { return true };
    *last &= !(1 << highest);
    let limit = u64::try_from(member.len()).unwrap_or(u64::MAX).saturating_mul(1100);
    let mut rest = changed.as_slice();
    inflate_member(&mut rest, limit).is_err() || !rest.is_empty()
}

/// Whether `member` would be what the usual encoder makes of `data`, its inflated bytes, if one bit were
/// another.
///
/// No checksum covers how data is encoded: a match that is pointed at other zeros gives the same zeros. So a
/// damaged member can inflate to the right bytes. Alpine's signature members, all of them, are encoded as
/// zlib does at its highest level, and of such a member a changed bit is noticed here. A member that
/// another encoder made differs in more than a bit, or not at all.
pub fn is_one_bit_from_usual(member: &[u8], data: &[u8]) -> io::Result<bool> {
    let usual = gzip_write::member(data)?;
    let (Some(body), Some(usual)) = (body(member), body(&usual)) else { return Ok(false) };
    let differing: u32 = body.iter().zip(usual).map(|(a, b)| (a ^ b).count_ones()).sum();
    Ok(body.len() == usual.len() && differing == 1)
}

/// The compressed data of a member, without header and trailer.
fn body(member: &[u8]) -> Option<&[u8]> {
    let mut rest = member;
    read_header(&mut rest).ok()?;
    rest.get(..rest.len().checked_sub(TRAILER)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, GzBuilder};
    use std::io::Write as _;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder =
            GzBuilder::new().filename("name").comment("c").write(Vec::new(), Compression::best());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn members_are_split_exactly_where_they_end() {
        let (first, second) = (gzip(b"first"), gzip(&vec![7; 100_000]));
        let both = [first.clone(), second].concat();
        let mut input = both.as_slice();
        assert_eq!(inflate_member(&mut input, 5).unwrap(), b"first");
        assert_eq!(both.len() - input.len(), first.len());
        assert_eq!(inflate_member(&mut input, 100_000).unwrap().len(), 100_000);
        assert!(input.is_empty());
    }

    #[test]
    fn data_over_the_limit_is_refused() {
        let bomb = gzip(&vec![0; 1 << 20]);
        assert!(matches!(inflate_member(&mut bomb.as_slice(), 1000), Err(GzipError::TooLarge { .. })));
    }

    #[test]
    fn a_member_cut_anywhere_is_refused() {
        let whole = gzip(b"some data that is long enough to be compressed, compressed");
        for length in 0..whole.len() {
            assert!(inflate_member(&mut &whole[..length], 1000).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn a_flipped_bit_outside_the_free_header_bytes_is_noticed() {
        // Runs of zeros, as a tar has them, can be encoded in many ways.
        let text = [b"signature \x01\x02\x80".as_slice(), &[0; 90], b"0000644\0", &[0; 300], b"end"].concat();
        let plain = {
            let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
            encoder.write_all(&text).unwrap();
            encoder.finish().unwrap()
        };
        let data = inflate_member(&mut plain.as_slice(), 1000).unwrap();
        assert!(unused_bits_are_zero(&plain));
        for at in (0..plain.len()).filter(|at| !(4..10).contains(at)) {
            for bit in 0..8 {
                let mut flipped = plain.clone();
                flipped[at] ^= 1 << bit;
                let same = inflate_member(&mut flipped.as_slice(), 1000).is_ok_and(|got| got == data);
                let noticed =
                    !unused_bits_are_zero(&flipped) || is_one_bit_from_usual(&flipped, &data).unwrap();
                assert!(!same || noticed, "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn what_other_encoders_make_is_not_taken_for_damage() {
        let data = [b"a name".as_slice(), &[0; 94], b"0000644\0", &[0; 400], &[7; 512], b"tail"].concat();
        for level in 0..=9 {
            let mut encoder = GzBuilder::new().filename("name").write(Vec::new(), Compression::new(level));
            encoder.write_all(&data).unwrap();
            let member = encoder.finish().unwrap();
            assert!(!is_one_bit_from_usual(&member, &data).unwrap(), "level {level}");
        }
    }
}
