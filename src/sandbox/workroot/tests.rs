//! Workroots in directories of the disk, changed through `std::fs` in the place of programs.

mod hostile;
mod random;

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::time::Instant;

use rustix::fs::{Mode as DiskMode, OFlags};
use tempfile::TempDir;

use super::*;
use crate::content::{Content, Memory as Bytes};
use crate::digest::Sha256;
use crate::kind::{Explain as _, Kind};
use crate::sandbox::records::{InodeKey, Record, RecordedDevice};
use crate::tree::{Device, Inode, InodeKind, Mode, Origin, Owner};

/// The time of what has none.
const EPOCH: i64 = 1_000;
/// The time of what is in the trees of these tests.
const TIME: i64 = 1_500_000_000;

/// A tree, the workroot it is pushed to, and where that is.
struct Bench {
    place: TempDir,
    tree: Tree,
    records: Records,
    workroot: Workroot,
    /// Files of which something was recorded, held.
    pins: Vec<OwnedFd>,
}

fn path(text: &str) -> TreePath {
    TreePath::relative(text).unwrap()
}

fn limits() -> WorkrootLimits {
    WorkrootLimits { depth: 128, names: 1_000, bytes: 1 << 20, epoch: EPOCH }
}

fn package() -> Origin {
    Origin::Package("p".into())
}

fn inode(kind: InodeKind, mode: u32) -> Inode {
    Inode { mtime: Some(TIME), ..Inode::new(kind, Mode::new(mode), package()) }
}

fn file(text: &str, mode: u32) -> Inode {
    inode(InodeKind::File(Content::of_bytes(text.as_bytes())), mode)
}

