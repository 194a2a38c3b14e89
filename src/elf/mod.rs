//! Facts of one file that matter to whether it can run: which machine it is for, and what runs it.
//!
//! Only headers are read. Nothing is executed, so every architecture's files can be looked at anywhere.
//!
//! Source: System V ABI, "ELF Header" and "Program Header"; execve(2), "Interpreter scripts".

use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, FileKind, ReadCache};

use crate::arch::Arch;
use crate::content::{Content, ContentError};

/// The longest first line of a script that Linux reads, in bytes.
const MAX_SHEBANG: usize = 256;
/// The most that the program headers may take, in bytes: what Linux reads.
const MAX_HEADERS: u64 = 65536;
/// The longest path of an interpreter, in bytes.
const MAX_INTERPRETER: usize = 4096;

/// What a file is to whoever wants to run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Executable {
    /// An ELF program or library.
    Elf(Elf),
    /// A script, and what its `#!` line names.
    Script(Shebang),
    /// Anything else; Linux refuses to run it, though a shell may not.
    Other,
}

/// Facts of an ELF file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elf {
    /// The machine it is for.
    pub machine: Machine,
    /// `PT_INTERP`, the dynamic loader; none for a static program and for most libraries.
    pub interpreter: Option<String>,
}

/// The `#!` line of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shebang {
    /// The interpreter's path.
    pub interpreter: String,
    /// All that follows it, as one argument.
    pub argument: Option<String>,
}

/// The machine an ELF file is for: what distinguishes Alpine's architectures in its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    code: u16,
    is_64: bool,
    is_little_endian: bool,
}

/// A file that begins as an ELF file and is none, or a script line that names nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ElfError {
    /// It could not be read.
    #[error(transparent)]
    Content(#[from] ContentError),
    /// Its headers are malformed.
    #[error("it is a malformed ELF file: {0}")]
    Malformed(object::Error),
    /// There are more program headers than Linux reads.
    #[error(
        "its program headers take {size} bytes, more than the limit of {MAX_HEADERS} with which Linux runs it"
    )]
    Headers {
        /// How many bytes they take.
        size: u64,
    },
    /// Its interpreter is no path.
    #[error("it names no valid interpreter")]
    Interpreter,
}

impl Machine {
    /// Whether programs for it run on `arch`.
    pub fn runs_on(self, arch: Arch) -> bool {
        let wanted = |code: elf::Machine, is_64, is_little_endian| {
            self == Self { code: code.0, is_64, is_little_endian }
        };
        match arch {
            Arch::Aarch64 => wanted(elf::EM_AARCH64, true, true),
            Arch::Armhf | Arch::Armv7 => wanted(elf::EM_ARM, false, true),
            Arch::Loongarch64 => wanted(elf::EM_LOONGARCH, true, true),
            Arch::Mips64 => wanted(elf::EM_MIPS, true, false),
            Arch::Ppc64le => wanted(elf::EM_PPC64, true, true),
            Arch::Riscv64 => wanted(elf::EM_RISCV, true, true),
            Arch::S390x => wanted(elf::EM_S390, true, false),
            Arch::X86 => wanted(elf::EM_386, false, true),
            // A 64-bit x86 kernel runs 32-bit programs too, but no Alpine image of it has their loader.
            Arch::X86_64 => wanted(elf::EM_X86_64, true, true),
        }
    }

    /// The architecture it is, if it is one of Alpine's.
    pub fn arch(self) -> Option<Arch> {
        Arch::ALL.into_iter().find(|arch| self.runs_on(*arch))
    }
}

impl Executable {
    /// Looks at the head of a file.
    pub fn of(content: &Content) -> Result<Self, ElfError> {
        let mut head = vec![0; usize::try_from(content.length()).unwrap_or(MAX_SHEBANG).min(MAX_SHEBANG)];
        content.peek(&mut head, 0)?;
        if let Some(line) = head.strip_prefix(b"#!") {
            return shebang(line).map(Self::Script).ok_or(ElfError::Interpreter);
        }
        if !head.starts_with(&elf::ELFMAG) {
            return Ok(Self::Other);
        }
        let cache = ReadCache::new(Cursor { content, position: 0 });
        match FileKind::parse(&cache).map_err(ElfError::Malformed)? {
            FileKind::Elf32 => read::<elf::FileHeader32<Endianness>>(&cache),
            FileKind::Elf64 => read::<elf::FileHeader64<Endianness>>(&cache),
            _ => Ok(Self::Other),
        }
    }
}

