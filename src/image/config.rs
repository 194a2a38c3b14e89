//! The image configuration: what an engine runs, for which machine, and the history people read.
//!
//! The JSON comes from our own structures with ordered maps, so that the same values give the same
//! bytes. History has one row per layer, in order, and after them one empty row for each thing that a
//! Dockerfile would have said in an instruction of its own.
//!
//! Source: OCI image specification, "Image Configuration"; Moby's image specification 1.2 for
//! `Healthcheck`, which OCI does not have; spec/image, "Config".

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::arch::Arch;

use super::{Epoch, ImageError, PackedLayer};

/// What an image is configured to do. Empty texts and lists are left out of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageConfig {
    /// The machine it is for.
    pub arch: Arch,
    /// When it was created.
    pub created: Epoch,
    /// Who made it.
    pub author: String,
    /// Who runs in it: `uid:gid`.
    pub user: String,
    /// Ports it listens on, as `9000/tcp`.
    pub exposed_ports: BTreeSet<String>,
    /// The environment. `PATH` is written first, the others by name.
    pub env: BTreeMap<String, String>,
    /// What is always run.
    pub entrypoint: Vec<String>,
    /// What is run, or given to the entrypoint, unless the user says otherwise.
    pub cmd: Vec<String>,
    /// Directories that outlive a container.
    pub volumes: BTreeSet<String>,
    /// Where it runs.
    pub working_dir: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The signal that asks it to stop.
    pub stop_signal: String,
    /// How an engine finds out whether it is well.
    pub healthcheck: Option<Healthcheck>,
}

/// How an engine finds out whether a container is well. What is not set is the engine's default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Healthcheck {
    /// `CMD` or `CMD-SHELL` and arguments, or `NONE`.
    pub test: Vec<String>,
    /// The time between two checks.
    pub interval: Option<Duration>,
    /// The time after which a check has failed.
    pub timeout: Option<Duration>,
    /// The time a container has to start, in which failures do not count.
    pub start_period: Option<Duration>,
    /// How many failures in a row make a container unhealthy.
    pub retries: Option<u32>,
}

impl ImageConfig {
    /// A configuration that says nothing but for which machine and from when it is.
    #[must_use]
    pub fn new(arch: Arch, created: Epoch) -> Self {
        Self {
            arch,
            created,
            author: String::new(),
            user: String::new(),
            exposed_ports: BTreeSet::new(),
            env: BTreeMap::new(),
            entrypoint: Vec::new(),
            cmd: Vec::new(),
            volumes: BTreeSet::new(),
            working_dir: String::new(),
            labels: BTreeMap::new(),
            stop_signal: String::new(),
            healthcheck: None,
        }
    }

    /// The document, for an image of these layers.
    pub(super) fn to_json(&self, layers: &[PackedLayer]) -> Result<Vec<u8>, ImageError> {
        let created = self.created.to_string();
        let platform = self.arch.platform();
        let document = Document {
            created: &created,
            author: &self.author,
            architecture: platform.architecture,
            variant: platform.variant,
            os: "linux",
            config: self.execution(),
            rootfs: RootFs {
                kind: "layers",
                diff_ids: layers.iter().map(|layer| layer.descriptor().diff_id.to_string()).collect(),
            },
            history: self.history(&created, layers),
        };
        serde_json::to_vec(&document)
            .map_err(|error| ImageError::Encode { what: "the image configuration", error })
    }