impl Bench {
    /// An empty tree that was not pushed.
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("root")).unwrap();
        let workroot = Self::workroot(&place, limits());
        Self { place, tree: Tree::new(), records: Records::default(), workroot, pins: Vec::new() }
    }

    fn workroot(place: &TempDir, limits: WorkrootLimits) -> Workroot {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(place.path().join("root"), flags, DiskMode::empty()).unwrap();
        Workroot::new(directory, Spool::create(place.path()).unwrap(), limits)
    }

    /// A tree of everything there is, pushed.
    fn full() -> Self {
        let mut bench = Self::new();
        for directory in ["dev", "etc", "lib", "lib/apk", "proc", "tmp", "usr", "usr/bin", "var", "var/log"] {
            bench.put(directory, inode(InodeKind::Directory, 0o755));
        }
        bench.put("etc/passwd", file("root:x:0:0\n", 0o644));
        bench.put("etc/shadow", Inode { owner: Owner { uid: 0, gid: 42 }, ..file("root:!::0\n", 0o640) });
        bench.put("usr/bin/tool", file("#!/bin/sh\n", 0o4755));
        bench.put("usr/bin/link", inode(InodeKind::Symlink("tool".into()), 0o777));
        bench.put("usr/bin/first", file("linked", 0o755));
        let number = bench.tree.number(&path("usr/bin/first")).unwrap();
        bench.tree.link(path("usr/bin/second"), number).unwrap();
        bench.put("var/log/secret", inode(InodeKind::Directory, 0));
        bench.put("var/log/secret/file", file("closed", 0));
        bench.put(
            "var/log/group",
            Inode { owner: Owner { uid: 5, gid: 6 }, ..inode(InodeKind::Directory, 0o2775) },
        );
        bench.put("var/pipe", inode(InodeKind::Fifo, 0o600));
        bench.put("var/disk", inode(InodeKind::BlockDevice(Device { major: 8, minor: 1 }), 0o660));
        bench.put("dev/null", inode(InodeKind::CharacterDevice(Device { major: 1, minor: 3 }), 0o666));
        bench.put("dev/pts", inode(InodeKind::Directory, 0o755));
        let mut capable = file("capable", 0o755);
        capable.xattrs.insert("security.capability".into(), Box::from(*b"\x01"));
        bench.put("usr/bin/capable", capable);
        bench.push();
        bench
    }

    fn put(&mut self, name: &str, inode: Inode) {
        self.tree.insert(path(name), inode).unwrap();
    }

    fn push(&mut self) {
        self.workroot.push(&self.tree, &mut self.records).unwrap();
    }

    fn pull(&mut self) -> Pulled {
        let pulled = self.workroot.pull(&mut self.tree, &mut self.records, Trust::Times).unwrap();
        self.check();
        pulled
    }

    fn refused(&mut self) -> WorkrootError {
        let before = self.tree.clone();
        let error = self.workroot.pull(&mut self.tree, &mut self.records, Trust::Times).unwrap_err();
        let same = before.entries().zip(self.tree.entries()).all(|(one, other)| one == other);
        assert!(same && before.len() == self.tree.len(), "the tree was changed: {error}");
        error
    }

    /// Where `name` is on the disk.
    fn at(&self, name: &str) -> PathBuf {
        self.place.path().join("root").join(name)
    }

    fn write(&self, name: &str, text: &str) {
        // In place, as a program does.
        let file = File::options().create(true).write(true).truncate(true).open(self.at(name));
        file.unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn chmod(&self, name: &str, mode: u32) {
        fs::set_permissions(self.at(name), Permissions::from_mode(mode)).unwrap();
    }

    fn key(&self, name: &str) -> InodeKey {
        let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
        let wanted = rustix::fs::StatxFlags::BASIC_STATS | rustix::fs::StatxFlags::BTIME;
        InodeKey::of(&rustix::fs::statx(rustix::fs::CWD, self.at(name), flags, wanted).unwrap())
    }

    fn get(&self, name: &str) -> &Inode {
        self.tree.get(&path(name)).unwrap_or_else(|| panic!("{name} is not in the tree"))
    }

    fn text(&self, name: &str) -> String {
        let InodeKind::File(content) = &self.get(name).kind else { panic!("{name} is no file") };
        String::from_utf8(content.to_vec().unwrap()).unwrap()
    }

    fn pushed(&self) -> (u64, u64) {
        (self.workroot.counters().pushed_entries, self.workroot.counters().pushed_bytes)
    }

    /// Nothing is left to be written: the memory is what the tree is, and the disk what the memory is.
    fn check(&mut self) {
        let before = self.pushed();
        let disk = listing(&self.place.path().join("root"));
        self.push();
        let backups = BACKUPS.iter().filter(|name| self.tree.get(&path(name)).is_some()).count() as u64;
        assert!(self.pushed().0 <= before.0 + backups, "{before:?} {:?}", self.pushed());
        if backups == 0 {
            assert_eq!(listing(&self.place.path().join("root")), disk);
        }
        let pulled = self.workroot.pull(&mut self.tree, &mut self.records, Trust::Times).unwrap();
        assert_eq!(Pulled { sockets: Vec::new(), ..pulled }, Pulled::default());
    }
}

/// What is on the disk, a line each: name, type and mode, length, times. Closed directories are left out.
fn listing(directory: &std::path::Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(place) = left.pop() {
        let found = fs::symlink_metadata(&place).unwrap();
        lines.push(format!(
            "{} {:o} {} {} {}",
            place.display(),
            found.mode(),
            found.ino(),
            found.mtime(),
            found.ctime_nsec()
        ));
        if found.is_dir() {
            left.extend(fs::read_dir(&place).into_iter().flatten().map(|entry| entry.unwrap().path()));
        }
    }
    lines.sort();
    lines
}

fn names(paths: &[TreePath]) -> Vec<&str> {
    paths.iter().map(TreePath::as_str).collect()
}

