use super::*;
use crate::archive::gzip_write;
use crate::archive::table::TableKind;
use crate::archive::tar_write::{self, Entry, EntryKind as WrittenKind};
use crate::tree::made::{Layer, at, has, path, text};
use crate::tree::{Device, Mode, Owner};

const IDENTITY: &str = "Q1RWLMZH10kdz0zUmHb2dljdFhLlQ=";
const INSTALLED: &str =
    "C:Q1RWLMZH10kdz0zUmHb2dljdFhLlQ=\nP:one\nV:1-r0\nF:usr\nF:usr/bin\nR:tool\na:0:0:755\n\n";

impl Layer {
    fn base(self) -> Result<Base, BaseError> {
        let (table, data) = self.made();
        Base::of_layers(&[TableLayer { table: &table, tar: &data }])
    }

    fn tree(self) -> Tree {
        self.base().unwrap().installation.tree
    }

    fn database(self) -> Database {
        self.base().unwrap().installation.database
    }
}

fn archive() -> Layer {
    Layer::default()
}

/// An archive of scripts with those of the package above and of one that is gone.
fn scripts() -> Vec<u8> {
    let mut tar = Vec::new();
    for (name, script) in [
        (format!("one-1-r0.{IDENTITY}.post-install"), "first"),
        ("one-1-r0.X14562cc647d7491dcf4cd49876f67658dd1612e54.trigger".to_owned(), "second"),
        ("gone-1-r0.Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=.post-install".to_owned(), "gone's"),
        (format!("one-1-r0.{IDENTITY}.other"), "of no kind"),
    ] {
        let size = script.len() as u64;
        Entry::new(&name, WrittenKind::File { size }).append_head(&mut tar).unwrap();
        tar.extend_from_slice(script.as_bytes());
        tar.extend_from_slice(tar_write::padding(size));
    }
    tar.extend_from_slice(tar_write::END);
    tar
}

#[test]
fn an_archive_becomes_a_tree_with_owners_as_they_are() {
    let target = TableKind::HardLink(path("bin/a"));
    let tree = archive()
        .file("bin/a", "a")
        .entry("bin/b", target)
        .entry("sbin", TableKind::Symlink("bin".into()))
        .entry("dev/null", TableKind::CharacterDevice(1, 3))
        .tree();

    assert_eq!((text(&tree, "bin/a"), text(&tree, "sbin")), ("a".into(), "-> bin".into()));
    assert_eq!(tree.number(&path("bin/a")), tree.number(&path("bin/b")));
    assert_eq!(at(&tree, "dev/null").kind, InodeKind::CharacterDevice(Device { major: 1, minor: 3 }));
    let inode = at(&tree, "bin/a");
    assert_eq!((inode.owner, inode.mode, inode.mtime), (Owner { uid: 5, gid: 6 }, Mode::new(0o750), Some(1)));
    // A directory that has no entry of its own.
    assert_eq!((at(&tree, "bin").owner, &at(&tree, "bin").origin), (Owner::ROOT, &Origin::Base));
}

#[test]
fn what_the_installed_database_lists_belongs_to_packages() {
    let base = archive()
        .file("lib/apk/db/installed", INSTALLED)
        .file("usr/bin/tool", "tool")
        .file("usr/bin/other", "other")
        .base()
        .unwrap();

    let Installation { tree, database, .. } = &base.installation;
    assert_eq!(at(tree, "usr/bin/tool").origin, Origin::Package("one".into()));
    assert_eq!(at(tree, "usr/bin").origin, Origin::Package("one".into()));
    assert_eq!(at(tree, "usr/bin/other").origin, Origin::Base);
    assert_eq!(database.owner(&path("usr/bin/tool")).unwrap().version(), "1-r0");
    assert_eq!(base.installed.unwrap().packages().len(), 1);
}

#[test]
fn a_base_without_a_database_has_no_packages() {
    let base = archive().file("usr/bin/tool", "tool").base().unwrap();

    assert!(base.installed.is_none());
    assert!(base.installation.database.packages().is_empty());
    assert!(base.installation.database.world.is_empty());
}

#[test]
fn the_world_scripts_and_triggers_are_read() {
    let triggers = format!("{IDENTITY} /usr/bin +/srv/*\nQ1AAAAAAAAAAAAAAAAAAAAAAAAAAA= /gone\n");
    let database = archive()
        .file("lib/apk/db/installed", INSTALLED)
        .file("lib/apk/db/triggers", triggers)
        .file("lib/apk/db/scripts.tar", scripts())
        .file("etc/apk/world", "one@edge>1\n!two\n")
        .database();

    let world: Vec<_> = database.world.iter().map(ToString::to_string).collect();
    assert_eq!(world, ["one@edge>1", "!two"]);
    assert_eq!(database.triggers[&Box::from("one")], ["/usr/bin", "+/srv/*"]);
    assert_eq!(database.triggers.len(), 1);
    let own = &database.scripts[&Box::from("one")];
    assert_eq!(own[&ScriptKind::PostInstall], b"first");
    assert_eq!(own[&ScriptKind::Trigger], b"second");
    assert_eq!((own.len(), database.scripts.len()), (2, 1));
}

#[test]
fn scripts_in_a_compressed_archive_are_read_if_there_is_no_other() {
    let compressed = gzip_write::member(&scripts()).unwrap();
    let with =
        || archive().file("lib/apk/db/installed", INSTALLED).file("lib/apk/db/scripts.tar.gz", &compressed);

    let alone = with().database();
    let beside = with().file("lib/apk/db/scripts.tar", tar_write::END).database();

    assert_eq!(alone.scripts[&Box::from("one")][&ScriptKind::PostInstall], b"first");
    assert!(beside.scripts.is_empty());
}

#[test]
fn the_database_is_found_behind_a_merged_lib() {
    let base = archive()
        .entry("lib", TableKind::Symlink("usr/lib".into()))
        .file("usr/lib/apk/db/installed", INSTALLED)
        .base()
        .unwrap();

    assert_eq!(base.installation.database.names().len(), 1);
    assert!(!has(&base.installation.tree, "lib/apk"));
}

#[test]
fn malformed_databases_are_errors_that_name_them() {
    let error = |path: &str, content: &str| {
        let archive = archive().file("lib/apk/db/installed", INSTALLED).file(path, content);
        archive.base().unwrap_err().to_string()
    };
    let installed = archive().file("lib/apk/db/installed", "P:one\nM:0:0:755\n").base().unwrap_err();

    assert!(installed.to_string().contains("/lib/apk/db/installed"), "{installed}");
    assert_eq!(installed.kind(), Kind::Integrity);
    assert!(error("etc/apk/world", "one>").contains("/etc/apk/world"));
    assert!(error("lib/apk/db/scripts.tar", "no tar").contains("package scripts"));
    assert!(error("lib/apk/db/scripts.tar.gz", "no gzip").contains("package scripts"));
}
