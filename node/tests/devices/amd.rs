//! AMD GPUs by their files, in a device tree as the kernel's documents of amdgpu and hwmon describe it.
#![expect(clippy::disallowed_methods, reason = "the tree lies on the real disk")]

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use helixflow_actors::ClockError;
use helixflow_env::disk::RealDisk;
use helixflow_model::{
    BoardLimits, BoardReading, Bytes, ClockReasons, DeviceId, DeviceKind, DeviceReading, EccErrors,
    MegaHertz, MilliCelsius, MilliWatts, Partition, PcieLink, Permille, Sensed,
};
use helixflow_node::device::Gpus;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use tempfile::TempDir;

use crate::child;
use crate::world::{PATIENCE, read, within};

/// The files of a card, below its device's folder; hwmon numbers the sensors as it likes.
const FILES: &[(&str, &str)] = &[
    ("vendor", "0x1002\n"),
    ("device", "0x74a1\n"),
    ("product_name", "AMD Instinct MI300X\n"),
    ("unique_id", "7f3cde1a90b2\n"),
    ("gpu_busy_percent", "93\n"),
    ("mem_info_vram_total", "206141652992\n"),
    ("mem_info_vram_used", "1073741824\n"),
    ("pp_dpm_sclk", "S: 132Mhz *\n0: 500Mhz\n1: 2100Mhz\n"),
    ("current_link_speed", "32.0 GT/s PCIe\n"),
    ("current_link_width", "16\n"),
    ("pcie_replay_count", "4\n"),
    ("ras/umc_err_count", "ue: 1\nce: 20\n"),
    ("ras/gfx_err_count", "ue: 0\nce: 3\n"),
    ("hwmon/hwmon5/name", "amdgpu\n"),
    ("hwmon/hwmon5/temp1_label", "edge\n"),
    ("hwmon/hwmon5/temp1_input", "51000\n"),
    ("hwmon/hwmon5/temp2_label", "junction\n"),
    ("hwmon/hwmon5/temp2_input", "62000\n"),
    ("hwmon/hwmon5/temp2_crit", "100000\n"),
    ("hwmon/hwmon5/temp2_emergency", "105000\n"),
    ("hwmon/hwmon5/temp3_label", "mem\n"),
    ("hwmon/hwmon5/temp3_input", "58000\n"),
    ("hwmon/hwmon5/temp3_crit", "105000\n"),
    ("hwmon/hwmon5/power1_average", "431000000\n"),
    ("hwmon/hwmon5/power1_cap", "750000000\n"),
    ("hwmon/hwmon5/power1_cap_min", "0\n"),
    ("hwmon/hwmon5/power1_cap_max", "750000000\n"),
    ("hwmon/hwmon5/freq1_label", "sclk\n"),
    ("hwmon/hwmon5/freq1_input", "1900000000\n"),
    ("hwmon/hwmon5/freq2_label", "mclk\n"),
    ("hwmon/hwmon5/freq2_input", "1300000000\n"),
    ("hwmon/hwmon5/fan1_input", "1500\n"),
    ("hwmon/hwmon5/fan1_max", "3000\n"),
];
/// The sensors' folder.
const HWMON: &str = "hwmon/hwmon5";

/// A device tree with one card, and a node's data folder beside it.
struct Tree {
    folder: TempDir,
}

impl Tree {
    fn new() -> Self {
        let tree = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        for (name, text) in FILES {
            tree.write(name, text.as_bytes());
        }
        let drm = tree.folder.path().join("class/drm");
        std::fs::create_dir_all(drm.join("card0")).expect("a folder");
        std::fs::create_dir_all(drm.join("card0-DP-1")).expect("a folder");
        symlink(tree.device(), drm.join("card0/device")).expect("a link");
        tree
    }

