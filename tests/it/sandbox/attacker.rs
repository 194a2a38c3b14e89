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
    PROGRAM.get_or_init(compile)
}

fn compile() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let (source, program) = (
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/sandbox/program/main.rs"),
        directory.path().join("attacker"),
    );
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let compiled = Command::new(compiler)
        .args(["--edition=2024", "--crate-name=attacker", "-Ctarget-feature=+crt-static", "-Cpanic=abort"])
        .args(["-Copt-level=1", "-Cstrip=symbols", "-o"])
        .args([&program, &source])
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    files::read(&program)
}
