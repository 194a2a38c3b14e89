//! A Dockerfile that makes the same image of its root filesystem: the same configuration, field by field.
//!
//! Every line is an instruction, and every text stands in it so that the builder reads back exactly that:
//! words are quoted where the builder would look into them, and what runs is said in JSON. What an
//! instruction cannot say (a line break in a value) is an error and never left out in silence.
//!
//! Source: Docker's Dockerfile reference; what `docker build` of 20.10 makes of it, tried.

use std::fmt;
use std::time::Duration;

use super::{Healthcheck, ImageConfig};
use crate::kind::{Explain, Kind};

/// What the root filesystem is called beside the Dockerfile.
pub const ROOTFS: &str = "rootfs.tar";
/// The longest line that `docker build` reads, in bytes.
const MAX_LINE: usize = 65_535;

/// The instructions of a Dockerfile, one a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    lines: Vec<String>,
}

/// Something that no instruction of a Dockerfile can say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a Dockerfile cannot say {what}: {flaw}")]
pub struct DockerfileError {
    /// What it is about: "the variable `A`".
    pub what: String,
    /// Why not.
    pub flaw: DockerfileFlaw,
}

/// Why something cannot be said in a Dockerfile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DockerfileFlaw {
    /// An instruction is one line.
    #[error("it has a line break")]
    LineBreak,
    /// A line may not be so long.
    #[error("it takes more than the {MAX_LINE} bytes that a line may have")]
    TooLong,
    /// What stands last in a line is read as something else.
    #[error("it begins or ends with a blank, or ends with a backslash")]
    Ends,
    /// What stands between `=` signs is read as something else.
    #[error("its name has a `=`")]
    Name,
    /// A line for the shell would be read as a list of words.
    #[error("its line would be read as a list of words")]
    List,
}

impl Explain for DockerfileError {
    fn kind(&self) -> Kind {
        Kind::Profile
    }

    fn hint(&self) -> Option<String> {
        Some("change it, or take another output: type=archive and type=oci can say everything".to_owned())
    }
}

impl Dockerfile {
    /// The Dockerfile of an image with this configuration, whose root filesystem lies beside it as [`ROOTFS`].
    pub fn of(config: &ImageConfig) -> Result<Self, DockerfileError> {
        let mut lines = Lines::default();
        let platform = config.arch.platform();
        lines.add("the platform", [format!("# docker build --platform {platform} -t NAME .")])?;
        lines.add("the root filesystem", ["FROM scratch".to_owned(), format!("ADD {ROOTFS} /")])?;
        if !config.author.is_empty() {
            lines.add_raw("the author", "MAINTAINER ", &config.author)?;
        }
        for (name, value) in config.ordered_env() {
            let what = format!("the variable `{name}`");
            lines.add(&what, [format!("ENV {}={}", word(name), word(value))])?;
        }
        for (name, value) in &config.labels {
            let what = format!("the label `{name}`");
            if name.contains('=') {
                return Err(DockerfileError { what, flaw: DockerfileFlaw::Name });
            }
            lines.add(&what, [format!("LABEL {}={}", word(name), word(value))])?;
        }
        for port in &config.exposed_ports {
            lines.add("a port", [format!("EXPOSE {port}")])?;
        }
        // Before the volumes: what is made at a volume's path later is not in the image.
        for (instruction, text) in
            [("WORKDIR", &config.working_dir), ("USER", &config.user), ("STOPSIGNAL", &config.stop_signal)]
        {
            if !text.is_empty() {
                lines.add(instruction, [format!("{instruction} {}", word(text))])?;
            }
        }
        if !config.volumes.is_empty() {
            let volumes: Vec<String> = config.volumes.iter().map(|volume| word(volume)).collect();
            lines.add("the volumes", [format!("VOLUME {}", json(&volumes))])?;
        }
        if let Some(healthcheck) = &config.healthcheck {
            lines.add_healthcheck(healthcheck)?;
        }
        for (instruction, what, words) in
            [("ENTRYPOINT", "the entrypoint", &config.entrypoint), ("CMD", "the command", &config.cmd)]
        {
            if !words.is_empty() {
                lines.add(what, [format!("{instruction} {}", json(words))])?;
            }
        }
        Ok(Self { lines: lines.0 })
    }
}

