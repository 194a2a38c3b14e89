//! A directory that `docker build` makes the same image of: the same configuration, field by field, and the same
//! tree, entry by entry.

use serde_json::{Value, json};

use crate::engines::{build, profile};
use crate::support::command::Dir;
use crate::support::image::Image;
use crate::support::listing::{Listing, diff};
use crate::support::need;

/// What Docker's builder says of every image that it builds, and of none that it loads: which image came before.
const BUILDERS_OWN: &str = "Image";

/// The configuration of `known`, which `docker inspect` says, without what only a builder says.
fn config(known: &Value) -> Value {
    let mut config = known["Config"].clone();
    config.as_object_mut().unwrap().remove(BUILDERS_OWN);
    config
}

/// Builds the profile at `profile` of `dir` into an archive and a directory, has docker load the one and build the
/// other, and compares all that it then knows of both.
fn loaded_and_built_are_equal(test: &str, name: &str, profile: impl AsRef<std::path::Path>) {
    let Some(alpine) = need::alpine(test) else { return };
    let Some(docker) = need::docker(test) else { return };
    let dir = Dir::new();
    let (loaded, built) = (format!("apkcompose-test/{name}:loaded"), format!("apkcompose-test/{name}:built"));

    build(&dir, &alpine, profile)
        .args(["-t", &loaded, "-o", "x.tar", "-o", "type=dockerfile,dest=context"])
        .success();

    assert_eq!(dir.names(), ["context", "x.tar"]);
    assert_eq!(crate::support::files::names(&dir.join("context")), ["Dockerfile", "rootfs.tar"]);
    docker.load(&dir.join("x.tar"));
    docker.build(&dir.join("context"), &built);
    let [one, other] = [&loaded, &built].map(|name| docker.inspect(name));
    let (one_config, other_config) = (config(&one), config(&other));
    let fields = one_config.as_object().unwrap().keys().chain(other_config.as_object().unwrap().keys());
    for field in fields {
        assert_eq!(one_config[field], other_config[field], "{field}");
    }
    for field in ["Author", "Architecture", "Os", "Size"] {
        assert_eq!(one[field], other[field], "{field}");
    }
    docker.save(&loaded, &dir.join("loaded.tar"));
    docker.save(&built, &dir.join("built.tar"));
    let [loaded, built] =
        ["loaded.tar", "built.tar"].map(|file| Image::of_archive(&dir.join(file)).flattened());
    assert!(loaded.len() > 300, "{}", loaded.len());
    assert_eq!(diff(&loaded, &built, &[]), [""; 0]);
    let context = Listing::of_tar_file(&dir.join("context/rootfs.tar"));
    assert_eq!(diff(&loaded, &context, &[]), [""; 0]);
}

#[test]
fn docker_builds_the_image_that_it_would_load() {
    let test = "docker_builds_the_image_that_it_would_load";
    loaded_and_built_are_equal(test, "dockerfile", profile("everything.toml"));
}

#[test]
fn whatever_a_builder_would_look_into_comes_through_unchanged() {
    let test = "whatever_a_builder_would_look_into_comes_through_unchanged";
    let profiles = Dir::new();
    let path = profiles.write(
        "odd.toml",
        r##"
        extends = ["base"]
        [alpine]
        release = "3.19"
        [[dirs]]
        path = "/var/www dir"
        [image]
        author = 'A "quoted" $author \ with everything <a@example.org>'
        entrypoint = ["/bin/sh", "-c", "exec \"$@\"", "sh"]
        cmd = ["/bin/echo", "a b", "$HOME", "tab\tand\nline", "\\", "'", "ünï", "<&>"]
        env = { "WITH SPACE" = "a  b", DOLLAR = "$HOME $${PATH} $", QUOTES = "\"'`", BACK = "a\\b\\", HASH = "# no", EMPTY = "", TAB = "a\tb", UNI = "ü" }
        labels = { "a.b" = "[1, 2]", "c" = "k=v; $x", "d.e-f/g" = "" }
        volumes = ["/var/with space", "/var/$dollar"]
        workdir = "/var/www dir"
        user = "12"
        expose = ["53/udp", "80/tcp"]
        stop-signal = "9"
        healthcheck = { test = ["CMD-SHELL", "[ -n \"$HOME\" ] && echo 'a  b' # still it"], interval = "1h", start-period = "1ms", retries = 1 }
        "##,
    );
    loaded_and_built_are_equal(test, "odd", path);
}

#[test]
fn what_a_dockerfile_cannot_say_is_an_error_and_leaves_nothing() {
    let dir = Dir::new();
    let refused = |name: &str, image: &str| {
        dir.write("x.toml", format!("[alpine]\nbase = \"scratch\"\nrepositories = []\n[image]\n{image}\n"));
        let outcome = dir
            .command()
            .args(["--profile", "x.toml", "--quiet", "-o", "x.tar", "-o", "type=dockerfile,dest=context"])
            .fails_with(3);
        assert_eq!(dir.names(), ["x.toml"], "{name}");
        outcome.stderr_text()
    };
    let said = [
        refused("variable", "env = { KEY = \"one\\ntwo\" }"),
        refused("label", "labels = { \"a=b\" = \"c\" }"),
        refused("author", "author = \" me\""),
        refused("long", &format!("labels = {{ a = \"{}\" }}", "x".repeat(65_536))),
    ];
    insta::assert_snapshot!(said.concat());
}

#[test]
fn a_foreign_platform_is_named_in_the_file_and_in_the_summary() {
    let dir = Dir::new();
    dir.write("x.toml", "[alpine]\nbase = \"scratch\"\nrepositories = []\narch = [\"riscv64\"]\n");
    let outcome = dir
        .command()
        .args(["--profile", "x.toml", "-t", "x/y:1", "-o", "type=dockerfile,dest=context"])
        .success();
    let said = outcome.stderr_text();
    assert!(
        said.ends_with("to build it:\n  docker build --platform linux/riscv64 -t x/y:1 context\n"),
        "{said}"
    );
    let file = String::from_utf8(dir.read("context/Dockerfile")).unwrap();
    assert_eq!(file.lines().next().unwrap(), "# docker build --platform linux/riscv64 -t NAME .");
    assert_eq!(json!(file.lines().nth(1)), json!("FROM scratch"));
}
