//! `helixflow top` on a real pseudo-terminal, which `script` of util-linux makes: it draws the cluster, obeys keys, and gives
//! the terminal back however it ends.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test drives a real terminal and a socket on real time"
)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use helixflow_tests::binary;
use helixflow_tests::cluster::Shared;
use helixflow_tests::program::{refused, run};

/// How long `top` may take to draw something, or to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Takes the terminal, and gives it back (the alternate screen of xterm, and the cursor of DEC's VT).
const TAKEN: &str = "\u{1b}[?1049h";
const GIVEN_BACK: &str = "\u{1b}[?1049l";
const CURSOR_SHOWN: &str = "\u{1b}[?25h";

static CLUSTER: Shared = Shared::new(&["--coordinators", "1", "--nodes", "1"]);

/// `top` on a terminal of 80 columns and 24 lines.
struct Terminal {
    script: Child,
    output: Receiver<Vec<u8>>,
    seen: String,
}

impl Terminal {
    /// Starts it on the cluster.
    fn start() -> Result<Self> {
        Self::start_with(&format!("--interval 0.2 --data-dir '{}'", CLUSTER.get()?.data_dir().display()))
    }

    /// Starts it with these options; its process id and its exit code are written around what it draws.
    fn start_with(options: &str) -> Result<Self> {
        let top = format!("exec '{}' top {options}", binary()?.display());
        let command =
            format!("stty rows 24 cols 80; sh -c 'echo pid=$$; {}'; echo rc=$?", top.replace('\'', "\""));
        let mut script = Command::new("script")
            .args(["-q", "-f", "-c", &command, "/dev/null"])
            .env("TERM", "xterm-256color")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("starting `script`")?;
        let mut stdout = script.stdout.take().context("a pipe")?;
        let (send, output) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(1..) = stdout.read(&mut bytes).inspect(|read| {
                // Whoever has seen enough listens no more.
                let _ = send.send(bytes[..*read].to_vec());
            }) {}
        });
        Ok(Self { script, output, seen: String::new() })
    }

    /// Reads until this text has been written.
    fn wait_for(&mut self, text: &str) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while !self.seen.contains(text) {
            match self.output.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout) => bail!("no {text:?} within {PATIENCE:?} in {:?}", self.seen),
                Err(RecvTimeoutError::Disconnected) => bail!("no {text:?} in {:?}", self.seen),
            }
        }
        Ok(())
    }

    fn press(&mut self, keys: &str) -> Result<()> {
        self.script.stdin.as_mut().context("a pipe")?.write_all(keys.as_bytes()).context("pressing keys")
    }

    /// The process id of `top`.
    fn pid(&mut self) -> Result<String> {
        self.wait_for("pid=")?;
        self.wait_for("\n")?;
        let rest = self.seen.split("pid=").nth(1).context("an id")?;
        Ok(rest.chars().take_while(char::is_ascii_digit).collect())
    }

    /// Waits for the end, and checks that the terminal is as before.
    fn ended(mut self, code: &str) -> Result<()> {
        self.wait_for(&format!("rc={code}"))?;
        let after = self.seen.rsplit_once(TAKEN).context("it took the terminal")?.1;
        ensure!(after.contains(GIVEN_BACK) && after.contains(CURSOR_SHOWN), "not given back: {after:?}");
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // `top` ends with its terminal.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

#[test]
fn it_draws_the_cluster_obeys_keys_and_leaves() -> Result<()> {
    for leave in ["q", "\u{3}", "\u{1b}"] {
        let mut terminal = Terminal::start()?;
        for text in [TAKEN, "leader", "coordinator-1", "node-1", "smollm2-135m-instruct", "h heat"] {
            terminal.wait_for(text)?;
        }
        terminal.press("n")?;
        terminal.wait_for("[n name]")?;
        terminal.press(leave)?;
        terminal.ended("0")?;
    }
    Ok(())
}

#[test]
fn a_signal_ends_it_and_the_terminal_is_given_back() -> Result<()> {
    let mut terminal = Terminal::start()?;
    terminal.wait_for("node-1")?;
    let pid = terminal.pid()?;
    ensure!(Command::new("kill").args(["-TERM", &pid]).status()?.success(), "no process {pid}");
    terminal.ended("130")
}

#[test]
fn a_coordinator_that_says_nothing_is_given_up_after_the_timeout() -> Result<()> {
    // It takes connections, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let mut terminal = Terminal::start_with(&format!("--endpoint {} --timeout 1", silent.local_addr()?))?;
    terminal.wait_for("rc=1")?;
    ensure!(!terminal.seen.contains(TAKEN), "it took the terminal: {:?}", terminal.seen);
    let why = "did not answer in time";
    ensure!(terminal.seen.contains(why), "it does not say why it ends: {:?}", terminal.seen);
    Ok(())
}

#[test]
fn elsewhere_than_on_a_terminal_it_names_status() -> Result<()> {
    refused(&run(&["top"])?, 1, &["is no terminal", "helixflow status"])
}
