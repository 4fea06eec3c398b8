//! AMD GPUs through the files of the amdgpu driver: `class/drm` of the kernel's device tree, and hwmon below it.
//!
//! The files are those of the kernel's documents "GPU sysfs interfaces" (amdgpu) and "hwmon sysfs interface"; compute
//! partitions are those of the kernel's compute driver.

mod card;
mod files;
mod hwmon;
mod metrics;
mod partitions;
mod texts;

use std::path::{Path, PathBuf};

use helixflow_env::Disk;
use helixflow_env::disk::RealDisk;

use super::driver::{Driver, Place, Shown};
use card::Card;

/// AMD's number as a maker of PCI devices, as the kernel writes it.
const MAKER: &str = "0x1002";

/// Where the driver shows cards below `root`, which is `/sys` unless a test has its own.
pub(super) fn open(root: &Path) -> Shown {
    let Ok(entries) = RealDisk.list(&root.join("class/drm")) else {
        let note = Some("no AMD driver: the kernel shows no graphics devices".to_owned());
        return Shown { note, ..Shown::default() };
    };
    // `card0` is a card, `card0-DP-1` one of its outputs.
    let is_card = |name: &str| name.strip_prefix("card").is_some_and(|rest| rest.parse::<u32>().is_ok());
    let is_ours = |entry: &PathBuf| {
        entry.file_name().and_then(|name| name.to_str()).is_some_and(is_card)
            && files::text(&entry.join("device/vendor")).is_ok_and(|maker| maker == MAKER)
    };
    let places = entries.into_iter().filter(is_ours).map(|entry| place(&entry, root.to_owned())).collect();
    Shown { places, note: None }
}

fn place(entry: &Path, root: PathBuf) -> Place<Box<dyn Driver>> {
    let device = entry.join("device");
    let open = move || match Card::open(&device, &root) {
        Ok(card) => Ok(Box::new(card) as Box<dyn Driver>),
        Err(why) => Err(format!("cannot be read: {why}")),
    };
    Place { name: format!("the AMD card {}", entry.display()), open: Box::new(open) }
}
