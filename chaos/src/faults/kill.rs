//! A process killed as a crash would end it: SIGKILL, without a last word.
//!
//! A process id can be given to another process once its own has ended. So the process is held by a descriptor first,
//! then checked to be the one that was meant, and only then killed through the descriptor.

use std::fs::canonicalize;
use std::path::{Path, PathBuf};

use helixflow_env::Disk;
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::error::ChaosError;
use crate::target::{LocalCluster, Process, Role};

/// Kills a process of the cluster.
///
/// # Errors
/// When the recorded process id belongs to another process, or the system refuses.
pub fn kill(cluster: &LocalCluster, process: &Process) -> Result<(), ChaosError> {
    let held = identify(cluster, process)?;
    pidfd_send_signal(&held, Signal::KILL).map_err(|errno| ChaosError::Kill {
        id: process.id.clone(),
        pid: process.pid,
        source: errno.into(),
    })
}

/// Holds the recorded process and checks that it is the one that the record means.
pub(crate) fn identify(cluster: &LocalCluster, process: &Process) -> Result<OwnedFd, ChaosError> {
    let stranger = || ChaosError::NotThatProcess {
        id: process.id.clone(),
        pid: process.pid,
        cluster: cluster.data_dir().to_owned(),
    };
    let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw).ok_or_else(stranger)?;
    let held = pidfd_open(pid, PidfdFlags::empty()).map_err(|_| stranger())?;
    let ours = cluster.data_dir().join(&process.id).join("config.toml");
    let theirs = config_of(cluster.env().disk.as_ref(), process);
    match (canonicalize(ours).ok(), theirs) {
        (Some(ours), Some(theirs)) if ours == theirs => Ok(held),
        _ => Err(stranger()),
    }
}

/// The configuration that a process was started with, if it is a daemon of that role.
fn config_of(disk: &dyn Disk, process: &Process) -> Option<PathBuf> {
    let home = Path::new("/proc").join(process.pid.to_string());
    let line = disk.read(&home.join("cmdline")).ok()?;
    let path = config_argument(&String::from_utf8_lossy(&line), process.role)?;
    // A relative path is relative to where that process runs.
    canonicalize(home.join("cwd").join(path)).ok()
}

/// The path after `--config` in the command line of a daemon of this role, its arguments ended by NUL.
fn config_argument(line: &str, role: Role) -> Option<PathBuf> {
    let noun = match role {
        Role::Coordinator => "coordinator",
        Role::Node => "node",
    };
    let mut arguments = line.split('\0').skip(1);
    (arguments.next() == Some(noun) && arguments.next() == Some("run")).then_some(())?;
    arguments.skip_while(|argument| *argument != "--config").nth(1).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use helixflow_env::Env;

    use super::*;

    #[test]
    fn only_a_daemon_of_the_role_names_its_configuration() {
        let line = "/bin/helixflow\0node\0run\0--config\0c/node-1/config.toml\0--parent\x007\0";
        assert_eq!(config_argument(line, Role::Node), Some(PathBuf::from("c/node-1/config.toml")));
        assert_eq!(config_argument(line, Role::Coordinator), None);
        assert_eq!(config_argument("/bin/helixflow\0status\0", Role::Node), None);
        assert_eq!(config_argument("", Role::Node), None);
    }

    #[test]
    fn a_stranger_under_a_recorded_process_id_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("node-1")).expect("a folder");
        let mut stranger = Command::new("sleep").arg("60").spawn().expect("a process");
        let record = format!(
            r#"{{"processes": [{{"id": "node-1", "role": "node", "pid": {}, "grpc": "127.0.0.1:2"}}]}}"#,
            stranger.id()
        );
        let env = Env::real();
        for (name, text) in [("node-1/config.toml", ""), ("cluster.json", record.as_str())] {
            env.disk.write_durably(&folder.path().join(name), text.as_bytes()).expect("a write");
        }
        let refused = LocalCluster::open(&env, folder.path()).map(|_| ());
        assert!(matches!(refused, Err(ChaosError::NotThatProcess { .. })), "{refused:?}");
        assert!(stranger.try_wait().expect("a status").is_none(), "it lives on");
        stranger.kill().expect("our own process");
        stranger.wait().expect("its end");
    }
}
