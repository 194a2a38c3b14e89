//! Too much of everything, and what does not end.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::time::Duration;

use crate::calls::{self as c, address, call, say, text};

const GIGABYTE: u64 = 1 << 30;

/// Children that live, until there are no more.
pub(crate) fn fork_bomb() {
    let mut children = 0;
    let refused = loop {
        match call(c::fork, &[]) {
            Ok(0) => loop {
                // Each one tries as well.
                if call(c::fork, &[]) == Ok(0) {
                    continue;
                }
                std::thread::sleep(Duration::from_millis(200));
            },
            Ok(_) => children += 1,
            Err(error) => break error,
        }
        if children > 100_000 {
            break 0;
        }
    };
    println!("refused {refused}");
    println!("children {}", children > 0);
}

/// Threads that live, until there are no more.
pub(crate) fn thread_bomb() {
    let mut threads = 0;
    loop {
        let builder = std::thread::Builder::new().stack_size(16 * 1024);
        match builder.spawn(|| std::thread::sleep(Duration::from_secs(1000))) {
            Ok(_) => threads += 1,
            Err(error) => {
                println!("refused {}", error.raw_os_error().unwrap_or(0));
                break;
            }
        }
        if threads > 100_000 {
            println!("refused 0");
            break;
        }
    }
    std::process::exit(0);
}

/// A daemon that goes on writing to the tree and holds the output, when the script is over.
pub(crate) fn daemon() {
    let mut pair = [0_i32; 2];
    call(c::pipe, &[address(&mut pair)]).expect("a pipe");
    if call(c::fork, &[]) == Ok(0) {
        let _ = call(c::setsid, &[]);
        // Who started it is not to be told when it ends, nor it when that ends.
        let _ = call(c::prctl, &[1, 0, 0, 0, 0]);
        if call(c::fork, &[]) != Ok(0) {
            let _ = call(c::exit, &[0]);
        }
        write_forever(pair[1]);
    }
    let mut byte = [0_u8; 1];
    let _ = call(c::read, &[pair[0].into(), address(&mut byte), 1]);
    println!("end");
}

/// The same, from a thread of a process whose first thread is over: the process seems to be dead.
pub(crate) fn headless() {
    let mut pair = [0_i32; 2];
    call(c::pipe, &[address(&mut pair)]).expect("a pipe");
    if call(c::fork, &[]) == Ok(0) {
        let _ = call(c::setsid, &[]);
        let _ = call(c::prctl, &[1, 0, 0, 0, 0]);
        if call(c::fork, &[]) != Ok(0) {
            let _ = call(c::exit, &[0]);
        }
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            write_forever(pair[1]);
        });
        let _ = call(c::exit, &[0]);
    }
    let mut byte = [0_u8; 1];
    let _ = call(c::read, &[pair[0].into(), address(&mut byte), 1]);
    println!("end");
}

fn write_forever(ready: i32) -> ! {
    for number in 0.. {
        let _ = fs::write(format!("/daemon-{}", number % 64), number.to_string());
        println!("I am still here");
        if number == 100 {
            let _ = call(c::write, &[ready.into(), text("x"), 1]);
        }
    }
    unreachable!()
}

/// Signals to threads of the same process, to all processes but it, and to a child.
pub(crate) fn siblings() {
    let (send, receive) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = send.send(call(c::gettid, &[]).unwrap_or(-1));
        std::thread::sleep(Duration::from_secs(1000));
    });
    let sibling = receive.recv().unwrap_or(-1);
    println!("tkill {:?}", call(c::tkill, &[sibling, 0]));
    println!("tgkill {:?}", call(c::tgkill, &[call(c::getpid, &[]).unwrap_or(-1), sibling, 0]));
    let child = call(c::fork, &[]);
    if child == Ok(0) {
        std::thread::sleep(Duration::from_secs(1000));
    }
    println!("child {:?}", call(c::kill, &[child.unwrap_or(-2), 0]));
    println!("child's thread {:?}", call(c::tkill, &[child.unwrap_or(-2), 0]));
    // From a thread that is not the first.
    let all = std::thread::spawn(|| call(c::kill, &[-1, 9])).join();
    println!("all {:?}", all.unwrap_or(Err(0)));
    let mut status = 0_i32;
    println!("ended {}", call(c::wait4, &[child.unwrap_or(-2), address(&mut status), 0, 0]) == child);
    println!("by {status}");
}