fn read<H: FileHeader<Endian = Endianness>>(cache: &ReadCache<Cursor<'_>>) -> Result<Executable, ElfError> {
    let header = H::parse(cache).map_err(ElfError::Malformed)?;
    let endian = header.endian().map_err(ElfError::Malformed)?;
    let machine = Machine {
        code: header.e_machine(endian).0,
        is_64: header.is_class_64(),
        is_little_endian: header.is_little_endian(),
    };
    let size = u64::from(header.e_phnum(endian)) * u64::from(header.e_phentsize(endian));
    if size > MAX_HEADERS {
        return Err(ElfError::Headers { size });
    }
    let segments = header.program_headers(endian, cache).map_err(ElfError::Malformed)?;
    // Of several, Linux takes the first.
    let stated = segments.iter().find(|segment| segment.p_type(endian) == elf::PT_INTERP);
    let interpreter = match stated {
        Some(segment) if segment.p_filesz(endian).into() > MAX_INTERPRETER as u64 => {
            return Err(ElfError::Interpreter);
        }
        Some(segment) => {
            let path = segment.interpreter(endian, cache).map_err(ElfError::Malformed)?.unwrap_or_default();
            Some(std::str::from_utf8(path).map_err(|_| ElfError::Interpreter)?.to_owned())
        }
        None => None,
    };
    Ok(Executable::Elf(Elf { machine, interpreter }))
}

fn shebang(line: &[u8]) -> Option<Shebang> {
    let end = line.iter().position(|byte| *byte == b'\n').unwrap_or(line.len());
    let line = std::str::from_utf8(line.get(..end)?).ok()?.trim_matches([' ', '\t', '\r']);
    let (interpreter, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let argument = argument.trim_start_matches([' ', '\t']);
    (!interpreter.is_empty()).then(|| Shebang {
        interpreter: interpreter.to_owned(),
        argument: (!argument.is_empty()).then(|| argument.to_owned()),
    })
}

/// A [`Content`] as the reader the object crate wants.
#[derive(Debug)]
struct Cursor<'a> {
    content: &'a Content,
    position: u64,
}

impl std::io::Read for Cursor<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.content.length().saturating_sub(self.position);
        let wanted = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let part = buffer.get_mut(..wanted).unwrap_or_default();
        self.content.peek(part, self.position).map_err(std::io::Error::other)?;
        self.position += wanted as u64;
        Ok(wanted)
    }
}

impl std::io::Seek for Cursor<'_> {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        let (start, offset) = match to {
            std::io::SeekFrom::Start(offset) => (offset, 0),
            std::io::SeekFrom::End(offset) => (self.content.length(), offset),
            std::io::SeekFrom::Current(offset) => (self.position, offset),
        };
        self.position = start.checked_add_signed(offset).ok_or(std::io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Result<Executable, ElfError> {
        Executable::of(&Content::of_bytes(bytes))
    }

    fn script(interpreter: &str, argument: Option<&str>) -> Executable {
        let (interpreter, argument) = (interpreter.to_owned(), argument.map(str::to_owned));
        Executable::Script(Shebang { interpreter, argument })
    }

    #[test]
    fn a_script_names_its_interpreter() {
        assert_eq!(of(b"#!/bin/sh\necho").unwrap(), script("/bin/sh", None));
        assert_eq!(
            of(b"#! /usr/bin/env  python3 -u \n").unwrap(),
            script("/usr/bin/env", Some("python3 -u"))
        );
        assert_eq!(of(b"#!/bin/sh").unwrap(), script("/bin/sh", None));
        assert!(matches!(of(b"#!\n"), Err(ElfError::Interpreter)));
        assert_eq!(of(b"").unwrap(), Executable::Other);
        assert_eq!(of(b"hello").unwrap(), Executable::Other);
    }

    #[test]
    fn this_very_program_is_for_this_machine() {
        let path = std::env::current_exe().unwrap();
        let file = crate::content::OpenFile::new(crate::root::open_file(&path).unwrap(), path).unwrap();
        let length = crate::content::ReadAt::length(&file);
        let content = Content::slice(std::sync::Arc::new(file), 0, length, crate::digest::Sha256::of(b""));
        let Executable::Elf(facts) = Executable::of(&content).unwrap() else { panic!("no ELF file") };
        assert_eq!(facts.machine.arch(), Arch::of_this_machine());
    }

    #[test]
    fn more_program_headers_than_linux_reads_are_refused_unread() {
        let mut header = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0];
        header.resize(64, 0);
        header[18] = 62;
        header[32] = 64;
        header[54] = 56;
        header[56..58].copy_from_slice(&1171_u16.to_le_bytes());
        assert!(matches!(of(&header), Err(ElfError::Headers { size: 65576 })));
        // The number that says that the first section has the number.
        header[56..58].copy_from_slice(&[0xff, 0xff]);
        assert!(matches!(of(&header), Err(ElfError::Headers { .. })));
    }

    #[test]
    fn an_elf_file_cut_anywhere_is_an_error_or_no_elf_file() {
        let mut header = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0];
        header.resize(64, 0);
        header[18] = 62;
        header[32] = 64;
        header[54] = 56;
        header[56] = 9;
        for length in 0..header.len() {
            assert!(!matches!(of(&header[..length]), Ok(Executable::Elf(_))), "cut at {length}");
        }
        assert!(of(&header).is_err(), "nine program headers that are not there");
    }
}