    fn device(&self) -> PathBuf {
        self.folder.path().join("devices/pci0000:00/0000:83:00.0")
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.device().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.device().join(name)).expect("a file that was there");
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.device().join(name)).expect("a file")
    }

    /// Does what the kernel does with a power limit that was written: it keeps whole watts, and tells those.
    fn keep_whole_watts(&self) {
        let cap = format!("{HWMON}/power1_cap");
        let microwatts: u64 = self.text(&cap).trim().parse().expect("a number");
        self.write(&cap, format!("{}\n", microwatts / 1_000_000 * 1_000_000).as_bytes());
    }

    /// A node of the kernel's compute driver: the partition of a card, with this part of its memory in GiB.
    fn node(&self, number: u32, location: u32, gibibytes: u64) {
        let bytes = gibibytes << 30;
        for (name, text) in [
            ("properties", format!("simd_count 304\nlocation_id {location}\ndomain 0\nnum_xcc 2\n")),
            ("mem_banks/0/properties", format!("heap_type 1\nsize_in_bytes {bytes}\nflags 0\n")),
            ("mem_banks/0/used_memory", format!("{}\n", u64::from(number) << 30)),
        ] {
            self.topology(&format!("nodes/{number}/{name}"), &text);
        }
    }

    fn topology(&self, name: &str, text: &str) {
        let path = self.folder.path().join("class/kfd/kfd/topology").join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    /// The metrics of version 1.3, with this status.
    fn metrics(&self, status: u64) {
        let mut table = vec![0; 120];
        table[..4].copy_from_slice(&[120, 0, 1, 3]);
        table[112..].copy_from_slice(&status.to_le_bytes());
        self.write("gpu_metrics", &table);
    }

    async fn gpus(&self) -> Gpus {
        let program = child::program(&[
            ("HELIXFLOW_NVML_LIBRARY", OsStr::new("/nowhere/libnvidia-ml.so.1")),
            ("HELIXFLOW_SYSFS", self.folder.path().as_os_str()),
        ]);
        let gpus = Gpus::find(program, PATIENCE, Arc::new(RealDisk), Path::new(self.folder.path()));
        within(gpus).await.expect("a journal that can be read")
    }
}

fn whole() -> BoardReading {
    BoardReading {
        core: Sensed::Live(MilliCelsius(62_000)),
        memory: Sensed::Live(MilliCelsius(58_000)),
        margin: Sensed::Unsupported,
        power: Sensed::Live(MilliWatts(431_000)),
        power_limit: Sensed::Live(MilliWatts(750_000)),
        core_clock: Sensed::Live(MegaHertz(1900)),
        memory_clock: Sensed::Live(MegaHertz(1300)),
        utilization: Sensed::Live(Permille(930)),
        fan: Sensed::Live(Permille(500)),
        reasons: Sensed::Unsupported,
        ecc: Sensed::Live(EccErrors { corrected: 23, uncorrected: 1 }),
        remapping: Sensed::Unsupported,
        pcie: Sensed::Live(PcieLink { generation: 5, width: 16, replays: 4 }),
        faults: Vec::new(),
        devices: vec![DeviceReading {
            device: DeviceId::new("amd-7f3cde1a90b2").expect("a valid id"),
            partition: Partition::Whole,
            memory_total: Bytes(206_141_652_992),
            memory_used: Bytes(1 << 30),
        }],
    }
}

#[tokio::test]
async fn a_card_is_found_by_its_labels_and_tells_its_own_limits() {
    let tree = Tree::new();
    let gpus = tree.gpus().await;
    let [board] = gpus.boards().try_into().unwrap_or_else(|_| panic!("one card, and no output of it"));
    let info = board.info();
    assert_eq!((info.board.as_str(), info.kind), ("amd-7f3cde1a90b2", DeviceKind::Amd));
    assert_eq!(info.name, "AMD Instinct MI300X");
    let limits = BoardLimits {
        operating: Some(MilliCelsius(100_000)),
        slowdown: None,
        shutdown: Some(MilliCelsius(105_000)),
        memory: Some(MilliCelsius(105_000)),
        power_least: Some(MilliWatts(187_000)),
        power_most: Some(MilliWatts(750_000)),
        clock_least: Some(MegaHertz(500)),
        clock_most: Some(MegaHertz(2100)),
    };
    assert_eq!(info.limits, limits);
    assert_eq!(read(&board).await.expect("a reading"), whole());
}

/// Each device's id, what it is, and its memory and what is used of it in GiB.
async fn devices(gpus: &Gpus) -> Vec<(String, Partition, u64, u64)> {
    let reading = read(&gpus.boards()[0]).await.expect("a reading");
    let gibibytes = |bytes: Bytes| bytes.0 >> 30;
    let shown = |device: &DeviceReading| {
        let DeviceReading { device, partition, memory_total, memory_used } = device;
        (device.to_string(), *partition, gibibytes(*memory_total), gibibytes(*memory_used))
    };
    reading.devices.iter().map(shown).collect()
}

