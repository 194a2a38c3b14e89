use super::*;
use crate::content::Content;
use crate::tree::made::{Package, has, installation, package, path, text};
use crate::tree::overlay::{Overlaid, OverlaidKind};
use crate::tree::{Inode, Mode};

fn link(installation: &mut Installation, at: &str, target: &str) {
    let link = Inode::new(InodeKind::Symlink(target.into()), Mode::SYMLINK, Origin::Generated);
    installation.tree.insert(path(at), link).unwrap();
}

/// A tool, what needs it, and links of nobody's to it and to something else.
fn staged() -> Installation {
    let needs = |package: Package, name: &str| package.says(|info| info.depends.push(name.to_owned()));
    let tool = package("tool").file("bin/tool", "tool").file("etc/tool/conf", "conf");
    let user = needs(needs(package("user"), "tool>=1"), "!other").link("bin/users", "tool");
    let mut installation = installation(&[tool, user]);
    link(&mut installation, "bin/alias", "/bin/tool");
    link(&mut installation, "bin/alias-of-alias", "alias");
    link(&mut installation, "bin/dangling", "nowhere");
    installation.database.world = vec!["tool".parse().unwrap(), "user".parse().unwrap()];
    installation
}

#[test]
fn a_pruned_package_goes_with_the_links_of_nobodys_that_led_to_it() {
    let mut installation = staged();

    let missing = installation.prune_packages(["tool", "absent"]);

    assert_eq!(missing, ["absent"]);
    let there = |name: &&str| has(&installation.tree, name);
    let names = ["bin/tool", "etc/tool", "bin/alias", "bin/alias-of-alias", "bin/users", "bin/dangling"];
    // What a package brings stays its own, and what led nowhere before is not this package's.
    assert_eq!(names.into_iter().filter(there).collect::<Vec<_>>(), ["bin/users", "bin/dangling"]);
    assert!(installation.database.package("tool").is_none());
    let world: Vec<_> = installation.database.world.iter().map(ToString::to_string).collect();
    assert_eq!(world, ["user"]);
}

#[test]
fn what_the_profile_names_stays_where_the_package_goes_that_had_it_too() {
    let tool = package("tool").file("bin/tool", "tool").file("etc/conf", "theirs").directory("tmp", 0o755);
    let mut installation = installation(&[tool.directory("var/spool", 0o755)]);
    let item = |at: &str, kind| Overlaid { path: path(at), kind, mode: None, owner: None };
    let mine = OverlaidKind::File(Content::of_bytes(*b"mine"));
    installation.tree.overlay(&[item("tmp", OverlaidKind::Directory), item("etc/conf", mine)]).unwrap();

    installation.prune_packages(["tool"]);

    let names = ["bin/tool", "etc/conf", "tmp", "var/spool"];
    let there: Vec<_> = names.into_iter().filter(|name| has(&installation.tree, name)).collect();
    assert_eq!(there, ["etc/conf", "tmp"]);
    assert_eq!(text(&installation.tree, "etc/conf"), "mine");
}

#[test]
fn whoever_needed_a_pruned_package_is_named() {
    let mut installation = staged();
    assert_eq!(installation.unsatisfied(), []);

    installation.prune_packages(["tool"]);

    let left = Unsatisfied { package: "user-1-r0".to_owned(), dependency: "tool>=1".to_owned() };
    assert_eq!(installation.unsatisfied(), [left]);
}

#[test]
fn pruned_paths_go_with_what_is_below_and_packages_stay_installed() {
    let mut installation = staged();

    let count = installation.prune_paths(|path| path.as_str() == "etc" || path.name() == "users");

    assert_eq!(count, 4);
    assert!(!has(&installation.tree, "etc") && !has(&installation.tree, "bin/users"));
    let tool = installation.database.package("tool").unwrap();
    assert!(tool.file(&path("etc/tool/conf")).is_some());
}