#[test]
fn a_directory_that_took_the_place_of_another_is_looked_at_anew() {
    let mut bench = Bench::new();
    bench.tree.insert(path("d"), Inode::directory(package())).unwrap();
    bench.tree.insert(path("d/old"), file("old", 0o644)).unwrap();
    bench.push();
    fs::remove_dir_all(bench.at("d")).unwrap();
    fs::create_dir(bench.at("d")).unwrap();
    File::create(bench.at("d/new")).unwrap().write_all(b"new").unwrap();

    let pulled = bench.workroot.pull(&mut bench.tree, &mut bench.records, Trust::Times).unwrap();

    assert_eq!((pulled.made, pulled.removed), (vec![path("d/new")], vec![path("d/old")]));
    bench.check();
}

#[test]
fn the_disk_is_what_the_tree_says_and_what_it_cannot_say_is_recorded() {
    let bench = Bench::full();
    let status = |name: &str| fs::symlink_metadata(bench.at(name)).unwrap();
    assert_eq!(fs::read_to_string(bench.at("etc/passwd")).unwrap(), "root:x:0:0\n");
    assert_eq!(fs::read_link(bench.at("usr/bin/link")).unwrap(), PathBuf::from("tool"));
    assert_eq!(status("usr/bin/tool").mode(), 0o104755);
    assert_eq!(status("var/log/secret").mode(), 0o040000);
    assert_eq!(status("var/log/group").mode(), 0o042775);
    assert_eq!(status("usr/bin/first").ino(), status("usr/bin/second").ino());
    assert_eq!(status("").mode(), 0o040755);
    for name in ["etc", "etc/passwd", "usr/bin/link", "var", "var/log/secret", "usr/bin/second"] {
        assert_eq!(status(name).mtime(), TIME, "{name}");
    }
    assert_eq!(status("").mtime(), EPOCH);
    assert_eq!(fs::read_dir(bench.at("dev")).unwrap().count(), 0);
    let record = |name: &str| bench.records.get(bench.key(name)).cloned();
    assert_eq!(record("etc/shadow"), Some(Record { gid: 42, ..Record::default() }));
    let device = Some(RecordedDevice { block: true, major: 8, minor: 1 });
    assert_eq!(record("var/disk"), Some(Record { device, ..Record::default() }));
    assert_eq!(status("var/disk").mode(), 0o100660);
    let capability = record("usr/bin/capable").unwrap().xattrs;
    assert_eq!(capability.into_iter().collect::<Vec<_>>(), [("security.capability".into(), vec![1])]);
    assert_eq!(record("etc/passwd"), None);
}

/// Changes what is in a file and leaves its status as it was, as a write through shared memory does to a file that is in
/// memory: it is written, and then what is remembered of it is what it is now.
fn write_unnoticed(bench: &mut Bench, name: &str, text: &str) {
    let key = bench.key(name);
    let mode = bench.workroot.memory.inodes[&key].status.mode;
    bench.chmod(name, 0o600);
    bench.write(name, text);
    bench.chmod(name, mode);
    let status = bench.workroot.disk.status(&path(name)).unwrap();
    bench.workroot.memory.inodes.get_mut(&key).unwrap().status = status;
}

#[test]
fn where_times_do_not_tell_what_changed_the_bytes_do() {
    let mut bench = Bench::full();
    for (name, text) in
        [("etc/passwd", "root:y:0:0\n"), ("usr/bin/first", "LINKED"), ("var/log/secret/file", "CLOSED")]
    {
        write_unnoticed(&mut bench, name, text);
    }
    let mut deaf = bench.tree.clone();
    let pulled = bench.workroot.pull(&mut deaf, &mut bench.records, Trust::Times).unwrap();
    assert_eq!(pulled, Pulled::default());

    let pulled = bench.workroot.pull(&mut bench.tree, &mut bench.records, Trust::Nothing).unwrap();

    let changed = ["etc/passwd", "usr/bin/first", "usr/bin/second", "var/log/secret/file"];
    assert_eq!(names(&pulled.changed), changed);
    assert_eq!(bench.text("etc/passwd"), "root:y:0:0\n");
    assert_eq!(
        (bench.text("usr/bin/second"), bench.text("var/log/secret/file")),
        ("LINKED".into(), "CLOSED".into())
    );
    assert_eq!((bench.get("etc/passwd").mtime, bench.get("var/log/secret/file").mode), (None, Mode::new(0)));
    bench.check();
    let before = bench.tree.clone();
    let pulled = bench.workroot.pull(&mut bench.tree, &mut bench.records, Trust::Nothing).unwrap();
    assert_eq!(pulled, Pulled::default());
    assert!(before.entries().eq(bench.tree.entries()));
    bench.check();
}

