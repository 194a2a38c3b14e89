use super::*;
use crate::content::Content;
use crate::tree::made::{at, has, installation, package, path};
use crate::tree::{Inode, Mode};

fn put(installation: &mut Installation, at: &str, content: &str) {
    let kind = InodeKind::File(Content::of_bytes(content.as_bytes()));
    installation.tree.insert(path(at), Inode::new(kind, Mode::FILE, Origin::Package("one".into()))).unwrap();
}

#[test]
fn a_package_goes_with_its_files_and_the_directories_that_are_empty_then() {
    let one = package("one").file("usr/one/file", "1").file("usr/both/one", "1").file("usr/full/one", "1");
    let mut installation = installation(&[one, package("two").file("usr/both/two", "2")]);
    put(&mut installation, "usr/full/mine", "mine");

    let kept = installation.purge("one").unwrap();

    assert_eq!(kept, []);
    let names = ["usr/one", "usr/both/one", "usr/both/two", "usr/full/one", "usr/full/mine"];
    let there: Vec<_> = names.into_iter().filter(|name| has(&installation.tree, name)).collect();
    assert_eq!(there, ["usr/both/two", "usr/full/mine"]);
    assert!(installation.database.package("one").is_none());
}

#[test]
fn changed_files_go_too_and_those_in_etc_are_named() {
    let names = ["etc/mine", "etc/same", "usr/f"];
    let mut installation =
        installation(&[names.into_iter().fold(package("one"), |one, name| one.file(name, "1"))]);
    put(&mut installation, "etc/mine", "mine");
    put(&mut installation, "usr/f", "mine");

    let changed = installation.purge("one").unwrap();

    assert_eq!(changed, [path("etc/mine")]);
    assert!(names.iter().all(|name| !has(&installation.tree, name)));
}

#[test]
fn what_stands_in_the_place_of_files_and_directories_stays_unless_it_is_a_file() {
    let one = package("one").file("usr/file", "1").file("etc/file", "1").link("etc/link", "file");
    let mut installation = installation(&[one.file("usr/directory/file", "1").directory("srv/link", 0o755)]);
    let tree = &mut installation.tree;
    for (at, kind) in [
        ("usr/file", InodeKind::Directory),
        ("etc/file", InodeKind::Symlink("elsewhere".into())),
        ("etc/link", InodeKind::Fifo),
        ("usr/directory", InodeKind::File(Content::of_bytes(*b"mine"))),
        ("srv/link", InodeKind::Symlink("/usr".into())),
    ] {
        tree.remove_all(&path(at));
        tree.insert(path(at), Inode::new(kind, Mode::new(0o700), Origin::Base)).unwrap();
    }

    let changed = installation.purge("one").unwrap();

    assert_eq!(changed, [path("etc/file"), path("etc/link")]);
    let names = ["usr/file", "etc/file", "etc/link", "usr/directory", "srv/link"];
    let there: Vec<_> = names.into_iter().filter(|name| has(&installation.tree, name)).collect();
    assert_eq!(there, ["usr/file", "usr/directory", "srv/link"]);
}

/// The mode of `srv`, shared by packages with these names, priorities and modes, after `changed`, if that is one, and
/// after `name` has gone.
fn mode_without(name: &str, sharing: &[(&str, u32, u32)], changed: Option<u32>) -> u32 {
    let packages: Vec<_> = sharing
        .iter()
        .map(|(name, priority, mode)| {
            package(name).says(|info| info.replaces_priority = *priority).directory("srv", *mode)
        })
        .collect();
    let mut installation = installation(&packages);
    if let Some(mode) = changed {
        installation.tree.get_mut(&path("srv")).unwrap().mode = Mode::new(mode);
    }
    installation.purge(name).unwrap();
    at(&installation.tree, "srv").mode.bits()
}

#[test]
fn a_directory_is_handed_over_to_the_next_package_unless_somebody_changed_it() {
    let sharing = [("a", 0, 0o711), ("b", 0, 0o722), ("c", 1, 0o733)];
    assert_eq!(mode_without("c", &sharing, None), 0o711);
    assert_eq!(mode_without("a", &sharing, None), 0o733);
    assert_eq!(mode_without("a", &sharing[..2], None), 0o722);
    assert_eq!(mode_without("c", &sharing, Some(0o700)), 0o700);
}

#[test]
fn a_directory_that_is_handed_over_is_its_new_holders() {
    let one = package("one").directory("srv", 0o711).with("srv", |srv| srv.owner.uid = 5);
    let two = package("two").directory("srv", 0o700).with("srv", |srv| srv.owner.gid = 6);
    let mut installation = installation(&[one, two]);

    installation.purge("one").unwrap();

    let srv = at(&installation.tree, "srv");
    assert_eq!((srv.owner.uid, srv.owner.gid), (0, 6));
    assert_eq!(srv.origin, Origin::Package("two".into()));
}

#[test]
fn other_names_of_a_hard_linked_file_and_files_that_another_package_took_stay() {
    let one = package("one").file("usr/a", "1").file("usr/taken", "1");
    let two = package("two").says(|info| info.replaces = vec!["one".to_owned()]).file("usr/taken", "2");
    let mut installation = installation(&[one, two]);
    let number = installation.tree.number(&path("usr/a")).unwrap();
    installation.tree.link(path("usr/mine"), number).unwrap();

    installation.purge("one").unwrap();

    let names = ["usr/a", "usr/mine", "usr/taken"].map(|name| has(&installation.tree, name));
    assert_eq!(names, [false, true, true]);
}

#[test]
fn what_lies_behind_a_link_goes_and_the_link_of_another_package_stays() {
    let one = package("one").directory("srv/data", 0o755).link("data", "srv/data");
    let mut installation = installation(&[one, package("two").file("data/sub/file", "2")]);

    installation.purge("two").unwrap();

    assert!(!has(&installation.tree, "srv/data/sub"));
    assert!(has(&installation.tree, "data") && has(&installation.tree, "srv/data"));
}

#[test]
fn what_is_not_installed_is_no_loss() {
    assert_eq!(installation(&[]).purge("absent").unwrap(), []);
}
