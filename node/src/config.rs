//! The node's configuration: TOML, unknown keys refused, checked before any port is opened.
//!
//! What the node is to run stands in the cluster's log, not here.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use helixflow_env::Disk;
use helixflow_model::{Bytes, ClusterId, Region};
use serde::Deserialize;

use crate::device::Simulated;

/// Threads of one engine, at most: the engine takes no more.
const MAX_THREADS: u16 = 256;

/// Everything that one node is told at its start.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// The cluster that it belongs to.
    pub cluster: ClusterId,
    /// Where it stands.
    pub region: Region,
    /// The coordinators to begin with, `host:port` each: the cluster tells of the others, and of those that go.
    pub coordinators: Vec<String>,
    /// The folder of its identity, of what it has accepted, and of its lock. Made when missing.
    pub data_dir: PathBuf,
    /// The folder of models' files; nodes of one machine may share it. `weights` in `data_dir`, unless said otherwise.
    #[serde(default)]
    pub weights_dir: Option<PathBuf>,
    /// Threads that compute one replica; as many as there are cores, unless said otherwise.
    #[serde(default)]
    pub threads: Option<u16>,
    /// Bytes that it offers for weights and KV caches; the machine's memory, unless said otherwise.
    #[serde(default)]
    pub memory: Option<Bytes>,
    /// Bytes for the KV cache of one replica; what the model asks for, unless said otherwise.
    #[serde(default)]
    pub kv_memory: Option<Bytes>,
    /// The port for gateways.
    pub grpc: GrpcPort,
    /// The port for metrics and probes.
    pub http: HttpPort,
    /// Where spans go, `http://host:port` of an OTLP collector; nowhere without it.
    #[serde(default)]
    pub otlp_endpoint: Option<String>,
    /// What stands in for GPUs on a machine that has none.
    #[serde(default)]
    pub simulated: Simulated,
}

/// The port that gateways must find.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrpcPort {
    /// Where to listen; port 0 draws a free one.
    pub listen: SocketAddr,
    /// `host:port` as gateways reach it; where it listens, unless said otherwise.
    #[serde(default)]
    pub advertise: Option<String>,
}

/// The port that only operators and their tools use.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpPort {
    /// Where to listen; port 0 draws a free one.
    pub listen: SocketAddr,
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

impl NodeConfig {
    /// Reads and checks a file.
    pub fn load(disk: &dyn Disk, path: &Path) -> Result<Self, ConfigError> {
        let bytes = disk.read(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let text = String::from_utf8_lossy(&bytes);
        let config: Self = toml::from_str(&text)
            .map_err(|source| ConfigError::Parse { path: path.to_owned(), source: Box::new(source) })?;
        config.check()?;
        Ok(config)
    }

    /// Checks each value.
    pub fn check(&self) -> Result<(), ConfigError> {
        let value = |key, problem: String| Err(ConfigError::Value { key, problem });
        if self.coordinators.is_empty() {
            return value("coordinators", "is empty: give the host:port of each coordinator".to_owned());
        }
        if let Some(bad) = self.coordinators.iter().find(|address| !is_host_and_port(address)) {
            return value(
                "coordinators",
                format!("{bad:?} is no host:port: give the coordinator's gRPC port"),
            );
        }
        if let Some(threads) = self.threads.filter(|threads| !(1..=MAX_THREADS).contains(threads)) {
            return value("threads", format!("{threads} is not from 1 to {MAX_THREADS}"));
        }
        for (key, bytes) in [("memory", self.memory), ("kv_memory", self.kv_memory)] {
            if bytes == Some(Bytes(0)) {
                return value(key, "0 holds nothing: give a number of bytes, or leave it out".to_owned());
            }
        }
        if let Some(endpoint) = &self.otlp_endpoint
            && !endpoint.starts_with("http://")
            && !endpoint.starts_with("https://")
        {
            return value("otlp_endpoint", format!("{endpoint:?} must begin with http:// or https://"));
        }
        self.simulated.check().map_err(|(key, problem)| ConfigError::Value { key, problem })?;
        self.grpc.check()
    }

    pub(crate) fn weights_dir(&self) -> PathBuf {
        self.weights_dir.clone().unwrap_or_else(|| self.data_dir.join("weights"))
    }

    pub(crate) fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.threads.map_or(cores.min(usize::from(MAX_THREADS)), usize::from)
    }
}