#[test]
fn programs_share_what_they_may_leave() {
    let mut bench = Bench::full();
    let half = "x".repeat(600 << 10);
    bench.write("var/first", &half);
    bench.pull();
    bench.write("var/second", &half);
    let error = bench.refused();
    assert!(matches!(error, WorkrootError::TooManyBytes { .. }), "{error}");

    let mut bench = Bench::full();
    for round in 0..2 {
        for number in 0..600 {
            bench.write(&format!("var/{round}-{number}"), "");
        }
        if round == 0 {
            bench.pull();
        }
    }
    let error = bench.refused();
    assert!(matches!(error, WorkrootError::TooManyNames { .. }), "{error}");
}

#[test]
fn what_nobody_changed_stays_as_it_is() {
    let mut bench = Bench::full();
    let before = bench.tree.clone();
    assert_eq!(bench.pull(), Pulled::default());
    assert!(before.entries().eq(bench.tree.entries()));
    assert_eq!(bench.workroot.counters().pulled_entries, 0);
}

#[test]
fn what_a_program_makes_is_its_own_and_has_no_time() {
    let mut bench = Bench::full();
    bench.write("etc/new", "new");
    fs::create_dir(bench.at("usr/share")).unwrap();
    bench.chmod("usr/share", 0o750);
    symlink("../etc/new", bench.at("usr/share/link")).unwrap();
    fs::hard_link(bench.at("etc/new"), bench.at("usr/share/other")).unwrap();
    let name = bench.at("usr/share/pipe");
    rustix::fs::mknodat(rustix::fs::CWD, name, rustix::fs::FileType::Fifo, DiskMode::from_raw_mode(0o600), 0)
        .unwrap();
    bench.write("usr/share/device", "");
    let key = bench.key("usr/share/device");
    bench.records.change(key, |record| {
        record.device = Some(RecordedDevice { block: false, major: 1, minor: 5 });
    });

    let pulled = bench.pull();

    let made =
        ["etc/new", "usr/share", "usr/share/device", "usr/share/link", "usr/share/other", "usr/share/pipe"];
    assert_eq!(names(&pulled.made), made);
    assert_eq!((pulled.changed, pulled.removed), (vec![], vec![]));
    for name in made {
        assert_eq!((bench.get(name).mtime, &bench.get(name).origin), (None, &Origin::Generated), "{name}");
        assert_eq!(fs::symlink_metadata(bench.at(name)).unwrap().mtime(), EPOCH, "{name}");
    }
    assert_eq!(bench.text("etc/new"), "new");
    assert_eq!(bench.get("usr/share").mode, Mode::new(0o750));
    assert_eq!(bench.get("usr/share/link").kind, InodeKind::Symlink("../etc/new".into()));
    assert_eq!(bench.get("usr/share/pipe").kind, InodeKind::Fifo);
    let device = InodeKind::CharacterDevice(Device { major: 1, minor: 5 });
    assert_eq!(bench.get("usr/share/device").kind, device);
    assert_eq!(bench.tree.number(&path("etc/new")), bench.tree.number(&path("usr/share/other")));
    assert_eq!(bench.get("usr").mtime, Some(TIME));
    assert_eq!(bench.workroot.counters().pulled_entries, 6);
    assert_eq!(bench.workroot.counters().pulled_bytes, 3);
}

