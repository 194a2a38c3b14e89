//! Indexes and keys: what is not signed by the right one is not read.

use apkcompose::apk::sign::{SigningAlgorithm, SigningKey};
use apkcompose::apk::write_index::{IndexNotes, write_index};

use super::hostile::{self, OVER_MIRROR, Said, gzip, index_of, index_of_tar, plain, stanza};
use super::{SCRATCH, Scene};
use crate::made::{self, Made};
use crate::support::need;

const INDEX: &str = "repo/x86_64/APKINDEX.tar.gz";

fn app() -> Made {
    plain("app").made()
}

/// A scene whose index is `index`.
fn with_index(index: impl AsRef<[u8]>) -> Scene {
    let scene = Scene::wanting(&["app"], &[&app()]);
    scene.dir.write(INDEX, index);
    scene
}

#[test]
fn an_index_that_is_not_there_is_named_with_where_it_was_looked_for() {
    let scene = with_index("");
    std::fs::remove_file(scene.dir.join(INDEX)).unwrap();
    scene.refused("index-missing", 4);
    std::fs::remove_dir_all(scene.dir.join("repo")).unwrap();
    scene.refused("index-no-repository", 4);
}

#[test]
fn an_unsigned_index_is_refused() {
    let notes = IndexNotes::default();
    with_index(write_index(&mut [app().indexed], &notes, None).unwrap()).refused("index-unsigned", 5);
}

#[test]
fn an_index_of_an_unknown_key_is_refused() {
    with_index(made::index("test", &[&app()], made::other_key())).refused("index-unknown-key", 5);
}

#[test]
fn an_index_of_another_key_with_the_right_name_is_refused() {
    let twin = SigningKey::generate("test.rsa.pub").unwrap();
    with_index(made::index("test", &[&app()], &twin)).refused("index-wrong-key", 5);
}

#[test]
fn a_key_of_the_profile_does_not_sign_alpines_repositories() {
    let scene = Scene::with_profile(&format!(
        "{}keys = [\"test.rsa.pub\"]\n[packages]\nruntime = [\"app\"]\n",
        OVER_MIRROR.replace("mirror-keys = [\"test.rsa.pub\"]\n", "")
    ));
    hostile::mirror(&scene.dir, &hostile::rootfs([]), &[&app()]);
    scene.refused("index-profile-key-for-official", 5);
}

#[test]
fn a_key_for_mirrors_does_not_sign_other_repositories() {
    let scene = Scene::wanting(&["app"], &[&app()]);
    let text = format!("{SCRATCH}\n[packages]\nruntime = [\"app\"]\n");
    scene.profile(&text.replace("keys = ", "mirror-keys = "));
    scene.refused("index-mirror-key-for-other", 5);
}

#[test]
fn an_entry_with_keys_accepts_those_alone() {
    let scene = Scene::wanting(&["app"], &[&app()]);
    scene.dir.write("other.rsa.pub", made::other_key().public_key().pem());
    scene.profile(
        "[alpine]\narch = [\"x86_64\"]\nbase = \"scratch\"\nkeys = [\"test.rsa.pub\"]\n\
         repositories = [{ url = \"./repo\", keys = [\"other.rsa.pub\"] }]\n[packages]\nruntime = [\"app\"]\n",
    );
    scene.refused("index-entry-with-keys", 5);
}

#[test]
fn alpines_key_of_another_architecture_is_not_accepted() {
    let test = "alpines_key_of_another_architecture_is_not_accepted";
    let Some(alpine) = need::alpine(test) else { return };
    let index = crate::support::files::read(&alpine.mirror().join("rpi-3.13.4/aarch64/APKINDEX.tar.gz"));
    with_index(index).refused("index-key-of-another-arch", 5);
}

#[test]
fn a_signature_of_an_unknown_kind_is_refused_by_its_name() {
    let name = ".SIGN.DSA.test.rsa.pub";
    let index = made::index("test", &[&app()], made::key());
    let signed = &index[index.len() - second_member(&index).len()..];
    let signature = gzip(&hostile::open_tar(&[Said::file(name, [7; 256]).without_checksum()]));
    with_index([&signature, signed].concat()).refused("index-dsa", 5);
}

/// What follows the signature of an index file.
fn second_member(index: &[u8]) -> &[u8] {
    let (_, rest) = apkcompose::apk::signature::split(index).unwrap();
    rest
}

