//! Writing one gzip member.
//!
//! The bytes depend on the data alone, not on the pieces it is written in: the deflater is always given
//! exactly [`CHUNK`] bytes, the last time fewer, and an output buffer that holds whatever can become of
//! them. Given other pieces it would cut its blocks elsewhere. The header is constant: no name, no time,
//! unknown system.
//!
//! Packages and indexes are made with it, whose members must each be one. Layers are cut in members
//! compressed on all cores by [`super::chunked`].
//!
//! Source: RFC 1952.

use std::io::{self, Write};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// How much the deflater is given at a time, in bytes. Part of the format: another number, other bytes.
const CHUNK: usize = 1 << 20;
/// Room for what can become of a chunk, and of what the deflater held back before it.
const ROOM: usize = 2 * CHUNK;
/// RFC 1952: magic, deflate, no flags, no time, slowest compression, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 0xff];

/// Compresses what is written to it into one gzip member.
pub struct MemberWriter<W> {
    out: W,
    deflater: Compress,
    crc: Crc,
    chunk: Vec<u8>,
    room: Vec<u8>,
}

impl<W: Write> MemberWriter<W> {
    /// Begins a member.
    pub fn new(mut out: W) -> io::Result<Self> {
        out.write_all(&HEADER)?;
        Ok(Self {
            out,
            deflater: Compress::new(Compression::best(), false),
            crc: Crc::new(),
            chunk: Vec::new(),
            room: vec![0; ROOM],
        })
    }

    /// Ends the member; nothing is complete before.
    pub fn finish(mut self) -> io::Result<W> {
        self.deflate(FlushCompress::Finish)?;
        self.out.write_all(&self.crc.sum().to_le_bytes())?;
        self.out.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(self.out)
    }

    /// Deflates the chunk.
    fn deflate(&mut self, flush: FlushCompress) -> io::Result<()> {
        self.crc.update(&self.chunk);
        let mut rest = self.chunk.as_slice();
        loop {
            let (taken, made) = (self.deflater.total_in(), self.deflater.total_out());
            let status = self.deflater.compress(rest, &mut self.room, flush).map_err(io::Error::other)?;
            let taken = difference(self.deflater.total_in(), taken);
            let made = difference(self.deflater.total_out(), made);
            rest = rest.get(taken..).unwrap_or_default();
            self.out.write_all(self.room.get(..made).unwrap_or_default())?;
            let is_done = match flush {
                FlushCompress::Finish => status == Status::StreamEnd,
                _ => rest.is_empty(),
            };
            if is_done {
                self.chunk.clear();
                return Ok(());
            }
            if taken == 0 && made == 0 {
                return Err(io::Error::other("the deflater has stopped"));
            }
        }
    }
}

fn difference(after: u64, before: u64) -> usize {
    usize::try_from(after - before).unwrap_or(usize::MAX)
}

impl<W: Write> Write for MemberWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        if self.chunk.len() == CHUNK {
            self.deflate(FlushCompress::None)?;
        }
        Ok(taken)
    }

    /// Does nothing: flushing would change the bytes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `data` as one gzip member.
pub fn member(data: &[u8]) -> io::Result<Vec<u8>> {
    let mut writer = MemberWriter::new(Vec::new())?;
    writer.write_all(data)?;
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::gzip::{inflate_member, unused_bits_are_zero};

    /// Bytes that compress somewhat, from a fixed generator.
    fn data(length: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 59) as u8
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn a_member_reads_back_whatever_its_length() {
        for length in [0, 1, 511, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 17] {
            let data = data(length);
            let member = member(&data).unwrap();
            let mut rest = member.as_slice();
            assert!(inflate_member(&mut rest, length as u64).unwrap() == data, "{length}");
            assert!(rest.is_empty());
            assert!(unused_bits_are_zero(&member));
        }
    }

    #[test]
    fn the_pieces_written_do_not_change_the_bytes() {
        let data = data(2 * CHUNK + 12_345);
        let whole = member(&data).unwrap();
        for piece in [7_777, 65_536, CHUNK - 1] {
            let mut writer = MemberWriter::new(Vec::new()).unwrap();
            for part in data.chunks(piece) {
                writer.write_all(part).unwrap();
            }
            assert!(writer.finish().unwrap() == whole, "{piece}");
        }
    }
}
