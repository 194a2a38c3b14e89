//! Unit tests of placing. That these rules are apk's is shown where the real one is at hand.

use super::*;
use crate::apk::write_package::{PackageFileKind, PackageOwner};
use crate::tree::made::{Package, at, has, installation, package, path, text};

const SHARED: &str = "usr/shared";

/// Two packages that both have [`SHARED`], changed in turn.
fn pair(change: impl Fn(Package) -> Package, other: impl Fn(Package) -> Package) -> [Package; 2] {
    [change(package("one").file(SHARED, "one")), other(package("two").file(SHARED, "two"))]
}

fn replaces(name: &str, priority: u32) -> impl Fn(Package) -> Package {
    move |package| {
        package.says(|info| {
            info.replaces.push(name.to_owned());
            info.replaces_priority = priority;
        })
    }
}

fn plain(package: Package) -> Package {
    package
}

/// Who has [`SHARED`] in the database, once both are placed; what is there must be that package's.
fn holder(pair: &[Package; 2]) -> String {
    let installation = installation(pair);
    let owner = installation.database.owner(&path(SHARED)).unwrap().name().to_owned();
    assert_eq!(text(&installation.tree, SHARED), owner);
    assert_eq!(at(&installation.tree, SHARED).origin, Origin::Package(owner.as_str().into()));
    let lists: Vec<_> = installation
        .database
        .packages()
        .into_iter()
        .filter(|package| package.file(&path(SHARED)).is_some())
        .map(|package| package.name().to_owned())
        .collect();
    assert_eq!(lists, [owner.as_str()]);
    owner
}

#[test]
fn a_file_of_two_packages_is_refused_with_both_names() {
    let [one, two] = pair(plain, plain);
    let mut installation = installation(&[one]);

    let error = two.place(&mut installation).unwrap_err();

    assert_eq!(error.to_string(), "two-1-r0 and one-1-r0 both own /usr/shared");
    assert_eq!(error.kind(), Kind::Integrity);
    assert!(error.hint().unwrap().contains("replaces"));
    assert_eq!(text(&installation.tree, SHARED), "one");
}

#[test]
fn replaces_and_priorities_say_who_has_a_file() {
    assert_eq!(holder(&pair(plain, replaces("one", 0))), "two");
    assert_eq!(holder(&pair(replaces("two", 0), plain)), "one");
    assert_eq!(holder(&pair(replaces("two", 2), replaces("one", 1))), "one");
    assert_eq!(holder(&pair(replaces("two", 1), replaces("one", 2))), "two");
    assert_eq!(holder(&pair(replaces("two", 1), replaces("one", 1))), "two");
    assert_eq!(holder(&pair(plain, replaces("one<2", 0))), "two");
}

#[test]
fn packages_of_one_origin_take_each_others_files_unless_the_owner_claims_them() {
    let of_one_origin = |package: Package| package.says(|info| info.origin = "same".to_owned());
    assert_eq!(holder(&pair(of_one_origin, of_one_origin)), "two");
    assert_eq!(holder(&pair(|one| replaces("two", 0)(of_one_origin(one)), of_one_origin)), "one");
}

#[test]
fn a_package_without_origin_has_no_origin_in_common_with_another() {
    let without = |package: Package| package.says(|info| info.origin.clear());
    let [one, two] = pair(without, without);
    let mut installation = installation(&[one]);

    assert!(matches!(two.place(&mut installation), Err(PlaceError::Conflict { .. })));
}

/// The mode of a directory that packages have with modes of their own, 0701 for the first and so on.
fn shared_mode(packages: Vec<Package>) -> u32 {
    let modes = 0o701..;
    let packages: Vec<_> =
        packages.into_iter().zip(modes).map(|(package, mode)| package.directory("srv/d", mode)).collect();
    at(&installation(&packages).tree, "srv/d").mode.bits()
}

