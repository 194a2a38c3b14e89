//! Over HTTP, from a server on this machine that takes 20 ms for each request before it answers.
//!
//! Three things by turns:
//!
//! - *apk*: `apk add --no-scripts --no-cache` of the real apk in a chroot of the unpacked minirootfs: two indexes and
//!   the packages, one after another (unpacking the minirootfs is not counted). It ends with a root filesystem; what
//!   makes an image of that, `tar | gzip -6`, is measured apart;
//! - *image*: `apkcompose build --scripts skip` with an empty store, to an archive: the list of releases, checksums,
//!   the minirootfs, the indexes, the packages, and everything up to the compressed image;
//! - *root filesystem*: the same to a tar of the root filesystem, which is as much as apk has done.
//!
//! The server is in this process and works on the same processors as those it serves.

use std::time::Duration;

use crate::place::{PACKAGES, Place};
use crate::support::server::site::Site;
use crate::support::server::{Server, Setup};
use crate::table::{self, Row, together};

/// How long each request takes at least.
const LATENCY: Duration = Duration::from_millis(20);

/// Measures `rounds`.
pub(crate) fn measure(place: &Place, rounds: usize) -> Result<(), String> {
    let server = Setup::of(Site::directory(&place.alpine().mirror())).latency(LATENCY).start();
    let (mut added, mut packed, mut images, mut trees) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut of_apk, mut ours) = (String::new(), String::new());
    for _ in 0..rounds {
        place.unpack();
        server.log().clear();
        added.push(place.add(&["--no-cache"], &server.url())?);
        of_apk = asked(&server);
        packed.push(place.pack()?);

        place.cool();
        server.log().clear();
        images.push(place.build("archive", &server.url())?);
        ours = asked(&server);

        place.cool();
        trees.push(place.build("tar", &server.url())?);
    }

    let (packages, _) = place.sizes();
    println!("{} over the minirootfs of 3.19", PACKAGES.join(" "));
    println!("{packages} packages, {} ms of latency, stores cold, rounds: {rounds}", LATENCY.as_millis());
    println!("apk: {of_apk}\napkcompose: {ours}\n");
    let apk = Row { name: "apk add", figures: &added };
    let apk_image = Row { name: "apk add, then tar | gzip -6", figures: &together(&added, &packed) };
    let image = Row { name: "apkcompose, image", figures: &images };
    let tree = Row { name: "apkcompose, root filesystem", figures: &trees };
    table::print(&[&apk, &apk_image, &image, &tree]);
    table::print_ratios(&[&image, &tree], &apk);
    table::print_ratios(&[&image], &apk_image);
    Ok(())
}

/// What was asked of the server since its log was cleared.
fn asked(server: &Server) -> String {
    let log = server.log();
    format!(
        "{} requests over {} connections, at most {} at once",
        log.requests().len(),
        log.connections(),
        log.most_at_once()
    )
}
