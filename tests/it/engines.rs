//! Images of real packages in the engines they are made for: Docker runs them and reads back what the profile
//! says, podman and skopeo load the same archive.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::support::command::{Dir, Outcome, TestCommand};
use crate::support::data::Alpine;
use crate::support::docker::{Engine, text_of};
use crate::support::image::Image;
use crate::support::listing::Listing;
use crate::support::{files, installed, need, reference};

/// Where profiles of the tests are that build whole images.
pub(crate) fn profile(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/profiles/real").join(name)
}

/// A build from the real mirror, which says what it made as JSON.
pub(crate) fn build<'a>(dir: &'a Dir, alpine: &Alpine, profile: impl AsRef<Path>) -> TestCommand<'a> {
    dir.command()
        .args(["build", "--format", "json", "--profile"])
        .arg(profile.as_ref())
        .arg("--mirror")
        .arg(alpine.mirror())
}

/// Builds the PHP of the test repository into `php.tar`.
fn build_php(dir: &Dir, alpine: &Alpine) -> Outcome {
    build(dir, alpine, profile("php7-fpm.toml"))
        .args(["-o", "php.tar", "--set", &format!("data={}", alpine.root().display())])
        .success()
}

/// The packages that the report of a build says the image has, as `name-version`: those of the minirootfs, and
/// what was done to them.
fn packages_of(report: &Value, alpine: &Alpine) -> BTreeSet<String> {
    let base = Listing::of_tar_file(&alpine.minirootfs("x86_64"));
    let base = installed::parse(base.text(installed::PATH));
    let mut versions: BTreeMap<String, String> =
        base.into_iter().map(|(name, package)| (name, package.fields[&'V'].clone())).collect();
    for step in report["steps"].as_array().unwrap() {
        let name = step["name"].as_str().unwrap().to_owned();
        match step["op"].as_str().unwrap() {
            "purge" => drop(versions.remove(&name)),
            _ => drop(versions.insert(name, step["new"].as_str().unwrap().to_owned())),
        }
    }
    assert_eq!(Some(versions.len() as u64), report["packages"].as_u64());
    versions.into_iter().map(|(name, version)| format!("{name}-{version}")).collect()
}

/// What `apk info -v` in the image lists, as `name-version`.
fn apk_info(docker: &Engine, image: &str) -> BTreeSet<String> {
    let text = docker.run_text(image, &["apk", "info", "-v"]);
    text.lines().map(|line| line.split_once(" - ").map_or(line, |(package, _)| package).to_owned()).collect()
}

/// What apk in the image would do to add `package` from the mirror.
fn simulated(docker: &Engine, alpine: &Alpine, image: &str, package: &str) -> Vec<String> {
    let mirror = format!("{}:/mirror:ro", alpine.mirror().display());
    let add = ["apk", "add", "--simulate", "--no-network", "--repositories-file", "/dev/null"];
    let from = ["-X", "/mirror/v3.19/main", "-X", "/mirror/v3.19/community", package];
    let done = docker.run(image, &[&add[..], &from].concat(), &["-v", &mirror]);
    reference::steps(&text_of("apk add --simulate", done))
}

#[test]
fn base_is_alpine_under_docker() {
    let test = "base_is_alpine_under_docker";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(docker) = need::docker(test) else { return };
    let (dir, image) = (Dir::new(), "apkcompose-test/base:1");

    let report = build(&dir, &alpine, "base").args(["-t", image]).success().stdout_json();

    assert_eq!(docker.load(&dir.join("base.tar")), [image]);
    assert_eq!(docker.run_text(image, &["cat", "/etc/alpine-release"]), "3.19.4\n");
    assert_eq!(apk_info(docker, image), packages_of(&report, &alpine));
    let steps = simulated(docker, &alpine, image, "jq");
    assert_eq!(steps, ["Installing oniguruma (6.9.9-r0)", "Installing jq (1.7.1-r0)"]);
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n";
    assert_eq!(docker.run_text(image, &["sh", "-c", "echo $PATH"]), path);
    let known = docker.inspect(image);
    assert_eq!(report["image"]["size"].as_u64(), Some(docker.size(image)));
    assert_eq!(known["Id"], format!("sha256:{}", report["image"]["id"].as_str().unwrap()));
    assert_eq!(known["Config"]["Cmd"], json!(["/bin/sh"]));
}

