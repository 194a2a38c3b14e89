//! Whether the bits of a gzip member say anything beside its data.
//!
//! Deflate has many forms of the same data, so a bit may be changed without a trace in the data, and no
//! checksum of a signature member's own covers its compressed bytes. Two such freedoms can be used by a
//! single bit: those behind the last code, and the distance of a repetition, where what is repeated stands
//! there more than once. Encoders leave the first zero and take the nearest place, whose code has the fewer
//! bits set; so a member is held to be as it was written if none of those bits is set without need. All 416
//! signature members of the real packages and indexes looked at are so, and none is any longer with one
//! bit flipped.
//!
//! Source: RFC 1951.

use super::gzip;

/// The checksum and length at a member's end.
const TRAILER: usize = 8;
/// The longest code, in bits.
const MAX_CODE: usize = 15;
/// Length codes from 257 on: the shortest length of each, and how many bits are added to it.
const LENGTHS: [(u16, u8); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];
/// Distance codes: the shortest distance of each, and how many bits are added to it.
const DISTANCES: [(u16, u8); 30] = [
    (1, 0),
    (2, 0),
    (3, 0),
    (4, 0),
    (5, 1),
    (7, 1),
    (9, 2),
    (13, 2),
    (17, 3),
    (25, 3),
    (33, 4),
    (49, 4),
    (65, 5),
    (97, 5),
    (129, 6),
    (193, 6),
    (257, 7),
    (385, 7),
    (513, 8),
    (769, 8),
    (1025, 9),
    (1537, 9),
    (2049, 10),
    (3073, 10),
    (4097, 11),
    (6145, 11),
    (8193, 12),
    (12289, 12),
    (16385, 13),
    (24577, 13),
];
/// The order in which a block states the lengths of the codes for code lengths.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Whether no bit of `member`, which inflates to `data`, is set that could be cleared without a trace.
///
/// False also for what is no member, or not of that data. Works in time proportional to `member`.
pub fn has_none(member: &[u8], data: &[u8]) -> bool {
    let Some(deflated) = gzip::behind_header(member).and_then(|rest| {
        let end = rest.len().checked_sub(TRAILER)?;
        rest.get(..end)
    }) else {
        return false;
    };
    let mut walk = Walk { bits: Bits { bytes: deflated, at: 0 }, data, position: 0 };
    walk.blocks().is_some_and(|all_needed| all_needed)
}

/// A place in a stream of bits, the lowest of each byte first.
#[derive(Clone, Copy)]
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn bit(&mut self) -> Option<u16> {
        let bit = self.bytes.get(self.at / 8)? >> (self.at % 8) & 1;
        self.at += 1;
        Some(bit.into())
    }

    fn number(&mut self, bits: u8) -> Option<u16> {
        (0..bits).try_fold(0, |number, place| Some(number | self.bit()? << place))
    }
}

/// A Huffman code, as the lengths of its codes determine it.
struct Code {
    /// How many codes there are of each length.
    counts: [u16; MAX_CODE + 1],
    /// The symbols, by code length and then by value.
    symbols: Vec<u16>,
}

impl Code {
    fn of(lengths: &[u8]) -> Option<Self> {
        let mut counts = [0; MAX_CODE + 1];
        for length in lengths {
            *counts.get_mut(usize::from(*length))? += 1;
        }
        counts[0] = 0;
        let mut symbols: Vec<u16> = (0..u16::try_from(lengths.len()).ok()?).collect();
        let length = |symbol: &u16| lengths.get(usize::from(*symbol)).copied().unwrap_or_default();
        symbols.retain(|symbol| length(symbol) > 0);
        symbols.sort_by_key(length);
        Some(Self { counts, symbols })
    }

    fn fixed() -> Option<(Self, Self)> {
        let mut lengths = [8; 288];
        lengths.get_mut(144..256)?.fill(9);
        lengths.get_mut(256..280)?.fill(7);
        Some((Self::of(&lengths)?, Self::of(&[5; 30])?))
    }

