//! Whatever is done on the disk, the tree is then what somebody else who looks finds there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::draws;

/// Something that a program does; the numbers say to which names.
#[derive(Debug, Clone)]
enum Deed {
    Write(usize, String),
    MakeDirectory(usize),
    Link(usize, usize),
    HardLink(usize, usize),
    Rename(usize, usize),
    Remove(usize),
    Mode(usize, u32),
    Owner(usize, u32),
    Pull,
    Push(usize, String),
}

const NAMES: [&str; 12] =
    ["a", "b", "c", "a/a", "a/b", "a/c", "b/a", "b/b", "a/a/a", "a/a/b", "b/a/a", "etc/passwd"];

fn deed() -> impl Strategy<Value = Deed> {
    let name = 0..NAMES.len();
    let text = prop_oneof![Just("one".to_owned()), Just("two".to_owned()), Just(String::new())];
    let mode = prop_oneof![Just(0o644), Just(0o755), Just(0), Just(0o4711), Just(0o1777)];
    prop_oneof![
        4 => (name.clone(), text.clone()).prop_map(|(name, text)| Deed::Write(name, text)),
        4 => name.clone().prop_map(Deed::MakeDirectory),
        1 => (name.clone(), name.clone()).prop_map(|(name, target)| Deed::Link(name, target)),
        2 => (name.clone(), name.clone()).prop_map(|(name, target)| Deed::HardLink(name, target)),
        3 => (name.clone(), name.clone()).prop_map(|(name, target)| Deed::Rename(name, target)),
        2 => name.clone().prop_map(Deed::Remove),
        1 => (name.clone(), mode).prop_map(|(name, mode)| Deed::Mode(name, mode)),
        1 => (name.clone(), 0..3_u32).prop_map(|(name, owner)| Deed::Owner(name, owner)),
        2 => Just(Deed::Pull),
        2 => (name, text).prop_map(|(name, text)| Deed::Push(name, text)),
    ]
}

/// Does it, if it can be done.
fn done(bench: &mut Bench, deed: &Deed) {
    let at = |name: &usize| bench.at(NAMES[*name]);
    let is_there = |name: &usize| fs::symlink_metadata(at(name)).is_ok();
    match deed {
        Deed::Write(name, text) => {
            if fs::symlink_metadata(at(name)).map_or(true, |found| found.is_file())
                && let Ok(mut file) = File::create(at(name))
            {
                file.write_all(text.as_bytes()).unwrap();
            }
        }
        Deed::MakeDirectory(name) => drop(fs::create_dir(at(name))),
        Deed::Link(name, target) => drop(symlink(NAMES[*target], at(name))),
        Deed::HardLink(name, target) => drop(fs::hard_link(at(target), at(name))),
        Deed::Rename(name, target) => drop(fs::rename(at(name), at(target))),
        Deed::Remove(name) => {
            let _ = fs::remove_file(at(name));
            let _ = fs::remove_dir_all(at(name));
        }
        Deed::Mode(name, mode) if is_there(name) && !at(name).is_symlink() => {
            // Directories stay open: this test looks into them itself, perhaps without privileges.
            let mode = if at(name).is_dir() { mode | 0o700 } else { *mode };
            bench.chmod(NAMES[*name], mode);
        }
        Deed::Owner(name, owner) if is_there(name) => {
            // As whoever records does: another file must not get the number while the clock stands.
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let pin = rustix::fs::open(at(name), flags, DiskMode::empty()).unwrap();
            let key = bench.key(NAMES[*name]);
            bench.records.change(key, |record| record.uid = *owner);
            bench.pins.push(pin);
        }
        Deed::Pull => pulled(bench),
        Deed::Push(name, text) => {
            pulled(bench);
            let path = path(NAMES[*name]);
            bench.tree.remove_all(&path);
            // Where its directory is not there, the name is only gone.
            let _ = bench.tree.insert(path, file(text, 0o640));
            bench.push();
            compare(bench);
        }
        Deed::Mode(..) | Deed::Owner(..) => {}
    }
}

