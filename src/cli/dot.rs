//! Drawings in the language of Graphviz.

use std::fmt::Write as _;

use crate::compose::drawing::{Arrow, Drawing};

/// The drawing as a file for `dot`.
pub(super) fn text(drawing: &Drawing) -> String {
    let mut text = "digraph packages {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
    for (number, labelled) in drawing.boxes.iter().enumerate() {
        let style = match (number, labelled.stands_out) {
            (0, _) => ", shape=ellipse",
            (_, true) => ", style=bold",
            (_, false) => "",
        };
        let _ = writeln!(text, "  n{number} [label={}{style}];", quoted(&labelled.label));
    }
    for Arrow { from, to, labels, comes_by_itself } in &drawing.arrows {
        let style = if *comes_by_itself { ", style=dashed" } else { "" };
        let _ = writeln!(text, "  n{from} -> n{to} [label={}{style}];", quoted(&labels.join("\n")));
    }
    text + "}\n"
}

/// A text as Graphviz quotes it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            control if control.is_control() => quoted.push('?'),
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::drawing::Labelled;

    #[test]
    fn what_others_wrote_stays_inside_its_quotes() {
        let drawing = Drawing {
            boxes: vec![
                Labelled { label: "world".to_owned(), stands_out: false },
                Labelled { label: "a\"];x\\".to_owned(), stands_out: true },
            ],
            arrows: vec![Arrow {
                from: 0,
                to: 1,
                labels: vec!["a".into(), "so:a".into()],
                comes_by_itself: true,
            }],
        };
        assert_eq!(
            text(&drawing),
            "digraph packages {\n  rankdir=LR;\n  node [shape=box];\n  n0 [label=\"world\", shape=ellipse];\n  \
             n1 [label=\"a\\\"];x\\\\\", style=bold];\n  n0 -> n1 [label=\"a\\nso:a\", style=dashed];\n}\n"
        );
    }
}