#[test]
fn a_shared_directory_is_of_priority_then_of_the_main_package_then_of_the_first_name() {
    let priority = |package: Package, priority| package.says(|info| info.replaces_priority = priority);
    let origin = |package: Package, origin: &str| package.says(|info| info.origin = origin.to_owned());
    let [a, b, c] = ["a", "b", "c"].map(package);

    assert_eq!(shared_mode(vec![a.clone(), b.clone(), c.clone()]), 0o701);
    assert_eq!(shared_mode(vec![c.clone(), a.clone(), b.clone()]), 0o702);
    assert_eq!(shared_mode(vec![a.clone(), priority(c.clone(), 1), b.clone()]), 0o702);
    assert_eq!(shared_mode(vec![origin(a.clone(), "b"), b.clone()]), 0o702);
    assert_eq!(shared_mode(vec![b.clone(), origin(a, "b")]), 0o701);
    assert_eq!(shared_mode(vec![origin(b, "x"), origin(c, "x")]), 0o701);
}

#[test]
fn a_directory_that_is_not_as_recorded_or_nobodys_is_left_alone() {
    let mut installation = installation(&[package("two").directory("srv/d", 0o711)]);
    installation.tree.get_mut(&path("srv/d")).unwrap().mode = Mode::new(0o700);
    let nobodys = Inode { mode: Mode::new(0o1777), ..Inode::directory(Origin::Base) };
    installation.tree.insert(path("tmp"), nobodys).unwrap();

    package("one").directory("srv/d", 0o722).directory("tmp", 0o755).place(&mut installation).unwrap();

    let mode = |path| at(&installation.tree, path).mode.bits();
    assert_eq!([mode("srv/d"), mode("tmp")], [0o700, 0o1777]);
}

#[test]
fn attributes_are_recorded_and_those_of_files_are_set() {
    let note = |file: &mut crate::apk::write_package::PackageFile| {
        file.xattrs.insert("user.note".into(), (*b"x").into());
    };
    let one = package("one").file("srv/d/f", "f").with("srv/d/f", note).with("srv/d", note);

    let installation = installation(&[one]);

    let recorded = xattr_digest([("user.note", b"x".as_slice())]);
    let package = installation.database.package("one").unwrap();
    assert_eq!(package.file(&path("srv/d/f")).unwrap().access.xattrs, recorded);
    let directory = package.directories.iter().find(|directory| directory.path == path("srv/d"));
    assert_eq!(directory.unwrap().access.xattrs, recorded);
    assert_eq!(at(&installation.tree, "srv/d/f").xattrs.len(), 1);
    assert!(at(&installation.tree, "srv/d").xattrs.is_empty());
}

#[test]
fn hard_links_share_an_inode_and_have_its_checksum_in_the_database() {
    let link = PackageFileKind::HardLink(path("usr/a"));
    let one = package("one").file("usr/a", "text").entry("usr/lib/b", link, 0o755);

    let installation = installation(&[one]);

    let Installation { tree, database, .. } = &installation;
    assert_eq!(tree.number(&path("usr/a")), tree.number(&path("usr/lib/b")));
    let [a, b] =
        ["usr/a", "usr/lib/b"].map(|file| database.package("one").unwrap().file(&path(file)).unwrap());
    assert_eq!((a.checksum, b.checksum), (Some(Sha1::of(b"text")), Some(Sha1::of(b"text"))));
    assert_eq!((a.access.mode, b.access.mode), (0o644, 0o755));
}

/// A package with a file of a user who is 7 if nobody knows the name.
fn owned_by_web(name: &str) -> Package {
    let file = format!("srv/{name}");
    let owner = PackageOwner { user: "web".into(), group: "web".into(), uid: 7, gid: 8 };
    package(name).file(&file, "").with(&file, |file| file.owner = owner)
}

#[test]
fn names_of_owners_are_numbers_of_the_accounts_at_that_moment() {
    let accounts =
        package("accounts").file("etc/passwd", "web:x:123:1::/:/s\n").file("etc/group", "web:x:124:\n");

    let installation = installation(&[owned_by_web("early"), accounts, owned_by_web("late")]);

    let numbers = |uid, gid| Owner { uid, gid };
    assert_eq!(at(&installation.tree, "srv/early").owner, numbers(7, 8));
    assert_eq!(at(&installation.tree, "srv/late").owner, numbers(123, 124));
    let late = installation.database.package("late").unwrap();
    let access = late.file(&path("srv/late")).unwrap().access;
    assert_eq!((access.uid, access.gid), (123, 124));
}

