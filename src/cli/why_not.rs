//! `apkcompose why-not`.

use std::fmt::Write as _;

use super::args::{AnswerFormat, WhyNot};
use super::render::{self, Failure, indented, shown};
use super::session::answer;
use super::{dot, resolve};
use crate::compose::explain::{self, Verdict, Waiting};

pub(super) fn run(arguments: &WhyNot) -> Result<(), Failure> {
    let why_not =
        answer(&arguments.question, "apkcompose why-not --profile base nginx", |fetcher, draft, options| {
            explain::why_not(fetcher, draft, options, &arguments.subject)
        })?;
    match arguments.question.format {
        AnswerFormat::Text => render::data(&text(&why_not)),
        AnswerFormat::Json => render::data(&render::json(&why_not)),
        AnswerFormat::Dot => render::data(&dot::text(&why_not.drawing)),
    }
}

fn text(why_not: &explain::WhyNot) -> String {
    let subject = &why_not.subject;
    let mut text = match &why_not.verdict {
        Verdict::There { packages } => {
            let packages = packages.join(", ");
            let is = if packages == *subject { String::new() } else { format!(": {packages}") };
            format!("{subject} is in the image{is}\napkcompose why {subject} says why\n")
        }
        Verdict::Pruned { package, at } => {
            format!("{package} is resolved, and {at} takes it out of the image again\n")
        }
        Verdict::Unasked { package, adding, waits_for } => {
            let mut text = format!("nothing asks for {subject}, and nothing stands against it\n");
            if !waits_for.is_empty() {
                let _ = writeln!(
                    text,
                    "{}",
                    shown(&format!("{package} comes by itself once all of this is there:"))
                );
                for Waiting { condition, holds } in waits_for {
                    let _ = writeln!(
                        text,
                        "  {} ({})",
                        shown(condition),
                        if *holds { "so it is" } else { "not so" }
                    );
                }
            }
            let _ = writeln!(text, "asking for it would do this:");
            for line in resolve::text(adding).lines() {
                let _ = writeln!(text, "  {line}");
            }
            text
        }
        Verdict::Refused { message, hint, .. } => {
            let hint = hint.as_ref().map(|hint| format!("hint: {}\n", indented(hint))).unwrap_or_default();
            format!("{}\n{hint}", indented(message))
        }
    };
    for note in &why_not.notes {
        let _ = writeln!(text, "{}", shown(note));
    }
    text
}
