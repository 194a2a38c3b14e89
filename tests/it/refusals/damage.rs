//! Every byte of everything that is read, with a bit changed and cut off behind it: refused, or, of what the
//! store keeps, mended. Whatever is built is, byte for byte, what is built of undamaged input.
//!
//! In this process, because it is done some ten thousand times.

use std::fs;
use std::path::{Path, PathBuf};

use apkcompose::compose::output::{Destination, Output, OutputKind};
use apkcompose::compose::scripts::ScriptPolicy;
use apkcompose::compose::{self, Architectures, BuildOptions};
use apkcompose::kind::{Explain as _, Kind};
use apkcompose::profile::{self, BUILT_INS, Draft, Overrides};
use apkcompose::report::Silent;
use apkcompose::store::Store;

use super::hostile::{self, MINIROOTFS, OVER_MIRROR, RELEASES, Said};
use super::tree;
use crate::fetching::{fetcher, script_options};
use crate::made::{self, Made, flipped};
use crate::support::command::Dir;
use crate::support::files;

const INDEX: &str = "mirror/v3.19/main/x86_64/APKINDEX.tar.gz";
const PACKAGE: &str = "mirror/v3.19/main/x86_64/app-1-r0.apk";

/// A mirror with a base and a package, and an image made of them.
struct Sound {
    dir: Dir,
    draft: Draft,
    package: Made,
    image: Vec<u8>,
}

/// What a build came to.
#[derive(Debug)]
enum Built {
    Image(Vec<u8>),
    Refused(Kind, String),
}

impl Sound {
    fn new() -> Self {
        let dir = Dir::new();
        dir.write("test.rsa.pub", made::key().public_key().pem());
        let package = app();
        hostile::mirror(&dir, &base(), &[&package]);
        let profile = dir.write(
            "p.toml",
            format!("{OVER_MIRROR}\n[packages]\nruntime = [\"app\"]\n[image]\ncmd = [\"/app\"]\n"),
        );
        let found = profile::find(profile.to_str().unwrap(), Path::new(""), BUILT_INS).unwrap();
        let draft = Draft::load(&found, &Overrides::default(), BUILT_INS).unwrap();
        files::create_dir(&dir.join("image"));
        let mut sound = Self { dir, draft, package, image: Vec::new() };
        match sound.build() {
            Built::Image(image) => sound.image = image,
            refused @ Built::Refused(..) => panic!("{refused:?}"),
        }
        sound
    }

    fn store(&self) -> PathBuf {
        self.dir.cache()
    }

    /// Builds, with the store as it is.
    fn build(&self) -> Built {
        let output = self.dir.join("image/root.tar");
        let options = BuildOptions {
            architectures: Architectures::Usual,
            outputs: vec![Output { kind: OutputKind::Tar, destination: Destination::Path(output.clone()) }],
            // There is nothing that could run them.
            scripts: script_options(ScriptPolicy::Skip),
            epoch: None,
            context: None,
            today: None,
        };
        let store = Store::open(&self.store()).unwrap();
        let built = match compose::build(&fetcher(&store, 1, &Silent), &self.draft, &options) {
            Ok(_) => Built::Image(files::read(&output)),
            Err(error) => {
                assert_eq!(tree(&self.dir.join("image")), [""; 0], "left by: {error}");
                Built::Refused(error.kind(), error.to_string())
            }
        };
        drop(fs::remove_file(output));
        built
    }

    /// Builds with an empty store.
    fn build_cold(&self) -> Built {
        for name in files::names(&self.store()) {
            let path = self.store().join(name);
            if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        }
        self.build()
    }

    /// Asserts that what is built of the file at `path`, damaged in every way, is refused with a message that has
    /// `named` in it. Where `spared` says so, it may be built, to the right image.
    fn every_damage_of(&self, path: &str, named: &str, spared: impl Fn(&Damage, &[u8]) -> bool) {
        let original = self.dir.read(path);
        for damage in damages(original.len()) {
            self.dir.write(path, damage.of(&original));
            match self.build_cold() {
                Built::Image(image) => {
                    assert!(spared(&damage, &original), "{path}: {damage:?} was not noticed");
                    assert_eq!(image, self.image, "{path}: {damage:?}");
                }
                Built::Refused(kind, message) => {
                    assert_eq!(kind, Kind::Integrity, "{path}: {damage:?}: {message}");
                    assert!(message.contains(named), "{path}: {damage:?}: {message}");
                }
            }
        }
        self.dir.write(path, original);
    }
}

