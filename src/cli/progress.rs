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

/// Shows what a program in the image printed, and which one it was.
fn print_output(program: &str, line: &str) {
    render::words(&format!("{}: {}\n", render::shown(program), render::shown(line)));
}

/// A bar a step, and below it one for each file, or script, that takes its time.
struct Bars {
    voice: Voice,
    all: MultiProgress,
    shown: Mutex<HashMap<Step, Bar>>,
    files: Mutex<HashMap<(Step, String), Bar>>,
}

/// A bar, drawn once it is worth it.
struct Bar {
    bar: ProgressBar,
    begun: Instant,
}

impl Bar {
    fn new(style: ProgressStyle, total: Option<u64>) -> Self {
        let bar = ProgressBar::hidden().with_style(style);
        match total {
            Some(total) => bar.set_length(total),
            None => bar.unset_length(),
        }
        Self { bar, begun: Instant::now() }
    }

    fn advance(&self, amount: u64, all: &MultiProgress) {
        self.bar.inc(amount);
        if self.bar.is_hidden() && self.begun.elapsed() > PATIENCE {
            all.add(self.bar.clone());
        }
    }
}

impl Bars {
    fn new(voice: Voice) -> Self {
        Self { voice, all: MultiProgress::new(), shown: Mutex::default(), files: Mutex::default() }
    }

    /// Of what is no file, a script, only how long it takes is known.
    fn file_style(step: Step) -> ProgressStyle {
        Self::styled(match step {
            Step::Stage => "          {elapsed} {wide_msg}",
            _ => "          [{bar:24}] {decimal_bytes}/{decimal_total_bytes} {wide_msg}",
        })
    }

    fn styled(template: &str) -> ProgressStyle {
        ProgressStyle::with_template(template)
            .map_or_else(|_| ProgressStyle::default_bar(), |style| style.progress_chars("=> "))
    }

    fn style(step: Step) -> ProgressStyle {
        let amount = if is_counted_in_bytes(step) {
            "{decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec}"
        } else {
            "{pos}/{len}"
        };
        Self::styled(&format!("{{prefix:>9}} [{{bar:24}}] {amount} {{wide_msg}}"))
    }
}

/// A bar that a failure cut short does not stay above the error.
impl Drop for Bars {
    fn drop(&mut self) {
        let files = self.files.get_mut().into_iter().flat_map(|files| files.values());
        for Bar { bar, .. } in self.shown.get_mut().into_iter().flat_map(|shown| shown.values()).chain(files)
        {
            bar.finish_and_clear();
        }
    }
}

impl Reporter for Bars {
    fn begin(&self, step: Step, total: u64) {
        let bar = Bar::new(Self::style(step), Some(total));
        bar.bar.set_prefix(step.to_string());
        if let Ok(mut bars) = self.shown.lock() {
            bars.insert(step, bar);
        }
    }

    fn advance(&self, step: Step, amount: u64, object: &str) {
        if let Ok(bars) = self.shown.lock()
            && let Some(bar) = bars.get(&step)
        {
            bar.bar.set_message(render::shown(object));
            bar.advance(amount, &self.all);
        }
    }

    fn advance_file(&self, step: Step, amount: u64, object: &str) {
        if let Ok(files) = self.files.lock()
            && let Some(file) = files.get(&(step, object.to_owned()))
        {
            file.advance(amount, &self.all);
        }
    }

    fn begin_file(&self, step: Step, object: &str, total: Option<u64>) {
        let bar = Bar::new(Self::file_style(step), total);
        bar.bar.set_message(render::shown(object));
        if let Ok(mut files) = self.files.lock() {
            files.insert((step, object.to_owned()), bar);
        }
    }

    fn end_file(&self, step: Step, object: &str) {
        let file = self.files.lock().ok().and_then(|mut files| files.remove(&(step, object.to_owned())));
        if let Some(Bar { bar, .. }) = file {
            bar.finish_and_clear();
            self.all.remove(&bar);
        }
    }

    fn end(&self, step: Step) {
        if let Ok(bars) = self.shown.lock()
            && let Some(Bar { bar, .. }) = bars.get(&step)
        {
            bar.finish_and_clear();
        }
    }

    fn output(&self, program: &str, line: &str) {
        self.all.suspend(|| print_output(program, line));
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
            render::words(&format!("{step}: {}\n", render::shown(object)));
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

    fn output(&self, program: &str, line: &str) {
        print_output(program, line);
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

    fn begin_file(&self, step: Step, object: &str, total: Option<u64>) {
        let step = step.to_string();
        Self::print(
            &serde_json::json!({ "event": "begin-file", "step": step, "object": object, "total": total }),
        );
    }

    fn end_file(&self, step: Step, object: &str) {
        Self::print(&serde_json::json!({ "event": "end-file", "step": step.to_string(), "object": object }));
    }

    fn end(&self, step: Step) {
        Self::print(&serde_json::json!({ "event": "end", "step": step.to_string() }));
    }

    fn output(&self, program: &str, line: &str) {
        Self::print(&serde_json::json!({ "event": "output", "program": program, "line": line }));
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
