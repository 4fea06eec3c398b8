//! The configuration files of a local cluster's processes, in the form that operators write by hand.

use std::path::Path;

use anyhow::Context;
use helixflow_env::Env;
use helixflow_node::Simulated;
use serde::Serialize;

use super::layout::Layout;
use crate::data_dir::DataDir;

/// The standard variable that names an OpenTelemetry collector.
const OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

#[derive(Serialize)]
struct CoordinatorFile<'a> {
    cluster: &'a str,
    id: u64,
    region: &'a str,
    data_dir: &'a Path,
    #[serde(skip_serializing_if = "Option::is_none")]
    otlp_endpoint: Option<&'a str>,
    grpc: Port<'a>,
    raft: Port<'a>,
    http: HttpPort<'a>,
}

#[derive(Serialize)]
struct NodeFile<'a> {
    cluster: &'a str,
    region: &'a str,
    coordinators: &'a [String],
    data_dir: &'a Path,
    weights_dir: &'a Path,
    threads: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    otlp_endpoint: Option<&'a str>,
    grpc: Port<'a>,
    http: HttpPort<'a>,
    simulated: Simulated,
}

#[derive(Serialize)]
struct Port<'a> {
    listen: &'a str,
    advertise: &'a str,
}

#[derive(Serialize)]
struct HttpPort<'a> {
    listen: &'a str,
}

/// Writes a `config.toml` for each process, in a folder of its own. `simulated` is that of every node but for its seed.
pub(crate) fn write(
    env: &Env,
    dir: &DataDir,
    layout: &Layout,
    threads: u16,
    simulated: &Simulated,
) -> anyhow::Result<()> {
    let otlp = std::env::var(OTLP_ENDPOINT).ok().filter(|endpoint| !endpoint.is_empty());
    let otlp_endpoint = otlp.as_deref();
    for seat in &layout.coordinators {
        let file = CoordinatorFile {
            cluster: layout.cluster.as_str(),
            id: seat.id,
            region: seat.region.as_str(),
            data_dir: &dir.home(&seat.name()),
            otlp_endpoint,
            grpc: port(&seat.grpc),
            raft: port(&seat.raft),
            http: HttpPort { listen: &seat.http },
        };
        put(env, dir, &seat.name(), &file)?;
    }
    let (endpoints, weights) = (layout.endpoints(), dir.models());
    for seat in &layout.nodes {
        let file = NodeFile {
            cluster: layout.cluster.as_str(),
            region: seat.region.as_str(),
            coordinators: &endpoints,
            data_dir: &dir.home(&seat.name()),
            weights_dir: &weights,
            threads,
            otlp_endpoint,
            grpc: port(&seat.grpc),
            http: HttpPort { listen: &seat.http },
            simulated: Simulated { seed: seat.number, ..simulated.clone() },
        };
        put(env, dir, &seat.name(), &file)?;
    }
    Ok(())
}

fn port(address: &str) -> Port<'_> {
    Port { listen: address, advertise: address }
}

fn put(env: &Env, dir: &DataDir, name: &str, file: &impl Serialize) -> anyhow::Result<()> {
    let text = toml::to_string(file).context("encoding a configuration")?;
    let (home, path) = (dir.home(name), dir.config(name));
    env.disk.create_dir_all(&home).with_context(|| format!("making {}", home.display()))?;
    env.disk.write_durably(&path, text.as_bytes()).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use helixflow_model::Region;
    use helixflow_node::NodeConfig;

    use super::*;
    use crate::up::layout::Wanted;

    #[tokio::test]
    async fn nodes_get_boards_of_one_kind_and_each_its_own_seed() {
        let (env, dir) = (Env::simulated(1), DataDir::new(Path::new("/")).expect("a path"));
        let wanted =
            Wanted::new(1, 2, vec![Region::new("a").expect("a valid name")]).expect("enough processes");
        let layout = Layout::open(&env, &dir, &wanted).await.expect("a layout");
        let hot = Simulated { product: "l4".to_owned(), inlet: 45.0, ..Simulated::default() };
        write(&env, &dir, &layout, 1, &hot).expect("a disk that works");
        for seat in &layout.nodes {
            let config = NodeConfig::load(env.disk.as_ref(), &dir.config(&seat.name())).expect("a good file");
            assert_eq!(config.simulated, Simulated { seed: seat.number, ..hot.clone() });
        }
    }
}