#[tokio::test]
async fn compute_partitions_are_devices_of_their_board_and_change_with_it() {
    let tree = Tree::new();
    tree.topology("generation_id", "2\n");
    tree.topology("nodes/0/properties", "cpu_cores_count 96\nlocation_id 0\ndomain 0\n");
    tree.node(1, 0x8300, 192);
    tree.node(2, 0x8400, 192);
    let gpus = tree.gpus().await;
    assert_eq!(devices(&gpus).await, [("amd-7f3cde1a90b2".to_owned(), Partition::Whole, 191, 1)]);

    // The number of the partition stands above the place, or in it as kernels before had it.
    for [first, second, third] in [[0x8300, 0x1000_8300, 0x2000_8300], [0x8300, 0x8301, 0x8302]] {
        tree.node(3, first, 48);
        tree.node(10, second, 48);
        tree.node(11, third, 48);
        tree.node(1, 0x8500, 192);
        tree.topology("nodes/11/properties", "location_id 0\ndomain 0\n");
        tree.topology("generation_id", &format!("3{second}\n"));
        let amd = |number: u32, used| (format!("amd-7f3cde1a90b2-{number}"), Partition::Amd, 48, used);
        assert_eq!(devices(&gpus).await, [amd(0, 3), amd(1, 10)], "a change that is not yet filled in");
        tree.node(11, third, 48);
        assert_eq!(devices(&gpus).await, [amd(0, 3), amd(1, 10), amd(2, 11)]);
        assert_eq!(devices(&gpus).await.len(), 3, "as it stays");
        tree.write("mem_info_vram_used", &(8_u64 << 30).to_string().into_bytes());
        std::fs::remove_file(
            tree.folder.path().join("class/kfd/kfd/topology/nodes/10/mem_banks/0/used_memory"),
        )
        .expect("a file that was there");
        assert_eq!(devices(&gpus).await, [amd(0, 3), amd(1, 2), amd(2, 11)], "48 of 192 GiB, of 8 in use");
        tree.topology("nodes/10/mem_banks/0/properties", "?\n");
        assert_eq!(devices(&gpus).await, [amd(0, 3), amd(2, 11)], "one that tells nothing");
    }
}

#[tokio::test]
async fn a_lowest_power_limit_is_taken_as_told_unless_that_is_none() {
    let tree = Tree::new();
    tree.write(&format!("{HWMON}/power1_cap_min"), b"250000000\n");
    let least = |gpus: Gpus| gpus.boards()[0].info().limits.power_least;
    assert_eq!(least(tree.gpus().await), Some(MilliWatts(250_000)));
    tree.remove(&format!("{HWMON}/power1_cap_min"));
    assert_eq!(least(tree.gpus().await), None);
}

#[tokio::test]
async fn power_is_read_from_whichever_file_there_is_the_instant_s_first() {
    let tree = Tree::new();
    let gpus = tree.gpus().await;
    let board = &gpus.boards()[0];
    tree.write(&format!("{HWMON}/power1_input"), b"555000000\n");
    assert_eq!(read(board).await.expect("a reading").power, Sensed::Live(MilliWatts(555_000)));
    tree.write(&format!("{HWMON}/power1_input"), b"no number\n");
    assert_eq!(read(board).await.expect("a reading").power, Sensed::Missing);
    tree.remove(&format!("{HWMON}/power1_input"));
    tree.remove(&format!("{HWMON}/power1_average"));
    assert_eq!(read(board).await.expect("a reading").power, Sensed::Unsupported);
}

#[tokio::test]
async fn each_file_that_is_gone_or_makes_no_sense_takes_only_its_own_sensor_along() {
    let tree = Tree::new();
    let gpus = tree.gpus().await;
    let board = &gpus.boards()[0];
    for (file, sensor) in [
        ("hwmon/hwmon5/temp2_input", "core"),
        ("hwmon/hwmon5/temp3_input", "memory"),
        ("hwmon/hwmon5/power1_cap", "power_limit"),
        ("hwmon/hwmon5/freq1_input", "core_clock"),
        ("hwmon/hwmon5/freq2_input", "memory_clock"),
        ("hwmon/hwmon5/fan1_input", "fan"),
        ("gpu_busy_percent", "utilization"),
        ("current_link_speed", "pcie"),
        ("current_link_width", "pcie"),
        ("pcie_replay_count", "pcie"),
    ] {
        let text = tree.text(file);
        let mut expected = serde_json::to_value(whole()).expect("a reading");
        tree.write(file, b"?\n");
        expected[sensor] = "missing".into();
        let reading = read(board).await.expect("a reading");
        assert_eq!(serde_json::to_value(reading).expect("a reading"), expected, "{file} makes no sense");
        tree.remove(file);
        expected[sensor] = "unsupported".into();
        let reading = read(board).await.expect("a reading");
        assert_eq!(serde_json::to_value(reading).expect("a reading"), expected, "{file} is gone");
        tree.write(file, text.as_bytes());
    }
    tree.write("ras/umc_err_count", b"?\n");
    assert_eq!(read(board).await.expect("a reading").ecc, Sensed::Missing);
}

#[tokio::test]
async fn what_holds_the_clock_down_is_told_by_the_metrics_of_a_known_version() {
    let tree = Tree::new();
    tree.metrics(1 << 36);
    let gpus = tree.gpus().await;
    let board = &gpus.boards()[0];
    let reasons = read(board).await.expect("a reading").reasons;
    assert_eq!(reasons, Sensed::Live(ClockReasons::SOFTWARE_THERMAL));
    tree.metrics(1);
    assert_eq!(read(board).await.expect("a reading").reasons, Sensed::Live(ClockReasons::POWER_CAP));
    tree.write("gpu_metrics", &[8, 0, 9, 9, 0, 0, 0, 0]);
    assert_eq!(read(board).await.expect("a reading").reasons, Sensed::Unsupported);
}