#[test]
fn php_fpm_with_its_extensions_runs_under_docker() {
    let test = "php_fpm_with_its_extensions_runs_under_docker";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(docker) = need::docker(test) else { return };
    let (dir, image) = (Dir::new(), "apkcompose-test/php7-fpm:7.1");

    let report = build_php(&dir, &alpine).stdout_json();

    assert_eq!(docker.load(&dir.join("php.tar")), [image]);
    assert_eq!(docker.run_text(image, &["cat", "/etc/alpine-release"]), "3.19.4\n");
    assert_eq!(apk_info(docker, image), packages_of(&report, &alpine));
    let steps = simulated(docker, &alpine, image, "jq");
    assert_eq!(steps, ["Installing oniguruma (6.9.9-r0)", "Installing jq (1.7.1-r0)"]);
    let version = docker.run_text(image, &["php-fpm7", "-v"]);
    assert!(version.starts_with("PHP 7.1.2 (fpm-fcgi)"), "{version}");
    let nginx = docker.run(image, &["nginx", "-v"], &[]);
    assert_eq!(String::from_utf8_lossy(&nginx.stderr), "nginx version: nginx/1.22.1\n");
    assert_eq!(report["image"]["size"].as_u64(), Some(docker.size(image)));

    let modules = docker.run_text(image, &["php7", "-m"]).to_lowercase();
    let modules: BTreeSet<&str> = modules.lines().collect();
    let wanted = "json session ctype phar mbstring iconv pdo xml dom zlib bcmath pcntl sockets";
    let missing: Vec<&str> = wanted.split(' ').filter(|module| !modules.contains(module)).collect();
    assert!(missing.is_empty() && modules.contains("zend opcache"), "{missing:?} of {modules:?}");
}

#[test]
fn docker_reads_back_every_key_of_the_image() {
    let test = "docker_reads_back_every_key_of_the_image";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(docker) = need::docker(test) else { return };
    let dir = Dir::new();

    let report =
        build(&dir, &alpine, profile("everything.toml")).args(["-o", "x.tar"]).success().stdout_json();

    let image = "apkcompose-test/everything:1";
    assert_eq!(docker.load(&dir.join("x.tar")), [image, "apkcompose-test/everything:plain"]);
    let known = docker.inspect(image);
    let config = &known["Config"];
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(config["Env"], json!([path, "EMPTY=", "GREETING=hello plain world"]));
    assert_eq!(config["Entrypoint"], json!(["/usr/local/bin/begin", "--"]));
    assert_eq!(config["Cmd"], json!(["/bin/sh", "-c", "echo a b"]));
    assert_eq!(config["User"], "1200:1500");
    assert_eq!(config["ExposedPorts"], json!({ "53/udp": {}, "8080/tcp": {}, "9000/tcp": {} }));
    assert_eq!(config["Volumes"], json!({ "/srv/shared": {}, "/var/www/html": {} }));
    assert_eq!(config["WorkingDir"], "/var/www/html");
    assert_eq!(config["StopSignal"], "SIGQUIT");
    assert_eq!(
        config["Labels"],
        json!({
            "apkcompose.base-trust": report["base"]["trust"],
            "com.example.word": "plain",
            "org.opencontainers.image.title": "everything",
        })
    );
    assert_eq!(
        config["Healthcheck"],
        json!({
            "Test": ["CMD", "/bin/true"],
            "Interval": 30_000_000_000_u64,
            "Timeout": 90_000_000_000_u64,
            "StartPeriod": 500_000_000,
            "Retries": 4,
        })
    );
    assert_eq!(known["Author"], "A. Author <author@example.org>");
    assert_eq!(known["Created"], report["image"]["created"]);
    assert_eq!((&known["Architecture"], &known["Os"]), (&json!("amd64"), &json!("linux")));
    assert_eq!(known["RootFS"]["Layers"].as_array().map(Vec::len), Some(1));
    assert_eq!(report["image"]["size"].as_u64(), Some(docker.size(image)));

    let rows = docker.history(image);
    let rows: Vec<&str> = rows.iter().rev().map(|row| row["CreatedBy"].as_str().unwrap()).collect();
    insta::assert_snapshot!(rows.join("\n"));
    let started = docker.run_text(image, &[]);
    assert_eq!(started, "started as 1200:1500 in /var/www/html\na b\n");
}

