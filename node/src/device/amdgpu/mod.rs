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

use std::path::Path;

use helixflow_env::Disk;
use helixflow_env::disk::RealDisk;

use super::driver::Driver;
use super::protocol::Inventory;
use card::Card;

/// AMD's number as a maker of PCI devices, as the kernel writes it.
const MAKER: &str = "0x1002";

/// Adds the cards that the driver shows below `root`, which is `/sys` unless a test has its own.
pub(super) fn open(root: &Path, found: &mut Inventory, drivers: &mut Vec<Box<dyn Driver>>) {
    let Ok(entries) = RealDisk.list(&root.join("class/drm")) else {
        found.notes.push("no AMD driver: the kernel shows no graphics devices".to_owned());
        return;
    };
    // `card0` is a card, `card0-DP-1` one of its outputs.
    let is_card = |name: &str| name.strip_prefix("card").is_some_and(|rest| rest.parse::<u32>().is_ok());
    for entry in entries {
        let device = entry.join("device");
        let is_ours = entry.file_name().and_then(|name| name.to_str()).is_some_and(is_card)
            && files::text(&device.join("vendor")).is_ok_and(|maker| maker == MAKER);
        if !is_ours {
            continue;
        }
        match Card::open(&device, root) {
            Ok(card) => {
                found.boards.push(card.info().clone());
                drivers.push(Box::new(card));
            }
            Err(why) => found.trouble.push(format!("the AMD card {} cannot be read: {why}", entry.display())),
        }
    }
}
