//! What was typed, and what the environment says.

use super::{SCRATCH, Scene, hostile};

fn scene() -> Scene {
    Scene::wanting(&["app"], &[&hostile::plain("app").made()])
}

fn refused(name: &str, arguments: &[&str]) {
    let scene = scene();
    scene.refused_command(name, 2, scene.dir.command().arg("--quiet").args(arguments));
}

#[test]
fn without_a_profile_there_is_nothing_to_build() {
    refused("usage-no-profile", &[]);
    refused("usage-no-profile-build", &["build"]);
}

#[test]
fn unknown_commands_and_options_are_named() {
    refused("usage-unknown-command", &["biuld"]);
    refused("usage-unknown-option", &["--profile", "p.toml", "--mirorr", "x"]);
    refused("usage-unknown-arch", &["--profile", "p.toml", "--arch", "pentium"]);
    refused("usage-no-jobs", &["--profile", "p.toml", "--jobs", "0"]);
    refused("usage-scripts", &["--profile", "p.toml", "--scripts", "run"]);
    refused("usage-set", &["--profile", "p.toml", "--set", "php"]);
}

#[test]
fn outputs_that_are_none_are_refused() {
    let output = |name: &str, output: &str| refused(name, &["--profile", "p.toml", "-o", output]);
    output("usage-output-type", "type=zip,dest=x");
    output("usage-output-key", "type=tar,path=x");
    output("usage-output-no-destination", "type=tar");
    output("usage-output-empty", "");
    refused("usage-output-twice", &["--profile", "p.toml", "-o", "x.tar", "-o", "type=tar,dest=./x.tar"]);
}

#[test]
fn image_names_that_are_none_are_refused() {
    refused("usage-tag", &["--profile", "p.toml", "-t", "Example/App:1"]);
}

#[test]
fn a_variable_that_no_profile_has_is_named() {
    refused("usage-set-unknown", &["--profile", "p.toml", "--set", "php=83"]);
}

#[test]
fn bad_values_in_the_environment_are_named_with_their_variable() {
    let scene = scene();
    for (variable, value) in [
        ("APKCOMPOSE_JOBS", "many"),
        ("APKCOMPOSE_ARCH", "pentium"),
        ("APKCOMPOSE_EPOCH", "yesterday"),
        ("APKCOMPOSE_OUTPUT", "type=zip,dest=x"),
        ("APKCOMPOSE_PROGRESS", "loud"),
        ("APKCOMPOSE_SCRIPTS", "run"),
        ("APKCOMPOSE_FORMAT", "yaml"),
        ("APKCOMPOSE_SET", "php"),
    ] {
        let name = format!("environment-{}", variable.trim_start_matches("APKCOMPOSE_").to_lowercase());
        let command = scene.dir.command().args(["--profile", "p.toml"]).env(variable, value);
        scene.refused_command(&name, 2, command);
    }
}

#[test]
fn an_epoch_that_is_no_time_is_named() {
    let scene = scene();
    for (name, value) in [
        ("epoch-word", "yesterday"),
        ("epoch-fraction", "1700000000.5"),
        ("epoch-huge", "99999999999999"),
        ("epoch-larger-than-any-number", "99999999999999999999999"),
        ("epoch-negative", "-1"),
    ] {
        scene.refused_command(name, 2, scene.build().env("SOURCE_DATE_EPOCH", value));
    }
}

#[test]
fn an_epoch_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStrExt as _;
    let scene = scene();
    let value = std::ffi::OsStr::from_bytes(b"17\xff");
    scene.refused_command("epoch-not-utf8", 2, scene.build().env("SOURCE_DATE_EPOCH", value));
}

#[test]
fn an_architecture_that_the_repository_does_not_have_is_named() {
    let scene = scene();
    scene.profile(&SCRATCH.replace("x86_64", "aarch64"));
    scene.refused("arch-without-index", 4);
}
