//! Who is who in a local cluster: ids, regions and ports, drawn once and kept in the data directory.

use anyhow::{Context, bail};
use helixflow_env::Env;
use helixflow_env::net::draw_ports;
use helixflow_model::{ClusterId, Region};
use serde::{Deserialize, Serialize};

use crate::cluster_file::Role;
use crate::data_dir::DataDir;

/// What the command line asks for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    coordinators: u16,
    nodes: u16,
    regions: Vec<Region>,
}

impl Wanted {
    /// Numbers of processes, at least one of each kind, and the regions to deal to them, none of which stays empty.
    pub(crate) fn new(coordinators: u16, nodes: u16, regions: Vec<Region>) -> anyhow::Result<Self> {
        if regions.is_empty() {
            bail!("--regions names none: give at least one, or leave it out");
        }
        if let Some(empty) = regions.get(usize::from(coordinators.max(nodes))) {
            bail!(
                "region {empty} would get no process: name at most as many regions as there are coordinators or nodes, or \
                 raise --coordinators or --nodes"
            );
        }
        Ok(Self { coordinators, nodes, regions })
    }

    /// The region of the process at this place among those of its kind.
    fn region(&self, index: usize) -> Region {
        self.regions[index % self.regions.len()].clone()
    }
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

/// What coordinators and nodes have in common, told alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) region: Region,
    pub(crate) grpc: String,
    pub(crate) http: String,
}

impl Layout {
    /// The recorded layout, which has to agree with what is wanted; drawn and recorded in a new directory.
    pub(crate) async fn open(env: &Env, dir: &DataDir, wanted: &Wanted) -> anyhow::Result<Self> {
        let path = dir.layout();
        if env.disk.exists(&path) {
            let bytes = env.disk.read(&path).with_context(|| format!("reading {}", path.display()))?;
            let layout: Self = serde_json::from_slice(&bytes).with_context(|| {
                format!("{} is damaged: name another directory with --data-dir", path.display())
            })?;
            layout.agrees_with(wanted, dir)?;
            return Ok(layout);
        }
        let layout = Self::draw(env, wanted).await?;
        let text = serde_json::to_vec_pretty(&layout).context("encoding the layout")?;
        env.disk.write_durably(&path, &text).with_context(|| format!("writing {}", path.display()))?;
        Ok(layout)
    }

    async fn draw(env: &Env, wanted: &Wanted) -> anyhow::Result<Self> {
        let count = 3 * usize::from(wanted.coordinators) + 2 * usize::from(wanted.nodes);
        let mut addresses = draw_ports(env, count).await?.into_iter();
        let mut next =
            || Ok::<_, anyhow::Error>(addresses.next().context("too few ports were drawn")?.to_string());
        let cluster = ClusterId::drawn(env.random.next_u64());
        let mut layout = Self { cluster, coordinators: Vec::new(), nodes: Vec::new() };
        for (index, id) in (1..=u64::from(wanted.coordinators)).enumerate() {
            let (grpc, raft, http) = (next()?, next()?, next()?);
            layout.coordinators.push(CoordinatorSeat { id, region: wanted.region(index), grpc, raft, http });
        }
        for (index, number) in (1..=u64::from(wanted.nodes)).enumerate() {
            let (grpc, http) = (next()?, next()?);
            layout.nodes.push(NodeSeat { number, region: wanted.region(index), grpc, http });
        }
        Ok(layout)
    }

    fn agrees_with(&self, wanted: &Wanted, dir: &DataDir) -> anyhow::Result<()> {
        let (coordinators, nodes) = (self.coordinators.len(), self.nodes.len());
        let same_counts =
            coordinators == usize::from(wanted.coordinators) && nodes == usize::from(wanted.nodes);
        let as_dealt = |(index, region): (usize, &Region)| *region == wanted.region(index);
        let same_regions = self.coordinators.iter().map(|c| &c.region).enumerate().all(as_dealt)
            && self.nodes.iter().map(|n| &n.region).enumerate().all(as_dealt);
        if same_counts && same_regions {
            return Ok(());
        }
        bail!(
            "{} holds a cluster of another shape: start it with --coordinators {coordinators} --nodes {nodes} --regions {}, \
             or name another directory with --data-dir",
            dir.path().display(),
            self.regions()
        )
    }

