//! The attacking program (`program/`), compiled once for the test process.
//!
//! It is linked statically, so that it runs in any root filesystem.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use crate::support::files;

/// The program's bytes.
pub(super) fn program() -> &'static [u8] {
    static PROGRAM: OnceLock<Vec<u8>> = OnceLock::new();
    PROGRAM.get_or_init(|| compiled("main", &["-Ctarget-feature=+crt-static"]))
}

/// The bytes of the program that takes the place of a loader (`program/loader.rs`).
pub(super) fn loader() -> &'static [u8] {
    static LOADER: OnceLock<Vec<u8>> = OnceLock::new();
    let alone = ["-Crelocation-model=static", "-Clink-args=-nostartfiles -nostdlib -static -no-pie"];
    LOADER.get_or_init(|| compiled("loader", &alone))
}

fn compiled(source: &str, options: &[&str]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let (source, program) = (
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/sandbox/program/{source}.rs")),
        directory.path().join("attacker"),
    );
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let compiled = Command::new(compiler)
        .args([
            "--edition=2024",
            "--crate-name=attacker",
            "-Cpanic=abort",
            "-Copt-level=1",
            "-Cstrip=symbols",
        ])
        .args(options)
        .arg("-o")
        .args([&program, &source])
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    files::read(&program)
}