/// The text of the file.
impl fmt::Display for Dockerfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    /// Adds instructions that say `what`.
    fn add(&mut self, what: &str, lines: impl IntoIterator<Item = String>) -> Result<(), DockerfileError> {
        for line in lines {
            let flaw = match () {
                () if line.contains(['\n', '\r']) => Some(DockerfileFlaw::LineBreak),
                () if line.len() > MAX_LINE => Some(DockerfileFlaw::TooLong),
                () => None,
            };
            if let Some(flaw) = flaw {
                return Err(DockerfileError { what: what.to_owned(), flaw });
            }
            self.0.push(line);
        }
        Ok(())
    }

    /// Adds an instruction that takes everything behind it as it stands, but for blanks around it.
    fn add_raw(&mut self, what: &str, instruction: &str, text: &str) -> Result<(), DockerfileError> {
        if text.trim() != text || text.ends_with('\\') {
            return Err(DockerfileError { what: what.to_owned(), flaw: DockerfileFlaw::Ends });
        }
        self.add(what, [format!("{instruction}{text}")])
    }

    fn add_healthcheck(&mut self, healthcheck: &Healthcheck) -> Result<(), DockerfileError> {
        let what = "the health check";
        let mut options = Vec::new();
        for (option, time) in [
            ("interval", healthcheck.interval),
            ("timeout", healthcheck.timeout),
            ("start-period", healthcheck.start_period),
        ] {
            if let Some(time) = time {
                options.push(format!(" --{option}={}", duration(time)));
            }
        }
        options.extend(healthcheck.retries.map(|retries| format!(" --retries={retries}")));
        let instruction = format!("HEALTHCHECK{}", options.concat());
        match healthcheck.test.as_slice() {
            [kind, words @ ..] if kind == "CMD" => {
                self.add(what, [format!("{instruction} CMD {}", json(words))])
            }
            [kind, line] if kind == "CMD-SHELL" => {
                if serde_json::from_str::<Vec<String>>(line).is_ok() {
                    return Err(DockerfileError { what: what.to_owned(), flaw: DockerfileFlaw::List });
                }
                self.add_raw(what, &format!("{instruction} CMD "), line)
            }
            _ => self.add(what, ["HEALTHCHECK NONE".to_owned()]),
        }
    }
}

/// A word of an instruction that reads back as `text`.
fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@,%~".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for character in text.chars() {
        if matches!(character, '"' | '\\' | '$') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

/// A list of words in JSON, as `docker build` wants what runs to be said.
fn json(words: &[String]) -> String {
    let words: Vec<String> =
        words.iter().map(|word| serde_json::Value::from(word.as_str()).to_string()).collect();
    format!("[{}]", words.join(", "))
}