/// Everything that does not end by itself: stopped, deaf, and waiting for a child that has its memory.
pub(crate) fn hang() {
    let ignore = [1_usize, 0, 0, 0];
    for signal in 1..65 {
        let _ = call(c::rt_sigaction, &[signal, ignore.as_ptr() as i64, 0, 8]);
    }
    if call(c::fork, &[]) == Ok(0) {
        let _ = call(c::setsid, &[]);
        let _ = call(c::kill, &[call(c::getpid, &[]).unwrap_or(0), 19]);
    }
    if call(c::fork, &[]) == Ok(0) {
        // The child stops in the memory of its parent, which waits.
        if call(c::vfork, &[]) == Ok(0) {
            let _ = call(c::kill, &[call(c::getpid, &[]).unwrap_or(0), 19]);
        }
    }
    println!("waiting");
    loop {
        std::thread::sleep(Duration::from_secs(1000));
    }
}

/// Stops the script itself.
pub(crate) fn stop_me() {
    let _ = call(c::kill, &[call(c::getpid, &[]).unwrap_or(0), 19]);
    println!("went on");
}

fn map(length: u64, protection: i64, flags: i64) -> *mut u8 {
    call(c::mmap, &[0, length as i64, protection, flags, -1, 0]).unwrap_or(0) as *mut u8
}

fn touch(start: *mut u8, length: u64, step: u64, writes: bool) {
    for at in (0..length).step_by(step as usize) {
        // SAFETY: it is mapped.
        unsafe {
            let place = start.add(at as usize);
            if writes {
                place.write_volatile(1);
            } else {
                let _ = place.read_volatile();
            }
        }
    }
}

/// Memory of several processes, none of which has too much of its own.
pub(crate) fn memory() {
    for _ in 0..8 {
        if call(c::fork, &[]) == Ok(0) {
            let start = map(GIGABYTE / 16, 3, 0x22);
            if !start.is_null() {
                touch(start, GIGABYTE / 16, 4096, true);
            }
            std::thread::sleep(Duration::from_secs(1000));
        }
    }
    std::thread::sleep(Duration::from_secs(1000));
}

/// Memory that is shared.
pub(crate) fn shared_memory() {
    let start = map(GIGABYTE, 3, 0x21);
    touch(start, GIGABYTE, 4096, true);
    std::thread::sleep(Duration::from_secs(1000));
}

/// Fills `start` piece by piece and unmaps none of it for good, so that no process seems to have it.
fn fill_and_hide(start: *mut u8, length: u64) {
    const PIECE: u64 = 16 << 20;
    for at in (0..length).step_by(PIECE as usize) {
        // SAFETY: it is mapped.
        let piece = unsafe { start.add(at as usize) };
        touch(piece, PIECE, 4096, true);
        // MADV_DONTNEED: what is shared stays.
        let _ = call(c::madvise, &[piece as i64, PIECE as i64, 4]);
    }
}

/// Shared memory that nobody has mapped just now.
pub(crate) fn hidden_memory() {
    fill_and_hide(map(GIGABYTE, 3, 0x4021), GIGABYTE);
    std::thread::sleep(Duration::from_secs(1000));
}

/// Shared memory of which one page is left mapped.
pub(crate) fn unmapped_memory() {
    for _ in 0..16 {
        let start = map(GIGABYTE / 16, 3, 0x4021);
        fill_and_hide(start, GIGABYTE / 16);
        let _ = call(c::munmap, &[start as i64 + 4096, (GIGABYTE / 16) as i64 - 4096]);
    }
    std::thread::sleep(Duration::from_secs(1000));
}

