use super::*;
use crate::tree::made::{Package, at, has, installation, package, path, text};
use crate::tree::place::Installation;

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

#[test]
fn a_new_busybox_takes_the_links_away_that_it_has_not() {
    let sh = package("sh").link("bin/sh", "/bin/busybox");
    let mut tree = linked(&[busybox("bin/old\nbin/cat\nsbin/init\n"), sh]);
    for (at, target) in [("bin/mine", "/bin/other"), ("usr/bin/deep", "/bin/busybox")] {
        let link = Inode::new(InodeKind::Symlink(target.into()), Mode::SYMLINK, Origin::Base);
        tree.insert(path(at), link).unwrap();
    }
    tree.remove_all(&path("sbin/init"));
    let list = InodeKind::File(crate::content::Content::of_bytes(*b"bin/cat\nbin/new\nsbin/init\n"));
    let list = Inode::new(list, Mode::FILE, Origin::Package("busybox".into()));
    tree.insert(path("etc/busybox-paths.d/busybox"), list).unwrap();

    renew_links(&mut tree).unwrap();

    let names = ["bin/old", "usr/bin/deep", "bin/cat", "bin/new", "sbin/init", "bin/mine", "bin/sh"];
    let there: Vec<_> = names.into_iter().filter(|name| has(&tree, name)).collect();
    assert_eq!(there, ["bin/cat", "bin/new", "sbin/init", "bin/mine", "bin/sh"]);
}

#[test]
fn links_go_with_the_busybox_or_bbsuid_that_they_lead_to_and_others_stay() {
    let sh = package("sh").link("bin/sh", "/bin/busybox");
    let mut installation = installation(&[busybox("bin/cat\nbin/su\n"), suid(), sh]);
    let Installation { tree, .. } = &mut installation;
    install_links(tree).unwrap();
    tree.insert(
        path("bin/mine"),
        Inode::new(InodeKind::Symlink("/gone".into()), Mode::SYMLINK, Origin::Base),
    )
    .unwrap();
    let there = |installation: &Installation| {
        ["bin/cat", "bin/su", "bin/sh", "bin/mine"].map(|name| has(&installation.tree, name))
    };

    remove_dangling_links(&mut installation.tree);
    assert_eq!(there(&installation), [true; 4]);
    installation.purge("busybox-suid").unwrap();
    remove_dangling_links(&mut installation.tree);
    assert_eq!(there(&installation), [true, false, true, true]);
    installation.purge("busybox").unwrap();
    remove_dangling_links(&mut installation.tree);
    assert_eq!(there(&installation), [false, false, true, true]);
}

/// Whether the trigger did all there was to do, and whether it made links.
fn triggered(more: Package, pulled: &str) -> (bool, bool) {
    let modules = package("linux").directory("lib/modules/6.1", 0o755);
    let mut tree = installation(&[busybox("bin/cat\nsbin/depmod\n"), modules, more]).tree;
    install_links(&mut tree).unwrap();
    tree.remove_all(&path("bin/cat"));
    let trigger = known(ScriptKind::Trigger, &format!("#!/bin/sh\n{TRIGGER}")).unwrap();
    let applied = trigger.apply(&mut tree, &[format!("/{pulled}")]).unwrap();
    (applied == Applied::Done, has(&tree, "bin/cat"))
}

fn known(kind: ScriptKind, text: &str) -> Option<BusyboxScript> {
    BusyboxScript::of("busybox", kind, text.as_bytes())
}

#[test]
fn the_trigger_needs_a_shell_and_leaves_the_modules_of_kernels_to_a_program() {
    let sh = || package("sh").link("bin/sh", "/bin/busybox");
    let kmod = || sh().link("sbin/depmod", "../bin/kmod");
    assert_eq!(triggered(sh(), "bin"), (true, true));
    assert_eq!(triggered(sh(), "lib/modules/6.1"), (false, false));
    assert_eq!(triggered(sh(), "lib/modules/gone"), (true, false));
    assert_eq!(triggered(kmod(), "lib/modules/6.1"), (true, false));
    assert_eq!(triggered(package("other"), "bin"), (false, false));
    assert_eq!(triggered(sh().file("bin/busybox-extras", ""), "bin"), (false, true));
}

#[test]
fn scripts_are_known_by_what_they_say_and_by_nothing_else() {
    let of = |shell: &str, text: &str| format!("{shell}\n\n# why\n\t{}", text.trim_start());
    let install = of(OWN_SHELL, POST_INSTALL);
    assert!(known(ScriptKind::PostInstall, &install).is_some());
    assert!(known(ScriptKind::PostInstall, &of(USUAL_SHELL, POST_INSTALL)).is_some());
    let quiet = POST_UPGRADE.replace("\"%N\"", "\"%N\" 2>/dev/null");
    assert!(known(ScriptKind::PostUpgrade, &of(OWN_SHELL, &quiet)).is_some());
    assert!(known(ScriptKind::PreInstall, &install).is_none());
    assert!(known(ScriptKind::PostInstall, &(install.clone() + "rm /etc/passwd\n")).is_none());
    assert!(known(ScriptKind::PostInstall, &of("#!/bin/bash", POST_INSTALL)).is_none());
    assert!(BusyboxScript::of("other", ScriptKind::PostInstall, install.as_bytes()).is_none());
}

#[test]
fn commands_that_are_not_set_user_id_any_more_lose_their_links_to_bbsuid() {
    let mut tree = linked(&[busybox("bin/ping\nbin/su\n"), suid().link("bin/ping6", "/bin/bbsuid")]);
    for (name, target) in [("bin/ping", BBSUID), ("bin/su", BBSUID)] {
        let link = Inode::new(InodeKind::Symlink(target.into()), Mode::SYMLINK, Origin::Generated);
        tree.insert(path(name), link).unwrap();
    }

    renew_links(&mut tree).unwrap();

    assert_eq!(["bin/ping", "bin/su"].map(|name| text(&tree, name)), ["-> /bin/busybox", "-> /bin/bbsuid"]);
}
