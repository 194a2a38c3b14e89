use super::*;
use crate::archive::tar_write;

/// Takes everything, as packages do.
struct Packages;

impl Rules for Packages {
    fn admit(&self, entry: &Entry) -> Result<Admission, TableError> {
        let hard_link_target = match entry.kind {
            EntryKind::HardLink => Some(TreePath::relative_bytes(&entry.target)?),
            _ => None,
        };
        let sha1 = entry.vendor.get("SHA1").and_then(|hex| std::str::from_utf8(hex).ok()?.parse().ok());
        Ok(Admission::Taken(Admitted {
            path: TreePath::relative_bytes(&entry.path)?,
            hard_link_target,
            sha1,
        }))
    }

    fn wants_directories_first(&self) -> bool {
        true
    }
}

type Kind<'a> = tar_write::EntryKind<'a>;

fn tar(entries: &[tar_write::Entry<'_>]) -> Vec<u8> {
    let mut tar = Vec::new();
    for entry in entries {
        entry.append_head(&mut tar).unwrap();
        let size = entry.content_size();
        tar.extend(std::iter::repeat_n(b'x', usize::try_from(size).unwrap()));
        tar.extend_from_slice(tar_write::padding(size));
    }
    tar
}

fn entry<'a>(path: &'a str, kind: Kind<'a>) -> tar_write::Entry<'a> {
    tar_write::Entry::new(path, kind)
}

fn table(entries: &[tar_write::Entry<'_>]) -> Result<Table, TableError> {
    read_table(tar(entries).as_slice(), io::sink(), &Packages)
}

const FILE: Kind<'static> = Kind::File { size: 3 };

#[test]
fn a_file_is_found_in_the_copy_by_its_place() {
    let bytes = tar(&[entry("d", Kind::Directory), entry("d/f", FILE)]);
    let mut copy = Vec::new();
    let table = read_table(bytes.as_slice(), &mut copy, &Packages).unwrap();
    let TableKind::File(place) = table.entries().nth(1).unwrap().kind else { panic!("no file") };
    let start = usize::try_from(place.offset).unwrap();
    assert_eq!(&copy[start..start + 3], b"xxx");
    assert_eq!((place.sha256, place.sha1), (Sha256::of(b"xxx"), Sha1::of(b"xxx")));
}

#[test]
fn a_path_stands_once_unless_it_is_a_directory_both_times() {
    let twice = table(&[entry("f", FILE), entry("f", FILE)]);
    assert!(matches!(twice, Err(TableError::Twice { path }) if path.as_str() == "f"));
    assert!(matches!(table(&[entry("f", FILE), entry("f", Kind::Directory)]), Err(TableError::Twice { .. })));
    assert!(table(&[entry("d", Kind::Directory), entry("d", Kind::Directory)]).is_ok());
}

#[test]
fn nothing_is_below_a_file_a_link_or_nothing() {
    for kind in [FILE, Kind::Symlink { target: "/etc" }] {
        let below = table(&[entry("d", kind), entry("d/f", FILE)]);
        assert!(matches!(below, Err(TableError::NoDirectory { path }) if path.as_str() == "d/f"), "{kind:?}");
    }
    assert!(matches!(table(&[entry("d/f", FILE)]), Err(TableError::NoDirectory { .. })));
}

#[test]
fn a_hard_link_points_at_an_earlier_file() {
    let link = entry("b", Kind::HardLink { target: "a" });
    assert!(table(&[entry("a", FILE), link]).is_ok());
    for before in [
        vec![],
        vec![entry("a", Kind::Directory)],
        vec![entry("a", Kind::Symlink { target: "x" })],
        vec![entry("a", Kind::CharacterDevice { major: 1, minor: 3 })],
    ] {
        let refused = table(&[before, vec![link, entry("a2", FILE)]].concat());
        assert!(matches!(refused, Err(TableError::HardLink { target, .. }) if target == "a"));
    }
    let itself = table(&[entry("b", Kind::HardLink { target: "b" })]);
    assert!(matches!(itself, Err(TableError::HardLink { .. })));
}

#[test]
fn a_path_that_leaves_the_root_or_deletes_files_is_refused() {
    for path in ["/f", "../f", "d/../../f", "./f", "d//f", ".wh.f", "d/.wh..wh..opq", "f\u{1}"] {
        let refused = table(&[entry("d", Kind::Directory), entry(path, FILE)]);
        assert!(matches!(refused, Err(TableError::Path(_))), "{path:?}: {refused:?}");
    }
    let refused = table(&[entry("f", FILE), entry("b", Kind::HardLink { target: "../f" })]);
    assert!(matches!(refused, Err(TableError::Path(_))));
}

#[test]
fn attributes_that_overlay_file_systems_act_on_are_refused() {
    let long = "n".repeat(300);
    for name in ["trusted.overlay.opaque", "user.overlay.whiteout", "nodot", long.as_str()] {
        let xattrs = BTreeMap::from([(Box::from(name), Box::from(b"y".as_slice()))]);
        let file = tar_write::Entry { xattrs: Some(&xattrs), ..entry("f", FILE) };
        assert!(matches!(table(&[file]), Err(TableError::Xattr { .. })), "{name}");
    }
    let large = BTreeMap::from([(Box::from("user.a"), vec![0; MAX_XATTRS].into_boxed_slice())]);
    let file = tar_write::Entry { xattrs: Some(&large), ..entry("f", FILE) };
    assert!(matches!(table(&[file]), Err(TableError::LongXattrs { .. })));
}

#[test]
fn a_file_that_is_not_the_stated_one_is_refused() {
    let (right, wrong) = (Sha1::of(b"xxx").to_hex(), Sha1::of(b"yyy").to_hex());
    let stated = |hex| {
        let records = [("SHA1", hex)];
        table(&[tar_write::Entry { records: &records, ..entry("f", FILE) }])
    };
    assert!(stated(&right).is_ok());
    assert!(matches!(stated(&wrong), Err(TableError::Checksum { got, .. }) if got == Sha1::of(b"xxx")));
}

#[test]
fn a_symbolic_link_may_point_anywhere_but_its_target_is_text() {
    for target in ["/etc/passwd", "../../x", "a b"] {
        assert!(table(&[entry("l", Kind::Symlink { target })]).is_ok(), "{target}");
    }
    let long = "t".repeat(5000);
    for target in ["a\nb", long.as_str()] {
        let refused = table(&[entry("l", Kind::Symlink { target })]);
        assert!(matches!(refused, Err(TableError::Target { .. })), "{target:?}");
    }
}

#[test]
fn a_copy_that_cannot_be_written_is_not_taken_for_a_bad_archive() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let error = read_table(tar(&[entry("f", FILE)]).as_slice(), Full, &Packages).unwrap_err();
    assert!(matches!(error, TableError::Write(error) if error.kind() == io::ErrorKind::StorageFull));
}

/// A table with everything that a table can have.
fn full() -> Table {
    let path = |text: &str| TreePath::relative(text).unwrap();
    let place = Place { offset: u64::MAX, length: 300, sha256: Sha256::of(b"x"), sha1: Sha1::of(b"x") };
    let kinds = [
        TableKind::Directory,
        TableKind::File(place),
        TableKind::HardLink(path("1")),
        TableKind::Symlink("../x".into()),
        TableKind::CharacterDevice(1, 3),
        TableKind::BlockDevice(u32::MAX, 0),
        TableKind::Fifo,
    ];
    let mut table: Table = kinds
        .into_iter()
        .enumerate()
        .map(|(number, kind)| TableEntry {
            path: path(&number.to_string()),
            kind,
            mode: 0o7777,
            uid: u32::MAX,
            gid: 128,
            user: "root".into(),
            group: "".into(),
            mtime: -1,
            xattrs: [("user.a".into(), Box::from(*b"\0\xff")), ("user.b".into(), Box::default())].into(),
        })
        .collect();
    table.whiteouts = vec![Whiteout::Path(path("a")), Whiteout::Contents(TreePath::root())];
    table
}

#[test]
fn a_table_is_read_as_it_was_written() {
    let mut bytes = Vec::new();
    full().write(&mut bytes).unwrap();
    let read = Table::of_bytes(&bytes).unwrap();
    assert_eq!(read, full());
    assert_eq!((read.len(), read.entries().count()), (7, 7));
    assert_eq!(Table::of_bytes(&[0; 8]), Some(Table::default()));
}

#[test]
fn bytes_that_are_no_table_are_none_and_never_a_panic() {
    let mut bytes = Vec::new();
    full().write(&mut bytes).unwrap();
    for length in 0..bytes.len() {
        // What ends between two whiteouts is a table with fewer of them.
        let cut = Table::of_bytes(&bytes[..length]);
        assert!(cut.is_none_or(|cut| cut.whiteouts.len() < 2), "cut at {length}");
    }
    for place in 0..bytes.len() {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[place] ^= 1 << bit;
            assert_ne!(Table::of_bytes(&changed), Some(full()), "byte {place}, bit {bit}");
        }
    }
}
