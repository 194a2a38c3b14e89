//! What the image starts: that it is there, can be run, and is for this machine.

use super::hostile::{Package, Said, plain};
use super::{SCRATCH, Scene};
use crate::made::Made;

/// The header of a static program for the machine with this number in ELF.
fn elf(machine: u8) -> Vec<u8> {
    let mut header = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    header[18] = machine;
    header.resize(52, 0);
    header.extend_from_slice(&[64, 0, 56, 0, 0, 0, 64, 0, 0, 0, 0, 0]);
    header
}

/// A program whose only segment names `interpreter`.
fn dynamic(interpreter: &str) -> Vec<u8> {
    let mut program = elf(0x3e);
    program[32] = 64;
    program[56] = 1;
    let text = format!("{interpreter}\0");
    let length = (text.len() as u64).to_le_bytes();
    program.extend([[3, 0, 0, 0, 4, 0, 0, 0], 120_u64.to_le_bytes(), [0; 8], [0; 8]].concat());
    program.extend([length, length, 1_u64.to_le_bytes()].concat());
    program.extend(text.as_bytes());
    program
}

fn app(program: impl AsRef<[u8]>) -> Made {
    Package::new("app").has([Said::dir("bin"), Said::program("bin/app", program)]).made()
}

fn refused(name: &str, image: &str, packages: &[&Made]) {
    let scene =
        Scene::with_profile(&format!("{SCRATCH}\n[packages]\nruntime = [\"app\"]\n\n[image]\n{image}\n"));
    scene.repository(packages);
    scene.refused(name, 3);
}

#[test]
fn a_program_that_is_missing_is_named_with_its_package() {
    let php = plain("php83").says("provides", "cmd:php=8.3").made();
    refused("proof-missing-name", "entrypoint = [\"php\", \"-F\"]", &[&app("x"), &php]);
    refused("proof-missing-path", "cmd = [\"/usr/bin/php\"]", &[&app("x"), &php]);
    refused("proof-missing-unknown", "cmd = [\"nobody-has-it\"]", &[&app("x")]);
    refused("proof-missing-healthcheck", "healthcheck = { test = [\"CMD\", \"php\"] }", &[&app("x"), &php]);
    refused("proof-missing-smoke", "smoke = [[\"php\", \"-v\"]]", &[&app("x"), &php]);
}

#[test]
fn a_program_for_another_machine_is_refused() {
    refused("proof-machine", "entrypoint = [\"/bin/app\"]", &[&app(elf(0xb7))]);
}

#[test]
fn a_missing_interpreter_is_named_with_its_package() {
    let shell = plain("busybox").says("provides", "/bin/sh cmd:sh").made();
    refused("proof-script-interpreter", "cmd = [\"app\"]", &[&app("#!/bin/sh\n"), &shell]);
    let musl = plain("musl").says("provides", "so:libc.musl-x86_64.so.1=1").made();
    let program = dynamic("/lib/ld-musl-x86_64.so.1");
    refused("proof-elf-interpreter", "cmd = [\"app\"]", &[&app(program), &musl]);
}

#[test]
fn what_is_no_program_is_refused() {
    refused("proof-no-program", "cmd = [\"app\"]", &[&app("just text")]);
    refused("proof-directory", "cmd = [\"/bin\"]", &[&app("x")]);
    refused("proof-circle", "cmd = [\"app\"]", &[&app("#!/bin/app\n")]);
    let plain = Package::new("app").has([Said::dir("bin"), Said::file("bin/app", elf(0x3e))]).made();
    refused("proof-not-executable", "cmd = [\"app\"]", &[&plain]);
    let link = Package::new("app").has([Said::dir("bin"), Said::symlink("bin/app", "app")]).made();
    refused("proof-link-to-itself", "cmd = [\"/bin/app\"]", &[&link]);
    let dangling = Package::new("app").has([Said::dir("bin"), Said::symlink("bin/app", "gone")]).made();
    refused("proof-dangling-link", "cmd = [\"/bin/app\"]", &[&dangling]);
    refused("proof-damaged", "cmd = [\"app\"]", &[&app(&elf(0x3e)[..40])]);
}
