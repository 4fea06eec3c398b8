//! Who is who in a local cluster: ids, regions and ports, drawn once and kept in the data directory.

use std::path::Path;

use anyhow::{Context, bail};
use helixflow_env::Env;
use helixflow_model::{ClusterId, Region};
use serde::{Deserialize, Serialize};

use super::ports;

/// The record's name inside the data directory.
const LAYOUT_FILE: &str = "layout.json";

/// What the command line asks for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) coordinators: u16,
    pub(crate) nodes: u16,
    pub(crate) regions: Vec<Region>,
}

/// A local cluster's processes and their ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Layout {
    pub(crate) cluster: ClusterId,
    pub(crate) coordinators: Vec<CoordinatorSeat>,
    pub(crate) nodes: Vec<NodeSeat>,
}

/// One coordinator's place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CoordinatorSeat {
    pub(crate) id: u64,
    pub(crate) region: Region,
    pub(crate) grpc: String,
    pub(crate) raft: String,
    pub(crate) http: String,
}

/// One node's place. The cluster's log allots its id; the nodes of a new cluster join in order, so the numbers agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeSeat {
    pub(crate) number: u64,
    pub(crate) region: Region,
    pub(crate) grpc: String,
    pub(crate) http: String,
}

impl CoordinatorSeat {
    pub(crate) fn name(&self) -> String {
        format!("coordinator-{}", self.id)
    }
}

impl NodeSeat {
    pub(crate) fn name(&self) -> String {
        format!("node-{}", self.number)
    }
}

impl Layout {
    /// The recorded layout, which has to agree with what is wanted; drawn and recorded in a new directory.
    pub(crate) async fn open(env: &Env, data_dir: &Path, wanted: &Wanted) -> anyhow::Result<Self> {
        let path = data_dir.join(LAYOUT_FILE);
        if env.disk.exists(&path) {
            let bytes = env.disk.read(&path).with_context(|| format!("reading {}", path.display()))?;
            let layout: Self = serde_json::from_slice(&bytes)
                .with_context(|| format!("{} is damaged: name another directory with --data-dir", path.display()))?;
            layout.agrees_with(wanted, data_dir)?;
            return Ok(layout);
        }
        let layout = Self::draw(env, wanted).await?;
        let text = serde_json::to_vec_pretty(&layout).context("encoding the layout")?;
        env.disk.write_durably(&path, &text).with_context(|| format!("writing {}", path.display()))?;
        Ok(layout)
    }

    async fn draw(env: &Env, wanted: &Wanted) -> anyhow::Result<Self> {
        let count = 3 * usize::from(wanted.coordinators) + 2 * usize::from(wanted.nodes);
        let mut addresses = ports::draw(env, count).await?.into_iter();
        let mut next = || addresses.next().context("too few ports were drawn");
        let region = |index: u16| wanted.regions[usize::from(index) % wanted.regions.len()].clone();
        let mut layout =
            Self { cluster: ClusterId::drawn(env.random.next_u64()), coordinators: Vec::new(), nodes: Vec::new() };
        for index in 0..wanted.coordinators {
            let (grpc, raft, http) = (next()?, next()?, next()?);
            layout.coordinators.push(CoordinatorSeat { id: u64::from(index) + 1, region: region(index), grpc, raft, http });
        }
        for index in 0..wanted.nodes {
            let (grpc, http) = (next()?, next()?);
            layout.nodes.push(NodeSeat { number: u64::from(index) + 1, region: region(index), grpc, http });
        }
        Ok(layout)
    }

    fn agrees_with(&self, wanted: &Wanted, data_dir: &Path) -> anyhow::Result<()> {
        let same_counts = self.coordinators.len() == usize::from(wanted.coordinators) && self.nodes.len() == usize::from(wanted.nodes);
        let dealt = |index: usize| &wanted.regions[index % wanted.regions.len()];
        let same_regions = self.coordinators.iter().map(|c| &c.region).enumerate().all(|(i, region)| region == dealt(i))
            && self.nodes.iter().map(|n| &n.region).enumerate().all(|(i, region)| region == dealt(i));
        if same_counts && same_regions {
            return Ok(());
        }
        bail!(
            "{} holds a cluster of {} coordinators and {} nodes in other regions or numbers: start it with the options it \
             was made with, or name another directory with --data-dir",
            data_dir.display(),
            self.coordinators.len(),
            self.nodes.len()
        )
    }

    /// Where coordinators answer clients.
    pub(crate) fn endpoints(&self) -> Vec<String> {
        self.coordinators.iter().map(|c| c.grpc.clone()).collect()
    }

    /// Every address, with what it is for.
    pub(crate) fn addresses(&self) -> Vec<(String, &str)> {
        let coordinators = self.coordinators.iter().flat_map(|c| {
            [(format!("{} gRPC", c.name()), c.grpc.as_str()), (format!("{} Raft", c.name()), &c.raft), (format!("{} HTTP", c.name()), &c.http)]
        });
        let nodes = self.nodes.iter().flat_map(|n| {
            [(format!("{} gRPC", n.name()), n.grpc.as_str()), (format!("{} HTTP", n.name()), &n.http)]
        });
        coordinators.chain(nodes).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(coordinators: u16, nodes: u16) -> Wanted {
        let region = |name: &str| Region::new(name).expect("a valid name");
        Wanted { coordinators, nodes, regions: vec![region("a"), region("b")] }
    }

    #[tokio::test]
    async fn a_layout_is_drawn_once_and_comes_back() {
        let (env, dir) = (Env::simulated(1), Path::new("/"));
        let drawn = Layout::open(&env, dir, &wanted(3, 2)).await.expect("a layout");
        assert_eq!(drawn.coordinators.iter().map(|c| c.region.as_str()).collect::<Vec<_>>(), ["a", "b", "a"]);
        assert_eq!(drawn.addresses().len(), 13);
        assert_eq!(Layout::open(&env, dir, &wanted(3, 2)).await.expect("the layout"), drawn);
    }

    #[tokio::test]
    async fn another_shape_is_refused() {
        let (env, dir) = (Env::simulated(1), Path::new("/"));
        Layout::open(&env, dir, &wanted(3, 2)).await.expect("a layout");
        let refused = Layout::open(&env, dir, &wanted(1, 2)).await.map_err(|e| e.to_string());
        assert!(refused.is_err_and(|text| text.contains("3 coordinators and 2 nodes")));
    }
}
