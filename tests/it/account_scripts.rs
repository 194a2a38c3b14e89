//! Scripts that only add accounts: what is done natively against what BusyBox does when it runs them.
//!
//! The same script is applied to a tree and run in a chroot that holds what the tree holds; afterwards every
//! entry must be equal: kind, mode, owner, target, content. The real scripts are those of all packages of the
//! mirrors; the drawn ones are seeded, over drawn files of accounts. The day in shadow is that of the run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufReader, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, lchown, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use apkcompose::archive::rootfs;
use apkcompose::content::{Content, OpenFile, ReadAt};
use apkcompose::path::TreePath;
use apkcompose::tree::account_script::{AccountScript, Applied};
use apkcompose::tree::layers::{TableLayer, tree_of};
use apkcompose::tree::{Inode, InodeKind, Mode, Origin, Owner, Tree};
use flate2::read::MultiGzDecoder;

use crate::differential::Dice;
use crate::support::busybox::Busybox;
use crate::support::command::Dir;
use crate::support::data::Alpine;
use crate::support::listing::{Kind, Listing};
use crate::support::{self, files, need};

/// Where the mirrors have packages.
const REPOSITORIES: [&str; 5] =
    ["v3.19/main/x86_64", "v3.19/community/x86_64", "iso-3.19.1/x86_64", "rpi-3.13.4/aarch64", "php7/x86_64"];
/// The scripts of theirs that only add accounts.
const ACCEPTED: [&str; 12] = [
    "iso-3.19.1: alpine-baselayout-3.4.3-r2.pre-install",
    "iso-3.19.1: chrony-4.5-r0.pre-install",
    "iso-3.19.1: chrony-4.5-r0.pre-upgrade",
    "iso-3.19.1: dhcpcd-10.0.5-r0.pre-install",
    "php7: nginx-1.22.1-r0.pre-install",
    "rpi-3.13.4: alpine-baselayout-3.2.0-r8.pre-install",
    "rpi-3.13.4: chrony-4.0-r1.pre-install",
    "rpi-3.13.4: chrony-4.0-r1.pre-upgrade",
    "v3.19: alpine-baselayout-3.4.3-r2.pre-install",
    "v3.19: chrony-4.5-r0.pre-install",
    "v3.19: chrony-4.5-r0.pre-upgrade",
    "v3.19: dhcpcd-10.0.5-r0.pre-install",
];
/// What a script can change, and what is set back before each.
const CHANGED: [&str; 4] = ["etc", "home", "srv", "var"];
/// What only the root on the disk has: a device, and the copies that BusyBox keeps.
const DISK_ONLY: [&str; 4] = ["dev/null", "etc/group-", "etc/passwd-", "etc/shadow-"];
/// How many scripts are drawn.
const DRAWN: usize = 300;
/// The first number of the draws.
const SEED: u64 = 20_778;

#[test]
fn real_scripts_are_applied_as_busybox_runs_them() {
    let Some(alpine) = need::apk("real_scripts_are_applied_as_busybox_runs_them") else { return };
    let scripts = scripts(&alpine);
    let accepted: BTreeMap<&String, AccountScript> =
        scripts.iter().filter_map(|(name, text)| Some((name, AccountScript::of(text)?))).collect();
    assert!(scripts.len() > 2 * ACCEPTED.len(), "{:?}", scripts.keys());
    assert_eq!(accepted.keys().copied().collect::<Vec<_>>(), ACCEPTED.to_vec());

    let mut busybox = Busybox::start(&alpine);
    let mut tree = minirootfs(&alpine);
    let fresh = tree.clone();
    for (name, script) in &accepted {
        let (text, mut alone) = (&scripts[*name], fresh.clone());
        // Alone, once more as on an upgrade, and after all others.
        assert!(compare(&mut busybox, &mut alone, script, text), "{name}");
        assert!(compare(&mut busybox, &mut alone, script, text), "{name} again");
        assert!(compare(&mut busybox, &mut tree, script, text), "{name} after others");
    }
    assert_nothing_else_changed(&fresh, &busybox);
}

#[test]
fn drawn_scripts_are_applied_as_busybox_runs_them() {
    let Some(alpine) = need::apk("drawn_scripts_are_applied_as_busybox_runs_them") else { return };
    let mut busybox = Busybox::start(&alpine);
    let base = minirootfs(&alpine);
    let mut dice = Dice(SEED);
    let mut done = 0;
    for _ in 0..DRAWN {
        let mut tree = base.clone();
        draw_files(&mut dice, &mut tree);
        let text = draw_script(&mut dice);
        let script = AccountScript::of(text.as_bytes()).unwrap_or_else(|| panic!("not understood: {text}"));
        done += usize::from(compare(&mut busybox, &mut tree, &script, text.as_bytes()));
    }
    assert_nothing_else_changed(&base, &busybox);
    // The others fail, or would meet what is not certain.
    assert!(done > DRAWN * 6 / 10, "{done} of {DRAWN}");
}