/// Shared memory of the device of zeros, in a child.
pub(crate) fn zero_memory() {
    if call(c::fork, &[]) == Ok(0) {
        let zero = File::options().read(true).write(true).open("/dev/zero").expect("the device");
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&zero).into();
        let start = call(c::mmap, &[0, GIGABYTE as i64, 3, 1, descriptor, 0]).expect("a mapping") as *mut u8;
        fill_and_hide(start, GIGABYTE);
    }
    std::thread::sleep(Duration::from_secs(1000));
}

/// Pairs of sockets filled to the brim, in several processes.
pub(crate) fn sockets() {
    let block = vec![0_u8; 1 << 16];
    for _ in 0..16 {
        if call(c::fork, &[]) == Ok(0) {
            let mut pair = [0_i32; 2];
            // SOCK_NONBLOCK.
            while call(c::socketpair, &[1, 1 | 0o4000, 0, address(&mut pair)]).is_ok() {
                for end in pair {
                    let part = [end.into(), block.as_ptr() as i64, block.len() as i64];
                    while call(c::write, &part).is_ok() {}
                }
            }
            std::thread::sleep(Duration::from_secs(1000));
        }
    }
    std::thread::sleep(Duration::from_secs(1000));
}

/// Pipes of many processes, more than a user may have large ones of.
pub(crate) fn many_pipes() {
    for _ in 0..48 {
        if call(c::fork, &[]) == Ok(0) {
            pipes();
            std::thread::sleep(Duration::from_secs(1000));
        }
    }
    std::thread::sleep(Duration::from_secs(1000));
}

/// As many mappings as a process may have, each of one page that nobody touches, in many processes.
pub(crate) fn mappings() {
    for _ in 0..40 {
        if call(c::fork, &[]) == Ok(0) {
            // By turns to be read and not, so that none is joined to the one before.
            for number in 0.. {
                if call(c::mmap, &[0, 4096, number % 2, 0x22, -1, 0]).is_err() {
                    break;
                }
            }
            std::thread::sleep(Duration::from_secs(1000));
        }
    }
    std::thread::sleep(Duration::from_secs(1000));
}

/// Files where programs leave what is not kept, until there is no more room.
pub(crate) fn temporary_files() {
    for number in 0..1000 {
        let _ = filler(&format!("/tmp/filler-{number}"), 8 << 20);
    }
    std::thread::sleep(Duration::from_secs(1000));
}

/// Files that are open and have no name any more.
pub(crate) fn deleted_files() {
    let block = vec![1_u8; 1 << 20];
    let mut open = Vec::new();
    loop {
        let mut file = File::create("/deleted").expect("a file");
        fs::remove_file("/deleted").expect("the file");
        for _ in 0..8 {
            let _ = file.write_all(&block);
        }
        open.push(file);
        if open.len() > 900 {
            std::thread::sleep(Duration::from_secs(1000));
        }
    }
}

/// Writes a file of so many megabytes, which may be.
pub(crate) fn write_some(arguments: &[String]) {
    let [name, megabytes] = arguments else { panic!("write NAME MEGABYTES") };
    let mut file = File::create(format!("/{name}")).expect("a file");
    for _ in 0..megabytes.parse().unwrap_or(0) {
        file.write_all(&vec![b'x'; 1 << 20]).expect("a megabyte");
    }
}

/// Memory that the kernel needs to say where memory is: every page of zeros is the same one.
pub(crate) fn page_tables() {
    let length = 1 << 46;
    let start = map(length, 1, 0x4022);
    touch(start, length, 2 << 20, false);
    std::thread::sleep(Duration::from_secs(1000));
}

