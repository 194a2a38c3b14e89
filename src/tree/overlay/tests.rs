use super::*;
use crate::tree::made::{at, installation, package, path, text};

fn item(at: &str, kind: OverlaidKind) -> Overlaid {
    Overlaid { path: path(at), kind, mode: None, owner: None }
}

fn file(at: &str, content: &str) -> Overlaid {
    item(at, OverlaidKind::File(Content::of_bytes(content.as_bytes())))
}

fn named(user: &str, group: &str) -> (Account, Account) {
    (Account::Name(user.to_owned()), Account::Name(group.to_owned()))
}

/// The tree of a package with accounts, a link between directories, and `items` over it.
fn overlaid(items: &[Overlaid]) -> Result<Tree, OverlayError> {
    let one = package("one")
        .file("etc/passwd", "web:x:123:1::/:/s\n")
        .file("etc/group", "web:x:124:\n")
        .file("usr/bin/tool", "package's")
        .directory("srv/data", 0o2770)
        .link("data", "srv/data");
    let mut tree = installation(&[one]).tree;
    tree.overlay(items)?;
    Ok(tree)
}

#[test]
fn what_the_profile_names_replaces_what_packages_put_there() {
    let link = item("usr/bin/tool", OverlaidKind::Symlink("other".to_owned()));

    let tree = overlaid(&[file("usr/bin/tool", "mine")]).unwrap();
    let linked = overlaid(&[file("usr/bin/tool", "mine"), link]).unwrap();

    assert_eq!(text(&tree, "usr/bin/tool"), "mine");
    assert_eq!(
        (at(&tree, "usr/bin/tool").mode, &at(&tree, "usr/bin/tool").origin),
        (Mode::FILE, &Origin::Profile)
    );
    assert_eq!(text(&linked, "usr/bin/tool"), "-> other");
}

#[test]
fn missing_directories_above_are_made() {
    let tree = overlaid(&[file("opt/app/etc/conf", "x")]).unwrap();

    let directory = at(&tree, "opt/app");
    assert_eq!((directory.mode, directory.owner), (Mode::DIRECTORY, Owner::ROOT));
}

#[test]
fn a_directory_that_is_there_changes_only_in_what_is_stated() {
    let directory = || item("srv/data", OverlaidKind::Directory);
    let owned = Overlaid { owner: Some(named("web", "web")), ..directory() };
    let restricted = Overlaid { mode: Some(Mode::new(0o700)), ..directory() };

    let [same, owned, restricted] = [directory(), owned, restricted].map(|item| overlaid(&[item]).unwrap());

    let facts = |tree: &Tree| (at(tree, "srv/data").mode.bits(), at(tree, "srv/data").owner);
    assert_eq!(facts(&same), (0o2770, Owner::ROOT));
    assert_eq!(facts(&owned), (0o2770, Owner { uid: 123, gid: 124 }));
    assert_eq!(facts(&restricted), (0o700, Owner::ROOT));
}

#[test]
fn links_in_the_directories_above_are_followed_and_the_last_name_is_not() {
    let tree = overlaid(&[file("data/file", "behind")]).unwrap();
    let replaced = overlaid(&[file("data", "in its place")]).unwrap();

    assert_eq!(text(&tree, "srv/data/file"), "behind");
    assert_eq!(text(&replaced, "data"), "in its place");
}

#[test]
fn a_directory_and_something_else_do_not_replace_each_other() {
    let over_directory = overlaid(&[file("usr/bin", "")]).unwrap_err();
    let over_file = overlaid(&[item("usr/bin/tool", OverlaidKind::Directory)]).unwrap_err();

    assert!(over_directory.to_string().starts_with("the profile's /usr/bin cannot be put into the image"));
    assert!(matches!(over_file, OverlayError::Name { error: NameError::IsNoDirectory { .. }, .. }));
    assert_eq!(over_file.kind(), Kind::Profile);
}

#[test]
fn an_owner_nobody_knows_is_an_error_that_says_how_to_add_it() {
    let error = |owner| overlaid(&[Overlaid { owner: Some(owner), ..file("x", "") }]).unwrap_err();

    let (user, group) = (error(named("app", "web")), error(named("web", "app")));

    assert_eq!(user.to_string(), "the owner of the profile's /x: the image has no user `app`");
    assert_eq!(group.hint().unwrap(), "give the number, or add the group: [[groups]] name = \"app\"");
    let numbers = Some((Account::Number(9), Account::Name("web".to_owned())));
    let tree = overlaid(&[Overlaid { owner: numbers, ..file("x", "") }]).unwrap();
    assert_eq!(at(&tree, "x").owner, Owner { uid: 9, gid: 124 });
}
