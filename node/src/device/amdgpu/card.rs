//! One AMD card.
//!
//! Its clock is held by the power limit (`power1_cap`): every card since Vega has it, the value that stood before can be
//! read and set again, and the firmware goes on choosing clocks below it. `pp_dpm_sclk` would need the manual level, in
//! which the firmware chooses none of the clocks any more, and knows only a few steps.

use std::path::{Path, PathBuf};

use helixflow_env::Disk;
use helixflow_env::disk::{DiskFile, RealDisk};
use helixflow_model::{
    BoardId, BoardInfo, BoardLimits, BoardReading, Bytes, ClockReasons, DeviceId, DeviceKind, DeviceReading,
    EccErrors, MegaHertz, MilliWatts, Partition, PcieLink, Permille, Sensed,
};
use rustix::io::Errno;

use super::files;
use super::hwmon::Hwmon;
use super::metrics::{Residencies, Throttling, throttling};
use super::partitions::Partitions;
use super::texts::{clocks, errors, generation, megahertz, milliwatts, permille, temperature, whole};
use crate::device::clock::WATT;
use crate::device::driver::{Driver, Refusal, both};

/// The power limit, in microwatts.
const POWER_LIMIT: &str = "power1_cap";

/// Of the highest power limit, the part that is the lowest one where firmware tells 0, as that of MI300 does: it takes any
/// limit then, but no board works below this. An MI300X draws about 140 of its 750 W when it does nothing. An estimate.
const LEAST_PART: u32 = 4;

/// A card, and what is remembered of it between readings.
pub(super) struct Card {
    device: PathBuf,
    hwmon: Hwmon,
    info: BoardInfo,
    /// The label of the die's sensor: the hottest spot's where there is one.
    core: &'static str,
    residencies: Option<Residencies>,
    partitions: Partitions,
}

impl Card {
    /// The card whose device's folder this is, `root` that of the kernel's device files.
    pub(super) fn open(device: &Path, root: &Path) -> Result<Self, String> {
        let hwmon = Hwmon::open(device).ok_or("it has no sensors")?;
        let core = if hwmon.has("junction") { "junction" } else { "edge" };
        let info = BoardInfo {
            board: BoardId::new(identity(device)?).map_err(|error| error.to_string())?,
            name: name(device),
            kind: DeviceKind::Amd,
            limits: limits(device, &hwmon, core),
        };
        let partitions = Partitions::of(device, root);
        Ok(Self { device: device.to_owned(), hwmon, info, core, residencies: None, partitions })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.device.join(name)
    }

    /// Of the reasons, those since the last reading where the card counts them.
    fn reasons(&mut self) -> Sensed<ClockReasons> {
        match RealDisk.read(&self.file("gpu_metrics")) {
            Ok(table) => match throttling(&table) {
                Some(Throttling::Reasons(reasons)) => Sensed::Live(reasons),
                Some(Throttling::Residencies(now)) => {
                    let earlier = self.residencies.replace(now).unwrap_or(now);
                    Sensed::Live(now.since(&earlier))
                }
                None => Sensed::Unsupported,
            },
            Err(error) if files::is_unsupported(&error) => Sensed::Unsupported,
            Err(_) => Sensed::Missing,
        }
    }

    /// The instant's power where there is a file of it, else the average.
    fn power(&self) -> Sensed<MilliWatts> {
        let instant = self.hwmon.number("power1_input");
        let power =
            if instant == Sensed::Unsupported { self.hwmon.number("power1_average") } else { instant };
        power.map(milliwatts)
    }

    /// The speed of the fan, of its full one; a card that does not tell turns tells how it is driven.
    fn fan(&self) -> Sensed<Permille> {
        let turns = both(self.hwmon.number("fan1_input"), self.hwmon.number("fan1_max"));
        let share = if turns == Sensed::Unsupported {
            both(self.hwmon.number("pwm1"), self.hwmon.number("pwm1_max"))
        } else {
            turns
        };
        share.map(|(now, full)| permille(now, full))
    }