#[test]
fn every_kind_of_content_is_in_the_image() {
    let test = "every_kind_of_content_is_in_the_image";
    let Some(alpine) = need::alpine(test) else { return };
    let dir = Dir::new();

    build(&dir, &alpine, profile("everything.toml")).args(["-o", "x.tar"]).success();

    let tree = Image::of_archive(&dir.join("x.tar")).tree();
    let of = |path: &str| {
        let entry = tree.entry(path);
        format!("{} {:o} {}:{}", entry.kind, entry.mode, entry.uid, entry.gid)
    };
    assert_eq!(of("etc/motd"), "file 640 1200:1500");
    assert_eq!(tree.text("etc/motd"), "no ${word} here\n");
    assert_eq!(of("var/www/html"), "directory 750 82:82");
    assert_eq!(of("var/www/html/css"), "directory 750 82:82");
    assert_eq!(of("var/www/html/css/site.css"), "file 640 82:82");
    assert_eq!(tree.text("var/www/html/index.html"), "<h1>it works</h1>\n");
    let excluded = ["var/www/html/.git/config", "var/www/html/css/site.bak"];
    assert!(excluded.iter().all(|path| tree.get(path).is_none()));
    assert_eq!(of("usr/local/bin/start"), "file 755 0:0");
    assert_eq!(tree.entry("usr/local/bin/begin").link.as_deref(), Some("start"));
    assert_eq!(of("srv/shared"), "directory 3775 0:1500");

    let line = |path: &str, name: &str| {
        let found = tree.text(path).lines().find(|line| line.split(':').next() == Some(name));
        found.unwrap_or_else(|| panic!("{path} has no {name}")).to_owned()
    };
    assert_eq!(line("etc/passwd", "web"), "web:x:1200:82:the web:/var/www:/bin/sh");
    assert_eq!(line("etc/group", "staff"), "staff:x:1500:web");
    assert!(line("etc/group", "www-data").starts_with("www-data:x:82:"));
    assert!(line("etc/shadow", "web").starts_with("web:!:"));
    assert!(line("etc/shadow", "root").starts_with("root:*:"), "locked as the minirootfs has it");

    let packages = installed::parse(tree.text(installed::PATH));
    assert!(packages.contains_key("jq") && packages.contains_key("oniguruma"));
    assert!(tree.get("usr/bin/jq").is_none(), "pruned by path");
    assert!(tree.entries().all(|entry| !entry.path.starts_with("etc/modprobe.d/")));
    let world: Vec<&str> = tree.text("etc/apk/world").lines().collect();
    assert!(world.contains(&"!nginx") && world.contains(&"libssl3"), "{world:?}");
    assert!(!world.contains(&"libc-utils") && !packages.contains_key("libc-utils"));
    let repositories = tree.text("etc/apk/repositories");
    assert_eq!(repositories, "https://mirror.example.org/alpine/v3.19/main\n");
}

