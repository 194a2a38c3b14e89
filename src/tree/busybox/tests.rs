use super::*;
use crate::tree::made::{Package, at, has, installation, package, path, text};

/// BusyBox with the commands of `list`.
fn busybox(list: &str) -> Package {
    package("busybox").file("bin/busybox", "busybox").file("etc/busybox-paths.d/busybox", list)
}

fn suid() -> Package {
    package("busybox-suid").file("bin/bbsuid", "bbsuid")
}

fn linked(packages: &[Package]) -> Tree {
    let mut tree = installation(packages).tree;
    install_links(&mut tree).unwrap();
    tree
}

#[test]
fn every_command_of_the_list_is_a_link_unless_something_has_its_name() {
    let other = package("other").file("bin/ls", "other's").link("usr/bin/wget", "../lib/wget");

    let tree = linked(&[busybox("bin/ls\nbin/cat\nusr/bin/wget\nsbin/init\n"), other]);

    let texts = ["bin/ls", "bin/cat", "usr/bin/wget", "sbin/init"].map(|path| text(&tree, path));
    assert_eq!(texts, ["other's", "-> /bin/busybox", "-> ../lib/wget", "-> /bin/busybox"]);
    let link = at(&tree, "bin/cat");
    assert_eq!((link.mode, &link.origin), (Mode::SYMLINK, &Origin::Generated));
    assert!(has(&tree, "usr/sbin"));
}

#[test]
fn commands_in_directories_that_are_not_there_are_left_out() {
    let tree = linked(&[busybox("opt/bin/x\nbin/cat\n")]);

    assert!(has(&tree, "bin/cat") && !has(&tree, "opt"));
}

#[test]
fn suid_commands_take_the_place_of_busyboxs_own_links_alone() {
    let other = package("mount").file("bin/mount", "mount's");
    let packages = [busybox("bin/su\nbin/mount\nbin/cat\n"), suid(), other];

    let tree = linked(&packages);

    let texts = ["bin/su", "bin/mount", "bin/cat"].map(|path| text(&tree, path));
    assert_eq!(texts, ["-> /bin/bbsuid", "mount's", "-> /bin/busybox"]);
}

#[test]
fn without_busybox_there_are_no_links() {
    let tree = linked(&[package("one").file("etc/busybox-paths.d/busybox", "bin/cat\n")]);

    assert!(!has(&tree, "bin"));
}

#[test]
fn links_lie_where_a_merged_usr_has_its_directories() {
    let merged = package("merged").directory("usr/bin", 0o755).link("bin", "usr/bin").link("sbin", "usr/bin");
    let busybox = package("busybox")
        .file("usr/bin/busybox", "busybox")
        .file("etc/busybox-paths.d/busybox", "bin/cat\nsbin/init\n");

    let tree = linked(&[merged, busybox]);

    assert_eq!(text(&tree, "usr/bin/cat"), "-> /usr/bin/busybox");
    assert!(tree.get(&path("bin")).is_some_and(|inode| matches!(inode.kind, InodeKind::Symlink(_))));
}