/// Memory of a process whose first thread is over.
pub(crate) fn headless_memory() {
    if call(c::fork, &[]) == Ok(0) {
        for _ in 0..8 {
            if call(c::fork, &[]) == Ok(0) {
                std::thread::spawn(|| {
                    std::thread::sleep(Duration::from_millis(100));
                    let start = map(GIGABYTE / 16, 3, 0x22);
                    touch(start, GIGABYTE / 16, 4096, true);
                    std::thread::sleep(Duration::from_secs(1000));
                });
                let _ = call(c::exit, &[0]);
            }
        }
    }
    std::thread::sleep(Duration::from_secs(1000));
}

/// Attributes, which somebody else must keep.
pub(crate) fn attributes() {
    let value = vec![b'x'; 60_000];
    for file in 0..100_000 {
        let path = format!("/attributes-{file}");
        File::create(&path).expect("a file");
        for number in 0..60 {
            let name = text(format!("user.{number}"));
            let set =
                call(c::setxattr, &[text(path.as_str()), name, value.as_ptr() as i64, value.len() as i64, 0]);
            if let Err(error) = set {
                println!("refused {error}");
                println!("files {}", file > 0);
                return;
            }
        }
    }
}

/// Pipes filled to the brim.
pub(crate) fn pipes() {
    let block = vec![0_u8; 1 << 20];
    let mut written = 0;
    loop {
        let mut pair = [0_i32; 2];
        if let Err(error) = call(c::pipe, &[address(&mut pair)]) {
            say("pipe", c::Result::<()>::Err(error));
            break;
        }
        let end = i64::from(pair[1]);
        let _ = call(c::fcntl, &[end, 1031, 1 << 20]);
        let _ = call(c::fcntl, &[end, 4, 0o4000]);
        written += call(c::write, &[end, block.as_ptr() as i64, block.len() as i64]).unwrap_or(0);
    }
    println!("# {} megabytes", written >> 20);
}

/// Reads the output's pipe, whose reader is the composer.
pub(crate) fn steal_output() {
    std::thread::spawn(|| {
        let mut output = OpenOptions::new().read(true).open("/proc/self/fd/1").expect("the output");
        loop {
            let _ = std::io::Read::read(&mut output, &mut [0; 4096]);
        }
    });
    loop {
        let _ = std::io::stdout().write_all(b"x\n");
        std::thread::yield_now();
    }
}

fn filler(path: &str, length: u64) -> c::Result<i64> {
    let file = File::create(path).expect("a file");
    let descriptor = std::os::fd::AsRawFd::as_raw_fd(&file).into();
    call(c::fallocate, &[descriptor, 0, 0, length as i64])
}

/// One file that is larger than a file may be.
pub(crate) fn one_file() {
    // The signal that says so ends who does not ignore it.
    let ignore = [1_usize, 0, 0, 0];
    let _ = call(c::rt_sigaction, &[25, ignore.as_ptr() as i64, 0, 8]);
    let file = File::create("/large").expect("a file");
    say("truncate", c::of_io(file.set_len(1 << 40)));
    drop(file);
    say("allocate", filler("/large", 1 << 40));
    fs::remove_file("/large").expect("the file");
}

/// Files that are together more than there may be.
pub(crate) fn many_bytes() {
    for number in 0..1000 {
        let mut length = 8 << 20;
        while length > 2048 && filler(&format!("/filler-{number}"), length).is_err() {
            length /= 2;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    std::thread::sleep(Duration::from_secs(1000));
}

/// More files than there may be.
pub(crate) fn many_files() {
    for directory in 0..10_000 {
        let path = format!("/many-{directory}");
        if fs::create_dir(&path).is_err() {
            break;
        }
        for file in 0..100 {
            if File::create(format!("{path}/{file}")).is_err() {
                println!("refused");
                return;
            }
        }
    }
}

/// Files that are large and take no room.
pub(crate) fn sparse() {
    for number in 0..1000 {
        let file = File::create(format!("/sparse-{number}")).expect("a file");
        let mut length = 1_u64 << 50;
        while length > 0 && file.set_len(length).is_err() {
            length /= 2;
        }
    }
}
