//! How the process that reads devices is started, and how its life ends.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::process::{Child, Command};

/// The running binary, also after its file was replaced: the two sides of the protocol are of one build, and a node that
/// runs on through an upgrade must not start the new build's reader.
const RUNNING: &str = "/proc/self/exe";

/// A program that reads devices when it runs: this same binary, told so by its arguments.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its file.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Variables of its environment that differ from ours.
    pub environment: Vec<(OsString, OsString)>,
}

impl Program {
    /// The running binary, with these arguments; an error where the system does not show it.
    pub fn this_binary(arguments: &[&str]) -> io::Result<Self> {
        std::env::current_exe()?;
        let arguments = arguments.iter().map(OsString::from).collect();
        Ok(Self { path: RUNNING.into(), arguments, environment: Vec::new() })
    }
}

/// Starts processes. A test starts other things that talk.
pub(in crate::device) trait Launch: Send + 'static {
    /// Starts one more.
    fn launch(&mut self) -> io::Result<Running>;
}

/// A running process.
pub(in crate::device) struct Running {
    /// What it hears.
    pub(in crate::device) requests: Box<dyn AsyncWrite + Send + Unpin>,
    /// What it says.
    pub(in crate::device) lines: Box<dyn AsyncRead + Send + Unpin>,
    /// Whether it lives.
    pub(in crate::device) life: Box<dyn Life>,
}

/// The life of a process.
pub(in crate::device) trait Life: Send {
    /// Kills it, without waiting: a process whose driver call cannot be interrupted stays.
    fn kill(&mut self);

    /// Whether it has ended.
    fn has_ended(&mut self) -> bool;
}

impl Launch for Program {
    fn launch(&mut self) -> io::Result<Running> {
        let mut child = Command::new(&self.path)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Its own group: Ctrl-C reaches only the node, which closes its input when it ends.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(requests), Some(lines)) => Ok(Running {
                requests: Box::new(requests),
                lines: Box::new(lines),
                life: Box::new(ChildLife(child)),
            }),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

struct ChildLife(Child);

impl Life for ChildLife {
    fn kill(&mut self) {
        if let Err(error) = self.0.start_kill() {
            tracing::debug!(%error, "the process that reads devices has ended already");
        }
    }

    fn has_ended(&mut self) -> bool {
        // An error means that nobody can wait for it any more.
        !matches!(self.0.try_wait(), Ok(None))
    }
}
