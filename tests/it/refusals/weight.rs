//! Much of one thing, in packages, bases and profiles: what it costs grows with what it weighs, or a limit is named.
//!
//! Memory is what one process had at most, as GNU time tells it. Time is not held against a clock, but for ends that
//! would not come in an hour: those have [`PATIENCE`].

use std::time::{Duration, Instant};

use apkcompose::digest::{Identity, Sha1};

use super::hostile::{self, OVER_MIRROR, Package, Said, gzip, rootfs};
use super::{OUTPUT, SCRATCH, Scene};
use crate::made::{self, Made};
use crate::support::{files, need};

/// Far more than any of these takes, and far less than what grows with a square.
const PATIENCE: Duration = Duration::from_secs(120);

/// The scene of an image of `packages`.
fn of(packages: &[Package]) -> Scene {
    let made: Vec<Made> = packages.iter().map(|package| package.clone().size(1 << 30).made()).collect();
    let names: Vec<&str> = made.iter().map(|made| made.expected.name.as_str()).collect();
    Scene::wanting(&names, &made.iter().collect::<Vec<_>>())
}

/// The scene of an image of the package `app` with `entries`.
fn holding(entries: impl IntoIterator<Item = Said>) -> Scene {
    of(&[Package::new("app").has(entries)])
}

/// The scene of an image over a base with `entries`.
fn over(entries: impl IntoIterator<Item = Said>) -> Scene {
    let scene = Scene::with_profile(OVER_MIRROR);
    hostile::mirror(&scene.dir, &rootfs(entries), &[]);
    scene
}

/// Builds `scene`, which must succeed with a peak of less than `most` MiB.
fn built(test: &str, scene: &Scene, most: u64) {
    let Some(_) = need::program(test, "time") else { return };
    let notes = scene.dir.path().with_file_name("notes");
    let begun = Instant::now();
    let command = scene.build().args(["--jobs", "1"]);
    let under = ["/usr/bin/time", "--quiet", "--format", "%M", "--output"].map(Into::into);
    command.under(under.into_iter().chain([notes.clone().into_os_string()])).success();
    assert!(begun.elapsed() < PATIENCE, "{test} took {:?}", begun.elapsed());
    let peak: u64 = files::read_text(&notes).trim().parse().unwrap();
    assert!(peak < most << 10, "{test} needed {} MiB, more than {most}", peak >> 10);
}

/// Building `scene` must end with `code` and the message of the snapshot `name`, within the address space of the tests
/// of bombs.
fn refused(name: &str, scene: &Scene, code: i32) {
    let begun = Instant::now();
    let confined = ["sh", "-c", "ulimit -v 1048576; exec \"$@\"", "sh"];
    scene.refused_command(name, code, scene.build().args(["--jobs", "1"]).under(confined));
    assert!(begun.elapsed() < PATIENCE, "{name} took {:?}", begun.elapsed());
}

fn numbered(count: usize, entry: impl Fn(&str) -> Said) -> Vec<Said> {
    (0..count).map(|number| entry(&format!("d/{number:06}"))).collect()
}

#[test]
fn a_package_of_a_hundred_thousand_links_needs_little_memory() {
    let links = numbered(100_000, |path| Said::symlink(path, "x"));
    let scene = holding([Said::dir("d")].into_iter().chain(links));
    built("a_package_of_a_hundred_thousand_links_needs_little_memory", &scene, 120);
    // Again, from what the cache has of it.
    std::fs::remove_file(scene.dir.join(OUTPUT)).unwrap();
    built("a_package_of_a_hundred_thousand_links_needs_little_memory", &scene, 120);
}

#[test]
fn a_package_of_fifty_thousand_files_and_hard_links_needs_little_memory() {
    let files = numbered(50_000, |path| Said::file(path, ""));
    let links = (0..50_000).map(|number| Said::hard_link(&format!("d/l{number}"), "d/000000"));
    let scene = holding([Said::dir("d")].into_iter().chain(files).chain(links));
    built("a_package_of_fifty_thousand_files_and_hard_links_needs_little_memory", &scene, 150);
}

#[test]
fn hard_links_each_of_the_one_before_are_followed() {
    let links = (1..50_000).map(|number| Said::hard_link(&format!("l{number}"), &format!("l{}", number - 1)));
    let scene = holding([Said::file("l0", "x")].into_iter().chain(links));
    built("hard_links_each_of_the_one_before_are_followed", &scene, 120);
}

#[test]
fn more_entries_than_the_limit_are_refused_by_it() {
    let entries = numbered(500_001, |path| Said::of(path, b'6'));
    refused("weight-entries", &holding([Said::dir("d")].into_iter().chain(entries)), 8);
}

