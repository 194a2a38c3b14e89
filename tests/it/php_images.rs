//! The built-in profiles of PHP-FPM and nginx, run by Docker as users run them who want nothing written and nobody
//! privileged. `tests/profiles/real/run-*.toml` add to them where packages come from and what is served, and
//! change nothing of how they are set up.
//!
//! PHP is 7.1, of real packages, and nginx a static one. What the profiles ask for beyond that is there in name
//! only: see [`stand_ins`].

use std::path::Path;
use std::process::{Child, Output};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::json;

use crate::engines::{build, profile};
use crate::made::{self, Made, key, package_of};
use crate::support::command::Dir;
use crate::support::container::{Container, ended};
use crate::support::data::Alpine;
use crate::support::docker::{Engine, text_of};
use crate::support::{files, need};

/// Options of `docker run`.
const ALONE: &str = "--network=none";
const READ_ONLY: [&str; 3] = ["--read-only", "--tmpfs=/tmp", "--env=GREETING=hello from outside"];
/// When the engine kills what it was told to stop.
const GRACE: Duration = Duration::from_secs(10);
/// Where nginx listens.
const SITE: &str = "http://127.0.0.1:8080";

/// Packages in place of those that neither Alpine 3.19's part of the mirror nor its PHP 7.1 have.
fn stand_ins() -> [Made; 7] {
    let empty = |name| package_of(name, "7.1.2-r1", &[], key());
    // Asks over FastCGI as the program of that name does, whose package is in Alpine's index without its file.
    let client: &[u8] = include_bytes!("php_images/cgi-fcgi.php");
    [
        // Compiled into this PHP; Alpine has packages of them.
        empty("php7-fileinfo"),
        empty("php7-simplexml"),
        empty("php7-tokenizer"),
        empty("php7-xmlwriter"),
        // These need libraries of 2017. Nothing here does without a network what they are for.
        empty("php7-openssl"),
        empty("php7-sodium"),
        package_of("fcgi", "99-r0", &[("usr/bin/cgi-fcgi", 0o755, client)], key()),
    ]
}

/// Writes the repository of [`stand_ins`] into `directory`, with its key.
fn write_stand_ins(directory: &Path) {
    let packages = stand_ins();
    made::repository(directory, "stand-ins", &packages.each_ref(), key());
    files::write(&directory.join("test.rsa.pub"), key().public_key().pem());
}

/// An image with PHP, loaded: built of the profile `name` by the first test that asks for it.
fn php_image(
    alpine: &Alpine,
    docker: &Engine,
    name: &str,
    loaded: &'static OnceLock<String>,
) -> &'static str {
    loaded.get_or_init(|| {
        let dir = Dir::new();
        write_stand_ins(&dir.join("stand-ins"));
        let stand_ins = format!("stand-ins={}", dir.join("stand-ins").display());
        let data = format!("data={}", alpine.root().display());
        build(&dir, alpine, profile(name))
            .args(["--set", "php=7", "--set", &data, "--set", &stand_ins, "-o", "image.tar"])
            .success();
        docker.load(&dir.join("image.tar")).concat()
    })
}

fn php_fpm(alpine: &Alpine, docker: &Engine) -> &'static str {
    static LOADED: OnceLock<String> = OnceLock::new();
    php_image(alpine, docker, "run-php-fpm.toml", &LOADED)
}

fn nginx_php_fpm(alpine: &Alpine, docker: &Engine) -> &'static str {
    static LOADED: OnceLock<String> = OnceLock::new();
    php_image(alpine, docker, "run-nginx-php-fpm.toml", &LOADED)
}

/// A healthy container of `image`.
fn healthy<'a>(docker: &'a Engine, image: &str, options: &[&str]) -> Container<'a> {
    let container = Container::start(docker, image, &[&READ_ONLY[..], options].concat());
    container.wait_until_healthy();
    container
}

/// Asks PHP-FPM, from a container in its network, for `script` of the application with `query`, and does not wait for the answer.
fn ask(peer: &Container<'_>, script: &str, query: &str) -> Child {
    let file = format!("/var/www/html{script}");
    let parameters = [
        ("REQUEST_METHOD", "GET"),
        ("SCRIPT_NAME", script),
        ("SCRIPT_FILENAME", &*file),
        ("QUERY_STRING", query),
    ];
    peer.spawn(&["cgi-fcgi", "-bind", "-connect", "127.0.0.1:9000"], &parameters, b"")
}

/// What PHP-FPM answers to [`ask`].
fn answer(peer: &Container<'_>, script: &str, query: &str) -> String {
    text_of(script, ended(ask(peer, script, query)))
}

