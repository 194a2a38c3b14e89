use super::*;
use crate::apk::installed::InstalledText;
use crate::apk::package::ScriptKind;
use crate::archive::tar_read::TarReader;
use crate::tree::made::{Package, at, has, installation, package, path, text};

const NONE: Records<'_> = Records { arch: Arch::X86_64, repositories: &[], tags: &[], keys: &[] };

fn scripted(name: &str) -> Package {
    let mut package = package(name).says(|info| info.triggers.push("/usr/bin".to_owned()));
    package.scripts.insert(ScriptKind::PostInstall, format!("{name} installs").into_bytes());
    package.scripts.insert(ScriptKind::Trigger, format!("{name} triggers").into_bytes());
    package
}

fn written(mut installation: Installation, records: &Records<'_>) -> Installation {
    installation.write_records(records).unwrap();
    installation
}

#[test]
fn what_is_installed_is_written_by_name_and_reads_back() {
    let tree = written(installation(&[package("b").file("usr/b", "b"), package("A")]), &NONE).tree;

    let installed = InstalledText::parse("db", text(&tree, "lib/apk/db/installed").into_bytes()).unwrap();
    let names: Vec<_> = installed.packages().iter().map(InstalledPackage::name).collect();
    assert_eq!(names, ["A", "b"]);
    assert!(installed.packages()[1].file(&path("usr/b")).is_some());
    assert_eq!(text(&tree, "etc/apk/arch"), "x86_64\n");
    assert_eq!(at(&tree, "lib/apk/db/installed").mode, Mode::FILE);
}

#[test]
fn scripts_are_written_with_the_identity_in_hex_and_triggers_with_it_in_base64() {
    let installation = written(installation(&[scripted("one"), package("two")]), &NONE);

    let package = installation.database.package("one").unwrap();
    let identity: crate::digest::Identity = package.field('C').parse().unwrap();
    let tar = text(&installation.tree, "lib/apk/db/scripts.tar");
    let mut reader = TarReader::new(tar.as_bytes());
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let name = String::from_utf8(entry.path.clone()).unwrap();
        entries.push((name, entry.mode, entry.mtime, reader.read_small(1024).unwrap()));
    }
    let hex = identity.to_x1();
    let expected = [("post-install", "one installs"), ("trigger", "one triggers")].map(|(kind, script)| {
        (format!("one-1-r0.{hex}.{kind}"), 0o755, 1_700_000_000, script.as_bytes().to_vec())
    });
    assert_eq!(entries, expected);
    assert_eq!(text(&installation.tree, "lib/apk/db/triggers"), format!("{identity} /usr/bin\n"));
}

#[test]
fn scripts_and_triggers_of_packages_that_are_gone_are_forgotten() {
    let mut installation = installation(&[scripted("one")]);
    installation.purge("one").unwrap();

    let tree = written(installation, &NONE).tree;

    assert_eq!(text(&tree, "lib/apk/db/triggers"), "");
    assert_eq!(text(&tree, "lib/apk/db/scripts.tar").len(), tar_write::END.len());
}

#[test]
fn the_compressed_form_of_the_scripts_goes() {
    let installation = installation(&[package("one").file("lib/apk/db/scripts.tar.gz", "old")]);

    let tree = written(installation, &NONE).tree;

    assert!(has(&tree, "lib/apk/db/scripts.tar") && !has(&tree, "lib/apk/db/scripts.tar.gz"));
}

#[test]
fn the_world_is_sorted_by_name_and_a_tag_without_a_line_is_forgotten() {
    let mut installation = installation(&[package("one")]);
    let world = ["php-fpm@edge", "php@edge", "php-x@kept", "!No", "bash>5"];
    installation.database.world = world.map(|text| text.parse().unwrap()).to_vec();
    installation.database.repin("one", Tag::new("edge"));
    let tags = [Tag::new("kept").unwrap()];

    let installation = written(installation, &Records { tags: &tags, ..NONE });

    assert_eq!(text(&installation.tree, "etc/apk/world"), "bash>5\n!No\nphp\nphp-fpm\nphp-x@kept\n");
    assert_eq!(installation.database.package("one").unwrap().tag, None);
}

#[test]
fn the_database_lies_behind_a_merged_lib() {
    let merged = package("merged").directory("usr/lib", 0o755).link("lib", "usr/lib");

    let tree = written(installation(&[merged]), &NONE).tree;

    assert!(has(&tree, "usr/lib/apk/db/installed"));
    assert_eq!(text(&tree, "lib"), "-> usr/lib");
}

#[test]
fn repositories_and_missing_keys_are_written() {
    let keys = [("a.pub".to_owned(), b"new".to_vec()), ("b.pub".to_owned(), b"new".to_vec())];
    let repositories = ["https://example.org/main".to_owned(), "@edge https://example.org/edge".to_owned()];
    let records = Records { repositories: &repositories, keys: &keys, ..NONE };

    let tree =
        written(installation(&[package("one").file("etc/apk/keys/a.pub", "package's")]), &records).tree;

    assert_eq!([text(&tree, "etc/apk/keys/a.pub"), text(&tree, "etc/apk/keys/b.pub")], ["package's", "new"]);
    let lines = "https://example.org/main\n@edge https://example.org/edge\n";
    assert_eq!(text(&tree, "etc/apk/repositories"), lines);
}