/// Applies `script`, whose text is `text`, to `tree`, has BusyBox run it over the same files, and holds one
/// against the other. False if it is not certain what it does: nothing is changed then.
fn compare(busybox: &mut Busybox, tree: &mut Tree, script: &AccountScript, text: &[u8]) -> bool {
    let before = tree.clone();
    loop {
        let today = day();
        let applied = script.apply(tree, today).unwrap();
        let root = busybox.root();
        set_back(&before, &root);
        let status = busybox.run(text);
        if day() != today {
            // It ran at midnight.
            *tree = before.clone();
            continue;
        }
        let shown = || {
            let texts = String::from_utf8_lossy(text).into_owned();
            ["etc/passwd", "etc/group", "etc/shadow"].iter().filter(|file| root.join(file).exists()).fold(
                texts,
                |shown, file| {
                    let expected = files::read_text(&root.join(file));
                    let (expected, got) = (expected.lines().collect::<Vec<_>>(), read(tree, file));
                    let got: Vec<&str> = got.lines().collect();
                    let missing = expected.iter().filter(|line| !got.contains(line));
                    let surplus = got.iter().filter(|line| !expected.contains(line));
                    format!(
                        "{shown}\n{file}: missing {:?}, surplus {:?}",
                        missing.collect::<Vec<_>>(),
                        surplus.collect::<Vec<_>>()
                    )
                },
            )
        };
        return match applied {
            Applied::Done => {
                assert_eq!(status, 0, "BusyBox fails: {}", shown());
                let (expected, got) = (entries_on_disk(&root, &changed()), entries(tree, &changed()));
                let different = expected.symmetric_difference(&got).collect::<Vec<_>>();
                assert!(different.is_empty(), "{different:#?}\n{}", shown());
                true
            }
            Applied::NotCertain => {
                assert_eq!(entries(tree, &changed()), entries(&before, &changed()), "{}", shown());
                false
            }
        };
    }
}

/// Today, in days from 1970.
fn day() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs() / (24 * 60 * 60)).unwrap()
}

/// The scripts of all packages, by where they are from.
fn scripts(alpine: &Alpine) -> BTreeMap<String, Vec<u8>> {
    let mut scripts = BTreeMap::new();
    for repository in REPOSITORIES {
        let directory = alpine.mirror().join(repository);
        let from = repository.split('/').next().unwrap();
        for file in files::names(&directory) {
            let Some(package) = file.strip_suffix(".apk") else { continue };
            let mut tar = tar::Archive::new(MultiGzDecoder::new(BufReader::new(
                File::open(directory.join(&file)).unwrap(),
            )));
            for entry in tar.entries().unwrap() {
                let mut entry = entry.unwrap();
                let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
                // What is signed and what says what the package is come before its files.
                if !name.starts_with('.') {
                    break;
                }
                if ["install", "upgrade", "deinstall"].iter().any(|kind| name.ends_with(kind)) {
                    let mut text = Vec::new();
                    entry.read_to_end(&mut text).unwrap();
                    scripts.insert(format!("{from}: {package}{name}"), text);
                }
            }
        }
    }
    scripts
}

fn minirootfs(alpine: &Alpine) -> Tree {
    let archive = files::read(&alpine.minirootfs("x86_64"));
    let mut tar = Vec::new();
    let table = rootfs::expand(archive.as_slice(), archive.len() as u64, &mut tar).unwrap();
    // It is read from as long as it is open, though its directory is gone.
    let dir = Dir::new();
    let place = dir.write("minirootfs.tar", tar);
    let tar: Arc<dyn ReadAt> = Arc::new(OpenFile::new(File::open(&place).unwrap(), place).unwrap());
    tree_of(&[TableLayer { table: &table, tar: &tar }]).unwrap()
}

fn path(text: &str) -> TreePath {
    TreePath::relative(text).unwrap()
}