/// What nginx answers `peer` at `address`: the headers as standard error, the body as standard output.
fn get(peer: &Container<'_>, address: &str) -> Output {
    peer.exec(&["wget", "-S", "-O", "-", &format!("{SITE}{address}")])
}

/// The body that nginx answers to `peer` at `address`, which is no error.
fn page(peer: &Container<'_>, address: &str) -> String {
    text_of(address, get(peer, address))
}

/// What nginx refuses `peer` at `address` with.
fn refusal(peer: &Container<'_>, address: &str) -> String {
    let answer = get(peer, address);
    assert!(!answer.status.success() && answer.stdout.is_empty(), "{address} is answered: {answer:?}");
    let words = String::from_utf8_lossy(&answer.stderr);
    let line = words.lines().find_map(|line| line.strip_prefix("wget: server returned error: HTTP/1.1 "));
    line.unwrap_or_else(|| panic!("{address}: {words}")).to_owned()
}

/// The value of the fact `name` that the application says.
fn fact<'a>(page: &'a str, name: &str) -> &'a str {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    line.unwrap_or_else(|| panic!("no {name} in {page}"))
}

#[test]
fn php_fpm_answers_in_a_read_only_container_of_nobody_special() {
    let test = "php_fpm_answers_in_a_read_only_container_of_nobody_special";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(docker) = need::docker(test) else { return };
    let image = php_fpm(&alpine, docker);

    let fpm = healthy(docker, image, &[ALONE, "--user=82"]);

    let page = answer(&fpm, "/index.php", "mistake=1");
    assert!(page.contains("\r\n\r\nversion=7.1.2\n"), "{page}");
    assert_eq!(fact(&page, "user"), "82:82");
    assert_eq!(fact(&page, "query"), "mistake=1");
    assert_eq!(fact(&page, "greeting"), "hello from outside");
    assert!(answer(&fpm, "/ping", "").ends_with("\r\n\r\npong"));
    let status = answer(&fpm, "/status", "");
    assert!(status.contains("pool:                 www\n"), "{status}");
    assert!(answer(&fpm, "/site.css", "").contains("Access denied."), "a file that is no script is run");
    let log = fpm.logs();
    let has_line = |start: &str, end: &str| {
        log.lines().any(|line| line.contains(start) && line.trim_end_matches('"').ends_with(end))
    };
    let warning = "PHP Warning:  a mistake on purpose in /var/www/html/index.php on line";
    assert!(log.contains(warning) && !page.contains("a mistake on purpose"), "{page}{log}");
    assert!(has_line("127.0.0.1 - ", "\"GET /index.php\" 200"), "no request in {log}");
    assert_eq!(fpm.exec_text(&["ls", "/tmp"]), "", "a file was left");
    assert!(!fpm.exec(&["touch", "/var/www/html/x"]).status.success(), "it is not read-only");
}

#[test]
fn php_fpm_answers_what_it_has_begun_when_it_is_stopped() {
    let test = "php_fpm_answers_what_it_has_begun_when_it_is_stopped";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(docker) = need::docker(test) else { return };
    let image = php_fpm(&alpine, docker);
    let peer = Container::idle(docker, image);
    let fpm = healthy(docker, image, &[&peer.network()]);

    let asked = ask(&peer, "/index.php", "seconds=3");
    fpm.wait_for_log("the request has begun");
    let took = fpm.stop();

    let page = text_of("the answer", ended(asked));
    assert_eq!(fact(&page, "greeting"), "hello from outside", "the answer is not complete");
    assert_eq!(fpm.exit_code(), 0);
    assert!(took > Duration::from_secs(2) && took < GRACE, "stopping took {took:?}");
}

#[test]
fn the_image_of_php_fpm_is_set_up_as_the_profile_says() {
    let test = "the_image_of_php_fpm_is_set_up_as_the_profile_says";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(docker) = need::docker(test) else { return };
    let image = php_fpm(&alpine, docker);

    let config = &docker.inspect(image)["Config"];
    assert_eq!(config["User"], "82:82");
    assert_eq!(config["Cmd"], json!(["php-fpm", "--nodaemonize"]));
    assert_eq!(config["WorkingDir"], "/var/www/html");
    assert_eq!(config["ExposedPorts"], json!({ "9000/tcp": {} }));
    assert_eq!(config["StopSignal"], "SIGQUIT");
    assert_eq!(config["Healthcheck"]["Test"][0], "CMD-SHELL");

    let checked = docker.run(image, &["php-fpm", "-t"], &[]);
    let words = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && words.contains("/php7/php-fpm.conf test is successful"), "{words}");
    // The profile takes the place of the package's pool, and the image's own apk sees no other difference.
    let changed = docker.run_text(image, &["apk", "audit"]);
    let mut changed: Vec<&str> = changed.lines().filter(|line| line.contains("php")).collect();
    changed.sort_unstable();
    assert_eq!(changed, ["A etc/php7/conf.d/90-container.ini", "U etc/php7/php-fpm.d/www.conf"]);
}

