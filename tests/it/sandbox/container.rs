//! In a container of Docker's defaults, where root may not make namespaces: the usual place for composing in continuous
//! integration.

use std::process::Command;

use super::modes::{Attack, Mode};
use crate::support::command::{BINARY, Dir};
use crate::support::docker::Engine;
use crate::support::need;

/// Makes the image `name` of the program, its libraries and what `attack` takes, each where it is here.
fn image(docker: &Engine, attack: &Attack, name: &str) {
    let dir = Dir::new();
    let copy = "mkdir -p root/tmp && \
                cp --dereference --recursive --parents --target-directory root \
                \"$@\" $(ldd \"$1\" | grep -o '/[^ ]*') && tar -cf root.tar -C root .";
    let copied = Command::new("sh")
        .args(["-euc", copy, "sh", BINARY])
        .args(attack.files())
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
    docker.import(&dir.join("root.tar"), name);
}

#[test]
fn nothing_gets_out_of_a_chroot_in_a_container() {
    let test = "nothing_gets_out_of_a_chroot_in_a_container";
    let (Some(alpine), Some(docker)) = (need::alpine(test), need::docker(test)) else { return };
    let mut attack = Attack::new(&alpine, Mode::Chroot, "exec ATTACKER attempts HOST");
    image(docker, &attack, "sandbox-in-a-container");
    let directory = format!("--workdir={}", attack.dir.path().display());
    let build = [BINARY, "--profile", "p.toml", "--output", "type=tar,dest=tree.tar"];
    let options = [&directory, "--env=HOME=/tmp", "--env=APKCOMPOSE_CACHE_DIR=/tmp/store"];
    let run = docker.run("sandbox-in-a-container", &build, &options);
    let words = String::from_utf8_lossy(&run.stderr);
    attack.host.assert_untouched(&attack.package, &words);
    assert!(run.status.success() && words.contains("shut in by chroot alone"), "{words}");
    let done: Vec<&str> =
        words.lines().filter(|line| line.ends_with(" done") || line.contains(" reached ")).collect();
    assert_eq!(done, Vec::<&str>::new());
    assert!(words.lines().any(|line| line.ends_with(": end")), "{words}");
}
