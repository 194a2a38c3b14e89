//! Where the image and the cache go: nothing appears there that is not whole.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::hostile::{Package, Said, noise};
use super::{OUTPUT, SCRATCH, Scene, message, tree};
use crate::support::command::BINARY;
use crate::support::{files, need};

fn scene() -> Scene {
    let app = Package::new("app").has([Said::file("app", noise(3 << 20))]).size(4 << 20).made();
    Scene::wanting(&["app"], &[&app])
}

#[test]
fn a_directory_that_is_not_there_is_named_before_any_work() {
    let scene = scene();
    scene.refused_command("output-no-directory", 4, scene.build().args(["-o", "no/such/x.tar"]));
    assert!(!scene.dir.cache().join("blobs").exists());
    scene.dir.write("file", "");
    scene.refused_command("output-below-a-file", 2, scene.build().args(["-o", "file/x.tar"]));
}

#[test]
fn a_directory_in_place_of_the_output_is_named() {
    let scene = scene();
    scene.dir.write("x.tar/keep", "");
    scene.refused_command("output-is-a-directory", 2, scene.build().args(["-o", "x.tar"]));
    scene.refused_command("output-is-here", 2, scene.build().args(["-o", "."]));
}

#[test]
fn a_directory_with_something_in_it_is_left_alone() {
    let scene = scene();
    scene.dir.write("full/keep", "kept");
    for kind in ["oci", "local", "dockerfile"] {
        let output = format!("type={kind},dest=full");
        scene.refused_command("output-directory-not-empty", 2, scene.build().args(["-o", &output]));
    }
    assert_eq!(scene.dir.read("full/keep"), b"kept");
    scene.dir.write("file", "kept");
    scene.refused_command("output-directory-is-a-file", 2, scene.build().args(["-o", "type=oci,dest=file"]));
    symlink("nowhere", scene.dir.join("dangling")).unwrap();
    let dangling = scene.build().args(["-o", "type=oci,dest=dangling"]);
    scene.refused_command("output-directory-is-a-dangling-link", 2, dangling);
    let missing = scene.build().args(["-o", "type=local,dest=no/such"]);
    scene.refused_command("output-directory-in-no-directory", 4, missing);
}

#[test]
fn a_directory_that_cannot_be_replaced_is_named_before_any_work() {
    let scene = scene();
    files::create_dir(&scene.dir.join("here"));
    let here = scene.dir.command().current_dir(scene.dir.join("here"));
    let here = here.args(["--profile", "../p.toml", "--quiet", "-o", "type=local,dest=."]);
    scene.refused_command("output-directory-is-here", 2, here);
    let test = "a_directory_that_cannot_be_replaced_is_named_before_any_work";
    let Some(()) = need::root(test) else { return };
    if need::or_skip(test, need::find_namespace("mount", "--mount")).is_none() {
        return;
    }
    files::create_dir(&scene.dir.join("mounted"));
    let mounted = scene.build().args(["-o", "type=local,dest=mounted"]);
    let script = "mount -t tmpfs none mounted || exit 99; exec \"$@\"";
    let mounted = mounted.under(["unshare", "--mount", "sh", "-c", script, "sh"]);
    scene.refused_command("output-directory-is-a-mount-point", 2, mounted);
    assert!(!scene.dir.cache().join("blobs").exists());
}

#[test]
fn outputs_that_get_in_each_others_way_are_refused() {
    let scene = scene();
    files::create_dir(&scene.dir.join("x"));
    let inside = scene.build().args(["-o", "type=oci,dest=x", "-o", "x/y.tar"]);
    scene.refused_command("output-inside-another", 2, inside);
    let twice = scene.build().args(["-o", "type=oci,dest=x", "-o", "type=local,dest=./x"]);
    scene.refused_command("output-directory-twice", 2, twice);
    let pipe = scene.build().args(["-o", "type=dockerfile,dest=-"]);
    scene.refused_command("output-directory-to-a-pipe", 2, pipe);
}

#[test]
fn devices_and_pipes_are_not_replaced_by_files() {
    let scene = scene();
    scene.refused_command("output-is-a-device", 2, scene.build().args(["-o", "/dev/null"]));
    scene.refused_command("output-is-stdout", 2, scene.build().args(["-o", "type=tar,dest=/dev/stdout"]));
    let pipe = scene.dir.join("pipe.tar");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    scene.refused_command("output-is-a-pipe", 2, scene.build().args(["-o", "pipe.tar"]));
}

#[test]
fn a_directory_that_nobody_may_write_to_is_named() {
    let test = "a_directory_that_nobody_may_write_to_is_named";
    let Some(()) = need::root(test) else { return };
    let scene = scene();
    files::create_dir(&scene.dir.join("closed"));
    let command = scene.build().args(["-o", "closed/x.tar"]).run_by(65534);
    chown(scene.dir.join("closed"), Some(0), Some(0)).unwrap();
    scene.refused_command("output-no-permission", 4, command);
}

#[test]
fn a_full_disk_leaves_no_half_of_an_image() {
    let test = "a_full_disk_leaves_no_half_of_an_image";
    let Some(()) = need::root(test) else { return };
    if need::or_skip(test, need::find_namespace("mount", "--mount")).is_none() {
        return;
    }
    let scene = scene();
    files::create_dir(&scene.dir.join("full"));
    // What is left there is looked at from inside, because it is gone with the namespace.
    let script = "mount -t tmpfs -o size=1m none full && echo old > full/x.tar || exit 99\n\
                  \"$@\"; code=$?; ls -A full; cat full/x.tar; exit $code";
    for (name, output) in [
        ("output-full-archive", "full/x.tar"),
        ("output-full-tar", "type=tar,dest=full/x.tar"),
        ("output-full-oci", "type=oci,dest=full/x"),
        ("output-full-local", "type=local,dest=full/x"),
        ("output-full-dockerfile", "type=dockerfile,dest=full/x"),
    ] {
        let command =
            scene.build().args(["-o", output]).under(["unshare", "--mount", "sh", "-c", script, "sh"]);
        let outcome = command.fails_with(8);
        assert_eq!(outcome.stdout_text(), "x.tar\nold\n", "{outcome}");
        message(name, 8, &outcome);
    }
    assert!(!scene.dir.join("out.tar").exists(), "one of two outputs must not appear without the other");
}

