//! Whether programs of an architecture run on this machine.
//!
//! The machine's own do; others where a handler is registered for them, under whatever name, in a way that it works
//! inside another root directory. Programs of the smaller machine that some include (`x86`'s on `x86_64`) count as
//! others: their system calls have other numbers, and nobody here would watch over them.
//!
//! Source: Linux, admin-guide, `binfmt_misc`, flag `F`, and what the kernel shows of handlers; elf(5), "ELF header", and
//! `<elf.h>` for the numbers.

use std::path::Path;

use crate::arch::Arch;
use crate::root;

/// Where handlers are registered.
const HANDLERS: &str = "/proc/sys/fs/binfmt_misc";
/// What is there and no handler.
const NO_HANDLERS: [&str; 2] = ["register", "status"];
/// What may be done where there is no such handler.
pub(super) const ADVICE: &str =
    "register qemu-user for it, as the packages qemu-user-static and binfmt-support do";
/// No description of a handler is longer, in bytes.
const MAX_HANDLER: u64 = 64 * 1024;

/// Why programs for `arch` do not run here; nothing if they may.
pub(super) fn obstacle(arch: Arch) -> Option<String> {
    if Arch::of_this_machine() == Some(arch) {
        return None;
    }
    obstacle_with(arch, &registered())
}

/// The names and descriptions of all handlers; none where they cannot be read.
fn registered() -> Vec<(String, String)> {
    let Ok(entries) = std::fs::read_dir(HANDLERS) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut handlers: Vec<(String, String)> = names
        .filter(|name| !NO_HANDLERS.contains(&name.as_str()))
        .filter_map(|name| {
            let text = root::read_file(&Path::new(HANDLERS).join(&name), MAX_HANDLER).ok()?;
            Some((name, String::from_utf8_lossy(&text).into_owned()))
        })
        .collect();
    handlers.sort();
    handlers
}

/// As [`obstacle`], on another machine with the handlers `registered`.
fn obstacle_with(arch: Arch, registered: &[(String, String)]) -> Option<String> {
    let fitting = registered.iter().filter_map(|(name, text)| Some((State::of(text, arch)?, name)));
    match fitting.min_by_key(|(state, _)| *state) {
        Some((State::Works, _)) => None,
        Some((State::Disabled, name)) => {
            Some(format!("the handler {name} for programs of {arch} is disabled"))
        }
        Some((State::OutsideOnly, name)) => Some(format!(
            "the handler {name} for programs of {arch} works in no other root directory (flag F)"
        )),
        None => {
            let machine = std::env::consts::ARCH;
            Some(format!("this machine ({machine}) has no handler for programs of {arch}"))
        }
    }
}

/// What is to be had of a handler; the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Works,
    OutsideOnly,
    Disabled,
}

impl State {
    /// What its description says; nothing if it is not for the programs of `arch`.
    fn of(text: &str, arch: Arch) -> Option<Self> {
        let magic = Magic::of(text)?;
        if ![ET_EXEC, ET_DYN].into_iter().all(|kind| magic.fits(&header(arch, kind))) {
            return None;
        }
        let flags = text.lines().find_map(|line| line.strip_prefix("flags:")).unwrap_or_default();
        Some(if text.lines().next() != Some("enabled") {
            Self::Disabled
        } else if flags.contains('F') {
            Self::Works
        } else {
            Self::OutsideOnly
        })
    }
}

/// What the beginning of a file must be for a handler.
#[derive(Debug)]
struct Magic {
    offset: usize,
    /// Each byte with the bits of it that count.
    bytes: Vec<(u8, u8)>,
}

impl Magic {
    /// What a description says of it; nothing where the name of a file counts instead.
    fn of(text: &str) -> Option<Self> {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let magic = bytes_of(field("magic")?)?;
        let mask = match field("mask") {
            Some(mask) => bytes_of(mask).filter(|mask| mask.len() == magic.len())?,
            None => vec![0xff; magic.len()],
        };
        let offset = field("offset")?.parse().ok()?;
        Some(Self { offset, bytes: magic.into_iter().zip(mask).collect() })
    }