#[test]
fn what_a_program_writes_is_generated_and_what_it_only_gives_away_is_not() {
    let mut bench = Bench::full();
    bench.write("etc/passwd", "more");
    bench.chmod("usr/bin/link", 0o700);
    bench.chmod("etc/shadow", 0o600);
    bench.chmod("var", 0o700);
    let key = bench.key("usr/bin/first");
    bench.records.change(key, |record| record.uid = 7);
    bench.write("usr/bin/capable", "written");

    let pulled = bench.pull();

    let changed = [
        "etc/passwd",
        "etc/shadow",
        "usr/bin/capable",
        "usr/bin/first",
        "usr/bin/second",
        "usr/bin/tool",
        "var",
    ];
    assert_eq!(names(&pulled.changed), changed);
    for name in ["etc/passwd", "usr/bin/capable"] {
        assert_eq!((bench.get(name).mtime, &bench.get(name).origin), (None, &Origin::Generated), "{name}");
    }
    for name in ["etc/shadow", "usr/bin/first", "usr/bin/tool", "var"] {
        assert_eq!((bench.get(name).mtime, &bench.get(name).origin), (Some(TIME), &package()), "{name}");
    }
    assert_eq!(bench.get("usr/bin/tool").mode, Mode::new(0o700));
    assert_eq!(bench.get("usr/bin/second").owner, Owner { uid: 7, gid: 0 });
    assert_eq!(bench.get("etc/shadow").owner, Owner { uid: 0, gid: 42 });
    assert!(bench.get("usr/bin/capable").xattrs.is_empty());
    assert_eq!(bench.records.get(bench.key("usr/bin/capable")), None);
}

#[test]
fn a_capability_given_after_writing_stays() {
    let mut bench = Bench::full();
    bench.write("usr/bin/capable", "written");
    let key = bench.key("usr/bin/capable");
    bench.records.change(key, |record| drop(record.xattrs.insert("security.capability".into(), vec![2])));
    bench.pull();
    assert_eq!(&*bench.get("usr/bin/capable").xattrs["security.capability"], b"\x02");
}

#[test]
fn what_is_written_again_as_it_was_is_unchanged() {
    let mut bench = Bench::full();
    let before = bench.tree.clone();
    bench.write("etc/passwd", "root:x:0:0\n");
    bench.write("etc/shadow+", "root:!::0\n");
    bench.chmod("etc/shadow+", 0o640);
    let key = bench.key("etc/shadow+");
    bench.records.change(key, |record| record.gid = 42);
    fs::rename(bench.at("etc/shadow+"), bench.at("etc/shadow")).unwrap();
    fs::remove_file(bench.at("usr/bin/link")).unwrap();
    symlink("tool", bench.at("usr/bin/link")).unwrap();
    fs::remove_dir_all(bench.at("var/log/group")).unwrap();
    fs::create_dir(bench.at("var/log/group")).unwrap();
    bench.chmod("var/log/group", 0o2775);
    let key = bench.key("var/log/group");
    bench.records.change(key, |record| (record.uid, record.gid) = (5, 6));

    assert_eq!(bench.pull(), Pulled::default());

    let facts = |tree: &Tree| {
        tree.entries().map(|(path, _, inode)| (path.clone(), inode.clone())).collect::<Vec<_>>()
    };
    assert_eq!(facts(&bench.tree), facts(&before));
    assert_eq!(bench.workroot.counters().pulled_bytes, 0);
    assert_eq!(fs::metadata(bench.at("etc/passwd")).unwrap().mtime(), TIME);
}