    /// Errors of every block that counts them.
    fn ecc(&self) -> Sensed<EccErrors> {
        let blocks = RealDisk.list(&self.file("ras")).unwrap_or_default();
        let counters = blocks.iter().filter(|path| path.to_string_lossy().ends_with("_err_count"));
        let mut sum = Sensed::Unsupported;
        for counter in counters {
            sum = match (sum, files::sensed(counter, errors)) {
                (Sensed::Missing, _) | (_, Sensed::Missing) => Sensed::Missing,
                (Sensed::Live(EccErrors { corrected, uncorrected }), Sensed::Live(more)) => {
                    Sensed::Live(EccErrors {
                        corrected: corrected.saturating_add(more.corrected),
                        uncorrected: uncorrected.saturating_add(more.uncorrected),
                    })
                }
                (known, Sensed::Unsupported | Sensed::Frozen(_)) => known,
                (_, new) => new,
            };
        }
        sum
    }

    fn pcie(&self) -> Sensed<PcieLink> {
        let speed = files::sensed(&self.file("current_link_speed"), generation);
        let link = both(speed, files::number(&self.file("current_link_width")));
        both(link, files::number(&self.file("pcie_replay_count"))).map(|((generation, width), replays)| {
            PcieLink { generation, width: u8::try_from(width).unwrap_or(u8::MAX), replays: whole(replays) }
        })
    }

    /// The power limit's file, to write it.
    fn open_power_limit(&self) -> Result<Box<dyn DiskFile>, Refusal> {
        let path = self.hwmon.file(POWER_LIMIT);
        // A file that is not there would be made.
        if !RealDisk.exists(&path) {
            return Err(Refusal::Unsupported("this board has no power limit".to_owned()));
        }
        RealDisk.open(&path).map_err(|error| refusal(&error))
    }

    /// The memory of each partition, or of the whole card.
    fn devices(&mut self) -> Vec<DeviceReading> {
        let whole = self.whole();
        let partitions = self.partitions.read(&self.info.board, whole.as_ref());
        partitions.unwrap_or_else(|| whole.into_iter().collect())
    }

    fn whole(&self) -> Option<DeviceReading> {
        let bytes = |name: &str| {
            let bytes = files::number(&self.file(name)).live()?;
            Some(Bytes(u64::try_from(bytes).unwrap_or_default()))
        };
        Some(DeviceReading {
            device: DeviceId::new(self.info.board.as_str()).ok()?,
            partition: Partition::Whole,
            memory_total: bytes("mem_info_vram_total")?,
            memory_used: bytes("mem_info_vram_used")?,
        })
    }
}

impl Driver for Card {
    fn info(&self) -> &BoardInfo {
        &self.info
    }

    fn read(&mut self) -> BoardReading {
        let (reasons, devices) = (self.reasons(), self.devices());
        BoardReading {
            core: self.hwmon.labelled(self.core, "input").map(temperature),
            memory: self.hwmon.labelled("mem", "input").map(temperature),
            margin: Sensed::Unsupported,
            power: self.power(),
            power_limit: self.hwmon.number(POWER_LIMIT).map(milliwatts),
            core_clock: self.hwmon.labelled("sclk", "input").map(megahertz),
            memory_clock: self.hwmon.labelled("mclk", "input").map(megahertz),
            utilization: files::number(&self.file("gpu_busy_percent")).map(|percent| permille(percent, 100)),
            fan: self.fan(),
            reasons,
            ecc: self.ecc(),
            remapping: Sensed::Unsupported,
            pcie: self.pcie(),
            faults: Vec::new(),
            devices,
        }
    }

    fn may_set(&mut self) -> Result<(), Refusal> {
        // Opening a file to write it changes nothing.
        self.open_power_limit().map(drop)
    }

    fn lock_clock(&mut self, _: MegaHertz) -> Result<(), Refusal> {
        Err(Refusal::Unsupported("an AMD board is held by its power limit".to_owned()))
    }

    fn free_clock(&mut self) -> Result<(), Refusal> {
        Err(Refusal::Unsupported("an AMD board is held by its power limit".to_owned()))
    }