/// A time in the largest unit that says it whole.
fn duration(time: Duration) -> String {
    let nanoseconds = time.as_nanos();
    let units = [(3_600_000_000_000, "h"), (60_000_000_000, "m"), (1_000_000_000, "s"), (1_000_000, "ms")];
    let whole = units.into_iter().find(|(length, _)| nanoseconds != 0 && nanoseconds.is_multiple_of(*length));
    let (length, unit) = whole.unwrap_or((1, "ns"));
    format!("{}{unit}", nanoseconds / length)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::arch::Arch;
    use crate::image::Epoch;

    fn config() -> ImageConfig {
        ImageConfig::new(Arch::X86_64, Epoch::new(0).unwrap())
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn flaw(config: &ImageConfig) -> DockerfileFlaw {
        Dockerfile::of(config).unwrap_err().flaw
    }

    /// That `docker build` reads back what is meant, the integration tests show.
    #[test]
    fn every_field_has_its_instruction() {
        let config = ImageConfig {
            author: "A. \"B\" <a@b>".to_owned(),
            user: "82:82".to_owned(),
            exposed_ports: BTreeSet::from(["53/udp".to_owned(), "80/tcp".to_owned()]),
            env: pairs(&[("A B", "$x \\ \"y\""), ("EMPTY", ""), ("PATH", "/usr/bin:/bin")]),
            entrypoint: words(&["/sbin/tini", "--"]),
            cmd: words(&["sh", "-c", "echo\n\t\"$x\""]),
            volumes: BTreeSet::from(["/a $b".to_owned(), "/var".to_owned()]),
            working_dir: "/var/www html".to_owned(),
            labels: pairs(&[("org.opencontainers.image.title", "x"), ("word", "two words")]),
            stop_signal: "SIGQUIT".to_owned(),
            healthcheck: Some(Healthcheck {
                test: words(&["CMD", "true"]),
                interval: Some(Duration::from_secs(90)),
                timeout: Some(Duration::from_secs(3600)),
                start_period: Some(Duration::from_millis(1500)),
                retries: Some(3),
            }),
            ..config()
        };
        assert_eq!(
            Dockerfile::of(&config).unwrap().to_string(),
            r#"# docker build --platform linux/amd64 -t NAME .
FROM scratch
ADD rootfs.tar /
MAINTAINER A. "B" <a@b>
ENV PATH=/usr/bin:/bin
ENV "A B"="\$x \\ \"y\""
ENV EMPTY=""
LABEL org.opencontainers.image.title=x
LABEL word="two words"
EXPOSE 53/udp
EXPOSE 80/tcp
WORKDIR "/var/www html"
USER 82:82
STOPSIGNAL SIGQUIT
VOLUME ["\"/a \\$b\"", "/var"]
HEALTHCHECK --interval=90s --timeout=1h --start-period=1500ms --retries=3 CMD ["true"]
ENTRYPOINT ["/sbin/tini", "--"]
CMD ["sh", "-c", "echo\n\t\"$x\""]
"#
        );
    }

    #[test]
    fn what_is_not_configured_has_no_instruction() {
        let lines = Dockerfile::of(&config()).unwrap().lines;
        assert_eq!(lines[1..], ["FROM scratch", "ADD rootfs.tar /"]);
    }

    #[test]
    fn a_health_check_may_be_a_line_or_none() {
        let with = |test: &[&str]| {
            let healthcheck = Some(Healthcheck { test: words(test), ..Healthcheck::default() });
            Dockerfile::of(&ImageConfig { healthcheck, ..config() })
        };
        let last = |test: &[&str]| with(test).unwrap().lines.pop().unwrap();
        assert_eq!(last(&["CMD-SHELL", "wget -q $URL || exit 1"]), "HEALTHCHECK CMD wget -q $URL || exit 1");
        assert_eq!(last(&["CMD-SHELL", "[ -f /x ]"]), "HEALTHCHECK CMD [ -f /x ]");
        assert_eq!(last(&["NONE"]), "HEALTHCHECK NONE");
        let refused = |line: &str| with(&["CMD-SHELL", line]).unwrap_err().flaw;
        assert_eq!(refused("[\"true\"]"), DockerfileFlaw::List);
        assert_eq!(refused("a\nb"), DockerfileFlaw::LineBreak);
        assert_eq!(refused("true "), DockerfileFlaw::Ends);
        assert_eq!(refused("true\\"), DockerfileFlaw::Ends);
    }

    #[test]
    fn what_an_instruction_cannot_say_is_refused_by_name() {
        let env = |value: &str| ImageConfig { env: pairs(&[("CERTIFICATE", value)]), ..config() };
        let error = Dockerfile::of(&env("-----BEGIN\nx")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "a Dockerfile cannot say the variable `CERTIFICATE`: it has a line break"
        );
        assert_eq!(flaw(&env(&"x".repeat(MAX_LINE))), DockerfileFlaw::TooLong);
        assert_eq!(flaw(&ImageConfig { labels: pairs(&[("a=b", "c")]), ..config() }), DockerfileFlaw::Name);
        assert_eq!(flaw(&ImageConfig { author: " x".to_owned(), ..config() }), DockerfileFlaw::Ends);
    }
}
