//! Progress: bars on a terminal, plain lines elsewhere, objects for programs.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::args::{Progress, Words};
use super::interrupt::Interrupt;
use super::render::{self, Look, counted, indented};
use crate::report::{Reporter, Step};

/// A bar that would be gone sooner than this is not drawn.
const PATIENCE: Duration = Duration::from_millis(150);

/// The reporter that the command line asked for.
pub(super) fn reporter(words: &Words, interrupt: &Interrupt) -> Box<dyn Reporter> {
    let voice = Voice { look: Look::of_terminal(), quiet: words.quiet, interrupt: interrupt.clone() };
    let is_terminal = std::io::stderr().is_terminal();
    match words.progress {
        _ if words.quiet => Box::new(voice),
        Progress::None => Box::new(voice),
        Progress::Auto if is_terminal => Box::new(Bars::new(voice)),
        Progress::Auto | Progress::Plain => {
            Box::new(Lines { voice, verbose: words.verbose, begun: Mutex::default() })
        }
        Progress::Json => Box::new(Objects { voice }),
    }
}

/// Notes and warnings, and no progress.
struct Voice {
    look: Look,
    quiet: bool,
    interrupt: Interrupt,
}

impl Reporter for Voice {
    fn note(&self, message: &str) {
        if !self.quiet {
            render::words(&format!("{}: {}\n", self.look.note(), indented(message)));
        }
    }

    fn warn(&self, message: &str) {
        if !self.quiet {
            render::words(&format!("{}: {}\n", self.look.warning(), indented(message)));
        }
    }

    fn interrupted(&self) -> bool {
        self.interrupt.is_asked()
    }
}

/// How the amounts of a step are counted.
fn is_counted_in_bytes(step: Step) -> bool {
    match step {
        Step::Fetch | Step::Squash | Step::Emit => true,
        Step::Indexes | Step::Stage => false,
    }
}

/// What was done when `step` is over.
fn done(step: Step, total: u64) -> String {
    match step {
        Step::Indexes => format!("{total} verified"),
        Step::Fetch => format!("{} verified", render::bytes(total)),
        Step::Stage => counted(total, "package", "packages"),
        Step::Squash => format!("a layer of {}", render::bytes(total)),
        Step::Emit => format!("{} written", render::bytes(total)),
    }
}

/// A bar a step.
struct Bars {
    voice: Voice,
    all: MultiProgress,
    shown: Mutex<HashMap<Step, (ProgressBar, Instant)>>,
}

impl Bars {
    fn new(voice: Voice) -> Self {
        Self { voice, all: MultiProgress::new(), shown: Mutex::default() }
    }

    fn style(step: Step) -> ProgressStyle {
        let amount =
            if is_counted_in_bytes(step) { "{decimal_bytes}/{decimal_total_bytes}" } else { "{pos}/{len}" };
        let template = format!("{{prefix:>9}} [{{bar:24}}] {amount} {{wide_msg}}");
        ProgressStyle::with_template(&template)
            .map_or_else(|_| ProgressStyle::default_bar(), |style| style.progress_chars("=> "))
    }

    fn with<T>(&self, step: Step, then: impl FnOnce(&ProgressBar, Instant) -> T) -> Option<T> {
        let bars = self.shown.lock().ok()?;
        let (bar, begun) = bars.get(&step)?;
        Some(then(bar, *begun))
    }
}

/// A bar that a failure cut short does not stay above the error.
impl Drop for Bars {
    fn drop(&mut self) {
        for (bar, _) in self.shown.get_mut().into_iter().flat_map(|shown| shown.values()) {
            bar.finish_and_clear();
        }
    }
}

impl Reporter for Bars {
    fn begin(&self, step: Step, total: u64) {
        let bar = ProgressBar::hidden().with_style(Self::style(step)).with_prefix(step.to_string());
        bar.set_length(total);
        if let Ok(mut bars) = self.shown.lock() {
            bars.insert(step, (bar, Instant::now()));
        }
    }

    fn advance(&self, step: Step, amount: u64, object: &str) {
        self.with(step, |bar, begun| {
            bar.inc(amount);
            bar.set_message(object.to_owned());
            if bar.is_hidden() && begun.elapsed() > PATIENCE {
                self.all.add(bar.clone());
            }
        });
    }

    fn end(&self, step: Step) {
        self.with(step, |bar, _| bar.finish_and_clear());
    }

    fn note(&self, message: &str) {
        self.all.suspend(|| self.voice.note(message));
    }

    fn warn(&self, message: &str) {
        self.all.suspend(|| self.voice.warn(message));
    }

    fn interrupted(&self) -> bool {
        self.voice.interrupted()
    }
}

/// A line when a step is over; with more words, one for each thing it was about.
struct Lines {
    voice: Voice,
    verbose: bool,
    begun: Mutex<HashMap<Step, (Instant, u64)>>,
}

impl Reporter for Lines {
    fn begin(&self, step: Step, total: u64) {
        if let Ok(mut begun) = self.begun.lock() {
            begun.insert(step, (Instant::now(), total));
        }
    }

    fn advance(&self, step: Step, _amount: u64, object: &str) {
        let names_things = matches!(step, Step::Indexes | Step::Stage);
        if self.verbose && names_things && !object.is_empty() {
            render::words(&format!("{step}: {object}\n"));
        }
    }

    fn end(&self, step: Step) {
        let Some((begun, total)) = self.begun.lock().ok().and_then(|mut begun| begun.remove(&step)) else {
            return;
        };
        // Nothing had to be done: no line.
        if total > 0 {
            render::words(&format!("{step}: {} in {}\n", done(step, total), render::time(begun.elapsed())));
        }
    }

    fn note(&self, message: &str) {
        self.voice.note(message);
    }

    fn warn(&self, message: &str) {
        self.voice.warn(message);
    }

    fn interrupted(&self) -> bool {
        self.voice.interrupted()
    }
}

/// A JSON object a line.
struct Objects {
    voice: Voice,
}

impl Objects {
    fn print(object: &serde_json::Value) {
        render::words(&format!("{object}\n"));
    }
}

impl Reporter for Objects {
    fn begin(&self, step: Step, total: u64) {
        Self::print(&serde_json::json!({ "event": "begin", "step": step.to_string(), "total": total }));
    }

    fn advance(&self, step: Step, amount: u64, object: &str) {
        let step = step.to_string();
        Self::print(
            &serde_json::json!({ "event": "advance", "step": step, "amount": amount, "object": object }),
        );
    }

    fn end(&self, step: Step) {
        Self::print(&serde_json::json!({ "event": "end", "step": step.to_string() }));
    }

    fn note(&self, message: &str) {
        Self::print(&serde_json::json!({ "event": "note", "message": message }));
    }

    fn warn(&self, message: &str) {
        Self::print(&serde_json::json!({ "event": "warning", "message": message }));
    }

    fn interrupted(&self) -> bool {
        self.voice.interrupted()
    }
}
