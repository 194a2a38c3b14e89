//! Matching a text against a pattern with wildcards, in time bounded by the pattern's length times the text's.
//!
//! A [`Program`] is the pattern as a list of instructions. All its states are followed at once, so no pattern makes
//! it go back in the text, whatever its stars and alternatives are; memory is proportional to the program. What the
//! letters of a pattern mean is decided by the module that makes the program: apk's globs and those of profiles differ.
//!
//! Source: K. Thompson, "Regular Expression Search Algorithm", 1968.

/// An instruction of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// Takes this character.
    One(char),
    /// Takes any character.
    Any,
    /// Takes any character but a slash.
    AnyButSlash,
    /// Takes one of these characters.
    Of(Letters),
    /// Takes nothing and goes on at both instructions.
    Split(usize, usize),
    /// Takes nothing and goes on at that instruction.
    Jump(usize),
}

impl Instruction {
    /// Whether it takes `letter`; nothing if it takes no character at all.
    fn takes(&self, letter: char) -> Option<bool> {
        match self {
            Self::One(wanted) => Some(*wanted == letter),
            Self::Any => Some(true),
            Self::AnyButSlash => Some(letter != '/'),
            Self::Of(letters) => Some(letters.contains(letter)),
            Self::Split(..) | Self::Jump(_) => None,
        }
    }
}

/// A set of characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letters {
    /// Sorted, and apart from one another.
    ranges: Box<[(char, char)]>,
    is_complement: bool,
}

impl Letters {
    /// The characters in any of the `ranges`, first and last included.
    pub fn in_ranges(mut ranges: Vec<(char, char)>) -> Self {
        ranges.retain(|(first, last)| first <= last);
        ranges.sort_unstable();
        let mut merged: Vec<(char, char)> = Vec::new();
        for (first, last) in ranges {
            match merged.last_mut() {
                Some((_, end)) if first <= *end => *end = last.max(*end),
                _ => merged.push((first, last)),
            }
        }
        Self { ranges: merged.into(), is_complement: false }
    }

    /// All characters that are not in the set.
    #[must_use]
    pub fn complement(self) -> Self {
        Self { is_complement: !self.is_complement, ..self }
    }

    /// Whether `letter` is one of them.
    pub fn contains(&self, letter: char) -> bool {
        let at = self.ranges.partition_point(|(_, last)| *last < letter);
        self.ranges.get(at).is_some_and(|(first, _)| *first <= letter) != self.is_complement
    }
}

/// A pattern, as instructions.
///
/// It begins at the first instruction, and a text matches if its end can be reached behind the last one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Program {
    instructions: Vec<Instruction>,
}

impl Program {
    /// How many instructions there are: where the next one will stand.
    pub fn len(&self) -> usize {
        self.instructions.len()
    }

    /// Whether there is none, so that only the empty text matches.
    pub fn is_empty(&self) -> bool {
        self.instructions.is_empty()
    }

    /// Appends an instruction.
    pub fn push(&mut self, instruction: Instruction) {
        self.instructions.push(instruction);
    }

    /// Takes the last instruction away.
    pub fn pop(&mut self) {
        self.instructions.pop();
    }

    /// Appends what takes as many characters as there are of the kind that `one` takes.
    pub fn push_any_number_of(&mut self, one: Instruction) {
        let start = self.len();
        self.push(Instruction::Split(start + 1, start + 3));
        self.push(one);
        self.push(Instruction::Jump(start));
    }

    /// Whether it ends with what takes any number of characters of a kind.
    pub fn ends_with_any_number(&self) -> bool {
        matches!(self.instructions.last(), Some(Instruction::Jump(_)))
    }

    /// Replaces the instruction at `place`: where to go on is often known only later.
    pub fn replace(&mut self, place: usize, instruction: Instruction) {
        if let Some(there) = self.instructions.get_mut(place) {
            *there = instruction;
        }
    }

    /// Whether the whole of `text` matches. `steps` grows by what that took.
    pub fn matches(&self, text: impl Iterator<Item = char>, steps: &mut u64) -> bool {
        let (mut now, mut next) = (States::new(self.len()), States::new(self.len()));
        self.reach(0, &mut now);
        for letter in text {
            *steps += 1 + now.places.len() as u64;
            if now.places.is_empty() {
                return false;
            }
            next.clear();
            for place in &now.places {
                let instruction = self.instructions.get(*place);
                if instruction.and_then(|instruction| instruction.takes(letter)) == Some(true) {
                    self.reach(place + 1, &mut next);
                }
            }
            std::mem::swap(&mut now, &mut next);
        }
        now.has(self.len())
    }

    /// Puts `place` into `states`, and all that is reached from there without taking a character.
    fn reach(&self, place: usize, states: &mut States) {
        states.waiting.push(place);
        while let Some(place) = states.waiting.pop() {
            if !states.insert(place) {
                continue;
            }
            match self.instructions.get(place) {
                Some(Instruction::Split(one, other)) => states.waiting.extend([*other, *one]),
                Some(Instruction::Jump(to)) => states.waiting.push(*to),
                _ => {}
            }
        }
    }
}

/// Places of a program, each at most once.
struct States {
    places: Vec<usize>,
    is_in: Vec<bool>,
    /// Places that are still to be looked at.
    waiting: Vec<usize>,
}

impl States {
    fn new(length: usize) -> Self {
        Self { places: Vec::new(), is_in: vec![false; length + 1], waiting: Vec::new() }
    }

    fn has(&self, place: usize) -> bool {
        self.is_in.get(place).is_some_and(|is_in| *is_in)
    }

    /// Whether it was not in yet.
    fn insert(&mut self, place: usize) -> bool {
        let Some(is_in) = self.is_in.get_mut(place) else { return false };
        let is_new = !std::mem::replace(is_in, true);
        if is_new {
            self.places.push(place);
        }
        is_new
    }

    fn clear(&mut self) {
        for place in self.places.drain(..) {
            if let Some(is_in) = self.is_in.get_mut(place) {
                *is_in = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_characters_are_what_their_ranges_cover() {
        let letters = Letters::in_ranges(vec![('x', 'z'), ('a', 'c'), ('b', 'd'), ('9', '0')]);
        let inside: String = ('0'..='z').filter(|letter| letters.contains(*letter)).collect();
        assert_eq!(inside, "abcdxyz");
        let outside = letters.complement();
        assert!(outside.contains('9') && !outside.contains('a'));
        assert!(!Letters::in_ranges(Vec::new()).contains('a'));
    }

    #[test]
    fn no_pattern_takes_more_steps_than_its_length_times_the_texts() {
        // `*a*a*a...b` on many `a`: what goes back in the text needs years.
        let mut program = Program::default();
        for _ in 0..50 {
            program.push_any_number_of(Instruction::AnyButSlash);
            program.push(Instruction::One('a'));
        }
        program.push(Instruction::One('b'));
        let mut steps = 0;
        assert!(!program.matches("a".repeat(200).chars(), &mut steps));
        assert!(steps <= 201 * (program.len() as u64 + 2), "{steps}");
        assert!(program.matches(("a".repeat(200) + "b").chars(), &mut steps));
    }
}