    /// The regions, in the order in which they were dealt.
    fn regions(&self) -> String {
        let coordinators = self.coordinators.iter().map(|c| c.region.as_str());
        let nodes = self.nodes.iter().map(|n| n.region.as_str());
        let longest: Vec<&str> =
            if coordinators.len() >= nodes.len() { coordinators.collect() } else { nodes.collect() };
        // Dealt in turn, they begin again where the first one does.
        let round = (1..longest.len())
            .find(|&round| longest.iter().enumerate().all(|(i, name)| *name == longest[i % round]));
        longest[..round.unwrap_or(longest.len())].join(",")
    }

    /// Where coordinators answer clients.
    pub(crate) fn endpoints(&self) -> Vec<String> {
        self.coordinators.iter().map(|c| c.grpc.clone()).collect()
    }

    /// Every process: coordinators, then nodes.
    pub(crate) fn seats(&self) -> Vec<Seat> {
        let coordinators = self.coordinators.iter().map(|c| Seat {
            name: c.name(),
            role: Role::Coordinator,
            region: c.region.clone(),
            grpc: c.grpc.clone(),
            http: c.http.clone(),
        });
        let nodes = self.nodes.iter().map(|n| Seat {
            name: n.name(),
            role: Role::Node,
            region: n.region.clone(),
            grpc: n.grpc.clone(),
            http: n.http.clone(),
        });
        coordinators.chain(nodes).collect()
    }

    /// Every address, with what it is for.
    pub(crate) fn addresses(&self) -> Vec<(String, String)> {
        let shared = self.seats().into_iter().flat_map(|seat| {
            [(format!("gRPC of {}", seat.name), seat.grpc), (format!("HTTP of {}", seat.name), seat.http)]
        });
        let raft = self.coordinators.iter().map(|c| (format!("Raft of {}", c.name()), c.raft.clone()));
        shared.chain(raft).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn wanted(coordinators: u16, nodes: u16) -> Wanted {
        let regions = ["a", "b"].map(|name| Region::new(name).expect("a valid name"));
        Wanted::new(coordinators, nodes, regions.into()).expect("enough processes")
    }

    fn dir() -> DataDir {
        DataDir::new(Path::new("/")).expect("a path")
    }

    #[tokio::test]
    async fn a_layout_is_drawn_once_and_comes_back() {
        let env = Env::simulated(1);
        let drawn = Layout::open(&env, &dir(), &wanted(3, 2)).await.expect("a layout");
        assert_eq!(drawn.coordinators.iter().map(|c| c.region.as_str()).collect::<Vec<_>>(), ["a", "b", "a"]);
        assert_eq!(drawn.addresses().len(), 13);
        assert_eq!(Layout::open(&env, &dir(), &wanted(3, 2)).await.expect("the layout"), drawn);
    }

    #[tokio::test]
    async fn another_shape_is_refused_with_the_options_of_the_one_that_is_there() {
        let env = Env::simulated(1);
        Layout::open(&env, &dir(), &wanted(3, 2)).await.expect("a layout");
        let refused = Layout::open(&env, &dir(), &wanted(2, 2)).await.map_err(|e| e.to_string());
        let options = "--coordinators 3 --nodes 2 --regions a,b,";
        assert!(refused.as_ref().is_err_and(|text| text.contains(options)), "{refused:?}");
    }

    #[test]
    fn a_region_without_a_process_is_refused_by_name() {
        let regions = ["a", "b", "c"].map(|name| Region::new(name).expect("a valid name"));
        let refused = Wanted::new(2, 2, regions.into()).map_err(|e| e.to_string());
        assert!(refused.is_err_and(|text| text.contains("region c")));
    }
}
