//! Whether programs of an architecture run on this machine.
//!
//! The machine's own do; others where a handler is registered for them, as qemu-user's packages do, in a way that it
//! works inside another root directory. Programs of the smaller machine that some include (`x86`'s on `x86_64`) count as
//! others: their system calls have other numbers, and nobody here would watch over them.
//!
//! Source: Linux, admin-guide, `binfmt_misc`, flag `F`.

use std::path::Path;

use crate::arch::Arch;
use crate::root;

/// Where handlers are registered.
const HANDLERS: &str = "/proc/sys/fs/binfmt_misc";
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
    let machine = std::env::consts::ARCH;
    let name = format!("qemu-{}", qemu_name(arch));
    let handler = root::read_file(&Path::new(HANDLERS).join(&name), MAX_HANDLER);
    let handler = handler.map(|text| Handler::of(&String::from_utf8_lossy(&text)));
    match handler {
        Ok(Handler::Works) => None,
        Ok(Handler::Disabled) => Some(format!("the handler {name} for programs of {arch} is disabled")),
        Ok(Handler::OutsideOnly) => Some(format!(
            "the handler {name} for programs of {arch} works in no other root directory (flag F)"
        )),
        Err(_) => Some(format!("this machine ({machine}) has no handler for programs of {arch}")),
    }
}

/// What qemu calls it.
fn qemu_name(arch: Arch) -> &'static str {
    match arch {
        Arch::Armhf | Arch::Armv7 => "arm",
        Arch::X86 => "i386",
        Arch::Aarch64
        | Arch::Loongarch64
        | Arch::Mips64
        | Arch::Ppc64le
        | Arch::Riscv64
        | Arch::S390x
        | Arch::X86_64 => arch.as_str(),
    }
}

/// What is to be had of a handler.
#[derive(Debug, PartialEq, Eq)]
enum Handler {
    Works,
    Disabled,
    OutsideOnly,
}

impl Handler {
    /// What its description says.
    fn of(text: &str) -> Self {
        let flags = text.lines().find_map(|line| line.strip_prefix("flags:")).unwrap_or_default();
        if text.lines().next() != Some("enabled") {
            Self::Disabled
        } else if flags.contains('F') {
            Self::Works
        } else {
            Self::OutsideOnly
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_works_if_it_is_enabled_and_was_opened_when_it_was_registered() {
        // As the kernel shows what Debian's qemu-user-static registers.
        let text = |state: &str, flags: &str| {
            format!(
                "{state}\ninterpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P\nflags: {flags}\noffset 0\n"
            )
        };
        assert_eq!(Handler::of(&text("enabled", "POCF")), Handler::Works);
        assert_eq!(Handler::of(&text("enabled", "POC")), Handler::OutsideOnly);
        assert_eq!(Handler::of(&text("disabled", "POCF")), Handler::Disabled);
        assert_eq!(Handler::of(""), Handler::Disabled);
    }

    #[test]
    fn what_is_for_this_machine_runs_on_it() {
        let ours = Arch::of_this_machine().unwrap();
        assert_eq!(obstacle(ours), None);
    }
}