    fn symbol(&self, bits: &mut Bits<'_>) -> Option<u16> {
        let (mut code, mut first, mut index) = (0_u32, 0_u32, 0_u32);
        for count in self.counts.iter().skip(1) {
            let count = u32::from(*count);
            code |= u32::from(bits.bit()?);
            if code < first + count {
                return self.symbols.get(usize::try_from(index + code - first).ok()?).copied();
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        None
    }

    fn distance(&self, bits: &mut Bits<'_>) -> Option<usize> {
        let (base, extra) = *DISTANCES.get(usize::from(self.symbol(bits)?))?;
        Some(usize::from(base) + usize::from(bits.number(extra)?))
    }
}

/// A walk through the codes of a stream whose data is known.
struct Walk<'a> {
    bits: Bits<'a>,
    data: &'a [u8],
    position: usize,
}

impl Walk<'_> {
    /// Nothing where the stream is malformed or of other data.
    fn blocks(&mut self) -> Option<bool> {
        loop {
            let is_last = self.bits.bit()? == 1;
            let all_needed = match self.bits.number(2)? {
                0 => self.stored()?,
                1 => {
                    let (literals, distances) = Code::fixed()?;
                    self.compressed(&literals, &distances)?
                }
                2 => {
                    let (literals, distances) = self.codes()?;
                    self.compressed(&literals, &distances)?
                }
                _ => return None,
            };
            if !all_needed {
                return Some(false);
            }
            if is_last {
                break;
            }
        }
        let is_all = self.position == self.data.len() && self.bits.at.div_ceil(8) == self.bits.bytes.len();
        Some(is_all && self.padding()?)
    }

    /// Goes to the next byte; whether the bits passed over are zero.
    fn padding(&mut self) -> Option<bool> {
        let left = self.bits.at.next_multiple_of(8) - self.bits.at;
        Some(self.bits.number(u8::try_from(left).ok()?)? == 0)
    }

    fn stored(&mut self) -> Option<bool> {
        let padding = self.padding()?;
        let length = usize::from(self.bits.number(16)?);
        let _complement = self.bits.number(16)?;
        self.bits.at += length * 8;
        self.position += length;
        Some(padding)
    }

    /// The codes that a block states for itself.
    fn codes(&mut self) -> Option<(Code, Code)> {
        let literals = usize::from(self.bits.number(5)?) + 257;
        let distances = usize::from(self.bits.number(5)?) + 1;
        let stated = usize::from(self.bits.number(4)?) + 4;
        let mut lengths = [0; 19];
        for place in ORDER.get(..stated)? {
            *lengths.get_mut(*place)? = u8::try_from(self.bits.number(3)?).ok()?;
        }
        let code = Code::of(&lengths)?;
        let mut lengths: Vec<u8> = Vec::with_capacity(literals + distances);
        while lengths.len() < literals + distances {
            let (length, times) = match code.symbol(&mut self.bits)? {
                16 => (*lengths.last()?, 3 + self.bits.number(2)?),
                17 => (0, 3 + self.bits.number(3)?),
                18 => (0, 11 + self.bits.number(7)?),
                length => (u8::try_from(length).ok()?, 1),
            };
            lengths.extend(std::iter::repeat_n(length, times.into()));
        }
        let (literals, distances) = lengths.split_at_checked(literals)?;
        Some((Code::of(literals)?, Code::of(distances)?))
    }

    fn compressed(&mut self, literals: &Code, distances: &Code) -> Option<bool> {
        loop {
            let symbol = literals.symbol(&mut self.bits)?;
            match symbol.checked_sub(256) {
                None => self.position += 1,
                Some(0) => return Some(true),
                Some(number) => {
                    let (base, extra) = *LENGTHS.get(usize::from(number) - 1)?;
                    let length = usize::from(base) + usize::from(self.bits.number(extra)?);
                    if self.distance_has_spare_bits(distances, length)? {
                        return Some(false);
                    }
                    self.position += length;
                }
            }
            if self.position > self.data.len() {
                return None;
            }
        }
    }