#[test]
fn a_full_cache_is_named_and_leaves_nothing() {
    let test = "a_full_cache_is_named_and_leaves_nothing";
    let Some(()) = need::root(test) else { return };
    if need::or_skip(test, need::find_namespace("mount", "--mount")).is_none() {
        return;
    }
    let scene = scene();
    let script = "mount -t tmpfs -o size=1m,mode=700 none ../cache || exit 99\n\
                  \"$@\"; code=$?; ls -A ../cache/tmp; exit $code";
    let outcome = scene.build().under(["unshare", "--mount", "sh", "-c", script, "sh"]).fails_with(8);
    assert_eq!(outcome.stdout_text(), "", "{outcome}");
    message("cache-full", 8, &outcome);
    assert!(!scene.dir.join("out.tar").exists());
}

#[test]
fn a_full_pipe_is_named() {
    let scene = scene();
    let before = tree(&scene.dir.path());
    let outcome = scene
        .dir
        .command()
        .args(["--profile", "p.toml", "--quiet", "-o", "type=tar,dest=-"])
        .under(["sh", "-c", "exec \"$@\" > /dev/full", "sh"])
        .fails_with(8);
    assert_eq!(tree(&scene.dir.path()), before);
    message("output-full-pipe", 8, &outcome);
}

#[test]
fn what_stands_under_the_outputs_name_stays_until_there_is_something_better() {
    let scene = scene();
    scene.image();
    let image = scene.dir.read("out.tar");
    scene.profile(&format!("{SCRATCH}\n[packages]\nruntime = [\"nobody\"]\n"));
    scene.build().fails_with(6);
    assert_eq!(scene.dir.read("out.tar"), image);
}

#[test]
fn a_cache_that_others_can_write_to_is_refused() {
    let scene = scene();
    for (name, mode) in [("cache-group-writable", 0o770), ("cache-world-writable", 0o707)] {
        fs::set_permissions(scene.dir.cache(), fs::Permissions::from_mode(mode)).unwrap();
        scene.refused(name, 2);
    }
}

#[test]
fn a_cache_of_somebody_else_is_refused() {
    let Some(()) = need::root("a_cache_of_somebody_else_is_refused") else { return };
    let scene = scene();
    chown(scene.dir.cache(), Some(65534), None).unwrap();
    scene.refused("cache-of-somebody-else", 2);
}

#[test]
fn a_cache_that_is_no_directory_is_refused() {
    let scene = scene();
    let file = scene.dir.write("file", "");
    scene.refused_command("cache-is-a-file", 2, scene.build().arg("--cache-dir").arg(file));
    let nowhere = scene.build().without_env("APKCOMPOSE_CACHE_DIR").without_env("HOME");
    let nowhere = nowhere.without_env("XDG_CACHE_HOME");
    scene.refused_command("cache-nowhere", 2, nowhere);
}

#[test]
fn an_interrupted_build_leaves_nothing() {
    let scene = scene();
    let large = Package::new("app").has([Said::file("app", noise(24 << 20))]).size(25 << 20).made();
    scene.repository(&[&large]);
    let before = tree(&scene.dir.path());
    let mut child = Command::new(BINARY)
        .args(["--profile", "p.toml", "-o", OUTPUT, "--progress", "json"])
        .current_dir(scene.dir.path())
        .env("APKCOMPOSE_CACHE_DIR", scene.dir.cache())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // What it says of itself tells when it is in the middle of its work.
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let is_begun = |line: &String| line.contains("\"begin\"") && line.contains("\"squash\"");
    said.find(|line| is_begun(line.as_ref().unwrap())).unwrap().unwrap();

    kill_process(Pid::from_child(&child), Signal::INT).unwrap();

    let last = said.map(Result::unwrap).last().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{last}");
    assert!(last.contains("\"exit_code\":130"), "{last}");
    assert_eq!(tree(&scene.dir.path()), before);
}

#[test]
fn an_interrupted_build_leaves_no_directory() {
    let scene = scene();
    let large = Package::new("app").has([Said::file("app", noise(24 << 20))]).size(25 << 20).made();
    scene.repository(&[&large]);
    let before = tree(&scene.dir.path());
    let mut child = Command::new(BINARY)
        .args(["--profile", "p.toml", "--progress", "json"])
        .args(["-o", "type=local,dest=x", "-o", "type=oci,dest=y", "-o", "type=tar,dest=-"])
        .current_dir(scene.dir.path())
        .env("APKCOMPOSE_CACHE_DIR", scene.dir.cache())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The directories are complete when the pipe's turn comes, and nobody reads that yet.
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let is_begun = |line: &String| line.contains("\"begin\"") && line.contains("\"emit\"");
    for _ in 0..3 {
        said.find(|line| is_begun(line.as_ref().unwrap())).unwrap().unwrap();
    }

    kill_process(Pid::from_child(&child), Signal::INT).unwrap();

    let mut image = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut image).unwrap();
    let last = said.map(Result::unwrap).last().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{last}");
    assert!(image.len() < 24 << 20, "all of it was written");
    assert_eq!(tree(&scene.dir.path()), before);
}
