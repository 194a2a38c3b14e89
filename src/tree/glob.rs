//! The globs of apk: what triggers and protected paths name directories by.
//!
//! They are read as fnmatch(3) of musl reads them with `FNM_PATHNAME` in a locale of bytes: `*`, `?` and brackets
//! do not match a slash, `?` is one byte, a backslash takes the meaning from what follows it, braces are letters, and a
//! dot in front is nothing special. Brackets know ranges and classes of ASCII; of an equivalence class or a collating
//! element nothing matches, and a bracket without its end is a letter.
//!
//! A glob is read in time proportional to its length, and one that is longer than any path is known never to match.
//!
//! Source: fnmatch(3), POSIX.1-2017; measured on apk 2.14.4 where those are silent.

#[cfg(test)]
mod tests;

use std::num::NonZeroU32;

use crate::wildcard::{Instruction, Letters, Program};

/// The longest name of a directory, in bytes: Linux' `NAME_MAX`.
const MAX_NAME: usize = 255;
/// The longest path, in bytes: Linux' `PATH_MAX`.
const MAX_PATH: usize = 4096;

/// A glob, as what each name of a path must be.
#[derive(Debug, Clone)]
pub(super) struct Glob {
    parts: Vec<Part>,
}

/// What a name must be.
#[derive(Debug, Clone)]
pub(super) enum Part {
    /// This one.
    Name(Box<str>),
    /// Anything.
    All,
    /// What the program takes, byte by byte.
    Like(Program),
}

impl Part {
    /// Whether `name` is so. `steps` grows by what it took to find out.
    pub(super) fn matches(&self, name: &str, steps: &mut u64) -> bool {
        *steps += 1;
        match self {
            Self::Name(wanted) => **wanted == *name,
            Self::All => true,
            Self::Like(program) => program.matches(name.bytes().map(char::from), steps),
        }
    }
}

impl Glob {
    /// Reads a glob; nothing if no path can match it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut atoms = Atoms { rest: text.as_bytes(), at: 0, ends: None };
        let mut parts = Vec::new();
        let mut part = PartBuilder::default();
        let mut least = 0;
        while let Some(atom) = atoms.next() {
            least += usize::from(!matches!(atom, Atom::AnyBytes));
            if least > MAX_PATH {
                return None;
            }
            if matches!(atom, Atom::Byte(b'/')) {
                parts.push(std::mem::take(&mut part).finish());
            } else {
                part.push(atom)?;
            }
        }
        parts.push(part.finish());
        Some(Self { parts })
    }

    /// What each name must be, the empty one in front of a leading slash too.
    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Whether the whole of `path` matches.
    pub(super) fn matches(&self, path: &str) -> bool {
        let mut names = path.split('/');
        let is_each =
            self.parts.iter().all(|part| names.next().is_some_and(|name| part.matches(name, &mut 0)));
        is_each && names.next().is_none()
    }
}

/// What a glob is made of.
enum Atom {
    Byte(u8),
    AnyByte,
    AnyBytes,
    Bracket(Letters),
}

/// A part of a glob in the making.
#[derive(Default)]
struct PartBuilder {
    program: Program,
    name: Vec<u8>,
    /// How many bytes a name has at least.
    least: usize,
    has_wildcards: bool,
    is_all: bool,
}

impl PartBuilder {
    /// Appends an atom; nothing if no name is as long as all of them.
    fn push(&mut self, atom: Atom) -> Option<()> {
        if let Atom::AnyBytes = atom {
            let is_first = self.program.is_empty();
            // Stars in a row are one.
            if !self.program.ends_with_any_number() {
                self.program.push_any_number_of(Instruction::Any);
            }
            self.is_all = is_first || self.is_all;
            self.has_wildcards = true;
            return Some(());
        }
        self.least += 1;
        self.is_all = false;
        match atom {
            Atom::Byte(byte) => {
                self.program.push(Instruction::One(char::from(byte)));
                self.name.push(byte);
            }
            Atom::Bracket(letters) => {
                self.program.push(Instruction::Of(letters));
                self.has_wildcards = true;
            }
            Atom::AnyByte | Atom::AnyBytes => {
                self.program.push(Instruction::Any);
                self.has_wildcards = true;
            }
        }
        (self.least <= MAX_NAME).then_some(())
    }

    fn finish(self) -> Part {
        match String::from_utf8(self.name) {
            Ok(name) if !self.has_wildcards => Part::Name(name.into()),
            _ if self.is_all => Part::All,
            _ => Part::Like(self.program),
        }
    }
}

/// Reads a glob atom by atom.
struct Atoms<'a> {
    rest: &'a [u8],
    at: usize,
    /// Where brackets end, once one was met.
    ends: Option<Ends>,
}

/// One more than where the bracket ends whose inside goes on at each byte. Nothing where there is no end.
type Ends = Vec<Option<NonZeroU32>>;

fn end_at(ends: &Ends, inside: usize) -> Option<usize> {
    let behind = ends.get(inside).copied().flatten()?;
    Some(usize::try_from(behind.get()).ok()? - 1)
}