/// Puts on the disk what the tree has of what scripts change.
fn set_back(tree: &Tree, root: &Path) {
    for top in CHANGED {
        if root.join(top).exists() {
            fs::remove_dir_all(root.join(top)).unwrap();
        }
        for name in tree.below(&path(top)) {
            let (place, inode) = (root.join(name.as_str()), tree.get(name).unwrap());
            match &inode.kind {
                InodeKind::Directory => fs::create_dir(&place).unwrap(),
                InodeKind::File(content) => files::write(&place, &content.to_vec().unwrap()),
                InodeKind::Symlink(target) => {
                    symlink(&**target, &place).unwrap();
                    lchown(&place, Some(inode.owner.uid), Some(inode.owner.gid)).unwrap();
                    continue;
                }
                other => panic!("{name} is {other:?}"),
            }
            give(&place, inode);
        }
    }
    give(root, tree.get(&TreePath::root()).unwrap());
}

fn give(place: &Path, inode: &Inode) {
    chown(place, Some(inode.owner.uid), Some(inode.owner.gid)).unwrap();
    fs::set_permissions(place, fs::Permissions::from_mode(inode.mode.bits())).unwrap();
}

/// A line for each entry below the directories `tops`, and for the root, with all that must be equal.
fn entries(tree: &Tree, tops: &[String]) -> BTreeSet<String> {
    let line = |path: &TreePath, inode: &Inode| {
        let (kind, content) = match &inode.kind {
            InodeKind::Directory => (Kind::Directory, String::new()),
            InodeKind::File(content) => (Kind::File, content.digest().to_string()),
            InodeKind::Symlink(target) => (Kind::Link, target.to_string()),
            other => panic!("{path} is {other:?}"),
        };
        let Owner { uid, gid } = inode.owner;
        format!("/{} {kind} {:o} {uid}:{gid} {content}", path.as_str(), inode.mode.bits())
    };
    let is_meant =
        |path: &TreePath| path.components().next().is_none_or(|top| tops.iter().any(|it| it == top));
    tree.entries().filter(|(path, ..)| is_meant(path)).map(|(path, _, inode)| line(path, inode)).collect()
}

/// As [`entries`].
fn entries_on_disk(root: &Path, tops: &[String]) -> BTreeSet<String> {
    let directory = |path: &str, at: &Path| {
        let metadata = fs::symlink_metadata(at).unwrap();
        let (mode, uid, gid) = (metadata.mode() & 0o7777, metadata.uid(), metadata.gid());
        format!("/{path} {} {mode:o} {uid}:{gid} ", Kind::Directory)
    };
    let mut lines = BTreeSet::from([directory("", root)]);
    for top in tops {
        lines.insert(directory(top, &root.join(top)));
        for entry in Listing::of_directory(&root.join(top)).entries() {
            let path = format!("{top}/{}", entry.path);
            if DISK_ONLY.contains(&path.as_str()) {
                continue;
            }
            let content = match (&entry.link, entry.kind) {
                (Some(target), _) => target.clone(),
                (None, Kind::File) => entry.sha256(),
                (None, _) => String::new(),
            };
            let support::listing::Entry { kind, mode, uid, gid, .. } = entry;
            lines.insert(format!("/{path} {kind} {mode:o} {uid}:{gid} {content}"));
        }
    }
    lines
}

/// The names in [`CHANGED`].
fn changed() -> Vec<String> {
    CHANGED.map(str::to_owned).to_vec()
}

/// Holds all of `tree` against what is on the disk after all the scripts ran.
fn assert_nothing_else_changed(tree: &Tree, busybox: &Busybox) {
    set_back(tree, &busybox.root());
    let tops = files::names(&busybox.root());
    assert!(tops.len() > CHANGED.len(), "{tops:?}");
    assert_eq!(entries_on_disk(&busybox.root(), &tops), entries(tree, &tops));
}

/// Replaces the text of a file.
fn write(tree: &mut Tree, at: &str, text: &str) {
    tree.get_mut(&path(at)).unwrap().kind = InodeKind::File(Content::of_bytes(text.as_bytes()));
}

fn read(tree: &Tree, at: &str) -> String {
    let InodeKind::File(content) = &tree.get(&path(at)).unwrap().kind else { panic!("{at} is no file") };
    String::from_utf8(content.to_vec().unwrap()).unwrap()
}