#[test]
fn a_file_that_sorts_later_adds_to_the_pool() {
    let test = "a_file_that_sorts_later_adds_to_the_pool";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(docker) = need::docker(test) else { return };
    let image = php_fpm(&alpine, docker);
    let dir = Dir::new();
    let file = dir.write("zz-app.conf", "[www]\npm.max_children = 20\n");

    let volume = format!("--volume={}:/etc/php7/php-fpm.d/zz-app.conf:ro", file.display());
    let shown = docker.run(image, &["php-fpm", "-tt"], &[&volume]);

    let words = String::from_utf8_lossy(&shown.stderr);
    for (setting, value) in [("listen", "9000"), ("pm.max_children", "20"), ("clear_env", "no")] {
        let is_of = |line: &&str| line.contains(&format!("\t{setting} = "));
        let lines: Vec<&str> = words.lines().filter(is_of).collect();
        let is_value = |line: &&str| line.ends_with(&format!(" = {value}"));
        assert!(!lines.is_empty() && lines.iter().all(is_value), "{lines:?} of {words}");
    }
}

#[test]
fn nginx_and_php_fpm_answer_over_http_in_a_read_only_container() {
    let test = "nginx_and_php_fpm_answer_over_http_in_a_read_only_container";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(docker) = need::docker(test) else { return };
    let image = nginx_php_fpm(&alpine, docker);

    let web = healthy(docker, image, &[ALONE, "--user=82"]);

    let home = page(&web, "/?a=b&c");
    let facts = ["version", "user", "method", "query", "script", "path", "greeting"];
    assert_eq!(
        facts.map(|name| fact(&home, name)),
        ["7.1.2", "82:82", "GET", "a=b&c", "/index.php", "-", "hello from outside"]
    );
    let below = page(&web, "/index.php/a/b%20c?d=e");
    let facts = ["query", "script", "path"];
    assert_eq!(facts.map(|name| fact(&below, name)), ["d=e", "/index.php", "/a/b c"]);
    let elsewhere = page(&web, "/any/where?x=y");
    assert_eq!(facts.map(|name| fact(&elsewhere, name)), ["x=y", "/index.php", "-"]);
    assert_eq!(page(&web, "/index.php"), page(&web, "/"));
    assert_eq!(page(&web, "/other.php"), "other=yes\n");
    let sent = ["wget", "-O", "-", "--post-data", "field=what+was+sent", &format!("{SITE}/index.php?q")];
    let sent = web.exec_text(&sent);
    assert_eq!(["method", "form"].map(|name| fact(&sent, name)), ["POST", "what was sent"]);

    let style = get(&web, "/site.css");
    assert_eq!(style.stdout, b"body { color: black }\n");
    let headers = String::from_utf8_lossy(&style.stderr);
    assert!(headers.contains("  Content-Type: text/css\n"), "{headers}");
    assert_eq!(refusal(&web, "/.env"), "403 Forbidden");
    assert_eq!(refusal(&web, "/missing.php"), "404 Not Found");
    assert_eq!(refusal(&web, "/OTHER.PHP"), "404 Not Found", "the same script, and another file");
    assert_eq!(refusal(&web, "/site.css/x.php"), "403 Forbidden", "a file that is no script is run");
    assert_eq!(page(&web, "/healthz"), "pong");

    page(&web, "/?mistake=1");
    let log = web.logs();
    let warnings = log.lines().filter(|line| line.contains("PHP Warning:  a mistake on purpose"));
    assert_eq!(warnings.count(), 1, "{log}");
    let requests = log.lines().filter(|line| line.contains("\"GET /?mistake=1 HTTP/1.1\" 200 "));
    assert_eq!(requests.count(), 1, "{log}");
    assert!(!log.contains("/healthz"), "{log}");
}