/// A package with a program, which is looked into before it is copied.
fn app() -> Made {
    let mut program = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    program.resize(52, 0);
    program.extend([64, 0, 56, 0, 0, 0, 64, 0, 0, 0, 0, 0]);
    hostile::Package::new("app")
        .control(".post-install", "#!/bin/sh\n")
        .has([Said::program("app", program)])
        .made()
}

/// A root filesystem with all that is read of one.
fn base() -> Vec<u8> {
    hostile::rootfs([
        Said::file("./etc/motd", "base"),
        Said::file("./etc/shadow", "root:::0:::::\n"),
        Said::dir("./etc/apk"),
        Said::file("./etc/apk/world", "kept\n"),
        Said::dir("./lib"),
        Said::dir("./lib/apk"),
        Said::dir("./lib/apk/db"),
        Said::file(
            "./lib/apk/db/installed",
            "C:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=\nP:kept\nV:1\nA:x86_64\nI:1\nF:etc\nR:motd\n\n",
        ),
        Said::file("./lib/apk/db/triggers", "Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA= /etc\n"),
        Said::file("./lib/apk/db/scripts.tar", hostile::tar(&[])),
    ])
}

/// A way to damage a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    /// A bit of the byte there is another.
    Flip(usize),
    /// Nothing is left from there on.
    Cut(usize),
}

impl Damage {
    fn of(self, original: &[u8]) -> Vec<u8> {
        match self {
            Self::Flip(at) => flipped(original, at),
            Self::Cut(length) => original[..length].to_vec(),
        }
    }
}

/// Every byte, and cut off at some hundred places.
fn damages(length: usize) -> impl Iterator<Item = Damage> {
    (0..length).map(Damage::Flip).chain((0..length).step_by(length / 100 + 1).map(Damage::Cut))
}

/// The bytes of a gzip header that mean nothing: time, level, system.
fn is_free(damage: &Damage) -> bool {
    matches!(damage, Damage::Flip(4..10))
}

#[test]
fn every_damage_of_an_index_is_refused() {
    Sound::new().every_damage_of(INDEX, "v3.19/main", |damage, _| is_free(damage));
}

#[test]
fn every_damage_of_a_package_is_refused() {
    Sound::new().every_damage_of(PACKAGE, "app-1-r0", |damage, _| is_free(damage));
}

#[test]
fn every_damage_of_a_base_is_refused() {
    Sound::new().every_damage_of(&format!("{RELEASES}/{MINIROOTFS}"), MINIROOTFS, |_, _| false);
}

#[test]
fn every_damage_of_a_checksum_is_refused() {
    let sound = Sound::new();
    for extension in ["sha256", "sha512"] {
        let path = format!("{RELEASES}/{MINIROOTFS}.{extension}");
        // The end of the line is all that may be missing.
        sound.every_damage_of(&path, MINIROOTFS, |damage, original| {
            *damage == Damage::Cut(original.len() - 1)
        });
    }
}

/// The list says more than is asked of it, so that not every damage means something. What it says of the
/// digest does.
#[test]
fn every_damage_of_the_list_of_releases_is_refused_or_means_nothing() {
    let means_nothing = |damage: &Damage, original: &[u8]| {
        let text = std::str::from_utf8(original).unwrap();
        let digests = text.find("  size").unwrap()..text.len() - 1;
        match damage {
            Damage::Flip(at) => !digests.contains(at),
            Damage::Cut(_) => true,
        }
    };
    let path = format!("{RELEASES}/latest-releases.yaml");
    let sound = Sound::new();
    let original = sound.dir.read(&path);
    for damage in damages(original.len()) {
        sound.dir.write(&path, damage.of(&original));
        match sound.build_cold() {
            Built::Image(image) => {
                assert!(means_nothing(&damage, &original), "{damage:?} was not noticed");
                assert_eq!(image, sound.image, "{damage:?}");
            }
            Built::Refused(kind, message) => {
                assert!(matches!(kind, Kind::Integrity | Kind::Missing), "{damage:?}: {kind:?} {message}");
                assert!(message.contains("3.19"), "{damage:?}: {message}");
            }
        }
    }
}