    /// Whether one of the bits that state the distance here could be cleared, `length` bytes being repeated.
    fn distance_has_spare_bits(&mut self, code: &Code, length: usize) -> Option<bool> {
        let start = self.bits.at;
        code.distance(&mut self.bits)?;
        let end = self.bits.at;
        // A code and the bits added to it are at most 28 bits, and so in five bytes.
        let first = start / 8;
        let mut window = self.bits.bytes.get(first..end.div_ceil(8))?.to_vec();
        for at in (start..end).map(|at| at - first * 8) {
            let bit = 1 << (at % 8);
            let byte = window.get_mut(at / 8)?;
            if *byte & bit == 0 {
                continue;
            }
            *byte &= !bit;
            let mut cleared = Bits { bytes: &window, at: start - first * 8 };
            let distance = code.distance(&mut cleared);
            if cleared.at == end - first * 8 && distance.is_some_and(|d| self.repeats(d, length)) {
                return Some(true);
            }
            *window.get_mut(at / 8)? |= bit;
        }
        Some(false)
    }

    /// Whether the next `length` bytes are those from `distance` bytes before on.
    fn repeats(&self, distance: usize, length: usize) -> bool {
        let range = |start: usize| self.data.get(start..start.checked_add(length)?);
        let before = self.position.checked_sub(distance).and_then(range);
        before.is_some() && before == range(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::gzip::inflate_member;
    use flate2::{Compression, GzBuilder};
    use std::io::Write as _;

    fn gzip(data: &[u8], level: u32) -> Vec<u8> {
        let mut encoder = GzBuilder::new().write(Vec::new(), Compression::new(level));
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    /// Texts with repetitions, of which some are near and far at once, as those of a tar header.
    fn samples() -> Vec<Vec<u8>> {
        let mut header = vec![0; 1024];
        header[..40].copy_from_slice(b".SIGN.RSA.alpine-devel@lists.example.pub");
        header[100..159].copy_from_slice(
            b"0000644\x000000000\x000000000\x0000000000400\x0000000000000\x00012345\x00 0\0\0",
        );
        let noise: Vec<u8> = (0_u32..600).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect();
        header[512..768].copy_from_slice(&noise[..256]);
        vec![header, noise, b"text text text, text; ".repeat(40), Vec::new()]
    }

    #[test]
    fn what_encoders_write_has_none() {
        for data in samples() {
            for level in [0, 6, 9] {
                assert!(has_none(&gzip(&data, level), &data), "level {level}, {} bytes", data.len());
            }
        }
    }

    #[test]
    fn with_a_bit_flipped_that_leaves_the_data_as_it_is_it_has_some() {
        let mut equal = 0;
        for data in samples() {
            for level in [0, 6, 9] {
                let member = gzip(&data, level);
                for at in (0..member.len()).filter(|at| !(4..10).contains(at)) {
                    for bit in 0..8 {
                        let mut flipped = member.clone();
                        flipped[at] ^= 1 << bit;
                        let inflated = inflate_member(&mut flipped.as_slice(), 100_000);
                        if inflated.is_ok_and(|got| got == data) {
                            equal += 1;
                            assert!(!has_none(&flipped, &data), "byte {at} bit {bit}, level {level}");
                        }
                    }
                }
            }
        }
        assert!(equal > 20, "only {equal} flips could have gone unnoticed");
    }

    #[test]
    fn what_is_no_member_of_that_data_is_refused() {
        let member = gzip(b"data, data, data", 9);
        assert!(!has_none(&member, b"data, data, dat"));
        assert!(!has_none(&member, b"data, data, data and more"));
        for length in 0..member.len() {
            assert!(!has_none(&member[..length], b"data, data, data"), "cut at {length}");
        }
    }
}
