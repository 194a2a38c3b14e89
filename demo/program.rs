//! The program of the demo: it writes the files of a list to standard output, and knows nothing else.
//!
//! A static ELF file without a libc, made here byte by byte: a header, one segment that holds everything,
//! a mark that the stack is not executable, the instructions, and the paths of the list, each ended by a
//! zero, the list by an empty path. Files that are not there are passed over; the exit status is 0 if any
//! was shown.
//!
//! Source: the ELF-64 object file format; the System V ABI of both architectures; Linux' system call
//! numbers (`unistd_64.h` of `x86_64`, the generic `unistd.h` of aarch64).

use apkcompose::arch::Arch;

/// Where the file is loaded.
const BASE: u64 = 0x400000;
/// The length of an ELF-64 header.
const HEADER: u16 = 64;
/// The length of a program header.
const PROGRAM_HEADER: u16 = 56;
/// How many program headers there are.
const PROGRAM_HEADERS: u16 = 2;

/// The program for `arch`, which writes the files at `paths`; nothing if there is none for it.
pub(crate) fn program(arch: Arch, paths: &[&str]) -> Option<Vec<u8>> {
    let (machine, mut code) = match arch {
        Arch::X86_64 => (62, X86_64.concat()),
        Arch::Aarch64 => (183, AARCH64.iter().flat_map(|word| word.to_le_bytes()).collect()),
        _ => return None,
    };
    for path in paths {
        code.extend_from_slice(path.as_bytes());
        code.push(0);
    }
    code.push(0);
    Some(elf(machine, &code))
}

fn elf(machine: u16, code: &[u8]) -> Vec<u8> {
    let headers = HEADER + PROGRAM_HEADERS * PROGRAM_HEADER;
    let length = u64::from(headers) + code.len() as u64;

    let mut file = Vec::new();
    // e_ident: magic, 64 bits, little endian, version 1, System V.
    file.extend_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    file.extend_from_slice(&2_u16.to_le_bytes()); // e_type: an executable at a fixed address
    file.extend_from_slice(&machine.to_le_bytes()); // e_machine
    file.extend_from_slice(&1_u32.to_le_bytes()); // e_version
    file.extend_from_slice(&(BASE + u64::from(headers)).to_le_bytes()); // e_entry
    file.extend_from_slice(&u64::from(HEADER).to_le_bytes()); // e_phoff
    file.extend_from_slice(&0_u64.to_le_bytes()); // e_shoff: no sections
    file.extend_from_slice(&0_u32.to_le_bytes()); // e_flags
    for half in [HEADER, PROGRAM_HEADER, PROGRAM_HEADERS, 64, 0, 0] {
        file.extend_from_slice(&half.to_le_bytes()); // e_ehsize .. e_shstrndx
    }

    // PT_LOAD, readable and executable: the whole file, aligned to the largest page that Linux uses.
    program_header(&mut file, 1, 5, [0, BASE, BASE, length, length, 0x10000]);
    // PT_GNU_STACK, readable and writable.
    program_header(&mut file, 0x6474_e551, 6, [0, 0, 0, 0, 0, 16]);
    file.extend_from_slice(code);
    file
}

/// `rest`: offset, virtual and physical address, size in the file and in memory, alignment.
fn program_header(file: &mut Vec<u8>, kind: u32, flags: u32, rest: [u64; 6]) {
    file.extend_from_slice(&kind.to_le_bytes());
    file.extend_from_slice(&flags.to_le_bytes());
    for number in rest {
        file.extend_from_slice(&number.to_le_bytes());
    }
}

