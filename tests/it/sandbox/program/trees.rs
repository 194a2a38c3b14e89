//! Trees that are hard to read and hard to remove.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::calls::{self as c, call, text};

/// Directories in one another, far beyond the longest path.
pub(crate) fn deep() {
    std::env::set_current_dir("/").expect("the root");
    let name = text("d");
    let mut depth = 0;
    while depth < 20_000 && call(83, &[name, 0o755]).is_ok() && call(80, &[name]).is_ok() {
        depth += 1;
    }
    println!("depth {depth}");
}

/// One name or link that no image may have, after its kind.
pub(crate) fn names(kinds: &[String]) {
    let make = |name: &[u8]| {
        File::create(std::path::Path::new("/").join(std::ffi::OsStr::from_bytes(name))).expect("a file")
    };
    for kind in kinds {
        match kind.as_str() {
            "newline" => drop(make(b"one\ntwo")),
            "escape" => drop(make(b"one\x1b[2Jtwo")),
            "not-text" => drop(make(b"one\xff\xfetwo")),
            "whiteout" => drop(make(b".wh.etc")),
            "opaque" => drop(make(b".wh..wh..opq")),
            "whiteout-device" => drop(call(c::mknod, &[text("/white"), 0o20_000, 0]).expect("a record")),
            "link-not-text" => symlink(std::ffi::OsStr::from_bytes(b"one\xfftwo"), "/link").expect("a link"),
            "link-newline" => symlink("one\ntwo", "/link").expect("a link"),
            "attribute" => {
                make(b"attributed");
                let name = text("user.one\x1b[2Jtwo");
                println!("# {:?}", call(c::setxattr, &[text("/attributed"), name, text("x"), 1, 0]));
            }
            other => panic!("no name is called {other}"),
        }
    }
}

/// What is odd, but may be.
pub(crate) fn odd() {
    fs::write("/".to_owned() + &"n".repeat(255), "long").expect("a file");
    symlink("t".repeat(4095), "/long-target").expect("a link");
    fs::write("/closed-file", "closed").expect("a file");
    fs::set_permissions("/closed-file", fs::Permissions::from_mode(0)).expect("its mode");
    fs::create_dir("/closed").expect("a directory");
    fs::write("/closed/file", "in it").expect("a file");
    fs::create_dir("/closed/below").expect("a directory");
    fs::set_permissions("/closed/below", fs::Permissions::from_mode(0)).expect("its mode");
    fs::set_permissions("/closed", fs::Permissions::from_mode(0)).expect("its mode");
    call(c::mknod, &[text("/fifo"), 0o10_644, 0]).expect("a fifo");
    call(c::mknod, &[text("/socket"), 0o140_644, 0]).expect("a socket");
    call(c::mknod, &[text("/device"), 0o60_660, 0x803]).expect("a device");
    call(c::chown, &[text("/device"), 0, 6]).expect("its owner");
    println!("end");
}
