//! The compute partitions of a card, as the kernel's compute driver shows them below `class/kfd/kfd/topology`.
//!
//! Each is a node of its own there, with the memory that it may use; a card that is not partitioned is one node. What is
//! used of it stands there by AMD's own driver alone; by that of the kernel itself a partition counts for its share of what
//! is used of the whole card, which is an estimate.
//!
//! A node names its card by `domain` and `location_id`: as in PCI's own numbers the bus is bits 8 to 15 and the device bits
//! 3 to 7. The partition's number is in bits 0 to 2 or, in later kernels, in bits 28 to 31.

use std::path::{Path, PathBuf};

use helixflow_env::Disk;
use helixflow_env::disk::RealDisk;
use helixflow_model::{BoardId, Bytes, DeviceId, DeviceReading, Partition};

use super::files;

/// Where the compute driver shows its nodes, below the root of the kernel's device files.
const TOPOLOGY: &str = "class/kfd/kfd/topology";

/// The nodes of one card.
pub(super) struct Partitions {
    topology: PathBuf,
    /// None where the card is not plugged in as PCI cards are.
    slot: Option<Slot>,
    scan: Option<Scan>,
}

/// The card's nodes, as they were found in one generation of the topology.
struct Scan {
    generation: String,
    nodes: Vec<PathBuf>,
    /// Whether the generation was the same at the scan before: the kernel counts a change first, and fills it in then.
    is_settled: bool,
}

impl Partitions {
    /// Of the card whose device's folder this is.
    pub(super) fn of(device: &Path, root: &Path) -> Self {
        let place = device.canonicalize().ok();
        let address = place.as_deref().and_then(Path::file_name).and_then(|name| name.to_str());
        Self { topology: root.join(TOPOLOGY), slot: address.and_then(Slot::of_address), scan: None }
    }

    /// The memory of each partition of the board, of which `whole` is the whole; none where it is not partitioned.
    pub(super) fn read(
        &mut self,
        board: &BoardId,
        whole: Option<&DeviceReading>,
    ) -> Option<Vec<DeviceReading>> {
        let nodes = self.nodes().filter(|nodes| nodes.len() > 1)?;
        let nodes = nodes.iter().enumerate();
        Some(nodes.filter_map(|(number, node)| read(node, number, board, whole)).collect())
    }

    /// The kernel counts the changes of its topology, so it is gone through again after a change alone.
    fn nodes(&mut self) -> Option<&[PathBuf]> {
        let slot = self.slot.as_ref()?;
        let generation = files::text(&self.topology.join("generation_id")).ok()?;
        let before = self.scan.take().filter(|scan| scan.generation == generation);
        self.scan = match before {
            Some(scan) if scan.is_settled => Some(scan),
            before => {
                let mut nodes = RealDisk.list(&self.topology.join("nodes")).ok()?;
                nodes
                    .sort_by_key(|node| node.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()));
                nodes.retain(|node| Slot::of_node(node).as_ref() == Some(slot));
                Some(Scan { generation, nodes, is_settled: before.is_some() })
            }
        };
        self.scan.as_ref().map(|scan| scan.nodes.as_slice())
    }
}

/// Where a card is plugged in.
#[derive(Debug, PartialEq, Eq)]
struct Slot {
    domain: u64,
    /// Bus and device.
    place: u64,
}

impl Slot {
    /// From a PCI address, as in `0000:83:00.0`.
    fn of_address(address: &str) -> Option<Self> {
        let (slot, _function) = address.rsplit_once('.')?;
        let mut parts = slot.split(':').map(|part| u64::from_str_radix(part, 16).ok());
        let (domain, bus, device) = (parts.next()??, parts.next()??, parts.next()??);
        Some(Self { domain, place: bus << 5 | device })
    }

    fn of_node(node: &Path) -> Option<Self> {
        let properties = files::text(&node.join("properties")).ok()?;
        let location = property(&properties, "location_id")?;
        Some(Self { domain: property(&properties, "domain")?, place: location >> 3 & 0x1fff })
    }
}

fn read(node: &Path, number: usize, board: &BoardId, whole: Option<&DeviceReading>) -> Option<DeviceReading> {
    let bank = node.join("mem_banks/0");
    let total = property(&files::text(&bank.join("properties")).ok()?, "size_in_bytes")?;
    let told = files::text(&bank.join("used_memory")).ok().and_then(|used| used.parse().ok());
    let used = told.or_else(|| share(total, whole?))?;
    Some(DeviceReading {
        device: DeviceId::new(format!("{board}-{number}")).ok()?,
        partition: Partition::Amd,
        memory_total: Bytes(total),
        memory_used: Bytes(used),
    })
}

/// Of what is used of a whole card, the part of one that has so many bytes of it.
fn share(total: u64, whole: &DeviceReading) -> Option<u64> {
    let part = u128::from(whole.memory_used.0) * u128::from(total);
    u64::try_from(part.checked_div(u128::from(whole.memory_total.0))?).ok()
}

/// One of a node's properties, which are lines of a name and a number.
fn property(properties: &str, name: &str) -> Option<u64> {
    let mut lines = properties.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(key, _)| *key == name)?.1.trim().parse().ok()
}