#[test]
fn names_and_attributes_without_measure_are_refused_by_their_limits() {
    let long = format!("d/{}", format!("{}/", "n".repeat(200)).repeat(18));
    let above =
        (0..=18).map(|depth| Said::dir(&format!("d/{}", format!("{}/", "n".repeat(200)).repeat(depth))));
    let paths = (0..20_000).map(|number| Said::symlink(&format!("{long}{number}"), "x"));
    refused("weight-names", &holding(above.chain(paths)), 8);
    let targets = numbered(20_000, |path| Said::symlink(path, &"t".repeat(4_000)));
    refused("weight-targets", &holding([Said::dir("d")].into_iter().chain(targets)), 8);
    let attributes =
        numbered(1_500, |path| Said::file(path, "").record("SCHILY.xattr.user.a", vec![b'x'; 60_000]));
    refused("weight-attributes", &holding([Said::dir("d")].into_iter().chain(attributes)), 8);
    let owner = numbered(100, |path| Said::file(path, "").record("uname", vec![b'u'; 1_000_000]));
    refused("weight-owners", &holding([Said::dir("d")].into_iter().chain(owner)), 8);
}

#[test]
fn extended_headers_that_are_short_alone_and_long_together_are_refused() {
    let part = Said::of("x", b'x');
    let records = |name: &str| {
        let record = format!("{name}={}\n", "v".repeat(600_000));
        let whole = record.len() + "600000 ".len();
        part.clone().content(format!("{whole} {record}"))
    };
    refused("weight-extended", &holding([records("A.one"), records("A.two"), Said::file("app", "")]), 8);
}

#[test]
fn many_files_deep_down_cost_what_their_paths_weigh() {
    let above = (1..=1_000).map(|depth| Said::dir(&"d/".repeat(depth)));
    let deep = "d/".repeat(1_000);
    let files = (0..3_000).map(|number| Said::file(&format!("{deep}{number}"), ""));
    built("many_files_deep_down_cost_what_their_paths_weigh", &holding(above.chain(files)), 150);
    // The same through a link that another package has for the top directory.
    let real = Package::new("a").has([Said::dir("e"), Said::symlink("d", "e")]);
    let above = (1..=1_000).map(|depth| Said::dir(&"d/".repeat(depth)));
    let files = (0..3_000).map(|number| Said::file(&format!("{deep}{number}"), ""));
    let scene = of(&[real, Package::new("b").says("depend", "a").has(above.chain(files))]);
    built("many_files_deep_down_cost_what_their_paths_weigh", &scene, 150);
}

/// A package with `directories` below `/d` whose trigger has these globs, and does nothing.
fn triggers(directories: usize, globs: impl Iterator<Item = String>) -> Scene {
    let package = Package::new("app").says("triggers", &globs.collect::<Vec<_>>().join(" "));
    let package = package.control(".trigger", "#!/no/shell\n");
    let scene = of(&[package.has([Said::dir("d")]).has(numbered(directories, Said::dir))]);
    scene.profile(&format!("{SCRATCH}\n[packages]\nruntime = [\"app\"]\n"));
    scene
}

#[test]
fn triggers_of_many_directories_by_name_are_looked_up() {
    let scene = triggers(30_000, (0..30_000).map(|number| format!("/e/{number:06}")));
    built("triggers_of_many_directories_by_name_are_looked_up", &scene, 150);
}

#[test]
fn triggers_of_many_globs_times_many_directories_are_refused_by_their_limit() {
    refused("weight-triggers", &triggers(10_000, (0..10_000).map(|number| format!("/d/*{number}x"))), 8);
}

#[test]
fn a_trigger_of_any_length_and_form_is_no_trouble() {
    for (glob, times) in
        [("?", 1_000_000), ("*", 1_000_000), ("[", 1_000_000), ("*a", 500_000), ("[a-z]", 500_000)]
    {
        let scene = triggers(10, std::iter::once(format!("/{}x", glob.repeat(times))));
        built("a_trigger_of_any_length_and_form_is_no_trouble", &scene, 150);
    }
}

#[test]
fn a_description_of_very_many_words_is_refused_by_its_limit() {
    for key in ["depend", "provides", "replaces", "triggers"] {
        let control = Package::new("app").says(key, &"a ".repeat(300_000)).control_bytes();
        let data = gzip(&hostile::tar(&[]));
        let bytes = [made::key().signature_member(&control).unwrap(), control.clone(), data].concat();
        let mut listed = Package::new("app").made();
        listed.indexed.identity = Identity::new(Sha1::of(&control));
        listed.indexed.size = bytes.len() as u64;
        let scene = Scene::wanting(&["app"], &[&listed]);
        scene.dir.write("repo/x86_64/app-1-r0.apk", bytes);
        refused("weight-words", &scene, 8);
    }
}

