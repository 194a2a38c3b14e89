//! The real mirror, over the network and from the disk.

use apkcompose::digest::Sha256;

use crate::support::command::Dir;
use crate::support::data::Alpine;
use crate::support::need;
use crate::support::server::Server;
use crate::support::server::site::Site;

const PROFILE: &str = "\
[alpine]
release = \"3.19\"
arch = [\"x86_64\"]
base-trust = \"checksum\"

[packages]
runtime = [\"git\", \"openssh\", \"jq\"]
";

/// What is built of `mirror`: the digests of the archive and of the tar.
fn built(mirror: &str) -> [Sha256; 2] {
    let dir = Dir::new();
    dir.write("p.toml", PROFILE);
    let command =
        dir.command().args(["--profile", "p.toml", "--quiet", "-o", "x.tar", "-o", "type=tar,dest=root.tar"]);
    command.args(["--mirror", mirror]).success();
    ["x.tar", "root.tar"].map(|name| Sha256::of(&dir.read(name)))
}

fn served(alpine: &Alpine) -> Server {
    Server::of(Site::directory(&alpine.mirror()))
}

#[test]
fn the_real_mirror_gives_the_same_bytes_over_http_and_from_the_disk() {
    let test = "the_real_mirror_gives_the_same_bytes_over_http_and_from_the_disk";
    let Some(alpine) = need::alpine(test) else { return };
    let server = served(&alpine);

    let over_http = built(&server.url());

    assert_eq!(over_http, built(&alpine.mirror().to_string_lossy()));
    assert!(server.log().of(".apk").len() > 10, "{:?}", server.log().lines());
    assert!(
        server.log().requests().iter().all(|logged| logged.status == Some(200)),
        "{:?}",
        server.log().lines()
    );
}