/// Version 2-r0 of `package`.
fn newer(package: Package) -> Package {
    package.says(|info| info.version = "2-r0".to_owned())
}

/// Puts `content` where the file `at` is.
fn change(installation: &mut Installation, at: &str, content: &str) {
    let kind = InodeKind::File(Content::of_bytes(content.as_bytes()));
    let mine = Inode { mode: Mode::new(0o600), ..Inode::new(kind, Mode::FILE, Origin::Base) };
    installation.tree.insert(path(at), mine).unwrap();
}

#[test]
fn a_changed_file_in_etc_stays_and_is_reported() {
    let one = |text: &str| {
        package("one")
            .file("etc/mine", text)
            .file("etc/same", text)
            .file("etc/untouched", text)
            .file("usr/mine", text)
    };
    let mut installation = installation(&[one("1")]);
    change(&mut installation, "etc/mine", "mine");
    change(&mut installation, "etc/same", "2");
    change(&mut installation, "usr/mine", "mine");

    let placed = newer(one("2")).place(&mut installation).unwrap();

    let tree = &installation.tree;
    let texts = ["etc/mine", "etc/same", "etc/untouched", "usr/mine"].map(|path| text(tree, path));
    assert_eq!(texts, ["mine", "2", "2", "2"]);
    assert_eq!(placed.kept, [path("etc/mine")]);
    // What is the same is left as it was, and is the package's.
    assert_eq!(at(tree, "etc/same").mode.bits(), 0o600);
    assert_eq!(at(tree, "etc/same").origin, Origin::Package("one".into()));
    let recorded = installation.database.package("one").unwrap().file(&path("etc/mine")).unwrap();
    assert_eq!(recorded.checksum, Some(Sha1::of(b"2")));
}

#[test]
fn a_file_that_was_in_etc_before_its_package_stays() {
    let mut installation = installation(&[package("zero").directory("etc", 0o755)]);
    change(&mut installation, "etc/mine", "mine");

    let placed = package("one").file("etc/mine", "theirs").place(&mut installation).unwrap();

    assert_eq!(
        (text(&installation.tree, "etc/mine").as_str(), placed.kept),
        ("mine", vec![path("etc/mine")])
    );
}

#[test]
fn a_new_version_takes_away_what_it_has_not_but_for_changes_in_etc() {
    let old = package("one").file("usr/d/gone", "1").file("usr/full/gone", "1").file("etc/gone", "1");
    let mut installation = installation(&[old.file("etc/mine", "1")]);
    change(&mut installation, "etc/mine", "mine");
    change(&mut installation, "usr/full/mine", "mine");

    let placed = newer(package("one")).place(&mut installation).unwrap();

    let looked_for = ["usr/d", "usr/full/gone", "etc/gone", "etc/mine", "usr/full/mine"];
    let there: Vec<_> = looked_for.into_iter().filter(|path| has(&installation.tree, path)).collect();
    assert_eq!(there, ["etc/mine", "usr/full/mine"]);
    assert_eq!(placed.kept, [path("etc/mine")]);
    assert!(installation.database.owner(&path("etc/mine")).is_none());
}

#[test]
fn a_file_takes_the_place_of_a_link_and_not_of_what_it_points_at() {
    let old = package("one").file("usr/target", "stays").link("usr/name", "target");
    let mut installation = installation(&[old]);

    newer(package("one").file("usr/target", "stays").file("usr/name", "new"))
        .place(&mut installation)
        .unwrap();

    let texts = ["usr/target", "usr/name"].map(|path| text(&installation.tree, path));
    assert_eq!(texts, ["stays", "new"]);
}

#[test]
fn what_a_package_puts_behind_a_link_lies_where_the_link_leads() {
    let one = package("one").directory("srv/data", 0o700).link("data", "/srv/data");
    let two = package("two").directory("data", 0o755).file("data/sub/file", "two");

    let installation = installation(&[one, two]);

    let Installation { tree, database, .. } = &installation;
    assert_eq!((text(tree, "srv/data/sub/file"), text(tree, "data")), ("two".into(), "-> /srv/data".into()));
    assert_eq!(at(tree, "srv/data").mode.bits(), 0o700);
    assert_eq!(database.owner(&path("data/sub/file")).unwrap().name(), "two");
}

