//! What programs leave that mean ill.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixListener;

use super::*;

#[test]
fn names_that_no_image_may_have_are_refused_by_name() {
    for (name, shown) in
        [(&b"etc/.wh.passwd"[..], ".wh.passwd"), (b"etc/a\nb", "a\\nb"), (b"etc/\xff", "etc/\u{fffd}")]
    {
        let mut bench = Bench::full();
        File::create(bench.at("").join(std::ffi::OsStr::from_bytes(name))).unwrap();
        let error = bench.refused();
        assert!(error.to_string().contains(shown), "{error}");
        assert_eq!(error.kind(), Kind::Integrity);
    }
}

#[test]
fn links_and_attributes_that_no_image_may_have_are_refused() {
    let mut bench = Bench::full();
    symlink(std::ffi::OsStr::from_bytes(b"a\xffb"), bench.at("etc/link")).unwrap();
    assert!(matches!(bench.refused(), WorkrootError::Target { .. }));
    let mut bench = Bench::full();
    let key = bench.key("etc/passwd");
    bench
        .records
        .change(key, |record| drop(record.xattrs.insert("trusted.overlay.opaque".into(), vec![b'y'])));
    assert!(matches!(bench.refused(), WorkrootError::Attribute { .. }));
}

#[test]
fn sparse_files_of_terabytes_are_over_the_limit() {
    let mut bench = Bench::full();
    File::create(bench.at("etc/sparse")).unwrap().set_len(1 << 40).unwrap();
    let error = bench.refused();
    assert_eq!(error.to_string(), "a program wrote more than 1048576 bytes: /etc/sparse has 1099511627776");
    assert_eq!(error.kind(), Kind::Limit);
    // Each by itself may be within it.
    let mut bench = Bench::full();
    for name in ["a", "b"] {
        File::create(bench.at(name)).unwrap().set_len(1 << 19).unwrap();
    }
    assert_eq!(names(&bench.pull().made), ["a", "b"]);
    // With what was there before.
    bench.workroot.limits.bytes = (2 << 20) - 1;
    for name in ["c", "d"] {
        File::create(bench.at(name)).unwrap().set_len(1 << 19).unwrap();
    }
    assert!(matches!(bench.refused(), WorkrootError::TooManyBytes { path, .. } if path.as_str() == "d"));
}

#[test]
fn directories_too_deep_for_any_path_are_refused_and_cleared() {
    let mut bench = Bench::full();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut directory = rustix::fs::open(bench.at("etc"), flags, DiskMode::empty()).unwrap();
    for _ in 0..5_000 {
        rustix::fs::mkdirat(&directory, "d", DiskMode::RWXU).unwrap();
        directory = rustix::fs::openat(&directory, "d", flags, DiskMode::empty()).unwrap();
    }
    let error = bench.refused();
    assert!(
        matches!(&error, WorkrootError::TooDeep { path, limit: 128 } if path.components().count() == 129)
    );
    assert_eq!(error.kind(), Kind::Limit);
    (bench.workroot.limits.depth, bench.workroot.limits.names) = (usize::MAX, usize::MAX);
    assert!(matches!(bench.refused(), WorkrootError::Path(_)));
    bench.workroot.clear().unwrap();
    assert_eq!(fs::read_dir(bench.at("")).unwrap().count(), 0);
}

#[test]
fn a_tree_that_is_deeper_itself_is_no_fault_of_programs() {
    let mut bench = Bench::new();
    for depth in 1..=300 {
        bench.put(["d"].repeat(depth).join("/").as_str(), inode(InodeKind::Directory, 0o755));
    }
    bench.push();
    assert_eq!(bench.pull(), Pulled::default());
}