#[test]
fn an_image_without_busybox_and_apk_runs_a_static_program() {
    let test = "an_image_without_busybox_and_apk_runs_a_static_program";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(docker) = need::docker(test) else { return };
    let (dir, image) = (Dir::new(), "apkcompose-test/pruned:1");
    dir.write(
        "pruned.toml",
        format!(
            r#"
            extends = ["base"]
            [alpine]
            release = "3.19"
            repositories = [{{ url = "{0}/mirror/php7", tag = "php7", keys = ["{0}/test-php7.rsa.pub"] }}]
            [packages]
            runtime = ["nginx@php7"]
            [image]
            tags = ["{image}"]
            cmd = ["nginx", "-v"]
            [prune]
            packages = ["apk-tools", "busybox", "busybox-binsh", "ssl_client", "scanelf"]
            "#,
            alpine.root().display()
        ),
    );

    let report = build(&dir, &alpine, "./pruned.toml").success().stdout_json();

    docker.load(&dir.join("pruned.tar"));
    let said = docker.run(image, &[], &[]);
    assert_eq!(String::from_utf8_lossy(&said.stderr), "nginx version: nginx/1.22.1\n");
    assert!(!docker.run(image, &["sh", "-c", "true"], &[]).status.success(), "a shell is left");
    let tree = Image::of_archive(&dir.join("pruned.tar")).tree();
    let busybox: Vec<&str> = tree
        .entries()
        .filter(|entry| entry.path == "bin/busybox" || entry.link.as_deref() == Some("/bin/busybox"))
        .map(|entry| entry.path.as_str())
        .collect();
    assert_eq!(busybox, [""; 0]);
    let left = installed::parse(tree.text(installed::PATH));
    assert!(!left.contains_key("busybox") && !left.contains_key("apk-tools") && left.contains_key("musl"));
    let unsatisfied: Vec<&str> =
        report["unsatisfied"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    assert_eq!(
        docker.inspect(image)["Config"]["Labels"]["apkcompose.unsatisfied"].as_str(),
        (!unsatisfied.is_empty()).then(|| unsatisfied.join("; ")).as_deref()
    );
    insta::assert_snapshot!(unsatisfied.join("\n"));
}

#[test]
fn a_limit_that_is_passed_leaves_no_image() {
    let test = "a_limit_that_is_passed_leaves_no_image";
    let Some(alpine) = need::alpine(test) else { return };
    let dir = Dir::new();
    let limited = |name: &str, limits: &str| {
        dir.write(name, format!("extends = [\"base\"]\nalpine.release = \"3.19\"\n[limits]\n{limits}\n"));
        format!("./{name}")
    };
    let refused = |name: &str, limits: &str| {
        let outcome = build(&dir, &alpine, limited(name, limits)).args(["--progress", "none"]).fails_with(8);
        outcome.stderr_text()
    };

    insta::assert_snapshot!(refused("size.toml", "size = \"7MB\""));
    insta::assert_snapshot!(refused("packages.toml", "packages = 14"));
    assert_eq!(dir.names(), ["packages.toml", "size.toml"]);
    build(&dir, &alpine, limited("fits.toml", "size = \"8MB\"\npackages = 15")).success();
    assert_eq!(dir.names(), ["fits.tar", "fits.toml", "packages.toml", "size.toml"]);
}

#[test]
fn a_variable_is_what_apk_would_pick() {
    let test = "a_variable_is_what_apk_would_pick";
    let Some(alpine) = need::apk(test) else { return };
    let dir = Dir::new();
    dir.write(
        "php.toml",
        r#"
        extends = ["base"]
        vars.php = { provider-of = "php-fpm", pattern = "php*-fpm" }
        alpine.release = "3.19"
        packages.runtime = ["php${php}-fpm"]
        "#,
    );
    let steps = |options: &[&str]| -> Vec<String> {
        let report =
            build(&dir, &alpine, "./php.toml").arg("--dry-run").args(options).success().stdout_json();
        let steps = report["steps"].as_array().unwrap().iter();
        steps.map(|step| format!("Installing {} ({})", step["name"], step["new"]).replace('"', "")).collect()
    };
    let apk = reference::minirootfs(&alpine).repository("v3.19/main").repository("v3.19/community");

    let picked = apk.simulate(&["php-fpm"]).unwrap();

    assert_eq!(steps(&[]), picked);
    assert!(picked.iter().any(|step| step.starts_with("Installing php82-fpm ")), "{picked:?}");
    assert_eq!(steps(&["--set", "php=83"]), apk.simulate(&["php83-fpm"]).unwrap());
    assert_eq!(dir.names(), ["php.toml"]);
}

#[test]
fn a_root_filesystem_goes_through_a_pipe_into_docker() {
    let test = "a_root_filesystem_goes_through_a_pipe_into_docker";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(docker) = need::docker(test) else { return };
    let (dir, image) = (Dir::new(), "apkcompose-test/piped:1");

    let outcome = build(&dir, &alpine, "base").args(["-o", "type=tar,dest=-"]).success();

    let import = docker.command(&["import", "-", image]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
    let mut import = import.unwrap();
    std::io::Write::write_all(&mut import.stdin.take().unwrap(), outcome.stdout()).unwrap();
    assert!(import.wait().unwrap().success());
    assert_eq!(docker.run_text(image, &["cat", "/etc/alpine-release"]), "3.19.4\n");
    assert_eq!(dir.names(), [""; 0]);
    // The summary gave way to the image.
    assert!(outcome.stderr_text().contains("\"profile\": \"base\""), "{outcome}");
}

#[test]
fn podman_and_skopeo_take_the_archive_that_docker_takes() {
    let test = "podman_and_skopeo_take_the_archive_that_docker_takes";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(podman) = need::podman(test) else { return };
    let Some(skopeo) = need::skopeo(test) else { return };
    let Some(docker) = need::docker(test) else { return };
    let dir = Dir::new();

    let report = build(&dir, &alpine, "base")
        .args(["-o", "x.tar", "-t", "apkcompose-test/two:1", "-t", "registry.example.org/x/two:latest"])
        .success()
        .stdout_json();

    let archive = dir.join("x.tar");
    let names = ["apkcompose-test/two:1", "registry.example.org/x/two:latest"];
    assert_eq!(docker.load(&archive), names);
    // Of several names podman reads Docker's list, where a name without a registry is its own.
    assert_eq!(podman.load(&archive), ["localhost/apkcompose-test/two:1", names[1]]);
    let id = report["image"]["id"].as_str().unwrap();
    assert_eq!(podman.inspect(names[1])["Id"], id);
    let path = archive.display();
    for from in [
        format!("docker-archive:{path}:{}", names[0]),
        format!("docker-archive:{path}:{}", names[1]),
        format!("oci-archive:{path}:1"),
        format!("oci-archive:{path}:latest"),
    ] {
        let to = dir.join("copy");
        skopeo.copy(&from, &format!("dir:{}", to.display()));
        let manifest: Value = serde_json::from_slice(&files::read(&to.join("manifest.json"))).unwrap();
        assert_eq!(manifest["config"]["digest"], format!("sha256:{id}"), "{from}");
        assert_eq!(skopeo.config(&from), Image::of_archive(&archive).config(), "{from}");
        std::fs::remove_dir_all(to).unwrap();
    }
}

#[test]
fn an_archive_has_one_name_or_none() {
    let test = "an_archive_has_one_name_or_none";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(podman) = need::podman(test) else { return };
    let Some(skopeo) = need::skopeo(test) else { return };
    let Some(docker) = need::docker(test) else { return };
    let dir = Dir::new();

    let one = build(&dir, &alpine, "base").args(["-o", "one.tar", "-t", "apkcompose-test/one"]);
    let one = one.success().stdout_json();
    // Another time makes it another image, which no other test loads.
    let none = build(&dir, &alpine, "base").args(["-o", "none.tar", "--epoch", "1700000001"]);
    let none = none.success().stdout_json();

    assert_eq!(one["image"]["tags"], json!(["apkcompose-test/one:latest"]));
    assert_eq!(docker.load(&dir.join("one.tar")), ["apkcompose-test/one:latest"]);
    assert_eq!(podman.load(&dir.join("one.tar")), ["docker.io/apkcompose-test/one:latest"]);
    let id = none["image"]["id"].as_str().unwrap();
    assert_eq!(docker.load(&dir.join("none.tar")), [format!("sha256:{id}")]);
    assert_eq!(docker.inspect(id)["RepoTags"], json!([]));
    assert_eq!(docker.inspect(id)["Created"], "2023-11-14T22:13:21Z");
    assert_eq!(podman.load(&dir.join("none.tar")), [format!("sha256:{id}")]);
    for (kind, name) in [
        ("docker-archive", "one"),
        ("oci-archive", "one"),
        ("docker-archive", "none"),
        ("oci-archive", "none"),
    ] {
        let from = format!("{kind}:{}", dir.join(format!("{name}.tar")).display());
        let expected = Image::of_archive(&dir.join(format!("{name}.tar"))).config();
        assert_eq!(skopeo.config(&from), expected, "{from}");
    }
}
