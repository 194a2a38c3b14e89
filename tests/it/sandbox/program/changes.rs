//! Every way to change what is in a file, each on files that came with the package: `FILE-way`, of 64 KiB of `a`.

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use crate::calls::{self as c, AT_FDCWD, address, call, text};

/// Where the files are.
const PLACE: &str = "/srv/changes";
const PAGE: u64 = 4096;

fn path(name: &str) -> String {
    format!("{PLACE}/{name}")
}

fn open(name: &str) -> File {
    OpenOptions::new().read(true).write(true).open(path(name)).expect("a file of the package")
}

fn descriptor(file: &File) -> i64 {
    file.as_raw_fd().into()
}

/// Maps a page of the file, shared; it must have been read before it is written, so that the write makes no fault that
/// the kernel would take note of.
fn mapped(file: &File, offset: u64, protection: i64) -> *mut u8 {
    let address = call(c::mmap, &[0, PAGE as i64, protection, 1, descriptor(file), offset as i64]).expect("a mapping");
    let start = address as *mut u8;
    // SAFETY: it is mapped.
    let _ = unsafe { start.read_volatile() };
    start
}

fn put(start: *mut u8, bytes: &[u8]) {
    for (at, byte) in bytes.iter().enumerate() {
        // SAFETY: it is mapped, and longer.
        unsafe { start.add(at).write_volatile(*byte) };
    }
}

/// Sets the times of a file back to what they are now while `change` changes it.
fn with_times_set_back(name: &str, change: impl FnOnce(&File)) {
    let before = fs::metadata(path(name)).expect("its times");
    let file = open(name);
    change(&file);
    let times = [before.atime(), before.atime_nsec(), before.mtime(), before.mtime_nsec()];
    call(c::utimensat, &[descriptor(&file), 0, times.as_ptr() as i64, 0]).expect("its times");
}

pub(crate) fn all() {
    // So that whatever is taken from a clock differs from what was there before.
    std::thread::sleep(std::time::Duration::from_millis(30));
    open("write").write_all_at(b"written", 10).expect("write");

    let file = open("mmap");
    let start = mapped(&file, 0, 3);
    drop(file);
    put(start, b"mapped");
    let _ = call(c::munmap, &[start as i64, PAGE as i64]);
    // The same, made writable afterwards, and in the middle of the file.
    let file = open("mprotect");
    let start = mapped(&file, 8 * PAGE, 1);
    call(10, &[start as i64, PAGE as i64, 3]).expect("mprotect");
    put(start, b"protected");

    // In a process that ends without unmapping.
    let file = open("mmap-child");
    let start = mapped(&file, 0, 3);
    if call(c::fork, &[]) == Ok(0) {
        put(start, b"by a child");
        let _ = call(231, &[0]);
    }
    let _ = call(c::wait4, &[-1, 0, 0, 0]);

    open("truncate").set_len(1000).expect("truncate");
    call(c::fallocate, &[descriptor(&open("fallocate")), 0, 0, 100_000]).expect("fallocate");
    call(c::fallocate, &[descriptor(&open("punch")), 3, PAGE as i64, PAGE as i64]).expect("punch");
    // The size stays and so does what is in it: only the room is another.
    call(c::fallocate, &[descriptor(&open("reserve")), 1, 0, 1 << 20]).expect("reserve");

    fs::write(path("new"), "renamed over").expect("a file");
    fs::rename(path("new"), path("rename")).expect("rename");

    fs::write(path("source"), "linked over").expect("a file");
    fs::remove_file(path("link")).expect("a file of the package");
    fs::hard_link(path("source"), path("link")).expect("link");

    let (source, target) = (open("write"), open("copy"));
    let (mut from, mut to) = (0_i64, 100_i64);
    let copied = [descriptor(&source), address(&mut from), descriptor(&target), address(&mut to), 17, 0];
    call(c::copy_file_range, &copied).expect("copy_file_range");

    let mut pipe = [0_i32; 2];
    call(c::pipe, &[address(&mut pipe)]).expect("a pipe");
    call(c::write, &[pipe[1].into(), text("spliced"), 7]).expect("write");
    let (file, mut to) = (open("splice"), 50_i64);
    call(c::splice, &[pipe[0].into(), 0, descriptor(&file), address(&mut to), 7, 0]).expect("splice");

    nameless();

    let mut file = open("sparse");
    file.set_len(0).expect("truncate");
    file.seek(SeekFrom::Start(5 << 20)).expect("seek");
    file.write_all(b"far").expect("write");

    with_times_set_back("times", |file| file.write_all_at(b"set back", 0).expect("write"));
    with_times_set_back("times-mmap", |file| put(mapped(file, 0, 3), b"both"));
    // Written, and what was there written again: nothing is changed.
    let mut file = open("same");
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).expect("read");
    file.write_all_at(b"other", 0).expect("write");
    file.write_all_at(&bytes, 0).expect("write");

    // A file with two names, through one of them, and one that nobody may read.
    put(mapped(&open("two"), 0, 3), b"two names");
    let file = open("closed");
    put(mapped(&file, 0, 3), b"closed");
    call(c::fchmod, &[descriptor(&file), 0]).expect("a mode");
    // One that is closed already: nothing of it but its content changes.
    put(mapped(&open("closed-before"), 0, 3), b"closed before");

    call(c::sendfile, &[descriptor(&open("sendfile")), descriptor(&open("mmap")), 0, 6]).expect("sendfile");
    println!("end");
}

/// A file without a name that gets one.
fn nameless() {
    let flags = 0o20_200_000 | 2;
    let file = call(c::open, &[text(PLACE), flags, 0o644]).expect("O_TMPFILE");
    call(c::write, &[file, text("nameless"), 8]).expect("write");
    fs::remove_file(path("tmpfile")).expect("a file of the package");
    let name = CString::new(format!("/proc/self/fd/{file}")).expect("a path");
    let linked = call(c::linkat, &[AT_FDCWD, name.as_ptr() as i64, AT_FDCWD, text(path("tmpfile")), 0x400]);
    // Where there is no /proc its rights suffice to link the descriptor, or they do not.
    let linked = linked.or_else(|_| call(c::linkat, &[file, text(""), AT_FDCWD, text(path("tmpfile")), 0x1000]));
    if linked.is_err() {
        fs::write(path("tmpfile"), "nameless").expect("a file");
    }
    println!("# nameless: {linked:?}");
}