/// Changes the files of accounts, and what stands where homes will be.
fn draw_files(dice: &mut Dice, tree: &mut Tree) {
    let (mut passwd, mut group) = (read(tree, "etc/passwd"), read(tree, "etc/group"));
    if dice.below(3) == 0 {
        passwd =
            String::from("root:x:0:0:root:/root:/bin/ash\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n");
        group = String::from("root:x:0:root\naudio:x:18:nobody,\nnogroup:x:65533:\n");
    }
    if dice.below(4) == 0 {
        let shell = dice.one_of(&["", "/bin/zsh"]);
        passwd = passwd.replace("/root:/bin/ash", &format!("/root:{shell}"));
    }
    if dice.below(6) == 0 {
        group = group
            .lines()
            .filter(|line| !line.starts_with("nogroup:"))
            .flat_map(|line| [line, "\n"])
            .collect();
    }
    for first in [100_usize, 1000] {
        for number in first..first + dice.below(6) {
            match dice.below(3) {
                0 => writeln!(passwd, "u{number}:x:{number}:{number}::/:").unwrap(),
                1 => writeln!(group, "g{number}:x:{number}:").unwrap(),
                _ => {}
            }
        }
    }
    if dice.below(20) == 0 {
        group += &(101..999)
            .filter(|gid| ![123, 200, 209, 245, 300, 406].contains(gid))
            .fold(String::new(), |lines, gid| lines + &format!("f{gid}:x:{gid}:\n"));
    }
    if dice.below(5) == 0 {
        group.truncate(group.trim_end().len());
    }
    write(tree, "etc/passwd", &passwd);
    write(tree, "etc/group", &group);
    for file in ["etc/passwd", "etc/group", "etc/shadow"] {
        if dice.below(4) == 0 {
            let inode = tree.get_mut(&path(file)).unwrap();
            inode.mode = Mode::new([0o600, 0o640, 0o664][dice.below(3)]);
            inode.owner = Owner { uid: 3, gid: 4 };
        }
    }
    if dice.below(6) == 0 {
        tree.remove(&path("etc/shadow")).unwrap();
    }
    let mut insert = |at: &str, kind: InodeKind, mode: u32| {
        let mut inode = Inode::new(kind, Mode::new(mode), Origin::Base);
        inode.owner = Owner { uid: 7, gid: 8 };
        tree.insert(path(at), inode).unwrap();
    };
    insert("srv/there", InodeKind::Directory, 0o1777);
    insert("srv/there/file", InodeKind::File(Content::of_bytes(*b"x")), 0o4711);
    insert("srv/link", InodeKind::Symlink("../var/lib".into()), 0o777);
    insert("srv/file", InodeKind::File(Content::of_bytes(*b"x")), 0o644);
}

const NAMES: [&str; 12] =
    ["a", "b", "c", "d", "e", "nginx", "a.b", "_x-1", "audio", "nobody", "www-data", "nogroup"];
const NUMBERS: [&str; 12] =
    ["0", "18", "42", "82", "100", "101", "103", "500", "999", "1000", "1002", "60000"];
const HOMES: [&str; 10] = [
    "/home/a",
    "/var/lib/a",
    "/var/empty",
    "/srv/there",
    "/srv/there/new",
    "/srv/link/b",
    "/srv/file/x",
    "/no/where",
    "/",
    "/srv/there/new/er",
];

fn draw_script(dice: &mut Dice) -> String {
    let mut text = "#!/bin/sh\n\n# drawn\nuser=b\nlong='two words'\n".to_owned();
    for _ in 0..=dice.below(5) {
        text += &draw_command(dice);
        text += dice.one_of(&["", " 2>/dev/null", " >/dev/null 2>&1", " || true", " 2>/dev/null || :"]);
        text += "\n";
    }
    text + dice.one_of(&["", "exit 0\n", "exit 0\n", "\nexit 0 # done\nnonsense (\n"])
}

fn draw_command(dice: &mut Dice) -> String {
    let kind = dice.below(10);
    if kind < 2 {
        let command = dice.one_of(&["addgroup", "addgroup -S", "adduser"]);
        return format!("{command} {} {}", dice.one_of(&NAMES), dice.one_of(&NAMES));
    }
    let mut command = if kind < 5 { "addgroup" } else { "adduser" }.to_owned();
    let maybe = |dice: &mut Dice, option: &str, values: &[&str]| match dice.below(2) {
        0 => format!(" {option} {}", dice.one_of(values)),
        _ => String::new(),
    };
    if kind < 5 {
        command += dice.one_of(&["", " -S"]);
        command += &maybe(dice, "-g", &NUMBERS);
    } else {
        command += dice.one_of(&[" -S", " -D", " -SD", " -S -D -H", " -DH", " -SDH"]);
        command += &maybe(dice, "-u", &NUMBERS);
        command += &maybe(dice, "-h", &HOMES);
        command += &maybe(dice, "-G", &NAMES);
        command += &maybe(dice, "-g", &["\"$long, $user\"", "''", "plain", "'a  b'"]);
        command += &maybe(dice, "-s", &["/sbin/nologin", "''", "/bin/sh"]);
    }
    if dice.below(8) == 0 {
        return command + " \\\n\t${user}";
    }
    format!("{command} {}", dice.one_of(&NAMES))
}