    /// Whether every file that begins with `header` is meant.
    fn fits(&self, header: &[u8]) -> bool {
        let mut rest = header.iter().skip(self.offset);
        self.bytes.iter().all(|(magic, mask)| match rest.next() {
            Some(byte) => (byte ^ magic) & mask == 0,
            None => *mask == 0,
        })
    }
}

/// The bytes that `text` has two digits each for.
fn bytes_of(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| u8::try_from(char::from(digit).to_digit(16)?).ok();
    let byte = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(byte).collect()
}

/// A program that is loaded to a fixed place.
const ET_EXEC: u16 = 2;
/// One that is loaded anywhere.
const ET_DYN: u16 = 3;

/// How programs of `arch` that are of the type `kind` begin: identification, type, machine and version.
fn header(arch: Arch, kind: u16) -> Vec<u8> {
    const NARROW: u8 = 1;
    const WIDE: u8 = 2;
    const LITTLE: u8 = 1;
    const BIG: u8 = 2;
    let (class, order, machine): (u8, u8, u16) = match arch {
        Arch::Aarch64 => (WIDE, LITTLE, 183),
        Arch::Armhf | Arch::Armv7 => (NARROW, LITTLE, 40),
        Arch::Loongarch64 => (WIDE, LITTLE, 258),
        Arch::Mips64 => (WIDE, BIG, 8),
        Arch::Ppc64le => (WIDE, LITTLE, 21),
        Arch::Riscv64 => (WIDE, LITTLE, 243),
        Arch::S390x => (WIDE, BIG, 22),
        Arch::X86 => (NARROW, LITTLE, 3),
        Arch::X86_64 => (WIDE, LITTLE, 62),
    };
    let (kind, machine, version) = if order == BIG {
        (kind.to_be_bytes(), machine.to_be_bytes(), 1_u32.to_be_bytes())
    } else {
        (kind.to_le_bytes(), machine.to_le_bytes(), 1_u32.to_le_bytes())
    };
    // After class and byte order: the version, the system (System V's) and nothing more.
    let identification = [0x7f, b'E', b'L', b'F', class, order, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    [&identification[..], &kind, &machine, &version].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel shows of a handler registered with the words that QEMU's `qemu-binfmt-conf.sh` has for it.
    fn shown(state: &str, flags: &str, magic: &str, mask: &str) -> String {
        let interpreter = "/usr/libexec/qemu-binfmt/some-binfmt-P";
        format!("{state}\ninterpreter {interpreter}\nflags: {flags}\noffset 0\nmagic {magic}\nmask {mask}\n")
    }

    const AARCH64: [&str; 2] =
        ["7f454c460201010000000000000000000200b700", "ffffffffffffff00fffffffffffffffffeffffff"];
    const ARM: [&str; 2] =
        ["7f454c4601010100000000000000000002002800", "ffffffffffffff00fffffffffffffffffeffffff"];
    const ARM_BIG: [&str; 2] =
        ["7f454c4601020100000000000000000000020028", "ffffffffffffff00fffffffffffffffffffeffff"];
    const PPC64LE: [&str; 2] =
        ["7f454c4602010100000000000000000002001500", "fffffffffffffffcfffffffffffffffffeffff00"];
    const PPC64: [&str; 2] =
        ["7f454c4602020100000000000000000000020015", "ffffffffffffff00fffffffffffffffffffeffff"];
    const S390X: [&str; 2] =
        ["7f454c4602020100000000000000000000020016", "ffffffffffffff00fffffffffffffffffffeffff"];
    const RISCV32: [&str; 2] =
        ["7f454c460101010000000000000000000200f300", "ffffffffffffff00fffffffffffffffffeffffff"];
    const RISCV64: [&str; 2] =
        ["7f454c460201010000000000000000000200f300", "ffffffffffffff00fffffffffffffffffeffffff"];
    const I386: [&str; 2] =
        ["7f454c4601010100000000000000000002000300", "fffffffffffefe00fffffffffffffffffeffffff"];
    const MIPS64: [&str; 2] =
        ["7f454c4602020100000000000000000000020008", "ffffffffffffff00fffffffffffffffffffeffff"];

    #[test]
    fn a_handler_is_for_the_programs_whose_beginning_it_is_registered_with() {
        let for_which = |[magic, mask]: [&str; 2]| -> Vec<Arch> {
            let text = shown("enabled", "POCF", magic, mask);
            Arch::ALL.into_iter().filter(|arch| State::of(&text, *arch) == Some(State::Works)).collect()
        };
        assert_eq!(for_which(AARCH64), [Arch::Aarch64]);
        assert_eq!(for_which(ARM), [Arch::Armhf, Arch::Armv7]);
        assert_eq!(for_which(PPC64LE), [Arch::Ppc64le]);
        assert_eq!(for_which(S390X), [Arch::S390x]);
        assert_eq!(for_which(RISCV64), [Arch::Riscv64]);
        assert_eq!(for_which(I386), [Arch::X86]);
        assert_eq!(for_which(MIPS64), [Arch::Mips64]);
        for other in [ARM_BIG, PPC64, RISCV32] {
            assert_eq!(for_which(other), []);
        }
    }

    #[test]
    fn a_handler_works_if_it_is_enabled_and_was_opened_when_it_was_registered() {
        let state =
            |state: &str, flags: &str| State::of(&shown(state, flags, AARCH64[0], AARCH64[1]), Arch::Aarch64);
        assert_eq!(state("enabled", "POCF"), Some(State::Works));
        assert_eq!(state("enabled", "POC"), Some(State::OutsideOnly));
        assert_eq!(state("enabled", ""), Some(State::OutsideOnly));
        assert_eq!(state("disabled", "POCF"), Some(State::Disabled));
        assert_eq!(State::of("", Arch::Aarch64), None);
    }

    #[test]
    fn offset_and_mask_count_and_so_does_what_follows_the_machine() {
        let of =
            |rest: &str| State::of(&format!("enabled\ninterpreter /bin/x\nflags: F\n{rest}"), Arch::Aarch64);
        let works = Some(State::Works);
        assert_eq!(of("offset 18\nmagic b700\n"), works);
        assert_eq!(of("offset 17\nmagic b700\n"), None);
        // Without a mask all of it counts: this is for one of the two types alone.
        assert_eq!(of("offset 0\nmagic 7f454c460201010000000000000000000200b700\n"), None);
        assert_eq!(of("offset 16\nmagic 0200b70001000000\nmask feffffffffffffff\n"), works);
        assert_eq!(of("offset 18\nmagic b70001000000ee\nmask ffffffffffff00\n"), works);
        // What comes there differs from program to program.
        assert_eq!(of("offset 18\nmagic b70001000000ee\nmask ffffffffffffff\n"), None);
        assert_eq!(of("offset 18\nmagic b700\nmask ff\n"), None);
        assert_eq!(of("extension .exe\n"), None);
    }

    #[test]
    fn the_best_of_several_handlers_is_taken_and_the_one_in_the_way_is_named() {
        let handler = |name: &str, state: &str, flags: &str, [magic, mask]: [&str; 2]| {
            (name.to_owned(), shown(state, flags, magic, mask))
        };
        let works = handler("z", "enabled", "OCF", AARCH64);
        let outside = handler("b", "enabled", "OC", AARCH64);
        let disabled = handler("a", "disabled", "OCF", AARCH64);
        let other = handler("qemu-aarch64", "enabled", "OCF", ARM);
        let said = |registered: &[(String, String)]| obstacle_with(Arch::Aarch64, registered);

        assert_eq!(said(&[disabled.clone(), outside.clone(), other.clone(), works]), None);
        let outside = said(&[disabled.clone(), outside, other.clone()]).unwrap();
        assert_eq!(
            outside,
            "the handler b for programs of aarch64 works in no other root directory (flag F)"
        );
        let disabled = said(&[disabled, other.clone()]).unwrap();
        assert_eq!(disabled, "the handler a for programs of aarch64 is disabled");
        assert!(said(&[other]).unwrap().ends_with("has no handler for programs of aarch64"));
    }

    #[test]
    fn what_is_for_this_machine_runs_on_it() {
        let ours = Arch::of_this_machine().unwrap();
        assert_eq!(obstacle(ours), None);
    }

    #[test]
    fn programs_of_this_machine_begin_as_is_thought() {
        let program = root::read_file(&std::env::current_exe().unwrap(), u64::MAX).unwrap();
        let ours = Arch::of_this_machine().unwrap();
        assert!([ET_EXEC, ET_DYN].into_iter().any(|kind| program.starts_with(&header(ours, kind))));
    }
}
