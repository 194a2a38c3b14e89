//! Input that is made to blow up: little that becomes much, much that means little, circles. Each ends soon, in
//! little memory, and in words.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::hostile::{self, OVER_MIRROR, Package, Said, gzip, index_of, index_of_tar, plain, stanza};
use super::{SCRATCH, Scene};
use crate::made::Made;
use crate::support::command::TestCommand;

/// More than any of these needs, in KiB of address space.
const MEMORY: u64 = 1 << 20;
/// Far more than any of these takes, so that a busy machine is no failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// `command`, with no more memory than [`MEMORY`].
fn confined(command: TestCommand<'_>) -> TestCommand<'_> {
    command.under(["sh", "-c", &format!("ulimit -v {MEMORY}; exec \"$@\""), "sh"])
}

fn refused(scene: &Scene, name: &str, code: i32) {
    let begun = Instant::now();
    scene.refused_command(name, code, confined(scene.build().args(["--jobs", "1"])));
    assert!(begun.elapsed() < PATIENCE, "{name} took {:?}", begun.elapsed());
}

fn image(scene: &Scene) {
    let begun = Instant::now();
    confined(scene.build()).success();
    assert!(begun.elapsed() < PATIENCE, "took {:?}", begun.elapsed());
}

fn wanting(app: &Made) -> Scene {
    Scene::wanting(&["app"], &[app])
}

/// `length` zeros, gzipped: a thousandth of that.
fn zeros(length: usize) -> Vec<u8> {
    gzip(&vec![0; length])
}

/// A gzip member that inflates to `blocks` MiB of zeros, made without having them.
fn bomb(megabytes: usize) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let block = vec![0; 1 << 20];
    (0..megabytes).for_each(|_| encoder.write_all(&block).unwrap());
    encoder.finish().unwrap()
}

#[test]
fn an_index_that_inflates_without_end_is_refused() {
    let scene = wanting(&plain("app").made());
    let member = bomb(600);
    let signature = crate::made::key().signature_member(&member).unwrap();
    scene.dir.write("repo/x86_64/APKINDEX.tar.gz", [signature, member].concat());
    refused(&scene, "bomb-index", 8);
    // In front of a signature too, where nothing is known yet.
    scene.dir.write("repo/x86_64/APKINDEX.tar.gz", bomb(600));
    refused(&scene, "bomb-signature", 5);
}

#[test]
fn a_control_member_that_inflates_without_end_is_refused() {
    let control = zeros(64 << 20);
    let data = gzip(&hostile::tar(&[]));
    let bytes = [crate::made::key().signature_member(&control).unwrap(), control.clone(), data].concat();
    let mut listed = Package::new("app").made();
    listed.indexed.identity = apkcompose::digest::Identity::new(apkcompose::digest::Sha1::of(&control));
    listed.indexed.size = bytes.len() as u64;
    let scene = wanting(&listed);
    scene.dir.write("repo/x86_64/app-1-r0.apk", bytes);
    refused(&scene, "bomb-control", 8);
}

#[test]
fn data_that_inflates_to_far_more_than_stated_is_refused() {
    refused(&wanting(&Package::new("app").made_of(&bomb(300))), "bomb-data", 8);
}

#[test]
fn a_base_that_inflates_to_far_more_than_its_size_is_refused() {
    let scene = Scene::with_profile(OVER_MIRROR);
    hostile::mirror(&scene.dir, &bomb(400), &[]);
    refused(&scene, "bomb-base", 8);
}

#[test]
fn sizes_that_no_file_has_are_refused() {
    let holding = |entry: Said| wanting(&Package::new("app").has([entry]).made());
    refused(&holding(Said::of("app", b'0').size(u64::MAX / 2)), "bomb-size-huge", 5);
    refused(&holding(Said::file("app", "x").size(1 << 40)), "bomb-size-beyond-the-end", 5);
    refused(&holding(Said::of("app", b'x').size(1 << 30)), "bomb-extended-header", 8);
    refused(&holding(Said::of("app", b'L').size(1 << 30)), "bomb-long-name", 8);
    let attribute = "SCHILY.xattr.user.a";
    refused(&holding(Said::file("app", "x").record(attribute, vec![b'x'; 100 << 10])), "bomb-xattr", 8);
    let mut many = Said::file("app", "x");
    for number in 0..20_000 {
        many = many.record(&format!("SCHILY.xattr.user.a{number}"), "12345678");
    }
    refused(&holding(many), "bomb-xattrs", 8);
}

#[test]
fn a_package_of_very_many_entries_is_placed_in_good_time() {
    let files = (0..20_000).map(|number| Said::file(&format!("d/{number}"), ""));
    image(&wanting(&Package::new("app").has([Said::dir("d")]).has(files).size(64 << 20).made()));
}

#[test]
fn a_package_of_very_many_directories_is_placed_in_good_time() {
    let directories = (0..10_000).map(|number| Said::dir(&format!("d/{number}")));
    image(&wanting(&Package::new("app").has([Said::dir("d")]).has(directories).size(64 << 20).made()));
}

#[test]
fn very_deep_directories_are_placed_in_good_time() {
    let deep = (1..600).map(|depth| Said::dir(&"d/".repeat(depth)));
    image(&wanting(&Package::new("app").has(deep).size(64 << 20).made()));
}

#[test]
fn a_list_of_releases_that_is_too_long_is_refused() {
    let scene = Scene::with_profile(OVER_MIRROR);
    hostile::mirror(&scene.dir, &hostile::rootfs([]), &[]);
    let list = format!("{}/latest-releases.yaml", hostile::RELEASES);
    scene.dir.write(&list, "-\n  branch: v3.19\n".repeat(1 << 19));
    refused(&scene, "bomb-releases", 8);
}