#[test]
fn names_that_are_gone_go_and_kinds_take_each_others_place() {
    let mut bench = Bench::full();
    bench.chmod("var/log/secret", 0o700);
    fs::remove_dir_all(bench.at("var/log")).unwrap();
    bench.write("var/log", "now a file");
    fs::remove_file(bench.at("usr/bin/tool")).unwrap();
    fs::create_dir(bench.at("usr/bin/tool")).unwrap();
    bench.write("usr/bin/tool/in", "x");
    fs::rename(bench.at("etc"), bench.at("config")).unwrap();
    symlink("config", bench.at("etc")).unwrap();

    let pulled = bench.pull();

    let removed = ["etc/passwd", "etc/shadow", "var/log/group", "var/log/secret", "var/log/secret/file"];
    assert_eq!(names(&pulled.removed), removed);
    assert_eq!(names(&pulled.changed), ["etc", "usr/bin/tool", "var/log"]);
    assert_eq!(names(&pulled.made), ["config", "config/passwd", "config/shadow", "usr/bin/tool/in"]);
    assert_eq!(bench.text("config/passwd"), "root:x:0:0\n");
    assert_eq!(bench.get("config/shadow").owner, Owner { uid: 0, gid: 42 });
    assert_eq!(bench.get("config/shadow").origin, Origin::Generated);
    assert_eq!(bench.workroot.counters().pulled_bytes, "now a file".len() as u64 + 1);
}

#[test]
fn hard_links_are_broken_made_and_moved() {
    let mut bench = Bench::full();
    bench.write("usr/bin/new", "linked");
    bench.chmod("usr/bin/new", 0o755);
    fs::rename(bench.at("usr/bin/new"), bench.at("usr/bin/first")).unwrap();
    fs::hard_link(bench.at("etc/passwd"), bench.at("etc/accounts")).unwrap();
    fs::rename(bench.at("etc/shadow"), bench.at("etc/moved")).unwrap();

    let pulled = bench.pull();

    assert_eq!(names(&pulled.changed), ["usr/bin/first"]);
    assert_eq!(names(&pulled.made), ["etc/accounts", "etc/moved"]);
    assert_eq!(names(&pulled.removed), ["etc/shadow"]);
    let number = |name: &str| bench.tree.number(&path(name));
    assert_ne!(number("usr/bin/first"), number("usr/bin/second"));
    assert_eq!(number("etc/accounts"), number("etc/passwd"));
    assert_eq!(bench.get("usr/bin/first").mtime, Some(TIME));
    assert_eq!(bench.get("etc/passwd").origin, package());
    assert_eq!((bench.get("etc/moved").mtime, &bench.get("etc/moved").origin), (None, &Origin::Generated));

    fs::remove_file(bench.at("usr/bin/first")).unwrap();
    fs::hard_link(bench.at("usr/bin/second"), bench.at("usr/bin/first")).unwrap();
    let pulled = bench.pull();
    assert_eq!(names(&pulled.changed), ["usr/bin/first"]);
    assert_eq!(bench.tree.number(&path("usr/bin/first")), bench.tree.number(&path("usr/bin/second")));
}

#[test]
fn only_what_is_newer_in_the_tree_is_pushed() {
    let mut bench = Bench::full();
    let kept = bench.key("etc/passwd");
    let (entries, bytes) = bench.pushed();
    let clock = Instant::now();
    bench.push();
    println!("a push of nothing: {:?}", clock.elapsed());
    assert_eq!(bench.pushed(), (entries, bytes));

    bench.tree.get_mut(&path("var/log/secret/file")).unwrap().mode = Mode::new(0o200);
    bench.tree.get_mut(&path("usr/bin/second")).unwrap().owner.uid = 9;
    bench.tree.remove_all(&path("usr/bin/tool"));
    bench.put("usr/bin/tool", inode(InodeKind::Directory, 0o500));
    bench.put("usr/bin/tool/x", file("four", 0o400));
    bench.tree.remove_all(&path("var/log/group"));
    bench.put("var/log/group", file("g", 0o644));
    let number = bench.tree.number(&path("etc/shadow")).unwrap();
    bench.tree.link(path("etc/gshadow"), number).unwrap();
    bench.push();

    // The closed file, the two links at once, the directory and its file, the new file, the new link.
    assert_eq!(bench.pushed(), (entries + 6, bytes + 5));
    assert_eq!(bench.key("etc/passwd"), kept);
    assert_eq!(bench.key("etc/gshadow"), bench.key("etc/shadow"));
    assert_eq!(bench.records.get(bench.key("usr/bin/first")).unwrap().uid, 9);
    assert_eq!(fs::metadata(bench.at("usr/bin/tool")).unwrap().mode() & 0o7777, 0o500);
    assert_eq!(fs::metadata(bench.at("usr/bin")).unwrap().mtime(), TIME);
    assert_eq!(fs::metadata(bench.at("var/log/secret")).unwrap().mode() & 0o7777, 0);
    assert_eq!(bench.pull(), Pulled::default());
}

