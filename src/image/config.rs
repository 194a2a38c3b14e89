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

    /// The environment in the order in which it is written.
    pub(super) fn ordered_env(&self) -> impl Iterator<Item = (&str, &str)> {
        let (path, others): (Vec<_>, Vec<_>) = self.env.iter().partition(|(name, _)| *name == "PATH");
        path.into_iter().chain(others).map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn env_lines(&self) -> Vec<String> {
        self.ordered_env().map(|(name, value)| format!("{name}={value}")).collect()
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::archive::codec::Algorithm;
    use crate::digest::Sha256;

    fn layer(created_by: &str) -> PackedLayer {
        crate::image::made::layer(Some(Algorithm::Gzip), created_by)
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    fn full() -> ImageConfig {
        ImageConfig {
            author: "you".to_owned(),
            user: "82:82".to_owned(),
            exposed_ports: BTreeSet::from(["9000/tcp".to_owned()]),
            env: BTreeMap::from([("LANG", "C.UTF-8"), ("PATH", "/usr/bin:/bin"), ("ZONE", "x")].map(owned)),
            entrypoint: words(&["/sbin/tini", "--"]),
            cmd: words(&["php-fpm", "-F"]),
            volumes: BTreeSet::from(["/var/www/html".to_owned()]),
            working_dir: "/var/www/html".to_owned(),
            labels: BTreeMap::from([("org.opencontainers.image.title", "php-fpm")].map(owned)),
            stop_signal: "SIGQUIT".to_owned(),
            healthcheck: Some(Healthcheck {
                test: words(&["CMD", "true"]),
                interval: Some(Duration::from_secs(30)),
                timeout: Some(Duration::from_millis(1500)),
                start_period: None,
                retries: Some(3),
            }),
            ..ImageConfig::new(Arch::Aarch64, Epoch::new(1_718_700_000).unwrap())
        }
    }

    fn owned((key, value): (&str, &str)) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    fn document(config: &ImageConfig, layers: &[PackedLayer]) -> Value {
        serde_json::from_slice(&config.to_json(layers).unwrap()).unwrap()
    }

    #[test]
    fn the_document_has_everything_where_engines_look_for_it() {
        let mut document = document(&full(), &[layer("php-fpm: 12 packages")]);
        document.as_object_mut().unwrap().remove("history");
        assert_eq!(
            document,
            json!({
                "created": "2024-06-18T08:40:00Z",
                "author": "you",
                "architecture": "arm64",
                "variant": "v8",
                "os": "linux",
                "config": {
                    "User": "82:82",
                    "ExposedPorts": {"9000/tcp": {}},
                    "Env": ["PATH=/usr/bin:/bin", "LANG=C.UTF-8", "ZONE=x"],
                    "Entrypoint": ["/sbin/tini", "--"],
                    "Cmd": ["php-fpm", "-F"],
                    "Healthcheck": {
                        "Test": ["CMD", "true"], "Interval": 30_000_000_000_u64, "Timeout": 1_500_000_000, "Retries": 3
                    },
                    "Volumes": {"/var/www/html": {}},
                    "WorkingDir": "/var/www/html",
                    "Labels": {"org.opencontainers.image.title": "php-fpm"},
                    "StopSignal": "SIGQUIT",
                },
                "rootfs": {
                    "type": "layers",
                    "diff_ids": [format!("sha256:{}", Sha256::of(b"tar"))],
                },
            })
        );
    }

    #[test]
    fn what_is_not_configured_is_not_in_the_document() {
        let config = ImageConfig::new(Arch::X86_64, Epoch::new(0).unwrap());
        let text = String::from_utf8(config.to_json(&[]).unwrap()).unwrap();
        assert_eq!(
            text,
            "{\"created\":\"1970-01-01T00:00:00Z\",\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{},\
             \"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},\"history\":[]}"
        );
    }

    fn history(config: &ImageConfig, layers: &[PackedLayer]) -> Vec<(String, bool)> {
        let document = document(config, layers);
        let rows = document["history"].as_array().unwrap();
        rows.iter()
            .map(|row| (row["created_by"].as_str().unwrap().to_owned(), row["empty_layer"] == json!(true)))
            .collect()
    }

    #[test]
    fn history_has_a_row_for_each_layer_and_an_empty_one_for_each_instruction() {
        let rows = history(&full(), &[layer("base"), layer("php-fpm: 12 packages")]);
        let full = |text: &str| (format!("/bin/sh -c #(nop) {text}"), false);
        let empty = |text: &str| (format!("/bin/sh -c #(nop)  {text}"), true);
        assert_eq!(
            rows,
            [
                full("apkcompose base"),
                full("apkcompose php-fpm: 12 packages"),
                empty("ENV PATH=/usr/bin:/bin"),
                empty("ENV LANG=C.UTF-8"),
                empty("ENV ZONE=x"),
                empty("LABEL org.opencontainers.image.title=php-fpm"),
                empty("VOLUME [/var/www/html]"),
                empty("EXPOSE 9000/tcp"),
                empty("WORKDIR /var/www/html"),
                empty("USER 82:82"),
                empty("STOPSIGNAL SIGQUIT"),
                empty("HEALTHCHECK [\"CMD\" \"true\"]"),
                empty("ENTRYPOINT [\"/sbin/tini\" \"--\"]"),
                empty("CMD [\"php-fpm\" \"-F\"]"),
            ]
        );
    }

    #[test]
    fn no_row_of_history_looks_like_an_installation_of_packages() {
        let mut config = full();
        config.cmd = words(&["sh", "-c", "true && apk --no-cache add jq"]);
        config.env = BTreeMap::from([owned(("HINT", "see; apk add x"))]);
        let rows = history(&config, &[layer("x; apk add y"), layer("add x")]);
        assert!(rows.iter().all(|(row, _)| !installs_packages(row)), "{rows:?}");
        assert!(rows.iter().all(|(row, _)| !row.starts_with("apk")));
        assert_eq!(rows[1].0, "/bin/sh -c #(nop) apkcompose add x");
        assert!(rows.last().unwrap().0.starts_with("/bin/sh -c #(nop)  CMD (not shown"));
    }
}
