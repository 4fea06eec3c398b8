//! The configuration files of a local cluster's processes, in the form that operators write by hand.

use std::path::Path;

use anyhow::Context;
use helixflow_env::Env;
use serde::Serialize;

use super::layout::Layout;
use super::model::weights_dir;

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

/// Writes a `config.toml` for each process, in a folder of its own.
pub(crate) fn write(env: &Env, data_dir: &Path, layout: &Layout, threads: u16) -> anyhow::Result<()> {
    let data_dir = std::path::absolute(data_dir).with_context(|| format!("finding {}", data_dir.display()))?;
    let otlp = std::env::var(OTLP_ENDPOINT).ok();
    let otlp_endpoint = otlp.as_deref();
    for seat in &layout.coordinators {
        let home = data_dir.join(seat.name());
        let file = CoordinatorFile {
            cluster: layout.cluster.as_str(),
            id: seat.id,
            region: seat.region.as_str(),
            data_dir: &home,
            otlp_endpoint,
            grpc: port(&seat.grpc),
            raft: port(&seat.raft),
            http: HttpPort { listen: &seat.http },
        };
        put(env, &home, &file)?;
    }
    let (endpoints, weights) = (layout.endpoints(), weights_dir(&data_dir));
    for seat in &layout.nodes {
        let home = data_dir.join(seat.name());
        let file = NodeFile {
            cluster: layout.cluster.as_str(),
            region: seat.region.as_str(),
            coordinators: &endpoints,
            data_dir: &home,
            weights_dir: &weights,
            threads,
            otlp_endpoint,
            grpc: port(&seat.grpc),
            http: HttpPort { listen: &seat.http },
        };
        put(env, &home, &file)?;
    }
    Ok(())
}

fn port(address: &str) -> Port<'_> {
    Port { listen: address, advertise: address }
}

fn put(env: &Env, home: &Path, file: &impl Serialize) -> anyhow::Result<()> {
    let text = toml::to_string(file).context("encoding a configuration")?;
    env.disk.create_dir_all(home).with_context(|| format!("making {}", home.display()))?;
    let path = home.join("config.toml");
    env.disk.write_durably(&path, text.as_bytes()).with_context(|| format!("writing {}", path.display()))
}
