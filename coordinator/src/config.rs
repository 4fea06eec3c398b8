//! The coordinator's configuration: TOML, unknown keys refused, checked before any port is opened.
//!
//! Who the members are stands in the log, not here: a cluster is made once, by an explicit bootstrap.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use helixflow_env::Disk;
use helixflow_model::{ClusterId, CoordinatorId, Region};
use serde::Deserialize;

/// A leader rests so long between heartbeats by default.
const HEARTBEAT_MS: u64 = 80;
/// The shortest election timeout by default. A silent leader is replaced after the longest timeout plus one between the
/// two, and a rest: 500 to 700 ms, long enough for a machine whose cores are all busy.
const ELECTION_MIN_MS: u64 = 200;
/// The longest election timeout by default, and the leader's lease.
const ELECTION_MAX_MS: u64 = 300;
/// Heartbeats that fit into the leader's lease, at least: one may be late or lost.
const HEARTBEATS_PER_LEASE: u32 = 3;
/// A node that did not report for so long is judged lost, by default: long enough for a busy machine.
const NODE_LEASE_MS: u64 = 10_000;
/// Nodes report at least once a second; fewer than these missed reports judge nobody.
const SHORTEST_NODE_LEASE: Duration = Duration::from_secs(4);

/// Everything that one coordinator is told at its start.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CoordinatorConfig {
    /// The cluster that it belongs to.
    pub cluster: ClusterId,
    /// Its id in the group: allotted once, never reused. From 1.
    pub id: CoordinatorId,
    /// Where it stands.
    pub region: Region,
    /// The folder of its log, its snapshot and its lock. Made when missing.
    pub data_dir: PathBuf,
    /// The port for clients, nodes and operators.
    pub grpc: Port,
    /// The port for the other coordinators.
    pub raft: Port,
    /// The port for metrics and probes.
    pub http: HttpPort,
    /// Heartbeats, elections and leases.
    #[serde(default)]
    pub timings: Timings,
    /// Whether gRPC server reflection tells clients what is served; it does, unless said otherwise.
    #[serde(default = "yes")]
    pub reflection: bool,
    /// Where spans go, `http://host:port` of an OTLP collector; nowhere without it.
    #[serde(default)]
    pub otlp_endpoint: Option<String>,
}

fn yes() -> bool {
    true
}

/// A port that others must find.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// Where to listen; port 0 draws a free one.
    pub listen: SocketAddr,
    /// `host:port` as others reach it; where it listens, unless said otherwise.
    #[serde(default)]
    pub advertise: Option<String>,
}

/// A port that only operators and their tools use.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpPort {
    /// Where to listen; port 0 draws a free one.
    pub listen: SocketAddr,
}

/// Heartbeats, elections and leases, in milliseconds in the file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default, from = "TimingsInFile")]
pub struct Timings {
    /// A leader rests so long between heartbeats, and up to half as long again.
    pub heartbeat: Duration,
    /// The shortest election timeout.
    pub election_min: Duration,
    /// The longest election timeout, and the leader's lease.
    pub election_max: Duration,
    /// A node that did not report for so long is judged lost.
    pub node_lease: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TimingsInFile {
    heartbeat_ms: u64,
    election_min_ms: u64,
    election_max_ms: u64,
    node_lease_ms: u64,
}

impl Default for TimingsInFile {
    fn default() -> Self {
        Self {
            heartbeat_ms: HEARTBEAT_MS,
            election_min_ms: ELECTION_MIN_MS,
            election_max_ms: ELECTION_MAX_MS,
            node_lease_ms: NODE_LEASE_MS,
        }
    }
}

impl From<TimingsInFile> for Timings {
    fn from(file: TimingsInFile) -> Self {
        Self {
            heartbeat: Duration::from_millis(file.heartbeat_ms),
            election_min: Duration::from_millis(file.election_min_ms),
            election_max: Duration::from_millis(file.election_max_ms),
            node_lease: Duration::from_millis(file.node_lease_ms),
        }
    }
}

impl Default for Timings {
    fn default() -> Self {
        TimingsInFile::default().into()
    }
}

/// A configuration that cannot be used, by key.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration {path} cannot be read: check the path and its permissions")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        source: std::io::Error,
    },
    /// The file is no TOML, has an unknown key, lacks one, or has a value of a wrong type.
    #[error("the configuration {path} cannot be used: correct or remove what is named below")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and what.
        source: Box<toml::de::Error>,
    },
    /// A value that cannot be.
    #[error("{key}: {problem}")]
    Value {
        /// Which key.
        key: &'static str,
        /// What is wrong, and what to give instead.
        problem: String,
    },
}

impl CoordinatorConfig {
    /// Reads and checks a file.
    pub fn load(disk: &dyn Disk, path: &Path) -> Result<Self, ConfigError> {
        let bytes = disk.read(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let text = String::from_utf8_lossy(&bytes);
        let config: Self = toml::from_str(&text)
            .map_err(|source| ConfigError::Parse { path: path.to_owned(), source: Box::new(source) })?;
        config.check()?;
        Ok(config)
    }

    /// Checks each value, and values against each other.
    pub fn check(&self) -> Result<(), ConfigError> {
        let value = |key, problem: String| Err(ConfigError::Value { key, problem });
        if self.id.0 == 0 {
            return value("id", "0 is no id: give each coordinator its own, from 1".to_owned());
        }
        self.grpc.check("grpc.advertise")?;
        self.raft.check("raft.advertise")?;
        if let Some(endpoint) = &self.otlp_endpoint
            && !endpoint.starts_with("http://")
            && !endpoint.starts_with("https://")
        {
            return value("otlp_endpoint", format!("{endpoint:?} must begin with http:// or https://"));
        }
        self.timings.check()
    }
}

impl Port {
    fn check(&self, key: &'static str) -> Result<(), ConfigError> {
        let problem = match &self.advertise {
            None if self.listen.ip().is_unspecified() => {
                format!(
                    "missing, and {} names no one machine: give the host:port that others reach",
                    self.listen
                )
            }
            Some(address) if !is_host_and_port(address) => {
                format!("{address:?} is no host:port: give the one that others reach")
            }
            _ => return Ok(()),
        };
        Err(ConfigError::Value { key, problem })
    }

