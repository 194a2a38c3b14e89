//! The loader that a hostile package brings in the place of the one that the helper is linked with: a script with the
//! line `#!/proc/self/exe` is run by the helper's own file, so that this code runs with that as its `/proc/self/exe`.
//!
//! It is compiled by the tests for themselves, without any library, since nothing is set up where a loader begins.

#![no_std]
#![no_main]

use core::arch::{asm, global_asm};

global_asm!(".globl _start", "_start:", "and rsp, -16", "call {run}", run = sym run);

const FILE: &[u8] = b"/proc/self/exe\0";
const AT_FDCWD: i64 = -100;

fn call(number: i64, a: i64, b: i64, c: i64, d: i64) -> i64 {
    let result;
    // SAFETY: this program is an attacker; what it hands over is looked after below.
    unsafe {
        asm!(
            "syscall", inlateout("rax") number => result, in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
            out("rcx") _, out("r11") _
        );
    }
    result
}

fn address(bytes: &[u8]) -> i64 {
    bytes.as_ptr() as i64
}

fn print(bytes: &[u8]) {
    call(1, 1, address(bytes), bytes.len() as i64, 0);
}

/// Says how an attempt went, as the attacking program does.
fn say(name: &[u8], result: i64) {
    print(name);
    if result >= 0 {
        print(b" done\n");
        return;
    }
    let error = result.unsigned_abs();
    print(b" refused ");
    print(&[b'0' + (error / 100 % 10) as u8, b'0' + (error / 10 % 10) as u8, b'0' + (error % 10) as u8, b'\n']);
}

extern "C" fn run() -> ! {
    let mut name = [0_u8; 256];
    let length = call(89, address(FILE), name.as_mut_ptr() as i64, 255, 0);
    print(b"runs as ");
    print(name.get(..usize::try_from(length).unwrap_or(0)).unwrap_or(b""));
    print(b"\n");
    let times = [0_i64; 4];
    let times = times.as_ptr() as i64;
    let flags = [0x40_u32];
    say(b"exe-chmod", call(90, address(FILE), 0o4777, 0, 0));
    say(b"exe-utimensat", call(280, AT_FDCWD, address(FILE), times, 0));
    say(b"exe-truncate", call(76, address(FILE), 0, 0, 0));
    say(b"exe-remove", call(87, address(FILE), 0, 0, 0).max(call(87, address(&name), 0, 0, 0)));
    for flags in [1, 2, 0o1001, 0o2001] {
        say(b"exe-open-to-write", call(2, address(FILE), flags, 0, 0));
    }
    let file = call(2, address(FILE), 0, 0, 0);
    say(b"exe-fchmod", call(91, file, 0o4777, 0, 0));
    say(b"exe-futimens", call(280, file, 0, times, 0));
    say(b"exe-fchmodat2", call(452, file, address(b"\0"), 0o4777, 0x1000));
    say(b"exe-flags", call(16, file, 0x4008_6602, flags.as_ptr() as i64, 0));
    say(b"exe-lease", call(72, file, 1024, 0, 0));
    // What is recorded of it is nobody's; the tests look at the file itself.
    call(93, file, 65_533, 65_533, 0);
    call(260, AT_FDCWD, address(FILE), 65_533, 65_533);
    call(190, file, address(b"user.x\0"), address(b"x"), 1);
    let mapped = map(file);
    say(b"exe-map-to-write", mapped);
    print(b"end\n");
    call(231, 0, 0, 0, 0);
    loop {}
}

/// Maps the file, shared and to be written.
fn map(file: i64) -> i64 {
    let result;
    // SAFETY: nothing is done with what is mapped.
    unsafe {
        asm!(
            "syscall", inlateout("rax") 9_i64 => result, in("rdi") 0, in("rsi") 4096, in("rdx") 3, in("r10") 1,
            in("r8") file, in("r9") 0, out("rcx") _, out("r11") _
        );
    }
    result
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