/// The files of the store that end in `end`, relative to it.
fn kept(sound: &Sound, below: &str, end: &str) -> Vec<PathBuf> {
    let directory = sound.store().join(below);
    let names = files::names(&directory).into_iter().filter(|name| name.ends_with(end));
    let found: Vec<PathBuf> = names.map(|name| directory.join(name)).collect();
    assert!(!found.is_empty(), "nothing in {}", directory.display());
    found
}

fn every_damage_of_the_store(below: &str, end: &str) {
    damage_of_the_store(below, end, |_, _| true);
}

/// Damages every file of the store in `below`, in every way that `is_tried`, and builds: always the right image.
fn damage_of_the_store(below: &str, end: &str, is_tried: impl Fn(&Damage, &[u8]) -> bool) {
    let sound = Sound::new();
    assert!(matches!(sound.build(), Built::Image(_)));
    for path in kept(&sound, below, end) {
        let original = files::read(&path);
        for damage in damages(original.len()).filter(|damage| is_tried(damage, &original)) {
            files::write(&path, &damage.of(&original));
            match sound.build() {
                Built::Image(image) => assert_eq!(image, sound.image, "{}: {damage:?}", path.display()),
                Built::Refused(kind, message) => {
                    panic!("{}: {damage:?} was not mended: {kind:?} {message}", path.display());
                }
            }
            files::write(&path, &original);
        }
    }
}

#[test]
fn every_damage_of_a_stored_original_is_mended() {
    every_damage_of_the_store("blobs/sha256", "");
}

/// Of the zeros that a tar is full of, and that nobody reads again, every sixteenth.
#[test]
fn every_damage_of_an_inflated_archive_is_mended() {
    let means_something = |damage: &Damage, original: &[u8]| match damage {
        Damage::Flip(at) => original[*at] != 0 || at % 16 == 0,
        Damage::Cut(_) => true,
    };
    damage_of_the_store("expanded", ".tar", means_something);
}

/// Every byte of the package's; of the base's, which is the same with more in it, every fourth.
#[test]
fn every_damage_of_a_table_is_mended() {
    const SHORT: usize = 2048;
    damage_of_the_store("expanded", ".toc", |damage, original| match damage {
        Damage::Flip(at) => original.len() < SHORT || at % 4 == 0,
        Damage::Cut(_) => true,
    });
}

#[test]
fn every_damage_of_a_reference_is_mended() {
    every_damage_of_the_store("refs/identity", "");
}

/// Without the inflated copies everything comes from the originals, which are then read whole.
#[test]
fn every_damage_of_an_original_that_has_to_be_inflated_again_is_mended() {
    let sound = Sound::new();
    for path in kept(&sound, "blobs/sha256", "") {
        let original = files::read(&path);
        for damage in damages(original.len()).step_by(3) {
            fs::remove_dir_all(sound.store().join("expanded")).unwrap();
            files::write(&path, &damage.of(&original));
            match sound.build() {
                Built::Image(image) => assert_eq!(image, sound.image, "{}: {damage:?}", path.display()),
                refused @ Built::Refused(..) => panic!("{}: {damage:?}: {refused:?}", path.display()),
            }
            assert_eq!(files::read(&path), original, "{damage:?} of the store was not mended");
        }
    }
}

/// Where the mirror is gone there is nothing to mend from.
#[test]
fn a_damaged_original_without_its_source_is_refused() {
    let sound = Sound::new();
    fs::remove_file(sound.dir.join(PACKAGE)).unwrap();
    assert!(matches!(sound.build(), Built::Image(image) if image == sound.image));
    let blob =
        sound.store().join(format!("blobs/sha256/{}", apkcompose::digest::Sha256::of(&sound.package.bytes)));
    fs::remove_dir_all(sound.store().join("expanded")).unwrap();
    files::write(&blob, &flipped(&sound.package.bytes, sound.package.data_offset() + 40));

    let built = sound.build();

    assert!(
        matches!(&built, Built::Refused(Kind::Missing, message) if message.contains("app-1-r0")),
        "{built:?}"
    );
}