impl Atoms<'_> {
    fn byte(&self, at: usize) -> Option<u8> {
        self.rest.get(at).copied()
    }

    fn next(&mut self) -> Option<Atom> {
        let byte = self.byte(self.at)?;
        self.at += 1;
        Some(match byte {
            b'*' => Atom::AnyBytes,
            b'?' => Atom::AnyByte,
            b'[' => self.bracket(),
            b'\\' => match self.byte(self.at) {
                Some(escaped) => {
                    self.at += 1;
                    Atom::Byte(escaped)
                }
                None => Atom::Byte(byte),
            },
            _ => Atom::Byte(byte),
        })
    }

    /// What begins with the bracket that was just read.
    fn bracket(&mut self) -> Atom {
        let is_complement = matches!(self.byte(self.at), Some(b'^' | b'!'));
        let first = self.at + usize::from(is_complement);
        // One that comes first is a letter.
        let inside = first + usize::from(self.byte(first) == Some(b']'));
        let ends = self.ends.get_or_insert_with(|| ends_of_brackets(self.rest));
        let Some(end) = end_at(ends, inside) else { return Atom::Byte(b'[') };
        let letters = Letters::in_ranges(self.ranges(first, end));
        self.at = end + 1;
        Atom::Bracket(if is_complement { letters.complement() } else { letters })
    }

    /// The ranges of the bracket that has its inside from `at` to `end`.
    fn ranges(&self, mut at: usize, end: usize) -> Vec<(char, char)> {
        let mut ranges = Vec::new();
        let mut add = |first: u8, last: u8| ranges.push((char::from(first), char::from(last)));
        // What comes first is a letter, even if it ends brackets or ranges elsewhere.
        if let Some(byte @ (b']' | b'-')) = self.byte(at) {
            add(byte, byte);
            at += 1;
        }
        // What a range begins with; at first, as musl has it, whatever stands in front.
        let mut before = self.byte(at.wrapping_sub(1)).unwrap_or_default();
        while at < end {
            let Some(byte) = self.byte(at) else { break };
            match (byte, self.byte(at + 1)) {
                (b'-', Some(last)) if at + 1 < end => add(before, last),
                (b'[', Some(kind @ (b':' | b'.' | b'='))) => {
                    let close = end_of_class(self.rest, at, kind).unwrap_or(end);
                    if kind == b':' {
                        let name = self.rest.get(at + 2..close.saturating_sub(1)).unwrap_or_default();
                        for (first, last) in class(name) {
                            add(*first, *last);
                        }
                    }
                    at = close;
                }
                _ => {
                    before = byte;
                    add(byte, byte);
                }
            }
            at += 1;
        }
        ranges
    }
}

/// Where the class ends, with its bracket, that begins at `at`.
fn end_of_class(text: &[u8], at: usize, kind: u8) -> Option<usize> {
    let behind = text.get(at + 2..)?;
    let found = behind.windows(2).position(|pair| pair == [kind, b']'])?;
    Some(at + 3 + found)
}

/// Where brackets end; in one pass from behind, since a text of brackets without an end would be searched from each of
/// them.
fn ends_of_brackets(text: &[u8]) -> Ends {
    let mut ends: Ends = vec![None; text.len() + 2];
    // The next end of a class of each kind that begins here.
    let mut classes: [Option<usize>; 3] = [None; 3];
    for at in (0..text.len()).rev() {
        let byte = |at: usize| text.get(at).copied();
        if byte(at + 3) == Some(b']')
            && let Some(class) = byte(at + 2).and_then(kind_of_class).and_then(|kind| classes.get_mut(kind))
        {
            *class = Some(at + 3);
        }
        let end = match (byte(at), byte(at + 1).and_then(kind_of_class)) {
            (Some(b']'), _) => u32::try_from(at + 1).ok().and_then(NonZeroU32::new),
            (Some(b'['), Some(kind)) => {
                let close = classes.get(kind).copied().flatten();
                close.and_then(|close| ends.get(close + 1).copied().flatten())
            }
            _ => ends.get(at + 1).copied().flatten(),
        };
        if let Some(there) = ends.get_mut(at) {
            *there = end;
        }
    }
    ends
}

fn kind_of_class(byte: u8) -> Option<usize> {
    b":.=".iter().position(|kind| *kind == byte)
}

/// The bytes of a class, as ranges; none of one that does not exist.
fn class(name: &[u8]) -> &'static [(u8, u8)] {
    match name {
        b"alnum" => &[(b'0', b'9'), (b'A', b'Z'), (b'a', b'z')],
        b"alpha" => &[(b'A', b'Z'), (b'a', b'z')],
        b"blank" => &[(b' ', b' '), (b'\t', b'\t')],
        b"cntrl" => &[(0, 0x1f), (0x7f, 0x7f)],
        b"digit" => &[(b'0', b'9')],
        b"graph" => &[(b'!', b'~')],
        b"lower" => &[(b'a', b'z')],
        b"print" => &[(b' ', b'~')],
        b"punct" => &[(b'!', b'/'), (b':', b'@'), (b'[', b'`'), (b'{', b'~')],
        b"space" => &[(b' ', b' '), (b'\t', b'\r')],
        b"upper" => &[(b'A', b'Z')],
        b"xdigit" => &[(b'0', b'9'), (b'A', b'F'), (b'a', b'f')],
        _ => &[],
    }
}