impl GrpcPort {
    fn check(&self) -> Result<(), ConfigError> {
        let problem = match &self.advertise {
            None if self.listen.ip().is_unspecified() => {
                format!(
                    "missing, and {} names no one machine: give the host:port that others reach",
                    self.listen
                )
            }
            Some(address) if !is_host_and_port(address) => {
                format!("{address:?} is no host:port: give the one that gateways reach")
            }
            _ => return Ok(()),
        };
        Err(ConfigError::Value { key: "grpc.advertise", problem })
    }

    /// `host:port` as gateways reach it, given where it listens in fact.
    pub(crate) fn advertised(&self, bound: SocketAddr) -> String {
        self.advertise.clone().unwrap_or_else(|| bound.to_string())
    }
}

fn is_host_and_port(address: &str) -> bool {
    address
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use helixflow_env::Env;

    use super::*;

    const WHOLE: &str = r#"
        cluster = "alpha"
        region = "eu-1"
        coordinators = ["coordinator-1:7100", "127.0.0.1:7101"]
        data_dir = "/var/lib/helixflow"
        threads = 2
        kv_memory = 1_000_000
        grpc = { listen = "0.0.0.0:7400", advertise = "node-1:7400" }
        http = { listen = "127.0.0.1:7500" }
        simulated = { product = "l4", inlet = 45 }
    "#;
    const HOT: &str = r#"simulated = { product = "l4", inlet = 45 }"#;

    fn load(text: &str) -> Result<NodeConfig, String> {
        let env = Env::simulated(1);
        env.disk.write_durably("/c.toml".as_ref(), text.as_bytes()).expect("a write");
        NodeConfig::load(env.disk.as_ref(), "/c.toml".as_ref()).map_err(|error| {
            let source = error.source().map(ToString::to_string).unwrap_or_default();
            format!("{error} {source}")
        })
    }

    #[test]
    fn a_whole_configuration_is_read_and_the_rest_is_default() {
        let config = load(WHOLE).expect("a good file");
        assert_eq!(config.weights_dir(), Path::new("/var/lib/helixflow/weights"));
        assert_eq!((config.threads(), config.kv_memory, config.memory), (2, Some(Bytes(1_000_000)), None));
        let simulated = Simulated { product: "l4".to_owned(), inlet: 45.0, ..Simulated::default() };
        assert_eq!(config.simulated, simulated);
        assert_eq!(config.grpc.advertised("127.0.0.1:1".parse().expect("an address")), "node-1:7400");
    }

    #[test]
    fn what_cannot_be_is_refused_by_key() {
        for (find, replace, complaint) in [
            ("threads = 2", "thread = 2", "thread"),
            ("threads = 2", "threads = 0", "threads: 0 is not from 1 to 256"),
            ("kv_memory = 1_000_000", "kv_memory = 0", "kv_memory: 0 holds nothing"),
            ("\"coordinator-1:7100\", \"127.0.0.1:7101\"", "", "coordinators: is empty"),
            ("\"127.0.0.1:7101\"", "\"http://x\"", "coordinators: \"http://x\" is no host:port"),
            ("\"node-1:7400\"", "\"node-1\"", "grpc.advertise: \"node-1\" is no host:port"),
            (", advertise = \"node-1:7400\"", "", "grpc.advertise: missing"),
            ("region = \"eu-1\"", "region = \"eu 1\"", "region \"eu 1\" is not valid"),
            ("region = \"eu-1\"", "", "missing field `region`"),
            (
                HOT,
                "simulated = { product = \"h9\" }",
                "simulated.product: \"h9\" is not known: give one of h100",
            ),
            (HOT, "simulated = { inlet = 480 }", "simulated.inlet: 480 °C is not from -20 to 100"),
            (HOT, "simulated = { inlet = nan }", "simulated.inlet: NaN °C"),
            (HOT, "simulated = { boards = 0 }", "simulated.boards: 0 is not from 1 to 16"),
            (HOT, "simulated = { colour = 1 }", "unknown field `colour`"),
        ] {
            assert!(WHOLE.contains(find), "{find}");
            let message = load(&WHOLE.replace(find, replace)).expect_err(replace);
            assert!(message.contains(complaint), "{replace}: {message}");
        }
    }

    #[test]
    fn a_missing_file_names_its_path() {
        let env = Env::simulated(1);
        let missing = NodeConfig::load(env.disk.as_ref(), "/none.toml".as_ref());
        assert!(missing.is_err_and(|error| error.to_string().contains("/none.toml")));
    }
}
