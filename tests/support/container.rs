//! A container that runs in the background of a test, and is gone when dropped.
//!
//! Nothing here sleeps or asks again and again: the engine says when something has happened. Everything that
//! is waited for is given up after a while.

use std::io::{BufRead as _, BufReader, PipeReader, Read as _, Write as _, pipe};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::docker::{Engine, json, text_of};

/// How many seconds something in a container may take.
const PATIENCE: &str = "60";

/// A container in the background.
#[derive(Debug)]
pub(crate) struct Container<'a> {
    engine: &'a Engine,
    id: String,
}

impl<'a> Container<'a> {
    /// Starts what `image` starts in a new container, with `options` of `docker run`. It has no network but what
    /// they give it.
    pub(crate) fn start(engine: &'a Engine, image: &str, options: &[&str]) -> Self {
        Self::run(engine, &[options, &[image]].concat())
    }

    /// A container of `image` that does nothing, whose loopback network others can use. What is run in it outlives
    /// the others.
    pub(crate) fn idle(engine: &'a Engine, image: &str) -> Self {
        Self::run(engine, &["--network=none", image, "sleep", "3600"])
    }

    fn run(engine: &'a Engine, arguments: &[&str]) -> Self {
        let words = [&["run", "--detach"], arguments].concat();
        let id = text_of(&format!("docker {words:?}"), engine.docker(&words));
        Self { engine, id: id.trim().to_owned() }
    }

    /// The option of `docker run` for a container in the network of this one.
    pub(crate) fn network(&self) -> String {
        format!("--network=container:{}", self.id)
    }

    /// The client with `arguments`, not run yet. It is ended when patience is.
    fn client(&self, arguments: &[&str]) -> Command {
        let client = self.engine.command(arguments);
        let mut command = Command::new("timeout");
        command.arg(PATIENCE).arg(client.get_program()).args(client.get_args()).stdin(Stdio::null());
        for (name, value) in client.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    fn client_text(&self, arguments: &[&str]) -> String {
        let done = self.client(arguments).output();
        let done = done.unwrap_or_else(|error| panic!("cannot run docker {arguments:?}: {error}"));
        text_of(&format!("docker {arguments:?}"), done)
    }

    /// Begins to run `arguments` inside, with `environment`, and `input` on standard input.
    pub(crate) fn spawn(&self, arguments: &[&str], environment: &[(&str, &str)], input: &[u8]) -> Child {
        let variables: Vec<String> =
            environment.iter().map(|(name, value)| format!("--env={name}={value}")).collect();
        let mut words = vec!["exec", "--interactive"];
        words.extend(variables.iter().map(String::as_str));
        words.push(&self.id);
        words.extend(arguments);
        let mut client = self.client(&words);
        client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = client.spawn().unwrap_or_else(|error| panic!("cannot run docker {words:?}: {error}"));
        // Who does not read it is no failure of the test; and what tests write fits into a pipe.
        drop(child.stdin.take().map(|mut stdin| stdin.write_all(input)));
        child
    }

    /// Runs `arguments` inside. Gives what it came to, whether or not it succeeded.
    pub(crate) fn exec(&self, arguments: &[&str]) -> Output {
        ended(self.spawn(arguments, &[], b""))
    }

    /// Runs `arguments` inside, which must succeed, and gives their standard output.
    pub(crate) fn exec_text(&self, arguments: &[&str]) -> String {
        text_of(&format!("{arguments:?}"), self.exec(arguments))
    }

    /// Waits until the engine finds it healthy.
    pub(crate) fn wait_until_healthy(&self) {
        let filter = format!("--filter=container={}", self.id);
        let events = ["events", "--since=0", "--filter=event=health_status", &filter, "--format={{.Status}}"];
        self.wait_for_line(&events, "health_status: healthy");
    }

    /// Waits until it has logged a line with `words` in it.
    pub(crate) fn wait_for_log(&self, words: &str) {
        self.wait_for_line(&["logs", "--follow", &self.id], words);
    }

    /// Waits until the client with `arguments`, which goes on and on, prints a line with `words` in it.
    fn wait_for_line(&self, arguments: &[&str], words: &str) {
        let (mut client, output) = self.follow(arguments);
        let found = BufReader::new(output).lines().any(|line| line.is_ok_and(|line| line.contains(words)));
        drop(client.kill());
        drop(client.wait());
        assert!(found, "no `{words}` from docker {arguments:?}; the log:\n{}", self.logs());
    }

    /// The client with `arguments`, running, and all that it prints, in the order in which it does.
    fn follow(&self, arguments: &[&str]) -> (Child, PipeReader) {
        let (output, input) = pipe().unwrap_or_else(|error| panic!("cannot make a pipe: {error}"));
        let other = input.try_clone().unwrap_or_else(|error| panic!("cannot copy a pipe: {error}"));
        // The command holds the pipe's other end, and so must be gone before it is read to its end.
        let client = self.client(arguments).stdout(input).stderr(other).spawn();
        (client.unwrap_or_else(|error| panic!("cannot run docker {arguments:?}: {error}")), output)
    }

    /// All it has logged: what it wrote to standard output and standard error.
    pub(crate) fn logs(&self) -> String {
        let (mut client, mut output) = self.follow(&["logs", &self.id]);
        let mut text = String::new();
        let read = output.read_to_string(&mut text);
        read.unwrap_or_else(|error| panic!("docker logs: {error}"));
        drop(client.wait());
        text
    }

    /// What the engine knows about it.
    pub(crate) fn inspect(&self) -> Value {
        json(&self.client_text(&["container", "inspect", &self.id]))[0].clone()
    }

    /// Stops it as users do, and gives how long that took.
    pub(crate) fn stop(&self) -> Duration {
        let begin = Instant::now();
        self.client_text(&["stop", &self.id]);
        begin.elapsed()
    }

    /// Waits until it has ended, and gives its exit code.
    pub(crate) fn exit_code(&self) -> i32 {
        let code = self.client_text(&["wait", &self.id]);
        code.trim().parse().unwrap_or_else(|error| panic!("{error} in `{code}`"))
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        // The engine takes what is left of it along when it goes.
        drop(self.engine.docker(&["rm", "--force", "--volumes", &self.id]));
    }
}

/// What `child` came to.
pub(crate) fn ended(child: Child) -> Output {
    child.wait_with_output().unwrap_or_else(|error| panic!("cannot wait for a client: {error}"))
}
