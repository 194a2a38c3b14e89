//! Packages and who needs whom, as something that can be drawn.

use std::collections::BTreeMap;

use super::answer::Answer;
use crate::solve::closure::{Chain, Closure, Dependant, Member};

/// What the world is called in a drawing.
const WORLD: &str = "world";

/// Boxes and arrows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Drawing {
    /// The boxes. The first is the world.
    pub boxes: Vec<Labelled>,
    /// The arrows, from who needs to who is needed.
    pub arrows: Vec<Arrow>,
}

/// A box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labelled {
    /// The package, as `name-version`.
    pub label: String,
    /// Whether it is what was asked about.
    pub stands_out: bool,
}

/// An arrow between two boxes, by their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrow {
    /// From.
    pub from: usize,
    /// To.
    pub to: usize,
    /// What is needed.
    pub labels: Vec<String>,
    /// Whether the package comes by itself, and nobody needs it.
    pub comes_by_itself: bool,
}

impl Drawing {
    /// Everything in the closure of `answer`; those packages stand out that `stands_out` says.
    pub fn of_answer(answer: &Answer<'_>, stands_out: impl Fn(&str) -> bool) -> Option<Self> {
        let closure = answer.closure()?;
        let mut pen = Pen::new(&closure);
        for member in closure.members() {
            pen.dot(member);
            for dependant in closure.dependants(member) {
                pen.draw(dependant, member);
            }
        }
        Some(pen.finish(|member| closure.package(member).is_some_and(|package| stands_out(package.name()))))
    }

    /// Ways from the world to packages, which stand out.
    pub(super) fn of_chains(closure: &Closure<'_>, chains: &[Chain]) -> Self {
        let mut pen = Pen::new(closure);
        for (dependant, member) in chains.iter().flatten() {
            pen.draw(dependant, *member);
        }
        let ends: Vec<Member> = chains.iter().filter_map(|chain| Some(chain.last()?.1)).collect();
        pen.finish(|member| ends.contains(&member))
    }
}

struct Pen<'a> {
    closure: &'a Closure<'a>,
    /// The boxes that are drawn, the world's first.
    drawn: Vec<Option<Member>>,
    arrows: BTreeMap<(usize, usize, bool), Vec<String>>,
}

impl<'a> Pen<'a> {
    fn new(closure: &'a Closure<'a>) -> Self {
        Self { closure, drawn: vec![None], arrows: BTreeMap::new() }
    }

    fn dot(&mut self, member: Member) -> usize {
        let drawn = self.drawn.iter().position(|drawn| *drawn == Some(member));
        drawn.unwrap_or_else(|| {
            self.drawn.push(Some(member));
            self.drawn.len() - 1
        })
    }

    fn draw(&mut self, dependant: &Dependant, member: Member) {
        let to = self.dot(member);
        match dependant {
            Dependant::World(dependency) => self.arrow(0, to, false, dependency.to_string()),
            Dependant::Package(by, needs) => {
                let from = self.dot(*by);
                for need in needs {
                    self.arrow(from, to, false, need.to_string());
                }
            }
            Dependant::InstallIf(with) => {
                for (by, condition) in with {
                    let from = self.dot(*by);
                    self.arrow(from, to, true, condition.to_string());
                }
            }
        }
    }

    fn arrow(&mut self, from: usize, to: usize, comes_by_itself: bool, label: String) {
        let labels = self.arrows.entry((from, to, comes_by_itself)).or_default();
        if !labels.contains(&label) {
            labels.push(label);
        }
    }

    fn finish(self, stands_out: impl Fn(Member) -> bool) -> Drawing {
        let boxes = self.drawn.iter().map(|drawn| match drawn {
            None => Labelled { label: WORLD.to_owned(), stands_out: false },
            Some(member) => Labelled {
                label: self.closure.package(*member).map(|package| package.to_string()).unwrap_or_default(),
                stands_out: stands_out(*member),
            },
        });
        let boxes = boxes.collect();
        let arrows = self.arrows.into_iter();
        let arrows =
            arrows.map(|((from, to, comes_by_itself), labels)| Arrow { from, to, labels, comes_by_itself });
        Drawing { boxes, arrows: arrows.collect() }
    }
}
