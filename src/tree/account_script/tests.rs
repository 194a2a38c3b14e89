//! Expected lines were read from the chroot of minirootfs 3.19.4, where the same commands were run by BusyBox
//! 1.36.1 over files with the same numbers taken.

use super::*;
use crate::content::Content;
use crate::path::TreePath;
use crate::tree::made::{GROUP, PASSWD, SHADOW, alpine, at, has, path, text};
use crate::tree::{Inode, InodeKind, Mode, Origin, Owner};

const DAY: i64 = 20778;
const CHRONY: &str = "#!/bin/sh

addgroup -S chrony 2>/dev/null
adduser -S -D -h /var/lib/chrony -s /sbin/nologin -G chrony -g chrony chrony 2>/dev/null

exit 0
";

fn script(commands: &str) -> Option<AccountScript> {
    AccountScript::of(format!("#!/bin/sh\n{commands}\n").as_bytes())
}

fn commands(text: &str) -> Vec<Vec<String>> {
    let lines = shell::lines(&format!("#!/bin/sh\n{text}\n")).unwrap();
    lines.into_iter().map(|line| line.words).collect()
}

/// What the tree's files have more than those of [`alpine`], after `commands`.
fn added(commands: &str) -> [String; 3] {
    let mut tree = alpine();
    assert_eq!(script(commands).unwrap().apply(&mut tree, DAY).unwrap(), Applied::Done, "{commands}");
    [("etc/passwd", PASSWD), ("etc/group", GROUP), ("etc/shadow", SHADOW)].map(|(file, before)| {
        let now = text(&tree, file);
        now.lines().filter(|line| !before.lines().any(|there| there == *line)).collect::<Vec<_>>().join("\n")
    })
}

/// What comes of `commands` in a tree that was changed so.
fn applied(change: impl FnOnce(&mut Tree), commands: &str) -> Applied {
    let mut tree = alpine();
    change(&mut tree);
    let before = tree.clone();
    let applied = script(commands).unwrap().apply(&mut tree, DAY).unwrap();
    if applied == Applied::NotCertain {
        assert!(tree.entries().eq(before.entries()), "{commands}");
    }
    applied
}

fn put(tree: &mut Tree, at: &str, kind: InodeKind, mode: u32) {
    tree.make_parents(&path(at), &Origin::Base).unwrap();
    tree.insert(path(at), Inode::new(kind, Mode::new(mode), Origin::Base)).unwrap();
}

fn file(text: &str) -> InodeKind {
    InodeKind::File(Content::of_bytes(text.as_bytes()))
}

#[test]
fn a_daemons_script_is_done_as_busybox_does_it() {
    let mut tree = alpine();
    assert_eq!(AccountScript::of(CHRONY.as_bytes()).unwrap().apply(&mut tree, DAY).unwrap(), Applied::Done);

    let passwd = format!("{PASSWD}chrony:x:100:101:chrony:/var/lib/chrony:/sbin/nologin\n");
    assert_eq!(text(&tree, "etc/passwd"), passwd);
    assert_eq!(text(&tree, "etc/group"), format!("{GROUP}chrony:x:101:chrony\n"));
    assert_eq!(text(&tree, "etc/shadow"), format!("{SHADOW}chrony:!:20778:0:99999:7:::\n"));
    let shadow = at(&tree, "etc/shadow");
    assert_eq!((shadow.mode, shadow.owner), (Mode::new(0o640), Owner { uid: 0, gid: 42 }));
    let home = at(&tree, "var/lib/chrony");
    assert_eq!((home.mode, home.owner), (Mode::new(0o2755), Owner { uid: 100, gid: 101 }));

    let before = tree.clone();
    assert_eq!(
        AccountScript::of(CHRONY.as_bytes()).unwrap().apply(&mut tree, DAY + 1).unwrap(),
        Applied::Done
    );
    assert!(tree.entries().eq(before.entries()), "an upgrade finds them there");
}