/// An index of `stanzas` made-up packages beside `app`.
fn crowd(app: &Made, stanzas: usize, mut say: impl FnMut(usize, &mut String)) -> Vec<u8> {
    let mut text = stanza(app);
    for number in 0..stanzas {
        let _ = write!(
            text,
            "C:Q1AAAAAAAAAAAAAAAAAAAAAAAAAAA=\nP:p{number}\nV:1\nA:x86_64\nS:1\nI:1\nT:\nU:\nL:\n"
        );
        say(number, &mut text);
        text.push('\n');
    }
    index_of_tar(&hostile::tar(&[Said::file("APKINDEX", text).without_checksum()]))
}

#[test]
fn a_repository_of_very_many_packages_is_no_trouble() {
    let app = plain("app").says("depend", "p99999").made();
    let scene = wanting(&app);
    scene.dir.write("repo/x86_64/APKINDEX.tar.gz", crowd(&app, 100_000, |_, _| {}));
    refused(&scene, "crowd-packages", 4);
}

#[test]
fn a_name_that_very_many_packages_provide_is_no_trouble() {
    let app = plain("app").says("depend", "cmd:x").made();
    let scene = wanting(&app);
    let index = crowd(&app, 20_000, |number, text| {
        let _ = writeln!(text, "p:cmd:x=1.{number} cmd:y");
    });
    scene.dir.write("repo/x86_64/APKINDEX.tar.gz", index);
    refused(&scene, "crowd-providers", 4);
}

#[test]
fn a_chain_of_very_many_packages_does_not_overflow_anything() {
    let app = plain("app").says("depend", "p0").made();
    let scene = wanting(&app);
    let index = crowd(&app, 3_000, |number, text| {
        let _ = writeln!(text, "D:p{}", number + 1);
    });
    scene.dir.write("repo/x86_64/APKINDEX.tar.gz", index);
    refused(&scene, "crowd-chain", 6);
}

#[test]
fn a_circle_of_very_many_packages_does_not_overflow_anything() {
    let app = plain("app").says("depend", "p0").made();
    let scene = wanting(&app);
    let index = crowd(&app, 3_000, |number, text| {
        let _ = writeln!(text, "D:p{} p0", (number + 1) % 3_000);
    });
    scene.dir.write("repo/x86_64/APKINDEX.tar.gz", index);
    refused(&scene, "crowd-circle", 4);
}

#[test]
fn a_package_that_needs_very_many_is_no_trouble() {
    let app = plain("app").made();
    let scene = Scene::with_profile(&format!("{SCRATCH}\n[packages]\nruntime = [\"p0\"]\n"));
    let index = crowd(&app, 2_000, |number, text| {
        let needs = (0..100).map(|other| format!("p{}", (number + other * 7) % 2_000));
        let _ = writeln!(text, "D:{}", needs.collect::<Vec<_>>().join(" "));
    });
    scene.dir.write("repo/x86_64/APKINDEX.tar.gz", index);
    refused(&scene, "crowd-dense", 4);
}

#[test]
fn conditions_on_everything_are_no_trouble() {
    let app = plain("app").made();
    let scene = wanting(&app);
    let index = crowd(&app, 2_000, |number, text| {
        let before = if number == 0 { "app".to_owned() } else { format!("p{}", number - 1) };
        let _ = writeln!(text, "i:app {before}");
    });
    scene.dir.write("repo/x86_64/APKINDEX.tar.gz", index);
    refused(&scene, "crowd-install-if", 4);
}

#[test]
fn a_stanza_of_one_very_long_line_is_no_trouble() {
    let app = plain("app").made();
    let scene = wanting(&app);
    let text = stanza(&app).replace("T:", &format!("T:{}", "x".repeat(64 << 20)));
    scene.dir.write("repo/x86_64/APKINDEX.tar.gz", index_of(text));
    image(&scene);
}

#[test]
fn a_source_of_more_files_than_a_process_may_open_is_no_trouble() {
    let scene = Scene::wanting(&["app"], &[&plain("app").made()]);
    for number in 0..200 {
        scene.dir.write(&format!("source/{number}"), "x");
    }
    scene.profile(&format!("{SCRATCH}\n[[files]]\npath = \"/source\"\nsource = \"source\"\n"));
    scene.build().under(["sh", "-c", "ulimit -n 64; exec \"$@\"", "sh"]).success();
}

/// A program header that says it is the interpreter, `length` bytes from the beginning of the file.
fn interpreter_header(length: u64) -> Vec<u8> {
    let kind = [3, 0, 0, 0, 4, 0, 0, 0];
    let offset = 0_u64.to_le_bytes();
    [&kind[..], &offset, &[0; 16], &length.to_le_bytes(), &length.to_le_bytes(), &[1, 0, 0, 0, 0, 0, 0, 0]]
        .concat()
}

#[test]
fn a_program_with_very_many_very_long_interpreters_is_no_trouble() {
    let mut program = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0\x01\0\0\0".to_vec();
    program.resize(32, 0);
    program.extend(64_u64.to_le_bytes());
    program.resize(52, 0);
    program.extend([64, 0, 56, 0, 0xff, 0xfe, 0, 0, 0, 0, 0, 0]);
    (0..0xfeff_u64).for_each(|number| program.extend(interpreter_header((16 << 20) - number)));
    program.resize(16 << 20, 0);
    let app = Package::new("app").has([Said::program("app", &program)]).size(32 << 20).made();
    let scene = wanting(&app);
    scene.profile(&format!("{SCRATCH}\n[packages]\nruntime = [\"app\"]\n[image]\ncmd = [\"/app\"]\n"));
    refused(&scene, "bomb-interpreters", 3);
}