#[tokio::test]
async fn a_card_without_a_number_or_a_hottest_spot_is_told_by_its_place_and_its_edge() {
    let tree = Tree::new();
    tree.remove("unique_id");
    tree.remove("product_name");
    tree.remove("hwmon/hwmon5/temp2_label");
    let gpus = tree.gpus().await;
    let board = &gpus.boards()[0];
    assert_eq!(
        (board.info().board.as_str(), board.info().name.as_str()),
        ("amd-0000:83:00.0", "AMD GPU 0x74a1")
    );
    assert_eq!(read(board).await.expect("a reading").core, Sensed::Live(MilliCelsius(51_000)));
}

#[tokio::test]
async fn cards_of_other_makers_and_cards_without_sensors_are_no_boards() {
    let tree = Tree::new();
    tree.write("vendor", b"0x10de\n");
    assert!(tree.gpus().await.boards().is_empty());
    tree.write("vendor", b"0x1002\n");
    tree.write(&format!("{HWMON}/name"), b"nvme\n");
    assert!(tree.gpus().await.boards().is_empty());
}

#[tokio::test]
async fn the_clock_is_held_by_the_power_limit_which_the_next_start_puts_back() {
    let tree = Tree::new();
    let cap = format!("{HWMON}/power1_cap");
    let gpus = tree.gpus().await;
    let boards = gpus.boards();
    within(boards[0].limit_clock(None)).await.expect("a file that may be written");
    assert_eq!(tree.text(&cap), "750000000\n", "asking changes nothing");
    within(boards[0].limit_clock(Some(MegaHertz(1300)))).await.expect("a limit that is set");
    assert_eq!(tree.text(&cap).trim(), "468000000");
    drop((gpus, boards));
    let _next = tree.gpus().await;
    assert_eq!(tree.text(&cap).trim(), "750000000");
}

#[tokio::test]
async fn the_lowest_power_limit_is_known_as_ours_once_the_kernel_has_kept_it() {
    let tree = Tree::new();
    let cap = format!("{HWMON}/power1_cap");
    let gpus = tree.gpus().await;
    let boards = gpus.boards();
    for (clock, watts) in [(500, "187000000"), (1300, "468000000"), (500, "187000000")] {
        within(boards[0].limit_clock(Some(MegaHertz(clock)))).await.expect("a limit that is ours to change");
        tree.keep_whole_watts();
        assert_eq!(tree.text(&cap).trim(), watts);
    }
    drop((gpus, boards));
    let _next = tree.gpus().await;
    assert_eq!(tree.text(&cap).trim(), "750000000");
}

/// A file that anybody may open and whose writing the kernel refuses with EPERM, as amdgpu does while the GPU is reset.
fn not_now(text: &str) -> File {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(memfd_create("power1_cap", flags).expect("a file in memory"));
    file.write_all(text.as_bytes()).expect("a write");
    fcntl_add_seals(&file, SealFlags::WRITE).expect("a seal");
    file
}

#[tokio::test]
async fn a_power_limit_that_the_kernel_does_not_take_during_a_reset_is_tried_again() {
    let tree = Tree::new();
    let cap = format!("{HWMON}/power1_cap");
    let gpus = tree.gpus().await;
    let board = &gpus.boards()[0];
    let sealed = not_now("750000000\n");
    let place = format!("/proc/{}/fd/{}", std::process::id(), sealed.as_raw_fd());
    tree.remove(&cap);
    symlink(place, tree.device().join(&cap)).expect("a link");
    within(board.limit_clock(None)).await.expect("a file that may be opened");
    let refused = within(board.limit_clock(Some(MegaHertz(1300)))).await;
    let Err(ClockError::Failed(why)) = refused else { panic!("{refused:?}") };
    assert!(why.to_string().contains("not permitted"), "{why}");
    tree.remove(&cap);
    tree.write(&cap, b"750000000\n");
    within(board.limit_clock(Some(MegaHertz(1300)))).await.expect("a limit that is set after the reset");
    assert_eq!(tree.text(&cap).trim(), "468000000");
}

#[tokio::test]
async fn a_card_without_a_power_limit_is_only_watched() {
    let tree = Tree::new();
    tree.remove(&format!("{HWMON}/power1_cap"));
    let gpus = tree.gpus().await;
    for clock in [None, Some(MegaHertz(1300))] {
        let refused = within(gpus.boards()[0].limit_clock(clock)).await;
        assert!(matches!(refused, Err(ClockError::NotPermitted { .. })), "{refused:?}");
    }
    assert!(!tree.device().join(HWMON).join("power1_cap").exists(), "a file was made");
}