#[test]
fn numbers_groups_and_shells_that_are_not_said_are_busyboxs() {
    let cases = [
        ("addgroup -S a", ["", "a:x:101:", ""]),
        ("addgroup a", ["", "a:x:1000:", ""]),
        ("addgroup -S -g 500 a", ["", "a:x:500:", ""]),
        ("addgroup nobody audio", ["", "audio:x:18:nobody", ""]),
        ("adduser nobody audio", ["", "audio:x:18:nobody", ""]),
        (
            "adduser -S a",
            [
                "a:x:100:65533:Linux User,,,:/home/a:/sbin/nologin",
                "nogroup:x:65533:a",
                "a:!:20778:0:99999:7:::",
            ],
        ),
        (
            "adduser -D a",
            ["a:x:1000:1000:Linux User,,,:/home/a:/bin/ash", "a:x:1000:", "a:!:20778:0:99999:7:::"],
        ),
        (
            "adduser -u300 -DHGaudio -g '' a",
            ["a:x:300:18::/home/a:/bin/ash", "audio:x:18:a", "a:!:20778:0:99999:7:::"],
        ),
        (
            "addgroup -g 1000 u\nadduser -D -H a",
            [
                "a:x:1001:1001:Linux User,,,:/home/a:/bin/ash",
                "u:x:1000:\na:x:1001:",
                "a:!:20778:0:99999:7:::",
            ],
        ),
    ];
    for (commands, lines) in cases {
        assert_eq!(added(commands), lines, "{commands}");
    }
}

#[test]
fn what_busybox_refuses_fails_the_script_only_at_its_end() {
    let refused = [
        "addgroup -g 42 a",
        "addgroup -S audio",
        "addgroup nouser audio",
        "addgroup nobody nogrp",
        "adduser -D -H audio",
        "adduser -D -H -u 18 a",
        "adduser -S -D -H -u 0 a",
        "adduser -S -D -H nobody",
        "adduser -S -D -H -G nogrp a",
    ];
    for command in refused {
        assert_eq!(applied(|_| {}, command), Applied::NotCertain, "{command}");
        assert_eq!(added(&format!("{command} || :")).concat(), "", "{command}");
        assert_eq!(added(&format!("{command}\nexit 0")).concat(), "", "{command}");
    }
}

#[test]
fn a_home_is_made_or_taken_and_what_is_in_it_stays() {
    let mut tree = alpine();
    put(&mut tree, "srv/data/file", file("x"), 0o600);
    let text = "adduser -S -H h\nadduser -S -h /srv/data a\nadduser -S -h /no/where b\nadduser -S -h /srv/new c\nadduser -S -h /srv/new/d d";
    assert_eq!(script(text).unwrap().apply(&mut tree, DAY).unwrap(), Applied::Done);
    let of = |text: &str| (at(&tree, text).mode.bits(), at(&tree, text).owner.uid);
    assert_eq!(of("srv/data"), (0o2755, 101));
    assert_eq!(of("srv/data/file"), (0o600, 0));
    assert_eq!(of("srv/new"), (0o2755, 103));
    assert_eq!(of("srv/new/d"), (0o2755, 104));
    assert!(!has(&tree, "no") && !has(&tree, "home/h"));
}