#[test]
fn nginx_and_php_fpm_answer_what_they_have_begun_when_they_are_stopped() {
    let test = "nginx_and_php_fpm_answer_what_they_have_begun_when_they_are_stopped";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(docker) = need::docker(test) else { return };
    let image = nginx_php_fpm(&alpine, docker);
    let peer = Container::idle(docker, image);
    let web = healthy(docker, image, &[&peer.network()]);

    let asked = peer.spawn(&["wget", "-O", "-", &format!("{SITE}/?seconds=3")], &[], b"");
    web.wait_for_log("the request has begun");
    let took = web.stop();

    let page = text_of("the answer", ended(asked));
    assert_eq!(fact(&page, "greeting"), "hello from outside", "the answer is not complete");
    assert_eq!(web.exit_code(), 0);
    assert!(took > Duration::from_secs(2) && took < GRACE, "stopping took {took:?}");
}

#[test]
fn requests_without_end_do_not_keep_nginx_and_php_fpm_from_stopping() {
    let test = "requests_without_end_do_not_keep_nginx_and_php_fpm_from_stopping";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(docker) = need::docker(test) else { return };
    let image = nginx_php_fpm(&alpine, docker);
    let peer = Container::idle(docker, image);
    let web = healthy(docker, image, &[&peer.network()]);

    let asked = peer.spawn(&["wget", "-O", "-", &format!("{SITE}/?seconds=3600")], &[], b"");
    web.wait_for_log("the request has begun");
    let took = web.stop();

    assert!(!ended(asked).status.success());
    assert_eq!(web.exit_code(), 0, "it was killed");
    assert!(took < GRACE, "stopping took {took:?}");
}

#[test]
fn a_container_ends_in_failure_when_nginx_or_php_fpm_does() {
    let test = "a_container_ends_in_failure_when_nginx_or_php_fpm_does";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(docker) = need::docker(test) else { return };
    let image = nginx_php_fpm(&alpine, docker);

    for (program, signal) in [("php-fpm", "KILL"), ("php-fpm", "QUIT"), ("nginx", "KILL"), ("nginx", "TERM")]
    {
        let web = healthy(docker, image, &[ALONE]);
        // What others leave behind is no reason to end.
        web.exec_text(&["sh", "-c", "(sh -c 'exit 3' &) ; (sleep 0.01 &)"]);
        assert_eq!(page(&web, "/healthz"), "pong");

        web.exec_text(&["sh", "-c", &format!("kill -{signal} $(pgrep -f '^{program}: master')")]);

        assert_eq!(web.exit_code(), 1, "after SIG{signal} to {program}");
        let log = web.logs();
        assert!(log.contains(&format!("{program} has ended, which nobody told it to")), "{log}");
    }
}

#[test]
fn a_container_ends_in_failure_when_nginx_or_php_fpm_cannot_start() {
    let test = "a_container_ends_in_failure_when_nginx_or_php_fpm_cannot_start";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(docker) = need::docker(test) else { return };
    let image = nginx_php_fpm(&alpine, docker);

    for (program, file) in [("php-fpm", "/etc/php7/php-fpm.d/www.conf"), ("nginx", "/etc/nginx/nginx.conf")] {
        let empty = format!("--volume=/dev/null:{file}");
        let done = docker.run(image, &[], &[&READ_ONLY[..], &[&empty]].concat());

        let words = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{words}");
        assert!(words.contains(&format!("{program} cannot start")), "{words}");
    }
}

#[test]
fn nginx_serves_a_site_in_a_read_only_container() {
    let test = "nginx_serves_a_site_in_a_read_only_container";
    let Some(alpine) = need::alpine(test) else { return };
    let Some(docker) = need::docker(test) else { return };
    let dir = Dir::new();
    let data = format!("data={}", alpine.root().display());
    build(&dir, &alpine, profile("run-nginx.toml")).args(["--set", &data, "-o", "nginx.tar"]).success();
    let image = docker.load(&dir.join("nginx.tar")).concat();

    let nginx = healthy(docker, &image, &[ALONE]);

    let home = get(&nginx, "/");
    assert_eq!(home.stdout, b"<h1>it works</h1>\n");
    let headers = String::from_utf8_lossy(&home.stderr);
    assert!(
        headers.contains("  Content-Type: text/html\n") && headers.contains("  Server: nginx\n"),
        "{headers}"
    );
    assert_eq!(refusal(&nginx, "/missing"), "404 Not Found");
    assert_eq!(nginx.exec_text(&["id", "-u"]), "101\n");
    assert!(nginx.stop() < GRACE);
    assert_eq!(nginx.exit_code(), 0);
    let log = nginx.logs();
    assert!(log.contains("\"GET / HTTP/1.1\" 200 18 ") && !log.contains("/healthz"), "{log}");
    let config = &docker.inspect(&image)["Config"];
    assert_eq!(config["ExposedPorts"], json!({ "8080/tcp": {} }));
    assert_eq!(config["StopSignal"], "SIGQUIT");
}
