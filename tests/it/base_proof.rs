//! A base without a signature of its own, believed for the signed packages it was made of.

use crate::support::command::Dir;
use crate::support::data::Alpine;
use crate::support::need;

/// Builds a root filesystem of real packages and returns why it is believed as a base, after `change`
/// had its hands on it.
fn trust_after(alpine: &Alpine, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    let dir = Dir::new();
    let repository = alpine.repository("iso-3.19.1").display().to_string();
    dir.write(
        "packages.toml",
        format!(
            "[alpine]\nbase = 'scratch'\narch = ['x86_64']\nrepositories = ['{repository}']\n\
             [packages]\nruntime = ['alpine-base', 'openssh']\n"
        ),
    );
    let args = ["--profile", "./packages.toml", "-o", "type=tar,dest=base.tar"];
    dir.command().args(args).success();
    let changed = change(dir.read("base.tar"));
    dir.write("base.tar.gz", gzip(&changed));
    dir.write(
        "over.toml",
        format!(
            "[alpine]\nbase = 'base.tar.gz'\narch = ['x86_64']\nrepositories = ['{repository}']\n\
             [packages]\nruntime = ['openssl']\n"
        ),
    );
    let args = ["--profile", "./over.toml", "-o", "image.tar", "--format", "json"];
    let report: serde_json::Value =
        serde_json::from_slice(dir.command().args(args).success().stdout()).unwrap();
    report["base"]["trust"].as_str().unwrap().to_owned()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Replaces `from` by `to`, of the same length, in the first file that has it.
fn replaced(mut bytes: Vec<u8>, from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to);
    bytes
}

#[test]
fn a_base_whose_files_are_all_of_signed_packages_is_believed_for_them() {
    let Some(alpine) = need::alpine("a_base_whose_files_are_all_of_signed_packages_is_believed_for_them")
    else {
        return;
    };
    assert_eq!(trust_after(&alpine, |base| base), "signed packages, whose files it has");
}

#[test]
fn one_changed_byte_of_a_file_or_of_a_kept_script_takes_that_proof_away() {
    let Some(alpine) = need::alpine("one_changed_byte_of_a_file_or_of_a_kept_script_takes_that_proof_away")
    else {
        return;
    };
    let sshd = |base| replaced(base, b"PermitRootLogin", b"PermitRootlogin");
    assert_eq!(trust_after(&alpine, sshd), "a local file");
    let script = |base| replaced(base, b"exec /bin/busybox --install -s", b"exec /tmp/busyboo --install -s");
    assert_eq!(trust_after(&alpine, script), "a local file");
}

#[test]
fn a_forged_password_or_a_forged_record_takes_that_proof_away() {
    let Some(alpine) = need::alpine("a_forged_password_or_a_forged_record_takes_that_proof_away") else {
        return;
    };
    let password = |base| replaced(base, b"\noperator:!::0", b"\noperator:a::0");
    assert_eq!(trust_after(&alpine, password), "a local file");
    let origin = |base| replaced(base, b"\no:musl\n", b"\no:evil\n");
    assert_eq!(trust_after(&alpine, origin), "a local file");
}