#[test]
fn protected_paths_without_measure_are_refused_by_their_limits() {
    let list = |name: &str, text: String| Said::file(&format!("etc/apk/protected_paths.d/{name}.list"), text);
    let directories = ["etc", "etc/apk", "etc/apk/protected_paths.d"].map(Said::dir);
    let scene = |lists: Vec<Said>| {
        let first = Package::new("app").has(directories.clone()).has(lists);
        of(&[first, Package::new("b").says("depend", "app").has([Said::file("b", "")])])
    };
    refused("weight-protected-rules", &scene(vec![list("a", "+a/*\n".repeat(2_000))]), 8);
    refused("weight-protected-list", &scene(vec![list("a", "#".repeat(2 << 20))]), 8);
    let many = (0..200).map(|number| list(&number.to_string(), String::new())).collect();
    refused("weight-protected-lists", &scene(many), 8);
    let long = vec![list("a", format!("+{}\n+{}x\n", "?".repeat(500_000), "*".repeat(500_000)))];
    built("protected_paths_without_measure_are_refused_by_their_limits", &scene(long), 120);
}

#[test]
fn many_packages_that_have_one_path_and_one_directory_take_turns() {
    let one = |number: usize| {
        let replaced = (0..number).map(|number| format!("p{number}")).collect::<Vec<_>>().join(" ");
        let package = Package::new(&format!("p{number}")).says("replaces", &replaced);
        let package = if number == 0 { package } else { package.says("depend", &format!("p{}", number - 1)) };
        package.has([Said::dir("usr"), Said::dir("usr/bin"), Said::file("usr/bin/one", number.to_string())])
    };
    let scene = of(&(0..300).map(one).collect::<Vec<_>>());
    built("many_packages_that_have_one_path_and_one_directory_take_turns", &scene, 120);
}

#[test]
fn many_files_that_another_package_takes_change_hands() {
    let files = |text: &str| numbered(30_000, |path| Said::file(path, text));
    let taking = Package::new("b").says("replaces", "a").says("depend", "a");
    let scene = of(&[
        Package::new("a").has([Said::dir("d")]).has(files("1")),
        taking.has([Said::dir("d")]).has(files("2")),
    ]);
    built("many_files_that_another_package_takes_change_hands", &scene, 150);
}

#[test]
fn users_of_a_profile_are_added_however_many_and_files_of_accounts_have_a_limit() {
    let files = [
        Said::dir("etc"),
        Said::file("etc/passwd", "root:x:0:0:::\n"),
        Said::file("etc/group", "root:x:0:\n"),
        Said::file("etc/shadow", "root:*::::::\n"),
    ];
    let scene = holding(files);
    let users = |count: usize| -> String {
        let user = |number: usize| {
            format!("[[users]]\nname = \"u{number}\"\nuid = {}\ngroup = \"root\"\n", number + 1_000)
        };
        (0..count).map(user).collect()
    };
    scene.profile(&format!("{SCRATCH}\n[packages]\nruntime = [\"app\"]\n{}", users(10_000)));
    built("users_of_a_profile_are_added_however_many_and_files_of_accounts_have_a_limit", &scene, 150);
    let line = "user:x:1000:1000:Linux User,,,:/home/user:/sbin/nologin\n";
    let passwd = Said::file("./etc/shadow", line.repeat(100_000));
    refused("weight-accounts", &over([passwd]), 8);
}

#[test]
fn databases_of_a_base_without_measure_are_refused_by_their_limits() {
    let with = |path: &str, text: String| {
        over(
            ["./etc/apk", "./lib", "./lib/apk", "./lib/apk/db"]
                .map(Said::dir)
                .into_iter()
                .chain([Said::file(path, text)]),
        )
    };
    let listed = format!("P:a\nV:1\nF:a\n{}", "R:x\n".repeat(750_001));
    refused("weight-base-listed", &with("./lib/apk/db/installed", listed), 8);
    refused("weight-base-installed", &with("./lib/apk/db/installed", "\n".repeat((64 << 20) + 1)), 8);
    refused("weight-base-triggers", &with("./lib/apk/db/triggers", "\n".repeat((4 << 20) + 1)), 8);
    refused("weight-base-world", &with("./etc/apk/world", "\n".repeat((1 << 20) + 1)), 8);
}

#[test]
fn a_base_of_very_many_links_and_gzip_members_is_no_trouble() {
    let links = (0..30_000).map(|number| Said::symlink(&format!("./l{number}"), &format!("l{}", number + 1)));
    built("a_base_of_very_many_links_and_gzip_members_is_no_trouble", &over(links), 150);
    let scene = Scene::with_profile(OVER_MIRROR);
    let members = [rootfs([]), gzip(b"").repeat(20_000)].concat();
    hostile::mirror(&scene.dir, &members, &[]);
    built("a_base_of_very_many_links_and_gzip_members_is_no_trouble", &scene, 120);
}

#[test]
fn zeros_in_zstd_are_bounded_as_in_gzip() {
    let scene =
        Scene::with_profile(&OVER_MIRROR.replace("[alpine]\n", "[alpine]\nbase = \"./rootfs.tar.zst\"\n"));
    hostile::mirror(&scene.dir, &rootfs([]), &[]);
    let tar = [hostile::open_tar(&[Said::file("./x", vec![0; 300 << 20]).without_checksum()]), vec![0; 1024]]
        .concat();
    scene.dir.write("rootfs.tar.zst", zstd::encode_all(tar.as_slice(), 1).unwrap());
    refused("weight-zstd", &scene, 8);
}
