//! The real mirror, damaged here and there: what the made repositories show for every byte, on real sizes.

use super::{OUTPUT, Scene};
use crate::made::flipped;
use crate::support::data::Alpine;
use crate::support::mirror::Mirror;
use crate::support::need;

const ISO: &str = "iso-3.19.1/x86_64";
const MUSL: &str = "iso-3.19.1/x86_64/musl-1.2.4_git20230717-r4.apk";
const MINIROOTFS: &str = "v3.19/releases/x86_64/alpine-minirootfs-3.19.4-x86_64.tar.gz";

/// A mirror of its own with the repository of the ISO, of which there are the index and musl, and a profile that
/// wants musl from it.
fn iso(alpine: &Alpine) -> (Scene, Mirror) {
    let mirror = Mirror::of(alpine, &[&format!("{ISO}/APKINDEX.tar.gz"), MUSL]);
    let scene = Scene::with_profile(&format!(
        "[alpine]\narch = [\"x86_64\"]\nbase = \"scratch\"\nrepositories = [\"{}/iso-3.19.1\"]\n\
         [packages]\nruntime = [\"musl\"]\n",
        mirror.path().display()
    ));
    (scene, mirror)
}

/// Places of a file of `length` bytes, the first and the last among them.
fn places(length: usize, count: usize) -> Vec<usize> {
    (0..count).map(|number| (length - 1) * number / (count - 1)).collect()
}

#[test]
fn a_real_index_and_a_real_package_that_are_damaged_are_refused() {
    let test = "a_real_index_and_a_real_package_that_are_damaged_are_refused";
    let Some(alpine) = need::alpine(test) else { return };
    let (scene, mirror) = iso(&alpine);
    for file in [format!("{ISO}/APKINDEX.tar.gz"), MUSL.to_owned()] {
        let original = mirror.read(&file);
        for place in places(original.len(), 12) {
            mirror.write(&file, &flipped(&original, place));
            let outcome = scene.build().fails_with(5);
            assert!(!scene.dir.join(OUTPUT).exists(), "byte {place} of {file}: {outcome}");
            mirror.write(&file, &original[..place]);
            scene.build().fails_with(5);
        }
        mirror.write(&file, &original);
    }
    scene.image();
}

#[test]
fn the_messages_about_a_damaged_real_mirror_are_plain() {
    let test = "the_messages_about_a_damaged_real_mirror_are_plain";
    let Some(alpine) = need::alpine(test) else { return };
    let (scene, mirror) = iso(&alpine);
    let index = format!("{ISO}/APKINDEX.tar.gz");
    let (original, musl) = (mirror.read(&index), mirror.read(MUSL));
    let cases = [
        ("real-index-signature", 300, &index),
        ("real-index-body", 5000, &index),
        ("real-index-last-byte", original.len() - 1, &index),
        ("real-package-signature", 300, &MUSL.to_owned()),
        ("real-package-control", 1000, &MUSL.to_owned()),
        ("real-package-data", 100_000, &MUSL.to_owned()),
    ]
    .map(|(name, at, file)| (name, at, file.clone()));
    for (name, at, file) in cases {
        mirror.flip(&file, at);
        scene.refused(name, 5);
        mirror.flip(&file, at);
    }
    mirror.truncate(&index, original.len() / 2);
    scene.refused("real-index-cut", 5);
    mirror.write(&index, &original);
    mirror.truncate(MUSL, musl.len() / 2);
    scene.refused("real-package-cut", 5);
    mirror.remove(MUSL);
    scene.refused("real-package-absent", 4);
}

#[test]
fn a_real_minirootfs_that_is_damaged_is_refused() {
    let test = "a_real_minirootfs_that_is_damaged_is_refused";
    let Some(alpine) = need::alpine(test) else { return };
    let mirror = Mirror::of(&alpine, &["v3.19/releases/x86_64"]);
    let scene = Scene::with_profile(&format!(
        "[alpine]\nrelease = \"3.19\"\narch = [\"x86_64\"]\nmirror = [\"{}\"]\nrepositories = []\n",
        mirror.path().display()
    ));
    let original = mirror.read(MINIROOTFS);
    for place in places(original.len(), 12) {
        mirror.write(MINIROOTFS, &flipped(&original, place));
        let outcome = scene.build().fails_with(5);
        assert!(!scene.dir.join(OUTPUT).exists(), "byte {place}: {outcome}");
        mirror.write(MINIROOTFS, &original[..place]);
        scene.build().fails_with(5);
    }
    scene.refused("real-minirootfs-cut", 5);
    mirror.write(MINIROOTFS, &original);
    scene.image();
}