#[test]
fn more_names_than_allowed_are_refused() {
    let mut bench = Bench::full();
    fs::create_dir(bench.at("many")).unwrap();
    for number in 0..999 {
        File::create(bench.at(&format!("many/{number}"))).unwrap();
    }
    assert_eq!(bench.pull().made.len(), 1_000);
    for number in 0..=1_000 {
        File::create(bench.at(&format!("many/again{number}"))).unwrap();
    }
    let error = bench.refused();
    assert_eq!(error.to_string(), "a program made more than 1000 files: the names in /many are too many");
    assert_eq!(error.kind(), Kind::Limit);
}

#[test]
fn what_is_closed_to_its_owner_is_read_and_stays_closed() {
    let mut bench = Bench::full();
    fs::create_dir_all(bench.at("a/b")).unwrap();
    bench.write("a/b/file", "text");
    for name in ["a/b/file", "a/b", "a", ""] {
        bench.chmod(name, 0);
    }

    let pulled = bench.workroot.pull(&mut bench.tree, &mut bench.records, Trust::Times).unwrap();

    assert_eq!(names(&pulled.made), ["a", "a/b", "a/b/file"]);
    assert_eq!(names(&pulled.changed), [""]);
    assert_eq!(bench.text("a/b/file"), "text");
    assert_eq!(fs::metadata(bench.at("")).unwrap().mode() & 0o7777, 0);
    for name in ["a/b/file", "a/b", "a", ""] {
        assert_eq!(bench.get(name).mode, Mode::new(0), "{name}");
    }
    let pulled = bench.workroot.pull(&mut bench.tree, &mut bench.records, Trust::Times).unwrap();
    assert_eq!(pulled, Pulled::default());
    // And can be changed.
    bench.put("a/b/file", file("more", 0));
    bench.tree.get_mut(&TreePath::root()).unwrap().mode = Mode::new(0o755);
    bench.push();
    assert_eq!(
        bench.workroot.pull(&mut bench.tree, &mut bench.records, Trust::Times).unwrap(),
        Pulled::default()
    );
    assert_eq!(fs::metadata(bench.at("")).unwrap().mode() & 0o7777, 0o755);
    assert_eq!(fs::metadata(bench.at("a")).unwrap().mode() & 0o7777, 0);
    bench.workroot.clear().unwrap();
    assert_eq!(fs::read_dir(bench.at("")).unwrap().count(), 0);
}

#[test]
fn sockets_are_named_and_left_out_and_pipes_are_not_opened() {
    let mut bench = Bench::full();
    fs::remove_file(bench.at("etc/passwd")).unwrap();
    let _socket = UnixListener::bind(bench.at("etc/passwd")).unwrap();
    let _other = UnixListener::bind(bench.at("usr/socket")).unwrap();
    let pulled = bench.workroot.pull(&mut bench.tree, &mut bench.records, Trust::Times).unwrap();
    assert_eq!(names(&pulled.sockets), ["etc/passwd", "usr/socket"]);
    assert_eq!(names(&pulled.removed), ["etc/passwd"]);
    assert!(pulled.made.is_empty() && pulled.changed.is_empty());
    // What the tree puts there takes its place.
    bench.put("etc/passwd", file("again", 0o644));
    bench.push();
    assert_eq!(fs::read_to_string(bench.at("etc/passwd")).unwrap(), "again");
}

#[test]
fn links_out_of_the_workroot_are_not_followed() {
    let outside = tempfile::tempdir().unwrap();
    File::create(outside.path().join("host")).unwrap();
    let mut bench = Bench::full();
    fs::remove_dir_all(bench.at("etc")).unwrap();
    symlink(outside.path(), bench.at("etc")).unwrap();
    bench.pull();
    assert_eq!(bench.get("etc").kind, InodeKind::Symlink(outside.path().to_str().unwrap().into()));
    bench.tree.remove_all(&path("etc"));
    bench.put("etc", inode(InodeKind::Directory, 0o755));
    bench.put("etc/host", file("tree's", 0o644));
    bench.push();
    assert_eq!(fs::metadata(outside.path().join("host")).unwrap().len(), 0);
    assert_eq!(fs::read_to_string(bench.at("etc/host")).unwrap(), "tree's");
}
