//! The repository of the `demo` profile: that it is what its sources make, that it is signed, and that the
//! real apk installs it.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use apkcompose::apk::keys::{Keyring, MessageDigests, PublicKey};
use apkcompose::apk::signature;
use apkcompose::arch::Arch;
use apkcompose::profile::builtin::BUILT_INS;

use crate::demo::{self, ARCHITECTURES, INDEX, KEY, SHOWN};
use crate::support::command::Dir;
use crate::support::listing::Listing;
use crate::support::{files, installed, need, reference};

/// Where the built repository is.
fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles/demo")
}

#[test]
fn the_shipped_repository_is_what_its_sources_make_but_for_the_signatures() {
    for arch in ARCHITECTURES {
        let unsigned = demo::repository(arch, None).unwrap();
        let shipped = directory().join(arch.as_str());
        assert_eq!(files::names(&shipped), unsigned.keys().cloned().collect::<Vec<_>>(), "{arch}");
        for (name, expected) in unsigned.iter().filter(|(name, _)| *name != INDEX) {
            let bytes = files::read(&shipped.join(name));
            let (_, rest) = signature::split(&bytes).unwrap();
            assert!(rest == expected, "{arch}/{name}: run `cargo run --example build_demo`");
        }
        // The sizes in the index are those of the signed packages, a signature's length more.
        let text = |bytes: &[u8]| {
            let text = Listing::of_tar(flate2::read::MultiGzDecoder::new(bytes)).text("APKINDEX").to_owned();
            text.lines().filter(|line| !line.starts_with("S:")).collect::<Vec<_>>().join("\n")
        };
        let index = files::read(&shipped.join(INDEX));
        assert_eq!(text(&index), text(&unsigned[INDEX]), "{arch}");
    }
}

#[test]
fn everything_in_the_shipped_repository_is_signed_with_its_key() {
    let key = PublicKey::parse(KEY, &files::read(&directory().join(KEY))).unwrap();
    let keyring = Keyring::of([key]);
    for arch in ARCHITECTURES {
        let directory = directory().join(arch.as_str());
        for name in files::names(&directory) {
            let bytes = files::read(&directory.join(&name));
            let (signatures, mut rest) = signature::split(&bytes).unwrap();
            if name != INDEX {
                let mut behind = rest;
                apkcompose::archive::gzip::inflate_member(&mut behind, 1 << 20).unwrap();
                rest = &rest[..rest.len() - behind.len()];
            }
            assert!(keyring.verify(&signatures, &MessageDigests::of(rest)).is_ok(), "{arch}/{name}");
        }
    }
    let parts: Vec<String> = files::names(&directory());
    assert_eq!(parts, ["aarch64", KEY, "x86_64"], "nothing else, above all no private key");
}

#[test]
fn the_built_in_profile_carries_every_file_of_the_repository() {
    let demo = BUILT_INS.iter().find(|profile| profile.name == "demo").unwrap();
    let mut on_disk = vec![format!("demo/{KEY}")];
    for arch in ARCHITECTURES {
        let names = files::names(&directory().join(arch.as_str()));
        on_disk.extend(names.into_iter().map(|name| format!("demo/{arch}/{name}")));
    }
    on_disk.sort();
    assert_eq!(demo.files.iter().map(|file| file.path).collect::<Vec<_>>(), on_disk);
    for file in demo.files {
        assert!(file.bytes == files::read(&directory().parent().unwrap().join(file.path)), "{}", file.path);
    }
}

#[test]
fn the_real_apk_installs_the_demo_from_scratch() {
    let Some(alpine) = need::apk("the_real_apk_installs_the_demo_from_scratch") else { return };
    for arch in ARCHITECTURES {
        let tree = reference::scratch(&alpine, arch.as_str())
            .repository(directory())
            .key(directory().join(KEY))
            .no_scripts()
            .add(&["cmd:hello", "demo-docs"]);

        assert_eq!(
            reference::steps(&tree.apk_output),
            [
                "Installing demo-baselayout (1.0-r0)",
                "Installing demo-message (1.0-r0)",
                "Installing demo-hello (1.0-r0)",
                "Installing demo-docs (1.0-r0)",
                "Installing demo-hello-doc (1.0-r0)",
            ],
            "{}",
            tree.apk_output
        );
        let owner = |path: &str| (tree.listing.entry(path).uid, tree.listing.entry(path).gid);
        assert_eq!(owner("var/lib/demo-hello"), (1000, 1000));
        assert_eq!(owner("etc/shadow"), (0, 42));
        assert_eq!(tree.listing.entry("usr/bin/hi").hard_links.as_deref(), Some("usr/bin/hello"));
        let database = installed::parse(tree.installed_text());
        assert_eq!(database["demo-docs"].fields[&'I'], "0");
    }
}

#[test]
fn the_program_shows_what_is_there_and_says_whether_anything_was() {
    let dir = Dir::new();
    let (first, second) = (dir.join("first"), dir.join("second"));
    files::write(&first, "one\n".repeat(5000).as_bytes());
    files::write(&second, b"two\n");
    let missing = dir.join("missing");
    let paths =
        |paths: &[&PathBuf]| paths.iter().map(|path| path.to_str().unwrap().to_owned()).collect::<Vec<_>>();
    for arch in ARCHITECTURES {
        let Some(runner) = runner(arch) else { continue };
        let run = |paths: &[String]| {
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            let program = dir.join(format!("program-{arch}-{}", paths.len()));
            write_program(&program, &demo::program(arch, &paths).unwrap());
            let mut command = match &runner {
                Some(emulator) => Command::new(emulator),
                None => Command::new(&program),
            };
            if runner.is_some() {
                command.arg(&program);
            }
            output(&mut command)
        };

        let some = run(&paths(&[&first, &missing, &second]));
        let nothing = run(&paths(&[&missing]));

        assert!(some.status.success(), "{arch}");
        assert!(some.stdout == [files::read(&first), files::read(&second)].concat(), "{arch}");
        assert_eq!((nothing.status.code(), nothing.stdout.len()), (Some(1), 0), "{arch}");
    }
    assert!(SHOWN.is_sorted());
}

/// How programs for `arch` are run here: as they are, by an emulator, or not at all.
#[expect(clippy::option_option, reason = "not at all, or by something, or by nothing")]
fn runner(arch: Arch) -> Option<Option<PathBuf>> {
    if Arch::of_this_machine() == Some(arch) {
        return Some(None);
    }
    let test = "the_program_shows_what_is_there_and_says_whether_anything_was";
    need::program(test, &format!("qemu-{arch}-static")).map(Some)
}

/// The output of a program that was written a moment ago.
fn output(command: &mut Command) -> Output {
    loop {
        match command.output() {
            // A test beside this one forked while the file was open and has not yet executed anything.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            done => return done.unwrap(),
        }
    }
}

/// Writes an executable file.
fn write_program(path: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o755).open(path).unwrap();
    file.write_all(bytes).unwrap();
}