    /// `host:port` as others will reach it, where it is known before the port is opened.
    pub(crate) fn settled(&self, key: &'static str) -> Result<String, ConfigError> {
        if self.advertise.is_none() && self.listen.port() == 0 {
            let problem = "port 0 is drawn at the start: give the one that others will reach".to_owned();
            return Err(ConfigError::Value { key, problem });
        }
        Ok(self.advertised(self.listen))
    }

    /// `host:port` as others reach it, given where it listens in fact.
    pub(crate) fn advertised(&self, bound: SocketAddr) -> String {
        self.advertise.clone().unwrap_or_else(|| bound.to_string())
    }
}

fn is_host_and_port(address: &str) -> bool {
    address
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
}

impl Timings {
    fn check(&self) -> Result<(), ConfigError> {
        let value = |key, problem: String| Err(ConfigError::Value { key, problem });
        let Self { heartbeat, election_min, election_max, node_lease } = *self;
        if heartbeat.is_zero() {
            return value("timings.heartbeat_ms", "0 would keep every core busy: give at least 1".to_owned());
        }
        if election_min <= heartbeat {
            let problem = format!("{election_min:?} must be above heartbeat_ms, {heartbeat:?}");
            return value("timings.election_min_ms", problem);
        }
        if election_max <= election_min {
            let problem = format!("{election_max:?} must be above election_min_ms, {election_min:?}");
            return value("timings.election_max_ms", problem);
        }
        if election_max < heartbeat * HEARTBEATS_PER_LEASE {
            let least = heartbeat * HEARTBEATS_PER_LEASE;
            let problem = format!(
                "{election_max:?} is under {least:?}, three heartbeats: raise it, or lower heartbeat_ms"
            );
            return value("timings.election_max_ms", problem);
        }
        let least = SHORTEST_NODE_LEASE.max(election_max * 4);
        if node_lease < least {
            let problem =
                format!("{node_lease:?} is under {least:?}: a new leader could not hear the nodes in time");
            return value("timings.node_lease_ms", problem);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use helixflow_env::Env;

    use super::*;

    const WHOLE: &str = r#"
        cluster = "alpha"
        id = 1
        region = "eu-1"
        data_dir = "/var/lib/helixflow"
        grpc = { listen = "127.0.0.1:7100", advertise = "coordinator-1:7100" }
        raft = { listen = "127.0.0.1:7200" }
        http = { listen = "127.0.0.1:7300" }
        timings = { heartbeat_ms = 50 }
    "#;

    fn load(text: &str) -> Result<CoordinatorConfig, String> {
        let env = Env::simulated(1);
        env.disk.write_durably("/c.toml".as_ref(), text.as_bytes()).expect("a write");
        CoordinatorConfig::load(env.disk.as_ref(), "/c.toml".as_ref()).map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            format!("{error} {source}")
        })
    }

    #[test]
    fn a_whole_configuration_is_read_and_the_rest_is_default() {
        let config = load(WHOLE).expect("a good file");
        assert_eq!(config.timings.heartbeat, Duration::from_millis(50));
        assert_eq!(config.timings.election_max, Duration::from_millis(ELECTION_MAX_MS));
        assert_eq!(config.grpc.advertised(config.grpc.listen), "coordinator-1:7100");
        assert_eq!(config.raft.advertised(config.raft.listen), "127.0.0.1:7200");
    }

    #[test]
    fn what_cannot_be_is_refused_by_key() {
        let change = |from: &str, to: &str| load(&WHOLE.replace(from, to)).expect_err("a bad file");
        for (from, to, key) in [
            ("id = 1", "id = 0", "id"),
            ("id = 1", "id = 1\ncolour = 3", "colour"),
            ("heartbeat_ms = 50", "heartbeat_ms = 0", "timings.heartbeat_ms"),
            ("heartbeat_ms = 50", "heartbeat_ms = 200", "timings.election_min_ms"),
            ("heartbeat_ms = 50", "heartbeat_ms = 101", "timings.election_max_ms"),
            ("heartbeat_ms = 50", "election_max_ms = 150", "timings.election_max_ms"),
            ("heartbeat_ms = 50", "node_lease_ms = 3999", "timings.node_lease_ms"),
            ("heartbeat_ms = 50", "hartbeat_ms = 50", "hartbeat_ms"),
            ("coordinator-1:7100", "coordinator-1", "grpc.advertise"),
            ("127.0.0.1:7200", "0.0.0.0:7200", "raft.advertise"),
            ("region = \"eu-1\"", "region = \"eu 1\"", "region"),
        ] {
            let error = change(from, to);
            assert!(error.contains(key), "{to:?} gave {error:?}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let env = Env::simulated(1);
        let error = CoordinatorConfig::load(env.disk.as_ref(), "/none.toml".as_ref()).expect_err("no file");
        assert!(error.to_string().contains("/none.toml"));
    }
}