#[test]
fn a_bad_signature_is_not_made_good_by_a_second_one() {
    let index = made::index("test", &[&app()], made::key());
    let signed = second_member(&index);
    let good = made::key().sign(signed).unwrap();
    let bad = Said::file(&good.entry_name(), [7; 256]).without_checksum();
    let rsa512 = SigningKey::generate("test.rsa.pub").unwrap().with_algorithm(SigningAlgorithm::Rsa512);
    let again = Said::file(&rsa512.sign(signed).unwrap().entry_name(), good.bytes).without_checksum();
    let member = gzip(&hostile::open_tar(&[bad, again]));
    with_index([&member, signed].concat()).refused("index-first-signature-decides", 5);
}

#[test]
fn indexes_of_apk_v3_are_refused_by_name() {
    with_index("ADB.indx").refused("index-adb", 5);
    with_index("ADBd\x01\x02").refused("index-adb-deflate", 5);
    with_index("ADBc\x01\x02").refused("index-adb-compressed", 5);
}

#[test]
fn what_is_no_index_is_refused() {
    with_index("").refused("index-empty", 5);
    with_index("<html><title>404</title>").refused("index-html", 5);
    with_index(index_of_tar(&hostile::tar(&[Said::dir("APKINDEX")]))).refused("index-directory", 5);
    with_index(index_of_tar(&hostile::tar(&[]))).refused("index-nothing-in-it", 5);
    let mut longer = made::index("test", &[&app()], made::key());
    longer.extend(gzip(b"more"));
    with_index(longer).refused("index-something-behind", 5);
}

#[test]
fn a_malformed_index_is_refused_with_its_line() {
    let text = stanza(&app());
    let index = |text: String| with_index(index_of(text));
    index(format!("{text}P:b\n\n")).refused("index-incomplete-stanza", 5);
    index(format!("{text}nonsense\n\n")).refused("index-nonsense", 5);
    index(text.replace("P:app", "P:../app")).refused("index-name-with-slash", 5);
    index(text.replace("I:4096", "I:9999999999999999999999")).refused("index-number", 5);
    let (_, without_identity) = text.split_once('\n').unwrap();
    index(without_identity.to_owned()).refused("index-without-identity", 5);
    with_index(index_of([text.as_bytes(), b"T:\xff\n"].concat())).refused("index-not-utf8", 5);
    index(format!("{text}P:a\x1b[31mb\nV:1\n\n")).refused("index-control-character", 5);
}

#[test]
fn a_version_that_is_no_file_name_reaches_no_file() {
    let text = stanza(&app());
    for (name, version) in
        [("index-version-is-path", "1/../../../etc/passwd"), ("index-version-control", "1\x1b[31m")]
    {
        with_index(index_of(text.replace("V:1-r0", &format!("V:{version}")))).refused(name, 5);
    }
    // The architecture is part of the path too.
    with_index(index_of(text.replace("A:x86_64", "A:../../etc"))).refused("index-arch-is-path", 6);
}

#[test]
fn a_package_that_is_listed_and_not_there_is_named() {
    let scene = Scene::wanting(&["app"], &[&app()]);
    std::fs::remove_file(scene.dir.join("repo/x86_64/app-1-r0.apk")).unwrap();
    scene.refused("index-lists-what-is-not-there", 4);
    std::fs::create_dir(scene.dir.join("repo/x86_64/app-1-r0.apk")).unwrap();
    scene.refused("index-lists-a-directory", 4);
}

#[test]
fn an_index_in_the_directory_of_another_branch_is_refused() {
    let scene = Scene::with_profile(&format!("{OVER_MIRROR}[packages]\nruntime = [\"app\"]\n"));
    hostile::mirror(&scene.dir, &hostile::rootfs([]), &[&app()]);
    scene.image();
    std::fs::remove_file(scene.dir.join("out.tar")).unwrap();
    for (name, description) in [
        ("index-of-another-branch", "v3.18.9-1-gabcdef"),
        ("index-of-a-longer-branch", "v3.190.1"),
        ("index-of-no-branch", ""),
    ] {
        let index = made::index(description, &[&app()], made::key());
        scene.dir.write("mirror/v3.19/main/x86_64/APKINDEX.tar.gz", index);
        scene.refused(name, 5);
    }
}

#[test]
fn an_index_signed_by_somebody_else_is_refused_though_the_packages_are_good() {
    let scene = Scene::wanting(&["app"], &[&app()]);
    scene.image();
    std::fs::remove_file(scene.dir.join("out.tar")).unwrap();
    scene.dir.write(INDEX, made::index("test", &[&app()], made::other_key()));
    scene.refused("index-warm-store", 5);
}