#[test]
fn links_of_the_tree_that_were_not_links_before_become_some_whatever_their_order() {
    let mut bench = Bench::new();
    for name in ["0", "a", "b"] {
        bench.put(name, file("same", 0o644));
    }
    let number = |bench: &Bench, name: &str| bench.tree.number(&path(name)).unwrap();
    let zero = number(&bench, "0");
    bench.tree.link(path("a"), zero).unwrap();
    bench.push();
    assert_eq!(bench.key("0"), bench.key("a"));
    let b = number(&bench, "b");
    bench.tree.link(path("a"), b).unwrap();
    bench.push();
    assert_ne!(bench.key("0"), bench.key("a"));
    assert_eq!(bench.key("a"), bench.key("b"));
    assert_eq!(bench.pull(), Pulled::default());
}

#[test]
fn bytes_that_are_not_the_recorded_ones_are_not_given_to_programs() {
    let mut bench = Bench::new();
    let source = std::sync::Arc::new(Bytes(Box::from(*b"other")));
    let content = Content::slice(source, 0, 5, Sha256::of(b"bytes"));
    bench.put("file", inode(InodeKind::File(content), 0o644));
    let error = bench.workroot.push(&bench.tree, &mut bench.records).unwrap_err();
    assert_eq!(error.kind(), Kind::Integrity);
    assert!(error.to_string().contains("/file"), "{error}");
}

#[test]
fn what_is_in_mount_points_and_beside_scripts_is_neither_written_nor_read() {
    let mut bench = Bench::full();
    for name in ["dev/null", "proc/1", "tmp/left"] {
        bench.write(name, "never read");
    }
    fs::create_dir(bench.at("lib/apk/exec")).unwrap();
    bench.write("lib/apk/exec/script", "#!/bin/sh\n");
    bench.chmod("tmp", 0o1777);
    let before = bench.tree.len();

    let pulled = bench.pull();

    assert_eq!(pulled, Pulled { changed: vec![path("tmp")], ..Pulled::default() });
    assert_eq!((bench.tree.len(), bench.get("tmp").mode), (before, Mode::new(0o1777)));
    let null = InodeKind::CharacterDevice(Device { major: 1, minor: 3 });
    assert_eq!(bench.get("dev/null").kind, null);
    // If it comes into the tree what lies there is in nobody's way.
    bench.put("lib/apk/exec", inode(InodeKind::Directory, 0o755));
    bench.push();
    assert_eq!(bench.pull(), Pulled::default());
    assert!(bench.at("lib/apk/exec/script").exists());

    let mut bench = Bench::new();
    bench.push();
    fs::create_dir(bench.at("proc")).unwrap();
    bench.put("tmp", inode(InodeKind::Symlink("var/tmp".into()), 0o777));
    bench.push();
    assert_eq!(bench.pull(), Pulled::default());
    assert_eq!(fs::read_link(bench.at("tmp")).unwrap(), PathBuf::from("var/tmp"));
    bench.tree.remove_all(&path("tmp"));
    bench.put("proc", inode(InodeKind::Directory, 0o555));
    bench.push();
    assert_eq!(bench.pull(), Pulled::default());
}