/// The instructions for `x86_64`, directly behind which the paths stand. rbx: path, r12: exit status,
/// r13: descriptor, r14: what to write, r15: its length.
#[rustfmt::skip]
const X86_64: &[&[u8]] = &[
    &[0x48, 0x8d, 0x1d, 0x89, 0x00, 0x00, 0x00],   // lea rbx, [rip + paths]    ; the next path of the list
    &[0x41, 0xbc, 0x01, 0x00, 0x00, 0x00],         // mov r12d, 1    ; the exit status: 1 until a file was shown
    &[0x48, 0x81, 0xec, 0x00, 0x10, 0x00, 0x00],   // sub rsp, 4096    ; room to read into
    // next:
    &[0x80, 0x3b, 0x00],                           // cmp BYTE PTR [rbx], 0    ; the list ends with an empty path
    &[0x74, 0x6d],                                 // je done
    &[0xb8, 0x02, 0x00, 0x00, 0x00],               // mov eax, 2    ; open(path, O_RDONLY)
    &[0x48, 0x89, 0xdf],                           // mov rdi, rbx
    &[0x31, 0xf6],                                 // xor esi, esi
    &[0x0f, 0x05],                                 // syscall
    &[0x49, 0x89, 0xc5],                           // mov r13, rax    ; a descriptor, or an error below zero
    // skip:
    &[0x48, 0xff, 0xc3],                           // inc rbx
    &[0x80, 0x7b, 0xff, 0x00],                     // cmp BYTE PTR [rbx-1], 0
    &[0x75, 0xf7],                                 // jne skip
    &[0x4d, 0x85, 0xed],                           // test r13, r13    ; what is not there is passed over
    &[0x78, 0xde],                                 // js next
    &[0x45, 0x31, 0xe4],                           // xor r12d, r12d    ; something was shown
    // read:
    &[0x31, 0xc0],                                 // xor eax, eax    ; read(descriptor, room, 4096)
    &[0x44, 0x89, 0xef],                           // mov edi, r13d
    &[0x48, 0x89, 0xe6],                           // mov rsi, rsp
    &[0xba, 0x00, 0x10, 0x00, 0x00],               // mov edx, 4096
    &[0x0f, 0x05],                                 // syscall
    &[0x48, 0x85, 0xc0],                           // test rax, rax    ; the end, or an error
    &[0x7e, 0x27],                                 // jle close
    &[0x49, 0x89, 0xe6],                           // mov r14, rsp    ; what is still to be written
    &[0x49, 0x89, 0xc7],                           // mov r15, rax
    // write:
    &[0xb8, 0x01, 0x00, 0x00, 0x00],               // mov eax, 1    ; write(1, from, length)
    &[0xbf, 0x01, 0x00, 0x00, 0x00],               // mov edi, 1
    &[0x4c, 0x89, 0xf6],                           // mov rsi, r14
    &[0x4c, 0x89, 0xfa],                           // mov rdx, r15
    &[0x0f, 0x05],                                 // syscall
    &[0x48, 0x85, 0xc0],                           // test rax, rax
    &[0x7e, 0x16],                                 // jle failed
    &[0x49, 0x01, 0xc6],                           // add r14, rax    ; a pipe may take less than all
    &[0x49, 0x29, 0xc7],                           // sub r15, rax
    &[0x75, 0xe1],                                 // jne write
    &[0xeb, 0xc5],                                 // jmp read
    // close:
    &[0xb8, 0x03, 0x00, 0x00, 0x00],               // mov eax, 3    ; close(descriptor)
    &[0x44, 0x89, 0xef],                           // mov edi, r13d
    &[0x0f, 0x05],                                 // syscall
    &[0xeb, 0x94],                                 // jmp next
    // failed:
    &[0x41, 0xbc, 0x01, 0x00, 0x00, 0x00],         // mov r12d, 1
    // done:
    &[0xb8, 0x3c, 0x00, 0x00, 0x00],               // mov eax, 60    ; exit(status)
    &[0x44, 0x89, 0xe7],                           // mov edi, r12d
    &[0x0f, 0x05],                                 // syscall
    // paths:
];

/// The instructions for aarch64, directly behind which the paths stand. x19: path, w20: exit status,
/// x21: descriptor, x22: what to write, x23: its length.
#[rustfmt::skip]
const AARCH64: &[u32] = &[
    0x10000573, // adr x19, paths    ; the next path of the list
    0x52800034, // mov w20, #1    ; the exit status: 1 until a file was shown
    0xd14007ff, // sub sp, sp, #4096    ; room to read into
    // next:
    0x39400261, // ldrb w1, [x19]    ; the list ends with an empty path
    0x34000481, // cbz w1, done
    0x92800c60, // mov x0, #-100    ; openat(AT_FDCWD, path, O_RDONLY)
    0xaa1303e1, // mov x1, x19
    0xd2800002, // mov x2, #0
    0xd2800708, // mov x8, #56
    0xd4000001, // svc #0
    0xaa0003f5, // mov x21, x0    ; a descriptor, or an error below zero
    // skip:
    0x38401661, // ldrb w1, [x19], #1
    0x35ffffe1, // cbnz w1, skip
    0xb7fffed5, // tbnz x21, #63, next    ; what is not there is passed over
    0x52800014, // mov w20, #0    ; something was shown
    // read:
    0xaa1503e0, // mov x0, x21    ; read(descriptor, room, 4096)
    0x910003e1, // mov x1, sp
    0xd2820002, // mov x2, #4096
    0xd28007e8, // mov x8, #63
    0xd4000001, // svc #0
    0xf100001f, // cmp x0, #0    ; the end, or an error
    0x540001cd, // b.le close
    0x910003f6, // mov x22, sp    ; what is still to be written
    0xaa0003f7, // mov x23, x0
    // write:
    0xd2800020, // mov x0, #1    ; write(1, from, length)
    0xaa1603e1, // mov x1, x22
    0xaa1703e2, // mov x2, x23
    0xd2800808, // mov x8, #64
    0xd4000001, // svc #0
    0xf100001f, // cmp x0, #0
    0x5400012d, // b.le failed
    0x8b0002d6, // add x22, x22, x0    ; a pipe may take less than all
    0xeb0002f7, // subs x23, x23, x0
    0x54fffee1, // b.ne write
    0x17ffffed, // b read
    // close:
    0xaa1503e0, // mov x0, x21    ; close(descriptor)
    0xd2800728, // mov x8, #57
    0xd4000001, // svc #0
    0x17ffffdd, // b next
    // failed:
    0x52800034, // mov w20, #1
    // done:
    0x2a1403e0, // mov w0, w20    ; exit(status)
    0xd2800ba8, // mov x8, #93
    0xd4000001, // svc #0
    // paths:
];