    fn execution(&self) -> Execution<'_> {
        Execution {
            user: &self.user,
            exposed_ports: &self.exposed_ports,
            env: self.env_lines(),
            entrypoint: &self.entrypoint,
            cmd: &self.cmd,
            healthcheck: self.healthcheck.as_ref().map(HealthcheckDocument::of),
            volumes: &self.volumes,
            working_dir: &self.working_dir,
            labels: &self.labels,
            stop_signal: &self.stop_signal,
        }
    }

    fn env_lines(&self) -> Vec<String> {
        let (path, others): (Vec<_>, Vec<_>) = self.env.iter().partition(|(name, _)| *name == "PATH");
        path.into_iter().chain(others).map(|(name, value)| format!("{name}={value}")).collect()
    }

    fn history<'a>(&self, created: &'a str, layers: &[PackedLayer]) -> Vec<HistoryRow<'a>> {
        let full = layers.iter().map(|layer| HistoryRow {
            created,
            created_by: row(&format!("apkcompose {}", layer.created_by())),
            empty_layer: false,
        });
        let empty = self.instructions().into_iter().map(|instruction| HistoryRow {
            created,
            created_by: row(&format!(" {instruction}")),
            empty_layer: true,
        });
        full.chain(empty).collect()
    }

    /// What a Dockerfile would say, as `docker history` shows it.
    fn instructions(&self) -> Vec<String> {
        let mut all = Vec::new();
        all.extend(self.env_lines().into_iter().map(|line| format!("ENV {line}")));
        if !self.labels.is_empty() {
            let labels: Vec<String> =
                self.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            all.push(format!("LABEL {}", labels.join(" ")));
        }
        if !self.volumes.is_empty() {
            let volumes: Vec<&str> = self.volumes.iter().map(String::as_str).collect();
            all.push(format!("VOLUME [{}]", volumes.join(" ")));
        }
        all.extend(self.exposed_ports.iter().map(|port| format!("EXPOSE {port}")));
        for (word, value) in
            [("WORKDIR", &self.working_dir), ("USER", &self.user), ("STOPSIGNAL", &self.stop_signal)]
        {
            if !value.is_empty() {
                all.push(format!("{word} {value}"));
            }
        }
        if let Some(healthcheck) = &self.healthcheck {
            all.push(format!("HEALTHCHECK {}", quoted(&healthcheck.test)));
        }
        for (word, words) in [("ENTRYPOINT", &self.entrypoint), ("CMD", &self.cmd)] {
            if !words.is_empty() {
                all.push(format!("{word} {}", quoted(words)));
            }
        }
        all
    }
}

fn quoted(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    format!("[{}]", quoted.join(" "))
}

/// A row of history as a builder without a shell writes it.
fn row(text: &str) -> String {
    let row = format!("/bin/sh -c #(nop) {text}");
    if !installs_packages(&row) {
        return row;
    }
    let word = text.split_whitespace().next().unwrap_or_default();
    format!("/bin/sh -c #(nop)  {word} (not shown: scanners would read package names from it)")
}

/// Whether a scanner takes `row` for a command that installs packages: one of the commands in it begins
/// with `apk` and has a word `add`.
fn installs_packages(row: &str) -> bool {
    row.split("&&")
        .flat_map(|part| part.split(';'))
        .map(|command| command.trim_start_matches("/bin/sh -c").trim_start())
        .any(|command| command.starts_with("apk") && command.split_whitespace().any(|word| word == "add"))
}

#[derive(Serialize)]
struct Document<'a> {
    created: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    author: &'a str,
    architecture: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<&'static str>,
    os: &'static str,
    config: Execution<'a>,
    rootfs: RootFs,
    history: Vec<HistoryRow<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Execution<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    user: &'a str,
    #[serde(skip_serializing_if = "BTreeSet::is_empty", serialize_with = "as_keys")]
    exposed_ports: &'a BTreeSet<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    env: Vec<String>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    entrypoint: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    cmd: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    healthcheck: Option<HealthcheckDocument<'a>>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty", serialize_with = "as_keys")]
    volumes: &'a BTreeSet<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    working_dir: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    stop_signal: &'a str,
}

/// A set as this format has it: `{"80/tcp":{}}`.
fn as_keys<S: Serializer>(set: &BTreeSet<String>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Nothing {}
    serializer.collect_map(set.iter().map(|key| (key, Nothing {})))
}

/// Times in nanoseconds.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct HealthcheckDocument<'a> {
    test: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_period: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retries: Option<u32>,
}

impl<'a> HealthcheckDocument<'a> {
    fn of(healthcheck: &'a Healthcheck) -> Self {
        // The engines' own type ends after 292 years; nobody waits longer.
        let nanoseconds = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
        Self {
            test: &healthcheck.test,
            interval: healthcheck.interval.map(nanoseconds),
            timeout: healthcheck.timeout.map(nanoseconds),
            start_period: healthcheck.start_period.map(nanoseconds),
            retries: healthcheck.retries,
        }
    }
}

#[derive(Serialize)]
struct RootFs {
    #[serde(rename = "type")]
    kind: &'static str,
    diff_ids: Vec<String>,
}

#[derive(Serialize)]
struct HistoryRow<'a> {
    created: &'a str,
    created_by: String,
    #[serde(skip_serializing_if = "is_false")]
    empty_layer: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}