#[test]
fn a_link_that_leads_nowhere_or_in_a_circle_is_no_directory() {
    let mut dangling = installation(&[package("one").link("data", "nowhere")]);
    let mut circle = installation(&[package("one").link("data", "other").link("other", "data")]);
    let two = package("two").file("data/file", "two");

    let errors = [two.place(&mut dangling).unwrap_err(), two.place(&mut circle).unwrap_err()];

    assert_eq!(errors[0].to_string(), "two-1-r0 cannot be placed: /data exists and is no directory");
    assert!(errors[1].to_string().contains("too many links"), "{}", errors[1]);
}

#[test]
fn a_file_in_the_place_of_a_directory_is_refused() {
    let mut installation = installation(&[package("one").directory("usr/d", 0o755)]);

    let error = package("two").file("usr/d", "").place(&mut installation).unwrap_err();

    assert!(matches!(error, PlaceError::Name { error: NameError::IsDirectory { .. }, .. }), "{error}");
}

#[test]
fn files_of_a_package_that_leaves_are_anybodys() {
    let [one, two] = pair(plain, plain);
    let mut installation = installation(&[one]);

    let placed = two.place_while_leaving(&mut installation, &["one"]);
    installation.purge("one").unwrap();

    assert_eq!(placed.unwrap(), Placed::default());
    assert_eq!(text(&installation.tree, SHARED), "two");
    assert!(installation.database.package("one").is_none());
}

#[test]
fn a_directory_in_etc_that_somebody_put_in_the_place_of_a_file_stays() {
    let one = |text: &str| package("one").file("etc/one", text).file("usr/one", text);
    let mut installation = installation(&[one("1")]);
    installation.tree.remove_all(&path("etc/one"));
    installation.tree.insert(path("etc/one"), Inode::directory(Origin::Base)).unwrap();

    let placed = newer(one("2")).place(&mut installation).unwrap();

    assert_eq!(placed.kept, [path("etc/one")]);
    assert!(at(&installation.tree, "etc/one").is_directory());
}

#[test]
fn a_directory_of_a_package_does_not_become_a_file_even_in_etc() {
    let mut installation = installation(&[package("one").file("etc/one/file", "1")]);

    let error = newer(package("one")).file("etc/one", "2").place(&mut installation).unwrap_err();

    assert!(matches!(error, PlaceError::Name { error: NameError::IsDirectory { .. }, .. }), "{error}");
}

#[test]
fn a_link_that_becomes_a_directory_serves_as_one_and_nothing_behind_it_is_lost() {
    let old = package("one").link("srv/data", "real").file("srv/real/file", "1").file("srv/real/gone", "1");
    let mut installation = installation(&[old]);

    newer(package("one")).file("srv/data/file", "2").place(&mut installation).unwrap();

    let Installation { tree, database, .. } = &installation;
    assert_eq!([text(tree, "srv/data"), text(tree, "srv/real/file")], ["-> real", "2"]);
    assert!(!has(tree, "srv/real/gone"));
    assert_eq!(database.owner(&path("srv/data/file")).unwrap().name(), "one");
}

/// The mode of `srv` that `a` and `b` share, when a new version of `a` has it with `mode` and `priority`.
fn upgraded(mode: Option<u32>, priority: u32) -> u32 {
    let shared = |name: &str, mode| package(name).directory("srv", mode);
    let mut installation = installation(&[shared("a", 0o711), shared("b", 0o722)]);
    let new = newer(package("a")).says(|info| info.replaces_priority = priority);
    let new = match mode {
        Some(mode) => new.directory("srv", mode),
        None => new.file("usr/a", ""),
    };
    new.place(&mut installation).unwrap();
    at(&installation.tree, "srv").mode.bits()
}

#[test]
fn a_shared_directory_follows_the_version_of_the_package_that_holds_it() {
    assert_eq!(upgraded(Some(0o733), 0), 0o733);
    assert_eq!(upgraded(None, 0), 0o722);
}