    fn power_limit(&mut self) -> Result<MilliWatts, Refusal> {
        match self.hwmon.number(POWER_LIMIT) {
            Sensed::Live(limit) => Ok(milliwatts(limit)),
            Sensed::Unsupported => Err(Refusal::Unsupported("this board has no power limit".to_owned())),
            _ => Err(Refusal::Failed("the driver does not tell the power limit now".to_owned())),
        }
    }

    fn set_power_limit(&mut self, limit: MilliWatts) -> Result<(), Refusal> {
        let microwatts = u64::from(limit.0) * 1000;
        let mut file = self.open_power_limit()?;
        // Whoever could open it may write it: the kernel says EPERM while the GPU is reset or sleeps, which passes.
        let written = file.write_at(0, format!("{microwatts}\n").as_bytes());
        written.map_err(|error| Refusal::Failed(format!("the power limit was not written: {error}")))
    }
}

/// What an error of opening the power limit says. Only what the file's mode or its mount denies is denied for good.
fn refusal(error: &std::io::Error) -> Refusal {
    let denied = [Errno::ACCESS, Errno::ROFS].map(Errno::raw_os_error);
    if error.raw_os_error().is_some_and(|code| denied.contains(&code)) {
        return Refusal::NotPermitted(format!(
            "the power limit cannot be written: {error}; only root may, and /sys must be writable"
        ));
    }
    Refusal::Failed(format!("the power limit cannot be opened: {error}"))
}

/// What tells the board from every other one: the chip's own number, or where it is plugged in.
fn identity(device: &Path) -> Result<String, String> {
    let unique = files::text(&device.join("unique_id")).ok().filter(|id| !id.is_empty());
    let place = || {
        let place = device.canonicalize().map_err(|error| error.to_string())?;
        Ok(place.file_name().unwrap_or_default().to_string_lossy().into_owned())
    };
    unique.map_or_else(place, Ok).map(|id| format!("amd-{id}"))
}

fn name(device: &Path) -> String {
    let product = files::text(&device.join("product_name")).ok().filter(|name| !name.is_empty());
    product.unwrap_or_else(|| {
        let number = files::text(&device.join("device")).unwrap_or_default();
        format!("AMD GPU {number}").trim_end().to_owned()
    })
}

fn limits(device: &Path, hwmon: &Hwmon, core: &str) -> BoardLimits {
    let degrees = |label: &str, what: &str| hwmon.labelled(label, what).live().map(temperature);
    let power = |name: &str| hwmon.number(name).live().map(milliwatts);
    let power_most = power("power1_cap_max").filter(|limit| limit.0 > 0);
    let power_least = match power("power1_cap_min") {
        // The kernel keeps whole watts of a limit (`amdgpu_hwmon_set_power_cap` drops the rest).
        Some(MilliWatts(0)) => power_most.map(|most| MilliWatts(most.0 / LEAST_PART / WATT * WATT)),
        told => told,
    };
    let steps = files::sensed(&device.join("pp_dpm_sclk"), |text| Some(clocks(text))).live();
    // `crit` is where the firmware begins to hold the clock down, `emergency` where it turns the board off
    // (`smu_v13_0_6_get_thermal_temperature_range` of the kernel); nothing tells of a hard slowdown.
    BoardLimits {
        operating: degrees(core, "crit"),
        slowdown: None,
        shutdown: degrees(core, "emergency"),
        memory: degrees("mem", "crit"),
        power_least,
        power_most,
        clock_least: steps.as_ref().and_then(|steps| steps.iter().min().copied()),
        clock_most: steps.as_ref().and_then(|steps| steps.iter().max().copied()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_whose_mode_or_mount_denies_it_is_denied_for_good() {
        let told = |code: Errno| refusal(&code.into());
        for denied in [Errno::ACCESS, Errno::ROFS] {
            assert!(matches!(told(denied), Refusal::NotPermitted(_)), "{denied}");
        }
        for passing in [Errno::PERM, Errno::BUSY] {
            assert!(matches!(told(passing), Refusal::Failed(_)), "{passing}");
        }
    }
}
