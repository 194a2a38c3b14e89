//! From a directory.
//!
//! Three things by turns:
//!
//! - *apk*: `apk add --no-scripts` of the real apk in a chroot of the unpacked minirootfs, then `tar | gzip -6` of
//!   the result (unpacking the minirootfs is not counted, though apkcompose does its own);
//! - *cold*: `apkcompose build --scripts skip` with an empty store, to an archive;
//! - *warm*: the same again with the store the cold one left.

use crate::place::{MIRROR, PACKAGES, Place};
use crate::table::{self, Row, together};

/// Measures `rounds`.
pub(crate) fn measure(place: &Place, rounds: usize) -> Result<(), String> {
    let mirror = place.alpine().mirror().to_string_lossy().into_owned();
    let (mut added, mut packed, mut cold, mut warm) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        place.unpack();
        added.push(place.add(&["--no-network"], MIRROR)?);
        packed.push(place.pack()?);
        place.cool();
        cold.push(place.build("archive", &mirror)?);
        warm.push(place.build("archive", &mirror)?);
    }

    let (packages, megabytes) = place.sizes();
    println!("{} over the minirootfs of 3.19", PACKAGES.join(" "));
    println!("{packages} packages, {megabytes} MB of tar, rounds: {rounds}\n");
    let apk = Row { name: "apk, then tar | gzip -6", figures: &together(&added, &packed) };
    let ours = [
        Row { name: "apkcompose, store cold", figures: &cold },
        Row { name: "apkcompose, store warm", figures: &warm },
    ];
    table::print(&[&apk, &ours[0], &ours[1]]);
    table::print_ratios(&[&ours[0], &ours[1]], &apk);
    Ok(())
}