#[test]
fn the_backups_of_accounts_stay_as_the_tree_had_them() {
    let mut bench = Bench::full();
    bench.put("etc/group-", file("old", 0o644));
    bench.push();
    // As BusyBox does it: the old file is the backup, a new one takes its place.
    fs::hard_link(bench.at("etc/shadow"), bench.at("etc/shadow-")).unwrap();
    bench.write("etc/shadow+", "changed");
    fs::rename(bench.at("etc/shadow+"), bench.at("etc/shadow")).unwrap();
    bench.write("etc/group-", "newer");

    let pulled = bench.pull();

    assert_eq!(pulled, Pulled { changed: vec![path("etc/shadow")], ..Pulled::default() });
    assert_eq!(bench.text("etc/group-"), "old");
    assert!(bench.tree.get(&path("etc/shadow-")).is_none());
    assert_eq!(bench.records.get(bench.key("etc/shadow-")).unwrap().gid, 42);
    bench.push();
    assert_eq!(fs::read_to_string(bench.at("etc/group-")).unwrap(), "old");
    fs::remove_file(bench.at("etc/group-")).unwrap();
    assert_eq!(bench.pull(), Pulled::default());
    assert_eq!(bench.text("etc/group-"), "old");
    fs::remove_dir_all(bench.at("etc")).unwrap();
    bench.pull();
    assert!(bench.tree.get(&path("etc")).is_none());
}

#[test]
fn what_is_made_in_a_set_group_id_directory_has_its_group() {
    let mut bench = Bench::full();
    bench.write("var/log/group/new", "x");
    bench.write("var/log/group/given", "x");
    fs::create_dir(bench.at("var/log/group/below")).unwrap();
    bench.chmod("var/log/group/below", 0o2755);
    bench.write("var/log/group/below/new", "x");
    let key = bench.key("var/log/group/given");
    bench.records.change(key, |record| record.uid = 3);
    bench.pull();
    for (name, uid, gid) in [("new", 0, 6), ("below", 0, 6), ("below/new", 0, 6), ("given", 3, 0)] {
        assert_eq!(bench.get(&format!("var/log/group/{name}")).owner, Owner { uid, gid }, "{name}");
    }
    assert_eq!(bench.records.get(bench.key("var/log/group/new")).unwrap().gid, 6);
}

#[test]
fn a_change_right_after_a_push_is_never_missed() {
    let mut bench = Bench::new();
    for round in 0..50 {
        let name = if round % 2 == 0 { "one" } else { "two" };
        bench.put("file", file(name, 0o644));
        bench.push();
        let old = File::options().write(true).open(bench.at("file")).unwrap();
        let time = fs::metadata(bench.at("file")).unwrap().modified().unwrap();
        std::os::unix::fs::FileExt::write_all_at(&old, b"new", 0).unwrap();
        old.set_modified(time).unwrap();
        drop(old);
        assert_eq!(
            names(&bench.workroot.pull(&mut bench.tree, &mut bench.records, Trust::Times).unwrap().changed),
            ["file"]
        );
    }
}

#[test]
fn a_workroot_is_empty_when_it_was_cleared_and_can_be_filled_again() {
    let mut bench = Bench::full();
    bench.workroot.clear().unwrap();
    assert_eq!(fs::read_dir(bench.at("")).unwrap().count(), 0);
    bench.push();
    assert_eq!(bench.pull(), Pulled::default());
}

#[test]
fn how_long_five_thousand_unchanged_entries_take() {
    let mut bench = Bench::new();
    for directory in 0..100 {
        bench.put(&format!("d{directory}"), inode(InodeKind::Directory, 0o755));
        for number in 0..49 {
            bench.put(&format!("d{directory}/f{number}"), file(&format!("{directory} {number}"), 0o644));
        }
    }
    let time = |what: &str, began: Instant| println!("{what}: {:?}", began.elapsed());
    let began = Instant::now();
    bench.push();
    time("push of 5,000 entries", began);
    let began = Instant::now();
    assert_eq!(
        bench.workroot.pull(&mut bench.tree, &mut bench.records, Trust::Times).unwrap(),
        Pulled::default()
    );
    time("pull of 5,000 unchanged entries", began);
    let began = Instant::now();
    bench.push();
    time("push of nothing", began);
}
