//! Figures as they are printed: least, middle and greatest of wall time, processor time and memory.

use crate::support::figures::{Figures, Spread};

/// How wide the names are.
const NAME: usize = 32;

/// Something that was measured, round by round.
pub(crate) struct Row<'a> {
    pub(crate) name: &'a str,
    pub(crate) figures: &'a [Figures],
}

/// Prints `rows`.
pub(crate) fn print(rows: &[&Row<'_>]) {
    println!("{:NAME$}{:^26}{:^26}{:^23}", "", "wall (s)", "CPU (s)", "peak (MiB)");
    let heads = ["min", "median", "max"].map(|head| format!("{head:>7}")).join(" ");
    println!("{:NAME$}{heads:26}{heads:26}{heads}", "");
    for Row { name, figures } in rows.iter().filter(|row| !row.figures.is_empty()) {
        line(name, |column| Spread::of(figures.iter().map(column)));
    }
}

/// Prints the ratios of `rows` to `base`, round by round.
pub(crate) fn print_ratios(rows: &[&Row<'_>], base: &Row<'_>) {
    println!("\nratio to {}, round by round", base.name);
    for Row { name, figures } in rows.iter().filter(|row| !row.figures.is_empty()) {
        line(name, |column| {
            let numbers = |figures: &[Figures]| figures.iter().map(column).collect::<Vec<_>>();
            Spread::of_ratios(&numbers(figures), &numbers(base.figures))
        });
    }
}

/// Prints what `spread` makes of each of the three columns.
fn line(name: &str, spread: impl Fn(fn(&Figures) -> f64) -> Spread) {
    let columns: [fn(&Figures) -> f64; 3] =
        [|figures| figures.wall, |figures| figures.cpu, |figures| figures.peak];
    let [wall, cpu, peak] = columns.map(|column| spread(column).to_string());
    println!("{name:NAME$}{wall:26}{cpu:26}{peak}");
}

/// The figures of one thing done after another.
pub(crate) fn together(first: &[Figures], then: &[Figures]) -> Vec<Figures> {
    let both = |(first, then): (&Figures, &Figures)| Figures {
        wall: first.wall + then.wall,
        cpu: first.cpu + then.cpu,
        peak: first.peak.max(then.peak),
    };
    first.iter().zip(then).map(both).collect()
}