fn pulled(bench: &mut Bench) {
    let before: BTreeMap<TreePath, Inode> =
        bench.tree.entries().map(|(path, _, inode)| (path.clone(), inode.clone())).collect();
    let pulled = bench.workroot.pull(&mut bench.tree, &mut bench.records, Trust::Times).unwrap();
    compare(bench);
    let after = |path: &TreePath| bench.tree.get(path);
    let made: Vec<_> = pulled.made.iter().collect();
    assert_eq!(
        made,
        bench
            .tree
            .entries()
            .map(|entry| entry.0)
            .filter(|path| !before.contains_key(*path))
            .collect::<Vec<_>>()
    );
    let removed: Vec<_> = pulled.removed.iter().collect();
    assert_eq!(removed, before.keys().filter(|path| after(path).is_none()).collect::<Vec<_>>());
    for (path, inode) in &before {
        let is_same = after(path).is_none_or(|now| now == inode);
        assert!(is_same || pulled.changed.contains(path), "{path}: {inode:?} {:?}", after(path));
    }
    bench.check();
    // As the push before the next program does.
    bench.workroot.disk.wait_for_the_clock();
}

/// What is at one name: what it is, its mode, its owner, its content, the names it shares its inode with, its time.
type Line = (String, u32, u32, String, BTreeSet<String>, i64);

fn compare(bench: &Bench) {
    assert_eq!(of_tree(bench), of_disk(bench));
}

fn of_tree(bench: &Bench) -> BTreeMap<String, Line> {
    let mut lines = BTreeMap::new();
    for (path, number, inode) in bench.tree.entries() {
        let (kind, content) = match &inode.kind {
            InodeKind::Directory => ("directory", String::new()),
            InodeKind::File(content) => ("file", String::from_utf8(content.to_vec().unwrap()).unwrap()),
            InodeKind::Symlink(target) => ("link", target.to_string()),
            other => panic!("{other:?}"),
        };
        let same = bench.tree.entries().filter(|(_, other, _)| *other == number);
        let names = same.map(|(path, ..)| path.as_str().to_owned()).collect();
        let mtime = inode.mtime.unwrap_or(EPOCH);
        let line = (kind.to_owned(), inode.mode.bits(), inode.owner.uid, content, names, mtime);
        lines.insert(path.as_str().to_owned(), line);
    }
    lines
}

fn of_disk(bench: &Bench) -> BTreeMap<String, Line> {
    let mut lines = BTreeMap::new();
    let mut names: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    let mut left = vec![String::new()];
    while let Some(name) = left.pop() {
        let place = bench.at(&name);
        let found = fs::symlink_metadata(&place).unwrap();
        let (kind, content) = if found.is_dir() {
            let inside =
                fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            left.extend(inside.map(|inside| Path::new(&name).join(inside).to_str().unwrap().to_owned()));
            ("directory", String::new())
        } else if found.is_symlink() {
            ("link", fs::read_link(&place).unwrap().to_str().unwrap().to_owned())
        } else {
            let mode = found.permissions();
            fs::set_permissions(&place, Permissions::from_mode(0o600)).unwrap();
            let text = fs::read_to_string(&place).unwrap();
            fs::set_permissions(&place, mode).unwrap();
            ("file", text)
        };
        let owner = bench.records.get(bench.key(&name)).map_or(0, |record| record.uid);
        names.entry(found.ino()).or_default().insert(name.clone());
        let line = (kind.to_owned(), found.mode() & 0o7777, owner, content, BTreeSet::new(), found.mtime());
        lines.insert(name, (found.ino(), line));
    }
    let shared = |(name, (inode, line)): (String, (u64, Line))| {
        (name, (line.0, line.1, line.2, line.3, names[&inode].clone(), line.5))
    };
    lines.into_iter().map(shared).collect()
}

draws::properties! {
    cases = 96;

    property the_tree_is_what_an_independent_look_at_the_disk_finds(deeds in prop::collection::vec(deed(), 1..40)) {
        let mut bench = Bench::new();
        bench.put("a", inode(InodeKind::Directory, 0o755));
        bench.put("a/b", file("one", 0o644));
        bench.put("etc", inode(InodeKind::Directory, 0o755));
        bench.put("etc/passwd", file("two", 0o644));
        bench.push();
        for deed in &deeds {
            done(&mut bench, deed);
        }
        pulled(&mut bench);
    }
}