#[test]
fn whatever_is_in_doubt_changes_nothing() {
    type Doubt = (&'static str, fn(&mut Tree));
    let user = "adduser -S a";
    assert_eq!(applied(|_| {}, user), Applied::Done);
    let doubts: [Doubt; 15] = [
        ("no shell", |tree| tree.remove(&path("bin/sh")).unwrap()),
        ("no library", |tree| tree.remove(&path("lib/ld-musl-x86_64.so.1")).unwrap()),
        ("another addgroup, which adduser calls", |tree| put(tree, "usr/sbin/addgroup", file(""), 0o755)),
        ("no group file", |tree| tree.remove(&path("etc/group")).unwrap()),
        ("a passwd that is a link", |tree| put(tree, "etc/passwd", InodeKind::Symlink("p".into()), 0o777)),
        ("a line that is short", |tree| put(tree, "etc/group", file("nogroup:x:65533:\nshort\n"), 0o644)),
        ("a line that does not end", |tree| put(tree, "etc/group", file("nogroup:x:65533:"), 0o644)),
        ("a line that ends as elsewhere", |tree| put(tree, "etc/group", file("nogroup:x:65533:\r\n"), 0o644)),
        ("a name that stands twice", |tree| {
            put(tree, "etc/group", file("nogroup:x:1:\nnogroup:x:2:\n"), 0o644);
        }),
        ("a set-user-ID file", |tree| tree.get_mut(&path("etc/passwd")).unwrap().mode = Mode::new(0o4644)),
        ("a password of nobody's", |tree| put(tree, "etc/shadow", file("a:!:1:::::\n"), 0o640)),
        ("a file that is just being written", |tree| put(tree, "etc/passwd+", file(""), 0o600)),
        ("a gshadow", |tree| put(tree, "etc/gshadow", file(""), 0o640)),
        ("a skeleton", |tree| put(tree, "etc/skel/.profile", file(""), 0o644)),
        ("a home that is a file", |tree| put(tree, "home/a", file(""), 0o644)),
    ];
    for (name, doubt) in doubts {
        assert_eq!(applied(doubt, user), Applied::NotCertain, "{name}");
    }
    for home in ["/dev/x", "/tmp", "relative", "/home/../x", "/home//x", "/home/x/", ""] {
        assert_eq!(applied(|_| {}, &format!("adduser -S -h '{home}' a")), Applied::NotCertain, "{home}");
        assert_eq!(applied(|_| {}, &format!("adduser -S -H -h '{home}' a")), Applied::Done, "{home}");
    }
}

#[test]
fn a_tree_without_passwords_gets_none() {
    assert_eq!(applied(|tree| tree.remove(&path("etc/shadow")).unwrap(), "adduser -S a"), Applied::Done);
}

#[test]
fn a_script_that_does_nothing_needs_its_shell_alone() {
    let nothing = "# nothing\n\nexit 0\nrm -rf / # which is never read";
    let without_files = |tree: &mut Tree| tree.remove_all(&TreePath::relative("etc").unwrap());
    assert_eq!(applied(without_files, nothing), Applied::Done);
    assert_eq!(applied(|tree| tree.remove(&path("bin/sh")).unwrap(), nothing), Applied::NotCertain);
}

#[test]
fn the_words_of_a_command_are_the_shells() {
    let text = "user=ng\tgroup='a b' # names\nadduser -S -h /var/${user}x -g \"$group, '$user'\" \\\n\t$user \
                >/dev/null 2>&1 || true # done\naddgroup 2> /dev/null a'b'\"c\"";
    assert_eq!(
        commands(text),
        [
            vec![":"],
            vec!["adduser", "-S", "-h", "/var/ngx", "-g", "a b, 'ng'", "ng"],
            vec!["addgroup", "abc"]
        ]
    );
}

#[test]
fn any_other_script_is_none() {
    let others = [
        "rm -rf /",
        "if true",
        "addgroup -S a; rm x",
        "addgroup -S a && exit 0",
        "addgroup -S a || exit 1",
        "addgroup -S a ||\ntrue",
        "addgroup -S a > /etc/x",
        "addgroup -S a >/dev/null2",
        "addgroup -S a 3>/dev/null",
        "addgroup -S a &>/dev/null",
        "addgroup -S a &",
        "addgroup -S $(id)",
        "addgroup -S `id`",
        "addgroup -S $1",
        "addgroup -S $unknown",
        "addgroup -S ${x:-y}",
        "x='a b'\naddgroup -S $x",
        "x=\naddgroup -S a$x",
        "addgroup -S a*",
        "addgroup -S ~",
        "addgroup -S {a,b}",
        "addgroup -S 'a",
        "addgroup -S \"a\\\"\"",
        "PATH=/x\naddgroup -S a",
        "x=y addgroup -S a",
        "'addgroup' -S a",
        "addgroup -S a\r",
        "addgroup() { :",
        "set -e",
        "exit 1",
        "exit",
        "addgroup --system a",
        "addgroup -S -x a",
        "addgroup -S 1a",
        "addgroup -S a b c",
        "addgroup -S",
        "addgroup -g 1 a b",
        "addgroup -g 1 -g 2 a",
        "addgroup -g 010 a",
        "addgroup -g +1 a",
        "addgroup -g 60001 a",
        "addgroup -S a -g 5",
        "addgroup -S -- a",
        "adduser a",
        "adduser -S -k /x a",
        "adduser -S -g a:b a",
        "adduser -S -g \u{e9} a",
        "adduser -S a b",
        "adduser -S -G '' a",
        "adduser -S -h",
    ];
    for text in others {
        assert_eq!(script(text), None, "{text}");
    }
    for text in ["", "addgroup -S a\n", "#!/bin/bash\naddgroup -S a\n", "#!/bin/sh -e\naddgroup -S a\n"] {
        assert_eq!(AccountScript::of(text.as_bytes()), None, "{text}");
    }
    assert_eq!(AccountScript::of(b"#!/bin/sh\n# \xff\n"), None);
}
