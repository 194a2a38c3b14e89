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
fn a_changed_file_in_etc_stays_as_nobodys() {
    let mut installation =
        installation(&[package("one").file("etc/mine", "1").file("etc/same", "1").file("usr/f", "1")]);
    put(&mut installation, "etc/mine", "mine");
    put(&mut installation, "usr/f", "mine");

    let kept = installation.purge("one").unwrap();

    assert_eq!(kept, [path("etc/mine")]);
    assert_eq!(at(&installation.tree, "etc/mine").origin, Origin::Generated);
    assert!(!has(&installation.tree, "etc/same") && !has(&installation.tree, "usr/f"));
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
